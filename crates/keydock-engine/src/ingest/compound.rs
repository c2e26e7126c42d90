//! The container of older office documents (OLE compound file).

use std::io::{Cursor, Read};

use cfb::CompoundFile;

use crate::error::Error;

/// No stream of a document is longer.
const MAX_STREAM: u64 = 100 << 20;

/// An older office document.
pub(super) struct Compound<'a>(CompoundFile<Cursor<&'a [u8]>>);

impl<'a> Compound<'a> {
    pub(super) fn open(bytes: &'a [u8]) -> Result<Self, Error> {
        let broken = |error| Error::damaged(format!("the older office document: {error}"));
        CompoundFile::open(Cursor::new(bytes)).map(Self).map_err(broken)
    }

    /// Whether there is a stream of this name.
    pub(super) fn has(&self, name: &str) -> bool {
        self.0.is_stream(name)
    }

    pub(super) fn read(&mut self, name: &str) -> Result<Vec<u8>, Error> {
        let broken = |error| Error::damaged(format!("{name}: {error}"));
        let stream = self.0.open_stream(name).map_err(broken)?;
        let mut bytes = Vec::new();
        stream.take(MAX_STREAM).read_to_end(&mut bytes).map_err(broken)?;
        Ok(bytes)
    }
}

/// A number of two bytes.
pub(super) fn short(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_le_bytes(bytes.get(at..at.checked_add(2)?)?.try_into().ok()?))
}

/// A number of four bytes, which is a place or a length.
pub(super) fn long(bytes: &[u8], at: usize) -> Option<usize> {
    let four = bytes.get(at..at.checked_add(4)?)?.try_into().ok()?;
    usize::try_from(u32::from_le_bytes(four)).ok()
}

/// Text in UTF-16.
pub(super) fn wide(bytes: &[u8]) -> String {
    encoding_rs::UTF_16LE.decode_without_bom_handling(bytes).0.into_owned()
}

/// Text in the characters of Western Europe.
pub(super) fn narrow(bytes: &[u8]) -> String {
    encoding_rs::WINDOWS_1252.decode_without_bom_handling(bytes).0.into_owned()
}
