//! PDF: the characters that a page draws, and where.

use hayro::{PixmapSettings, RenderCache, RenderSettings, vello_cpu::color::palette::css::WHITE};
use hayro_interpret::{
    BlendMode, ClipPath, Context, Device, DrawMode, DrawProps, Image, ImageDrawProps,
    InterpreterCache, InterpreterSettings, SoftMask,
    font::{Glyph, GlyphRun, PositionedGlyph},
    hayro_cmap::BfString,
    interpret_page,
    kurbo::{Affine, BezPath, Point, Rect, Vec2},
};
use hayro_syntax::{DecryptionError, LoadPdfError, Pdf, page::Page as PdfPage};
use keydock_core::workflows::OcrMode;

use super::{Reader, check_page_count};
use crate::{
    error::Error,
    eyes::Picture,
    layout::{Direction, Document, Page, Piece, page_from_pieces, page_from_scan},
};

/// A page with more characters than this is not meant to be read.
const MAX_PIECES: usize = 500_000;

/// Reads the pages that the workflow wants.
pub(super) fn read(bytes: &[u8], reader: &mut Reader) -> Result<Document, Error> {
    let reading = reader.reading;
    let pdf = Pdf::new(bytes.to_vec()).map_err(unreadable)?;
    let pages = pdf.pages();
    check_page_count(pages.len(), reading)?;
    if pages.is_empty() {
        return Err(Error::damaged("the PDF has no pages"));
    }
    let cache = InterpreterCache::new();
    let wanted = pages.iter().enumerate().map(|(index, page)| (index + 1, page));
    let mut read = Vec::new();
    for (number, page) in wanted.filter(|(number, _)| reading.pages.contains(*number)) {
        let drawn = Drawn::of(page, &pdf, &cache);
        let scan = match drawn.need(reader.eyes.ocr().mode) {
            Need::Nothing => None,
            Need::Pictures => Some(scan(number, page, reader)?),
            Need::PicturesPerhaps => scan(number, page, reader).ok(),
        };
        read.push(match scan {
            Some(scan) => scan,
            None => page_from_pieces(number, drawn.size, drawn.pieces, reading.layout),
        });
    }
    Ok(Document {
        media_type: "application/pdf",
        page_count: pages.len(),
        pages: read,
        has_areas: true,
    })
}

/// What has to be read as a picture.
enum Need {
    /// The text layer says everything.
    Nothing,
    /// The page is a scan, or nobody can tell its letters.
    Pictures,
    /// There is a picture on a page without text; it may be a photograph.
    PicturesPerhaps,
}

/// A page is drawn this fine for being read.
const DOTS_PER_INCH: f32 = 300.0;
/// No side of a picture has more pixels than this.
const MAX_PIXELS: f32 = 6_000.0;

/// Draws a page and has it read.
fn scan(number: usize, page: &PdfPage, reader: &mut Reader) -> Result<Page, Error> {
    let (width, height) = page.render_dimensions();
    let finest = MAX_PIXELS / width.max(height).max(1.0);
    let scale = (DOTS_PER_INCH / 72.0).min(finest);
    let settings = PixmapSettings { x_scale: scale, y_scale: scale, bg_color: WHITE };
    let pixels = hayro::render(
        page,
        &RenderCache::new(),
        &InterpreterSettings::default(),
        &RenderSettings::default(),
        &settings,
    );
    let grey = |pixel: &[u8; 4]| {
        let [red, green, blue, _] = pixel.map(u16::from);
        u8::try_from((red * 77 + green * 151 + blue * 28) >> 8).unwrap_or(255)
    };
    let (four, _) = pixels.data_as_u8_slice().as_chunks::<4>();
    let picture = Picture {
        width: pixels.width().into(),
        height: pixels.height().into(),
        dots_per_inch: scale * 72.0,
        is_one_block: false,
        grey: four.iter().map(grey).collect(),
    };
    drop(pixels);
    let words = reader.eyes.read(&picture)?;
    Ok(page_from_scan(number, &words, &picture, reader.reading.layout))
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

/// What a page draws.
struct Drawn {
    size: (f32, f32),
    pieces: Vec<Piece>,
    /// Characters whose meaning only the font knows.
    unknown: usize,
    /// How much of the page pictures cover, from 0 to 1.
    pictured: f64,
}

/// Pictures that cover so much of a page are the page.
const WHOLE_PAGE: f64 = 0.5;
/// What a scanner or a fax machine writes on a scan itself.
const MARGINALIA: usize = 60;

impl Drawn {
    fn of<'a>(page: &PdfPage<'a>, pdf: &'a Pdf, cache: &'a InterpreterCache<'a>) -> Self {
        let size = page.render_dimensions();
        let bounds = Rect::new(0.0, 0.0, size.0.into(), size.1.into());
        let transform = Affine::new(page.initial_transform(true).as_coeffs());
        let settings = InterpreterSettings::default();
        let mut context = Context::new(transform, bounds, cache, pdf.xref(), settings);
        let mut collector = Collector { pieces: Vec::new(), bounds, unknown: 0, pictured: 0.0 };
        interpret_page(page, &mut context, &mut collector);
        let Collector { pieces, unknown, pictured, .. } = collector;
        Self { size, pieces, unknown, pictured }
    }

    fn need(&self, mode: OcrMode) -> Need {
        let letters: usize = self.pieces.iter().map(|piece| piece.text.trim().len()).sum();
        let is_scan = self.pictured >= WHOLE_PAGE && letters < MARGINALIA;
        let is_riddle = self.unknown > 20 && self.unknown > letters;
        match mode {
            OcrMode::Always => Need::Pictures,
            OcrMode::Auto if is_scan || is_riddle => Need::Pictures,
            OcrMode::Auto if letters == 0 && self.pictured > 0.01 => Need::PicturesPerhaps,
            OcrMode::Never | OcrMode::Auto => Need::Nothing,
        }
    }
}

/// A device that draws nothing and remembers what text was drawn where.
struct Collector {
    pieces: Vec<Piece>,
    bounds: Rect,
    unknown: usize,
    pictured: f64,
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
            self.unknown += usize::from(glyph.as_unicode().is_none());
            let next = glyphs.get(index + 1);
            self.pieces.extend(self.piece(glyph, next, props.transform));
        }
    }

    fn draw_path(&mut self, _: &BezPath, _: DrawProps<'_>, _: &DrawMode) {}
    fn push_clip_path(&mut self, _: &ClipPath) {}
    fn push_transparency_group(&mut self, _: f32, _: Option<SoftMask<'_>>, _: BlendMode) {}
    fn draw_image(&mut self, image: Image<'_, '_>, props: ImageDrawProps<'_>) {
        let size = Rect::new(0.0, 0.0, image.width().into(), image.height().into());
        let seen = props.transform.transform_rect_bbox(size).intersect(self.bounds);
        // Scans may come in strips.
        self.pictured = (self.pictured + seen.area() / self.bounds.area().max(1.0)).min(1.0);
    }
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
