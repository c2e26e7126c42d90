//! Files that were received and belong to no execution yet.

use std::time::Duration;

use bytes::Bytes;
use futures_util::Stream;
use keydock_core::id::{self, Id, OrgNumber};
use keydock_storage::blobs::{BlobId, Blobs, PutError};

use super::{
    super::{DeclaredType, FileName, MAX_FILES, NewFile, Place},
    part::FILES,
};
use crate::FieldError;

/// Files that were received and belong to no execution yet. Dropped, they are deleted.
#[derive(Debug)]
pub(in crate::executions) struct Draft {
    blobs: Blobs,
    org: OrgNumber,
    place: Place,
    files: Vec<NewFile>,
    /// The file that is being received, if one is.
    receiving: Option<Id<id::FileExecution>>,
    /// What is wrong with the parts, in their order.
    errors: Vec<FieldError>,
    /// How many files were sent, also beyond what is allowed.
    sent: usize,
    /// A part that looks like a file and is called otherwise.
    misnamed: Option<String>,
}

impl Draft {
    /// Nothing yet.
    pub(in crate::executions) fn new(blobs: Blobs, org: OrgNumber, place: Place) -> Self {
        Self {
            blobs,
            org,
            place,
            files: Vec::new(),
            receiving: None,
            errors: Vec::new(),
            sent: 0,
            misnamed: None,
        }
    }

    /// The execution that is to take the files over.
    pub(in crate::executions) fn execution(&self) -> Id<id::Execution> {
        self.place.execution
    }

    /// The files.
    pub(in crate::executions) fn files(&self) -> &[NewFile] {
        &self.files
    }

    /// What is wrong with the files, if anything.
    pub(in crate::executions) fn take_errors(&mut self) -> Vec<FieldError> {
        std::mem::take(&mut self.errors)
    }

    /// What is wrong with there being so many files.
    pub(in crate::executions) fn count_error(&self) -> Option<FieldError> {
        let detail = match (self.sent, &self.misnamed) {
            (0, None) => {
                "You must provide at least one file, as a part named \"files\" with a file \
                          name."
                    .to_owned()
            }
            (0, Some(name)) => format!(
                "You must provide at least one file. There is a file in the part \"{name}\": name \
                 that part \"files\"."
            ),
            (sent, _) if sent > MAX_FILES => {
                format!("You can upload a maximum of {MAX_FILES} files in total; {sent} were sent.")
            }
            _ => return None,
        };
        Some(FieldError::invalid("non_field_errors", detail))
    }

    /// Counts a file that was sent, whatever becomes of it. Its number, and its place, if there is
    /// one.
    pub(super) fn count(&mut self) -> (usize, Option<Id<id::FileExecution>>) {
        let number = self.sent;
        self.sent += 1;
        (number, self.place.files.get(self.files.len()).copied().filter(|_| number < MAX_FILES))
    }

    /// Notes what is wrong with a file.
    pub(super) fn reject(&mut self, number: usize, code: &'static str, detail: &str) {
        self.errors.push(FieldError::new(format!("{FILES}.{number}"), code, detail));
    }

    /// Notes a file in a part that is not called as parts with files are.
    pub(super) fn note_misnamed(&mut self, part: String) {
        self.misnamed.get_or_insert(part);
    }

    /// Stores a file, if there is anything in it; all files together have at most `limit` bytes.
    /// Tells whether there was.
    pub(super) async fn store<E>(
        &mut self,
        id: Id<id::FileExecution>,
        name: FileName,
        declared_type: DeclaredType,
        content: impl Stream<Item = Result<Bytes, E>>,
        limit: u64,
    ) -> Result<bool, PutError<E>> {
        let blob = self.blob(id);
        let others: u64 = self.files.iter().map(|file| file.size).sum();
        self.receiving = Some(id);
        let stored = self.blobs.put(&blob, content, limit.saturating_sub(others)).await;
        self.receiving = None;
        let stored = stored?;
        if stored.len == 0 {
            delete(&self.blobs, &blob).await;
            return Ok(false);
        }
        let sha256 = hex::encode(stored.sha256);
        self.files.push(NewFile { id, name, declared_type, size: stored.len, sha256 });
        Ok(true)
    }

    /// Hands the files over to their execution: they are not deleted any more.
    pub(in crate::executions) fn hand_over(mut self) {
        self.files.clear();
    }

    /// Deletes the files, before the client is told that they were refused.
    pub(in crate::executions) async fn discard(mut self) {
        for file in std::mem::take(&mut self.files) {
            delete(&self.blobs, &self.blob(file.id)).await;
        }
    }

    fn blob(&self, file: Id<id::FileExecution>) -> BlobId {
        BlobId::new(self.org.as_i64(), self.place.execution, file)
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        let left: Vec<BlobId> = self.files.iter().map(|file| self.blob(file.id)).collect();
        let receiving = self.receiving.map(|file| self.blob(file));
        let is_nothing_left = left.is_empty() && receiving.is_none();
        if is_nothing_left || tokio::runtime::Handle::try_current().is_err() {
            return;
        }
        let blobs = self.blobs.clone();
        tokio::spawn(async move {
            for blob in &left {
                delete(&blobs, blob).await;
            }
            let Some(blob) = receiving else { return };
            // It may have been on its way to its place just now, on a thread that does not know
            // that the client left.
            for wait in [0, 1, 10] {
                tokio::time::sleep(Duration::from_secs(wait)).await;
                delete(&blobs, &blob).await;
            }
        });
    }
}

/// Deletes a document. What cannot be deleted is told to the operator and otherwise harmless.
async fn delete(blobs: &Blobs, blob: &BlobId) {
    if let Err(error) = blobs.delete(blob).await {
        let error = &error as &dyn std::error::Error;
        tracing::warn!(?blob, error, "a document could not be deleted");
    }
}
