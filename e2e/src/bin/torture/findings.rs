//! What was found that must not be.

use std::sync::{Arc, Mutex, PoisonError};

/// What was found so far. Clones are the same.
#[derive(Clone, Debug, Default)]
pub(crate) struct Findings(Arc<Mutex<Found>>);

#[derive(Debug, Default)]
struct Found {
    first: Vec<String>,
    count: usize,
}

/// As many are told in words.
const MOST: usize = 40;

impl Findings {
    /// Adds one.
    pub(crate) fn add(&self, words: impl Into<String>) {
        let mut found = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        found.count += 1;
        if found.first.len() < MOST {
            found.first.push(words.into());
        }
    }

    /// Adds one unless this holds.
    pub(crate) fn check(&self, holds: bool, words: impl FnOnce() -> String) {
        if !holds {
            self.add(words());
        }
    }

    /// Whether there are none.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).count == 0
    }

    /// The first of them, and how many more there are.
    pub(crate) fn list(&self) -> Vec<String> {
        let found = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let more = found.count - found.first.len();
        let mut list = found.first.clone();
        if more > 0 {
            list.push(format!("and {more} more"));
        }
        list
    }
}
