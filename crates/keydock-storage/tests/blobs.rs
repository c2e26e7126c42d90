//! Blobs are there whole or not at all.

#![expect(clippy::unwrap_used, reason = "a test says so by failing")]

use std::{
    convert::Infallible,
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    time::Duration,
};

use bytes::Bytes;
use futures_util::{Stream, StreamExt as _, stream};
use keydock_core::id::{Execution, FileExecution, Id};
use keydock_storage::blobs::{BlobId, Blobs, Error, Folder, PutError, Stored};
use sha2::{Digest as _, Sha256};
use tempfile::TempDir;
use tokio::io::AsyncReadExt as _;

fn fresh() -> (TempDir, Blobs) {
    let dir = tempfile::tempdir().unwrap();
    let blobs = Blobs::Folder(Folder::open_at(dir.path().join("blobs")).unwrap());
    (dir, blobs)
}

fn id(n: u128) -> BlobId {
    let owner: Id<Execution> = Id::from_uuid(uuid::Uuid::from_u128(n));
    let item: Id<FileExecution> = Id::from_uuid(uuid::Uuid::from_u128(7));
    BlobId::new(1, owner, item)
}

fn chunks(parts: &[&'static [u8]]) -> impl Stream<Item = Result<Bytes, Infallible>> + use<> {
    let parts: Vec<_> = parts.iter().map(|part| Ok(Bytes::from_static(part))).collect();
    stream::iter(parts)
}

async fn content(blobs: &Blobs, id: &BlobId) -> Vec<u8> {
    let (mut reader, len) = blobs.open(id).await.unwrap();
    let mut content = Vec::new();
    reader.read_to_end(&mut content).await.unwrap();
    assert_eq!(content.len() as u64, len);
    content
}

/// Every file below a folder.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let mode = path.metadata().unwrap().permissions().mode() & 0o777;
        if path.is_dir() {
            assert_eq!(mode, 0o700);
            found.extend(files(&path));
        } else {
            assert_eq!(mode, 0o600);
            found.push(path);
        }
    }
    found
}

#[tokio::test]
async fn what_was_put_comes_back() {
    let (dir, blobs) = fresh();
    assert!(!blobs.exists(&id(1)).await.unwrap());
    let stored = blobs.put(&id(1), chunks(&[b"hello ", b"", b"world"]), 11).await.unwrap();
    let sha256 = Sha256::digest(b"hello world").into();
    assert_eq!(stored, Stored { len: 11, sha256 });
    assert!(blobs.exists(&id(1)).await.unwrap());
    assert_eq!(content(&blobs, &id(1)).await, b"hello world");
    assert_eq!(files(dir.path()).len(), 1);

    blobs.put(&id(1), chunks(&[b"again"]), 11).await.unwrap();
    assert_eq!(content(&blobs, &id(1)).await, b"again");
    blobs.put(&id(2), chunks(&[]), 0).await.unwrap();
    assert_eq!(content(&blobs, &id(2)).await, b"");

    assert!(blobs.delete(&id(1)).await.unwrap());
    assert!(!blobs.delete(&id(1)).await.unwrap());
    assert!(matches!(blobs.open(&id(1)).await, Err(Error::NotFound)));
    assert_eq!(files(dir.path()).len(), 1);
}

#[tokio::test]
async fn more_than_the_limit_leaves_nothing() {
    let (dir, blobs) = fresh();
    let refused = blobs.put(&id(1), chunks(&[b"12345", b"6"]), 5).await;
    assert!(matches!(refused, Err(PutError::TooLarge { limit: 5 })));
    assert!(files(dir.path()).is_empty());
    // An endless stream is cut off, after its first batches have been written.
    let endless = stream::repeat_with(|| Ok::<_, Infallible>(Bytes::from(vec![0; 100_000])));
    let refused = blobs.put(&id(1), endless, 1_000_000).await;
    assert!(matches!(refused, Err(PutError::TooLarge { .. })));
    assert!(files(dir.path()).is_empty());
}

