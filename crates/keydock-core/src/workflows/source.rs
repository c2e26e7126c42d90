//! The text of a definition as a tree that remembers where everything stood.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Number, Value};
use serde_saphyr::Spanned;

use super::DefinitionError;

/// A line and a column of the text, both counted from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) line: u64,
    pub(super) column: u64,
}

/// A value together with its place.
#[derive(Debug)]
pub(super) struct Node {
    place: Place,
    content: Content,
}

#[derive(Debug)]
enum Content {
    Scalar(Value),
    List(Vec<Node>),
    /// Members with the place of their names.
    Map(Vec<(String, Place, Node)>),
}

/// Reads YAML, of which JSON is a part.
pub(super) fn parse(text: &str) -> Result<Node, DefinitionError> {
    let options = serde_saphyr::options! {
        strict_booleans: true,
        budget: serde_saphyr::budget! {
            max_events: 100_000,
            max_nodes: 50_000,
            max_aliases: 1_000,
            max_anchors: 1_000,
            max_depth: 48,
            flow_nesting_limit: 48,
            max_recorded_anchor_events: 50_000,
            max_recorded_anchor_bytes: 1 << 20,
        },
    };
    serde_saphyr::from_str_with_options(text, options).map_err(|error| unreadable(&error))
}

fn unreadable(error: &serde_saphyr::Error) -> DefinitionError {
    let error = error.without_snippet();
    let place = error.location().map(|it| Place { line: it.line(), column: it.column() });
    let text = error.to_string();
    let reason = text.lines().next().unwrap_or_default();
    // What follows is advice to the programmer, not to the author of the document.
    let end = [" at line ", ", set DuplicateKeyPolicy", "; use from_", " require weak "];
    let end = end.iter().filter_map(|mark| reason.find(mark)).min();
    let reason = reason.get(..end.unwrap_or(reason.len())).unwrap_or(reason);
    DefinitionError::new("", place, format!("write valid YAML or JSON: {reason}"))
}

impl Node {
    /// Where the value at a path such as `fields[2].rule.pattern` stands; the nearest
    /// ancestor when there is no such value.
    pub(super) fn place_of(&self, path: &str) -> Place {
        let mut node = self;
        let mut place = self.place;
        for step in path.split(['.', '[']).map(|step| step.trim_end_matches(']')) {
            let Some((next_place, next)) = node.child(step) else { break };
            (place, node) = (next_place, next);
        }
        place
    }

    fn child(&self, step: &str) -> Option<(Place, &Self)> {
        match &self.content {
            Content::Scalar(_) => None,
            Content::List(items) => {
                let item = items.get(step.parse::<usize>().ok()?)?;
                Some((item.place, item))
            }
            Content::Map(members) => {
                let (_, name, value) = members.iter().find(|(key, ..)| key == step)?;
                Some((if value.is_inline() { value.place } else { *name }, value))
            }
        }
    }

    /// Whether the value stands on the line of its name, where an error is best shown.
    fn is_inline(&self) -> bool {
        matches!(self.content, Content::Scalar(_))
    }

    /// The value without places.
    pub(super) fn to_value(&self) -> Value {
        match &self.content {
            Content::Scalar(value) => value.clone(),
            Content::List(items) => items.iter().map(Self::to_value).collect(),
            Content::Map(members) => {
                members.iter().map(|(key, _, value)| (key.clone(), value.to_value())).collect()
            }
        }
    }
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let spanned = Spanned::<Content>::deserialize(deserializer)?;
        Ok(Self { place: place(&spanned), content: spanned.value })
    }
}

fn place<T>(spanned: &Spanned<T>) -> Place {
    Place { line: spanned.referenced.line(), column: spanned.referenced.column() }
}

impl<'de> Deserialize<'de> for Content {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ContentVisitor)
    }
}

struct ContentVisitor;

impl<'de> Visitor<'de> for ContentVisitor {
    type Value = Content;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Content, E> {
        Ok(Content::Scalar(Value::Bool(value)))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Content, E> {
        Ok(Content::Scalar(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Content, E> {
        Ok(Content::Scalar(value.into()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Content, E> {
        Ok(Content::Scalar(Number::from_f64(value).map_or(Value::Null, Value::Number)))
    }

    fn visit_str<E>(self, value: &str) -> Result<Content, E> {
        Ok(Content::Scalar(value.into()))
    }

    fn visit_unit<E>(self) -> Result<Content, E> {
        Ok(Content::Scalar(Value::Null))
    }

    fn visit_none<E>(self) -> Result<Content, E> {
        Ok(Content::Scalar(Value::Null))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Content, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = seq.next_element()? {
            items.push(item);
        }
        Ok(Content::List(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Content, A::Error> {
        let mut members = Vec::new();
        while let Some((key, value)) = map.next_entry::<Spanned<String>, Node>()? {
            members.push((key.value.clone(), place(&key), value));
        }
        Ok(Content::Map(members))
    }
}
