//! Dates, in figures and in words.

use std::{ops::Range, sync::LazyLock};

use keydock_core::fields::{DateFormat, DateOrder, DatePart, Language, ValueFormat};
use regex::{Captures, Regex};
use time::{Date, Month};

use super::Read;

/// Reads the first date, in one of the given formats or else in any.
pub(super) fn read(text: &str, format: &ValueFormat) -> Option<Read> {
    let languages = Languages(format.locale.language());
    let found = if format.date_formats.is_empty() {
        anything(text, format.date_order, languages)
    } else {
        let formats = format.date_formats.iter();
        formats.filter_map(|it| spelled_out(text, it, languages)).min_by_key(|it| it.range.start)
    }?;
    let mut read = Read::new(found.date.to_string().into(), found.range);
    if found.is_ambiguous {
        read.confidence = 0.8;
    }
    Some(read)
}

struct Found {
    date: Date,
    range: Range<usize>,
    is_ambiguous: bool,
}

/// Three numbers, with the year first or last.
static FIGURES: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r"(?x) \b (?:
        (?P<y1>[0-9]{4}) \s?[./-]\s? (?P<m1>[0-9]{1,2}) \s?[./-]\s? (?P<d1>[0-9]{1,2}) |
        (?P<a>[0-9]{1,2}) \s?(?P<mark>[./-])\s? (?P<b>[0-9]{1,2}) \s?[./-]\s? (?P<c>[0-9]{4}|[0-9]{2}) |
        (?P<a2>[0-9]{1,2}) \s (?P<b2>[0-9]{1,2}) \s (?P<c2>[0-9]{4})
        ) (?: \b | T )",
    )
});

/// `31 March 2026`, `31. März 2026`, `31-Mar-26`, `1er mars 2026`, `31 de marzo de 2026`.
static DAY_FIRST: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r"(?x) \b (?P<day>[0-9]{1,2}) (?:st|nd|rd|th|er|º|ª|°)? [\s./-]* (?:of\s+|de\s+)?
        (?P<month>\p{L}{3,12}) \.? [\s.,/-]* (?:de\s+|del\s+)? (?P<year>[0-9]{4}|'?[0-9]{2}) \b",
    )
});

/// `March 31, 2026`, `Mar 31st 2026`.
static MONTH_FIRST: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r"(?x) \b (?P<month>\p{L}{3,12}) \.? [\s-]* (?P<day>[0-9]{1,2}) (?:st|nd|rd|th)?
        [\s,-]+ (?P<year>[0-9]{4}) \b",
    )
});

/// `20260331`, only where nothing else stands.
static COMPACT: LazyLock<Regex> =
    LazyLock::new(|| pattern(r"^\s*(?P<y1>[0-9]{4})(?P<m1>[0-9]{2})(?P<d1>[0-9]{2})\s*$"));

fn pattern(text: &str) -> Regex {
    Regex::new(text).expect("a constant pattern")
}

fn anything(text: &str, order: DateOrder, languages: Languages) -> Option<Found> {
    let figures = FIGURES.captures_iter(text).find_map(|it| in_figures(&it, order));
    let words = [&*DAY_FIRST, &*MONTH_FIRST];
    let words = words
        .into_iter()
        .filter_map(|it| in_words(text, it, languages))
        .min_by_key(|it| it.range.start);
    let compact = || COMPACT.captures(text).and_then(|it| in_figures(&it, order));
    let first = figures.into_iter().chain(words).min_by_key(|it| it.range.start);
    first.or_else(compact)
}

fn number<T: std::str::FromStr>(captures: &Captures, name: &str) -> Option<T> {
    captures.name(name)?.as_str().trim_start_matches('\'').parse().ok()
}

fn year(captures: &Captures, name: &str) -> Option<i32> {
    let digits = captures.name(name)?.as_str().trim_start_matches('\'');
    let year = digits.parse().ok()?;
    Some(if digits.len() == 4 { year } else { full_year(year) })
}

