//! DOC: the text of Word documents from 1997 to 2003, put together from its pieces.

use super::{
    body::Body,
    compound::{Compound, long, narrow, short, wide},
};
use crate::error::Error;

/// Where the places of things stand in the header of the document.
const FLAGS: usize = 0x0a;
const TEXT_LENGTHS: std::ops::Range<usize> = 0x4c..0x68;
const PIECES_AT: usize = 0x01a2;
const PIECES_LENGTH: usize = 0x01a6;

/// The text of the document; notes and margins follow what they belong to.
pub(super) fn text(bytes: &[u8]) -> Result<String, Error> {
    let mut file = Compound::open(bytes)?;
    let document = file.read("/WordDocument")?;
    let flags = short(&document, FLAGS).unwrap_or_default();
    if flags & 0x0100 != 0 {
        return Err(Error::Encrypted);
    }
    if short(&document, 2).unwrap_or_default() < 0x00c1 {
        return Err(Error::UnsupportedFormat {
            found:
                "a Word document from before 1997; save it as DOCX, for example with LibreOffice"
                    .to_owned(),
        });
    }
    let table = file.read(if flags & 0x0200 == 0 { "/0Table" } else { "/1Table" })?;
    let text = pieces(&document, &table)
        .ok_or_else(|| Error::damaged("the pieces of the Word document"))?;
    Ok(laid_out(&text))
}

/// The characters of all pieces, in the order of the text.
fn pieces(document: &[u8], table: &[u8]) -> Option<String> {
    let (start, length) = (long(document, PIECES_AT)?, long(document, PIECES_LENGTH)?);
    let mut list = table.get(start..start.checked_add(length)?)?;
    // What comes first says how pieces look.
    while list.first() == Some(&1) {
        list = list.get(3 + usize::from(short(list, 1)?)..)?;
    }
    if list.first() != Some(&2) {
        return None;
    }
    let list = list.get(5..5_usize.checked_add(long(list, 1)?)?)?;
    let count = list.len().checked_sub(4)? / 12;
    let mut text = String::new();
    // The last of the lengths is that of text boxes in margins, which repeat what is seen.
    let most: usize =
        TEXT_LENGTHS.step_by(4).filter_map(|at| long(document, at)).fold(0, usize::saturating_add);
    for index in 0..count {
        let (from, to) = (long(list, index * 4)?, long(list, index * 4 + 4)?.min(most.max(1)));
        let place = long(list, (count + 1) * 4 + index * 8 + 2)?;
        let characters = to.saturating_sub(from);
        let is_narrow = place & 0x4000_0000 != 0;
        let place = place & 0x3fff_ffff;
        let (start, length) =
            if is_narrow { (place / 2, characters) } else { (place, characters.checked_mul(2)?) };
        let bytes = document.get(start..start.checked_add(length)?.min(document.len()))?;
        text.push_str(&if is_narrow { narrow(bytes) } else { wide(bytes) });
    }
    Some(text)
}

/// Paragraphs on lines of their own, tables in columns, without the codes of fields.
fn laid_out(text: &str) -> String {
    let mut body = Body::default();
    let mut line = String::new();
    let mut cells: Vec<String> = Vec::new();
    // For every open field: whether its code is being read.
    let mut fields: Vec<bool> = Vec::new();
    for character in text.chars() {
        match character {
            '\u{13}' => fields.push(true),
            '\u{14}' => {
                if let Some(in_code) = fields.last_mut() {
                    *in_code = false;
                }
            }
            '\u{15}' => {
                fields.pop();
            }
            _ if fields.contains(&true) => {}
            '\u{7}' => cells.push(std::mem::take(&mut line)),
            '\r' | '\u{c}' if is_in_cell(&cells, &line) => line.push('\n'),
            '\r' | '\u{c}' => {
                end_table(&mut body, &mut cells);
                body.line(&std::mem::take(&mut line));
                if character == '\u{c}' {
                    body.break_page();
                }
            }
            '\u{b}' => line.push('\n'),
            '\t' => line.push('\t'),
            '\u{1e}' => line.push('-'),
            '\u{a0}' => line.push(' '),
            _ if character.is_control() => {}
            _ => line.push(character),
        }
    }
    end_table(&mut body, &mut cells);
    body.line(&line);
    body.finish()
}

/// A paragraph ends in a cell only when more of the row is to come; whether it is, is not known
/// before, so a paragraph after a row is taken to stand outside.
fn is_in_cell(cells: &[String], line: &str) -> bool {
    !line.is_empty() && cells.last().is_some_and(|cell| !cell.is_empty())
}

/// Ends with a mark both a cell and a row: the rows are as long as makes sense of all marks.
fn end_table(body: &mut Body, cells: &mut Vec<String>) {
    let cells = std::mem::take(cells);
    if cells.is_empty() {
        return;
    }
    let ends_rows = |length: usize| {
        cells.len().is_multiple_of(length)
            && cells.iter().skip(length - 1).step_by(length).all(String::is_empty)
    };
    let length = (2..=cells.len().min(64)).find(|&length| ends_rows(length));
    let rows: Vec<Vec<String>> = match length {
        Some(length) => {
            cells.chunks(length).map(|row| row.iter().take(length - 1).cloned().collect()).collect()
        }
        None => cells.split(String::is_empty).map(<[String]>::to_vec).collect(),
    };
    let tidy = |cell: &mut String| *cell = cell.trim().to_owned();
    let rows = rows.into_iter().map(|mut row| {
        row.iter_mut().for_each(tidy);
        row
    });
    body.table(rows.filter(|row| !row.is_empty()).collect());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_and_tables_are_understood() {
        let text = "Invoice \u{13} PAGE \u{14}7\u{15}\rItem\u{7}Price\u{7}\u{7}Nut\u{7}\u{7}\u{7}Bolt\u{7}2.50\u{7}\u{7}Thanks\r";
        insta::assert_snapshot!(laid_out(text), @"
        Invoice 7
        Item   Price
        Nut
        Bolt    2.50

        Thanks
        ");
    }
}
