//! From glyphs, in whatever order they were drawn, to the words and lines that people see.

use super::{Page, Word, grid};
use crate::evidence::Area;

/// A drawn character with its place on the page as it is shown: y grows downwards.
#[derive(Debug, Clone)]
pub(crate) struct Piece {
    /// What it stands for; usually one character, sometimes a ligature.
    pub(crate) text: String,
    /// Where its baseline begins.
    pub(crate) x: f32,
    pub(crate) y: f32,
    /// How far the next character is meant to be.
    pub(crate) advance: f32,
    /// The size of the font.
    pub(crate) size: f32,
    /// Which way the text runs; `None` when it is slanted.
    pub(crate) direction: Option<Direction>,
}

/// Which way text runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Direction {
    Right,
    Down,
    Left,
    Up,
}

impl Direction {
    const ALL: [Self; 4] = [Self::Right, Self::Down, Self::Left, Self::Up];

    /// The point in a page that was turned so that this direction runs to the right.
    fn upright(self, (width, height): (f32, f32), x: f32, y: f32) -> (f32, f32) {
        match self {
            Self::Right => (x, y),
            Self::Down => (y, width - x),
            Self::Left => (width - x, height - y),
            Self::Up => (height - y, x),
        }
    }
}

/// Puts a page together. Text that runs another way than most is set below the rest.
pub(crate) fn page_from_pieces(
    number: usize,
    size: (f32, f32),
    pieces: Vec<Piece>,
    keep_layout: bool,
) -> Page {
    let main = main_direction(&pieces);
    let (mut straight, other): (Vec<_>, Vec<_>) =
        pieces.into_iter().partition(|piece| piece.direction == Some(main));
    for piece in &mut straight {
        (piece.x, piece.y) = main.upright(size, piece.x, piece.y);
    }
    let mut lines = lines(chunks(&straight));
    lines.extend(aside(&other, &lines));
    let text = grid::render(&mut lines, keep_layout);
    Page::new(number, text, lines)
}

fn main_direction(pieces: &[Piece]) -> Direction {
    let count = |direction| pieces.iter().filter(|it| it.direction == Some(direction)).count();
    let most = Direction::ALL.into_iter().rev().max_by_key(|&direction| count(direction));
    most.unwrap_or(Direction::Right)
}

/// Characters that were drawn one after the other without a gap.
#[derive(Debug, Clone)]
struct Chunk {
    text: String,
    left: f32,
    right: f32,
    baseline: f32,
    size: f32,
    /// Whether a space was drawn after it.
    space_after: bool,
}

/// A gap wider than this part of the font size separates words.
const WORD_GAP: f32 = 0.12;
/// Drawn again this close, a character was meant to look bold.
const SHADOW: f32 = 0.1;

impl Chunk {
    fn new(piece: &Piece) -> Self {
        Self {
            text: piece.text.clone(),
            left: piece.x,
            right: piece.x + piece.advance,
            baseline: piece.y,
            size: piece.size,
            space_after: false,
        }
    }

    fn is_continued_by(&self, piece: &Piece) -> bool {
        let gap = piece.x - self.right;
        !self.space_after
            && (self.baseline - piece.y).abs() < 0.15 * self.size
            && (0.75..1.34).contains(&(piece.size / self.size))
            && gap > -0.4 * self.size
            && gap < WORD_GAP * self.size
    }

    /// Whether the two are the same text drawn twice.
    fn is_shadow_of(&self, other: &Self) -> bool {
        self.text == other.text && (self.left - other.left).abs() < 2.0 * SHADOW * self.size
    }

    fn area(&self) -> Area {
        Area {
            left: self.left,
            top: self.baseline - 0.75 * self.size,
            right: self.right,
            bottom: self.baseline + 0.2 * self.size,
        }
    }
}

