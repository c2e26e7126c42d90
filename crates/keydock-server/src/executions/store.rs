//! The `executions` and `file_executions` tables.

use std::str::FromStr;

use keydock_core::{
    id::{self, Id, OrgNumber},
    time::Timestamp,
};
use keydock_engine::Extraction;
use keydock_storage::db::{self, FromRow, Row, Tx, args};
use serde_json::{Map, Value};

use super::{
    DeclaredType, Execution, FileExecution, FileName, FileState, NewFile, Running, State, Status,
};
use crate::Result;

/// Counts an accepted run, and so makes the others of the organization wait for the end of this
/// transaction.
pub(super) async fn lock(tx: &mut Tx, org: OrgNumber) -> Result<()> {
    let sql = "UPDATE organizations SET executions = executions + 1 WHERE id = $1";
    tx.execute(sql, args![org]).await?;
    Ok(())
}

/// How many runs are not over: of the organization, and of all.
pub(super) async fn running(tx: &mut Tx, org: OrgNumber) -> Result<Running> {
    let sql = "SELECT COUNT(*) FILTER (WHERE org_id = $1) AS of_org, COUNT(*) AS of_all
               FROM executions WHERE finished_at IS NULL";
    Ok(tx.fetch_one(sql, args![org]).await?)
}

pub(super) async fn insert(tx: &mut Tx, execution: &Execution) -> Result<()> {
    let sql = "INSERT INTO executions (id, org_id, deployment_id, workflow_id, workflow_version,
                                       key_id, status, tag, custom_data, use_file_history,
                                       created_at)
               VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)";
    let values = args![
        execution.id,
        execution.org,
        execution.deployment,
        execution.workflow,
        execution.workflow_version,
        execution.key,
        execution.state.status().as_str(),
        execution.tag.as_ref().map(ToString::to_string),
        execution.custom_data.clone().map(|members| Value::Object(members).to_string()),
        execution.use_file_history,
        execution.created_at
    ];
    tx.execute(sql, values).await?;
    Ok(())
}

pub(super) async fn insert_file(
    tx: &mut Tx,
    execution: &Execution,
    position: usize,
    file: &NewFile,
    duplicate_of: Option<Id<id::FileExecution>>,
    state: &FileState,
) -> Result<()> {
    let sql =
        "INSERT INTO file_executions (id, org_id, execution_id, position, name, declared_type,
                                            size, sha256, duplicate_of, status, error, started_at,
                                            finished_at)
               VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)";
    let values = args![
        file.id,
        execution.org,
        execution.id,
        i64::try_from(position).unwrap_or(i64::MAX),
        file.name.as_str(),
        file.declared_type.as_str(),
        i64::try_from(file.size).unwrap_or(i64::MAX),
        &file.sha256,
        duplicate_of,
        state.as_str(),
        state.error(),
        state.since(),
        state.at()
    ];
    tx.execute(sql, values).await?;
    Ok(())
}

/// A run of one deployment.
pub(super) async fn find(
    tx: &mut Tx,
    org: OrgNumber,
    deployment: Id<id::Deployment>,
    id: Id<id::Execution>,
) -> Result<Option<Execution>> {
    let sql = "SELECT id, org_id, deployment_id, workflow_id, workflow_version, key_id, status,
                      error, tag, custom_data, use_file_history, created_at, started_at,
                      finished_at, acknowledged_at, forgotten_at
               FROM executions WHERE org_id = $1 AND deployment_id = $2 AND id = $3";
    Ok(tx.fetch_optional(sql, args![org, deployment, id]).await?)
}

/// A run that a job of ours is about.
pub(super) async fn find_for_job(
    tx: &mut Tx,
    org: OrgNumber,
    id: Id<id::Execution>,
) -> Result<Option<Execution>> {
    let sql = "SELECT id, org_id, deployment_id, workflow_id, workflow_version, key_id, status,
                      error, tag, custom_data, use_file_history, created_at, started_at,
                      finished_at, acknowledged_at, forgotten_at
               FROM executions WHERE org_id = $1 AND id = $2";
    Ok(tx.fetch_optional(sql, args![org, id]).await?)
}

/// Whether a run is over; one that does not exist is.
pub(super) async fn is_over(tx: &mut Tx, org: OrgNumber, id: Id<id::Execution>) -> Result<bool> {
    let sql = "SELECT COUNT(*) FROM executions
               WHERE org_id = $1 AND id = $2 AND finished_at IS NULL";
    let unfinished: i64 = tx.fetch_one(sql, args![org, id]).await?;
    Ok(unfinished == 0)
}

