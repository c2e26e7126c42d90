//! How pictures of text are read.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Which pages are read as pictures.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OcrMode {
    /// Pictures, and pages without a text layer.
    #[default]
    Auto,
    /// Every page of a PDF, even if it has a text layer, and every picture.
    Always,
    /// None: a picture gives no text.
    Never,
}

/// How pictures of text are read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ocr {
    /// Which pages are read as pictures.
    pub mode: OcrMode,
    /// The languages, most likely first, by the names that Tesseract has for them.
    pub languages: Vec<String>,
    /// Whether somebody chose the languages. Of those that nobody chose, some may be missing.
    pub is_chosen: bool,
}

/// The most languages of one document.
pub(super) const MAX_LANGUAGES: usize = 8;

/// Whether it may be the name of a language: it becomes part of a command line.
pub(super) fn is_language(name: &str) -> bool {
    (3..=20).contains(&name.len())
        && name.starts_with(|c: char| c.is_ascii_alphabetic())
        && name.bytes().all(|byte| byte.is_ascii_alphabetic() || byte == b'_')
}

/// The languages of a document in a locale: its own, and English.
pub(super) fn languages_of(locale: &str) -> Vec<String> {
    let own = match locale.get(..2).unwrap_or_default() {
        "de" => "deu",
        "fr" => "fra",
        "es" => "spa",
        "it" => "ita",
        "nl" => "nld",
        "pt" => "por",
        _ => return vec!["eng".to_owned()],
    };
    vec![own.to_owned(), "eng".to_owned()]
}
