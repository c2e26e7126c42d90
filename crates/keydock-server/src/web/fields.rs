//! The body of a request as named fields, each read once into its type.
//!
//! Every wrong field is reported, in the order in which they are read, and so is every field that
//! this route does not know: a misspelt one would otherwise be lost without a word (TEN-05).

use std::{
    str::FromStr,
    time::{Duration, Instant},
};

use axum::{
    body::{Body, Bytes},
    extract::{FromRequest, Request},
    http::header,
};
use keydock_core::text::InvalidText;
use serde_json::{Map, Value};

use crate::{App, Error, Result, access::still_permitted, error::FieldError};

/// The largest body that is not an upload.
pub(crate) const LIMIT: usize = 1024 * 1024;

/// The media type of a form without files.
const FORM: &str = "application/x-www-form-urlencoded";

/// How long such a body may take to arrive.
const PATIENCE: Duration = Duration::from_secs(30);

/// The fields of a body.
#[derive(Debug)]
pub struct Fields {
    values: Map<String, Value>,
    errors: Vec<FieldError>,
}

impl Fields {
    /// The fields of a JSON object.
    pub fn of(values: Map<String, Value>) -> Self {
        Self { values, errors: Vec::new() }
    }

    /// The fields of a form.
    fn of_form(bytes: &[u8]) -> Self {
        let pairs = url::form_urlencoded::parse(bytes);
        Self::of(
            pairs
                .map(|(name, value)| (name.into_owned(), Value::String(value.into_owned())))
                .collect(),
        )
    }

    /// What was sent, as bytes; the same for the same fields in the same order.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        serde_json::to_vec(&self.values).unwrap_or_default()
    }

    /// Whether nothing was sent.
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// Whether the field was sent.
    pub fn has(&self, name: &str) -> bool {
        self.values.contains_key(name)
    }

    /// Whether the field was sent and is null.
    pub fn is_null(&self, name: &str) -> bool {
        self.values.get(name).is_some_and(Value::is_null)
    }

    /// Takes a field as it was sent.
    pub fn take(&mut self, name: &'static str) -> Option<Value> {
        self.values.remove(name)
    }

    /// Reports that something is wrong.
    pub fn reject(&mut self, error: FieldError) {
        self.errors.push(error);
    }

    /// A text that must be there and be of the type.
    pub fn text<T: FromStr<Err = InvalidText>>(&mut self, name: &'static str) -> Option<T> {
        if !self.values.contains_key(name) {
            self.errors.push(FieldError::required(name));
            return None;
        }
        self.text_opt(name)
    }

    /// A text that may be left out.
    pub fn text_opt<T: FromStr<Err = InvalidText>>(&mut self, name: &'static str) -> Option<T> {
        let text = self.string_opt(name)?;
        text.parse().map_err(|error| self.errors.push(FieldError::text(name, &error))).ok()
    }

    /// A text of no particular type that must be there.
    pub fn string(&mut self, name: &'static str) -> Option<String> {
        if !self.values.contains_key(name) {
            self.errors.push(FieldError::required(name));
            return None;
        }
        self.string_opt(name)
    }

    /// A text of no particular type.
    pub fn string_opt(&mut self, name: &'static str) -> Option<String> {
        match self.values.remove(name)? {
            Value::String(text) => Some(text),
            Value::Null => {
                self.errors.push(FieldError::new(name, "null", "This field may not be null."));
                None
            }
            Value::Number(number) => Some(number.to_string()),
            _ => {
                self.errors.push(FieldError::invalid(name, "Not a valid string."));
                None
            }
        }
    }

    /// A truth value in any of the spellings of forms (CONTRACT 0.4, trap 5); blank is left out.
    pub fn bool_opt(&mut self, name: &'static str) -> Option<bool> {
        let value = self.values.remove(name)?;
        let parsed = match &value {
            Value::Bool(value) => Some(*value),
            Value::String(text) if text.trim().is_empty() => return None,
            Value::String(text) => parse_bool(text),
            Value::Number(number) => parse_bool(&number.to_string()),
            _ => None,
        };
        if parsed.is_none() {
            self.errors.push(FieldError::invalid(name, "Must be a valid boolean."));
        }
        parsed
    }

    /// An integer; blank is left out.
    pub fn int_opt(&mut self, name: &'static str) -> Option<i64> {
        let value = self.values.remove(name)?;
        let parsed = match &value {
            Value::Null => return None,
            Value::Number(number) => number.as_i64(),
            Value::String(text) if text.trim().is_empty() => return None,
            Value::String(text) => text.trim().parse().ok(),
            _ => None,
        };
        if parsed.is_none() {
            self.errors.push(FieldError::invalid(name, "A valid integer is required."));
        }
        parsed
    }

    /// An identifier that must be there.
    pub fn id<T: FromStr>(&mut self, name: &'static str) -> Option<T> {
        let text = self.string(name)?;
        let parsed = text.trim().parse().ok();
        if parsed.is_none() {
            self.errors.push(FieldError::invalid(name, "Must be a valid UUID."));
        }
        parsed
    }

    /// Drops fields that clients send back to us and that are ours alone to change.
    pub fn ignore(&mut self, names: &[&str]) {
        for name in names {
            self.values.remove(*name);
        }
    }

    /// Fails with everything that was wrong, unknown fields included.
    pub fn finish(mut self) -> Result<()> {
        let unknown = self.values.keys().map(|name| {
            FieldError::new(name.clone(), "unknown", "There is no such field here. Leave it out.")
        });
        self.errors.extend(unknown);
        self.finish_leniently()
    }

    /// Fails with everything that was wrong; unknown fields are ignored, where the wire says so.
    pub fn finish_leniently(self) -> Result<()> {
        if self.errors.is_empty() { Ok(()) } else { Err(Error::Invalid(self.errors)) }
    }
}