/// Two digits are a year from 1970 to 2069.
const fn full_year(short: i32) -> i32 {
    if short >= 70 { 1900 + short } else { 2000 + short }
}

fn in_figures(captures: &Captures, order: DateOrder) -> Option<Found> {
    let range = captures.get(0)?.range();
    if let Some(year) = year(captures, "y1") {
        let date = date(year, number(captures, "m1")?, number(captures, "d1")?)?;
        return Some(Found { date, range, is_ambiguous: false });
    }
    let (a, b, c): (u8, u8, &str) = match number(captures, "a") {
        Some(a) => (a, number(captures, "b")?, "c"),
        None => (number(captures, "a2")?, number(captures, "b2")?, "c2"),
    };
    let has_points = captures.name("mark").is_some_and(|mark| mark.as_str() == ".");
    let short_year = captures.name(c).is_some_and(|it| it.len() == 2);
    if order == DateOrder::YearFirst && short_year {
        let date = date(full_year(a.into()), b, number(captures, c)?)?;
        return Some(Found { date, range, is_ambiguous: true });
    }
    let year = year(captures, c)?;
    // Between points the day always stands first.
    let month_first = order == DateOrder::MonthFirst && !has_points;
    let (one, other) = (date(year, b, a), date(year, a, b));
    let is_ambiguous = one.is_some() && other.is_some() && one != other && !has_points;
    let date = if month_first { other.or(one) } else { one.or(other) }?;
    Some(Found { date, range, is_ambiguous })
}

fn in_words(text: &str, pattern: &Regex, languages: Languages) -> Option<Found> {
    pattern.captures_iter(text).find_map(|captures| {
        let month = languages.month(captures.name("month")?.as_str())?;
        let day: u8 = number(&captures, "day")?;
        let date = Date::from_calendar_date(year(&captures, "year")?, month, day).ok()?;
        Some(Found { date, range: captures.get(0)?.range(), is_ambiguous: false })
    })
}

fn date(year: i32, month: u8, day: u8) -> Option<Date> {
    Date::from_calendar_date(year, Month::try_from(month).ok()?, day).ok()
}

/// The first place where the text has a given format.
fn spelled_out(text: &str, format: &DateFormat, languages: Languages) -> Option<Found> {
    let starts = text.char_indices().filter(|(at, _)| is_start(text, *at));
    starts.map(|(at, _)| at).find_map(|at| {
        let (date, length) = matched(text.get(at..)?, format, languages)?;
        Some(Found { date, range: at..at + length, is_ambiguous: false })
    })
}

/// A date does not begin in the middle of a word or a number.
fn is_start(text: &str, at: usize) -> bool {
    let before = text.get(..at).and_then(|it| it.chars().next_back());
    before.is_none_or(|c| !c.is_alphanumeric())
}

fn matched(text: &str, format: &DateFormat, languages: Languages) -> Option<(Date, usize)> {
    let mut rest = text;
    let (mut year, mut month, mut day) = (None, None, None);
    for part in format.parts() {
        match part {
            DatePart::Year => year = Some(i32::from(take_number(&mut rest, 4, 4)?)),
            DatePart::ShortYear => {
                year = Some(full_year(i32::from(take_number(&mut rest, 2, 2)?)));
            }
            DatePart::Month { padded } => {
                let number = take_number(&mut rest, if *padded { 2 } else { 1 }, 2)?;
                month = Month::try_from(u8::try_from(number).ok()?).ok();
            }
            DatePart::MonthName => month = Some(take_month(&mut rest, languages)?),
            DatePart::Day { padded } => {
                let number = take_number(&mut rest, if *padded { 2 } else { 1 }, 2)?;
                day = u8::try_from(number).ok();
            }
            DatePart::Literal(' ') => rest = rest.trim_start(),
            DatePart::Literal(literal) => rest = rest.strip_prefix(*literal)?,
        }
    }
    let is_whole = !rest.starts_with(|c: char| c.is_ascii_digit());
    let date = Date::from_calendar_date(year?, month?, day?).ok()?;
    is_whole.then_some((date, text.len() - rest.len()))
}

