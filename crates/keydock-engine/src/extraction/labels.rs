//! Values beside and under labels.

use keydock_core::fields::{LabelRule, Look, Occurrence, Scalar, ValueFormat};

use super::{
    Hit, Outcome,
    passages::Passage,
    quoted,
    search::{Fit, Label, Searchable, SearchablePage},
    shortened,
    values::{self, Read},
};
use crate::{
    evidence::{Area, RuleKind},
    layout::Cell,
};

/// How many cells to the right a value may be spread over, or be looked for below.
const REACH: usize = 3;
/// How far below its label a value may begin, in heights of the label.
const DEPTH: f32 = 3.5;

/// Where a value stands, seen from its label, in the order of preference.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Way {
    Right,
    Below,
}

/// A label and a way to look from it.
struct Lead<'s, 'a> {
    page: &'s SearchablePage<'a>,
    label: Label,
    way: Way,
}

/// Follows the labels, the best leads first, until one leads to a value.
pub(super) fn find(search: &Searchable, rule: &LabelRule, format: &ValueFormat) -> Outcome {
    let mut refused: Option<String> = None;
    let mut has_label = false;
    for text in &rule.texts {
        for lead in leads(search, rule, text) {
            has_label = true;
            let passages = passages(&lead, rule, format);
            if let Some((passage, read)) = best(&passages, rule, format) {
                return found(&lead, passage, &read);
            }
            refused = refused.or_else(|| passages.first().map(|it| shortened(it.text())));
        }
    }
    Outcome::missing(reason(rule, format, has_label, refused))
}

/// The first passage with a value; a weak one only where there is nothing else.
fn best<'p, 'a>(
    passages: &'p [Passage<'a>],
    rule: &LabelRule,
    format: &ValueFormat,
) -> Option<(&'p Passage<'a>, Read)> {
    let mut weak = None;
    for passage in passages {
        match read(passage, rule, format) {
            Some(read) if read.is_weak => weak = weak.or(Some((passage, read))),
            Some(read) => return Some((passage, read)),
            None => {}
        }
    }
    weak
}

fn found(lead: &Lead, passage: &Passage, read: &Read) -> Outcome {
    let by_fit = match lead.label.fit {
        Fit::Whole => 0.98,
        Fit::Beginning => 0.85,
        Fit::Amid => 0.6,
    };
    let by_way = if lead.way == Way::Right { 1.0 } else { 0.95 };
    let hit = Hit::new(String::new(), passage, read, RuleKind::Label, by_fit * by_way);
    Outcome { value: Some(read.value.clone()), hits: vec![hit], misses: Vec::new() }
}

fn reason(
    rule: &LabelRule,
    format: &ValueFormat,
    has_label: bool,
    refused: Option<String>,
) -> String {
    let expected = format.scalar.expectation();
    let labels = quoted(&rule.texts);
    let place = match rule.look {
        Look::RightOf => "to the right of",
        Look::Below => "below",
        Look::Nearby => "beside or below",
    };
    match refused {
        Some(text) => format!("found {text} {place} the label {labels}, expected {expected}"),
        None if has_label => format!("there is nothing {place} the label {labels}"),
        None => format!("looked for the label {labels}, which is not in the document"),
    }
}

fn leads<'s, 'a>(search: &'s Searchable<'a>, rule: &LabelRule, text: &str) -> Vec<Lead<'s, 'a>> {
    let ways: &[Way] = match rule.look {
        Look::RightOf => &[Way::Right],
        Look::Below => &[Way::Below],
        Look::Nearby => &[Way::Right, Way::Below],
    };
    let mut leads: Vec<Lead> = Vec::new();
    for page in search.pages(rule.page) {
        for label in page.labels(text) {
            let is_wild = |way| label.fit == Fit::Amid && way == Way::Below && ways.len() > 1;
            let ways = ways.iter().filter(|&&way| !is_wild(way));
            leads.extend(ways.map(|&way| Lead { page, label: label.clone(), way }));
        }
    }
    // Stable: what stands first comes first among equals.
    if rule.occurrence == Occurrence::Last {
        leads.reverse();
    }
    leads.sort_by_key(|lead| (lead.label.fit, lead.way));
    leads
}

