//! When, how often and from where keys were used: marked at the key itself, and written down at most
//! once a minute for each.

use std::{
    collections::{HashMap, HashSet},
    net::{IpAddr, Ipv6Addr},
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicI64, AtomicU32, AtomicU64, Ordering},
    },
    time::Duration,
};

use keydock_core::{
    id::{self, Id},
    time::Timestamp,
};
use keydock_storage::db::Db;
use serde_json::{Value, json};

use super::keyring::{Keyring, Tag, Use};
use crate::{Result, keys};

/// How often the uses of one key are written down (AUD-05).
const EVERY: Duration = Duration::from_mins(1);

/// The secrets whose uses are to be written down, and when.
#[derive(Debug, Default)]
pub struct Usage(Mutex<HashMap<Tag, Timestamp>>);

/// What is added to the record of a key.
#[derive(Clone, Copy, Debug)]
pub struct Used {
    /// The key.
    pub key: Id<id::AnyKey>,
    /// Its latest use.
    pub at: Timestamp,
    /// Where that came from.
    pub ip: IpAddr,
    /// How many uses there were.
    pub count: u32,
}

/// The uses of one secret that are not written down yet.
#[derive(Debug, Default)]
pub(super) struct Mark {
    count: AtomicU32,
    /// Whether [`Usage`] knows of this secret.
    is_due: AtomicBool,
    at: AtomicI64,
    ip_high: AtomicU64,
    ip_low: AtomicU64,
}

impl Mark {
    /// Adds a use. Tells whether [`Usage`] has to be told of it.
    pub(super) fn add(&self, used: &Use) -> bool {
        self.count.fetch_add(1, Ordering::Relaxed);
        self.at.store(used.at.as_micros(), Ordering::Relaxed);
        let (high, low) = halves(used.ip);
        // Two addresses that alternate may be mixed up in the instant of writing: a record of
        // convenience does not deserve a lock.
        self.ip_high.store(high, Ordering::Relaxed);
        self.ip_low.store(low, Ordering::Relaxed);
        !self.is_due.load(Ordering::Relaxed) && !self.is_due.swap(true, Ordering::AcqRel)
    }

    /// The marks of a secret that is held anew.
    pub(super) fn moved(&self) -> Self {
        let load = |number: &AtomicU64| AtomicU64::new(number.load(Ordering::Relaxed));
        Self {
            count: AtomicU32::new(self.count.swap(0, Ordering::Relaxed)),
            is_due: AtomicBool::new(self.is_due.load(Ordering::Acquire)),
            at: AtomicI64::new(self.at.load(Ordering::Relaxed)),
            ip_high: load(&self.ip_high),
            ip_low: load(&self.ip_low),
        }
    }

    /// The uses that are not written down: when the latest was, where from, and how many there were.
    /// None if there were none; then the next one tells [`Usage`] again.
    fn take(&self) -> Option<(Timestamp, IpAddr, u32)> {
        let mut count = self.count.swap(0, Ordering::Relaxed);
        if count == 0 {
            self.is_due.store(false, Ordering::Release);
            // One may have come between these two lines and found itself known.
            count = self.count.swap(0, Ordering::Relaxed);
            if count == 0 || self.is_due.swap(true, Ordering::AcqRel) {
                self.count.fetch_add(count, Ordering::Relaxed);
                return None;
            }
        }
        let at = Timestamp::from_micros(self.at.load(Ordering::Relaxed));
        let high = u128::from(self.ip_high.load(Ordering::Relaxed));
        let low = u128::from(self.ip_low.load(Ordering::Relaxed));
        let ip = IpAddr::from(Ipv6Addr::from_bits(high << 64 | low)).to_canonical();
        Some((at, ip, count))
    }

    fn give_back(&self, count: u32) {
        self.count.fetch_add(count, Ordering::Relaxed);
    }
}

fn halves(ip: IpAddr) -> (u64, u64) {
    let ip = match ip {
        IpAddr::V4(ip) => ip.to_ipv6_mapped(),
        IpAddr::V6(ip) => ip,
    };
    let bytes = ip.octets();
    let half = |from: usize| {
        bytes[from..from + 8].iter().fold(0, |number, byte| number << 8 | u64::from(*byte))
    };
    (half(0), half(8))
}

