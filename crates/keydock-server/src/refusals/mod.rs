//! Refused requests, kept for a week, so that an admin can look up why one was refused.
//!
//! Who was refused is told little unless they proved to hold a genuine key; the admins of the
//! organization may know all of it. Refusals are gathered in memory and written down every second:
//! refusing must not cost more than answering, and nobody may fill a disk by being refused.

pub mod api;
mod store;

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use keydock_core::{
    id::{self, Id, OrgNumber},
    secret::KeyKind,
    time::Timestamp,
};
use keydock_storage::db::Tx;

use crate::{
    App, Error, Result,
    access::{Admin, Genuine},
};

/// How long refusals are kept.
pub const KEPT: Duration = Duration::from_hours(7 * 24);

/// Refusals that wait to be written down, at most.
const MAX_WAITING: usize = 10_000;

/// Refusals of one organization and of one address that are kept a minute, at most.
const OF_ORG: u32 = 600;
const OF_ADDRESS: u32 = 60;

/// A request that was refused.
#[derive(Clone, Debug)]
pub struct Refused {
    /// The organization that it is about.
    pub org: Whose,
    /// Its name.
    pub request_id: String,
    /// When it came.
    pub at: Timestamp,
    /// The status of the answer.
    pub status: u16,
    /// The stable code.
    pub code: String,
    /// Why, and what to do.
    pub reason: String,
    /// Its method.
    pub method: String,
    /// Its path, without keys.
    pub path: String,
    /// The key, if it was genuine.
    pub key: Option<Genuine>,
    /// Where it came from.
    pub ip: IpAddr,
    /// What sent it.
    pub agent: String,
}

/// Which organization a refusal is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Whose {
    /// That of a genuine key.
    Number(OrgNumber),
    /// The one that the address names, if there is one of that name.
    Named(String),
}

/// A refusal as it is read.
#[derive(Debug)]
#[expect(missing_docs, reason = "the columns of the table")]
pub struct Kept {
    pub request_id: String,
    pub at: Timestamp,
    pub status: i64,
    pub code: String,
    pub reason: String,
    pub method: String,
    pub path: String,
    pub key: Option<(Id<id::AnyKey>, KeyKind, String)>,
    pub ip: String,
    pub agent: String,
}

/// Refusals that are not written down yet.
#[derive(Debug, Default)]
pub struct Waiting(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    refused: Vec<Refused>,
    /// What was gathered in this minute, by organization and by address.
    minute: i64,
    of_org: HashMap<String, u32>,
    of_address: HashMap<IpAddr, u32>,
}

impl Waiting {
    /// Gathers a refusal, unless there are too many of its like.
    pub fn add(&self, refused: Refused) {
        let mut state = self.lock();
        let minute = refused.at.as_seconds().div_euclid(60);
        if state.minute != minute {
            *state = State { refused: std::mem::take(&mut state.refused), ..State::default() };
            state.minute = minute;
        }
        let org = match &refused.org {
            Whose::Number(number) => number.to_string(),
            Whose::Named(name) => format!("/{name}"),
        };
        let of_address = state.of_address.entry(refused.ip).or_default();
        *of_address += 1;
        if *of_address > OF_ADDRESS {
            return;
        }
        let of_org = state.of_org.entry(org).or_default();
        *of_org += 1;
        if *of_org <= OF_ORG && state.refused.len() < MAX_WAITING {
            state.refused.push(refused);
        }
    }

    fn take(&self) -> Vec<Refused> {
        std::mem::take(&mut self.lock().refused)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Writes down what was gathered. What cannot be written is lost: it is there to help, not to prove.
pub async fn write_down(app: &App) -> Result<()> {
    let refused = app.refusals().take();
    for some in refused.chunks(500) {
        app.write(async |tx| store::insert(tx, some).await).await?;
    }
    Ok(())
}

/// Why a request was refused.
pub async fn explain(tx: &mut Tx, admin: &Admin, request_id: &str) -> Result<Kept> {
    let found = store::find(tx, admin.org(), request_id).await?;
    found.ok_or(Error::NotFound { what: "A refused request with this id in the last 7 days was" })
}

/// Forgets what is older than a week.
pub async fn forget_old(tx: &mut Tx) -> Result<()> {
    let before = tx.now().before(KEPT);
    store::forget(tx, before).await
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(org: &str, ip: u8, at: i64) -> Refused {
        Refused {
            org: Whose::Named(org.to_owned()),
            request_id: "r".to_owned(),
            at: Timestamp::from_micros(at * 1_000_000),
            status: 401,
            code: "key_unknown".to_owned(),
            reason: String::new(),
            method: "GET".to_owned(),
            path: "/".to_owned(),
            key: None,
            ip: [203, 0, 113, ip].into(),
            agent: String::new(),
        }
    }

    #[test]
    fn nobody_fills_the_log() {
        let waiting = Waiting::default();
        for _ in 0..1_000 {
            waiting.add(refused("a", 1, 0));
        }
        assert_eq!(waiting.take().len(), 60, "of one address");
        for ip in 0..200 {
            for _ in 0..10 {
                waiting.add(refused("a", ip, 60));
            }
        }
        assert_eq!(waiting.take().len(), 600, "of one organization");
        waiting.add(refused("b", 1, 61));
        assert_eq!(waiting.take().len(), 1, "others are not affected");
    }
}
