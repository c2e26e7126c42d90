//! `/deployment/api/{org}/{api_name}/` (CONTRACT 5)

use std::sync::Arc;

use axum::{
    Json,
    body::{Body, BodyDataStream},
    extract::{FromRequest as _, Request, State},
    http::{HeaderMap, Method, StatusCode, Uri, header, request::Parts},
};
use keydock_core::id::{self, Id};
use keydock_wire::{errors::ErrorEnvelope, executions as wire};
use serde_json::{Map, Value};
use tokio::time::Instant;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    Finished, Standing, Status, View,
    form::{self, Form},
    items::items,
    upload::{self, Draft, Paced},
};
use crate::{
    App, Error, FieldError, Result, access::still_permitted, deployments::Called, web::Fields,
};

/// The routes of this feature.
pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(submit, poll))
}

/// Run a deployment
///
/// Runs the workflow of the deployment on the documents of the request. Answers at once, or waits up
/// to `timeout` seconds for the result. An execution that was accepted will end, whatever happens to
/// the server.
#[utoipa::path(
    post,
    path = "/deployment/api/{org}/{api_name}/",
    tag = "Executions",
    params(
        ("org" = String, Path, description = "The organization's name"),
        ("api_name" = String, Path, description = "The deployment's name")
    ),
    request_body(content = wire::Submission, content_type = "multipart/form-data"),
    responses(
        (status = 200, body = wire::Submitted, description = "Accepted, or over within `timeout`"),
        (status = 400, body = ErrorEnvelope, description = "Fields are wrong; each is named"),
        (status = 401, body = ErrorEnvelope, description = "The key does not open this deployment"),
        (status = 403, body = ErrorEnvelope, description = "No key was sent"),
        (status = 404, body = ErrorEnvelope, description = "There is no such deployment, or it is inactive"),
        (status = 408, body = ErrorEnvelope, description = "The body came too slowly"),
        (status = 413, body = ErrorEnvelope, description = "The body is too large"),
        (status = 415, body = ErrorEnvelope),
        (status = 422, body = wire::Submitted, description = "The execution failed within `timeout`"),
        (status = 429, body = ErrorEnvelope, description = "Too many executions are under way"),
    )
)]
async fn submit(
    called: Called,
    State(app): State<App>,
    request: Request,
) -> Result<(StatusCode, Json<wire::Submitted>)> {
    let called = Arc::new(called);
    let (form, execution) = receive(&app, &called, request).await?;
    let Some(wait) = form.wait else {
        return Ok((StatusCode::OK, submitted(&called, execution, Status::Pending, None, None)));
    };
    super::wait(&app, called.org(), execution, Instant::now() + wait).await?;
    let standing =
        app.read(async |tx| super::standing(tx, &called, execution, false).await).await?;
    let finished = match standing {
        Standing::Ready(_) => {
            let _turn = app.completions().turn().await;
            app.write(async |tx| super::read(tx, &called, execution, false, form.view).await)
                .await?
        }
        Standing::Unfinished(_) | Standing::AlreadyRead(_) => None,
    };
    match finished {
        Some(finished) => over(&called, finished, form.view),
        None => Ok((StatusCode::OK, submitted(&called, execution, standing.status(), None, None))),
    }
}

/// The answer to somebody who waited until the end.
fn over(
    called: &Called,
    finished: Finished,
    view: View,
) -> Result<(StatusCode, Json<wire::Submitted>)> {
    let id = finished.execution.id;
    let state = finished.execution.state.clone();
    let status = state.status();
    let code =
        if status == Status::Completed { StatusCode::OK } else { StatusCode::UNPROCESSABLE_ENTITY };
    let error = state.reason().map(ToOwned::to_owned);
    let items = items(finished, called.org_name(), view)?;
    Ok((code, submitted(called, id, status, error, items)))
}

