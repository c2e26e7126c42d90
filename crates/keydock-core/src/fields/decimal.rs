//! Numbers as people write them: exact to the sixth digit after the point.

use std::{fmt, str::FromStr};

/// A decimal number with six digits after the point; results are rounded, half away from zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Hash)]
pub struct Decimal(i128);

const DIGITS: usize = 6;
const SCALE: i128 = 1_000_000;

impl Decimal {
    /// A whole number.
    pub const fn whole(number: i64) -> Self {
        Self(number as i128 * SCALE)
    }

    /// The sum; `None` where it is too large.
    pub fn plus(self, other: Self) -> Option<Self> {
        self.0.checked_add(other.0).map(Self)
    }

    /// The difference; `None` where it is too large.
    pub fn minus(self, other: Self) -> Option<Self> {
        self.0.checked_sub(other.0).map(Self)
    }

    /// The product; `None` where it is too large.
    pub fn times(self, other: Self) -> Option<Self> {
        Some(Self(divided(self.0.checked_mul(other.0)?, SCALE)))
    }

    /// The quotient; `None` where there is none.
    pub fn divided_by(self, by: Self) -> Option<Self> {
        (by.0 != 0).then_some(())?;
        Some(Self(divided(self.0.checked_mul(SCALE)?, by.0)))
    }

    /// The same number above zero.
    #[must_use]
    pub const fn abs(self) -> Self {
        Self(self.0.saturating_abs())
    }

    /// With so many digits after the point.
    #[must_use]
    pub fn round(self, digits: u32) -> Self {
        let unit = 10_i128.pow(6 - digits.min(6));
        Self(divided(self.0, unit).saturating_mul(unit))
    }

    /// The number without its fraction.
    pub fn truncated(self) -> Option<i64> {
        i64::try_from(self.0 / SCALE).ok()
    }
}

/// Rounded, half away from zero.
fn divided(number: i128, by: i128) -> i128 {
    let (quotient, rest) = (number / by, number % by);
    let away = if (number < 0) == (by < 0) { 1 } else { -1 };
    // Twice the rest may be too large; half the divisor is not.
    if rest.unsigned_abs() >= by.unsigned_abs().div_ceil(2) { quotient + away } else { quotient }
}

impl FromStr for Decimal {
    type Err = ();

    /// Reads digits with a sign and a point; more than six after the point are cut off.
    fn from_str(text: &str) -> Result<Self, ()> {
        let (is_minus, digits) = match text.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, text.strip_prefix('+').unwrap_or(text)),
        };
        let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
        let is_number = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
        if whole.len() + fraction.len() == 0 || !is_number(whole) || !is_number(fraction) {
            return Err(());
        }
        let fraction = fraction.get(..DIGITS.min(fraction.len())).unwrap_or_default();
        let number: i128 = format!("{whole}{fraction:0<DIGITS$}").parse().map_err(|_| ())?;
        // Products of what is let in here stay within reach.
        if number > 1_000_000_000_000_000 * SCALE {
            return Err(());
        }
        Ok(Self(if is_minus { -number } else { number }))
    }
}

impl fmt::Display for Decimal {
    /// Without zeros at the end.
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let sign = if self.0 < 0 { "-" } else { "" };
        let (whole, fraction) = (
            self.0.unsigned_abs() / SCALE.unsigned_abs(),
            self.0.unsigned_abs() % SCALE.unsigned_abs(),
        );
        let fraction = format!("{fraction:0DIGITS$}");
        let fraction = fraction.trim_end_matches('0');
        let point = if fraction.is_empty() { "" } else { "." };
        write!(f, "{sign}{whole}{point}{fraction}")
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn of(text: &str) -> Decimal {
        text.parse().unwrap()
    }

    #[test]
    fn sums_are_exact_and_quotients_rounded() {
        assert_eq!(of("0.1").plus(of("0.2")), Some(of("0.3")));
        assert_eq!(of("1").divided_by(of("3")).unwrap().to_string(), "0.333333");
        assert_eq!(of("2").divided_by(of("-3")).unwrap().to_string(), "-0.666667");
        assert_eq!(of("1").divided_by(of("0")), None);
        assert_eq!(of("19.99").times(of("3")).unwrap().to_string(), "59.97");
        for (text, digits, rounded) in
            [("1.005", 2, "1.01"), ("-1.005", 2, "-1.01"), ("1.4", 0, "1"), ("7", 2, "7")]
        {
            assert_eq!(of(text).round(digits).to_string(), rounded);
        }
        for bad in ["", "-", ".", "1,5", "1e5", "٣", "9999999999999999999999"] {
            assert_eq!(bad.parse::<Decimal>(), Err(()), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_again(cents in -1_000_000_000_000_i64..1_000_000_000_000) {
            let number = Decimal(i128::from(cents));
            prop_assert_eq!(number.to_string().parse(), Ok(number));
        }

        #[test]
        fn what_is_taken_away_again_was_never_there(a in any::<i32>(), b in any::<i32>()) {
            let (a, b) = (Decimal::whole(a.into()), Decimal::whole(b.into()));
            prop_assert_eq!(a.plus(b).and_then(|sum| sum.minus(b)), Some(a));
            prop_assert_eq!(a.times(b), b.times(a));
        }
    }
}
