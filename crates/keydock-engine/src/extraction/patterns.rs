//! Values that match a pattern.

use keydock_core::fields::{Occurrence, PatternRule, ValueFormat};
use serde_json::Value;

use super::{
    Hit, Outcome,
    passages::Place,
    search::{Searchable, SearchablePage},
    shortened,
    values::{self, Read},
};
use crate::evidence::{Area, RuleKind};

/// How sure a match is by itself.
const SURENESS: f32 = 0.9;
/// More matches than this are no list.
const MAX_MATCHES: usize = 10_000;

/// The first match that is a value, or the last.
pub(super) fn find(search: &Searchable, rule: &PatternRule, format: &ValueFormat) -> Outcome {
    let (mut found, refused) = matches(search, rule, format);
    let chosen = match rule.occurrence {
        Occurrence::First => (!found.is_empty()).then(|| found.swap_remove(0)),
        Occurrence::Last => found.pop(),
    };
    match chosen {
        Some((value, hit)) => Outcome { value: Some(value), hits: vec![hit], misses: Vec::new() },
        None => Outcome::missing(reason(rule, format, refused)),
    }
}

/// Every match that is a value.
pub(super) fn find_all(search: &Searchable, rule: &PatternRule, format: &ValueFormat) -> Outcome {
    let (found, refused) = matches(search, rule, format);
    if found.is_empty() {
        return Outcome::missing(reason(rule, format, refused));
    }
    let (items, mut hits): (Vec<Value>, Vec<Hit>) = found.into_iter().unzip();
    for (index, hit) in hits.iter_mut().enumerate() {
        hit.path = format!("[{index}]");
    }
    Outcome { value: Some(items.into()), hits, misses: Vec::new() }
}

/// The values, and the first text that matched but was none.
fn matches(
    search: &Searchable,
    rule: &PatternRule,
    format: &ValueFormat,
) -> (Vec<(Value, Hit)>, Option<String>) {
    let mut refused = None;
    for pattern in &rule.patterns {
        let mut found = Vec::new();
        for page in search.pages() {
            for range in pattern.values(&page.page.text).take(MAX_MATCHES) {
                let text = page.page.text.get(range.clone()).unwrap_or_default();
                match values::read(text, format) {
                    Some(read) => {
                        let hit = hit(page, range.start, text, &read, RuleKind::Pattern);
                        found.push((read.value, hit));
                    }
                    None => refused = refused.or_else(|| Some(shortened(text))),
                }
            }
        }
        if !found.is_empty() {
            return (found, refused);
        }
    }
    (Vec::new(), refused)
}

/// What was read in a text that stands somewhere in the text of a page.
pub(super) fn hit(
    page: &SearchablePage,
    start: usize,
    text: &str,
    read: &Read,
    rule: RuleKind,
) -> Hit {
    let bytes = start + read.range.start..start + read.range.end;
    let words = page.page.words_at(&bytes);
    let area = Area::around(page.page.words(words).iter().map(|word| word.area));
    Hit {
        path: String::new(),
        page: page.page.number,
        place: Place { bytes, area },
        text: text.get(read.range.clone()).unwrap_or_default().to_owned(),
        rule,
        confidence: SURENESS * read.confidence,
    }
}

fn reason(rule: &PatternRule, format: &ValueFormat, refused: Option<String>) -> String {
    let patterns: Vec<String> =
        rule.patterns.iter().map(|pattern| format!("`{}`", pattern.as_str())).collect();
    let patterns = patterns.join(" or ");
    match refused {
        Some(text) => {
            let expected = values::expectation(format);
            format!("the pattern {patterns} found {text}, expected {expected}")
        }
        None => format!("nothing in the document matches the pattern {patterns}"),
    }
}
