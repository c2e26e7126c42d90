//! What the server does by itself: jobs from the queue, and upkeep.
//!
//! A job is enqueued in the transaction that makes it necessary, so neither exists without the
//! other, and it is kept until it has come to an end. Every job may run twice.

mod upkeep;
mod worker;

use std::net::IpAddr;

use keydock_core::{
    id::{self, Id, OrgNumber},
    time::Timestamp,
};
use keydock_storage::{
    db::Tx,
    queue::{self, Schedule},
};
use serde::{Deserialize, Serialize};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

pub use self::worker::{Line, work};
use crate::{App, Error, Result, executions, leaked_keys, webhooks};

/// Announced by every transaction after which there may be something to do.
pub const TOPIC: &str = queue::TOPIC;

/// Everything that can be queued. Old workers read jobs of new servers, so a variant is never renamed
/// and a field is only added with a default.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "job", rename_all = "snake_case")]
pub enum Job {
    /// Run an execution to its end.
    RunExecution {
        /// Its organization.
        org: OrgNumber,
        /// The execution.
        execution: Id<id::Execution>,
    },
    /// Stop a key that somebody found, if there is one.
    StopLeakedKey {
        /// The digest of what was reported.
        digest: String,
        /// Other digests by which it may be stored.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        others: Vec<String>,
        /// The request that reported it.
        request_id: String,
        /// Where that came from.
        ip: Option<IpAddr>,
    },
    /// Make one attempt to bring a message to a webhook.
    DeliverWebhook {
        /// Its organization.
        org: OrgNumber,
        /// The message.
        delivery: Id<id::WebhookDelivery>,
        /// How many attempts came before this one.
        attempts: i64,
    },
}

impl Job {
    /// The kinds that this program knows and does by itself; others wait for a program that knows
    /// them.
    const LOCAL: &[&str] = &["run_execution", "stop_leaked_key"];
    /// Those that wait for somebody outside, and must not keep the others waiting.
    const OUTBOUND: &[&str] = &["deliver_webhook"];

    const fn kind(&self) -> &'static str {
        match self {
            Self::RunExecution { .. } => Self::LOCAL[0],
            Self::StopLeakedKey { .. } => Self::LOCAL[1],
            Self::DeliverWebhook { .. } => Self::OUTBOUND[0],
        }
    }

    fn parse(body: &str) -> Result<Self> {
        serde_json::from_str(body).map_err(Error::internal)
    }

    /// Does what there is to do. In the last attempt it leaves nothing for a next one.
    async fn run(self, app: &App, is_last: bool) -> Result<()> {
        match self {
            Self::RunExecution { org, execution } => {
                executions::run(app, org, execution, is_last).await
            }
            Self::StopLeakedKey { digest, others, request_id, ip } => {
                let all = std::iter::once(digest).chain(others);
                let digests = all.map(|digest| digest.parse().map_err(Error::internal));
                let digests = digests.collect::<Result<_>>()?;
                let report = leaked_keys::Report { digests, request_id, ip };
                let on_leak = app.config().leaked_keys;
                app.write(async |tx| leaked_keys::stop(tx, &report, on_leak).await).await
            }
            Self::DeliverWebhook { org, delivery, attempts } => {
                webhooks::deliver(app, org, delivery, attempts).await
            }
        }
    }

    /// Ends what could not be done, in the transaction that gives up the job.
    async fn give_up(&self, tx: &mut Tx) -> Result<()> {
        match self {
            Self::RunExecution { org, execution } => {
                executions::give_up(tx, *org, *execution).await
            }
            // The error of the job says what is to be mended; it can be taken up again.
            Self::StopLeakedKey { .. } => Ok(()),
            Self::DeliverWebhook { org, delivery, .. } => {
                webhooks::give_up(tx, *org, *delivery).await
            }
        }
    }

    /// Tells whoever waits that it was given up, and deletes what it would have deleted.
    async fn after_giving_up(self, app: &App) -> Result<()> {
        match self {
            Self::RunExecution { org, execution } => {
                app.completions().announce(execution);
                executions::clear_away(app, org, execution).await
            }
            Self::StopLeakedKey { .. } | Self::DeliverWebhook { .. } => Ok(()),
        }
    }
}

/// Adds a job, to be done once this transaction commits.
pub async fn enqueue(tx: &mut Tx, job: &Job) -> Result<()> {
    enqueue_at(tx, job, None).await
}

/// The same, to be done not before an instant.
pub async fn enqueue_at(tx: &mut Tx, job: &Job, run_at: Option<Timestamp>) -> Result<()> {
    let body = serde_json::to_string(job).map_err(Error::internal)?;
    let schedule = Schedule { run_at, ..Schedule::default() };
    queue::enqueue(tx, job.kind(), &body, schedule).await?;
    Ok(())
}

/// Starts to work, and to keep things in order, until `stop`. The program must not end before the
/// future is done: by then what was under way is finished or given back, and what was gathered in
/// memory is written down. Dropping the future ends everything at once.
pub fn start(app: App, stop: CancellationToken) -> impl Future<Output = ()> + Send + 'static {
    let mut tasks = JoinSet::new();
    upkeep::start(&app, &stop, &mut tasks);
    tasks.spawn(work(app.clone(), Line::Local, stop.clone()));
    tasks.spawn(work(app, Line::Outbound, stop));
    async move { while tasks.join_next().await.is_some() {} }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn jobs_are_read_as_they_were_written() {
        let job = Job::RunExecution {
            org: OrgNumber::from_i64(7),
            execution: "0198c3f2-a7c8-7b0e-8f1d-2c3b4a596877".parse().unwrap(),
        };
        let body = serde_json::to_string(&job).unwrap();
        insta::assert_snapshot!(body, @r#"{"job":"run_execution","org":7,"execution":"0198c3f2-a7c8-7b0e-8f1d-2c3b4a596877"}"#);
        assert_eq!(Job::parse(&body).unwrap(), job);
        assert!(body.contains(job.kind()));
    }
}
