//! Looking at a key without using it.

use std::time::Instant;

use keydock_core::{secret::KeyDigest, time::Timestamp};

use super::{Keyring, Standing, Verified, tag};
use crate::access::Refusal;

/// A key that works, as somebody sees it who asks about it.
#[derive(Clone, Debug)]
pub struct Inspected {
    /// The key.
    pub verified: Verified,
    /// When the secret ends, if that is known.
    pub until: Option<Timestamp>,
}

impl Keyring {
    /// What is true of the key whose secret has this digest, for somebody who asks about it: that is no
    /// use of it. From where it works is not asked.
    pub fn inspect(
        &self,
        digest: &KeyDigest,
        at: Timestamp,
        instant: Instant,
    ) -> Result<Inspected, Refusal> {
        if !self.is_trusted_at(instant) {
            return Err(Refusal::KeysUnavailable);
        }
        let held = self.held.pin();
        let found = held.get(&tag(digest)).ok_or(Refusal::UnknownKey)?;
        found.stand(at)?;
        let expires_at = found.nature.guard.as_ref().and_then(|guard| guard.controls().expires_at);
        if expires_at.is_some_and(|end| at >= end) {
            return Err(Refusal::Expired(found.genuine()));
        }
        let replaced = match found.nature.standing {
            Standing::Replaced { until, .. } => Some(until),
            Standing::Active | Standing::Inactive => None,
        };
        let until = [replaced, expires_at].into_iter().flatten().min();
        Ok(Inspected { verified: found.verified(), until })
    }
}
