//! Why a credential does not open what was asked for.
//!
//! Every reason has a stable code. The specific ones are told only to somebody who proved to hold
//! a genuine key; a stranger gets one generic answer.

use std::{net::IpAddr, time::Duration};

use keydock_core::{
    id::{self, Id, OrgNumber},
    limits::{Period, Quota, RateLimit},
    role::Tier,
    secret::KeyKind,
};

/// The reason of a refusal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// No credential at all, where a session or a key is needed.
    Anonymous,
    /// Somebody who signs in with a name or a password that is not right.
    WrongPassword,
    /// No key, where only a key is taken.
    KeyMissing,
    /// The session is for another organization than the URL.
    OtherOrganizationSession,
    /// More than one `Authorization` or `X-Organization-Id` header.
    SeveralCredentials,
    /// A header that should hold an organization's name holds something else.
    MalformedOrganization,
    /// The key was sent in the URL, where proxies and logs keep it.
    KeyInUrl,
    /// Not in the form of any key.
    MalformedKey,
    /// In the form of a key, and none of ours.
    UnknownKey,
    /// Too many unknown keys from this address.
    Guessing {
        /// When it is worth trying again.
        retry_after: Duration,
    },
    /// A genuine key that is switched off.
    Inactive(Genuine),
    /// A genuine key that the server switched off because nobody used it.
    Dormant(Genuine),
    /// A key that opens nothing and raises an alarm. Whoever presents it is told what they are told of a
    /// key that does not exist.
    Canary(Genuine),
    /// A genuine key whose secret was replaced, and the overlap is over.
    RotatedOut(Genuine),
    /// A genuine key whose time is over.
    Expired(Genuine),
    /// A genuine key, sent from an address that it is not for.
    Address {
        /// The key.
        key: Genuine,
        /// The address, as this server sees it.
        ip: IpAddr,
    },
    /// A genuine key that was used too often in a short time.
    RateLimited {
        /// Its limit.
        limit: RateLimit,
        /// When it is worth trying again.
        retry_after: Duration,
    },
    /// A genuine key that has used up what it has for a period.
    QuotaExhausted {
        /// Its quota.
        quota: Quota,
        /// When the next period begins.
        retry_after: Duration,
    },
    /// A genuine key of a kind that this endpoint does not take.
    WrongKind {
        /// What was sent.
        sent: Genuine,
        /// What is taken here.
        takes: Takes,
    },
    /// A genuine key of another organization than the URL or the header says.
    OtherOrganization,
    /// A genuine deployment key, for another deployment.
    OtherDeployment,
    /// The tier of the key does not allow the method.
    Tier {
        /// The tier of the key.
        tier: Tier,
        /// The method of the request, in upper case.
        method: String,
    },
    /// This node cannot tell which keys are good, because it lost touch with the database.
    KeysUnavailable,
}

/// A key that was proved to be ours, as told to its holder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Genuine {
    /// Its organization.
    pub org: OrgNumber,
    /// Its id.
    pub key: Id<id::AnyKey>,
    /// Its kind.
    pub kind: KeyKind,
    /// What people call it, where it has a name.
    pub name: Option<String>,
}

/// What an endpoint takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Takes {
    /// Keys of the whole organization.
    Platform,
    /// Keys of deployments.
    Deployment,
}

impl Genuine {
    fn describe(&self) -> String {
        let kind = match self.kind {
            KeyKind::Platform => "platform key",
            KeyKind::PlatformApi => "platform API key",
            KeyKind::Deployment => "deployment key",
            KeyKind::OrgDeployment => "organization deployment key",
            KeyKind::PlatformToken => "platform token",
        };
        match &self.name {
            Some(name) => format!("{kind} \"{name}\""),
            None => kind.to_owned(),
        }
    }

    /// Who can switch it on.
    fn keeper(&self) -> &'static str {
        match self.kind {
            KeyKind::Deployment => "An owner of the deployment",
            _ => "An administrator of the organization",
        }
    }
}

impl Refusal {
    /// The key that was refused, where the reason is about the key itself.
    pub fn genuine(&self) -> Option<&Genuine> {
        match self {
            Self::Inactive(key)
            | Self::Dormant(key)
            | Self::RotatedOut(key)
            | Self::Expired(key)
            | Self::Address { key, .. }
            | Self::WrongKind { sent: key, .. } => Some(key),
            _ => None,
        }
    }

