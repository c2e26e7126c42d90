//! Whose conventions a text follows.

/// A language with a region, such as `de-CH`: how numbers, dates and words are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Locale {
    language: Language,
    region: Option<[u8; 2]>,
}

/// A language whose months and words for yes and no are known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Language {
    /// English.
    English,
    /// German.
    German,
    /// French.
    French,
    /// Spanish.
    Spanish,
    /// Italian.
    Italian,
    /// Dutch.
    Dutch,
    /// Portuguese.
    Portuguese,
}

impl Language {
    /// Every language, in the order in which other languages are tried.
    pub const ALL: [Self; 7] = [
        Self::English,
        Self::German,
        Self::French,
        Self::Spanish,
        Self::Italian,
        Self::Dutch,
        Self::Portuguese,
    ];

    /// The code of ISO 639-1.
    pub const fn code(self) -> &'static str {
        match self {
            Self::English => "en",
            Self::German => "de",
            Self::French => "fr",
            Self::Spanish => "es",
            Self::Italian => "it",
            Self::Dutch => "nl",
            Self::Portuguese => "pt",
        }
    }
}

impl Default for Locale {
    fn default() -> Self {
        Self { language: Language::English, region: None }
    }
}

impl Locale {
    /// Reads `de`, `de-CH` or `de_CH`; `None` for a language that is not known.
    pub fn parse(text: &str) -> Option<Self> {
        let (language, region) = match text.split_once(['-', '_']) {
            Some((language, region)) => (language, Some(region)),
            None => (text, None),
        };
        let language =
            Language::ALL.into_iter().find(|it| it.code().eq_ignore_ascii_case(language))?;
        let region = region.map(parse_region).transpose().ok()?;
        Some(Self { language, region })
    }

    /// A language without a region.
    pub const fn of(language: Language) -> Self {
        Self { language, region: None }
    }

    /// The language.
    pub const fn language(self) -> Language {
        self.language
    }

    /// Whether a single `.` in a number is the decimal mark: `1.234` is little more than one.
    pub fn has_decimal_point(self) -> bool {
        match self.language {
            Language::English => true,
            Language::German | Language::Italian | Language::French => {
                self.is_in(&[*b"CH", *b"LI"])
            }
            Language::Spanish => self.is_in(&[*b"MX", *b"US", *b"PR", *b"PA", *b"GT", *b"DO"]),
            Language::Dutch | Language::Portuguese => false,
        }
    }

    /// Whether `3/4/2026` is the fourth of March: English without a region, and the USA.
    pub fn has_month_first(self) -> bool {
        self.language == Language::English
            && (self.region.is_none() || self.is_in(&[*b"US", *b"PH"]))
    }

    fn is_in(self, regions: &[[u8; 2]]) -> bool {
        self.region.is_some_and(|region| regions.contains(&region))
    }
}

fn parse_region(text: &str) -> Result<[u8; 2], ()> {
    match text.as_bytes() {
        [a, b] if a.is_ascii_alphabetic() && b.is_ascii_alphabetic() => {
            Ok([a.to_ascii_uppercase(), b.to_ascii_uppercase()])
        }
        _ => Err(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_locale_is_a_known_language_and_any_region() {
        assert_eq!(Locale::parse("de").map(Locale::language), Some(Language::German));
        assert_eq!(Locale::parse("PT_br").map(Locale::language), Some(Language::Portuguese));
        for bad in ["", "xx", "deutsch", "de-CHE", "de-1", "de-"] {
            assert_eq!(Locale::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn regions_change_marks_and_orders() {
        let point = |text| Locale::parse(text).is_some_and(Locale::has_decimal_point);
        assert!(point("en-GB") && point("de-CH") && point("es-MX"));
        assert!(!point("de") && !point("fr") && !point("pt-BR"));
        let month = |text| Locale::parse(text).is_some_and(Locale::has_month_first);
        assert!(month("en") && month("en-US"));
        assert!(!month("en-GB") && !month("es-US"));
    }
}
