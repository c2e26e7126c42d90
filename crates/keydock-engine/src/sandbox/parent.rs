//! The parent: starts a child for a document, feeds it, and believes it nothing.

use std::{
    io,
    path::{Path, PathBuf},
    process::{ExitStatus, Stdio},
    sync::Arc,
    time::Duration,
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
    protocol::{Answer, Header},
    spawner::Spawner,
};
use crate::{Extraction, error::Error};

/// What a child may write to its standard error before nobody listens.
const MAX_STDERR: u64 = 4096;

/// Reads documents in child processes, a few at a time. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Sandbox {
    program: Arc<Path>,
    limits: Limits,
    places: Arc<Semaphore>,
    spawner: Arc<Spawner>,
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
        })
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
        let deadline = Duration::from_secs(self.limits.wall_seconds);
        // Cut off, the future is dropped, and the child killed with it.
        timeout(deadline, self.run(&header, document, len))
            .await
            .unwrap_or(Err(Error::TimedOut { seconds: self.limits.wall_seconds }))
    }

    /// One child, from its start to its end.
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
        let ((), output, complaint) = tokio::try_join!(
            feed(stdin, header, document, len),
            listen(stdout, self.limits.output_bytes),
            overhear(stderr),
        )?;
        let status = child.wait().await.map_err(|error| unavailable(&error))?;
        self.judge(status, &output, &complaint)
    }

    fn command(&self) -> Command {
        let mut command = Command::new(&*self.program);
        command
            .arg(CHILD_ARG)
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
const CPU_LIMIT: i32 = 24;
const BAD_SYSTEM_CALL: i32 = 31;

#[cfg(unix)]
fn signal(status: ExitStatus) -> Option<i32> {
    std::os::unix::process::ExitStatusExt::signal(&status)
}

#[cfg(not(unix))]
fn signal(_: ExitStatus) -> Option<i32> {
    None
}

fn unavailable(error: &dyn std::fmt::Display) -> Error {
    Error::Unavailable { reason: error.to_string() }
}

/// Writes the request. That the child stops listening is no error here: its end tells more.
async fn feed(
    mut stdin: ChildStdin,
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

async fn listen(stdout: ChildStdout, max: u64) -> Result<Vec<u8>, Error> {
    let mut output = Vec::new();
    let read = stdout.take(max + 1).read_to_end(&mut output).await;
    read.map_err(|error| unavailable(&error))?;
    if output.len() as u64 > max {
        return Err(Error::OutputTooLarge { bytes: max });
    }
    Ok(output)
}

/// The beginning of what the child says on its standard error; the rest is let go by.
async fn overhear(mut stderr: ChildStderr) -> Result<String, Error> {
    let mut complaint = Vec::new();
    let first = (&mut stderr).take(MAX_STDERR).read_to_end(&mut complaint).await;
    let rest = tokio::io::copy(&mut stderr, &mut tokio::io::sink()).await;
    first.and(rest.map(drop).map(|()| 0)).map_err(|error| unavailable(&error))?;
    Ok(String::from_utf8_lossy(&complaint).into_owned())
}
