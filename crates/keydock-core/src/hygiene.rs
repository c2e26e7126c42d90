//! When somebody is to be told that a key ends soon, or that nobody uses it.

use std::time::Duration;

use crate::time::Timestamp;

/// How many days before the end of a key its organization is reminded of it.
pub const REMINDERS: [u32; 4] = [30, 14, 7, 1];

/// So many days.
pub const fn days(days: u32) -> Duration {
    Duration::from_secs(86_400 * days as u64)
}

/// When the next reminder is due of a key that ends then. None if all are past.
pub fn next_reminder(end: Timestamp, now: Timestamp) -> Option<Timestamp> {
    REMINDERS.into_iter().map(|before| end.before(days(before))).find(|at| *at > now)
}

/// Which reminder is due: the last one whose instant has come. Those before it are not made up for,
/// since what they say is no longer true.
pub fn due_reminder(end: Timestamp, now: Timestamp) -> Option<u32> {
    let has_come = |before: &u32| end.before(days(*before)) <= now;
    REMINDERS.into_iter().rev().find(has_come).filter(|_| now < end)
}

/// After how long without a use a key is switched off, and how long before that somebody is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dormancy {
    after: Duration,
    warning: Duration,
}

/// What is to be done about a key that is switched on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Nothing: it was used lately, or its organization has been told and still has time.
    Leave,
    /// Its organization is to be told.
    Warn {
        /// When it will be switched off if nobody uses it.
        until: Timestamp,
    },
    /// It is to be switched off.
    Disable,
}

impl Dormancy {
    /// With these numbers of days; none if keys are never switched off. The warning takes half of the
    /// time at most, so that keys in use are never warned about.
    pub fn of(after_days: u32, warning_days: u32) -> Option<Self> {
        let after = days(after_days);
        let warning = days(warning_days).min(after / 2);
        (after_days > 0).then_some(Self { after, warning })
    }

    /// What is to be done about a key that has not been used since then. A warning from before its last
    /// use counts no more. None is switched off without a warning, however long it was not looked at:
    /// then the time counts from the warning.
    pub fn judge(
        self,
        idle_since: Timestamp,
        warned_at: Option<Timestamp>,
        now: Timestamp,
    ) -> Verdict {
        let end = idle_since.after(self.after);
        match warned_at.filter(|at| *at >= idle_since) {
            None if now >= end.before(self.warning) => {
                Verdict::Warn { until: end.max(now.after(self.warning)) }
            }
            Some(at) if now >= end.max(at.after(self.warning)) => Verdict::Disable,
            _ => Verdict::Leave,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(day: u32) -> Timestamp {
        Timestamp::from_micros(0).after(days(day))
    }

    #[test]
    fn reminders_come_one_after_the_other() {
        let end = day(100);
        let mut now = day(0);
        let mut due = Vec::new();
        while let Some(next) = next_reminder(end, now) {
            assert!(next > now);
            assert_eq!(
                due_reminder(end, next.before(Duration::from_micros(1))),
                due.last().copied()
            );
            due.extend(due_reminder(end, next));
            now = next;
        }
        assert_eq!(due, REMINDERS);
        assert_eq!(due_reminder(end, end), None, "it has ended");
    }

    #[test]
    fn what_is_past_is_passed_over() {
        let end = day(100);
        assert_eq!(next_reminder(end, day(90)), Some(day(93)));
        assert_eq!(due_reminder(end, day(94)), Some(7), "not 30 and 14 as well");
        assert_eq!(next_reminder(end, day(99)), None);
        assert_eq!(next_reminder(end, day(200)), None);
        assert_eq!(due_reminder(end, day(200)), None);
    }

    #[test]
    fn an_idle_key_is_warned_about_and_then_switched_off() {
        let dormancy = Dormancy::of(90, 14).unwrap();
        assert_eq!(dormancy.judge(day(0), None, day(75)), Verdict::Leave);
        assert_eq!(dormancy.judge(day(0), None, day(76)), Verdict::Warn { until: day(90) });
        assert_eq!(dormancy.judge(day(0), Some(day(76)), day(89)), Verdict::Leave);
        assert_eq!(dormancy.judge(day(0), Some(day(76)), day(90)), Verdict::Disable);
        let used = day(80);
        assert_eq!(dormancy.judge(used, Some(day(76)), day(155)), Verdict::Leave);
        assert_eq!(
            dormancy.judge(used, Some(day(76)), day(156)),
            Verdict::Warn { until: day(170) }
        );
    }

    #[test]
    fn nothing_is_switched_off_unwarned() {
        let dormancy = Dormancy::of(90, 14).unwrap();
        assert_eq!(dormancy.judge(day(0), None, day(500)), Verdict::Warn { until: day(514) });
        assert_eq!(dormancy.judge(day(0), Some(day(500)), day(513)), Verdict::Leave);
        assert_eq!(dormancy.judge(day(0), Some(day(500)), day(514)), Verdict::Disable);
    }

    #[test]
    fn a_warning_takes_half_of_the_time_at_most() {
        assert_eq!(Dormancy::of(0, 14), None);
        let short = Dormancy::of(10, 14).unwrap();
        assert_eq!(short.judge(day(0), None, day(4)), Verdict::Leave);
        assert_eq!(short.judge(day(0), None, day(5)), Verdict::Warn { until: day(10) });
    }
}