fn take_number(rest: &mut &str, min: usize, max: usize) -> Option<u16> {
    let digits = rest.bytes().take(max).take_while(u8::is_ascii_digit).count();
    let (number, after) = rest.split_at_checked(digits).filter(|_| digits >= min)?;
    *rest = after;
    number.parse().ok()
}

fn take_month(rest: &mut &str, languages: Languages) -> Option<Month> {
    let end = rest.find(|c: char| !c.is_alphabetic()).unwrap_or(rest.len());
    let (name, after) = rest.split_at_checked(end)?;
    *rest = after.strip_prefix('.').unwrap_or(after);
    languages.month(name)
}

/// The language of the document; the others are tried after it.
#[derive(Clone, Copy)]
struct Languages(Language);

impl Languages {
    fn month(self, name: &str) -> Option<Month> {
        let name = plain(name);
        let others = Language::ALL.into_iter().filter(|it| *it != self.0);
        let number = std::iter::once(self.0).chain(others).find_map(|it| month_in(it, &name))?;
        Month::try_from(number).ok()
    }
}

/// The number of a month by its name, or by three or more letters that only it begins with.
fn month_in(language: Language, name: &str) -> Option<u8> {
    let irregular = [("mrz", 3), ("mrt", 3), ("mae", 3), ("sept", 9), ("jui", 0)];
    if let Some((_, number)) = irregular.iter().find(|(short, _)| *short == name) {
        return (*number > 0).then_some(*number);
    }
    let months = (1..).zip(names(language));
    let mut found = months.filter(|(_, month)| month.starts_with(name) && name.len() >= 3);
    let first = found.next()?;
    let is_only = first.1 == name || found.next().is_none();
    is_only.then_some(first.0)
}

/// Names in lower case and without accents.
pub(super) const fn names(language: Language) -> [&'static str; 12] {
    match language {
        Language::English => [
            "january",
            "february",
            "march",
            "april",
            "may",
            "june",
            "july",
            "august",
            "september",
            "october",
            "november",
            "december",
        ],
        Language::German => [
            "januar",
            "februar",
            "marz",
            "april",
            "mai",
            "juni",
            "juli",
            "august",
            "september",
            "oktober",
            "november",
            "dezember",
        ],
        Language::French => [
            "janvier",
            "fevrier",
            "mars",
            "avril",
            "mai",
            "juin",
            "juillet",
            "aout",
            "septembre",
            "octobre",
            "novembre",
            "decembre",
        ],
        Language::Spanish => [
            "enero",
            "febrero",
            "marzo",
            "abril",
            "mayo",
            "junio",
            "julio",
            "agosto",
            "septiembre",
            "octubre",
            "noviembre",
            "diciembre",
        ],
        Language::Italian => [
            "gennaio",
            "febbraio",
            "marzo",
            "aprile",
            "maggio",
            "giugno",
            "luglio",
            "agosto",
            "settembre",
            "ottobre",
            "novembre",
            "dicembre",
        ],
        Language::Dutch => [
            "januari",
            "februari",
            "maart",
            "april",
            "mei",
            "juni",
            "juli",
            "augustus",
            "september",
            "oktober",
            "november",
            "december",
        ],
        Language::Portuguese => [
            "janeiro",
            "fevereiro",
            "marco",
            "abril",
            "maio",
            "junho",
            "julho",
            "agosto",
            "setembro",
            "outubro",
            "novembro",
            "dezembro",
        ],
    }
}

/// Lower case, without the accents that month names have.
fn plain(name: &str) -> String {
    let plain = |c| match c {
        'ä' | 'á' | 'à' => 'a',
        'é' | 'è' => 'e',
        'û' | 'ù' => 'u',
        'ç' => 'c',
        c => c,
    };
    name.to_lowercase().chars().map(plain).collect()
}

