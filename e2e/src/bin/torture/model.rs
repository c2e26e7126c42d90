//! What the only writer of an organization knows about its keys.

use anyhow::{Context as _, Result};
use keydock_e2e::{
    Answer, Client,
    client::{key_path, keys_path},
};
use rand::{RngExt as _, seq::IndexedRandom as _};
use rand_chacha::ChaCha20Rng;
use serde_json::{Value, json};

use crate::findings::Findings;

/// A key, as it must be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Key {
    pub(crate) id: String,
    /// None if the answer that had it was lost.
    pub(crate) secret: Option<String>,
    pub(crate) version: i64,
    pub(crate) active: bool,
    /// The secret before it, while that works as well.
    pub(crate) previous: Option<Previous>,
    /// How many secrets it had so far.
    made: i64,
}

/// The secret that a key had before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Previous {
    secret: Option<String>,
    version: i64,
}

/// A change, by the place of its key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    Generate {
        active: bool,
    },
    /// With an overlap, which outlasts everything here, or without one.
    Refresh {
        place: usize,
        overlap: bool,
    },
    /// Takes the refresh back.
    Undo(usize),
    /// Ends the overlap.
    Finish(usize),
    Activate(usize),
    Deactivate(usize),
    Delete(usize),
}

/// The keys of an organization that one writer has to itself.
#[derive(Clone, Debug, Default)]
pub(crate) struct Model {
    pub(crate) org: String,
    pub(crate) keys: Vec<Key>,
    /// Secrets that must never work again.
    dead: Vec<String>,
    /// How many changes were acknowledged.
    pub(crate) changes: usize,
}

/// How many dead secrets are tried again and again.
const REMEMBERED: usize = 4;

/// How long an overlap lasts, in seconds.
const OVERLAP: i64 = 30 * 86_400;

impl Model {
    /// The organization as it is.
    pub(crate) async fn of(admin: &Client, org: &str, first_secret: &str) -> Result<Self> {
        let mut model = Self { org: org.to_owned(), ..Self::default() };
        model.adopt(&admin.platform_keys(org).await?)?;
        if let Some(key) = model.keys.first_mut() {
            key.secret = Some(first_secret.to_owned());
        }
        Ok(model)
    }

    /// Something that can be done, at random; now and then something that cannot.
    pub(crate) fn choose(&self, random: &mut ChaCha20Rng) -> Change {
        let active = random.random();
        let Some(place) = (0..self.keys.len()).collect::<Vec<_>>().choose(random).copied() else {
            return Change::Generate { active };
        };
        match random.random_range(0..20) {
            0..6 if self.keys.len() < 2 => Change::Generate { active },
            0 => Change::Generate { active },
            1..8 => Change::Refresh { place, overlap: random.random() },
            8..10 => Change::Undo(place),
            10 => Change::Finish(place),
            11..14 => Change::Activate(place),
            14..16 => Change::Deactivate(place),
            _ => Change::Delete(place),
        }
    }

    /// Sends a change. An error means that nobody knows whether it happened.
    pub(crate) async fn send(&self, admin: &Client, change: Change) -> Result<Answer> {
        let keys = keys_path(&self.org);
        let key = |place: usize| key_path(&self.org, &self.keys[place].id);
        match change {
            Change::Generate { active } => admin.post(&keys, json!({"is_active": active})).await,
            Change::Refresh { place, overlap } => {
                let grace = if overlap { OVERLAP } else { 0 };
                let body = json!({"id": self.keys[place].id, "grace_seconds": grace});
                admin.put(&keys, body).await
            }
            Change::Undo(place) => {
                let path = format!("{}rotation/", key(place));
                admin.post(&path, json!({"action": "undo"})).await
            }
            Change::Finish(place) => {
                let path = format!("{}rotation/", key(place));
                admin.post(&path, json!({"action": "finish"})).await
            }
            Change::Activate(place) => admin.put(&key(place), json!({"action": "ACTIVATE"})).await,
            Change::Deactivate(place) => {
                admin.put(&key(place), json!({"action": "DEACTIVATE"})).await
            }
            Change::Delete(place) => admin.delete(&key(place)).await,
        }
    }

    /// Takes over what an answer says, after checking that it could say so.
    pub(crate) fn acknowledge(&mut self, change: Change, answer: &Answer, findings: &Findings) {
        let possible = self.is_possible(change);
        let wanted = match change {
            Change::Generate { .. } if !possible => 403,
            Change::Undo(_) | Change::Finish(_) if possible => 200,
            Change::Undo(_) | Change::Finish(_) => 409,
            Change::Delete(_) => 204,
            _ => 201,
        };
        if answer.status != wanted {
            let Self { org, .. } = self;
            let (status, text) = (answer.status, &answer.text);
            findings.add(format!("{org}: {change:?} was answered with {status} {text}"));
            return;
        }
        if !possible {
            return;
        }
        self.changes += 1;
        self.apply(change, answer.text_at("/id").ok(), answer.text_at("/key").ok());
    }

    /// Whether a change changes anything.
    pub(crate) fn is_possible(&self, change: Change) -> bool {
        match change {
            Change::Generate { .. } => self.keys.len() < 2,
            Change::Undo(place) | Change::Finish(place) => self.keys[place].previous.is_some(),
            _ => true,
        }
    }

