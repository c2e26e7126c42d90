//! How the lists of a Word document are numbered.

use std::collections::HashMap;

use super::xml::{self, Event};
use crate::error::Error;

/// The lists of a document.
#[derive(Default)]
pub(super) struct Numbering {
    /// The definition of each list.
    lists: HashMap<String, String>,
    levels: HashMap<(String, usize), Level>,
}

#[derive(Default, Clone)]
struct Level {
    format: String,
    /// Such as `%1.%2.`.
    text: String,
    start: usize,
}

impl Numbering {
    pub(super) fn parse(source: &str) -> Result<Self, Error> {
        let mut numbering = Self::default();
        let (mut definition, mut list) = (String::new(), String::new());
        let mut index = 0;
        let mut level: Option<Level> = None;
        xml::walk(source, |event| match event {
            Event::Open(element) => {
                let value = || element.attribute("val").unwrap_or_default();
                match element.name() {
                    "abstractNum" => {
                        definition = element.attribute("abstractNumId").unwrap_or_default();
                    }
                    "num" => list = element.attribute("numId").unwrap_or_default(),
                    "abstractNumId" => {
                        numbering.lists.insert(list.clone(), value());
                    }
                    "lvl" => {
                        index = element.number("ilvl").unwrap_or_default();
                        level = Some(Level { start: 1, ..Level::default() });
                    }
                    "numFmt" => {
                        if let Some(level) = &mut level {
                            level.format = value();
                        }
                    }
                    "lvlText" => {
                        if let Some(level) = &mut level {
                            level.text = value();
                        }
                    }
                    "start" => {
                        if let Some(level) = &mut level {
                            level.start = element.number("val").unwrap_or(1);
                        }
                    }
                    _ => {}
                }
            }
            Event::Close("lvl") => {
                if let Some(level) = level.take() {
                    numbering.levels.insert((definition.clone(), index), level);
                }
            }
            _ => {}
        })?;
        Ok(numbering)
    }

    /// What stands before the item of a list, given how many items each level has had.
    pub(super) fn mark(
        &self,
        list: &str,
        level: usize,
        count: impl Fn(usize) -> usize,
    ) -> Option<String> {
        let definition = self.lists.get(list)?;
        let at = |level: usize| self.levels.get(&(definition.clone(), level));
        let this = at(level)?;
        match this.format.as_str() {
            "bullet" => return Some("•".to_owned()),
            "none" => return None,
            _ => {}
        }
        let mut mark = this.text.clone();
        for other in 0..=level.min(8) {
            let Some(wanted) = at(other) else { continue };
            let number = (wanted.start + count(other)).saturating_sub(1);
            mark = mark.replace(&format!("%{}", other + 1), &number_in(&wanted.format, number));
        }
        (!mark.trim().is_empty()).then_some(mark)
    }
}

fn number_in(format: &str, number: usize) -> String {
    match format {
        "lowerLetter" => letters(number).to_lowercase(),
        "upperLetter" => letters(number),
        "lowerRoman" => roman(number).to_lowercase(),
        "upperRoman" => roman(number),
        "decimalZero" => format!("{number:02}"),
        _ => number.to_string(),
    }
}

/// A, B, … Z, AA, BB, as word processors count.
fn letters(number: usize) -> String {
    let index = number.saturating_sub(1);
    let letter = u8::try_from(index % 26).map_or('A', |index| char::from(b'A' + index));
    std::iter::repeat_n(letter, (index / 26 + 1).min(10)).collect()
}

fn roman(mut number: usize) -> String {
    const SIGNS: [(usize, &str); 13] = [
        (1000, "M"),
        (900, "CM"),
        (500, "D"),
        (400, "CD"),
        (100, "C"),
        (90, "XC"),
        (50, "L"),
        (40, "XL"),
        (10, "X"),
        (9, "IX"),
        (5, "V"),
        (4, "IV"),
        (1, "I"),
    ];
    if number > 4_000 {
        return number.to_string();
    }
    let mut text = String::new();
    for (value, sign) in SIGNS {
        while number >= value {
            text.push_str(sign);
            number -= value;
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_numbered_as_word_processors_do() {
        let source = r#"<n:numbering xmlns:n="n"><n:abstractNum n:abstractNumId="7">
            <n:lvl n:ilvl="0"><n:start n:val="3"/><n:numFmt n:val="upperRoman"/><n:lvlText n:val="%1."/></n:lvl>
            <n:lvl n:ilvl="1"><n:start n:val="1"/><n:numFmt n:val="lowerLetter"/><n:lvlText n:val="%1.%2)"/></n:lvl>
            </n:abstractNum><n:num n:numId="1"><n:abstractNumId n:val="7"/></n:num></n:numbering>"#;
        let numbering = Numbering::parse(source).unwrap();
        assert_eq!(numbering.mark("1", 0, |_| 2).as_deref(), Some("IV."));
        assert_eq!(numbering.mark("1", 1, |_| 2).as_deref(), Some("IV.b)"));
        assert_eq!(numbering.mark("2", 0, |_| 1), None);
        assert_eq!((letters(27), roman(1994)), ("AA".to_owned(), "MCMXCIV".to_owned()));
    }
}
