//! Values that follow from others, and checks between them.

use keydock_core::fields::{Answer, Check, Formula, Name, Scalar, ValueFormat, Values};
use serde_json::{Map, Value, json};

use super::values;
use crate::evidence::{Evidence, Miss, RuleKind, Span};

/// The values that were found so far.
pub(super) struct Found<'o>(pub(super) &'o Map<String, Value>);

impl Values for Found<'_> {
    fn values(&self, name: &Name, currency: bool) -> Vec<Answer> {
        let Some(value) = self.0.get(&name.field) else { return vec![Answer::Nothing] };
        match (value, &name.column) {
            (Value::Array(rows), Some(column)) => {
                rows.iter().map(|row| answer(row.get(column), currency)).collect()
            }
            (Value::Array(items), None) => {
                items.iter().map(|item| answer(Some(item), currency)).collect()
            }
            (value, Some(column)) => vec![answer(value.get(column), currency)],
            (value, None) => vec![answer(Some(value), currency)],
        }
    }
}

fn answer(value: Option<&Value>, currency: bool) -> Answer {
    match value {
        None | Some(Value::Null | Value::Array(_)) => Answer::Nothing,
        Some(Value::Bool(truth)) => Answer::Truth(*truth),
        Some(Value::Number(number)) => {
            let plain = number.as_f64().map(|it| format!("{it:.6}"));
            let number = number.as_i64().map(|it| it.to_string()).or(plain);
            number.and_then(|it| it.parse().ok()).map_or(Answer::Nothing, Answer::Number)
        }
        Some(Value::String(text)) => Answer::Text(text.clone()),
        Some(Value::Object(members)) => {
            let member = |name| members.get(name).and_then(Value::as_str);
            if currency {
                return member("currency")
                    .map_or(Answer::Nothing, |it| Answer::Text(it.to_owned()));
            }
            let amount = member("amount").and_then(|it| it.parse().ok());
            amount.map_or(Answer::Nothing, Answer::Number)
        }
    }
}

/// What a formula comes to, as a value of the type of its field.
pub(super) fn value(formula: &Formula, format: &ValueFormat, found: &Found) -> Option<Value> {
    match (formula.evaluate(found), format.scalar) {
        (Answer::Nothing, _) => None,
        (Answer::Truth(truth), Scalar::Boolean) => Some(truth.into()),
        (Answer::Number(number), Scalar::Number | Scalar::Percent) => {
            Some(Value::Number(number.to_string().parse().ok()?))
        }
        (Answer::Number(number), Scalar::Integer) => {
            (number.round(0) == number).then(|| number.truncated().map(Value::from))?
        }
        (Answer::Number(number), Scalar::Decimal) => Some(number.to_string().into()),
        (Answer::Number(number), Scalar::Currency) => {
            let named = formula.names().into_iter().find_map(|name| {
                found.values(name, true).into_iter().find_map(|answer| match answer {
                    Answer::Text(code) => Some(code),
                    _ => None,
                })
            });
            let currency = named.or_else(|| format.currency.clone());
            Some(json!({"amount": number.to_string(), "currency": currency}))
        }
        (answer, _) => values::read(&answer.to_string(), format).map(|read| read.value),
    }
}

/// Where a computed value comes from: the place of the first value that it follows from.
pub(super) fn evidence(
    field: &str,
    formula: &Formula,
    value: &Value,
    evidence: &[Evidence],
) -> Option<Evidence> {
    let names = formula.names();
    let is_source = |it: &&Evidence| {
        names.iter().any(|name| {
            let rest = it.field.strip_prefix(&name.field);
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(['[', '.']))
        })
    };
    let sources: Vec<&Evidence> = evidence.iter().filter(is_source).collect();
    let first = sources.first()?;
    let text = value.as_str().map_or_else(|| value.to_string(), ToOwned::to_owned);
    let confidence = sources.iter().map(|it| it.confidence).fold(1.0, f32::min);
    Some(Evidence {
        field: field.to_owned(),
        text,
        rule: RuleKind::Computed,
        confidence,
        ..(*first).clone()
    })
}

/// A value that is written in the definition stands nowhere in the document.
pub(super) fn constant(field: &str, value: &Value) -> Evidence {
    Evidence {
        field: field.to_owned(),
        page: 1,
        span: Span { start: 0, end: 0 },
        area: None,
        text: value.as_str().map_or_else(|| value.to_string(), ToOwned::to_owned),
        rule: RuleKind::Constant,
        confidence: 1.0,
    }
}

/// Why a check does not hold; nothing where it does, or where values are missing.
pub(super) fn failure(check: &Check, index: usize, found: &Found) -> Option<Miss> {
    if check.holds(found)? {
        return None;
    }
    let formula = check.formula.as_str();
    let sides = check.sides(found).map(|(left, right)| format!(" ({left} and {right})"));
    let sides = sides.unwrap_or_default();
    let reason = match &check.message {
        Some(message) => format!("{message}: `{formula}` does not hold{sides}"),
        None => format!("`{formula}` does not hold{sides}"),
    };
    Some(Miss { field: format!("checks[{index}]"), reason })
}
