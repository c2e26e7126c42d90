//! The parent: starts a child for a document, feeds it, and believes it nothing.

use std::{
    io,
    path::{Path, PathBuf},
    process::{ExitStatus, Stdio},
    sync::Arc,
    time::{Duration, Instant},
};

use keydock_core::workflows::Definition;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWriteExt},
    process::{ChildStderr, ChildStdin, ChildStdout, Command},
    sync::Semaphore,
    time::timeout,
};

use super::{
    CHILD_ARG, Limits,
    protocol::{Answer, Header, MAX_PIXELS, MAX_REQUEST, PICTURE, framed},
    spawner::Spawner,
};
use crate::{Extraction, error::Error, eyes::PictureRequest};

/// What a child may write to its standard error before nobody listens.
const MAX_STDERR: u64 = 4096;

/// Reads documents in child processes, a few at a time. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Sandbox {
    program: Arc<Path>,
    pub(super) limits: Limits,
    places: Arc<Semaphore>,
    pub(super) spawner: Arc<Spawner>,
    /// The program that reads pictures, if it is not the one on the search path.
    pub(super) reader_of_pictures: Option<Arc<Path>>,
}

impl Sandbox {
    /// A sandbox whose children are this very program; its `main` must know [`CHILD_ARG`].
    pub fn new(limits: Limits) -> io::Result<Self> {
        Self::with_program(std::env::current_exe()?, limits)
    }

    /// A sandbox whose children are another program.
    pub fn with_program(program: PathBuf, limits: Limits) -> io::Result<Self> {
        Ok(Self {
            program: program.into(),
            limits,
            places: Arc::new(Semaphore::new(limits.parallel.max(1))),
            spawner: Arc::new(Spawner::start()?),
            reader_of_pictures: None,
        })
    }

    /// The same sandbox with another program that reads pictures, called as Tesseract is.
    #[must_use]
    pub fn with_reader_of_pictures(mut self, program: PathBuf) -> Self {
        self.reader_of_pictures = Some(program.into());
        self
    }

    /// What reading one document may take.
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// Reads `len` bytes of `document`, without ever holding them all, and extracts what the
    /// definition asks for.
    pub async fn extract(
        &self,
        document: impl AsyncRead + Unpin,
        len: u64,
        name: &str,
        declared_type: Option<&str>,
        definition: &Definition,
    ) -> Result<Extraction, Error> {
        if len > self.limits.document_bytes {
            return Err(Error::TooLarge { bytes: len, max: self.limits.document_bytes });
        }
        let header = Header {
            definition: definition.to_json(),
            name: name.chars().take(1_000).collect(),
            declared_type: declared_type.map(|text| text.chars().take(200).collect()),
            document_bytes: len,
            limits: self.limits,
        };
        let header = header.to_bytes().map_err(|error| unavailable(&error))?;
        let _place = self.places.acquire().await.map_err(|error| unavailable(&error))?;
        self.run(&header, document, len).await
    }

    /// One child, from its start to its end. Cut off, the future is dropped, and the child killed
    /// with it.
    async fn run(
        &self,
        header: &[u8],
        document: impl AsyncRead + Unpin,
        len: u64,
    ) -> Result<Extraction, Error> {
        let child = self.spawner.spawn(self.command()).await;
        let mut child = child.map_err(|error| unavailable(&error))?;
        let (Some(stdin), Some(stdout), Some(stderr)) =
            (child.stdin.take(), child.stdout.take(), child.stderr.take())
        else {
            return Err(unavailable(&"a pipe is missing"));
        };
        let (output, complaint) = tokio::try_join!(
            self.converse(stdin, stdout, header, document, len),
            overhear(stderr),
        )?;
        let status = child.wait().await.map_err(|error| unavailable(&error))?;
        self.judge(status, &output, &complaint)
    }

    /// Hands the document over and listens: to questions about pictures, and to the answer. The
    /// clock of the child stands still while a picture is read for it.
    async fn converse(
        &self,
        mut stdin: ChildStdin,
        mut stdout: ChildStdout,
        header: &[u8],
        document: impl AsyncRead + Unpin,
        len: u64,
    ) -> Result<Vec<u8>, Error> {
        let mut left = Duration::from_secs(self.limits.wall_seconds);
        let late = || Error::TimedOut { seconds: self.limits.wall_seconds };
        let mut began = Instant::now();
        let fed = timeout(left, feed(&mut stdin, header, document, len)).await;
        fed.map_err(|_| late())??;
        let mut pictures = 0;
        loop {
            left = left.saturating_sub(began.elapsed());
            began = Instant::now();
            let said = timeout(left, listen(&mut stdout, self.limits.output_bytes)).await;
            let request = match said.map_err(|_| late())?? {
                Said::Answer(answer) => return Ok(answer),
                Said::Picture(request) => request,
            };
            left = left.saturating_sub(began.elapsed());
            pictures += 1;
            let words = if pictures > self.limits.pictures {
                skip(&mut stdout, &request).await?;
                let max = self.limits.pictures;
                Err(Error::PictureUnread { reason: format!("it has more than {max} of them") })
            } else {
                self.read_picture(&mut stdout, &request).await
            };
            let reply = framed(&words).map_err(|error| unavailable(&error))?;
            // That the child is gone is told by its end.
            let _ = stdin.write_all(&reply).await;
            began = Instant::now();
        }
    }

    /// This program as a child.
    pub(super) fn command(&self) -> Command {
        let mut command = self.bare_command();
        command.arg(CHILD_ARG);
        command
    }

