//! Numbers in every convention of thousands and decimals.

use std::{ops::Range, sync::LazyLock};

use keydock_core::fields::Locale;
use regex::Regex;

/// A number found in a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Number {
    /// The number with a decimal point and without anything else, as precise as it was written.
    pub(super) decimal: String,
    /// The bytes of the text, with the sign.
    pub(super) range: Range<usize>,
    /// Whether a percent sign follows.
    pub(super) is_percentage: bool,
}

impl Number {
    /// The number, if it is whole.
    pub(super) fn whole(&self) -> Option<i64> {
        let (whole, fraction) = self.decimal.split_once('.').unwrap_or((&self.decimal, ""));
        if fraction.bytes().all(|digit| digit == b'0') { whole.parse().ok() } else { None }
    }
}

/// Digits with groups between them: by points, commas, apostrophes, and spaces of any kind.
static DIGITS: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(
        r"(?x)
        [0-9]{1,3} (?: [\x20\u{a0}\u{202f}\u{2009}] [0-9]{3} )+ \b (?: [.,] [0-9]+ )? |
        [0-9]+ (?: [.,'’·] [0-9]+ )* | [.,] [0-9]+",
    )
    .expect("a constant pattern")
});

/// The first number; percentages only where there is nothing else.
pub(super) fn first(text: &str, locale: Locale) -> Option<Number> {
    let mut numbers = all(text, locale);
    let position = numbers.iter().position(|number| !number.is_percentage).unwrap_or(0);
    (position < numbers.len()).then(|| numbers.swap_remove(position))
}

/// The first percentage; without any, the first number.
pub(super) fn percentage(text: &str, locale: Locale) -> Option<Number> {
    let mut numbers = all(text, locale);
    let position = numbers.iter().position(|number| number.is_percentage).unwrap_or(0);
    (position < numbers.len()).then(|| numbers.swap_remove(position))
}

/// Every number in the text, from left to right.
pub(super) fn all(text: &str, locale: Locale) -> Vec<Number> {
    let mut numbers = Vec::new();
    let mut at = 0;
    while let Some(found) = DIGITS.find_at(text, at) {
        let range = if is_one_number(text, &found, locale) {
            found.range()
        } else {
            // Two numbers beside each other: take the first, and come back for the second.
            let length = found.as_str().find(is_space).unwrap_or(found.len());
            found.start()..found.start() + length
        };
        at = range.end.max(at + 1);
        if is_free(text, &range)
            && let Some(digits) = text.get(range.clone())
            && let Some(decimal) = normalize(digits, locale)
        {
            numbers.push(signed(text, decimal, range));
        }
    }
    numbers
}

fn is_space(character: char) -> bool {
    matches!(character, ' ' | '\u{a0}' | '\u{202f}' | '\u{2009}')
}

/// Plain spaces group digits where that is the custom, or where nothing else is said.
fn is_one_number(text: &str, found: &regex::Match, locale: Locale) -> bool {
    let surroundings = [text.get(..found.start()), text.get(found.end()..)];
    let is_alone =
        || surroundings.iter().flatten().all(|rest| !rest.contains(|c: char| c.is_ascii_digit()));
    !found.as_str().contains(' ') || !locale.has_decimal_point() || is_alone()
}

/// Whether the digits are a number, and not the middle of a name such as `A4711b` or `1.2.3`.
fn is_free(text: &str, range: &Range<usize>) -> bool {
    let before = text.get(..range.start).and_then(|it| it.chars().next_back());
    let after = text.get(range.end..).and_then(|it| it.chars().next());
    let is_name = |c: char| c.is_alphabetic() && !matches!(c, '€' | '£');
    let after_is_unit = || {
        let rest = text.get(range.end..).unwrap_or_default();
        let unit: String = rest.chars().take_while(|c| c.is_alphabetic()).collect();
        unit.chars().count() <= 3
    };
    !before.is_some_and(|c| is_name(c) && !before_is_currency(text, range.start))
        && !after.is_some_and(|c| c == '_' || is_name(c) && !after_is_unit())
}

