//! From text to typed values.
//!
//! A value is looked for *in* a text: labels are followed by "due on 31 March 2026", and amounts
//! by "incl. VAT". What was read of the text is told, so that evidence can point at it.

use std::ops::Range;

use keydock_core::fields::{Pattern, Scalar, ValueFormat};
use serde_json::{Value, json};

mod booleans;
mod dates;
mod money;
mod numbers;
#[cfg(test)]
mod properties;
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

/// Reads the first value of a type in a text, once the steps of the format have changed it.
pub(super) fn read(text: &str, format: &ValueFormat) -> Option<Read> {
    if format.transforms.is_empty() {
        return checked(text, format);
    }
    let changed = format.transforms.iter().fold(text.to_owned(), |text, step| step.apply(&text));
    let read = checked(&changed, format)?;
    // What was changed stands nowhere; the evidence is all that it came from.
    let start = text.len() - text.trim_start().len();
    Some(Read { range: start..start + text.trim().len(), ..read })
}

/// Reads the first value in the parts of a text that match a pattern, the first pattern first;
/// in all of it where there are none.
pub(super) fn read_part(text: &str, patterns: &[Pattern], format: &ValueFormat) -> Option<Read> {
    if patterns.is_empty() {
        return read(text, format);
    }
    let parts = patterns.iter().flat_map(|pattern| pattern.values(text));
    parts.into_iter().find_map(|range| {
        let mut read = read(text.get(range.clone())?, format)?;
        read.range = range.start + read.range.start..range.start + read.range.end;
        Some(read)
    })
}

/// What a value looks like, to complete “expected …”.
pub(super) fn expectation(format: &ValueFormat) -> String {
    match format.checksum {
        Some(checksum) => format!("a {}", checksum.name()),
        None => format.scalar.expectation().to_owned(),
    }
}

/// A value that fits its checksum; in a longer text the words that do.
fn checked(text: &str, format: &ValueFormat) -> Option<Read> {
    let Some(checksum) = format.checksum else { return plain(text, format) };
    let fits = |read: &Read| match &read.value {
        Value::String(text) => checksum.fits(text),
        other => checksum.fits(&other.to_string()),
    };
    if let Some(read) = plain(text, format).filter(fits) {
        return Some(read);
    }
    if format.scalar != Scalar::Text {
        return None;
    }
    windows(text).into_iter().find_map(|range| {
        let part = text.get(range.clone())?;
        checksum.fits(part).then(|| {
            let value = part.split_whitespace().collect::<Vec<_>>().join(" ");
            Read::new(value.into(), range).within(text)
        })
    })
}

/// Words that stand together, longer stretches first.
fn windows(text: &str) -> Vec<Range<usize>> {
    const MOST_WORDS: usize = 12;
    const MOST_STARTS: usize = 200;
    let is_edge = |c: char| !c.is_alphanumeric();
    let mut words: Vec<Range<usize>> = Vec::new();
    let mut at = 0;
    for word in text.split_inclusive(char::is_whitespace) {
        let start = at + (word.len() - word.trim_start_matches(is_edge).len());
        let end = at + word.trim_end_matches(is_edge).len();
        if start < end {
            words.push(start..end);
        }
        at += word.len();
    }
    let mut windows = Vec::new();
    for first in 0..words.len().min(MOST_STARTS) {
        for last in (first..words.len().min(first + MOST_WORDS)).rev() {
            if let (Some(first), Some(last)) = (words.get(first), words.get(last)) {
                windows.push(first.start..last.end);
            }
        }
    }
    windows
}

fn plain(text: &str, format: &ValueFormat) -> Option<Read> {
    let read = match format.scalar {
        Scalar::Text => texts::text(text),
        Scalar::Email => texts::email(text),
        Scalar::Boolean => booleans::read(text, format.locale.language()),
        Scalar::Date => dates::read(text, format),
        Scalar::Number => numbers::first(text, format.locale)
            .and_then(|found| Some((Value::Number(found.decimal.parse().ok()?), found)))
            .map(|(value, found)| number(value, &found)),
        Scalar::Decimal => money::first(text, format.locale).map(|found| decimal(&found)),
        Scalar::Percent => numbers::percentage(text, format.locale).and_then(|found| {
            let read = Read::new(Value::Number(found.decimal.parse().ok()?), found.range.clone());
            Some(Read { is_weak: !found.is_percentage, ..read })
        }),
        Scalar::Integer => numbers::first(text, format.locale)
            .and_then(|found| Some(number(json!(found.whole()?), &found))),
        Scalar::Currency => money::first(text, format.locale).map(|found| amount(&found, format)),
    };
    Some(read?.within(text))
}

/// The number of an amount; a bare whole number may as well be the day of a date.
fn decimal(found: &money::Amount) -> Read {
    let is_weak = found.currency.is_none() && !found.decimal.contains('.');
    Read { is_weak, ..Read::new(found.decimal.clone().into(), found.range.clone()) }
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
