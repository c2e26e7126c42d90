//! One rule: exactly one way to find something, and what goes with it.

use super::{
    super::{
        check::{Problems, check_texts, in_range},
        written::{Texts, WrittenLook, WrittenOccurrence, WrittenRule},
    },
    FieldCheck,
};
use crate::fields::{
    Finder, Formula, LabelRule, LinesRule, ListRule, Look, Occurrence, Pattern, PatternRule,
    TableFinder,
};

const MAX_LINES: u64 = 50;
const MAX_CHARACTERS: u64 = 10_000;
const DEFAULT_CHARACTERS: u64 = 500;
const MAX_ERRORS: u64 = 8;
const MAX_DISTANCE: f64 = 1_000.0;

/// One rule of a field being checked.
pub(super) struct RuleCheck<'c, 'a> {
    pub(super) field: &'c FieldCheck<'a>,
    pub(super) rule: &'c WrittenRule,
    pub(super) path: String,
}

impl RuleCheck<'_, '_> {
    pub(super) fn at(&self, member: &str) -> String {
        format!("{}.{member}", self.path)
    }

    /// Members that only make sense with others.
    pub(super) fn check_stray_members(&self, problems: &mut Problems) {
        let rule = self.rule;
        let with_label = [
            ("look", rule.look.is_some()),
            ("max_lines", rule.max_lines.is_some()),
            ("max_characters", rule.max_characters.is_some()),
            ("errors", rule.errors.is_some()),
            ("distance", rule.distance.is_some()),
            ("skip", rule.skip.is_some()),
            ("stop", rule.stop.is_some()),
        ];
        for (name, is_there) in with_label {
            if is_there && rule.label.is_none() {
                let advice = format!("remove `{name}` or add a `label`; it goes only with one");
                problems.add(&self.at(name), advice);
            }
        }
        if rule.occurrence.is_some() && rule.label.is_none() && rule.pattern.is_none() {
            let advice = "remove `occurrence`; it goes only with `label` or `pattern`";
            problems.add(&self.at("occurrence"), advice);
        }
        let is_single = rule.label.is_some() || rule.pattern.is_some();
        let may_change = is_single && rule.lines.is_none();
        if !rule.transform.is_empty() && !may_change {
            let advice = "remove `transform`; in a rule it goes only with `label` or `pattern`";
            problems.add(&self.at("transform"), advice);
        }
        let is_followed = rule.compute.is_some() || rule.value.is_some();
        if is_followed && rule.within.is_some() {
            let advice = "remove `within`; nothing is searched for with `compute` or `value`";
            problems.add(&self.at("within"), advice);
        }
    }

