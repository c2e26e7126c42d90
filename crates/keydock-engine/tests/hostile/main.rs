//! Documents made to do harm, each read in the sandbox: every one ends as data or as a clear
//! error, within its limits, and the reader of the next one is none the worse for it.

#![expect(clippy::unwrap_used, reason = "a test may fail loudly")]

use std::{
    process::ExitCode,
    time::{Duration, Instant},
};

use keydock_engine::{
    Error,
    sandbox::{Job, Limits, Sandbox},
};
use libtest_mimic::Trial;

use self::harness::{LIMITS, read, trial};

#[path = "../harness/mod.rs"]
mod harness;
mod pdfs;
mod random;
mod texts;

fn main() -> ExitCode {
    harness::main(Job::extract, trials)
}

fn trials() -> Vec<Trial> {
    vec![trial("hostile_documents_end_well", hostile_documents_end_well)]
}

/// A document made to do harm.
pub(crate) struct Hostile {
    pub(crate) name: String,
    pub(crate) bytes: Vec<u8>,
}

impl Hostile {
    pub(crate) fn new(name: impl Into<String>, bytes: impl Into<Vec<u8>>) -> Self {
        Self { name: name.into(), bytes: bytes.into() }
    }
}

const INVOICE: &[u8] = include_bytes!("../../../../examples/invoices/invoice.pdf");

/// Proves UPL-01 for PDF, HTML, JSON, CSV and plain text.
async fn hostile_documents_end_well() {
    let limits = Limits { cpu_seconds: 1, wall_seconds: 5, ..LIMITS };
    let sandbox = Sandbox::new(limits).unwrap();
    let mut all = pdfs::all(INVOICE);
    all.extend(texts::all());
    assert!(all.len() >= 200, "only {} documents", all.len());
    let (first, second) = all.split_at(all.len() / 2);
    tokio::join!(read_all(&sandbox, first), read_all(&sandbox, second));
    let good = read(&sandbox, INVOICE, "invoice.pdf").await.unwrap();
    assert_eq!(good.output["total"]["amount"], "1845.60", "the sandbox is as good as new");
}

/// Reads documents one after the other, and checks how each ends.
async fn read_all(sandbox: &Sandbox, documents: &[Hostile]) {
    for document in documents {
        let start = Instant::now();
        let outcome = read(sandbox, &document.bytes, &document.name).await;
        let taken = start.elapsed();
        assert!(taken < Duration::from_secs(8), "{}: {taken:?}", document.name);
        if let Err(error) = outcome {
            assert!(is_clear(&error), "{}: {error:?}", document.name);
        }
    }
}

/// Errors that blame the document. The others would mean that the walls had to hold, or that the
/// sandbox itself failed.
fn is_clear(error: &Error) -> bool {
    matches!(
        error,
        Error::Empty
            | Error::UnsupportedFormat { .. }
            | Error::Encrypted
            | Error::Damaged { .. }
            | Error::TooManyPages { .. }
            | Error::NoText
            | Error::TimedOut { .. }
            | Error::OutOfMemory { .. }
            | Error::OutputTooLarge { .. }
            | Error::Crashed { signal: Some(6 | 11) }
    )
}
