//! The lines between two texts.

use keydock_core::fields::{LinesRule, ValueFormat};
use serde_json::Value;

use super::{
    Hit, Outcome,
    passages::Passage,
    quoted,
    search::{Fit, Label, Searchable, SearchablePage},
    values::{self, Read},
};
use crate::evidence::RuleKind;

const SURENESS: f32 = 0.9;

/// The column of lines below an anchor.
struct Block<'s, 'a> {
    page: &'s SearchablePage<'a>,
    lines: std::ops::Range<usize>,
    left: f32,
    right: f32,
}

/// Every line that is an item.
pub(super) fn find(search: &Searchable, rule: &LinesRule, format: &ValueFormat) -> Outcome {
    let Some(block) = search.pages().iter().find_map(|page| block(page, rule)) else {
        let reason =
            format!("looked for lines after {}, which is not in the document", quoted(&rule.after));
        return Outcome::missing(reason);
    };
    let mut items: Vec<Value> = Vec::new();
    let mut hits = Vec::new();
    for passage in block.lines.clone().map(|line| item(&block, line)) {
        if let Some(read) = read(&passage, rule, format) {
            let path = format!("[{}]", items.len());
            hits.push(Hit::new(path, &passage, &read, RuleKind::Lines, SURENESS));
            items.push(read.value);
        }
    }
    if items.is_empty() {
        let expected = values::expectation(format);
        return Outcome::missing(format!("no line of the list is {expected}"));
    }
    Outcome { value: Some(items.into()), hits, misses: Vec::new() }
}

fn block<'s, 'a>(page: &'s SearchablePage<'a>, rule: &LinesRule) -> Option<Block<'s, 'a>> {
    let lines = page.page.lines.len();
    let start = match rule.after.as_slice() {
        [] => None,
        texts => Some(texts.iter().find_map(|text| first(page, text, 0))?),
    };
    let first_line = start.as_ref().map_or(0, |label| line_of(page, label) + 1);
    let ends = rule.before.iter().filter_map(|text| first(page, text, first_line));
    let end = ends.map(|label| line_of(page, &label)).min();
    let end = end.unwrap_or_else(|| next_gap(page, first_line, lines));
    let (left, right) = start.map_or((f32::MIN, f32::MAX), |label| column(page, &label));
    Some(Block { page, lines: first_line..end, left, right })
}

/// The best place of a text on a line or after it.
fn first(page: &SearchablePage, text: &str, line: usize) -> Option<Label> {
    let labels = page.labels(text, 0).into_iter();
    let after = labels.filter(|label| line_of(page, label) >= line && label.fit != Fit::Amid);
    after.min_by_key(|label| (label.fit, label.cell))
}

fn line_of(page: &SearchablePage, label: &Label) -> usize {
    page.page.cells.get(label.cell).map_or(0, |cell| cell.line)
}

/// The line before which there is room for another.
fn next_gap(page: &SearchablePage, start: usize, end: usize) -> usize {
    let area = |line: usize| page.page.area_of(page.page.lines.get(line)?.clone());
    let is_gap = |line: &usize| match (area(line.saturating_sub(1)), area(*line)) {
        (Some(above), Some(here)) => here.top - above.bottom > 1.1 * above.height(),
        _ => true,
    };
    (start + 1..end).find(is_gap).unwrap_or(end)
}

/// From the left edge of the anchor to the next cell on its line.
fn column(page: &SearchablePage, label: &Label) -> (f32, f32) {
    let Some(cell) = page.page.cells.get(label.cell) else { return (f32::MIN, f32::MAX) };
    let next = page.page.cells_of(cell.line).find(|it| it.area.left > cell.area.right);
    let slack = 2.0 * cell.area.height();
    (cell.area.left - slack, next.map_or(f32::MAX, |next| next.area.left - 1.0))
}

/// What a line has in the column, without its bullet.
fn item<'a>(block: &Block<'_, 'a>, line: usize) -> Passage<'a> {
    let page = block.page.page;
    let mut passage = Passage::new(page);
    for cell in page.cells_of(line) {
        if cell.area.left >= block.left && cell.area.left < block.right {
            let words = cell.words.clone();
            let bullets = page.words(words.clone()).iter().take_while(|word| is_bullet(&word.text));
            let start = if passage.is_empty() { bullets.count() } else { 0 };
            passage.push(words.start + start..words.end, 0);
        }
    }
    passage
}

fn is_bullet(word: &str) -> bool {
    matches!(word, "•" | "-" | "–" | "*" | "‣" | "·" | "▪" | "o" | "◦" | "●" | "■")
}

fn read(passage: &Passage, rule: &LinesRule, format: &ValueFormat) -> Option<Read> {
    values::read_part(passage.text(), &rule.patterns, format)
}
