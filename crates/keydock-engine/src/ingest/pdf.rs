//! PDF: the characters that a page draws, and where.

use hayro_interpret::{
    BlendMode, ClipPath, Context, Device, DrawMode, DrawProps, Image, ImageDrawProps,
    InterpreterCache, InterpreterSettings, SoftMask,
    font::{Glyph, GlyphRun, PositionedGlyph},
    hayro_cmap::BfString,
    interpret_page,
    kurbo::{Affine, BezPath, Point, Rect, Vec2},
};
use hayro_syntax::{DecryptionError, LoadPdfError, Pdf, page::Page as PdfPage};
use keydock_core::workflows::Reading;

use super::check_page_count;
use crate::{
    error::Error,
    layout::{Direction, Document, Page, Piece, page_from_pieces},
};

/// A page with more characters than this is not meant to be read.
const MAX_PIECES: usize = 500_000;

/// Reads the pages that the workflow wants.
pub(super) fn read(bytes: &[u8], reading: &Reading) -> Result<Document, Error> {
    let pdf = Pdf::new(bytes.to_vec()).map_err(unreadable)?;
    let pages = pdf.pages();
    check_page_count(pages.len(), reading)?;
    if pages.is_empty() {
        return Err(Error::damaged("the PDF has no pages"));
    }
    let cache = InterpreterCache::new();
    let wanted = pages.iter().enumerate().map(|(index, page)| (index + 1, page));
    let read = wanted
        .filter(|(number, _)| reading.pages.contains(*number))
        .map(|(number, page)| read_page(number, page, &pdf, &cache, reading.layout))
        .collect();
    Ok(Document {
        media_type: "application/pdf",
        page_count: pages.len(),
        pages: read,
        has_areas: true,
    })
}

fn unreadable(error: LoadPdfError) -> Error {
    match error {
        LoadPdfError::Decryption(DecryptionError::PasswordProtected) => Error::Encrypted,
        LoadPdfError::Decryption(DecryptionError::UnsupportedAlgorithm) => {
            Error::damaged("the PDF is encrypted in an unknown way")
        }
        LoadPdfError::Decryption(_) => Error::damaged("the encryption of the PDF is broken"),
        LoadPdfError::Invalid => Error::damaged("the PDF is broken beyond repair"),
    }
}

fn read_page<'a>(
    number: usize,
    page: &PdfPage<'a>,
    pdf: &'a Pdf,
    cache: &'a InterpreterCache<'a>,
    keep_layout: bool,
) -> Page {
    let (width, height) = page.render_dimensions();
    let bounds = Rect::new(0.0, 0.0, width.into(), height.into());
    let transform = Affine::new(page.initial_transform(true).as_coeffs());
    let settings = InterpreterSettings::default();
    let mut context = Context::new(transform, bounds, cache, pdf.xref(), settings);
    let mut collector = Collector { pieces: Vec::new(), bounds };
    interpret_page(page, &mut context, &mut collector);
    page_from_pieces(number, (width, height), collector.pieces, keep_layout)
}

/// A device that draws nothing and remembers what text was drawn where.
struct Collector {
    pieces: Vec<Piece>,
    bounds: Rect,
}

