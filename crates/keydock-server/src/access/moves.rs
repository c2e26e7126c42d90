//! Secrets that were found under another digest than that of the current pepper, and are made anew
//! with it: a digest can only be made of a secret that is presented.
//!
//! Whoever presented the secret was answered already. What is noted here is written down in the
//! background, some secrets at a time, and goes through the log of changes as every change does. It is
//! no event of the audit log: the key and what it opens stay what they are.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use keydock_core::secret::{KeyDigest, PepperId};

use super::{changes, keyring::tag, pepper_store, usage};
use crate::{App, Result};

/// How many wait at most. Whoever finds no place is noted when the secret is presented again.
const MOST: usize = 100_000;

/// How many are written down in one transaction.
const BATCH: usize = 200;

/// How often it is tried: the row of a key may be locked, or another node may have been faster.
const TRIES: u8 = 10;

/// Secrets that wait to be made anew.
#[derive(Debug, Default)]
pub struct Moves(Mutex<HashMap<[u8; 32], (KeyDigest, PepperId, u8)>>);

/// A digest and the one that is to be in its place.
#[derive(Debug)]
pub(crate) struct Move {
    pub(crate) from: KeyDigest,
    pub(crate) to: KeyDigest,
    /// The pepper of that.
    pepper: PepperId,
    tries: u8,
}

impl Moves {
    /// Notes a secret.
    pub(super) fn note(&self, from: &KeyDigest, to: &KeyDigest, pepper: PepperId) {
        self.put(from, to, pepper, 0);
    }

    fn put(&self, from: &KeyDigest, to: &KeyDigest, pepper: PepperId, tries: u8) {
        let mut waiting = self.lock();
        if waiting.len() < MOST {
            waiting.entry(*from.as_bytes()).or_insert((*to, pepper, tries));
        }
    }

    /// Has those tried again that were not written.
    fn put_back<'a>(&self, left: impl Iterator<Item = &'a Move>) {
        for one in left.filter(|one| one.tries < TRIES) {
            self.put(&one.from, &one.to, one.pepper, one.tries + 1);
        }
    }

    fn take(&self) -> Vec<Move> {
        let taken = std::mem::take(&mut *self.lock());
        let of = |(from, (to, pepper, tries))| Move {
            from: KeyDigest::from_bytes(from),
            to,
            pepper,
            tries,
        };
        taken.into_iter().map(of).collect()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<[u8; 32], (KeyDigest, PepperId, u8)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Writes down what waits. What cannot be written is tried again some times, and then noted anew when
/// the secret is presented again.
pub async fn write_down(app: &App) -> Result<()> {
    let moves = app.peppers().moves();
    let waiting = moves.take();
    let mut batches = waiting.chunks(BATCH);
    while let Some(batch) = batches.next() {
        if let Err(error) = write_some(app, batch).await {
            moves.put_back(batch.iter().chain(batches.flatten()));
            return Err(error);
        }
    }
    Ok(())
}

async fn write_some(app: &App, batch: &[Move]) -> Result<()> {
    let from: Vec<KeyDigest> = batch.iter().map(|one| one.from).collect();
    // What is known of their uses is known by the old digests.
    usage::flush_of(app.keyring(), app.db(), &from).await?;
    let moved = app.write(async |tx| {
        let current = pepper_store::setting(tx, "pepper_check").await?;
        let form = current.as_deref().and_then(|check| check.get(..12)).unwrap_or_default();
        // Those that were made with another pepper than the one that is current by now are to be made
        // anew with this one.
        let all: Vec<&Move> = batch.iter().filter(|one| one.pepper.to_string() == form).collect();
        let moved = pepper_store::move_secrets(tx, &all, form).await?;
        for one in batch.iter().filter(|one| moved.contains(&one.to.to_hex())) {
            changes::record_move(tx, &one.from, &one.to);
        }
        Ok(moved)
    });
    let moved = moved.await?;
    for one in batch.iter().filter(|one| moved.contains(&one.to.to_hex())) {
        app.keyring().usage().rename(&tag(&one.from), tag(&one.to));
    }
    let is_left = |one: &&Move| !moved.contains(&one.to.to_hex());
    app.peppers().moves().put_back(batch.iter().filter(is_left));
    Ok(())
}
