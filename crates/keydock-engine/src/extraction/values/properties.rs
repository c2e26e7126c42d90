//! Whatever the convention, what is written is what is read.

use keydock_core::fields::{DateOrder, Language, Locale, Scalar, ValueFormat};
use proptest::{prelude::*, sample::select};
use time::{Date, Duration, Month};

use super::{dates::names, read};

fn format(scalar: Scalar, locale: &str) -> ValueFormat {
    let locale = Locale::parse(locale).unwrap();
    let month_first = locale.has_month_first();
    ValueFormat {
        scalar,
        locale,
        date_order: if month_first { DateOrder::MonthFirst } else { DateOrder::DayFirst },
        date_formats: Vec::new(),
        currency: None,
        is_auto: false,
        transforms: Vec::new(),
        checksum: None,
    }
}

/// Digits in groups of three from the right.
fn grouped(digits: &str, mark: &str) -> String {
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push_str(mark);
        }
        text.push(digit);
    }
    text
}

/// How a number shows that it is below zero, or is not.
#[derive(Debug, Clone, Copy)]
enum Sign {
    None,
    Before(char),
    Behind,
    Parentheses,
}

fn signs() -> impl Strategy<Value = Sign> {
    select(vec![
        Sign::None,
        Sign::Before('-'),
        Sign::Before('−'),
        Sign::Before('–'),
        Sign::Behind,
        Sign::Parentheses,
    ])
}

fn signed(text: &str, sign: Sign) -> String {
    match sign {
        Sign::None => text.to_owned(),
        Sign::Before(minus) => format!("{minus}{text}"),
        Sign::Behind => format!("{text}-"),
        Sign::Parentheses => format!("({text})"),
    }
}

proptest! {
    #[test]
    fn amounts_of_every_convention_are_read(
        cents in 0..1_000_000_000_000_u64,
        marks in select(vec![
            (",", "."), (".", ","), ("\u{27}", "."), ("’", ","), ("\u{a0}", ","), ("\u{202f}", ","),
            ("\u{2009}", "."), (" ", ","), (" ", "."), ("", "."), ("", ","),
        ]),
        sign in signs(),
        locale in select(vec!["en", "de", "fr", "de-CH", "es", "it", "nl", "pt"]),
        money in select(vec![("", ""), ("EUR ", ""), ("", " €"), ("$", ""), ("CHF ", "")]),
    ) {
        let (whole, rest) = (cents / 100, cents % 100);
        let number = format!("{}{}{rest:02}", grouped(&whole.to_string(), marks.0), marks.1);
        let text = format!("{}{}{}", money.0, signed(&number, sign), money.1);
        let minus = if cents == 0 || matches!(sign, Sign::None) { "" } else { "-" };
        let found = read(&text, &format(Scalar::Decimal, locale));
        let value = found.map(|it| it.value.as_str().unwrap_or_default().to_owned());
        prop_assert_eq!(value, Some(format!("{minus}{whole}.{rest:02}")), "{}", text);
    }

    #[test]
    fn percentages_are_told_from_amounts(rate in 0..10_000_u32, amount in 1_000..100_000_u32) {
        let percent = f64::from(rate) / 100.0;
        let text = format!("{amount},00 EUR, {},{:02} % VAT", rate / 100, rate % 100);
        let found = read(&text, &format(Scalar::Percent, "de")).unwrap();
        prop_assert!((found.value.as_f64().unwrap() - percent).abs() < 1e-9, "{}", text);
        let found = read(&text, &format(Scalar::Decimal, "de")).unwrap();
        prop_assert_eq!(found.value, format!("{amount}.00"));
    }

    #[test]
    fn dates_of_every_order_and_language_are_read(
        days in 0..36_000_i64,
        language in select(Language::ALL.to_vec()),
        style in 0..7_usize,
    ) {
        let first = Date::from_calendar_date(1970, Month::January, 1).unwrap();
        let date = first + Duration::days(days);
        let (year, month, day) = (date.year(), u8::from(date.month()), date.day());
        let name = names(language)[usize::from(month) - 1];
        let text = match style {
            0 => date.to_string(),
            1 => format!("{day:02}.{month:02}.{year}"),
            2 => format!("{day}/{month}/{year}"),
            3 => format!("{day:02}-{month:02}-{:02}", year % 100),
            4 => format!("{day}. {name} {year}"),
            5 => format!("{day} de {name} de {year}"),
            _ => format!("{} {day}, {year}", name.to_uppercase()),
        };
        let locale = if language == Language::English { "en-GB" } else { language.code() };
        let found = read(&format!("on {text} at noon"), &format(Scalar::Date, locale));
        let value = found.map(|it| it.value.as_str().unwrap_or_default().to_owned());
        // Two digits are a year from 1970 to 2069, which is all that is tried.
        prop_assert_eq!(value, Some(date.to_string()), "{}", text);
        if style == 2 {
            let american = format!("{month}/{day}/{year}");
            let found = read(&american, &format(Scalar::Date, "en-US")).unwrap();
            prop_assert_eq!(found.value, date.to_string(), "{}", american);
        }
    }

    #[test]
    fn no_text_makes_reading_fail(text in "\\PC{0,60}") {
        for scalar in [Scalar::Number, Scalar::Decimal, Scalar::Percent, Scalar::Currency, Scalar::Date] {
            if let Some(found) = read(&text, &format(scalar, "de")) {
                prop_assert!(text.get(found.range.clone()).is_some(), "{:?}", found);
            }
        }
    }
}