impl Device<'_> for Collector {
    fn draw_glyph_run(&mut self, run: &GlyphRun<'_, '_>, props: DrawProps<'_>, mode: &DrawMode) {
        // Text that is filled and stroked is drawn twice.
        if matches!(mode, DrawMode::Stroke(_)) && self.is_drawn(run, &props) {
            return;
        }
        let glyphs = run.glyphs();
        for (index, glyph) in glyphs.iter().enumerate() {
            if self.pieces.len() >= MAX_PIECES {
                return;
            }
            let next = glyphs.get(index + 1);
            self.pieces.extend(self.piece(glyph, next, props.transform));
        }
    }

    fn draw_path(&mut self, _: &BezPath, _: DrawProps<'_>, _: &DrawMode) {}
    fn push_clip_path(&mut self, _: &ClipPath) {}
    fn push_transparency_group(&mut self, _: f32, _: Option<SoftMask<'_>>, _: BlendMode) {}
    fn draw_image(&mut self, _: Image<'_, '_>, _: ImageDrawProps<'_>) {}
    fn pop_clip(&mut self) {}
    fn pop_transparency_group(&mut self) {}
}

impl Collector {
    /// Whether the run that was drawn last began where this one begins.
    #[expect(clippy::cast_possible_truncation, reason = "points on a page")]
    fn is_drawn(&self, run: &GlyphRun<'_, '_>, props: &DrawProps<'_>) -> bool {
        let count = run.glyphs().len();
        let first = run.glyphs().first().map(|it| props.transform * it.transform() * Point::ZERO);
        let start = self.pieces.len().checked_sub(count).and_then(|at| self.pieces.get(at));
        match (first, start) {
            (Some(point), Some(piece)) => {
                (piece.x - point.x as f32).abs() < 0.01 && (piece.y - point.y as f32).abs() < 0.01
            }
            _ => false,
        }
    }

    #[expect(clippy::cast_possible_truncation, reason = "points on a page")]
    fn piece(
        &self,
        glyph: &PositionedGlyph<'_>,
        next: Option<&PositionedGlyph<'_>>,
        page: Affine,
    ) -> Option<Piece> {
        let text = characters(glyph)?;
        let transform = page * glyph.transform();
        let origin = transform * Point::ZERO;
        let along = (transform * Point::new(1.0, 0.0)) - origin;
        let up = (transform * Point::new(0.0, 1.0)) - origin;
        let size = up.hypot() * 1000.0;
        if !self.bounds.contains(origin) || !(0.2..5_000.0).contains(&size) {
            return None;
        }
        let to_next = next.map(|next| (page * next.transform() * Point::ZERO) - origin);
        Some(Piece {
            text,
            x: origin.x as f32,
            y: origin.y as f32,
            advance: advance(glyph, along, up, to_next) as f32,
            size: size as f32,
            direction: direction(along),
        })
    }
}

/// How far the character reaches. A font that stands in for one that is missing is stretched to
/// fit, which must not be counted twice; where the next character is tells which it is.
fn advance(glyph: &Glyph, along: Vec2, up: Vec2, to_next: Option<Vec2>) -> f64 {
    let units = match glyph {
        Glyph::Outline(glyph) => glyph.advance_width(),
        Glyph::Type3(glyph) => glyph.advance_width(),
    };
    let units = f64::from(units.unwrap_or(500.0));
    let (stretched, plain) = (units * along.hypot(), units * up.hypot());
    match to_next.map(Vec2::hypot) {
        Some(actual) if (plain - actual).abs() < (stretched - actual).abs() => plain,
        _ => stretched,
    }
}

/// One of the four ways along the edges of the page; `None` when slanted.
fn direction(along: Vec2) -> Option<Direction> {
    let (x, y) = (along.x, along.y);
    if y.abs() < 0.2 * x.abs() {
        Some(if x > 0.0 { Direction::Right } else { Direction::Left })
    } else if x.abs() < 0.2 * y.abs() {
        Some(if y > 0.0 { Direction::Down } else { Direction::Up })
    } else {
        None
    }
}

/// What a glyph stands for, with ligatures taken apart; nothing for what is no text.
fn characters(glyph: &Glyph) -> Option<String> {
    let text = match glyph.as_unicode()? {
        BfString::Char(character) => plain(character),
        BfString::String(text) => text.chars().map(plain).collect(),
    };
    (!text.is_empty()).then_some(text)
}

fn plain(character: char) -> String {
    let ligature = match character {
        '\u{fb00}' => "ff",
        '\u{fb01}' => "fi",
        '\u{fb02}' => "fl",
        '\u{fb03}' => "ffi",
        '\u{fb04}' => "ffl",
        '\u{fb05}' | '\u{fb06}' => "st",
        '\u{ad}' => "-",
        '\u{a0}' | '\u{2007}' | '\u{202f}' => " ",
        _ if says_nothing(character) => "",
        _ => return character.to_string(),
    };
    ligature.to_owned()
}

/// Marks that are not seen, and characters that only the font knows.
fn says_nothing(character: char) -> bool {
    matches!(character, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{feff}')
        || matches!(character, '\u{e000}'..='\u{f8ff}')
        || character.is_control()
}
