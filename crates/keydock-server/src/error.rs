//! The errors that a caller can act on.
//!
//! One enum for the whole product. A variant exists because some caller (a client, the command
//! line, a page) does something different on seeing it; a failure that nobody can act on is
//! [`Error::Internal`]. The enum knows no HTTP: `web::problem` maps it.

use std::{borrow::Cow, time::Duration};

use keydock_core::{id::InvalidId, text::InvalidText};
use keydock_storage::db;

use crate::{access::Refusal, audit_log::Refused};

/// Short for a result with [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What went wrong, in terms of the product and of no transport.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The credential, or the lack of one, does not open this.
    #[error("{0}")]
    Refused(#[from] Refusal),
    /// We know who asks; this needs more.
    #[error("{detail}")]
    Forbidden {
        /// What it needs, for a person.
        detail: Cow<'static, str>,
        /// Who asked, if that is for the audit log: they reached for what an admin may do.
        by: Option<Box<Refused>>,
    },
    /// A change from a browser without the token that proves it came from our page.
    #[error("CSRF Failed: {detail}")]
    Csrf {
        /// What was missing.
        detail: &'static str,
    },
    /// It does not exist, or the caller may not know that it does.
    #[error("{what} not found.")]
    NotFound {
        /// The kind of thing, in words.
        what: &'static str,
    },
    /// The same, with what was asked for.
    #[error("{what} '{id}' not found")]
    NoSuch {
        /// The kind of thing, in words.
        what: &'static str,
        /// What was asked for.
        id: String,
    },
    /// A page of a list beyond the last.
    #[error("Invalid page.")]
    NoSuchPage,
    /// Fields of the request are wrong.
    #[error("the request has {} invalid field(s)", .0.len())]
    Invalid(Vec<FieldError>),
    /// A field without which the request means nothing is not there (CONTRACT 2.2, PK-3 and PK-4).
    #[error("{field} is missing")]
    MissingField {
        /// The field.
        field: &'static str,
    },
    /// The body is not in the format that it says it is in.
    #[error("{detail}")]
    Malformed {
        /// What the parser said.
        detail: String,
    },
    /// A body in a format that this route does not read.
    #[error("Unsupported media type \"{sent}\" in request. Send {wanted}.")]
    UnsupportedMediaType {
        /// What was sent.
        sent: String,
        /// What is read here.
        wanted: &'static str,
    },
    /// The body is larger than allowed.
    #[error("The request is larger than the {limit} bytes that this server accepts.")]
    TooLarge {
        /// How many bytes there may be.
        limit: u64,
    },
    /// The body came too slowly.
    #[error("The request body was not received in time. Send it again.")]
    TooSlow,
    /// Both platform key slots are taken.
    #[error(
        "Maximum key count is exceeded: this organization has two platform keys. Delete one before generation."
    )]
    KeyLimit,
    /// Another one already has this name.
    #[error("{what} named \"{name}\" already exists. Choose another name or use the existing one.")]
    AlreadyExists {
        /// The kind of thing, in words.
        what: &'static str,
        /// The name in question.
        name: String,
    },
    /// The organization would be left without an admin.
    #[error(
        "Cannot demote or remove the only admin of the organization. Make another member admin first."
    )]
    LastAdmin,
    /// A token that was offered in exchange for one of ours is not taken (RFC 6749, section 5.2).
    #[error("{description}")]
    TokenRefused {
        /// The word of the standard.
        error: &'static str,
        /// What to do about it, for a person.
        description: String,
    },
    /// Somebody else changed the same thing at the same time.
    #[error("{detail}")]
    Conflict {
        /// What happened and what to do.
        detail: &'static str,
    },
    /// The caller is over a limit.
    #[error("{detail}")]
    TooMany {
        /// Which limit, and what to do.
        detail: Cow<'static, str>,
        /// When it is worth trying again.
        retry_after: Duration,
    },
    /// Part of the server is away; the request may work later.
    #[error("{detail}")]
    Unavailable {
        /// What is away.
        detail: &'static str,
        /// When it is worth trying again.
        retry_after: Duration,
        /// Why, for the log.
        #[source]
        source: Option<Box<dyn std::error::Error + Send + Sync>>,
    },
    /// The route exists, for other methods.
    #[error("Method \"{method}\" not allowed.")]
    MethodNotAllowed {
        /// The method of the request.
        method: String,
    },
    /// Ours to fix. The client learns nothing but the request id.
    #[error("internal error")]
    Internal(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// What is wrong with one field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldError {
    /// The field as the client wrote it; `non_field_errors` for rules about several.
    pub attr: Cow<'static, str>,
    /// The stable code of the wire (CONTRACT 9.1).
    pub code: &'static str,
    /// What is wrong and how to mend it, for a person.
    pub detail: String,
}

impl FieldError {
    /// An error with a code of its own.
    pub fn new(
        attr: impl Into<Cow<'static, str>>,
        code: &'static str,
        detail: impl Into<String>,
    ) -> Self {
        Self { attr: attr.into(), code, detail: detail.into() }
    }

    /// The field is required and absent.
    pub fn required(attr: impl Into<Cow<'static, str>>) -> Self {
        Self::new(attr, "required", "This field is required.")
    }

    /// The value is not acceptable.
    pub fn invalid(attr: impl Into<Cow<'static, str>>, detail: impl Into<String>) -> Self {
        Self::new(attr, "invalid", detail)
    }

    /// The text was refused.
    pub fn text(attr: impl Into<Cow<'static, str>>, error: &InvalidText) -> Self {
        Self::new(attr, error.code(), error.to_string())
    }
}

impl Error {
    /// Wraps a failure that no caller can act on.
    pub fn internal(source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self::Internal(source.into())
    }

    /// Whether the disk did not confirm a write: what is stored is in doubt until the next start.
    pub(crate) fn is_not_durable(&self) -> bool {
        let Self::Internal(source) = self else { return false };
        matches!(source.downcast_ref(), Some(db::Error::NotDurable(_)))
    }

    /// One field is wrong.
    pub fn invalid(attr: impl Into<Cow<'static, str>>, detail: impl Into<String>) -> Self {
        FieldError::invalid(attr, detail).into()
    }

    /// The caller lacks a permission.
    pub fn forbidden(detail: impl Into<Cow<'static, str>>) -> Self {
        Self::Forbidden { detail: detail.into(), by: None }
    }

    /// Somebody who proved who they are lacks the permission for what an admin may do; that goes to
    /// the audit log.
    pub fn forbidden_to(by: impl Into<Refused>, detail: impl Into<Cow<'static, str>>) -> Self {
        Self::Forbidden { detail: detail.into(), by: Some(Box::new(by.into())) }
    }
}

impl From<FieldError> for Error {
    fn from(error: FieldError) -> Self {
        Self::Invalid(vec![error])
    }
}

impl From<InvalidId> for Error {
    fn from(_: InvalidId) -> Self {
        // An identifier in a path that is not even a UUID names nothing.
        Self::NotFound { what: "Object" }
    }
}

impl From<db::Error> for Error {
    fn from(error: db::Error) -> Self {
        let (detail, seconds) = match &error {
            db::Error::Busy(_) => ("The database is busy. Try again.", 1),
            db::Error::Unavailable(_) => ("The database does not answer. Try again shortly.", 2),
            db::Error::Full(_) => ("The disk of the database is full; nothing was changed.", 30),
            _ => return Self::internal(error),
        };
        let retry_after = Duration::from_secs(seconds);
        Self::Unavailable { detail, retry_after, source: Some(error.into()) }
    }
}
