//! Keys that were made elsewhere, brought here: whoever holds one keeps the secret.
//!
//! A secret that is known in clear is stored as every secret is. Of one of which only the SHA-256 is
//! known, a keyed digest of that is stored, and made anew when the secret is presented for the first
//! time (see [`access::moves`](crate::access::moves)). What is there already is left alone, so an import
//! may run twice. Rows come one by one and are written some hundred at a time, in one transaction with
//! their events and changes.

mod rows;
mod store;

use std::{
    collections::{BTreeMap, HashMap, HashSet, hash_map::Entry},
    fs::File,
    path::Path,
    sync::Arc,
    time::Duration,
};

use keydock_core::{
    id::{self, Id, OrgNumber, UserNumber},
    secret::{KeyDigest, KeyKind},
    time::Timestamp,
};
use keydock_storage::{
    db::{self, Db, Tx},
    source::Source,
};
use serde::Serialize;
use serde_json::json;
use tokio::{sync::mpsc, task::spawn_blocking};

pub use self::rows::{COLUMNS, InvalidRow};
use self::rows::{Known, Row, Written};
use crate::{
    Error, Result,
    access::{
        Actor, Caller, System, changes,
        keyring::OrgFacts,
        pepper_store,
        peppers::{Peppers, made_with},
    },
    audit_log::{self, Action, Subject},
    organizations, platform_api_keys,
};

/// How many rows are written in one transaction.
const BATCH: usize = 500;
/// How many rows with mistakes are told.
const TOLD: usize = 100;
/// After each transaction servers that run get time to read what changed, so that they never fall so
/// far behind that they trust no key.
const PAUSE: Duration = Duration::from_millis(200);

/// Where the rows come from.
#[derive(Debug)]
pub enum From<'a> {
    /// A CSV file with a heading.
    Csv(&'a Path),
    /// A query on a PostgreSQL database.
    Query {
        /// Its address.
        url: &'a str,
        /// The query, whose columns are those of the file.
        sql: &'a str,
    },
}

/// What became of the rows.
#[derive(Debug, Default, Serialize)]
pub struct Imported {
    /// Rows that were read.
    pub rows: u64,
    /// Keys that were made, by kind.
    pub made: BTreeMap<&'static str, u64>,
    /// Keys that were there already.
    pub already_there: u64,
    /// Rows that do not fit, and are left out.
    pub left_out: u64,
    /// Why, for the first of them.
    pub reasons: Vec<String>,
}

/// Why nothing was imported, or not everything.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// The rows cannot be read.
    #[error("cannot read {what}: {reason}")]
    Source {
        /// The file, or the database.
        what: String,
        /// Why.
        reason: String,
    },
    /// Some rows are wrong. Nothing was imported.
    #[error("{count} row(s) are wrong, so nothing was imported:\n{}", .told.join("\n"))]
    Invalid {
        /// How many.
        count: usize,
        /// The first of them.
        told: Vec<String>,
    },
    /// The database failed.
    #[error("the database failed: {0}")]
    Failed(#[from] Error),
}

impl std::convert::From<db::Error> for ImportError {
    fn from(error: db::Error) -> Self {
        Self::Failed(error.into())
    }
}

/// Reads every row, and then, if none is wrong, imports them. A dry run writes nothing; it cannot know
/// of rows that only do not fit beside each other.
pub async fn import(
    db: &Db,
    operator: &System,
    peppers: &Peppers,
    from: &From<'_>,
    dry_run: bool,
) -> Result<Imported, ImportError> {
    confirm(from).await?;
    let name: Id<id::AnyKey> = db.read(async |tx| Ok::<_, Error>(tx.new_id())).await?;
    let name = name.to_string();
    let mut importing =
        Importing { peppers, operator, name, orgs: HashMap::new(), done: Imported::default() };
    let is_alone = db.read(async |tx| no_server_runs(tx).await).await?;
    let mut rows = read(from)?;
    loop {
        let mut batch = Vec::with_capacity(BATCH);
        while batch.len() < BATCH
            && let Some(row) = rows.recv().await
        {
            batch.push(row?);
        }
        if batch.is_empty() {
            return Ok(importing.done);
        }
        importing.done.rows += batch.len() as u64;
        importing.write(db, &batch, dry_run).await?;
        if !is_alone && !dry_run {
            tokio::time::sleep(PAUSE).await;
        }
    }
}

