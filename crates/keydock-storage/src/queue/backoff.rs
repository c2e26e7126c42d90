//! How long to wait before trying again.

use std::time::Duration;

use rand::RngExt as _;

use crate::db::Tx;

/// Waits that double from attempt to attempt, each shortened by a random part of up to a half, so
/// that jobs that failed together do not return together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backoff {
    /// The longest wait after the first failure.
    pub first: Duration,
    /// No wait is longer.
    pub most: Duration,
}

impl Default for Backoff {
    fn default() -> Self {
        Self { first: Duration::from_secs(2), most: Duration::from_mins(5) }
    }
}

impl Backoff {
    /// The wait after failed attempt number `attempt`, the first being 1.
    pub(super) fn wait(self, attempt: u32, tx: &mut Tx) -> Duration {
        let longest = self.longest(attempt);
        longest.mul_f64(tx.with_rng(|rng| rng.random_range(0.5..=1.0)))
    }

    fn longest(self, attempt: u32) -> Duration {
        let doublings = attempt.saturating_sub(1).min(30);
        self.first.saturating_mul(1 << doublings).min(self.most)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_the_longest() {
        let backoff = Backoff { first: Duration::from_secs(1), most: Duration::from_secs(10) };
        let waits: Vec<u64> = (1..=6).map(|attempt| backoff.longest(attempt).as_secs()).collect();
        assert_eq!(waits, [1, 2, 4, 8, 10, 10]);
        assert_eq!(backoff.longest(u32::MAX).as_secs(), 10);
    }
}
