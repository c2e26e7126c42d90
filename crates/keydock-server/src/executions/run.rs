//! Running an execution, from its job.
//!
//! Every step may be done twice: by a worker that takes over from one that vanished, or by both at
//! once. What became of a file is written down as soon as it is known, so it is not read again; the
//! end of an execution is written down once, by whoever comes first. Its documents are deleted after
//! that, and before the job ends: as long as there is a document there is a job that deletes it.

use std::time::Duration;

use keydock_core::{
    id::{self, Id, OrgNumber},
    workflows::Definition,
};
use keydock_engine::Extraction;
use keydock_storage::{
    blobs::{self, BlobId},
    db::Tx,
};

use super::{Event, Execution, FileExecution, FileState, store};
use crate::{App, Error, Result, workflows};

/// How much is kept of why an execution failed (CONTRACT 9.6).
const MAX_REASON: usize = 256;
/// How much is kept of why a file failed.
const MAX_FILE_REASON: usize = 4_000;

/// A document older than this is not of an upload that is still under way.
const LONGEST_UPLOAD: Duration = Duration::from_hours(24);

/// An execution that is to be run, as it stands.
struct Task {
    execution: Execution,
    definition: Definition,
    files: Vec<FileExecution>,
}

/// What became of a file in one attempt.
enum Attempt {
    /// It was read, now or by an earlier execution. The result as JSON.
    Found(String),
    /// It cannot be read.
    Failed(String),
    /// The server could not read it; the next attempt may.
    NotNow(keydock_engine::Error),
}

/// Runs an execution to its end, or as far as it gets. In the last attempt every file comes to an
/// end.
pub(crate) async fn run(
    app: &App,
    org: OrgNumber,
    id: Id<id::Execution>,
    is_last: bool,
) -> Result<()> {
    if let Some(task) = app.write(async |tx| begin(tx, org, id).await).await? {
        let mut not_now = None;
        for file in task.files.iter().filter(|file| is_to_be_read(file)) {
            not_now = read_file(app, &task, file, is_last).await?.or(not_now);
        }
        if let Some(error) = not_now {
            return Err(Error::internal(error));
        }
        app.write(async |tx| finish(tx, &task.execution).await).await?;
    }
    app.completions().announce(id);
    clear_away(app, org, id).await
}

/// Duplicates follow the file whose content they have.
fn is_to_be_read(file: &FileExecution) -> bool {
    file.state == FileState::Pending && file.duplicate_of.is_none()
}

/// Notes that a worker has begun. Nothing if there is nothing to run.
async fn begin(tx: &mut Tx, org: OrgNumber, id: Id<id::Execution>) -> Result<Option<Task>> {
    let Some(mut execution) = store::find_for_job(tx, org, id).await? else { return Ok(None) };
    if execution.state.is_over() {
        return Ok(None);
    }
    let (workflow, version) = (execution.workflow, execution.workflow_version);
    let definition = match workflows::definition(tx, org, workflow, version).await {
        Ok(definition) => definition,
        Err(Error::NotFound { .. }) => {
            let reason = "the workflow was deleted before it could run".to_owned();
            change(tx, &mut execution, Event::Failed { reason }).await?;
            return Ok(None);
        }
        Err(error) => return Err(error),
    };
    change(tx, &mut execution, Event::Started).await?;
    let files = store::files(tx, org, id).await?;
    Ok(Some(Task { execution, definition, files }))
}

/// The only place that changes how far an execution is. One that is over is left alone.
async fn change(tx: &mut Tx, execution: &mut Execution, event: Event) -> Result<()> {
    let state = execution.state.clone().after(event, tx.now()).map_err(Error::internal)?;
    if store::set_state(tx, execution.org, execution.id, &state).await? {
        execution.state = state;
    }
    Ok(())
}

/// Reads one file and writes down what became of it. Tells why not, if it is to be tried again.
async fn read_file(
    app: &App,
    task: &Task,
    file: &FileExecution,
    is_last: bool,
) -> Result<Option<keydock_engine::Error>> {
    let since = Some(app.db().clock().now());
    let outcome = match attempt(app, task, file).await? {
        Attempt::Found(result) => Ok(result),
        Attempt::Failed(reason) => Err(reason),
        Attempt::NotNow(error) if is_last => Err(error.to_string()),
        Attempt::NotNow(error) => return Ok(Some(error)),
    };
    let at = app.db().clock().now();
    let documents = &app.metrics().documents;
    let (state, result, counter) = match outcome {
        Ok(result) => (FileState::Completed { since, at }, Some(result), &documents.succeeded),
        Err(reason) => {
            let reason = shortened(&reason, MAX_FILE_REASON);
            (FileState::Failed { since, at, reason }, None, &documents.failed)
        }
    };
    let Execution { org, id, .. } = task.execution;
    if app.write(async |tx| store::finish_file(tx, org, id, file.id, &state, result).await).await? {
        counter.inc();
    }
    Ok(None)
}

