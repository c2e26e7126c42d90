//! Backup and restore.
//!
//! A backup is one file with every row, as of one instant, and the documents of executions under way.
//! It is made while the server runs, from either database, and can be put into either. The pepper is
//! not in it: whoever has one stolen file must not have both. What was revoked since the backup stays
//! revoked, see [`journal`]; without a journal every key comes up switched off.

mod archive;

use std::{
    fs,
    io::{self, BufReader},
    path::{Path, PathBuf},
};

use keydock_storage::{
    blobs::{self, BlobId, Blobs, Folder},
    db::{self, Db, DumpError, Tx},
};
use serde::{Deserialize, Serialize};
use serde_json::json;
use tokio::io::AsyncReadExt as _;

use self::archive::{Archive, Entry};
use crate::{
    Error,
    access::{
        changes,
        journal::{self, Journaled, Recovered},
        pepper_store,
    },
    audit_log, bootstrap,
    bootstrap::StartError,
    config::Config,
    organizations, peppers,
};

/// What a backup begins with; another form would say something else.
const FORM: &str = "keydock backup 1";

/// The largest document that is taken back in.
const LARGEST: u64 = 1 << 30;

/// Why something was not backed up or restored; each says what to do.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// The server's surroundings cannot be used.
    #[error(transparent)]
    Start(#[from] StartError),
    /// A file cannot be used.
    #[error("cannot use {path}: {source}")]
    File {
        /// Which one.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The store of documents failed.
    #[error("cannot use the store of documents: {0}")]
    Blobs(#[from] blobs::Error),
    /// The file is no backup, or only a part of one.
    #[error("this is not a whole backup: {0}. Nothing was changed")]
    NotWhole(String),
    /// The backup was made by another version.
    #[error(
        "the backup has another schema than this program ({made_by}): restore it with the version \
         that made it, then upgrade"
    )]
    OtherVersion {
        /// The version that made it.
        made_by: String,
    },
    /// There is something already where the backup is to go.
    #[error("the database has an organization already: restore into an empty one")]
    NotEmpty,
    /// The pepper is not in its place.
    #[error(
        "{path} lacks the pepper(s) {missing} that the keys of this backup were made with: put the \
         right ones there first, or set pepper_file. They are not part of a backup"
    )]
    Pepper {
        /// Where they should be.
        path: PathBuf,
        /// The ids of those that are missing.
        missing: String,
    },
    /// The journal is another server's, or cannot be read.
    #[error(
        "{path} is no journal of revocations of this server. Name the right one, or move it away: \
         then every key comes up switched off"
    )]
    Journal {
        /// Which file.
        path: PathBuf,
    },
    /// Two journals, and no way to know which is right.
    #[error("{path} is there already: move it away, or leave --journal out to use it")]
    TwoJournals {
        /// The one in the data folder.
        path: PathBuf,
    },
    /// Anything else.
    #[error("the database failed: {0}")]
    Failed(String),
}

/// What is said first in a backup.
#[derive(Debug, Serialize, Deserialize)]
struct Heading {
    kind: String,
    made_by: String,
    at: String,
    migrations: Vec<String>,
    /// How the database knows its pepper again.
    pepper_check: Option<String>,
    /// The ids of the peppers that its digests were made with.
    #[serde(default)]
    peppers: Vec<String>,
    /// What its journal of revocations is known by.
    #[serde(default)]
    journal: Option<String>,
    tables: Vec<DumpedTable>,
}

/// A table in a backup.
#[derive(Debug, Serialize, Deserialize)]
struct DumpedTable {
    name: String,
    columns: Vec<String>,
    rows: u64,
}

/// What was backed up.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct BackedUp {
    /// As of when.
    pub at: String,
    /// How many rows.
    pub rows: u64,
    /// How many documents.
    pub documents: u64,
}

/// What was restored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Restored {
    /// As of when.
    pub at: String,
    /// How many rows.
    pub rows: u64,
    /// How many documents.
    pub documents: u64,
    /// How many keys were closed because they were revoked since.
    pub revoked_keys_closed: u64,
    /// How many keys were switched off because nobody can know whether they were revoked since; none
    /// where a journal told.
    pub quarantined_keys: Option<u64>,
}

