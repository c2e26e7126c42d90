//! Which kind of office document an archive or a compound file is. Its content says so.

use super::{
    archive::Archive,
    compound::Compound,
    detect::Format,
    xml::{self, Event},
};
use crate::error::Error;

/// What a ZIP archive is, or what it is instead of a document.
pub(super) fn of_archive(bytes: &[u8]) -> Result<Format, Error> {
    let mut archive = Archive::open(bytes)?;
    let other = |found: &str| Err(Error::UnsupportedFormat { found: found.to_owned() });
    if archive.has("mimetype") {
        return of_opendocument(&mut archive);
    }
    if !archive.has("[Content_Types].xml") {
        return other(if archive.has("META-INF/MANIFEST.MF") {
            "a Java archive"
        } else {
            "a ZIP archive"
        });
    }
    let mut found = None;
    xml::walk(&archive.text("[Content_Types].xml")?, |event| {
        if let Event::Open(element) = event
            && let Some(kind) = element.attribute("ContentType")
        {
            found = found.or(main_part(&kind));
        }
    })?;
    found.map_or_else(|| other("an office document of an unknown kind"), Ok)
}

/// The kind of document whose main part is of this type; those with macros and templates too.
fn main_part(kind: &str) -> Option<Format> {
    let kind = kind.to_ascii_lowercase();
    if !kind.ends_with(".main+xml") {
        return None;
    }
    if kind.contains("wordprocessingml") || kind.contains("ms-word") {
        Some(Format::Docx)
    } else if kind.contains("spreadsheetml") || kind.contains("ms-excel") {
        Some(Format::Xlsx)
    } else if kind.contains("presentationml") || kind.contains("ms-powerpoint") {
        Some(Format::Pptx)
    } else {
        None
    }
}

fn of_opendocument(archive: &mut Archive) -> Result<Format, Error> {
    let kind = archive.text("mimetype")?;
    let is_encrypted = archive.has("META-INF/manifest.xml")
        && archive.text("META-INF/manifest.xml")?.contains("encryption-data");
    let kind = kind.trim();
    let format = match kind.strip_prefix("application/vnd.oasis.opendocument.") {
        Some(kind) if kind.starts_with("text") => Format::Odt,
        Some(kind) if kind.starts_with("spreadsheet") => Format::Ods,
        Some(kind) if kind.starts_with("presentation") => Format::Odp,
        _ if kind == "application/epub+zip" => {
            return Err(Error::UnsupportedFormat { found: "an e-book (EPUB)".to_owned() });
        }
        _ => {
            return Err(Error::UnsupportedFormat { found: "a ZIP archive".to_owned() });
        }
    };
    if is_encrypted { Err(Error::Encrypted) } else { Ok(format) }
}

/// What an older office document is.
pub(super) fn of_compound(bytes: &[u8]) -> Result<Format, Error> {
    let file = Compound::open(bytes)?;
    if file.has("/EncryptedPackage") {
        Err(Error::Encrypted)
    } else if file.has("/WordDocument") {
        Ok(Format::Doc)
    } else if file.has("/Workbook") || file.has("/Book") {
        Ok(Format::Xls)
    } else if file.has("/PowerPoint Document") {
        Ok(Format::Ppt)
    } else {
        Err(Error::UnsupportedFormat {
            found: "an older document of an unknown kind (an Outlook message, for example)"
                .to_owned(),
        })
    }
}
