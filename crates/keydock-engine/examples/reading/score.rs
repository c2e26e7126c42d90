//! Comparing texts as bags of words, of lines, and of rows of cells.

use std::collections::HashMap;

/// How much of one bag is in another.
#[derive(Debug, Clone, Copy)]
pub(super) struct Score {
    /// In both.
    pub(super) found: usize,
    /// In the reference.
    pub(super) wanted: usize,
    /// In the text.
    pub(super) given: usize,
}

impl Score {
    /// The harmonic mean of precision and recall.
    #[expect(clippy::cast_precision_loss, reason = "documents have fewer than 2^52 words")]
    pub(super) fn f1(&self) -> f64 {
        match self.wanted + self.given {
            0 => 1.0,
            sum => 2.0 * self.found as f64 / sum as f64,
        }
    }
}

/// Compares two bags.
pub(super) fn f1(given: &[String], wanted: &[String]) -> Score {
    let mut bag: HashMap<&str, usize> = HashMap::new();
    for item in wanted {
        *bag.entry(item).or_default() += 1;
    }
    let mut found = 0;
    for item in given {
        if let Some(count) = bag.get_mut(item.as_str()).filter(|count| **count > 0) {
            *count -= 1;
            found += 1;
        }
    }
    Score { found, wanted: wanted.len(), given: given.len() }
}

/// Letters and digits that stand together, in lower case; the marks of Markdown say nothing.
pub(super) fn words(text: &str) -> Vec<String> {
    let text = text.replace("<!-- image -->", " ").replace("&lt;", "<").replace("&gt;", ">");
    let text = text.replace("&amp;", "&");
    text.split(|c: char| !c.is_alphanumeric())
        .filter(|word| !word.is_empty())
        .map(str::to_lowercase)
        .collect()
}

/// The lines that say something, with single spaces.
pub(super) fn lines(text: &str) -> Vec<String> {
    let one = |line: &str| line.split_whitespace().collect::<Vec<_>>().join(" ");
    text.split(['\n', '\u{c}']).map(one).filter(|line| !line.is_empty()).collect()
}

/// The lines with at least two cells, two spaces apart.
pub(super) fn rows(text: &str) -> Vec<String> {
    let cells = |line: &str| -> Vec<String> {
        line.split("  ")
            .map(|cell| cell.split_whitespace().collect::<Vec<_>>().join(" "))
            .filter(|cell| !cell.is_empty())
            .collect()
    };
    let rows = text.split(['\n', '\u{c}']).map(cells);
    rows.filter(|cells| cells.len() > 1).map(|cells| cells.join(" | ")).collect()
}

/// How many of the values stand in the text, in one of the ways in which people write them.
pub(super) fn visible(values: &[String], text: &str) -> Score {
    let text = one_line(text);
    let is_there = |value: &&String| spellings(value).iter().any(|it| text.contains(it.as_str()));
    let found = values.iter().filter(is_there).count();
    Score { found, wanted: values.len(), given: values.len() }
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ").to_lowercase()
}

/// A date or an amount as it may be printed; any other text as it is.
fn spellings(value: &str) -> Vec<String> {
    let mut all = vec![one_line(value)];
    let parts: Vec<&str> = value.split('-').collect();
    if let [year, month, day] = parts[..]
        && year.len() == 4
        && month.len() == 2
    {
        let plain = |text: &str| text.trim_start_matches('0').to_owned();
        all.push(format!("{day}.{month}.{year}"));
        all.push(format!("{day}/{month}/{year}"));
        all.push(format!("{day}-{month}-{year}"));
        all.push(format!("{month}/{day}/{year}"));
        all.push(format!("{}.{}.{year}", plain(day), plain(month)));
        all.push(format!("{}.{}.{}", day, month, year.get(2..).unwrap_or_default()));
    }
    if let Ok(number) = value.parse::<f64>() {
        let digits = format!("{number:.2}");
        let (whole, cents) = digits.split_once('.').unwrap_or((&digits, ""));
        let grouped = |mark: &str| {
            let mut text = String::new();
            for (index, digit) in whole.chars().enumerate() {
                if index > 0 && (whole.len() - index) % 3 == 0 {
                    text.push_str(mark);
                }
                text.push(digit);
            }
            text
        };
        for (mark, point) in [("", "."), ("", ","), (",", "."), (".", ","), (" ", ","), ("'", ".")]
        {
            all.push(format!("{}{point}{cents}", grouped(mark)));
        }
    }
    all
}
