//! Texts that are nearly the same: scans take one letter for another, or lose one.

/// The beginning of `text` that is nearest to `wanted`: its length and how many letters are wrong,
/// missing or too many, if they are no more than `errors`. `may_end` says where it may end.
pub(super) fn best_prefix(
    text: &[char],
    wanted: &[char],
    errors: usize,
    may_end: impl Fn(usize) -> bool,
) -> Option<(usize, usize)> {
    // A row of the table of edit distances for every letter of the text.
    let mut row: Vec<usize> = (0..=wanted.len()).collect();
    let mut best: Option<(usize, usize)> = None;
    for (index, letter) in text.iter().enumerate() {
        let length = index + 1;
        let mut diagonal = index;
        if let Some(first) = row.first_mut() {
            *first = length;
        }
        for (at, other) in wanted.iter().enumerate() {
            let (left, up) = (row.get(at).copied()?, row.get(at + 1).copied()?);
            let cost = usize::from(!is_alike(*letter, *other));
            let distance = (diagonal + cost).min(left + 1).min(up + 1);
            diagonal = up;
            *row.get_mut(at + 1)? = distance;
        }
        let distance = row.last().copied()?;
        let is_better = best.is_none_or(|(_, fewest)| distance < fewest);
        if distance <= errors && is_better && may_end(length) {
            best = Some((length, distance));
        }
        if row.iter().min().is_some_and(|least| *least > errors) {
            break;
        }
    }
    best
}

/// Letters that no reader of scans is to blame for confusing.
fn is_alike(a: char, b: char) -> bool {
    let group = |c| match c {
        '0' | 'o' | 'q' => 'o',
        '1' | 'i' | 'l' | '|' => 'l',
        '5' | 's' => 's',
        '8' | 'b' => 'b',
        other => other,
    };
    a == b || group(a) == group(b)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn prefix(text: &str, wanted: &str, errors: usize) -> Option<(usize, usize)> {
        let chars = |text: &str| text.chars().collect::<Vec<char>>();
        best_prefix(&chars(text), &chars(wanted), errors, |_| true)
    }

    #[test]
    fn a_few_wrong_letters_are_forgiven() {
        assert_eq!(prefix("total", "total", 1), Some((5, 0)));
        assert_eq!(prefix("t0ta1", "total", 1), Some((5, 0)));
        assert_eq!(prefix("invojce", "invoice", 1), Some((7, 1)));
        assert_eq!(prefix("invoce", "invoice", 1), Some((6, 1)));
        assert_eq!(prefix("invooice7", "invoice", 1), Some((8, 1)));
        assert_eq!(prefix("invoxxe", "invoice", 1), None);
        assert_eq!(prefix("", "invoice", 2), None);
    }
}
