//! The peppers that this node has: one that digests are made with, and others that digests were made
//! with, or will be.
//!
//! Which one is current says the database, so that all nodes change it in the same moment; the peppers
//! themselves lie in a file outside it. A secret is looked up under the current pepper. Only if nothing
//! is found there, and digests of another pepper are stored at all, it is looked up under the others,
//! and what is found is made anew with the current one (see [`moves`](super::moves)).

use std::sync::{
    OnceLock, PoisonError, RwLock,
    atomic::{AtomicU32, AtomicUsize, Ordering},
};

use keydock_core::{
    secret::{KeyDigest, Pepper, PepperId, SecretKey},
    time::Timestamp,
};
use keydock_storage::db::Db;

use super::{journal, moves::Moves, pepper_store};
use crate::{Error, Result};

/// How many peppers a process can meet in its life.
const MOST: usize = 15;

/// For how long after a change of the pepper another node may not have noticed it.
const SETTLING: std::time::Duration = std::time::Duration::from_mins(1);

/// The peppers of this node.
#[derive(Debug)]
pub struct Peppers {
    /// Filled one after the other, never emptied: whoever has a reference may keep it.
    slots: [OnceLock<Pepper>; MOST],
    /// Which of them is current.
    current: AtomicUsize,
    /// Which of them are not retired, a bit each.
    live: AtomicU32,
    /// Where a secret is to be looked for that the current pepper does not find: two bits for each slot,
    /// for digests of secrets and for digests of their SHA-256.
    elsewhere: AtomicU32,
    /// What the journal of revocations is known by.
    identity: RwLock<String>,
    moves: Moves,
}

/// A digest by which a secret may be stored.
#[derive(Clone, Copy, Debug)]
enum Form {
    /// Of the secret.
    Direct,
    /// Of its SHA-256.
    OfSha256,
}

impl Form {
    const ALL: [Self; 2] = [Self::Direct, Self::OfSha256];

    const fn bit(self, slot: usize) -> u32 {
        1 << (2 * slot + self as usize)
    }
}

impl Peppers {
    /// These, of which the first is current. None are no peppers.
    pub fn new(peppers: Vec<Pepper>) -> Option<Self> {
        let identity = journal::identity(peppers.first()?);
        let all = Self {
            slots: [const { OnceLock::new() }; MOST],
            current: AtomicUsize::new(0),
            live: AtomicU32::new(u32::MAX),
            elsewhere: AtomicU32::new(0),
            identity: RwLock::new(identity),
            moves: Moves::default(),
        };
        for pepper in peppers {
            all.add(pepper);
        }
        Some(all)
    }

    /// One alone.
    pub fn only(pepper: Pepper) -> Self {
        Self::new(vec![pepper]).expect("it is one")
    }

    /// Adds a pepper, unless it is there already. `false` if there is no room for another one: then
    /// only a restart helps.
    pub(crate) fn add(&self, pepper: Pepper) -> bool {
        let id = pepper.id();
        let mut pepper = Some(pepper);
        for slot in &self.slots {
            let held = slot.get_or_init(|| pepper.take().expect("slots are filled in order"));
            if held.id() == id {
                return true;
            }
            if pepper.is_none() {
                return true;
            }
        }
        false
    }

    /// The one that digests are made with.
    pub fn current(&self) -> &Pepper {
        self.slots[self.current.load(Ordering::Acquire)].get().expect("a slot is filled for good")
    }

    fn all(&self) -> impl Iterator<Item = (usize, &Pepper)> {
        self.slots.iter().map_while(OnceLock::get).enumerate()
    }

    /// The ids of all.
    pub(crate) fn ids(&self) -> Vec<PepperId> {
        self.all().map(|(_, pepper)| pepper.id()).collect()
    }

    /// The one that is called this.
    pub fn find(&self, id: &str) -> Option<&Pepper> {
        // What was written before there were ids was made with the first pepper.
        if id.is_empty() {
            return Some(self.current());
        }
        let id: PepperId = id.parse().ok()?;
        self.all().map(|(_, pepper)| pepper).find(|pepper| pepper.id() == id)
    }

    /// The current one, and then those that are not retired.
    pub fn live(&self) -> impl Iterator<Item = &Pepper> {
        let (current, live) = (self.current().id(), self.live.load(Ordering::Relaxed));
        let others = self.all().filter(move |(slot, _)| live & (1 << slot) != 0);
        let others = others.map(|(_, pepper)| pepper).filter(move |pepper| pepper.id() != current);
        std::iter::once(self.current()).chain(others)
    }

