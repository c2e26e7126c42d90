//! How dates are written: the order of their parts, and formats spelled out.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The order of day, month and year in dates such as `03/04/2026`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum DateOrder {
    /// 31/03/2026
    DayFirst,
    /// 03/31/2026
    MonthFirst,
    /// 26/03/31
    YearFirst,
}

/// A format such as `DD.MM.YYYY` or `D MMMM YYYY`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DateFormat {
    text: String,
    parts: Vec<DatePart>,
}

/// A piece of a [`DateFormat`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DatePart {
    /// `YYYY`
    Year,
    /// `YY`; 70 to 99 are in the last century.
    ShortYear,
    /// `MM` with two digits, or `M` with one or two.
    Month {
        /// Whether a leading zero must stand.
        padded: bool,
    },
    /// `MMMM` or `MMM`: the name of the month, in full or shortened.
    MonthName,
    /// `DD` with two digits, or `D` with one or two.
    Day {
        /// Whether a leading zero must stand.
        padded: bool,
    },
    /// Anything else stands for itself; a space for any number of spaces.
    Literal(char),
}

impl DateFormat {
    /// Reads a format; the error says what to write instead.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut parts = Vec::new();
        let mut rest = text;
        while let Some(next) = rest.chars().next() {
            let run = rest.chars().take_while(|&c| c == next).count();
            let (part, taken) = take_part(next, run);
            parts.push(part);
            rest = rest.get(taken..).unwrap_or_default();
        }
        if text.len() <= 40 && is_complete(&parts) {
            Ok(Self { text: text.to_owned(), parts })
        } else {
            Err("write a date format with a day (D, DD), a month (M, MM, MMM, MMMM) and a year \
                 (YY, YYYY), each once, such as `DD.MM.YYYY` or `MMMM D, YYYY`"
                .to_owned())
        }
    }

    /// The format as it was written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The pieces, from left to right.
    pub fn parts(&self) -> &[DatePart] {
        &self.parts
    }
}

/// The piece that begins with `run` times `next`, and how many bytes of the format it takes.
fn take_part(next: char, run: usize) -> (DatePart, usize) {
    match (next, run) {
        ('Y', 4..) => (DatePart::Year, 4),
        ('Y', 2..) => (DatePart::ShortYear, 2),
        ('M', 3..) => (DatePart::MonthName, run.min(4)),
        ('M', _) => (DatePart::Month { padded: run == 2 }, run),
        ('D', 2..) => (DatePart::Day { padded: true }, 2),
        ('D', _) => (DatePart::Day { padded: false }, 1),
        _ => (DatePart::Literal(next), next.len_utf8()),
    }
}

fn is_complete(parts: &[DatePart]) -> bool {
    let count = |wanted: fn(&DatePart) -> bool| parts.iter().filter(|part| wanted(part)).count();
    count(|part| matches!(part, DatePart::Day { .. })) == 1
        && count(|part| matches!(part, DatePart::Month { .. } | DatePart::MonthName)) == 1
        && count(|part| matches!(part, DatePart::Year | DatePart::ShortYear)) == 1
        && count(|part| matches!(part, DatePart::Literal('Y'))) == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_format_names_day_month_and_year_once() {
        for good in ["DD.MM.YYYY", "D MMMM YYYY", "YYYYMMDD", "MM/DD/YY", "MMM D, YYYY"] {
            assert_eq!(DateFormat::parse(good).map(|it| it.text), Ok(good.to_owned()));
        }
        for bad in ["", "DD.MM", "DD.MM.YYYY DD", "YYY-MM-DD", "dd.mm.yyyy", "%d.%m.%Y"] {
            assert!(DateFormat::parse(bad).is_err(), "{bad}");
        }
    }
}
