//! The one representation of time, and where it comes from.

use std::{
    fmt,
    str::FromStr,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use serde::{Serialize, Serializer};
use time::{
    Date, OffsetDateTime,
    format_description::{BorrowedFormatItem, well_known::Rfc3339},
    macros::format_description,
};

/// An instant, in microseconds since the Unix epoch, UTC.
///
/// On the wire it is RFC 3339 with six decimals: `2026-08-07T09:00:00.123456Z`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(i64);

const WIRE: &[BorrowedFormatItem<'_>] =
    format_description!("[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:6]");

const DAY: &[BorrowedFormatItem<'_>] = format_description!("[year]-[month]-[day]");

/// The text is no instant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("Write an instant such as 2026-08-07T09:00:00Z, or a day such as 2026-08-07.")]
pub struct InvalidTime;

impl FromStr for Timestamp {
    type Err = InvalidTime;

    /// Reads RFC 3339 with any offset, or a day, which begins at midnight UTC.
    fn from_str(text: &str) -> Result<Self, InvalidTime> {
        let text = text.trim();
        let instant = OffsetDateTime::parse(text, &Rfc3339)
            .or_else(|_| Date::parse(text, DAY).map(|day| day.midnight().assume_utc()))
            .map_err(|_| InvalidTime)?;
        let micros = instant.unix_timestamp_nanos().div_euclid(1_000);
        i64::try_from(micros).map(Self).map_err(|_| InvalidTime)
    }
}

impl Timestamp {
    /// Reads a stored value.
    pub const fn from_micros(micros: i64) -> Self {
        Self(micros)
    }

    /// The value to store.
    pub const fn as_micros(self) -> i64 {
        self.0
    }

    /// Whole seconds since the Unix epoch.
    pub const fn as_seconds(self) -> i64 {
        self.0.div_euclid(1_000_000)
    }

    /// The instant `duration` later.
    #[must_use]
    pub fn after(self, duration: Duration) -> Self {
        let micros = i64::try_from(duration.as_micros()).unwrap_or(i64::MAX);
        Self(self.0.saturating_add(micros))
    }

    /// The instant `duration` earlier.
    #[must_use]
    pub fn before(self, duration: Duration) -> Self {
        let micros = i64::try_from(duration.as_micros()).unwrap_or(i64::MAX);
        Self(self.0.saturating_sub(micros))
    }

    /// How long after `earlier` this is; nothing if it is not.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_micros(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }

    /// The form that computed fields have on the wire: with `+00:00` in place of `Z`.
    pub fn to_offset_string(self) -> String {
        format!("{}+00:00", self.local())
    }

    fn local(self) -> String {
        let nanos = i128::from(self.0) * 1_000;
        OffsetDateTime::from_unix_timestamp_nanos(nanos)
            .ok()
            .and_then(|instant| instant.format(WIRE).ok())
            .unwrap_or_else(|| "9999-12-31T23:59:59.999999".to_owned())
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}Z", self.local())
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// Tells the time.
#[derive(Clone, Debug)]
pub enum Clock {
    /// The clock of the machine.
    System,
    /// A clock for tests: moves one millisecond each time it is read.
    Ticking(Arc<AtomicI64>),
    /// A clock for tests: stands still until it is moved.
    Standing(Arc<AtomicI64>),
}

impl Clock {
    /// A ticking clock that starts at `start`.
    pub fn ticking_from(start: Timestamp) -> Self {
        Self::Ticking(Arc::new(AtomicI64::new(start.as_micros())))
    }

    /// A clock that stands at `start`. Its clones are the same clock.
    pub fn standing_at(start: Timestamp) -> Self {
        Self::Standing(Arc::new(AtomicI64::new(start.as_micros())))
    }

    /// The time now.
    pub fn now(&self) -> Timestamp {
        match self {
            Self::System => {
                #[expect(clippy::disallowed_methods, reason = "the one place that reads it")]
                let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
                Timestamp(i64::try_from(since_epoch.as_micros()).unwrap_or(i64::MAX))
            }
            Self::Ticking(micros) => Timestamp(micros.fetch_add(1_000, Ordering::Relaxed)),
            Self::Standing(micros) => Timestamp(micros.load(Ordering::Relaxed)),
        }
    }

    /// Moves a clock for tests forward; the clock of the machine does not listen.
    pub fn advance(&self, by: Duration) {
        if let Self::Ticking(micros) | Self::Standing(micros) = self {
            let by = i64::try_from(by.as_micros()).unwrap_or(i64::MAX);
            micros.fetch_add(by, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_six_decimals() {
        let at = Timestamp::from_micros(1_786_093_200_123_456);
        assert_eq!(at.to_string(), "2026-08-07T09:00:00.123456Z");
        assert_eq!(at.to_offset_string(), "2026-08-07T09:00:00.123456+00:00");
        assert_eq!(Timestamp::from_micros(0).to_string(), "1970-01-01T00:00:00.000000Z");
    }

    #[test]
    fn reads_what_it_writes() {
        for micros in [0, 1_786_093_200_123_456, -1] {
            let at = Timestamp::from_micros(micros);
            assert_eq!(at.to_string().parse(), Ok(at));
            assert_eq!(at.to_offset_string().parse(), Ok(at));
        }
        let day: Timestamp = "2026-08-07".parse().unwrap();
        assert_eq!(day.to_string(), "2026-08-07T00:00:00.000000Z");
        let elsewhere: Timestamp = "2026-08-07T02:00:00+02:00".parse().unwrap();
        assert_eq!(elsewhere, day);
        for text in ["", "yesterday", "2026-13-01", "1786093200"] {
            assert_eq!(text.parse::<Timestamp>(), Err(InvalidTime), "{text}");
        }
    }

    #[test]
    fn clocks_for_tests_move_when_they_are_told() {
        let start = Timestamp::from_micros(7);
        let standing = Clock::standing_at(start);
        let same = standing.clone();
        assert_eq!((standing.now(), same.now()), (start, start));
        same.advance(Duration::from_micros(1));
        assert_eq!(standing.now(), Timestamp::from_micros(8));
        let ticking = Clock::ticking_from(start);
        assert_eq!(ticking.now(), start);
        ticking.advance(Duration::from_secs(1));
        assert_eq!(ticking.now(), Timestamp::from_micros(1_001_007));
    }

    #[test]
    fn an_absurd_instant_is_still_printed() {
        assert_eq!(Timestamp::from_micros(i64::MAX).to_string(), "9999-12-31T23:59:59.999999Z");
    }
}
