//! From bytes to pages: what kind of document it is, and what is on its pages.

use keydock_core::workflows::{OcrMode, Reading};

use self::{archive::Archive, detect::Format};
use crate::{
    error::Error,
    eyes::{Eyes, Read},
    layout::{Document, Page, page_from_scan, page_from_text, tabulate},
};

mod archive;
mod body;
mod compound;
mod decode;
mod detect;
mod doc;
mod docx;
mod html;
mod json;
mod mail;
mod numbering;
mod office;
mod opendocument;
mod pdf;
mod pictures;
mod ppt;
mod pptx;
mod relations;
mod sheets;
mod xml;

/// Documents in documents in documents are read no further.
const MAX_DEPTH: usize = 2;

/// Reads a document of any kind this version knows.
pub(crate) fn read(
    bytes: &[u8],
    name: &str,
    declared_type: Option<&str>,
    reading: &Reading,
    pictures: &mut Read,
) -> Result<Document, Error> {
    let mut reader = Reader { reading, eyes: Eyes::new(pictures, &reading.ocr), depth: 0 };
    let document = reader.document(bytes, name, declared_type)?;
    if document.pages.iter().all(|page| page.words.is_empty()) {
        return Err(if document.has_areas { Error::NoText } else { Error::Empty });
    }
    Ok(document)
}

/// Reads a document, and the documents in it.
pub(crate) struct Reader<'a> {
    reading: &'a Reading,
    eyes: Eyes<'a>,
    depth: usize,
}

impl Reader<'_> {
    fn document(
        &mut self,
        bytes: &[u8],
        name: &str,
        declared_type: Option<&str>,
    ) -> Result<Document, Error> {
        let format = detect::format(bytes, name, declared_type)?;
        let text = match format {
            Format::Pdf => return pdf::read(bytes, self),
            Format::Mail => return self.mail(bytes),
            Format::Picture(kind) => return self.pictures(bytes, kind, format.media_type()),
            Format::Html => html::text(&decode::html(bytes)),
            Format::Json => json::text(&decode::text(bytes))?,
            Format::Csv(delimiter) => csv_text(&decode::text(bytes), delimiter)?,
            Format::Text => decode::text(bytes),
            Format::Docx => docx::text(&mut Archive::open(bytes)?)?,
            Format::Pptx => pptx::text(&mut Archive::open(bytes)?)?,
            Format::Xlsx => sheets::xlsx(bytes)?,
            Format::Odt | Format::Ods | Format::Odp => {
                opendocument::text(&mut Archive::open(bytes)?)?
            }
            Format::Doc => doc::text(bytes)?,
            Format::Xls => sheets::xls(bytes)?,
            Format::Ppt => ppt::text(bytes)?,
        };
        self.plain(format, &text)
    }

    /// Reads a document that stands in another.
    fn inner(
        &mut self,
        bytes: &[u8],
        name: &str,
        declared_type: Option<&str>,
    ) -> Result<Document, Error> {
        if self.depth >= MAX_DEPTH {
            let reason = format!("documents stand in each other more than {MAX_DEPTH} deep");
            return Err(Error::damaged(reason));
        }
        // Which pages are wanted is counted in the whole.
        let all = Reading {
            pages: keydock_core::workflows::PageRanges::default(),
            ..self.reading.clone()
        };
        let eyes = self.eyes.reborrow();
        let mut reader = Reader { reading: &all, eyes, depth: self.depth + 1 };
        reader.document(bytes, name, declared_type)
    }

    /// Text with pages separated by form feeds.
    fn plain(&self, format: Format, text: &str) -> Result<Document, Error> {
        let page_count = text.matches('\u{c}').count() + 1;
        check_page_count(page_count, self.reading)?;
        let pages = text.split('\u{c}').enumerate().map(|(index, text)| (index + 1, text));
        let pages: Vec<Page> = pages
            .filter(|(number, _)| self.reading.pages.contains(*number))
            .map(|(number, text)| page_from_text(number, text))
            .collect();
        Ok(Document { media_type: format.media_type(), page_count, pages, has_areas: false })
    }

    fn mail(&mut self, bytes: &[u8]) -> Result<Document, Error> {
        let mail::Mail { pages, page_count } = mail::read(bytes, self)?;
        check_page_count(page_count, self.reading)?;
        let media_type = Format::Mail.media_type();
        Ok(Document { media_type, page_count, pages, has_areas: false })
    }

    fn pictures(
        &mut self,
        bytes: &[u8],
        kind: image::ImageFormat,
        media_type: &'static str,
    ) -> Result<Document, Error> {
        if self.eyes.ocr().mode == OcrMode::Never {
            return Err(Error::PictureUnread {
                reason: "this workflow does not read pictures".to_owned(),
            });
        }
        let mut file = pictures::read(bytes, kind, self.reading.max_pages);
        let page_count = file.count();
        check_page_count(page_count, self.reading)?;
        let mut pages = Vec::new();
        for index in (0..page_count).filter(|index| self.reading.pages.contains(index + 1)) {
            let picture = file.page(index)?;
            let words = self.eyes.read(&picture)?;
            pages.push(page_from_scan(index + 1, &words, &picture, self.reading.layout));
        }
        Ok(Document { media_type, page_count, pages, has_areas: true })
    }
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