    /// The ways to find something that are written, by their names.
    fn ways(&self) -> Vec<&'static str> {
        let rule = self.rule;
        let all = [
            ("label", rule.label.is_some()),
            // With a label or lines it says which part is the value.
            ("pattern", rule.pattern.is_some() && rule.label.is_none() && rule.lines.is_none()),
            ("table", rule.table.is_some()),
            ("lines", rule.lines.is_some()),
            ("compute", rule.compute.is_some()),
            ("value", rule.value.is_some()),
        ];
        all.into_iter().filter(|(_, is_there)| *is_there).map(|(name, _)| name).collect()
    }

    /// Complains about ways that do not go with the type, or with the way before them.
    fn only(&self, allowed: &[&str], instead: impl Fn(&str) -> String, problems: &mut Problems) {
        let mut first = None;
        for way in self.ways() {
            if !allowed.contains(&way) {
                problems.add(&self.at(way), instead(way));
            } else if let Some(first) = first {
                let advice = format!("remove `{way}` or `{first}`, or write a rule for each");
                problems.add(&self.at(way), advice);
            } else {
                first = Some(way);
            }
        }
    }

    pub(super) fn one(&self, problems: &mut Problems) -> Option<Finder> {
        let rule = self.rule;
        let instead = |way: &str| {
            let kind = if way == "lines" { "list" } else { way };
            format!("write `type: {kind}` for this rule, or use a `label` or `pattern` instead")
        };
        self.only(&["label", "pattern", "compute", "value"], instead, problems);
        if rule.table.is_some() || rule.lines.is_some() {
            return None;
        }
        let patterns = self.patterns(problems);
        if let Some(label) = &rule.label {
            return Some(Finder::Label(self.label(label, patterns?, problems)));
        }
        if rule.pattern.is_some() {
            let occurrence = occurrence_of(rule.occurrence);
            return Some(Finder::Pattern(PatternRule { patterns: patterns?, occurrence }));
        }
        if let Some(formula) = &rule.compute {
            let formula = problems.note(&self.at("compute"), Formula::parse(formula))?;
            return Some(Finder::Formula(formula));
        }
        if let Some(value) = &rule.value {
            if !super::fits(value, self.field.field.kind) {
                let shape = super::shape_of(self.field.field.kind);
                let advice = format!("write {shape}, as the type of the field demands");
                problems.add(&self.at("value"), advice);
            }
            return Some(Finder::Constant(value.clone()));
        }
        problems.add(&self.path, "write a `label` or a `pattern`");
        None
    }

    fn label(&self, label: &Texts, patterns: Vec<Pattern>, problems: &mut Problems) -> LabelRule {
        let rule = self.rule;
        let mut limit = |number: Option<u64>, default, max, member: &str| {
            in_range(number.unwrap_or(default), max, &self.at(member), problems)
        };
        // A row of a grid is as high as it is.
        let lines = if rule.look == Some(WrittenLook::Row) { 10 } else { 1 };
        let max_lines = limit(rule.max_lines, lines, MAX_LINES, "max_lines");
        let max_characters =
            limit(rule.max_characters, DEFAULT_CHARACTERS, MAX_CHARACTERS, "max_characters");
        let errors = rule.errors.unwrap_or(0);
        if errors > MAX_ERRORS {
            problems.add(&self.at("errors"), format!("write a number from 0 to {MAX_ERRORS}"));
        }
        LabelRule {
            texts: check_texts(label, &self.at("label"), problems),
            look: look_of(rule.look),
            max_lines,
            max_characters,
            patterns,
            occurrence: occurrence_of(rule.occurrence),
            errors: usize::try_from(errors.min(MAX_ERRORS)).unwrap_or_default(),
            distance: self.distance(problems),
            skip: self.line_pattern(rule.skip.as_deref(), "skip", problems),
            stop: self.line_pattern(rule.stop.as_deref(), "stop", problems),
        }
    }

    fn distance(&self, problems: &mut Problems) -> Option<f32> {
        let distance = self.rule.distance?;
        if !(0.0..=MAX_DISTANCE).contains(&distance) {
            problems
                .add(&self.at("distance"), "write a number from 0 to 1000, in heights of a line");
        }
        #[expect(clippy::cast_possible_truncation, reason = "nobody measures that closely")]
        let distance = distance.clamp(0.0, MAX_DISTANCE) as f32;
        Some(distance)
    }

    pub(super) fn line_pattern(
        &self,
        text: Option<&str>,
        member: &str,
        problems: &mut Problems,
    ) -> Option<Pattern> {
        problems.note(&self.at(member), Pattern::parse(text?))
    }

    /// The patterns; none where none are written, nothing where one is wrong.
    fn patterns(&self, problems: &mut Problems) -> Option<Vec<Pattern>> {
        let Some(texts) = &self.rule.pattern else { return Some(Vec::new()) };
        let path = self.at("pattern");
        if texts.as_slice().is_empty() {
            problems.add(&path, "write at least one pattern");
            return None;
        }
        let patterns: Vec<Option<Pattern>> = match texts {
            Texts::One(text) => vec![problems.note(&path, Pattern::parse(text))],
            Texts::Many(texts) => {
                let texts = texts.iter().enumerate();
                texts
                    .map(|(at, text)| problems.note(&format!("{path}[{at}]"), Pattern::parse(text)))
                    .collect()
            }
        };
        patterns.into_iter().collect()
    }

    pub(super) fn list(&self, problems: &mut Problems) -> Option<ListRule> {
        let rule = self.rule;
        let instead =
            |way: &str| format!("write `lines` or a `pattern` instead of `{way}` for a list");
        self.only(&["lines", "pattern"], instead, problems);
        let patterns = self.patterns(problems);
        if rule.label.is_some() || rule.table.is_some() {
            return None;
        }
        if let Some(lines) = &rule.lines {
            let after = self.anchors(lines.after.as_ref(), "lines.after", problems);
            let before = self.anchors(lines.before.as_ref(), "lines.before", problems);
            return Some(ListRule::Lines(LinesRule { after, before, patterns: patterns? }));
        }
        if rule.pattern.is_none() {
            problems.add(&self.path, "write `lines` or a `pattern`");
            return None;
        }
        let occurrence = occurrence_of(rule.occurrence);
        Some(ListRule::Pattern(PatternRule { patterns: patterns?, occurrence }))
    }

    pub(super) fn anchors(
        &self,
        texts: Option<&Texts>,
        at: &str,
        problems: &mut Problems,
    ) -> Vec<String> {
        texts.map(|texts| check_texts(texts, &self.at(at), problems)).unwrap_or_default()
    }

    pub(super) fn table(&self, problems: &mut Problems) -> Option<TableFinder> {
        let instead = |way: &str| format!("write `table` instead of `{way}` for a table");
        self.only(&["table"], instead, problems);
        let Some(table) = &self.rule.table else {
            problems.add(&self.path, "write `table` with the columns");
            return None;
        };
        self.table_finder(table, problems)
    }
}

const fn look_of(look: Option<WrittenLook>) -> Look {
    match look {
        Some(WrittenLook::RightOf) => Look::RightOf,
        Some(WrittenLook::Below) => Look::Below,
        Some(WrittenLook::Above) => Look::Above,
        Some(WrittenLook::LeftOf) => Look::LeftOf,
        Some(WrittenLook::Row) => Look::Row,
        Some(WrittenLook::Nearby) | None => Look::Nearby,
    }
}

const fn occurrence_of(occurrence: Option<WrittenOccurrence>) -> Occurrence {
    match occurrence {
        Some(WrittenOccurrence::Last) => Occurrence::Last,
        Some(WrittenOccurrence::First) | None => Occurrence::First,
    }
}
