//! Which pages of a document are read.

use std::ops::RangeInclusive;

/// Pages counted from 1, such as `1-3, 7-`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PageRanges(Vec<RangeInclusive<usize>>);

impl Default for PageRanges {
    fn default() -> Self {
        Self(vec![1..=usize::MAX])
    }
}

impl PageRanges {
    /// Reads `1`, `1-3`, `2-` or `1, 4-6`; `None` for anything else.
    pub fn parse(text: &str) -> Option<Self> {
        let ranges: Option<Vec<_>> = text.split(',').map(parse_range).collect();
        ranges.filter(|ranges| ranges.len() <= 100).map(Self)
    }

    /// Whether the page is among them.
    pub fn contains(&self, page: usize) -> bool {
        self.0.iter().any(|range| range.contains(&page))
    }
}

fn parse_range(text: &str) -> Option<RangeInclusive<usize>> {
    let (from, to) = match text.trim().split_once('-') {
        None => (text.trim(), text.trim()),
        Some((from, to)) => (from.trim(), to.trim()),
    };
    let from = parse_page(from)?;
    let to = if to.is_empty() { usize::MAX } else { parse_page(to)? };
    (from <= to).then_some(from..=to)
}

fn parse_page(text: &str) -> Option<usize> {
    if !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    text.parse().ok().filter(|&page| page > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_read_and_asked() {
        let pages = |text: &str| -> Option<Vec<usize>> {
            let ranges = PageRanges::parse(text)?;
            Some((1..=9).filter(|&page| ranges.contains(page)).collect())
        };
        assert_eq!(pages("2"), Some(vec![2]));
        assert_eq!(pages("1-3"), Some(vec![1, 2, 3]));
        assert_eq!(pages("1, 4 - 5,8-"), Some(vec![1, 4, 5, 8, 9]));
        for bad in ["", "0", "-2", "3-1", "1,,2", "one", "+1", "1-2-3"] {
            assert_eq!(pages(bad), None, "{bad}");
        }
    }
}
