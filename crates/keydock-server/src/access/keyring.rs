//! The keys that this node knows, in memory, so that verifying one touches no database.
//!
//! Every change to a key writes its digest to `key_changes` in the same transaction, in the order of
//! the commits. The ring reads that log: at once after a change of this node, before the change is
//! answered, and every half second for the changes of others. A ring that could not read the log for
//! [`TRUST`] is not believed any more.

mod inspect;

use std::{
    collections::HashMap,
    hash::{BuildHasherDefault, Hasher},
    net::IpAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicI64, Ordering},
    },
    time::{Duration, Instant},
};

use keydock_core::{
    id::{self, Id, OrgNumber, UserNumber},
    organizations::OrgName,
    role::Tier,
    secret::{KeyDigest, KeyKind},
    time::Timestamp,
};
use keydock_storage::db::{Db, Tx};
use smol_str::SmolStr;

pub use self::inspect::Inspected;
use super::{
    Genuine, Refusal, changes,
    guard::Guard,
    usage::{self, Mark, Usage, Used},
};
use crate::{
    Error, Result,
    keys::{self, Controls},
    memory, platform_tokens,
};

/// For how long a ring that lost touch with the database is still believed (VER-05).
pub const TRUST: Duration = Duration::from_secs(5);

/// How many keys are read from the database at a time.
const PAGE: usize = 1_000;

/// The organization of a key, shared by all its keys.
#[derive(Debug, PartialEq, Eq)]
pub struct OrgFacts {
    /// Its number.
    pub number: OrgNumber,
    /// Its name in URLs.
    pub name: OrgName,
    /// Its name on pages.
    pub title: SmolStr,
}

/// What a key opens.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Opens {
    /// Its organization.
    Organization {
        /// What people call the key.
        key_name: Arc<str>,
    },
    /// Its organization, as far as its tier goes.
    OrganizationTiered(Arc<ApiKey>),
    /// One deployment.
    Deployment(Id<id::Deployment>),
    /// Deployments of its organization.
    Deployments(Arc<OrgWide>),
}

/// What is known of a platform API key or a platform token.
#[derive(Debug, PartialEq, Eq, Hash)]
pub struct ApiKey {
    /// Which of the two.
    pub kind: KeyKind,
    /// What people call it.
    pub name: Arc<str>,
    /// How much it opens.
    pub tier: Tier,
    /// The account that owns what it creates.
    pub user: UserNumber,
}

/// What is known of an organization deployment key.
#[derive(Debug, PartialEq, Eq, Hash)]
pub struct OrgWide {
    /// What people call it.
    pub key_name: Arc<str>,
    /// Whether it opens every deployment, those of the future included.
    pub opens_all: bool,
    /// Those that it opens otherwise, sorted as texts.
    pub deployments: Box<[Id<id::Deployment>]>,
}

impl OrgWide {
    /// Whether it opens this deployment of its organization.
    pub fn opens(&self, deployment: Id<id::Deployment>) -> bool {
        self.opens_all || self.deployments.contains(&deployment)
    }
}

/// Whether a secret works.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Standing {
    /// It does.
    Active,
    /// Its key is switched off.
    Inactive,
    /// It was replaced, and works until then, if its key is active.
    Replaced {
        /// The end of the overlap.
        until: Timestamp,
        /// Whether the key itself is active.
        active: bool,
    },
}

/// One secret, as the database knows it.
#[derive(Debug)]
pub struct Entry {
    /// Its digest.
    pub digest: KeyDigest,
    /// The key that it belongs to.
    pub key: Id<id::AnyKey>,
    /// The organization of the key.
    pub org: Arc<OrgFacts>,
    /// What the key opens.
    pub opens: Opens,
    /// Whether it works.
    pub standing: Standing,
    /// Which of the secrets of its key it is.
    pub version: i64,
    /// Whether the end of the secret before it depends on its first use.
    pub ends_previous: bool,
    /// Until when, from where and how often it works, if that is limited.
    pub controls: Option<Arc<Controls>>,
}

