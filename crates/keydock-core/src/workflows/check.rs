//! From what is written to what is meant, collecting every mistake on the way.

use std::collections::HashSet;

use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::{
    DefinitionError, DefinitionErrors, MAX_FIELDS, Ocr, PageRanges, Reading,
    ocr::{MAX_LANGUAGES, is_language, languages_of},
    rules::FieldCheck,
    source::Node,
    written::{Written, WrittenField, WrittenRead, WrittenRule, WrittenType},
};
use crate::fields::{DateOrder, Field, Locale};

const MAX_MISTAKES: usize = 100;
const KNOWN_LOCALES: &str = "en, de, fr, es, it, nl or pt, with a region if need be: `en-GB`";

/// The mistakes found so far.
pub(super) struct Problems<'a> {
    source: &'a Node,
    found: Vec<DefinitionError>,
}

impl<'a> Problems<'a> {
    pub(super) fn new(source: &'a Node) -> Self {
        Self { source, found: Vec::new() }
    }

    /// Notes a mistake at a path; `message` says what to write instead.
    pub(super) fn add(&mut self, path: &str, message: impl Into<String>) {
        if self.found.len() < MAX_MISTAKES {
            let place = self.source.place_of(path);
            self.found.push(DefinitionError::new(path, Some(place), message.into()));
        }
    }

    /// The value, or the mistake noted.
    pub(super) fn note<T>(&mut self, path: &str, result: Result<T, String>) -> Option<T> {
        result.map_err(|message| self.add(path, message)).ok()
    }

    pub(super) fn into_result(mut self) -> Result<(), DefinitionErrors> {
        self.found.sort_by_key(|error| (error.line, error.column));
        if self.found.is_empty() { Ok(()) } else { Err(DefinitionErrors(self.found)) }
    }
}

/// The document in its shape. Each field is read by itself, so that one misspelt member does not
/// hide the next.
pub(super) fn shape(value: &Value, problems: &mut Problems) -> Written {
    let Some(members) = value.as_object() else {
        problems.add("", "write a document with the member `fields`");
        return Written::default();
    };
    let mut frame = members.clone();
    let fields = frame.insert("fields".to_owned(), json!([]));
    let mut written: Written = member(&Value::Object(frame), "", problems).unwrap_or_default();
    match fields {
        Some(Value::Array(fields)) => {
            written.fields = shape_fields(&fields, problems);
        }
        Some(_) => problems.add("fields", "write a list of fields"),
        None => problems.add("fields", "add the member `fields`, a list of what to extract"),
    }
    written
}

fn shape_fields(fields: &[Value], problems: &mut Problems) -> Vec<WrittenField> {
    match fields.len() {
        0 => problems.add("fields", "write at least one field"),
        1..=MAX_FIELDS => {}
        _ => problems.add("fields", format!("write at most {MAX_FIELDS} fields")),
    }
    let shaped = fields.iter().take(MAX_FIELDS).enumerate().map(|(index, field)| {
        let path = format!("fields[{index}]");
        member(field, &path, problems).unwrap_or_else(|| misshapen(field))
    });
    shaped.collect()
}

/// A stand-in for a field that has been complained about already; its key still counts.
fn misshapen(value: &Value) -> WrittenField {
    let key = value.get("key").and_then(Value::as_str).unwrap_or_default();
    WrittenField {
        key: key.to_owned(),
        kind: WrittenType::Text,
        description: None,
        required: false,
        default: None,
        locale: None,
        date_formats: Vec::new(),
        items: None,
        rule: WrittenRule { pattern: Some(String::new()), ..WrittenRule::default() },
    }
}

fn is_misshapen(field: &WrittenField) -> bool {
    field.rule.pattern.as_deref() == Some("") && field.rule.label.is_none()
}

fn member<T: DeserializeOwned>(value: &Value, at: &str, problems: &mut Problems) -> Option<T> {
    serde_path_to_error::deserialize(value)
        .map_err(|error| {
            let path = error.path().to_string();
            problems.add(&join(at, &path), reworded(&error.inner().to_string()));
        })
        .ok()
}

fn join(at: &str, path: &str) -> String {
    match (at, path) {
        (_, ".") => at.to_owned(),
        ("", path) => path.to_owned(),
        (at, path) if path.starts_with('[') => format!("{at}{path}"),
        (at, path) => format!("{at}.{path}"),
    }
}

/// What serde says, as advice.
fn reworded(message: &str) -> String {
    let expected = |rest: &str| -> Option<(String, String)> {
        let (found, wanted) = rest.split_once(", expected ")?;
        Some((found.to_owned(), wanted.to_owned()))
    };
    let advice = |prefix: &str| message.strip_prefix(prefix).and_then(expected);
    if let Some((name, wanted)) = advice("unknown field ") {
        return format!("there is no member {name} here; write {wanted}");
    }
    if let Some((name, wanted)) = advice("unknown variant ") {
        return format!("write {wanted} instead of {name}");
    }
    if let Some((found, wanted)) = advice("invalid type: ").or_else(|| advice("invalid value: ")) {
        return format!("write {wanted} instead of {found}");
    }
    match message.strip_prefix("missing field ") {
        Some(name) => format!("add the member {name}"),
        None => message.to_owned(),
    }
}

