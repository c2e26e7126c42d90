//! What a workflow extracts: a field, the type of its value, and the rule that finds it.
//!
//! These are the *checked* types: they exist only inside a
//! [`Definition`](crate::workflows::Definition), so whoever holds one need not check again.
//! A rule always fits the type of its field, because [`Wanted`] holds both.

use regex::Regex;
use serde_json::Value;

pub use self::{
    dates::{DateFormat, DateOrder, DatePart},
    locale::{Language, Locale},
};

mod dates;
mod locale;

/// One thing to extract.
#[derive(Debug, Clone)]
pub struct Field {
    /// The name of the member in the answer.
    pub key: String,
    /// Whether a document without this value is a failure.
    pub required: bool,
    /// What stands in the answer when nothing was found; `null` unless told otherwise.
    pub default: Value,
    /// What is looked for, and how.
    pub wanted: Wanted,
}

/// What a field looks for: the shape of the value together with a rule that can find it.
#[derive(Debug, Clone)]
pub enum Wanted {
    /// One value.
    One(ValueFormat, Finder),
    /// Many values of one type.
    List(ValueFormat, ListRule),
    /// Rows of named cells.
    Table(TableRule),
}

/// A rule that finds one value.
#[derive(Debug, Clone)]
pub enum Finder {
    /// The value stands beside or under a label.
    Label(LabelRule),
    /// The value matches a pattern.
    Pattern(PatternRule),
}

/// A rule that finds many values.
#[derive(Debug, Clone)]
pub enum ListRule {
    /// The lines between two texts.
    Lines(LinesRule),
    /// Everything that matches a pattern.
    Pattern(PatternRule),
}

/// The type of a single value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scalar {
    /// Text as it stands, with runs of spaces made one.
    Text,
    /// A decimal number.
    Number,
    /// A whole number.
    Integer,
    /// A calendar date, answered as `YYYY-MM-DD`.
    Date,
    /// Yes or no.
    Boolean,
    /// An e-mail address.
    Email,
    /// An amount of money, answered as `{"amount": "1234.56", "currency": "EUR"}`.
    Currency,
}

impl Scalar {
    /// What a value of this type looks like, to complete "expected …".
    pub const fn expectation(self) -> &'static str {
        match self {
            Self::Text => "some text",
            Self::Number => "a number such as 1,234.56",
            Self::Integer => "a whole number such as 1,234",
            Self::Date => "a date such as 2026-03-31 or 31 March 2026",
            Self::Boolean => "yes or no",
            Self::Email => "an e-mail address such as ada@example.com",
            Self::Currency => "an amount such as EUR 1,234.56",
        }
    }
}

/// How found text becomes a value.
#[derive(Debug, Clone)]
pub struct ValueFormat {
    /// The type of the value.
    pub scalar: Scalar,
    /// Whose numbers, months and words for yes and no are read.
    pub locale: Locale,
    /// The order of day, month and year where the text leaves it open.
    pub date_order: DateOrder,
    /// Formats of dates; when there are any, no other is read.
    pub date_formats: Vec<DateFormat>,
    /// The ISO code of amounts that name no currency themselves.
    pub currency: Option<String>,
}

/// A value beside or under a label.
#[derive(Debug, Clone)]
pub struct LabelRule {
    /// The texts to look for, most wanted first.
    pub texts: Vec<String>,
    /// Where the value stands, seen from the label.
    pub look: Look,
    /// How many lines the value may have.
    pub max_lines: usize,
    /// How many characters the value may have.
    pub max_characters: usize,
    /// The part of the text that is the value.
    pub pattern: Option<Pattern>,
    /// The only page that is searched, counted from 1.
    pub page: Option<usize>,
    /// Which of several labels counts.
    pub occurrence: Occurrence,
}

