//! From one written field to a rule that fits its type.

use serde_json::Value;

use super::{
    Reading,
    check::{Problems, check_keys, check_locale, in_range, order_of},
    written::{
        Texts, WrittenColumn, WrittenField, WrittenLook, WrittenOccurrence, WrittenRead,
        WrittenTable, WrittenType,
    },
};
use crate::fields::{
    Column, DateFormat, Field, Finder, LabelRule, LinesRule, ListRule, Look, Occurrence, Pattern,
    PatternRule, Scalar, TableRule, ValueFormat, Wanted,
};

const MAX_TEXTS: usize = 50;
const MAX_TEXT_CHARACTERS: usize = 200;
const MAX_COLUMNS: usize = 50;
const MAX_LINES: u64 = 50;
const MAX_CHARACTERS: u64 = 10_000;
const DEFAULT_CHARACTERS: u64 = 500;

/// One field being checked.
pub(super) struct FieldCheck<'a> {
    pub(super) read: &'a WrittenRead,
    pub(super) reading: &'a Reading,
    pub(super) field: &'a WrittenField,
    pub(super) path: &'a str,
}

impl FieldCheck<'_> {
    fn at(&self, member: &str) -> String {
        format!("{}.{member}", self.path)
    }

    /// The field, unless its rule makes no sense.
    pub(super) fn field(&self, problems: &mut Problems) -> Option<Field> {
        self.check_default(problems);
        self.check_stray_members(problems);
        let wanted = match self.field.kind {
            WrittenType::Table => self.table(problems),
            WrittenType::List => self.list(problems),
            scalar => self.one(scalar_of(scalar)?, problems),
        };
        Some(Field {
            key: self.field.key.clone(),
            required: self.field.required,
            default: self.field.default.clone().unwrap_or_default(),
            wanted: wanted?,
        })
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
        let (field, rule) = (self.field, &self.field.rule);
        if field.items.is_some() && field.kind != WrittenType::List {
            problems.add(&self.at("items"), "remove `items`; it goes only with `type: list`");
        }
        let has_dates = field.kind == WrittenType::Date
            || field.kind == WrittenType::List && field.items == Some(WrittenType::Date);
        if !field.date_formats.is_empty() && !has_dates {
            problems
                .add(&self.at("date_formats"), "remove `date_formats`; it goes only with dates");
        }
        let with_label = [
            ("look", rule.look.is_some()),
            ("max_lines", rule.max_lines.is_some()),
            ("max_characters", rule.max_characters.is_some()),
        ];
        for (name, is_there) in with_label {
            if is_there && rule.label.is_none() {
                let advice = format!("remove `{name}` or add a `label`; it goes only with one");
                problems.add(&self.at(&format!("rule.{name}")), advice);
            }
        }
        if rule.occurrence.is_some() && (rule.table.is_some() || rule.lines.is_some()) {
            let advice = "remove `occurrence`; it goes only with `label` or `pattern`";
            problems.add(&self.at("rule.occurrence"), advice);
        }
    }

    fn one(&self, scalar: Scalar, problems: &mut Problems) -> Option<Wanted> {
        let rule = &self.field.rule;
        for (name, is_there, kind) in
            [("table", rule.table.is_some(), "table"), ("lines", rule.lines.is_some(), "list")]
        {
            if is_there {
                let advice = format!(
                    "write `type: {kind}` for this rule, or use a `label` or `pattern` instead"
                );
                problems.add(&self.at(&format!("rule.{name}")), advice);
                return None;
            }
        }
        let format = self.format(scalar, problems);
        let pattern = self.pattern(problems);
        let finder = match &rule.label {
            Some(label) => Finder::Label(self.label(label, pattern, problems)),
            None if rule.pattern.is_some() => Finder::Pattern(self.match_of(pattern?, problems)),
            None => {
                problems.add(&self.at("rule"), "write a `label` or a `pattern`");
                return None;
            }
        };
        Some(Wanted::One(format, finder))
    }

    fn label(&self, label: &Texts, pattern: Option<Pattern>, problems: &mut Problems) -> LabelRule {
        let rule = &self.field.rule;
        LabelRule {
            texts: check_texts(label, &self.at("rule.label"), problems),
            look: look_of(rule.look),
            max_lines: in_range(
                rule.max_lines.unwrap_or(1),
                MAX_LINES,
                &self.at("rule.max_lines"),
                problems,
            ),
            max_characters: in_range(
                rule.max_characters.unwrap_or(DEFAULT_CHARACTERS),
                MAX_CHARACTERS,
                &self.at("rule.max_characters"),
                problems,
            ),
            pattern,
            page: self.page(problems),
            occurrence: occurrence_of(rule.occurrence),
        }
    }

    fn match_of(&self, pattern: Pattern, problems: &mut Problems) -> PatternRule {
        let occurrence = occurrence_of(self.field.rule.occurrence);
        PatternRule { pattern, page: self.page(problems), occurrence }
    }

    fn pattern(&self, problems: &mut Problems) -> Option<Pattern> {
        let text = self.field.rule.pattern.as_deref()?;
        problems.note(&self.at("rule.pattern"), Pattern::parse(text))
    }

    fn page(&self, problems: &mut Problems) -> Option<usize> {
        let page = self.field.rule.page?;
        Some(in_range(page, 10_000, &self.at("rule.page"), problems))
    }

    fn list(&self, problems: &mut Problems) -> Option<Wanted> {
        let rule = &self.field.rule;
        let Some(scalar) = scalar_of(self.field.items.unwrap_or(WrittenType::Text)) else {
            problems.add(&self.at("items"), "write the type of a single value, such as `text`");
            return None;
        };
        let format = self.format(scalar, problems);
        let pattern = self.pattern(problems);
        for (name, is_there) in [("label", rule.label.is_some()), ("table", rule.table.is_some())] {
            if is_there {
                let advice = format!("write `lines` or a `pattern` instead of `{name}` for a list");
                problems.add(&self.at(&format!("rule.{name}")), advice);
                return None;
            }
        }
        let rule = match &rule.lines {
            Some(lines) => {
                let after = self.anchors(lines.after.as_ref(), "rule.lines.after", problems);
                let before = self.anchors(lines.before.as_ref(), "rule.lines.before", problems);
                ListRule::Lines(LinesRule { after, before, pattern, page: self.page(problems) })
            }
            None if rule.pattern.is_some() => ListRule::Pattern(self.match_of(pattern?, problems)),
            None => {
                problems.add(&self.at("rule"), "write `lines` or a `pattern`");
                return None;
            }
        };
        Some(Wanted::List(format, rule))
    }

    fn anchors(&self, texts: Option<&Texts>, at: &str, problems: &mut Problems) -> Vec<String> {
        texts.map(|texts| check_texts(texts, &self.at(at), problems)).unwrap_or_default()
    }

    fn table(&self, problems: &mut Problems) -> Option<Wanted> {
        let rule = &self.field.rule;
        for (name, is_there) in [
            ("label", rule.label.is_some()),
            ("pattern", rule.pattern.is_some()),
            ("lines", rule.lines.is_some()),
        ] {
            if is_there {
                let advice = format!("write `table` instead of `{name}` for a table");
                problems.add(&self.at(&format!("rule.{name}")), advice);
            }
        }
        let Some(table) = &rule.table else {
            problems.add(&self.at("rule"), "write `table` with the columns");
            return None;
        };
        self.check_columns(table, problems);
        let columns = table.columns.iter().take(MAX_COLUMNS).enumerate();
        let columns = columns.filter_map(|(index, column)| {
            let path = self.at(&format!("rule.table.columns[{index}]"));
            self.column(column, &path, problems)
        });
        let columns = columns.collect();
        Some(Wanted::Table(TableRule {
            columns,
            until: self.anchors(table.until.as_ref(), "rule.table.until", problems),
            row_starts_with: table.row_starts_with.clone(),
            page: self.page(problems),
        }))
    }

    fn check_columns(&self, table: &WrittenTable, problems: &mut Problems) {
        let path = self.at("rule.table.columns");
        match table.columns.len() {
            0 => problems.add(&path, "write at least one column"),
            1..=MAX_COLUMNS => {}
            _ => problems.add(&path, format!("write at most {MAX_COLUMNS} columns")),
        }
        let keys = || table.columns.iter().map(|column| column.key.as_str());
        check_keys(keys(), &path, problems);
        if let Some(key) = &table.row_starts_with
            && !keys().any(|it| it == key)
        {
            let path = self.at("rule.table.row_starts_with");
            problems.add(&path, format!("there is no column `{key}`; write the key of one"));
        }
    }

    fn column(
        &self,
        column: &WrittenColumn,
        path: &str,
        problems: &mut Problems,
    ) -> Option<Column> {
        let Some(scalar) = scalar_of(column.kind) else {
            problems.add(
                &format!("{path}.type"),
                "write the type of a single value, such as `text` or `number`",
            );
            return None;
        };
        if !column.date_formats.is_empty() && scalar != Scalar::Date {
            problems.add(
                &format!("{path}.date_formats"),
                "remove `date_formats`; it goes only with dates",
            );
        }
        let locale = column.locale.as_deref().or(self.field.locale.as_deref());
        let format = self.value_format(scalar, locale, &column.date_formats, path, problems);
        let headers = check_texts(&column.header, &format!("{path}.header"), problems);
        Some(Column { key: column.key.clone(), headers, required: column.required, format })
    }

    fn format(&self, scalar: Scalar, problems: &mut Problems) -> ValueFormat {
        let (locale, formats) = (self.field.locale.as_deref(), &self.field.date_formats);
        self.value_format(scalar, locale, formats, self.path, problems)
    }

    fn value_format(
        &self,
        scalar: Scalar,
        locale: Option<&str>,
        date_formats: &[String],
        path: &str,
        problems: &mut Problems,
    ) -> ValueFormat {
        let own = locale.and_then(|text| check_locale(text, &format!("{path}.locale"), problems));
        let date_order = match own {
            Some(locale) if self.read.date_order.is_none() => order_of(locale),
            _ => self.reading.date_order,
        };
        let formats = date_formats.iter().enumerate().filter_map(|(index, text)| {
            problems.note(&format!("{path}.date_formats[{index}]"), DateFormat::parse(text))
        });
        ValueFormat {
            scalar,
            locale: own.unwrap_or(self.reading.locale),
            date_order,
            date_formats: formats.collect(),
            currency: self.read.currency.clone(),
        }
    }
}

