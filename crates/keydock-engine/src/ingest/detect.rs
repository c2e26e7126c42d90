//! What kind of document some bytes are. The content decides; what the sender declares may only
//! choose among kinds of text.

use super::decode;
use crate::error::Error;

/// A kind of document that this version reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    Pdf,
    Html,
    Json,
    /// With the byte between the cells.
    Csv(u8),
    Text,
}

impl Format {
    pub(super) const fn media_type(self) -> &'static str {
        match self {
            Self::Pdf => "application/pdf",
            Self::Html => "text/html",
            Self::Json => "application/json",
            Self::Csv(_) => "text/csv",
            Self::Text => "text/plain",
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Pdf => "PDF",
            Self::Html => "HTML",
            Self::Json => "JSON",
            Self::Csv(_) => "CSV",
            Self::Text => "plain text",
        }
    }
}

/// Decides what the bytes are, or says what they are instead of something readable.
pub(super) fn format(
    bytes: &[u8],
    name: &str,
    declared_type: Option<&str>,
) -> Result<Format, Error> {
    let declared = declared_type.map(essence);
    let hint = Hint { declared: declared.as_deref(), name };
    let format = content(bytes, hint)?;
    match declared {
        Some(declared) if contradicts(&declared, format) => {
            Err(Error::DeclaredOtherwise { declared, found: format.name().to_owned() })
        }
        _ => Ok(format),
    }
}

/// A media type without its parameters.
fn essence(media_type: &str) -> String {
    let end = media_type.find(';').unwrap_or(media_type.len());
    media_type.get(..end).unwrap_or_default().trim().to_ascii_lowercase()
}

/// Whether a declared type can be told from what the content is. Types that say nothing, and
/// kinds of text among each other, do not contradict.
fn contradicts(declared: &str, format: Format) -> bool {
    let is_text = declared.starts_with("text/")
        || declared.ends_with("+json")
        || declared.ends_with("+xml")
        || matches!(declared, "application/json" | "application/xml" | "application/csv");
    match declared {
        "" | "application/octet-stream" | "binary/octet-stream" => false,
        "application/pdf" | "application/x-pdf" => format != Format::Pdf,
        _ if format == Format::Pdf => true,
        // Spreadsheets announce CSV files this way.
        "application/vnd.ms-excel" => !matches!(format, Format::Csv(_)),
        _ => !is_text,
    }
}

/// What the sender says about the document.
#[derive(Clone, Copy)]
struct Hint<'a> {
    declared: Option<&'a str>,
    name: &'a str,
}

impl Hint<'_> {
    fn says_csv(self) -> bool {
        let named = self.name.rsplit_once('.').is_some_and(|(_, extension)| {
            extension.eq_ignore_ascii_case("csv") || extension.eq_ignore_ascii_case("tsv")
        });
        let types = ["text/csv", "application/csv", "text/tab-separated-values"];
        named || self.declared.is_some_and(|declared| types.contains(&declared))
    }
}

fn content(bytes: &[u8], hint: Hint) -> Result<Format, Error> {
    if bytes.is_empty() {
        return Err(Error::Empty);
    }
    let start = bytes.trim_ascii_start();
    let start = start.strip_prefix(b"\xef\xbb\xbf").unwrap_or(start);
    if start.starts_with(b"%PDF-") {
        return if is_also_zip(bytes) {
            Err(unsupported("a PDF and a ZIP archive at once"))
        } else {
            Ok(Format::Pdf)
        };
    }
    if let Some(found) = magic(bytes) {
        return Err(unsupported(found));
    }
    if bytes.get(..bytes.len().min(1024)).is_some_and(|head| contains(head, b"%PDF-1")) {
        return Err(unsupported("a PDF hidden behind something else"));
    }
    if is_binary(bytes) {
        return Err(unsupported("in an unknown binary format"));
    }
    let text = decode::text(bytes);
    let text = text.trim_start_matches('\u{feff}').trim();
    if text.is_empty() { Err(Error::Empty) } else { textual(text, hint) }
}

fn unsupported(found: &str) -> Error {
    Error::UnsupportedFormat { found: found.to_owned() }
}

/// First bytes of formats that people send, and what they are.
const MAGIC: &[(&[u8], &str)] = &[
    (b"\x89PNG\r\n\x1a\n", "an image (PNG)"),
    (b"\xff\xd8\xff", "an image (JPEG)"),
    (b"GIF87a", "an image (GIF)"),
    (b"GIF89a", "an image (GIF)"),
    (b"II*\0", "an image (TIFF)"),
    (b"MM\0*", "an image (TIFF)"),
    (b"BM", "an image (BMP)"),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "an older office document (doc, xls, ppt or msg)"),
    (b"{\\rtf", "a rich text document (RTF)"),
    (b"%!PS", "a PostScript file"),
    (b"\x1f\x8b", "a gzip archive"),
    (b"BZh", "a bzip2 archive"),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive"),
    (b"Rar!\x1a\x07", "a RAR archive"),
    (b"\xfd7zXZ\0", "an xz archive"),
    (b"\x28\xb5\x2f\xfd", "a zstd archive"),
    (b"\x7fELF", "a program"),
    (b"MZ\x90\0", "a program"),
    (b"\xca\xfe\xba\xbe", "a program"),
    (b"SQLite format 3\0", "a database"),
    (b"ID3", "a sound recording (MP3)"),
    (b"OggS", "a sound recording (Ogg)"),
    (b"\0asm", "a program (WebAssembly)"),
];

