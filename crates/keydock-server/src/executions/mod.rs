//! Executions: one run of a deployment on the documents of one request.
//!
//! An execution that was accepted is durable: its documents are in the store of documents, its rows
//! and the job that runs it were written in one transaction, and only then was the client answered.
//! So it always ends, whatever happens to the server. Its documents are deleted as soon as it is
//! over; its result is given out once, may be asked for again by the key that submitted it, and is
//! forgotten for its age.
//!
//! An execution belongs to its deployment. Its id alone opens nothing: it is looked up with the
//! organization and the deployment of the key that asks.

pub mod api;
mod completions;
mod form;
mod items;
mod names;
mod run;
mod state;
mod store;
mod upload;

use std::time::Duration;

use keydock_core::{
    id::{self, Id, OrgNumber},
    text::Tag,
    time::Timestamp,
};
use keydock_engine::Extraction;
use keydock_storage::db::Tx;
use serde_json::{Map, Value, json};

pub(crate) use self::run::{clear_away, clear_lost, give_up, run};
pub use self::{
    completions::{Completions, wait},
    names::{DeclaredType, FileName},
    state::{Event, FileState, InvalidStatus, InvalidTransition, State, Status},
};
use crate::{
    Error, Result,
    audit_log::{self, Action, Subject},
    config::Config,
    deployments::Called,
    jobs::{self, Job},
};

/// How many files one execution may have.
pub const MAX_FILES: usize = 32;

/// How long executions are known after their results were forgotten.
const KNOWN_FOR: Duration = Duration::from_hours(30 * 24);

/// How many executions are forgotten in one transaction.
const BATCH: i64 = 200;

/// When somebody who is over a limit should try again.
const BUSY: Duration = Duration::from_secs(5);

/// One run of a deployment.
#[derive(Clone, Debug)]
pub struct Execution {
    /// Its id.
    pub id: Id<id::Execution>,
    /// Whose it is.
    pub org: OrgNumber,
    /// What runs.
    pub deployment: Id<id::Deployment>,
    /// The workflow behind it.
    pub workflow: Id<id::Workflow>,
    /// The version of the workflow as it was accepted.
    pub workflow_version: i64,
    /// The key that submitted it.
    pub key: Id<id::AnyKey>,
    /// How far it is.
    pub state: State,
    /// The label that the client gave it.
    pub tag: Option<Tag>,
    /// What the client gave along.
    pub custom_data: Option<Map<String, Value>>,
    /// Whether earlier results for the same content will do.
    pub use_file_history: bool,
    /// When it was accepted.
    pub created_at: Timestamp,
    /// When its result was first read.
    pub acknowledged_at: Option<Timestamp>,
    /// When its result was forgotten.
    pub forgotten_at: Option<Timestamp>,
}

/// One file of an execution.
#[derive(Clone, Debug)]
pub struct FileExecution {
    /// Its id.
    pub id: Id<id::FileExecution>,
    /// What the client called it.
    pub name: FileName,
    /// What the client said that it is.
    pub declared_type: DeclaredType,
    /// How many bytes it has.
    pub size: u64,
    /// The SHA-256 of these, in hexadecimal.
    pub sha256: String,
    /// An earlier file of the execution with the same content, whose result it shares.
    pub duplicate_of: Option<Id<id::FileExecution>>,
    /// What became of it.
    pub state: FileState,
}

/// A place for an execution that is about to be received.
#[derive(Debug)]
pub struct Place {
    execution: Id<id::Execution>,
    files: Vec<Id<id::FileExecution>>,
}

/// A file that was received and stored.
#[derive(Clone, Debug)]
pub struct NewFile {
    id: Id<id::FileExecution>,
    name: FileName,
    declared_type: DeclaredType,
    size: u64,
    sha256: String,
}

/// What a client asks for.
#[derive(Debug, Default)]
pub struct Order {
    /// Whether earlier results for the same content will do.
    pub use_file_history: bool,
    /// The label of the execution.
    pub tag: Option<Tag>,
    /// What is to be given back with every item.
    pub custom_data: Option<Map<String, Value>>,
}

