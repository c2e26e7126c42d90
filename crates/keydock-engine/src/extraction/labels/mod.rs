//! Values beside and under labels.

use keydock_core::fields::{LabelRule, Look, Occurrence, ValueFormat};

use super::{
    Hit, Outcome,
    passages::Passage,
    quoted,
    search::{Fit, Label, Searchable, SearchablePage},
    shortened,
    values::{self, Read},
};
use crate::evidence::RuleKind;

mod lines;
mod places;

/// Where a value stands, seen from its label, in the order of preference.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Way {
    Right,
    Below,
    Above,
    Left,
    Row,
}

/// A label and a way to look from it.
struct Lead<'s, 'a> {
    page: &'s SearchablePage<'a>,
    label: Label,
    way: Way,
}

/// Follows the labels, the best leads first, until one leads to a value.
pub(super) fn find(search: &Searchable, rule: &LabelRule, format: &ValueFormat) -> Outcome {
    let mut refused: Option<String> = None;
    let mut has_label = false;
    for text in &rule.texts {
        for lead in leads(search, rule, text) {
            has_label = true;
            let passages = places::passages(&lead, rule, format);
            if let Some((passage, read)) = best(&passages, rule, format) {
                return found(&lead, passage, &read);
            }
            refused = refused.or_else(|| passages.first().map(|it| shortened(it.text())));
        }
    }
    Outcome::missing(reason(rule, format, has_label, refused))
}

/// The first passage with a value; a weak one only where there is nothing else.
fn best<'p, 'a>(
    passages: &'p [Passage<'a>],
    rule: &LabelRule,
    format: &ValueFormat,
) -> Option<(&'p Passage<'a>, Read)> {
    let mut weak = None;
    for passage in passages {
        match read(passage, rule, format) {
            Some(read) if read.is_weak => weak = weak.or(Some((passage, read))),
            Some(read) => return Some((passage, read)),
            None => {}
        }
    }
    weak
}

fn found(lead: &Lead, passage: &Passage, read: &Read) -> Outcome {
    let by_fit = match lead.label.fit {
        Fit::Whole => 0.98,
        Fit::Beginning => 0.85,
        Fit::Amid => 0.6,
    };
    let by_way = if matches!(lead.way, Way::Right | Way::Row) { 1.0 } else { 0.95 };
    let by_errors = match lead.label.errors {
        0 => 1.0,
        1 => 0.9,
        _ => 0.8,
    };
    let sureness = by_fit * by_way * by_errors;
    let hit = Hit::new(String::new(), passage, read, RuleKind::Label, sureness);
    Outcome { value: Some(read.value.clone()), hits: vec![hit], misses: Vec::new() }
}

fn reason(
    rule: &LabelRule,
    format: &ValueFormat,
    has_label: bool,
    refused: Option<String>,
) -> String {
    let expected = values::expectation(format);
    let labels = quoted(&rule.texts);
    let place = match rule.look {
        Look::RightOf => "to the right of",
        Look::Below => "below",
        Look::Nearby => "beside or below",
        Look::Above => "above",
        Look::LeftOf => "to the left of",
        Look::Row => "in the row of",
    };
    match refused {
        Some(text) => format!("found {text} {place} the label {labels}, expected {expected}"),
        None if has_label => format!("there is nothing {place} the label {labels}"),
        None => format!("looked for the label {labels}, which is not in the document"),
    }
}

fn leads<'s, 'a>(search: &'s Searchable<'a>, rule: &LabelRule, text: &str) -> Vec<Lead<'s, 'a>> {
    let ways: &[Way] = match rule.look {
        Look::RightOf => &[Way::Right],
        Look::Below => &[Way::Below],
        Look::Nearby => &[Way::Right, Way::Below],
        Look::Above => &[Way::Above],
        Look::LeftOf => &[Way::Left],
        Look::Row => &[Way::Row],
    };
    let mut leads: Vec<Lead> = Vec::new();
    for page in search.pages() {
        for label in page.labels(text, rule.errors) {
            let is_wild = |way| label.fit == Fit::Amid && way == Way::Below && ways.len() > 1;
            let ways = ways.iter().filter(|&&way| !is_wild(way));
            leads.extend(ways.map(|&way| Lead { page, label: label.clone(), way }));
        }
    }
    // Stable: what stands first comes first among equals.
    if rule.occurrence == Occurrence::Last {
        leads.reverse();
    }
    leads.sort_by_key(|lead| (lead.label.errors, lead.label.fit, lead.way));
    leads
}

/// What the value of a passage is, once the patterns of the rule have had their say.
fn read(passage: &Passage, rule: &LabelRule, format: &ValueFormat) -> Option<Read> {
    values::read_part(passage.text(), &rule.patterns, format)
}