/// Currency letters may touch the number: `EUR12.00`, `Rs500`.
fn before_is_currency(text: &str, start: usize) -> bool {
    let before = text.get(..start).unwrap_or_default();
    let word: String = before.chars().rev().take_while(|c| c.is_alphabetic()).collect();
    let word: String = word.chars().rev().collect();
    super::money::is_currency(&word)
}

/// The digits with one decimal point; `None` when the marks make no sense.
fn normalize(digits: &str, locale: Locale) -> Option<String> {
    let clean: String = digits.chars().filter(|c| !is_space(*c) && !"'’".contains(*c)).collect();
    let had_groups = clean.len() != digits.len();
    let clean = clean.replace('·', ".");
    let points = clean.matches('.').count();
    let commas = clean.matches(',').count();
    let mark = match (points, commas) {
        (1, 0) => is_decimal(&clean, '.', had_groups, locale).then_some('.'),
        (0, 1) => is_decimal(&clean, ',', had_groups, locale).then_some(','),
        // None, or several of one kind, which group.
        (0, _) | (_, 0) => None,
        _ => last_mark(&clean).filter(|&mark| clean.matches(mark).count() == 1),
    };
    if points > 0 && commas > 0 && mark.is_none() {
        return None;
    }
    let (whole, fraction) = match mark.and_then(|mark| clean.split_once(mark)) {
        Some((whole, fraction)) => (whole, Some(fraction)),
        None => (clean.as_str(), None),
    };
    if !has_good_groups(whole) {
        return None;
    }
    let whole: String = whole.chars().filter(char::is_ascii_digit).collect();
    let whole = whole.trim_start_matches('0');
    let whole = if whole.is_empty() { "0" } else { whole };
    Some(fraction.map_or(whole.to_owned(), |fraction| format!("{whole}.{fraction}")))
}

/// Whether the only mark is the decimal mark: it is unless exactly three digits follow, and then
/// the locale decides.
fn is_decimal(digits: &str, mark: char, had_groups: bool, locale: Locale) -> bool {
    let (whole, fraction) = digits.split_once(mark).unwrap_or((digits, ""));
    let could_group = fraction.len() == 3 && (1..=3).contains(&whole.len()) && whole != "0";
    !could_group || had_groups || (mark == '.') == locale.has_decimal_point()
}

fn last_mark(digits: &str) -> Option<char> {
    digits.chars().rev().find(|c| matches!(c, '.' | ','))
}

/// Groups of three, or of two and then three as in India.
fn has_good_groups(whole: &str) -> bool {
    let groups: Vec<&str> = whole.split(['.', ',']).collect();
    let one_mark = !(whole.contains('.') && whole.contains(','));
    match groups.as_slice() {
        [_] => true,
        [first, middle @ .., last] => {
            one_mark
                && (1..=3).contains(&first.len())
                && middle.iter().all(|group| group.len() == 3 || group.len() == 2)
                && last.len() == 3
        }
        [] => false,
    }
}

/// The number with its sign, which may stand before, after, or as parentheses.
fn signed(text: &str, decimal: String, range: Range<usize>) -> Number {
    let (decimal, range) = with_sign(text, decimal, range);
    let rest = text.get(range.end..).unwrap_or_default();
    Number { decimal, range, is_percentage: rest.trim_start().starts_with('%') }
}

fn with_sign(text: &str, decimal: String, range: Range<usize>) -> (String, Range<usize>) {
    let before = text.get(..range.start).unwrap_or_default();
    let after = text.get(range.end..).unwrap_or_default();
    if let Some((length, is_minus)) = sign_before(before) {
        return (negated(decimal, is_minus), range.start - length..range.end);
    }
    if let Some(length) = sign_after(after) {
        return (negated(decimal, true), range.start..range.end + length);
    }
    if before.ends_with('(') && after.starts_with(')') {
        return (negated(decimal, true), range.start - 1..range.end + 1);
    }
    (decimal, range)
}

const MINUS: [char; 4] = ['-', '−', '–', '‐'];

