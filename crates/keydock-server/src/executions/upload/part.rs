//! The parts of a form, by what they are.

use multer::Field;

use super::super::{FileName, form};

/// The name of parts that hold files.
pub(super) const FILES: &str = "files";

/// What a part of a form is.
pub(super) enum Sort {
    /// A file, with the name that the client gave it.
    File(String),
    /// A field.
    Text(String),
    /// Called like a file, without a file name.
    Unnamed,
    /// With a file name, and called otherwise than files are.
    Misnamed(String),
}

impl Sort {
    pub(super) fn of(part: &Field<'_>) -> Self {
        let name = part.name().unwrap_or_default();
        match (name == FILES, file_name(part)) {
            (true, Some(file_name)) => Self::File(file_name),
            (true, None) => Self::Unnamed,
            (false, Some(_)) if !form::KNOWN.contains(&name) => {
                Self::Misnamed(FileName::shown(name).to_string())
            }
            (false, _) => Self::Text(name.to_owned()),
        }
    }
}

/// The file name of a part; older clients write one with other letters than ASCII as `filename*`.
fn file_name(part: &Field<'_>) -> Option<String> {
    if let Some(name) = part.file_name() {
        return Some(name.to_owned());
    }
    let disposition = part.headers().get("content-disposition")?;
    let disposition = String::from_utf8_lossy(disposition.as_bytes());
    let (_, rest) = disposition.split_once("filename")?;
    let value = rest.strip_prefix('*')?.trim_start().strip_prefix('=')?;
    let value = value.split(';').next().unwrap_or_default().trim().trim_matches('"');
    let encoded = value.rsplit('\'').next().unwrap_or_default();
    Some(percent_decoded(encoded))
}

fn percent_decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, tail)) = rest.split_first() {
        let code = tail.get(..2).filter(|_| *first == b'%');
        let code = code.and_then(|code| std::str::from_utf8(code).ok());
        if let Some(byte) = code.and_then(|code| u8::from_str_radix(code, 16).ok()) {
            bytes.push(byte);
            rest = &tail[2..];
        } else {
            bytes.push(*first);
            rest = tail;
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percent_codes_are_read_and_mistakes_are_kept() {
        assert_eq!(percent_decoded("R%C3%A9sum%C3%A9.pdf"), "Résumé.pdf");
        assert_eq!(percent_decoded("100%.pdf"), "100%.pdf");
        assert_eq!(percent_decoded("%"), "%");
        assert_eq!(percent_decoded("%zz%2"), "%zz%2");
    }
}