/// Writes down how far a run is. `false` if it was over already: then nothing is changed.
pub(super) async fn set_state(
    tx: &mut Tx,
    org: OrgNumber,
    id: Id<id::Execution>,
    state: &State,
) -> Result<bool> {
    let sql = "UPDATE executions SET status = $3, error = $4, started_at = $5, finished_at = $6
               WHERE org_id = $1 AND id = $2 AND finished_at IS NULL";
    let values = args![
        org,
        id,
        state.status().as_str(),
        state.reason().map(ToOwned::to_owned),
        state.since(),
        state.at()
    ];
    Ok(tx.execute(sql, values).await? == 1)
}

/// Notes that the result of a run is being read. `false` if somebody else was faster: of any number
/// of readers at the same time, one is told `true`.
pub(super) async fn acknowledge(
    tx: &mut Tx,
    org: OrgNumber,
    deployment: Id<id::Deployment>,
    id: Id<id::Execution>,
) -> Result<bool> {
    let sql = "UPDATE executions SET acknowledged_at = $4
               WHERE org_id = $1 AND deployment_id = $2 AND id = $3
                 AND finished_at IS NOT NULL AND acknowledged_at IS NULL";
    Ok(tx.execute(sql, args![org, deployment, id, tx.now()]).await? == 1)
}

/// The files of a run, in the order of the request.
pub(super) async fn files(
    tx: &mut Tx,
    org: OrgNumber,
    execution: Id<id::Execution>,
) -> Result<Vec<FileExecution>> {
    let sql = "SELECT id, name, declared_type, size, sha256, duplicate_of, status, error,
                      started_at, finished_at
               FROM file_executions WHERE org_id = $1 AND execution_id = $2 ORDER BY position";
    Ok(tx.fetch_all(sql, args![org, execution]).await?)
}

/// What was found in the files of a run, by file.
pub(super) async fn extractions(
    tx: &mut Tx,
    org: OrgNumber,
    execution: Id<id::Execution>,
) -> Result<Vec<(Id<id::FileExecution>, Extraction)>> {
    let sql = "SELECT id, result FROM file_executions
               WHERE org_id = $1 AND execution_id = $2 AND result IS NOT NULL";
    let found: Vec<Found> = tx.fetch_all(sql, args![org, execution]).await?;
    Ok(found.into_iter().map(|found| (found.file, found.extraction.0)).collect())
}

/// Writes down what became of a file. `false` if that was known already: then nothing is changed.
pub(super) async fn finish_file(
    tx: &mut Tx,
    org: OrgNumber,
    execution: Id<id::Execution>,
    file: Id<id::FileExecution>,
    state: &FileState,
    result: Option<String>,
) -> Result<bool> {
    let sql = "UPDATE file_executions
               SET status = $4, error = $5, result = $6, started_at = $7, finished_at = $8
               WHERE org_id = $1 AND execution_id = $2 AND id = $3 AND status = 'PENDING'";
    let values = args![
        org,
        execution,
        file,
        state.as_str(),
        state.error(),
        result,
        state.since(),
        state.at()
    ];
    Ok(tx.execute(sql, values).await? == 1)
}

/// What the same version of the workflow found in the same content before, where that is still known.
pub(super) async fn earlier_result(
    tx: &mut Tx,
    execution: &Execution,
    sha256: &str,
) -> Result<Option<String>> {
    let sql = "SELECT f.result
               FROM file_executions f JOIN executions e ON e.id = f.execution_id
               WHERE f.org_id = $1 AND f.sha256 = $2 AND f.result IS NOT NULL
                 AND e.org_id = $1 AND e.workflow_id = $3 AND e.workflow_version = $4
               ORDER BY f.finished_at DESC, f.id DESC LIMIT 1";
    let values = args![execution.org, sha256, execution.workflow, execution.workflow_version];
    Ok(tx.fetch_optional(sql, values).await?)
}

/// Forgets the results of up to `count` runs that were over before an instant. Tells how many.
///
/// An exception to the rule that every statement names the organization, as are the next two: age
/// is the same for all.
pub(super) async fn forget_results(tx: &mut Tx, before: Timestamp, count: i64) -> Result<u64> {
    let sql = "UPDATE executions
               SET forgotten_at = $1, error = NULL, tag = NULL, custom_data = NULL
               WHERE id IN (SELECT id FROM executions
                            WHERE finished_at < $2 AND forgotten_at IS NULL
                            ORDER BY finished_at LIMIT $3)";
    let touched = tx.execute(sql, args![tx.now(), before, count]).await?;
    let sql = "DELETE FROM file_executions
               WHERE execution_id IN (SELECT id FROM executions WHERE forgotten_at = $1)";
    tx.execute(sql, args![tx.now()]).await?;
    Ok(touched)
}