/// A key that was presented, is genuine, and works.
#[derive(Clone, Debug)]
pub struct Verified {
    /// The key.
    pub key: Id<id::AnyKey>,
    /// Its organization.
    pub org: Arc<OrgFacts>,
    /// What it opens.
    pub opens: Opens,
    /// What limits it.
    pub guard: Option<Arc<Guard>>,
}

/// The same while it is looked at in its place, where nothing is copied.
#[derive(Clone, Copy, Debug)]
pub struct Seen<'a>(&'a Held);

/// A use of a key.
#[derive(Clone, Copy, Debug)]
pub struct Use<'a> {
    /// When it was used, as it is written down.
    pub at: Timestamp,
    /// The same by a clock that nobody sets.
    pub instant: Instant,
    /// Where from.
    pub ip: IpAddr,
    /// What the program calls itself.
    pub agent: &'a str,
    /// The name of the deployment that it calls, if it calls one.
    pub deployment: &'a str,
    /// Whether it was counted before.
    pub is_again: bool,
}

/// Half of a digest: enough that no two of any number of keys ever meet, and half the memory.
pub(super) type Tag = [u8; 16];

/// One secret, in the fewest bytes: with its tag it fills one line of the processor's cache.
#[derive(Debug)]
struct Held {
    key: Id<id::AnyKey>,
    org: Arc<OrgFacts>,
    nature: Arc<Nature>,
    mark: Mark,
}

const _: () = assert!(size_of::<OrgFacts>() <= 64, "an organization no longer fits into one line");
const _: () = assert!(size_of::<(Tag, Held)>() <= 64, "a secret no longer fits into one line");

/// What is the same for many keys, and held once for them.
#[derive(Debug)]
struct Nature {
    opens: Opens,
    standing: Standing,
    version: i64,
    ends_previous: bool,
    guard: Option<Arc<Guard>>,
}

/// The keys that this node knows.
#[derive(Debug)]
pub struct Keyring {
    held: papaya::HashMap<Tag, Held, BuildHasherDefault<TagHasher>>,
    /// What was counted against the limits of keys that have some, whichever of their secrets was used.
    guards: papaya::HashMap<Id<id::AnyKey>, Arc<Guard>>,
    /// Up to which change the log was read.
    seq: AtomicI64,
    /// When that was, in milliseconds since `started`.
    read_at: AtomicI64,
    started: Instant,
    complete: AtomicBool,
    catching_up: tokio::sync::Mutex<()>,
    usage: Usage,
}

impl Default for Keyring {
    fn default() -> Self {
        Self {
            held: papaya::HashMap::default(),
            guards: papaya::HashMap::default(),
            seq: AtomicI64::new(0),
            read_at: AtomicI64::new(0),
            started: Instant::now(),
            complete: AtomicBool::new(false),
            catching_up: tokio::sync::Mutex::new(()),
            usage: Usage::default(),
        }
    }
}

impl Keyring {
    /// Whether every key has been read, and recently enough.
    pub fn is_trusted(&self) -> bool {
        self.is_trusted_at(Instant::now())
    }

    fn is_trusted_at(&self, instant: Instant) -> bool {
        let read_at = self.read_at.load(Ordering::Relaxed);
        let trust = i64::try_from(TRUST.as_millis()).unwrap_or(i64::MAX);
        self.complete.load(Ordering::Acquire) && self.millis_at(instant) - read_at <= trust
    }

    /// Trusts nothing until every key has been read again.
    pub(crate) fn distrust(&self) {
        self.complete.store(false, Ordering::Release);
    }

    /// How long this ring had been there at that instant: a clock that never goes back.
    pub fn since(&self, instant: Instant) -> Duration {
        instant.saturating_duration_since(self.started)
    }

    fn millis_at(&self, instant: Instant) -> i64 {
        i64::try_from(self.since(instant).as_millis()).unwrap_or(i64::MAX)
    }

    /// How many secrets are known.
    pub fn len(&self) -> usize {
        self.held.len()
    }

