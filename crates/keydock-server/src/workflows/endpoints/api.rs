//! `/api/v1/unstract/{org}/workflow/endpoint/` (CONTRACT 6.2)

use axum::{
    Json,
    extract::{Path, State},
};
use keydock_core::id::{self, Id};
use keydock_wire::{
    errors::{ErrorEnvelope, RefusalBody},
    workflows as wire,
};
use serde_json::{Map, Value};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{Endpoint, NOT_FOUND};
use crate::{
    App, FieldError, Result,
    access::Member,
    web::{Fields, PageRequest},
};

/// The routes of this part of the feature.
pub(in crate::workflows) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(list))
        .routes(routes!(list_of))
        .routes(routes!(get, put, patch))
}

/// The only kind of connection there is.
const API: &str = "API";

/// List the endpoints of workflows
///
/// Two for each workflow that the caller may see.
#[utoipa::path(
    get,
    path = "/api/v1/unstract/{org}/workflow/endpoint/",
    tag = "Workflows",
    params(
        ("org" = String, Path, description = "The organization's name"),
        ("workflow" = Option<String>, Query, description = "Only those of this workflow"),
        ("endpoint_type" = Option<String>, Query, description = "`SOURCE` or `DESTINATION`"),
        ("connection_type" = Option<String>, Query, description = "`API`, or there are none")
    ),
    responses(
        (status = 200, body = Vec<wire::WorkflowEndpoint>),
        (status = 400, body = ErrorEnvelope),
        (status = 401, body = RefusalBody),
    )
)]
async fn list(
    member: Member,
    State(app): State<App>,
    page: PageRequest,
) -> Result<Json<Vec<wire::WorkflowEndpoint>>> {
    let workflow = page.filter("workflow").map(workflow_id).transpose()?;
    let endpoints = app
        .read(async |tx| match workflow {
            Some(workflow) => super::list_of(tx, &member, workflow).await,
            None => super::list(tx, &member).await,
        })
        .await?;
    let of_side = |end: &Endpoint| {
        page.filter("endpoint_type").is_none_or(|asked| asked == end.side.as_str())
            && page.filter("connection_type").is_none_or(|asked| asked == API)
    };
    Ok(Json(endpoints.into_iter().filter(of_side).map(Into::into).collect()))
}

fn workflow_id(text: &str) -> Result<Id<id::Workflow>> {
    let invalid = |_| FieldError::invalid("workflow", "Must be a valid UUID.");
    Ok(text.trim().parse().map_err(invalid)?)
}

/// List the endpoints of a workflow
#[utoipa::path(
    get,
    path = "/api/v1/unstract/{org}/workflow/{id}/endpoint/",
    tag = "Workflows",
    params(
        ("org" = String, Path, description = "The organization's name"),
        ("id" = String, Path, description = "The workflow")
    ),
    responses(
        (status = 200, body = Vec<wire::WorkflowEndpoint>),
        (status = 401, body = RefusalBody),
        (status = 404, body = ErrorEnvelope),
    )
)]
async fn list_of(
    member: Member,
    State(app): State<App>,
    Path((_, id)): Path<(String, String)>,
) -> Result<Json<Vec<wire::WorkflowEndpoint>>> {
    let id = id.parse().map_err(|_| crate::workflows::NOT_FOUND)?;
    let ends = app.read(async |tx| super::list_of(tx, &member, id).await).await?;
    if ends.is_empty() {
        return Err(crate::workflows::NOT_FOUND);
    }
    Ok(Json(ends.into_iter().map(Into::into).collect()))
}

/// Get an endpoint
#[utoipa::path(
    get,
    path = "/api/v1/unstract/{org}/workflow/endpoint/{id}/",
    tag = "Workflows",
    params(
        ("org" = String, Path, description = "The organization's name"),
        ("id" = String, Path, description = "The endpoint")
    ),
    responses(
        (status = 200, body = wire::WorkflowEndpoint),
        (status = 401, body = RefusalBody),
        (status = 404, body = ErrorEnvelope),
    )
)]
async fn get(
    member: Member,
    State(app): State<App>,
    Path((_, id)): Path<(String, String)>,
) -> Result<Json<wire::WorkflowEndpoint>> {
    let id = id.parse().map_err(|_| NOT_FOUND)?;
    let endpoint = app.read(async |tx| super::get(tx, &member, id).await).await?;
    Ok(Json(endpoint.into()))
}

