//! How the result of an execution looks on the wire (CONTRACT 5.5).

use std::time::Duration;

use keydock_core::{organizations::OrgName, time::Timestamp};
use keydock_engine::Extraction;
use keydock_wire::executions as wire;
use serde::Serialize;
use serde_json::{Map, Value};

use super::{Execution, FileExecution, FileState, Finished, Status, View};
use crate::{Error, Result};

/// The items of an execution; nothing if its result was forgotten.
pub(super) fn items(
    finished: Finished,
    org: &OrgName,
    view: View,
) -> Result<Option<Vec<wire::Item>>> {
    let Finished { execution, files } = finished;
    let Some(files) = files else { return Ok(None) };
    let items = files.into_iter().map(|(file, found)| item(&execution, org, view, &file, found));
    items.collect::<Result<_>>().map(Some)
}

fn item(
    execution: &Execution,
    org: &OrgName,
    view: View,
    file: &FileExecution,
    found: Option<Extraction>,
) -> Result<wire::Item> {
    let found = found.filter(|_| matches!(file.state, FileState::Completed { .. }));
    let mut item = wire::Item {
        file: file.name.to_string(),
        file_execution_id: file.id.to_string(),
        status: match file.state {
            FileState::Completed { .. } => wire::ItemStatus::Success,
            FileState::Pending | FileState::Failed { .. } => wire::ItemStatus::Failed,
        },
        error: file.state.error(),
        result: None,
        metadata: metadata(execution, org, view, file, found.as_ref()),
        extracted_text: None,
        duplicate_of: file.duplicate_of.map(|id| id.to_string()),
    };
    if let Some(found) = found {
        item.result = Some(wire::ItemResult {
            metadata: if view.metadata { Some(result_metadata(file, &found)?) } else { None },
            metrics: view.metrics.then(|| metrics(execution, file)),
            output: found.output,
        });
        item.extracted_text = view.text.then_some(found.text);
    }
    Ok(item)
}

fn result_metadata(file: &FileExecution, found: &Extraction) -> Result<wire::ResultMetadata> {
    Ok(wire::ResultMetadata {
        run_id: file.id.to_string(),
        file_name: file.name.to_string(),
        evidence: values(&found.evidence)?,
        misses: values(&found.misses)?,
        pages: found.pages,
        media_type: found.media_type.clone(),
        extraction_llm: Vec::new(),
        embedding: Vec::new(),
        context: Map::new(),
    })
}

fn metadata(
    execution: &Execution,
    org: &OrgName,
    view: View,
    file: &FileExecution,
    found: Option<&Extraction>,
) -> wire::ItemMetadata {
    wire::ItemMetadata {
        source_name: file.name.to_string(),
        source_hash: file.sha256.clone(),
        organization_id: org.to_string(),
        workflow_id: execution.workflow.to_string(),
        workflow_version: execution.workflow_version,
        execution_id: execution.id.to_string(),
        file_execution_id: file.id.to_string(),
        tags: execution.tag.iter().map(ToString::to_string).collect(),
        total_elapsed_time: took(file).as_secs_f64(),
        workflow_start_time: seconds(execution.state.since().unwrap_or(execution.created_at)),
        custom_data: execution.custom_data.clone(),
        media_type: found.map(|found| found.media_type.clone()),
        usage: (view.metadata || view.metrics).then(|| usage(file)),
    }
}

/// Rules cost nothing.
fn usage(file: &FileExecution) -> wire::Usage {
    wire::Usage {
        embedding_tokens: 0,
        prompt_tokens: 0,
        completion_tokens: 0,
        total_tokens: 0,
        cost_in_dollars: 0.0,
        file_execution_id: file.id.to_string(),
    }
}

fn metrics(execution: &Execution, file: &FileExecution) -> wire::ResultMetrics {
    let began = execution.state.since().unwrap_or(execution.created_at);
    let ended = file.state.at().unwrap_or(began);
    wire::ResultMetrics {
        queued_ms: millis(began.since(execution.created_at)),
        extraction_ms: millis(took(file)),
        total_ms: millis(ended.since(execution.created_at)),
    }
}

fn took(file: &FileExecution) -> Duration {
    match (file.state.since(), file.state.at()) {
        (Some(since), Some(at)) => at.since(since),
        _ => Duration::ZERO,
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

fn seconds(at: Timestamp) -> f64 {
    at.since(Timestamp::from_micros(0)).as_secs_f64()
}

fn values<T: Serialize>(things: &[T]) -> Result<Vec<Value>> {
    things.iter().map(|thing| serde_json::to_value(thing).map_err(Error::internal)).collect()
}

impl From<Status> for wire::ExecutionStatus {
    fn from(status: Status) -> Self {
        match status {
            Status::Pending => Self::Pending,
            Status::Executing => Self::Executing,
            Status::Completed => Self::Completed,
            Status::Stopped => Self::Stopped,
            Status::Error => Self::Error,
        }
    }
}
