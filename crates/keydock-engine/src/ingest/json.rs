//! JSON as text: a line for every value, with its path as the label; lists of flat objects as tables.

use serde_json::Value;

use crate::{error::Error, layout::tabulate};

/// Whether the text is JSON, or so deep that nobody can tell.
pub(super) fn is_json(text: &str) -> bool {
    match serde_json::from_str::<serde::de::IgnoredAny>(text) {
        Ok(_) => true,
        Err(error) => error.to_string().starts_with("recursion limit"),
    }
}

/// Lines such as `items[0].price: 9.50`.
pub(super) fn text(source: &str) -> Result<String, Error> {
    let source = source.trim_start_matches('\u{feff}');
    let value: Value =
        serde_json::from_str(source).map_err(|error| Error::damaged(format!("JSON: {error}")))?;
    let mut text = String::new();
    write(&value, &mut String::new(), &mut text);
    Ok(text)
}

/// Recursion is bounded by the parser, which refuses deep values.
fn write(value: &Value, path: &mut String, text: &mut String) {
    let length = path.len();
    match value {
        Value::Object(members) => {
            for (key, member) in members {
                if length > 0 {
                    path.push('.');
                }
                path.push_str(key);
                write(member, path, text);
                path.truncate(length);
            }
        }
        Value::Array(items) if is_table(items) => write_table(items, path, text),
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                path.push('[');
                path.push_str(&index.to_string());
                path.push(']');
                write(item, path, text);
                path.truncate(length);
            }
        }
        Value::String(value) => write_line(path, value, text),
        Value::Null => {}
        scalar => write_line(path, &scalar.to_string(), text),
    }
}

/// Whether the items are flat objects, which read better as rows.
fn is_table(items: &[Value]) -> bool {
    let is_scalar = |value: &Value| !value.is_object() && !value.is_array();
    let is_row = |item: &Value| {
        item.as_object().is_some_and(|row| !row.is_empty() && row.values().all(is_scalar))
    };
    !items.is_empty() && items.iter().all(is_row)
}

fn write_table(items: &[Value], path: &str, text: &mut String) {
    let rows = || items.iter().filter_map(Value::as_object);
    let mut headers: Vec<&String> = rows().flat_map(|row| row.keys()).collect();
    headers.sort();
    headers.dedup();
    headers.truncate(MAX_COLUMNS);
    let cell = |row: &serde_json::Map<String, Value>, key: &str| match row.get(key) {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(text)) => text.split_whitespace().collect::<Vec<_>>().join(" "),
        Some(scalar) => scalar.to_string(),
    };
    let mut table = vec![headers.iter().map(ToString::to_string).collect::<Vec<String>>()];
    table.extend(rows().map(|row| headers.iter().map(|key| cell(row, key)).collect()));
    text.push_str(path);
    text.push_str(":\n");
    text.push_str(&tabulate(&table));
    text.push('\n');
}

/// A table with more columns than this is no table.
const MAX_COLUMNS: usize = 100;

fn write_line(path: &str, value: &str, text: &mut String) {
    let value = value.split_whitespace().collect::<Vec<_>>().join(" ");
    text.push_str(path);
    text.push_str(if path.is_empty() { "" } else { ": " });
    text.push_str(&value);
    text.push('\n');
}
