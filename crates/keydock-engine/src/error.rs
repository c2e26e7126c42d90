//! Why a document gave no data, in words for the person who sent it.

use serde::{Deserialize, Serialize};

use crate::evidence::Miss;

/// Why a document gave no data. The message is meant to be shown.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
#[serde(tag = "error", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Error {
    /// There is nothing to read.
    #[error("the document is empty")]
    Empty,
    /// A kind of document that this version does not read.
    #[error(
        "the document is {found}, which this version does not read; it reads PDF, pictures, office documents, e-mail, HTML, JSON, CSV and plain text"
    )]
    UnsupportedFormat {
        /// What the content looks like.
        found: String,
    },
    /// The content is not what the sender says.
    #[error("the document was sent as {declared}, but its content is {found}")]
    DeclaredOtherwise {
        /// The declared media type.
        declared: String,
        /// What the content looks like.
        found: String,
    },
    /// It cannot be opened without a password.
    #[error("the document is encrypted; remove its password and send it again")]
    Encrypted,
    /// It is of a known kind, but broken.
    #[error("the document could not be read: {reason}")]
    Damaged {
        /// What is wrong with it.
        reason: String,
    },
    /// It has more pages than the workflow reads.
    #[error("the document has {pages} pages; this workflow reads documents of at most {max}")]
    TooManyPages {
        /// How many there are.
        pages: usize,
        /// How many there may be.
        max: usize,
    },
    /// It has no text.
    #[error(
        "no text was found in the document: it is blank or broken, or a picture in which no text can be told"
    )]
    NoText,
    /// It is a picture of text, and pictures cannot be read here.
    #[error(
        "the document is a picture of text, or has such pages, and could not be read: {reason}"
    )]
    PictureUnread {
        /// What is missing, and what to install.
        reason: String,
    },
    /// Required values are not there.
    #[error("{}", missing(.fields))]
    Missing {
        /// The required fields without a value.
        fields: Vec<Miss>,
    },
    /// It is larger than allowed.
    #[error("the document has {bytes} bytes; at most {max} are allowed")]
    TooLarge {
        /// How many it has.
        bytes: u64,
        /// How many it may have.
        max: u64,
    },
    /// It did not arrive whole.
    #[error("the document could not be fetched: {reason}")]
    Incomplete {
        /// What went wrong.
        reason: String,
    },
    /// Reading it took too long.
    #[error("the document could not be read: it took longer than {seconds} seconds")]
    TimedOut {
        /// The limit.
        seconds: u64,
    },
    /// Reading it took too much memory.
    #[error("the document could not be read: it needed more than {} MiB of memory", bytes >> 20)]
    OutOfMemory {
        /// The limit.
        bytes: u64,
    },
    /// What was found in it is too long.
    #[error("the document could not be read: what was found in it is longer than {} KiB", bytes >> 10)]
    OutputTooLarge {
        /// The limit.
        bytes: u64,
    },
    /// The parser did what a parser has no business doing, and was killed.
    #[error("the document could not be read: it made the reader attempt something forbidden")]
    Forbidden,
    /// The parser died.
    #[error("the document could not be read: it made the reader fail{}", by_signal(*signal))]
    Crashed {
        /// The signal that ended it, if one did.
        signal: Option<i32>,
    },
    /// The sandbox does not work on this machine; not the document's fault.
    #[error("documents cannot be read on this server: {reason}")]
    Unavailable {
        /// What does not work.
        reason: String,
    },
}

impl Error {
    /// A broken document.
    pub(crate) fn damaged(reason: impl Into<String>) -> Self {
        Self::Damaged { reason: reason.into() }
    }

    /// Whether the same document may succeed later or elsewhere; the others are final.
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Unavailable { .. } | Self::Incomplete { .. })
    }
}

fn missing(fields: &[Miss]) -> String {
    let one = |miss: &Miss| format!("`{}`: {}", miss.field, miss.reason);
    let all: Vec<String> = fields.iter().map(one).collect();
    let noun = if fields.len() == 1 { "a required value is" } else { "required values are" };
    format!("{noun} missing: {}", all.join("; "))
}

fn by_signal(signal: Option<i32>) -> String {
    signal.map(|number| format!(" (signal {number})")).unwrap_or_default()
}
