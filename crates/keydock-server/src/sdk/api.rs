//! `/platform_details`, `/cache`, `/usage` and what else tools ask for, at the root and without slashes
//! at the end (CONTRACT 8.2).

use axum::{
    Json,
    extract::{RawQuery, State},
};
use keydock_wire::sdk as wire;
use percent_encoding::percent_decode_str;
use serde_json::Value;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{CacheKey, CacheValue, LARGEST_VALUE, Pages, Tokens};
use crate::{
    App, Error, FieldError, Result,
    access::Tool,
    web::{Fields, fields::FieldsUpTo},
};

/// The longest text in a report, in characters.
const LONGEST: usize = 255;

/// A body with the largest value, in which every character of it may be escaped.
const LARGEST_BODY: usize = 6 * LARGEST_VALUE + 64 * 1024;

/// The routes of this feature.
pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(ping))
        .routes(routes!(platform_details))
        .routes(routes!(cached, cache, uncache))
        .routes(routes!(usage))
        .routes(routes!(page_usage))
        .routes(routes!(adapter_instance))
        .routes(routes!(custom_tool_instance))
        .routes(routes!(agentic_tool_instance))
        .routes(routes!(llm_profile_instance))
}

/// Answer a tool that asks whether anybody is there
#[utoipa::path(get, path = "/ping", tag = "SDK", responses((status = 200, body = String)))]
async fn ping() -> &'static str {
    "Pong"
}

/// Tell whose platform key this is
#[utoipa::path(
    get,
    path = "/platform_details",
    tag = "SDK",
    responses(
        (status = 200, body = wire::PlatformDetails),
        (status = 401, body = String, content_type = "text/html"),
    )
)]
async fn platform_details(tool: Tool) -> Json<wire::PlatformDetails> {
    let details = wire::Details { organization_id: tool.org_name().to_string() };
    Json(wire::PlatformDetails { status: "OK".to_owned(), details })
}

/// Read a value from the cache
///
/// Everything behind `key=` is the name, percent-decoded: tools do not encode it.
#[utoipa::path(
    get,
    path = "/cache",
    tag = "SDK",
    params(("key" = String, Query, description = "What the value is called")),
    responses(
        (status = 200, body = String),
        (status = 400, body = String, description = "`Bad Request`: there is no key"),
        (status = 401, body = String, content_type = "text/html"),
        (status = 404, body = String, description = "`Not Found`"),
    )
)]
async fn cached(tool: Tool, State(app): State<App>, RawQuery(query): RawQuery) -> Result<String> {
    let key = asked_key(query.as_deref())?;
    app.read(async |tx| super::cached(tx, &tool, &key).await).await
}

/// Put a value into the cache
///
/// It stays for seven days. An organization has at most 1,000; those that would end first make room.
#[utoipa::path(
    post,
    path = "/cache",
    tag = "SDK",
    request_body = wire::CacheEntry,
    responses(
        (status = 200, body = String, description = "`OK`"),
        (status = 400, body = String, description = "`Bad Request`: a part is missing"),
        (status = 401, body = String, content_type = "text/html"),
        (status = 413, body = String),
    )
)]
async fn cache(
    tool: Tool,
    State(app): State<App>,
    FieldsUpTo(mut fields): FieldsUpTo<LARGEST_BODY>,
) -> Result<&'static str> {
    let key = fields.string("key");
    let value = fields.string("value");
    fields.finish_leniently()?;
    let key: CacheKey = key.unwrap_or_default().parse()?;
    let value = CacheValue::try_from(value.unwrap_or_default())?;
    app.write(async |tx| super::cache(tx, &tool, &key, &value).await).await?;
    Ok("OK")
}

/// Drop a value from the cache
#[utoipa::path(
    delete,
    path = "/cache",
    tag = "SDK",
    params(("key" = String, Query, description = "What the value is called")),
    responses(
        (status = 200, body = String, description = "`OK`, also if it was not there"),
        (status = 400, body = String, description = "`Bad Request`: there is no key"),
        (status = 401, body = String, content_type = "text/html"),
    )
)]
async fn uncache(
    tool: Tool,
    State(app): State<App>,
    RawQuery(query): RawQuery,
) -> Result<&'static str> {
    let key = asked_key(query.as_deref())?;
    app.write(async |tx| super::uncache(tx, &tool, &key).await).await?;
    Ok("OK")
}

