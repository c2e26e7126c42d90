//! XLSX and XLS: what stands in the cells of a workbook, a page for every sheet.

use std::{
    collections::{BTreeMap, BTreeSet},
    io::Cursor,
};

use calamine::{Data, DataRef, DataType, ExcelDateTime, Reader, Xls, Xlsx, XlsxError};

use super::{archive::Archive, body::Body};
use crate::error::Error;

/// A workbook with more cells than this is not meant to be read.
const MAX_CELLS: usize = 1_000_000;

/// The cells of a sheet that say something, by row and column. Far cells cost nothing.
type Cells = BTreeMap<(u32, u32), String>;

/// The text of an XLSX workbook.
pub(super) fn xlsx(bytes: &[u8]) -> Result<String, Error> {
    // The reader unpacks without bounds; that it may was found out before.
    Archive::open(bytes)?.check_all()?;
    let broken = |error: XlsxError| match error {
        XlsxError::Password => Error::Encrypted,
        error => Error::damaged(format!("XLSX: {error}")),
    };
    let mut workbook = Xlsx::new(Cursor::new(bytes)).map_err(broken)?;
    let mut body = Body::default();
    for name in workbook.sheet_names() {
        let mut cells = Cells::new();
        // A sheet that is a chart has no cells.
        let Ok(mut reader) = workbook.worksheet_cells_reader(&name) else { continue };
        while let Some(cell) = reader.next_cell().map_err(broken)? {
            let text = match cell.get_value() {
                DataRef::SharedString(text) => (*text).to_owned(),
                value => shown(&value.clone().into()),
            };
            add(&mut cells, cell.get_position(), &text)?;
        }
        write(&mut body, &name, &cells);
    }
    Ok(body.finish())
}

/// The text of an XLS workbook.
pub(super) fn xls(bytes: &[u8]) -> Result<String, Error> {
    let broken = |error: calamine::XlsError| match error {
        calamine::XlsError::Password => Error::Encrypted,
        error => Error::damaged(format!("XLS: {error}")),
    };
    let mut workbook = Xls::new(Cursor::new(bytes)).map_err(broken)?;
    let mut body = Body::default();
    for name in workbook.sheet_names() {
        let range = workbook.worksheet_range(&name).map_err(broken)?;
        let mut cells = Cells::new();
        for (row, column, value) in range.used_cells() {
            let place = (u32::try_from(row), u32::try_from(column));
            if let (Ok(row), Ok(column)) = place {
                add(&mut cells, (row, column), &shown(value))?;
            }
        }
        write(&mut body, &name, &cells);
    }
    Ok(body.finish())
}

fn add(cells: &mut Cells, place: (u32, u32), text: &str) -> Result<(), Error> {
    let text = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect::<Vec<_>>();
    if !text.is_empty() {
        cells.insert(place, text.join("\n"));
    }
    if cells.len() > MAX_CELLS {
        return Err(Error::damaged(format!("a sheet has more than {MAX_CELLS} cells")));
    }
    Ok(())
}

/// Writes a sheet as a table, under its name. An empty row stays where at least one is.
fn write(body: &mut Body, name: &str, cells: &Cells) {
    if cells.is_empty() {
        return;
    }
    body.break_page();
    body.line(name);
    let columns: BTreeSet<u32> = cells.keys().map(|&(_, column)| column).collect();
    let columns: BTreeMap<u32, usize> =
        columns.into_iter().enumerate().map(|(index, column)| (column, index)).collect();
    let mut rows: Vec<Vec<String>> = Vec::new();
    let mut last = None;
    for (&(row, column), text) in cells {
        if last != Some(row) {
            if last.is_some_and(|last| row > last + 1) {
                rows.push(Vec::new());
            }
            rows.push(Vec::new());
            last = Some(row);
        }
        let index = columns.get(&column).copied().unwrap_or_default();
        if let Some(cells) = rows.last_mut() {
            cells.resize(index, String::new());
            cells.push(text.clone());
        }
    }
    body.table(rows);
}

/// A value as people write it, in no particular country.
fn shown(value: &Data) -> String {
    match value {
        Data::Float(number) => number_shown(*number),
        Data::DateTime(time) => time_shown(*time),
        Data::DateTimeIso(text) => text.trim_end_matches("T00:00:00").replace('T', " "),
        Data::Bool(is_true) => if *is_true { "TRUE" } else { "FALSE" }.to_owned(),
        Data::Empty => String::new(),
        value => value.as_string().unwrap_or_else(|| value.to_string()),
    }
}

/// With as many digits as spreadsheets keep: 0.1 + 0.2 is 0.3.
fn number_shown(number: f64) -> String {
    if !number.is_finite() || number.abs() >= 1e15 {
        return number.to_string();
    }
    let whole = if number.abs() < 1.0 { 1 } else { format!("{:.0}", number.abs()).len() };
    let text = format!("{number:.*}", 15_usize.saturating_sub(whole).min(12));
    let text =
        if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.') } else { &text };
    if text == "-0" { "0".to_owned() } else { text.to_owned() }
}

fn time_shown(time: ExcelDateTime) -> String {
    let (year, month, day, hour, minute, second, _) = time.to_ymd_hms_milli();
    let clock = if second == 0 {
        format!("{hour:02}:{minute:02}")
    } else {
        format!("{hour:02}:{minute:02}:{second:02}")
    };
    let has_date = time.as_f64() >= 1.0 && !time.is_duration();
    let is_midnight = (hour, minute, second) == (0, 0, 0);
    match (has_date, is_midnight) {
        (true, true) => format!("{year:04}-{month:02}-{day:02}"),
        (true, false) => format!("{year:04}-{month:02}-{day:02} {clock}"),
        (false, _) if time.is_duration() => {
            let minutes = (time.as_f64() * 24.0 * 60.0).round();
            format!("{}:{:02}", (minutes / 60.0).floor(), minutes % 60.0)
        }
        (false, _) => clock,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_the_digits_that_people_wrote() {
        for (number, text) in [
            (0.1 + 0.2, "0.3"),
            (1234.5, "1234.5"),
            (-7.0, "-7"),
            (1e-7, "0.0000001"),
            (1.1 * 1.1, "1.21"),
            (123_456_789_012.25, "123456789012.25"),
            (2e20, "200000000000000000000"),
        ] {
            assert_eq!(number_shown(number), text);
        }
    }
}
