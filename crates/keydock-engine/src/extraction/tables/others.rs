//! Rows without headers: matches of a pattern, and stretches of lines that begin alike.

use std::ops::Range;

use keydock_core::fields::{BlocksRule, Column, RowsRule};
use serde_json::{Map, Value};

use super::super::{
    Hit, Outcome, patterns,
    search::{Searchable, SearchablePage},
    shortened,
    values::{self, Read},
};
use crate::evidence::{Miss, RuleKind};

/// More rows than this are no table.
const MAX_ROWS: usize = 10_000;

/// Every match is a row; the groups are its cells.
pub(crate) fn matching_rows(search: &Searchable, rule: &RowsRule) -> Outcome {
    let mut rows = Rows::default();
    for page in search.pages() {
        for groups in rule.pattern.rows(&page.page.text).take(MAX_ROWS) {
            rows.begin();
            for column in &rule.columns {
                let group = groups.iter().find(|(name, _)| *name == column.key);
                if let Some((_, range)) = group {
                    rows.read(page, range, column);
                }
            }
            rows.end(&rule.columns);
        }
    }
    rows.outcome(|| {
        format!("nothing in the document matches the pattern `{}`", rule.pattern.as_str())
    })
}

/// Every stretch of lines is a row; patterns find the cells in it.
pub(crate) fn blocks(search: &Searchable, rule: &BlocksRule) -> Outcome {
    let mut rows = Rows::default();
    for block in stretches(search, rule) {
        rows.begin();
        for column in &rule.columns {
            let found = block.iter().find_map(|(page, range)| {
                let text = page.page.text.get(range.clone())?;
                let part = column.pattern.as_ref()?.values(text).next()?;
                Some((page, range.start + part.start..range.start + part.end))
            });
            if let Some((page, range)) = found {
                rows.read(page, &range, column);
            }
        }
        rows.end(&rule.columns);
    }
    rows.outcome(|| format!("no line of the document has the beginning `{}`", rule.starts.as_str()))
}

/// A stretch of lines; one that goes on after a page break has two pieces.
type Stretch<'s, 'a> = Vec<(&'s SearchablePage<'a>, Range<usize>)>;

fn stretches<'s, 'a>(search: &'s Searchable<'a>, rule: &BlocksRule) -> Vec<Stretch<'s, 'a>> {
    let mut all: Vec<Stretch> = Vec::new();
    let mut is_open = false;
    for page in search.pages() {
        // On a new page the stretch begins a new piece.
        let mut is_new_page = true;
        for line in 0..page.page.lines.len() {
            let Some((range, text)) = page.page.line_text(line) else { continue };
            if rule.starts.is_match(text) {
                if all.len() >= MAX_ROWS {
                    return all;
                }
                all.push(vec![(page, range)]);
                (is_open, is_new_page) = (true, false);
            } else if is_open && rule.ends.as_ref().is_some_and(|ends| ends.is_match(text)) {
                is_open = false;
            } else if is_open && let Some(stretch) = all.last_mut() {
                match stretch.last_mut() {
                    Some((_, piece)) if !is_new_page => piece.end = range.end,
                    _ => stretch.push((page, range)),
                }
                is_new_page = false;
            }
        }
    }
    all
}

/// Rows on their way to an answer.
#[derive(Default)]
struct Rows {
    outcome: Outcome,
    values: Vec<Value>,
    members: Map<String, Value>,
    has_value: bool,
}

impl Rows {
    fn begin(&mut self) {
        self.members = Map::new();
        self.has_value = false;
    }

    /// A cell of the row that was begun.
    fn read(&mut self, page: &SearchablePage, range: &Range<usize>, column: &Column) {
        let text = page.page.text.get(range.clone()).unwrap_or_default();
        let path = format!("[{}].{}", self.values.len(), column.key);
        let read: Option<Read> = values::read(text, &column.format);
        match read {
            Some(read) => {
                let hit = patterns::hit(page, range.start, text, &read, RuleKind::Table);
                self.outcome.hits.push(Hit { path, ..hit });
                self.members.insert(column.key.clone(), read.value);
                self.has_value = true;
            }
            None if text.trim().is_empty() => {}
            None => {
                let expected = values::expectation(&column.format);
                let reason = format!("found {}, expected {expected}", shortened(text));
                self.outcome.misses.push(Miss { field: path, reason });
            }
        }
    }

    fn end(&mut self, columns: &[Column]) {
        let is_whole = columns.iter().all(|it| !it.required || self.members.contains_key(&it.key));
        if self.has_value && is_whole {
            let cell = |column: &Column| {
                let value = self.members.get(&column.key).cloned().unwrap_or_default();
                (column.key.clone(), value)
            };
            let row: Map<String, Value> = columns.iter().map(cell).collect();
            self.values.push(Value::Object(row));
        } else {
            let prefix = format!("[{}].", self.values.len());
            self.outcome.hits.retain(|hit| !hit.path.starts_with(&prefix));
            self.outcome.misses.retain(|miss| !miss.field.starts_with(&prefix));
        }
    }

    fn outcome(mut self, reason: impl Fn() -> String) -> Outcome {
        if self.values.is_empty() {
            return Outcome::missing(reason());
        }
        self.outcome.value = Some(self.values.into());
        self.outcome
    }
}
