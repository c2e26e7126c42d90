//! One thing, or a list of several.

use std::{borrow::Cow, fmt, marker::PhantomData};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{
        MapAccess, SeqAccess, Visitor,
        value::{MapAccessDeserializer, SeqAccessDeserializer, StrDeserializer},
    },
};

/// One text, or several of which the first is most wanted.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(
    untagged,
    expecting = "write a text (in quotes if it looks like a number), or a list of texts"
)]
#[schemars(rename = "Texts", title = "Texts")]
pub(in super::super) enum Texts {
    /// One text.
    One(String),
    /// Several texts, most wanted first.
    Many(Vec<String>),
}

impl Texts {
    /// The texts, most wanted first.
    pub(in super::super) fn as_slice(&self) -> &[String] {
        match self {
            Self::One(text) => std::slice::from_ref(text),
            Self::Many(texts) => texts,
        }
    }
}

/// One thing, or a list of several. It stays what it was written as.
#[derive(Debug, Clone, PartialEq)]
pub(in super::super) enum Many<T> {
    /// One.
    One(Box<T>),
    /// Several, the first most wanted.
    Several(Vec<T>),
}

impl<T> Many<T> {
    pub(in super::super) fn as_slice(&self) -> &[T] {
        match self {
            Self::One(one) => std::slice::from_ref(&**one),
            Self::Several(several) => several,
        }
    }

    pub(in super::super) fn is_empty(&self) -> bool {
        self.as_slice().is_empty()
    }

    /// Each with its path, given the path of the whole.
    pub(in super::super) fn with_paths(&self, path: &str) -> Vec<(&T, String)> {
        match self {
            Self::One(one) => vec![(one, path.to_owned())],
            Self::Several(several) => {
                several.iter().enumerate().map(|(at, it)| (it, format!("{path}[{at}]"))).collect()
            }
        }
    }
}

impl<T> Default for Many<T> {
    fn default() -> Self {
        Self::Several(Vec::new())
    }
}

impl<T: Serialize> Serialize for Many<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::One(one) => one.serialize(serializer),
            Self::Several(several) => several.serialize(serializer),
        }
    }
}

// Not an untagged enum: that would forget what is wrong, and where.
impl<'de, T: Deserialize<'de>> Deserialize<'de> for Many<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ManyVisitor(PhantomData))
    }
}

struct ManyVisitor<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for ManyVisitor<T> {
    type Value = Many<T>;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("one with its members, or a list of several")
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Many<T>, E> {
        T::deserialize(StrDeserializer::new(text)).map(|one| Many::One(Box::new(one)))
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Many<T>, A::Error> {
        T::deserialize(MapAccessDeserializer::new(map)).map(|one| Many::One(Box::new(one)))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<Many<T>, A::Error> {
        Vec::deserialize(SeqAccessDeserializer::new(seq)).map(Many::Several)
    }
}

impl<T: JsonSchema> JsonSchema for Many<T> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        format!("Many{}", T::schema_name()).into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let one = generator.subschema_for::<T>();
        json_schema!({"anyOf": [one, {"type": "array", "items": one}]})
    }
}
