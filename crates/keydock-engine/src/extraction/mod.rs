//! From words with places to values with evidence, field by field.

use keydock_core::{
    fields::{Field, Finder, ListRule, Rule, TableFinder, ValueFormat, Wanted},
    workflows::{Choice, Definition},
};
use serde_json::Value;

pub use self::same::says_the_same;
use self::{attempt::Attempt, passages::Passage, search::Searchable, values::Read, zones::Views};
use crate::{
    Extraction,
    error::Error,
    evidence::{Miss, RuleKind},
    layout::Document,
};

mod attempt;
mod computed;
mod fuzzy;
mod labels;
mod language;
mod lists;
mod passages;
mod patterns;
mod same;
mod search;
mod tables;
mod values;
mod zones;

/// Extracts every field with the template that fits the document; a required one without a value
/// fails the document.
pub(crate) fn run(document: &Document, definition: &Definition) -> Result<Extraction, Error> {
    let (template, attempt) = chosen(document, definition);
    if !attempt.missing.is_empty() {
        return Err(Error::Missing { fields: attempt.missing });
    }
    if !attempt.contradictions.is_empty() {
        return Err(Error::Contradictory { checks: attempt.contradictions });
    }
    Ok(Extraction {
        output: attempt.output,
        evidence: attempt.evidence,
        misses: attempt.misses,
        template: template.map(ToOwned::to_owned),
        pages: document.page_count,
        text: document.text(),
        media_type: document.media_type.to_owned(),
    })
}

/// The template that is taken, by its name, and what it gives.
fn chosen<'d>(document: &Document, definition: &'d Definition) -> (Option<&'d str>, Attempt) {
    let whole = Searchable::new(&document.pages, &[]);
    let mut fitting = definition
        .templates()
        .iter()
        .filter(|template| template.when.holds(|text| whole.says(text)));
    let plain = || Attempt::new(document, definition, definition.fields());
    match definition.choice() {
        Choice::First => match fitting.next() {
            Some(it) => (Some(&it.name), Attempt::new(document, definition, &it.fields)),
            None => (None, plain()),
        },
        Choice::Best => {
            let mut best = (None, plain());
            for template in fitting {
                let attempt = Attempt::new(document, definition, &template.fields);
                // The first of equals is taken; a template rather than none.
                let is_better = attempt.score > best.1.score
                    || best.0.is_none() && attempt.score >= best.1.score;
                if is_better {
                    best = (Some(template.name.as_str()), attempt);
                }
            }
            best
        }
    }
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

/// A field that was searched for.
enum Sought {
    /// What the rules found.
    Outcome(Outcome),
    /// A rule, by its position, that needs the values of other fields first.
    Formula(usize),
    /// A value that is written in the definition.
    Constant(Value),
}

/// Tries the rules of a field from one on, until one gives a value.
fn find(views: &Views, field: &Field, from: usize) -> Sought {
    match &field.wanted {
        Wanted::One(format, rules) => return find_one(views, rules, format, from),
        Wanted::List(format, rules) => first(views, rules, |search, rule| match rule {
            ListRule::Lines(rule) => lists::find(search, rule, format),
            ListRule::Pattern(rule) => patterns::find_all(search, rule, format),
        }),
        Wanted::Table(rules) => first(views, rules, table),
        Wanted::Object(rules) => first_row(first(views, rules, table)),
    }
    .into()
}

impl From<Outcome> for Sought {
    fn from(outcome: Outcome) -> Self {
        Self::Outcome(outcome)
    }
}

fn table(search: &Searchable, rule: &TableFinder) -> Outcome {
    match rule {
        TableFinder::Columns(rule) => tables::find(search, rule),
        TableFinder::Rows(rule) => tables::matching_rows(search, rule),
        TableFinder::Blocks(rule) => tables::blocks(search, rule),
    }
}

/// The first row of a table as a value of its own.
fn first_row(outcome: Outcome) -> Outcome {
    let Some(Value::Array(rows)) = outcome.value else { return outcome };
    let cut = |path: String| path.strip_prefix("[0]").map(ToOwned::to_owned);
    let hits = outcome.hits.into_iter();
    let hits = hits.filter_map(|hit| Some(Hit { path: cut(hit.path.clone())?, ..hit }));
    let misses = outcome.misses.into_iter();
    let misses = misses.filter_map(|miss| Some(Miss { field: cut(miss.field.clone())?, ..miss }));
    Outcome { value: rows.into_iter().next(), hits: hits.collect(), misses: misses.collect() }
}

fn find_one(views: &Views, rules: &[Rule<Finder>], format: &ValueFormat, from: usize) -> Sought {
    let mut misses: Vec<String> = Vec::new();
    for (index, rule) in rules.iter().enumerate().skip(from) {
        if !rule.when.holds(|text| views.whole.says(text)) {
            continue;
        }
        let search = views.of(&rule.zone);
        let changed;
        let format = if rule.transforms.is_empty() {
            format
        } else {
            let transforms = [rule.transforms.as_slice(), &format.transforms].concat();
            changed = ValueFormat { transforms, ..format.clone() };
            &changed
        };
        let outcome = match &rule.find {
            Finder::Formula(_) => return Sought::Formula(index),
            Finder::Constant(value) => return Sought::Constant(value.clone()),
            _ if search.pages().is_empty() => Outcome::missing(no_part(rule)),
            Finder::Label(rule) => labels::find(search, rule, format),
            Finder::Pattern(rule) => patterns::find(search, rule, format),
        };
        if outcome.value.is_some() {
            return Sought::Outcome(outcome);
        }
        misses.extend(outcome.misses.into_iter().map(|miss| miss.reason));
    }
    Sought::Outcome(Outcome::missing(joined(&misses)))
}

/// What the first rule finds that finds something.
fn first<F>(
    views: &Views,
    rules: &[Rule<F>],
    find: impl Fn(&Searchable, &F) -> Outcome,
) -> Outcome {
    let mut misses: Vec<String> = Vec::new();
    for rule in rules {
        if !rule.when.holds(|text| views.whole.says(text)) {
            continue;
        }
        let search = views.of(&rule.zone);
        let outcome = if search.pages().is_empty() {
            Outcome::missing(no_part(rule))
        } else {
            find(search, &rule.find)
        };
        if outcome.value.is_some() {
            return outcome;
        }
        misses.extend(outcome.misses.into_iter().map(|miss| miss.reason));
    }
    Outcome::missing(joined(&misses))
}

/// The reasons of the rules in one; those of the first few are enough.
fn joined(misses: &[String]) -> String {
    const ENOUGH: usize = 3;
    match misses {
        [] => "none of its rules is for a document like this".to_owned(),
        [first, .., last] if misses.len() > ENOUGH => format!("{first}; …; {last}"),
        few => few.join("; "),
    }
}

fn no_part<F>(rule: &Rule<F>) -> String {
    match rule.zone.after.as_slice() {
        [] => "there is nothing in the part of the document to search".to_owned(),
        texts => {
            format!("looked for a part of the document after {}, which is not in it", quoted(texts))
        }
    }
}

/// Texts as one would say them: “a”, “b” or “c”; of many, a few.
fn quoted(texts: &[String]) -> String {
    const FEW: usize = 5;
    let quoted: Vec<String> = texts.iter().take(FEW).map(|text| format!("“{text}”")).collect();
    match quoted.as_slice() {
        few if texts.len() > FEW => {
            format!("{} or one of {} others", few.join(", "), texts.len() - FEW)
        }
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
