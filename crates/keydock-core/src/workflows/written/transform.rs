//! What is done to a found text, as it is written.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A step that changes a found text before it is read as a value.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(
    untagged,
    expecting = "write `upper`, `lower`, `digits`, `alphanumeric`, `no_spaces`, `one_line`, `first_line`, `last_line`, `digits_from_letters`, {replace: …, with: …} or {map: {…: …}}"
)]
#[schemars(rename = "Transform", title = "Transform")]
pub(in super::super) enum WrittenTransform {
    /// By its name.
    Step(WrittenStep),
    /// What matches a regular expression becomes something else.
    Replace {
        /// The regular expression.
        replace: String,
        /// What stands there afterwards; `$1` and `${name}` are groups.
        with: String,
    },
    /// Certain texts become others; case does not matter, and those that are not named stay.
    Map {
        /// What each becomes.
        map: BTreeMap<String, String>,
    },
}

/// A step by its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "Step", title = "Step")]
pub(in super::super) enum WrittenStep {
    /// All letters large.
    Upper,
    /// All letters small.
    Lower,
    /// Only digits stay.
    Digits,
    /// Only letters and digits stay.
    Alphanumeric,
    /// Spaces and line breaks go.
    NoSpaces,
    /// Line breaks become spaces.
    OneLine,
    /// Only the first line stays.
    FirstLine,
    /// Only the last line stays.
    LastLine,
    /// Letters that scans take for digits become digits.
    DigitsFromLetters,
}
