//! What limits a key beyond what it opens: until when, from where, and how often it works; and whether
//! it works at all.

use std::net::IpAddr;

use ipnet::IpNet;
use keydock_core::{
    limits::{Quota, RateLimit},
    time::Timestamp,
};
use keydock_storage::db::{self, FromRow, Row};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{FieldError, web::Fields};

/// The most networks that one key can be bound to.
const MAX_NETWORKS: usize = 64;

/// The field that makes a canary.
const CANARY: &str = "canary";

/// Why the server switches a key off that nobody uses.
pub(crate) const DORMANT: &str = "dormant";

/// The longest window of a rate limit: a day.
const MAX_WINDOW: u32 = 86_400;

/// Until when, from where and how often a key works.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Controls {
    /// When it ends by itself.
    pub expires_at: Option<Timestamp>,
    /// The rest.
    pub limits: Limits,
    /// Whether it opens nothing, and raises an alarm where it is presented.
    pub is_canary: bool,
    /// Whether the server switched it off because nobody used it.
    pub is_dormant: bool,
}

impl Controls {
    /// Refuses limits of a key that opens nothing: who sets them takes it for another one. Refuses to
    /// make another key of one that exists, if that is what was `touched`.
    pub(crate) fn confirm(&self, touched: &[&'static str]) -> Result<(), FieldError> {
        if touched.contains(&CANARY) {
            return Err(FieldError::invalid(
                CANARY,
                "A key is made as a canary, or never is one. Make another key.",
            ));
        }
        if self.is_canary && (self.expires_at.is_some() || !self.limits.is_empty()) {
            return Err(FieldError::invalid(
                CANARY,
                "A canary opens nothing, so nothing can limit it. Leave expires_at, allowed_ips, \
                 rate_limit and quota out.",
            ));
        }
        Ok(())
    }
}

/// From where and how often a key works.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// The networks that it works from; any if there are none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub allowed_ips: Vec<IpNet>,
    /// How often in any window.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate_limit: Option<RateLimit>,
    /// How often in a period of the calendar.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quota: Option<Quota>,
}

impl Limits {
    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Whether a key works from this address. IPv4 in the clothes of IPv6 counts as IPv4.
    pub fn admit_ip(&self, ip: IpAddr) -> bool {
        let ip = ip.to_canonical();
        self.allowed_ips.is_empty() || self.allowed_ips.iter().any(|net| net.contains(&ip))
    }
}

/// What is asked of a value that need not be there.
#[derive(Debug, Default)]
enum Edit<T> {
    /// It stays.
    #[default]
    Keep,
    /// It goes.
    Clear,
    /// This is it from now on.
    Set(T),
}

impl<T> Edit<T> {
    fn apply(self, old: &mut Option<T>, name: &'static str, touched: &mut Vec<&'static str>)
    where
        T: PartialEq,
    {
        match self {
            Self::Keep => {}
            Self::Clear => set(old, Some(None), name, touched),
            Self::Set(new) => set(old, Some(Some(new)), name, touched),
        }
    }
}

/// Changes of controls.
#[derive(Debug, Default)]
pub struct ControlChanges {
    expires_at: Edit<Timestamp>,
    allowed_ips: Edit<Vec<IpNet>>,
    rate_limit: Edit<RateLimit>,
    quota: Edit<Quota>,
    is_canary: Option<bool>,
}

impl ControlChanges {
    /// Reads `expires_at`, `allowed_ips`, `rate_limit` and `quota`; `null` takes a limit away. And
    /// `canary`, which is for keys that are being made; others can only confirm it.
    pub fn read(fields: &mut Fields) -> Self {
        Self {
            expires_at: nullable(fields, "expires_at", parse_time),
            allowed_ips: nullable(fields, "allowed_ips", parse_networks),
            rate_limit: nullable(fields, "rate_limit", parse_rate_limit),
            quota: nullable(fields, "quota", parse_quota),
            is_canary: fields.bool_opt(CANARY),
        }
    }

    /// Makes the changes, and names what they touched.
    pub fn apply(self, controls: &mut Controls, touched: &mut Vec<&'static str>) {
        set(&mut controls.is_canary, self.is_canary, CANARY, touched);
        let Limits { allowed_ips, rate_limit, quota } = &mut controls.limits;
        self.expires_at.apply(&mut controls.expires_at, "expires_at", touched);
        match self.allowed_ips {
            Edit::Keep => {}
            Edit::Clear => set(allowed_ips, Some(Vec::new()), "allowed_ips", touched),
            Edit::Set(networks) => set(allowed_ips, Some(networks), "allowed_ips", touched),
        }
        self.rate_limit.apply(rate_limit, "rate_limit", touched);
        self.quota.apply(quota, "quota", touched);
    }

    /// Reads the controls of a key that is being made.
    pub fn read_new(fields: &mut Fields) -> Controls {
        let mut controls = Controls::default();
        Self::read(fields).apply(&mut controls, &mut Vec::new());
        if let Err(error) = controls.confirm(&[]) {
            fields.reject(error);
        }
        controls
    }
}

/// Puts a new value in the place of an old one, and says so if it differs.
pub(crate) fn set<T: PartialEq>(
    old: &mut T,
    new: Option<T>,
    name: &'static str,
    touched: &mut Vec<&'static str>,
) {
    if let Some(new) = new
        && *old != new
    {
        *old = new;
        touched.push(name);
    }
}

