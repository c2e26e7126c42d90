//! A definition as it is written: the shape of the document, before it is known to make sense.
//!
//! The doc comments here are published: they become the descriptions of the JSON Schema.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

pub(super) use self::{
    many::{Many, Texts},
    rule::{
        WrittenCondition, WrittenLook, WrittenOccurrence, WrittenPage, WrittenPageWord,
        WrittenRule, WrittenZone,
    },
    table::{WrittenColumn, WrittenLines, WrittenTable},
    transform::{WrittenStep, WrittenTransform},
};
use super::OcrMode;
use crate::fields::{Checksum, DateOrder};

mod many;
mod rule;
mod table;
mod transform;

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
    /// Other rules for documents of certain kinds: other suppliers, other forms.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 100))]
    pub(super) templates: Vec<WrittenTemplate>,
    /// Which template is taken when several fit; the first unless told otherwise.
    #[serde(default, skip_serializing_if = "is_default")]
    pub(super) choose: WrittenChoice,
    /// What to extract: 1 to 200 fields, each with a key of its own.
    #[schemars(length(min = 1, max = 200))]
    pub(super) fields: Vec<WrittenField>,
    /// What must hold between the values.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 100))]
    pub(super) checks: Vec<WrittenCheck>,
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
    /// and 1.234, and between 3/4 and 4/3. Known languages: en, de, fr, es, it, nl, pt. With
    /// `auto` the words of the document decide.
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
    /// What is done to the found text before it is read as a value, in this order.
    #[serde(default, skip_serializing_if = "Many::is_empty")]
    pub(super) transform: Many<WrittenTransform>,
    /// What the digits of the value must fit; a text that does not is passed over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) checksum: Option<Checksum>,
    /// How the value is found: a rule, or several of which the first that gives a value counts.
    /// Only a field for which every template has rules can do without.
    #[serde(default, skip_serializing_if = "Many::is_empty")]
    pub(super) rule: Many<WrittenRule>,
}

/// Rules for documents of a certain kind.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Template", title = "Template")]
pub(super) struct WrittenTemplate {
    /// What the kind is called; the answer names it.
    pub(super) name: String,
    /// What a document of this kind says; every document fits without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) when: Option<WrittenCondition>,
    /// The locale of such documents, where it differs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) locale: Option<String>,
    /// The order of dates in such documents, where it differs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) date_order: Option<DateOrder>,
    /// The currency of amounts that name none in such documents, where it differs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) currency: Option<String>,
    /// The rules of fields, by their keys; they are tried before those of the field itself.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) rules: BTreeMap<String, Many<WrittenRule>>,
}

/// Which template is taken when several fit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "Choice", title = "Choice")]
pub(super) enum WrittenChoice {
    /// The first.
    #[default]
    First,
    /// The one that finds most: values count by how sure they are, required ones twice, and a
    /// check that does not hold counts against it. To use none of them is one of the choices.
    Best,
}

/// What must hold between the values of a document.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Check", title = "Check")]
pub(super) struct WrittenCheck {
    /// A comparison such as `net + vat = total`, `sum(items.amount) = net` or `issued <= due`.
    /// Where a value is missing nothing is compared.
    #[schemars(length(min = 3, max = 1_000), example = &"sum(items.amount) = net")]
    pub(super) that: String,
    /// How far apart two numbers may be that should be the same; 0 unless told otherwise.
    #[serde(default, skip_serializing_if = "is_default")]
    #[schemars(range(min = 0))]
    pub(super) tolerance: f64,
    /// What to say when it does not hold.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) message: Option<String>,
    /// Whether a document fails for which it does not hold; otherwise it is told among the
    /// misses.
    #[serde(default, skip_serializing_if = "is_default")]
    pub(super) required: bool,
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
    /// A decimal number, answered as text with exactly the digits that were written, such as
    /// `"1234.50"`.
    Decimal,
    /// A percentage: `19 %` is answered as 19.
    Percent,
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
    /// Named values that are found together, answered as an object: the first row of a table.
    Object,
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}
