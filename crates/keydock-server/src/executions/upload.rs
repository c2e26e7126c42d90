//! Files on their way in: from the body of a request straight to the store of documents.
//!
//! Nothing here holds a file in memory, believes its name, or waits for a client that does not
//! send. Until an execution takes its files over, they are a [`Draft`], and a draft that is dropped
//! leaves nothing behind.

mod draft;
mod pace;
mod part;

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures_util::{Stream, StreamExt as _};
use keydock_storage::blobs::{self, PutError};
use multer::{Field, Multipart};
use serde_json::{Map, Value};

pub(super) use self::{draft::Draft, pace::Paced};
use self::{
    pace::{Cut, Progress},
    part::Sort,
};
use super::{DeclaredType, FileName, form};
use crate::{Error, FieldError, Result};

/// How many parts of any sort there may be.
const MAX_PARTS: usize = 1_000;
/// How long a part may be that is not a file; the longest is `custom_data`.
const MAX_TEXT: usize = 64 * 1024;
/// What the body may have beside the files: boundaries, headers, texts.
pub(super) const FRAME: u64 = 1024 * 1024;
/// How long a body without files may be.
const PLAIN: u64 = 1024 * 1024;

/// The boundary of a multipart body; none if the content type is another.
pub(super) fn boundary(content_type: &str) -> Result<Option<String>> {
    let essence = content_type.split(';').next().unwrap_or_default().trim();
    if !essence.eq_ignore_ascii_case("multipart/form-data") {
        return Ok(None);
    }
    let boundary = multer::parse_boundary(content_type).map_err(|_| Error::Malformed {
        detail: "Multipart form parse error - the Content-Type names no boundary. Let your client \
                 set this header by itself."
            .to_owned(),
    })?;
    Ok(Some(boundary))
}

/// Receives a body that holds no files.
pub(super) async fn whole<S, E>(body: &mut Paced<S>) -> Result<Bytes>
where
    S: Stream<Item = Result<Bytes, E>> + Send + Unpin,
    E: std::error::Error + Send + Sync + 'static,
{
    let progress = body.bound(PLAIN);
    let mut whole = BytesMut::new();
    while let Some(piece) = body.next().await {
        whole.extend_from_slice(&piece.map_err(|cut| cut_off(cut, PLAIN))?);
        progress.made();
    }
    Ok(whole.freeze())
}

/// Receives a form: stores its files and returns its texts.
pub(super) async fn receive<S, E>(
    body: &mut Paced<S>,
    boundary: String,
    draft: &mut Draft,
    limit: u64,
) -> Result<Map<String, Value>>
where
    S: Stream<Item = Result<Bytes, E>> + Send + Unpin,
    E: std::error::Error + Send + Sync + 'static,
{
    let progress = body.bound(limit.saturating_add(FRAME));
    let mut parts = Multipart::new(body, boundary);
    let mut texts = Map::new();
    for _ in 0..MAX_PARTS {
        let part = parts.next_field().await.map_err(|error| refused(error, limit))?;
        progress.made();
        let Some(part) = part else { return Ok(texts) };
        match Sort::of(&part) {
            Sort::File(name) => {
                receive_file(part, &name, &progress, draft, limit).await?;
            }
            Sort::Text(name) => {
                if let Some(text) = receive_text(part, &name, &progress, limit).await? {
                    texts.insert(name, Value::String(text));
                }
            }
            Sort::Unnamed => {
                let (number, _) = draft.count();
                let detail = "The submitted data was not a file. Give the part a file name.";
                draft.reject(number, "invalid", detail);
                skip(part, &progress, limit).await?;
            }
            Sort::Misnamed(name) => {
                draft.note_misnamed(name);
                skip(part, &progress, limit).await?;
            }
        }
    }
    Err(malformed(&format!("there are more than {MAX_PARTS} parts")))
}

async fn receive_file(
    part: Field<'_>,
    name: &str,
    progress: &Progress,
    draft: &mut Draft,
    limit: u64,
) -> Result<()> {
    let (number, place) = draft.count();
    let Some(id) = place else { return skip(part, progress, limit).await };
    let declared = part.headers().get("content-type").and_then(|value| value.to_str().ok());
    let (name, declared_type) = (FileName::shown(name), DeclaredType::of(declared));
    let content = part.inspect(|_| progress.made());
    let stored = draft.store(id, name, declared_type, content, limit).await;
    let has_content = stored.map_err(|error| match error {
        PutError::Source(error) => refused(error, limit),
        PutError::TooLarge { .. } => Error::TooLarge { limit },
        PutError::Store(error) => store_failed(error),
    })?;
    if !has_content {
        draft.reject(number, "empty", "The submitted file is empty.");
    }
    Ok(())
}

/// A field that means nothing here is read and forgotten.
async fn receive_text(
    mut part: Field<'_>,
    name: &str,
    progress: &Progress,
    limit: u64,
) -> Result<Option<String>> {
    if !form::KNOWN.contains(&name) {
        skip(part, progress, limit).await?;
        return Ok(None);
    }
    let mut text = Vec::new();
    while let Some(chunk) = part.chunk().await.map_err(|error| refused(error, limit))? {
        progress.made();
        if text.len() + chunk.len() > MAX_TEXT {
            let detail = format!("Ensure this field has no more than {MAX_TEXT} bytes.");
            return Err(FieldError::new(name.to_owned(), "max_length", detail).into());
        }
        text.extend_from_slice(&chunk);
    }
    let text = String::from_utf8(text).map_err(|_| {
        FieldError::invalid(name.to_owned(), "Not a valid string. Send it as UTF-8.")
    })?;
    Ok(Some(text))
}

async fn skip(mut part: Field<'_>, progress: &Progress, limit: u64) -> Result<()> {
    while part.chunk().await.map_err(|error| refused(error, limit))?.is_some() {
        progress.made();
    }
    Ok(())
}

/// Why a body was not read to its end.
fn refused(error: multer::Error, limit: u64) -> Error {
    let multer::Error::StreamReadFailed(source) = error else {
        return malformed(&error.to_string());
    };
    match source.downcast::<Cut>() {
        Ok(cut) => cut_off(*cut, limit),
        Err(source) => Error::internal(source),
    }
}

fn cut_off(cut: Cut, limit: u64) -> Error {
    match cut {
        Cut::TooSlow => Error::TooSlow,
        Cut::TooLarge => Error::TooLarge { limit },
        Cut::Endless => malformed("the headers of a part do not end"),
        Cut::Broken(source) => malformed(&format!("the body broke off: {source}")),
    }
}

fn malformed(what: &str) -> Error {
    Error::Malformed { detail: format!("Multipart form parse error - {what}") }
}

fn store_failed(error: blobs::Error) -> Error {
    match error {
        blobs::Error::Full(_) => Error::Unavailable {
            detail: "The server has no room left for documents; the reason is in its log. Try again \
                     later.",
            retry_after: Duration::from_mins(1),
            source: Some(error.into()),
        },
        error => Error::internal(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_forms_have_a_boundary() {
        assert_eq!(boundary("application/json").unwrap(), None);
        assert_eq!(boundary("Multipart/Form-Data; boundary=x").unwrap(), Some("x".to_owned()));
        assert!(boundary("multipart/form-data").is_err());
    }
}
