//! Yes and no, in words and ticks.

use keydock_core::fields::Language;

use super::Read;

const fn words(language: Language) -> (&'static [&'static str], &'static [&'static str]) {
    match language {
        Language::English => (&["yes", "true", "on", "y"], &["no", "false", "off", "none", "n"]),
        Language::German => (&["ja", "wahr", "j"], &["nein", "falsch", "keine", "n"]),
        Language::French => (&["oui", "vrai", "o"], &["non", "faux", "n"]),
        Language::Spanish => (&["sí", "si", "verdadero", "s"], &["no", "falso", "n"]),
        Language::Italian => (&["sì", "si", "vero", "s"], &["no", "falso", "n"]),
        Language::Dutch => (&["ja", "waar", "j"], &["nee", "neen", "onwaar", "n"]),
        Language::Portuguese => (&["sim", "verdadeiro", "s"], &["não", "nao", "falso", "n"]),
    }
}

const TICKS: &[&str] = &["✓", "✔", "☑", "☒", "✅", "[x]", "(x)", "x", "1"];
const CROSSES: &[&str] = &["☐", "□", "✗", "✘", "❌", "[ ]", "[]", "( )", "()", "0", "-"];

/// Reads the first word; the language of the document first, then the others.
pub(super) fn read(text: &str, language: Language) -> Option<Read> {
    let start = text.len() - text.trim_start().len();
    let trimmed = text.trim();
    let others = Language::ALL.into_iter().filter(|&it| it != language);
    let mut languages = std::iter::once(language).chain(others);
    let word = trimmed.split(|c: char| !c.is_alphabetic()).next().unwrap_or_default();
    let lower = word.to_lowercase();
    let named = (!word.is_empty()).then(|| languages.find_map(|it| truth(&lower, words(it))));
    if let Some(Some(value)) = named {
        return Some(Read::new(value.into(), start..start + word.len()));
    }
    let (mark, value) = marked(&trimmed.to_lowercase())?;
    Some(Read::new(value.into(), start..start + mark.len()))
}

fn truth(word: &str, (yes, no): (&[&str], &[&str])) -> Option<bool> {
    if yes.contains(&word) { Some(true) } else { no.contains(&word).then_some(false) }
}

fn marked(text: &str) -> Option<(&'static str, bool)> {
    let ticks = TICKS.iter().map(|&mark| (mark, true));
    let mut marks = ticks.chain(CROSSES.iter().map(|&mark| (mark, false)));
    marks.find(|(mark, _)| {
        let rest = text.strip_prefix(mark);
        rest.is_some_and(|rest| !rest.starts_with(|c: char| c.is_alphanumeric()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn yes_and_no_are_read_in_every_language() {
        let read = |text, language| read(text, language).map(|it| it.value == true);
        for yes in ["Yes", "ja", "OUI", "sí", "sim", "x", "[X]", "✓", "true", "yes, please", "1"]
        {
            assert_eq!(read(yes, Language::English), Some(true), "{yes}");
        }
        for no in ["No.", "nein", "Non", "não", "[ ]", "☐", "false", "nee", "0"] {
            assert_eq!(read(no, Language::English), Some(false), "{no}");
        }
        for neither in ["maybe", "xylophone", "", "10", "yesterday"] {
            assert_eq!(read(neither, Language::English), None, "{neither}");
        }
        assert_eq!(read("o", Language::French), Some(true));
    }
}
