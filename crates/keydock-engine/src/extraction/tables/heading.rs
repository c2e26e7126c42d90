//! The line of headers above the rows of a table, and the columns it makes.

use std::ops::Range;

use keydock_core::fields::{Column, TableRule};

use super::super::search::{Fit, Label, SearchablePage};
use crate::{evidence::Area, layout::Page};

/// A header may be set in this many heights of a line.
const DEPTH: f32 = 2.6;

/// Where the columns of a table are on a page.
pub(super) struct Heading {
    /// The line after the headers.
    pub(super) next_line: usize,
    /// The columns from left to right.
    pub(super) slots: Vec<Slot>,
    /// Whether the definition says where the columns are.
    pub(super) is_placed: bool,
    /// Whether other lines may stand before the first row.
    pub(super) is_open: bool,
    bottom: f32,
}

/// A column of a table on a page.
pub(super) struct Slot {
    /// Which column of the rule it is; `None` for one that nobody asked for.
    pub(super) column: Option<usize>,
    pub(super) area: Area,
}

/// Headers that stand together.
struct Candidate {
    labels: Vec<(usize, Label)>,
    lines: Range<usize>,
}

impl Heading {
    /// The best heading of a page: with the most headers, on the fewest lines, first.
    pub(super) fn find(page: &SearchablePage, rule: &TableRule) -> Option<Self> {
        if rule.columns.iter().any(|column| column.place.is_some()) {
            return Some(Self::placed(page.page, rule));
        }
        let labels: Vec<Vec<Label>> =
            rule.columns.iter().map(|column| headers(page, column)).collect();
        let mut starts: Vec<usize> =
            labels.iter().flatten().map(|label| line_of(page.page, label)).collect();
        starts.sort_unstable();
        starts.dedup();
        let candidates = starts.into_iter().map(|line| candidate(page.page, &labels, line));
        let good = candidates.filter(|it| it.is_good(rule));
        let best = good.min_by_key(|it| {
            (std::cmp::Reverse(it.labels.len()), it.lines.len(), it.lines.start)
        })?;
        Some(best.heading(page.page))
    }

    /// Columns whose places the definition tells.
    fn placed(page: &Page, rule: &TableRule) -> Self {
        let (width, height) = page.size;
        let columns = rule.columns.iter().enumerate();
        let slots = columns.filter_map(|(index, column)| {
            let (left, right) = column.place?;
            let area = Area { left: left * width, right: right * width, top: 0.0, bottom: height };
            Some(Slot { column: Some(index), area })
        });
        let mut slots: Vec<Slot> = slots.collect();
        slots.sort_by(|a, b| a.area.left.total_cmp(&b.area.left));
        Self { next_line: 0, slots, is_placed: true, is_open: true, bottom: 0.0 }
    }

    /// The same columns at the top of the next page.
    pub(super) fn carried_over(self) -> Self {
        Self { next_line: 0, is_open: true, bottom: 0.0, ..self }
    }

    /// Whether a line is still part of the headers.
    pub(super) fn covers(&self, area: &Area) -> bool {
        area.top < self.bottom - 0.5 * area.height()
    }
}

/// Where a header of a column stands, the most wanted first.
fn headers(page: &SearchablePage, column: &Column) -> Vec<Label> {
    let mut all: Vec<Label> = Vec::new();
    for text in &column.headers {
        let mut labels = page.labels(text, 0);
        labels.retain(|label| label.fit != Fit::Amid || shares_cell(page.page, label));
        labels.sort_by_key(|label| label.fit);
        all.extend(labels);
    }
    all
}

/// Narrow tables put several headers in one cell.
fn shares_cell(page: &Page, label: &Label) -> bool {
    page.cells.get(label.cell).is_some_and(|cell| cell.words.len() <= 12)
}

fn line_of(page: &Page, label: &Label) -> usize {
    page.cells.get(label.cell).map_or(0, |cell| cell.line)
}

/// For every column the best header on a line or the few below it.
fn candidate(page: &Page, labels: &[Vec<Label>], line: usize) -> Candidate {
    let area = |line: usize| page.area_of(page.lines.get(line)?.clone());
    let limit = area(line).map_or(0.0, |area| area.top + DEPTH * area.height());
    let is_in_band = |label: &&Label| line_of(page, label) >= line && label.area.top < limit;
    let mut chosen: Vec<(usize, Label)> = Vec::new();
    for (column, labels) in labels.iter().enumerate() {
        let is_free = |label: &&Label| {
            !chosen.iter().any(|(_, other)| {
                other.words.start < label.words.end && label.words.start < other.words.end
            })
        };
        let free = labels.iter().filter(is_in_band).filter(is_free);
        if let Some(best) = free.min_by_key(|label| (label.fit, line_of(page, label))) {
            chosen.push((column, best.clone()));
        }
    }
    let lines = chosen.iter().map(|(_, label)| line_of(page, label));
    let last = lines.max().unwrap_or(line);
    Candidate { labels: chosen, lines: line..last + 1 }
}

impl Candidate {
    fn is_good(&self, rule: &TableRule) -> bool {
        let has = |column: usize| self.labels.iter().any(|(it, _)| *it == column);
        let required = rule.columns.iter().enumerate().filter(|(_, it)| it.required);
        let enough = rule.columns.len().min(2);
        self.labels.len() >= enough && required.map(|(index, _)| index).all(has)
    }

    fn heading(&self, page: &Page) -> Heading {
        let mut slots: Vec<Slot> = self
            .labels
            .iter()
            .map(|(column, label)| Slot { column: Some(*column), area: self.extent(page, label) })
            .collect();
        let others: Vec<Slot> = self
            .lines
            .clone()
            .flat_map(|line| page.cells_of(line))
            .filter(|cell| !slots.iter().any(|slot| slot.area.shared_width(&cell.area) > 0.0))
            .map(|cell| Slot { column: None, area: cell.area })
            .collect();
        slots.extend(others);
        slots.sort_by(|a, b| a.area.left.total_cmp(&b.area.left));
        let bottom = slots.iter().map(|slot| slot.area.bottom).fold(0.0, f32::max);
        let next_line = self.lines.end;
        Heading { next_line, slots, is_placed: false, is_open: false, bottom }
    }

    /// A header is as wide as its cell, unless it shares it with another.
    fn extent(&self, page: &Page, label: &Label) -> Area {
        let sharing = self.labels.iter().filter(|(_, other)| other.cell == label.cell).count();
        match page.cells.get(label.cell) {
            Some(cell) if sharing == 1 => cell.area,
            _ => label.area,
        }
    }
}
