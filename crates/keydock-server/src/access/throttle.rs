//! How often somebody may guess: keys by address, passwords by address and by name.

use std::{hash::Hash, net::IpAddr, num::NonZeroU32, time::Duration};

use governor::{
    DefaultKeyedRateLimiter, Quota, RateLimiter,
    clock::{Clock as _, DefaultClock},
};

/// Guesses of one sort, counted by whoever makes them.
#[derive(Debug)]
pub struct Throttle<K: Clone + Hash + Eq> {
    limiter: DefaultKeyedRateLimiter<K>,
    clock: DefaultClock,
}

/// Unknown keys, by address.
pub type Guesses = Throttle<IpAddr>;

impl<K: Clone + Hash + Eq> Throttle<K> {
    /// At most `burst` at once, and as many in each further `period`.
    pub fn new(burst: NonZeroU32, period: Duration) -> Self {
        let quota = Quota::with_period(period / burst.get())
            .expect("a period is not zero")
            .allow_burst(burst);
        Self { limiter: RateLimiter::keyed(quota), clock: DefaultClock::default() }
    }

    /// Counts one guess. If it is one too many, tells how long to wait.
    pub fn count(&self, who: &K) -> Option<Duration> {
        let too_soon = self.limiter.check_key(who).err()?;
        Some(too_soon.wait_time_from(self.clock.now()).max(Duration::from_secs(1)))
    }

    /// Forgets those who have not guessed for a while.
    pub fn forget_idle(&self) {
        self.limiter.retain_recent();
        self.limiter.shrink_to_fit();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_hundred_pass_and_the_rest_wait() {
        let guesses = Guesses::new(NonZeroU32::new(100).unwrap(), Duration::from_mins(1));
        let here = IpAddr::from([127, 0, 0, 1]);
        let refused = (0..1_000).filter(|_| guesses.count(&here).is_some()).count();
        assert!((895..=900).contains(&refused), "{refused}");
        assert!(guesses.count(&IpAddr::from([127, 0, 0, 2])).is_none(), "others are not affected");
    }
}
