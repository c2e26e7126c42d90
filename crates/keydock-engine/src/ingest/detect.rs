//! What kind of document some bytes are. The content decides; what the sender declares may only
//! choose among kinds of text.

use image::ImageFormat;

use super::{decode, office};
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
    Mail,
    Picture(ImageFormat),
    Docx,
    Xlsx,
    Pptx,
    Odt,
    Ods,
    Odp,
    Doc,
    Xls,
    Ppt,
}

impl Format {
    pub(super) const fn media_type(self) -> &'static str {
        match self {
            Self::Pdf => "application/pdf",
            Self::Html => "text/html",
            Self::Json => "application/json",
            Self::Csv(_) => "text/csv",
            Self::Text => "text/plain",
            Self::Mail => "message/rfc822",
            Self::Picture(ImageFormat::Png) => "image/png",
            Self::Picture(ImageFormat::Jpeg) => "image/jpeg",
            Self::Picture(ImageFormat::Gif) => "image/gif",
            Self::Picture(ImageFormat::Bmp) => "image/bmp",
            Self::Picture(ImageFormat::WebP) => "image/webp",
            Self::Picture(_) => "image/tiff",
            Self::Docx => "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
            Self::Xlsx => "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
            Self::Pptx => {
                "application/vnd.openxmlformats-officedocument.presentationml.presentation"
            }
            Self::Odt => "application/vnd.oasis.opendocument.text",
            Self::Ods => "application/vnd.oasis.opendocument.spreadsheet",
            Self::Odp => "application/vnd.oasis.opendocument.presentation",
            Self::Doc => "application/msword",
            Self::Xls => "application/vnd.ms-excel",
            Self::Ppt => "application/vnd.ms-powerpoint",
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Pdf => "PDF",
            Self::Html => "HTML",
            Self::Json => "JSON",
            Self::Csv(_) => "CSV",
            Self::Text => "plain text",
            Self::Mail => "an e-mail",
            Self::Picture(_) => "a picture",
            Self::Docx | Self::Doc => "a Word document",
            Self::Xlsx | Self::Xls => "an Excel workbook",
            Self::Pptx | Self::Ppt => "a PowerPoint presentation",
            Self::Odt => "an OpenDocument text",
            Self::Ods => "an OpenDocument spreadsheet",
            Self::Odp => "an OpenDocument presentation",
        }
    }

    /// Whether it is read as characters, of which kinds look alike.
    const fn is_text(self) -> bool {
        matches!(self, Self::Html | Self::Json | Self::Csv(_) | Self::Text | Self::Mail)
    }

    const fn is_archive(self) -> bool {
        matches!(self, Self::Docx | Self::Xlsx | Self::Pptx | Self::Odt | Self::Ods | Self::Odp)
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
        || (declared.ends_with("+xml") && declared != "image/svg+xml")
        || matches!(declared, "application/json" | "application/xml" | "application/csv");
    match declared {
        "" | "application/octet-stream" | "binary/octet-stream" => false,
        "application/x-pdf" => format != Format::Pdf,
        // Whoever knows no office documents takes them for what they are made of.
        "application/zip" | "application/x-zip-compressed" => !format.is_archive(),
        "application/x-ole-storage" | "application/cdfv2" => {
            !matches!(format, Format::Doc | Format::Xls | Format::Ppt)
        }
        // Spreadsheets announce CSV files this way, and programs mix up the old and the new.
        "application/vnd.ms-excel" => {
            !matches!(format, Format::Csv(_) | Format::Xls | Format::Xlsx)
        }
        "application/msword" => !matches!(format, Format::Doc | Format::Docx),
        "application/vnd.ms-powerpoint" => !matches!(format, Format::Ppt | Format::Pptx),
        "image/jpg" | "image/pjpeg" => format != Format::Picture(ImageFormat::Jpeg),
        "image/x-png" => format != Format::Picture(ImageFormat::Png),
        "image/tif" | "image/x-tiff" => format != Format::Picture(ImageFormat::Tiff),
        "image/x-ms-bmp" | "image/x-bmp" => format != Format::Picture(ImageFormat::Bmp),
        "application/eml" | "message/global" => format != Format::Mail,
        _ if format.is_text() => !is_text && declared != format.media_type(),
        _ => !of_office(declared, format) && declared != format.media_type(),
    }
}

/// Documents with macros and templates have types of their own.
fn of_office(declared: &str, format: Format) -> bool {
    let is_office = |kind: &str| {
        declared.starts_with("application/vnd.openxmlformats-officedocument.")
            && declared.contains(kind)
    };
    match format {
        Format::Docx => {
            is_office("wordprocessingml") || declared.starts_with("application/vnd.ms-word")
        }
        Format::Xlsx => {
            is_office("spreadsheetml") || declared.starts_with("application/vnd.ms-excel")
        }
        Format::Pptx => {
            is_office("presentationml") || declared.starts_with("application/vnd.ms-powerpoint")
        }
        Format::Odt | Format::Ods | Format::Odp => declared.starts_with(format.media_type()),
        _ => false,
    }
}