/// What items shall carry beside the values.
#[derive(Clone, Copy, Debug, Default)]
pub struct View {
    /// Where the values were found.
    pub metadata: bool,
    /// How long it took.
    pub metrics: bool,
    /// The text of the document.
    pub text: bool,
}

/// How many executions are not over.
#[derive(Clone, Copy, Debug)]
struct Running {
    of_org: i64,
    of_all: i64,
}

/// What there is to read of an execution.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Nothing yet.
    Unfinished(Status),
    /// Its result.
    Ready(Status),
    /// Nothing any more: the result was read before.
    AlreadyRead(Status),
}

impl Standing {
    /// How far the execution is.
    pub const fn status(self) -> Status {
        match self {
            Self::Unfinished(status) | Self::Ready(status) | Self::AlreadyRead(status) => status,
        }
    }
}

/// An execution that is over, with all that is known of it.
#[derive(Debug)]
pub struct Finished {
    /// The execution.
    pub execution: Execution,
    /// Its files and what was found in them, in the order of the request; nothing if that was
    /// forgotten.
    pub files: Option<Vec<(FileExecution, Option<Extraction>)>>,
}

/// Makes room for an execution before its documents are received, or says that there is none.
pub async fn admit(tx: &mut Tx, called: &Called, config: &Config) -> Result<Place> {
    if called.deployment().workflow_version == 0 {
        return Err(Error::Conflict {
            detail: "The workflow of this deployment has no definition. Give it one, then submit \
                     again.",
        });
    }
    check_limits(tx, called, config).await?;
    let files = (0..MAX_FILES).map(|_| tx.new_id()).collect();
    Ok(Place { execution: tx.new_id(), files })
}

/// Accepts an execution of files that were received: when this transaction commits, it will run.
pub async fn accept(
    tx: &mut Tx,
    called: &Called,
    config: &Config,
    id: Id<id::Execution>,
    order: Order,
    files: &[NewFile],
) -> Result<Execution> {
    store::lock(tx, called.org()).await?;
    check_limits(tx, called, config).await?;
    let execution = Execution {
        id,
        org: called.org(),
        deployment: called.deployment().id,
        workflow: called.deployment().workflow,
        workflow_version: called.deployment().workflow_version,
        key: called.key().widen(),
        state: State::Pending,
        tag: order.tag,
        custom_data: order.custom_data,
        use_file_history: order.use_file_history,
        created_at: tx.now(),
        acknowledged_at: None,
        forgotten_at: None,
    };
    store::insert(tx, &execution).await?;
    insert_files(tx, &execution, files).await?;
    jobs::enqueue(tx, &Job::RunExecution { org: execution.org, execution: id }).await?;
    let detail = json!({"deployment_id": execution.deployment, "files": files.len()});
    record(tx, called, Action::ExecutionAccepted, id, detail).await?;
    tracing::info!(execution.id = %id, deployment.id = %execution.deployment, "execution accepted");
    Ok(execution)
}

/// Counted from the executions themselves: a place is free when its execution is over, whatever
/// happened to the server meanwhile. The limit for all is checked without making organizations wait
/// for each other, and may be exceeded by as many as are accepted in the same instant.
async fn check_limits(tx: &mut Tx, called: &Called, config: &Config) -> Result<()> {
    let running = store::running(tx, called.org()).await?;
    let detail = if running.of_org >= i64::from(config.org_executions) {
        format!(
            "Organization has reached the maximum of {} executions at a time. Try again when one is \
             over.",
            config.org_executions
        )
    } else if running.of_all >= i64::from(config.all_executions) {
        "This server is at its limit of executions. Try again in a few moments.".to_owned()
    } else {
        return Ok(());
    };
    Err(Error::TooMany { detail: detail.into(), retry_after: BUSY })
}

