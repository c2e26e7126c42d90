//! Black-box tests and the torture program: the built `keydock`, driven over HTTP and from the
//! command line, as its users drive it.
//!
//! A [`Server`] is one process on a free port of this machine, with a data folder of its own, on
//! SQLite or, where `KEYDOCK_TEST_POSTGRES` says so, in a schema of its own in PostgreSQL. A
//! [`Client`] is somebody who sends requests to it.

pub mod client;
pub mod database;
pub mod gateway;
pub mod program;
pub mod server;

pub use self::{
    client::{Answer, Client, Credential, File},
    database::Database,
    server::{Credentials, Server, Setup},
};

/// The organization that the first start founds.
pub const ORG: &str = "mock_org";

/// A workflow that reads the number behind the word `Total`, from a text of one line.
pub const TOTALS: &str = "fields:\n  - key: total\n    type: number\n    rule: { label: Total }\n";

/// A document whose total is this number.
pub fn total(number: u64) -> Vec<u8> {
    format!("Total: {number}\n").into_bytes()
}