/// Reads a truth value as forms spell it.
pub fn parse_bool(text: &str) -> Option<bool> {
    match text.trim().to_ascii_lowercase().as_str() {
        "t" | "y" | "yes" | "true" | "on" | "1" => Some(true),
        "f" | "n" | "no" | "false" | "off" | "0" => Some(false),
        _ => None,
    }
}

impl FromRequest<App> for Fields {
    type Rejection = Error;

    async fn from_request(request: Request, app: &App) -> Result<Self> {
        Ok(FieldsUpTo::<LIMIT>::from_request(request, app).await?.0)
    }
}

/// The fields of a body that has at most so many bytes, where that is not what is usual.
#[derive(Debug)]
pub struct FieldsUpTo<const BYTES: usize>(pub Fields);

impl<const BYTES: usize> FromRequest<App> for FieldsUpTo<BYTES> {
    type Rejection = Error;

    async fn from_request(request: Request, app: &App) -> Result<Self> {
        let (media_type, bytes) = read_whole(request, app, BYTES).await?;
        match media_type.as_str() {
            "" | "application/json" => Ok(Self(Fields::of_json(&bytes)?)),
            FORM => Ok(Self(Fields::of_form(&bytes))),
            _ => Err(Error::UnsupportedMediaType { sent: media_type, wanted: "application/json" }),
        }
    }
}

/// A form, whose fields may be repeated.
#[derive(Debug)]
pub struct Form(Vec<(String, String)>);

impl Form {
    /// The value of a field, which must be there once and not be blank.
    pub fn take_one(self, name: &'static str) -> Result<String> {
        let mut values = self.0.into_iter().filter(|(field, _)| field == name);
        match (values.next(), values.next()) {
            (Some((_, value)), None) if !value.is_empty() => Ok(value),
            (Some(_), Some(_)) => Err(Error::invalid(name, "Send this field once.")),
            _ => Err(Error::MissingField { field: name }),
        }
    }
}

impl FromRequest<App> for Form {
    type Rejection = Error;

    async fn from_request(request: Request, app: &App) -> Result<Self> {
        let (media_type, bytes) = read_whole(request, app, LIMIT).await?;
        if media_type != FORM {
            return Err(Error::UnsupportedMediaType { sent: media_type, wanted: FORM });
        }
        let pairs = url::form_urlencoded::parse(&bytes);
        Ok(Self(pairs.map(|(name, value)| (name.into_owned(), value.into_owned())).collect()))
    }
}

/// The media type and the whole of a body, if what its sender may do is still so at its end.
async fn read_whole(request: Request, app: &App, limit: usize) -> Result<(String, Bytes)> {
    let began = Instant::now();
    let (mut parts, body) = request.into_parts();
    let bytes = read(body, limit).await?;
    still_permitted(&mut parts, app, began).await?;
    let sent = parts.headers.get(header::CONTENT_TYPE);
    let sent = sent.and_then(|value| value.to_str().ok()).unwrap_or_default();
    let media_type = sent.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    Ok((media_type, bytes))
}

/// The whole of a small body, if it comes in time.
pub(crate) async fn read(body: Body, limit: usize) -> Result<Bytes> {
    let read = tokio::time::timeout(PATIENCE, axum::body::to_bytes(body, limit));
    let error = match read.await {
        Ok(Ok(bytes)) => return Ok(bytes),
        Ok(Err(error)) => error.into_inner(),
        Err(_) => return Err(Error::TooSlow),
    };
    if error.is::<http_body_util::LengthLimitError>() {
        return Err(Error::TooLarge { limit: limit as u64 });
    }
    Err(Error::Malformed { detail: format!("The body broke off: {error}") })
}

impl Fields {
    fn of_json(bytes: &Bytes) -> Result<Self> {
        if bytes.is_empty() {
            return Ok(Self::of(Map::new()));
        }
        match serde_json::from_slice(bytes) {
            Ok(Value::Object(values)) => Ok(Self::of(values)),
            Ok(_) => {
                Err(Error::invalid("non_field_errors", "Invalid data. Expected a JSON object."))
            }
            Err(error) => Err(Error::Malformed { detail: format!("JSON parse error - {error}") }),
        }
    }
}