/// A file of a kind that is not accepted has failed already; one with the content of an earlier one
/// shares its result.
async fn insert_files(tx: &mut Tx, execution: &Execution, files: &[NewFile]) -> Result<()> {
    let mut first_of: Vec<&NewFile> = Vec::new();
    for (position, file) in files.iter().enumerate() {
        let first = first_of.iter().find(|first| first.sha256 == file.sha256).map(|first| first.id);
        let (duplicate_of, state) = match file.declared_type.refusal() {
            Some(reason) => (None, FileState::Failed { since: None, at: tx.now(), reason }),
            None => (first, FileState::Pending),
        };
        if duplicate_of.is_none() && state == FileState::Pending {
            first_of.push(file);
        }
        store::insert_file(tx, execution, position, file, duplicate_of, &state).await?;
    }
    Ok(())
}

/// What the caller may read of an execution now. Changes nothing.
///
/// Any key of the deployment may read the result, once. To read it again takes `replay` and the key
/// that submitted it; for other keys it is as if they had not asked for that.
pub async fn standing(
    tx: &mut Tx,
    called: &Called,
    id: Id<id::Execution>,
    replay: bool,
) -> Result<Standing> {
    let execution = find(tx, called, id).await?;
    let status = execution.state.status();
    if !execution.state.is_over() {
        return Ok(Standing::Unfinished(status));
    }
    if execution.acknowledged_at.is_some() && !may_replay(&execution, called, replay) {
        return Ok(Standing::AlreadyRead(status));
    }
    Ok(Standing::Ready(status))
}

/// Reads the result of an execution that is over, which makes it read: of several callers at the
/// same time, one gets it. Nothing if that is somebody else.
pub async fn read(
    tx: &mut Tx,
    called: &Called,
    id: Id<id::Execution>,
    replay: bool,
    view: View,
) -> Result<Option<Finished>> {
    let first = store::acknowledge(tx, called.org(), called.deployment().id, id).await?;
    let execution = find(tx, called, id).await?;
    let again = execution.state.is_over() && may_replay(&execution, called, replay);
    if !(first || again) {
        return Ok(None);
    }
    let detail = json!({
        "deployment_id": execution.deployment,
        "status": execution.state.status().as_str(),
        "again": !first,
    });
    record(tx, called, Action::ExecutionRead, id, detail).await?;
    finished(tx, execution, view).await.map(Some)
}

fn may_replay(execution: &Execution, called: &Called, replay: bool) -> bool {
    replay && execution.key == called.key().widen()
}

/// An execution of another deployment, or of another organization, is not there.
async fn find(tx: &mut Tx, called: &Called, id: Id<id::Execution>) -> Result<Execution> {
    let found = store::find(tx, called.org(), called.deployment().id, id).await?;
    found.ok_or(Error::NotFound { what: "Execution" })
}

async fn finished(tx: &mut Tx, execution: Execution, view: View) -> Result<Finished> {
    if execution.forgotten_at.is_some() {
        return Ok(Finished { execution, files: None });
    }
    let files = store::files(tx, execution.org, execution.id).await?;
    let mut found = store::extractions(tx, execution.org, execution.id).await?;
    if !view.text {
        // By far the largest part, and duplicates would have it again.
        for (_, extraction) in &mut found {
            extraction.text = String::new();
        }
    }
    let files = files
        .into_iter()
        .map(|file| {
            let holder = file.duplicate_of.unwrap_or(file.id);
            let extraction = found.iter().find(|(id, _)| *id == holder);
            (file, extraction.map(|(_, extraction)| extraction.clone()))
        })
        .collect();
    Ok(Finished { execution, files: Some(files) })
}

/// Forgets results that are older than `age`, and later the executions themselves. Tells whether
/// there may be more to forget.
pub(crate) async fn forget_old(tx: &mut Tx, age: Duration) -> Result<bool> {
    let results_before = tx.now().before(age);
    let forgotten = store::forget_results(tx, results_before, BATCH).await?;
    let runs_before = results_before.before(KNOWN_FOR);
    let gone = store::forget_runs(tx, runs_before, BATCH).await?;
    let full = BATCH.unsigned_abs();
    Ok(forgotten >= full || gone >= full)
}

async fn record(
    tx: &mut Tx,
    called: &Called,
    action: Action,
    id: Id<id::Execution>,
    detail: Value,
) -> Result<()> {
    audit_log::record(tx, called.caller(), action, Subject::new("execution", &id), detail).await
}
