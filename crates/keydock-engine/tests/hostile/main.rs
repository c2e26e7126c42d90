//! Documents made to do harm, each read in the sandbox: every one ends as data or as a clear
//! error, within its limits, and the reader of the next one is none the worse for it.

#![expect(clippy::unwrap_used, reason = "a test may fail loudly")]
#![expect(clippy::format_push_string, reason = "small documents")]

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
mod offices;
mod pdfs;
mod random;
mod texts;

fn main() -> ExitCode {
    harness::main(Job::extract, trials)
}

fn trials() -> Vec<Trial> {
    vec![
        trial("hostile_documents_end_well", hostile_documents_end_well),
        trial("hostile_offices_and_pictures_end_well", hostile_offices_end_well),
    ]
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

/// Proves UPL-01 and UPL-02 for office documents, e-mails and pictures.
async fn hostile_offices_end_well() {
    let limits = Limits { cpu_seconds: 1, wall_seconds: 5, ..LIMITS };
    // What is shown to the reader of pictures is tried elsewhere.
    let sandbox = Sandbox::new(limits).unwrap().with_reader_of_pictures("/nowhere".into());
    let all = offices::all();
    assert!(all.len() >= 180, "only {} documents", all.len());
    let (first, second) = all.split_at(all.len() / 2);
    tokio::join!(read_all(&sandbox, first), read_all(&sandbox, second));
    for name in [
        "bomb.docx",
        "bomb that lies about its size.docx",
        "ten thousand files.docx",
        "overlapping files.docx",
        "two archives.docx",
        "large.png",
        "wide.png",
    ] {
        let bomb = all.iter().find(|it| it.name == name).unwrap();
        let refused = read(&sandbox, &bomb.bytes, name).await;
        assert!(matches!(refused, Err(Error::Damaged { .. })), "{name}: {refused:?}");
    }
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
            | Error::PictureUnread { .. }
            | Error::TimedOut { .. }
            | Error::OutOfMemory { .. }
            | Error::OutputTooLarge { .. }
            | Error::Crashed { signal: Some(6 | 11) }
    )
}
