//! DOCX: paragraphs and tables of a Word document, with what stands in its margins.

use std::collections::{HashMap, HashSet};

use super::{
    archive::Archive,
    body::Body,
    numbering::Numbering,
    relations,
    xml::{self, Element, Event},
};
use crate::error::Error;

/// The text of the document: headers first, footers and notes last.
pub(super) fn text(archive: &mut Archive) -> Result<String, Error> {
    let main = relations::main_part(archive).unwrap_or_else(|| "word/document.xml".to_owned());
    let folder = main.rsplit_once('/').map_or("", |(folder, _)| folder).to_owned();
    let numbering = format!("{folder}/numbering.xml");
    let numbering = if archive.has(&numbering) {
        Numbering::parse(&archive.text(&numbering)?)?
    } else {
        Numbering::default()
    };
    let mut parts: Vec<String> = archive.names();
    parts.sort();
    let named = |kind: &str| {
        let start = format!("{folder}/{kind}");
        parts
            .iter()
            .filter(move |name| name.starts_with(&start) && name.strip_suffix(".xml").is_some())
            .cloned()
    };
    let mut texts = Vec::new();
    let mut margins: HashSet<String> = HashSet::new();
    let all = named("header")
        .chain([main.clone()])
        .chain(named("footnotes"))
        .chain(named("endnotes"))
        .chain(named("footer"));
    for part in all {
        let text = part_text(&archive.text(&part)?, &numbering)?;
        // The same header is kept once for every section.
        let is_new = part == main || margins.insert(text.trim().to_owned());
        if is_new && !text.trim().is_empty() {
            texts.push(text.trim_end().to_owned());
        }
    }
    Ok(texts.join("\n"))
}

fn part_text(source: &str, numbering: &Numbering) -> Result<String, Error> {
    let mut part = Part { numbering: Some(numbering), ..Part::default() };
    xml::walk(source, |event| match event {
        Event::Open(element) => part.open(&element),
        Event::Text(text) => part.text(&text),
        Event::Close(name) => part.close(name),
    })?;
    Ok(part.body.finish())
}

/// A part of the document that is being read.
#[derive(Default)]
struct Part<'a> {
    body: Body,
    numbering: Option<&'a Numbering>,
    counters: HashMap<(String, usize), usize>,
    /// How many open elements hide what is in them.
    hidden: usize,
    /// Whether characters are text.
    in_text: bool,
    /// Whether the properties of a paragraph are being read, and what they say.
    in_properties: bool,
    level: usize,
    list: Option<String>,
    /// Whether the run is hidden.
    is_vanished: bool,
    spans: Vec<usize>,
}

impl Part<'_> {
    fn open(&mut self, element: &Element) {
        let name = element.name();
        if self.hidden > 0 || is_hidden(name) {
            self.hidden += usize::from(is_hidden(name));
            return;
        }
        match name {
            "p" => self.body.begin_paragraph(),
            "pPr" => (self.in_properties, self.level, self.list) = (true, 0, None),
            "ilvl" => self.level = element.number("val").unwrap_or_default(),
            "numId" => self.list = element.attribute("val"),
            "r" => self.is_vanished = false,
            "vanish" => self.is_vanished = !is_off(element),
            "t" => self.in_text = true,
            "tab" if !self.in_properties => self.write("\t"),
            "br" if element.attribute("type").as_deref() == Some("page") => self.body.break_page(),
            "lastRenderedPageBreak" => self.body.break_page(),
            "br" | "cr" => self.write("\n"),
            "noBreakHyphen" => self.write("-"),
            "sym" => self.symbol(element),
            "tbl" => self.body.begin_table(),
            "tr" => self.body.begin_row(),
            "tc" => {
                self.spans.push(1);
                self.body.begin_cell();
            }
            "gridSpan" => {
                if let (Some(span), Some(wanted)) = (self.spans.last_mut(), element.number("val")) {
                    *span = wanted;
                }
            }
            _ => {}
        }
    }

    fn text(&mut self, text: &str) {
        if self.in_text && self.hidden == 0 {
            self.write(text);
        }
    }

    fn write(&mut self, text: &str) {
        if !self.is_vanished {
            self.body.write(text);
        }
    }

    /// A character of a font of symbols; ticks and crosses are the ones that matter.
    fn symbol(&mut self, element: &Element) {
        let code = element.attribute("char").and_then(|it| u32::from_str_radix(&it, 16).ok());
        self.write(match code.map(|code| code & 0xff) {
            Some(0xfe | 0x52 | 0xfc) => "☑",
            Some(0xfd | 0x51 | 0xfb | 0x78) => "☒",
            Some(0xa8 | 0x6f | 0xa3) => "☐",
            _ => "•",
        });
    }

    fn close(&mut self, name: &str) {
        if is_hidden(name) {
            self.hidden = self.hidden.saturating_sub(1);
            return;
        }
        if self.hidden > 0 {
            return;
        }
        match name {
            "p" => self.body.end_paragraph(),
            "pPr" => {
                self.in_properties = false;
                self.is_vanished = false;
                self.write_number();
            }
            "r" => self.is_vanished = false,
            "t" => self.in_text = false,
            "tc" => {
                let span = self.spans.pop().unwrap_or(1);
                self.body.end_cell(span);
            }
            "tbl" => self.body.end_table(),
            _ => {}
        }
    }

    /// The number or the mark that stands before an item of a list.
    fn write_number(&mut self) {
        let (Some(list), Some(numbering)) = (self.list.take(), self.numbering) else { return };
        for ((other, level), count) in &mut self.counters {
            if *other == list && *level > self.level {
                *count = 0;
            }
        }
        *self.counters.entry((list.clone(), self.level)).or_default() += 1;
        let count = |level| self.counters.get(&(list.clone(), level)).copied().unwrap_or(1).max(1);
        if let Some(mark) = numbering.mark(&list, self.level, count) {
            let indent = "  ".repeat(self.level.min(9));
            self.body.write(&format!("{indent}{mark} "));
        }
    }
}

fn is_off(element: &Element) -> bool {
    element.attribute("val").is_some_and(|it| matches!(it.as_str(), "0" | "false" | "off"))
}

/// What has a better form beside it, or was deleted.
fn is_hidden(name: &str) -> bool {
    matches!(name, "Fallback" | "del" | "moveFrom" | "docPartObj" | "rPrChange" | "pPrChange")
}
