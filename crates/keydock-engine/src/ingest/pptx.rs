//! PPTX: the texts and tables of a presentation, a page for every slide.

use super::{
    archive::Archive,
    body::Body,
    relations,
    xml::{self, Element, Event},
};
use crate::error::Error;

/// The text of all slides, separated by form feeds.
pub(super) fn text(archive: &mut Archive) -> Result<String, Error> {
    let main = relations::main_part(archive).unwrap_or_else(|| "ppt/presentation.xml".to_owned());
    let parts = relations::of(archive, &main)?;
    let mut slides = Vec::new();
    xml::walk(&archive.text(&main)?, |event| {
        if let Event::Open(element) = event
            && element.name() == "sldId"
        {
            slides.extend(element.reference());
        }
    })?;
    let mut texts = Vec::new();
    for slide in slides.iter().filter_map(|id| parts.get(id)) {
        let mut reader = Slide::default();
        xml::walk(&archive.text(slide)?, |event| match event {
            Event::Open(element) => reader.open(&element),
            Event::Text(text) if reader.in_text && reader.hidden == 0 => reader.body.write(&text),
            Event::Text(_) => {}
            Event::Close(name) => reader.close(name),
        })?;
        texts.push(reader.body.finish().trim_end().to_owned());
    }
    Ok(texts.join("\u{c}"))
}

#[derive(Default)]
struct Slide {
    body: Body,
    in_text: bool,
    hidden: usize,
    span: usize,
    /// Whether the paragraph counts, and how far.
    number: Option<usize>,
}

impl Slide {
    fn open(&mut self, element: &Element) {
        match element.name() {
            "Fallback" => self.hidden += 1,
            _ if self.hidden > 0 => {}
            "p" => self.body.begin_paragraph(),
            "t" => self.in_text = true,
            "br" => self.body.write("\n"),
            "tab" => self.body.write("\t"),
            "buAutoNum" => {
                let number = self.number.map_or(1, |number| number + 1);
                self.number = Some(number);
                self.body.write(&format!("{number}. "));
            }
            "txBody" => self.number = None,
            "tbl" => self.body.begin_table(),
            "tr" => self.body.begin_row(),
            "tc" => {
                self.span = 1;
                self.body.begin_cell();
            }
            _ => {}
        }
    }

    fn close(&mut self, name: &str) {
        match name {
            "Fallback" => self.hidden = self.hidden.saturating_sub(1),
            _ if self.hidden > 0 => {}
            "p" => self.body.end_paragraph(),
            "t" => self.in_text = false,
            "tc" => self.body.end_cell(self.span),
            "tbl" => self.body.end_table(),
            _ => {}
        }
    }
}
