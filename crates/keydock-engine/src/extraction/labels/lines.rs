//! Values of several lines.

use keydock_core::fields::LabelRule;

use super::{
    super::search::{Label, SearchablePage},
    Passage,
};
use crate::{evidence::Area, layout::Cell};

/// Lines of one value stand closer than this, in heights of a line.
const GAP: f32 = 0.9;
/// In a grid the label itself may stand between two lines of the value.
const ROW_GAP: f32 = 1.5;

/// Adds the lines that follow in the same column, up to as many as the rule allows.
pub(super) fn add_below<'a>(
    passage: &mut Passage<'a>,
    page: &SearchablePage<'a>,
    first: Area,
    rule: &LabelRule,
) {
    let mut last = first;
    let mut count = 1;
    while count < rule.max_lines {
        let Some((index, cell)) = next(page, &first, &last, true) else { break };
        last = cell.area;
        if is_skipped(page, cell, rule) {
            continue;
        }
        if page.is_label(index) || follows_label(page, index) || is_stopped(page, cell, rule) {
            break;
        }
        passage.break_line();
        passage.push_value(cell.words.clone());
        count += 1;
    }
}

/// A cell and the lines above it, from top to bottom, up to as many as the rule allows.
pub(super) fn upwards<'a>(
    page: &SearchablePage<'a>,
    first: &'a Cell,
    rule: &LabelRule,
) -> Vec<&'a Cell> {
    let mut cells = vec![first];
    let mut last = first.area;
    while cells.len() < rule.max_lines {
        let Some((index, cell)) = next(page, &first.area, &last, false) else { break };
        last = cell.area;
        if is_skipped(page, cell, rule) {
            continue;
        }
        if page.is_label(index) || follows_label(page, index) || is_stopped(page, cell, rule) {
            break;
        }
        cells.push(cell);
    }
    cells.reverse();
    cells
}

/// The next line of the same column, downwards or upwards.
fn next<'a>(
    page: &SearchablePage<'a>,
    first: &Area,
    last: &Area,
    is_down: bool,
) -> Option<(usize, &'a Cell)> {
    let height = last.height().max(1.0);
    let mut cells = page.page.cells.iter().enumerate().filter(|(_, cell)| {
        let (distance, step) = if is_down {
            (cell.area.top - last.bottom, cell.area.top - last.top)
        } else {
            (last.top - cell.area.bottom, last.bottom - cell.area.bottom)
        };
        let is_aligned = (cell.area.left - first.left).abs() < 2.0 * height
            || cell.area.shared_width(first) > 0.0 && cell.area.left > first.left - height;
        distance > -0.5 * height && distance < GAP * height && step > 0.5 * height && is_aligned
    });
    if is_down { cells.next() } else { cells.next_back() }
}

/// The lines beside a label that are nearer to it than to other labels of its column: those of
/// the column to its right, and all of them.
pub(super) fn row<'a>(
    page: &SearchablePage<'a>,
    label: &Label,
    rule: &LabelRule,
) -> (Vec<&'a Cell>, Vec<&'a Cell>) {
    let all = &page.page.cells;
    let Some(own) = all.get(label.cell) else { return (Vec::new(), Vec::new()) };
    let height = own.area.height().max(1.0);
    let here = middle(&own.area);
    let others: Vec<f32> = all
        .iter()
        .filter(|cell| cell.line != own.line && cell.area.shared_width(&own.area) > 0.0)
        .map(|cell| middle(&cell.area))
        .collect();
    let is_ours = |cell: &&Cell| {
        let at = middle(&cell.area);
        cell.area.left >= own.area.right - 1.0
            && others.iter().all(|other| (at - here).abs() < (at - other).abs())
            && !is_skipped(page, cell, rule)
    };
    let beside: Vec<&Cell> = all.iter().filter(is_ours).collect();
    let nearest = beside.iter().min_by(|a, b| {
        let rank = |cell: &Cell| ((middle(&cell.area) - here).abs() / height).round();
        rank(a).total_cmp(&rank(b)).then(a.area.left.total_cmp(&b.area.left))
    });
    let Some(nearest) = nearest.copied() else { return (Vec::new(), Vec::new()) };
    let is_aligned = |cell: &&Cell| {
        (cell.area.left - nearest.area.left).abs() < 2.0 * height
            || cell.area.shared_width(&nearest.area) > 0.0 && cell.area.left > nearest.area.left
    };
    let column: Vec<&Cell> = beside.iter().copied().filter(is_aligned).collect();
    let column = together(&column, nearest, height).into_iter();
    let column = column.take_while(|cell| !is_stopped(page, cell, rule)).take(rule.max_lines);
    (column.collect(), together(&beside, nearest, height))
}

fn middle(area: &Area) -> f32 {
    f32::midpoint(area.top, area.bottom)
}

/// The cells around one between which there is no wide gap.
fn together<'a>(cells: &[&'a Cell], around: &Cell, height: f32) -> Vec<&'a Cell> {
    let Some(at) = cells.iter().position(|cell| std::ptr::eq(*cell, around)) else {
        return Vec::new();
    };
    let is_apart =
        |above: &Cell, below: &Cell| below.area.top - above.area.bottom > ROW_GAP * height;
    let mut start = at;
    while start > 0 && !pair(cells, start - 1).is_some_and(|(a, b)| is_apart(a, b)) {
        start -= 1;
    }
    let mut end = at + 1;
    while end < cells.len() && !pair(cells, end - 1).is_some_and(|(a, b)| is_apart(a, b)) {
        end += 1;
    }
    cells.get(start..end).unwrap_or_default().to_vec()
}

fn pair<'c>(cells: &[&'c Cell], at: usize) -> Option<(&'c Cell, &'c Cell)> {
    Some((cells.get(at)?, cells.get(at + 1)?))
}

/// Whether the rule leaves a line out.
pub(super) fn is_skipped(page: &SearchablePage, cell: &Cell, rule: &LabelRule) -> bool {
    rule.skip.as_ref().is_some_and(|skip| skip.is_match(&page.page.text_of(cell.words.clone())))
}

/// Whether the value ends before a line.
fn is_stopped(page: &SearchablePage, cell: &Cell, rule: &LabelRule) -> bool {
    rule.stop.as_ref().is_some_and(|stop| stop.is_match(&page.page.text_of(cell.words.clone())))
}

/// Whether a label stands right before a cell, which then is its value.
pub(super) fn follows_label(page: &SearchablePage, cell: usize) -> bool {
    let line = |index: usize| page.page.cells.get(index).map(|it| it.line);
    cell.checked_sub(1).is_some_and(|before| line(before) == line(cell) && page.is_label(before))
}
