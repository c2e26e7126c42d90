//! The audit log as its readers see it: admins over HTTP, operators on the database.

#![expect(clippy::unwrap_used, reason = "what is wrong in a test should stop it")]

#[path = "../harness/mod.rs"]
mod harness;

mod attacks;
mod lines;
mod refusals;
mod route;
mod unwritable;