    /// Whether no secret is known.
    pub fn is_empty(&self) -> bool {
        self.held.is_empty()
    }

    /// Whether this is the digest of a secret that works, or did.
    pub(crate) fn knows(&self, digest: &KeyDigest) -> bool {
        self.held.pin().contains_key(&tag(digest))
    }

    /// What is remembered of the uses of keys until it is written down.
    pub fn usage(&self) -> &Usage {
        &self.usage
    }

    /// Finds the key whose secret has this digest, and marks that it was used.
    pub fn verify(&self, digest: &KeyDigest, used: &Use<'_>) -> Result<Verified, Refusal> {
        let verified = self.verify_then(digest, used, |Seen(held)| Some(held.verified()))?;
        verified.ok_or(Refusal::UnknownKey)
    }

    /// Does as [`Self::verify`] and tells what `then` makes of the key. If that is nothing, the key was
    /// not used.
    ///
    /// Takes no lock but for the first use in a minute, allocates nothing and asks no database.
    pub fn verify_then<T>(
        &self,
        digest: &KeyDigest,
        used: &Use<'_>,
        then: impl FnOnce(Seen<'_>) -> Option<T>,
    ) -> Result<Option<T>, Refusal> {
        if !self.is_trusted_at(used.instant) {
            return Err(Refusal::KeysUnavailable);
        }
        let held = self.held.pin();
        let found = held.get(&tag(digest)).ok_or(Refusal::UnknownKey)?;
        found.stand(used.at)?;
        if let Some(guard) = &found.nature.guard {
            guard.admit(used, || found.genuine())?;
        }
        let made = then(Seen(found));
        if made.is_some() && !used.is_again {
            let caller = usage::caller(used);
            if !found.mark.add(used, caller) {
                self.usage.note(tag(digest), used, caller, &found.mark);
            }
        }
        Ok(made)
    }

    /// Takes the uses of a secret that are to be written down.
    pub(super) fn take_uses(&self, tag: &Tag) -> Vec<Used> {
        let held = self.held.pin();
        let Some(found) = held.get(tag) else {
            self.usage.forget(tag);
            return Vec::new();
        };
        self.usage.take(tag, &found.mark, |uses| {
            let Nature { version, ends_previous, .. } = *found.nature;
            uses.of(found.key, found.org.number, version, ends_previous)
        })
    }

    /// Reads every key, or, once that is done, the changes since.
    ///
    /// Returning means that each change committed before the call is in effect on this node.
    pub async fn catch_up(&self, db: &Db) -> Result<()> {
        let _one_at_a_time = self.catching_up.lock().await;
        let asked_at = self.millis_at(Instant::now());
        let is_complete = self.complete.load(Ordering::Acquire);
        if !is_complete || !db.read(async |tx| self.read_changes(tx).await).await? {
            self.read_all(db).await?;
        }
        self.read_at.store(asked_at, Ordering::Relaxed);
        Ok(())
    }

    async fn read_all(&self, db: &Db) -> Result<()> {
        // Changes made while the pages are read come after this number and are read again.
        let seq = db.read(async |tx| changes::newest(tx).await).await?;
        self.complete.store(false, Ordering::Release);
        self.held.pin().clear();
        let mut shared = Shared::default();
        db.read(async |tx| {
            // Growing step by step would take twice the memory for a while.
            let count = keys::count_all(tx).await?;
            memory::expect_keys(count);
            self.held.pin().reserve(count);
            let mut after = String::new();
            loop {
                let page = keys::entries(tx, &mut shared, &after, PAGE).await?;
                let Some(last) = self.hold_page(&mut shared, page) else { break };
                after = last;
            }
            let mut after = String::new();
            loop {
                let page = platform_tokens::entries(tx, &mut shared, &after, PAGE).await?;
                let Some(last) = self.hold_page(&mut shared, page) else { break };
                after = last;
            }
            Ok::<_, Error>(())
        })
        .await?;
        self.seq.store(seq, Ordering::Relaxed);
        if !db.read(async |tx| self.read_changes(tx).await).await? {
            return Err(Error::internal("changes were deleted while the keys were read"));
        }
        self.complete.store(true, Ordering::Release);
        Ok(())
    }

    /// Holds the secrets of one page and tells after which key the next page begins.
    fn hold_page(&self, shared: &mut Shared, page: Page) -> Option<String> {
        for entry in page.entries {
            self.hold(shared, entry);
        }
        page.last
    }

    /// Makes the changes since the last one that was read true here. `false` if some of them are
    /// deleted: then only reading everything again helps.
    async fn read_changes(&self, tx: &mut Tx) -> Result<bool> {
        let after = self.seq.load(Ordering::Relaxed);
        let mut shared = Shared::default();
        let changes = changes::after(tx, after).await?;
        if changes.first().is_some_and(|first| first.seq != after + 1) {
            return Ok(false);
        }
        for change in changes {
            self.apply(tx, &mut shared, &change.digest).await?;
            self.seq.store(change.seq, Ordering::Relaxed);
        }
        Ok(true)
    }

    /// Makes what is true of `digest` in the database true here.
    async fn apply(&self, tx: &mut Tx, shared: &mut Shared, digest: &KeyDigest) -> Result<()> {
        let found = match keys::find_entry(tx, shared, digest).await? {
            Some(entry) => Some(entry),
            None => platform_tokens::find_entry(tx, shared, digest).await?,
        };
        match found {
            Some(entry) => self.hold(shared, entry),
            None => {
                self.held.pin().remove(&tag(digest));
            }
        }
        Ok(())
    }

    fn hold(&self, shared: &mut Shared, entry: Entry) {
        let tag = tag(&entry.digest);
        let pinned = self.held.pin();
        let mark = pinned.get(&tag).map_or_else(Mark::default, |before| before.mark.moved());
        let nature = Nature {
            opens: entry.opens,
            standing: entry.standing,
            version: entry.version,
            ends_previous: entry.ends_previous,
            guard: self.guard(entry.key, entry.controls),
        };
        let held = Held { key: entry.key, org: entry.org, nature: shared.nature(nature), mark };
        pinned.insert(tag, held);
    }

    /// The guard of a key: the one that its secrets share, for as long as the controls stay the same.
    fn guard(&self, key: Id<id::AnyKey>, controls: Option<Arc<Controls>>) -> Option<Arc<Guard>> {
        let guards = self.guards.pin();
        let Some(controls) = controls else {
            if !guards.is_empty() {
                guards.remove(&key);
            }
            return None;
        };
        let known = guards.get(&key);
        if let Some(same) = known.filter(|known| *known.controls() == *controls) {
            return Some(Arc::clone(same));
        }
        let guard = Arc::new(Guard::new(key, controls, known.map(Arc::as_ref)));
        guards.insert(key, Arc::clone(&guard));
        Some(guard)
    }
}

/// Some keys of one kind, in the order of their identifiers.
#[derive(Debug)]
pub struct Page {
    /// Their secrets.
    pub entries: Vec<Entry>,
    /// The last key of the page; none if there are no more.
    pub last: Option<String>,
}

/// What was met while reading keys and is the same for several, so that each is held once: what lies
/// in one place is in the cache of the processor.
#[derive(Debug, Default)]
pub struct Shared {
    orgs: HashMap<OrgNumber, Arc<OrgFacts>>,
    natures: HashMap<(Opens, Standing, i64), Arc<Nature>>,
}

impl Shared {
    /// The one copy of these facts.
    pub fn org(&mut self, facts: OrgFacts) -> Arc<OrgFacts> {
        Arc::clone(self.orgs.entry(facts.number).or_insert_with(|| Arc::new(facts)))
    }

