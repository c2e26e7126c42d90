//! Tables and lists, as they are written.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Many, Texts, WrittenTransform, WrittenType, is_default};
use crate::fields::Checksum;

/// Rows: under a line of headers, or, with `row` or `block`, wherever a pattern finds them. A table
/// goes on after a page break where its headers are repeated.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "TableRule", title = "Table rule")]
pub(in super::super) struct WrittenTable {
    /// The columns, in any order. Each has a `header`, a place (`left` and `right`), or, with
    /// `row` or `block`, neither.
    #[schemars(length(min = 1, max = 50))]
    pub(in super::super) columns: Vec<WrittenColumn>,
    /// The table ends on the line before one of these texts; without, where lines no longer
    /// stand in its columns or a wide gap follows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(in super::super) until: Option<Texts>,
    /// The key of the column whose value begins a row; lines without it carry the row on. Unless
    /// told otherwise, a line that has only text where the row before it has text carries it on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(in super::super) row_starts_with: Option<String>,
    /// Whether the table goes on at the top of the next page though its headers are not repeated
    /// there.
    #[serde(default, skip_serializing_if = "is_default")]
    pub(in super::super) continues: bool,
    /// Lines in which this regular expression is found are no part of the table.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(in super::super) skip: Option<String>,
    /// Instead of headers: a regular expression of which every match is a row. The groups that
    /// are named like columns are the cells.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(example = &r"(?P<item>\S.*?)\s{2,}(?P<amount>[\d.,]+)$")]
    pub(in super::super) row: Option<String>,
    /// Instead of headers: stretches of lines that begin in the same way, each a row. The
    /// `pattern` of a column says what in the stretch is its cell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(in super::super) block: Option<WrittenBlock>,
}

/// Stretches of lines that begin in the same way.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Block", title = "Block")]
pub(in super::super) struct WrittenBlock {
    /// A line in which this regular expression is found begins a block.
    pub(in super::super) starts: String,
    /// A line in which this is found ends the last block.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(in super::super) ends: Option<String>,
}

/// A column of a table.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Column", title = "Column")]
pub(in super::super) struct WrittenColumn {
    /// The name of the member in each row.
    #[schemars(regex(pattern = r"^[A-Za-z][A-Za-z0-9_]{0,63}$"))]
    pub(in super::super) key: String,
    /// What the column is called in the document; of several, the first that is there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(in super::super) header: Option<Texts>,
    /// Without a header: where the column begins, in percent of the width of the page.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 100))]
    pub(in super::super) left: Option<f64>,
    /// Without a header: where the column ends, in percent of the width of the page.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 100))]
    pub(in super::super) right: Option<f64>,
    /// The part of the cell that is the value, as a regular expression.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(in super::super) pattern: Option<String>,
    /// What kind of value its cells have; text unless told otherwise.
    #[serde(default = "text", rename = "type")]
    pub(in super::super) kind: WrittenType,
    /// Whether the table is only recognized where this header stands.
    #[serde(default, skip_serializing_if = "is_default")]
    pub(in super::super) required: bool,
    /// The locale of this column, where it differs from that of the field.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(in super::super) locale: Option<String>,
    /// For dates: the only formats to read.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(in super::super) date_formats: Vec<String>,
    /// What is done to the cell before it is read as a value, in this order.
    #[serde(default, skip_serializing_if = "Many::is_empty")]
    pub(in super::super) transform: Many<WrittenTransform>,
    /// What the digits of the value must fit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(in super::super) checksum: Option<Checksum>,
}

/// The lines between two texts, each an item.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "LinesRule", title = "Lines rule")]
pub(in super::super) struct WrittenLines {
    /// The items begin on the line after one of these texts; without, at the top of the page.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(in super::super) after: Option<Texts>,
    /// The items end on the line before one of these texts; without, at the first empty line.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(in super::super) before: Option<Texts>,
}

fn text() -> WrittenType {
    WrittenType::Text
}
