//! The start of a server: folders, pepper, database, and at the very first start an administrator,
//! an organization and its first key.

mod pepper_file;

use std::{
    fs,
    io::{self, Write as _},
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
};

use keydock_core::{
    text::{Email, Username},
    time::{Clock, Timestamp},
};
use keydock_engine::sandbox::Sandbox;
use keydock_storage::{
    blobs::{Blobs, Folder},
    db::{self, Db, Tx},
};
use rand::{SeedableRng as _, TryRng as _, rngs::SysRng};
use rand_chacha::ChaCha20Rng;
use serde_json::json;
use zeroize::Zeroizing;

pub use self::pepper_file::{
    add_pepper, check_pepper, peppers_for, peppers_in, present_peppers, remove_pepper,
};
pub(crate) use self::pepper_file::{for_restore, reload};
use crate::{
    App, Error, Parts,
    access::{
        System, changes,
        journal::{self, Recovered},
        passwords::Password,
        peppers::Peppers,
    },
    audit_log,
    config::{Config, FirstAdmin},
    organizations::{self, Founded, NewOrganization},
    users::{self, NewUser},
};

/// Why a server cannot start; each says what to do.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A folder or a file cannot be used.
    #[error("cannot use {path}: {source}")]
    File {
        /// Which one.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The pepper file has the wrong length.
    #[error(
        "{path} must hold 64 hexadecimal digits on each line, as `openssl rand -hex 32` prints them"
    )]
    MalformedPepper {
        /// Which file.
        path: PathBuf,
    },
    /// The pepper is not the one that the keys in the database were made with.
    #[error(
        "the pepper in {path} is not the one that this database was made with, so no key would \
         work: restore the right file, or set pepper_file to it"
    )]
    OtherPepper {
        /// Which file.
        path: PathBuf,
    },
    /// A pepper that was replaced is needed still, and is not there.
    #[error(
        "{path} lacks the pepper {id}: it was replaced, but {secrets} secret(s) were not used since \
         and are stored under it. Put its line back into the file; `keydock pepper status` tells what \
         is needed, `keydock pepper retire` ends the need"
    )]
    MissingPepper {
        /// Which file.
        path: PathBuf,
        /// What the pepper is called.
        id: String,
        /// How many secrets are stored under it.
        secrets: i64,
    },
    /// The journal of revocations is not of the keys in the database.
    #[error(
        "{path} is the journal of revocations of another server: put the right one there, or move \
         this one away"
    )]
    OtherJournal {
        /// Which file.
        path: PathBuf,
    },
    /// The journal of revocations cannot be used.
    #[error("cannot use the journal of revocations {path}: {reason}")]
    Journal {
        /// Which file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The system has no random numbers to give.
    #[error("the system gives no random numbers: {0}")]
    NoRandomness(String),
    /// The database cannot be used.
    #[error("cannot use the database: {0}")]
    Database(#[from] db::Error),
    /// The store of documents cannot be used.
    #[error("cannot use the store of documents: {0}")]
    Blobs(#[from] keydock_storage::blobs::Error),
    /// The first administrator cannot be made as named.
    #[error("the first administrator cannot be made: {0}")]
    Admin(String),
    /// Anything else.
    #[error("cannot start: {0}")]
    Other(#[from] Error),
}

/// Opens everything that a server stands on, bringing the database up to date.
pub async fn open(config: Config, sandbox: Sandbox) -> Result<App, StartError> {
    make_folder(&config.data)?;
    make_folder(&config.blobs())?;
    let db = connect(&config).await?;
    db.migrate().await?;
    let peppers = pepper_file::open(&config, &db).await?;
    let adopted = audit_log::adopt(&db, peppers.current()).await?;
    if adopted > 0 {
        tracing::info!(events = adopted, "the audit log is a chain from now on");
    }
    if let Some(folder) = config.revocation_journal.parent() {
        make_folder(folder)?;
    }
    recover(&config, &db, &peppers).await?;
    let blobs = Blobs::Folder(Folder::open_at(config.blobs())?);
    let app = App::new(Parts { config, db, blobs, peppers, sandbox });
    // What was committed and not answered when the server ended.
    let caught_up = app.journal().catch_up(app.db()).await;
    caught_up.map_err(|error| unusable_journal(app.config(), &error))?;
    Ok(app)
}

/// Closes what was revoked since, if the database is an older one than its journal (DUR-04), before
/// any key is trusted.
async fn recover(config: &Config, db: &Db, peppers: &Peppers) -> Result<(), StartError> {
    let journaled = journal::read(&config.revocation_journal);
    if let Some(journaled) = journaled.map_err(|error| unusable_journal(config, &error))? {
        if !journaled.is_of(&[peppers.identity()]) {
            return Err(StartError::OtherJournal { path: config.revocation_journal.clone() });
        }
        let recovered = db
            .write(async |tx| {
                let recovered = journal::recover(tx, &journaled).await?;
                finish_restoring(tx, peppers, recovered).await?;
                Ok::<_, Error>(recovered)
            })
            .await?;
        if recovered.value != Recovered::Nothing {
            let done = recovered.value;
            tracing::warn!(?done, "the database is older than its journal of revocations");
        }
    }
    if let Some((at, keys)) = quarantined(db).await? {
        tracing::warn!(%at, keys, "keys are switched off since a restore without a journal");
    }
    Ok(())
}

fn unusable_journal(config: &Config, error: &Error) -> StartError {
    let source = std::error::Error::source(error).map(ToString::to_string);
    StartError::Journal {
        path: config.revocation_journal.clone(),
        reason: source.unwrap_or_else(|| error.to_string()),
    }
}

/// The last steps of a transaction that puts an older state in place.
pub(crate) async fn finish_restoring(
    tx: &mut Tx,
    peppers: &Peppers,
    recovered: Recovered,
) -> Result<(), Error> {
    let detail = match recovered {
        Recovered::Nothing => return Ok(()),
        Recovered::Closed(keys) => json!({"revoked_keys_closed": keys}),
        Recovered::Quarantined(keys) => json!({"all_keys_switched_off": keys}),
    };
    audit_log::record_restored(tx, detail)?;
    changes::write_down(tx).await?;
    audit_log::write_down(tx, peppers).await
}

/// Connects to the database and changes nothing in it.
pub async fn connect(config: &Config) -> Result<Db, StartError> {
    let options =
        db::Options { max_connections: config.database_connections, ..Default::default() };
    Ok(Db::connect(&config.database, options, Clock::System, random_numbers()?).await?)
}

/// Connects to the database if there is one; makes nothing.
pub async fn connect_existing(config: &Config) -> Result<Option<Db>, StartError> {
    if Db::is_there(&config.database) { connect(config).await.map(Some) } else { Ok(None) }
}

/// Random numbers from a generator that the system seeded.
fn random_numbers() -> Result<ChaCha20Rng, StartError> {
    let mut seed = Zeroizing::new([0; 32]);
    SysRng
        .try_fill_bytes(seed.as_mut_slice())
        .map_err(|error| StartError::NoRandomness(error.to_string()))?;
    Ok(ChaCha20Rng::from_seed(*seed))
}

/// Makes a folder that only its owner can enter.
pub fn make_folder(path: &Path) -> Result<(), StartError> {
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .map_err(|source| StartError::File { path: path.to_owned(), source })
}

/// When every key was switched off by a restore, and how many are so still; none if nobody has to know.
pub async fn quarantined(db: &Db) -> Result<Option<(Timestamp, i64)>, StartError> {
    Ok(db.read(async |tx| journal::quarantined(tx).await).await?)
}

/// Writes a file that only its owner can read, whole or not at all.
pub(crate) fn write_secret_file(path: &Path, bytes: &[u8]) -> Result<(), StartError> {
    let failed = |source| StartError::File { path: path.to_owned(), source };
    let temporary = path.with_extension("new");
    let mut file = fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&temporary)
        .map_err(failed)?;
    file.write_all(bytes).and_then(|()| file.sync_all()).map_err(failed)?;
    fs::rename(&temporary, path).map_err(failed)?;
    // The name is as durable as the content only once the folder is.
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    let folder = folder.unwrap_or(Path::new("."));
    fs::File::open(folder).and_then(|folder| folder.sync_all()).map_err(failed)
}

/// What was made at the first start.
#[derive(Debug)]
pub struct FirstStart {
    /// Where the credentials are.
    pub credentials: PathBuf,
}

/// Makes an administrator, an organization and its first key, if there is no organization yet.
///
/// The credentials go to a file that only its owner can read, before the transaction commits: there
/// is no moment at which they exist and nobody can learn them.
pub async fn first_start(app: &App) -> Result<Option<FirstStart>, StartError> {
    let is_new = app.read(async |tx| Ok(organizations::count(tx).await? == 0)).await?;
    if !is_new {
        return Ok(None);
    }
    let (admin, generated) = first_admin(app).await?;
    let new_user = NewUser {
        username: username(&admin.username)?,
        email: email(&admin.username)?,
        password_hash: app
            .passwords()
            .hash(Password::presented(admin.password.to_string()))
            .await?,
        must_change_password: false,
        instance_admin: true,
    };
    let path = app.config().credentials_file();
    let made = app
        .write(async |tx| {
            let Some(founded) = found(tx, app, new_user).await? else { return Ok(false) };
            let text = describe(app.config(), &admin, generated, founded);
            write_secret_file(&path, text.as_bytes()).map_err(Error::internal)?;
            Ok(true)
        })
        .await?;
    Ok(made.then_some(FirstStart { credentials: path }))
}

/// The administrator as the operator named them, or one with a password of ours.
async fn first_admin(app: &App) -> Result<(FirstAdmin, bool), StartError> {
    if let Some(admin) = app.config().admin.clone() {
        return Ok((admin, false));
    }
    let password = app.read(async |tx| Ok(users::generate_password(tx))).await?;
    Ok((FirstAdmin { username: "admin".to_owned(), password }, true))
}

fn username(name: &str) -> Result<Username, StartError> {
    name.parse().map_err(|error| StartError::Admin(format!("user name: {error}")))
}

fn email(name: &str) -> Result<Email, StartError> {
    let text = if name.contains('@') { name.to_owned() } else { format!("{name}@localhost") };
    text.parse().map_err(|error| StartError::Admin(format!("e-mail address: {error}")))
}

/// None if another node was faster.
async fn found(tx: &mut Tx, app: &App, new_user: NewUser) -> Result<Option<Founded>, Error> {
    // Two nodes that start together meet here: the second one waits, then finds an organization.
    organizations::lock_founding(tx).await?;
    if organizations::count(tx).await? > 0 {
        return Ok(None);
    }
    let owner = users::create(tx, new_user).await?;
    let config = app.config();
    let title: keydock_core::text::OrgTitle =
        config.first_org.as_str().parse().map_err(Error::internal)?;
    let new = NewOrganization {
        name: config.first_org.clone(),
        title: title.clone(),
        display_name: title,
    };
    let minting = app.minting();
    let operator = System::operator();
    Ok(Some(organizations::found_first(tx, &operator, &owner, minting, new).await?))
}

fn describe(
    config: &Config,
    admin: &FirstAdmin,
    generated: bool,
    founded: Founded,
) -> Zeroizing<String> {
    let password = if generated { admin.password.as_str() } else { "(as you set it)" };
    Zeroizing::new(format!(
        "# The first credentials of this keydock. They are stored nowhere else in clear:\n\
         # keep them in a safe place, then delete this file.\n\
         ORGANIZATION={}\n\
         ADMIN_USER={}\n\
         ADMIN_PASSWORD={password}\n\
         PLATFORM_KEY_NAME={}\n\
         PLATFORM_KEY={}\n",
        config.first_org,
        admin.username,
        founded.first_key.key.kind.name,
        founded.first_key.secret.reveal(),
    ))
}
