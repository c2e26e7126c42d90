//! How often something may be done: in a window that slides, or in a period of the calendar.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use time::{Month, OffsetDateTime};

use crate::time::Timestamp;

/// So many requests in any window of this length.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RateLimit {
    /// How many.
    pub requests: u32,
    /// How long the window is, in seconds.
    pub window_seconds: u32,
}

/// So many requests in a period of the calendar, in UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Quota {
    /// How many.
    pub requests: u32,
    /// In which period.
    pub period: Period,
}

/// A period of the calendar.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Period {
    /// From full hour to full hour.
    Hour,
    /// From midnight to midnight.
    Day,
    /// From the first of a month to the next.
    Month,
}

impl Period {
    /// When the period that holds this instant began, and when the next one begins.
    pub fn around(self, at: Timestamp) -> (Timestamp, Timestamp) {
        let hour = at.as_seconds().div_euclid(3_600) * 3_600;
        let day = at.as_seconds().div_euclid(86_400) * 86_400;
        let (from, to) = match self {
            Self::Hour => (hour, hour + 3_600),
            Self::Day => (day, day + 86_400),
            Self::Month => month_around(at).unwrap_or((day, day + 86_400)),
        };
        (Timestamp::from_micros(from * 1_000_000), Timestamp::from_micros(to * 1_000_000))
    }
}

fn month_around(at: Timestamp) -> Option<(i64, i64)> {
    let now = OffsetDateTime::from_unix_timestamp(at.as_seconds()).ok()?;
    let first = now.date().replace_day(1).ok()?;
    let year = if first.month() == Month::December { first.year() + 1 } else { first.year() };
    let next = time::Date::from_calendar_date(year, first.month().next(), 1).ok()?;
    let seconds = |date: time::Date| date.midnight().assume_utc().unix_timestamp();
    Some((seconds(first), seconds(next)))
}

/// How finely a window remembers when something happened.
const BUCKETS: u64 = 32;
/// Those of a window, and the one that is only partly in it.
const PLACES: usize = 33;

/// Counts what happened in the last window.
///
/// It remembers a thirty-second part of the window as one instant, its end: it may refuse that much
/// too early, and never admits more than the limit in any window, wherever one puts it.
#[derive(Clone, Debug)]
pub struct Window {
    limit: RateLimit,
    /// The number of the newest bucket since the epoch of the clock that is handed in.
    newest: u64,
    counts: [u32; PLACES],
}

/// What a window answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admission {
    /// It may be done, and is counted.
    Admitted {
        /// How many more may be done at this instant.
        remaining: u32,
        /// When the window is as empty as it can be.
        reset: Duration,
    },
    /// It may not be done now.
    Refused {
        /// After how long it may, if nothing else is done until then.
        retry_after: Duration,
    },
}

impl Window {
    /// Nothing happened yet.
    pub fn new(limit: RateLimit) -> Self {
        Self { limit, newest: 0, counts: [0; PLACES] }
    }

    /// The limit.
    pub fn limit(&self) -> RateLimit {
        self.limit
    }

    /// Counts one more, if it is allowed. `since` is the time by any clock that never goes back.
    pub fn admit(&mut self, since: Duration) -> Admission {
        let width = self.width();
        let bucket = as_micros(since) / width;
        self.forget_before(bucket.max(self.newest));
        let sum = self.counts.iter().fold(0_u32, |sum, count| sum.saturating_add(*count));
        if sum >= self.limit.requests {
            return Admission::Refused { retry_after: self.until_room(as_micros(since)) };
        }
        let place = place(self.newest);
        self.counts[place] = self.counts[place].saturating_add(1);
        let reset = Duration::from_secs(u64::from(self.limit.window_seconds));
        Admission::Admitted { remaining: self.limit.requests - sum - 1, reset }
    }

    /// How many microseconds one bucket holds.
    fn width(&self) -> u64 {
        (u64::from(self.limit.window_seconds) * 1_000_000).div_ceil(BUCKETS).max(1)
    }

