//! Texts that people write, checked once.
//!
//! Every type here is trimmed, bounded in length, free of control characters, and, where it is
//! shown on pages, free of markup (CONTRACT 1.8).

use std::{fmt, str::FromStr, sync::LazyLock};

use regex::Regex;
use serde::{Deserialize, Serialize};

/// Why a text was refused; the words are for the person who wrote it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidText {
    /// Nothing is left after trimming.
    #[error("This field may not be blank.")]
    Blank,
    /// Too many characters.
    #[error("Ensure this field has no more than {max} characters.")]
    TooLong {
        /// How many there may be.
        max: usize,
    },
    /// A line break, a tab or another control character.
    #[error("Must not contain control characters. Write it on one line.")]
    ControlCharacter,
    /// Something that a browser would take for markup or a script.
    #[error("Must not contain HTML, script addresses or event handlers.")]
    Markup,
    /// A character outside the allowed set.
    #[error("{0}")]
    Character(&'static str),
}

impl InvalidText {
    /// The stable code of the wire (CONTRACT 9.1).
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Blank => "blank",
            Self::TooLong { .. } => "max_length",
            Self::ControlCharacter | Self::Markup | Self::Character(_) => "invalid",
        }
    }
}

/// The rule of a kind of text.
struct Rule {
    max: usize,
    may_be_blank: bool,
    markup: Markup,
}

enum Markup {
    Refused,
    Irrelevant,
}

static MARKUP: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(
        r"(?ix) <[^>]*> | <[a-z/!] | (?:javascript|vbscript)\s*: | data:\s*[a-z]+/[a-z] | \bon[a-z]{3,}\s*=",
    )
    .expect("a constant pattern")
});

fn check(text: &str, rule: &Rule) -> Result<String, InvalidText> {
    let text = text.trim();
    if text.is_empty() && !rule.may_be_blank {
        return Err(InvalidText::Blank);
    }
    if text.chars().count() > rule.max {
        return Err(InvalidText::TooLong { max: rule.max });
    }
    if text.chars().any(char::is_control) {
        return Err(InvalidText::ControlCharacter);
    }
    if matches!(rule.markup, Markup::Refused) && MARKUP.is_match(text) {
        return Err(InvalidText::Markup);
    }
    Ok(text.to_owned())
}