/// Forgets up to `count` runs whose results were forgotten and that were over before an instant.
/// Tells how many.
pub(super) async fn forget_runs(tx: &mut Tx, before: Timestamp, count: i64) -> Result<u64> {
    let sql = "DELETE FROM executions
               WHERE id IN (SELECT id FROM executions
                            WHERE finished_at < $1 AND forgotten_at IS NOT NULL
                            ORDER BY finished_at LIMIT $2)";
    Ok(tx.execute(sql, args![before, count]).await?)
}

struct Found {
    file: Id<id::FileExecution>,
    extraction: Stored,
}

/// A result as it is stored: JSON.
struct Stored(Extraction);

impl FromStr for Stored {
    type Err = serde_json::Error;

    fn from_str(text: &str) -> Result<Self, serde_json::Error> {
        serde_json::from_str(text).map(Self)
    }
}

impl FromRow for Found {
    fn from_row(row: &Row) -> Result<Self, db::Error> {
        Ok(Self { file: row.parse("id")?, extraction: row.parse("result")? })
    }
}

/// A JSON object in a column.
struct Object(Map<String, Value>);

impl FromStr for Object {
    type Err = serde_json::Error;

    fn from_str(text: &str) -> Result<Self, serde_json::Error> {
        serde_json::from_str(text).map(Self)
    }
}

impl FromRow for Running {
    fn from_row(row: &Row) -> Result<Self, db::Error> {
        Ok(Self { of_org: row.int("of_org")?, of_all: row.int("of_all")? })
    }
}

impl FromRow for State {
    fn from_row(row: &Row) -> Result<Self, db::Error> {
        let since = row.time_opt("started_at")?;
        Ok(match row.parse("status")? {
            Status::Pending => Self::Pending,
            Status::Executing => Self::Executing { since: row.time("started_at")? },
            Status::Completed => {
                Self::Completed { since: row.time("started_at")?, at: row.time("finished_at")? }
            }
            Status::Stopped => Self::Stopped { since, at: row.time("finished_at")? },
            Status::Error => Self::Failed {
                since,
                at: row.time("finished_at")?,
                reason: row.text_opt("error")?.unwrap_or_default(),
            },
        })
    }
}

impl FromRow for Execution {
    fn from_row(row: &Row) -> Result<Self, db::Error> {
        let custom_data: Option<Object> = row.parse_opt("custom_data")?;
        Ok(Self {
            id: row.parse("id")?,
            org: OrgNumber::from_i64(row.int("org_id")?),
            deployment: row.parse("deployment_id")?,
            workflow: row.parse("workflow_id")?,
            workflow_version: row.int("workflow_version")?,
            key: row.parse("key_id")?,
            state: State::from_row(row)?,
            tag: row.parse_opt("tag")?,
            custom_data: custom_data.map(|object| object.0),
            use_file_history: row.bool("use_file_history")?,
            created_at: row.time("created_at")?,
            acknowledged_at: row.time_opt("acknowledged_at")?,
            forgotten_at: row.time_opt("forgotten_at")?,
        })
    }
}

impl FromRow for FileExecution {
    fn from_row(row: &Row) -> Result<Self, db::Error> {
        Ok(Self {
            id: row.parse("id")?,
            name: FileName::shown(&row.text("name")?),
            declared_type: DeclaredType::of(Some(&row.text("declared_type")?)),
            size: u64::try_from(row.int("size")?).unwrap_or_default(),
            sha256: row.text("sha256")?,
            duplicate_of: row.parse_opt("duplicate_of")?,
            state: FileState::from_row(row)?,
        })
    }
}

impl FromRow for FileState {
    fn from_row(row: &Row) -> Result<Self, db::Error> {
        let since = row.time_opt("started_at")?;
        Ok(match row.text("status")?.as_str() {
            "COMPLETED" => Self::Completed { since, at: row.time("finished_at")? },
            "ERROR" => {
                Self::Failed { since, at: row.time("finished_at")?, reason: row.text("error")? }
            }
            _ => Self::Pending,
        })
    }
}