/// The name in the query, as the SDK writes it: neither `&` nor `+` means anything.
fn asked_key(query: Option<&str>) -> Result<CacheKey> {
    let written = query.and_then(|query| query.strip_prefix("key="));
    let written = written.ok_or(Error::MissingField { field: "key" })?;
    let key = percent_decode_str(written).decode_utf8();
    key.map_err(|_| Error::invalid("key", "Write it in UTF-8."))?.parse()
}

/// Report the tokens that a model took
///
/// Kept for 400 days. Members may be left out; those that are not known are ignored.
#[utoipa::path(
    post,
    path = "/usage",
    tag = "SDK",
    request_body = wire::Usage,
    responses(
        (status = 200, body = wire::UsageStored),
        (status = 400, body = wire::UsageStored),
        (status = 401, body = String, content_type = "text/html"),
    )
)]
async fn usage(
    tool: Tool,
    State(app): State<App>,
    mut fields: Fields,
) -> Result<Json<wire::UsageStored>> {
    refuse_empty(&fields)?;
    let used = Tokens {
        workflow_id: text(&mut fields, "workflow_id"),
        execution_id: text(&mut fields, "execution_id"),
        adapter_id: text(&mut fields, "adapter_instance_id"),
        run_id: text(&mut fields, "run_id"),
        usage_type: text(&mut fields, "usage_type"),
        reason: text(&mut fields, "llm_usage_reason"),
        model_name: text(&mut fields, "model_name"),
        provider: text(&mut fields, "provider"),
        embedding_tokens: count(&mut fields, "embedding_tokens"),
        prompt_tokens: count(&mut fields, "prompt_tokens"),
        completion_tokens: count(&mut fields, "completion_tokens"),
        total_tokens: count(&mut fields, "total_tokens"),
        nanodollars: nanodollars(&mut fields, "cost_in_dollars"),
    };
    fields.finish_leniently()?;
    let id = app.write(async |tx| super::report_tokens(tx, &tool, &used).await).await?;
    Ok(Json(stored(id.to_string())))
}

/// Report the pages that a document had
///
/// Kept for 400 days. Members may be left out; those that are not known are ignored.
#[utoipa::path(
    post,
    path = "/page-usage",
    tag = "SDK",
    request_body = wire::PageUsage,
    responses(
        (status = 200, body = wire::UsageStored),
        (status = 400, body = wire::UsageStored),
        (status = 401, body = String, content_type = "text/html"),
    )
)]
async fn page_usage(
    tool: Tool,
    State(app): State<App>,
    mut fields: Fields,
) -> Result<Json<wire::UsageStored>> {
    refuse_empty(&fields)?;
    let used = Pages {
        run_id: text(&mut fields, "run_id"),
        file_name: text(&mut fields, "file_name"),
        file_type: text(&mut fields, "file_type"),
        file_size: count(&mut fields, "file_size"),
        page_count: count(&mut fields, "page_count"),
    };
    fields.finish_leniently()?;
    let id = app.write(async |tx| super::report_pages(tx, &tool, &used).await).await?;
    Ok(Json(stored(id.to_string())))
}

fn stored(unique_id: String) -> wire::UsageStored {
    wire::UsageStored { status: "OK".to_owned(), error: String::new(), unique_id }
}

fn refuse_empty(fields: &Fields) -> Result<()> {
    if fields.is_empty() {
        return Err(Error::Malformed { detail: "Bad Request / No payload".to_owned() });
    }
    Ok(())
}

/// A text; blank if it was left out or is null.
fn text(fields: &mut Fields, name: &'static str) -> String {
    if fields.is_null(name) {
        return String::new();
    }
    let text = fields.string_opt(name).unwrap_or_default();
    if text.chars().count() > LONGEST {
        let detail = format!("Ensure this field has no more than {LONGEST} characters.");
        fields.reject(FieldError::new(name, "max_length", detail));
    }
    if text.contains('\0') {
        fields.reject(FieldError::invalid(name, "Must not hold NUL."));
    }
    text
}