impl Usage {
    /// Notes that the uses of a secret are to be written down.
    pub(super) fn note(&self, tag: Tag, at: Timestamp) {
        self.lock().insert(tag, at);
    }

    fn due(&self, now: Timestamp) -> Vec<Tag> {
        self.lock().iter().filter(|(_, at)| **at <= now).map(|(tag, _)| *tag).collect()
    }

    fn forget(&self, tag: &Tag) {
        self.lock().remove(tag);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Tag, Timestamp>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Writes down the uses that are due: the first of a key soon, then those of a minute at a time. What
/// cannot be written waits for the next time; no verification waits for it.
pub async fn flush(keyring: &Keyring, db: &Db) -> Result<()> {
    let now = db.clock().now();
    write_down(keyring, db, keyring.usage().due(now)).await
}

/// Writes down all uses, before the server ends.
pub async fn flush_all(keyring: &Keyring, db: &Db) -> Result<()> {
    write_down(keyring, db, keyring.usage().due(Timestamp::from_micros(i64::MAX))).await
}

async fn write_down(keyring: &Keyring, db: &Db, due: Vec<Tag>) -> Result<()> {
    for tags in due.chunks(500) {
        let mut batch = Vec::new();
        for tag in tags {
            // Before it is asked for uses, so that a use from here on is noted anew.
            keyring.usage().forget(tag);
            batch.extend(keyring.marked(tag, Mark::take).map(|used| (*tag, used)));
        }
        if batch.is_empty() {
            continue;
        }
        let written = db.write(async |tx| {
            let uses = as_json(batch.iter().map(|(_, used)| used));
            let written = keys::record_uses(tx, &uses).await?;
            Ok::<_, crate::Error>(written.into_iter().collect::<HashSet<_>>())
        });
        // A key that somebody is changing is left for the next time: this never waits for a row, so
        // nobody ends up waiting for it in a circle.
        let written = written.await.map(|written| written.value);
        let now = db.clock().now();
        for (tag, used) in batch {
            if written.as_ref().is_ok_and(|written| written.contains(&used.key)) {
                keyring.usage().note(tag, now.after(EVERY));
            } else {
                keyring.give_back(&tag, |mark| mark.give_back(used.count));
                keyring.usage().note(tag, now);
            }
        }
        written?;
    }
    Ok(())
}

/// Uses, as statements take them: `[{"id": …, "at": …, "ip": …, "uses": …}]`, each key once. During an
/// overlap two secrets are of one key.
pub fn as_json<'a>(uses: impl Iterator<Item = &'a Used>) -> String {
    let mut keys: HashMap<Id<id::AnyKey>, Used> = HashMap::new();
    for used in uses {
        keys.entry(used.key)
            .and_modify(|known| {
                let count = known.count.saturating_add(used.count);
                *known = Used { count, ..if used.at > known.at { *used } else { *known } };
            })
            .or_insert(*used);
    }
    let row = |used: &Used| {
        json!({"id": used.key.to_string(), "at": used.at.as_micros(), "ip": used.ip.to_string(),
               "uses": used.count})
    };
    keys.values().map(row).collect::<Value>().to_string()
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    fn used(ip: &str, at: i64) -> Use {
        Use { at: Timestamp::from_micros(at), instant: Instant::now(), ip: ip.parse().unwrap() }
    }

    #[test]
    fn a_mark_is_told_of_once_and_taken_whole() {
        let mark = Mark::default();
        assert!(mark.add(&used("203.0.113.9", 1)), "the first use is news");
        assert!(!mark.add(&used("2001:db8::9", 2)), "further ones are not");
        let taken = mark.take().unwrap();
        assert_eq!(taken, (Timestamp::from_micros(2), "2001:db8::9".parse().unwrap(), 2));
        assert!(!mark.add(&used("203.0.113.9", 3)), "somebody will ask again");
        assert_eq!(mark.take().unwrap().1.to_string(), "203.0.113.9");
        assert_eq!(mark.take(), None);
        assert!(mark.add(&used("203.0.113.9", 4)), "after a pause it is news again");
    }
}
