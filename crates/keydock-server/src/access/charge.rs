//! Counting requests against the limits of their key: after it is known to be allowed, so that nobody
//! else can spend what it has (RL-05).

use std::fmt::Write as _;

use axum::http::{HeaderName, HeaderValue, request::Parts};
use keydock_core::{
    limits::{Period, Quota, RateLimit},
    time::Timestamp,
};

use super::{
    Refusal,
    guard::{Guard, Left},
    keyring::{Seen, Verified},
};
use crate::{
    App, Error, Result, keys,
    web::{Head, problem::whole_seconds},
};

/// The limits that apply, as draft-ietf-httpapi-ratelimit-headers writes them.
const POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");
/// How the key stands against them.
const STATE: HeaderName = HeaderName::from_static("ratelimit");
/// When the key ends by itself.
const EXPIRES: HeaderName = HeaderName::from_static("keydock-key-expires");

/// Counts a request against the limits of its key, once however often its proof is made, and has the
/// answer say how they stand.
pub(crate) async fn charge(verified: &Verified, parts: &mut Parts, app: &App) -> Result<()> {
    let Some(guard) = &verified.guard else { return Ok(()) };
    let head = Head::of(parts);
    if head.is_again() {
        return Ok(());
    }
    let mut fields = Fields::about(guard);
    let counted = match count(guard, head, app, &mut fields) {
        Ok(()) => count_quota(guard, verified, app, &mut fields).await,
        Err(refusal) => Err(refusal.into()),
    };
    if let Some(arrival) = head.arrival {
        arrival.notes.put(fields.into_headers());
    }
    counted
}

/// The same where nothing can be waited for. None if the key has a quota, which may take the database.
pub(crate) fn charge_at_once(seen: Seen<'_>, head: Head<'_>, app: &App) -> Option<Result<()>> {
    let Some(guard) = seen.guard() else { return Some(Ok(())) };
    if guard.quota().is_some() {
        return None;
    }
    let mut fields = Fields::about(guard);
    let counted = count(guard, head, app, &mut fields);
    if let Some(arrival) = head.arrival {
        arrival.notes.put(fields.into_headers());
    }
    Some(counted.map_err(Error::from))
}

fn count(guard: &Guard, head: Head<'_>, app: &App, fields: &mut Fields) -> Result<(), Refusal> {
    match guard.charge(app.keyring().since(head.arrived_at())) {
        Ok(Some((limit, left))) => fields.rate(limit, left),
        Ok(None) => {}
        Err(refusal) => {
            if let Refusal::RateLimited { limit, retry_after } = refusal {
                fields.rate(limit, Left { remaining: 0, reset: retry_after });
            }
            return Err(refusal);
        }
    }
    Ok(())
}

async fn count_quota(
    guard: &Guard,
    verified: &Verified,
    app: &App,
    fields: &mut Fields,
) -> Result<()> {
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
#[derive(Debug)]
struct Fields {
    ends: Option<Timestamp>,
    policy: String,
    state: String,
}

impl Fields {
    fn about(guard: &Guard) -> Self {
        let ends = guard.controls().expires_at;
        Self { ends, policy: String::new(), state: String::new() }
    }

    fn rate(&mut self, limit: RateLimit, left: Left) {
        self.limit("rate", limit.requests, limit.window_seconds.into(), left);
    }

    fn quota(&mut self, quota: Quota, left: Left) {
        const HOUR: u64 = 60 * 60;
        let window = match quota.period {
            Period::Hour => HOUR,
            Period::Day => 24 * HOUR,
            // A month has no fixed length; this is the longest.
            Period::Month => 31 * 24 * HOUR,
        };
        self.limit("quota", quota.requests, window, left);
    }

    fn limit(&mut self, name: &str, requests: u32, window: u64, left: Left) {
        let comma = if self.policy.is_empty() { "" } else { ", " };
        let (remaining, reset) = (left.remaining, whole_seconds(left.reset));
        // Writing to a text does not fail.
        _ = write!(self.policy, "{comma}\"{name}\";q={requests};w={window}");
        _ = write!(self.state, "{comma}\"{name}\";r={remaining};t={reset}");
    }

    fn into_headers(self) -> Vec<(HeaderName, HeaderValue)> {
        let ends = self.ends.map(|end| end.to_string()).unwrap_or_default();
        [(EXPIRES, ends), (POLICY, self.policy), (STATE, self.state)]
            .into_iter()
            .filter(|(_, text)| !text.is_empty())
            .filter_map(|(name, text)| Some((name, HeaderValue::try_from(text).ok()?)))
            .collect()
    }
}
