//! ODT, ODS and ODP: paragraphs, tables, sheets and slides of `OpenDocument` files.

use super::{
    archive::Archive,
    body::Body,
    xml::{self, Element, Event},
};
use crate::error::Error;

/// The text of the document; sheets and slides are pages.
pub(super) fn text(archive: &mut Archive) -> Result<String, Error> {
    let content = archive.text("content.xml")?;
    let mut header = String::new();
    let mut footer = String::new();
    if archive.has("styles.xml") {
        let styles = archive.text("styles.xml")?;
        header = read(&styles, Some("header"))?;
        footer = read(&styles, Some("footer"))?;
    }
    let parts = [header, read(&content, None)?, footer];
    let parts: Vec<&str> =
        parts.iter().map(|part| part.trim_end()).filter(|part| !part.is_empty()).collect();
    Ok(parts.join("\n"))
}

/// The text of a part, or of the elements of one name.
fn read(source: &str, only: Option<&str>) -> Result<String, Error> {
    let mut part = Part { only, ..Part::default() };
    xml::walk(source, |event| match event {
        Event::Open(element) => part.open(&element),
        Event::Text(text) => part.text(&text),
        Event::Close(name) => part.close(name),
    })?;
    Ok(part.body.finish())
}

#[derive(Default)]
struct Part<'a> {
    body: Body,
    only: Option<&'a str>,
    /// How many of the wanted elements are open.
    wanted: usize,
    hidden: usize,
    is_sheet: bool,
    /// How deep tables are nested.
    tables: usize,
    /// How often the open cells and rows stand there.
    repeats: Vec<usize>,
    row_repeats: Vec<usize>,
    /// The lists that are open: whether the item has been marked.
    items: Vec<bool>,
}

impl Part<'_> {
    fn is_silent(&self) -> bool {
        self.hidden > 0 || (self.only.is_some() && self.wanted == 0)
    }

    fn open(&mut self, element: &Element) {
        let name = element.name();
        if self.only == Some(name) {
            self.wanted += 1;
            return;
        }
        if is_hidden(name) {
            self.hidden += 1;
            return;
        }
        if self.is_silent() {
            return;
        }
        match name {
            "spreadsheet" => self.is_sheet = true,
            "page" | "soft-page-break" => self.body.break_page(),
            "p" | "h" => {
                self.body.begin_paragraph();
                self.mark_item();
            }
            "list-item" => self.items.push(false),
            "tab" => self.body.write("\t"),
            "s" => {
                let spaces = element.number("c").unwrap_or(1).min(1_000);
                self.body.write(&" ".repeat(spaces));
            }
            "line-break" => self.body.write("\n"),
            "table" => self.begin_table(element),
            "table-row" => {
                self.row_repeats.push(element.number("number-rows-repeated").unwrap_or(1));
                self.body.begin_row();
            }
            "table-cell" | "covered-table-cell" => {
                let times = element.number("number-columns-repeated").unwrap_or(1);
                self.repeats.push(times);
                self.body.begin_cell();
            }
            _ => {}
        }
    }

    fn begin_table(&mut self, element: &Element) {
        if self.is_sheet && self.tables == 0 {
            self.body.break_page();
            self.body.line(&element.attribute("name").unwrap_or_default());
        }
        self.tables += 1;
        self.body.begin_table();
    }

    fn mark_item(&mut self) {
        let depth = self.items.len();
        if let Some(is_marked) = self.items.last_mut().filter(|it| !**it) {
            *is_marked = true;
            let indent = "  ".repeat(depth.min(10) - 1);
            self.body.write(&format!("{indent}• "));
        }
    }

    fn text(&mut self, text: &str) {
        if self.is_silent() {
            return;
        }
        // White space is as in HTML: several are one, and none begins a paragraph.
        let mut needs_space = text.starts_with(char::is_whitespace);
        let starts = self.body.paragraph();
        let mut at_start = starts.is_empty() || starts.ends_with(char::is_whitespace);
        let mut clean = String::new();
        for word in text.split_whitespace() {
            if needs_space && !at_start {
                clean.push(' ');
            }
            clean.push_str(word);
            (needs_space, at_start) = (true, false);
        }
        if text.ends_with(char::is_whitespace) && !at_start {
            clean.push(' ');
        }
        self.body.write(&clean);
    }

    fn close(&mut self, name: &str) {
        if self.only == Some(name) {
            self.wanted = self.wanted.saturating_sub(1);
            return;
        }
        if is_hidden(name) {
            self.hidden = self.hidden.saturating_sub(1);
            return;
        }
        if self.is_silent() {
            return;
        }
        match name {
            "p" | "h" => self.body.end_paragraph(),
            "list-item" => {
                self.items.pop();
            }
            "table-cell" | "covered-table-cell" => {
                let times = self.repeats.pop().unwrap_or(1);
                self.body.repeat_cell(times);
            }
            "table-row" => {
                let times = self.row_repeats.pop().unwrap_or(1);
                self.body.repeat_row(times);
            }
            "table" => {
                self.tables = self.tables.saturating_sub(1);
                self.body.end_table();
            }
            _ => {}
        }
    }
}

/// What is not on the page: remarks, notes to slides, what was deleted, what describes pictures.
fn is_hidden(name: &str) -> bool {
    matches!(
        name,
        "annotation"
            | "notes"
            | "tracked-changes"
            | "forms"
            | "desc"
            | "title"
            | "binary-data"
            | "meta"
    )
}