#[cfg(test)]
mod tests {
    use keydock_core::fields::{Locale, Scalar};

    use super::*;

    fn format(locale: &str, formats: &[&str]) -> ValueFormat {
        let locale = Locale::parse(locale).unwrap();
        let month_first = locale.has_month_first();
        ValueFormat {
            scalar: Scalar::Date,
            locale,
            date_order: if month_first { DateOrder::MonthFirst } else { DateOrder::DayFirst },
            date_formats: formats.iter().map(|it| DateFormat::parse(it).unwrap()).collect(),
            currency: None,
            is_auto: false,
            transforms: Vec::new(),
            checksum: None,
        }
    }

    fn day(text: &str, format: &ValueFormat) -> String {
        read(text, format).map_or("none".to_owned(), |it| it.value.as_str().unwrap().to_owned())
    }

    #[test]
    fn figures_follow_the_locale() {
        for (text, locale, date) in [
            ("2026-03-04", "de", "2026-03-04"),
            ("2026/3/4", "en", "2026-03-04"),
            ("03/04/2026", "en", "2026-03-04"),
            ("03/04/2026", "en-GB", "2026-04-03"),
            ("03.04.2026", "en", "2026-04-03"),
            ("31/12/2026", "en", "2026-12-31"),
            ("12/31/2026", "de", "2026-12-31"),
            ("31.12.26", "de", "2026-12-31"),
            ("31.12.99", "de", "1999-12-31"),
            ("15-10-2015", "en", "2015-10-15"),
            ("3. 4. 2026", "de", "2026-04-03"),
            ("20260304", "en", "2026-03-04"),
            ("2026-03-04T10:00:00Z", "en", "2026-03-04"),
            ("due 31.12.2026 at noon", "de", "2026-12-31"),
            ("31.02.2026", "de", "none"),
            ("1.2.3", "de", "none"),
            ("tomorrow", "en", "none"),
        ] {
            assert_eq!(day(text, &format(locale, &[])), date, "{text} in {locale}");
        }
    }

    #[test]
    fn months_have_names_in_seven_languages() {
        for (text, date) in [
            ("31 March 2026", "2026-03-31"),
            ("March 31, 2026", "2026-03-31"),
            ("Mar 31st 2026", "2026-03-31"),
            ("Dated: 1st of May, 2026", "2026-05-01"),
            ("31-Mar-26", "2026-03-31"),
            ("31. März 2026", "2026-03-31"),
            ("5. Mrz. 2026", "2026-03-05"),
            ("1er août 2026", "2026-08-01"),
            ("14 juil. 2026", "2026-07-14"),
            ("31 de diciembre de 2026", "2026-12-31"),
            ("2 gennaio 2026", "2026-01-02"),
            ("7 mei 2026", "2026-05-07"),
            ("9 de março de 2026", "2026-03-09"),
            ("30 Sept 2026", "2026-09-30"),
            ("14 jui 2026", "none"),
            ("31 Foo 2026", "none"),
        ] {
            assert_eq!(day(text, &format("en", &[])), date, "{text}");
        }
    }

    #[test]
    fn given_formats_are_the_only_ones() {
        let only = format("de", &["DD.MM.YYYY", "YYMMDD"]);
        assert_eq!(day("am 01.02.2026", &only), "2026-02-01");
        assert_eq!(day("260203", &only), "2026-02-03");
        assert_eq!(day("1.2.2026", &only), "none");
        assert_eq!(day("2026-02-01", &only), "none");
        let words = format("fr", &["D MMMM YYYY"]);
        assert_eq!(day("Paris, le 3   février 2026", &words), "2026-02-03");
    }

    #[test]
    fn a_date_with_two_readings_is_less_sure() {
        let sure = |text| read(text, &format("en", &[])).unwrap().confidence;
        assert!(sure("03/04/2026") < sure("03/13/2026"));
        assert!(sure("04/04/2026") > 0.9);
    }
}