    /// The one copy of what is true of keys that are alike. Most are like no other as soon as something
    /// is said about them in particular.
    fn nature(&mut self, nature: Nature) -> Arc<Nature> {
        let is_common = nature.guard.is_none()
            && !nature.ends_previous
            && !matches!(nature.standing, Standing::Replaced { .. })
            && matches!(nature.opens, Opens::Organization { .. } | Opens::Deployment(_));
        if !is_common {
            return Arc::new(nature);
        }
        let alike = (nature.opens.clone(), nature.standing, nature.version);
        Arc::clone(self.natures.entry(alike).or_insert_with(|| Arc::new(nature)))
    }
}

impl Verified {
    /// The key, as told to its holder.
    pub fn genuine(&self) -> Genuine {
        self.opens.genuine(self.key, self.org.number)
    }
}

impl<'a> Seen<'a> {
    /// The key.
    pub fn key(self) -> Id<id::AnyKey> {
        self.0.key
    }

    /// Its organization.
    pub fn org(self) -> &'a OrgFacts {
        &self.0.org
    }

    /// What it opens.
    pub fn opens(self) -> &'a Opens {
        &self.0.nature.opens
    }

    /// The key, as told to its holder.
    pub fn genuine(self) -> Genuine {
        self.0.genuine()
    }

    /// What limits it beyond what it opens.
    pub(super) fn guard(self) -> Option<&'a Guard> {
        self.0.nature.guard.as_deref()
    }

    /// What is worth keeping.
    pub fn verified(self) -> Verified {
        self.0.verified()
    }
}

