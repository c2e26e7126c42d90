//! Which part of a document a rule searches, and when it is used at all.

/// A part of a document; everything unless told otherwise.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Zone {
    /// The only page.
    pub page: Option<PageChoice>,
    /// The part begins on the line below the first of these texts.
    pub after: Vec<String>,
    /// The part ends on the line above the next of these texts.
    pub before: Vec<String>,
    /// Whether only the column below the text in `after` belongs to it.
    pub is_column: bool,
    /// The edges as parts of the width and the height of the page.
    pub left: Option<f32>,
    /// See `left`.
    pub right: Option<f32>,
    /// See `left`.
    pub top: Option<f32>,
    /// See `left`.
    pub bottom: Option<f32>,
}

impl Zone {
    /// Whether it is all of the document.
    pub fn is_everything(&self) -> bool {
        *self == Self::default()
    }
}

/// One page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PageChoice {
    /// Counted from 1.
    Number(usize),
    /// The last that was read.
    Last,
}

/// What a document must say; nothing unless told otherwise.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Condition {
    /// One of these texts must stand in it.
    pub any: Vec<String>,
    /// All of these must.
    pub all: Vec<String>,
    /// None of these may.
    pub none: Vec<String>,
}

impl Condition {
    /// Whether it holds, given how to look for a text.
    pub fn holds(&self, stands: impl Fn(&str) -> bool) -> bool {
        (self.any.is_empty() || self.any.iter().any(|text| stands(text)))
            && self.all.iter().all(|text| stands(text))
            && !self.none.iter().any(|text| stands(text))
    }
}