    fn forget_before(&mut self, newest: u64) {
        let passed = newest - self.newest;
        for step in 1..=passed.min(BUCKETS + 1) {
            self.counts[place(self.newest + step)] = 0;
        }
        if passed > BUCKETS {
            self.counts = [0; PLACES];
        }
        self.newest = newest;
    }

    /// The oldest bucket that holds something leaves the window one window after its end.
    fn until_room(&self, now: u64) -> Duration {
        let oldest = self.newest.saturating_sub(BUCKETS);
        let holds = (oldest..=self.newest).find(|bucket| self.counts[place(*bucket)] > 0);
        let leaves = (holds.unwrap_or(self.newest) + BUCKETS + 1) * self.width();
        Duration::from_micros(leaves.saturating_sub(now))
    }
}

fn place(bucket: u64) -> usize {
    usize::try_from(bucket % (BUCKETS + 1)).unwrap_or_default()
}

fn as_micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn limit(requests: u32, window_seconds: u32) -> RateLimit {
        RateLimit { requests, window_seconds }
    }

    proptest! {
        /// Proves RL-01 for the counter: whatever the instants, no window holds more than the limit.
        #[test]
        fn no_window_ever_holds_more_than_the_limit(
            requests in 1_u32..20, seconds in 1_u32..100,
            steps in prop::collection::vec(0_u64..3_000_000, 1..400),
        ) {
            let mut window = Window::new(limit(requests, seconds));
            let mut now = Duration::from_secs(1_000);
            let mut admitted = Vec::new();
            for step in steps {
                now += Duration::from_micros(step);
                if matches!(window.admit(now), Admission::Admitted { .. }) {
                    admitted.push(now);
                }
            }
            let length = Duration::from_secs(seconds.into());
            for (first, start) in admitted.iter().enumerate() {
                let within = admitted[first..].iter().take_while(|at| **at < *start + length);
                prop_assert!(within.count() <= requests as usize);
            }
        }

        /// Proves RL-03 for the counter: who waits as long as it says is admitted.
        #[test]
        fn who_waits_is_admitted(requests in 1_u32..20, seconds in 1_u32..100, at in 0_u64..9_999_999) {
            let mut window = Window::new(limit(requests, seconds));
            let mut now = Duration::from_micros(at);
            for _ in 0..requests {
                let admitted = matches!(window.admit(now), Admission::Admitted { .. });
                prop_assert!(admitted);
            }
            let Admission::Refused { retry_after } = window.admit(now) else {
                return Err(TestCaseError::fail("one too many"));
            };
            now += retry_after;
            let admitted = matches!(window.admit(now), Admission::Admitted { .. });
            prop_assert!(admitted);
        }
    }

    #[test]
    fn it_counts_down_and_begins_again() {
        let mut window = Window::new(limit(2, 10));
        let at = Duration::from_secs(100);
        let reset = Duration::from_secs(10);
        assert_eq!(window.admit(at), Admission::Admitted { remaining: 1, reset });
        assert_eq!(window.admit(at), Admission::Admitted { remaining: 0, reset });
        assert!(matches!(window.admit(at), Admission::Refused { .. }));
        assert!(matches!(window.admit(at + reset / 2), Admission::Refused { .. }));
        assert_eq!(window.admit(at + reset * 2), Admission::Admitted { remaining: 1, reset });
    }

    #[test]
    fn periods_begin_and_end_with_the_calendar() {
        // 2026-12-31T23:30:00Z
        let at = Timestamp::from_micros(1_798_759_800_000_000);
        let around = |period: Period| {
            let (from, to) = period.around(at);
            format!("{from} {to}").replace(".000000", "")
        };
        assert_eq!(around(Period::Hour), "2026-12-31T23:00:00Z 2027-01-01T00:00:00Z");
        assert_eq!(around(Period::Day), "2026-12-31T00:00:00Z 2027-01-01T00:00:00Z");
        assert_eq!(around(Period::Month), "2026-12-01T00:00:00Z 2027-01-01T00:00:00Z");
    }
}
