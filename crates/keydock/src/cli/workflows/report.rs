//! What became of the documents, for people and for programs.

use std::{fmt::Write as _, time::Duration};

use keydock_core::workflows::Definition;
use keydock_engine::{Error, Extraction, says_the_same};
use serde_json::{Map, Value, json};

use super::{Ended, Tried, expectations::Expectations, milliseconds, name_of};
use crate::cli::output::cell;

/// Everything that a test found.
#[derive(Debug)]
pub(super) struct Report {
    documents: Vec<Document>,
    /// The fields that were compared, with their counts, in the order of the definition.
    fields: Vec<(String, Count)>,
    is_compared: bool,
}

/// One document.
#[derive(Debug)]
struct Document {
    name: String,
    took: Duration,
    result: Result<Extraction, Error>,
    verdicts: Vec<Verdict>,
    /// Why it could not be compared.
    problem: Option<String>,
}

/// What became of an expected value.
#[derive(Debug)]
struct Verdict {
    field: String,
    kind: Kind,
    expected: Value,
    found: Value,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Right,
    Wrong,
    Missing,
}

impl Kind {
    const fn word(self) -> &'static str {
        match self {
            Self::Right => "right",
            Self::Wrong => "wrong",
            Self::Missing => "missing",
        }
    }
}

/// How often a field was right, wrong or missing.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
struct Count {
    right: usize,
    wrong: usize,
    missing: usize,
}

impl Count {
    fn add(&mut self, kind: Kind) {
        match kind {
            Kind::Right => self.right += 1,
            Kind::Wrong => self.wrong += 1,
            Kind::Missing => self.missing += 1,
        }
    }
}

impl Report {
    pub(super) fn new(
        definition: &Definition,
        tried: Vec<Tried>,
        expectations: Option<&Expectations>,
    ) -> Self {
        let documents = tried.into_iter().map(|it| document(definition, it, expectations));
        let documents: Vec<Document> = documents.collect();
        let mut fields: Vec<(String, Count)> =
            definition.fields().iter().map(|it| (it.key.clone(), Count::default())).collect();
        for verdict in documents.iter().flat_map(|it| &it.verdicts) {
            if let Some((_, count)) = fields.iter_mut().find(|(key, _)| *key == verdict.field) {
                count.add(verdict.kind);
            } else {
                let mut count = Count::default();
                count.add(verdict.kind);
                fields.push((verdict.field.clone(), count));
            }
        }
        fields.retain(|(_, count)| *count != Count::default());
        Self { documents, fields, is_compared: expectations.is_some() }
    }

    fn total(&self) -> Count {
        let mut total = Count::default();
        for verdict in self.documents.iter().flat_map(|it| &it.verdicts) {
            total.add(verdict.kind);
        }
        total
    }

    /// Why the test failed, if it did.
    pub(super) fn failure(&self) -> Option<String> {
        let unread = self.documents.iter().filter(|it| it.result.is_err() || it.problem.is_some());
        let unread = unread.count();
        let total = self.total();
        if unread > 0 {
            return Some(format!(
                "{unread} of {} documents did not give their values",
                self.documents.len()
            ));
        }
        let off = total.wrong + total.missing;
        (off > 0)
            .then(|| format!("{off} of {} expected values are not as expected", off + total.right))
    }

    pub(super) fn to_json(&self, text: bool, timing: bool) -> Value {
        let documents: Vec<Value> =
            self.documents.iter().map(|it| it.to_json(text, timing)).collect();
        let mut report = json!({ "documents": documents });
        if self.is_compared {
            let counts = |count: &Count| json!({"right": count.right, "wrong": count.wrong, "missing": count.missing});
            let fields: Map<String, Value> =
                self.fields.iter().map(|(key, count)| (key.clone(), counts(count))).collect();
            report["fields"] = Value::Object(fields);
            report["total"] = counts(&self.total());
        }
        report
    }

    pub(super) fn describe(&self, quiet: bool, text: bool, timing: bool) -> String {
        let mut told = String::new();
        for document in &self.documents {
            document.describe(quiet, text, timing, &mut told);
        }
        if self.is_compared {
            self.describe_counts(&mut told);
        }
        if timing && !self.documents.is_empty() {
            let all: Duration = self.documents.iter().map(|it| it.took).sum();
            let count = u32::try_from(self.documents.len()).unwrap_or(u32::MAX);
            let words = ("documents", milliseconds(all), milliseconds(all / count));
            _ = writeln!(told, "{count} {} in {} ms, {} ms each", words.0, words.1, words.2);
        }
        told
    }

    fn describe_counts(&self, told: &mut String) {
        let width = self.fields.iter().map(|(key, _)| key.chars().count()).max();
        let width = width.unwrap_or_default().max("FIELD".len());
        _ = writeln!(told, "{:width$}  RIGHT  WRONG  MISSING", "FIELD");
        let total = ("total".to_owned(), self.total());
        for (key, count) in self.fields.iter().chain([&total]) {
            let Count { right, wrong, missing } = count;
            _ = writeln!(told, "{key:width$}  {right:>5}  {wrong:>5}  {missing:>7}");
        }
    }
}

