//! How far a run is, and the one function that changes it.

use std::{fmt, str::FromStr};

use keydock_core::time::Timestamp;

/// How far a run is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// Accepted.
    Pending,
    /// A worker has begun.
    Executing {
        /// When it first did.
        since: Timestamp,
    },
    /// Over: every file was tried and some were read.
    Completed {
        /// When a worker first began.
        since: Timestamp,
        /// When it was over.
        at: Timestamp,
    },
    /// Ended before it was finished.
    Stopped {
        /// When a worker first began, if one did.
        since: Option<Timestamp>,
        /// When it ended.
        at: Timestamp,
    },
    /// Over, without any result.
    Failed {
        /// When a worker first began, if one did.
        since: Option<Timestamp>,
        /// When it was over.
        at: Timestamp,
        /// Why, for the client.
        reason: String,
    },
}

/// The word for a state on the wire and in the database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "each has the meaning of its namesake in State")]
pub enum Status {
    Pending,
    Executing,
    Completed,
    Stopped,
    Error,
}

/// What can happen to a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A worker begins, or begins again after another one vanished.
    Started,
    /// Every file was tried and some were read.
    Completed,
    /// It is to end now.
    Stopped,
    /// It cannot be finished.
    Failed {
        /// Why, for the client.
        reason: String,
    },
}

/// That cannot happen to a run in this state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a run that is {from} cannot become {to}")]
pub struct InvalidTransition {
    from: Status,
    to: Status,
}

impl State {
    /// The state after `event`. The only way to change one.
    pub fn after(self, event: Event, now: Timestamp) -> Result<Self, InvalidTransition> {
        let since = self.since();
        match (self, event) {
            (Self::Pending, Event::Started) => Ok(Self::Executing { since: now }),
            (Self::Executing { since }, Event::Started) => Ok(Self::Executing { since }),
            (Self::Executing { since }, Event::Completed) => Ok(Self::Completed { since, at: now }),
            (Self::Pending | Self::Executing { .. }, Event::Stopped) => {
                Ok(Self::Stopped { since, at: now })
            }
            (Self::Pending | Self::Executing { .. }, Event::Failed { reason }) => {
                Ok(Self::Failed { since, at: now, reason })
            }
            (state, event) => Err(InvalidTransition { from: state.status(), to: event.leads_to() }),
        }
    }

    /// Its word.
    pub fn status(&self) -> Status {
        match self {
            Self::Pending => Status::Pending,
            Self::Executing { .. } => Status::Executing,
            Self::Completed { .. } => Status::Completed,
            Self::Stopped { .. } => Status::Stopped,
            Self::Failed { .. } => Status::Error,
        }
    }

    /// Whether nothing can happen to the run any more.
    pub fn is_over(&self) -> bool {
        self.at().is_some()
    }

    /// When a worker first began, if one did.
    pub fn since(&self) -> Option<Timestamp> {
        match self {
            Self::Pending => None,
            Self::Executing { since } | Self::Completed { since, .. } => Some(*since),
            Self::Stopped { since, .. } | Self::Failed { since, .. } => *since,
        }
    }

    /// When it was over, if it is.
    pub fn at(&self) -> Option<Timestamp> {
        match self {
            Self::Pending | Self::Executing { .. } => None,
            Self::Completed { at, .. } | Self::Stopped { at, .. } | Self::Failed { at, .. } => {
                Some(*at)
            }
        }
    }

    /// Why it failed, if it did.
    pub fn reason(&self) -> Option<&str> {
        match self {
            Self::Failed { reason, .. } => Some(reason),
            _ => None,
        }
    }
}

impl Event {
    fn leads_to(&self) -> Status {
        match self {
            Self::Started => Status::Executing,
            Self::Completed => Status::Completed,
            Self::Stopped => Status::Stopped,
            Self::Failed { .. } => Status::Error,
        }
    }
}

