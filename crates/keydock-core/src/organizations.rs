//! What an organization may be called.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

/// The name of an organization in URLs, headers and answers: `mock_org`.
///
/// 1 to 30 characters of `a-z`, `0-9`, `_` and `-`, and none of the words that the server's own
/// addresses begin with.
///
/// It lies where it is held, and not behind a pointer: it is needed whenever a key is verified.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct OrgName {
    /// Filled up with zeros, which come before every letter.
    bytes: [u8; OrgName::MAX_LEN],
    len: u8,
}

/// First path segments that the server itself uses, now or by a promise to come, so that
/// `/{org}/…` and `/api/v1/unstract/{org}/…` are never ambiguous.
pub const RESERVED: &[&str] = &[
    "adapter_instance",
    "agentic_tool_instance",
    "api",
    "assets",
    "authorize",
    "cache",
    "console",
    "custom_tool_instance",
    "deployment",
    "docs",
    "error",
    "favicon",
    "forward-auth",
    "health",
    "instance",
    "internal",
    "introspect",
    "llm_profile_instance",
    "login",
    "logout",
    "mcp",
    "metrics",
    "oauth",
    "openapi",
    "page-usage",
    "ping",
    "platform_details",
    "problems",
    "register",
    "revoke",
    "setup",
    "signup",
    "static",
    "token",
    "unstract",
    "usage",
    "well-known",
    "whoami",
];

/// Why a text cannot name an organization.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidOrgName {
    /// Nothing at all.
    #[error("This field may not be blank.")]
    Empty,
    /// More than 30 characters.
    #[error("Ensure this field has no more than 30 characters.")]
    TooLong,
    /// A character that does not belong.
    #[error("Use lower-case letters, digits, hyphens and underscores only.")]
    Character,
    /// A word of the server's own addresses.
    #[error("This word is reserved by the server. Choose another one.")]
    Reserved,
}

impl OrgName {
    const MAX_LEN: usize = 30;

    /// The name as text.
    pub fn as_str(&self) -> &str {
        // It was made from letters.
        std::str::from_utf8(&self.bytes[..usize::from(self.len)]).unwrap_or_default()
    }

    fn of_letters(text: &str) -> Option<Self> {
        let mut bytes = [0; Self::MAX_LEN];
        bytes.get_mut(..text.len())?.copy_from_slice(text.as_bytes());
        Some(Self { bytes, len: u8::try_from(text.len()).ok()? })
    }
}

impl FromStr for OrgName {
    type Err = InvalidOrgName;

    fn from_str(text: &str) -> Result<Self, InvalidOrgName> {
        let allowed = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_' | b'-');
        match text {
            "" => Err(InvalidOrgName::Empty),
            text if text.chars().count() > Self::MAX_LEN => Err(InvalidOrgName::TooLong),
            text if !text.bytes().all(allowed) => Err(InvalidOrgName::Character),
            text if RESERVED.binary_search(&text).is_ok() => Err(InvalidOrgName::Reserved),
            text => Self::of_letters(text).ok_or(InvalidOrgName::TooLong),
        }
    }
}

impl TryFrom<String> for OrgName {
    type Error = InvalidOrgName;

    fn try_from(text: String) -> Result<Self, InvalidOrgName> {
        text.parse()
    }
}

impl From<OrgName> for String {
    fn from(name: OrgName) -> Self {
        name.as_str().to_owned()
    }
}

impl fmt::Display for OrgName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for OrgName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("OrgName").field(&self.as_str()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reserved_words_are_sorted_for_the_search() {
        assert!(RESERVED.is_sorted());
    }

    #[test]
    fn says_what_is_wrong() {
        for (text, error) in [
            ("", InvalidOrgName::Empty),
            ("Mock", InvalidOrgName::Character),
            ("a/b", InvalidOrgName::Character),
            ("whoami", InvalidOrgName::Reserved),
            ("0123456789012345678901234567890", InvalidOrgName::TooLong),
        ] {
            assert_eq!(text.parse::<OrgName>(), Err(error), "{text}");
        }
        assert_eq!("mock_org".parse::<OrgName>().unwrap().as_str(), "mock_org");
    }

    #[test]
    fn names_are_sorted_as_texts() {
        let longest = "z".repeat(30);
        let mut texts = ["b", "a-", "a", "ab", "a0", "_", &longest];
        let mut names = texts.map(|text| text.parse::<OrgName>().unwrap());
        texts.sort_unstable();
        names.sort_unstable();
        assert_eq!(names.each_ref().map(OrgName::as_str), texts);
    }
}
