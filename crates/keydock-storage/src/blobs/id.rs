//! The name of a blob.

use std::{
    fmt,
    path::{Path, PathBuf},
};

use keydock_core::id::Id;
use uuid::Uuid;

/// The name of a blob: whose it is, what it belongs to, and which of its blobs it is.
///
/// It is made of numbers and ids that the server gave out; there is no way from a text to one.
///
/// ```compile_fail,E0308
/// use keydock_storage::blobs::BlobId;
/// use keydock_core::id::{Execution, FileExecution, Id};
/// # let execution: Id<Execution> = "0198c3f2-a7c8-7b0e-8f1d-2c3b4a596877".parse().unwrap();
/// let blob = BlobId::new::<Execution, FileExecution>(1, execution, "../../etc/passwd");
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BlobId {
    org: i64,
    owner: Uuid,
    item: Uuid,
}

impl BlobId {
    /// Names blob `item` of `owner`, in organization number `org`.
    pub fn new<O, I>(org: i64, owner: Id<O>, item: Id<I>) -> Self {
        Self { org, owner: owner.as_uuid(), item: item.as_uuid() }
    }

    /// The organization that it belongs to.
    pub const fn org(&self) -> i64 {
        self.org
    }

    /// What it belongs to.
    pub const fn owner<O>(&self) -> Id<O> {
        Id::from_uuid(self.owner)
    }

    /// Reads back what [`path`](Self::path) made.
    pub fn of_path(path: &Path) -> Option<Self> {
        let (owner, item) = path.file_name()?.to_str()?.split_once('.')?;
        let org = path.parent()?.parent()?.file_name()?.to_str()?;
        let id =
            Self { org: org.parse().ok()?, owner: owner.parse().ok()?, item: item.parse().ok()? };
        path.ends_with(id.path()).then_some(id)
    }

    /// Its place under the root: a folder for the organization, in it 256 folders chosen by the
    /// last byte of the owner, which is random while the first ones are the time.
    pub fn path(&self) -> PathBuf {
        let [.., last] = self.owner.into_bytes();
        PathBuf::from(format!("{}/{last:02x}/{}.{}", self.org, self.owner, self.item))
    }
}

impl fmt::Debug for BlobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.path().display())
    }
}

#[cfg(test)]
mod tests {
    use keydock_core::id::{Execution, FileExecution};

    use super::*;

    #[test]
    fn its_path_is_plain_for_every_value() {
        for org in [i64::MIN, -1, 0, 1, i64::MAX] {
            for uuid in [Uuid::nil(), Uuid::max()] {
                let id = BlobId::new::<Execution, FileExecution>(
                    org,
                    Id::from_uuid(uuid),
                    Id::from_uuid(uuid),
                );
                let path = id.path();
                assert_eq!(path.components().count(), 3);
                let text = path.to_str().unwrap();
                assert!(text.chars().all(|c| c.is_ascii_hexdigit() || "-./".contains(c)), "{text}");
                assert!(!text.contains("..") && !text.starts_with('/'), "{text}");
                assert_eq!(BlobId::of_path(&path), Some(id), "and it is read back");
            }
        }
    }
}
