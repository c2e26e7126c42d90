//! What parent and child say to each other: a header with its length in front and the bytes of
//! the document one way, a JSON text the other.
//!
//! Before its answer the child may ask for pictures to be read: the byte [`PICTURE`], a request
//! with its length in front, and a byte for every pixel. It is told the words in the same form, a
//! JSON text with its length in front.

use std::io::{self, Read, Write};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::Limits;
use crate::{Extraction, error::Error, eyes::PictureRequest};

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

/// The first byte of a question about a picture. No JSON text begins with it.
pub(super) const PICTURE: u8 = 1;
/// The longest request for a picture.
pub(super) const MAX_REQUEST: u32 = 4_096;
/// The most pixels of a picture.
pub(super) const MAX_PIXELS: u64 = 120_000_000;
/// The longest table of words.
pub(super) const MAX_WORDS: u32 = 8 << 20;

/// What the child is told about a picture: the table of its words.
pub(super) type Words = Result<String, Error>;

/// A value as JSON with its length in front.
pub(super) fn framed(value: &impl Serialize) -> io::Result<Vec<u8>> {
    let json = serde_json::to_vec(value)?;
    let length = u32::try_from(json.len()).map_err(|_| io::ErrorKind::FileTooLarge)?;
    Ok([length.to_le_bytes().as_slice(), &json].concat())
}

/// Asks for a picture to be read, and waits for its words.
pub(super) fn ask(
    to: &mut impl Write,
    from: &mut impl Read,
    request: &PictureRequest,
    pixels: &[u8],
) -> io::Result<Words> {
    to.write_all(&[PICTURE])?;
    to.write_all(&framed(request)?)?;
    to.write_all(pixels)?;
    to.flush()?;
    let mut length = [0; 4];
    from.read_exact(&mut length)?;
    let mut json = Vec::new();
    from.take(u32::from_le_bytes(length).into()).read_to_end(&mut json)?;
    Ok(serde_json::from_slice(&json)?)
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
