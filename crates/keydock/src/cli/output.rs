//! What commands print: tables for people, JSON for programs. The one place that prints.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "printing is what this is for")]

use std::io::{IsTerminal as _, Write as _};

use serde_json::Value;

/// Where the results of commands go.
#[derive(Debug)]
pub(super) struct Output {
    json: bool,
}

impl Output {
    pub(super) fn new(json: bool) -> Self {
        Self { json }
    }

    /// Whether somebody watches who would like to see progress.
    pub(super) fn is_watched(&self) -> bool {
        !self.json && std::io::stderr().is_terminal()
    }

    /// Prints a value: as JSON, or as what `human` makes of it.
    pub(super) fn value(&self, value: &Value, human: impl FnOnce() -> String) {
        if self.json {
            println!("{value:#}");
        } else {
            println!("{}", human().trim_end());
        }
    }

    /// Prints rows: as JSON, or as a table of some of their members.
    pub(super) fn rows(&self, rows: &[Value], columns: &[(&str, &str)]) {
        if self.json {
            println!("{:#}", Value::Array(rows.to_vec()));
        } else {
            println!("{}", table(rows, columns));
        }
    }

    /// Says why a command failed.
    pub(super) fn failure(&self, text: &str) {
        if self.json {
            eprintln!("{}", serde_json::json!({ "error": text }));
        } else {
            eprintln!("error: {text}");
        }
    }
}

/// Writes text that is the result as it is. Whoever reads it may have heard enough.
pub(super) fn lines(text: &str) -> super::Result<()> {
    let mut out = std::io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        written => Ok(written?),
    }
}

/// Says something that is no result.
pub(super) fn note(text: &str) {
    eprintln!("{text}");
}

/// Rows under headings, each column as wide as its widest cell.
fn table(rows: &[Value], columns: &[(&str, &str)]) -> String {
    if rows.is_empty() {
        return "(none)".to_owned();
    }
    let head = columns.iter().map(|(heading, _)| (*heading).to_owned()).collect();
    let body = rows.iter().map(|row| columns.iter().map(|(_, name)| cell(&row[*name])).collect());
    let lines: Vec<Vec<String>> = std::iter::once(head).chain(body).collect();
    let width = |column: usize| {
        lines.iter().map(|line| line[column].chars().count()).max().unwrap_or_default()
    };
    let widths: Vec<usize> = (0..columns.len()).map(width).collect();
    let draw = |line: &Vec<String>| {
        let cells = line.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}"));
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    lines.iter().map(draw).collect::<Vec<_>>().join("\n")
}

/// A value as it stands in a table.
pub(super) fn cell(value: &Value) -> String {
    match value {
        Value::Null => "-".to_owned(),
        Value::Bool(true) => "yes".to_owned(),
        Value::Bool(false) => "no".to_owned(),
        // A name must not write lines of its own, nor speak to the terminal.
        Value::String(text) => text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_table_is_as_wide_as_it_must_be() {
        let rows = [json!({"a": "x", "b": true}), json!({"a": "longer", "b": null})];
        insta::assert_snapshot!(table(&rows, &[("A", "a"), ("WORKS", "b")]), @r"
        A       WORKS
        x       yes
        longer  -
        ");
        assert_eq!(table(&[], &[("A", "a")]), "(none)");
    }
}