/// A field that may be left out, `null`, or what `parse` understands.
fn nullable<T>(
    fields: &mut Fields,
    name: &'static str,
    parse: fn(&Value) -> Result<T, String>,
) -> Edit<T> {
    match fields.take(name) {
        None => Edit::Keep,
        Some(Value::Null) => Edit::Clear,
        Some(Value::String(text)) if text.trim().is_empty() => Edit::Clear,
        Some(value) => match parse(&value) {
            Ok(parsed) => Edit::Set(parsed),
            Err(detail) => {
                fields.reject(FieldError::invalid(name, detail));
                Edit::Keep
            }
        },
    }
}

fn parse_time(value: &Value) -> Result<Timestamp, String> {
    let parsed = value.as_str().and_then(|text| text.trim().parse().ok());
    parsed.ok_or_else(|| {
        "Write an instant as RFC 3339 does, such as 2027-01-31T12:00:00Z.".to_owned()
    })
}

fn parse_networks(value: &Value) -> Result<Vec<IpNet>, String> {
    const HOW: &str = "Send a list of addresses and networks, such as [\"203.0.113.0/24\", \
                       \"2001:db8::1\"].";
    let texts: Vec<&str> = match value {
        Value::String(text) => text.split(',').map(str::trim).filter(|t| !t.is_empty()).collect(),
        Value::Array(values) => values
            .iter()
            .map(|value| value.as_str().map(str::trim).ok_or(HOW))
            .collect::<Result<_, _>>()?,
        _ => return Err(HOW.to_owned()),
    };
    if texts.len() > MAX_NETWORKS {
        return Err(format!("A key can be bound to {MAX_NETWORKS} networks at most."));
    }
    let parse = |text: &str| {
        let net = text.parse::<IpNet>().or_else(|_| text.parse::<IpAddr>().map(IpNet::from));
        let net =
            net.map_err(|_| format!("\"{}\" is no address or network. {HOW}", shown(text)))?;
        Ok(canonical(net).trunc())
    };
    texts.into_iter().map(parse).collect()
}

/// IPv4 written as IPv6, as the IPv4 that it is.
fn canonical(net: IpNet) -> IpNet {
    let IpNet::V6(v6) = net else { return net };
    let mapped = v6.addr().to_ipv4_mapped().filter(|_| v6.prefix_len() >= 96);
    let v4 = mapped.and_then(|v4| ipnet::Ipv4Net::new(v4, v6.prefix_len() - 96).ok());
    v4.map_or(net, IpNet::V4)
}

fn shown(text: &str) -> String {
    text.chars().take(50).filter(|character| !character.is_control()).collect()
}

fn parse_rate_limit(value: &Value) -> Result<RateLimit, String> {
    let limit: Result<RateLimit, _> = serde_json::from_value(value.clone());
    match limit {
        Ok(limit) if limit.requests > 0 && (1..=MAX_WINDOW).contains(&limit.window_seconds) => {
            Ok(limit)
        }
        _ => Err(format!(
            "Send {{\"requests\": 100, \"window_seconds\": 60}}: at least 1 request, 1 to \
             {MAX_WINDOW} seconds."
        )),
    }
}

fn parse_quota(value: &Value) -> Result<Quota, String> {
    let quota: Result<Quota, _> = serde_json::from_value(value.clone());
    quota.ok().filter(|quota| quota.requests > 0).ok_or_else(|| {
        "Send {\"requests\": 10000, \"period\": \"month\"}: at least 1 request; hour, day or month."
            .to_owned()
    })
}

impl FromRow for Controls {
    fn from_row(row: &Row) -> Result<Self, db::Error> {
        let limits = row.parse::<StoredLimits>("limits")?;
        Ok(Self {
            expires_at: row.time_opt("expires_at")?,
            limits: limits.0,
            is_canary: row.bool("is_canary")?,
            is_dormant: row.text_opt("disabled_reason")?.is_some_and(|reason| reason == DORMANT),
        })
    }
}

/// Limits as a column holds them.
struct StoredLimits(Limits);

impl std::str::FromStr for StoredLimits {
    type Err = serde_json::Error;

    fn from_str(text: &str) -> Result<Self, serde_json::Error> {
        // Most keys have none.
        if text == "{}" {
            return Ok(Self(Limits::default()));
        }
        serde_json::from_str(text).map(Self)
    }
}

impl Limits {
    /// As a column holds them.
    pub(super) fn stored(&self) -> String {
        serde_json::to_string(self).unwrap_or_else(|_| "{}".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn networks(value: &Value) -> Vec<String> {
        parse_networks(value).unwrap().iter().map(ToString::to_string).collect()
    }

    #[test]
    fn networks_are_written_in_every_usual_way() {
        assert_eq!(
            networks(&json!([
                "203.0.113.7",
                "10.1.2.3/8",
                " 2001:db8::1/32",
                "::ffff:192.0.2.0/120"
            ])),
            ["203.0.113.7/32", "10.0.0.0/8", "2001:db8::/32", "192.0.2.0/24"]
        );
        assert_eq!(networks(&json!("203.0.113.7, ::1")), ["203.0.113.7/32", "::1/128"]);
        for wrong in [json!(["localhost"]), json!([1]), json!({}), json!(["10.0.0.0/33"])] {
            assert!(parse_networks(&wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn an_address_counts_in_either_of_its_forms() {
        let limits = Limits {
            allowed_ips: parse_networks(&json!("10.0.0.0/8")).unwrap(),
            ..Limits::default()
        };
        assert!(limits.admit_ip("10.1.1.1".parse().unwrap()));
        assert!(limits.admit_ip("::ffff:10.1.1.1".parse().unwrap()));
        assert!(!limits.admit_ip("11.1.1.1".parse().unwrap()));
        assert!(!limits.admit_ip("::1".parse().unwrap()));
        assert!(Limits::default().admit_ip("::1".parse().unwrap()));
    }
}
