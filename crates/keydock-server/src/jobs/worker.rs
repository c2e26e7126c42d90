//! The worker: takes jobs from the queue and does them.

use std::{panic::AssertUnwindSafe, pin::pin, time::Duration};

use futures_util::FutureExt as _;
use keydock_storage::queue::{self, Backoff, Leased, Outcome};
use tokio::{
    task::JoinSet,
    time::{MissedTickBehavior, interval, sleep, timeout},
};
use tokio_util::sync::CancellationToken;

use super::Job;
use crate::{App, Error, Result};

/// For how long a job is taken. A worker that vanishes is replaced after this, by another one.
const LEASE: Duration = Duration::from_secs(30);
/// How often a worker says that it is still at it.
const HEARTBEAT: Duration = Duration::from_secs(10);
/// How long to wait before looking again, since work may come from another node.
const LOOK: Duration = Duration::from_secs(1);
/// How long to wait when others are taking what is due.
const CROWDED: Duration = Duration::from_millis(50);
/// How long the jobs under way may go on after the end of the worker was asked for.
const GRACE: Duration = Duration::from_secs(10);

/// What a worker works through. What waits for others stands in a line of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Line {
    /// What this machine does by itself.
    Local,
    /// What waits for somebody outside.
    Outbound,
}

impl Line {
    const fn kinds(self) -> &'static [&'static str] {
        match self {
            Self::Local => Job::LOCAL,
            Self::Outbound => Job::OUTBOUND,
        }
    }

    fn places(self, app: &App) -> usize {
        match self {
            Self::Local => app.config().workers.get(),
            Self::Outbound => CALLS,
        }
    }
}

/// How many calls to the outside may be under way.
const CALLS: usize = 32;

/// Takes jobs and does them, several at a time, until `stop`; then finishes what it has begun, or
/// gives it back.
pub async fn work(app: App, line: Line, stop: CancellationToken) {
    let worker = Worker { name: name(&app, line), line, app, abandon: CancellationToken::new() };
    let mut running = JoinSet::new();
    tokio::select! {
        () = worker.reclaim() => worker.take_until(&stop, &mut running).await,
        () = stop.cancelled() => {}
    }
    let drained = async { while running.join_next().await.is_some() {} };
    if timeout(GRACE, drained).await.is_err() {
        worker.abandon.cancel();
        while running.join_next().await.is_some() {}
    }
}

/// What this worker is called: the same after a restart, so that it finds its jobs again, and unlike
/// every other one, since no two share a machine, a folder and an address.
fn name(app: &App, line: Line) -> String {
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let config = app.config();
    let data = std::path::absolute(config.data()).unwrap_or_else(|_| config.data().to_owned());
    let name = format!("{} {} {}", host.trim(), data.display(), config.listen);
    match line {
        Line::Local => name,
        Line::Outbound => format!("{name} outbound"),
    }
}

#[derive(Debug)]
struct Worker {
    app: App,
    name: String,
    line: Line,
    /// Cancelled when there is no more time to finish.
    abandon: CancellationToken,
}

impl Worker {
    /// Takes back what a worker of this name held when it was killed.
    async fn reclaim(&self) {
        while let Err(error) = self.try_reclaim().await {
            log(&error, "the queue cannot be reached");
            sleep(LOOK).await;
        }
    }

    async fn try_reclaim(&self) -> Result<()> {
        let name = &self.name;
        let reclaimed = self.app.write(async |tx| Ok(queue::reclaim(tx, name).await?)).await?;
        if reclaimed > 0 {
            tracing::info!(jobs = reclaimed, "jobs of an earlier life are taken up again");
        }
        Ok(())
    }

    async fn take_until(&self, stop: &CancellationToken, running: &mut JoinSet<()>) {
        while !stop.is_cancelled() {
            let mut called = pin!(self.app.work().notified());
            // Listening begins before looking: a call in between is not missed.
            called.as_mut().enable();
            let wait = self.take(running).await.unwrap_or_else(|error| {
                log(&error, "the queue cannot be reached");
                LOOK
            });
            tokio::select! {
                () = called => {}
                Some(_) = running.join_next(), if !running.is_empty() => {}
                () = sleep(wait) => {}
                () = stop.cancelled() => {}
            }
            // Nothing is left of those that are done, so that their places are counted as free.
            while running.try_join_next().is_some() {}
        }
    }

