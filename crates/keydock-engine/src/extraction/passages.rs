//! A stretch of words that is read as one text, and the way back to the page.

use std::ops::Range;

use crate::{evidence::Area, layout::Page};

/// Words of a page as one text.
pub(super) struct Passage<'a> {
    page: &'a Page,
    text: String,
    pieces: Vec<Piece>,
    /// Beyond so many bytes nothing is added.
    limit: usize,
}

/// A word, or the end of one, in a passage.
struct Piece {
    word: usize,
    /// How many bytes of the word were left out at its beginning.
    skipped: usize,
    /// Where it begins in the text of the passage.
    start: usize,
    length: usize,
}

/// A place on a page.
pub(super) struct Place {
    /// The bytes of the text of the page.
    pub(super) bytes: Range<usize>,
    pub(super) area: Option<Area>,
}

impl<'a> Passage<'a> {
    pub(super) fn new(page: &'a Page) -> Self {
        Self { page, text: String::new(), pieces: Vec::new(), limit: usize::MAX }
    }

    /// A passage that takes in hardly more than so many characters.
    pub(super) fn limited(page: &'a Page, characters: usize) -> Self {
        // No character has more bytes.
        Self { limit: 4 * characters, ..Self::new(page) }
    }

    /// Adds words after a space, without the colon that may stand before a value.
    pub(super) fn push_value(&mut self, words: Range<usize>) {
        let first = self.page.words.get(words.start);
        let colon = first.is_some_and(|word| word.text.starts_with(':'));
        self.push(words, usize::from(colon));
    }

    /// Adds words after a space, without the first bytes of the first of them.
    pub(super) fn push(&mut self, words: Range<usize>, mut skipped: usize) {
        for index in words {
            if self.text.len() > self.limit {
                break;
            }
            let Some(word) = self.page.words.get(index) else { break };
            let text = word.text.get(skipped..).unwrap_or_default();
            if !text.is_empty() {
                if !self.text.is_empty() && !self.text.ends_with('\n') {
                    self.text.push(' ');
                }
                let (start, length) = (self.text.len(), text.len());
                self.pieces.push(Piece { word: index, skipped, start, length });
                self.text.push_str(text);
            }
            skipped = 0;
        }
    }

    /// Adds the words of another passage of the page after a space.
    pub(super) fn append(&mut self, other: Self) {
        for piece in other.pieces {
            self.push(piece.word..piece.word + 1, piece.skipped);
        }
    }

    /// Begins a new line.
    pub(super) fn break_line(&mut self) {
        if !self.text.is_empty() {
            self.text.push('\n');
        }
    }

    /// The text without what is beyond so many characters.
    pub(super) fn truncate(&mut self, characters: usize) {
        if let Some((end, _)) = self.text.char_indices().nth(characters) {
            self.text.truncate(end);
        }
    }

    pub(super) fn text(&self) -> &str {
        &self.text
    }

    pub(super) fn page(&self) -> usize {
        self.page.number
    }

    pub(super) fn is_empty(&self) -> bool {
        self.text.trim().is_empty()
    }

    /// Where a range of bytes of the text stands on the page.
    pub(super) fn place(&self, range: &Range<usize>) -> Place {
        let touched = self
            .pieces
            .iter()
            .filter(|piece| piece.start < range.end && piece.start + piece.length > range.start);
        let parts: Vec<(Range<usize>, Option<Area>)> =
            touched.map(|piece| self.part(piece, range)).collect();
        let start = parts.iter().map(|(bytes, _)| bytes.start).min().unwrap_or_default();
        let end = parts.iter().map(|(bytes, _)| bytes.end).max().unwrap_or_default();
        let area = Area::around(parts.into_iter().filter_map(|(_, area)| area));
        Place { bytes: start..end, area }
    }

    /// The part of a word that the range covers.
    fn part(&self, piece: &Piece, range: &Range<usize>) -> (Range<usize>, Option<Area>) {
        let from = range.start.saturating_sub(piece.start).min(piece.length);
        let to = range.end.saturating_sub(piece.start).min(piece.length);
        match self.page.words.get(piece.word) {
            Some(word) => {
                let start = word.offset + piece.skipped;
                (start + from..start + to, Some(word.area))
            }
            None => (0..0, None),
        }
    }
}
