//! Finding keys in texts where none should be: sources, logs, settings.
//!
//! A prefixed key proves itself by its checksum. A key in the form of a UUID looks like any other
//! UUID, so it is only possible, and only where the words around it speak of a key.

use uuid::Uuid;

use crate::secret::{KeyKind, SecretKey};

/// How far before a UUID words are read that may say what it is.
const BEFORE: usize = 160;
/// How far after it, on the same line.
const AFTER: usize = 60;

/// Something in the form of a key, without its secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// Where it begins, in bytes.
    pub start: usize,
    /// Where it ends.
    pub end: usize,
    /// What it opens, where its form says so. Then it is a key for certain; otherwise it may be one.
    pub kind: Option<KeyKind>,
    /// Its end, for telling keys apart.
    pub last_four: String,
    /// The beginning of its SHA-256, as it stands beside a key in lists.
    pub fingerprint: String,
}

impl Found {
    /// Whether it is a key beyond doubt.
    pub fn is_certain(&self) -> bool {
        self.kind.is_some()
    }
}

/// The keys in a text, in the order in which they stand there. The text may be of any encoding that
/// writes ASCII as ASCII.
pub fn keys_in(text: &[u8]) -> Vec<Found> {
    let mut found = Vec::new();
    let mut at = 0;
    while at < text.len() {
        match prefixed_at(text, at).or_else(|| uuid_at(text, at)) {
            Some(key) => {
                at = key.end;
                found.push(key);
            }
            None => at += 1,
        }
    }
    found
}

fn prefixed_at(text: &[u8], start: usize) -> Option<Found> {
    let kind = KeyKind::ALL.into_iter().find(|kind| {
        let prefix = kind.prefix().as_bytes();
        text[start..].starts_with(prefix)
    })?;
    read(text, start, start + SecretKey::PREFIXED_LEN, Some(kind))
}

fn uuid_at(text: &[u8], start: usize) -> Option<Found> {
    let starts_a_word = start == 0 || !text[start - 1].is_ascii_alphanumeric();
    if !starts_a_word || !text[start].is_ascii_hexdigit() {
        return None;
    }
    let end = [36, 32].into_iter().map(|len| start + len).find(|end| is_uuid(text, start, *end))?;
    speaks_of_keys(&text[window(text, start, end)]).then(|| read(text, start, end, None)).flatten()
}

fn is_uuid(text: &[u8], start: usize, end: usize) -> bool {
    let ends_a_word =
        text.get(end).is_none_or(|next| !next.is_ascii_alphanumeric() && *next != b'-');
    // Ids are of version 7 and secrets of version 4: an id beside the word "key" is no find.
    ends_a_word
        && text
            .get(start..end)
            .and_then(|text| Uuid::try_parse_ascii(text).ok())
            .is_some_and(|uuid| uuid.get_version_num() == 4)
}

fn read(text: &[u8], start: usize, end: usize, kind: Option<KeyKind>) -> Option<Found> {
    let secret = SecretKey::parse(str::from_utf8(text.get(start..end)?).ok()?).ok()?;
    let (last_four, fingerprint) = (secret.last_four(), secret.fingerprint());
    Some(Found { start, end, kind, last_four, fingerprint })
}

/// What may say what the UUID is: the line that it stands on, and the one before.
fn window(text: &[u8], start: usize, end: usize) -> std::ops::Range<usize> {
    let mut from = start.saturating_sub(BEFORE);
    let mut breaks = (from..start).rev().filter(|at| text[*at] == b'\n');
    if let Some(second) = breaks.nth(1) {
        from = second + 1;
    }
    let to = (end + AFTER).min(text.len());
    let to = (end..to).find(|at| text[*at] == b'\n').unwrap_or(to);
    from..to
}

