//! Pages made of text that has its layout already: every character stands in a cell of a grid.

use super::{Page, Word};
use crate::evidence::Area;

/// The size of a character, chosen so that two spaces separate cells and one does not.
const WIDTH: f32 = 6.0;
const HEIGHT: f32 = 10.0;
const PITCH: f32 = 12.0;
const TAB: usize = 8;

/// A page of text in which spaces and line breaks mean what they say.
pub(crate) fn page_from_text(number: usize, text: &str) -> Page {
    let mut clean = String::with_capacity(text.len());
    let mut lines = Vec::new();
    for (row, line) in text.lines().enumerate() {
        lines.push(words(line, row, &mut clean));
        clean.push('\n');
    }
    clean.truncate(clean.trim_end().len());
    Page::new(number, clean, lines)
}

/// The words of a line; the line itself, with tabs as spaces, goes to `text`.
fn words(line: &str, row: usize, text: &mut String) -> Vec<Word> {
    let mut words: Vec<Word> = Vec::new();
    let mut column = 0;
    let mut in_word = false;
    for character in line.chars() {
        if character == '\t' {
            let spaces = TAB - column % TAB;
            text.extend(std::iter::repeat_n(' ', spaces.max(2)));
            column += spaces.max(2);
            in_word = false;
        } else if character.is_whitespace() || character.is_control() {
            text.push(' ');
            column += 1;
            in_word = false;
        } else {
            match words.last_mut() {
                Some(word) if in_word => word.text.push(character),
                _ => words.push(Word {
                    text: character.to_string(),
                    area: area(row, column),
                    offset: text.len(),
                    confidence: 1.0,
                }),
            }
            text.push(character);
            column += 1;
            in_word = true;
            if let Some(word) = words.last_mut() {
                word.area = word.area.union(area(row, column - 1));
            }
        }
    }
    words
}

#[expect(clippy::cast_precision_loss, reason = "a page has fewer than 16 million rows")]
fn area(row: usize, column: usize) -> Area {
    let (left, top) = (column as f32 * WIDTH, row as f32 * PITCH);
    Area { left, top, right: left + WIDTH, bottom: top + HEIGHT }
}

/// Between columns, so that they stay apart.
const GUTTER: usize = 3;
/// A cell that is longer does not widen its column.
const MAX_COLUMN: usize = 60;

/// Lays rows out in columns: numbers to the right, text to the left. A cell of several lines makes
/// its row several lines high.
pub(crate) fn tabulate(rows: &[Vec<String>]) -> String {
    let widths = widths(rows);
    let mut text = String::new();
    for row in rows {
        let height = row.iter().map(|cell| cell.lines().count()).max().unwrap_or_default().max(1);
        for index in 0..height {
            let cells = row.iter().map(|cell| cell.lines().nth(index).unwrap_or_default());
            text.push_str(&line(cells, &widths));
            text.push('\n');
        }
    }
    text
}

fn line<'c>(cells: impl Iterator<Item = &'c str>, widths: &[usize]) -> String {
    let mut line = String::new();
    for (index, cell) in cells.enumerate() {
        let width = widths.get(index).copied().unwrap_or_default();
        let missing = width.saturating_sub(cell.chars().count());
        let is_number = cell.ends_with(|c: char| c.is_ascii_digit())
            && cell.starts_with(|c: char| c.is_ascii_digit() || "-+(€$£".contains(c));
        let pad = std::iter::repeat_n(' ', missing);
        if is_number {
            line.extend(pad);
            line.push_str(cell);
        } else {
            line.push_str(cell);
            line.extend(pad);
        }
        line.extend(std::iter::repeat_n(' ', GUTTER));
    }
    line.truncate(line.trim_end().len());
    line
}

fn widths(rows: &[Vec<String>]) -> Vec<usize> {
    let mut widths = Vec::new();
    for row in rows {
        widths.resize(widths.len().max(row.len()), 0);
        for (width, cell) in widths.iter_mut().zip(row) {
            let length = cell.lines().map(|line| line.chars().count()).max().unwrap_or_default();
            *width = (*width).max(length.min(MAX_COLUMN));
        }
    }
    widths
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_spaces_separate_cells_and_one_does_not() {
        let page = page_from_text(1, "Invoice number  INV 7\n\n  a\tb");
        let cells: Vec<String> =
            page.cells.iter().map(|cell| page.text_of(cell.words.clone())).collect();
        assert_eq!(cells, ["Invoice number", "INV 7", "a", "b"]);
        assert_eq!(page.text, "Invoice number  INV 7\n\n  a     b");
        for word in &page.words {
            assert_eq!(&page.text[word.offset..word.end()], word.text);
        }
    }

    #[test]
    fn rows_become_columns() {
        let rows = [vec!["Item", "Price"], vec!["Widget", "9"], vec!["Nut", "10.50"]];
        let rows = rows.map(|row| row.into_iter().map(ToOwned::to_owned).collect());
        assert_eq!(tabulate(&rows), "Item     Price\nWidget       9\nNut      10.50\n");
    }
}