fn submitted(
    called: &Called,
    execution: Id<id::Execution>,
    status: Status,
    error: Option<String>,
    result: Option<Vec<wire::Item>>,
) -> Json<wire::Submitted> {
    // A path with a leading slash: clients put their own scheme and host in front of it.
    let (org, api_name) = (called.org_name(), &called.deployment().api_name);
    let status_api = format!("/deployment/api/{org}/{api_name}/?execution_id={execution}");
    Json(wire::Submitted {
        message: wire::SubmittedExecution {
            execution_id: execution.to_string(),
            execution_status: status.into(),
            status_api,
            error,
            result,
        },
    })
}

/// Receives a submission and has it accepted. Until it is, nothing of it stays.
async fn receive(
    app: &App,
    called: &Arc<Called>,
    request: Request,
) -> Result<(Form, Id<id::Execution>)> {
    let began = std::time::Instant::now();
    let (parts, body) = request.into_parts();
    let mut again = parts.clone();
    let mut body = Paced::new(body.into_data_stream());
    let place = match admit(app, called, &parts.headers).await {
        Ok(place) => place,
        Err(error) => {
            body.let_go();
            return Err(error);
        }
    };
    let mut draft = Draft::new(app.blobs().clone(), called.org(), place);
    let fields = match read(app, parts, &mut body, &mut draft).await {
        Ok(fields) => still_permitted(&mut again, app, began).await.map(|()| fields),
        Err(error) => Err(error),
    };
    let accepted = match fields {
        // Not ended by a client that leaves: what is accepted keeps its documents.
        Ok(fields) => tokio::spawn(accept(app.clone(), Arc::clone(called), fields, draft))
            .await
            .map_err(Error::internal)
            .flatten(),
        Err(error) => {
            draft.discard().await;
            Err(error)
        }
    };
    accepted.inspect_err(|_| body.let_go())
}

/// Reads a body: its files into the draft, the rest into fields.
async fn read(
    app: &App,
    parts: Parts,
    body: &mut Paced<BodyDataStream>,
    draft: &mut Draft,
) -> Result<Fields> {
    if let Some(boundary) = upload::boundary(content_type(&parts.headers))? {
        let texts = upload::receive(body, boundary, draft, app.config().upload_limit).await?;
        return Ok(Fields::of(texts));
    }
    let body = Body::from(upload::whole(body).await?);
    Fields::from_request(Request::from_parts(parts, body), app).await
}

async fn admit(app: &App, called: &Called, headers: &HeaderMap) -> Result<super::Place> {
    let limit = app.config().upload_limit;
    let declared = headers.get(header::CONTENT_LENGTH).and_then(|len| len.to_str().ok());
    let declared = declared.and_then(|len| len.parse().ok()).unwrap_or(0_u64);
    if declared > limit.saturating_add(upload::FRAME) {
        return Err(Error::TooLarge { limit });
    }
    app.read(async |tx| super::admit(tx, called, app.config()).await).await
}

fn content_type(headers: &HeaderMap) -> &str {
    headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default()
}

async fn accept(
    app: App,
    called: Arc<Called>,
    fields: Fields,
    mut draft: Draft,
) -> Result<(Form, Id<id::Execution>)> {
    let accepted = try_accept(&app, &called, fields, &mut draft).await;
    match &accepted {
        // When it is in doubt whether it was accepted the documents stay; if it was not, they are
        // cleared away like those of a server that was killed.
        Ok(_) | Err(Error::Internal(_) | Error::Unavailable { .. }) => draft.hand_over(),
        Err(_) => draft.discard().await,
    }
    accepted
}

async fn try_accept(
    app: &App,
    called: &Called,
    mut fields: Fields,
    draft: &mut Draft,
) -> Result<(Form, Id<id::Execution>)> {
    let mut form = Form::read(&mut fields);
    for error in draft.take_errors() {
        fields.reject(error);
    }
    fields.finish_leniently()?;
    if let Some(error) = draft.count_error() {
        return Err(error.into());
    }
    let order = std::mem::take(&mut form.order);
    let (id, files) = (draft.execution(), draft.files());
    app.write(async |tx| super::accept(tx, called, app.config(), id, order, files).await).await?;
    Ok((form, id))
}