/// Whether the words are those that stand beside keys: in headers, variables, settings and code.
fn speaks_of_keys(around: &[u8]) -> bool {
    let around = String::from_utf8_lossy(around).to_ascii_lowercase();
    let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    let says_so = |word: &str| {
        word == "bearer"
            || word.starts_with("keydock_")
            || (word.starts_with("x-") && word.ends_with("-key"))
            || (word.starts_with("x_") && word.ends_with("_key"))
    };
    let squeezed: String = around.chars().filter(|c| !matches!(c, ' ' | '_' | '-')).collect();
    around.split(|c| !is_word(c)).any(says_so)
        || ["platformkey", "apikey", "deploymentkey"].iter().any(|word| squeezed.contains(word))
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng as _;
    use rand_chacha::ChaCha20Rng;

    use super::*;
    use crate::secret::SecretForm;

    const UUID: &str = "5b0e3c52-9d1f-4c6a-8a77-0f6a3f2d9c41";

    fn prefixed(kind: KeyKind) -> String {
        let mut rng = ChaCha20Rng::seed_from_u64(1);
        SecretKey::generate(kind, SecretForm::Prefixed, &mut rng).reveal()
    }

    #[test]
    fn a_prefixed_key_is_found_anywhere_and_for_certain() {
        for kind in KeyKind::ALL {
            let key = prefixed(kind);
            for around in [("", ""), ("x=%3D", "&y"), ("\u{fffd}", "\n"), ("abc", "def")] {
                let text = format!("{}{key}{}", around.0, around.1);
                let found = keys_in(text.as_bytes());
                assert_eq!(found.len(), 1, "{text}");
                assert_eq!((found[0].kind, found[0].start), (Some(kind), around.0.len()));
                assert_eq!(found[0].last_four, key[key.len() - 4..]);
            }
        }
    }

    #[test]
    fn a_damaged_or_shortened_key_is_none() {
        let key = prefixed(KeyKind::Platform);
        let other = if key.ends_with('0') { "1" } else { "0" };
        let damaged = format!("{}{other}", &key[..key.len() - 1]);
        for text in [damaged.as_str(), &key[..key.len() - 1], "kdp_", "kdd_example"] {
            assert_eq!(keys_in(text.as_bytes()), [], "{text}");
        }
    }

    #[test]
    fn a_uuid_is_possible_where_the_words_around_it_say_so() {
        let simple = UUID.replace('-', "");
        for text in [
            format!("curl -H 'Authorization: Bearer {UUID}'"),
            format!("KEYDOCK_KEY={UUID}"),
            format!("PLATFORM_SERVICE_API_KEY: \"{UUID}\""),
            format!("- name: PLATFORM_SERVICE_API_KEY\n  value: {UUID}\n"),
            format!("platformKey = '{UUID}';"),
            format!("\"deployment_key\":\"{simple}\""),
            format!("X-Service-Key: {}", UUID.to_uppercase()),
            format!("{UUID} # my api key"),
        ] {
            let found = keys_in(text.as_bytes());
            assert_eq!(found.len(), 1, "{text}");
            assert!(!found[0].is_certain());
            assert_eq!(found[0].last_four, "9c41", "{text}");
        }
    }

    #[test]
    fn other_uuids_are_left_alone() {
        for text in [
            format!("id: {UUID}"),
            format!("api_key\n\n\nid: {UUID}"),
            format!("monkey {UUID}"),
            "api_key_id: 0198c3f2-a7c8-7b0e-8f1d-2c3b4a596877".to_owned(),
            "api_key: 00000000-0000-0000-0000-000000000000".to_owned(),
            format!("api_key: a{UUID}"),
            format!("api_key: {UUID}-1"),
        ] {
            assert_eq!(keys_in(text.as_bytes()), [], "{text}");
        }
    }

    #[test]
    fn the_fingerprint_is_that_of_the_list_of_keys() {
        let listed = SecretKey::parse(UUID).unwrap().fingerprint();
        let found = keys_in(format!("api_key={}", UUID.to_uppercase()).as_bytes());
        assert_eq!(found[0].fingerprint, listed);
    }
}
