//! How a document becomes data: bytes and a definition in, values with evidence out.
//!
//! [`extract`] is the whole engine in one signature. It is a pure function of its arguments, but
//! the bytes come from strangers, so a server calls it through a [`sandbox::Sandbox`]: in a child
//! process without files, network or much of anything else.
//!
//! ```text
//! bytes ── ingest ──► words with boxes ── layout ──► lines, cells, text
//!                                                        │
//!                         values with evidence ◄── extraction (labels, patterns, tables, lists)
//! ```

use keydock_core::workflows::Definition;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::layout::Document;
pub use crate::{
    error::Error,
    evidence::{Area, Evidence, Miss, RuleKind, Span},
};

mod error;
mod evidence;
mod extraction;
mod eyes;
mod ingest;
mod layout;
pub mod sandbox;

/// What was found in a document.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Extraction {
    /// One member for every field of the definition.
    pub output: Map<String, Value>,
    /// Where the values were found.
    pub evidence: Vec<Evidence>,
    /// What was looked for in vain, or found and not understood.
    pub misses: Vec<Miss>,
    /// How many pages the document has.
    pub pages: usize,
    /// The text of the pages that were read, with their layout, separated by form feeds.
    pub text: String,
    /// What the content turned out to be.
    pub media_type: String,
}

/// Reads a document and extracts what the definition asks for.
///
/// The content decides what kind of document it is; `declared_type` (a media type) and `name` may
/// only choose among kinds of text, and a declaration that contradicts the content is refused.
/// Pictures are read by another program, and so only in the [sandbox].
pub fn extract(
    document: &[u8],
    name: &str,
    declared_type: Option<&str>,
    definition: &Definition,
) -> Result<Extraction, Error> {
    extract_with(document, name, declared_type, definition, &mut eyes::blind)
}

/// [`extract`] with somebody who reads pictures.
fn extract_with(
    document: &[u8],
    name: &str,
    declared_type: Option<&str>,
    definition: &Definition,
    pictures: &mut eyes::Read,
) -> Result<Extraction, Error> {
    let reading = definition.reading();
    let document = ingest::read(document, name, declared_type, reading, pictures)?;
    let mut extraction = extraction::run(&document, definition)?;
    for evidence in &mut extraction.evidence {
        evidence.confidence *= legibility(&document, evidence);
    }
    Ok(extraction)
}

/// How sure it is that the words of a value are what is written; 1 unless they were read in a
/// picture.
fn legibility(document: &Document, evidence: &Evidence) -> f32 {
    let page = document.pages.iter().find(|page| page.number == evidence.page);
    match (page, evidence.area) {
        (Some(page), Some(area)) => page.confidence_in(&area),
        _ => 1.0,
    }
}
