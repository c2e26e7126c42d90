//! From words with places to values with evidence, field by field.

use keydock_core::{
    fields::{Field, Finder, ListRule, Wanted},
    workflows::Definition,
};
use serde_json::{Map, Value};

use self::{passages::Passage, search::Searchable, values::Read};
use crate::{
    Extraction,
    error::Error,
    evidence::{Miss, RuleKind},
    layout::Document,
};

mod labels;
mod lists;
mod passages;
mod patterns;
mod search;
mod tables;
mod values;

/// Extracts every field; a required one without a value fails the document.
pub(crate) fn run(document: &Document, definition: &Definition) -> Result<Extraction, Error> {
    let search = Searchable::new(document, definition.fields());
    let mut output = Map::new();
    let mut evidence = Vec::new();
    let mut misses = Vec::new();
    let mut missing = Vec::new();
    for field in definition.fields() {
        let outcome = find(&search, field);
        let hits = outcome.hits.into_iter();
        evidence.extend(hits.map(|hit| search.evidence(&field.key, hit)));
        let path = |miss: &Miss| Miss {
            field: format!("{}{}", field.key, miss.field),
            reason: miss.reason.clone(),
        };
        if outcome.value.is_none() && field.required {
            missing.extend(outcome.misses.iter().map(path));
        }
        misses.extend(outcome.misses.iter().map(path));
        output.insert(field.key.clone(), outcome.value.unwrap_or_else(|| field.default.clone()));
    }
    if !missing.is_empty() {
        return Err(Error::Missing { fields: missing });
    }
    Ok(Extraction {
        output,
        evidence,
        misses,
        pages: document.page_count,
        text: search.text(),
        media_type: document.media_type.to_owned(),
    })
}

/// What became of a field.
#[derive(Default)]
struct Outcome {
    /// The value; `None` when there is none.
    value: Option<Value>,
    /// Where it was found; several places for lists and tables.
    hits: Vec<Hit>,
    /// What is missing; the paths are relative to the field.
    misses: Vec<Miss>,
}

impl Outcome {
    fn missing(reason: String) -> Self {
        Self { misses: vec![Miss { field: String::new(), reason }], ..Self::default() }
    }
}

/// A value with its place.
struct Hit {
    /// The place in the value of the field, such as `[2].amount`; empty for a single value.
    path: String,
    page: usize,
    /// The words of the page that say so, cut to what was read.
    place: passages::Place,
    text: String,
    rule: RuleKind,
    confidence: f32,
}

impl Hit {
    /// What was read in a passage.
    fn new(path: String, passage: &Passage, read: &Read, rule: RuleKind, sureness: f32) -> Self {
        Self {
            path,
            page: passage.page(),
            place: passage.place(&read.range),
            text: passage.text().get(read.range.clone()).unwrap_or_default().to_owned(),
            rule,
            confidence: sureness * read.confidence,
        }
    }
}

fn find(search: &Searchable, field: &Field) -> Outcome {
    match &field.wanted {
        Wanted::One(format, Finder::Label(rule)) => labels::find(search, rule, format),
        Wanted::One(format, Finder::Pattern(rule)) => patterns::find(search, rule, format),
        Wanted::List(format, ListRule::Lines(rule)) => lists::find(search, rule, format),
        Wanted::List(format, ListRule::Pattern(rule)) => patterns::find_all(search, rule, format),
        Wanted::Table(rule) => tables::find(search, rule),
    }
}

/// Texts as one would say them: “a”, “b” or “c”.
fn quoted(texts: &[String]) -> String {
    let quoted: Vec<String> = texts.iter().map(|text| format!("“{text}”")).collect();
    match quoted.as_slice() {
        [] => String::new(),
        [one] => one.clone(),
        [most @ .., last] => format!("{} or {last}", most.join(", ")),
    }
}

/// The beginning of a text, for messages.
fn shortened(text: &str) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(80) {
        Some((end, _)) => format!("“{}…”", line.get(..end).unwrap_or_default()),
        None => format!("“{line}”"),
    }
}
