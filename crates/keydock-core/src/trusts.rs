//! What has to be true of a token of somebody else before it is trusted.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// The most conditions of one trust.
pub const MOST: usize = 20;

/// A claim has to have a certain value.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Condition {
    /// The claim.
    claim: String,
    /// Its value; `*` stands for any characters.
    value: String,
}

/// Why conditions cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "each says it")]
pub enum InvalidConditions {
    #[error(
        "Send an object of claims and values, such as {{\"repository\": \"acme/app\", \"ref\": \
         \"refs/heads/*\"}}: 1 to 20 of them."
    )]
    Shape,
    #[error("A claim is named with 1 to 100 letters, digits, _, - and similar.")]
    Claim,
    #[error("A value is a text of 1 to 500 characters.")]
    Value,
    #[error(
        "At least one condition must name a value: with * alone, whoever gets a token from the \
         issuer would be trusted."
    )]
    TrustsEverybody,
}

impl Condition {
    /// Reads an object of claims and values.
    pub fn read_all(value: &Value) -> Result<Vec<Self>, InvalidConditions> {
        let members = value.as_object().filter(|members| (1..=MOST).contains(&members.len()));
        let members = members.ok_or(InvalidConditions::Shape)?;
        let read = |(claim, value): (&String, &Value)| {
            let plain = |c: char| c.is_ascii_graphic() && c != '"' && c != '\\';
            if claim.is_empty() || claim.len() > 100 || !claim.chars().all(plain) {
                return Err(InvalidConditions::Claim);
            }
            let value = value.as_str().ok_or(InvalidConditions::Value)?;
            if value.is_empty() || value.len() > 500 || value.chars().any(char::is_control) {
                return Err(InvalidConditions::Value);
            }
            Ok(Self { claim: claim.clone(), value: value.to_owned() })
        };
        let all: Vec<Self> = members.iter().map(read).collect::<Result<_, _>>()?;
        if all.iter().all(|condition| condition.value.chars().all(|c| c == '*')) {
            return Err(InvalidConditions::TrustsEverybody);
        }
        Ok(all)
    }

    /// The object of claims and values again.
    pub fn to_object(conditions: &[Self]) -> Map<String, Value> {
        let pair = |one: &Self| (one.claim.clone(), Value::from(one.value.as_str()));
        conditions.iter().map(pair).collect()
    }

    /// The claim that it is about.
    pub fn claim(&self) -> &str {
        &self.claim
    }

    /// Whether it is true of these claims. A claim that is not there has no value, not even `*`.
    pub fn holds(&self, claims: &Map<String, Value>) -> bool {
        let text = claims.get(&self.claim).and_then(text);
        text.is_some_and(|text| matches(self.value.as_bytes(), text.as_bytes()))
    }
}

/// The value of a claim as a text; lists and objects have none.
pub fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(value) => Some(value.to_string()),
        _ => None,
    }
}

/// Whether a text is as a pattern says, in which `*` stands for any characters. Exact otherwise, in
/// time that grows with the product of the lengths at most.
fn matches(pattern: &[u8], text: &[u8]) -> bool {
    let (mut p, mut t) = (0, 0);
    let mut retry: Option<(usize, usize)> = None;
    while t < text.len() {
        if pattern.get(p) == Some(&b'*') {
            retry = Some((p, t));
            p += 1;
        } else if pattern.get(p) == Some(&text[t]) {
            p += 1;
            t += 1;
        } else if let Some((star, from)) = retry {
            retry = Some((star, from + 1));
            p = star + 1;
            t = from + 1;
        } else {
            return false;
        }
    }
    pattern[p..].iter().all(|byte| *byte == b'*')
}

impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} = {}", self.claim, self.value)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_star_stands_for_any_characters_and_nothing_else_does() {
        for (pattern, text, is) in [
            ("refs/heads/main", "refs/heads/main", true),
            ("refs/heads/main", "refs/heads/main2", false),
            ("refs/heads/main", "xrefs/heads/main", false),
            ("refs/heads/*", "refs/heads/", true),
            ("refs/heads/*", "refs/heads/a/b", true),
            ("refs/heads/*", "refs/tags/v1", false),
            ("*/app", "acme/app", true),
            ("*/app", "acme/app/x", false),
            ("acme/*-prod", "acme/a-prod-b-prod", true),
            ("a*b*c", "a-b-b-c", true),
            ("a*b*c", "acb", false),
            ("a.c", "abc", false),
            ("a?c", "abc", false),
            ("ACME/app", "acme/app", false),
            ("*", "", true),
            ("", "x", false),
        ] {
            assert_eq!(matches(pattern.as_bytes(), text.as_bytes()), is, "{pattern} {text}");
        }
        let slow = "*a".repeat(200);
        assert!(!matches(slow.as_bytes(), "a".repeat(199).as_bytes()));
    }

    #[test]
    fn a_condition_needs_the_claim_itself() {
        let conditions =
            Condition::read_all(&json!({"ref": "*", "run_id": "7", "x": "y*"})).unwrap();
        let holds = |claims: Value| {
            let claims = claims.as_object().unwrap().clone();
            conditions.iter().filter(|condition| condition.holds(&claims)).count()
        };
        assert_eq!(holds(json!({"ref": "a", "run_id": 7, "x": "y"})), 3);
        assert_eq!(holds(json!({"run_id": "7", "x": ["y"]})), 1, "lists have no value");
        assert_eq!(holds(json!({})), 0);
    }

    #[test]
    fn nobody_trusts_everybody_by_mistake() {
        for (given, error) in [
            (json!({}), InvalidConditions::Shape),
            (json!([]), InvalidConditions::Shape),
            (json!({"sub": "*"}), InvalidConditions::TrustsEverybody),
            (json!({"sub": "**", "ref": "*"}), InvalidConditions::TrustsEverybody),
            (json!({"": "x"}), InvalidConditions::Claim),
            (json!({"a b": "x"}), InvalidConditions::Claim),
            (json!({"sub": ""}), InvalidConditions::Value),
            (json!({"sub": 7}), InvalidConditions::Value),
        ] {
            assert_eq!(Condition::read_all(&given).unwrap_err(), error, "{given}");
        }
    }
}
