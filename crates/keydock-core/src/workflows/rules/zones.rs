//! Where a rule searches, and when it is used.

use super::{
    super::{
        check::{Problems, check_texts, in_range},
        written::{WrittenCondition, WrittenPage, WrittenPageWord, WrittenZone},
    },
    rule::RuleCheck,
};
use crate::fields::{Condition, PageChoice, Zone};

const MAX_PAGE: u64 = 10_000;

impl RuleCheck<'_, '_> {
    /// The part of the document that the rule searches.
    pub(super) fn zone(&self, problems: &mut Problems) -> Zone {
        let page = self
            .rule
            .page
            .map(|page| PageChoice::Number(in_range(page, MAX_PAGE, &self.at("page"), problems)));
        let Some(within) = &self.rule.within else { return Zone { page, ..Zone::default() } };
        if page.is_some() && within.page.is_some() {
            problems.add(&self.at("page"), "remove `page`; it stands in `within` too");
        }
        let zone = zone(within, &self.at("within"), problems);
        Zone { page: zone.page.or(page), ..zone }
    }

    /// What the document must say.
    pub(super) fn when(&self, problems: &mut Problems) -> Condition {
        let when = self.rule.when.as_ref();
        when.map(|when| condition(when, &self.at("when"), problems)).unwrap_or_default()
    }
}

fn zone(within: &WrittenZone, path: &str, problems: &mut Problems) -> Zone {
    let at = |member: &str| format!("{path}.{member}");
    if *within == WrittenZone::default() {
        let advice =
            "write where to search: `after` and `before`, a `page`, or edges such as `left`";
        problems.add(path, advice);
    }
    if within.column && within.after.is_none() {
        problems.add(&at("column"), "remove `column` or add `after`; it goes only with it");
    }
    let mut texts = |texts: &Option<_>, member: &str| match texts {
        Some(texts) => check_texts(texts, &at(member), problems),
        None => Vec::new(),
    };
    let (after, before) = (texts(&within.after, "after"), texts(&within.before, "before"));
    let page = within.page.map(|page| match page {
        WrittenPage::Number(page) => {
            PageChoice::Number(in_range(page, MAX_PAGE, &at("page"), problems))
        }
        WrittenPage::Word(WrittenPageWord::Last) => PageChoice::Last,
    });
    let mut edge =
        |edge: Option<f64>, member: &str| edge.map(|edge| part(edge, &at(member), problems));
    let (left, right) = (edge(within.left, "left"), edge(within.right, "right"));
    let (top, bottom) = (edge(within.top, "top"), edge(within.bottom, "bottom"));
    for (from, to, member) in [(left, right, "right"), (top, bottom, "bottom")] {
        if from.zip(to).is_some_and(|(from, to)| from >= to) {
            let other = if member == "right" { "left" } else { "top" };
            problems.add(&at(member), format!("write a number greater than that of `{other}`"));
        }
    }
    Zone { page, after, before, is_column: within.column, left, right, top, bottom }
}

/// A percentage as a part of one.
pub(super) fn part(percent: f64, path: &str, problems: &mut Problems) -> f32 {
    if !(0.0..=100.0).contains(&percent) {
        problems.add(path, "write a number from 0 to 100, a percentage of the page");
    }
    #[expect(clippy::cast_possible_truncation, reason = "percentages need few digits")]
    let part = (percent / 100.0) as f32;
    part
}

/// What a document must say.
pub(in super::super) fn condition(
    when: &WrittenCondition,
    path: &str,
    problems: &mut Problems,
) -> Condition {
    if *when == WrittenCondition::default() {
        problems.add(path, "write `any`, `all` or `none` with the texts to look for");
    }
    let mut texts = |texts: &Option<_>, member: &str| match texts {
        Some(texts) => check_texts(texts, &format!("{path}.{member}"), problems),
        None => Vec::new(),
    };
    Condition {
        any: texts(&when.any, "any"),
        all: texts(&when.all, "all"),
        none: texts(&when.none, "none"),
    }
}
