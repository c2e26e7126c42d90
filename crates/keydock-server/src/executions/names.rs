//! What clients call their files, and what they say these are.

use std::fmt;

/// The name of a file, to be shown. Never a path: files are kept under ids of the server.
///
/// Without folders, control characters and marks that turn the direction of writing; 1 to 255
/// characters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileName(String);

const MOST: usize = 255;

impl FileName {
    /// What can be shown of whatever a client sent.
    pub fn shown(sent: &str) -> Self {
        let last =
            sent.rsplit(['/', '\\']).find(|part| !part.trim().is_empty()).unwrap_or_default();
        let plain: String = last.chars().filter(|c| !c.is_control() && !turns(*c)).collect();
        let plain = plain.trim();
        if plain.chars().all(|c| c == '.') {
            return Self("document".to_owned());
        }
        Self(shortened(plain))
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Marks that make a text read other than it is written, so that an `exe` looks like a `pdf`.
fn turns(c: char) -> bool {
    matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}

/// The extension is kept: it says what kind of text a text is.
fn shortened(name: &str) -> String {
    let len = name.chars().count();
    if len <= MOST {
        return name.to_owned();
    }
    let extension = name.rsplit_once('.').map(|(_, extension)| extension);
    let extension = extension.filter(|extension| extension.chars().count() <= 16);
    match extension {
        Some(extension) => {
            let stem = MOST - 1 - extension.chars().count();
            name.chars().take(stem).chain(['.']).chain(extension.chars()).collect()
        }
        None => name.chars().take(MOST).collect::<String>().trim_end().to_owned(),
    }
}

impl fmt::Display for FileName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What a client says that a file is; nothing is believed because of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeclaredType(String);

/// What may be said (CONTRACT 5.7).
const ALLOWED: &[&str] = &[
    "application/cdfv2",
    "application/json",
    "application/msword",
    "application/octet-stream",
    "application/pdf",
    "application/vnd.ms-excel",
    "application/vnd.ms-excel.sheet.macroenabled.12",
    "application/vnd.ms-powerpoint",
    "application/vnd.oasis.opendocument.presentation",
    "application/vnd.oasis.opendocument.spreadsheet",
    "application/vnd.oasis.opendocument.text",
    "application/vnd.openxmlformats-officedocument.presentationml.presentation",
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
    "image/bmp",
    "image/gif",
    "image/jpeg",
    "image/png",
    "image/tiff",
    "image/webp",
    "text/csv",
    "text/plain",
];

impl DeclaredType {
    /// Reads a `Content-Type`, without its parameters; nothing said is `application/octet-stream`.
    pub fn of(header: Option<&str>) -> Self {
        let essence = header.unwrap_or_default().split(';').next().unwrap_or_default().trim();
        let essence: String = essence.chars().filter(char::is_ascii_graphic).take(MOST).collect();
        if essence.is_empty() {
            return Self("application/octet-stream".to_owned());
        }
        Self(essence.to_ascii_lowercase())
    }

    /// The media type.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Why files that are said to be this are not read, if they are not.
    pub fn refusal(&self) -> Option<String> {
        if ALLOWED.binary_search(&self.0.as_str()).is_ok() {
            return None;
        }
        Some(format!(
            "files declared as {} are not accepted; send it as application/octet-stream to have its \
             content decide",
            self.0
        ))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_name_keeps_what_can_be_shown() {
        for (sent, shown) in [
            ("inv1.pdf", "inv1.pdf"),
            ("../../etc/passwd", "passwd"),
            (r"C:\Users\me\Rechnung März.pdf", "Rechnung März.pdf"),
            ("a/b/", "b"),
            ("", "document"),
            ("   ", "document"),
            ("..", "document"),
            ("/", "document"),
            ("a\0b\r\n.pdf", "ab.pdf"),
            ("invoice\u{202e}fdp.exe", "invoicefdp.exe"),
            ("CON", "CON"),
        ] {
            assert_eq!(FileName::shown(sent).as_str(), shown, "{sent:?}");
        }
        let long = FileName::shown(&format!("{}.pdf", "x".repeat(4_096)));
        assert_eq!(long.as_str().chars().count(), 255);
        assert!(long.as_str().ends_with("x.pdf"));
    }

    proptest! {
        /// Proves UPL-04.
        #[test]
        fn no_name_is_a_path(sent in any::<String>()) {
            let name = FileName::shown(&sent);
            let name = name.as_str();
            prop_assert!((1..=255).contains(&name.chars().count()));
            prop_assert!(!name.contains(['/', '\\', '\0', '\n', '\r']));
            prop_assert!(name != "." && name != "..");
            let again = FileName::shown(name);
            prop_assert_eq!(again.as_str(), name, "shown again it is the same");
        }
    }

    #[test]
    fn a_type_is_read_without_its_parameters() {
        assert!(ALLOWED.is_sorted());
        for (header, declared) in [
            (None, "application/octet-stream"),
            (Some(""), "application/octet-stream"),
            (Some("text/plain; charset=utf-8"), "text/plain"),
            (Some("Application/PDF"), "application/pdf"),
        ] {
            let declared_type = DeclaredType::of(header);
            assert_eq!(declared_type.as_str(), declared);
            assert_eq!(declared_type.refusal(), None);
        }
        let refusal = DeclaredType::of(Some("application/zip")).refusal().unwrap();
        assert!(refusal.contains("application/zip"), "{refusal}");
    }
}