    /// The stable code.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Anonymous => "unauthenticated",
            Self::WrongPassword => "wrong_password",
            Self::KeyMissing => "key_missing",
            Self::OtherOrganizationSession => "session_of_other_organization",
            Self::SeveralCredentials => "several_credentials",
            Self::MalformedOrganization => "organization_header_malformed",
            Self::KeyInUrl => "key_in_url",
            Self::MalformedKey => "key_malformed",
            Self::UnknownKey | Self::Canary(_) => "key_unknown",
            Self::Guessing { .. } => "too_many_unknown_keys",
            Self::Inactive(_) | Self::Dormant(_) => "key_inactive",
            Self::RotatedOut(_) => "key_rotated_out",
            Self::Expired(_) => "key_expired",
            Self::Address { .. } => "key_address",
            Self::RateLimited { .. } => "rate_limited",
            Self::QuotaExhausted { .. } => "quota_exhausted",
            Self::WrongKind { .. } => "key_kind",
            Self::OtherOrganization => "key_of_other_organization",
            Self::OtherDeployment => "key_of_other_deployment",
            Self::Tier { .. } => "insufficient_scope",
            Self::KeysUnavailable => "keys_unavailable",
        }
    }

    /// The sentence that the wire has always had for this (CONTRACT 1.2, 5.2).
    pub fn message(&self) -> String {
        match self {
            Self::Anonymous | Self::OtherDeployment => "Unauthorized".to_owned(),
            Self::WrongPassword => "Invalid username or password".to_owned(),
            Self::KeyMissing => "Missing api key".to_owned(),
            Self::OtherOrganizationSession => "Organization access denied".to_owned(),
            Self::SeveralCredentials => "More than one credential was sent".to_owned(),
            Self::MalformedOrganization => "X-Organization-Id is not an organization".to_owned(),
            Self::KeyInUrl => "A key must not be sent in the URL".to_owned(),
            Self::MalformedKey => "Invalid API key format".to_owned(),
            Self::UnknownKey
            | Self::Canary(_)
            | Self::Inactive(_)
            | Self::Dormant(_)
            | Self::RotatedOut(_)
            | Self::Expired(_)
            | Self::WrongKind { .. } => "Invalid or inactive API key".to_owned(),
            Self::Address { .. } => "API key is not allowed from this address".to_owned(),
            Self::RateLimited { .. } => "Rate limit exceeded".to_owned(),
            Self::QuotaExhausted { .. } => "Quota exceeded".to_owned(),
            Self::Guessing { .. } => "Too many unknown keys from this address".to_owned(),
            Self::OtherOrganization => "API key does not belong to this organization".to_owned(),
            Self::Tier { tier, method } => {
                format!("API key with permission '{}' does not allow {method}", tier.as_str())
            }
            Self::KeysUnavailable => "Keys cannot be verified at the moment".to_owned(),
        }
    }

    /// What to do about it, for a person.
    pub fn detail(&self) -> String {
        match self {
            Self::Anonymous => {
                "Sign in, or send a platform key as 'Authorization: Bearer KEY'.".to_owned()
            }
            Self::WrongPassword => "Check both and try again.".to_owned(),
            Self::KeyMissing => {
                "Send a deployment key as 'Authorization: Bearer KEY'. An owner of the deployment \
                 makes keys: keydock keys create."
                    .to_owned()
            }
            Self::OtherOrganizationSession => {
                "This session is for another organization. Switch organizations first.".to_owned()
            }
            Self::SeveralCredentials => {
                "Send exactly one Authorization header and at most one X-Organization-Id."
                    .to_owned()
            }
            Self::MalformedOrganization => {
                "Send the organization's name, such as mock_org, or leave the header out."
                    .to_owned()
            }
            Self::KeyInUrl => "Send the key as 'Authorization: Bearer KEY' and replace this one: \
                               addresses end up in logs."
                .to_owned(),
            Self::MalformedKey => {
                "A key is a UUID, or begins with kdp_, kda_, kdd_, kdo_ or kdt_. Copy it again, whole."
                    .to_owned()
            }
            Self::UnknownKey | Self::Canary(_) => "No key like this works here. It may have been replaced or \
                                 deleted; ask an administrator for a new one."
                .to_owned(),
            Self::Guessing { .. } => "Wait, then try again with a key that works.".to_owned(),
            Self::Inactive(key) if key.kind == KeyKind::PlatformToken => {
                format!("This {} was revoked. Exchange another one.", key.describe())
            }
            Self::Expired(key) if key.kind == KeyKind::PlatformToken => {
                format!("This {} has expired. Exchange another one.", key.describe())
            }
            Self::Inactive(key) => {
                format!("This {} is not active. {} can activate it.", key.describe(), key.keeper())
            }
            Self::Dormant(key) => format!(
                "This {} was switched off because nobody had used it for long. {} can activate it.",
                key.describe(),
                key.keeper()
            ),
            Self::RotatedOut(key) => {
                format!("The secret of this {} was replaced. Use the new one.", key.describe())
            }
            Self::Expired(key) => format!(
                "This {} has expired. Ask for a new one, or for a later expiry.",
                key.describe()
            ),
            Self::Address { key, ip } => format!(
                "This {} may not be used from {ip}. Its allowed_ips say from where.",
                key.describe()
            ),
            Self::RateLimited { limit, .. } => format!(
                "This key may be used {} times in {} seconds. Retry-After says when to try again.",
                limit.requests, limit.window_seconds
            ),
            Self::QuotaExhausted { quota, .. } => {
                let period = match quota.period {
                    Period::Hour => "an hour",
                    Period::Day => "a day (UTC)",
                    Period::Month => "a month (UTC)",
                };
                format!(
                    "This key may be used {} times in {period}. Retry-After says when the next \
                     begins.",
                    quota.requests
                )
            }
            Self::WrongKind { sent, takes } => wrong_kind(sent, *takes),
            Self::OtherOrganization => "The key decides the organization; the URL and \
                                        X-Organization-Id may only confirm it."
                .to_owned(),
            Self::OtherDeployment => "This deployment key opens another deployment. Use a key \
                                      of this one."
                .to_owned(),
            Self::Tier { .. } => "Use a key with a higher tier for this method.".to_owned(),
            Self::KeysUnavailable => {
                "This server lost touch with its database. Try again shortly.".to_owned()
            }
        }
    }
}

fn wrong_kind(sent: &Genuine, takes: Takes) -> String {
    match takes {
        Takes::Platform => format!(
            "This is a {}; this endpoint takes a platform key or a platform API key, which an \
             administrator of the organization makes. A deployment key opens /deployment/api/….",
            sent.describe()
        ),
        Takes::Deployment => format!(
            "This is a {}; this endpoint takes a deployment key, which an owner of the deployment \
             makes, or an organization deployment key. A platform key opens /api/v1/unstract/….",
            sent.describe()
        ),
    }
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.message())
    }
}

impl std::error::Error for Refusal {}
