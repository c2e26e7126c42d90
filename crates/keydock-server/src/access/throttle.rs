//! How often somebody may guess: keys by address, passwords by address and by name.

use std::{
    collections::HashMap,
    hash::Hash,
    net::{IpAddr, Ipv6Addr},
    num::NonZeroU32,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

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

/// Failed sign-ins: few by somebody at one address for one name, more by an address for any name.
/// Only failures count, and nobody can lock out somebody who is elsewhere.
#[derive(Debug)]
pub struct SignIns {
    one: Throttle<(IpAddr, String)>,
    any: Throttle<IpAddr>,
    waiting: Mutex<HashMap<(IpAddr, Option<String>), Instant>>,
}

impl SignIns {
    /// Nothing has failed yet.
    pub fn new() -> Self {
        let number = |n| NonZeroU32::new(n).unwrap_or(NonZeroU32::MIN);
        Self {
            one: Throttle::new(number(10), Duration::from_mins(5)),
            any: Throttle::new(number(100), Duration::from_mins(5)),
            waiting: Mutex::default(),
        }
    }

    /// Whether another attempt may be made; if not, how long to wait.
    pub fn admit(&self, ip: IpAddr, name: &str) -> Result<(), Duration> {
        let ip = network(ip);
        let waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        let until = [waiting.get(&(ip, None)), waiting.get(&(ip, Some(name.to_owned())))];
        let wait = until.into_iter().flatten().map(|until| until.duration_since(now)).max();
        wait.filter(|wait| !wait.is_zero())
            .map_or(Ok(()), |wait| Err(wait.max(Duration::from_secs(1))))
    }

    /// Counts a failure.
    pub fn failed(&self, ip: IpAddr, name: &str) {
        let ip = network(ip);
        let now = Instant::now();
        let one = self.one.count(&(ip, name.to_owned()));
        let any = self.any.count(&ip);
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(wait) = one {
            waiting.insert((ip, Some(name.to_owned())), now + wait);
        }
        if let Some(wait) = any {
            waiting.insert((ip, None), now + wait);
        }
    }

    /// Forgets those who have not failed for a while.
    pub fn forget_idle(&self) {
        self.one.forget_idle();
        self.any.forget_idle();
        let now = Instant::now();
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.retain(|_, until| *until > now);
    }
}

impl Default for SignIns {
    fn default() -> Self {
        Self::new()
    }
}

/// Whose attempts are counted together: an address, or of IPv6 the 64 bits that one site has.
pub fn network(ip: IpAddr) -> IpAddr {
    match ip {
        IpAddr::V4(_) => ip,
        IpAddr::V6(ip) => Ipv6Addr::from_bits(ip.to_bits() & (u128::MAX << 64)).into(),
    }
}

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
    fn only_the_one_who_fails_waits() {
        let sign_ins = SignIns::new();
        let here: IpAddr = "2001:db8::1".parse().unwrap();
        for _ in 0..11 {
            assert!(sign_ins.admit(here, "ada").is_ok());
            sign_ins.failed(here, "ada");
        }
        assert!(sign_ins.admit(here, "ada").is_err());
        assert!(sign_ins.admit("2001:db8::2".parse().unwrap(), "ada").is_err(), "the same site");
        assert!(sign_ins.admit(here, "bob").is_ok(), "others there are not affected");
        assert!(sign_ins.admit("2001:db8:0:1::1".parse().unwrap(), "ada").is_ok(), "nor is she");
        (0..100).for_each(|name| sign_ins.failed(here, &name.to_string()));
        assert!(sign_ins.admit(here, "bob").is_err(), "but not any number of names");
    }

    #[test]
    fn the_first_hundred_pass_and_the_rest_wait() {
        let guesses = Guesses::new(NonZeroU32::new(100).unwrap(), Duration::from_mins(1));
        let here = IpAddr::from([127, 0, 0, 1]);
        let refused = (0..1_000).filter(|_| guesses.count(&here).is_some()).count();
        assert!((895..=900).contains(&refused), "{refused}");
        assert!(guesses.count(&IpAddr::from([127, 0, 0, 2])).is_none(), "others are not affected");
    }
}
