//! `/api/v1/unstract/{org}/api/deployment/` (CONTRACT 4.2)

use axum::{
    Json,
    extract::{Path, State},
    http::{HeaderName, HeaderValue, StatusCode},
};
use keydock_core::{
    id::{self, Id, UserNumber},
    organizations::OrgName,
    text::{DeploymentDescription, DisplayName},
};
use keydock_storage::db::Tx;
use keydock_wire::{
    deployments as wire,
    errors::{ErrorEnvelope, RefusalBody},
};
use serde_json::Value;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    Changes, Deployment, Managed, NOT_FOUND, NewDeployment, ORDERINGS, Overview, Query, Run,
    Undeployed,
};
use crate::{
    App, Error, FieldError, Result,
    access::Member,
    deployment_keys::{self, NewKey},
    keys::Controls,
    web::{Fields, NO_STORE, PageRequest},
    workflows::{
        self,
        api::{co_owners, searchable},
    },
};

/// The routes of this feature.
pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(list, create)).routes(routes!(get, put, patch, delete))
}

/// Fields of a deployment that clients send back to us and that are not theirs to change.
const NOT_THEIRS: &[&str] = &[
    "api_endpoint",
    "api_key",
    "co_owners_count",
    "created_at",
    "created_by",
    "created_by_email",
    "id",
    "is_owner",
    "last_5_run_statuses",
    "last_run_time",
    "modified_at",
    "modified_by",
    "organization",
    "owner_emails",
    "run_count",
    "shared_groups",
    "shared_to_org",
    "shared_users",
    "workflow_name",
];

/// List deployments
///
/// Those that the caller may see, in pages; the one that was run last first.
#[utoipa::path(
    get,
    path = "/api/v1/unstract/{org}/api/deployment/",
    tag = "Deployments",
    params(
        ("org" = String, Path, description = "The organization's name"),
        ("workflow" = Option<String>, Query, description = "Only those of this workflow"),
        ("search" = Option<String>, Query, description = "Part of a display name"),
        ("api_name" = Option<String>, Query, description = "Only the one with this name"),
        ("ordering" = Option<String>, Query, description = "`display_name`, `created_at`, \
            `modified_at` or `last_run_time`, with `-` for descending"),
        ("page" = Option<u32>, Query, description = "Which page, from 1"),
        ("page_size" = Option<u32>, Query, description = "How many on a page: 50, at most 1000")
    ),
    responses(
        (status = 200, body = wire::DeploymentPage),
        (status = 400, body = ErrorEnvelope),
        (status = 401, body = RefusalBody),
        (status = 404, body = ErrorEnvelope, description = "There are fewer pages"),
    )
)]
async fn list(member: Member, State(app): State<App>, page: PageRequest) -> Result<Json<Value>> {
    let query = query(&page)?;
    let listed = app.read(async |tx| super::list(tx, &member, &query).await).await?;
    let rows = listed
        .deployments
        .into_iter()
        .map(|overview| serde_json::to_value(row(overview, &member)).map_err(Error::internal));
    Ok(Json(page.answer(listed.total, &rows.collect::<Result<Vec<_>>>()?)?))
}

fn query(page: &PageRequest) -> Result<Query> {
    let workflow = page.filter("workflow").map(|text| {
        let invalid = |_| FieldError::invalid("workflow", "Must be a valid UUID.");
        text.trim().parse().map_err(invalid)
    });
    let asked = page.filter("ordering").unwrap_or_default();
    let ordering = ORDERINGS.into_iter().find(|known| *known == asked);
    Ok(Query {
        workflow: workflow.transpose()?,
        search: page.filter("search").map(searchable),
        api_name: page.filter("api_name").map(searchable),
        ordering: ordering.unwrap_or(ORDERINGS[0]),
        offset: page.offset(),
        limit: page.limit(),
    })
}

