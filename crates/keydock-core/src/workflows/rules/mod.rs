//! From one written field to rules that fit its type.

use serde_json::Value;

use self::rule::RuleCheck;
use super::{
    Reading,
    check::Problems,
    written::{Many, WrittenField, WrittenRule, WrittenType},
};
use crate::fields::{Field, Finder, Formula, Rule, Scalar, Wanted};

mod formats;
mod rule;
mod tables;
mod zones;

pub(super) use self::zones::condition;

const MAX_RULES: usize = 50;

/// One field being checked.
pub(super) struct FieldCheck<'a> {
    pub(super) reading: &'a Reading,
    pub(super) field: &'a WrittenField,
    pub(super) path: &'a str,
}

impl FieldCheck<'_> {
    fn at(&self, member: &str) -> String {
        format!("{}.{member}", self.path)
    }

    /// The field with the rules that are written in it.
    pub(super) fn field(&self, problems: &mut Problems) -> Option<Field> {
        self.check_default(problems);
        self.check_stray_members(problems);
        self.with_rules(&[(&self.field.rule, self.at("rule"))], problems)
    }

    /// The field with rules, those of the first place before those of the next.
    pub(super) fn with_rules(
        &self,
        rules: &[(&Many<WrittenRule>, String)],
        problems: &mut Problems,
    ) -> Option<Field> {
        Some(Field {
            key: self.field.key.clone(),
            required: self.field.required,
            default: self.field.default.clone().unwrap_or_default(),
            wanted: self.wanted(rules, problems)?,
        })
    }

    fn wanted(
        &self,
        rules: &[(&Many<WrittenRule>, String)],
        problems: &mut Problems,
    ) -> Option<Wanted> {
        let mut checks = Vec::new();
        for (rules, path) in rules {
            if rules.as_slice().len() > MAX_RULES {
                problems.add(path, format!("write at most {MAX_RULES} rules"));
            }
            let some = rules.with_paths(path).into_iter().take(MAX_RULES);
            checks.extend(some.map(|(rule, path)| RuleCheck { field: self, rule, path }));
        }
        for check in &checks {
            check.check_stray_members(problems);
        }
        match self.field.kind {
            WrittenType::Table => Some(Wanted::Table(all(&checks, problems, RuleCheck::table)?)),
            WrittenType::Object => Some(Wanted::Object(all(&checks, problems, RuleCheck::table)?)),
            WrittenType::List => {
                let Some(scalar) = scalar_of(self.field.items.unwrap_or(WrittenType::Text)) else {
                    let advice = "write the type of a single value, such as `text`";
                    problems.add(&self.at("items"), advice);
                    return None;
                };
                let format = self.format(scalar, problems);
                Some(Wanted::List(format, all(&checks, problems, RuleCheck::list)?))
            }
            scalar => {
                let format = self.format(scalar_of(scalar)?, problems);
                Some(Wanted::One(format, all(&checks, problems, RuleCheck::one)?))
            }
        }
    }

    fn check_default(&self, problems: &mut Problems) {
        let Some(default) = &self.field.default else { return };
        if self.field.required {
            problems.add(
                &self.at("default"),
                "remove `default` or `required`; a required field has no default",
            );
        } else if !default.is_null() && !fits(default, self.field.kind) {
            problems.add(
                &self.at("default"),
                format!("write {}, as the type of the field demands", shape_of(self.field.kind)),
            );
        }
    }

    /// Members that only make sense with others.
    fn check_stray_members(&self, problems: &mut Problems) {
        let field = self.field;
        if field.items.is_some() && field.kind != WrittenType::List {
            problems.add(&self.at("items"), "remove `items`; it goes only with `type: list`");
        }
        let has_dates = field.kind == WrittenType::Date
            || field.kind == WrittenType::List && field.items == Some(WrittenType::Date);
        if !field.date_formats.is_empty() && !has_dates {
            problems
                .add(&self.at("date_formats"), "remove `date_formats`; it goes only with dates");
        }
        let is_rows = matches!(field.kind, WrittenType::Table | WrittenType::Object);
        let for_columns =
            [("transform", !field.transform.is_empty()), ("checksum", field.checksum.is_some())];
        for (name, is_there) in for_columns {
            if is_there && is_rows {
                let advice = format!("write `{name}` in a column; a table has none of its own");
                problems.add(&self.at(name), advice);
            }
        }
    }
}

/// Every rule, unless one of them makes no sense.
fn all<'c, 'a, F>(
    checks: &[RuleCheck<'c, 'a>],
    problems: &mut Problems,
    read: impl Fn(&RuleCheck<'c, 'a>, &mut Problems) -> Option<F>,
) -> Option<Vec<Rule<F>>> {
    let mut rules = Vec::new();
    let mut is_whole = true;
    for check in checks {
        match read(check, problems) {
            Some(find) => rules.push(Rule {
                find,
                zone: check.zone(problems),
                when: check.when(problems),
                transforms: check.transforms(problems),
            }),
            None => is_whole = false,
        }
    }
    is_whole.then_some(rules)
}

/// Every formula of a field.
pub(super) fn formulas(wanted: &Wanted) -> Vec<&Formula> {
    let Wanted::One(_, rules) = wanted else { return Vec::new() };
    let formulas = rules.iter().filter_map(|rule| match &rule.find {
        Finder::Formula(formula) => Some(formula),
        Finder::Label(_) | Finder::Pattern(_) | Finder::Constant(_) => None,
    });
    formulas.collect()
}

pub(super) const fn scalar_of(kind: WrittenType) -> Option<Scalar> {
    match kind {
        WrittenType::Text => Some(Scalar::Text),
        WrittenType::Number => Some(Scalar::Number),
        WrittenType::Decimal => Some(Scalar::Decimal),
        WrittenType::Percent => Some(Scalar::Percent),
        WrittenType::Integer => Some(Scalar::Integer),
        WrittenType::Date => Some(Scalar::Date),
        WrittenType::Boolean => Some(Scalar::Boolean),
        WrittenType::Email => Some(Scalar::Email),
        WrittenType::Currency => Some(Scalar::Currency),
        WrittenType::List | WrittenType::Table | WrittenType::Object => None,
    }
}

fn fits(value: &Value, kind: WrittenType) -> bool {
    match kind {
        WrittenType::Text | WrittenType::Date | WrittenType::Email => value.is_string(),
        WrittenType::Decimal => {
            value.as_str().is_some_and(|text| text.parse::<crate::fields::Decimal>().is_ok())
        }
        WrittenType::Number | WrittenType::Percent => value.is_number(),
        WrittenType::Integer => value.is_i64() || value.is_u64(),
        WrittenType::Boolean => value.is_boolean(),
        WrittenType::Currency => {
            value.get("amount").is_some_and(Value::is_string) && value.get("currency").is_some()
        }
        WrittenType::List | WrittenType::Table => value.is_array(),
        WrittenType::Object => value.is_object(),
    }
}

const fn shape_of(kind: WrittenType) -> &'static str {
    match kind {
        WrittenType::Text | WrittenType::Email => "a text",
        WrittenType::Decimal => "a number in quotes, such as \"0.00\"",
        WrittenType::Date => "a date such as \"2026-03-31\", in quotes",
        WrittenType::Number | WrittenType::Percent => "a number",
        WrittenType::Integer => "a whole number",
        WrittenType::Boolean => "true or false",
        WrittenType::Currency => "an amount such as {amount: \"0.00\", currency: EUR}",
        WrittenType::List | WrittenType::Table => "a list",
        WrittenType::Object => "a map with the values",
    }
}
