//! `/api/v1/unstract/{org}/audit/`

use std::str::FromStr as _;

use axum::{
    Json,
    body::{Body, Bytes},
    extract::State,
    http::{HeaderMap, HeaderName, HeaderValue, header},
    response::{IntoResponse as _, Response},
};
use futures_util::stream;
use keydock_core::time::Timestamp;
use keydock_wire::{
    audit_log::{AuditEvent, AuditPage},
    errors::{ErrorEnvelope, RefusalBody},
};
use serde_json::Value;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    Filter, Link,
    export::{self, Format},
};
use crate::{App, Error, FieldError, Result, access::Admin, web::PageRequest};

/// The routes of this feature.
pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(list))
}

/// Read the audit log
///
/// Who did what in the organization, newest first, in pages. With `format=csv` or `format=jsonl`, or
/// with an `Accept` that asks for one of them, everything that the filters leave, oldest first; lines
/// of JSON can be checked with `keydock audit verify --file`.
#[utoipa::path(
    get,
    path = "/api/v1/unstract/{org}/audit/",
    tag = "Audit log",
    params(
        ("org" = String, Path, description = "The organization's name"),
        ("action" = Option<String>, Query, description = "What was done"),
        ("actor" = Option<String>, Query, description = "Who did it: an id, an address or a name"),
        ("subject" = Option<String>, Query, description = "To what: an id, or a kind of thing"),
        ("from" = Option<String>, Query, description = "From this instant or day on"),
        ("to" = Option<String>, Query, description = "Before this instant or day"),
        ("format" = Option<String>, Query, description = "`json`, `csv` or `jsonl`"),
        ("page" = Option<u32>, Query, description = "Which page, from 1"),
        ("page_size" = Option<u32>, Query, description = "How many on a page: 50, at most 1000")
    ),
    responses(
        (status = 200, body = AuditPage, description = "A page; or lines, as `format` says"),
        (status = 400, body = ErrorEnvelope, description = "A filter cannot be read"),
        (status = 401, body = RefusalBody),
        (status = 403, body = ErrorEnvelope, description = "Not an admin, or a key"),
        (status = 404, body = ErrorEnvelope, description = "There are fewer pages"),
    )
)]
async fn list(
    admin: Admin,
    State(app): State<App>,
    headers: HeaderMap,
    page: PageRequest,
) -> Result<Response> {
    let filter = filter(&page)?;
    if let Some(format) = format(&page, &headers)? {
        return export(app, admin, filter, format).await;
    }
    let (offset, limit) = (page.offset(), page.limit());
    let listed = app.read(async |tx| super::list(tx, &admin, &filter, offset, limit).await);
    let (count, links) = listed.await?;
    let rows = links.into_iter().map(|link| serde_json::to_value(event(link)));
    let rows: Vec<Value> = rows.collect::<Result<_, _>>().map_err(Error::internal)?;
    Ok(Json(page.answer(count, &rows)?).into_response())
}

fn filter(page: &PageRequest) -> Result<Filter> {
    let text = |name| page.filter(name).unwrap_or_default().trim().to_owned();
    let mut wrong = Vec::new();
    let mut instant = |name: &'static str| {
        let text = page.filter(name)?;
        // An offset that was not encoded: `+` means a blank in a query.
        let instant = Timestamp::from_str(&text.trim().replace(' ', "+"));
        instant.map_err(|error| wrong.push(FieldError::invalid(name, error.to_string()))).ok()
    };
    let (from, to) = (instant("from"), instant("to"));
    if !wrong.is_empty() {
        return Err(Error::Invalid(wrong));
    }
    Ok(Filter { action: text("action"), actor: text("actor"), subject: text("subject"), from, to })
}

/// None for pages.
fn format(page: &PageRequest, headers: &HeaderMap) -> Result<Option<Format>> {
    let accepts = |media_type: &str| {
        let accept = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
        let mut types = accept.flat_map(|value| value.split(','));
        types.any(|wanted| {
            wanted.split(';').next().is_some_and(|w| w.trim().eq_ignore_ascii_case(media_type))
        })
    };
    match page.filter("format") {
        Some("json") => Ok(None),
        Some("csv") => Ok(Some(Format::Csv)),
        Some("jsonl") => Ok(Some(Format::JsonLines)),
        Some(_) => {
            let detail = "Send json, csv or jsonl.";
            Err(FieldError::new("format", "invalid_choice", detail).into())
        }
        None if accepts("text/csv") => Ok(Some(Format::Csv)),
        None if accepts("application/x-ndjson") || accepts("application/jsonl") => {
            Ok(Some(Format::JsonLines))
        }
        None => Ok(None),
    }
}

/// Reads page by page, each in a transaction of its own, so that a slow reader holds none.
async fn export(app: App, admin: Admin, filter: Filter, format: Format) -> Result<Response> {
    let name = format!("audit-{}.{}", admin.org_name(), format.extension());
    let first = app.read(async |tx| export::next_of_org(tx, &admin, &filter, 0).await).await?;
    let heading = format.heading()?;
    let state = (app, admin, filter, Some((heading, first)));
    let lines = stream::try_unfold(state, move |(app, admin, filter, links)| async move {
        let Some((mut text, links)) = links else { return Ok(None) };
        let last = links.last().map(|link| link.seq);
        for link in links {
            text.push_str(&format.line(link)?);
        }
        let next = match last {
            None => None,
            Some(last) => {
                let next =
                    app.read(async |tx| export::next_of_org(tx, &admin, &filter, last).await);
                Some((String::new(), next.await?)).filter(|(_, links)| !links.is_empty())
            }
        };
        Ok::<_, Error>(Some((Bytes::from(text), (app, admin, filter, next))))
    });
    let disposition = format!("attachment; filename=\"{name}\"");
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static(format.media_type())),
        disposition_header(&disposition)?,
    ];
    Ok((headers, Body::from_stream(lines)).into_response())
}

fn disposition_header(text: &str) -> Result<(HeaderName, HeaderValue)> {
    let value = HeaderValue::from_str(text).map_err(Error::internal)?;
    Ok((header::CONTENT_DISPOSITION, value))
}

impl Format {
    const fn media_type(self) -> &'static str {
        match self {
            Self::JsonLines => "application/x-ndjson",
            Self::Csv => "text/csv; charset=utf-8; header=present",
        }
    }

    const fn extension(self) -> &'static str {
        match self {
            Self::JsonLines => "jsonl",
            Self::Csv => "csv",
        }
    }
}

/// An event, for a client.
pub fn event(link: Link) -> AuditEvent {
    let record = link.record;
    AuditEvent {
        at: record.at().to_string(),
        id: record.id,
        action: record.action,
        actor_kind: record.actor_kind,
        actor_id: record.actor_id,
        actor_name: record.actor_name,
        subject_kind: record.subject_kind,
        subject_id: record.subject_id,
        detail: serde_json::from_str(&record.detail).unwrap_or(Value::String(record.detail)),
        request_id: record.request_id,
        ip: record.ip,
        org_id: record.org_id,
        sequence: link.seq,
        previous_hash: link.previous_hash.unwrap_or_default(),
        hash: link.hash,
    }
}
