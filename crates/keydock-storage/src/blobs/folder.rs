//! Blobs as files.

use std::{
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, Write as _},
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
    pin::pin,
    time::Duration,
};

use bytes::Bytes;
use futures_util::{Stream, StreamExt as _};
use sha2::{Digest as _, Sha256};
use tokio::task::spawn_blocking;

use super::{BlobId, Error, PutError, Reader, Stored};

/// How an unfinished blob is called. No blob is called so: theirs begin with an id.
const TEMPORARY: &str = "unfinished-";

/// So much is gathered before it is handed to the thread that writes.
const BATCH: usize = 256 * 1024;

/// Blobs in a folder, readable by its owner only.
#[derive(Clone, Debug)]
pub struct Folder {
    root: PathBuf,
}

impl Folder {
    /// Uses a folder, which is made if it is not there.
    pub fn open_at(root: impl Into<PathBuf>) -> Result<Self, Error> {
        let root = root.into();
        make_folder(&root)?;
        Ok(Self { root })
    }

    pub(super) async fn put<E>(
        &self,
        id: &BlobId,
        chunks: impl Stream<Item = Result<Bytes, E>>,
        limit: u64,
    ) -> Result<Stored, PutError<E>> {
        let path = self.path(id);
        let mut unfinished = blocking(move || Unfinished::create(path)).await?;
        let mut chunks = pin!(chunks);
        let mut batch = Batch::default();
        while let Some(chunk) = chunks.next().await {
            let chunk = chunk.map_err(PutError::Source)?;
            let len = unfinished.len + batch.len as u64 + chunk.len() as u64;
            if len > limit {
                return Err(PutError::TooLarge { limit });
            }
            batch.push(chunk);
            if batch.len >= BATCH {
                let full = std::mem::take(&mut batch);
                unfinished = blocking(move || unfinished.write(full)).await?;
            }
        }
        Ok(blocking(move || unfinished.write(batch)?.finish()).await?)
    }

    pub(super) async fn open(&self, id: &BlobId) -> Result<(Reader, u64), Error> {
        let path = self.path(id);
        let (file, len) = blocking(move || {
            let file = File::open(path)?;
            let len = file.metadata()?.len();
            Ok((file, len))
        })
        .await?;
        Ok((Reader(tokio::fs::File::from_std(file)), len))
    }

    pub(super) async fn delete(&self, id: &BlobId) -> Result<bool, Error> {
        let path = self.path(id);
        match blocking(move || fs::remove_file(path)).await {
            Ok(()) => Ok(true),
            Err(Error::NotFound) => Ok(false),
            Err(error) => Err(error),
        }
    }

    pub(super) async fn exists(&self, id: &BlobId) -> Result<bool, Error> {
        let path = self.path(id);
        blocking(move || path.try_exists()).await
    }

    pub(super) async fn sweep_temporary(&self, older_than: Duration) -> Result<u64, Error> {
        let root = self.root.clone();
        blocking(move || sweep(&root, older_than, 2)).await
    }

    pub(super) async fn older_than(&self, age: Duration) -> Result<Vec<BlobId>, Error> {
        let root = self.root.clone();
        blocking(move || {
            let mut found = Vec::new();
            gather(&root, age, 2, &mut found)?;
            Ok(found)
        })
        .await
    }

    fn path(&self, id: &BlobId) -> PathBuf {
        self.root.join(id.path())
    }
}

/// Runs `work` where it may wait for the disk.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> Result<T, Error> {
    Ok(spawn_blocking(work).await.map_err(io::Error::other)??)
}

impl<E> From<Error> for PutError<E> {
    fn from(error: Error) -> Self {
        Self::Store(error)
    }
}

/// Chunks on their way to the disk.
#[derive(Debug, Default)]
struct Batch {
    chunks: Vec<Bytes>,
    len: usize,
}

impl Batch {
    fn push(&mut self, chunk: Bytes) {
        self.len += chunk.len();
        self.chunks.push(chunk);
    }
}

/// A blob that is being written. Dropped before it is finished, it is gone, wherever it is dropped:
/// in the future that was cancelled or on the thread that was writing.
#[derive(Debug)]
struct Unfinished {
    file: File,
    at: PathBuf,
    becomes: PathBuf,
    len: u64,
    hash: Sha256,
}

impl Unfinished {
    fn create(becomes: PathBuf) -> io::Result<Self> {
        let folder = parent(&becomes);
        make_folder(folder)?;
        let at = folder.join(format!("{TEMPORARY}{:032x}", rand::random::<u128>()));
        let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&at)?;
        Ok(Self { file, at, becomes, len: 0, hash: Sha256::new() })
    }

    fn write(mut self, batch: Batch) -> io::Result<Self> {
        for chunk in batch.chunks {
            self.file.write_all(&chunk)?;
            self.hash.update(&chunk);
            self.len += chunk.len() as u64;
        }
        Ok(self)
    }

    /// First the bytes, then the name, then the folder that holds the name.
    fn finish(mut self) -> io::Result<Stored> {
        self.file.sync_all()?;
        fs::rename(&self.at, &self.becomes)?;
        File::open(parent(&self.becomes))?.sync_all()?;
        let sha256 = self.hash.finalize_reset().into();
        Ok(Stored { len: self.len, sha256 })
    }
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        // After `finish` there is nothing by this name.
        let _ = fs::remove_file(&self.at);
    }
}

/// Makes a folder and those above it, each for its owner only and each so that it stays.
fn make_folder(path: &Path) -> io::Result<()> {
    if path.is_dir() {
        return Ok(());
    }
    let above = parent(path);
    make_folder(above)?;
    match DirBuilder::new().mode(0o700).create(path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
        _ => File::open(above)?.sync_all(),
    }
}

fn parent(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if parent != Path::new("") => parent,
        _ => Path::new("."),
    }
}

fn sweep(folder: &Path, older_than: Duration, depth: u32) -> io::Result<u64> {
    let mut swept = 0;
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            swept += if depth > 0 { sweep(&entry.path(), older_than, depth - 1)? } else { 0 };
        } else if entry.file_name().to_string_lossy().starts_with(TEMPORARY) {
            match remove_if_old(&entry, older_than) {
                Ok(removed) => swept += u64::from(removed),
                // It was finished meanwhile.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
    }
    Ok(swept)
}

/// Finds blobs by their names; whatever else lies in the folder is left alone.
fn gather(folder: &Path, age: Duration, depth: u32, found: &mut Vec<BlobId>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            if depth > 0 {
                gather(&entry.path(), age, depth - 1, found)?;
            }
        } else if let Some(id) = BlobId::of_path(&entry.path())
            && is_old(&entry, age)
        {
            found.push(id);
        }
    }
    Ok(())
}

/// What vanishes while one looks at it is not old.
fn is_old(entry: &fs::DirEntry, age: Duration) -> bool {
    let modified = entry.metadata().and_then(|metadata| metadata.modified());
    modified.is_ok_and(|modified| modified.elapsed().unwrap_or_default() >= age)
}

fn remove_if_old(entry: &fs::DirEntry, older_than: Duration) -> io::Result<bool> {
    let age = entry.metadata()?.modified()?.elapsed().unwrap_or_default();
    if age < older_than {
        return Ok(false);
    }
    fs::remove_file(entry.path())?;
    Ok(true)
}
