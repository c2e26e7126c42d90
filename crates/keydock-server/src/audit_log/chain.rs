//! The chain: every event has a number without gaps and a hash over itself and the hash before it.
//!
//! Events are noted while a transaction runs and written as its last step, since the end of the chain
//! is a row that all of them lock. What the chain proves by itself, and what it takes a checkpoint
//! kept elsewhere for, is in `docs/adr/0010-the-audit-log-is-a-chain.md`.

use keydock_core::{secret::Pepper, time::Timestamp};
use keydock_storage::db::{self, Db, Tx};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::store;
use crate::{Error, Result, access::peppers::Peppers};

/// Announced by every transaction that has events to write.
const TOPIC: &str = "audit";

/// The first word of what is hashed; another form of events would have another one.
const FORM: &str = "keydock audit event 1";

/// How many events are given their places at a time.
const BATCH: i64 = 1_000;

/// What an event says, and what its hash is made of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "each column says it")]
pub struct Record {
    pub id: String,
    pub org_id: Option<i64>,
    pub at: i64,
    pub action: String,
    pub actor_kind: String,
    pub actor_id: String,
    pub actor_name: String,
    pub subject_kind: String,
    pub subject_id: String,
    /// JSON, as it was first written.
    pub detail: String,
    pub request_id: String,
    pub ip: String,
}

/// An event with its place in the chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// Its number.
    pub seq: i64,
    /// The hash of the event before, where that is known.
    pub previous_hash: Option<String>,
    /// Its hash.
    pub hash: String,
    /// The keyed digest of that; an export has none.
    pub seal: Option<String>,
    /// The event.
    pub record: Record,
}

/// The end of the chain, while nobody else can add to it.
#[derive(Debug)]
pub(super) struct Locked {
    pub(super) head: Head,
    /// The id of the pepper that events are sealed with from there on: since it stands here, all of them
    /// change it at the same place of the chain.
    pub(super) pepper: String,
}

/// The end of the chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Head {
    /// The number of the last event; 0 if there is none.
    pub seq: i64,
    /// Its hash; nothing if there is none.
    pub hash: String,
}

impl Record {
    /// When it happened.
    pub fn at(&self) -> Timestamp {
        Timestamp::from_micros(self.at)
    }

    /// The hash of this event at this place: SHA-256 over every field, each after its length, so
    /// that no two events are written alike.
    pub fn hash(&self, previous: &str, seq: i64) -> String {
        let (seq, at) = (seq.to_string(), self.at.to_string());
        let org = self.org_id.map(|org| org.to_string()).unwrap_or_default();
        let fields = [
            FORM,
            previous,
            &seq,
            &self.id,
            &org,
            &at,
            &self.action,
            &self.actor_kind,
            &self.actor_id,
            &self.actor_name,
            &self.subject_kind,
            &self.subject_id,
            &self.detail,
            &self.request_id,
            &self.ip,
        ];
        let mut hash = Sha256::new();
        for field in fields {
            hash.update((field.len() as u64).to_be_bytes());
            hash.update(field);
        }
        hex::encode(hash.finalize())
    }
}

/// What only the server can make of a hash.
pub(super) fn seal(pepper: &Pepper, hash: &str) -> String {
    hex::encode(pepper.digest_of("audit event", hash.as_bytes()))
}

/// Which of these peppers made the seal of an event.
pub(super) fn sealed_by(peppers: &[Pepper], link: &Link) -> Option<usize> {
    let given = link.seal.as_deref()?;
    peppers.iter().position(|pepper| seal(pepper, &link.hash) == given)
}

/// Notes an event, to be written as the last step of this transaction.
pub(super) fn note(tx: &mut Tx, record: &Record) -> Result<()> {
    let note = serde_json::to_string(record).map_err(Error::internal)?;
    tx.announce_about(TOPIC, note);
    Ok(())
}

