//! What a person may do in an organization.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

/// The role of a member. An admin can do what a user can.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Works with workflows and deployments.
    User,
    /// Also manages members and keys.
    Admin,
}

impl Role {
    /// Every role, weakest first.
    pub const ALL: [Self; 2] = [Self::User, Self::Admin];

    /// The word on the wire and in the database.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Admin => "admin",
        }
    }
}

/// The text names no role.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown role: use \"admin\" or \"user\"")]
pub struct UnknownRole;

impl FromStr for Role {
    type Err = UnknownRole;

    fn from_str(text: &str) -> Result<Self, UnknownRole> {
        Self::ALL.into_iter().find(|role| role.as_str() == text).ok_or(UnknownRole)
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// How much of an organization a bearer key opens, by HTTP method.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, Hash)]
#[serde(rename_all = "snake_case")]
pub enum Tier {
    /// GET, HEAD and OPTIONS.
    Read,
    /// Also POST, PUT and PATCH.
    ReadWrite,
    /// Also DELETE. The tier of an active platform key.
    FullAccess,
}

/// The text names no tier.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown permission: use \"read\", \"read_write\" or \"full_access\"")]
pub struct UnknownTier;

impl FromStr for Tier {
    type Err = UnknownTier;

    fn from_str(text: &str) -> Result<Self, UnknownTier> {
        Self::ALL.into_iter().find(|tier| tier.as_str() == text).ok_or(UnknownTier)
    }
}

impl Tier {
    /// Every tier, weakest first.
    pub const ALL: [Self; 3] = [Self::Read, Self::ReadWrite, Self::FullAccess];

    /// The word on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::ReadWrite => "read_write",
            Self::FullAccess => "full_access",
        }
    }
}