async fn no_server_runs(tx: &mut Tx) -> Result<bool> {
    let since = tx.now().before(Duration::from_secs(30));
    Ok(pepper_store::nodes(tx, since).await?.is_empty())
}

/// Reads all rows once and keeps none.
async fn confirm(from: &From<'_>) -> Result<(), ImportError> {
    let (mut told, mut count) = (Vec::new(), 0);
    let mut rows = read(from)?;
    while let Some(row) = rows.recv().await {
        match row {
            Ok(_) => {}
            Err(ImportError::Invalid { told: one, .. }) => {
                count += 1;
                if told.len() < TOLD {
                    told.extend(one);
                }
            }
            Err(error) => return Err(error),
        }
    }
    if count == 0 { Ok(()) } else { Err(ImportError::Invalid { count, told }) }
}

type Rows = mpsc::Receiver<Result<Row, ImportError>>;

/// Reads rows as they are wanted, so that no more than some are held at a time.
fn read(from: &From<'_>) -> Result<Rows, ImportError> {
    let (sender, rows) = mpsc::channel(BATCH);
    match from {
        From::Csv(path) => {
            let file = File::open(path).map_err(|error| ImportError::Source {
                what: path.display().to_string(),
                reason: error.to_string(),
            })?;
            spawn_blocking(move || {
                rows::of_csv(file, |written| sender.blocking_send(meaning(written)).is_ok());
            });
        }
        From::Query { url, sql } => {
            let (url, sql) = ((*url).to_owned(), (*sql).to_owned());
            tokio::spawn(async move {
                if let Err(error) = query(&url, &sql, sender.clone()).await {
                    let what = "the source".to_owned();
                    let reason = reason(&error);
                    let _ = sender.send(Err(ImportError::Source { what, reason })).await;
                }
            });
        }
    }
    Ok(rows)
}

async fn query(
    url: &str,
    sql: &str,
    sender: mpsc::Sender<Result<Row, ImportError>>,
) -> Result<(), db::Error> {
    let mut line = 0;
    let mut source = Source::connect(url).await?;
    source
        .rows(sql, |json| {
            line += 1;
            let (sender, row) = (sender.clone(), meaning(rows::of_json(line, &json)));
            async move { sender.send(row).await.is_ok() }
        })
        .await
}

fn reason(error: &db::Error) -> String {
    let source = std::error::Error::source(error).map(ToString::to_string);
    source.unwrap_or_else(|| error.to_string())
}

fn meaning(written: Result<Written, InvalidRow>) -> Result<Row, ImportError> {
    written
        .and_then(|written| written.read())
        .map_err(|error| ImportError::Invalid { count: 1, told: vec![error.to_string()] })
}

/// An import under way.
struct Importing<'a> {
    peppers: &'a Peppers,
    operator: &'a System,
    name: String,
    orgs: HashMap<String, Option<Arc<OrgFacts>>>,
    done: Imported,
}

/// A row that fits.
struct Fitting<'a> {
    row: &'a Row,
    org: OrgNumber,
    slot: Option<i64>,
    service: Option<UserNumber>,
    deployment: Option<String>,
    opens_all: bool,
    scope: Vec<Id<id::Deployment>>,
    digest: KeyDigest,
    pepper: String,
    created_at: Timestamp,
}