/// The length of a sign that ends a text, and whether it is a minus.
fn sign_before(before: &str) -> Option<(usize, bool)> {
    let sign = before.chars().next_back().filter(|c| *c == '+' || MINUS.contains(c))?;
    let rest = before.get(..before.len() - sign.len_utf8())?;
    // In `10-20` and `INV-7` it is a hyphen.
    let is_sign = rest.chars().next_back().is_none_or(|c| !c.is_alphanumeric() && c != ')');
    is_sign.then_some((sign.len_utf8(), sign != '+'))
}

fn sign_after(after: &str) -> Option<usize> {
    let sign = after.chars().next().filter(|c| MINUS.contains(c))?;
    let rest = after.get(sign.len_utf8()..)?;
    let is_sign = rest.chars().next().is_none_or(|c| c.is_whitespace() || c == '€');
    // A dash between words stands after a space; a minus does not.
    (is_sign && !rest.trim_start().starts_with(|c: char| c.is_ascii_digit()))
        .then_some(sign.len_utf8())
}

fn negated(decimal: String, is_minus: bool) -> String {
    let is_zero = decimal.bytes().all(|byte| matches!(byte, b'0' | b'.'));
    if is_minus && !is_zero { format!("-{decimal}") } else { decimal }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str, locale: &str) -> String {
        let number = first(text, Locale::parse(locale).unwrap_or_default());
        number.map_or("none".to_owned(), |number| {
            assert!(text.get(number.range.clone()).is_some());
            number.decimal
        })
    }

    #[test]
    fn every_convention_is_read() {
        for (text, locale, decimal) in [
            ("1.234,56", "en", "1234.56"),
            ("1,234.56", "de", "1234.56"),
            ("1 234,56", "en", "1234.56"),
            ("1\u{a0}234\u{a0}567,8", "fr", "1234567.8"),
            ("1\u{202f}234,50", "fr", "1234.50"),
            ("1'234.56", "de", "1234.56"),
            ("1’234’567.00", "de-CH", "1234567.00"),
            ("12,34,567.89", "en", "1234567.89"),
            ("1.234.567", "en", "1234567"),
            ("1,234,567", "de", "1234567"),
            ("1.234", "en", "1.234"),
            ("1.234", "de", "1234"),
            ("1,234", "en", "1234"),
            ("1,234", "de", "1.234"),
            ("0,125", "en", "0.125"),
            ("0.125", "de", "0.125"),
            ("1234.567", "de", "1234.567"),
            ("50,0000", "de", "50.0000"),
            ("007", "en", "7"),
            (",5", "de", "0.5"),
            ("42", "en", "42"),
        ] {
            assert_eq!(read(text, locale), decimal, "{text} in {locale}");
        }
    }

    #[test]
    fn signs_are_read_wherever_they_stand() {
        for (text, decimal) in [
            ("-5", "-5"),
            ("−5.50", "-5.50"),
            ("5-", "-5"),
            ("(5.00)", "-5.00"),
            ("+5", "5"),
            ("-0.00", "0.00"),
            ("10-20", "10"),
            ("total: -1,234.50 net", "-1234.50"),
        ] {
            assert_eq!(read(text, "en"), decimal, "{text}");
        }
    }

    #[test]
    fn numbers_are_told_from_what_surrounds_them() {
        for (text, decimal) in [
            ("VAT 19% 12.00", "12.00"),
            ("19 %", "19"),
            ("10 200.00", "10200.00"),
            ("3 pcs 200", "3"),
            ("5kg", "5"),
            ("A4711 9", "9"),
            ("1.2.3", "none"),
            ("1,2,3.4.5", "none"),
            ("no number", "none"),
            ("EUR12.50", "12.50"),
        ] {
            assert_eq!(read(text, "en"), decimal, "{text}");
        }
    }

    #[test]
    fn whole_numbers_have_no_fraction() {
        let whole = |text| first(text, Locale::default()).and_then(|it| it.whole());
        assert_eq!(whole("1,234.00"), Some(1234));
        assert_eq!(whole("-7"), Some(-7));
        assert_eq!(whole("7.5"), None);
        assert_eq!(whole("99999999999999999999"), None);
    }
}
