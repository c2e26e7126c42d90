//! How found text becomes a value.

use super::{
    super::{
        check::{Problems, check_locale, order_of},
        written::{Many, WrittenColumn, WrittenStep, WrittenTransform},
    },
    FieldCheck,
    rule::RuleCheck,
};
use crate::fields::{Checksum, DateFormat, Pattern, Scalar, Transform, ValueFormat};

const MAX_STEPS: usize = 20;

/// What of a field or a column decides how its text is read.
struct Hints<'a> {
    locale: Option<&'a str>,
    date_formats: &'a [String],
    transform: &'a Many<WrittenTransform>,
    checksum: Option<Checksum>,
}

impl FieldCheck<'_> {
    pub(super) fn format(&self, scalar: Scalar, problems: &mut Problems) -> ValueFormat {
        let field = self.field;
        let hints = Hints {
            locale: field.locale.as_deref(),
            date_formats: &field.date_formats,
            transform: &field.transform,
            checksum: field.checksum,
        };
        self.value_format(scalar, &hints, self.path, problems)
    }

    pub(super) fn column_format(
        &self,
        scalar: Scalar,
        column: &WrittenColumn,
        path: &str,
        problems: &mut Problems,
    ) -> ValueFormat {
        let hints = Hints {
            locale: column.locale.as_deref().or(self.field.locale.as_deref()),
            date_formats: &column.date_formats,
            transform: &column.transform,
            checksum: column.checksum,
        };
        self.value_format(scalar, &hints, path, problems)
    }

    fn value_format(
        &self,
        scalar: Scalar,
        hints: &Hints,
        path: &str,
        problems: &mut Problems,
    ) -> ValueFormat {
        let reading = self.reading;
        let own =
            hints.locale.and_then(|text| check_locale(text, &format!("{path}.locale"), problems));
        let date_order = match own {
            Some(locale) if !reading.has_date_order => order_of(locale),
            _ => reading.date_order,
        };
        let formats = hints.date_formats.iter().enumerate().filter_map(|(index, text)| {
            problems.note(&format!("{path}.date_formats[{index}]"), DateFormat::parse(text))
        });
        let date_formats = formats.collect();
        ValueFormat {
            scalar,
            locale: own.unwrap_or(reading.locale),
            date_order,
            date_formats,
            currency: reading.currency.clone(),
            is_auto: reading.is_auto && own.is_none(),
            transforms: transforms(hints.transform, &format!("{path}.transform"), problems),
            checksum: hints.checksum,
        }
    }
}

impl RuleCheck<'_, '_> {
    /// What is done to the text that the rule finds.
    pub(super) fn transforms(&self, problems: &mut Problems) -> Vec<Transform> {
        transforms(&self.rule.transform, &self.at("transform"), problems)
    }
}

fn transforms(
    steps: &Many<WrittenTransform>,
    path: &str,
    problems: &mut Problems,
) -> Vec<Transform> {
    if steps.as_slice().len() > MAX_STEPS {
        problems.add(path, format!("write at most {MAX_STEPS} steps"));
    }
    let steps = steps.with_paths(path).into_iter().take(MAX_STEPS);
    steps.filter_map(|(step, path)| transform(step, &path, problems)).collect()
}

fn transform(step: &WrittenTransform, path: &str, problems: &mut Problems) -> Option<Transform> {
    Some(match step {
        WrittenTransform::Step(step) => match step {
            WrittenStep::Upper => Transform::Upper,
            WrittenStep::Lower => Transform::Lower,
            WrittenStep::Digits => Transform::Digits,
            WrittenStep::Alphanumeric => Transform::Alphanumeric,
            WrittenStep::NoSpaces => Transform::NoSpaces,
            WrittenStep::OneLine => Transform::OneLine,
            WrittenStep::FirstLine => Transform::FirstLine,
            WrittenStep::LastLine => Transform::LastLine,
            WrittenStep::DigitsFromLetters => Transform::DigitsFromLetters,
        },
        WrittenTransform::Replace { replace, with } => {
            let pattern = problems.note(&format!("{path}.replace"), Pattern::parse(replace))?;
            Transform::Replace { pattern, with: with.clone() }
        }
        WrittenTransform::Map { map } => {
            Transform::Map(map.iter().map(|(from, to)| (from.clone(), to.clone())).collect())
        }
    })
}
