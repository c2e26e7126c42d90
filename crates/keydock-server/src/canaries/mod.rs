//! Canaries: keys that open nothing. Nobody has a reason to use one, so whoever does found it where it
//! should not have been read.
//!
//! A canary is made as any other key is, and looks like one. Whoever presents it is answered as for a key
//! that does not exist. It is noted in memory, so that refusing it takes no longer, and written down
//! within a second: an event, of which webhooks hear. However often a canary is presented, it raises one
//! alarm a minute, which says how often.

mod store;

use std::{
    collections::{HashMap, hash_map::Entry},
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use keydock_core::{
    id::{self, Id, OrgNumber},
    time::Timestamp,
};
use keydock_storage::db::Tx;
use serde_json::{Map, Value, json};

use crate::{
    App, Result,
    access::{Actor, Caller, Genuine},
    audit_log::KeyVerb,
    keys, organizations,
};

/// How long one alarm speaks for all that follow.
pub const QUIET: Duration = Duration::from_mins(1);

/// Addresses that an alarm names, at most.
const MAX_ADDRESSES: usize = 20;

/// A canary that was presented.
#[derive(Clone, Debug)]
pub struct Sighting {
    /// The request.
    pub request_id: String,
    /// Where it came from.
    pub ip: Option<IpAddr>,
    /// What the program calls itself.
    pub agent: String,
    /// What it asked for.
    pub path: String,
}

impl Sighting {
    /// Texts of a client, bounded and without what does not belong on a line.
    pub(crate) fn new(request_id: &str, ip: Option<IpAddr>, agent: &str, path: &str) -> Self {
        let plain = |text: &str| text.chars().filter(|c| !c.is_control()).take(200).collect();
        let path = path.split('?').next().unwrap_or_default();
        Self { request_id: request_id.to_owned(), ip, agent: plain(agent), path: plain(path) }
    }
}

/// Canaries that were presented and have not raised an alarm for it yet.
#[derive(Debug, Default)]
pub struct Sightings(Mutex<HashMap<Id<id::AnyKey>, Alarm>>);

/// An alarm that is to be raised.
#[derive(Clone, Debug)]
struct Alarm {
    org: OrgNumber,
    /// Not before this instant.
    due: Timestamp,
    /// The first sighting that it is about.
    first: Sighting,
    first_at: Timestamp,
    last_at: Timestamp,
    count: u32,
    addresses: Vec<IpAddr>,
}

impl Alarm {
    fn add(&mut self, at: Timestamp, ip: Option<IpAddr>) {
        self.count = self.count.saturating_add(1);
        self.last_at = self.last_at.max(at);
        if let Some(ip) = ip {
            self.add_address(ip);
        }
    }

    /// This alarm and a later one as one.
    fn and(mut self, later: &Self) -> Self {
        self.count = self.count.saturating_add(later.count);
        self.last_at = self.last_at.max(later.last_at);
        for ip in &later.addresses {
            self.add_address(*ip);
        }
        self
    }

    fn add_address(&mut self, ip: IpAddr) {
        if self.addresses.len() < MAX_ADDRESSES && !self.addresses.contains(&ip) {
            self.addresses.push(ip);
        }
    }

    fn detail(&self) -> Map<String, Value> {
        Map::from_iter([
            ("count".to_owned(), self.count.into()),
            ("agent".to_owned(), self.first.agent.as_str().into()),
            ("path".to_owned(), self.first.path.as_str().into()),
            ("addresses".to_owned(), json!(self.addresses)),
            ("first_at".to_owned(), json!(self.first_at)),
            ("last_at".to_owned(), json!(self.last_at)),
        ])
    }
}

impl Sightings {
    /// Notes that a canary was presented; `describe` says how, where that is asked.
    pub(crate) fn note(
        &self,
        canary: &Genuine,
        at: Timestamp,
        ip: Option<IpAddr>,
        describe: impl FnOnce() -> Sighting,
    ) {
        let mut alarms = self.lock();
        let alarm = alarms.entry(canary.key).or_insert_with(|| Alarm {
            org: canary.org,
            due: at,
            first: describe(),
            first_at: at,
            last_at: at,
            count: 0,
            addresses: Vec::new(),
        });
        alarm.add(at, ip);
    }

    fn take(&self, now: Timestamp) -> Vec<(Id<id::AnyKey>, Alarm)> {
        self.lock().extract_if(|_, alarm| alarm.due <= now).collect()
    }

    fn give_back(&self, key: Id<id::AnyKey>, alarm: Alarm) {
        match self.lock().entry(key) {
            Entry::Vacant(place) => {
                place.insert(alarm);
            }
            Entry::Occupied(mut place) => {
                let both = alarm.and(place.get());
                place.insert(both);
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Id<id::AnyKey>, Alarm>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Raises the alarms that are due. What cannot be written down is tried again.
pub async fn raise(app: &App) -> Result<()> {
    let now = app.db().clock().now();
    raise_some(app, app.canaries().take(now), QUIET).await
}

/// Raises all of them, before the server ends.
pub async fn raise_all(app: &App) -> Result<()> {
    let all = app.canaries().take(Timestamp::from_micros(i64::MAX));
    raise_some(app, all, Duration::ZERO).await
}

async fn raise_some(
    app: &App,
    alarms: Vec<(Id<id::AnyKey>, Alarm)>,
    quiet: Duration,
) -> Result<()> {
    let mut outcome = Ok(());
    for (key, mut alarm) in alarms {
        match app.write(async |tx| raise_one(tx, key, &alarm, quiet).await).await {
            Ok(None) => {}
            Ok(Some(later)) => {
                alarm.due = later;
                app.canaries().give_back(key, alarm);
            }
            Err(error) => {
                app.canaries().give_back(key, alarm);
                outcome = Err(error);
            }
        }
    }
    outcome
}

/// Raises one alarm, or tells when it may be, if another one was raised lately, here or on another node.
async fn raise_one(
    tx: &mut Tx,
    key: Id<id::AnyKey>,
    alarm: &Alarm,
    quiet: Duration,
) -> Result<Option<Timestamp>> {
    let Some(canary) = store::find(tx, alarm.org, key).await? else { return Ok(None) };
    if !canary.is_active {
        return Ok(None);
    }
    let now = tx.now();
    let free = canary.alarmed_at.map_or(now, |at| at.after(quiet));
    if free > now {
        return Ok(Some(free));
    }
    if !store::raise(tx, key, alarm, now.before(quiet)).await? {
        return Ok(Some(now.after(quiet)));
    }
    let caller = Caller {
        org: Arc::new(organizations::facts(tx, alarm.org).await?),
        actor: Actor::Anonymous,
        request_id: alarm.first.request_id.clone(),
        ip: alarm.first.ip,
    };
    let (verb, detail) = (KeyVerb::CanaryUsed, alarm.detail());
    keys::record_of_any(tx, &caller, verb, &canary.key, detail).await?;
    Ok(None)
}
