//! The child: gives up its rights, reads one document, answers, ends.

use std::{
    io::{self, Read, Write},
    panic::AssertUnwindSafe,
    process::ExitCode,
};

use keydock_core::workflows::Definition;

use super::{
    confine, pictures,
    protocol::{self, Answer, Header},
};
use crate::{Extraction, error::Error, eyes::PictureRequest};

/// One document and what is wanted from it, inside of the child.
#[derive(Debug)]
pub struct Job {
    /// The bytes of the document.
    pub document: Vec<u8>,
    /// What its sender calls it.
    pub name: String,
    /// What its sender says it is.
    pub declared_type: Option<String>,
    definition: String,
}

impl Job {
    /// Extracts what is wanted.
    pub fn extract(&self) -> Result<Extraction, Error> {
        let definition = Definition::parse(&self.definition).map_err(|errors| {
            Error::Unavailable { reason: format!("the definition cannot be read again: {errors}") }
        })?;
        let declared_type = self.declared_type.as_deref();
        crate::extract_with(&self.document, &self.name, declared_type, &definition, &mut ask_parent)
    }
}

/// Has a picture read by the parent, who may start programs.
fn ask_parent(request: &PictureRequest, pixels: &[u8]) -> Result<String, Error> {
    let (mut stdout, mut stdin) = (io::stdout().lock(), io::stdin().lock());
    protocol::ask(&mut stdout, &mut stdin, request, pixels)
        .unwrap_or_else(|error| Err(Error::Unavailable { reason: error.to_string() }))
}

/// Whether this process was started by a [`Sandbox`](super::Sandbox) to read a document.
pub fn is_child() -> bool {
    std::env::args_os()
        .nth(1)
        .is_some_and(|argument| argument == super::CHILD_ARG || argument == super::PICTURE_ARG)
}

/// The whole life of the child. A program calls this first thing in `main` when it
/// [is the child](is_child), before any thread or runtime is started.
pub fn child_main() -> ExitCode {
    child_main_with(Job::extract)
}

/// [`child_main`] with other work in the same confinement, so that a test can try the walls.
pub fn child_main_with(work: impl FnOnce(&Job) -> Answer) -> ExitCode {
    if std::env::args_os().nth(1).is_some_and(|argument| argument == super::PICTURE_ARG) {
        return pictures::child_main();
    }
    let answer = receive().and_then(|job| {
        std::panic::catch_unwind(AssertUnwindSafe(|| work(&job)))
            .unwrap_or_else(|_| Err(Error::damaged("the reader gave up on it")))
    });
    match respond(&answer) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

/// Confines the process, then takes the document in.
fn receive() -> Result<Job, Error> {
    let broken = |error: io::Error| Error::Unavailable { reason: error.to_string() };
    let mut stdin = io::stdin().lock();
    let header = Header::read(&mut stdin).map_err(broken)?;
    confine::confine(&header.limits)?;
    let mut document = Vec::new();
    stdin.take(header.document_bytes).read_to_end(&mut document).map_err(broken)?;
    if document.len() as u64 != header.document_bytes {
        return Err(Error::Incomplete { reason: "it ended too early".to_owned() });
    }
    Ok(Job {
        document,
        name: header.name,
        declared_type: header.declared_type,
        definition: header.definition.to_string(),
    })
}

fn respond(answer: &Answer) -> io::Result<()> {
    let json = serde_json::to_vec(answer)?;
    let mut stdout = io::stdout().lock();
    stdout.write_all(&json)?;
    stdout.flush()
}
