//! ZIP archives, of which office documents are made: opened only when they are what they seem, and
//! unpacked within bounds.

use std::io::{Cursor, Read};

use zip::ZipArchive;

use super::decode;
use crate::error::Error;

/// An archive with more files than this is not meant to be read.
const MAX_ENTRIES: usize = 10_000;
/// All files of an archive together are at most this large.
const MAX_UNPACKED: u64 = 200 << 20;
/// All files together are at most this many times as large as the archive.
const MAX_RATIO: u64 = 100;
/// What unpacks to less than this is harmless, however small it was.
const HARMLESS: u64 = 1 << 20;

/// An archive whose files may be read, as long as they are not too much.
pub(super) struct Archive<'a> {
    zip: ZipArchive<Cursor<&'a [u8]>>,
    /// How many bytes may still be unpacked.
    left: u64,
}

impl<'a> Archive<'a> {
    /// Opens an archive that is nothing else besides, and whose files do not share their bytes.
    pub(super) fn open(bytes: &'a [u8]) -> Result<Self, Error> {
        let broken = |error: zip::result::ZipError| Error::damaged(format!("ZIP: {error}"));
        if announced_entries(bytes).is_some_and(|count| count > MAX_ENTRIES) {
            return Err(too_many());
        }
        let mut zip = ZipArchive::new(Cursor::new(bytes)).map_err(broken)?;
        if zip.len() > MAX_ENTRIES {
            return Err(too_many());
        }
        if zip.offset() != 0 || !ends_with_directory(bytes) {
            return Err(Error::damaged("it is a ZIP archive and something else at once"));
        }
        if zip.has_duplicate_names() {
            return Err(Error::damaged("two files of the archive have the same name"));
        }
        if zip.has_overlapping_entries().map_err(broken)? {
            return Err(Error::damaged("files of the archive overlap"));
        }
        let length = bytes.len() as u64;
        let left = MAX_UNPACKED.min((length * MAX_RATIO).max(HARMLESS));
        let mut archive = Self { zip, left };
        archive.check_announced()?;
        Ok(archive)
    }

    /// Refuses early what says itself that it is too large.
    fn check_announced(&mut self) -> Result<(), Error> {
        let announced = self.zip.decompressed_size().unwrap_or_default();
        if announced > u128::from(self.left) { Err(too_large()) } else { Ok(()) }
    }

    /// Whether there is a file of this name.
    pub(super) fn has(&self, name: &str) -> bool {
        self.zip.index_for_name(name).is_some()
    }

    /// The names of all files.
    pub(super) fn names(&self) -> Vec<String> {
        self.zip.file_names().filter_map(Result::ok).map(std::borrow::Cow::into_owned).collect()
    }

    /// Unpacks one file. What it says of its size is not believed.
    pub(super) fn read(&mut self, name: &str) -> Result<Vec<u8>, Error> {
        let broken = |error: &dyn std::fmt::Display| Error::damaged(format!("{name}: {error}"));
        let index = self.zip.index_for_name(name).ok_or_else(|| broken(&"it is missing"))?;
        let file = self.zip.by_index(index).map_err(|error| match error {
            zip::result::ZipError::UnsupportedArchive(text) if text.contains("assword") => {
                Error::Encrypted
            }
            error => broken(&error),
        })?;
        let mut bytes = Vec::new();
        let read = file.take(self.left + 1).read_to_end(&mut bytes);
        read.map_err(|error| broken(&error))?;
        self.left = self.left.checked_sub(bytes.len() as u64).ok_or_else(too_large)?;
        Ok(bytes)
    }

    /// Unpacks one file of text.
    pub(super) fn text(&mut self, name: &str) -> Result<String, Error> {
        Ok(decode::text(&self.read(name)?))
    }

    /// Unpacks every file and forgets it: for readers that unpack without bounds themselves.
    pub(super) fn check_all(&mut self) -> Result<(), Error> {
        for name in self.names() {
            self.read(&name)?;
        }
        Ok(())
    }
}

fn too_many() -> Error {
    Error::damaged(format!("the archive has more than {MAX_ENTRIES} files"))
}

fn too_large() -> Error {
    Error::damaged(format!(
        "it unpacks to more than {} MiB or {MAX_RATIO} times its size",
        MAX_UNPACKED >> 20
    ))
}

/// The record at the end of an archive, if the bytes end with it.
fn end_record(bytes: &[u8]) -> Option<&[u8]> {
    let tail = bytes.get(bytes.len().saturating_sub(65_557)..)?;
    let at = tail.windows(4).rposition(|window| window == b"PK\x05\x06")?;
    tail.get(at..)
}

fn ends_with_directory(bytes: &[u8]) -> bool {
    let comment = |record: &[u8]| {
        let two = record.get(20..22)?.try_into().ok()?;
        Some(usize::from(u16::from_le_bytes(two)) + 22 == record.len())
    };
    end_record(bytes).and_then(comment).unwrap_or(false)
}

fn announced_entries(bytes: &[u8]) -> Option<usize> {
    let two = end_record(bytes)?.get(10..12)?.try_into().ok()?;
    // 65,535 means that a longer record says it.
    Some(usize::from(u16::from_le_bytes(two)))
}
