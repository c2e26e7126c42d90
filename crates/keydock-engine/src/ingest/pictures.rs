//! PNG, JPEG, TIFF, BMP, GIF and WebP: from a file to grey pixels.

use std::io::Cursor;

use image::{
    DynamicImage, GrayImage, ImageDecoder, ImageFormat, ImageReader, Limits, imageops::FilterType,
};

use crate::{error::Error, eyes::Picture};

/// A picture with more pixels than this is not meant to be read.
const MAX_PIXELS: u64 = 60_000_000;
/// What a decoder may take.
const MAX_MEMORY: u64 = 300 << 20;
/// No side of a picture is longer.
const MAX_SIDE: u32 = 30_000;
/// Letters of pictures with a shorter side than this are too small to be told apart.
const FINE_ENOUGH: u32 = 1_300;
/// No paper but that of receipts is so many times as high as it is wide.
const NARROW: f64 = 1.6;

/// The pages of a picture: more than one only in TIFF.
pub(super) fn read(bytes: &[u8], format: ImageFormat, max_pages: usize) -> Pages {
    let offsets = match format {
        ImageFormat::Tiff => tiff_pages(bytes, max_pages + 1),
        _ => Vec::new(),
    };
    Pages { bytes: bytes.to_vec(), format, offsets }
}

/// A file of pictures.
pub(super) struct Pages {
    bytes: Vec<u8>,
    format: ImageFormat,
    /// Where the pages of a TIFF begin.
    offsets: Vec<u32>,
}

impl Pages {
    pub(super) fn count(&self) -> usize {
        self.offsets.len().max(1)
    }

    /// Decodes a page, counted from 0.
    pub(super) fn page(&mut self, index: usize) -> Result<Picture, Error> {
        if let Some(offset) = self.offsets.get(index).filter(|_| index > 0) {
            let is_little = self.bytes.starts_with(b"II");
            let offset = if is_little { offset.to_le_bytes() } else { offset.to_be_bytes() };
            if let Some(first) = self.bytes.get_mut(4..8) {
                first.copy_from_slice(&offset);
            }
        }
        decode(&self.bytes, self.format)
    }
}

fn decode(bytes: &[u8], format: ImageFormat) -> Result<Picture, Error> {
    let broken = |error: image::ImageError| Error::damaged(format!("the picture: {error}"));
    let mut reader = ImageReader::with_format(Cursor::new(bytes), format);
    let mut limits = Limits::default();
    limits.max_alloc = Some(MAX_MEMORY);
    limits.max_image_width = Some(MAX_SIDE);
    limits.max_image_height = Some(MAX_SIDE);
    reader.limits(limits);
    let mut decoder = reader.into_decoder().map_err(broken)?;
    let (width, height) = decoder.dimensions();
    if u64::from(width) * u64::from(height) > MAX_PIXELS {
        return Err(Error::damaged(format!("the picture has {width} × {height} pixels")));
    }
    let orientation = decoder.orientation().map_err(broken)?;
    let mut image = DynamicImage::from_decoder(decoder).map_err(broken)?;
    image.apply_orientation(orientation);
    Ok(picture(on_white(image)))
}

/// Grey, with what is transparent made white.
fn on_white(image: DynamicImage) -> GrayImage {
    if !image.color().has_alpha() {
        return image.into_luma8();
    }
    let image = image.into_luma_alpha8();
    GrayImage::from_fn(image.width(), image.height(), |x, y| {
        let image::LumaA([grey, alpha]) = *image.get_pixel(x, y);
        let (grey, alpha) = (u16::from(grey), u16::from(alpha));
        let mixed = (grey * alpha + 255 * (255 - alpha)) / 255;
        image::Luma([u8::try_from(mixed).unwrap_or(255)])
    })
}

/// Small pictures are made larger, since Tesseract wants letters of some height. They, and narrow
/// ones, are receipts or parts of a page, whose lines go all across.
fn picture(image: GrayImage) -> Picture {
    let (width, height) = image.dimensions();
    let is_small = width.min(height) < FINE_ENOUGH && width.max(height) < 3 * FINE_ENOUGH;
    let is_one_block = is_small || f64::from(height) > NARROW * f64::from(width);
    let image = if is_small {
        image::imageops::resize(&image, width * 2, height * 2, FilterType::CatmullRom)
    } else {
        image
    };
    let (width, height) = image.dimensions();
    let dots_per_inch = dots(width.min(height));
    Picture { width, height, dots_per_inch, is_one_block, grey: image.into_raw() }
}

/// What a file says of its resolution is mostly wrong: paper is about eight inches wide.
#[expect(clippy::cast_precision_loss, reason = "pictures have fewer than 2^24 pixels a side")]
fn dots(short_side: u32) -> f32 {
    (short_side as f32 / 8.27).clamp(70.0, 600.0)
}

/// Where the pages of a TIFF begin, in their order; none that comes twice.
fn tiff_pages(bytes: &[u8], most: usize) -> Vec<u32> {
    let is_little = bytes.starts_with(b"II");
    let number = |at: usize, length: usize| -> Option<u32> {
        let digits = bytes.get(at..at.checked_add(length)?)?;
        let push = |sum: u32, &digit: &u8| (sum << 8) | u32::from(digit);
        Some(if is_little {
            digits.iter().rev().fold(0, push)
        } else {
            digits.iter().fold(0, push)
        })
    };
    let mut pages = Vec::new();
    let mut next = number(4, 4);
    while let Some(offset) = next.filter(|&offset| offset > 0 && !pages.contains(&offset)) {
        if pages.len() >= most {
            break;
        }
        let Ok(at) = usize::try_from(offset) else { break };
        let Some(count) = number(at, 2) else { break };
        pages.push(offset);
        next = usize::try_from(count).ok().and_then(|count| number(at + 2 + 12 * count, 4));
    }
    pages
}