    /// What is true after a change. The id and the secret are those of the answer, if it came.
    pub(crate) fn apply(&mut self, change: Change, id: Option<String>, secret: Option<String>) {
        match change {
            Change::Generate { active } => {
                if active {
                    self.keys.iter_mut().for_each(|key| key.active = false);
                }
                let id = id.unwrap_or_default();
                self.keys.push(Key { id, secret, version: 1, active, previous: None, made: 1 });
            }
            Change::Refresh { place, overlap } => {
                let key = &mut self.keys[place];
                let secret = std::mem::replace(&mut key.secret, secret);
                let old = Previous { secret, version: key.version };
                key.made += 1;
                key.version = key.made;
                // Only one secret beside the present one can work.
                let mut dead: Vec<Previous> = key.previous.take().into_iter().collect();
                if overlap {
                    key.previous = Some(old);
                } else {
                    dead.push(old);
                }
                for one in dead {
                    self.bury(one.secret);
                }
            }
            Change::Undo(place) => {
                let key = &mut self.keys[place];
                if let Some(previous) = key.previous.take() {
                    let dead = std::mem::replace(&mut key.secret, previous.secret);
                    key.version = previous.version;
                    self.bury(dead);
                }
            }
            Change::Finish(place) => {
                let previous = self.keys[place].previous.take();
                self.bury(previous.and_then(|previous| previous.secret));
            }
            Change::Activate(place) => {
                for (other, key) in self.keys.iter_mut().enumerate() {
                    key.active = other == place;
                }
            }
            Change::Deactivate(place) => self.keys[place].active = false,
            Change::Delete(place) => {
                let key = self.keys.remove(place);
                self.bury(key.secret);
                self.bury(key.previous.and_then(|previous| previous.secret));
            }
        }
    }

    fn bury(&mut self, secret: Option<String>) {
        self.dead.extend(secret);
        let excess = self.dead.len().saturating_sub(REMEMBERED);
        self.dead.drain(..excess);
    }

    /// Whether a list says what this model says, ids that got lost apart.
    pub(crate) fn is_confirmed_by(&self, listed: &[Value]) -> bool {
        let mut left: Vec<&Key> = self.keys.iter().collect();
        for row in listed {
            let same = |key: &&Key| {
                (key.id.is_empty() || row["id"] == key.id.as_str())
                    && row["is_active"] == key.active
                    && row["version"] == key.version
                    && row["previous_secret_until"].is_null() == key.previous.is_none()
            };
            let Some(place) = left.iter().position(same) else { return false };
            left.remove(place);
        }
        left.is_empty()
    }

    /// Takes over a list, with the secrets of those keys that are the same as before.
    pub(crate) fn adopt(&mut self, listed: &[Value]) -> Result<()> {
        let mut keys = Vec::new();
        let mut secrets = Vec::new();
        for row in listed {
            let id = row["id"].as_str().context("a key without an id")?;
            let version = row["version"].as_i64().context("a key without a version")?;
            let known = self.keys.iter().find(|key| key.id == id);
            let mut had = Vec::new();
            if let Some(key) = known {
                had.push(Previous { secret: key.secret.clone(), version: key.version });
                had.extend(key.previous.clone());
            }
            let place = had.iter().position(|one| one.version == version);
            let current = place.map(|place| had.remove(place));
            let overlaps = !row["previous_secret_until"].is_null();
            // Before a secret that nobody heard of was the one that was there.
            let previous = if overlaps { had.into_iter().next() } else { None };
            let secret = current.and_then(|current| current.secret);
            secrets.extend(secret.clone());
            secrets.extend(previous.as_ref().and_then(|previous| previous.secret.clone()));
            keys.push(Key {
                id: id.to_owned(),
                secret,
                version,
                active: row["is_active"] == true,
                previous,
                made: known.map_or(version, |key| key.made.max(version)),
            });
        }
        let gone = std::mem::replace(&mut self.keys, keys);
        for key in gone {
            let previous = key.previous.and_then(|previous| previous.secret);
            for secret in key.secret.into_iter().chain(previous) {
                if !secrets.contains(&secret) {
                    self.bury(Some(secret));
                }
            }
        }
        Ok(())
    }

    /// Tries every secret. Gives how many were tried.
    pub(crate) async fn verify(&self, client: &Client, findings: &Findings) -> Result<usize> {
        let mut tried = 0;
        let living = self.keys.iter().flat_map(|key| {
            let previous = key.previous.as_ref().and_then(|previous| previous.secret.as_ref());
            key.secret.iter().chain(previous).map(|secret| (secret, key.active))
        });
        let dead = self.dead.iter().map(|secret| (secret, false));
        for (secret, wanted) in living.chain(dead).collect::<Vec<_>>() {
            let works = client.with_key(secret).is_verified().await?;
            tried += 1;
            findings.check(works == wanted, || {
                let word = if works { "works" } else { "does not work" };
                format!("{}: a secret {word} that must not be so: {self:?}", self.org)
            });
        }
        Ok(tried)
    }
}