    /// Begins what is due, as far as there are places. Tells how long to wait before looking again.
    async fn take(&self, running: &mut JoinSet<()>) -> Result<Duration> {
        let free = self.line.places(&self.app).saturating_sub(running.len());
        if free == 0 {
            return Ok(LOOK);
        }
        let kinds = self.line.kinds();
        let next = self.app.read(async |tx| Ok(queue::next_due(tx, kinds).await?)).await?;
        let Some(next) = next else { return Ok(LOOK) };
        let now = self.app.db().clock().now();
        if next > now {
            return Ok(next.since(now).min(LOOK));
        }
        let count = u32::try_from(free).unwrap_or(u32::MAX);
        let taken = queue::lease(self.app.db(), &self.name, kinds, count, LEASE).await?;
        if taken.is_empty() {
            return Ok(CROWDED);
        }
        for leased in taken {
            let held = Held { app: self.app.clone(), leased, abandon: self.abandon.clone() };
            running.spawn(held.work());
        }
        Ok(Duration::ZERO)
    }
}

/// A job in the hands of this worker.
struct Held {
    app: App,
    leased: Leased,
    abandon: CancellationToken,
}

/// How working on a job ended.
enum End {
    Done(Result<()>),
    /// It belongs to another worker by now.
    Lost,
    /// There is no more time.
    Abandoned,
}

impl Held {
    async fn work(self) {
        let end = if self.leased.exhausted() {
            End::Done(Err(Error::internal("every worker that tried it vanished")))
        } else {
            self.attempt().await
        };
        let ended = match end {
            End::Done(Ok(())) => self.complete().await,
            End::Done(Err(error)) => self.fail(&error).await,
            End::Abandoned => self.release().await,
            End::Lost => {
                tracing::warn!(job.id = %self.leased.id, "a job was taken over by another worker");
                Ok(())
            }
        };
        if let Err(error) = ended {
            // The lease will end, and somebody will take it up again.
            log(&error, "a job could not be ended");
        }
    }

    async fn attempt(&self) -> End {
        let is_last = self.leased.attempt >= self.leased.max_attempts;
        let job = async { Job::parse(&self.leased.body)?.run(&self.app, is_last).await };
        let job = AssertUnwindSafe(job).catch_unwind();
        tokio::select! {
            done = job => {
                End::Done(done.unwrap_or_else(|_| Err(Error::internal("the job panicked"))))
            }
            () = self.keep() => End::Lost,
            () = self.abandon.cancelled() => End::Abandoned,
        }
    }

    /// Keeps the lease for as long as it can be kept.
    async fn keep(&self) {
        let mut beats = interval(HEARTBEAT);
        beats.set_missed_tick_behavior(MissedTickBehavior::Delay);
        beats.tick().await;
        loop {
            beats.tick().await;
            match queue::heartbeat(self.app.db(), &self.leased, LEASE).await {
                Ok(true) => {}
                Ok(false) => return,
                Err(error) => log(&error.into(), "the lease of a job could not be renewed"),
            }
        }
    }

    async fn complete(&self) -> Result<()> {
        let held = self.app.write(async |tx| Ok(queue::complete(tx, &self.leased).await?)).await?;
        if !held {
            // Harmless: what a job stores is stored once, whoever comes first.
            tracing::warn!(job.id = %self.leased.id, "a job was taken over while it was done");
        }
        Ok(())
    }

    async fn release(&self) -> Result<()> {
        self.app.write(async |tx| Ok(queue::release(tx, &self.leased).await?)).await?;
        tracing::info!(job.id = %self.leased.id, "a job is given back unfinished");
        Ok(())
    }

    /// Has the job tried again after a while, or ends what it was about.
    async fn fail(&self, error: &Error) -> Result<()> {
        let text = queue::describe(error);
        let (id, attempt) = (self.leased.id, self.leased.attempt);
        tracing::error!(job.id = %id, attempt, error = text, "a job failed");
        let job = Job::parse(&self.leased.body);
        let outcome = self
            .app
            .write(async |tx| {
                let outcome = queue::fail(tx, &self.leased, &text, Backoff::default()).await?;
                if let (Outcome::Dead, Ok(job)) = (outcome, &job) {
                    job.give_up(tx).await?;
                }
                Ok(outcome)
            })
            .await?;
        match (outcome, job) {
            (Outcome::Dead, Ok(job)) => job.after_giving_up(&self.app).await,
            _ => Ok(()),
        }
    }
}

fn log(error: &Error, what: &str) {
    tracing::error!(error = error as &dyn std::error::Error, "{what}");
}
