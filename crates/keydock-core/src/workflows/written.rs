//! A definition as it is written: the shape of the document, before it is known to make sense.
//!
//! The doc comments here are published: they become the descriptions of the JSON Schema.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::OcrMode;
use crate::fields::DateOrder;

/// What to read in a document and what to extract from it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "WorkflowDefinition", title = "Workflow definition")]
pub(super) struct Written {
    /// What the workflow is for, for the people who use it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) description: Option<String>,
    /// How to read the document.
    #[serde(default, skip_serializing_if = "is_default")]
    pub(super) read: WrittenRead,
    /// What to extract: 1 to 200 fields, each with a key of its own.
    #[schemars(length(min = 1, max = 200))]
    pub(super) fields: Vec<WrittenField>,
    /// A JSON Schema of the answer, published to callers instead of the one that is derived from
    /// the fields.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) output_schema: Option<Map<String, Value>>,
}

/// How to read the document.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(rename = "Reading", title = "Reading")]
pub(super) struct WrittenRead {
    /// The pages to read, such as `1`, `1-3`, `2-` or `1, 4-6`; all unless told otherwise.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(example = &"1-3")]
    pub(super) pages: Option<String>,
    /// Documents with more pages than this are refused.
    #[schemars(range(min = 1, max = 10_000))]
    pub(super) max_pages: u64,
    /// Whether the text keeps its columns, with spaces between them. Without, lines are read one
    /// after the other with single spaces.
    pub(super) layout: bool,
    /// The language and region of the document, such as `en-GB` or `de`: decides between 1,234
    /// and 1.234, and between 3/4 and 4/3. Known languages: en, de, fr, es, it, nl, pt.
    #[schemars(example = &"en-GB")]
    pub(super) locale: String,
    /// The order of dates such as `03/04/2026`; taken from the locale unless told otherwise.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) date_order: Option<DateOrder>,
    /// The currency of amounts that name none, as an ISO 4217 code such as `EUR`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(example = &"EUR")]
    pub(super) currency: Option<String>,
    /// How pictures of text are read: scans, photographs, and pages without a text layer.
    #[serde(skip_serializing_if = "is_default")]
    pub(super) ocr: WrittenOcr,
}

impl Default for WrittenRead {
    fn default() -> Self {
        Self {
            pages: None,
            max_pages: 200,
            layout: true,
            locale: "en".to_owned(),
            date_order: None,
            currency: None,
            ocr: WrittenOcr::default(),
        }
    }
}

/// How pictures of text are read.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(rename = "Ocr", title = "Reading pictures")]
pub(super) struct WrittenOcr {
    /// Which pages are read as pictures.
    #[serde(skip_serializing_if = "is_default")]
    pub(super) mode: OcrMode,
    /// The languages of the text, most likely first, by the names that Tesseract has for them,
    /// such as `eng`, `deu`, `fra` or `chi_sim`. Unless told otherwise, that of the locale and
    /// English, as far as they are installed.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 8), example = vec!["deu", "eng"])]
    pub(super) languages: Vec<String>,
}

/// One thing to extract.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Field", title = "Field")]
pub(super) struct WrittenField {
    /// The name of the member in the answer: a letter, then letters, digits and underscores.
    #[schemars(regex(pattern = r"^[A-Za-z][A-Za-z0-9_]{0,63}$"))]
    pub(super) key: String,
    /// What kind of value it is.
    #[serde(rename = "type")]
    pub(super) kind: WrittenType,
    /// What the value means, for the people who use it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) description: Option<String>,
    /// Whether a document without this value fails.
    #[serde(default, skip_serializing_if = "is_default")]
    pub(super) required: bool,
    /// What to answer when nothing was found; `null` unless told otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) default: Option<Value>,
    /// The locale of this value, where it differs from that of the document.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) locale: Option<String>,
    /// For dates: the only formats to read, made of D, DD, M, MM, MMM, MMMM, YY and YYYY.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(example = vec!["DD.MM.YYYY"])]
    pub(super) date_formats: Vec<String>,
    /// For lists: the type of the items; text unless told otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) items: Option<WrittenType>,
    /// How the value is found.
    pub(super) rule: WrittenRule,
}

/// What kind of value a field has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "Type", title = "Type")]
pub(super) enum WrittenType {
    /// Text as it stands.
    Text,
    /// A decimal number, in any convention of thousands and decimals.
    Number,
    /// A whole number.
    Integer,
    /// A date, answered as `YYYY-MM-DD`.
    Date,
    /// Yes or no, in seven languages; also ticks and crosses.
    Boolean,
    /// An e-mail address.
    Email,
    /// An amount of money, answered as `{"amount": "1234.56", "currency": "EUR"}`; the currency
    /// is `null` when neither the document nor `read.currency` names one.
    Currency,
    /// Many values of one type, answered as an array.
    List,
    /// Rows, answered as an array of objects.
    Table,
}

