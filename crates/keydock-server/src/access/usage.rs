//! When, how often, from where and by what keys were used: marked at the key itself, and written down
//! at most once a minute for each, but soon for a caller that was not there before.

use std::{
    collections::{HashMap, HashSet},
    hash::{Hash as _, Hasher as _},
    net::IpAddr,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicI64, AtomicU32, Ordering},
    },
    time::Duration,
};

use keydock_core::{
    id::{self, Id, OrgNumber},
    secret::KeyDigest,
    time::Timestamp,
};
use keydock_storage::db::Db;

use super::{
    changes,
    keyring::{Keyring, Tag, Use, tag},
};
use crate::{Error, Result, keys, platform_tokens};

/// How often the uses of one key are written down (AUD-05).
const EVERY: Duration = Duration::from_mins(1);

/// Callers of one secret that are told apart until their uses are written down.
const MAX_CALLERS: usize = 64;

/// The secrets whose uses are to be written down.
#[derive(Debug, Default)]
pub struct Usage(Mutex<HashMap<Tag, Pending>>);

/// The uses of one secret that are not written down yet.
#[derive(Debug)]
struct Pending {
    /// When they are to be.
    due: Timestamp,
    callers: Vec<Caller>,
}

/// The uses of one caller.
#[derive(Clone, Debug)]
struct Caller {
    /// What [`Mark`] knows of it.
    hash: u32,
    ip: IpAddr,
    agent: Box<str>,
    deployment: Box<str>,
    first: Timestamp,
    last: Timestamp,
    count: u32,
}

/// Uses of one secret by one caller, as they are written down.
#[derive(Clone, Debug)]
pub struct Used {
    /// The key.
    pub key: Id<id::AnyKey>,
    /// Its organization.
    pub org: OrgNumber,
    /// Which of its secrets.
    pub version: i64,
    /// Whether the end of the secret before this one depends on its first use.
    pub ends_previous: bool,
    /// The first of these uses.
    pub first: Timestamp,
    /// The last one.
    pub last: Timestamp,
    /// Where they came from.
    pub ip: IpAddr,
    /// By what program.
    pub agent: Box<str>,
    /// For which deployment; empty if for none.
    pub deployment: Box<str>,
    /// How many there were.
    pub count: u32,
}

/// The uses of one secret by the caller that it was last used by: all that changes with every request.
#[derive(Debug, Default)]
pub(super) struct Mark {
    count: AtomicU32,
    /// Which caller that is; 0 if [`Usage`] knows of none.
    caller: AtomicU32,
    at: AtomicI64,
}

/// A number for a caller, which no other is likely to have.
pub(super) fn caller(used: &Use<'_>) -> u32 {
    let mut hasher = rustc_hash::FxHasher::default();
    used.ip.hash(&mut hasher);
    used.agent.hash(&mut hasher);
    used.deployment.hash(&mut hasher);
    // The upper half is the better one.
    u32::try_from(hasher.finish() >> 32).unwrap_or_default().max(1)
}

impl Mark {
    /// Adds a use by the caller that was there last. False if it was another one: then [`Usage`] has to
    /// be told.
    pub(super) fn add(&self, used: &Use<'_>, caller: u32) -> bool {
        if self.caller.load(Ordering::Acquire) != caller {
            return false;
        }
        // Two callers that alternate may be taken for each other in the instant of the change: counting
        // does not deserve a lock.
        self.count.fetch_add(1, Ordering::Relaxed);
        self.at.store(used.at.as_micros(), Ordering::Relaxed);
        true
    }

    /// The marks of a secret that is held anew.
    pub(super) fn moved(&self) -> Self {
        Self {
            count: AtomicU32::new(self.count.swap(0, Ordering::Relaxed)),
            caller: AtomicU32::new(self.caller.load(Ordering::Acquire)),
            at: AtomicI64::new(self.at.load(Ordering::Relaxed)),
        }
    }
}

impl Pending {
    /// Counts what the mark has for the caller that it names.
    fn settle(&mut self, mark: &Mark) {
        let count = mark.count.swap(0, Ordering::Relaxed);
        if count == 0 {
            return;
        }
        let hash = mark.caller.load(Ordering::Acquire);
        let at = Timestamp::from_micros(mark.at.load(Ordering::Relaxed));
        let place = self.callers.iter().position(|caller| caller.hash == hash);
        match self.callers.get_mut(place.unwrap_or(0)) {
            Some(caller) => caller.add(count, at),
            None => {
                mark.count.fetch_add(count, Ordering::Relaxed);
            }
        }
    }

    fn add(&mut self, used: &Use<'_>, hash: u32) {
        if let Some(caller) = self.callers.iter_mut().find(|caller| caller.hash == hash) {
            return caller.add(1, used.at);
        }
        // Somebody new is news.
        self.due = self.due.min(used.at);
        let is_full = self.callers.len() >= MAX_CALLERS;
        if is_full && let Some(last) = self.callers.last_mut() {
            last.agent = "(several)".into();
            return last.add(1, used.at);
        }
        self.callers.push(Caller {
            hash,
            ip: used.ip,
            agent: clean(used.agent),
            deployment: used.deployment.into(),
            first: used.at,
            last: used.at,
            count: 1,
        });
    }
}

