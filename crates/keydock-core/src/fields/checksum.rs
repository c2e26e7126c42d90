//! Numbers that prove themselves: their last or first digits follow from the others.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What the characters of a value must fit; spaces, points and hyphens do not count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Checksum {
    /// An international bank account number (ISO 13616), with the length of its country.
    Iban,
    /// A number for value-added tax of a country of the European Union, or of GB, CH, NO and XI.
    VatId,
    /// A GTIN, EAN, UPC or GLN of 8, 12, 13 or 14 digits.
    Gtin,
    /// The formula of Luhn: payment cards, SIREN and SIRET.
    Luhn,
    /// A book number of 10 or 13 digits.
    Isbn,
    /// A business identifier code (ISO 9362); only its form can be checked.
    Bic,
    /// A legal entity identifier (ISO 17442).
    Lei,
    /// A tax number of goods and services in India.
    Gstin,
}

impl Checksum {
    /// What a value is called, to complete “which is no …”.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Iban => "valid IBAN",
            Self::VatId => "valid VAT number",
            Self::Gtin => "valid GTIN",
            Self::Luhn => "number that fits the formula of Luhn",
            Self::Isbn => "valid ISBN",
            Self::Bic => "valid BIC",
            Self::Lei => "valid LEI",
            Self::Gstin => "valid GSTIN",
        }
    }

    /// Whether a value fits.
    pub fn fits(self, text: &str) -> bool {
        let clean: String = text
            .chars()
            .filter(|c| !c.is_whitespace() && !matches!(c, '-' | '.' | '/'))
            .map(|c| c.to_ascii_uppercase())
            .collect();
        if !clean.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
            return false;
        }
        match self {
            Self::Iban => is_iban(&clean),
            Self::VatId => is_vat_id(&clean),
            Self::Gtin => matches!(clean.len(), 8 | 12 | 13 | 14) && has_gtin_digit(&clean),
            Self::Luhn => clean.len() >= 2 && digits(&clean).is_some_and(|it| luhn(&it)),
            Self::Isbn => is_isbn(&clean),
            Self::Bic => is_bic(&clean),
            Self::Lei => clean.len() == 20 && remainder_97(&clean) == Some(1),
            Self::Gstin => is_gstin(&clean),
        }
    }
}

fn digits(text: &str) -> Option<Vec<u32>> {
    text.chars().map(|c| c.to_digit(10)).collect()
}

/// The rest of a division by 97, letters being 10 to 35.
fn remainder_97(text: &str) -> Option<u32> {
    text.chars().try_fold(0, |rest, c| {
        let value = c.to_digit(36)?;
        Some(if value > 9 { (rest * 100 + value) % 97 } else { (rest * 10 + value) % 97 })
    })
}

/// The lengths of the countries that take part.
const IBAN_LENGTHS: &[(&str, usize)] = &[
    ("AD", 24),
    ("AE", 23),
    ("AL", 28),
    ("AT", 20),
    ("AZ", 28),
    ("BA", 20),
    ("BE", 16),
    ("BG", 22),
    ("BH", 22),
    ("BR", 29),
    ("BY", 28),
    ("CH", 21),
    ("CR", 22),
    ("CY", 28),
    ("CZ", 24),
    ("DE", 22),
    ("DK", 18),
    ("DO", 28),
    ("EE", 20),
    ("EG", 29),
    ("ES", 24),
    ("FI", 18),
    ("FO", 18),
    ("FR", 27),
    ("GB", 22),
    ("GE", 22),
    ("GI", 23),
    ("GL", 18),
    ("GR", 27),
    ("GT", 28),
    ("HR", 21),
    ("HU", 28),
    ("IE", 22),
    ("IL", 23),
    ("IQ", 23),
    ("IS", 26),
    ("IT", 27),
    ("JO", 30),
    ("KW", 30),
    ("KZ", 20),
    ("LB", 28),
    ("LC", 32),
    ("LI", 21),
    ("LT", 20),
    ("LU", 20),
    ("LV", 21),
    ("MC", 27),
    ("MD", 24),
    ("ME", 22),
    ("MK", 19),
    ("MR", 27),
    ("MT", 31),
    ("MU", 30),
    ("NL", 18),
    ("NO", 15),
    ("PK", 24),
    ("PL", 28),
    ("PS", 29),
    ("PT", 25),
    ("QA", 29),
    ("RO", 24),
    ("RS", 22),
    ("SA", 24),
    ("SC", 31),
    ("SE", 24),
    ("SI", 19),
    ("SK", 24),
    ("SM", 27),
    ("ST", 25),
    ("SV", 28),
    ("TL", 23),
    ("TN", 24),
    ("TR", 26),
    ("UA", 29),
    ("VA", 22),
    ("VG", 24),
    ("XK", 20),
];

