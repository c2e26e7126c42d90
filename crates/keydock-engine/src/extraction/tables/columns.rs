//! Which words of a line belong to which column.
//!
//! Headers alone do not tell: a column of numbers reaches further left than its header, a column
//! of text further right. So the border between two columns is where the fewest words of the
//! rows are in the way.

use std::ops::Range;

use super::heading::Slot;
use crate::layout::{Cell, Page, Word};

/// The borders between neighbouring columns, from left to right.
pub(super) struct Borders(Vec<f32>);

impl Borders {
    /// Finds the borders from the words of some lines.
    pub(super) fn find(page: &Page, slots: &[Slot], lines: Range<usize>) -> Self {
        let words = lines.filter_map(|line| page.lines.get(line));
        let words: Vec<&Word> = words.flat_map(|line| page.words(line.clone())).collect();
        let pairs = slots.windows(2).filter_map(|pair| pair.first().zip(pair.last()));
        Self(pairs.map(|(left, right)| border(left, right, &words)).collect())
    }

    /// The middle between columns whose places are known.
    pub(super) fn between(slots: &[Slot]) -> Self {
        let pairs = slots.windows(2).filter_map(|pair| pair.first().zip(pair.last()));
        Self(pairs.map(|(left, right)| f32::midpoint(left.area.right, right.area.left)).collect())
    }

    fn slot_of(&self, x: f32) -> usize {
        self.0.iter().take_while(|&&border| border < x).count()
    }

    fn is_crossed_by(&self, word: &Word) -> bool {
        let slack = 0.2 * word.area.height();
        self.0.iter().any(|&at| word.area.left + slack < at && at < word.area.right - slack)
    }

    /// The words of a cell, by column. Words that stand as in running text are not torn apart.
    pub(super) fn split(&self, page: &Page, cell: &Cell) -> Vec<(usize, Range<usize>)> {
        let words = page.words(cell.words.clone());
        let slot = |word: &Word| self.slot_of(word.area.center());
        let Some(first) = words.first().map(slot) else { return Vec::new() };
        let is_one = words.iter().all(|word| slot(word) == first)
            || words.iter().any(|word| self.is_crossed_by(word))
            || self.is_running(words);
        if is_one {
            return vec![(first, cell.words.clone())];
        }
        let mut parts: Vec<(usize, Range<usize>)> = Vec::new();
        for (index, word) in cell.words.clone().zip(words) {
            match parts.last_mut() {
                Some((slot_before, range)) if *slot_before == slot(word) => range.end = index + 1,
                _ => parts.push((slot(word), index..index + 1)),
            }
        }
        parts
    }

    /// Whether the gaps at the borders are no wider than those between other words.
    fn is_running(&self, words: &[Word]) -> bool {
        let (mut at_borders, mut inside) = (f32::MAX, f32::MAX);
        for pair in words.windows(2) {
            let [left, right] = pair else { continue };
            let gap = right.area.left - left.area.right;
            let same = self.slot_of(left.area.center()) == self.slot_of(right.area.center());
            let smallest = if same { &mut inside } else { &mut at_borders };
            *smallest = smallest.min(gap);
        }
        inside < f32::MAX && at_borders < 1.4 * inside
    }
}

/// The middle of the widest stretch with the fewest words, between the middles of two headers.
fn border(left: &Slot, right: &Slot, words: &[&Word]) -> f32 {
    let (start, end) = (left.area.center(), right.area.center());
    let mut edges: Vec<f32> = words
        .iter()
        .flat_map(|word| [word.area.left, word.area.right])
        .filter(|edge| start < *edge && *edge < end)
        .chain([start, end])
        .collect();
    edges.sort_by(f32::total_cmp);
    let stretches = edges.windows(2).filter_map(|pair| {
        let [from, to] = pair else { return None };
        let middle = f32::midpoint(*from, *to);
        let crossing =
            words.iter().filter(|word| word.area.left < middle && middle < word.area.right);
        Some((crossing.count(), to - from, middle))
    });
    // Hairlines between words are no column borders, unless there is nothing else.
    let best = stretches.min_by(|a, b| {
        let hairline = |width: f32| width < 1.0;
        (hairline(a.1), a.0).cmp(&(hairline(b.1), b.0)).then(b.1.total_cmp(&a.1))
    });
    best.map_or(f32::midpoint(start, end), |(_, _, middle)| middle)
}