/// Create a deployment
///
/// Publishes a workflow and makes the first key. The answer shows the key, for the only time.
#[utoipa::path(
    post,
    path = "/api/v1/unstract/{org}/api/deployment/",
    tag = "Deployments",
    params(("org" = String, Path, description = "The organization's name")),
    request_body = wire::CreateDeployment,
    responses(
        (status = 201, body = wire::CreatedDeployment),
        (status = 400, body = ErrorEnvelope,
            description = "A field is wrong, the name is taken, or the workflow cannot be published"),
        (status = 401, body = RefusalBody),
    )
)]
async fn create(
    member: Member,
    State(app): State<App>,
    mut fields: Fields,
) -> Result<(StatusCode, ([(HeaderName, HeaderValue); 1], Json<wire::CreatedDeployment>))> {
    fields.ignore(NOT_THEIRS);
    let display_name = fields.text_opt("display_name");
    let description = fields.text_opt("description");
    let workflow = workflow(&mut fields, true);
    let api_name = fields.text_opt("api_name");
    let is_active = fields.bool_opt("is_active").unwrap_or(true);
    fields.finish()?;
    let new = NewDeployment {
        workflow: workflow.ok_or_else(|| FieldError::required("workflow"))?,
        display_name: display_name.unwrap_or_else(default_name),
        description: description.unwrap_or_else(no_description),
        api_name,
        is_active,
    };
    let (deployment, key) = app
        .write(async |tx| {
            let created = super::create(tx, &member, new).await?;
            let key = first_key(created.deployment())?;
            let minting = app.minting();
            let issued = deployment_keys::create(tx, &created, minting, key).await?;
            Ok((created.deployment, issued))
        })
        .await?;
    let body = wire::CreatedDeployment {
        id: deployment.id.to_string(),
        api_key: key.secret.reveal(),
        api_endpoint: endpoint(member.org_name(), &deployment),
        display_name: deployment.display_name.into(),
        description: deployment.description.into(),
        api_name: deployment.api_name.into(),
        is_active: if deployment.is_active { "True" } else { "False" }.to_owned(),
    };
    Ok((StatusCode::CREATED, ([NO_STORE], Json(body))))
}

fn default_name() -> DisplayName {
    "default api".parse().expect("a constant that is a name")
}

fn no_description() -> DeploymentDescription {
    "".parse().expect("a description may be blank")
}

fn first_key(deployment: &Deployment) -> Result<NewKey> {
    let description = format!("API Key for {}", deployment.api_name);
    let description = description.parse().map_err(Error::internal)?;
    Ok(NewKey { description, is_active: true, controls: Controls::default() })
}

/// Get a deployment
#[utoipa::path(
    get,
    path = "/api/v1/unstract/{org}/api/deployment/{id}/",
    tag = "Deployments",
    params(
        ("org" = String, Path, description = "The organization's name"),
        ("id" = String, Path, description = "The deployment")
    ),
    responses(
        (status = 200, body = wire::Deployment),
        (status = 401, body = RefusalBody),
        (status = 404, body = ErrorEnvelope),
    )
)]
async fn get(
    member: Member,
    State(app): State<App>,
    Path((_, id)): Path<(String, String)>,
) -> Result<Json<wire::Deployment>> {
    let id = parse_id(&id)?;
    let deployment = app.read(async |tx| super::get(tx, &member, id).await).await?;
    Ok(Json(detail(member.org_name(), deployment)))
}

/// Change a deployment
///
/// Takes a whole row of the list: fields that are not the caller's to change are ignored.
#[utoipa::path(
    put,
    path = "/api/v1/unstract/{org}/api/deployment/{id}/",
    tag = "Deployments",
    params(
        ("org" = String, Path, description = "The organization's name"),
        ("id" = String, Path, description = "The deployment")
    ),
    request_body = wire::UpdateDeployment,
    responses(
        (status = 200, body = wire::Deployment),
        (status = 400, body = ErrorEnvelope),
        (status = 401, body = RefusalBody),
        (status = 403, body = ErrorEnvelope, description = "Neither an owner nor an admin"),
        (status = 404, body = ErrorEnvelope),
    )
)]
async fn put(
    member: Member,
    State(app): State<App>,
    Path((_, id)): Path<(String, String)>,
    mut fields: Fields,
) -> Result<Json<wire::Deployment>> {
    let changes = changes(&mut fields, true);
    fields.finish_leniently()?;
    change(member, app, &id, changes).await
}

/// Change a part of a deployment
#[utoipa::path(
    patch,
    path = "/api/v1/unstract/{org}/api/deployment/{id}/",
    tag = "Deployments",
    params(
        ("org" = String, Path, description = "The organization's name"),
        ("id" = String, Path, description = "The deployment")
    ),
    request_body = wire::UpdateDeployment,
    responses(
        (status = 200, body = wire::Deployment),
        (status = 400, body = ErrorEnvelope),
        (status = 401, body = RefusalBody),
        (status = 403, body = ErrorEnvelope, description = "Neither an owner nor an admin"),
        (status = 404, body = ErrorEnvelope),
    )
)]
async fn patch(
    member: Member,
    State(app): State<App>,
    Path((_, id)): Path<(String, String)>,
    mut fields: Fields,
) -> Result<Json<wire::Deployment>> {
    fields.ignore(NOT_THEIRS);
    let changes = changes(&mut fields, false);
    fields.finish()?;
    change(member, app, &id, changes).await
}

async fn change(
    member: Member,
    app: App,
    id: &str,
    changes: Changes,
) -> Result<Json<wire::Deployment>> {
    let id = parse_id(id)?;
    let saved = app.write(async |tx| super::update(tx, &member, id, changes).await).await?;
    Ok(Json(detail(member.org_name(), saved)))
}