impl Status {
    const ALL: [Self; 5] =
        [Self::Pending, Self::Executing, Self::Completed, Self::Stopped, Self::Error];

    /// The word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "PENDING",
            Self::Executing => "EXECUTING",
            Self::Completed => "COMPLETED",
            Self::Stopped => "STOPPED",
            Self::Error => "ERROR",
        }
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The text is no status.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not the status of a run")]
pub struct InvalidStatus;

impl FromStr for Status {
    type Err = InvalidStatus;

    fn from_str(text: &str) -> Result<Self, InvalidStatus> {
        Self::ALL.into_iter().find(|status| status.as_str() == text).ok_or(InvalidStatus)
    }
}

/// What became of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FileState {
    /// It waits for its turn.
    Pending,
    /// It was read.
    Completed {
        /// When its turn came.
        since: Option<Timestamp>,
        /// When it was done.
        at: Timestamp,
    },
    /// It could not be read.
    Failed {
        /// When its turn came, if it did.
        since: Option<Timestamp>,
        /// When that was clear.
        at: Timestamp,
        /// Why, for the client.
        reason: String,
    },
}

impl FileState {
    /// The word in the database.
    pub(super) const fn as_str(&self) -> &'static str {
        match self {
            Self::Pending => "PENDING",
            Self::Completed { .. } => "COMPLETED",
            Self::Failed { .. } => "ERROR",
        }
    }

    /// Why the file could not be read, if it could not.
    pub fn error(&self) -> Option<String> {
        match self {
            Self::Failed { reason, .. } => Some(reason.clone()),
            _ => None,
        }
    }

    pub(super) fn since(&self) -> Option<Timestamp> {
        match self {
            Self::Pending => None,
            Self::Completed { since, .. } | Self::Failed { since, .. } => *since,
        }
    }

    pub(super) fn at(&self) -> Option<Timestamp> {
        match self {
            Self::Pending => None,
            Self::Completed { at, .. } | Self::Failed { at, .. } => Some(*at),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const T: Timestamp = Timestamp::from_micros(1);
    const U: Timestamp = Timestamp::from_micros(2);

    fn failed() -> Event {
        Event::Failed { reason: "no ink".to_owned() }
    }

    #[test]
    fn a_run_begins_and_ends() {
        let executing = State::Pending.after(Event::Started, T).unwrap();
        assert_eq!(executing, State::Executing { since: T });
        assert_eq!(executing.clone().after(Event::Started, U).unwrap(), executing, "begun again");
        let completed = executing.clone().after(Event::Completed, U).unwrap();
        assert_eq!(completed, State::Completed { since: T, at: U });
        let failed = executing.after(failed(), U).unwrap();
        assert_eq!(
            (failed.since(), failed.at(), failed.reason()),
            (Some(T), Some(U), Some("no ink"))
        );
    }

    #[test]
    fn a_run_may_end_before_it_began_but_not_complete() {
        assert!(State::Pending.after(Event::Stopped, T).unwrap().is_over());
        assert_eq!(State::Pending.after(failed(), T).unwrap().status(), Status::Error);
        let error = State::Pending.after(Event::Completed, T).unwrap_err();
        assert_eq!(error.to_string(), "a run that is PENDING cannot become COMPLETED");
    }

    #[test]
    fn what_is_over_stays_over() {
        let over = [
            State::Completed { since: T, at: T },
            State::Stopped { since: None, at: T },
            State::Failed { since: None, at: T, reason: String::new() },
        ];
        for state in over {
            for event in [Event::Started, Event::Completed, Event::Stopped, failed()] {
                assert!(state.clone().after(event, U).is_err(), "{state:?}");
            }
        }
    }

    #[test]
    fn every_status_reads_as_it_is_written() {
        for status in Status::ALL {
            assert_eq!(status.as_str().parse(), Ok(status));
        }
        assert_eq!("READY".parse::<Status>(), Err(InvalidStatus));
    }
}