fn is_iban(text: &str) -> bool {
    let Some((head, rest)) = text.split_at_checked(4) else { return false };
    let (country, check) = head.split_at(2);
    let known = IBAN_LENGTHS.iter().find(|(code, _)| *code == country);
    let is_long_enough = known.is_some_and(|(_, length)| *length == text.len());
    is_long_enough
        && check.bytes().all(|byte| byte.is_ascii_digit())
        && remainder_97(&format!("{rest}{head}")) == Some(1)
}

fn has_gtin_digit(text: &str) -> bool {
    let Some(digits) = digits(text) else { return false };
    let sum: u32 = digits
        .iter()
        .rev()
        .enumerate()
        .map(|(at, it)| if at % 2 == 1 { 3 * it } else { *it })
        .sum();
    sum.is_multiple_of(10)
}

fn luhn(digits: &[u32]) -> bool {
    let doubled = |digit: u32| if digit > 4 { 2 * digit - 9 } else { 2 * digit };
    let weighted = |(at, digit): (usize, &u32)| if at % 2 == 1 { doubled(*digit) } else { *digit };
    digits.iter().rev().enumerate().map(weighted).sum::<u32>().is_multiple_of(10)
}

fn is_isbn(text: &str) -> bool {
    match text.len() {
        13 => (text.starts_with("978") || text.starts_with("979")) && has_gtin_digit(text),
        10 => {
            let value = |(at, c): (u32, char)| match c {
                'X' if at == 9 => Some(10),
                c => Some(c.to_digit(10)? * (10 - at)),
            };
            let sum: Option<u32> = (0..).zip(text.chars()).map(value).sum();
            sum.is_some_and(|sum| sum.is_multiple_of(11))
        }
        _ => false,
    }
}

fn is_bic(text: &str) -> bool {
    let letters = |text: Option<&str>| {
        text.is_some_and(|text| text.bytes().all(|byte| byte.is_ascii_uppercase()))
    };
    matches!(text.len(), 8 | 11) && letters(text.get(4..6)) && letters(text.get(..4))
}

/// The last character follows from the others in base 36.
fn is_gstin(text: &str) -> bool {
    let values: Option<Vec<u32>> = text.chars().map(|c| c.to_digit(36)).collect();
    let Some(values) = values.filter(|values| values.len() == 15) else { return false };
    let sum: u32 = values
        .iter()
        .take(14)
        .enumerate()
        .map(|(at, value)| {
            let product = if at % 2 == 1 { value * 2 } else { *value };
            product / 36 + product % 36
        })
        .sum();
    values.last() == Some(&((36 - sum % 36) % 36))
}

/// The rest of a sum of products, from the left.
fn weighted(digits: &[u32], weights: &[u32]) -> u32 {
    digits.iter().zip(weights).map(|(digit, weight)| digit * weight).sum()
}

