//! `/api/v1/unstract/{org}/workflow/` and the schema of definitions (CONTRACT 6.1)

use std::sync::LazyLock;

use axum::{
    Json,
    extract::{Path, State},
    http::{HeaderName, HeaderValue, StatusCode, header},
};
use keydock_core::{
    id::{self, Id, UserNumber},
    text::WorkflowDescription,
};
use keydock_wire::{
    errors::{ErrorEnvelope, RefusalBody},
    workflows as wire,
};
use serde_json::{Map, Value};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    Changes, Defined, NOT_FOUND, NewDefinition, NewWorkflow, ORDERINGS, Purpose, Query, Repeats,
    endpoints, repeats,
};
use crate::{
    App, Error, FieldError, Result,
    access::Member,
    deployments,
    web::{Fields, PageRequest, fields::parse_bool},
};

/// The routes of this feature.
pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(list, create))
        .routes(routes!(get, put, patch, delete))
        .routes(routes!(validate))
        .routes(routes!(schema))
        .merge(endpoints::api::routes())
}

/// Fields of a workflow that clients send back to us and that are not theirs to change.
const NOT_THEIRS: &[&str] = &[
    "co_owners_count",
    "created_at",
    "created_by",
    "created_by_email",
    "definition_version",
    "destination_settings",
    "id",
    "is_active",
    "is_owner",
    "modified_at",
    "modified_by",
    "organization",
    "owner_emails",
    "shared_groups",
    "shared_to_org",
    "source_settings",
    "status",
    "tool_instances",
    "workflow_owner",
];

/// List workflows
///
/// Those that the caller may see, without their definitions. In pages if `page` or `page_size` is
/// given, otherwise all at once.
#[utoipa::path(
    get,
    path = "/api/v1/unstract/{org}/workflow/",
    tag = "Workflows",
    params(
        ("org" = String, Path, description = "The organization's name"),
        ("workflow_name" = Option<String>, Query, description = "Only the one with this name"),
        ("search" = Option<String>, Query, description = "Part of a name, or of an owner's address"),
        ("is_active" = Option<bool>, Query, description = "Only those that may, or may not, be used"),
        ("workflow_owner" = Option<i64>, Query, description = "Only those that this user created"),
        ("ordering" = Option<String>, Query,
            description = "`workflow_name`, `created_at` or `modified_at`, with `-` for descending"),
        ("page" = Option<u32>, Query, description = "Which page, from 1"),
        ("page_size" = Option<u32>, Query, description = "How many on a page: 50, at most 1000")
    ),
    responses(
        (status = 200, body = wire::WorkflowPage, description = "A page, or its bare `results`"),
        (status = 401, body = RefusalBody),
        (status = 404, body = ErrorEnvelope, description = "There are fewer pages"),
    )
)]
async fn list(member: Member, State(app): State<App>, page: PageRequest) -> Result<Json<Value>> {
    let query = query(&page)?;
    let listed = app.read(async |tx| super::list(tx, &member, &query).await).await?;
    let rows = listed.workflows.into_iter().map(|workflow| {
        let row = row(Defined { workflow, definition: None }, &member);
        serde_json::to_value(row).map_err(Error::internal)
    });
    let rows = rows.collect::<Result<Vec<_>>>()?;
    if page.is_asked() {
        return Ok(Json(page.answer(listed.total, &rows)?));
    }
    Ok(Json(Value::Array(rows)))
}

fn query(page: &PageRequest) -> Result<Query> {
    let all = Query::default();
    let (offset, limit) =
        if page.is_asked() { (page.offset(), page.limit()) } else { (0, all.limit) };
    let asked = page.filter("ordering").unwrap_or_default();
    let created_by = page.filter("workflow_owner").map(|text| {
        let invalid = |_| FieldError::invalid("workflow_owner", "A valid integer is required.");
        text.trim().parse().map(UserNumber::from_i64).map_err(invalid)
    });
    Ok(Query {
        name: page.filter("workflow_name").map(searchable),
        search: page.filter("search").map(searchable),
        is_active: page.filter("is_active").and_then(parse_bool),
        created_by: created_by.transpose()?,
        ordering: ORDERINGS.into_iter().find(|known| *known == asked).unwrap_or(all.ordering),
        offset,
        limit,
    })
}

/// A text to look for. No stored text holds a null character, and PostgreSQL takes none.
pub(crate) fn searchable(text: &str) -> String {
    text.replace('\0', "\u{fffd}")
}