fn check_texts(texts: &Texts, path: &str, problems: &mut Problems) -> Vec<String> {
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

const fn scalar_of(kind: WrittenType) -> Option<Scalar> {
    match kind {
        WrittenType::Text => Some(Scalar::Text),
        WrittenType::Number => Some(Scalar::Number),
        WrittenType::Integer => Some(Scalar::Integer),
        WrittenType::Date => Some(Scalar::Date),
        WrittenType::Boolean => Some(Scalar::Boolean),
        WrittenType::Email => Some(Scalar::Email),
        WrittenType::Currency => Some(Scalar::Currency),
        WrittenType::List | WrittenType::Table => None,
    }
}

const fn look_of(look: Option<WrittenLook>) -> Look {
    match look {
        Some(WrittenLook::RightOf) => Look::RightOf,
        Some(WrittenLook::Below) => Look::Below,
        Some(WrittenLook::Nearby) | None => Look::Nearby,
    }
}

const fn occurrence_of(occurrence: Option<WrittenOccurrence>) -> Occurrence {
    match occurrence {
        Some(WrittenOccurrence::Last) => Occurrence::Last,
        Some(WrittenOccurrence::First) | None => Occurrence::First,
    }
}

fn fits(value: &Value, kind: WrittenType) -> bool {
    match kind {
        WrittenType::Text | WrittenType::Date | WrittenType::Email => value.is_string(),
        WrittenType::Number => value.is_number(),
        WrittenType::Integer => value.is_i64() || value.is_u64(),
        WrittenType::Boolean => value.is_boolean(),
        WrittenType::Currency => {
            value.get("amount").is_some_and(Value::is_string) && value.get("currency").is_some()
        }
        WrittenType::List | WrittenType::Table => value.is_array(),
    }
}

const fn shape_of(kind: WrittenType) -> &'static str {
    match kind {
        WrittenType::Text | WrittenType::Email => "a text",
        WrittenType::Date => "a date such as \"2026-03-31\", in quotes",
        WrittenType::Number => "a number",
        WrittenType::Integer => "a whole number",
        WrittenType::Boolean => "true or false",
        WrittenType::Currency => "an amount such as {amount: \"0.00\", currency: EUR}",
        WrittenType::List | WrittenType::Table => "a list",
    }
}
