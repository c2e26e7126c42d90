//! Replacing the pepper, while the server runs.
//!
//! A digest can only be made anew when its secret is presented. So there are several peppers at a time:
//! a new one is added to the file of every node, then made the current one, all at once, in the
//! database; every secret that is used gets a new digest; and the old pepper is retired when nothing
//! that works needs it any more. See `docs/adr/0016-peppers-are-a-set.md`.

mod store;

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use keydock_core::{
    id::{AnyKey, OrgNumber},
    secret::{KeyDigest, KeyKind, Pepper, PepperId},
    time::Timestamp,
};
use keydock_storage::db::{self, Db, Tx};
use serde_json::{Value, json};
use tokio::{task::spawn_blocking, time::sleep};
use tokio_util::sync::CancellationToken;

use crate::{
    App, Error, Result,
    access::{Actor, Caller, System, changes, pepper_store, peppers::Peppers},
    audit_log::{self, Action, KeyVerb, Subject},
    bootstrap, organizations, webhooks,
};

/// How often the file is read again.
const LOOK: Duration = Duration::from_secs(1);
/// How often a node says that it is there.
const ANNOUNCE: Duration = Duration::from_secs(10);
/// A node that has not said so for longer is gone.
const GONE: Duration = Duration::from_secs(30);
/// How many keys are ended in one transaction.
const BATCH: i64 = 200;

/// How many secrets of a kind are stored under a pepper.
#[derive(Clone, Debug)]
pub struct Stored {
    /// The id of the pepper; with `/sha256` behind it, secrets that were imported as SHA-256 and not
    /// used since.
    pub pepper: String,
    /// The kind.
    pub kind: String,
    /// All of them.
    pub secrets: i64,
    /// Those that work.
    pub active: i64,
    /// Those of them that were used lately.
    pub used: i64,
}

/// Something that works and needs a pepper that was replaced.
#[derive(Clone, Debug)]
pub struct Unmoved {
    /// Its organization.
    pub org: OrgNumber,
    /// The name of that.
    pub org_name: String,
    /// What it is.
    pub kind: String,
    /// Its id.
    pub id: String,
    /// What people call it.
    pub called: String,
    /// The end of its secret.
    pub last_four: String,
    /// When it was last used.
    pub last_used_at: Option<Timestamp>,
    /// Whether it is the present secret of its key, not one before.
    is_current: bool,
    digests: Vec<KeyDigest>,
}

/// A pepper, as an operator sees it.
#[derive(Clone, Debug)]
pub struct Seen {
    /// What it is called.
    pub id: String,
    /// What it is: `current`, `previous`, `to come` or `retired`.
    pub state: &'static str,
    /// Since when it was current, if it ever was.
    pub since: Option<Timestamp>,
    /// Whether the file has it.
    pub in_file: bool,
}

/// Why a pepper was not replaced or retired; each says what to do.
#[derive(Debug, thiserror::Error)]
pub enum PepperError {
    /// The file or the database cannot be used.
    #[error(transparent)]
    Start(#[from] bootstrap::StartError),
    /// The database failed.
    #[error("the database failed: {0}")]
    Failed(#[from] Error),
    /// Some nodes cannot follow.
    #[error(
        "{without} of {all} running server(s) do not have the new pepper {id} yet, so nothing was \
         changed: bring the file with the new line to each of them, then run this again"
    )]
    NotEverywhere {
        /// What the new pepper is called.
        id: PepperId,
        /// How many lack it.
        without: usize,
        /// How many there are.
        all: usize,
    },
    /// The old pepper is needed still.
    #[error(
        "{count} thing(s) that work still need {id}, the first are listed above: wait until they are \
         used, give them new secrets, or end them with --revoke-unmoved"
    )]
    Needed {
        /// What the pepper is called.
        id: String,
        /// How many need it.
        count: i64,
    },
    /// Tokens of issuers could be exchanged twice.
    #[error(
        "tokens of issuers that were exchanged are remembered by {id} until {until}: wait until then"
    )]
    Exchanged {
        /// What the pepper is called.
        id: String,
        /// Until when.
        until: Timestamp,
    },
    /// There is nothing to retire.
    #[error("{id} is the current pepper: replace it first")]
    Current {
        /// What it is called.
        id: String,
    },
}

impl From<db::Error> for PepperError {
    fn from(error: db::Error) -> Self {
        Self::Failed(error.into())
    }
}

/// The ids of the peppers that something needs which works, and how much that is.
pub(crate) async fn needed(tx: &mut Tx) -> Result<Vec<(String, i64)>, db::Error> {
    store::needed(tx).await
}

/// How much is stored under which pepper, and what was used since.
pub async fn stored(tx: &mut Tx, _operator: &System, since: Timestamp) -> Result<Vec<Stored>> {
    store::stored(tx, since).await
}

