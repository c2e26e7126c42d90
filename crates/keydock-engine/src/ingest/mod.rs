//! From bytes to pages: what kind of document it is, and what is on its pages.

use keydock_core::workflows::Reading;

use self::detect::Format;
use crate::{
    error::Error,
    layout::{Document, Page, page_from_text, tabulate},
};

mod decode;
mod detect;
mod html;
mod json;
mod pdf;

/// Reads a document of any kind this version knows.
pub(crate) fn read(
    bytes: &[u8],
    name: &str,
    declared_type: Option<&str>,
    reading: &Reading,
) -> Result<Document, Error> {
    let format = detect::format(bytes, name, declared_type)?;
    let text = || decode::text(bytes);
    let document = match format {
        Format::Pdf => pdf::read(bytes, reading)?,
        Format::Html => plain(format, &html::text(&text()), reading)?,
        Format::Json => plain(format, &json::text(&text())?, reading)?,
        Format::Csv(delimiter) => plain(format, &csv_text(&text(), delimiter)?, reading)?,
        Format::Text => plain(format, &text(), reading)?,
    };
    if document.pages.iter().all(|page| page.words.is_empty()) {
        return Err(if document.has_areas { Error::NoText } else { Error::Empty });
    }
    Ok(document)
}

/// Text with pages separated by form feeds.
fn plain(format: Format, text: &str, reading: &Reading) -> Result<Document, Error> {
    let page_count = text.matches('\u{c}').count() + 1;
    check_page_count(page_count, reading)?;
    let pages = text.split('\u{c}').enumerate().map(|(index, text)| (index + 1, text));
    let pages: Vec<Page> = pages
        .filter(|(number, _)| reading.pages.contains(*number))
        .map(|(number, text)| page_from_text(number, text))
        .collect();
    Ok(Document { media_type: format.media_type(), page_count, pages, has_areas: false })
}

fn check_page_count(pages: usize, reading: &Reading) -> Result<(), Error> {
    if pages > reading.max_pages {
        return Err(Error::TooManyPages { pages, max: reading.max_pages });
    }
    Ok(())
}

fn csv_text(text: &str, delimiter: u8) -> Result<String, Error> {
    let mut reader = csv::ReaderBuilder::new()
        .delimiter(delimiter)
        .has_headers(false)
        .flexible(true)
        .from_reader(text.as_bytes());
    let mut rows = Vec::new();
    for record in reader.records() {
        let record = record.map_err(|error| Error::damaged(format!("CSV: {error}")))?;
        let clean = |cell: &str| cell.split_whitespace().collect::<Vec<_>>().join(" ");
        rows.push(record.iter().map(clean).collect());
    }
    Ok(tabulate(&rows))
}