fn document(
    definition: &Definition,
    tried: Tried,
    expectations: Option<&Expectations>,
) -> Document {
    let expected = expectations.map(|all| all.of(&tried.path)).transpose();
    let (expected, problem) = match expected {
        Ok(expected) => (expected.flatten(), None),
        Err(Ended { words, .. }) => (None, Some(words)),
    };
    let verdicts = expected
        .into_iter()
        .flatten()
        .map(|(field, expected)| verdict(definition, field, expected, tried.result.as_ref().ok()));
    Document {
        name: name_of(&tried.path),
        took: tried.took,
        verdicts: verdicts.collect(),
        result: tried.result,
        problem,
    }
}

fn verdict(
    definition: &Definition,
    field: String,
    expected: Value,
    extraction: Option<&Extraction>,
) -> Verdict {
    let template = extraction.and_then(|it| it.template.as_deref());
    let known = definition.fields_of(template).iter().find(|it| it.key == field);
    let found = extraction.and_then(|it| it.output.get(&field)).cloned().unwrap_or_default();
    let kind = match known {
        Some(known) if says_the_same(known, &expected, &found) => Kind::Right,
        _ if found.is_null() => Kind::Missing,
        _ => Kind::Wrong,
    };
    Verdict { field, kind, expected, found }
}

impl Document {
    fn to_json(&self, text: bool, timing: bool) -> Value {
        let mut document = json!({ "file": self.name });
        match &self.result {
            Ok(found) => {
                document["output"] = Value::Object(found.output.clone());
                document["evidence"] = json!(found.evidence);
                document["misses"] = json!(found.misses);
                document["pages"] = found.pages.into();
                document["template"] = json!(found.template);
                if text {
                    document["text"] = found.text.as_str().into();
                }
            }
            Err(error) => document["error"] = error.to_string().into(),
        }
        if let Some(problem) = &self.problem {
            document["problem"] = problem.as_str().into();
        }
        if !self.verdicts.is_empty() {
            let verdict = |it: &Verdict| {
                let Verdict { field, expected, found, kind } = it;
                json!({"field": field, "verdict": kind.word(), "expected": expected, "found": found})
            };
            document["compared"] = self.verdicts.iter().map(verdict).collect();
        }
        if timing {
            document["milliseconds"] = milliseconds(self.took);
        }
        document
    }

    fn describe(&self, quiet: bool, text: bool, timing: bool, told: &mut String) {
        let mut more = String::new();
        match &self.result {
            Err(error) => _ = writeln!(more, "  error: {error}"),
            Ok(found) => {
                if text {
                    _ = writeln!(more, "{}", found.text.replace('\u{c}', "\n--- next page ---\n"));
                }
                if !quiet {
                    describe_values(found, &mut more);
                }
            }
        }
        if let Some(problem) = &self.problem {
            _ = writeln!(more, "  {problem}");
        }
        for verdict in self.verdicts.iter().filter(|it| it.kind != Kind::Right) {
            let Verdict { field, kind, expected, found } = verdict;
            let (expected, found) = (cell(expected), cell(found));
            _ = writeln!(more, "  {}: {field}: expected {expected}, found {found}", kind.word());
            if let Ok(extraction) = &self.result {
                let misses = extraction.misses.iter().filter(|miss| miss.field == *field);
                for miss in misses {
                    _ = writeln!(more, "    {}", miss.reason);
                }
            }
        }
        if quiet && more.is_empty() && !timing {
            return;
        }
        _ = write!(told, "{}", self.name);
        if let Some(template) = self.result.as_ref().ok().and_then(|it| it.template.as_deref()) {
            _ = write!(told, " ({template})");
        }
        if timing {
            _ = write!(told, "  {} ms", milliseconds(self.took));
        }
        told.push('\n');
        told.push_str(&more);
    }
}

/// Every value with the best of its evidence, then what is missing.
fn describe_values(found: &Extraction, told: &mut String) {
    let width = found.output.keys().map(|key| key.chars().count()).max().unwrap_or_default();
    for (key, value) in &found.output {
        let evidence = found.evidence.iter().find(|it| it.field == *key);
        let place = evidence.map(|it| {
            let rule = json!(it.rule);
            let rule = rule.as_str().unwrap_or_default();
            format!("   [page {}, {rule}, {:.2}]", it.page, it.confidence)
        });
        match value {
            Value::Array(rows) if !rows.is_empty() => {
                _ = writeln!(told, "  {key:width$}");
                for row in rows {
                    let row = match row {
                        Value::Object(cells) => {
                            cells.values().map(cell).collect::<Vec<_>>().join(" | ")
                        }
                        other => cell(other),
                    };
                    _ = writeln!(told, "  {:width$}  {row}", "");
                }
            }
            value => {
                _ = writeln!(told, "  {key:width$}  {}{}", cell(value), place.unwrap_or_default());
            }
        }
    }
    for miss in &found.misses {
        _ = writeln!(told, "  missing: {}: {}", miss.field, miss.reason);
    }
}
