//! What parent and child say to each other: a header with its length in front and the bytes of
//! the document one way, a JSON text the other.

use std::io::{self, Read};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::Limits;
use crate::{Extraction, error::Error};

/// The longest header: a definition of the largest size, escaped.
const MAX_HEADER: u32 = 4 << 20;

/// What the child is asked to do.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Header {
    pub(super) definition: Value,
    pub(super) name: String,
    pub(super) declared_type: Option<String>,
    pub(super) document_bytes: u64,
    pub(super) limits: Limits,
}

/// What the child answers.
pub(super) type Answer = Result<Extraction, Error>;

impl Header {
    /// The header with its length in front.
    pub(super) fn to_bytes(&self) -> io::Result<Vec<u8>> {
        let json = serde_json::to_vec(self)?;
        let length = u32::try_from(json.len()).ok().filter(|&length| length <= MAX_HEADER);
        let length = length.ok_or(io::ErrorKind::FileTooLarge)?;
        Ok([length.to_le_bytes().as_slice(), &json].concat())
    }

    /// Reads a header and not a byte more.
    pub(super) fn read(from: &mut impl Read) -> io::Result<Self> {
        let mut length = [0; 4];
        from.read_exact(&mut length)?;
        let length = u32::from_le_bytes(length);
        if length > MAX_HEADER {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        let mut json = Vec::new();
        from.take(length.into()).read_to_end(&mut json)?;
        Ok(serde_json::from_slice(&json)?)
    }
}
