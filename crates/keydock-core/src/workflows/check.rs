//! From what is written to what is meant, collecting every mistake on the way.

use std::collections::HashSet;

use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::{
    DefinitionError, DefinitionErrors, MAX_FIELDS, Ocr, PageRanges, Reading,
    ocr::{MAX_LANGUAGES, is_language, languages_of},
    rules::FieldCheck,
    source::Node,
    written::{
        Many, Texts, Written, WrittenCheck, WrittenField, WrittenRead, WrittenRule,
        WrittenTemplate, WrittenType,
    },
};
use crate::fields::{DateOrder, Field, Locale};

const MAX_MISTAKES: usize = 100;
const MAX_ITEMS: usize = 100;
const MAX_TEXTS: usize = 50;
const MAX_TEXT_CHARACTERS: usize = 200;
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
        let message = message.into();
        // Templates look at a field again.
        let is_new = !self.found.iter().any(|it| it.path == path && it.message == message);
        if is_new && self.found.len() < MAX_MISTAKES {
            let place = self.source.place_of(path);
            self.found.push(DefinitionError::new(path, Some(place), message));
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
/// hide the next; so are templates and checks.
pub(super) fn shape(value: &Value, problems: &mut Problems) -> Written {
    let Some(members) = value.as_object() else {
        problems.add("", "write a document with the member `fields`");
        return Written::default();
    };
    let mut frame = members.clone();
    let fields = frame.insert("fields".to_owned(), json!([]));
    let (templates, checks) = (frame.remove("templates"), frame.remove("checks"));
    let mut written: Written = member(&Value::Object(frame), "", problems).unwrap_or_default();
    match fields {
        Some(Value::Array(fields)) => {
            written.fields = shape_fields(&fields, problems);
        }
        Some(_) => problems.add("fields", "write a list of fields"),
        None => problems.add("fields", "add the member `fields`, a list of what to extract"),
    }
    written.templates = shape_each(templates, "templates", problems, misshapen_template);
    written.checks = shape_each(checks, "checks", problems, |_| misshapen_check());
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

/// The items of a list that may be absent; those without a shape are replaced.
fn shape_each<T: DeserializeOwned>(
    list: Option<Value>,
    path: &str,
    problems: &mut Problems,
    instead: impl Fn(&Value) -> T,
) -> Vec<T> {
    match list {
        None => Vec::new(),
        Some(Value::Array(items)) => {
            if items.len() > MAX_ITEMS {
                problems.add(path, format!("write at most {MAX_ITEMS} {path}"));
            }
            let items = items.iter().take(MAX_ITEMS).enumerate();
            items
                .map(|(index, item)| {
                    let path = format!("{path}[{index}]");
                    member(item, &path, problems).unwrap_or_else(|| instead(item))
                })
                .collect()
        }
        Some(_) => {
            problems.add(path, format!("write a list of {path}"));
            Vec::new()
        }
    }
}

/// A stand-in for a check that has been complained about already.
fn misshapen_check() -> WrittenCheck {
    WrittenCheck { that: "0 = 0".to_owned(), tolerance: 0.0, message: None, required: false }
}

/// A stand-in for a template that has been complained about already, so that the places of those
/// behind it stay right.
fn misshapen_template(value: &Value) -> WrittenTemplate {
    let name = value.get("name").and_then(Value::as_str).unwrap_or("a name");
    WrittenTemplate { name: name.to_owned(), ..WrittenTemplate::default() }
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
        transform: Many::default(),
        checksum: None,
        rule: Many::One(Box::new(WrittenRule {
            pattern: Some(Texts::Many(vec![MISSHAPEN.to_owned()])),
            ..WrittenRule::default()
        })),
    }
}

/// A pattern that nobody writes, for it is none.
const MISSHAPEN: &str = "(misshapen";

pub(super) fn is_misshapen(field: &WrittenField) -> bool {
    let [rule] = field.rule.as_slice() else { return false };
    rule.pattern.as_ref().is_some_and(|it| it.as_slice() == [MISSHAPEN])
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
    check_currency(written.read.currency.as_deref(), "read.currency", problems);
    check_keys(written.fields.iter().map(|field| field.key.as_str()), "fields", problems);
    check_output_schema(written, problems);
    let mut fields = Vec::new();
    for (index, field) in written.fields.iter().enumerate().filter(|(_, it)| !is_misshapen(it)) {
        let path = format!("fields[{index}]");
        if field.rule.as_slice().is_empty() && written.templates.is_empty() {
            problems.add(&path, "add the member `rule`");
        }
        let checker = FieldCheck { reading: &reading, field, path: &path };
        fields.extend(checker.field(problems));
    }
    (reading, fields)
}

fn reading(read: &WrittenRead, problems: &mut Problems) -> Reading {
    let is_auto = read.locale == AUTO;
    let locale = if is_auto { None } else { check_locale(&read.locale, "read.locale", problems) };
    let locale = locale.unwrap_or_default();
    let pages = read.pages.as_deref().map(|text| {
        let pages = PageRanges::parse(text);
        pages.ok_or_else(|| "write pages such as `1`, `1-3`, `2-` or `1, 4-6`".to_owned())
    });
    let pages = pages.and_then(|pages| problems.note("read.pages", pages)).unwrap_or_default();
    let max_pages = in_range(read.max_pages, 10_000, "read.max_pages", problems);
    Reading {
        pages,
        max_pages,
        layout: read.layout,
        locale,
        is_auto,
        date_order: read.date_order.unwrap_or(order_of(locale)),
        has_date_order: read.date_order.is_some(),
        currency: read.currency.clone(),
        ocr: ocr(read, problems),
    }
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

/// The locale that is chosen for each document.
const AUTO: &str = "auto";

pub(super) fn order_of(locale: Locale) -> DateOrder {
    if locale.has_month_first() { DateOrder::MonthFirst } else { DateOrder::DayFirst }
}

pub(super) fn check_locale(text: &str, path: &str, problems: &mut Problems) -> Option<Locale> {
    let locale = Locale::parse(text);
    problems.note(path, locale.ok_or_else(|| format!("write one of {KNOWN_LOCALES}")))
}

pub(super) fn check_currency(currency: Option<&str>, path: &str, problems: &mut Problems) {
    let is_code = |text: &str| text.len() == 3 && text.bytes().all(|b| b.is_ascii_uppercase());
    if !currency.is_none_or(is_code) {
        problems.add(path, "write an ISO 4217 code of three capitals, such as `EUR`");
    }
}

/// Texts to look for in a document.
pub(super) fn check_texts(texts: &Texts, path: &str, problems: &mut Problems) -> Vec<String> {
    let texts = texts.as_slice();
    if texts.is_empty() || texts.len() > MAX_TEXTS {
        problems.add(path, format!("write 1 to {MAX_TEXTS} texts"));
    }
    for text in texts {
        if !text.contains(char::is_alphanumeric) && !text.contains(['#', '№', '%', '€', '$']) {
            problems.add(path, "write a text with at least one letter or digit");
        } else if text.chars().count() > MAX_TEXT_CHARACTERS {
            problems.add(path, format!("write at most {MAX_TEXT_CHARACTERS} characters"));
        }
    }
    texts.to_vec()
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