#[tokio::test]
async fn a_source_that_fails_leaves_what_was_there() {
    let (dir, blobs) = fresh();
    blobs.put(&id(1), chunks(&[b"old"]), 10).await.unwrap();
    let broken = stream::iter([Ok(Bytes::from(vec![1; 500_000])), Err("connection reset")]);
    let refused = blobs.put(&id(1), broken, u64::MAX).await;
    assert!(matches!(refused, Err(PutError::Source("connection reset"))));
    assert_eq!(files(dir.path()).len(), 1);
    assert_eq!(content(&blobs, &id(1)).await, b"old");
}

#[tokio::test]
async fn a_dropped_upload_leaves_nothing_wherever_it_was() {
    let (dir, blobs) = fresh();
    let id = id(1);
    for micros in (0..4_000).step_by(200) {
        let source = stream::repeat_with(|| Ok::<_, Infallible>(Bytes::from(vec![1; 200_000])));
        let put = blobs.put(&id, source.take(1_000).chain(stream::pending()), u64::MAX);
        assert!(tokio::time::timeout(Duration::from_micros(micros), put).await.is_err());
    }
    // A thread may be in the middle of a write; it tidies up when it is done.
    for _ in 0..100 {
        if files(dir.path()).is_empty() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("left over: {:?}", files(dir.path()));
}

#[tokio::test]
async fn a_hundred_megabytes_do_not_grow_the_memory() {
    let (_dir, blobs) = fresh();
    let chunk = Bytes::from(vec![42; 64 * 1024]);
    let source = stream::repeat_with(|| Ok::<_, Infallible>(chunk.slice(..))).take(160);
    blobs.put(&id(1), source, u64::MAX).await.unwrap();
    let before = peak_memory();
    // Here every chunk has memory of its own.
    let source = stream::repeat_with(|| Ok::<_, Infallible>(Bytes::from(vec![42; 64 * 1024])));
    let stored = blobs.put(&id(2), source.take(1_600), u64::MAX).await.unwrap();
    assert_eq!(stored.len, 100 * 1024 * 1024);
    let (mut reader, _) = blobs.open(&id(2)).await.unwrap();
    tokio::io::copy(&mut reader, &mut tokio::io::sink()).await.unwrap();
    let grown = peak_memory() - before;
    assert!(grown < 10 * 1024, "{grown} kB");
}

/// The most memory this process ever had, in kB.
fn peak_memory() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

#[tokio::test]
async fn what_a_crash_left_is_swept_but_not_what_is_being_written() {
    let (dir, blobs) = fresh();
    blobs.put(&id(1), chunks(&[b"kept"]), 10).await.unwrap();
    let left = files(dir.path())[0].with_file_name("unfinished-1");
    fs::write(&left, b"half a document").unwrap();
    assert_eq!(blobs.sweep_temporary(Duration::from_hours(1)).await.unwrap(), 0);
    assert_eq!(blobs.sweep_temporary(Duration::ZERO).await.unwrap(), 1);
    assert_eq!(files(dir.path()).len(), 1);
    assert_eq!(content(&blobs, &id(1)).await, b"kept");
}

#[test]
fn a_full_disk_is_told_apart() {
    use std::io::{self, ErrorKind};
    for kind in [ErrorKind::StorageFull, ErrorKind::QuotaExceeded] {
        assert!(matches!(Error::from(io::Error::from(kind)), Error::Full(_)));
    }
    assert!(matches!(Error::from(io::Error::other("cosmic rays")), Error::Io(_)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn many_uploads_at_once_share_the_folders() {
    let (dir, blobs) = fresh();
    let uploads: Vec<_> = (0..40)
        .map(|n| {
            let blobs = blobs.clone();
            tokio::spawn(async move { blobs.put(&id(n), chunks(&[b"content"]), 10).await })
        })
        .collect();
    for upload in uploads {
        upload.await.unwrap().unwrap();
    }
    assert_eq!(files(dir.path()).len(), 40);
}