/// What the document means. Where something is wrong the result is incomplete, and a mistake has
/// been noted.
pub(super) fn meaning(written: &Written, problems: &mut Problems) -> (Reading, Vec<Field>) {
    let reading = reading(&written.read, problems);
    check_currency(&written.read, problems);
    check_keys(written.fields.iter().map(|field| field.key.as_str()), "fields", problems);
    check_output_schema(written, problems);
    let mut fields = Vec::new();
    for (index, field) in written.fields.iter().enumerate().filter(|(_, it)| !is_misshapen(it)) {
        let path = format!("fields[{index}]");
        let checker = FieldCheck { read: &written.read, reading: &reading, field, path: &path };
        fields.extend(checker.field(problems));
    }
    (reading, fields)
}

fn reading(read: &WrittenRead, problems: &mut Problems) -> Reading {
    let locale = check_locale(&read.locale, "read.locale", problems).unwrap_or_default();
    let pages = read.pages.as_deref().map(|text| {
        let pages = PageRanges::parse(text);
        pages.ok_or_else(|| "write pages such as `1`, `1-3`, `2-` or `1, 4-6`".to_owned())
    });
    let pages = pages.and_then(|pages| problems.note("read.pages", pages)).unwrap_or_default();
    let max_pages = in_range(read.max_pages, 10_000, "read.max_pages", problems);
    let date_order = read.date_order.unwrap_or(order_of(locale));
    let ocr = ocr(read, problems);
    Reading { pages, max_pages, layout: read.layout, locale, date_order, ocr }
}

fn ocr(read: &WrittenRead, problems: &mut Problems) -> Ocr {
    let languages = &read.ocr.languages;
    if languages.len() > MAX_LANGUAGES {
        problems.add("read.ocr.languages", format!("write at most {MAX_LANGUAGES} languages"));
    }
    for (index, _) in languages.iter().enumerate().filter(|(_, name)| !is_language(name)) {
        let path = format!("read.ocr.languages[{index}]");
        problems.add(&path, "write a language such as `eng`, `deu`, `fra` or `chi_sim`");
    }
    let is_chosen = !languages.is_empty();
    let languages = if is_chosen { languages.clone() } else { languages_of(&read.locale) };
    Ocr { mode: read.ocr.mode, languages, is_chosen }
}

pub(super) fn order_of(locale: Locale) -> DateOrder {
    if locale.has_month_first() { DateOrder::MonthFirst } else { DateOrder::DayFirst }
}

pub(super) fn check_locale(text: &str, path: &str, problems: &mut Problems) -> Option<Locale> {
    let locale = Locale::parse(text);
    problems.note(path, locale.ok_or_else(|| format!("write one of {KNOWN_LOCALES}")))
}

fn check_currency(read: &WrittenRead, problems: &mut Problems) {
    let is_code = |text: &str| text.len() == 3 && text.bytes().all(|b| b.is_ascii_uppercase());
    if !read.currency.as_deref().is_none_or(is_code) {
        problems.add("read.currency", "write an ISO 4217 code of three capitals, such as `EUR`");
    }
}

pub(super) fn check_keys<'k>(
    keys: impl Iterator<Item = &'k str>,
    path: &str,
    problems: &mut Problems,
) {
    let mut seen = HashSet::new();
    for (index, key) in keys.enumerate() {
        let path = format!("{path}[{index}].key");
        if !is_key(key) {
            problems.add(&path, "write a key of at most 64 letters, digits and underscores that begins with a letter, such as `invoice_number`");
        } else if !seen.insert(key) {
            problems.add(&path, format!("`{key}` is taken; write a key that no other has"));
        }
    }
}

fn is_key(key: &str) -> bool {
    key.len() <= 64
        && key.starts_with(|c: char| c.is_ascii_alphabetic())
        && key.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

/// A written schema may describe the fields in more detail, but not fields that do not exist.
fn check_output_schema(written: &Written, problems: &mut Problems) {
    let Some(schema) = &written.output_schema else { return };
    if schema.get("type").and_then(Value::as_str) != Some("object") {
        problems.add("output_schema.type", "write `type: object`; an answer is always an object");
    }
    let properties = schema.get("properties").and_then(Value::as_object);
    for name in properties.into_iter().flat_map(|it| it.keys()) {
        if !written.fields.iter().any(|field| field.key == *name) {
            let path = format!("output_schema.properties.{name}");
            problems.add(&path, format!("there is no field `{name}`; add it or remove this"));
        }
    }
}

/// The numbers 1 to `max`; noted and made fit otherwise.
pub(super) fn in_range(number: u64, max: u64, path: &str, problems: &mut Problems) -> usize {
    if !(1..=max).contains(&number) {
        problems.add(path, format!("write a number from 1 to {max}"));
    }
    usize::try_from(number.clamp(1, max)).unwrap_or(usize::MAX)
}
