//! Amounts of money: a number with the name of a currency beside it.

use std::ops::Range;

use keydock_core::fields::Locale;

use super::numbers;

/// An amount found in a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Amount {
    /// The number with a decimal point, as precise as it was written.
    pub(super) decimal: String,
    /// The ISO code, where one is named.
    pub(super) currency: Option<&'static str>,
    /// The bytes of the text.
    pub(super) range: Range<usize>,
}

/// Names of currencies; longer ones first where one begins another.
const NAMES: &[(&str, &str)] = &[
    ("US$", "USD"),
    ("CA$", "CAD"),
    ("AU$", "AUD"),
    ("NZ$", "NZD"),
    ("HK$", "HKD"),
    ("MX$", "MXN"),
    ("R$", "BRL"),
    ("C$", "CAD"),
    ("A$", "AUD"),
    ("S$", "SGD"),
    ("$", "USD"),
    ("€", "EUR"),
    ("£", "GBP"),
    ("¥", "JPY"),
    ("₹", "INR"),
    ("₽", "RUB"),
    ("₺", "TRY"),
    ("₩", "KRW"),
    ("₪", "ILS"),
    ("₴", "UAH"),
    ("zł", "PLN"),
    ("Kč", "CZK"),
    ("Ft", "HUF"),
    ("lei", "RON"),
    ("Euro", "EUR"),
    ("Euros", "EUR"),
    ("RM", "MYR"),
    ("Rs.", "INR"),
    ("Rs", "INR"),
    ("Fr.", "CHF"),
    ("SFr.", "CHF"),
    ("SFr", "CHF"),
];

const CODES: &[&str] = &[
    "EUR", "USD", "GBP", "CHF", "JPY", "CNY", "INR", "AUD", "CAD", "NZD", "SGD", "HKD", "SEK",
    "NOK", "DKK", "ISK", "PLN", "CZK", "HUF", "RON", "BGN", "TRY", "RUB", "UAH", "ILS", "ZAR",
    "BRL", "MXN", "ARS", "CLP", "COP", "PEN", "KRW", "THB", "IDR", "MYR", "PHP", "VND", "AED",
    "SAR", "EGP", "NGN", "KES", "PKR", "BDT", "LKR", "TWD", "MAD",
];

/// Whether a text is nothing but the name of a currency.
pub(super) fn is_currency(text: &str) -> bool {
    named(text.trim()).is_some()
}

fn named(text: &str) -> Option<&'static str> {
    let code = CODES.iter().find(|code| **code == text).copied();
    code.or_else(|| NAMES.iter().find(|(name, _)| *name == text).map(|(_, code)| *code))
}

/// The first amount with a currency; without any, the first number.
pub(super) fn first(text: &str, locale: Locale) -> Option<Amount> {
    let plain = numbers::first(text, locale).filter(|number| !number.is_percentage);
    let amounts = numbers::all(text, locale).into_iter().filter_map(|number| {
        let (currency, range) = currency_beside(text, &number.range)?;
        let decimal = with_outer_sign(text, number.decimal, &range);
        Some(Amount { decimal, currency: Some(currency), range })
    });
    let bare =
        |it: numbers::Number| Amount { decimal: it.decimal, currency: None, range: it.range };
    amounts.into_iter().next().or(plain.map(bare))
}

/// The currency before or after a number, and the range of both.
fn currency_beside(text: &str, number: &Range<usize>) -> Option<(&'static str, Range<usize>)> {
    let before = text.get(..number.start)?;
    let after = text.get(number.end..)?;
    let trimmed = before.trim_end_matches([' ', '\u{a0}', '(', ':']);
    if let Some((name, code)) = name_at_end(trimmed) {
        return Some((code, trimmed.len() - name..number.end));
    }
    let gap = after.len() - after.trim_start_matches([' ', '\u{a0}', ',', '-', ')']).len();
    let (name, code) = name_at_start(after.get(gap..)?)?;
    Some((code, number.start..number.end + gap + name))
}

/// The length and the code of the currency that ends a text.
fn name_at_end(text: &str) -> Option<(usize, &'static str)> {
    let all = CODES.iter().map(|code| (*code, *code)).chain(NAMES.iter().copied());
    let found = all.filter(|(name, _)| {
        let rest = text.strip_suffix(name);
        rest.is_some_and(|rest| !joins(name.chars().next(), rest.chars().next_back()))
    });
    found.max_by_key(|(name, _)| name.len()).map(|(name, code)| (name.len(), code))
}

fn name_at_start(text: &str) -> Option<(usize, &'static str)> {
    let all = CODES.iter().map(|code| (*code, *code)).chain(NAMES.iter().copied());
    let found = all.filter(|(name, _)| {
        let rest = text.strip_prefix(name);
        // In “2026 $4.11” the sign belongs to the number it touches.
        rest.is_some_and(|rest| {
            !rest.starts_with(|c: char| c.is_ascii_digit())
                && !joins(name.chars().next_back(), rest.chars().next())
        })
    });
    found.max_by_key(|(name, _)| name.len()).map(|(name, code)| (name.len(), code))
}

/// Whether the name would be a part of a longer word.
fn joins(edge: Option<char>, neighbour: Option<char>) -> bool {
    let is_letter = |c: Option<char>| c.is_some_and(char::is_alphabetic);
    is_letter(edge) && is_letter(neighbour)
}

/// The sign of `-€5.00`, `(€5.00)` and `5,00 €-`, where it stands outside of the currency.
fn with_outer_sign(text: &str, decimal: String, range: &Range<usize>) -> String {
    let before = text.get(..range.start).unwrap_or_default().trim_end();
    let after = text.get(range.end..).unwrap_or_default();
    let is_minus = before.ends_with(['-', '−'])
        && !before.trim_end_matches(['-', '−']).ends_with(char::is_alphanumeric)
        || before.ends_with('(') && after.trim_start().starts_with(')');
    if is_minus && !decimal.starts_with('-') { format!("-{decimal}") } else { decimal }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_read_with_their_currency() {
        for (text, locale, decimal, currency) in [
            ("EUR 1.234,56", "de", "1234.56", Some("EUR")),
            ("1.234,56 €", "de", "1234.56", Some("EUR")),
            ("€1,234.56", "en", "1234.56", Some("EUR")),
            ("$4.11", "en", "4.11", Some("USD")),
            ("US$ 5", "en", "5", Some("USD")),
            ("-$5.00", "en", "-5.00", Some("USD")),
            ("($5.00)", "en", "-5.00", Some("USD")),
            ("$-5.00", "en", "-5.00", Some("USD")),
            ("5,00- EUR", "de", "-5.00", Some("EUR")),
            ("Rs. 1,939", "en", "1939", Some("INR")),
            ("₹319.0", "en", "319.0", Some("INR")),
            ("CHF 1'234.50", "de-CH", "1234.50", Some("CHF")),
            ("VAT 19% GBP 12.00", "en", "12.00", Some("GBP")),
            ("100 items, 12.00 USD", "en", "12.00", Some("USD")),
            ("May 3, 2026 $4.11", "en", "4.11", Some("USD")),
            ("1,234.56", "en", "1234.56", None),
            ("12.00 EURO", "en", "12.00", None),
            ("12.00 euros", "en", "12.00", None),
        ] {
            let amount = first(text, Locale::parse(locale).unwrap_or_default());
            let read = amount.as_ref().map(|it| (it.decimal.as_str(), it.currency));
            assert_eq!(read, Some((decimal, currency)), "{text}");
        }
        assert_eq!(first("EUR", Locale::default()), None);
        assert!(is_currency(" € ") && is_currency("USD") && !is_currency("Total"));
    }
}
