//! Where things are kept: database, blobs and queue.
//!
//! This crate knows databases and folders, not what is in them.
//!
//! - [`db`]: one SQL text, two databases.
//! - [`blobs`]: documents, as files named by ids of the server.
//! - [`queue`]: work that survives a crash, as a table.
//! - [`source`]: the database of somebody else, to import from.

pub mod blobs;
pub mod db;
pub mod queue;
pub mod source;
#[cfg(feature = "testing")]
pub mod testing;