/// A value that matches a pattern.
#[derive(Debug, Clone)]
pub struct PatternRule {
    /// The pattern, matched against the text of each page.
    pub pattern: Pattern,
    /// The only page that is searched, counted from 1.
    pub page: Option<usize>,
    /// Which of several matches counts.
    pub occurrence: Occurrence,
}

/// The lines between two texts.
#[derive(Debug, Clone)]
pub struct LinesRule {
    /// The items begin on the line after one of these; without any, at the top.
    pub after: Vec<String>,
    /// The items end on the line before one of these; without any, at the first empty line.
    pub before: Vec<String>,
    /// The part of a line that is the item; lines without it are no items.
    pub pattern: Option<Pattern>,
    /// The only page that is searched, counted from 1.
    pub page: Option<usize>,
}

/// Rows under a line of headers.
#[derive(Debug, Clone)]
pub struct TableRule {
    /// The columns, in any order.
    pub columns: Vec<Column>,
    /// The table ends on the line before one of these.
    pub until: Vec<String>,
    /// The column whose value begins a row; lines without it carry the row on.
    pub row_starts_with: Option<String>,
    /// The only page that is searched, counted from 1.
    pub page: Option<usize>,
}

/// A column of a table.
#[derive(Debug, Clone)]
pub struct Column {
    /// The name of the member in each row of the answer.
    pub key: String,
    /// What the column is called in the document, most wanted first.
    pub headers: Vec<String>,
    /// Whether the table is only recognized where this header stands.
    pub required: bool,
    /// How the text of a cell becomes a value.
    pub format: ValueFormat,
}

/// Where a value stands, seen from its label.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Look {
    /// To the right, on the same line.
    RightOf,
    /// Below, in the same column.
    Below,
    /// To the right, or else below.
    Nearby,
}

/// Which of several places counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Occurrence {
    /// The first one that gives a value.
    First,
    /// The last one that gives a value.
    Last,
}

/// The name of the group of a pattern that marks the value.
pub const VALUE_GROUP: &str = "value";

/// A regular expression that was compiled under limits; it always runs in linear time.
#[derive(Debug, Clone)]
pub struct Pattern(Regex);

impl Pattern {
    /// The longest pattern, in characters.
    pub const MAX_CHARACTERS: usize = 1_000;
    const MAX_COMPILED_BYTES: usize = 1 << 20;

    /// Compiles `text`; the error says what to write instead.
    pub fn parse(text: &str) -> Result<Self, String> {
        if text.chars().count() > Self::MAX_CHARACTERS {
            return Err(format!("write a pattern of at most {} characters", Self::MAX_CHARACTERS));
        }
        let regex = regex::RegexBuilder::new(text)
            .multi_line(true)
            .size_limit(Self::MAX_COMPILED_BYTES)
            .dfa_size_limit(2 * Self::MAX_COMPILED_BYTES)
            .nest_limit(50)
            .build()
            .map_err(|error| explain(&error))?;
        if regex.is_match("") {
            return Err("the pattern also matches nothing at all; write one that needs at least \
                        one character, such as `\\d+` instead of `\\d*`"
                .to_owned());
        }
        Ok(Self(regex))
    }

    /// The pattern as it was written.
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }

    /// Every match in `text`: where the value stands (the group `value`, else the whole match).
    pub fn values<'t>(
        &'t self,
        text: &'t str,
    ) -> impl Iterator<Item = std::ops::Range<usize>> + 't {
        self.0.captures_iter(text).filter_map(|found| {
            let value = found.name(VALUE_GROUP).or_else(|| found.get(0))?;
            Some(value.range())
        })
    }
}

/// The heart of a regex error in one line.
fn explain(error: &regex::Error) -> String {
    match error {
        regex::Error::CompiledTooBig(_) => {
            "the pattern needs too much memory; use smaller repetitions".to_owned()
        }
        other => {
            let text = other.to_string();
            let reason = text.lines().last().unwrap_or_default();
            let reason = reason.trim().trim_start_matches("error: ");
            format!("write a valid regular expression: {reason}")
        }
    }
}