/// Create a workflow
#[utoipa::path(
    post,
    path = "/api/v1/unstract/{org}/workflow/",
    tag = "Workflows",
    params(("org" = String, Path, description = "The organization's name")),
    request_body = wire::CreateWorkflow,
    responses(
        (status = 201, body = wire::Workflow),
        (status = 400, body = ErrorEnvelope,
            description = "A field is wrong, the name is taken, or the definition has mistakes"),
        (status = 401, body = RefusalBody),
    )
)]
async fn create(
    member: Member,
    State(app): State<App>,
    mut fields: Fields,
) -> Result<(StatusCode, Json<wire::Workflow>)> {
    fields.ignore(NOT_THEIRS);
    let name = fields.text("workflow_name");
    let description = fields.text_opt("description");
    let purpose = purpose(&mut fields).unwrap_or_default();
    let repeats = read_repeats(&mut fields).unwrap_or_default();
    let definition = definition(&mut fields).await?;
    fields.finish()?;
    let Some(name) = name else { return Err(FieldError::required("workflow_name").into()) };
    let description = description.unwrap_or_else(no_description);
    let new = NewWorkflow { name, description, purpose, repeats, definition };
    let created = app.write(async |tx| super::create(tx, &member, new).await).await?;
    Ok((StatusCode::CREATED, Json(row(created, &member))))
}

fn no_description() -> WorkflowDescription {
    "".parse().expect("a description may be blank")
}

/// Get a workflow
#[utoipa::path(
    get,
    path = "/api/v1/unstract/{org}/workflow/{id}/",
    tag = "Workflows",
    params(
        ("org" = String, Path, description = "The organization's name"),
        ("id" = String, Path, description = "The workflow")
    ),
    responses(
        (status = 200, body = wire::Workflow),
        (status = 401, body = RefusalBody),
        (status = 404, body = ErrorEnvelope),
    )
)]
async fn get(
    member: Member,
    State(app): State<App>,
    Path((_, id)): Path<(String, String)>,
) -> Result<Json<wire::Workflow>> {
    let id = parse_id(&id)?;
    let found = app.read(async |tx| super::get(tx, &member, id).await).await?;
    Ok(Json(row(found, &member)))
}

/// Change a workflow
///
/// A new definition becomes a new version; runs that were accepted before keep theirs.
#[utoipa::path(
    put,
    path = "/api/v1/unstract/{org}/workflow/{id}/",
    tag = "Workflows",
    params(
        ("org" = String, Path, description = "The organization's name"),
        ("id" = String, Path, description = "The workflow")
    ),
    request_body = wire::UpdateWorkflow,
    responses(
        (status = 200, body = wire::Workflow),
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
) -> Result<Json<wire::Workflow>> {
    if !fields.has("workflow_name") {
        fields.reject(FieldError::required("workflow_name"));
    }
    change(member, app, &id, fields).await
}

/// Change a part of a workflow
#[utoipa::path(
    patch,
    path = "/api/v1/unstract/{org}/workflow/{id}/",
    tag = "Workflows",
    params(
        ("org" = String, Path, description = "The organization's name"),
        ("id" = String, Path, description = "The workflow")
    ),
    request_body = wire::UpdateWorkflow,
    responses(
        (status = 200, body = wire::Workflow),
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
    fields: Fields,
) -> Result<Json<wire::Workflow>> {
    change(member, app, &id, fields).await
}

async fn change(
    member: Member,
    app: App,
    id: &str,
    mut fields: Fields,
) -> Result<Json<wire::Workflow>> {
    let id = parse_id(id)?;
    fields.ignore(NOT_THEIRS);
    let changes = Changes {
        name: fields.text_opt("workflow_name"),
        description: fields.text_opt("description"),
        purpose: purpose(&mut fields),
        repeats: read_repeats(&mut fields),
        definition: definition(&mut fields).await?,
    };
    fields.finish()?;
    let saved = app
        .write(async |tx| {
            let managed = super::manage(tx, &member, id).await?;
            super::update(tx, managed, changes).await
        })
        .await?;
    Ok(Json(row(saved, &member)))
}

/// Delete a workflow
///
/// With its deployments and their keys, which stop working before the answer is written. What was
/// run stays on record.
#[utoipa::path(
    delete,
    path = "/api/v1/unstract/{org}/workflow/{id}/",
    tag = "Workflows",
    params(
        ("org" = String, Path, description = "The organization's name"),
        ("id" = String, Path, description = "The workflow")
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
        let undeployed = deployments::api::take_down_all_of(tx, managed).await?;
        super::delete(tx, undeployed).await
    })
    .await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Check a definition
