//! Keys that work only until a certain time, from certain places, and so often.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use keydock_core::{
    id::{self, Id},
    limits::{Admission, Quota, RateLimit, Window},
    time::Timestamp,
};

use super::{Genuine, Refusal, keyring::Use};
use crate::keys::Controls;

/// The controls of a key, and what was counted against them on this node.
#[derive(Debug)]
pub struct Guard {
    key: Id<id::AnyKey>,
    controls: Arc<Controls>,
    window: Option<Mutex<Window>>,
    reserve: Mutex<Reserve>,
}

/// The part of a quota that this node has taken from the database and not used up.
#[derive(Clone, Copy, Debug)]
struct Reserve {
    /// The end of the period that it is for.
    until: Timestamp,
    left: u32,
    /// What was left in the database when it was taken.
    beyond: u32,
}

/// How a key stands against one of its limits, after a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Left {
    /// Requests that are left.
    pub remaining: u32,
    /// When there are all again.
    pub reset: Duration,
}

impl Guard {
    /// The guard of a key; goes on counting where `before` left off, as far as the limits are the same.
    pub fn new(key: Id<id::AnyKey>, controls: Arc<Controls>, before: Option<&Self>) -> Self {
        let window = controls.limits.rate_limit.map(|limit| {
            let same = before
                .and_then(|before| before.window.as_ref())
                .map(|window| lock(window).clone())
                .filter(|window| window.limit() == limit);
            Mutex::new(same.unwrap_or_else(|| Window::new(limit)))
        });
        let nothing = Reserve { until: Timestamp::from_micros(0), left: 0, beyond: 0 };
        let reserve = before
            .filter(|before| before.controls.limits.quota == controls.limits.quota)
            .map_or(nothing, |before| *lock(&before.reserve));
        Self { key, controls, window, reserve: Mutex::new(reserve) }
    }

    /// The key.
    pub fn key(&self) -> Id<id::AnyKey> {
        self.key
    }

    /// Its controls.
    pub fn controls(&self) -> &Controls {
        &self.controls
    }

    /// Whether the key works now and from there; `genuine` describes it if not.
    pub(super) fn admit(
        &self,
        used: &Use<'_>,
        genuine: impl FnOnce() -> Genuine,
    ) -> Result<(), Refusal> {
        if self.controls.is_canary {
            return Err(Refusal::Canary(genuine()));
        }
        if self.controls.expires_at.is_some_and(|end| used.at >= end) {
            return Err(Refusal::Expired(genuine()));
        }
        if !self.controls.limits.admit_ip(used.ip) {
            return Err(Refusal::Address { key: genuine(), ip: used.ip });
        }
        Ok(())
    }

    /// Why a key that is switched off does not work: `guard` may know more than that it is.
    pub(super) fn inactive(guard: Option<&Self>, key: Genuine) -> Refusal {
        match guard {
            Some(guard) if guard.controls.is_dormant => Refusal::Dormant(key),
            _ => Refusal::Inactive(key),
        }
    }

    /// Counts a request against the rate limit, if there is one. `since` is the time by a clock that
    /// never goes back.
    pub fn charge(&self, since: Duration) -> Result<Option<(RateLimit, Left)>, Refusal> {
        let Some(window) = &self.window else { return Ok(None) };
        let mut window = lock(window);
        match window.admit(since) {
            Admission::Admitted { remaining, reset } => {
                Ok(Some((window.limit(), Left { remaining, reset })))
            }
            Admission::Refused { retry_after } => {
                Err(Refusal::RateLimited { limit: window.limit(), retry_after })
            }
        }
    }

    /// The quota, if there is one.
    pub fn quota(&self) -> Option<Quota> {
        self.controls.limits.quota
    }

    /// Uses one of the requests that this node has taken from the quota, if one is left.
    pub fn spend(&self, now: Timestamp) -> Option<Left> {
        let mut reserve = lock(&self.reserve);
        if reserve.left == 0 || now >= reserve.until {
            return None;
        }
        reserve.left -= 1;
        let remaining = reserve.left.saturating_add(reserve.beyond);
        Some(Left { remaining, reset: reserve.until.since(now) })
    }

    /// Adds requests that were taken from the quota.
    pub fn add(&self, until: Timestamp, taken: u32, beyond: u32) {
        let mut reserve = lock(&self.reserve);
        let left = if reserve.until == until { reserve.left } else { 0 };
        *reserve = Reserve { until, left: left.saturating_add(taken), beyond };
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