    /// This program with nothing that it could inherit.
    pub(super) fn bare_command(&self) -> Command {
        let mut command = Command::new(&*self.program);
        command
            .env_clear()
            // Memory that an allocator takes ahead of need would count against the limit.
            .env("MIMALLOC_ARENA_EAGER_COMMIT", "0")
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        command
    }

    /// What became of the document: the answer, or the reason why there is none.
    fn judge(&self, status: ExitStatus, output: &[u8], complaint: &str) -> Answer {
        if status.success()
            && let Ok(answer) = serde_json::from_slice::<Answer>(output)
        {
            return answer;
        }
        let signal = signal(status);
        Err(match signal {
            _ if complaint.contains("memory allocation of") => self.out_of_memory(),
            Some(BAD_SYSTEM_CALL) => Error::Forbidden,
            Some(CPU_LIMIT) => Error::TimedOut { seconds: self.limits.cpu_seconds },
            // Not by us, who would not be here: by the kernel, short of memory.
            Some(KILLED) => self.out_of_memory(),
            _ => Error::Crashed { signal },
        })
    }

    fn out_of_memory(&self) -> Error {
        Error::OutOfMemory { bytes: self.limits.memory_bytes }
    }
}

const KILLED: i32 = 9;
pub(super) const CPU_LIMIT: i32 = 24;
const BAD_SYSTEM_CALL: i32 = 31;

#[cfg(unix)]
pub(super) fn signal(status: ExitStatus) -> Option<i32> {
    std::os::unix::process::ExitStatusExt::signal(&status)
}

#[cfg(not(unix))]
pub(super) fn signal(_: ExitStatus) -> Option<i32> {
    None
}

pub(super) fn unavailable(error: &dyn std::fmt::Display) -> Error {
    Error::Unavailable { reason: error.to_string() }
}

/// Writes the request. That the child stops listening is no error here: its end tells more.
async fn feed(
    stdin: &mut ChildStdin,
    header: &[u8],
    document: impl AsyncRead + Unpin,
    len: u64,
) -> Result<(), Error> {
    if stdin.write_all(header).await.is_err() {
        return Ok(());
    }
    let mut document = document.take(len);
    let mut buffer = vec![0; 64 * 1024];
    let mut sent = 0;
    loop {
        let incomplete = |error: io::Error| Error::Incomplete { reason: error.to_string() };
        let count = document.read(&mut buffer).await.map_err(incomplete)?;
        let Some(bytes) = buffer.get(..count).filter(|bytes| !bytes.is_empty()) else { break };
        if stdin.write_all(bytes).await.is_err() {
            return Ok(());
        }
        sent += count as u64;
    }
    if sent < len {
        let reason = format!("it ended after {sent} of {len} bytes");
        return Err(Error::Incomplete { reason });
    }
    Ok(())
}

/// What the child said.
enum Said {
    /// All of its answer.
    Answer(Vec<u8>),
    /// That pixels follow, which are to be read.
    Picture(PictureRequest),
}

async fn listen(stdout: &mut ChildStdout, max: u64) -> Result<Said, Error> {
    let mut output = Vec::new();
    let first = stdout.take(1).read_to_end(&mut output).await;
    first.map_err(|error| unavailable(&error))?;
    if output.first() == Some(&PICTURE) {
        return request(stdout).await.map(Said::Picture);
    }
    let read = stdout.take(max).read_to_end(&mut output).await;
    read.map_err(|error| unavailable(&error))?;
    if output.len() as u64 > max {
        return Err(Error::OutputTooLarge { bytes: max });
    }
    Ok(Said::Answer(output))
}

/// A request for a picture, which may be nonsense like all that a child says.
async fn request(stdout: &mut ChildStdout) -> Result<PictureRequest, Error> {
    let nonsense = || Error::Crashed { signal: None };
    let length = stdout.read_u32_le().await.map_err(|_| nonsense())?;
    if length > MAX_REQUEST {
        return Err(nonsense());
    }
    let mut json = Vec::new();
    let read = stdout.take(length.into()).read_to_end(&mut json).await;
    read.map_err(|error| unavailable(&error))?;
    let request: PictureRequest = serde_json::from_slice(&json).map_err(|_| nonsense())?;
    let is_possible = request.width > 0
        && request.height > 0
        && pixels(&request) <= MAX_PIXELS
        && request.languages.len() <= 16
        && request.languages.iter().all(|name| is_language(name));
    if is_possible { Ok(request) } else { Err(nonsense()) }
}

/// What becomes part of a command line.
fn is_language(name: &str) -> bool {
    name.len() <= 20 && name.bytes().all(|byte| byte.is_ascii_alphabetic() || byte == b'_')
}

/// How many bytes follow a request.
pub(super) fn pixels(request: &PictureRequest) -> u64 {
    u64::from(request.width) * u64::from(request.height)
}

/// Lets the pixels of a picture go by.
pub(super) async fn skip(stdout: &mut ChildStdout, request: &PictureRequest) -> Result<(), Error> {
    let mut pixels = stdout.take(pixels(request));
    let read = tokio::io::copy(&mut pixels, &mut tokio::io::sink()).await;
    read.map(drop).map_err(|error| unavailable(&error))
}

/// The beginning of what the child says on its standard error; the rest is let go by.
pub(super) async fn overhear(mut stderr: ChildStderr) -> Result<String, Error> {
    let mut complaint = Vec::new();
    let first = (&mut stderr).take(MAX_STDERR).read_to_end(&mut complaint).await;
    let rest = tokio::io::copy(&mut stderr, &mut tokio::io::sink()).await;
    first.and(rest.map(drop).map(|()| 0)).map_err(|error| unavailable(&error))?;
    Ok(String::from_utf8_lossy(&complaint).into_owned())
}