macro_rules! text {
    ($(#[$doc:meta])* $name:ident, $check:expr) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// The checked text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = InvalidText;

            fn from_str(text: &str) -> Result<Self, InvalidText> {
                let check: fn(&str) -> Result<String, InvalidText> = $check;
                check(text).map(Self)
            }
        }

        impl TryFrom<String> for $name {
            type Error = InvalidText;

            fn try_from(text: String) -> Result<Self, InvalidText> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(text: $name) -> Self {
                text.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

text! {
    /// What a platform key is called: 1 to 64 characters.
    KeyName, |text| check(text, &Rule { max: 64, may_be_blank: false, markup: Markup::Refused })
}
text! {
    /// What a deployment is called on pages: 1 to 30 characters.
    DisplayName, |text| check(text, &Rule { max: 30, may_be_blank: false, markup: Markup::Refused })
}
text! {
    /// What a workflow is called: 1 to 128 characters.
    WorkflowName, |text| check(text, &Rule { max: 128, may_be_blank: false, markup: Markup::Refused })
}
text! {
    /// What a workflow is for: at most 490 characters.
    WorkflowDescription, |text| check(text, &Rule { max: 490, may_be_blank: true, markup: Markup::Refused })
}
text! {
    /// What a deployment is for: at most 255 characters.
    DeploymentDescription, |text| check(text, &Rule { max: 255, may_be_blank: true, markup: Markup::Refused })
}
text! {
    /// Whom a deployment key was given to: 1 to 255 characters.
    KeyDescription, |text| check(text, &Rule { max: 255, may_be_blank: false, markup: Markup::Refused })
}
text! {
    /// What a key of an organization is called: 1 to 128 characters.
    ApiKeyName, |text| check(text, &Rule { max: 128, may_be_blank: false, markup: Markup::Refused })
}
text! {
    /// What a key of an organization is for: 1 to 512 characters.
    ApiKeyPurpose, |text| check(text, &Rule { max: 512, may_be_blank: false, markup: Markup::Refused })
}
text! {
    /// What a webhook is for: at most 255 characters.
    WebhookDescription, |text| check(text, &Rule { max: 255, may_be_blank: true, markup: Markup::Refused })
}
text! {
    /// What an organization is called on pages: 1 to 150 characters.
    OrgTitle, |text| check(text, &Rule { max: 150, may_be_blank: false, markup: Markup::Refused })
}
text! {
    /// The part of a deployment's URL that names it: 1 to 30 of `A-Z`, `a-z`, `0-9`, `_` and `-`.
    ApiName, |text| {
        let text = check(text, &Rule { max: 30, may_be_blank: false, markup: Markup::Irrelevant })?;
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
        if text.bytes().all(allowed) {
            Ok(text)
        } else {
            Err(InvalidText::Character("Use letters, digits, hyphens and underscores only."))
        }
    }
}
text! {
    /// The address that people sign in with and are told apart by: `name@host`, in lower case.
    Email, |text| {
        let text = check(text, &Rule { max: 254, may_be_blank: false, markup: Markup::Refused })?;
        let valid = text.split_once('@').is_some_and(|(name, host)| {
            !name.is_empty() && !host.is_empty() && !host.contains('@') && !text.contains(char::is_whitespace)
        });
        if valid {
            Ok(text.to_lowercase())
        } else {
            Err(InvalidText::Character("Enter a valid email address."))
        }
    }
}
text! {
    /// What a person signs in with: 3 to 150 characters without spaces.
    Username, |text| {
        let text = check(text, &Rule { max: 150, may_be_blank: false, markup: Markup::Refused })?;
        if text.chars().count() < 3 || text.contains(char::is_whitespace) {
            return Err(InvalidText::Character("Use at least 3 characters and no spaces."));
        }
        Ok(text.to_lowercase())
    }
}
text! {
    /// The label that a client puts on a run: a letter, then up to 49 letters, digits, `_` and `-`.
    Tag, |text| {
        let text = check(text, &Rule { max: 50, may_be_blank: false, markup: Markup::Irrelevant })?;
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
        if text.as_bytes()[0].is_ascii_alphabetic() && text.bytes().all(allowed) {
            Ok(text)
        } else {
            Err(InvalidText::Character(
                "Start a tag with a letter and use letters, digits, hyphens and underscores only.",
            ))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trims_and_bounds() {
        assert_eq!(" ci ".parse::<KeyName>().unwrap().as_str(), "ci");
        assert_eq!("  ".parse::<KeyName>(), Err(InvalidText::Blank));
        assert_eq!("é".repeat(64).parse::<KeyName>().unwrap().as_str().chars().count(), 64);
        assert_eq!("x".repeat(65).parse::<KeyName>(), Err(InvalidText::TooLong { max: 64 }));
    }

    #[test]
    fn markup_is_refused_and_plain_signs_are_not() {
        for bad in ["<b>", "<script", "a </p", "JavaScript:x", "data:text/html", "x onclick=1"] {
            assert_eq!(bad.parse::<WorkflowName>(), Err(InvalidText::Markup), "{bad}");
        }
        for good in ["a < b", "5 > 3", "data: yes", "on = off", "Key #1", "Düsseldorf & Söhne"] {
            assert!(good.parse::<WorkflowName>().is_ok(), "{good}");
        }
    }

    #[test]
    fn control_characters_are_refused() {
        assert_eq!("a\r\nb".parse::<KeyDescription>(), Err(InvalidText::ControlCharacter));
        assert_eq!("a\u{1b}[31m".parse::<KeyDescription>(), Err(InvalidText::ControlCharacter));
    }

    #[test]
    fn api_names_tags_and_addresses() {
        assert!("Invoices_2-x".parse::<ApiName>().is_ok());
        assert!("a b".parse::<ApiName>().is_err());
        assert!("t1".parse::<Tag>().is_ok());
        assert!("1t".parse::<Tag>().is_err());
        assert_eq!("A@B.c".parse::<Email>().unwrap().as_str(), "a@b.c");
        assert!("a@".parse::<Email>().is_err());
        assert!("ab".parse::<Username>().is_err());
    }
}
