//! One pass over the fields of a definition, with the rules of one template.

use std::borrow::Cow;

use keydock_core::{
    fields::{Field, Finder, Formula, ValueFormat, Wanted},
    workflows::Definition,
};
use serde_json::{Map, Value};

use super::{
    Hit, Outcome, Sought, computed,
    computed::Found,
    find, language,
    zones::{Parts, Views},
};
use crate::{
    evidence::{Area, Evidence, Miss, Span},
    layout::Document,
};

/// What the rules gave.
pub(super) struct Attempt {
    pub(super) output: Map<String, Value>,
    pub(super) evidence: Vec<Evidence>,
    pub(super) misses: Vec<Miss>,
    /// Required fields without a value.
    pub(super) missing: Vec<Miss>,
    /// Required checks that do not hold.
    pub(super) contradictions: Vec<Miss>,
    /// How much was found, and how surely.
    pub(super) score: f32,
}

/// A field that waits for others.
struct Waiting {
    field: usize,
    rule: usize,
}

impl Attempt {
    pub(super) fn new(document: &Document, definition: &Definition, fields: &[Field]) -> Self {
        let fields = localized(document, definition, fields);
        let parts = Parts::new(document, &fields);
        let views = parts.searchable(&fields);
        let mut attempt = Self {
            // The order of the definition stays, though some values come later.
            output: fields.iter().map(|field| (field.key.clone(), Value::Null)).collect(),
            evidence: Vec::new(),
            misses: Vec::new(),
            missing: Vec::new(),
            contradictions: Vec::new(),
            score: 0.0,
        };
        let mut waiting = Vec::new();
        for (index, field) in fields.iter().enumerate() {
            let rule = attempt.take(document, field, find(&views, field, 0));
            waiting.extend(rule.map(|rule| Waiting { field: index, rule }));
        }
        attempt.compute(document, &views, &fields, waiting);
        attempt.judge(definition, &fields);
        attempt
    }

    /// Takes in what was found; the position of the rule where that depends on other fields.
    fn take(&mut self, document: &Document, field: &Field, sought: Sought) -> Option<usize> {
        match sought {
            Sought::Formula(rule) => return Some(rule),
            Sought::Constant(value) => {
                self.evidence.push(computed::constant(&field.key, &value));
                self.output.insert(field.key.clone(), value);
            }
            Sought::Outcome(outcome) => self.take_outcome(document, field, outcome),
        }
        None
    }

    fn take_outcome(&mut self, document: &Document, field: &Field, outcome: Outcome) {
        let hits = outcome.hits.into_iter();
        self.evidence.extend(hits.map(|hit| evidence(document, &field.key, hit)));
        let path = |miss: &Miss| Miss {
            field: format!("{}{}", field.key, miss.field),
            reason: miss.reason.clone(),
        };
        if outcome.value.is_none() && field.required {
            self.missing.extend(outcome.misses.iter().map(path));
        }
        self.misses.extend(outcome.misses.iter().map(path));
        let value = outcome.value.unwrap_or_else(|| field.default.clone());
        self.output.insert(field.key.clone(), value);
    }

    /// Computes what follows from other fields. A field whose sources are missing may have more
    /// rules; it tries them when no other field can help it any more.
    fn compute(
        &mut self,
        document: &Document,
        views: &Views,
        fields: &[Field],
        mut waiting: Vec<Waiting>,
    ) {
        while !waiting.is_empty() {
            let before = waiting.len();
            waiting.retain(|it| !self.computes(fields, it));
            if waiting.len() < before {
                continue;
            }
            let Waiting { field, rule } = waiting.remove(0);
            let Some(field_of) = fields.get(field) else { continue };
            let mut sought = find(views, field_of, rule + 1);
            if let (Sought::Outcome(outcome), Some((formula, _))) =
                (&mut sought, formula(field_of, rule))
                && outcome.value.is_none()
            {
                let reason =
                    format!("`{}` cannot be computed, for values are missing", formula.as_str());
                *outcome = Outcome::missing(reason);
            }
            let next = self.take(document, field_of, sought);
            waiting.extend(next.map(|rule| Waiting { field, rule }));
        }
    }

    fn computes(&mut self, fields: &[Field], waiting: &Waiting) -> bool {
        let Some(field) = fields.get(waiting.field) else { return true };
        let Some((formula, format)) = formula(field, waiting.rule) else { return true };
        let Some(value) = computed::value(formula, format, &Found(&self.output)) else {
            return false;
        };
        self.evidence.extend(computed::evidence(&field.key, formula, &value, &self.evidence));
        self.output.insert(field.key.clone(), value);
        true
    }

    /// Runs the checks, and says how good all of it is.
    fn judge(&mut self, definition: &Definition, fields: &[Field]) {
        for (index, check) in definition.checks().iter().enumerate() {
            let Some(miss) = computed::failure(check, index, &Found(&self.output)) else {
                continue;
            };
            self.score -= 1.0;
            if check.is_required {
                self.contradictions.push(miss.clone());
            }
            self.misses.push(miss);
        }
        for field in fields {
            let of_field = self.evidence.iter().filter(|it| {
                let rest = it.field.strip_prefix(&field.key);
                rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(['[', '.']))
            });
            let sureness = of_field.map(|it| it.confidence).fold(0.0, f32::max);
            self.score += if field.required { 2.0 * sureness } else { sureness };
        }
    }
}

fn formula(field: &Field, rule: usize) -> Option<(&Formula, &ValueFormat)> {
    let Wanted::One(format, rules) = &field.wanted else { return None };
    match &rules.get(rule)?.find {
        Finder::Formula(formula) => Some((formula, format)),
        Finder::Label(_) | Finder::Pattern(_) | Finder::Constant(_) => None,
    }
}

/// The fields with the locale of the document, where it decides.
fn localized<'f>(
    document: &Document,
    definition: &Definition,
    fields: &'f [Field],
) -> Cow<'f, [Field]> {
    let reading = definition.reading();
    if !reading.is_auto {
        return fields.into();
    }
    let text = document.text();
    let locale = language::locale(&text);
    let order = language::date_order(&text, locale);
    let mut fields = fields.to_vec();
    let formats = fields.iter_mut().flat_map(|field| field.wanted.formats_mut());
    for format in formats.filter(|format| format.is_auto) {
        format.locale = locale;
        if !reading.has_date_order {
            format.date_order = order;
        }
    }
    fields.into()
}

fn evidence(document: &Document, field: &str, hit: Hit) -> Evidence {
    let mut before = 0;
    let mut span = Span { start: 0, end: 0 };
    for page in &document.pages {
        if page.number == hit.page {
            let on_page = page.span_of(&hit.place.bytes);
            span = Span { start: before + on_page.start, end: before + on_page.end };
            break;
        }
        before += page.text.chars().count() + 1;
    }
    Evidence {
        field: format!("{field}{}", hit.path),
        page: hit.page,
        span,
        area: hit.place.area.filter(|_| document.has_areas).map(Area::rounded),
        text: hit.text,
        rule: hit.rule,
        confidence: (hit.confidence * 100.0).round() / 100.0,
    }
}
