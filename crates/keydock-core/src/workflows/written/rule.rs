//! A rule, as it is written.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Many, Texts, WrittenLines, WrittenTable, WrittenTransform, is_default};

/// How a value is found: exactly one of `label`, `pattern`, `table`, `lines`, `compute` and
/// `value`; `label` and `lines` may be joined by a `pattern` that says which part of the found
/// text is the value.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, expecting = "a rule such as {label: Total}")]
#[schemars(rename = "Rule", title = "Rule")]
pub(in super::super) struct WrittenRule {
    /// The label beside or above the value; of several, the first that leads to a value. Case,
    /// spacing and a colon do not matter.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(in super::super) label: Option<Texts>,
    /// With `label`: where the value stands; `nearby` unless told otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(in super::super) look: Option<WrittenLook>,
    /// With `label`: how many lines the value may have; 1 unless told otherwise, 10 with
    /// `look: row`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 50))]
    pub(in super::super) max_lines: Option<u64>,
    /// With `label`: how many characters the value may have; 500 unless told otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 10_000))]
    pub(in super::super) max_characters: Option<u64>,
    /// With `label`: how many letters of it may be wrong, missing or too many, as happens in
    /// scans. No more than a quarter of the label counts, so short ones must be right.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 8))]
    pub(in super::super) errors: Option<u64>,
    /// With `label`: how far from it the value may begin, in heights of a line; 3.5 below and
    /// above, and anything to the sides, unless told otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 1_000))]
    pub(in super::super) distance: Option<f64>,
    /// With `label`: lines of the value in which this regular expression is found are left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(in super::super) skip: Option<String>,
    /// With `label`: the value ends before a line in which this regular expression is found.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(in super::super) stop: Option<String>,
    /// A regular expression, or several of which the first that gives a value counts, of at most
    /// 1,000 characters, without look-around and back references. The group named `value` is the value, else all that matches. `^` and `$` are
    /// the ends of a line; columns stand several spaces apart, so write `\s+` for a gap.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(example = &r"Invoice\s+(?P<value>\d+)")]
    pub(in super::super) pattern: Option<Texts>,
    /// The only page to search, counted from 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub(in super::super) page: Option<u64>,
    /// With `label` or `pattern`: which of several places counts; `first` unless told otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(in super::super) occurrence: Option<WrittenOccurrence>,
    /// For tables: the columns, and where the rows end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(in super::super) table: Option<WrittenTable>,
    /// For lists: the lines between two texts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(in super::super) lines: Option<WrittenLines>,
    /// A formula over other fields, such as `net + vat` or `add_days(issued, 14)`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 1_000), example = &"net + vat")]
    pub(in super::super) compute: Option<String>,
    /// A value that is always the same; useful in templates.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(in super::super) value: Option<Value>,
    /// With `label` or `pattern`: what is done to the text that this rule finds, before the steps
    /// of the field.
    #[serde(default, skip_serializing_if = "Many::is_empty")]
    pub(in super::super) transform: Many<WrittenTransform>,
    /// The part of the document to search.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(in super::super) within: Option<WrittenZone>,
    /// What the document must say for this rule to be used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(in super::super) when: Option<WrittenCondition>,
}

/// A part of the document: a section between two texts, a region of the page, or both.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Zone", title = "Zone")]
pub(in super::super) struct WrittenZone {
    /// It begins on the line below this text; of several, the first that is there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(in super::super) after: Option<Texts>,
    /// It ends on the line above this text; of several, the one that comes first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(in super::super) before: Option<Texts>,
    /// With `after`: whether only the column below that text belongs to it.
    #[serde(default, skip_serializing_if = "is_default")]
    pub(in super::super) column: bool,
    /// The only page: its number, or `last`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(in super::super) page: Option<WrittenPage>,
    /// The left edge, in percent of the width of the page.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 100))]
    pub(in super::super) left: Option<f64>,
    /// The right edge, in percent of the width of the page.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 100))]
    pub(in super::super) right: Option<f64>,
    /// The upper edge, in percent of the height of the page.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 100))]
    pub(in super::super) top: Option<f64>,
    /// The lower edge, in percent of the height of the page.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 100))]
    pub(in super::super) bottom: Option<f64>,
}

/// A page of a document.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged, expecting = "write the number of a page, or `last`")]
#[schemars(rename = "PageChoice", title = "Page")]
pub(in super::super) enum WrittenPage {
    /// Counted from 1.
    Number(u64),
    /// By a word.
    Word(WrittenPageWord),
}

/// A page by a word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "PageWord", title = "Page by a word")]
pub(in super::super) enum WrittenPageWord {
    /// The last page.
    Last,
}

/// What a document must say. Case, spacing and punctuation do not matter.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Condition", title = "Condition")]
pub(in super::super) struct WrittenCondition {
    /// One of these texts must stand in it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(in super::super) any: Option<Texts>,
    /// All of these texts must stand in it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(in super::super) all: Option<Texts>,
    /// None of these texts may stand in it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(in super::super) none: Option<Texts>,
}

/// Where a value stands, seen from its label.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "Look", title = "Look")]
pub(in super::super) enum WrittenLook {
    /// To the right, on the same line.
    RightOf,
    /// Below, in the same column.
    Below,
    /// To the right, or else below.
    Nearby,
    /// Above, in the same column.
    Above,
    /// To the left, on the same line.
    LeftOf,
    /// To the right, in the row of a grid: also lines above and below that of the label, as far
    /// as they are nearer to it than to the labels above and below it.
    Row,
}

/// Which of several places counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "Occurrence", title = "Occurrence")]
pub(in super::super) enum WrittenOccurrence {
    /// The first that gives a value.
    First,
    /// The last that gives a value.
    Last,
}