/// What a transaction has seen of its rows.
#[derive(Default)]
struct Batch {
    known: HashSet<String>,
    names: HashSet<(OrgNumber, KeyKind, String)>,
    slots: HashMap<OrgNumber, Vec<store::Slotted>>,
    deployments: HashMap<(OrgNumber, String), Option<String>>,
    made: BTreeMap<&'static str, u64>,
    by_org: HashMap<OrgNumber, (Arc<OrgFacts>, BTreeMap<&'static str, u64>)>,
    already_there: u64,
    reasons: Vec<String>,
}

/// Undoes a dry run.
enum Undo {
    Dry(Box<Batch>),
    Failed(Error),
}

impl std::convert::From<db::Error> for Undo {
    fn from(error: db::Error) -> Self {
        Self::Failed(error.into())
    }
}

impl std::convert::From<Error> for Undo {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

impl Importing<'_> {
    async fn write(&mut self, db: &Db, rows: &[Row], dry_run: bool) -> Result<(), ImportError> {
        let written = db
            .write(async |tx| {
                let batch = self.write_rows(tx, rows).await?;
                if dry_run {
                    tx.take_notes(changes::TOPIC);
                    return Err(Undo::Dry(Box::new(batch)));
                }
                changes::write_down(tx).await?;
                audit_log::write_down(tx, self.peppers).await?;
                Ok(batch)
            })
            .await;
        let batch = match written {
            Ok(committed) => committed.value,
            Err(Undo::Dry(batch)) => *batch,
            Err(Undo::Failed(error)) => return Err(error.into()),
        };
        for (kind, count) in batch.made {
            *self.done.made.entry(kind).or_default() += count;
        }
        self.done.already_there += batch.already_there;
        self.done.left_out += batch.reasons.len() as u64;
        let room = TOLD.saturating_sub(self.done.reasons.len());
        self.done.reasons.extend(batch.reasons.into_iter().take(room));
        Ok(())
    }

    async fn write_rows(&mut self, tx: &mut Tx, rows: &[Row]) -> Result<Batch> {
        let mut batch = Batch { known: self.known(tx, rows).await?, ..Batch::default() };
        let mut new = Vec::new();
        for row in rows {
            let org = self.org(tx, row).await?;
            let Some(org) = org else {
                batch.leave_out(row, format!("there is no organization {}", row.org));
                continue;
            };
            let Some(fitting) = self.fit(tx, &mut batch, row, &org).await? else { continue };
            let id = tx.new_id();
            changes::record(tx, &fitting.digest);
            let values = store::values(&fitting, id);
            new.push(store::NewRow { id, values, scope: fitting.scope, org: fitting.org });
            let kind = row.kind.as_str();
            *batch.made.entry(kind).or_default() += 1;
            let of_org = batch.by_org.entry(org.number);
            let of_org = of_org.or_insert_with(|| (Arc::clone(&org), BTreeMap::new()));
            *of_org.1.entry(kind).or_default() += 1;
        }
        store::insert(tx, &new).await?;
        for (org, made) in batch.by_org.values() {
            let caller = Caller {
                org: Arc::clone(org),
                actor: Actor::Server,
                request_id: String::new(),
                ip: None,
            };
            let subject = Subject::new("import", &self.name);
            audit_log::record(tx, &caller, Action::KeysImported, subject, json!({"keys": made}))
                .await?;
        }
        Ok(batch)
    }

    /// Which of the secrets are there already, by whatever they may be stored by.
    async fn known(&mut self, tx: &mut Tx, rows: &[Row]) -> Result<HashSet<String>> {
        let digests: Vec<String> =
            rows.iter().flat_map(|row| self.digests(row)).map(|digest| digest.to_hex()).collect();
        let mut known: HashSet<String> =
            store::known_digests(tx, &digests).await?.into_iter().collect();
        let fingerprints: Vec<String> = rows.iter().map(|row| row.fingerprint.clone()).collect();
        known.extend(store::known_fingerprints(tx, &fingerprints).await?);
        Ok(known)
    }

    fn digests(&self, row: &Row) -> Vec<KeyDigest> {
        let of = |pepper: &keydock_core::secret::Pepper| match &row.known {
            Known::Sha256(hash) => vec![pepper.digest_of_sha256(hash)],
            Known::Secret(secret) => {
                let hashes = secret.sha256().map(|hash| pepper.digest_of_sha256(&hash));
                std::iter::once(pepper.digest(secret)).chain(hashes).collect()
            }
        };
        self.peppers.live().flat_map(of).collect()
    }

    async fn org(&mut self, tx: &mut Tx, row: &Row) -> Result<Option<Arc<OrgFacts>>> {
        let name = row.org.as_str();
        if let Some(known) = self.orgs.get(name) {
            return Ok(known.clone());
        }
        let found = organizations::find_facts(tx, name).await?.map(Arc::new);
        // Not more than some: an import may be of very many.
        if self.orgs.len() >= 10_000 {
            self.orgs.clear();
        }
        self.orgs.insert(name.to_owned(), found.clone());
        Ok(found)
    }

