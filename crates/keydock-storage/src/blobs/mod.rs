//! Documents: bytes under an id.
//!
//! A blob is written once, as a stream, and is there whole or not at all. Its name is made of ids
//! of the server ([`BlobId`]); what a client calls a file never becomes a path.

mod folder;
mod id;

use std::{
    io,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use futures_util::Stream;
use tokio::io::{AsyncRead, ReadBuf};

pub use self::{folder::Folder, id::BlobId};

/// Where blobs are kept.
#[derive(Clone, Debug)]
pub enum Blobs {
    /// In a folder of this machine.
    Folder(Folder),
}

/// A blob that was stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stored {
    /// How many bytes it has.
    pub len: u64,
    /// The SHA-256 of these bytes.
    pub sha256: [u8; 32],
}

/// A failure of the place where blobs are kept.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is no such blob.
    #[error("no such blob")]
    NotFound,
    /// There is no room left.
    #[error("the disk is full")]
    Full(#[source] io::Error),
    /// Anything else that the machine reports.
    #[error("the blob store failed")]
    Io(#[source] io::Error),
}

impl From<io::Error> for Error {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::NotFound => Self::NotFound,
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::Full(error),
            _ => Self::Io(error),
        }
    }
}

/// Why a blob was not stored. Nothing of it is left.
#[derive(Debug, thiserror::Error)]
pub enum PutError<E> {
    /// Its source failed.
    #[error("the source of the blob failed")]
    Source(E),
    /// It is longer than allowed. The rest was not read.
    #[error("longer than {limit} bytes")]
    TooLarge {
        /// How many bytes were allowed.
        limit: u64,
    },
    /// The store failed.
    #[error(transparent)]
    Store(Error),
}

impl Blobs {
    /// Stores what the stream yields, up to `limit` bytes, never holding more than a few hundred
    /// kilobytes of it. When this returns, the blob survives a power cut.
    ///
    /// A blob of the same id is replaced at once; whoever reads it goes on reading the old one. If
    /// the future is dropped nothing is stored, unless the stream had ended and the blob was being
    /// put in its place.
    pub async fn put<E>(
        &self,
        id: &BlobId,
        chunks: impl Stream<Item = Result<Bytes, E>>,
        limit: u64,
    ) -> Result<Stored, PutError<E>> {
        match self {
            Self::Folder(folder) => folder.put(id, chunks, limit).await,
        }
    }

    /// Opens a blob for reading and tells its length.
    pub async fn open(&self, id: &BlobId) -> Result<(Reader, u64), Error> {
        match self {
            Self::Folder(folder) => folder.open(id).await,
        }
    }

    /// Deletes a blob. `false` if there was none.
    pub async fn delete(&self, id: &BlobId) -> Result<bool, Error> {
        match self {
            Self::Folder(folder) => folder.delete(id).await,
        }
    }

    /// Whether there is such a blob.
    pub async fn exists(&self, id: &BlobId) -> Result<bool, Error> {
        match self {
            Self::Folder(folder) => folder.exists(id).await,
        }
    }

    /// The blobs that were put in their place at least `age` ago: for whoever knows which of them
    /// are still needed.
    pub async fn older_than(&self, age: Duration) -> Result<Vec<BlobId>, Error> {
        match self {
            Self::Folder(folder) => folder.older_than(age).await,
        }
    }

    /// Deletes what a crash left of unfinished blobs that nobody has written to for `older_than`.
    /// Tells how many.
    pub async fn sweep_temporary(&self, older_than: Duration) -> Result<u64, Error> {
        match self {
            Self::Folder(folder) => folder.sweep_temporary(older_than).await,
        }
    }
}

/// An open blob.
#[derive(Debug)]
pub struct Reader(tokio::fs::File);

impl AsyncRead for Reader {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buf)
    }
}