fn chunks(pieces: &[Piece]) -> Vec<Chunk> {
    let mut chunks: Vec<Chunk> = Vec::new();
    let mut last: Option<&Piece> = None;
    for piece in pieces {
        if piece.text.trim().is_empty() {
            if let Some(chunk) = chunks.last_mut() {
                chunk.space_after = true;
            }
        } else if !last.is_some_and(|last| is_shadow(piece, last)) {
            match chunks.last_mut() {
                Some(chunk) if chunk.is_continued_by(piece) => {
                    chunk.text.push_str(&piece.text);
                    chunk.right = chunk.right.max(piece.x + piece.advance);
                }
                _ => chunks.push(Chunk::new(piece)),
            }
        }
        last = Some(piece);
    }
    chunks
}

fn is_shadow(piece: &Piece, last: &Piece) -> bool {
    let near = SHADOW * piece.size;
    piece.text == last.text && (piece.x - last.x).abs() < near && (piece.y - last.y).abs() < near
}

/// Chunks beside each other are a line, even when their baselines differ a little.
fn lines(mut chunks: Vec<Chunk>) -> Vec<Vec<Word>> {
    chunks.sort_by(|a, b| a.baseline.total_cmp(&b.baseline));
    let mut lines: Vec<(Area, Vec<Chunk>)> = Vec::new();
    for chunk in chunks {
        let area = chunk.area();
        match lines.last_mut() {
            Some((band, line)) if band.shared_height(&area) > 0.55 => {
                line.push(chunk);
                // A raised character does not decide where the line is.
                if area.height() > 1.2 * band.height() {
                    *band = area;
                }
            }
            _ => lines.push((area, vec![chunk])),
        }
    }
    lines.into_iter().map(|(_, line)| words(line)).collect()
}

fn words(mut line: Vec<Chunk>) -> Vec<Word> {
    line.sort_by(|a, b| a.left.total_cmp(&b.left));
    let mut words: Vec<Chunk> = Vec::new();
    for chunk in line {
        match words.last_mut() {
            Some(word) if chunk.is_shadow_of(word) => {}
            Some(word) if belongs_to(&chunk, word) => {
                word.text.push_str(&chunk.text);
                word.right = word.right.max(chunk.right);
                word.size = word.size.max(chunk.size);
                word.space_after = chunk.space_after;
            }
            _ => words.push(chunk),
        }
    }
    words
        .into_iter()
        .map(|word| Word { area: word.area(), text: word.text, offset: 0, confidence: 1.0 })
        .collect()
}

fn belongs_to(chunk: &Chunk, word: &Chunk) -> bool {
    let gap = chunk.left - word.right;
    let size = chunk.size.min(word.size);
    gap < WORD_GAP * size && gap > -0.5 * size && !word.space_after
}

/// Text that runs another way, a line for each run of it, below everything else.
fn aside(pieces: &[Piece], lines: &[Vec<Word>]) -> Vec<Vec<Word>> {
    let bottom = lines.iter().flatten().map(|word| word.area.bottom).fold(0.0, f32::max);
    let mut asides: Vec<String> = Vec::new();
    let mut last: Option<&Piece> = None;
    for piece in pieces {
        let is_near = last.is_some_and(|last| distance(last, piece) < 2.0 * piece.size);
        match asides.last_mut() {
            Some(text) if is_near => text.push_str(&piece.text),
            _ => asides.push(piece.text.clone()),
        }
        last = Some(piece);
    }
    let mut top = bottom + 24.0;
    let place = |text: String| {
        top += 12.0;
        text.split_whitespace()
            .scan(0.0, |left, word| {
                #[expect(clippy::cast_precision_loss, reason = "words are short")]
                let width = 6.0 * word.chars().count() as f32;
                let area = Area { left: *left, top, right: *left + width, bottom: top + 10.0 };
                *left += width + 6.0;
                Some(Word { text: word.to_owned(), area, offset: 0, confidence: 1.0 })
            })
            .collect()
    };
    asides.into_iter().map(place).filter(|line: &Vec<Word>| !line.is_empty()).collect()
}

fn distance(a: &Piece, b: &Piece) -> f32 {
    (a.x - b.x).hypot(a.y - b.y)
}