    async fn fit<'r>(
        &mut self,
        tx: &mut Tx,
        batch: &mut Batch,
        row: &'r Row,
        org: &OrgFacts,
    ) -> Result<Option<Fitting<'r>>> {
        let org = org.number;
        let Some(scope) = batch.scope(tx, row, org).await? else { return Ok(None) };
        let deployment =
            (row.kind == KeyKind::Deployment).then(|| scope.first().map(Id::to_string));
        let deployment = deployment.flatten();
        let of = deployment.as_deref().or(row.name.as_deref()).unwrap_or_default();
        let known_by = store::known_by(org, row.kind, of, &row.fingerprint);
        let digests: Vec<String> = self.digests(row).iter().map(KeyDigest::to_hex).collect();
        if batch.known.contains(&known_by) || digests.iter().any(|one| batch.known.contains(one)) {
            batch.already_there += 1;
            return Ok(None);
        }
        if let Some(name) = &row.name {
            let taken = store::has_name(tx, org, row.kind, name).await?;
            if taken || !batch.names.insert((org, row.kind, name.clone())) {
                batch.leave_out(row, format!("another key is called \"{name}\""));
                return Ok(None);
            }
        }
        let slot = match row.kind {
            KeyKind::Platform => match batch.take_slot(tx, row, org).await? {
                Some(slot) => Some(slot),
                None => return Ok(None),
            },
            _ => None,
        };
        let service = match (&row.name, row.kind) {
            (Some(name), KeyKind::PlatformApi) => {
                let name = name.parse().map_err(Error::internal)?;
                Some(platform_api_keys::open_imported(tx, self.operator, org, &name).await?)
            }
            _ => None,
        };
        batch.known.insert(known_by);
        batch.known.extend(digests);
        let pepper = self.peppers.current();
        let (digest, of_sha256) = match &row.known {
            Known::Secret(secret) => (pepper.digest(secret), false),
            Known::Sha256(hash) => (pepper.digest_of_sha256(hash), true),
        };
        let is_list = row.kind == KeyKind::OrgDeployment && !row.deployments.is_empty();
        Ok(Some(Fitting {
            row,
            org,
            slot,
            service,
            deployment,
            opens_all: row.kind == KeyKind::OrgDeployment && !is_list,
            scope: if is_list { scope } else { Vec::new() },
            digest,
            pepper: made_with(pepper.id(), of_sha256),
            created_at: row.created_at.unwrap_or(tx.now()),
        }))
    }
}

impl Batch {
    fn leave_out(&mut self, row: &Row, reason: impl std::fmt::Display) {
        self.reasons.push(format!("line {}: {reason}", row.line));
    }

    /// The deployments of a row; none if one is not there.
    async fn scope(
        &mut self,
        tx: &mut Tx,
        row: &Row,
        org: OrgNumber,
    ) -> Result<Option<Vec<Id<id::Deployment>>>> {
        let mut ids = Vec::new();
        for name in &row.deployments {
            let key = (org, name.clone());
            let found = match self.deployments.get(&key) {
                Some(found) => found.clone(),
                None => store::deployment(tx, org, name).await?,
            };
            self.deployments.insert(key, found.clone());
            let Some(found) = found else {
                self.leave_out(row, format!("{} has no deployment \"{name}\"", row.org));
                return Ok(None);
            };
            ids.push(found.parse().map_err(Error::internal)?);
        }
        Ok(Some(ids))
    }

    /// A free place for a platform key, if it fits.
    async fn take_slot(&mut self, tx: &mut Tx, row: &Row, org: OrgNumber) -> Result<Option<i64>> {
        let taken = match self.slots.entry(org) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(place) => {
                // In the order of everything else that is done to platform keys.
                crate::keys::lock(tx, org).await?;
                place.insert(store::slots(tx, org).await?)
            }
        };
        let free = (1..=2).find(|slot| taken.iter().all(|other| other.slot != *slot));
        let Some(slot) = free else {
            self.leave_out(row, format!("{} has two platform keys already", row.org));
            return Ok(None);
        };
        if row.is_active && taken.iter().any(|other| other.is_active) {
            let reason = "already has an active platform key: switch that off first";
            self.leave_out(row, format!("{} {reason}", row.org));
            return Ok(None);
        }
        taken.push(store::Slotted { slot, is_active: row.is_active });
        Ok(Some(slot))
    }
}
