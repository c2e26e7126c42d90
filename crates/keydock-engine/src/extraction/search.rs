//! Finding labels on pages.
//!
//! Case, spacing and punctuation do not matter: “Invoice no.”, “INVOICE NO:” and
//! “I N V O I C E  N O” are one label. A label never spans two cells.

use std::collections::HashSet;

use keydock_core::fields::{Field, Finder, Wanted};

use super::fuzzy;
use crate::{evidence::Area, layout::Page};

/// Pages made ready for finding labels.
pub(super) struct Searchable<'a> {
    pages: Vec<SearchablePage<'a>>,
}

/// A page made ready for finding labels.
pub(super) struct SearchablePage<'a> {
    pub(super) page: &'a Page,
    cells: Vec<Vec<Letter>>,
    /// Cells that are nothing but a label the definition knows; they are no values.
    known: HashSet<usize>,
}

/// A character that matters, in lower case. There are as many as in the document: they are small.
struct Letter {
    folded: char,
    word: u32,
    /// Where the character ends in its word, in bytes.
    end: u32,
    /// Whether a label may begin here, and end here.
    is_start: bool,
    is_end: bool,
}

/// A label on a page.
#[derive(Debug, Clone)]
pub(super) struct Label {
    /// The cell it stands in.
    pub(super) cell: usize,
    /// Its words, and how many bytes of the last one belong to it.
    pub(super) words: std::ops::Range<usize>,
    pub(super) end: usize,
    pub(super) area: Area,
    pub(super) fit: Fit,
    /// How many of its letters are wrong, missing or too many.
    pub(super) errors: usize,
}

/// How well a label fits what stands on the page, best first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Fit {
    /// It is all of its cell, or a colon follows.
    Whole,
    /// Its cell begins with it.
    Beginning,
    /// It stands amid other words.
    Amid,
}

impl<'a> Searchable<'a> {
    pub(super) fn new(pages: impl IntoIterator<Item = &'a Page>, labels: &[Vec<char>]) -> Self {
        let pages = pages.into_iter().map(|page| SearchablePage::new(page, labels));
        Self { pages: pages.collect() }
    }

    /// The pages, in their order.
    pub(super) fn pages(&self) -> &[SearchablePage<'a>] {
        &self.pages
    }

    /// Whether a text stands somewhere.
    pub(super) fn says(&self, text: &str) -> bool {
        self.pages.iter().any(|page| !page.labels(text, 0).is_empty())
    }
}

/// Every text that the definition calls a label.
pub(super) fn known_labels(fields: &[Field]) -> Vec<Vec<char>> {
    let mut labels: Vec<Vec<char>> = fields
        .iter()
        .flat_map(|field| -> Vec<&String> {
            match &field.wanted {
                Wanted::One(_, rules) => {
                    let labels = rules.iter().filter_map(|rule| match &rule.find {
                        Finder::Label(label) => Some(&label.texts),
                        _ => None,
                    });
                    labels.flatten().collect()
                }
                Wanted::Table(rules) | Wanted::Object(rules) => {
                    let columns = rules.iter().flat_map(|rule| rule.find.columns());
                    columns.flat_map(|column| &column.headers).collect()
                }
                Wanted::List(..) => Vec::new(),
            }
        })
        .map(|label| fold(label))
        .collect();
    labels.sort_unstable();
    labels.dedup();
    labels
}

/// Whether a character tells labels apart.
fn matters(character: char) -> bool {
    character.is_alphanumeric() || "#%€$£№&".contains(character)
}

fn lower(character: char) -> char {
    character.to_lowercase().next().unwrap_or(character)
}

fn fold(text: &str) -> Vec<char> {
    text.chars().filter(|c| matters(*c)).map(lower).collect()
}

impl<'a> SearchablePage<'a> {
    fn new(page: &'a Page, labels: &[Vec<char>]) -> Self {
        let cells: Vec<Vec<Letter>> =
            page.cells.iter().map(|cell| letters(page, cell.words.clone())).collect();
        let is_known = |cell: &[Letter]| {
            let folded: Vec<char> = cell.iter().map(|it| it.folded).collect();
            labels.binary_search(&folded).is_ok()
        };
        let known = cells.iter().enumerate().filter(|(_, cell)| is_known(cell));
        let known = known.map(|(index, _)| index).collect();
        Self { page, cells, known }
    }

    /// Whether a cell is a label rather than a value: the definition knows it, or a colon follows.
    pub(super) fn is_label(&self, cell: usize) -> bool {
        let Some(here) = self.page.cells.get(cell) else { return false };
        let last = self.page.words(here.words.clone()).last();
        let ends_with_colon = last.is_some_and(|it| it.text.ends_with(':') && it.text.len() > 1);
        let next = self.page.cells.get(cell + 1).filter(|next| next.line == here.line);
        let next = next.and_then(|next| self.page.words.get(next.words.start));
        ends_with_colon
            || next.is_some_and(|word| word.text.starts_with(':'))
            || self.known.contains(&cell)
    }