/// What a client calls itself, bounded and without what does not belong on a line.
fn clean(agent: &str) -> Box<str> {
    agent.chars().filter(|character| !character.is_control()).take(200).collect()
}

impl Caller {
    fn add(&mut self, count: u32, at: Timestamp) {
        if self.count == 0 {
            self.first = at;
        }
        self.count = self.count.saturating_add(count);
        self.last = self.last.max(at);
    }
}

impl Usage {
    /// Notes a use that the mark of the secret did not take.
    pub(super) fn note(&self, tag: Tag, used: &Use<'_>, caller: u32, mark: &Mark) {
        let mut all = self.lock();
        let pending =
            all.entry(tag).or_insert_with(|| Pending { due: used.at, callers: Vec::new() });
        pending.settle(mark);
        pending.add(used, caller);
        mark.at.store(used.at.as_micros(), Ordering::Relaxed);
        mark.caller.store(caller, Ordering::Release);
    }

    /// Takes what is to be written down of a secret. If it was not used since the last time, it is
    /// forgotten until it is used again.
    pub(super) fn take(
        &self,
        tag: &Tag,
        mark: &Mark,
        used: impl Fn(&CallerUses<'_>) -> Used,
    ) -> Vec<Used> {
        let mut all = self.lock();
        let Some(pending) = all.get_mut(tag) else { return Vec::new() };
        pending.settle(mark);
        let active = pending.callers.iter_mut().filter(|caller| caller.count > 0);
        let taken: Vec<Used> = active
            .map(|caller| {
                let taken = used(&CallerUses(caller));
                caller.count = 0;
                taken
            })
            .collect();
        if taken.is_empty() {
            all.remove(tag);
            mark.caller.store(0, Ordering::Release);
        }
        taken
    }

    fn give_back(&self, tag: &Tag, uses: &[Used], due: Timestamp) {
        let mut all = self.lock();
        let Some(pending) = all.get_mut(tag) else { return };
        pending.due = due;
        for used in uses {
            let same = |caller: &&mut Caller| {
                caller.ip == used.ip
                    && caller.agent == used.agent
                    && caller.deployment == used.deployment
            };
            if let Some(caller) = pending.callers.iter_mut().find(same) {
                caller.first = used.first;
                caller.count = caller.count.saturating_add(used.count);
            }
        }
    }

    fn put_off(&self, tag: &Tag, due: Timestamp) {
        if let Some(pending) = self.lock().get_mut(tag) {
            pending.due = due;
        }
    }

    fn due(&self, now: Timestamp) -> Vec<Tag> {
        self.lock().iter().filter(|(_, uses)| uses.due <= now).map(|(tag, _)| *tag).collect()
    }

    /// Knows the uses of a secret by its new digest.
    pub(super) fn rename(&self, from: &Tag, to: Tag) {
        let mut all = self.lock();
        if let Some(pending) = all.remove(from)
            && pending.callers.iter().any(|caller| caller.count > 0)
        {
            all.entry(to).or_insert(pending);
        }
    }

    /// Forgets the uses of a secret that is not there any more.
    pub(super) fn forget(&self, tag: &Tag) {
        self.lock().remove(tag);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Tag, Pending>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The uses of one caller, for the key that they are of.
#[derive(Debug)]
pub(super) struct CallerUses<'a>(&'a Caller);

impl CallerUses<'_> {
    pub(super) fn of(
        &self,
        key: Id<id::AnyKey>,
        org: OrgNumber,
        version: i64,
        ends_previous: bool,
    ) -> Used {
        let Caller { ip, ref agent, ref deployment, first, last, count, .. } = *self.0;
        let (agent, deployment) = (agent.clone(), deployment.clone());
        Used { key, org, version, ends_previous, first, last, ip, agent, deployment, count }
    }
}

/// Writes down the uses that are due: those of a new caller soon, then those of a minute at a time.
/// What cannot be written waits for the next time; no verification waits for it.
pub async fn flush(keyring: &Keyring, db: &Db) -> Result<()> {
    let now = db.clock().now();
    write_down(keyring, db, keyring.usage().due(now)).await
}

/// Writes down all uses, before the server ends.
pub async fn flush_all(keyring: &Keyring, db: &Db) -> Result<()> {
    write_down(keyring, db, keyring.usage().due(Timestamp::from_micros(i64::MAX))).await
}

/// Writes down the uses of these secrets, for somebody who wants to see them now.
pub async fn flush_of(keyring: &Keyring, db: &Db, secrets: &[KeyDigest]) -> Result<()> {
    write_down(keyring, db, secrets.iter().map(tag).collect()).await
}

async fn write_down(keyring: &Keyring, db: &Db, due: Vec<Tag>) -> Result<()> {
    for tags in due.chunks(500) {
        let batch: Vec<(Tag, Vec<Used>)> = tags
            .iter()
            .map(|tag| (*tag, keyring.take_uses(tag)))
            .filter(|(_, uses)| !uses.is_empty())
            .collect();
        if batch.is_empty() {
            continue;
        }
        let uses: Vec<&Used> = batch.iter().flat_map(|(_, uses)| uses).collect();
        let written = db.write(async |tx| {
            let mut written: HashSet<_> = keys::record_uses(tx, &uses).await?.into_iter().collect();
            written.extend(platform_tokens::record_uses(tx, &uses).await?);
            // An overlap that was to begin with the first use of a new secret has begun.
            changes::write_down(tx).await?;
            Ok::<_, Error>(written)
        });
        // A key that somebody is changing is left for the next time: this never waits for a row, so
        // nobody ends up waiting for it in a circle.
        let written = written.await;
        let now = db.clock().now();
        for (tag, uses) in &batch {
            let key = uses.first().map(|used| used.key);
            let is_written = |key| written.as_ref().is_ok_and(|done| done.value.contains(&key));
            if key.is_some_and(is_written) {
                keyring.usage().put_off(tag, now.after(EVERY));
            } else {
                keyring.usage().give_back(tag, uses, now);
            }
        }
        if written?.topics.contains(changes::TOPIC) {
            keyring.catch_up(db).await?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    fn used<'a>(ip: &str, agent: &'a str, at: i64) -> Use<'a> {
        let ip = ip.parse().unwrap();
        Use {
            at: Timestamp::from_micros(at),
            instant: Instant::now(),
            ip,
            agent,
            deployment: "",
            is_again: false,
        }
    }

    fn take(usage: &Usage, mark: &Mark) -> Vec<String> {
        let id = Id::from_uuid(uuid::Uuid::nil());
        let uses = usage.take(&TAG, mark, |uses| uses.of(id, OrgNumber::from_i64(1), 1, false));
        let told = |used: &Used| {
            let (first, last) = (used.first.as_micros(), used.last.as_micros());
            format!("{} {} {first} to {last}: {}", used.ip, used.agent, used.count)
        };
        uses.iter().map(told).collect()
    }

    const TAG: Tag = [7; 16];

    fn mark(usage: &Usage, mark: &Mark, used: &Use<'_>) {
        let caller = caller(used);
        if !mark.add(used, caller) {
            usage.note(TAG, used, caller, mark);
        }
    }

    #[test]
    fn callers_are_told_apart_and_counted() {
        let (usage, marked) = (Usage::default(), Mark::default());
        for at in 1..=3 {
            mark(&usage, &marked, &used("203.0.113.9", "curl", at));
        }
        mark(&usage, &marked, &used("203.0.113.9", "python", 4));
        mark(&usage, &marked, &used("2001:db8::9", "python", 5));
        mark(&usage, &marked, &used("203.0.113.9", "curl", 6));
        assert_eq!(
            take(&usage, &marked),
            [
                "203.0.113.9 curl 1 to 6: 4",
                "203.0.113.9 python 4 to 4: 1",
                "2001:db8::9 python 5 to 5: 1"
            ]
        );
        mark(&usage, &marked, &used("203.0.113.9", "curl", 7));
        assert_eq!(take(&usage, &marked), ["203.0.113.9 curl 7 to 7: 1"], "what was taken is gone");
        assert!(take(&usage, &marked).is_empty());
        mark(&usage, &marked, &used("203.0.113.9", "curl", 8));
        assert_eq!(
            take(&usage, &marked),
            ["203.0.113.9 curl 8 to 8: 1"],
            "after a pause it is news"
        );
    }

    #[test]
    fn a_new_caller_is_due_at_once_and_a_known_one_is_not() {
        let (usage, marked) = (Usage::default(), Mark::default());
        let at = Timestamp::from_micros;
        mark(&usage, &marked, &used("203.0.113.9", "curl", 10));
        assert_eq!(usage.due(at(10)), [TAG]);
        take(&usage, &marked);
        usage.put_off(&TAG, at(1_000));
        mark(&usage, &marked, &used("203.0.113.9", "curl", 20));
        assert!(usage.due(at(30)).is_empty());
        mark(&usage, &marked, &used("203.0.113.10", "curl", 40));
        assert_eq!(usage.due(at(40)), [TAG]);
    }

    #[test]
    fn more_callers_than_can_be_told_apart_are_counted_together() {
        let (usage, marked) = (Usage::default(), Mark::default());
        for n in 0..200 {
            mark(&usage, &marked, &used("203.0.113.9", &format!("agent {n}"), n));
        }
        let taken = take(&usage, &marked);
        assert_eq!(taken.len(), MAX_CALLERS);
        assert!(taken[MAX_CALLERS - 1].ends_with(": 137"), "{taken:?}");
    }
}
