//! Where a value may stand, seen from its label.

use keydock_core::fields::{LabelRule, Scalar, ValueFormat};

use super::{super::values, Lead, Passage, Way, lines};
use crate::{evidence::Area, layout::Cell};

/// How many cells to the right a value may be spread over, or be looked for below.
const REACH: usize = 3;
/// How far below its label a value may begin, in heights of the label.
const DEPTH: f32 = 3.5;

/// The texts a lead leads to, the most likely first.
pub(super) fn passages<'a>(
    lead: &Lead<'_, 'a>,
    rule: &LabelRule,
    format: &ValueFormat,
) -> Vec<Passage<'a>> {
    let mut passages = match lead.way {
        Way::Right => to_the_right(lead, rule, format),
        Way::Below => below(lead, rule, format),
        Way::Above => above(lead, rule, format),
        Way::Left => to_the_left(lead, rule),
        Way::Row => in_the_row(lead, rule),
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
    let reach = rule.distance.map(|it| it * lead.label.area.height());
    let is_near =
        |cell: &&Cell| reach.is_none_or(|it| cell.area.left - lead.label.area.right <= it);
    let beside: Vec<&Cell> = cells_beside(lead).into_iter().take_while(is_near).collect();
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
            lines::add_below(&mut passage, lead.page, area, rule);
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
    let label = &lead.label.area;
    let height = label.height().max(1.0);
    let reach = rule.distance.unwrap_or(DEPTH) * height;
    let mut under = near(lead, rule, |cell| {
        let distance = cell.area.top - label.bottom;
        distance > -0.4 * height && distance < reach && cell.area.top > label.top + 0.5 * height
    });
    // The nearest line first; on it the cell that shares most with the label.
    under.sort_by(|a, b| {
        let lines = a.line.cmp(&b.line);
        lines.then(b.area.shared_width(label).total_cmp(&a.area.shared_width(label)))
    });
    let passage = |cell: &Cell| {
        let mut passage = Passage::limited(lead.page.page, rule.max_characters);
        passage.push_value(cell.words.clone());
        lines::add_below(&mut passage, lead.page, cell.area, rule);
        passage
    };
    under.into_iter().take(tries(rule, format)).map(passage).collect()
}

fn above<'a>(lead: &Lead<'_, 'a>, rule: &LabelRule, format: &ValueFormat) -> Vec<Passage<'a>> {
    let label = &lead.label.area;
    let height = label.height().max(1.0);
    let reach = rule.distance.unwrap_or(DEPTH) * height;
    let mut over = near(lead, rule, |cell| {
        let distance = label.top - cell.area.bottom;
        distance > -0.4 * height
            && distance < reach
            && cell.area.bottom < label.bottom - 0.5 * height
    });
    over.sort_by(|a, b| {
        let lines = b.line.cmp(&a.line);
        lines.then(b.area.shared_width(label).total_cmp(&a.area.shared_width(label)))
    });
    let passage = |cell: &Cell| {
        let mut passage = Passage::limited(lead.page.page, rule.max_characters);
        for cell in lines::upwards(lead.page, cell, rule) {
            passage.break_line();
            passage.push_value(cell.words.clone());
        }
        passage
    };
    over.into_iter().take(tries(rule, format)).map(passage).collect()
}

/// Text is where it is; of other values there is only one kind that fits.
fn tries(rule: &LabelRule, format: &ValueFormat) -> usize {
    let takes_anything =
        format.scalar == Scalar::Text && rule.patterns.is_empty() && format.checksum.is_none();
    if takes_anything { 1 } else { REACH }
}

/// The cells in the column of the label that are no labels themselves, of those in reach.
fn near<'a>(
    lead: &Lead<'_, 'a>,
    rule: &LabelRule,
    is_in_reach: impl Fn(&Cell) -> bool,
) -> Vec<&'a Cell> {
    let label = &lead.label.area;
    let height = label.height().max(1.0);
    let cells = lead.page.page.cells.iter().enumerate();
    let cells = cells.filter(|(index, cell)| {
        is_in_reach(cell)
            && cell.area.shared_width(label) > -0.5 * height
            && !lead.page.is_label(*index)
            && !lines::follows_label(lead.page, *index)
            && !lines::is_skipped(lead.page, cell, rule)
    });
    cells.map(|(_, cell)| cell).collect()
}

/// What stands before the label: in its own cell, or else in the cells before it.
fn to_the_left<'a>(lead: &Lead<'_, 'a>, rule: &LabelRule) -> Vec<Passage<'a>> {
    let page = lead.page.page;
    let Some(own) = page.cells.get(lead.label.cell) else { return Vec::new() };
    let mut passages = Vec::new();
    let before = own.words.start..lead.label.words.start;
    if !before.is_empty() {
        let mut passage = Passage::limited(page, rule.max_characters);
        passage.push(before, 0);
        passages.push(passage);
    }
    let reach = rule.distance.map(|it| it * lead.label.area.height());
    let mut cells: Vec<(usize, &Cell)> = page
        .cells
        .iter()
        .enumerate()
        .filter(|(_, cell)| {
            cell.area.right <= own.area.left + 1.0 && cell.area.shared_height(&own.area) >= 0.5
        })
        .collect();
    cells.sort_by(|a, b| b.1.area.right.total_cmp(&a.1.area.right));
    let cells = cells.into_iter().take_while(|(index, cell)| {
        !lead.page.is_label(*index) && reach.is_none_or(|it| own.area.left - cell.area.right <= it)
    });
    for (_, cell) in cells.take(REACH) {
        let mut passage = Passage::limited(page, rule.max_characters);
        passage.push(cell.words.clone(), 0);
        passages.push(passage);
    }
    passages
}

/// The lines of the column to the right that are nearer to this label than to the labels above
/// and below it.
fn in_the_row<'a>(lead: &Lead<'_, 'a>, rule: &LabelRule) -> Vec<Passage<'a>> {
    let page = lead.page.page;
    let mut passage = Passage::limited(page, rule.max_characters);
    if let Some((words, skipped)) = rest_of_cell(lead) {
        passage.push(words, skipped);
        return vec![passage];
    }
    let (column, all) = lines::row(lead.page, &lead.label, rule);
    for cell in column {
        passage.break_line();
        passage.push_value(cell.words.clone());
    }
    let mut wide = Passage::limited(page, rule.max_characters);
    let mut line = None;
    for cell in all {
        if line.is_some_and(|line| line != cell.line) {
            wide.break_line();
        }
        wide.push_value(cell.words.clone());
        line = Some(cell.line);
    }
    vec![passage, wide]
}