/// What the sender says about the document.
#[derive(Clone, Copy)]
struct Hint<'a> {
    declared: Option<&'a str>,
    name: &'a str,
}

impl Hint<'_> {
    fn is_named(self, extension: &str) -> bool {
        self.name.rsplit_once('.').is_some_and(|(_, end)| end.eq_ignore_ascii_case(extension))
    }

    fn says_mail(self) -> bool {
        self.is_named("eml") || self.declared == Some("message/rfc822")
    }

    fn says_csv(self) -> bool {
        let named = self.is_named("csv") || self.is_named("tsv");
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
    let is_zip = bytes.starts_with(b"PK\x03\x04") || bytes.starts_with(b"PK\x05\x06");
    if !is_zip && is_also_zip(bytes) {
        return Err(unsupported("a ZIP archive and something else at once"));
    }
    if start.starts_with(b"%PDF-") {
        return Ok(Format::Pdf);
    }
    if bytes.get(..bytes.len().min(1024)).is_some_and(|head| contains(head, b"%PDF-1")) {
        return Err(unsupported("a PDF hidden behind something else"));
    }
    if is_zip {
        return office::of_archive(bytes);
    }
    if bytes.starts_with(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1") {
        return office::of_compound(bytes);
    }
    if let Some(format) = picture(bytes) {
        return Ok(Format::Picture(format));
    }
    if let Some(found) = magic(bytes) {
        return Err(unsupported(found));
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
    if bytes.get(4..8) == Some(b"ftyp") {
        return Some("a video or an image (MP4, HEIC)");
    }
    let found = MAGIC.iter().find(|(magic, _)| bytes.starts_with(magic));
    // Three letters may also begin a text.
    let is_word = |magic: &[u8]| magic.len() < 4 && magic.iter().all(u8::is_ascii_graphic);
    found.filter(|(magic, _)| !is_word(magic) || is_binary(bytes)).map(|&(_, name)| name)
}

/// Which kind of picture.
fn picture(bytes: &[u8]) -> Option<ImageFormat> {
    let starts = |magic: &[u8]| bytes.starts_with(magic);
    if starts(b"\x89PNG\r\n\x1a\n") {
        Some(ImageFormat::Png)
    } else if starts(b"\xff\xd8\xff") {
        Some(ImageFormat::Jpeg)
    } else if starts(b"GIF87a") || starts(b"GIF89a") {
        Some(ImageFormat::Gif)
    } else if starts(b"II*\0") || starts(b"MM\0*") {
        Some(ImageFormat::Tiff)
    } else if starts(b"RIFF") && bytes.get(8..12) == Some(b"WEBP") {
        Some(ImageFormat::WebP)
    } else if starts(b"BM") && bytes.get(6..10) == Some(&[0; 4]) {
        // Two letters may also begin a text, but zeros do not follow there.
        Some(ImageFormat::Bmp)
    } else {
        None
    }
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
        || decode::is_utf32(bytes)
        || decode::wide(bytes).is_some()
    {
        return false;
    }
    // ESC begins the shifts of Japanese text.
    let is_control = |byte: &&u8| matches!(byte, 0..=8 | 14..=26 | 28..=31 | 127);
    let controls = bytes.iter().filter(is_control).count();
    bytes.contains(&0) || controls * 100 > bytes.len()
}

/// Which kind of text.
fn textual(text: &str, hint: Hint) -> Result<Format, Error> {
    if looks_like_mail(text, hint) {
        return Ok(Format::Mail);
    }
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

/// Whether the text begins with the header of an e-mail.
fn looks_like_mail(text: &str, hint: Hint) -> bool {
    let mut fields = Vec::new();
    for line in text.lines().take(200).take_while(|line| !line.trim().is_empty()) {
        if line.starts_with([' ', '\t']) && !fields.is_empty() {
            continue;
        }
        match line.split_once(':') {
            Some((name, _)) if is_field_name(name) => fields.push(name.to_ascii_lowercase()),
            // What mailboxes put before a message.
            None if fields.is_empty() && line.starts_with("From ") => {}
            _ => return false,
        }
    }
    let has = |names: &[&str]| names.iter().any(|name| fields.iter().any(|field| field == name));
    let is_sent = has(&["from", "sender"]) && has(&["date", "to", "subject"]);
    is_sent && (has(&["mime-version", "message-id", "received", "return-path"]) || hint.says_mail())
}

fn is_field_name(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
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
