//! Which language a document is written in, and how it orders its dates.

use std::sync::LazyLock;

use keydock_core::fields::{DateOrder, Language, Locale};
use regex::Regex;

/// Words that are frequent on papers of one language and rare in others.
const fn words(language: Language) -> &'static [&'static str] {
    match language {
        Language::English => &[
            "the", "and", "of", "to", "for", "invoice", "date", "amount", "total", "with", "this",
            "number", "tax", "please", "your", "you", "bill", "payment", "due", "price", "is",
        ],
        Language::German => &[
            "der", "die", "und", "das", "von", "mit", "für", "rechnung", "datum", "betrag",
            "summe", "mwst", "ust", "bitte", "ihre", "sie", "zahlung", "menge", "preis", "nr",
            "vom", "ist",
        ],
        Language::French => &[
            "le",
            "la",
            "les",
            "des",
            "et",
            "du",
            "facture",
            "montant",
            "tva",
            "ttc",
            "ht",
            "votre",
            "vous",
            "paiement",
            "quantité",
            "prix",
            "numéro",
            "pour",
            "au",
            "une",
            "est",
        ],
        Language::Spanish => &[
            "el", "los", "las", "del", "y", "factura", "fecha", "importe", "iva", "su", "pago",
            "cantidad", "precio", "número", "por", "para", "una", "con", "es",
        ],
        Language::Italian => &[
            "il",
            "di",
            "della",
            "del",
            "fattura",
            "data",
            "importo",
            "iva",
            "totale",
            "pagamento",
            "quantità",
            "prezzo",
            "numero",
            "per",
            "con",
            "una",
            "gli",
            "è",
        ],
        Language::Dutch => &[
            "de", "het", "een", "van", "en", "factuur", "datum", "bedrag", "btw", "totaal", "uw",
            "betaling", "aantal", "prijs", "voor", "met", "nummer", "is",
        ],
        Language::Portuguese => &[
            "o",
            "os",
            "da",
            "do",
            "fatura",
            "data",
            "valor",
            "iva",
            "seu",
            "pagamento",
            "quantidade",
            "preço",
            "número",
            "por",
            "para",
            "uma",
            "com",
            "é",
        ],
    }
}

/// What the words of a text say.
pub(super) fn locale(text: &str) -> Locale {
    let mut counts = Language::ALL.map(|language| (language, 0_usize));
    for word in text.split(|c: char| !c.is_alphabetic()).filter(|word| !word.is_empty()) {
        let word = word.to_lowercase();
        for (language, count) in &mut counts {
            *count += usize::from(words(*language).contains(&word.as_str()));
        }
    }
    let most = counts.into_iter().rev().max_by_key(|(_, count)| *count);
    let language = most.filter(|(_, count)| *count > 0).map(|(language, _)| language);
    Locale::of(language.unwrap_or(Language::English))
}

static FIGURES: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"\b([0-9]{1,2})[/-]([0-9]{1,2})[/-](?:[0-9]{4}|[0-9]{2})\b")
        .expect("a constant pattern")
});

/// The order of day and month, from dates that can be read in one way only; without any, that of
/// the language, which for English depends on the money.
pub(super) fn date_order(text: &str, locale: Locale) -> DateOrder {
    let (mut day_first, mut month_first) = (0, 0);
    for date in FIGURES.captures_iter(text).take(200) {
        let part = |index| date.get(index).and_then(|it| it.as_str().parse::<u8>().ok());
        match (part(1), part(2)) {
            (Some(13..=31), Some(1..=12)) => day_first += 1,
            (Some(1..=12), Some(13..=31)) => month_first += 1,
            _ => {}
        }
    }
    let is_american =
        || locale.language() == Language::English && (text.contains('$') || text.contains("USD"));
    match day_first.cmp(&month_first) {
        std::cmp::Ordering::Less => DateOrder::MonthFirst,
        std::cmp::Ordering::Equal if is_american() => DateOrder::MonthFirst,
        _ => DateOrder::DayFirst,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn languages_are_told_by_their_words() {
        for (text, code) in [
            ("Please pay the amount due to our account", "en"),
            ("Bitte überweisen Sie den Betrag auf das Konto", "de"),
            ("Veuillez régler le montant de votre facture", "fr"),
            ("Importe de la factura del cliente y fecha de pago", "es"),
            ("Totale della fattura e importo di IVA", "it"),
            ("Het totaal van de factuur, btw", "nl"),
            ("Valor da fatura do cliente, data de pagamento", "pt"),
            ("4711", "en"),
        ] {
            assert_eq!(locale(text).language().code(), code, "{text}");
        }
    }

    #[test]
    fn the_order_of_dates_is_told_by_those_that_leave_no_doubt() {
        let english = Locale::default();
        assert_eq!(date_order("03/04/2026 and 31/03/2026 $5", english), DateOrder::DayFirst);
        assert_eq!(date_order("03/04/2026 and 03/31/2026", english), DateOrder::MonthFirst);
        assert_eq!(date_order("03/04/2026 £5", english), DateOrder::DayFirst);
        assert_eq!(date_order("03/04/2026 $5", english), DateOrder::MonthFirst);
    }
}
