//! The text of a page with its columns kept, on a grid of characters.
//!
//! Cells that begin at the same place on the page begin in the same column of the text, however
//! wide the letters before them are. A line that needs more room pushes what stands to its right,
//! on all lines alike.

use super::{Word, is_near};

/// No page is wider than this; what stands further right follows directly.
const MAX_COLUMN: usize = 400;
/// At least this many spaces between cells.
const GUTTER: usize = 2;
/// More empty lines than this say nothing.
const MAX_BLANK: usize = 2;

/// Writes the lines as text, and tells the words where they are in it.
pub(super) fn render(lines: &mut [Vec<Word>], keep_layout: bool) -> String {
    if !keep_layout {
        return write(lines, |_, _| 0);
    }
    let columns = columns(lines);
    let blanks = blanks(lines);
    let mut text = String::new();
    for (index, line) in lines.iter_mut().enumerate() {
        let blank = blanks.get(index).copied().unwrap_or_default();
        text.extend(std::iter::repeat_n('\n', blank));
        let starts = columns.get(index).map(Vec::as_slice).unwrap_or_default();
        write_line(line, starts, &mut text);
    }
    text.truncate(text.trim_end().len());
    text
}

fn write(lines: &mut [Vec<Word>], start: impl Fn(usize, usize) -> usize) -> String {
    let mut text = String::new();
    for (index, line) in lines.iter_mut().enumerate() {
        let starts = vec![start(index, 0); line.len()];
        write_line(line, &starts, &mut text);
    }
    text.truncate(text.trim_end().len());
    text
}

/// Writes the words of a line, each at its column at least, and at least a space apart.
fn write_line(line: &mut [Word], starts: &[usize], text: &mut String) {
    let mut column = 0;
    for (word, &start) in line.iter_mut().zip(starts) {
        let spaces = start.saturating_sub(column).max(usize::from(column > 0));
        text.extend(std::iter::repeat_n(' ', spaces));
        word.offset = text.len();
        text.push_str(&word.text);
        column += spaces + word.text.chars().count();
    }
    text.push('\n');
}

/// A cell on its way to a column.
struct Run {
    line: usize,
    first: usize,
    left: f32,
    characters: usize,
}

/// The column at which each word of each line begins; within a cell, 0 for "after a space".
fn columns(lines: &[Vec<Word>]) -> Vec<Vec<usize>> {
    let mut starts: Vec<Vec<usize>> = lines.iter().map(|line| vec![0; line.len()]).collect();
    let mut runs = runs(lines);
    runs.sort_by(|a, b| a.left.total_cmp(&b.left));
    let origin = runs.first().map_or(0.0, |run| run.left);
    let width = character_width(lines);
    let mut ends: Vec<usize> = vec![0; lines.len()];
    let mut floor = 0;
    for group in runs.chunk_by(|a, b| b.left - a.left < 0.35 * width) {
        let Some(first) = group.first() else { continue };
        let natural = to_column((first.left - origin) / width);
        let needed = group.iter().filter_map(|run| ends.get(run.line)).max().copied();
        let column = natural.max(needed.unwrap_or_default()).max(floor);
        for run in group {
            let start = column.min(MAX_COLUMN);
            if let Some(slot) = starts.get_mut(run.line).and_then(|it| it.get_mut(run.first)) {
                *slot = start;
            }
            if let Some(end) = ends.get_mut(run.line) {
                *end = (*end).max(start) + run.characters + GUTTER;
            }
        }
        floor = column;
    }
    starts
}

fn runs(lines: &[Vec<Word>]) -> Vec<Run> {
    let mut runs: Vec<Run> = Vec::new();
    for (line, words) in lines.iter().enumerate() {
        let mut previous: Option<&Word> = None;
        for (first, word) in words.iter().enumerate() {
            let characters = word.text.chars().count();
            match runs.last_mut() {
                Some(run) if previous.is_some_and(|it| is_near(&it.area, &word.area)) => {
                    run.characters += characters + 1;
                }
                _ => runs.push(Run { line, first, left: word.area.left, characters }),
            }
            previous = Some(word);
        }
    }
    runs
}

/// The width of a typical character of the page.
fn character_width(lines: &[Vec<Word>]) -> f32 {
    #[expect(clippy::cast_precision_loss, reason = "words are short")]
    let width = |word: &Word| (word.area.right - word.area.left) / word.text.chars().count() as f32;
    let long = |word: &&Word| word.text.chars().count() > 2;
    let mut widths: Vec<f32> = lines.iter().flatten().filter(long).map(width).collect();
    widths.sort_by(f32::total_cmp);
    widths.get(widths.len() / 2).copied().unwrap_or(5.0).max(1.0)
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a float that does not fit becomes the nearest number that does"
)]
fn to_column(value: f32) -> usize {
    (value.round() as usize).min(MAX_COLUMN)
}

/// How many empty lines stand before each line.
fn blanks(lines: &[Vec<Word>]) -> Vec<usize> {
    let tops: Vec<f32> = lines.iter().map(|line| top(line)).collect();
    let mut gaps: Vec<f32> =
        tops.windows(2).filter_map(|pair| Some(pair.get(1)? - pair.first()?)).collect();
    let all = gaps.clone();
    gaps.retain(|&gap| gap > 1.0);
    gaps.sort_by(f32::total_cmp);
    let pitch = gaps.get(gaps.len() / 3).copied().unwrap_or(12.0);
    let blank = |gap: f32| to_column(gap / pitch * 0.9).saturating_sub(1).min(MAX_BLANK);
    std::iter::once(0).chain(all.into_iter().map(blank)).collect()
}

fn top(line: &[Word]) -> f32 {
    line.iter().map(|word| word.area.top).fold(f32::INFINITY, f32::min)
}
