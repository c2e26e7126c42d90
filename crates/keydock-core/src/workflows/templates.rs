//! Kinds of documents with rules of their own, and what must hold between values.

use std::collections::HashSet;

use super::{
    Reading,
    check::{Problems, check_currency, check_locale, is_misshapen, order_of},
    rules::{self, FieldCheck},
    written::{Many, Written, WrittenChoice, WrittenField, WrittenTemplate, WrittenType},
};
use crate::fields::{Check, Condition, Decimal, Field, Formula, Wanted};

const MAX_NAME_CHARACTERS: usize = 100;

/// Rules for documents of a certain kind.
#[derive(Debug, Clone)]
pub struct Template {
    /// What the kind is called.
    pub name: String,
    /// What a document of this kind says.
    pub when: Condition,
    /// Every field of the definition, with the rules of the template before its own.
    pub fields: Vec<Field>,
}

/// Which template is taken when several fit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Choice {
    /// The first.
    First,
    /// The one that finds most.
    Best,
}

impl From<WrittenChoice> for Choice {
    fn from(choice: WrittenChoice) -> Self {
        match choice {
            WrittenChoice::First => Self::First,
            WrittenChoice::Best => Self::Best,
        }
    }
}

/// The templates that make sense.
pub(super) fn templates(
    written: &Written,
    reading: &Reading,
    problems: &mut Problems,
) -> Vec<Template> {
    let mut names = HashSet::new();
    let mut templates = Vec::new();
    for (index, template) in written.templates.iter().enumerate() {
        let path = format!("templates[{index}]");
        let name = template.name.trim();
        if name.is_empty() || name.chars().count() > MAX_NAME_CHARACTERS {
            let advice = format!("write a name of 1 to {MAX_NAME_CHARACTERS} characters");
            problems.add(&format!("{path}.name"), advice);
        } else if !names.insert(name) {
            let advice = format!("`{name}` is taken; write a name that no other has");
            problems.add(&format!("{path}.name"), advice);
        }
        check_rule_keys(written, template, &path, problems);
        let reading = reading_of(template, reading, &path, problems);
        let when = template.when.as_ref();
        let when = when.map(|it| rules::condition(it, &format!("{path}.when"), problems));
        let fields = written.fields.iter().enumerate().filter(|(_, field)| !is_misshapen(field));
        let fields = fields.filter_map(|(at, field)| {
            let field_path = format!("fields[{at}]");
            let checker = FieldCheck { reading: &reading, field, path: &field_path };
            field_of(template, field, &checker, &path, problems)
        });
        let fields = fields.collect();
        let (name, when) = (name.to_owned(), when.unwrap_or_default());
        templates.push(Template { name, when, fields });
    }
    templates
}

fn check_rule_keys(
    written: &Written,
    template: &WrittenTemplate,
    path: &str,
    problems: &mut Problems,
) {
    for key in template.rules.keys() {
        if !written.fields.iter().any(|field| field.key == *key) {
            let advice = format!("there is no field `{key}`; write the key of one");
            problems.add(&format!("{path}.rules.{key}"), advice);
        }
    }
}

/// How documents of this kind are read.
fn reading_of(
    template: &WrittenTemplate,
    reading: &Reading,
    path: &str,
    problems: &mut Problems,
) -> Reading {
    let mut reading = reading.clone();
    let locale = template.locale.as_deref();
    if let Some(locale) =
        locale.and_then(|text| check_locale(text, &format!("{path}.locale"), problems))
    {
        reading.locale = locale;
        reading.is_auto = false;
        if !reading.has_date_order {
            reading.date_order = order_of(locale);
        }
    }
    if let Some(order) = template.date_order {
        reading.date_order = order;
        reading.has_date_order = true;
    }
    if template.currency.is_some() {
        check_currency(template.currency.as_deref(), &format!("{path}.currency"), problems);
        reading.currency.clone_from(&template.currency);
    }
    reading
}

fn field_of(
    template: &WrittenTemplate,
    field: &WrittenField,
    checker: &FieldCheck,
    path: &str,
    problems: &mut Problems,
) -> Option<Field> {
    let none = Many::default();
    let own = template.rules.get(&field.key).unwrap_or(&none);
    let rules = [
        (own, format!("{path}.rules.{}", field.key)),
        (&field.rule, format!("{}.rule", checker.path)),
    ];
    checker.with_rules(&rules, problems)
}

/// What must hold, and whether the formulas speak of fields that exist.
pub(super) fn checks(
    written: &Written,
    fields: &[Field],
    templates: &[Template],
    problems: &mut Problems,
) -> Vec<Check> {
    for (index, field) in written.fields.iter().enumerate() {
        let all = fields.iter().chain(templates.iter().flat_map(|it| &it.fields));
        let same: Vec<&Wanted> =
            all.filter(|it| it.key == field.key).map(|it| &it.wanted).collect();
        for formula in same.into_iter().flat_map(rules::formulas) {
            check_names(
                written,
                formula,
                Some(&field.key),
                &format!("fields[{index}].rule"),
                problems,
            );
        }
    }
    let mut checks = Vec::new();
    for (index, check) in written.checks.iter().enumerate() {
        let path = format!("checks[{index}].that");
        let Some(formula) = problems.note(&path, Formula::parse(&check.that)) else { continue };
        if !formula.is_comparison() {
            problems.add(&path, "write a comparison such as `net + vat = total`");
        }
        check_names(written, &formula, None, &path, problems);
        let tolerance: Result<Decimal, ()> = format!("{:.6}", check.tolerance).parse();
        let tolerance = tolerance.ok().filter(|it| *it >= Decimal::default());
        let advice = "write a number that is not negative, such as 0.01".to_owned();
        let tolerance =
            problems.note(&format!("checks[{index}].tolerance"), tolerance.ok_or(advice));
        checks.push(Check {
            formula,
            tolerance: tolerance.unwrap_or_default(),
            message: check.message.clone(),
            is_required: check.required,
        });
    }
    checks
}

fn check_names(
    written: &Written,
    formula: &Formula,
    own: Option<&str>,
    path: &str,
    problems: &mut Problems,
) {
    for name in formula.names() {
        let key = &name.field;
        let Some(field) = written.fields.iter().find(|field| field.key == *key) else {
            problems.add(path, format!("there is no field `{key}`; write the key of one"));
            continue;
        };
        if own == Some(key) {
            problems.add(path, format!("`{key}` cannot follow from itself; write another field"));
        }
        let is_table = field.kind == WrittenType::Table;
        let columns = || {
            let others = written.templates.iter().filter_map(|it| it.rules.get(key));
            let rules = std::iter::once(&field.rule).chain(others).flat_map(Many::as_slice);
            rules.filter_map(|rule| rule.table.as_ref()).flat_map(|table| &table.columns)
        };
        match &name.column {
            Some(column) if !columns().any(|it| it.key == *column) => {
                let advice = format!("`{key}` has no column `{column}`; write the key of one");
                problems.add(path, advice);
            }
            None if is_table => {
                let advice =
                    format!("`{key}` is a table; write one of its columns, such as `{key}.amount`");
                problems.add(path, advice);
            }
            Some(_) | None => {}
        }
    }
}