async fn attempt(app: &App, task: &Task, file: &FileExecution) -> Result<Attempt> {
    let Execution { org, id, use_file_history, .. } = task.execution;
    if use_file_history {
        let earlier = app
            .read(async |tx| store::earlier_result(tx, &task.execution, &file.sha256).await)
            .await?;
        if let Some(result) = earlier {
            return Ok(Attempt::Found(result));
        }
    }
    let blob = BlobId::new(org.as_i64(), id, file.id);
    let (document, len) = match app.blobs().open(&blob).await {
        Ok(opened) => opened,
        Err(blobs::Error::NotFound) => {
            tracing::error!(execution.id = %id, file.id = %file.id, "a document is lost");
            return Ok(Attempt::Failed("the document was lost; send it again".to_owned()));
        }
        Err(error) => return Err(Error::internal(error)),
    };
    let (name, declared) = (file.name.as_str(), Some(file.declared_type.as_str()));
    let extracted = app.sandbox().extract(document, len, name, declared, &task.definition).await;
    match extracted {
        Ok(extraction) => Ok(Attempt::Found(to_json(&extraction)?)),
        Err(error) if error.is_transient() => Ok(Attempt::NotNow(error)),
        Err(error) => Ok(Attempt::Failed(error.to_string())),
    }
}

fn to_json(extraction: &Extraction) -> Result<String> {
    serde_json::to_string(extraction).map_err(Error::internal)
}

/// Ends an execution whose files have all come to an end.
async fn finish(tx: &mut Tx, execution: &Execution) -> Result<()> {
    let (org, id) = (execution.org, execution.id);
    let Some(mut execution) = store::find_for_job(tx, org, id).await? else { return Ok(()) };
    if execution.state.is_over() {
        return Ok(());
    }
    settle_duplicates(tx, &execution).await?;
    let files = store::files(tx, org, id).await?;
    let event = match outcome(&files) {
        Some(reason) => Event::Failed { reason },
        None => Event::Completed,
    };
    change(tx, &mut execution, event).await?;
    let status = execution.state.status().as_str();
    tracing::info!(execution.id = %id, status, files = files.len(), "execution over");
    Ok(())
}

/// Gives every duplicate the end of the file whose content it has.
async fn settle_duplicates(tx: &mut Tx, execution: &Execution) -> Result<()> {
    let files = store::files(tx, execution.org, execution.id).await?;
    for file in files.iter().filter(|file| file.state == FileState::Pending) {
        let original = files.iter().find(|other| Some(other.id) == file.duplicate_of);
        let state = match original.map(|original| &original.state) {
            Some(state) if *state != FileState::Pending => state.clone(),
            _ => return Err(Error::internal("a file of a finished execution was not read")),
        };
        store::finish_file(tx, execution.org, execution.id, file.id, &state, None).await?;
    }
    Ok(())
}

/// Why the execution as a whole has failed: because every file of it has.
fn outcome(files: &[FileExecution]) -> Option<String> {
    let failed: Vec<String> = files.iter().filter_map(|file| file.state.error()).collect();
    match &failed[..] {
        _ if failed.len() < files.len() => None,
        [] => Some("there was no file".to_owned()),
        [reason] => Some(shortened(reason, MAX_REASON)),
        [first, ..] => {
            Some(shortened(&format!("all {} files failed: {first}", failed.len()), MAX_REASON))
        }
    }
}

/// Ends an execution that no worker could finish, in the transaction that gives up its job. What was
/// read of it is kept.
pub(crate) async fn give_up(tx: &mut Tx, org: OrgNumber, id: Id<id::Execution>) -> Result<()> {
    let Some(mut execution) = store::find_for_job(tx, org, id).await? else { return Ok(()) };
    if execution.state.is_over() {
        return Ok(());
    }
    let reason = "the server could not read this document; submit it again".to_owned();
    let state = FileState::Failed { since: None, at: tx.now(), reason };
    for file in store::files(tx, org, id).await?.iter().filter(|file| is_to_be_read(file)) {
        store::finish_file(tx, org, id, file.id, &state, None).await?;
    }
    settle_duplicates(tx, &execution).await?;
    let files = store::files(tx, org, id).await?;
    let event = match outcome(&files) {
        None if execution.state.since().is_some() => Event::Completed,
        _ => {
            let reason = "the server could not finish this execution; submit it again".to_owned();
            Event::Failed { reason }
        }
    };
    change(tx, &mut execution, event).await
}

/// Deletes the documents of an execution that is over. Doing it twice is the same as once.
pub(crate) async fn clear_away(app: &App, org: OrgNumber, id: Id<id::Execution>) -> Result<()> {
    let files = app.read(async |tx| store::files(tx, org, id).await).await?;
    for file in files {
        let blob = BlobId::new(org.as_i64(), id, file.id);
        app.blobs().delete(&blob).await.map_err(Error::internal)?;
    }
    Ok(())
}

/// Deletes documents of executions that are not under way: a server was killed while it received
/// them. Tells how many.
pub(crate) async fn clear_lost(app: &App) -> Result<u64> {
    let mut cleared = 0;
    for blob in app.blobs().older_than(LONGEST_UPLOAD).await.map_err(Error::internal)? {
        let (org, id) = (OrgNumber::from_i64(blob.org()), blob.owner());
        if app.read(async |tx| store::is_over(tx, org, id).await).await? {
            cleared += u64::from(app.blobs().delete(&blob).await.map_err(Error::internal)?);
        }
    }
    Ok(cleared)
}

fn shortened(text: &str, most: usize) -> String {
    if text.chars().count() <= most {
        return text.to_owned();
    }
    text.chars().take(most - 1).chain(['…']).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_reasons_are_cut() {
        assert_eq!(shortened("héllo", 5), "héllo");
        assert_eq!(shortened("héllo!", 5), "héll…");
    }
}
