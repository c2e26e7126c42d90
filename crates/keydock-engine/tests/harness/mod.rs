//! What the tests of the sandbox share: a program that is its own child, and a small runtime.

use std::{future::Future, process::ExitCode};

use keydock_core::workflows::Definition;
use keydock_engine::{
    Error, Extraction,
    sandbox::{Job, Limits, Sandbox, child_main_with, is_child},
};
use libtest_mimic::{Arguments, Trial};

/// The allocator of the real program: the walls must hold with it too.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Small limits, so that tests which reach them are quick.
pub(crate) const LIMITS: Limits = Limits {
    memory_bytes: 160 << 20,
    cpu_seconds: 3,
    wall_seconds: 6,
    document_bytes: 32 << 20,
    output_bytes: 8 << 20,
    parallel: 2,
    pictures: 20,
    picture_seconds: 60,
};

/// The main function of a test program that is also the child.
pub(crate) fn main(
    work: impl FnOnce(&Job) -> Result<Extraction, Error>,
    trials: impl FnOnce() -> Vec<Trial>,
) -> ExitCode {
    if is_child() {
        return child_main_with(work);
    }
    libtest_mimic::run(&Arguments::from_args(), trials()).exit_code()
}

/// A test that may wait.
pub(crate) fn trial<F: Future<Output = ()>>(
    name: &str,
    test: impl FnOnce() -> F + Send + 'static,
) -> Trial {
    Trial::test(name, move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(test());
        Ok(())
    })
}

/// A definition that finds something in every document and needs nothing.
pub(crate) fn definition() -> Definition {
    let text = "
read: { max_pages: 500 }
fields:
  - { key: number, type: text, rule: { label: [Invoice number, number] } }
  - { key: words, type: list, rule: { pattern: '[A-Z][a-z]+' } }
  - { key: total, type: currency, rule: { label: [Total due, Total] } }
  - key: items
    type: table
    rule: { table: { columns: [ { key: what, header: Description }, { key: amount, header: Amount, type: number } ] } }
";
    Definition::parse(text).unwrap()
}

/// Reads bytes in a sandbox.
pub(crate) async fn read(
    sandbox: &Sandbox,
    document: &[u8],
    name: &str,
) -> Result<Extraction, Error> {
    let len = document.len() as u64;
    sandbox.extract(document, len, name, None, &definition()).await
}
