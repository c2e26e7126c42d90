//! What happens to a key whose secret somebody found where it should not be.

use keydock_core::{secret::KeyDigest, time::Timestamp};

use super::secrets::Digests;

/// What to do about it, as the operator says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnLeak {
    /// Stop the secret at once: who finds it next may not be a friend.
    #[default]
    Disable,
    /// Tell the organization, and leave it to decide.
    Warn,
}

/// What that did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// The key was switched off.
    Disabled,
    /// It was the secret before the last one, and its overlap was ended.
    OverlapEnded,
    /// Nothing, because the operator wants it so. The secret works.
    Warned,
    /// Nothing: the secret did not work any more.
    AlreadyOff,
}

impl Effect {
    /// The word in the audit log.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Disabled => "disabled",
            Self::OverlapEnded => "overlap_ended",
            Self::Warned => "warned",
            Self::AlreadyOff => "already_off",
        }
    }
}

/// A key one of whose secrets leaked.
#[derive(Clone, Copy, Debug)]
pub struct Leaked<'a> {
    /// Its secrets.
    pub digests: &'a Digests,
    /// The one that leaked.
    pub secret: &'a KeyDigest,
    /// Whether the key works.
    pub is_active: bool,
    /// Until when its secret before the last one works.
    pub previous_until: Option<Timestamp>,
}

impl Leaked<'_> {
    /// What is to be done, at this instant.
    pub fn effect(&self, on_leak: OnLeak, now: Timestamp) -> Effect {
        let is_current = self.digests.current == *self.secret;
        let is_previous = self.digests.previous == Some(*self.secret);
        let in_overlap = is_previous && self.previous_until.is_some_and(|until| until > now);
        if !self.is_active || !(is_current || in_overlap) {
            return Effect::AlreadyOff;
        }
        match on_leak {
            OnLeak::Warn => Effect::Warned,
            OnLeak::Disable if is_current => Effect::Disabled,
            OnLeak::Disable => Effect::OverlapEnded,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_is_stopped_than_leaked() {
        let (current, previous) = (KeyDigest::from_bytes([1; 32]), KeyDigest::from_bytes([2; 32]));
        let digests = Digests { current, previous: Some(previous) };
        let now = Timestamp::from_micros(100);
        let effect = |secret: &KeyDigest, is_active, until: i64, on_leak| {
            let previous_until = Some(Timestamp::from_micros(until));
            Leaked { digests: &digests, secret, is_active, previous_until }.effect(on_leak, now)
        };
        let disable = OnLeak::Disable;
        assert_eq!(effect(&current, true, 0, disable), Effect::Disabled);
        assert_eq!(effect(&previous, true, 101, disable), Effect::OverlapEnded);
        assert_eq!(effect(&previous, true, 100, disable), Effect::AlreadyOff);
        assert_eq!(effect(&current, false, 0, disable), Effect::AlreadyOff);
        assert_eq!(effect(&KeyDigest::from_bytes([3; 32]), true, 101, disable), Effect::AlreadyOff);
        assert_eq!(effect(&current, true, 0, OnLeak::Warn), Effect::Warned);
        assert_eq!(effect(&previous, true, 101, OnLeak::Warn), Effect::Warned);
    }
}