/// Countries with a published formula are checked by it, others by their form.
fn is_vat_id(text: &str) -> bool {
    let Some((country, number)) = text.split_at_checked(2) else { return false };
    let all_digits = digits(number);
    let count = number.len();
    let is_digits = |lengths: &[usize]| all_digits.is_some() && lengths.contains(&count);
    match (country, all_digits.as_deref()) {
        ("DE", Some(d)) => count == 9 && d.first() != Some(&0) && is_german(d),
        ("AT", _) => number.strip_prefix('U').and_then(digits).is_some_and(|d| is_austrian(&d)),
        ("FR", _) => is_french(number),
        ("IT", Some(d)) => count == 11 && luhn(d),
        ("BE", Some(d)) => count == 10 && matches!(d.first(), Some(0 | 1)) && is_belgian(number),
        ("LU", Some(_)) => count == 8 && is_modular(number, 6, 89, |rest| rest),
        ("DK", Some(d)) => count == 8 && weighted(d, &[2, 7, 6, 5, 4, 3, 2, 1]).is_multiple_of(11),
        ("PL", Some(d)) => {
            count == 10 && Some(&(weighted(d, &[6, 5, 7, 2, 3, 4, 5, 6, 7]) % 11)) == d.last()
        }
        ("PT", Some(d)) => {
            let rest = weighted(d, &[9, 8, 7, 6, 5, 4, 3, 2]) % 11;
            count == 9 && d.last() == Some(&(if rest < 2 { 0 } else { 11 - rest }))
        }
        ("FI", Some(d)) => {
            let rest = weighted(d, &[7, 9, 10, 5, 8, 4, 2]) % 11;
            count == 8 && rest != 1 && d.last() == Some(&((11 - rest) % 11))
        }
        ("SI", Some(d)) => {
            let check = 11 - weighted(d, &[8, 7, 6, 5, 4, 3, 2]) % 11;
            count == 8 && check != 11 && d.last() == Some(&(check % 10))
        }
        ("EL", Some(d)) => {
            let sum = weighted(d, &[256, 128, 64, 32, 16, 8, 4, 2]);
            count == 9 && d.last() == Some(&(sum % 11 % 10))
        }
        ("GB" | "XI", Some(d)) => is_digits(&[12]) || count == 9 && is_british(d),
        ("NL", _) => is_dutch(text),
        ("SE", Some(d)) => count == 12 && d.get(..10).is_some_and(luhn),
        ("EE", Some(d)) => {
            let sum = weighted(d, &[3, 7, 1, 3, 7, 1, 3, 7, 1]);
            count == 9 && sum.is_multiple_of(10)
        }
        ("CH", _) => {
            let number = number.strip_prefix('E').unwrap_or(number);
            let end = number.trim_start_matches(|c: char| c.is_ascii_digit());
            let head = number.get(..9).and_then(digits).unwrap_or_default();
            let rest = weighted(&head, &[5, 4, 3, 2, 7, 6, 5, 4]) % 11;
            matches!(end, "" | "MWST" | "TVA" | "IVA") && head.last() == Some(&((11 - rest) % 11))
        }
        ("NO", _) => {
            let number = number.strip_suffix("MVA").unwrap_or(number);
            let d = digits(number).unwrap_or_default();
            let rest = weighted(&d, &[3, 2, 7, 6, 5, 4, 3, 2]) % 11;
            d.len() == 9 && d.last() == Some(&((11 - rest) % 11))
        }
        ("ES", _) => count == 9 && number.bytes().skip(1).take(7).all(|b| b.is_ascii_digit()),
        ("IE", _) => matches!(count, 8 | 9) && number.starts_with(|c: char| c.is_ascii_digit()),
        ("BG" | "CZ", Some(_)) => is_digits(&[8, 9, 10]),
        ("CY", _) => count == 9 && number.ends_with(|c: char| c.is_ascii_uppercase()),
        ("HR" | "LV", Some(_)) => is_digits(&[11]),
        ("HU" | "MT", Some(_)) => is_digits(&[8]),
        ("LT", Some(_)) => is_digits(&[9, 12]),
        ("RO", Some(_)) => (2..=10).contains(&count),
        ("SK", Some(_)) => count == 10 && number.parse().is_ok_and(|n: u64| n.is_multiple_of(11)),
        _ => false,
    }
}

/// ISO 7064, mod 11, 10.
fn is_german(digits: &[u32]) -> bool {
    let product = digits.iter().take(8).fold(10, |product, digit| {
        let sum = (digit + product) % 10;
        2 * (if sum == 0 { 10 } else { sum }) % 11
    });
    digits.last() == Some(&((11 - product) % 10))
}

fn is_austrian(digits: &[u32]) -> bool {
    let doubled = |digit: u32| digit * 2 / 10 + digit * 2 % 10;
    let head = digits.iter().take(7).enumerate();
    let sum: u32 = head.map(|(at, d)| if at % 2 == 1 { doubled(*d) } else { *d }).sum();
    digits.len() == 8 && digits.last() == Some(&((106 - sum % 10) % 10))
}

/// Two characters and a SIREN; where the characters are digits they follow from it.
fn is_french(number: &str) -> bool {
    let Some((key, siren)) = number.split_at_checked(2) else { return false };
    let Some(d) = digits(siren).filter(|d| d.len() == 9) else { return false };
    let siren: u64 = siren.parse().unwrap_or_default();
    let is_keyed = key.parse::<u64>().is_ok_and(|key| key == (12 + 3 * (siren % 97)) % 97);
    // Monaco has numbers that begin with 000 and are no SIREN.
    (luhn(&d) || number.get(2..5) == Some("000")) && (is_keyed || key.parse::<u64>().is_err())
}

fn is_belgian(number: &str) -> bool {
    is_modular(number, 8, 97, |rest| 97 - rest)
}