fn magic(bytes: &[u8]) -> Option<&'static str> {
    if bytes.starts_with(b"PK\x03\x04") || bytes.starts_with(b"PK\x05\x06") {
        return Some(archive(bytes));
    }
    if bytes.get(4..8) == Some(b"ftyp") {
        return Some("a video or an image (MP4, HEIC)");
    }
    if bytes.starts_with(b"RIFF") && bytes.get(8..12) == Some(b"WEBP") {
        return Some("an image (WebP)");
    }
    let found = MAGIC.iter().find(|(magic, _)| bytes.starts_with(magic));
    // Two letters may also begin a text.
    let is_word = |magic: &[u8]| magic.len() < 4 && magic.iter().all(u8::is_ascii_graphic);
    found.filter(|(magic, _)| !is_word(magic) || is_binary(bytes)).map(|&(_, name)| name)
}

/// Which kind of ZIP archive, judged by the names of its first members.
fn archive(bytes: &[u8]) -> &'static str {
    let head = bytes.get(..bytes.len().min(8192)).unwrap_or_default();
    let kinds: [(&[u8], &str); 7] = [
        (b"word/", "a Word document (docx)"),
        (b"xl/", "an Excel workbook (xlsx)"),
        (b"ppt/", "a PowerPoint presentation (pptx)"),
        (b"application/vnd.oasis.opendocument", "an OpenDocument file (odt, ods or odp)"),
        (b"application/epub+zip", "an e-book (EPUB)"),
        (b"[Content_Types].xml", "an office document (docx, xlsx or pptx)"),
        (b"META-INF/", "a Java archive"),
    ];
    let found = kinds.into_iter().find(|(name, _)| contains(head, name));
    found.map_or("a ZIP archive", |(_, kind)| kind)
}

/// Whether a directory of a ZIP archive ends where the bytes end.
fn is_also_zip(bytes: &[u8]) -> bool {
    let tail = bytes.get(bytes.len().saturating_sub(65_557)..).unwrap_or_default();
    tail.windows(22).enumerate().any(|(at, window)| {
        let comment = window.get(20..22).and_then(|two| two.try_into().ok());
        let comment = comment.map(|two| usize::from(u16::from_le_bytes(two)));
        window.starts_with(b"PK\x05\x06") && comment == tail.len().checked_sub(at + 22)
    })
}

fn contains(bytes: &[u8], needle: &[u8]) -> bool {
    bytes.windows(needle.len()).any(|window| window == needle)
}

/// Text has no control characters but those of layout, unless it is UTF-16.
fn is_binary(bytes: &[u8]) -> bool {
    if bytes.starts_with(b"\xff\xfe")
        || bytes.starts_with(b"\xfe\xff")
        || decode::wide(bytes).is_some()
    {
        return false;
    }
    let is_control = |byte: &&u8| matches!(byte, 0..=8 | 14..=26 | 28..=31 | 127);
    let controls = bytes.iter().filter(is_control).count();
    bytes.contains(&0) || controls * 100 > bytes.len()
}

/// Which kind of text.
fn textual(text: &str, hint: Hint) -> Result<Format, Error> {
    if looks_like_html(text) {
        return Ok(Format::Html);
    }
    if text.starts_with("<?xml") || hint.declared.is_some_and(|it| it.ends_with("xml")) {
        return Err(unsupported("XML"));
    }
    if text.starts_with(['{', '[']) && super::json::is_json(text) {
        return Ok(Format::Json);
    }
    match delimiter(text, hint.says_csv()) {
        Some(delimiter) => Ok(Format::Csv(delimiter)),
        None => Ok(Format::Text),
    }
}

fn looks_like_html(text: &str) -> bool {
    let head: String = text.chars().take(2_000).collect::<String>().to_ascii_lowercase();
    let head = head.strip_prefix("<?xml").map_or(head.as_str(), after_declaration);
    let mut rest = head.trim_start();
    while let Some(comment) = rest.strip_prefix("<!--") {
        let Some((_, after)) = comment.split_once("-->") else { return false };
        rest = after.trim_start();
    }
    let tags = ["<!doctype html", "<html", "<head", "<body", "<table", "<div", "<p>", "<h1"];
    tags.iter().any(|tag| rest.starts_with(tag))
}

fn after_declaration(text: &str) -> &str {
    text.split_once("?>").map_or("", |(_, rest)| rest)
}

/// The byte that separates cells: one that stands equally often on the first lines.
fn delimiter(text: &str, says_csv: bool) -> Option<u8> {
    let lines: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).take(10).collect();
    let is_delimiter = |delimiter: u8| {
        let count = |line: &&str| unquoted(line, delimiter);
        let first = lines.first().map_or(0, count);
        first > 0 && lines.len() > 1 && lines.iter().all(|line| count(line) == first)
    };
    let found = [b'\t', b';', b'|', b','].into_iter().find(|&delimiter| is_delimiter(delimiter));
    // Prose may have a comma on each of its lines; then a space follows.
    let is_prose = found == Some(b',') && lines.iter().all(|line| line.contains(", "));
    if !says_csv {
        return found.filter(|_| !is_prose);
    }
    let most = || {
        let total = |delimiter: &u8| lines.iter().map(|line| unquoted(line, *delimiter)).sum();
        let most: Option<u8> =
            [b'\t', b'|', b';', b','].into_iter().max_by_key(|it| -> usize { total(it) });
        most
    };
    found.or_else(most)
}

/// How often a byte stands outside of quotes.
fn unquoted(line: &str, wanted: u8) -> usize {
    let mut is_quoted = false;
    let mut count = 0;
    for byte in line.bytes() {
        is_quoted ^= byte == b'"';
        count += usize::from(byte == wanted && !is_quoted);
    }
    count
}
