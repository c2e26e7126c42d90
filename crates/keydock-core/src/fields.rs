//! What a workflow extracts: a field, the type of its value, and the rule that finds it.
//!
//! These are the *checked* types: they exist only inside a
//! [`Definition`](crate::workflows::Definition), so whoever holds one need not check again.
//! A rule always fits the type of its field, because [`Wanted`] holds both.

use regex::Regex;
use serde_json::Value;

pub use self::{
    checksum::Checksum,
    dates::{DateFormat, DateOrder, DatePart},
    decimal::Decimal,
    formula::{Answer, Check, Formula, Name, Values},
    locale::{Language, Locale},
    transform::Transform,
    zone::{Condition, PageChoice, Zone},
};

mod checksum;
mod dates;
mod decimal;
mod formula;
mod locale;
mod transform;
mod zone;

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

/// What a field looks for: the shape of the value together with rules that can find it. The first
/// rule that gives a value counts.
#[derive(Debug, Clone)]
pub enum Wanted {
    /// One value.
    One(ValueFormat, Vec<Rule<Finder>>),
    /// Many values of one type.
    List(ValueFormat, Vec<Rule<ListRule>>),
    /// Rows of named cells.
    Table(Vec<Rule<TableFinder>>),
    /// Named cells: the first row of a table.
    Object(Vec<Rule<TableFinder>>),
}

impl Wanted {
    /// The formats of the values, wherever they stand.
    pub fn formats_mut(&mut self) -> Vec<&mut ValueFormat> {
        match self {
            Self::One(format, _) | Self::List(format, _) => vec![format],
            Self::Table(rules) | Self::Object(rules) => {
                let columns = rules.iter_mut().flat_map(|rule| rule.find.columns_mut());
                columns.map(|column| &mut column.format).collect()
            }
        }
    }
}

/// A way to find something, where it may be used.
#[derive(Debug, Clone)]
pub struct Rule<F> {
    /// How it is found.
    pub find: F,
    /// The part of the document that is searched.
    pub zone: Zone,
    /// What the document must say for the rule to be used.
    pub when: Condition,
    /// What is done to the text that this rule finds, before the steps of the field.
    pub transforms: Vec<Transform>,
}

/// A rule that finds one value.
#[derive(Debug, Clone)]
pub enum Finder {
    /// The value stands beside or under a label.
    Label(LabelRule),
    /// The value matches a pattern.
    Pattern(PatternRule),
    /// The value follows from those of other fields.
    Formula(Formula),
    /// The value is always the same.
    Constant(Value),
}

/// A rule that finds many values.
#[derive(Debug, Clone)]
pub enum ListRule {
    /// The lines between two texts.
    Lines(LinesRule),
    /// Everything that matches a pattern.
    Pattern(PatternRule),
}

/// A rule that finds rows.
#[derive(Debug, Clone)]
pub enum TableFinder {
    /// Columns under headers, or at fixed places.
    Columns(TableRule),
    /// Every match of a pattern is a row; its named groups are the cells.
    Rows(RowsRule),
    /// Every stretch of lines that begins in the same way is a row.
    Blocks(BlocksRule),
}

impl TableFinder {
    /// The columns.
    pub fn columns(&self) -> &[Column] {
        match self {
            Self::Columns(rule) => &rule.columns,
            Self::Rows(rule) => &rule.columns,
            Self::Blocks(rule) => &rule.columns,
        }
    }

    fn columns_mut(&mut self) -> &mut [Column] {
        match self {
            Self::Columns(rule) => &mut rule.columns,
            Self::Rows(rule) => &mut rule.columns,
            Self::Blocks(rule) => &mut rule.columns,
        }
    }
}

/// The type of a single value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scalar {
    /// Text as it stands, with runs of spaces made one.
    Text,
    /// A decimal number.
    Number,
    /// A decimal number, answered as text with as many digits as were written.
    Decimal,
    /// A share of a hundred: `19 %` is answered as 19.
    Percent,
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
            Self::Number | Self::Decimal => "a number such as 1,234.56",
            Self::Percent => "a percentage such as 19 %",
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
    /// Whether the language of the document decides instead of `locale`.
    pub is_auto: bool,
    /// What is done to the text before it is read.
    pub transforms: Vec<Transform>,
    /// What the digits of the value must fit.
    pub checksum: Option<Checksum>,
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
    /// The part of the text that is the value: the first pattern that gives one counts.
    pub patterns: Vec<Pattern>,
    /// Which of several labels counts.
    pub occurrence: Occurrence,
    /// How many wrong characters a label may have.
    pub errors: usize,
    /// How far from the label the value may begin, in heights of a line.
    pub distance: Option<f32>,
    /// Lines of the value with this are left out.
    pub skip: Option<Pattern>,
    /// The value ends before a line with this.
    pub stop: Option<Pattern>,
}

/// A value that matches a pattern.
#[derive(Debug, Clone)]
pub struct PatternRule {
    /// The patterns, matched against the text of each page; the first that gives a value counts.
    pub patterns: Vec<Pattern>,
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
    pub patterns: Vec<Pattern>,
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
    /// Whether the table goes on at the top of the next page without its headers.
    pub continues: bool,
    /// Lines with this are no part of the table.
    pub skip: Option<Pattern>,
}

/// Rows that match a pattern.
#[derive(Debug, Clone)]
pub struct RowsRule {
    /// A match is a row; the group named like a column is its cell.
    pub pattern: Pattern,
    /// The columns.
    pub columns: Vec<Column>,
}

/// Stretches of lines that begin in the same way.
#[derive(Debug, Clone)]
pub struct BlocksRule {
    /// A line with this begins a block.
    pub starts: Pattern,
    /// A line with this ends the last block.
    pub ends: Option<Pattern>,
    /// The columns; the pattern of each is looked for in the lines of the block.
    pub columns: Vec<Column>,
}

/// A column of a table.
#[derive(Debug, Clone)]
pub struct Column {
    /// The name of the member in each row of the answer.
    pub key: String,
    /// What the column is called in the document, most wanted first; empty where it has a place.
    pub headers: Vec<String>,
    /// Where the column is, from left to right, as parts of the width of the page.
    pub place: Option<(f32, f32)>,
    /// The part of the cell that is the value.
    pub pattern: Option<Pattern>,
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
    /// Above, in the same column.
    Above,
    /// To the left, on the same line.
    LeftOf,
    /// To the right, in the row of a grid: also lines above and below that of the label, as far
    /// as they are nearer to it than to the labels above and below.
    Row,
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

    /// Whether there is a match.
    pub fn is_match(&self, text: &str) -> bool {
        self.0.is_match(text)
    }

    /// The names of the groups.
    pub fn groups(&self) -> impl Iterator<Item = &str> {
        self.0.capture_names().flatten()
    }

    /// Every match in `text` with the places of the named groups that took part.
    pub fn rows<'t>(
        &'t self,
        text: &'t str,
    ) -> impl Iterator<Item = Vec<(&'t str, std::ops::Range<usize>)>> + 't {
        self.0.captures_iter(text).map(|found| {
            let groups = self.0.capture_names().flatten();
            groups.filter_map(|name| Some((name, found.name(name)?.range()))).collect()
        })
    }

    pub(crate) fn regex(&self) -> &Regex {
        &self.0
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
