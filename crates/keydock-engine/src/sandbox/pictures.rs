//! Reading a picture: Tesseract, in a child that can do little else.
//!
//! The child is this very program again. It gives up its rights and then becomes Tesseract, so that
//! no library of pictures or languages ever runs outside of the walls. Of the document it sees
//! nothing but grey pixels.

use std::{
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::ExitCode,
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    process::{ChildStdin, ChildStdout, Command},
    time::timeout,
};

use super::{
    PICTURE_ARG, Sandbox, confine,
    parent::{CPU_LIMIT, overhear, pixels, signal, unavailable},
    protocol::MAX_WORDS,
};
use crate::{error::Error, eyes::PictureRequest};

/// The program that reads pictures.
const PROGRAM: &str = "tesseract";
/// The memory that it may take.
const MEMORY: u64 = 1 << 30;

impl Sandbox {
    /// Has the pixels that follow on `from` read. They are taken from it in any case.
    pub(super) async fn read_picture(
        &self,
        from: &mut ChildStdout,
        request: &PictureRequest,
    ) -> Result<String, Error> {
        let chosen = self.reader_of_pictures.as_deref().map(Path::to_owned);
        let Some(program) = chosen.or_else(installed).filter(|program| program.is_file()) else {
            super::parent::skip(from, request).await?;
            return Err(missing(&request.languages));
        };
        let mut command = self.bare_command();
        command.arg(PICTURE_ARG).arg(self.limits.picture_seconds.to_string()).arg(program);
        command.args(arguments(request)).env("OMP_THREAD_LIMIT", "1");
        // Waiting for a processor is not its fault.
        let seconds = self.limits.picture_seconds.saturating_mul(3);
        timeout(Duration::from_secs(seconds), self.run_tesseract(command, from, request))
            .await
            .unwrap_or(Err(Error::TimedOut { seconds }))
    }

    async fn run_tesseract(
        &self,
        command: Command,
        from: &mut ChildStdout,
        request: &PictureRequest,
    ) -> Result<String, Error> {
        let child = self.spawner.spawn(command).await;
        let mut child = child.map_err(|error| unavailable(&error))?;
        let (Some(stdin), Some(stdout), Some(stderr)) =
            (child.stdin.take(), child.stdout.take(), child.stderr.take())
        else {
            return Err(unavailable(&"a pipe is missing"));
        };
        let mut table = Vec::new();
        let listen = async {
            let read = stdout.take(u64::from(MAX_WORDS) + 1).read_to_end(&mut table).await;
            read.map_err(|error| unavailable(&error))
        };
        let ((), _, complaint) =
            tokio::try_join!(show(stdin, from, request), listen, overhear(stderr))?;
        let status = child.wait().await.map_err(|error| unavailable(&error))?;
        if signal(status) == Some(CPU_LIMIT) {
            return Err(Error::TimedOut { seconds: self.limits.picture_seconds });
        }
        let unknown: Vec<String> =
            request.languages.iter().filter(|name| is_unknown(name, &complaint)).cloned().collect();
        if (request.needs_all && !unknown.is_empty()) || unknown.len() == request.languages.len() {
            return Err(missing(&unknown));
        }
        if !status.success() {
            let last = complaint.lines().last().unwrap_or("it said nothing");
            let reason =
                format!("{PROGRAM} failed: {}", last.chars().take(200).collect::<String>());
            return Err(Error::PictureUnread { reason });
        }
        if table.len() as u64 > u64::from(MAX_WORDS) {
            return Err(Error::OutputTooLarge { bytes: MAX_WORDS.into() });
        }
        Ok(String::from_utf8_lossy(&table).into_owned())
    }
}

/// Passes the pixels on, as the simplest of all formats of pictures.
async fn show(
    mut stdin: ChildStdin,
    from: &mut ChildStdout,
    request: &PictureRequest,
) -> Result<(), Error> {
    let head = format!("P5\n{} {}\n255\n", request.width, request.height);
    let mut is_listening = stdin.write_all(head.as_bytes()).await.is_ok();
    let mut pixels = from.take(pixels(request));
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let count = pixels.read(&mut buffer).await.map_err(|error| unavailable(&error))?;
        let Some(bytes) = buffer.get(..count).filter(|bytes| !bytes.is_empty()) else { break };
        // If nobody listens any more, the rest must still be taken.
        is_listening = is_listening && stdin.write_all(bytes).await.is_ok();
    }
    Ok(())
}

/// How Tesseract is called: pixels from its standard input, a table of words to its output.
fn arguments(request: &PictureRequest) -> Vec<String> {
    let text = |text: &str| text.to_owned();
    vec![
        text("stdin"),
        text("stdout"),
        text("-l"),
        request.languages.join("+"),
        text("--dpi"),
        request.dots_per_inch.to_string(),
        text("--psm"),
        // A block of text, or whatever Tesseract makes of the page.
        text(if request.is_one_block { "6" } else { "3" }),
        text("tsv"),
    ]
}

/// Where the program is, if it is.
fn installed() -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_else(|| "/usr/local/bin:/usr/bin:/bin".into());
    let candidates = std::env::split_paths(&path).filter(|folder| folder.is_absolute());
    candidates.map(|folder| folder.join(PROGRAM)).find(|program| program.is_file())
}

/// Whether Tesseract complained about a language.
fn is_unknown(language: &str, complaint: &str) -> bool {
    complaint.contains(&format!("loading language '{language}'"))
        || complaint.contains(&format!("/{language}.traineddata"))
}

/// What to install.
fn missing(languages: &[String]) -> Error {
    let packages: Vec<String> = languages
        .iter()
        .map(|name| format!("tesseract-ocr-{}", name.replace('_', "-").to_ascii_lowercase()))
        .collect();
    let reason = format!(
        "it takes the program {PROGRAM} with its languages: have the packages tesseract-ocr and {} installed on the server",
        packages.join(", ")
    );
    Error::PictureUnread { reason }
}

/// The life of the child: walls first, then Tesseract.
pub(super) fn child_main() -> ExitCode {
    let mut arguments = std::env::args_os().skip(2);
    let seconds = arguments.next().and_then(|text| text.to_str()?.parse().ok());
    let (Some(seconds), Some(program)) = (seconds, arguments.next()) else {
        return ExitCode::FAILURE;
    };
    let program = PathBuf::from(program);
    let error = match confine::confine_reader_of_pictures(MEMORY, seconds, &program) {
        Ok(()) => std::process::Command::new(program).args(arguments).exec().to_string(),
        Err(error) => error.to_string(),
    };
    // There is nobody else to tell.
    let _ = std::io::Write::write_all(&mut std::io::stderr(), error.as_bytes());
    ExitCode::FAILURE
}
