//! PPT: the texts of presentations from 1997 to 2003, a page for every slide.

use super::compound::{Compound, long, narrow, short, wide};
use crate::error::Error;

const SLIDE: u16 = 0x03ee;
const MASTER: u16 = 0x03f8;
const NOTES: u16 = 0x03f0;
const HANDOUT: u16 = 0x0fc9;
const ENVIRONMENT: u16 = 0x03f2;
const SLIDE_LIST: u16 = 0x0ff0;
const NEXT_SLIDE: u16 = 0x03f3;
const WIDE_TEXT: u16 = 0x0fa0;
const NARROW_TEXT: u16 = 0x0fa8;

/// The text of all slides, separated by form feeds.
pub(super) fn text(bytes: &[u8]) -> Result<String, Error> {
    let mut file = Compound::open(bytes)?;
    if file.has("/EncryptedSummary") {
        return Err(Error::Encrypted);
    }
    let stream = file.read("/PowerPoint Document")?;
    let (outlines, mut drawn) = texts(&stream);
    // What was changed is saved again behind the rest: the last ones count.
    let surplus = drawn.len().saturating_sub(outlines.len().max(1));
    drawn.drain(..surplus);
    let slides = outlines.len().max(drawn.len());
    let slide = |index: usize| {
        let mut lines: Vec<&String> = outlines.get(index).into_iter().flatten().collect();
        for line in drawn.get(index).into_iter().flatten() {
            if !lines.contains(&line) {
                lines.push(line);
            }
        }
        lines.into_iter().map(String::as_str).collect::<Vec<_>>().join("\n")
    };
    Ok((0..slides).map(slide).collect::<Vec<_>>().join("\u{c}"))
}

/// The texts of the outline and those that were drawn, for every slide.
fn texts(stream: &[u8]) -> (Vec<Vec<String>>, Vec<Vec<String>>) {
    let (mut outlines, mut drawn): (Vec<Vec<String>>, Vec<Vec<String>>) = Default::default();
    let mut at = 0;
    // The end of what is being read, and whether it is a list of slides.
    let (mut slide_end, mut list_end) = (0, 0);
    while let (Some(head), Some(kind), Some(length)) =
        (short(stream, at), short(stream, at + 2), long(stream, at + 4))
    {
        let start = at + 8;
        let end = start.saturating_add(length).min(stream.len());
        let is_container = head & 0xf == 0xf;
        // A container is entered, all else is stepped over, so that this comes to an end.
        at = if is_container { start } else { end };
        match kind {
            SLIDE => {
                slide_end = end;
                drawn.push(Vec::new());
            }
            // Of the three lists the first is that of the slides.
            SLIDE_LIST if head >> 4 == 0 => list_end = end,
            MASTER | NOTES | HANDOUT | ENVIRONMENT | SLIDE_LIST => at = end,
            NEXT_SLIDE if start <= list_end => outlines.push(Vec::new()),
            WIDE_TEXT | NARROW_TEXT => {
                let bytes = stream.get(start..end).unwrap_or_default();
                let text = if kind == WIDE_TEXT { wide(bytes) } else { narrow(bytes) };
                let slide = match () {
                    () if start <= list_end => outlines.last_mut(),
                    () if start <= slide_end => drawn.last_mut(),
                    () => None,
                };
                let lines = text.split(['\r', '\u{b}', '\n']).map(str::trim);
                if let Some(slide) = slide {
                    slide.extend(lines.filter(|line| !line.is_empty()).map(ToOwned::to_owned));
                }
            }
            _ => {}
        }
    }
    (outlines, drawn)
}