    /// Every place where a label stands, from top to bottom; a few of its letters may be wrong.
    pub(super) fn labels(&self, text: &str, errors: usize) -> Vec<Label> {
        let wanted = fold(text);
        let Some(first) = wanted.first().copied() else { return Vec::new() };
        let errors = errors.min(wanted.len() / 4);
        let mut found = Vec::new();
        for (cell, letters) in self.cells.iter().enumerate() {
            for (start, letter) in letters.iter().enumerate() {
                if !letter.is_start || errors == 0 && letter.folded != first {
                    continue;
                }
                let rest = letters.get(start..).unwrap_or_default();
                if let Some((length, errors)) = stretch(rest, &wanted, errors) {
                    found.extend(self.label(cell, letters, start..start + length, errors));
                    if found.len() >= MAX_LABELS {
                        return found;
                    }
                }
            }
        }
        found
    }

    fn label(
        &self,
        cell: usize,
        letters: &[Letter],
        part: std::ops::Range<usize>,
        errors: usize,
    ) -> Option<Label> {
        let (first, last) = (letters.get(part.start)?, letters.get(part.end.checked_sub(1)?)?);
        let words = index(first.word)..index(last.word) + 1;
        let fit = if part.start > 0 {
            Fit::Amid
        } else if part.end == letters.len() || self.is_closed(cell, last) {
            Fit::Whole
        } else {
            Fit::Beginning
        };
        let area = self.page.area_of(words.clone())?;
        Some(Label { cell, words, end: index(last.end), area, fit, errors })
    }

    /// Whether a colon follows a label, or nothing but something in parentheses.
    fn is_closed(&self, cell: usize, last: &Letter) -> bool {
        let Some(cell) = self.page.cells.get(cell) else { return false };
        let word = self.page.words.get(index(last.word));
        let rest = word.and_then(|word| word.text.get(index(last.end)..)).unwrap_or_default();
        // What decides is near; a line may be endless.
        let near = cell.words.end.min(index(last.word) + 8);
        let more = self.page.text_of(index(last.word) + 1..near);
        let rest = format!("{rest} {more}");
        let rest = rest.trim();
        let is_bracket =
            |open, close| rest.starts_with(open) && rest.find(close) == Some(rest.len() - 1);
        rest.trim_start_matches(['.', '*']).trim_start().starts_with([':', '='])
            || is_bracket('(', ')')
            || is_bracket('[', ']')
    }
}

/// How many letters from the start on are the wanted text, and how many of them are wrong.
fn stretch(letters: &[Letter], wanted: &[char], errors: usize) -> Option<(usize, usize)> {
    if errors == 0 {
        let part = letters.get(..wanted.len())?;
        let is_same = part.iter().map(|it| it.folded).eq(wanted.iter().copied());
        return (is_same && part.last()?.is_end).then_some((wanted.len(), 0));
    }
    let near = letters.get(..letters.len().min(wanted.len() + errors))?;
    let folded: Vec<char> = near.iter().map(|it| it.folded).collect();
    let ends = |length: usize| near.get(length - 1).is_some_and(|letter| letter.is_end);
    fuzzy::best_prefix(&folded, wanted, errors, ends)
}

/// A text that stands more often than this on a page labels nothing.
const MAX_LABELS: usize = 500;

/// An index that was kept in few bytes.
fn index(short: u32) -> usize {
    usize::try_from(short).unwrap_or(usize::MAX)
}

/// The characters of a cell that matter.
fn letters(page: &Page, words: std::ops::Range<usize>) -> Vec<Letter> {
    let mut letters = Vec::new();
    for word in words {
        let Some(text) = page.words.get(word).map(|word| word.text.as_str()) else { break };
        for (at, character) in text.char_indices().filter(|(_, c)| matters(*c)) {
            let end = at + character.len_utf8();
            let (Ok(word), Ok(short_end)) = (u32::try_from(word), u32::try_from(end)) else {
                break;
            };
            letters.push(Letter {
                folded: lower(character),
                word,
                end: short_end,
                is_start: !is_joined(text.get(..at).unwrap_or_default().chars().rev(), character),
                is_end: !is_joined(text.get(end..).unwrap_or_default().chars(), character),
            });
        }
    }
    letters
}

/// Whether a character belongs to one word with its neighbours: directly, or by a hyphen or a
/// slash as in “VAT-ID” and “Buyer/Payer”.
fn is_joined(mut neighbours: impl Iterator<Item = char>, character: char) -> bool {
    let next = match neighbours.next() {
        Some('-' | '/') => neighbours.next(),
        next => next,
    };
    character.is_alphanumeric() && next.is_some_and(char::is_alphanumeric)
}