/// Writes a backup, whole or not at all. The server may run meanwhile.
pub async fn back_up(db: &Db, blobs: &Blobs, to: &Path) -> Result<BackedUp, BackupError> {
    let mut archive = Archive::create(to)?;
    let (heading, spools) = db.read(async |tx| dump(tx).await).await?;
    let text =
        serde_json::to_vec(&heading).map_err(|error| BackupError::Failed(error.to_string()))?;
    archive.add("backup.json", &text)?;
    for (table, spool) in heading.tables.iter().zip(spools) {
        archive.add_file(&format!("tables/{}.jsonl", table.name), spool)?;
    }
    // After the rows: a document is stored before the row that names it. One whose execution ended in
    // between is gone, and so is the need for it.
    let mut documents = 0;
    for id in blobs.older_than(std::time::Duration::ZERO).await? {
        let mut reader = match blobs.open(&id).await {
            Ok((reader, _)) => reader,
            Err(blobs::Error::NotFound) => continue,
            Err(error) => return Err(error.into()),
        };
        let mut bytes = Vec::new();
        reader.read_to_end(&mut bytes).await.map_err(|source| file(to, source))?;
        archive.add(&format!("blobs/{}", id.path().display()), &bytes)?;
        documents += 1;
    }
    archive.finish()?;
    let rows = heading.tables.iter().map(|table| table.rows).sum();
    Ok(BackedUp { at: heading.at, rows, documents })
}

/// Writes every table to a file without a name, all as of the same instant.
async fn dump(tx: &mut Tx) -> Result<(Heading, Vec<fs::File>), BackupError> {
    let mut heading = Heading {
        kind: FORM.to_owned(),
        made_by: env!("CARGO_PKG_VERSION").to_owned(),
        at: tx.now().to_string(),
        migrations: Db::all_migrations(),
        pepper_check: pepper_store::setting(tx, "pepper_check").await?,
        peppers: peppers::needed(tx).await?.into_iter().map(|(id, _)| id).collect(),
        journal: pepper_store::setting(tx, "journal_identity").await?,
        tables: Vec::new(),
    };
    let mut spools = Vec::new();
    for table in tx.tables().await? {
        let mut spool = io::BufWriter::new(tempfile::tempfile().map_err(spooling)?);
        let rows = tx.dump(&table, &mut spool).await?;
        spools.push(spool.into_inner().map_err(|error| spooling(error.into_error()))?);
        let columns = table.columns().map(str::to_owned).collect();
        heading.tables.push(DumpedTable { name: table.name, columns, rows });
    }
    Ok((heading, spools))
}

/// Puts a backup into an empty database and an empty folder, and takes care that no key works which
/// was revoked since: all of it or nothing.
///
/// Without a `journal`, the one that lies in its usual place is used. If there is none either, every
/// key is switched off.
pub async fn restore(
    config: &Config,
    from: &Path,
    journal: Option<&Path>,
) -> Result<Restored, BackupError> {
    let heading = check(from)?;
    bootstrap::make_folder(&config.data)?;
    let db = bootstrap::connect(config).await?;
    let restored = restore_into(config, &db, &heading, from, journal).await;
    db.close().await;
    restored
}

async fn restore_into(
    config: &Config,
    db: &Db,
    heading: &Heading,
    from: &Path,
    journal: Option<&Path>,
) -> Result<Restored, BackupError> {
    db.migrate().await?;
    if db.read(async |tx| organizations::count(tx).await).await? > 0 {
        return Err(BackupError::NotEmpty);
    }
    let current = heading.pepper_check.as_deref();
    let peppers = bootstrap::for_restore(config, current, &heading.peppers)?;
    let peppers = peppers.map_err(|missing| BackupError::Pepper {
        path: config.pepper_file.clone(),
        missing: missing.join(", "),
    })?;
    let journaled = find_journal(config, journal)?;
    let identity = heading.journal.clone().unwrap_or_else(|| peppers.identity());
    if journaled.as_ref().is_some_and(|journaled| !journaled.is_of(&[identity])) {
        let path = journal.unwrap_or(&config.revocation_journal).to_owned();
        return Err(BackupError::Journal { path });
    }
    bootstrap::make_folder(&config.blobs())?;
    let blobs = Blobs::Folder(Folder::open_at(config.blobs())?);
    let documents = put_back(&blobs, from).await?;
    place_journal(config, journal)?;
    let loaded = db
        .write(async |tx| {
            let rows = load(tx, heading, from).await?;
            let recovered = close_revoked(tx, journaled.as_ref()).await?;
            let detail = json!({
                "backup_of": heading.at,
                "with_journal": journaled.is_some(),
                "revoked_keys_closed": closed(recovered),
                "all_keys_switched_off": quarantined(recovered),
            });
            audit_log::record_restored(tx, detail)?;
            changes::write_down(tx).await?;
            audit_log::write_down(tx, &peppers).await?;
            Ok::<_, BackupError>((rows, recovered))
        })
        .await?;
    let (rows, recovered) = loaded.value;
    Ok(Restored {
        at: heading.at.clone(),
        rows,
        documents,
        revoked_keys_closed: closed(recovered),
        quarantined_keys: quarantined(recovered),
    })
}