impl Held {
    fn verified(&self) -> Verified {
        Verified {
            key: self.key,
            org: Arc::clone(&self.org),
            opens: self.nature.opens.clone(),
            guard: self.nature.guard.clone(),
        }
    }

    fn genuine(&self) -> Genuine {
        self.nature.opens.genuine(self.key, self.org.number)
    }

    /// Refuses a secret that was switched off or replaced.
    fn stand(&self, at: Timestamp) -> Result<(), Refusal> {
        let active = match self.nature.standing {
            Standing::Active => true,
            Standing::Inactive => false,
            Standing::Replaced { until, .. } if at >= until => {
                return Err(Refusal::RotatedOut(self.genuine()));
            }
            Standing::Replaced { active, .. } => active,
        };
        if active {
            Ok(())
        } else {
            Err(Guard::inactive(self.nature.guard.as_deref(), self.genuine()))
        }
    }
}

impl Opens {
    /// The kind of key that opens this.
    pub fn kind(&self) -> KeyKind {
        match self {
            Self::Organization { .. } => KeyKind::Platform,
            Self::OrganizationTiered(key) => key.kind,
            Self::Deployment(_) => KeyKind::Deployment,
            Self::Deployments(_) => KeyKind::OrgDeployment,
        }
    }

    /// What people call the key, where it has a name.
    pub fn key_name(&self) -> Option<&Arc<str>> {
        match self {
            Self::Organization { key_name } => Some(key_name),
            Self::OrganizationTiered(key) => Some(&key.name),
            Self::Deployment(_) => None,
            Self::Deployments(opened) => Some(&opened.key_name),
        }
    }

    /// How much it permits, in a word for programs: a tier, or `execute`.
    pub fn permission(&self) -> &'static str {
        match self {
            Self::Organization { .. } => Tier::FullAccess.as_str(),
            Self::OrganizationTiered(key) => key.tier.as_str(),
            Self::Deployment(_) | Self::Deployments(_) => "execute",
        }
    }

    /// The key that opens this, as told to its holder.
    pub fn genuine(&self, key: Id<id::AnyKey>, org: OrgNumber) -> Genuine {
        Genuine { org, key, kind: self.kind(), name: self.key_name().map(ToString::to_string) }
    }
}

pub(super) fn tag(digest: &KeyDigest) -> Tag {
    let mut tag = Tag::default();
    tag.copy_from_slice(&digest.as_bytes()[..16]);
    tag
}

/// Digests are random already; hashing them again would only cost.
#[derive(Clone, Copy, Debug, Default)]
struct TagHasher(u64);

impl Hasher for TagHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        // Called with the length of the array first, then with its sixteen bytes.
        if let Some(first) = bytes.first_chunk() {
            self.0 = u64::from_ne_bytes(*first);
        }
    }

    fn write_usize(&mut self, _len: usize) {}
}
