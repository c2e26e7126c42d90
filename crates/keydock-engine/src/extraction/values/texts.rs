//! Text as it stands, and e-mail addresses.

use std::sync::LazyLock;

use regex::Regex;

use super::Read;

/// The text without its margins, and with runs of spaces made one; line breaks stay.
pub(super) fn text(text: &str) -> Option<Read> {
    let lines = text.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "));
    let lines: Vec<String> = lines.filter(|line| !line.is_empty()).collect();
    let start = text.len() - text.trim_start().len();
    let range = start..start + text.trim().len();
    (!lines.is_empty()).then(|| Read::new(lines.join("\n").into(), range))
}

static EMAIL: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"(?i)[a-z0-9][a-z0-9.!#$%&'*+/=?^_`{|}~-]*@(?:[a-z0-9-]+\.)+[a-z]{2,24}\b")
        .expect("a constant pattern")
});

/// The first address in the text.
pub(super) fn email(text: &str) -> Option<Read> {
    let found = EMAIL.find(text)?;
    Some(Read::new(found.as_str().into(), found.range()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_found_in_their_surroundings() {
        let read = |text: &str| email(text).map(|it| it.value);
        assert_eq!(read("Mail: <a.b+c@mail.example.com>."), Some("a.b+c@mail.example.com".into()));
        assert_eq!(read("someone (at) example.com"), None);
        assert_eq!(read("@example.com"), None);
    }

    #[test]
    fn text_loses_its_spare_spaces() {
        let read = text("  a   b \n\n c ").unwrap();
        assert_eq!((read.value, read.range), ("a b\nc".into(), 2..12));
        assert_eq!(text(" \n "), None);
    }
}