/// Ask for an execution
///
/// 422 while it is under way. The first answer after that has the result and counts as reading it;
/// later ones are 406, unless the key that submitted the execution asks with `replay=1`.
#[utoipa::path(
    get,
    path = "/deployment/api/{org}/{api_name}/",
    tag = "Executions",
    params(
        ("org" = String, Path, description = "The organization's name"),
        ("api_name" = String, Path, description = "The deployment's name"),
        ("execution_id" = String, Query, description = "The execution"),
        ("include_metadata" = Option<bool>, Query, description = "Whether items carry `result.metadata`"),
        ("include_metrics" = Option<bool>, Query, description = "Whether items carry `result.metrics`"),
        ("include_extracted_text" = Option<bool>, Query, description = "Whether items carry the text"),
        ("replay" = Option<bool>, Query, description = "Whether to give a result again that was read before")
    ),
    responses(
        (status = 200, body = wire::Polled, description = "Completed; the items, or null once they were forgotten"),
        (status = 400, body = ErrorEnvelope, description = "`execution_id` is missing or no UUID"),
        (status = 401, body = ErrorEnvelope, description = "The key does not open this deployment"),
        (status = 403, body = ErrorEnvelope, description = "No key was sent"),
        (status = 404, body = ErrorEnvelope, description = "This deployment has no such execution"),
        (status = 406, body = wire::Polled, description = "The result was read before"),
        (status = 422, body = wire::Polled, description = "Under way, failed, or stopped; `status` tells"),
    )
)]
async fn poll(
    called: Called,
    State(app): State<App>,
    method: Method,
    uri: Uri,
) -> Result<(StatusCode, Json<wire::Polled>)> {
    let Question { id, view, replay } = Question::read(&uri)?;
    let standing = app.read(async |tx| super::standing(tx, &called, id, replay).await).await?;
    let status = match standing {
        Standing::Unfinished(status) => return Ok(polled(UNFINISHED, status, None)),
        Standing::AlreadyRead(status) => return Ok(already_read(status)),
        Standing::Ready(status) => status,
    };
    let code = if status == Status::Completed { StatusCode::OK } else { UNFINISHED };
    if method == Method::HEAD {
        // Asking for the headers of a result is not reading it.
        return Ok(polled(code, status, None));
    }
    let _turn = app.completions().turn().await;
    let finished = app.write(async |tx| super::read(tx, &called, id, replay, view).await).await?;
    let Some(finished) = finished else { return Ok(already_read(status)) };
    let items = items(finished, called.org_name(), view)?;
    Ok(polled(code, status, items.map(wire::PolledMessage::Items)))
}

/// Clients of the wire go on asking as long as they see this.
const UNFINISHED: StatusCode = StatusCode::UNPROCESSABLE_ENTITY;

fn polled(
    code: StatusCode,
    status: Status,
    message: Option<wire::PolledMessage>,
) -> (StatusCode, Json<wire::Polled>) {
    (code, Json(wire::Polled { status: status.into(), message }))
}

fn already_read(status: Status) -> (StatusCode, Json<wire::Polled>) {
    let text = "Result already acknowledged".to_owned();
    polled(StatusCode::NOT_ACCEPTABLE, status, Some(wire::PolledMessage::Text(text)))
}

/// What a client asks about which execution.
struct Question {
    id: Id<id::Execution>,
    view: View,
    replay: bool,
}

impl Question {
    fn read(uri: &Uri) -> Result<Self> {
        let query = uri.query().unwrap_or_default();
        let pairs = url::form_urlencoded::parse(query.as_bytes()).into_owned();
        let mut fields: Fields = Fields::of(
            pairs.map(|(name, value)| (name, Value::String(value))).collect::<Map<_, _>>(),
        );
        let text = fields.string_opt("execution_id").unwrap_or_default();
        let text = text.trim();
        let id = text.parse();
        match &id {
            Ok(_) => {}
            Err(_) if text.is_empty() => fields.reject(FieldError::required("execution_id")),
            Err(_) => fields.reject(FieldError::invalid(
                "execution_id",
                format!("Invalid execution_id '{text}'. Must be a valid UUID."),
            )),
        }
        let view = form::view(&mut fields);
        let replay = fields.bool_opt("replay").unwrap_or(false);
        fields.finish_leniently()?;
        Ok(Self { id: id?, view, replay })
    }
}