/// A number that is not negative; 0 if it was left out.
fn count(fields: &mut Fields, name: &'static str) -> i64 {
    let count = fields.int_opt(name).unwrap_or(0);
    if count < 0 {
        let detail = "Ensure this value is greater than or equal to 0.";
        fields.reject(FieldError::new(name, "min_value", detail));
    }
    count
}

/// A sum of money in billionths of a dollar; 0 if it was left out.
fn nanodollars(fields: &mut Fields, name: &'static str) -> i64 {
    let dollars = match fields.take(name) {
        None | Some(Value::Null) => Some(0.0),
        Some(Value::Number(number)) => number.as_f64(),
        Some(Value::String(text)) => text.trim().parse().ok(),
        Some(_) => None,
    };
    let Some(dollars) = dollars.filter(|dollars: &f64| (0.0..=1e9).contains(dollars)) else {
        fields.reject(FieldError::invalid(name, "A sum from 0 to 1000000000 is required."));
        return 0;
    };
    #[expect(clippy::cast_possible_truncation, reason = "1e18 fits")]
    let nanodollars = (dollars * 1e9).round() as i64;
    nanodollars
}

/// Ask for an adapter
///
/// There are none yet.
#[utoipa::path(
    get,
    path = "/adapter_instance",
    tag = "SDK",
    params(("adapter_instance_id" = String, Query, description = "The adapter")),
    responses(
        (status = 400, body = wire::ApiError),
        (status = 401, body = String, content_type = "text/html"),
        (status = 404, body = wire::ApiError),
    )
)]
async fn adapter_instance(_tool: Tool, RawQuery(query): RawQuery) -> Error {
    no_such("Adapter", "adapter_instance_id", query)
}

/// Ask for an exported tool
///
/// There are none yet.
#[utoipa::path(
    get,
    path = "/custom_tool_instance",
    tag = "SDK",
    params(("prompt_registry_id" = String, Query, description = "The exported tool")),
    responses(
        (status = 400, body = wire::ApiError),
        (status = 401, body = String, content_type = "text/html"),
        (status = 404, body = wire::ApiError),
    )
)]
async fn custom_tool_instance(_tool: Tool, RawQuery(query): RawQuery) -> Error {
    no_such("Exported tool", "prompt_registry_id", query)
}

/// Ask for an agent
///
/// There are none yet.
#[utoipa::path(
    get,
    path = "/agentic_tool_instance",
    tag = "SDK",
    params(("agentic_registry_id" = String, Query, description = "The agent")),
    responses(
        (status = 400, body = wire::ApiError),
        (status = 401, body = String, content_type = "text/html"),
        (status = 404, body = wire::ApiError),
    )
)]
async fn agentic_tool_instance(_tool: Tool, RawQuery(query): RawQuery) -> Error {
    no_such("Agentic tool", "agentic_registry_id", query)
}

/// Ask for a profile of a model
///
/// There are none yet.
#[utoipa::path(
    get,
    path = "/llm_profile_instance",
    tag = "SDK",
    params(("llm_profile_id" = String, Query, description = "The profile")),
    responses(
        (status = 400, body = wire::ApiError),
        (status = 401, body = String, content_type = "text/html"),
        (status = 404, body = wire::ApiError),
    )
)]
async fn llm_profile_instance(_tool: Tool, RawQuery(query): RawQuery) -> Error {
    no_such("LLM profile", "llm_profile_id", query)
}

/// What is said of something of which there is none.
fn no_such(what: &'static str, parameter: &'static str, query: Option<String>) -> Error {
    let query = query.unwrap_or_default();
    let mut pairs = url::form_urlencoded::parse(query.as_bytes());
    match pairs.find(|(name, value)| name == parameter && !value.is_empty()) {
        Some((_, id)) => Error::NoSuch { what, id: id.chars().take(64).collect() },
        None => Error::MissingField { field: parameter },
    }
}
