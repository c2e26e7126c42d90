//! What can go wrong between a client and a server.

use reqwest::Response;
use serde_json::Value;

/// Why an operation did not succeed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The server could not be reached, or the connection broke.
    #[error("cannot reach the server: {}", innermost(.0))]
    Connection(#[source] reqwest::Error),
    /// The server said no.
    #[error("{}", describe(*status, code.as_deref(), message, request_id.as_deref()))]
    Refused {
        /// The HTTP status.
        status: u16,
        /// The stable code of the refusal.
        code: Option<String>,
        /// The reason in words.
        message: String,
        /// The name of the request, to quote.
        request_id: Option<String>,
    },
    /// The answer is not what this client understands.
    #[error("the answer cannot be understood: {}", innermost(.0))]
    Answer(#[source] reqwest::Error),
    /// The answer lacks something that it must have.
    #[error("the answer cannot be understood: it has no {0}")]
    Incomplete(&'static str),
    /// A file to be sent cannot be read.
    #[error("cannot read {path}: {source}")]
    File {
        /// Which one.
        path: String,
        /// Why.
        source: std::io::Error,
    },
}

impl Error {
    pub(crate) async fn refused(response: Response) -> Self {
        let status = response.status().as_u16();
        let text = response.text().await.unwrap_or_default();
        let body: Value = serde_json::from_str(&text).unwrap_or(Value::Null);
        let text_of = |name: &str| body[name].as_str().map(str::to_owned);
        Self::Refused {
            status,
            code: text_of("code"),
            message: message(&body).unwrap_or_else(|| text.chars().take(500).collect()),
            request_id: text_of("request_id"),
        }
    }
}

/// The reason in words, wherever the body has it.
fn message(body: &Value) -> Option<String> {
    let errors: Vec<String> = body["errors"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|error| {
            let detail = error["detail"].as_str()?;
            Some(match error["attr"].as_str() {
                Some(attr) => format!("{attr}: {detail}"),
                None => detail.to_owned(),
            })
        })
        .collect();
    if !errors.is_empty() {
        return Some(errors.join("\n"));
    }
    let message = body["message"].as_str()?;
    Some(match body["detail"].as_str() {
        Some(detail) => format!("{message}. {detail}"),
        None => message.to_owned(),
    })
}

fn describe(status: u16, code: Option<&str>, message: &str, request_id: Option<&str>) -> String {
    let code = code.map(|code| format!(" ({code})")).unwrap_or_default();
    let request = request_id.map(|id| format!("\nrequest {id}")).unwrap_or_default();
    format!("{status}{code}: {message}{request}")
}

/// The end of the chain says what happened; what comes before repeats the address.
fn innermost(error: &reqwest::Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    cause.to_string()
}
