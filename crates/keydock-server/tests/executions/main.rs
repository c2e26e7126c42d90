//! Runs of deployments, as the clients of the wire see them.

#![expect(clippy::unwrap_used, reason = "a test says so by failing")]

mod formats;
#[path = "../harness/mod.rs"]
mod harness;
mod poll;
mod resume;
mod submit;
mod upload;
mod world;