    /// What the journal of revocations is known by.
    pub(crate) fn identity(&self) -> String {
        self.identity.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Secrets that wait to be made anew.
    pub(crate) fn moves(&self) -> &Moves {
        &self.moves
    }

    /// Whether secrets may be stored by another digest than that of the current pepper.
    pub(super) fn has_elsewhere(&self) -> bool {
        self.elsewhere.load(Ordering::Relaxed) != 0
    }

    /// By what else a secret may be stored.
    pub(super) fn elsewhere(&self, secret: &SecretKey) -> Vec<KeyDigest> {
        let wanted = self.elsewhere.load(Ordering::Relaxed);
        let mut digests = Vec::new();
        for (slot, pepper) in self.all() {
            if wanted & Form::Direct.bit(slot) != 0 {
                digests.push(pepper.digest(secret));
            }
            if wanted & Form::OfSha256.bit(slot) != 0 {
                digests.extend(secret.sha256().map(|hash| pepper.digest_of_sha256(&hash)));
            }
        }
        digests
    }

    /// By what a secret may be stored, the most likely first.
    pub(crate) fn digests(&self, secret: &SecretKey) -> Vec<KeyDigest> {
        let current = self.current().digest(secret);
        let others = self.elsewhere(secret).into_iter().filter(|digest| *digest != current);
        std::iter::once(current).chain(others).collect()
    }

    /// Does as the database says: which pepper is current, which are retired, and which digests there
    /// are. An error if the current one is not here: then nothing can be verified.
    pub async fn refresh(&self, db: &Db) -> Result<()> {
        let ids = self.ids();
        let state = db.read(async |tx| pepper_store::state(tx, &ids).await).await?;
        let Some(known) = state.current else { return Ok(()) };
        let current = ids.iter().position(|id| known.starts_with(&id.to_string()));
        let current = current.ok_or_else(|| {
            Error::internal(format!("this node does not have the current pepper {}", &known[..12]))
        })?;
        if let Some(identity) = state.journal {
            *self.identity.write().unwrap_or_else(PoisonError::into_inner) = identity;
        }
        let settling =
            state.since.is_some_and(|since: Timestamp| since.after(SETTLING) > state.now);
        let (mut live, mut elsewhere) = (0, 0);
        for (slot, id) in ids.iter().enumerate() {
            let is_retired = state.retired.contains(&id.to_string());
            if is_retired && slot != current {
                continue;
            }
            live |= 1 << slot;
            for form in Form::ALL {
                let stored = state.stored.contains(&made_with(*id, matches!(form, Form::OfSha256)));
                let is_other = slot != current || matches!(form, Form::OfSha256);
                let may_come = settling && matches!(form, Form::Direct);
                if is_other && (stored || may_come) {
                    elsewhere |= form.bit(slot);
                }
            }
        }
        self.live.store(live, Ordering::Relaxed);
        self.elsewhere.store(elsewhere, Ordering::Relaxed);
        self.current.store(current, Ordering::Release);
        Ok(())
    }
}

/// What stands beside a digest: the id of its pepper, and whether it is of a secret's SHA-256.
pub(crate) fn made_with(pepper: PepperId, of_sha256: bool) -> String {
    if of_sha256 { format!("{pepper}/sha256") } else { pepper.to_string() }
}

#[cfg(test)]
mod tests {
    use zeroize::Zeroizing;

    use super::*;

    fn pepper(byte: u8) -> Pepper {
        Pepper::new(&Zeroizing::new([byte; Pepper::LEN]))
    }

    #[test]
    fn peppers_are_added_once_and_up_to_a_limit() {
        let peppers = Peppers::only(pepper(1));
        assert!(peppers.add(pepper(1)) && peppers.add(pepper(2)) && peppers.add(pepper(2)));
        assert_eq!(peppers.ids(), [pepper(1).id(), pepper(2).id()]);
        assert_eq!(peppers.current().id(), pepper(1).id());
        for byte in 3..=15 {
            assert!(peppers.add(pepper(byte)));
        }
        assert!(!peppers.add(pepper(16)), "there is no more room");
        assert!(peppers.add(pepper(15)), "one that is known needs none");
        assert!(Peppers::new(Vec::new()).is_none());
    }

    #[test]
    fn nothing_is_looked_for_elsewhere_unless_it_may_be_there() {
        let peppers = Peppers::only(pepper(1));
        peppers.add(pepper(2));
        let secret = SecretKey::parse("0198c3f2-a7c8-4b0e-8f1d-2c3b4a596877").unwrap();
        assert!(!peppers.has_elsewhere());
        assert_eq!(peppers.digests(&secret), [pepper(1).digest(&secret)]);
        peppers.elsewhere.store(Form::Direct.bit(1) | Form::OfSha256.bit(0), Ordering::Relaxed);
        let found = peppers.digests(&secret);
        assert_eq!(found.len(), 4, "two forms of a UUID were hashed by others");
        assert!(found.contains(&pepper(2).digest(&secret)));
    }
}
