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

use keydock_core::secret::KeyDigest;

use super::{changes, keyring::tag, pepper_store, usage};
use crate::{App, Result};

/// How many wait at most. Whoever finds no place is noted when the secret is presented again.
const MOST: usize = 100_000;

/// How many are written down in one transaction.
const BATCH: usize = 200;

/// Secrets that wait to be made anew.
#[derive(Debug, Default)]
pub struct Moves(Mutex<HashMap<[u8; 32], KeyDigest>>);

/// A digest and the one that is to be in its place.
#[derive(Debug)]
pub(crate) struct Move {
    pub(crate) from: KeyDigest,
    pub(crate) to: KeyDigest,
}

impl Moves {
    /// Notes a secret.
    pub(super) fn note(&self, from: &KeyDigest, to: &KeyDigest) {
        let mut waiting = self.lock();
        if waiting.len() < MOST {
            waiting.insert(*from.as_bytes(), *to);
        }
    }

    fn take(&self) -> Vec<Move> {
        let taken = std::mem::take(&mut *self.lock());
        let of = |(from, to)| Move { from: KeyDigest::from_bytes(from), to };
        taken.into_iter().map(of).collect()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<[u8; 32], KeyDigest>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Writes down what waits. What cannot be written is noted anew when the secret is presented again.
pub async fn write_down(app: &App) -> Result<()> {
    for batch in app.peppers().moves().take().chunks(BATCH) {
        let from: Vec<KeyDigest> = batch.iter().map(|one| one.from).collect();
        // What is known of their uses is known by the old digests.
        usage::flush_of(app.keyring(), app.db(), &from).await?;
        let moved = app.write(async |tx| {
            let current = pepper_store::setting(tx, "pepper_check").await?;
            let pepper = app.peppers().current();
            if current.as_deref() != Some(pepper.check().as_str()) {
                // Another pepper is current by now: the secrets are to be made anew with that one.
                return Ok(Vec::new());
            }
            let all: Vec<&Move> = batch.iter().collect();
            let form = pepper.id().to_string();
            let moved = pepper_store::move_secrets(tx, &all, &form).await?;
            for one in batch.iter().filter(|one| moved.contains(&one.to.to_hex())) {
                changes::record_move(tx, &one.from, &one.to);
            }
            Ok(moved)
        });
        let moved = moved.await?;
        for one in batch.iter().filter(|one| moved.contains(&one.to.to_hex())) {
            app.keyring().usage().rename(&tag(&one.from), tag(&one.to));
        }
    }
    Ok(())
}
