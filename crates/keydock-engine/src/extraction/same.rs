//! Whether an expected value and a found one say the same.

use keydock_core::fields::{Decimal, Field, Scalar, ValueFormat, Wanted};
use serde_json::Value;

use super::values;

/// Whether a value that a person expects is the one that was found.
///
/// The person may have written it in another way than the answer does: a date as on the paper, an
/// amount as a number, a text with other line breaks. Where nothing is expected, nothing may have
/// been found.
pub fn says_the_same(field: &Field, expected: &Value, found: &Value) -> bool {
    match &field.wanted {
        Wanted::One(format, _) => one(format, expected, found),
        Wanted::List(format, _) => items(expected, found, |a, b| one(format, a, b)),
        Wanted::Table(rules) => {
            let columns = || rules.iter().flat_map(|rule| rule.find.columns());
            items(expected, found, |a, b| row(a, b, &|key| format_of(columns(), key)))
        }
        Wanted::Object(rules) => {
            let columns = || rules.iter().flat_map(|rule| rule.find.columns());
            row(expected, found, &|key| format_of(columns(), key))
        }
    }
}

fn format_of<'c>(
    mut columns: impl Iterator<Item = &'c keydock_core::fields::Column>,
    key: &str,
) -> Option<&'c ValueFormat> {
    columns.find(|column| column.key == key).map(|column| &column.format)
}

fn is_nothing(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => text.trim().is_empty(),
        Value::Array(items) => items.is_empty(),
        _ => false,
    }
}

fn items(expected: &Value, found: &Value, same: impl Fn(&Value, &Value) -> bool) -> bool {
    match (expected, found) {
        (Value::Array(expected), Value::Array(found)) => {
            expected.len() == found.len() && expected.iter().zip(found).all(|(a, b)| same(a, b))
        }
        (expected, found) => is_nothing(expected) && is_nothing(found),
    }
}

/// The members that are expected; there may be more.
fn row<'f>(
    expected: &Value,
    found: &Value,
    format: &dyn Fn(&str) -> Option<&'f ValueFormat>,
) -> bool {
    let Some(expected) = expected.as_object() else {
        return is_nothing(expected) && is_nothing(found);
    };
    expected.iter().all(|(key, expected)| {
        let found = found.get(key).unwrap_or(&Value::Null);
        format(key).is_some_and(|format| one(format, expected, found))
    })
}

fn one(format: &ValueFormat, expected: &Value, found: &Value) -> bool {
    if expected == found || is_nothing(expected) && is_nothing(found) {
        return true;
    }
    if is_nothing(expected) || is_nothing(found) {
        return false;
    }
    match format.scalar {
        Scalar::Text | Scalar::Email => seen(expected) == seen(found),
        Scalar::Date => {
            let text = expected.as_str().unwrap_or_default();
            values::read(text, format).is_some_and(|read| read.value == *found)
        }
        Scalar::Boolean => false,
        Scalar::Number | Scalar::Decimal | Scalar::Percent | Scalar::Integer => {
            number(expected, format).is_some_and(|it| Some(it) == number(found, format))
        }
        Scalar::Currency => {
            let same_amount =
                number(expected, format).is_some_and(|it| Some(it) == number(found, format));
            let currency = expected.get("currency");
            same_amount && currency.is_none_or(|it| Some(it) == found.get("currency"))
        }
    }
}

/// The text without what nobody sees: how wide spaces are, and that there are some beside
/// punctuation.
fn seen(value: &Value) -> String {
    let text = value.as_str().map_or_else(|| value.to_string(), ToOwned::to_owned);
    let words: Vec<&str> = text.split_whitespace().collect();
    let mut seen = String::new();
    for word in words {
        let is_joined =
            !seen.ends_with(char::is_alphanumeric) || !word.starts_with(char::is_alphanumeric);
        if !seen.is_empty() && !is_joined {
            seen.push(' ');
        }
        seen.push_str(word);
    }
    seen
}

/// The number in a value: itself, an amount, or a text as people write numbers.
fn number(value: &Value, format: &ValueFormat) -> Option<Decimal> {
    match value {
        Value::Number(number) => format!("{:.6}", number.as_f64()?).parse().ok(),
        Value::String(text) => text.parse().ok().or_else(|| {
            let amount = ValueFormat { scalar: Scalar::Decimal, ..format.clone() };
            values::read(text, &amount)?.value.as_str()?.parse().ok()
        }),
        Value::Object(members) => members.get("amount")?.as_str()?.parse().ok(),
        _ => None,
    }
}
