//! Runs that were accepted must end, with the right result, readable once.

use std::{sync::Arc, time::Duration};

use anyhow::Result;
use keydock_e2e::{Answer, Client, File, ORG, total};
use serde_json::json;
use tokio::sync::Mutex;

use crate::findings::Findings;

/// The deployment that is called.
pub(crate) const DEPLOYMENT: &str = "totals";

/// How long after a start a run may take until it has ended (EXE-03).
const PATIENCE: Duration = Duration::from_mins(1);

/// How many runs somebody has under way before asking for one.
const AHEAD: usize = 6;

/// A run that was accepted.
#[derive(Clone, Debug)]
struct Run {
    id: String,
    number: u64,
    /// Its result may have been read: the answer got lost.
    perhaps_read: bool,
}

/// Somebody who submits documents and asks for the results.
#[derive(Debug)]
pub(crate) struct Submitter {
    caller: Client,
    next: u64,
    unread: Vec<Run>,
    pub(crate) accepted: usize,
    pub(crate) failed: usize,
    findings: Findings,
}

/// A submitter that outlives the rounds.
pub(crate) type Shared = Arc<Mutex<Submitter>>;

impl Submitter {
    pub(crate) fn new(caller: Client, first: u64, findings: &Findings) -> Shared {
        Arc::new(Mutex::new(Self {
            caller,
            next: first,
            unread: Vec::new(),
            accepted: 0,
            failed: 0,
            findings: findings.clone(),
        }))
    }

    /// Submits and asks until the server is gone.
    pub(crate) async fn work(&mut self) {
        while self.step().await.is_ok() {}
    }

    async fn step(&mut self) -> Result<()> {
        if self.unread.len() < AHEAD { self.submit().await } else { self.ask().await }
    }

    async fn submit(&mut self) -> Result<()> {
        let number = self.next;
        self.next += 1;
        let file = File::text("total.txt", total(number));
        let answer = self.caller.submit(ORG, DEPLOYMENT, &[file], &[]).await?;
        if answer.status != 200 {
            self.findings.add(format!("a document was answered with {:?}", answer.unexpected()));
            return Err(answer.unexpected());
        }
        self.accepted += 1;
        let id = answer.text_at("/message/execution_id")?;
        self.unread.push(Run { id, number, perhaps_read: false });
        Ok(())
    }

    /// Asks for the oldest run once.
    async fn ask(&mut self) -> Result<()> {
        let Some(run) = self.unread.first_mut() else { return Ok(()) };
        run.perhaps_read = true;
        let run = run.clone();
        let answer = self.caller.poll(ORG, DEPLOYMENT, &run.id).await?;
        if is_under_way(&answer) {
            self.unread[0].perhaps_read = false;
            tokio::time::sleep(Duration::from_millis(5)).await;
            return Ok(());
        }
        self.unread.remove(0);
        self.judge(&run, &answer);
        Ok(())
    }

    /// Waits for everything that was accepted and not read.
    pub(crate) async fn collect(&mut self) -> Result<usize> {
        let unread = std::mem::take(&mut self.unread);
        for run in &unread {
            let answer = self.caller.wait(ORG, DEPLOYMENT, &run.id, PATIENCE).await?;
            if answer.status == 406 && run.perhaps_read {
                self.replay(run).await?;
                continue;
            }
            self.judge(run, &answer);
            let again = self.caller.poll(ORG, DEPLOYMENT, &run.id).await?;
            self.findings.check(again.status == 406, || {
                format!("run {} was read twice: {} {}", run.id, again.status, again.text)
            });
        }
        if let Some(run) = unread.first() {
            self.replay(run).await?;
        }
        Ok(unread.len())
    }

    /// A result that was read can be asked for again.
    async fn replay(&mut self, run: &Run) -> Result<()> {
        let path = format!("/deployment/api/{ORG}/{DEPLOYMENT}/?execution_id={}&replay=1", run.id);
        let answer = self.caller.get(&path).await?;
        self.judge(run, &answer);
        Ok(())
    }

    fn judge(&mut self, run: &Run, answer: &Answer) {
        let value = &answer.body["message"][0]["result"]["output"]["total"];
        let right = answer.status == 200
            && answer.body["status"] == "COMPLETED"
            && *value == json!(run.number);
        let ended_badly = answer.status == 422 && answer.body["status"] == "ERROR";
        if ended_badly {
            self.failed += 1;
        }
        self.findings.check(right || ended_badly, || {
            let Run { id, number, .. } = run;
            format!("run {id} of {number} was answered with {} {}", answer.status, answer.text)
        });
    }
}

fn is_under_way(answer: &Answer) -> bool {
    answer.status == 422 && matches!(answer.body["status"].as_str(), Some("PENDING" | "EXECUTING"))
}
