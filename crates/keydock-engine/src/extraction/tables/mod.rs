//! Rows under a line of headers.

use std::ops::Range;

use keydock_core::fields::{Column, Scalar, TableRule};
use serde_json::{Map, Value};

use self::{columns::Borders, heading::Heading};
use super::{
    Hit, Outcome,
    passages::Passage,
    quoted,
    search::{Fit, Searchable, SearchablePage},
    shortened, values,
};
use crate::evidence::{Area, Miss, RuleKind};

mod columns;
mod heading;
mod others;

pub(super) use self::others::{blocks, matching_rows};

const SURENESS: f32 = 0.9;
/// Without a text to end at, a gap of this many heights of a line ends the table.
const WIDE_GAP: f32 = 2.5;
/// Lines of one row stand closer than this.
const ROW_GAP: f32 = 1.0;

/// A row on its way: what each column of the rule has so far.
struct Row<'a> {
    cells: Vec<Option<Passage<'a>>>,
    /// The columns that nobody asked for in which it has a number.
    strays: Vec<usize>,
    bottom: f32,
}

/// Finds the table and reads its rows, on as many pages as repeat its headers, or on all that
/// follow where the rule says so.
pub(super) fn find(search: &Searchable, rule: &TableRule) -> Outcome {
    let mut rows = Vec::new();
    let mut last: Option<Heading> = None;
    for page in search.pages() {
        let heading = match Heading::find(page, rule) {
            Some(heading) => heading,
            None => match last.take().filter(|_| rule.continues) {
                Some(heading) => heading.carried_over(),
                None => continue,
            },
        };
        let body = Body::new(page, rule, &heading);
        rows.extend(body.rows());
        if body.is_ended {
            last = Some(heading);
            break;
        }
        last = Some(heading);
    }
    if rows.is_empty() {
        return Outcome::missing(reason(rule, last.is_some()));
    }
    read_rows(&rows, rule)
}

fn reason(rule: &TableRule, has_heading: bool) -> String {
    if rule.columns.iter().all(|column| column.headers.is_empty()) {
        return "there are no rows where the columns are".to_owned();
    }
    let headers: Vec<String> =
        rule.columns.iter().filter_map(|column| column.headers.first().cloned()).collect();
    let headers = quoted(&headers).replace(" or ", " and ");
    if has_heading {
        format!("there are no rows under the headers {headers}")
    } else {
        format!("looked for a line with the headers {headers}, which is not in the document")
    }
}

fn read_rows(rows: &[Row], rule: &TableRule) -> Outcome {
    let mut outcome = Outcome::default();
    let mut values = Vec::new();
    for (index, row) in rows.iter().enumerate() {
        let mut members = Map::new();
        for (column, cell) in rule.columns.iter().zip(&row.cells) {
            let path = format!("[{index}].{}", column.key);
            let value = cell.as_ref().and_then(|cell| outcome.read_cell(path, cell, column));
            members.insert(column.key.clone(), value.unwrap_or_default());
        }
        values.push(Value::Object(members));
    }
    outcome.value = Some(values.into());
    outcome
}

impl Outcome {
    /// The value of a cell; where it was found, or why there is none, is noted.
    fn read_cell(&mut self, path: String, cell: &Passage, column: &Column) -> Option<Value> {
        if let Some(read) =
            values::read_part(cell.text(), column.pattern.as_slice(), &column.format)
        {
            self.hits.push(Hit::new(path, cell, &read, RuleKind::Table, SURENESS));
            return Some(read.value);
        }
        let expected = values::expectation(&column.format);
        let reason = format!("found {}, expected {expected}", shortened(cell.text()));
        self.misses.push(Miss { field: path, reason });
        None
    }
}

/// The lines under the headers of one page.
struct Body<'s, 'a> {
    page: &'s SearchablePage<'a>,
    rule: &'s TableRule,
    heading: &'s Heading,
    borders: Borders,
    lines: Range<usize>,
    /// Whether the text that ends the table is on this page.
    is_ended: bool,
}

impl<'s, 'a> Body<'s, 'a> {
    fn new(page: &'s SearchablePage<'a>, rule: &'s TableRule, heading: &'s Heading) -> Self {
        let end = end_line(page, rule, heading.next_line);
        let lines = heading.next_line..end.unwrap_or(page.page.lines.len());
        let near = lines.start..near_end(page, &lines);
        let borders = if heading.is_placed {
            Borders::between(&heading.slots)
        } else {
            Borders::find(page.page, &heading.slots, near)
        };
        Self { page, rule, heading, borders, lines, is_ended: end.is_some() }
    }