/// What works and needs this pepper, some of it.
pub async fn unmoved(
    tx: &mut Tx,
    _operator: &System,
    id: &str,
    limit: i64,
) -> Result<Vec<Unmoved>> {
    store::unmoved(tx, id, limit).await
}

/// The peppers of this file and of this database.
pub async fn list(tx: &mut Tx, _operator: &System, file: &[Pepper]) -> Result<Vec<Seen>> {
    let current = pepper_store::setting(tx, "pepper_check").await?.unwrap_or_default();
    let here: Vec<String> = file.iter().map(|pepper| pepper.id().to_string()).collect();
    let known = pepper_store::known(tx).await?;
    let is_new = |id: &&String| known.iter().all(|known| known.id != **id);
    let new = here.iter().filter(is_new).map(|id| Seen {
        id: id.clone(),
        state: "to come",
        since: None,
        in_file: true,
    });
    let met = known.iter().map(|known| Seen {
        id: known.id.clone(),
        state: match known.retired_at {
            _ if current.starts_with(&known.id) => "current",
            Some(_) => "retired",
            None => "previous",
        },
        since: Some(known.current_since),
        in_file: here.contains(&known.id),
    });
    Ok(new.chain(met).collect())
}

/// The pepper of the file that is to be the next current one: the last that this database never met.
pub async fn next<'a>(db: &Db, file: &'a [Pepper]) -> Result<Option<&'a Pepper>> {
    let known = db.read(async |tx| pepper_store::known(tx).await).await?;
    let current = db.read(async |tx| pepper_store::setting(tx, "pepper_check").await).await?;
    Ok(file.iter().rfind(|pepper| {
        let id = pepper.id().to_string();
        known.iter().all(|known| known.id != id) && current.as_deref() != Some(&pepper.check())
    }))
}

/// Waits until every node that runs has this pepper.
pub async fn wait_until_known(db: &Db, id: PepperId, wait: Duration) -> Result<(), PepperError> {
    let began = Instant::now();
    loop {
        let nodes = db
            .read(async |tx| {
                let since = tx.now().before(GONE);
                pepper_store::nodes(tx, since).await
            })
            .await?;
        let knows =
            |(_, knows): &&(String, String)| knows.split(' ').any(|known| known == id.to_string());
        let (with, all) = (nodes.iter().filter(knows).count(), nodes.len());
        if with == all {
            return Ok(());
        }
        if began.elapsed() >= wait {
            return Err(PepperError::NotEverywhere { id, without: all - with, all });
        }
        sleep(Duration::from_millis(200)).await;
    }
}

/// Makes a pepper the current one, on all nodes at once.
pub async fn make_current(
    db: &Db,
    operator: &System,
    file: &[Pepper],
    id: PepperId,
) -> Result<(), PepperError> {
    let peppers = Peppers::new(file.to_vec());
    let peppers = peppers.ok_or_else(|| Error::internal("there is no pepper"))?;
    let new = peppers.find(&id.to_string());
    let new = new.ok_or_else(|| Error::internal("the pepper is not in the file"))?;
    db.write(async |tx| {
        pepper_store::lock(tx).await?;
        let before = pepper_store::setting(tx, "pepper_check").await?.unwrap_or_default();
        pepper_store::make_current(tx, id, &new.check()).await?;
        let from = before.get(..12).unwrap_or_default();
        let detail = json!({"from": from, "to": id.to_string()});
        audit_log::record_operated(tx, operator, Action::PepperRotated, "pepper", detail)?;
        audit_log::write_down(tx, &peppers).await?;
        Ok::<_, Error>(())
    })
    .await?;
    Ok(())
}

/// Ends what works and needs this pepper, some of it, each with its event. Tells how many there were.
pub async fn revoke_some(
    db: &Db,
    operator: &System,
    peppers: &Peppers,
    id: &str,
) -> Result<usize, PepperError> {
    let ended = db.write(async |tx| {
        let some = store::unmoved(tx, id, BATCH).await?;
        for one in &some {
            end(tx, operator, one, id).await?;
        }
        webhooks::write_down(tx).await?;
        changes::write_down(tx).await?;
        audit_log::write_down(tx, peppers).await?;
        Ok::<_, Error>(some.len())
    });
    Ok(ended.await?.value)
}

