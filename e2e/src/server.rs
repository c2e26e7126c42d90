//! One process of the program, serving.

use std::{
    fs,
    net::{Ipv4Addr, SocketAddr, TcpListener},
    path::{Path, PathBuf},
    process::{Child, ExitStatus, Stdio},
    sync::atomic::{AtomicU32, Ordering},
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail, ensure};
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;
use tokio::sync::OnceCell;

use crate::{Client, Credential, Database, ORG, program};

/// How long a server may take until it is ready, or until it has ended.
const PATIENCE: Duration = Duration::from_mins(1);

/// How a server is to be started.
#[derive(Debug, Default)]
pub struct Setup {
    environment: Vec<(String, String)>,
    database: Option<Database>,
}

impl Setup {
    /// Sets a variable of its environment.
    #[must_use]
    pub fn env(mut self, name: &str, value: impl Into<String>) -> Self {
        self.environment.push((name.to_owned(), value.into()));
        self
    }

    /// Chooses the database.
    #[must_use]
    pub fn database(mut self, database: Database) -> Self {
        self.database = Some(database);
        self
    }

    /// A folder and a database, and no process yet.
    pub async fn prepare(self) -> Result<Server> {
        let folder = tempfile::Builder::new().prefix("keydock-e2e-").tempdir()?;
        let database = if let Some(database) = self.database {
            database
        } else {
            fs::create_dir(folder.path().join("data"))?;
            private(&folder.path().join("data"))?;
            Database::fresh(&folder.path().join("data")).await?
        };
        Ok(Server {
            folder,
            database,
            environment: self.environment,
            address: free_address()?,
            child: None,
            credentials: Credentials::default(),
            admin: OnceCell::new(),
            founder: OnceCell::new(),
            founded: AtomicU32::new(0),
        })
    }

    /// A server that is ready.
    pub async fn start(self) -> Result<Server> {
        let mut server = self.prepare().await?;
        server.start().await?;
        Ok(server)
    }
}

fn private(folder: &Path) -> Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    Ok(fs::set_permissions(folder, fs::Permissions::from_mode(0o700))?)
}

/// A port that nobody listens on, below those that the system gives to connections going out.
pub(crate) fn free_address() -> Result<SocketAddr> {
    for _ in 0..100 {
        let port = rand::random_range(11_000..20_000);
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        if TcpListener::bind(address).is_ok() {
            return Ok(address);
        }
    }
    bail!("no free port")
}

/// What the first start leaves in its file.
#[derive(Clone, Debug, Default)]
pub struct Credentials {
    /// The first administrator.
    pub user: String,
    /// Their password; empty if it was set by the environment.
    pub password: String,
    /// The secret of `Key #1` of [`ORG`].
    pub platform_key: String,
}

impl Credentials {
    /// Reads the file.
    pub fn read(path: &Path) -> Result<Self> {
        let text = fs::read_to_string(path)?;
        let value = |name: &str| {
            let found = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('='));
            found.map(str::to_owned).with_context(|| format!("{name} is not in the file"))
        };
        ensure!(value("ORGANIZATION")? == ORG, "another organization was founded");
        Ok(Self {
            user: value("ADMIN_USER")?,
            password: value("ADMIN_PASSWORD")?,
            platform_key: value("PLATFORM_KEY")?,
        })
    }
}

/// A server with its folder and its database. Dropped, it is killed and the folder is deleted.
#[derive(Debug)]
pub struct Server {
    folder: TempDir,
    database: Database,
    environment: Vec<(String, String)>,
    address: SocketAddr,
    child: Option<Child>,
    credentials: Credentials,
    /// Signing in is slowed down, so nobody does it twice.
    admin: OnceCell<Client>,
    founder: OnceCell<Client>,
    founded: AtomicU32,
}

impl Server {
    /// A server as one gets it who sets nothing.
    pub async fn fresh() -> Result<Self> {
        Setup::default().start().await
    }

    /// Starts the process, again on the same folder, database and port if it ran before, and waits
    /// until it is ready.
    pub async fn start(&mut self) -> Result<()> {
        self.spawn()?;
        self.wait_until_ready().await?;
        if self.credentials.platform_key.is_empty() {
            self.credentials = Credentials::read(&self.data().join("first-credentials.txt"))?;
        }
        Ok(())
    }

