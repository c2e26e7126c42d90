//! Counting requests against the limits of their key: after it is known to be allowed, so that nobody
//! else can spend what it has (RL-05).

use std::time::Duration;

use axum::http::{HeaderName, HeaderValue, request::Parts};
use keydock_core::limits::{Quota, RateLimit};

use super::{
    Refusal,
    guard::{Guard, Left},
    keyring::Verified,
};
use crate::{
    App, Error, Result, keys,
    web::{Arrival, Head, problem::whole_seconds},
};

/// The limits that apply, as draft-ietf-httpapi-ratelimit-headers writes them.
const POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");
/// How the key stands against them.
const STATE: HeaderName = HeaderName::from_static("ratelimit");
/// When the key ends by itself.
const EXPIRES: HeaderName = HeaderName::from_static("keydock-key-expires");

/// Counts a request against the limits of its key, once however often its proof is made, and has the answer say how they stand.
pub(crate) async fn charge(verified: &Verified, parts: &mut Parts, app: &App) -> Result<()> {
    let Some(guard) = &verified.guard else { return Ok(()) };
    if Head::of(parts).is_again() {
        return Ok(());
    }
    let mut fields = Fields::default();
    if let Some(end) = guard.controls().expires_at {
        fields.add(EXPIRES, end.to_string());
    }
    let counted = count(guard, verified, parts, app, &mut fields).await;
    if let Some(arrival) = parts.extensions.get::<Arrival>() {
        arrival.notes.put(fields.into_headers());
    }
    counted
}

async fn count(
    guard: &Guard,
    verified: &Verified,
    parts: &Parts,
    app: &App,
    fields: &mut Fields,
) -> Result<()> {
    let since = app.keyring().since(Head::of(parts).arrived_at());
    match guard.charge(since) {
        Ok(Some((limit, left))) => fields.rate(limit, left),
        Ok(None) => {}
        Err(refusal) => {
            if let Refusal::RateLimited { limit, retry_after } = refusal {
                fields.rate(limit, Left { remaining: 0, reset: retry_after });
            }
            return Err(refusal.into());
        }
    }
    let Some(quota) = guard.quota() else { return Ok(()) };
    match spend(guard, quota, verified, app).await {
        Ok(left) => fields.quota(quota, left),
        Err(error) => {
            if let Error::Refused(Refusal::QuotaExhausted { retry_after, .. }) = &error {
                fields.quota(quota, Left { remaining: 0, reset: *retry_after });
            }
            return Err(error);
        }
    }
    Ok(())
}

/// Uses one request of a quota. What is left of it stands in the database, from which every node
/// takes some in advance: what a node has taken and not used when it dies is lost, and none is ever
/// used twice. Without the database there is none (RL-04).
async fn spend(guard: &Guard, quota: Quota, verified: &Verified, app: &App) -> Result<Left> {
    let now = app.db().clock().now();
    if let Some(left) = guard.spend(now) {
        return Ok(left);
    }
    let (from, until) = quota.period.around(now);
    let some = (quota.requests / 100).clamp(1, 100);
    let org = verified.org.number;
    let taken = app
        .write(async |tx| keys::take_quota(tx, org, guard.key(), from, quota.requests, some).await)
        .await?;
    guard.add(until, taken.granted, taken.beyond);
    let retry_after = until.since(now);
    guard.spend(now).ok_or_else(|| Refusal::QuotaExhausted { quota, retry_after }.into())
}

/// Header fields about limits.
#[derive(Debug, Default)]
struct Fields {
    policies: Vec<String>,
    states: Vec<String>,
    headers: Vec<(HeaderName, HeaderValue)>,
}

impl Fields {
    fn rate(&mut self, limit: RateLimit, left: Left) {
        let window = Duration::from_secs(limit.window_seconds.into());
        self.limit("rate", limit.requests, window, left);
    }

    fn quota(&mut self, quota: Quota, left: Left) {
        // A month has no fixed length; this is the longest.
        let days = |days: u64| Duration::from_hours(24 * days);
        let window = match quota.period {
            keydock_core::limits::Period::Hour => Duration::from_hours(1),
            keydock_core::limits::Period::Day => days(1),
            keydock_core::limits::Period::Month => days(31),
        };
        self.limit("quota", quota.requests, window, left);
    }

    fn limit(&mut self, name: &str, requests: u32, window: Duration, left: Left) {
        self.policies.push(format!("\"{name}\";q={requests};w={}", window.as_secs()));
        let (remaining, reset) = (left.remaining, whole_seconds(left.reset));
        self.states.push(format!("\"{name}\";r={remaining};t={reset}"));
    }

    fn add(&mut self, name: HeaderName, text: String) {
        if let Ok(value) = HeaderValue::try_from(text) {
            self.headers.push((name, value));
        }
    }

    fn into_headers(mut self) -> Vec<(HeaderName, HeaderValue)> {
        if !self.policies.is_empty() {
            let (policies, states) = (self.policies.join(", "), self.states.join(", "));
            self.add(POLICY, policies);
            self.add(STATE, states);
        }
        self.headers
    }
}
