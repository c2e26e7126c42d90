//! The file of a backup: a tar whose last entry has the digest of all before it.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read, Seek as _, SeekFrom},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

use keydock_storage::blobs::BlobId;
use sha2::{Digest as _, Sha256};

use super::{BackupError, file};

const END: &str = "end.sha256";

/// A backup that is being written, beside its place until it is whole.
pub(super) struct Archive {
    tar: tar::Builder<Hashing<File>>,
    at: PathBuf,
    becomes: PathBuf,
}

/// What an entry of a backup is.
#[derive(Clone, Copy, Debug)]
pub(super) enum Entry {
    /// What the backup says of itself.
    Heading,
    /// The rows of a table.
    Table,
    /// A document.
    Document(BlobId),
}

impl Archive {
    pub(super) fn create(to: &Path) -> Result<Self, BackupError> {
        let mut at = to.as_os_str().to_owned();
        at.push(".unfinished");
        let at = PathBuf::from(at);
        if to.exists() {
            return Err(file(to, io::ErrorKind::AlreadyExists.into()));
        }
        let _ = fs::remove_file(&at);
        let opened = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&at);
        let opened = opened.map_err(|source| file(&at, source))?;
        let tar = tar::Builder::new(Hashing { inner: opened, hash: Sha256::new() });
        Ok(Self { tar, at, becomes: to.to_owned() })
    }

    pub(super) fn add(&mut self, name: &str, bytes: &[u8]) -> Result<(), BackupError> {
        self.append(name, bytes.len() as u64, bytes)
    }

    pub(super) fn add_file(&mut self, name: &str, mut from: File) -> Result<(), BackupError> {
        let rewound = from.seek(SeekFrom::Start(0)).and_then(|_| from.metadata());
        let len = rewound.map_err(|source| file(&self.at, source))?.len();
        self.append(name, len, from)
    }

    fn append(&mut self, name: &str, len: u64, from: impl Read) -> Result<(), BackupError> {
        let mut header = tar::Header::new_gnu();
        header.set_size(len);
        header.set_mode(0o600);
        header.set_entry_type(tar::EntryType::Regular);
        let appended = self.tar.append_data(&mut header, name, from);
        appended.map_err(|source| file(&self.at, source))
    }

    /// Writes the digest, waits for the disk, and gives the file its name.
    pub(super) fn finish(mut self) -> Result<(), BackupError> {
        let digest = hex::encode(self.tar.get_ref().hash.clone().finalize());
        self.append(END, digest.len() as u64, digest.as_bytes())?;
        let Self { tar, at, becomes } = self;
        let finished = tar.into_inner().and_then(|written| {
            written.inner.sync_all()?;
            fs::rename(&at, &becomes)?;
            let folder = becomes.parent().filter(|folder| !folder.as_os_str().is_empty());
            File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
        });
        finished.map_err(|source| file(&becomes, source))
    }
}

/// Reads a backup from its beginning to its end and hands out its entries. Fails at its end if it is
/// not what was written.
pub(super) fn read(
    from: &Path,
    mut each: impl FnMut(Entry, &mut dyn Read) -> Result<(), BackupError>,
) -> Result<(), BackupError> {
    let opened = File::open(from).map_err(|source| file(from, source))?;
    let broken = |error: io::Error| BackupError::NotWhole(error.to_string());
    // What was written before the last entry, header of that excluded.
    let mut before_end = 0;
    let mut expected = None;
    let mut archive = tar::Archive::new(io::BufReader::new(opened));
    for entry in archive.entries().map_err(broken)? {
        let mut entry = entry.map_err(broken)?;
        let name = entry.path().map_err(broken)?.display().to_string();
        if name == END {
            before_end = entry.raw_header_position();
            let mut digest = String::new();
            (&mut entry).take(64).read_to_string(&mut digest).map_err(broken)?;
            expected = Some(digest);
            continue;
        }
        if expected.is_some() {
            return Err(BackupError::NotWhole("it goes on after its end".into()));
        }
        let what =
            what_is(&name).ok_or_else(|| BackupError::NotWhole(format!("what is {name}?")))?;
        each(what, &mut entry)?;
        io::copy(&mut entry, &mut io::sink()).map_err(broken)?;
    }
    let expected = expected.ok_or_else(|| BackupError::NotWhole("its end is missing".into()))?;
    let mut hashing = Hashing { inner: io::sink(), hash: Sha256::new() };
    let again = File::open(from).map_err(|source| file(from, source))?;
    io::copy(&mut again.take(before_end), &mut hashing).map_err(broken)?;
    if hex::encode(hashing.hash.finalize()) == expected {
        Ok(())
    } else {
        Err(BackupError::NotWhole("it is not what was written".into()))
    }
}

fn what_is(name: &str) -> Option<Entry> {
    if name == "backup.json" {
        return Some(Entry::Heading);
    }
    if name.starts_with("tables/") {
        return Some(Entry::Table);
    }
    BlobId::of_path(Path::new(name.strip_prefix("blobs/")?)).map(Entry::Document)
}

/// The rows of a table.
pub(super) fn table(from: &Path, name: &str) -> Result<impl Read + use<>, BackupError> {
    part(from, &format!("tables/{name}.jsonl"))
}

/// A document.
pub(super) fn document(from: &Path, id: &BlobId) -> Result<Vec<u8>, BackupError> {
    let mut bytes = Vec::new();
    let mut part = part(from, &format!("blobs/{}", id.path().display()))?;
    part.read_to_end(&mut bytes).map_err(|source| file(from, source))?;
    Ok(bytes)
}

/// The bytes of one entry.
fn part(from: &Path, wanted: &str) -> Result<io::Take<File>, BackupError> {
    let failed = |source| file(from, source);
    let opened = File::open(from).map_err(failed)?;
    let mut archive = tar::Archive::new(io::BufReader::new(opened));
    for entry in archive.entries_with_seek().map_err(failed)? {
        let entry = entry.map_err(failed)?;
        if entry.path().map_err(failed)?.as_os_str() == wanted {
            let (start, len) = (entry.raw_file_position(), entry.size());
            let mut file = File::open(from).map_err(failed)?;
            file.seek(SeekFrom::Start(start)).map_err(failed)?;
            return Ok(file.take(len));
        }
    }
    Err(BackupError::NotWhole(format!("{wanted} is missing")))
}

/// Hashes what is written through it.
struct Hashing<W> {
    inner: W,
    hash: Sha256,
}

impl<W: io::Write> io::Write for Hashing<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.inner.write(bytes)?;
        self.hash.update(&bytes[..written]);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}
