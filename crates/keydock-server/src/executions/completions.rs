//! Who waits for which run.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use keydock_core::id::{self, Id, OrgNumber};
use tokio::{
    sync::{Notify, Semaphore, SemaphorePermit},
    time::{Instant, timeout_at},
};

use super::store;
use crate::{App, Result};

/// How often somebody who waits looks for himself, since the run may end on another node.
const LOOK: Duration = Duration::from_secs(1);

/// The runs that somebody on this node waits for.
#[derive(Debug)]
pub struct Completions {
    waiting: Mutex<HashMap<Id<id::Execution>, Arc<Notify>>>,
    turns: Semaphore,
}

/// How many results are put together at a time; the others wait, since a result can be large.
const TURNS: usize = 8;

/// Somebody who waits for a run, for as long as this exists.
#[derive(Debug)]
struct Waiter<'a> {
    completions: &'a Completions,
    execution: Id<id::Execution>,
    called: Arc<Notify>,
}

impl Default for Completions {
    fn default() -> Self {
        Self { waiting: Mutex::default(), turns: Semaphore::new(TURNS) }
    }
}

impl Completions {
    /// Waits until a result may be put together, for as long as what this gives is kept.
    pub async fn turn(&self) -> Option<SemaphorePermit<'_>> {
        self.turns.acquire().await.ok()
    }

    /// Calls everybody who waits for this run.
    pub fn announce(&self, execution: Id<id::Execution>) {
        if let Some(waiting) = self.lock().get(&execution) {
            waiting.notify_waiters();
        }
    }

    fn waiter(&self, execution: Id<id::Execution>) -> Waiter<'_> {
        let called = Arc::clone(self.lock().entry(execution).or_default());
        Waiter { completions: self, execution, called }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Id<id::Execution>, Arc<Notify>>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Waiter<'_> {
    fn drop(&mut self) {
        let mut waiting = self.completions.lock();
        // Clones are made under the lock only: the map's and this one.
        if Arc::strong_count(&self.called) == 2 {
            waiting.remove(&self.execution);
        }
    }
}

/// Waits until a run is over, or until the deadline.
pub async fn wait(
    app: &App,
    org: OrgNumber,
    execution: Id<id::Execution>,
    deadline: Instant,
) -> Result<()> {
    let waiter = app.completions().waiter(execution);
    loop {
        let mut called = std::pin::pin!(waiter.called.notified());
        // Listening begins before looking: what happens in between is not missed.
        called.as_mut().enable();
        if app.read(async |tx| store::is_over(tx, org, execution).await).await? {
            return Ok(());
        }
        if Instant::now() >= deadline {
            return Ok(());
        }
        let _called_or_not = timeout_at(deadline.min(Instant::now() + LOOK), called).await;
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    #[tokio::test]
    async fn everybody_who_waits_is_called_and_forgotten() {
        let completions = Completions::default();
        let execution = Id::from_uuid(Uuid::nil());
        let (one, two) = (completions.waiter(execution), completions.waiter(execution));
        {
            let mut first = std::pin::pin!(one.called.notified());
            let mut second = std::pin::pin!(two.called.notified());
            first.as_mut().enable();
            second.as_mut().enable();
            completions.announce(execution);
            first.await;
            second.await;
        }
        assert_eq!(completions.lock().len(), 1);
        drop(one);
        assert_eq!(completions.lock().len(), 1, "one still waits");
        drop(two);
        assert!(completions.lock().is_empty());
        completions.announce(execution);
    }
}
