//! Documents of every kind, read in the sandbox: what they say, and what they are taken for.

#![expect(clippy::unwrap_used, reason = "a test may fail loudly")]
#![expect(clippy::format_collect, clippy::format_push_string, reason = "small documents")]

use std::process::ExitCode;

use keydock_core::workflows::Definition;
use keydock_engine::{
    Error, Extraction, extract,
    sandbox::{Job, Limits, Sandbox},
};
use libtest_mimic::Trial;

use self::harness::{LIMITS, trial};

mod kinds;
mod office;
mod pictures;
mod real;
mod walls;

#[expect(dead_code, reason = "the other tests need more of it")]
#[path = "../harness/mod.rs"]
mod harness;

fn main() -> ExitCode {
    if walls::is_reader_of_pictures() {
        return walls::reader_of_pictures();
    }
    harness::main(Job::extract, || {
        [office::trials(), kinds::trials(), real::trials(), pictures::trials(), walls::trials()]
            .into_iter()
            .flatten()
            .collect()
    })
}

/// What an invoice is asked for.
const INVOICE: &str = "
fields:
  - { key: number, type: text, rule: { label: Invoice number } }
  - { key: total, type: currency, rule: { label: Total due } }
  - key: items
    type: table
    rule:
      table:
        columns:
          - { key: what, header: Description }
          - { key: amount, header: Amount, type: number }
        until: Total due
";

/// A test that does not wait.
fn at_once(name: &str, test: fn()) -> Trial {
    Trial::test(name, move || {
        test();
        Ok(())
    })
}

fn find(document: &[u8], name: &str) -> Result<Extraction, Error> {
    extract(document, name, None, &Definition::parse(INVOICE).unwrap())
}

/// Limits that allow Tesseract to take its time on a busy machine.
fn patient() -> Sandbox {
    let limits = Limits { cpu_seconds: 30, wall_seconds: 60, memory_bytes: 512 << 20, ..LIMITS };
    Sandbox::new(limits).unwrap()
}

/// Reads in the sandbox, with these settings of `read`.
async fn read(sandbox: &Sandbox, document: &[u8], settings: &str) -> Result<Extraction, Error> {
    let definition = Definition::parse(&format!("read: {{ {settings} }}{INVOICE}")).unwrap();
    sandbox.extract(document, document.len() as u64, "document", None, &definition).await
}