/// What the value of a passage is, once the pattern of the rule has had its say.
fn read(passage: &Passage, rule: &LabelRule, format: &ValueFormat) -> Option<Read> {
    let text = passage.text();
    let Some(pattern) = &rule.pattern else { return values::read(text, format) };
    pattern.values(text).find_map(|range| {
        let mut read = values::read(text.get(range.clone())?, format)?;
        read.range = range.start + read.range.start..range.start + read.range.end;
        Some(read)
    })
}

/// The texts a lead leads to, the most likely first.
fn passages<'a>(lead: &Lead<'_, 'a>, rule: &LabelRule, format: &ValueFormat) -> Vec<Passage<'a>> {
    let mut passages = match lead.way {
        Way::Right => to_the_right(lead, rule, format),
        Way::Below => below(lead, rule, format),
    };
    passages.retain(|passage| !passage.is_empty());
    for passage in &mut passages {
        passage.truncate(rule.max_characters);
    }
    passages
}

fn to_the_right<'a>(
    lead: &Lead<'_, 'a>,
    rule: &LabelRule,
    format: &ValueFormat,
) -> Vec<Passage<'a>> {
    let page = lead.page.page;
    let mut passages = Vec::new();
    let beside = cells_beside(lead);
    // “Total (net)   5.00”: what stands in parentheses belongs to the label.
    let rest = rest_of_cell(lead)
        .filter(|(words, _)| beside.is_empty() || !is_remark(&page.text_of(words.clone())));
    let mut cells = beside.into_iter();
    let mut so_far: Vec<&Cell> = Vec::new();
    if rest.is_none() {
        match cells.next() {
            Some(cell) => so_far.push(cell),
            None => return passages,
        }
    }
    loop {
        let mut passage = Passage::limited(page, rule.max_characters);
        if let Some((words, skipped)) = &rest {
            passage.push(words.clone(), *skipped);
        }
        for cell in &so_far {
            passage.push_value(cell.words.clone());
        }
        let place = so_far.first().map_or_else(|| cell_area(lead), |cell| Some(cell.area));
        if let Some(area) = place {
            add_lines(&mut passage, lead.page, area, rule.max_lines);
        }
        passages.push(passage);
        // Text ends with its cell; a number may be followed by its currency in the next one.
        match cells.next() {
            Some(cell) if format.scalar != Scalar::Text && so_far.len() < REACH => {
                so_far.push(cell);
            }
            _ => break,
        }
    }
    if format.scalar == Scalar::Currency {
        prefer_named_currency(&mut passages);
    }
    passages
}

/// An amount and its currency may stand in cells of their own.
fn prefer_named_currency(passages: &mut [Passage]) {
    let cut = |long: &Passage, short: &Passage| {
        long.text().strip_prefix(short.text()).is_some_and(values::is_currency)
    };
    for index in 1..passages.len() {
        if passages.get(index).zip(passages.get(index - 1)).is_some_and(|(a, b)| cut(a, b)) {
            passages.swap(index - 1, index);
            return;
        }
    }
}

fn cell_area(lead: &Lead) -> Option<Area> {
    let cell = lead.page.page.cells.get(lead.label.cell)?;
    // What follows the label in its cell begins to the right of it.
    Some(Area { left: lead.label.area.right, ..cell.area })
}

/// What follows the label in its own cell: words, and the bytes of the first that do not count.
fn rest_of_cell(lead: &Lead) -> Option<(std::ops::Range<usize>, usize)> {
    let page = lead.page.page;
    let cell = page.cells.get(lead.label.cell)?;
    let mut at = lead.label.words.end - 1;
    let mut skipped = lead.label.end;
    while at < cell.words.end {
        let word = page.words.get(at)?;
        let rest = word.text.get(skipped..)?;
        let trimmed = rest.trim_start_matches([':', '.', '=', ')', '*', '|', ';', '…', '_']);
        if !trimmed.is_empty() && !matches!(trimmed, "-" | "–" | "—") {
            return Some((at..cell.words.end, word.text.len() - trimmed.len()));
        }
        (at, skipped) = (at + 1, 0);
    }
    None
}

