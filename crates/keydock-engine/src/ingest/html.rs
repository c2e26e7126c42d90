//! HTML as text: blocks on lines of their own, tables in columns.

use ego_tree::iter::Edge;
use scraper::{Html, Node};

use crate::layout::tabulate;

/// The visible text of a page.
pub(super) fn text(source: &str) -> String {
    let document = Html::parse_document(source);
    let mut writer = Writer::default();
    // A walk without recursion: a page may be nested as deeply as it likes.
    for edge in document.tree.root().traverse() {
        match edge {
            Edge::Open(node) => writer.open(node.value()),
            Edge::Close(node) => writer.close(node.value()),
        }
    }
    writer.text.trim_end().to_owned()
}

#[derive(Default)]
struct Writer {
    text: String,
    /// Whether a space belongs before the next word.
    needs_space: bool,
    /// How many open elements hide what is in them.
    hidden: usize,
    /// The tables that are open, the innermost last.
    tables: Vec<Table>,
}

/// A table on its way; cells of the innermost are written, outer ones wait.
struct Table {
    rows: Vec<Vec<String>>,
    /// What stood before the table.
    before: String,
}

impl Writer {
    fn open(&mut self, node: &Node) {
        match node {
            Node::Text(text) if self.hidden == 0 => self.write(text),
            Node::Element(element) => self.open_element(element.name()),
            _ => {}
        }
    }

    fn open_element(&mut self, name: &str) {
        match name {
            _ if is_hidden(name) => self.hidden += 1,
            "br" => self.break_line(),
            "table" => {
                self.end_line();
                let before = std::mem::take(&mut self.text);
                self.tables.push(Table { rows: Vec::new(), before });
            }
            "tr" => {
                if let Some(table) = self.tables.last_mut() {
                    table.rows.push(Vec::new());
                    self.text.clear();
                }
            }
            "td" | "th" => self.text.clear(),
            _ if is_block(name) => self.end_line(),
            _ => {}
        }
    }

    fn close(&mut self, node: &Node) {
        let Node::Element(element) = node else { return };
        match element.name() {
            name if is_hidden(name) => self.hidden = self.hidden.saturating_sub(1),
            "table" => self.close_table(),
            "td" | "th" => self.close_cell(),
            name if is_block(name) => self.end_line(),
            _ => {}
        }
    }

    fn close_cell(&mut self) {
        let cell = one_line(&self.text);
        self.text.clear();
        self.needs_space = false;
        if let Some(table) = self.tables.last_mut() {
            match table.rows.last_mut() {
                Some(row) => row.push(cell),
                None => table.rows.push(vec![cell]),
            }
        }
    }

    fn close_table(&mut self) {
        let Some(table) = self.tables.pop() else { return };
        self.text = table.before;
        if self.tables.is_empty() {
            self.end_line();
            self.text.push_str(&tabulate(&table.rows));
            self.text.push('\n');
        } else {
            // A table in a cell of another is that cell's text.
            let cells: Vec<String> = table.rows.into_iter().flatten().collect();
            self.write(&cells.join(" "));
        }
        self.needs_space = false;
    }

    fn write(&mut self, text: &str) {
        if text.starts_with(char::is_whitespace) {
            self.needs_space = true;
        }
        for word in text.split_whitespace() {
            let at_start = self.text.is_empty() || self.text.ends_with(char::is_whitespace);
            if self.needs_space && !at_start {
                self.text.push(' ');
            }
            self.text.push_str(word);
            self.needs_space = true;
        }
        self.needs_space = text.ends_with(char::is_whitespace);
    }

    fn break_line(&mut self) {
        self.text.push('\n');
        self.needs_space = false;
    }

    fn end_line(&mut self) {
        if !self.text.is_empty() && !self.text.ends_with('\n') {
            self.break_line();
        }
        self.needs_space = false;
    }
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn is_hidden(name: &str) -> bool {
    matches!(name, "script" | "style" | "template" | "noscript" | "head" | "svg" | "object")
}

fn is_block(name: &str) -> bool {
    matches!(
        name,
        "address"
            | "article"
            | "aside"
            | "blockquote"
            | "body"
            | "caption"
            | "dd"
            | "details"
            | "dialog"
            | "div"
            | "dl"
            | "dt"
            | "fieldset"
            | "figcaption"
            | "figure"
            | "footer"
            | "form"
            | "h1"
            | "h2"
            | "h3"
            | "h4"
            | "h5"
            | "h6"
            | "header"
            | "hr"
            | "legend"
            | "li"
            | "main"
            | "nav"
            | "ol"
            | "option"
            | "p"
            | "pre"
            | "section"
            | "summary"
            | "tbody"
            | "tfoot"
            | "thead"
            | "ul"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_are_lines_and_tables_have_columns() {
        let html = "<html><head><title>no</title></head><body><h1>Invoice <b>7</b></h1>
            <p>Total:\n <b>9</b>,<i>50</i><br>EUR</p><script>no()</script>
            <table><tr><th>Item<th>Price<tr><td>A <table><tr><td>x<td>y</table><td>10.00</table>
            <ul><li>one<li>two</ul></body></html>";
        insta::assert_snapshot!(text(html), @"
        Invoice 7
        Total: 9,50
        EUR
        Item    Price
        A x y   10.00

        one
        two
        ");
    }
}
