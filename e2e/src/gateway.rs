//! Something that is guarded, and a real gateway in front of it that asks the server.

use std::{
    fs,
    net::{Ipv4Addr, SocketAddr},
    os::unix::{
        fs::{PermissionsExt as _, chown},
        process::CommandExt as _,
    },
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail, ensure};
use rustix::process::{Pid, Signal, geteuid, kill_process};
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};

use crate::server::free_address;

/// How long a gateway may take until it listens.
const PATIENCE: Duration = Duration::from_secs(30);

/// Nobody in particular, as Debian numbers them.
const NOBODY: u32 = 65_534;

/// The programs that are tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// nginx with its module `auth_request`.
    Nginx,
    /// Caddy with its directive `forward_auth`.
    Caddy,
}

/// Something that is guarded: it answers everything with 200 and remembers what it was sent.
#[derive(Debug)]
pub struct Guarded {
    address: SocketAddr,
    seen: Arc<Mutex<Vec<String>>>,
}

impl Guarded {
    /// Starts to listen.
    pub async fn start() -> Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let seen: Arc<Mutex<Vec<String>>> = Arc::default();
        let remembered = Arc::clone(&seen);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let seen = Arc::clone(&remembered);
                tokio::spawn(async move { answer(stream, &seen).await });
            }
        });
        Ok(Self { address, seen })
    }

    /// The heads of the requests since the last time, as they came.
    pub fn take(&self) -> Vec<String> {
        std::mem::take(&mut *self.seen.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

async fn answer(mut stream: TcpStream, seen: &Mutex<Vec<String>>) -> Result<()> {
    let mut request = Vec::new();
    let mut buffer = [0; 4096];
    while !request.windows(4).any(|end| end == b"\r\n\r\n") {
        let count = stream.read(&mut buffer).await?;
        ensure!(count > 0, "the request broke off");
        request.extend_from_slice(&buffer[..count]);
    }
    let head = String::from_utf8_lossy(&request).into_owned();
    seen.lock().unwrap_or_else(PoisonError::into_inner).push(head);
    let answer = "HTTP/1.1 200 OK\r\nContent-Length: 7\r\nConnection: close\r\n\r\nguarded";
    stream.write_all(answer.as_bytes()).await?;
    Ok(())
}

/// A gateway in front of something, started from the file in `examples/gateways`, as nobody in
/// particular. Dropped, it ends.
#[derive(Debug)]
pub struct Gateway {
    address: SocketAddr,
    folder: TempDir,
    child: Child,
}

impl Gateway {
    /// Starts one that asks `keydock`. `demand` takes the place of what the file demands.
    pub async fn start(
        kind: Kind,
        keydock: SocketAddr,
        guarded: &Guarded,
        demand: &str,
    ) -> Result<Self> {
        let folder = tempfile::Builder::new().prefix("keydock-gateway-").tempdir()?;
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755))?;
        if geteuid().is_root() {
            chown(folder.path(), Some(NOBODY), Some(NOBODY))?;
        }
        let address = free_address()?;
        let mut command = kind.command(folder.path(), address, keydock, guarded.address, demand)?;
        if geteuid().is_root() {
            command.uid(NOBODY).gid(NOBODY);
        }
        let log = fs::File::create(folder.path().join("log"))?;
        let child = command
            .env_clear()
            .envs(kind.environment(folder.path(), address, keydock, guarded.address))
            .current_dir(folder.path())
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .with_context(|| format!("{kind:?} cannot be run: is its Debian package there?"))?;
        let mut gateway = Self { address, folder, child };
        gateway.wait_until_it_listens().await?;
        Ok(gateway)
    }

    async fn wait_until_it_listens(&mut self) -> Result<()> {
        let began = Instant::now();
        while TcpStream::connect(self.address).await.is_err() {
            if let Some(status) = self.child.try_wait()? {
                bail!("the gateway ended with {status}:\n{}", self.log());
            }
            ensure!(began.elapsed() < PATIENCE, "the gateway does not listen:\n{}", self.log());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Ok(())
    }

    /// Its address for clients.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// What it has logged so far.
    pub fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        // Not killed: a process that is takes none of its workers with it.
        let _ = kill_process(Pid::from_child(&self.child), Signal::TERM);
        let _ = self.child.wait();
    }
}

impl Kind {
    fn command(
        self,
        folder: &Path,
        address: SocketAddr,
        keydock: SocketAddr,
        guarded: SocketAddr,
        demand: &str,
    ) -> Result<Command> {
        let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/gateways");
        let demanded = ("kind=platform&org=mock_org", demand.to_owned());
        Ok(match self {
            Self::Nginx => {
                let changes = [
                    demanded,
                    ("127.0.0.1:8080", keydock.to_string()),
                    ("127.0.0.1:9000", guarded.to_string()),
                    ("127.0.0.1:8088", address.to_string()),
                ];
                let config = folder.join("nginx.conf");
                change(&examples.join("nginx/nginx.conf"), &config, &changes)?;
                let mut command = Command::new(program("nginx"));
                command.arg("-p").arg(folder).arg("-c").arg(config);
                command
            }
            Self::Caddy => {
                let config = folder.join("Caddyfile");
                change(&examples.join("caddy/Caddyfile"), &config, &[demanded])?;
                let mut command = Command::new(program("caddy"));
                command.args(["run", "--config"]).arg(config);
                command
            }
        })
    }

    fn environment(
        self,
        folder: &Path,
        address: SocketAddr,
        keydock: SocketAddr,
        guarded: SocketAddr,
    ) -> Vec<(&'static str, String)> {
        match self {
            Self::Nginx => Vec::new(),
            Self::Caddy => vec![
                ("HOME", folder.display().to_string()),
                ("PORT", address.port().to_string()),
                ("KEYDOCK", keydock.to_string()),
                ("GUARDED", guarded.to_string()),
            ],
        }
    }
}

/// Where Debian puts programs.
fn program(name: &str) -> PathBuf {
    let places = ["/usr/sbin", "/usr/bin", "/usr/local/bin", "/usr/local/sbin"];
    let found = places.iter().map(|place| Path::new(place).join(name)).find(|path| path.exists());
    found.unwrap_or_else(|| name.into())
}

/// Writes the file of the example with other addresses and another demand.
fn change(from: &Path, to: &Path, changes: &[(&str, String)]) -> Result<()> {
    let mut text = fs::read_to_string(from).with_context(|| from.display().to_string())?;
    for (old, new) in changes {
        ensure!(text.contains(old), "{} does not hold {old}", from.display());
        text = text.replace(old, new);
    }
    Ok(fs::write(to, text)?)
}