/// Set up an endpoint
///
/// Confirms that it is the API. There is nothing else that it could be.
#[utoipa::path(
    put,
    path = "/api/v1/unstract/{org}/workflow/endpoint/{id}/",
    tag = "Workflows",
    params(
        ("org" = String, Path, description = "The organization's name"),
        ("id" = String, Path, description = "The endpoint")
    ),
    request_body = wire::UpdateWorkflowEndpoint,
    responses(
        (status = 200, body = wire::WorkflowEndpoint),
        (status = 400, body = ErrorEnvelope),
        (status = 401, body = RefusalBody),
        (status = 403, body = ErrorEnvelope),
        (status = 404, body = ErrorEnvelope),
    )
)]
async fn put(
    member: Member,
    State(app): State<App>,
    Path((_, id)): Path<(String, String)>,
    fields: Fields,
) -> Result<Json<wire::WorkflowEndpoint>> {
    set_up(member, app, id, fields).await
}

/// Set up a part of an endpoint
#[utoipa::path(
    patch,
    path = "/api/v1/unstract/{org}/workflow/endpoint/{id}/",
    tag = "Workflows",
    params(
        ("org" = String, Path, description = "The organization's name"),
        ("id" = String, Path, description = "The endpoint")
    ),
    request_body = wire::UpdateWorkflowEndpoint,
    responses(
        (status = 200, body = wire::WorkflowEndpoint),
        (status = 400, body = ErrorEnvelope),
        (status = 401, body = RefusalBody),
        (status = 403, body = ErrorEnvelope),
        (status = 404, body = ErrorEnvelope),
    )
)]
async fn patch(
    member: Member,
    State(app): State<App>,
    Path((_, id)): Path<(String, String)>,
    fields: Fields,
) -> Result<Json<wire::WorkflowEndpoint>> {
    set_up(member, app, id, fields).await
}

async fn set_up(
    member: Member,
    app: App,
    id: String,
    mut fields: Fields,
) -> Result<Json<wire::WorkflowEndpoint>> {
    let id = id.parse().map_err(|_| NOT_FOUND)?;
    let endpoint = app.read(async |tx| super::manage(tx, &member, id).await).await?;
    check(&mut fields);
    fields.finish()?;
    Ok(Json(endpoint.into()))
}

fn check(fields: &mut Fields) {
    fields.ignore(&["id", "workflow", "workflow_name", "endpoint_type", "connector_instance"]);
    fields.ignore(&["created_at", "modified_at", "configuration"]);
    if let Some(kind) = fields.string_opt("connection_type")
        && !kind.eq_ignore_ascii_case(API)
    {
        fields.reject(FieldError::invalid(
            "connection_type",
            "keydock runs API endpoints only. Send API, and send documents to the deployment.",
        ));
    }
    if !matches!(fields.take("connector_instance_id"), None | Some(Value::Null)) {
        fields.reject(FieldError::invalid(
            "connector_instance_id",
            "There are no connectors here. Send null or leave it out.",
        ));
    }
}

impl From<Endpoint> for wire::WorkflowEndpoint {
    fn from(endpoint: Endpoint) -> Self {
        Self {
            id: endpoint.id.to_string(),
            workflow: endpoint.workflow.id.to_string(),
            workflow_name: endpoint.workflow.name.to_string(),
            endpoint_type: endpoint.side.as_str().to_owned(),
            connection_type: API.to_owned(),
            configuration: Map::new(),
            connector_instance: None,
            created_at: endpoint.workflow.created_at.to_string(),
            modified_at: endpoint.workflow.modified_at.to_string(),
        }
    }
}
