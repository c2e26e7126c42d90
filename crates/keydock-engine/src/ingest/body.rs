//! Documents that flow: paragraphs and tables, written down as text with columns.

use crate::layout::tabulate;

/// The most columns or rows that a cell may span or be repeated for.
const MAX_SPAN: usize = 1_000;

/// A document on its way to text.
#[derive(Default)]
pub(super) struct Body {
    text: String,
    /// Paragraphs that are open; a box of text stands inside of another paragraph.
    paragraphs: Vec<String>,
    /// Tables that are open, the innermost last.
    tables: Vec<Table>,
    /// Whether the next paragraph begins a page.
    breaks_page: bool,
}

#[derive(Default)]
struct Table {
    rows: Vec<Vec<String>>,
    /// The lines of the cell that is open.
    cell: Vec<String>,
}

impl Body {
    pub(super) fn begin_paragraph(&mut self) {
        self.paragraphs.push(String::new());
    }

    /// Adds characters to the paragraph; those outside of any are of no account.
    pub(super) fn write(&mut self, text: &str) {
        if let Some(paragraph) = self.paragraphs.last_mut() {
            paragraph.push_str(text);
        }
    }

    /// What the paragraph says so far.
    pub(super) fn paragraph(&self) -> &str {
        self.paragraphs.last().map_or("", String::as_str)
    }

    pub(super) fn end_paragraph(&mut self) {
        if let Some(paragraph) = self.paragraphs.pop() {
            self.line(&paragraph);
        }
    }

    /// Adds lines: to the cell that is open, or to the page.
    pub(super) fn line(&mut self, text: &str) {
        let text = text.trim_end();
        if let Some(table) = self.tables.last_mut() {
            let lines = text.lines().filter(|line| !line.trim().is_empty());
            table.cell.extend(lines.map(|line| line.trim().to_owned()));
            return;
        }
        if !text.is_empty() && std::mem::take(&mut self.breaks_page) && !self.text.is_empty() {
            self.text.push('\u{c}');
        }
        self.text.push_str(text);
        self.text.push('\n');
    }

    /// What follows stands on a new page, if anything follows. Tables are not torn apart.
    pub(super) fn break_page(&mut self) {
        self.breaks_page |= self.tables.is_empty();
    }

    pub(super) fn begin_table(&mut self) {
        self.tables.push(Table::default());
    }

    pub(super) fn begin_row(&mut self) {
        if let Some(table) = self.tables.last_mut() {
            table.rows.push(Vec::new());
        }
    }

    /// Ends a row that stands there several times.
    pub(super) fn repeat_row(&mut self, times: usize) {
        let Some(table) = self.tables.last_mut() else { return };
        let is_empty = table.rows.last().is_none_or(|row| row.iter().all(String::is_empty));
        if let Some(row) = table.rows.last().cloned().filter(|_| !is_empty) {
            table.rows.extend(std::iter::repeat_n(row, times.min(MAX_SPAN).saturating_sub(1)));
        }
    }

    pub(super) fn begin_cell(&mut self) {
        if let Some(table) = self.tables.last_mut() {
            table.cell.clear();
        }
    }

    /// Ends a cell that spans some columns.
    pub(super) fn end_cell(&mut self, span: usize) {
        let Some(table) = self.tables.last_mut() else { return };
        let cell = std::mem::take(&mut table.cell).join("\n");
        if table.rows.is_empty() {
            table.rows.push(Vec::new());
        }
        if let Some(row) = table.rows.last_mut() {
            row.push(cell);
            row.extend(std::iter::repeat_n(String::new(), span.min(MAX_SPAN).saturating_sub(1)));
        }
    }

    /// Ends a cell that stands there several times.
    pub(super) fn repeat_cell(&mut self, times: usize) {
        let cell = self.tables.last().map(|table| table.cell.clone()).unwrap_or_default();
        self.end_cell(if cell.is_empty() { times } else { 1 });
        if !cell.is_empty() {
            for _ in 1..times.min(MAX_SPAN) {
                self.begin_cell();
                for line in &cell {
                    self.line(line);
                }
                self.end_cell(1);
            }
        }
    }

    /// Ends a table. One in a cell of another becomes lines of that cell.
    pub(super) fn end_table(&mut self) {
        let Some(table) = self.tables.pop() else { return };
        self.table(table.rows);
    }

    /// Adds a table as a whole.
    pub(super) fn table(&mut self, mut rows: Vec<Vec<String>>) {
        drop_empty(&mut rows);
        let text = tabulate(&rows);
        if self.tables.is_empty() {
            self.line(&text);
            self.text.push('\n');
        } else {
            self.line(&text);
        }
    }

    /// The text of the whole document.
    pub(super) fn finish(mut self) -> String {
        while !self.tables.is_empty() {
            self.end_table();
        }
        while !self.paragraphs.is_empty() {
            self.end_paragraph();
        }
        self.text
    }
}

/// Drops columns in which nothing stands, and empty rows at the end and beyond the first of many.
fn drop_empty(rows: &mut Vec<Vec<String>>) {
    let width = rows.iter().map(Vec::len).max().unwrap_or_default();
    let mut is_used = vec![false; width];
    for row in rows.iter() {
        for (used, cell) in is_used.iter_mut().zip(row) {
            *used |= !cell.is_empty();
        }
    }
    for row in rows.iter_mut() {
        let mut index = 0;
        row.retain(|_| {
            index += 1;
            is_used.get(index - 1).copied().unwrap_or_default()
        });
    }
    let is_empty = |row: &Vec<String>| row.iter().all(String::is_empty);
    rows.dedup_by(|next, row| is_empty(next) && is_empty(row));
    while rows.last().is_some_and(is_empty) {
        rows.pop();
    }
}