async fn end(tx: &mut Tx, _operator: &System, one: &Unmoved, pepper: &str) -> Result<()> {
    let caller = Caller {
        org: Arc::new(organizations::facts(tx, one.org).await?),
        actor: Actor::Server,
        request_id: String::new(),
        ip: None,
    };
    for digest in &one.digests {
        changes::record(tx, digest);
    }
    let kind: Option<KeyKind> = one.kind.parse().ok();
    let action = match kind {
        None => {
            store::end_webhook(tx, one, "Its secret was made with a pepper that is retired.")
                .await?;
            Action::WebhookDisabled
        }
        Some(KeyKind::PlatformToken) => {
            store::end_token(tx, one).await?;
            Action::Key(KeyKind::PlatformToken, KeyVerb::Deactivated)
        }
        Some(kind) => {
            store::end_key(tx, one).await?;
            let verb =
                if one.is_current { KeyVerb::Deactivated } else { KeyVerb::RotationFinished };
            Action::Key(kind, verb)
        }
    };
    let mut detail = json!({"because": "pepper_retired", "pepper": pepper});
    if kind.is_some() {
        detail["key_name"] = one.called.as_str().into();
        detail["last_four"] = one.last_four.as_str().into();
    }
    let subject = kind.map_or("webhook", crate::keys::subject_kind);
    audit_log::record(tx, &caller, action, Subject::new(subject, &one.id), detail).await
}

/// Looks nothing up with this pepper any more. People whose sign-in needs it sign in again: so many.
pub async fn retire(
    db: &Db,
    operator: &System,
    peppers: &Peppers,
    id: &str,
    at_once: bool,
) -> Result<u64, PepperError> {
    let retired = db.write(async |tx| {
        pepper_store::lock(tx).await?;
        let current = pepper_store::setting(tx, "pepper_check").await?.unwrap_or_default();
        if current.starts_with(id) {
            return Err(PepperError::Current { id: id.to_owned() });
        }
        let needed = store::needed(tx).await?;
        if let Some((_, count)) = needed.into_iter().find(|(needed, _)| needed == id) {
            return Err(PepperError::Needed { id: id.to_owned(), count });
        }
        if let Some(until) = store::exchanged_until(tx, id).await?.filter(|_| !at_once) {
            return Err(PepperError::Exchanged { id: id.to_owned(), until });
        }
        pepper_store::retire(tx, id).await?;
        let sessions = store::end_sessions(tx, id).await?;
        let detail = json!({"pepper": id, "sessions_ended": sessions});
        audit_log::record_operated(tx, operator, Action::PepperRetired, "pepper", detail)?;
        audit_log::write_down(tx, peppers).await?;
        Ok(sessions)
    });
    Ok(retired.await?.value)
}

/// Follows the file, and lets others know which peppers this node has, until `stop`.
pub(crate) async fn attend(app: App, stop: CancellationToken) {
    let (mut node, mut was_well) = (Node::default(), true);
    loop {
        let result = look(&app, &mut node).await;
        if let Err(error) = &result
            && was_well
        {
            let error = error as &dyn std::error::Error;
            tracing::error!(error, "the peppers cannot be followed; those that are known stay");
        }
        was_well = result.is_ok();
        if stop.run_until_cancelled(sleep(LOOK)).await.is_none() {
            break;
        }
    }
    let left = app.db().write(async |tx| pepper_store::leave(tx, &node.name).await).await;
    if let Err(error) = left {
        tracing::debug!(error = &error as &dyn std::error::Error, "a node left without a word");
    }
}

/// What this node has said of itself.
#[derive(Debug, Default)]
struct Node {
    name: String,
    told: Vec<PepperId>,
    told_at: Option<Instant>,
}

async fn look(app: &App, node: &mut Node) -> Result<(), PepperError> {
    let reading = app.clone();
    let read = spawn_blocking(move || bootstrap::reload(&reading)).await;
    // A file that cannot be read takes nothing away: this node goes on, and says that it is there.
    let ids = app.peppers().ids();
    if node.told != ids || node.told_at.is_none_or(|at| at.elapsed() >= ANNOUNCE) {
        app.peppers().refresh(app.db()).await?;
        app.db()
            .write(async |tx| {
                let gone = tx.now().before(GONE * 10);
                pepper_store::forget_nodes(tx, gone).await?;
                if node.name.is_empty() {
                    node.name = tx.new_id::<AnyKey>().to_string();
                }
                pepper_store::announce(tx, &node.name, &ids).await
            })
            .await?;
        (node.told, node.told_at) = (ids, Some(Instant::now()));
    }
    read.map_err(Error::internal)??;
    Ok(())
}

/// What is told of a pepper as JSON.
pub fn told(seen: &Seen, stored: &[Stored]) -> Value {
    let own = |row: &&Stored| row.pepper.starts_with(&seen.id);
    let rows: Vec<Value> = stored
        .iter()
        .filter(own)
        .map(|row| {
            json!({"kind": row.kind, "secrets": row.secrets, "active": row.active,
                   "used": row.used, "of_sha256": row.pepper.ends_with("/sha256")})
        })
        .collect();
    json!({"id": seen.id, "state": seen.state, "since": seen.since.map(|at| at.to_string()),
           "in_file": seen.in_file, "stored": rows})
}