    fn rows(&self) -> Vec<Row<'a>> {
        let mut rows: Vec<Row> = Vec::new();
        let mut last_bottom: Option<f32> = None;
        for line in self.lines.clone() {
            let Some(area) = line_area(self.page, line) else { continue };
            if self.heading.covers(&area) || self.is_skipped(line) {
                continue;
            }
            let gap = last_bottom.map_or(0.0, |bottom| area.top - bottom);
            if !self.is_ended && !rows.is_empty() && gap > WIDE_GAP * area.height() {
                break;
            }
            let row = self.row(line, area.bottom);
            if row.cells.iter().all(Option::is_none) {
                continue;
            }
            let may_begin_later = rows.is_empty() && self.heading.is_open;
            match rows.last_mut() {
                Some(last) if self.carries_on(last, &row, area) => last.take_in(row),
                _ if self.is_row(&row) => rows.push(row),
                // Before the first row there may be what every page begins with.
                _ if self.is_ended || may_begin_later => {}
                _ => break,
            }
            last_bottom = Some(area.bottom);
        }
        rows
    }

    /// What a line has in each column of the rule.
    fn row(&self, line: usize, bottom: f32) -> Row<'a> {
        let page = self.page.page;
        let mut cells: Vec<Option<Passage>> = self.rule.columns.iter().map(|_| None).collect();
        let mut strays = Vec::new();
        for cell in page.cells_of(line) {
            for (slot, words) in self.borders.split(page, cell) {
                let column = self.heading.slots.get(slot).and_then(|slot| slot.column);
                if let Some(place) = column.and_then(|column| cells.get_mut(column)) {
                    place.get_or_insert_with(|| Passage::new(page)).push(words, 0);
                } else if is_figures(&page.text_of(words)) {
                    strays.push(slot);
                }
            }
        }
        Row { cells, strays, bottom }
    }

    fn is_skipped(&self, line: usize) -> bool {
        let text = self.page.page.line_text(line).map(|(_, text)| text);
        self.rule.skip.as_ref().zip(text).is_some_and(|(skip, text)| skip.is_match(text))
    }

    fn is_text(&self, column: usize) -> bool {
        self.rule.columns.get(column).is_some_and(|it| it.format.scalar == Scalar::Text)
    }

    /// Whether a line belongs to the row before it.
    fn carries_on(&self, last: &Row, row: &Row, area: Area) -> bool {
        if let Some(key) = &self.rule.row_starts_with {
            let column = self.rule.columns.iter().position(|column| column.key == *key);
            return column.is_some_and(|column| !row.has(column));
        }
        if area.top - last.bottom > ROW_GAP * area.height() {
            return false;
        }
        let columns = 0..self.rule.columns.len();
        let (texts, others): (Vec<usize>, Vec<usize>) = columns.partition(|it| self.is_text(*it));
        if others.is_empty() {
            return self.leftmost().is_some_and(|column| !row.has(column));
        }
        let has_values = others.iter().any(|column| row.has(*column));
        let has_texts = texts.iter().any(|column| row.has(*column));
        let collides = others.iter().any(|column| row.has(*column) && last.has(*column));
        let strays = row.strays.iter().any(|slot| last.strays.contains(slot));
        !has_values && !strays || !has_texts && !collides
    }

    fn leftmost(&self) -> Option<usize> {
        self.heading.slots.iter().find_map(|slot| slot.column)
    }

    /// Whether a line looks like a row: its required cells are there, and where nothing marks the
    /// end of the table, its values are values.
    fn is_row(&self, row: &Row) -> bool {
        let columns = self.rule.columns.iter().zip(&row.cells);
        let mut columns = columns.map(|(column, cell)| match cell {
            None => !column.required,
            Some(_) if self.is_ended => true,
            Some(cell) => {
                let patterns = column.pattern.as_slice();
                values::read_part(cell.text(), patterns, &column.format).is_some()
            }
        });
        columns.all(|is_good| is_good) && row.cells.iter().any(Option::is_some)
    }
}

impl<'a> Row<'a> {
    fn has(&self, column: usize) -> bool {
        self.cells.get(column).is_some_and(Option::is_some)
    }

    /// Adds the cells of a line that carries the row on.
    fn take_in(&mut self, row: Row<'a>) {
        for (cell, more) in self.cells.iter_mut().zip(row.cells) {
            match (cell, more) {
                (Some(cell), Some(more)) => cell.append(more),
                (cell @ None, more) => *cell = more,
                (Some(_), None) => {}
            }
        }
        self.bottom = row.bottom;
    }
}

fn is_figures(text: &str) -> bool {
    text.contains(|c: char| c.is_ascii_digit()) && !text.contains(char::is_alphabetic)
}

fn line_area(page: &SearchablePage, line: usize) -> Option<Area> {
    page.page.area_of(page.page.lines.get(line)?.clone())
}

/// The line on which the table is over, if a text of the rule says so.
fn end_line(page: &SearchablePage, rule: &TableRule, start: usize) -> Option<usize> {
    let labels = rule.until.iter().flat_map(|text| page.labels(text, 0));
    let labels = labels.filter(|label| label.fit != Fit::Amid);
    let lines = labels.filter_map(|label| page.page.cells.get(label.cell)).map(|cell| cell.line);
    lines.filter(|line| *line >= start).min()
}

/// The lines that decide where the columns are: up to the first wide gap.
fn near_end(page: &SearchablePage, lines: &Range<usize>) -> usize {
    let is_gap = |line: &usize| {
        let above = line_area(page, line.saturating_sub(1));
        match (above, line_area(page, *line)) {
            (Some(above), Some(here)) => here.top - above.bottom > WIDE_GAP * here.height(),
            _ => false,
        }
    };
    let mut later = (lines.start + 1).min(lines.end)..lines.end;
    later.find(is_gap).unwrap_or(lines.end)
}
