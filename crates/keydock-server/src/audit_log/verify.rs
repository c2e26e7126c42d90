//! Whether the chain is whole, as far as that can be known.

use keydock_core::{secret::Pepper, time::Timestamp};
use keydock_storage::db::Tx;
use serde::{Deserialize, Serialize};

use super::{
    chain::{self, Head, Link},
    store,
};
use crate::{
    Result,
    access::{System, pepper_store},
};

/// How many events are read at a time.
const PAGE: i64 = 1_000;

/// How many faults are told in words; a chain that is broken everywhere would fill books.
const TOLD: usize = 100;

/// The end of the chain at some time, to be kept elsewhere: in a ticket, a mailbox, another machine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checkpoint {
    /// Says what this is.
    pub kind: CheckpointKind,
    /// The number of the last event.
    pub sequence: i64,
    /// Its hash.
    pub hash: String,
    /// How many events there were.
    pub events: i64,
    /// When the checkpoint was made. RFC 3339, UTC.
    pub at: String,
}

/// The one kind of checkpoint that there is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum CheckpointKind {
    /// Of the audit log of a server, in its first form.
    #[serde(rename = "keydock audit checkpoint 1")]
    AuditLog,
}

/// What is wrong at one place.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Fault {
    /// The number of the event; 0 where none is concerned.
    pub sequence: i64,
    /// What is wrong, for a person.
    pub what: String,
}

/// What was found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Report {
    /// How many events were read.
    pub events: i64,
    /// The number of the first one.
    pub first: Option<i64>,
    /// The number of the last one.
    pub last: Option<i64>,
    /// How many numbers were left out where that is allowed.
    pub left_out: i64,
    /// Whether the seals were checked, which takes the pepper.
    pub seals_checked: bool,
    /// Whether there was a checkpoint to compare with.
    pub checkpoint_compared: bool,
    /// What is wrong, in the order of the chain; the first hundred faults.
    pub faults: Vec<Fault>,
    /// How many faults there are in all.
    pub fault_count: u64,
}

impl Report {
    /// Whether nothing is wrong.
    pub fn is_whole(&self) -> bool {
        self.fault_count == 0
    }
}

/// What the events that are read are expected to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// All that there are, from the first on.
    Whole,
    /// All from some place on.
    From,
    /// Some of them.
    Some,
}

/// What is known of the end of the chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// The server noted it.
    Noted(Head),
    /// The server's note is gone.
    Lost,
    /// Nothing: an export has no such note.
    Unknown,
}

/// Reads a chain event by event.
#[derive(Debug)]
pub struct Verifier<'a> {
    scope: Scope,
    peppers: &'a [Pepper],
    /// Whether there were others before these, which are gone.
    had_others: bool,
    /// The newest of them that sealed an event so far.
    sealed_by: Option<usize>,
    checkpoint: Option<&'a Checkpoint>,
    last: Option<Head>,
    report: Report,
    at_checkpoint: Option<i64>,
}

impl<'a> Verifier<'a> {
    /// Nothing was read yet. Seals are checked with these peppers, the newest first; with none, they are
    /// not checked.
    pub fn new(scope: Scope, peppers: &'a [Pepper], checkpoint: Option<&'a Checkpoint>) -> Self {
        let report = Report {
            events: 0,
            first: None,
            last: None,
            left_out: 0,
            seals_checked: !peppers.is_empty(),
            checkpoint_compared: checkpoint.is_some(),
            faults: Vec::new(),
            fault_count: 0,
        };
        Self {
            scope,
            peppers,
            had_others: false,
            sealed_by: None,
            checkpoint,
            last: None,
            report,
            at_checkpoint: None,
        }
    }

    /// Says that older events were sealed with peppers that are retired. The first seal of one that is
    /// here vouches for them, since it is made of a hash that all of them are part of.
    #[must_use]
    pub fn with_retired(mut self, had_others: bool) -> Self {
        self.had_others = had_others;
        self
    }

    /// Reads the next event.
    pub fn read(&mut self, link: &Link) {
        let expected = match (&self.last, self.scope) {
            (Some(last), _) => Some(last.seq + 1),
            (None, Scope::Whole) => Some(1),
            (None, Scope::From | Scope::Some) => None,
        };
        let follows = self.check_number(link, expected);
        self.check_hash(link, follows);
        self.check_seal(link);
        self.report.events += 1;
        self.report.first.get_or_insert(link.seq);
        self.report.last = Some(link.seq);
        self.last = Some(Head { seq: link.seq, hash: link.hash.clone() });
        if let Some(checkpoint) = self.checkpoint
            && checkpoint.sequence == link.seq
        {
            self.at_checkpoint = Some(self.report.events);
            if checkpoint.hash != link.hash {
                self.fault(link.seq, "it or an event before it is not what the checkpoint knows");
            }
        }
    }

    fn check_seal(&mut self, link: &Link) {
        if self.peppers.is_empty() {
            return;
        }
        match (chain::sealed_by(self.peppers, link), self.sealed_by) {
            // A pepper that was replaced seals nothing any more, whoever has it.
            (Some(by), Some(newest)) if by > newest => {
                self.fault(link.seq, "its seal was made with a pepper that was replaced before");
            }
            (Some(by), _) => self.sealed_by = Some(by),
            (None, None) if self.had_others => {}
            (None, _) => self.fault(link.seq, "its seal was not made by this server"),
        }
    }