/// Delete a deployment
///
/// With its keys, which stop working before the answer is written. What was run stays on record.
#[utoipa::path(
    delete,
    path = "/api/v1/unstract/{org}/api/deployment/{id}/",
    tag = "Deployments",
    params(
        ("org" = String, Path, description = "The organization's name"),
        ("id" = String, Path, description = "The deployment")
    ),
    responses(
        (status = 204),
        (status = 401, body = RefusalBody),
        (status = 403, body = ErrorEnvelope, description = "Neither an owner nor an admin"),
        (status = 404, body = ErrorEnvelope),
    )
)]
async fn delete(
    member: Member,
    State(app): State<App>,
    Path((_, id)): Path<(String, String)>,
) -> Result<StatusCode> {
    let id = parse_id(&id)?;
    app.write(async |tx| {
        let managed = super::manage(tx, &member, id).await?;
        take_down(tx, managed).await
    })
    .await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Deletes a deployment and its keys.
pub(crate) async fn take_down(tx: &mut Tx, deployment: Managed) -> Result<()> {
    let keyless = deployment_keys::revoke_all_of(tx, deployment).await?;
    super::delete(tx, keyless).await
}

/// Deletes every deployment of a workflow, with their keys.
pub(crate) async fn take_down_all_of(
    tx: &mut Tx,
    workflow: workflows::Managed,
) -> Result<Undeployed> {
    for deployment in super::all_of(tx, &workflow).await? {
        take_down(tx, deployment).await?;
    }
    super::none_left(tx, workflow).await
}

fn parse_id(text: &str) -> Result<Id<id::Deployment>> {
    text.parse().map_err(|_| NOT_FOUND)
}

fn workflow(fields: &mut Fields, is_required: bool) -> Option<Id<id::Workflow>> {
    if is_required || fields.has("workflow") { fields.id("workflow") } else { None }
}

fn changes(fields: &mut Fields, is_whole: bool) -> Changes {
    Changes {
        display_name: fields.text_opt("display_name"),
        description: fields.text_opt("description"),
        workflow: workflow(fields, is_whole),
        api_name: fields.text_opt("api_name"),
        is_active: fields.bool_opt("is_active"),
    }
}

/// The address of a deployment below that of the server.
pub(crate) fn endpoint(org: &OrgName, deployment: &Deployment) -> String {
    format!("deployment/api/{org}/{}/", deployment.api_name)
}

fn detail(org: &OrgName, deployment: Deployment) -> wire::Deployment {
    wire::Deployment {
        id: deployment.id.to_string(),
        api_endpoint: endpoint(org, &deployment),
        display_name: deployment.display_name.into(),
        description: deployment.description.into(),
        workflow: deployment.workflow.to_string(),
        api_name: deployment.api_name.into(),
        is_active: deployment.is_active,
        created_at: deployment.created_at.to_string(),
        modified_at: deployment.modified_at.to_string(),
        created_by: deployment.created_by.map(UserNumber::as_i64),
        modified_by: deployment.modified_by.map(UserNumber::as_i64),
        organization: None,
        shared_to_org: deployment.shared_to_org,
        shared_groups: Vec::new(),
        shared_users: Vec::new(),
    }
}

fn row(overview: Overview, member: &Member) -> wire::DeploymentRow {
    let Overview { deployment, run_count, last_run_at, last_runs } = overview;
    wire::DeploymentRow {
        id: deployment.id.to_string(),
        workflow: deployment.workflow.to_string(),
        api_endpoint: endpoint(member.org_name(), &deployment),
        is_owner: deployment.is_owned_by(member.caller()),
        co_owners_count: co_owners(deployment.owners.len()),
        owner_emails: deployment.owners.into_iter().map(|owner| owner.email).collect(),
        workflow_name: deployment.workflow_name.into(),
        display_name: deployment.display_name.into(),
        description: deployment.description.into(),
        is_active: deployment.is_active,
        api_name: deployment.api_name.into(),
        created_by: deployment.created_by.map(UserNumber::as_i64),
        created_by_email: deployment.created_by_email,
        last_5_run_statuses: last_runs.into_iter().map(Into::into).collect(),
        run_count,
        last_run_time: last_run_at.map(keydock_core::time::Timestamp::to_offset_string),
        created_at: deployment.created_at.to_string(),
        modified_at: deployment.modified_at.to_string(),
        shared_to_org: deployment.shared_to_org,
        shared_groups: Vec::new(),
        shared_users: Vec::new(),
    }
}

impl From<Run> for wire::RunSummary {
    fn from(run: Run) -> Self {
        let is_partial =
            run.status == "COMPLETED" && run.successful_files > 0 && run.failed_files > 0;
        Self {
            execution_id: run.id.to_string(),
            status: if is_partial { "PARTIAL_SUCCESS".to_owned() } else { run.status },
            timestamp: run.created_at.to_offset_string(),
            successful_files: run.successful_files,
            failed_files: run.failed_files,
        }
    }
}
