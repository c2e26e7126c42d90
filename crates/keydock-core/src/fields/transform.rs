//! What is done to a found text before it is read as a value.

use regex::Regex;

use super::Pattern;

/// One step.
#[derive(Debug, Clone)]
pub enum Transform {
    /// All letters large.
    Upper,
    /// All letters small.
    Lower,
    /// Only digits stay.
    Digits,
    /// Only letters and digits stay.
    Alphanumeric,
    /// Spaces and line breaks go.
    NoSpaces,
    /// Line breaks become spaces.
    OneLine,
    /// Only the first line stays.
    FirstLine,
    /// Only the last line stays.
    LastLine,
    /// Letters that are taken for digits become digits: O, I, l, S, B.
    DigitsFromLetters,
    /// What matches is replaced; `$1` and `${name}` are groups.
    Replace {
        /// What is looked for.
        pattern: Pattern,
        /// What stands there afterwards.
        with: String,
    },
    /// A text becomes another; those that are not named stay.
    Map(Vec<(String, String)>),
}

impl Transform {
    /// The text after this step.
    pub fn apply(&self, text: &str) -> String {
        match self {
            Self::Upper => text.to_uppercase(),
            Self::Lower => text.to_lowercase(),
            Self::Digits => text.chars().filter(char::is_ascii_digit).collect(),
            Self::Alphanumeric => text.chars().filter(|c| c.is_alphanumeric()).collect(),
            Self::NoSpaces => text.chars().filter(|c| !c.is_whitespace()).collect(),
            Self::OneLine => text.split_whitespace().collect::<Vec<_>>().join(" "),
            Self::FirstLine => text.trim().lines().next().unwrap_or_default().to_owned(),
            Self::LastLine => text.trim().lines().last().unwrap_or_default().to_owned(),
            Self::DigitsFromLetters => text.chars().map(digit_from_letter).collect(),
            Self::Replace { pattern, with } => {
                let regex: &Regex = pattern.regex();
                regex.replace_all(text, with.as_str()).into_owned()
            }
            Self::Map(pairs) => {
                let text = text.trim();
                let same = |from: &str| from.to_lowercase() == text.to_lowercase();
                let found = pairs.iter().find(|(from, _)| same(from));
                found.map_or_else(|| text.to_owned(), |(_, to)| to.clone())
            }
        }
    }
}

const fn digit_from_letter(letter: char) -> char {
    match letter {
        'O' | 'o' | 'Q' => '0',
        'I' | 'l' | '|' | 'i' => '1',
        'Z' | 'z' => '2',
        'S' | 's' => '5',
        'B' => '8',
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_step_does_what_it_says() {
        let replace = |pattern: &str, with: &str| Transform::Replace {
            pattern: Pattern::parse(pattern).unwrap(),
            with: with.to_owned(),
        };
        let map = Transform::Map(vec![("Ja".to_owned(), "yes".to_owned())]);
        for (step, text, expected) in [
            (Transform::Upper, "aß b", "ASS B"),
            (Transform::Lower, "ÄB", "äb"),
            (Transform::Digits, "a1-2 3", "123"),
            (Transform::Alphanumeric, "a1-2 ü", "a12ü"),
            (Transform::NoSpaces, "# A\n1", "#A1"),
            (Transform::OneLine, "a \n  b", "a b"),
            (Transform::FirstLine, "\na\nb", "a"),
            (Transform::LastLine, "a\nb\n", "b"),
            (Transform::DigitsFromLetters, "1O.S0", "10.50"),
            (replace("(a)(b)", "$2-$1"), "xab", "xb-a"),
            (map, " ja ", "yes"),
        ] {
            assert_eq!(step.apply(text), expected, "{step:?}");
        }
    }
}