fn closed(recovered: Recovered) -> u64 {
    if let Recovered::Closed(keys) = recovered { keys } else { 0 }
}

fn quarantined(recovered: Recovered) -> Option<u64> {
    if let Recovered::Quarantined(keys) = recovered { Some(keys) } else { None }
}

/// Reads the whole file before anything is changed.
fn check(from: &Path) -> Result<Heading, BackupError> {
    let mut heading = None;
    archive::read(from, |entry, bytes| {
        if let Entry::Heading = entry {
            heading = serde_json::from_reader::<_, Heading>(bytes).ok();
        }
        Ok(())
    })?;
    let heading = heading.filter(|heading| heading.kind == FORM);
    let heading =
        heading.ok_or_else(|| BackupError::NotWhole("it says nothing of itself".into()))?;
    if heading.migrations != Db::all_migrations() {
        return Err(BackupError::OtherVersion { made_by: heading.made_by });
    }
    Ok(heading)
}

async fn load(tx: &mut Tx, heading: &Heading, from: &Path) -> Result<u64, BackupError> {
    let tables = tx.tables().await?;
    tx.clear(&tables).await?;
    let mut rows = 0;
    for table in &tables {
        let dumped = heading.tables.iter().find(|dumped| dumped.name == table.name);
        let dumped = dumped.filter(|dumped| dumped.columns.iter().eq(table.columns()));
        let Some(dumped) = dumped else {
            return Err(BackupError::NotWhole(format!("it has no table {}", table.name)));
        };
        let lines = archive::table(from, &table.name)?;
        let loaded = tx.load(table, BufReader::new(lines)).await?;
        if loaded != dumped.rows {
            return Err(BackupError::NotWhole(format!("rows of {} are missing", table.name)));
        }
        rows += loaded;
    }
    Ok(rows)
}

async fn close_revoked(tx: &mut Tx, journaled: Option<&Journaled>) -> Result<Recovered, Error> {
    match journaled {
        Some(journaled) => journal::recover_restored(tx, journaled).await,
        None => journal::quarantine(tx).await,
    }
}

/// Documents first: no row names one that is not there.
async fn put_back(blobs: &Blobs, from: &Path) -> Result<u64, BackupError> {
    let mut found: Vec<BlobId> = Vec::new();
    archive::read(from, |entry, _| {
        if let Entry::Document(id) = entry {
            found.push(id);
        }
        Ok(())
    })?;
    for id in &found {
        let bytes = archive::document(from, id)?;
        let chunk = futures_util::stream::once(async { Ok::<_, io::Error>(bytes.into()) });
        blobs
            .put(id, chunk, LARGEST)
            .await
            .map_err(|error| BackupError::Failed(error.to_string()))?;
    }
    Ok(found.len() as u64)
}

fn find_journal(config: &Config, given: Option<&Path>) -> Result<Option<Journaled>, BackupError> {
    let usual = config.revocation_journal.as_path();
    let path = given.unwrap_or(usual);
    if given.is_some() && path != usual && usual.exists() {
        return Err(BackupError::TwoJournals { path: usual.to_owned() });
    }
    let unusable = || BackupError::Journal { path: path.to_owned() };
    match journal::read(path).map_err(|_| unusable())? {
        None if given.is_some() => Err(unusable()),
        found => Ok(found),
    }
}

/// The journal goes on where it was; its place is the usual one.
fn place_journal(config: &Config, given: Option<&Path>) -> Result<(), BackupError> {
    let usual = config.revocation_journal.as_path();
    match given {
        Some(given) if given != usual => {
            let bytes = fs::read(given).map_err(|source| file(given, source))?;
            Ok(bootstrap::write_secret_file(usual, &bytes)?)
        }
        _ => Ok(()),
    }
}

fn file(path: &Path, source: io::Error) -> BackupError {
    BackupError::File { path: path.to_owned(), source }
}

fn spooling(source: io::Error) -> BackupError {
    file(&std::env::temp_dir(), source)
}

impl From<db::Error> for BackupError {
    fn from(error: db::Error) -> Self {
        let source = std::error::Error::source(&error).map(|source| format!(": {source}"));
        Self::Failed(format!("{error}{}", source.unwrap_or_default()))
    }
}

impl From<DumpError> for BackupError {
    fn from(error: DumpError) -> Self {
        match error {
            DumpError::Database(error) => error.into(),
            DumpError::Io(source) => spooling(source),
            error @ DumpError::Row { .. } => Self::NotWhole(error.to_string()),
        }
    }
}

impl From<Error> for BackupError {
    fn from(error: Error) -> Self {
        let source = std::error::Error::source(&error).map(|source| format!(": {source}"));
        Self::Failed(format!("{error}{}", source.unwrap_or_default()))
    }
}
