//! From text to typed values.
//!
//! A value is looked for *in* a text: labels are followed by "due on 31 March 2026", and amounts
//! by "incl. VAT". What was read of the text is told, so that evidence can point at it.

use std::ops::Range;

use keydock_core::fields::{Scalar, ValueFormat};
use serde_json::{Value, json};

mod booleans;
mod dates;
mod money;
mod numbers;
mod texts;

/// A value found in a text.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Read {
    /// The value as it stands in the answer.
    pub(super) value: Value,
    /// The bytes of the text that say so.
    pub(super) range: Range<usize>,
    /// How sure it is, from 0 to 1: less where a date may be read in two ways, or where there is
    /// more text than the value.
    pub(super) confidence: f32,
    /// Whether something better may be further on: a percentage where a number was wanted, a
    /// whole number without a currency where an amount was.
    pub(super) is_weak: bool,
}

impl Read {
    fn new(value: Value, range: Range<usize>) -> Self {
        Self { value, range, confidence: 1.0, is_weak: false }
    }

    /// As sure as the rest of the text leaves room for.
    fn within(mut self, text: &str) -> Self {
        let outside = |range: Range<usize>| text.get(range).unwrap_or_default();
        let rest = [outside(0..self.range.start), outside(self.range.end..text.len())];
        if rest.iter().any(|rest| rest.contains(char::is_alphanumeric)) {
            self.confidence *= 0.9;
        }
        self
    }
}

/// Reads the first value of a type in a text.
pub(super) fn read(text: &str, format: &ValueFormat) -> Option<Read> {
    let read = match format.scalar {
        Scalar::Text => texts::text(text),
        Scalar::Email => texts::email(text),
        Scalar::Boolean => booleans::read(text, format.locale.language()),
        Scalar::Date => dates::read(text, format),
        Scalar::Number => numbers::first(text, format.locale)
            .and_then(|found| Some((Value::Number(found.decimal.parse().ok()?), found)))
            .map(|(value, found)| number(value, &found)),
        Scalar::Integer => numbers::first(text, format.locale)
            .and_then(|found| Some(number(json!(found.whole()?), &found))),
        Scalar::Currency => money::first(text, format.locale).map(|found| amount(&found, format)),
    };
    Some(read?.within(text))
}

fn number(value: Value, found: &numbers::Number) -> Read {
    Read { is_weak: found.is_percentage, ..Read::new(value, found.range.clone()) }
}

fn amount(found: &money::Amount, format: &ValueFormat) -> Read {
    let currency = found.currency.or(format.currency.as_deref());
    let value = json!({"amount": found.decimal, "currency": currency});
    // A bare whole number may as well be the day of a date.
    let is_weak = found.currency.is_none() && !found.decimal.contains('.');
    Read { is_weak, ..Read::new(value, found.range.clone()) }
}

/// Whether a text is nothing but the name of a currency.
pub(super) fn is_currency(text: &str) -> bool {
    money::is_currency(text)
}
