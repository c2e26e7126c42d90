//! Values that follow from others, and what must hold between them.
//!
//! A formula is a small expression: `net + vat`, `sum(items.amount)`, `first(due, issued)`,
//! `issued <= due`. It is read once, with the definition; it has no loops and always ends.

use std::collections::BTreeSet;

use super::Decimal;

mod evaluate;
mod parse;

/// An expression that was read.
#[derive(Debug, Clone)]
pub struct Formula {
    text: String,
    root: Node,
}

/// What must hold between the values of a document.
#[derive(Debug, Clone)]
pub struct Check {
    /// The comparison.
    pub formula: Formula,
    /// How far apart two numbers may be that should be the same.
    pub tolerance: Decimal,
    /// What is said when it does not hold.
    pub message: Option<String>,
    /// Whether a document fails for which it does not hold.
    pub is_required: bool,
}

/// What an expression comes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// There is no value.
    Nothing,
    /// A number; amounts of money too.
    Number(Decimal),
    /// A text; dates too, as `YYYY-MM-DD`.
    Text(String),
    /// Yes or no.
    Truth(bool),
}

/// Where the values of fields come from.
pub trait Values {
    /// The value of a field, or of a column in every row; the currency of amounts when it is
    /// asked for.
    fn values(&self, name: &Name, currency: bool) -> Vec<Answer>;
}

/// A field, or a column of a table.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Name {
    /// The key of the field.
    pub field: String,
    /// The key of the column.
    pub column: Option<String>,
}

#[derive(Debug, Clone)]
enum Node {
    Number(Decimal),
    Text(String),
    Name(Name),
    Negative(Box<Node>),
    Sum(Box<Node>, Box<Node>),
    Difference(Box<Node>, Box<Node>),
    Product(Box<Node>, Box<Node>),
    Quotient(Box<Node>, Box<Node>),
    Comparison(Box<Node>, Relation, Box<Node>),
    Call(Function, Vec<Node>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Relation {
    Equal,
    Unequal,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Function {
    Sum,
    Count,
    Min,
    Max,
    Abs,
    Round,
    First,
    Concat,
    Currency,
    Days,
    AddDays,
    If,
}

impl Function {
    /// The name, and the fewest and most arguments.
    const ALL: [(&'static str, Self, usize, usize); 12] = [
        ("sum", Self::Sum, 1, 50),
        ("count", Self::Count, 1, 50),
        ("min", Self::Min, 1, 50),
        ("max", Self::Max, 1, 50),
        ("abs", Self::Abs, 1, 1),
        ("round", Self::Round, 1, 2),
        ("first", Self::First, 1, 50),
        ("concat", Self::Concat, 1, 50),
        ("currency", Self::Currency, 1, 1),
        ("days", Self::Days, 2, 2),
        ("add_days", Self::AddDays, 2, 2),
        ("if", Self::If, 3, 3),
    ];
}

impl Formula {
    /// Reads an expression; the error says what to write instead.
    pub fn parse(text: &str) -> Result<Self, String> {
        let root = parse::parse(text)?;
        Ok(Self { text: text.to_owned(), root })
    }

    /// The expression as it was written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether it is a comparison, which holds or does not.
    pub fn is_comparison(&self) -> bool {
        matches!(self.root, Node::Comparison(..))
    }

    /// The fields and columns that it speaks of.
    pub fn names(&self) -> BTreeSet<&Name> {
        let mut names = BTreeSet::new();
        self.root.collect_names(&mut names);
        names
    }

    /// What it comes to.
    pub fn evaluate(&self, values: &dyn Values) -> Answer {
        evaluate::evaluate(&self.root, values, Decimal::default())
    }
}

impl Check {
    /// Whether it holds; `None` where a value is missing.
    pub fn holds(&self, values: &dyn Values) -> Option<bool> {
        match evaluate::evaluate(&self.formula.root, values, self.tolerance) {
            Answer::Truth(holds) => Some(holds),
            _ => None,
        }
    }

    /// Both sides, to be shown.
    pub fn sides(&self, values: &dyn Values) -> Option<(Answer, Answer)> {
        let Node::Comparison(left, _, right) = &self.formula.root else { return None };
        let side = |node| evaluate::evaluate(node, values, self.tolerance);
        Some((side(left), side(right)))
    }
}

impl Node {
    fn collect_names<'n>(&'n self, names: &mut BTreeSet<&'n Name>) {
        match self {
            Self::Number(_) | Self::Text(_) => {}
            Self::Name(name) => {
                names.insert(name);
            }
            Self::Negative(node) => node.collect_names(names),
            Self::Sum(a, b)
            | Self::Difference(a, b)
            | Self::Product(a, b)
            | Self::Quotient(a, b)
            | Self::Comparison(a, _, b) => {
                a.collect_names(names);
                b.collect_names(names);
            }
            Self::Call(_, arguments) => arguments.iter().for_each(|it| it.collect_names(names)),
        }
    }
}

#[cfg(test)]
mod tests;
