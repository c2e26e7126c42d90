//! What is said of keys of several kinds.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// How a key is used, and what limits it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct KeyFacts {
    /// When it was last used; lags by a few seconds.
    pub last_used_at: Option<String>,
    /// Where it was last used from.
    pub last_used_ip: Option<String>,
    /// By what program: its `User-Agent`.
    pub last_used_agent: Option<String>,
    /// How often it was used.
    pub use_count: i64,
    /// The first eight hexadecimal digits of the secret's SHA-256.
    pub fingerprint: String,
    /// Which of its secrets the key has; counts up.
    pub version: i64,
    /// Until when the secret before the last rotation still works.
    pub previous_secret_until: Option<String>,
    /// When it ends by itself.
    pub expires_at: Option<String>,
    /// The addresses and networks that it works from; any if there are none.
    pub allowed_ips: Vec<String>,
    /// How often it may be used in any window.
    pub rate_limit: Option<RateLimit>,
    /// How often it may be used in a period of the calendar.
    pub quota: Option<Quota>,
    /// The last reminder that it ends. They come 30, 14, 7 and 1 days before.
    pub expiry_reminder: Option<ExpiryReminder>,
    /// When it was warned that nobody uses it, unless somebody has used it since.
    pub dormancy_warned_at: Option<String>,
    /// Why the server switched it off: `dormant`, because nobody used it. Activating it begins anew.
    pub disabled_reason: Option<String>,
    /// Whether it is a canary: it opens nothing, and raises an alarm where it is presented. Of a canary,
    /// the last use is the last time that it was.
    pub canary: bool,
    /// When it last raised an alarm.
    pub canary_alarmed_at: Option<String>,
}

/// A reminder that a key ends.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ExpiryReminder {
    /// How many days before its end.
    pub days: i64,
    /// When it was given.
    pub at: String,
}

/// So many requests in any window of this length.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RateLimit {
    /// How many, at least 1.
    pub requests: u32,
    /// How long the window is: 1 to 86,400 seconds.
    pub window_seconds: u32,
}

/// So many requests in a period of the calendar, in UTC.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Quota {
    /// How many, at least 1.
    pub requests: u32,
    /// `hour`, `day` or `month`.
    pub period: String,
}

/// What can be asked for with any key that is made or changed. What is left out stays as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct KeyLimits {
    /// When it ends by itself: RFC 3339; `null` for never.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<String>,
    /// Up to 64 addresses and networks (CIDR, IPv4 and IPv6) that it works from; empty for any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub allowed_ips: Option<Vec<String>>,
    /// How often in any window; `null` for no limit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rate_limit: Option<RateLimit>,
    /// How often in a period; `null` for no limit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub quota: Option<Quota>,
}

/// Replaces the secret of a key.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RotateKey {
    /// For how many seconds the old secret still works: 0 (the default) to 2,592,000 (30 days).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub grace_seconds: Option<i64>,
    /// From when that counts: `now` (the default), or `first_use` of the new secret; then the old one
    /// works for 30 days at most.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub overlap_from: Option<String>,
}

/// Does the same to several keys, in one transaction.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct BulkKeys {
    /// The keys: 1 to 500.
    pub ids: Vec<String>,
    /// `activate`, `deactivate` or `delete`.
    pub action: String,
}

/// What was done to several keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct BulkDone {
    /// How many keys were changed.
    pub changed: usize,
    /// How many were already as asked.
    pub unchanged: usize,
}

/// A key of an organization with its new secret. The only time that it is shown.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct IssuedKey {
    /// Its identifier.
    pub id: String,
    /// Its name.
    pub name: String,
    /// The secret.
    pub key: String,
    /// Whether it works.
    pub is_active: bool,
    /// Until when the old secret still works.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub previous_secret_until: Option<String>,
}

impl std::fmt::Debug for IssuedKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "IssuedKey({})", self.id)
    }
}

/// Takes a rotation back, or ends its overlap, while the old secret still works.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SettleRotation {
    /// `undo`: the old secret is the only one again. `finish`: the old secret ends now.
    pub action: String,
}

/// Who uses a key, and how often: what to look at before an old secret ends or a key goes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct KeyUsage {
    /// How often it was used.
    pub use_count: i64,
    /// When it was last used.
    pub last_used_at: Option<String>,
    /// Where it was last used from.
    pub last_used_ip: Option<String>,
    /// By what program: its `User-Agent`.
    pub last_used_agent: Option<String>,
    /// Which of its secrets the key has.
    pub version: i64,
    /// Which secret it had before, while that still works.
    pub previous_version: Option<i64>,
    /// Until when that works.
    pub previous_secret_until: Option<String>,
    /// How many callers have used the secret before and may not have moved yet.
    pub callers_of_previous: usize,
    /// Uses in this hour and the one before.
    pub recent_uses: i64,
    /// Who used it last.
    pub last_caller: Option<KeyCaller>,
    /// Who used which secret: at most 500, those of the newest secret first.
    pub callers: Vec<KeyCaller>,
    /// The hours of the last week in which it was used.
    pub hours: Vec<HourUses>,
}

/// Uses of one secret of a key by one caller.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct KeyCaller {
    /// Which secret.
    pub secret_version: i64,
    /// `current`, `previous` (still works) or `ended`.
    pub secret_state: String,
    /// Where the caller is.
    pub ip: String,
    /// Its `User-Agent`.
    pub agent: String,
    /// The deployment that it called.
    pub deployment: Option<String>,
    /// When it came first.
    pub first_used_at: String,
    /// When it came last.
    pub last_used_at: String,
    /// How often it came.
    pub uses: i64,
}

/// Uses of a key in one hour.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct HourUses {
    /// Its beginning.
    pub hour: String,
    /// How many.
    pub uses: i64,
}
