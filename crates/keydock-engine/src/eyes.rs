//! Reading pictures of text, which somebody else has to do: a parser has no business starting
//! programs.

use keydock_core::workflows::Ocr;
use serde::{Deserialize, Serialize};

use crate::error::Error;

/// A picture of text.
#[derive(Debug, Clone)]
pub(crate) struct Picture {
    /// In pixels.
    pub(crate) width: u32,
    /// In pixels.
    pub(crate) height: u32,
    /// How many pixels are an inch of paper, more or less.
    pub(crate) dots_per_inch: f32,
    /// Whether its lines go all across, as on receipts; otherwise there may be columns.
    pub(crate) is_one_block: bool,
    /// One byte for every pixel, from black to white, line by line.
    pub(crate) grey: Vec<u8>,
}

/// What is wanted of who reads a picture.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct PictureRequest {
    /// In pixels.
    pub(crate) width: u32,
    /// In pixels.
    pub(crate) height: u32,
    /// How many pixels are an inch of paper, more or less.
    pub(crate) dots_per_inch: u32,
    /// Whether its lines go all across.
    pub(crate) is_one_block: bool,
    /// The languages, most likely first.
    pub(crate) languages: Vec<String>,
    /// Whether all of the languages are needed.
    pub(crate) needs_all: bool,
}

/// Somebody who reads pictures: answers the table of words that Tesseract writes.
pub(crate) type Read<'a> = dyn FnMut(&PictureRequest, &[u8]) -> Result<String, Error> + 'a;

/// Who reads the pictures of a document.
pub(crate) struct Eyes<'a> {
    read: &'a mut Read<'a>,
    ocr: &'a Ocr,
}

impl<'a> Eyes<'a> {
    pub(crate) fn new(read: &'a mut Read<'a>, ocr: &'a Ocr) -> Self {
        Self { read, ocr }
    }

    /// The same eyes, for a while.
    pub(crate) fn reborrow(&mut self) -> Eyes<'_> {
        Eyes { read: &mut *self.read, ocr: self.ocr }
    }

    /// How pictures are to be read.
    pub(crate) fn ocr(&self) -> &Ocr {
        self.ocr
    }

    /// Reads a picture. The answer has a line for every word.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "some hundreds")]
    pub(crate) fn read(&mut self, picture: &Picture) -> Result<String, Error> {
        let request = PictureRequest {
            width: picture.width,
            height: picture.height,
            dots_per_inch: picture.dots_per_inch.clamp(70.0, 1_200.0) as u32,
            is_one_block: picture.is_one_block,
            languages: self.ocr.languages.clone(),
            needs_all: self.ocr.is_chosen,
        };
        (self.read)(&request, &picture.grey)
    }
}

/// Nobody: outside of the sandbox no program is started.
pub(crate) fn blind(_: &PictureRequest, _: &[u8]) -> Result<String, Error> {
    Err(Error::PictureUnread { reason: "pictures are read only in the sandbox".to_owned() })
}
