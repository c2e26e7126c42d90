//! Where a value was found, and why another was not.

use serde::{Deserialize, Serialize};

/// Where a value was found.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Evidence {
    /// The field; for cells and items with their place, such as `items[2].amount`.
    pub field: String,
    /// The page, counted from 1.
    pub page: usize,
    /// The characters in the text of the extraction.
    pub span: Span,
    /// The place on the page; only documents with pages of paper have one.
    pub area: Option<Area>,
    /// The text that was read.
    pub text: String,
    /// The kind of rule that found it.
    pub rule: RuleKind,
    /// How sure the engine is, from 0 to 1.
    pub confidence: f32,
}

/// A range of characters (Unicode scalar values, not bytes), counted from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Span {
    /// The first character.
    pub start: usize,
    /// The character after the last.
    pub end: usize,
}

/// A rectangle on a page in points (1/72 inch), seen from the top left corner of the page as it
/// is read.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Area {
    /// The left edge.
    pub left: f32,
    /// The upper edge.
    pub top: f32,
    /// The right edge.
    pub right: f32,
    /// The lower edge.
    pub bottom: f32,
}

impl Area {
    /// The smallest area around both.
    pub(crate) fn union(self, other: Self) -> Self {
        Self {
            left: self.left.min(other.left),
            top: self.top.min(other.top),
            right: self.right.max(other.right),
            bottom: self.bottom.max(other.bottom),
        }
    }

    /// The smallest area around all; `None` around nothing.
    pub(crate) fn around(areas: impl IntoIterator<Item = Self>) -> Option<Self> {
        areas.into_iter().reduce(Self::union)
    }

    pub(crate) fn height(&self) -> f32 {
        self.bottom - self.top
    }

    pub(crate) fn center(&self) -> f32 {
        f32::midpoint(self.left, self.right)
    }

    /// How much of the height both share, from 0 to 1 of the lower one.
    pub(crate) fn shared_height(&self, other: &Self) -> f32 {
        let shared = self.bottom.min(other.bottom) - self.top.max(other.top);
        shared / self.height().min(other.height()).max(0.1)
    }

    /// How wide the part is that both share; negative is the distance between them.
    pub(crate) fn shared_width(&self, other: &Self) -> f32 {
        self.right.min(other.right) - self.left.max(other.left)
    }

    /// Two digits after the point are more than any printer prints.
    pub(crate) fn rounded(self) -> Self {
        let round = |value: f32| (value * 100.0).round() / 100.0;
        Self {
            left: round(self.left),
            top: round(self.top),
            right: round(self.right),
            bottom: round(self.bottom),
        }
    }
}

/// The kind of rule that found a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RuleKind {
    /// Beside or under a label.
    Label,
    /// By a pattern.
    Pattern,
    /// In a table.
    Table,
    /// Among the lines between two texts.
    Lines,
    /// Computed from the values of other fields; the place is that of the first of them.
    Computed,
    /// Written in the definition; it has no place.
    Constant,
}

/// A field without a value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Miss {
    /// The field; for cells and items with their place, such as `items[2].amount`.
    pub field: String,
    /// What was looked for, or what was found instead.
    pub reason: String,
}
