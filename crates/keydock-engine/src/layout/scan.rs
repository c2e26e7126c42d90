//! Pages made of the words that somebody read in a picture.

use super::{Page, Word, grid};
use crate::{evidence::Area, eyes::Picture};

/// Words of which less is sure than this, in percent, are specks of dust.
const MIN_CONFIDENCE: f32 = 15.0;

/// A word in the table that Tesseract writes, in pixels.
struct Read {
    /// Block, paragraph and line.
    line: [u32; 3],
    area: Area,
    confidence: f32,
    text: String,
}

/// A page from the table of its words; places become points.
pub(crate) fn page_from_scan(
    number: usize,
    table: &str,
    picture: &Picture,
    keep_layout: bool,
) -> Page {
    let words: Vec<Read> = table.lines().filter_map(parse).collect();
    let mut segments = segments(words);
    let slope = slope(&segments);
    let scale = 72.0 / picture.dots_per_inch;
    for word in segments.iter_mut().flatten() {
        // A page that lies a little aslant is read as if it lay straight.
        let shift = slope * word.area.center();
        let area = word.area;
        word.area = Area {
            left: area.left * scale,
            top: (area.top - shift) * scale,
            right: area.right * scale,
            bottom: (area.bottom - shift) * scale,
        };
    }
    let mut lines = lines(segments);
    let text = grid::render(&mut lines, keep_layout);
    Page::new(number, text, lines)
}

/// A row of the table: level, page, block, paragraph, line, word, left, top, width, height,
/// confidence, text.
fn parse(row: &str) -> Option<Read> {
    let cells: Vec<&str> = row.splitn(12, '\t').collect();
    let number = |index: usize| cells.get(index)?.parse::<f32>().ok().filter(|it| it.is_finite());
    let place = |index: usize| cells.get(index)?.parse::<u32>().ok();
    if *cells.first()? != "5" {
        return None;
    }
    let text: String = cells.get(11)?.chars().filter(|c| !c.is_control()).collect();
    let text = text.trim().to_owned();
    let (left, top, width, height) = (number(6)?, number(7)?, number(8)?, number(9)?);
    let area = Area { left, top, right: left + width, bottom: top + height };
    let confidence = number(10)?;
    let line = [place(2)?, place(3)?, place(4)?];
    (!text.is_empty() && confidence >= MIN_CONFIDENCE).then_some(Read {
        line,
        area,
        confidence,
        text,
    })
}

/// Words that Tesseract takes for a line, or for a part of one.
fn segments(words: Vec<Read>) -> Vec<Vec<Read>> {
    let mut segments: Vec<Vec<Read>> = Vec::new();
    for word in words {
        match segments.last_mut() {
            Some(line) if line.first().is_some_and(|first| first.line == word.line) => {
                line.push(word);
            }
            _ => segments.push(vec![word]),
        }
    }
    segments
}

/// How much lines fall for every pixel to the right: the middle of what long lines say.
fn slope(segments: &[Vec<Read>]) -> f32 {
    let of = |line: &Vec<Read>| {
        let (first, last) = (line.first()?.area, line.last()?.area);
        let width = last.center() - first.center();
        let middle = |area: Area| f32::midpoint(area.top, area.bottom);
        (line.len() > 2 && width > 10.0 * first.height())
            .then(|| (middle(last) - middle(first)) / width)
    };
    let mut slopes: Vec<f32> = segments.iter().filter_map(of).collect();
    slopes.sort_by(f32::total_cmp);
    let middle = slopes.get(slopes.len() / 2).copied().unwrap_or_default();
    if middle.abs() < 0.15 { middle } else { 0.0 }
}

/// Parts of lines that stand beside each other are one line; every word is as high as its line.
fn lines(mut segments: Vec<Vec<Read>>) -> Vec<Vec<Word>> {
    let area_of = |line: &[Read]| Area::around(line.iter().map(|word| word.area));
    segments.retain(|line| !line.is_empty());
    let middle =
        |line: &Vec<Read>| area_of(line).map_or(0.0, |it| f32::midpoint(it.top, it.bottom));
    segments.sort_by(|a, b| middle(a).total_cmp(&middle(b)));
    let mut lines: Vec<(Area, Vec<Read>)> = Vec::new();
    for segment in segments {
        let Some(area) = area_of(&segment) else { continue };
        let beside = lines.iter_mut().rev().take(3).find(|(band, words)| {
            band.shared_height(&area) > 0.6
                && words.iter().all(|word| word.area.shared_width(&area) <= 0.0)
        });
        match beside {
            Some((_, words)) => words.extend(segment),
            None => lines.push((area, segment)),
        }
    }
    lines.into_iter().map(|(band, words)| line(band, words)).collect()
}

fn line(band: Area, mut words: Vec<Read>) -> Vec<Word> {
    words.sort_by(|a, b| a.area.left.total_cmp(&b.area.left));
    let word = |read: Read| Word {
        text: read.text,
        area: Area { top: band.top, bottom: band.bottom, ..read.area },
        offset: 0,
        confidence: read.confidence.clamp(0.0, 100.0) / 100.0,
    };
    words.into_iter().map(word).collect()
}