/// How a value is found: exactly one of `label`, `pattern`, `table` and `lines`; `label` and
/// `lines` may be joined by a `pattern` that says which part of the found text is the value.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Rule", title = "Rule")]
pub(super) struct WrittenRule {
    /// The label beside or above the value; of several, the first that leads to a value. Case,
    /// spacing and a colon do not matter.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) label: Option<Texts>,
    /// With `label`: where the value stands; `nearby` unless told otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) look: Option<WrittenLook>,
    /// With `label`: how many lines the value may have; 1 unless told otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 50))]
    pub(super) max_lines: Option<u64>,
    /// With `label`: how many characters the value may have; 500 unless told otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 10_000))]
    pub(super) max_characters: Option<u64>,
    /// A regular expression of at most 1,000 characters, without look-around and back
    /// references. The group named `value` is the value, else all that matches. `^` and `$` are
    /// the ends of a line; columns stand several spaces apart, so write `\s+` for a gap.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 1_000), example = &r"Invoice\s+(?P<value>\d+)")]
    pub(super) pattern: Option<String>,
    /// The only page to search, counted from 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub(super) page: Option<u64>,
    /// With `label` or `pattern`: which of several places counts; `first` unless told otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) occurrence: Option<WrittenOccurrence>,
    /// For tables: the columns, and where the rows end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) table: Option<WrittenTable>,
    /// For lists: the lines between two texts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) lines: Option<WrittenLines>,
}

/// Where a value stands, seen from its label.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "Look", title = "Look")]
pub(super) enum WrittenLook {
    /// To the right, on the same line.
    RightOf,
    /// Below, in the same column.
    Below,
    /// To the right, or else below.
    Nearby,
}

/// Which of several places counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "Occurrence", title = "Occurrence")]
pub(super) enum WrittenOccurrence {
    /// The first that gives a value.
    First,
    /// The last that gives a value.
    Last,
}

/// Rows under a line of headers. A table goes on after a page break where its headers are
/// repeated.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "TableRule", title = "Table rule")]
pub(super) struct WrittenTable {
    /// The columns, in any order.
    #[schemars(length(min = 1, max = 50))]
    pub(super) columns: Vec<WrittenColumn>,
    /// The table ends on the line before one of these texts; without, where lines no longer
    /// stand in its columns or a wide gap follows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) until: Option<Texts>,
    /// The key of the column whose value begins a row; lines without it carry the row on. Unless
    /// told otherwise, a line that has only text where the row before it has text carries it on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) row_starts_with: Option<String>,
}

/// A column of a table.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Column", title = "Column")]
pub(super) struct WrittenColumn {
    /// The name of the member in each row.
    #[schemars(regex(pattern = r"^[A-Za-z][A-Za-z0-9_]{0,63}$"))]
    pub(super) key: String,
    /// What the column is called in the document; of several, the first that is there.
    pub(super) header: Texts,
    /// What kind of value its cells have; text unless told otherwise.
    #[serde(default = "text", rename = "type")]
    pub(super) kind: WrittenType,
    /// Whether the table is only recognized where this header stands.
    #[serde(default, skip_serializing_if = "is_default")]
    pub(super) required: bool,
    /// The locale of this column, where it differs from that of the field.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) locale: Option<String>,
    /// For dates: the only formats to read.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) date_formats: Vec<String>,
}

/// The lines between two texts, each an item.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "LinesRule", title = "Lines rule")]
pub(super) struct WrittenLines {
    /// The items begin on the line after one of these texts; without, at the top of the page.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) after: Option<Texts>,
    /// The items end on the line before one of these texts; without, at the first empty line.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) before: Option<Texts>,
}

/// One text, or several of which the first is most wanted.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(
    untagged,
    expecting = "write a text (in quotes if it looks like a number), or a list of texts"
)]
#[schemars(rename = "Texts", title = "Texts")]
pub(super) enum Texts {
    /// One text.
    One(String),
    /// Several texts, most wanted first.
    Many(Vec<String>),
}

impl Texts {
    /// The texts, most wanted first.
    pub(super) fn as_slice(&self) -> &[String] {
        match self {
            Self::One(text) => std::slice::from_ref(text),
            Self::Many(texts) => texts,
        }
    }
}

fn text() -> WrittenType {
    WrittenType::Text
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}
