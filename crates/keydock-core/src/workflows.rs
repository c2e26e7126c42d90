//! A workflow definition: how to read a document and what to extract from it.
//!
//! A definition is one YAML or JSON document. [`Definition`] is obtained only by
//! [parsing](Definition::parse), so whoever holds one knows that its keys are unique, its patterns
//! compile and its rules fit the types of their fields. Where a document is wrong, every mistake is
//! told at once, each with its place and what to write instead.
//!
//! ```
//! let definition = keydock_core::workflows::Definition::parse(
//!     "
//! fields:
//!   - { key: invoice_number, type: text, required: true, rule: { label: Invoice number } }
//!   - { key: total, type: currency, rule: { label: [Amount due, Total] } }
//! ",
//! )?;
//! assert_eq!(definition.fields().len(), 2);
//! # Ok::<(), keydock_core::workflows::DefinitionErrors>(())
//! ```

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use self::{source::Place, written::Written};
use crate::fields::{DateOrder, Field, Locale};

mod check;
mod ocr;
mod output;
mod pages;
mod rules;
mod source;
mod written;

pub use self::{
    ocr::{Ocr, OcrMode},
    pages::PageRanges,
};

/// The longest definition, in bytes.
pub const MAX_BYTES: usize = 256 * 1024;
/// The most fields of a definition.
pub const MAX_FIELDS: usize = 200;

/// A workflow definition that makes sense.
#[derive(Debug, Clone)]
pub struct Definition {
    written: Written,
    reading: Reading,
    fields: Vec<Field>,
}

/// How to read a document.
#[derive(Debug, Clone)]
pub struct Reading {
    /// The pages to read.
    pub pages: PageRanges,
    /// Documents with more pages than this are refused.
    pub max_pages: usize,
    /// Whether the text keeps its columns.
    pub layout: bool,
    /// Whose conventions numbers and dates follow.
    pub locale: Locale,
    /// The order of ambiguous dates.
    pub date_order: DateOrder,
    /// How pictures of text are read.
    pub ocr: Ocr,
}

impl Definition {
    /// Reads and checks a definition in YAML or JSON.
    pub fn parse(text: &str) -> Result<Self, DefinitionErrors> {
        if text.len() > MAX_BYTES {
            let message = format!("write a definition of at most {} KiB", MAX_BYTES / 1024);
            return Err(DefinitionError::new("", None, message).into());
        }
        let node = source::parse(text)?;
        let mut problems = check::Problems::new(&node);
        let written = check::shape(&node.to_value(), &mut problems);
        let (reading, fields) = check::meaning(&written, &mut problems);
        problems.into_result()?;
        Ok(Self { written, reading, fields })
    }

    /// What the workflow is for.
    pub fn description(&self) -> Option<&str> {
        self.written.description.as_deref()
    }

    /// How to read a document.
    pub fn reading(&self) -> &Reading {
        &self.reading
    }

    /// What to extract, in the order of the document.
    pub fn fields(&self) -> &[Field] {
        &self.fields
    }

    /// A JSON Schema of the answer: the one that was written, or one derived from the fields.
    pub fn output_schema(&self) -> Value {
        match &self.written.output_schema {
            Some(schema) => Value::Object(schema.clone()),
            None => output::schema(&self.written.fields),
        }
    }

    /// The definition in its one canonical form; parsing it gives the same definition.
    pub fn to_json(&self) -> Value {
        serde_json::to_value(&self.written).expect("a definition has only JSON values")
    }
}

/// The JSON Schema of the definition language, for editors and for the curious.
pub fn json_schema() -> Value {
    schemars::schema_for!(Written).to_value()
}

/// One mistake in a definition, with its place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DefinitionError {
    /// The path of the value, such as `fields[2].rule.pattern`; empty for the whole document.
    pub path: String,
    /// The line, counted from 1, where it is known.
    pub line: Option<u64>,
    /// The column, counted from 1, where it is known.
    pub column: Option<u64>,
    /// What to write instead.
    pub message: String,
}

impl DefinitionError {
    fn new(path: &str, place: Option<Place>, message: String) -> Self {
        let place = place.filter(|place| place.line > 0);
        Self {
            path: path.to_owned(),
            line: place.map(|place| place.line),
            column: place.map(|place| place.column),
            message,
        }
    }
}

impl fmt::Display for DefinitionError {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        if let (Some(line), Some(column)) = (self.line, self.column) {
            write!(f, "line {line}, column {column}: ")?;
        }
        if !self.path.is_empty() {
            write!(f, "{}: ", self.path)?;
        }
        f.write_str(&self.message)
    }
}

/// Every mistake in a definition, in the order of the document; there is at least one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct DefinitionErrors(Vec<DefinitionError>);

impl DefinitionErrors {
    /// The mistakes.
    pub fn as_slice(&self) -> &[DefinitionError] {
        &self.0
    }
}

impl From<DefinitionError> for DefinitionErrors {
    fn from(error: DefinitionError) -> Self {
        Self(vec![error])
    }
}

impl fmt::Display for DefinitionErrors {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("the definition has mistakes:")?;
        self.0.iter().try_for_each(|error| write!(f, "\n  {error}"))
    }
}

impl std::error::Error for DefinitionErrors {}

#[cfg(test)]
mod tests;
