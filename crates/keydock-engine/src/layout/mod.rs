//! Pages as people see them: words with places, lines, and cells that stand apart.
//!
//! Every kind of document becomes a [`Document`] of the same shape, so that the rules need not
//! know where it came from.

use std::ops::Range;

use crate::evidence::{Area, Span};

mod assemble;
mod grid;
mod plain;
mod scan;

pub(crate) use self::{
    assemble::{Direction, Piece, page_from_pieces},
    plain::{page_from_text, tabulate},
    scan::page_from_scan,
};

/// A document that was read.
#[derive(Debug)]
pub(crate) struct Document {
    /// What the content turned out to be.
    pub(crate) media_type: &'static str,
    /// How many pages the document has, read or not.
    pub(crate) page_count: usize,
    /// The pages that were read.
    pub(crate) pages: Vec<Page>,
    /// Whether places on the page mean anything to the reader.
    pub(crate) has_areas: bool,
}

/// A page: its text, and the words in it.
#[derive(Debug, Default)]
pub(crate) struct Page {
    /// Counted from 1.
    pub(crate) number: usize,
    /// The text with its layout.
    pub(crate) text: String,
    /// Every word, line by line, from left to right.
    pub(crate) words: Vec<Word>,
    /// The lines, from top to bottom, as ranges of words; none is empty.
    pub(crate) lines: Vec<Range<usize>>,
    /// The cells of all lines, as ranges of words; none is empty.
    pub(crate) cells: Vec<Cell>,
}

/// Characters without space between them.
#[derive(Debug, Clone)]
pub(crate) struct Word {
    pub(crate) text: String,
    pub(crate) area: Area,
    /// Where it begins in the text of the page, in bytes.
    pub(crate) offset: usize,
    /// How sure it is that this is what is written, from 0 to 1; 1 unless it was read in a
    /// picture.
    pub(crate) confidence: f32,
}

/// Words of a line with only a space between them.
#[derive(Debug, Clone)]
pub(crate) struct Cell {
    pub(crate) words: Range<usize>,
    pub(crate) line: usize,
    pub(crate) area: Area,
}

impl Page {
    /// Puts a page together from its lines; the words know their places, and where they are in
    /// the text.
    fn new(number: usize, text: String, lines: Vec<Vec<Word>>) -> Self {
        let mut page = Self { number, text, ..Self::default() };
        for line in lines.into_iter().filter(|line| !line.is_empty()) {
            let start = page.words.len();
            page.words.extend(line);
            let index = page.lines.len();
            page.cells.extend(cells(&page.words, start..page.words.len(), index));
            page.lines.push(start..page.words.len());
        }
        page
    }

    /// The words of a range with single spaces between them.
    pub(crate) fn text_of(&self, words: Range<usize>) -> String {
        let words: Vec<&str> = self.words(words).iter().map(|word| word.text.as_str()).collect();
        words.join(" ")
    }

    /// The words of a range.
    pub(crate) fn words(&self, words: Range<usize>) -> &[Word] {
        self.words.get(words).unwrap_or_default()
    }

    /// The area around a range of words.
    pub(crate) fn area_of(&self, words: Range<usize>) -> Option<Area> {
        Area::around(self.words(words).iter().map(|word| word.area))
    }

    /// The cells of a line.
    pub(crate) fn cells_of(&self, line: usize) -> impl Iterator<Item = &Cell> {
        let start = self.cells.partition_point(|cell| cell.line < line);
        self.cells.iter().skip(start).take_while(move |cell| cell.line == line)
    }

    /// The words that a range of bytes of the text touches.
    pub(crate) fn words_at(&self, bytes: &Range<usize>) -> Range<usize> {
        let first = self.words.partition_point(|word| word.end() <= bytes.start);
        let last = self.words.partition_point(|word| word.offset < bytes.end);
        first..last.max(first)
    }

    /// How sure the words in an area are, from 0 to 1: as sure as the least of them.
    pub(crate) fn confidence_in(&self, area: &Area) -> f32 {
        let is_inside = |word: &&Word| {
            let (across, down) =
                (word.area.center(), f32::midpoint(word.area.top, word.area.bottom));
            (area.left..=area.right).contains(&across) && (area.top..=area.bottom).contains(&down)
        };
        self.words.iter().filter(is_inside).map(|word| word.confidence).fold(1.0, f32::min)
    }

    /// The characters of the text that a range of bytes covers.
    pub(crate) fn span_of(&self, bytes: &Range<usize>) -> Span {
        let chars = |end: usize| self.text.get(..end).map_or(0, |text| text.chars().count());
        Span { start: chars(bytes.start), end: chars(bytes.end) }
    }
}

impl Word {
    /// Where it ends in the text of the page, in bytes.
    pub(crate) fn end(&self) -> usize {
        self.offset + self.text.len()
    }
}

/// A gap wider than this many times the height of the words separates cells.
const CELL_GAP: f32 = 0.85;

/// Cuts a line where the gap between two words is wide.
fn cells(words: &[Word], line: Range<usize>, index: usize) -> Vec<Cell> {
    let mut cells: Vec<Cell> = Vec::new();
    for position in line {
        let Some(word) = words.get(position) else { break };
        match cells.last_mut() {
            Some(cell) if is_near(&cell.area, &word.area) => {
                cell.words.end = position + 1;
                cell.area = cell.area.union(word.area);
            }
            _ => cells.push(Cell { words: position..position + 1, line: index, area: word.area }),
        }
    }
    cells
}

fn is_near(left: &Area, right: &Area) -> bool {
    let height = left.height().min(right.height());
    right.left - left.right < CELL_GAP * height
}
