//! The program as people run it: how large it is, how soon it is ready, what it takes when idle.

use std::{
    fs,
    io::{Read as _, Write as _},
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread::sleep,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};
use serde::Serialize;

use crate::{keys, machine, server::ROUTE};

/// How often the start on an empty folder is measured.
const STARTS: usize = 5;

/// What was found.
#[derive(Debug, Serialize)]
pub(crate) struct Program {
    /// Which file.
    pub(crate) path: PathBuf,
    /// How large it is.
    pub(crate) bytes: u64,
    /// From the start on an empty folder until `/health` is 200: every time it was tried.
    pub(crate) ready_milliseconds: Vec<f64>,
    /// From the start on a folder with many keys until the first of them is verified.
    pub(crate) verified_milliseconds: f64,
    /// How many keys these were.
    pub(crate) keys: usize,
    /// Resident memory, two seconds after an empty start.
    pub(crate) idle_kilobytes: u64,
}

/// Weighs the program beside this one, or another one. None if it was not built.
pub(crate) fn weigh(program: Option<&Path>, many_keys: &Path) -> Result<Option<Program>> {
    let path = match program {
        Some(path) => path.to_owned(),
        None => std::env::current_exe()?.with_file_name("keydock"),
    };
    if !path.is_file() {
        return Ok(None);
    }
    let mut ready_milliseconds = Vec::new();
    let mut idle_kilobytes = 0;
    for last in (0..STARTS).map(|start| start + 1 == STARTS) {
        let folder = tempfile::tempdir()?;
        let running = Running::start(&path, &folder.path().join("data"))?;
        ready_milliseconds.push(running.wait_for("/health", None)?.as_secs_f64() * 1e3);
        if last {
            // A first start hashes a password, which takes memory that no other start does.
            drop(running);
            let running = Running::start(&path, &folder.path().join("data"))?;
            running.wait_for("/health", None)?;
            sleep(Duration::from_secs(2));
            idle_kilobytes = machine::memory(&running.child.id().to_string(), "VmRSS")?;
        }
    }
    let secrets = keys::secrets(many_keys)?;
    let secret = std::str::from_utf8(&secrets[0])?;
    let verified = Running::start(&path, many_keys)?.wait_for(ROUTE, Some(secret))?;
    Ok(Some(Program {
        bytes: fs::metadata(&path)?.len(),
        path,
        ready_milliseconds,
        verified_milliseconds: verified.as_secs_f64() * 1e3,
        keys: secrets.len() * 2,
        idle_kilobytes,
    }))
}

/// The program, serving.
struct Running {
    child: Child,
    address: SocketAddr,
    since: Instant,
}

impl Running {
    fn start(program: &Path, data: &Path) -> Result<Self> {
        // Free a moment ago, and nobody else is looking for one.
        let address = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?;
        let mut command = Command::new(program);
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("KEYDOCK_") {
                command.env_remove(name);
            }
        }
        command.arg("serve").arg("--data").arg(data).arg("--listen").arg(address.to_string());
        let since = Instant::now();
        let child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        let child = child.with_context(|| format!("cannot run {}", program.display()))?;
        Ok(Self { child, address, since })
    }

    /// Asks until the answer is 200, and tells how long after the start that was.
    fn wait_for(&self, path: &str, secret: Option<&str>) -> Result<Duration> {
        let key = secret.map(|secret| format!("authorization: Bearer {secret}\r\n"));
        let request = format!(
            "GET {path} HTTP/1.1\r\nhost: {}\r\nconnection: close\r\n{}\r\n",
            self.address,
            key.unwrap_or_default()
        );
        loop {
            if ask(self.address, &request).unwrap_or(false) {
                return Ok(self.since.elapsed());
            }
            ensure!(self.since.elapsed() < Duration::from_mins(1), "the program is not ready");
            sleep(Duration::from_millis(1));
        }
    }
}

fn ask(address: SocketAddr, request: &str) -> std::io::Result<bool> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(Duration::from_secs(5)))?;
    stream.write_all(request.as_bytes())?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer.starts_with("HTTP/1.1 200 "))
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
