//! How an error looks to clients that know another shape than ours: tools of the SDK, and those who
//! speak OAuth.

use axum::http::StatusCode;
use serde_json::{Map, Value, json};

use super::{Asked, Description, detail, docs};
use crate::{Error, access::Refusal};

/// What the SDK reads (CONTRACT 8.1, 8.2): words for a refused key and for the cache, and an object of
/// its own elsewhere. Its `code` is the status, so ours goes in a header.
pub(super) fn sdk(
    error: &Error,
    description: &Description,
    asked: &Asked,
) -> (&'static str, String) {
    const TEXT: &str = "text/plain; charset=utf-8";
    let status = description.status;
    if status == StatusCode::UNAUTHORIZED {
        return ("text/html; charset=utf-8", "Unauthorized".to_owned());
    }
    let words = in_words(error);
    let mut body = match (asked.uri.path(), status) {
        ("/cache", StatusCode::BAD_REQUEST | StatusCode::NOT_FOUND) => {
            return (TEXT, status.canonical_reason().unwrap_or_default().to_owned());
        }
        ("/cache", _) => return (TEXT, words),
        ("/usage" | "/page-usage", _) => {
            json!({"status": "ERROR", "error": words, "unique_id": ""})
        }
        _ => json!({"error": words, "name": "APIError", "code": status.as_u16(), "payload": null}),
    };
    body["request_id"] = asked.id.to_str().unwrap_or_default().into();
    body["docs"] = docs(description.code).into();
    ("application/json", body.to_string())
}

/// What is wrong, in one text.
fn in_words(error: &Error) -> String {
    match error {
        Error::MissingField { field } => format!("{field} is required"),
        Error::Invalid(fields) => {
            let words = fields.iter().map(|field| format!("{}: {}", field.attr, field.detail));
            words.collect::<Vec<_>>().join(" ")
        }
        Error::Internal(_) => "Internal Server Error".to_owned(),
        Error::Refused(refusal @ Refusal::OtherOrganization) => refusal.message(),
        error => detail(error),
    }
}

/// What RFC 6749, section 5.2, and RFC 6750, section 3.1, have for it.
pub(super) fn oauth(error: &Error, description: &Description) -> Map<String, Value> {
    let code = match description.status {
        StatusCode::UNAUTHORIZED => "invalid_token",
        StatusCode::FORBIDDEN => "insufficient_scope",
        StatusCode::SERVICE_UNAVAILABLE => "temporarily_unavailable",
        status if status.is_server_error() => "server_error",
        _ => "invalid_request",
    };
    let mut body = Map::new();
    body.insert("error".to_owned(), code.into());
    body.insert("error_description".to_owned(), in_words(error).into());
    body
}