/// The cells on the height of the label, to the right of it, up to the next label.
fn cells_beside<'a>(lead: &Lead<'_, 'a>) -> Vec<&'a Cell> {
    let page = lead.page.page;
    let label = page.cells.get(lead.label.cell).map_or(lead.label.area, |cell| cell.area);
    let mut beside: Vec<(usize, &Cell)> = page
        .cells
        .iter()
        .enumerate()
        .filter(|(index, cell)| {
            *index != lead.label.cell
                && cell.area.left >= label.right - 1.0
                && cell.area.shared_height(&label) >= 0.5
        })
        .collect();
    beside.sort_by(|a, b| a.1.area.left.total_cmp(&b.1.area.left));
    let values = beside.into_iter().take_while(|(index, _)| !lead.page.is_label(*index));
    values.map(|(_, cell)| cell).filter(|cell| !is_punctuation(page, cell)).collect()
}

/// Words in parentheses, as opposed to an amount in them.
fn is_remark(text: &str) -> bool {
    text.starts_with('(') && text.ends_with(')') && text.contains(char::is_alphabetic)
}

/// A colon that stands alone is no value.
fn is_punctuation(page: &crate::layout::Page, cell: &Cell) -> bool {
    !page
        .text_of(cell.words.clone())
        .contains(|c: char| c.is_alphanumeric() || "✓✔☑☒☐□✗✘".contains(c))
}

fn below<'a>(lead: &Lead<'_, 'a>, rule: &LabelRule, format: &ValueFormat) -> Vec<Passage<'a>> {
    let page = lead.page.page;
    let label = &lead.label.area;
    let height = label.height().max(1.0);
    let mut under: Vec<&Cell> = page
        .cells
        .iter()
        .enumerate()
        .filter(|(index, cell)| {
            let distance = cell.area.top - label.bottom;
            distance > -0.4 * height
                && distance < DEPTH * height
                && cell.area.top > label.top + 0.5 * height
                && cell.area.shared_width(label) > -0.5 * height
                && !lead.page.is_label(*index)
                && !follows_label(lead.page, *index)
        })
        .map(|(_, cell)| cell)
        .collect();
    // The nearest line first; on it the cell that shares most with the label.
    under.sort_by(|a, b| {
        let lines = a.line.cmp(&b.line);
        lines.then(b.area.shared_width(label).total_cmp(&a.area.shared_width(label)))
    });
    let tries = if format.scalar == Scalar::Text && rule.pattern.is_none() { 1 } else { REACH };
    let passage = |cell: &Cell| {
        let mut passage = Passage::limited(page, rule.max_characters);
        passage.push_value(cell.words.clone());
        add_lines(&mut passage, lead.page, cell.area, rule.max_lines);
        passage
    };
    under.into_iter().take(tries).map(passage).collect()
}

/// Adds the lines that follow in the same column, up to as many as the rule allows.
fn add_lines(passage: &mut Passage, page: &SearchablePage, first: Area, max_lines: usize) {
    let mut last = first;
    for _ in 1..max_lines {
        let Some(cell) = next_line(page, &first, &last) else { break };
        passage.break_line();
        passage.push_value(cell.words.clone());
        last = cell.area;
    }
}

fn next_line<'a>(page: &SearchablePage<'a>, first: &Area, last: &Area) -> Option<&'a Cell> {
    let height = last.height().max(1.0);
    let cells = page.page.cells.iter().enumerate();
    let mut next = cells.filter(|(_, cell)| {
        let distance = cell.area.top - last.bottom;
        let is_aligned = (cell.area.left - first.left).abs() < 2.0 * height
            || cell.area.shared_width(first) > 0.0 && cell.area.left > first.left - height;
        distance > -0.5 * height
            && distance < 0.9 * height
            && cell.area.top > last.top + 0.5 * height
            && is_aligned
    });
    let (index, cell) = next.next()?;
    let is_value = !page.is_label(index) && !follows_label(page, index);
    is_value.then_some(cell)
}

/// Whether a label stands right before a cell, which then is its value.
fn follows_label(page: &SearchablePage, cell: usize) -> bool {
    let line = |index: usize| page.page.cells.get(index).map(|it| it.line);
    cell.checked_sub(1).is_some_and(|before| line(before) == line(cell) && page.is_label(before))
}