///
/// Without keeping it. Every mistake is told, at its place.
#[utoipa::path(
    post,
    path = "/api/v1/unstract/{org}/workflow/validate/",
    tag = "Workflows",
    params(("org" = String, Path, description = "The organization's name")),
    request_body = wire::ValidateDefinition,
    responses(
        (status = 200, body = wire::ValidDefinition),
        (status = 400, body = ErrorEnvelope, description = "The definition has mistakes"),
        (status = 401, body = RefusalBody),
    )
)]
async fn validate(_: Member, mut fields: Fields) -> Result<Json<wire::ValidDefinition>> {
    let was_sent = fields.has("definition");
    let checked = definition(&mut fields).await?;
    fields.finish()?;
    if checked.is_none() {
        let code = if was_sent { "null" } else { "required" };
        let detail = "Send a definition: YAML or JSON in a text, or a JSON object.";
        return Err(FieldError::new("definition", code, detail).into());
    }
    Ok(Json(wire::ValidDefinition { valid: true }))
}

/// Show the schema of definitions
///
/// A JSON Schema, for editors and programs.
#[utoipa::path(
    get,
    path = "/api/v1/schemas/workflow-definition.json",
    tag = "Workflows",
    security(()),
    responses((status = 200, description = "A JSON Schema"))
)]
async fn schema() -> ([(HeaderName, HeaderValue); 2], &'static str) {
    static SCHEMA: LazyLock<String> =
        LazyLock::new(|| keydock_core::workflows::json_schema().to_string());
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static("application/schema+json")),
        (header::CACHE_CONTROL, HeaderValue::from_static("public, max-age=3600")),
    ];
    (headers, &SCHEMA)
}

fn parse_id(text: &str) -> Result<Id<id::Workflow>> {
    text.parse().map_err(|_| NOT_FOUND)
}

fn purpose(fields: &mut Fields) -> Option<Purpose> {
    let sent = fields.string_opt("deployment_type")?;
    let parsed = sent.parse();
    if let Err(error) = &parsed {
        let sent: String = sent.chars().take(64).collect();
        let detail = format!("\"{sent}\" is not a valid choice: {error}.");
        fields.reject(FieldError::new("deployment_type", "invalid_choice", detail));
    }
    parsed.ok()
}

/// Null means that there is no limit; a field that is left out changes nothing.
fn read_repeats(fields: &mut Fields) -> Option<Repeats> {
    if !fields.has("max_file_execution_count") {
        return None;
    }
    let sent = fields.int_opt("max_file_execution_count");
    repeats(sent).map_err(|error| fields.reject(error)).ok()
}

/// Null leaves the definition as it is: that is how it looks in a row without one.
async fn definition(fields: &mut Fields) -> Result<Option<NewDefinition>> {
    let Some(sent) = fields.take("definition").filter(|sent| !sent.is_null()) else {
        return Ok(None);
    };
    // Hundreds of patterns take a while to compile.
    let checked = tokio::task::spawn_blocking(|| NewDefinition::parse(sent)).await;
    match checked.map_err(Error::internal)? {
        Ok(definition) => Ok(Some(definition)),
        Err(errors) => {
            for error in errors {
                fields.reject(error);
            }
            Ok(None)
        }
    }
}

fn row(defined: Defined, member: &Member) -> wire::Workflow {
    let Defined { workflow, definition } = defined;
    let is_owner = workflow.is_owned_by(member.caller());
    wire::Workflow {
        id: workflow.id.to_string(),
        is_owner,
        co_owners_count: co_owners(workflow.owners.len()),
        owner_emails: workflow.owners.into_iter().map(|owner| owner.email).collect(),
        workflow_name: workflow.name.to_string(),
        description: workflow.description.to_string(),
        is_active: workflow.is_active,
        status: String::new(),
        deployment_type: workflow.purpose.as_str().to_owned(),
        source_settings: Map::new(),
        destination_settings: Map::new(),
        max_file_execution_count: workflow.repeats.limit(),
        workflow_owner: workflow.created_by.map(UserNumber::as_i64),
        created_by: workflow.created_by.map(UserNumber::as_i64),
        created_by_email: workflow.created_by_email,
        modified_by: workflow.modified_by.map(UserNumber::as_i64),
        organization: None,
        shared_to_org: workflow.shared_to_org,
        shared_groups: Vec::new(),
        tool_instances: Vec::new(),
        created_at: workflow.created_at.to_string(),
        modified_at: workflow.modified_at.to_string(),
        definition_version: workflow.version,
        definition,
    }
}

/// How many owners there are besides the first.
pub(crate) fn co_owners(owners: usize) -> i64 {
    i64::try_from(owners.saturating_sub(1)).unwrap_or(i64::MAX)
}