/// Whether the digits behind `head` follow from the rest of a division of those before.
fn is_modular(number: &str, head: usize, by: u64, check: impl Fn(u64) -> u64) -> bool {
    let Some((head, tail)) = number.split_at_checked(head) else { return false };
    let (Ok(head), Ok(tail)) = (head.parse::<u64>(), tail.parse::<u64>()) else { return false };
    check(head % by) == tail
}

fn is_british(digits: &[u32]) -> bool {
    let check = digits.get(7..9).map_or(0, |it| it.iter().fold(0, |sum, d| sum * 10 + d));
    let sum = weighted(digits, &[8, 7, 6, 5, 4, 3, 2]) + check;
    sum.is_multiple_of(97) || (sum + 55).is_multiple_of(97)
}

/// Numbers of companies, or those given out since 2020.
fn is_dutch(text: &str) -> bool {
    let Some(number) = text.get(2..).filter(|number| number.len() == 12) else { return false };
    let Some(d) = number.get(..9).and_then(digits) else { return false };
    let is_form = number.get(9..10) == Some("B")
        && number.get(10..).is_some_and(|it| it.bytes().all(|b| b.is_ascii_digit()));
    let is_old = weighted(&d, &[9, 8, 7, 6, 5, 4, 3, 2]) % 11 == d.last().copied().unwrap_or(99);
    is_form && (is_old || remainder_97(text) == Some(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_that_prove_themselves_fit_and_others_do_not() {
        use Checksum as C;
        for (kind, good) in [
            (C::Iban, "DE88 2008 0000 0970 3757 00"),
            (C::Iban, "GB82 WEST 1234 5698 7654 32"),
            (C::Iban, "FR1420041010050500013M02606"),
            (C::Iban, "NO93 8601 1117 947"),
            (C::VatId, "DE136695976"),
            (C::VatId, "DE 136 695 976"),
            (C::VatId, "ATU13585627"),
            (C::VatId, "FR40303265045"),
            (C::VatId, "FR 61 954 506 077"),
            (C::VatId, "IT00743110157"),
            (C::VatId, "BE0428759497"),
            (C::VatId, "LU15027442"),
            (C::VatId, "DK13585628"),
            (C::VatId, "PL8567346215"),
            (C::VatId, "PT501964843"),
            (C::VatId, "FI20774740"),
            (C::VatId, "SI50223054"),
            (C::VatId, "EL094259216"),
            (C::VatId, "GB980780684"),
            (C::VatId, "NL004495445B01"),
            (C::VatId, "SE556188840401"),
            (C::VatId, "EE100931558"),
            (C::VatId, "CHE-107.787.577 MWST"),
            (C::VatId, "NO995525828MVA"),
            (C::VatId, "SK2022749619"),
            (C::Gtin, "4006381333931"),
            (C::Gtin, "96385074"),
            (C::Luhn, "4111 1111 1111 1111"),
            (C::Luhn, "732 829 320"),
            (C::Isbn, "0-306-40615-2"),
            (C::Isbn, "978-0-306-40615-7"),
            (C::Bic, "COBADEFFXXX"),
            (C::Lei, "5493001KJTIIGC8Y1R12"),
            (C::Gstin, "27AAPFU0939F1ZV"),
        ] {
            assert!(kind.fits(good), "{good}");
            // Any other digit at the end is wrong, where the end is a digit that counts.
            if matches!(kind, C::Iban | C::Gtin | C::Luhn | C::Isbn | C::Lei) {
                let last = good.chars().next_back().and_then(|c| c.to_digit(10)).unwrap();
                let other = format!("{}{}", &good[..good.len() - 1], (last + 1) % 10);
                assert!(!kind.fits(&other), "{other}");
            }
        }
        for (kind, bad) in [
            (C::Iban, "DE88 2008 0000 0970 3757 0"),
            (C::Iban, "XX88 2008 0000 0970 3757 00"),
            (C::Iban, "DE12 1234 5678 9012 3456 78"),
            (C::VatId, "DE136695977"),
            (C::VatId, "ATU13585626"),
            (C::VatId, "FR41303265045"),
            (C::VatId, "US123456789"),
            (C::VatId, "GB980780685"),
            (C::VatId, "NL004495446B01"),
            (C::Bic, "COB1DEFF"),
            (C::Gstin, "27AAPFU0939F1ZW"),
            (C::Isbn, "X306406152"),
            (C::Luhn, "Ünïcode"),
            (C::Iban, ""),
        ] {
            assert!(!kind.fits(bad), "{bad}");
        }
    }
}
