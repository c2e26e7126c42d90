//! Parts of a document: sections between two texts, regions of a page.
//!
//! A part is a document of its own, with the same words in the same places and blanks elsewhere,
//! so that the rules need not know that they see a part only.

use keydock_core::fields::{Field, PageChoice, Wanted, Zone};

use super::search::{Fit, Label, Searchable, known_labels};
use crate::layout::{Document, Page, Word};

/// The pages of every part that the rules of some fields search.
pub(super) struct Parts<'d> {
    whole: &'d Document,
    parts: Vec<(Zone, Vec<Page>)>,
}

impl<'d> Parts<'d> {
    /// Cuts the parts out.
    pub(super) fn new(document: &'d Document, fields: &[Field]) -> Self {
        let zones: Vec<&Zone> = fields.iter().flat_map(zones).collect();
        let mut parts: Vec<(Zone, Vec<Page>)> = Vec::new();
        if zones.iter().all(|zone| zone.is_everything()) {
            return Self { whole: document, parts };
        }
        let search = Searchable::new(&document.pages, &[]);
        for zone in zones {
            let is_known = parts.iter().any(|(other, _)| other == zone);
            if !zone.is_everything() && !is_known {
                parts.push((zone.clone(), cut(&search, zone)));
            }
        }
        Self { whole: document, parts }
    }

    /// The parts, ready for finding labels.
    pub(super) fn searchable(&self, fields: &[Field]) -> Views<'_> {
        let labels = known_labels(fields);
        let parts = self.parts.iter();
        let parts = parts.map(|(zone, pages)| (zone, Searchable::new(pages, &labels)));
        Views { whole: Searchable::new(&self.whole.pages, &labels), parts: parts.collect() }
    }
}

/// The parts of a document, ready for finding labels.
pub(super) struct Views<'a> {
    /// All of it.
    pub(super) whole: Searchable<'a>,
    parts: Vec<(&'a Zone, Searchable<'a>)>,
}

impl<'a> Views<'a> {
    /// A part.
    pub(super) fn of(&self, zone: &Zone) -> &Searchable<'a> {
        let part = self.parts.iter().find(|(other, _)| *other == zone);
        part.map_or(&self.whole, |(_, part)| part)
    }
}

fn zones(field: &Field) -> Vec<&Zone> {
    match &field.wanted {
        Wanted::One(_, rules) => rules.iter().map(|rule| &rule.zone).collect(),
        Wanted::List(_, rules) => rules.iter().map(|rule| &rule.zone).collect(),
        Wanted::Table(rules) | Wanted::Object(rules) => {
            rules.iter().map(|rule| &rule.zone).collect()
        }
    }
}

/// A text at which a part begins or ends.
struct Anchor {
    /// The page, by its position among those that were read.
    page: usize,
    line: usize,
    label: Label,
}

/// What a part keeps of the pages; pages of which nothing is kept are left out.
fn cut(search: &Searchable, zone: &Zone) -> Vec<Page> {
    let start = match zone.after.as_slice() {
        [] => None,
        texts => match texts.iter().find_map(|text| first(search, text)) {
            Some(anchor) => Some(anchor),
            None => return Vec::new(),
        },
    };
    let end = end(search, zone, start.as_ref());
    let column = start.as_ref().filter(|_| zone.is_column).map(|it| column(search, it));
    let last = search.pages().len().saturating_sub(1);
    let pages = search.pages().iter().enumerate().filter(|(index, page)| match zone.page {
        None => true,
        Some(PageChoice::Number(number)) => page.page.number == number,
        Some(PageChoice::Last) => *index == last,
    });
    let pages = pages.map(|(index, page)| {
        page.page.clipped(|word, line| {
            start.as_ref().is_none_or(|it| (it.page, it.line) < (index, line))
                && end.as_ref().is_none_or(|it| (index, line) < (it.page, it.line))
                && column
                    .is_none_or(|(left, right)| word.area.left >= left && word.area.left < right)
                && is_inside(word, zone, page.page.size)
        })
    });
    pages.filter(|page| !page.words.is_empty()).collect()
}

fn is_inside(word: &Word, zone: &Zone, (width, height): (f32, f32)) -> bool {
    let x = word.area.center() / width.max(1.0);
    let y = f32::midpoint(word.area.top, word.area.bottom) / height.max(1.0);
    zone.left.is_none_or(|edge| x >= edge)
        && zone.right.is_none_or(|edge| x <= edge)
        && zone.top.is_none_or(|edge| y >= edge)
        && zone.bottom.is_none_or(|edge| y <= edge)
}

/// The best place of a text; the first among equals.
fn first(search: &Searchable, text: &str) -> Option<Anchor> {
    anchors(search, text).min_by_key(|anchor| (anchor.label.fit, anchor.page, anchor.line))
}

fn anchors<'s>(search: &'s Searchable, text: &'s str) -> impl Iterator<Item = Anchor> + 's {
    search.pages().iter().enumerate().flat_map(move |(index, page)| {
        let anchor = move |label: Label| {
            let line = page.page.cells.get(label.cell)?.line;
            Some(Anchor { page: index, line, label })
        };
        page.labels(text, 0).into_iter().filter_map(anchor)
    })
}

/// The first text after the start at which the part ends.
fn end(search: &Searchable, zone: &Zone, start: Option<&Anchor>) -> Option<Anchor> {
    let after =
        |anchor: &Anchor| start.is_none_or(|it| (it.page, it.line) < (anchor.page, anchor.line));
    let all = zone.before.iter().flat_map(|text| anchors(search, text));
    let all = all.filter(|anchor| anchor.label.fit != Fit::Amid && after(anchor));
    all.min_by_key(|anchor| (anchor.page, anchor.line))
}

/// From the left edge of the text to the next cell on its line.
fn column(search: &Searchable, anchor: &Anchor) -> (f32, f32) {
    let page = search.pages().get(anchor.page).map(|page| page.page);
    let cell = page.and_then(|page| page.cells.get(anchor.label.cell));
    let Some((page, cell)) = page.zip(cell) else { return (f32::MIN, f32::MAX) };
    let next = page.cells_of(anchor.line).find(|it| it.area.left > cell.area.right);
    let slack = cell.area.height();
    (anchor.label.area.left - slack, next.map_or(f32::MAX, |next| next.area.left - 1.0))
}