    /// Starts the process and does not wait.
    pub fn spawn(&mut self) -> Result<()> {
        let log = fs::OpenOptions::new().create(true).append(true).open(self.log_path())?;
        let child = program::command()?
            .arg("serve")
            .arg("--data")
            .arg(self.data())
            .args(["--listen", &self.address.to_string(), "--database", self.database.url()])
            // Clients of tests may seem to come from anywhere.
            .env("KEYDOCK_TRUSTED_PROXIES", "127.0.0.1")
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .context("cannot run the program")?;
        self.child = Some(child);
        Ok(())
    }

    /// Waits until `/health` is 200.
    pub async fn wait_until_ready(&mut self) -> Result<()> {
        let began = Instant::now();
        let nobody = self.nobody()?;
        loop {
            if nobody.get("/health").await.is_ok_and(|answer| answer.status == 200) {
                return Ok(());
            }
            if let Some(status) = self.child.as_mut().and_then(|child| child.try_wait().ok()?) {
                bail!("the server ended with {status} instead of being ready:\n{}", self.log());
            }
            ensure!(began.elapsed() < PATIENCE, "the server is not ready:\n{}", self.log());
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Waits until the process has ended by itself.
    pub async fn wait_until_ended(&mut self) -> Result<ExitStatus> {
        let mut child = self.child.take().context("the server does not run")?;
        let began = Instant::now();
        loop {
            if let Some(status) = child.try_wait()? {
                return Ok(status);
            }
            if began.elapsed() > PATIENCE {
                child.kill()?;
                child.wait()?;
                bail!("the server does not end:\n{}", self.log());
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Kills it as a crash would.
    pub fn kill(&mut self) -> Result<()> {
        if let Some(mut child) = self.child.take() {
            child.kill()?;
            child.wait()?;
        }
        Ok(())
    }

    /// Asks it to end.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        let child = self.child.as_ref().context("the server does not run")?;
        Ok(kill_process(Pid::from_child(child), signal)?)
    }

    /// Asks it to end and waits until it has.
    pub async fn terminate(&mut self) -> Result<ExitStatus> {
        self.signal(Signal::TERM)?;
        self.wait_until_ended().await
    }

    /// The folder of everything that it keeps.
    pub fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// Its database.
    pub fn database(&self) -> &Database {
        &self.database
    }

    /// The credentials of its first start.
    pub fn credentials(&self) -> &Credentials {
        &self.credentials
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its address for clients.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    fn log_path(&self) -> PathBuf {
        self.folder.path().join("server.log")
    }

    /// What it has logged so far.
    pub fn log(&self) -> String {
        fs::read_to_string(self.log_path()).unwrap_or_default()
    }

    /// Nobody in particular.
    pub fn nobody(&self) -> Result<Client> {
        Client::new(&self.url(), Credential::Nobody)
    }

    /// The holder of a key.
    pub fn key(&self, key: &str) -> Result<Client> {
        Client::new(&self.url(), Credential::Key(key.to_owned()))
    }

    /// The holder of `Key #1` of the first organization.
    pub fn platform(&self) -> Result<Client> {
        self.key(&self.credentials.platform_key)
    }

    async fn sign_in(&self) -> Result<Client> {
        let Credentials { user, password, .. } = &self.credentials;
        self.nobody()?.sign_in(user, password).await?.enter(ORG).await
    }

    /// The first administrator, signed in, in the first organization.
    pub async fn admin(&self) -> Result<Client> {
        Ok(self.admin.get_or_try_init(|| self.sign_in()).await?.clone())
    }

    /// Founds an organization. Gives an admin who belongs to no other one, signed in, and the secret
    /// of its `Key #1`.
    pub async fn found(&self, name: &str) -> Result<(Client, String)> {
        let founder = self.founder.get_or_try_init(|| self.sign_in()).await?.clone();
        let first_key = founder.found(name).await?;
        let founder = founder.enter(name).await?;
        let number = self.founded.fetch_add(1, Ordering::Relaxed);
        let address = Ipv4Addr::from_bits(Ipv4Addr::new(10, 0, 0, 1).to_bits() + number);
        let email = format!("admin@{name}.test");
        Ok((founder.add_admin(name, &email, address.into()).await?, first_key))
    }

    /// Publishes a workflow. Gives the secret of the first key of the deployment.
    pub async fn publish(&self, name: &str, definition: &str) -> Result<String> {
        self.platform()?.publish(ORG, name, definition).await
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.kill();
        if std::thread::panicking() {
            let log = self.log();
            let end = log.lines().rev().take(30).collect::<Vec<_>>();
            let end = end.into_iter().rev().collect::<Vec<_>>().join("\n");
            let _ = std::io::Write::write_all(&mut std::io::stderr(), end.as_bytes());
        }
    }
}