    /// Whether the event is the one after the last one that was read, or the first of all.
    fn check_number(&mut self, link: &Link, expected: Option<i64>) -> bool {
        let Some(expected) = expected else { return false };
        if link.seq < expected {
            self.fault(link.seq, "its number stands twice or out of order");
            return false;
        }
        let left_out = link.seq - expected;
        if left_out == 0 {
            return true;
        }
        if self.scope == Scope::Some {
            self.report.left_out += left_out;
        } else {
            self.fault(expected, missing(expected, link.seq - 1));
        }
        false
    }

    fn check_hash(&mut self, link: &Link, follows: bool) {
        let before = match &self.last {
            Some(last) if follows => Some(last.hash.clone()),
            // The first of all has nothing before it.
            None if follows => Some(String::new()),
            _ => None,
        };
        let previous = before.as_ref().or(link.previous_hash.as_ref());
        if let (Some(before), Some(given)) = (&before, &link.previous_hash)
            && before != given
        {
            self.fault(link.seq, "it does not follow the event before it");
        } else if let Some(previous) = previous
            && link.record.hash(previous, link.seq) != link.hash
        {
            self.fault(
                link.seq,
                "it is not what was written, or the event before it is another one",
            );
        }
    }

    /// Compares the end that was reached with the one that the server noted, and with the checkpoint.
    pub fn finish(mut self, end: &End) -> Report {
        let last = self.last.take().unwrap_or(Head { seq: 0, hash: String::new() });
        if self.had_others && self.sealed_by.is_none() && self.report.events > 0 {
            self.fault(last.seq, "no event was sealed with a pepper that is here");
        }
        match end {
            End::Lost => self.fault(last.seq, "the row that notes the end of the chain is gone"),
            End::Noted(noted) if noted.seq > last.seq => {
                let what = missing(last.seq + 1, noted.seq);
                self.fault(last.seq + 1, format!("{what}: the chain ends too early"));
            }
            End::Noted(noted) if *noted != last => {
                self.fault(last.seq, "the chain does not end where the server noted its end");
            }
            End::Noted(_) | End::Unknown => {}
        }
        if let Some(checkpoint) = self.checkpoint {
            self.compare_end(checkpoint, last.seq);
        }
        self.report
    }

    fn compare_end(&mut self, checkpoint: &Checkpoint, last: i64) {
        if checkpoint.sequence > last {
            let what = missing(last + 1, checkpoint.sequence);
            self.fault(last + 1, format!("{what}, and the checkpoint knows of it"));
        } else if checkpoint.sequence > 0 && self.scope != Scope::Some {
            match self.at_checkpoint {
                // Where the reading began later, the checkpoint proves nothing.
                None if self.report.first.is_some_and(|first| first > checkpoint.sequence) => {
                    self.report.checkpoint_compared = false;
                }
                None => {
                    self.fault(checkpoint.sequence, "it is missing, and the checkpoint knows it");
                }
                Some(count) if self.scope == Scope::Whole && count != checkpoint.events => {
                    let known = checkpoint.events;
                    let what = format!("{count} event(s) up to here; the checkpoint knows {known}");
                    self.fault(checkpoint.sequence, what);
                }
                Some(_) => {}
            }
        }
    }

    fn fault(&mut self, sequence: i64, what: impl Into<String>) {
        self.report.fault_count += 1;
        if self.report.faults.len() < TOLD {
            self.report.faults.push(Fault { sequence, what: what.into() });
        }
    }
}

fn missing(from: i64, to: i64) -> String {
    if from == to { "it is missing".to_owned() } else { format!("{from} to {to} are missing") }
}

/// Reads the whole chain of the database. Without the peppers the seals cannot be checked, and without
/// a checkpoint an end that somebody cut off tidily cannot be missed.
pub async fn verify(
    tx: &mut Tx,
    _operator: &System,
    peppers: &[Pepper],
    checkpoint: Option<&Checkpoint>,
) -> Result<Report> {
    let retired = pepper_store::known(tx).await?.iter().any(|known| known.retired_at.is_some());
    let verifier = Verifier::new(Scope::Whole, peppers, checkpoint);
    let mut verifier = verifier.with_retired(retired && !peppers.is_empty());
    let mut after = i64::MIN;
    loop {
        let links = store::links(tx, after, PAGE).await?;
        let Some(last) = links.last() else { break };
        after = last.seq;
        for link in &links {
            verifier.read(link);
        }
    }
    let unchained = store::count_unchained(tx).await?;
    if unchained > 0 {
        verifier.fault(0, format!("{unchained} event(s) have no place in the chain"));
    }
    let twice = store::count_chained(tx).await? - verifier.report.events;
    if twice > 0 {
        verifier.fault(0, format!("{twice} event(s) stand at places that are taken"));
    }
    let end = store::head(tx).await?.map_or(End::Lost, End::Noted);
    Ok(verifier.finish(&end))
}

/// The end of the chain, to be kept elsewhere.
pub async fn checkpoint(tx: &mut Tx, _operator: &System) -> Result<Checkpoint> {
    let head = store::head(tx).await?.unwrap_or(Head { seq: 0, hash: String::new() });
    let at: Timestamp = tx.now();
    Ok(Checkpoint {
        kind: CheckpointKind::AuditLog,
        sequence: head.seq,
        hash: head.hash,
        events: store::count_chained(tx).await?,
        at: at.to_string(),
    })
}

#[cfg(test)]
mod tests;