/// Writes down what was noted, as the last step of a transaction. Numbers come in the order of
/// commits, because the end of the chain stays locked until then; and since whoever holds it waits
/// for nothing else, nobody waits in a circle.
pub(crate) async fn write_down(tx: &mut Tx, peppers: &Peppers) -> Result<()> {
    let notes = tx.take_notes(TOPIC);
    if notes.is_empty() {
        return Ok(());
    }
    let records = notes.iter().map(|note| serde_json::from_str(note).map_err(Error::internal));
    let records: Vec<Record> = records.collect::<Result<_>>()?;
    let Locked { head, pepper } = store::lock_head(tx).await.map_err(unwritable)?;
    let pepper = peppers.find(&pepper).ok_or_else(|| Error::Unavailable {
        detail: "This node does not have the current pepper. Its operator has to bring it here.",
        retry_after: std::time::Duration::from_secs(5),
        source: None,
    })?;
    append(tx, head, pepper, records).await.map_err(unwritable)
}

async fn append(
    tx: &mut Tx,
    mut head: Head,
    pepper: &Pepper,
    records: Vec<Record>,
) -> Result<(), db::Error> {
    for record in records {
        head = head.after(&record);
        store::insert(tx, &head, &seal(pepper, &head.hash), &record).await?;
    }
    store::set_head(tx, &head).await
}

impl Head {
    /// The end of the chain once this event is on it.
    fn after(&self, record: &Record) -> Self {
        let seq = self.seq + 1;
        Self { seq, hash: record.hash(&self.hash, seq) }
    }
}

/// Nothing changes that cannot be written down (AUD-04): the transaction fails, and says why. A disk
/// that did not confirm a write stays what it is, and ends the process.
fn unwritable(error: db::Error) -> Error {
    if matches!(error, db::Error::NotDurable(_)) {
        return error.into();
    }
    Error::Unavailable {
        detail: "The audit log cannot be written, so nothing was changed. Try again shortly.",
        retry_after: std::time::Duration::from_secs(5),
        source: Some(error.into()),
    }
}

/// Gives the events from before the chain their places in it, in the order of their ids. Once: to a
/// chain that has begun nothing is added in this way, or whoever has the database could slip in what
/// they like.
pub(crate) async fn adopt(db: &Db, pepper: &Pepper) -> Result<u64> {
    let adopted = db.write(async |tx| {
        let mut head = store::lock_head(tx).await?.head;
        let mut adopted = 0;
        if head.seq > 0 {
            return Ok(adopted);
        }
        loop {
            let records = store::unchained(tx, BATCH).await?;
            if records.is_empty() {
                break;
            }
            for record in records {
                head = head.after(&record);
                store::chain(tx, &head, &seal(pepper, &head.hash), &record.id).await?;
                adopted += 1;
            }
        }
        store::set_head(tx, &head).await?;
        Ok::<_, Error>(adopted)
    });
    Ok(adopted.await?.value)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record() -> Record {
        Record {
            id: "id".to_owned(),
            org_id: Some(7),
            at: 1,
            action: "action".to_owned(),
            actor_kind: "user".to_owned(),
            actor_id: "1".to_owned(),
            actor_name: "ada".to_owned(),
            subject_kind: "thing".to_owned(),
            subject_id: "2".to_owned(),
            detail: "{}".to_owned(),
            request_id: "request".to_owned(),
            ip: "203.0.113.9".to_owned(),
        }
    }

    #[test]
    fn no_field_can_be_taken_for_another() {
        let own = record().hash("", 1);
        assert_eq!(own, record().hash("", 1), "it is the same each time");
        let mut moved = record();
        moved.actor_kind = "use".to_owned();
        moved.actor_id = "r1".to_owned();
        assert_ne!(own, moved.hash("", 1), "what moves from one field to the next");
        assert_ne!(own, Record { org_id: None, ..record() }.hash("", 1));
        assert_ne!(own, record().hash("", 2));
        assert_ne!(own, record().hash("0", 1));
    }

    /// Whoever checks an export without our program needs to know what is hashed: this must not
    /// change.
    #[test]
    fn the_hash_stays_what_it_is() {
        assert_eq!(
            record().hash("", 1),
            "07de19db38c3157c2aecce5e0bfc620f9ba5a1f3c3d2cc1b5aee357134beb440"
        );
    }
}
