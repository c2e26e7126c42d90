//! Many writers race for the two slots of a few organizations; some have one to themselves and check
//! every answer exactly.

use std::{
    collections::HashSet,
    fmt,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
};

use anyhow::Result;
use clap::Args;
use keydock_e2e::{
    Client, Server,
    client::{key_path, keys_path},
};
use keydock_storage::db::Db;
use rand::{RngExt as _, SeedableRng as _, seq::IndexedRandom as _};
use rand_chacha::ChaCha20Rng;
use serde_json::json;
use tokio::task::JoinSet;

use crate::{Terms, Time, findings::Findings, model::Model, reconcile::reconcile};

/// Race for the keys of organizations
#[derive(Clone, Debug, Args)]
pub(crate) struct Keys {
    /// How many changes are attempted
    #[arg(long, default_value_t = 20_000)]
    operations: usize,
    /// How many write at the same time; a quarter of them have an organization to themselves
    #[arg(long, default_value_t = 64)]
    writers: usize,
    /// How many organizations the others share
    #[arg(long, default_value_t = 3)]
    organizations: usize,
    /// How many look on all the while
    #[arg(long, default_value_t = 8)]
    readers: usize,
}

impl Default for Keys {
    fn default() -> Self {
        Self { operations: 20_000, writers: 64, organizations: 3, readers: 8 }
    }
}

/// What happened, in numbers.
#[derive(Debug, Default)]
struct Tally {
    attempted: AtomicUsize,
    acknowledged: AtomicUsize,
    lost: AtomicUsize,
    looks: AtomicUsize,
    verified: AtomicUsize,
    refused: AtomicUsize,
    tried_dead: AtomicUsize,
    stale: AtomicUsize,
    events: AtomicUsize,
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let of = |count: &AtomicUsize| count.load(Ordering::Relaxed);
        write!(
            f,
            "{} changes attempted, {} acknowledged, {} lost to others; {} looks, {} times a key \
             worked and {} times not; {} times a dead one was tried and {} times it worked; {} \
             events",
            of(&self.attempted),
            of(&self.acknowledged),
            of(&self.lost),
            of(&self.looks),
            of(&self.verified),
            of(&self.refused),
            of(&self.tried_dead),
            of(&self.stale),
            of(&self.events),
        )
    }
}

fn add(count: &AtomicUsize) {
    count.fetch_add(1, Ordering::Relaxed);
}

/// An organization that many race for.
#[derive(Debug)]
struct Arena {
    name: String,
    admin: Client,
    secrets: Mutex<Vec<Arc<Secret>>>,
    deleted: Mutex<HashSet<String>>,
    generated: AtomicUsize,
    refreshed: AtomicUsize,
    removed: AtomicUsize,
    activations: AtomicUsize,
    deactivations: AtomicUsize,
}

/// A secret that was shown.
#[derive(Debug)]
struct Secret {
    key: String,
    text: String,
    /// Set once an answer said so; never taken back.
    dead: AtomicBool,
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Keys {
    pub(crate) async fn run(
        &self,
        server: Server,
        terms: Terms,
        findings: &Findings,
    ) -> Result<String> {
        let tally = Arc::new(Tally::default());
        let over = Arc::new(AtomicBool::new(false));
        let mut arenas = Vec::new();
        for number in 0..self.organizations.max(1) {
            arenas.push(Arc::new(Arena::open(&server, &format!("arena_{number}")).await?));
        }
        let mut models = Vec::new();
        for number in (0..self.writers).step_by(4) {
            let name = format!("alone_{number}");
            let (admin, secret) = server.found(&name).await?;
            models.push((Model::of(&admin, &name, &secret).await?, admin));
        }
        let race = Race {
            operations: self.operations,
            time: terms.begin(),
            tally: Arc::clone(&tally),
            findings: findings.clone(),
        };
        let mut writers = JoinSet::new();
        for number in 0..self.writers {
            let random = ChaCha20Rng::seed_from_u64(terms.seed ^ number as u64);
            let alone = if number % 4 == 0 { models.pop() } else { None };
            if let Some((model, admin)) = alone {
                writers.spawn(race.clone().alone(admin, model, random));
            } else {
                let arena = Arc::clone(&arenas[number % arenas.len()]);
                writers.spawn(race.clone().among_others(arena, random));
            }
        }
        let mut readers = JoinSet::new();
        for number in 0..self.readers {
            let random = ChaCha20Rng::seed_from_u64(terms.seed ^ 0xffff ^ number as u64);
            readers.spawn(race.clone().look_on(arenas.clone(), Arc::clone(&over), random));
        }
        let mut alone = Vec::new();
        while let Some(ended) = writers.join_next().await {
            alone.extend(ended??);
        }
        over.store(true, Ordering::Relaxed);
        while let Some(ended) = readers.join_next().await {
            ended??;
        }
        let db = server.database().open().await?;
        for arena in &arenas {
            race.settle(arena, &db).await?;
        }
        for model in &alone {
            let counts = reconcile(&db, &model.org, findings).await?;
            tally.events.fetch_add(counts.values().sum(), Ordering::Relaxed);
        }
        db.close().await;
        let mut server = server;
        findings.check(server.terminate().await?.success(), || "no orderly end".to_owned());
        Ok(tally.to_string())
    }
}

/// What every writer and reader has.
#[derive(Clone, Debug)]
struct Race {
    operations: usize,
    time: Time,
    tally: Arc<Tally>,
    findings: Findings,
}

impl Race {
    fn goes_on(&self) -> bool {
        !self.time.is_over()
            && self.tally.attempted.fetch_add(1, Ordering::Relaxed) < self.operations
    }

    /// Changes the keys of an organization that is nobody else's, and checks everything each time.
    async fn alone(
        self,
        admin: Client,
        mut model: Model,
        mut random: ChaCha20Rng,
    ) -> Result<Option<Model>> {
        while self.goes_on() {
            let change = model.choose(&mut random);
            let answer = model.send(&admin, change).await?;
            let before = model.changes;
            model.acknowledge(change, &answer, &self.findings);
            self.tally.acknowledged.fetch_add(model.changes - before, Ordering::Relaxed);
            let listed = admin.platform_keys(&model.org).await?;
            self.findings.check(model.is_confirmed_by(&listed), || {
                format!("{}: {listed:?} instead of {model:?}", model.org)
            });
            let tried = model.verify(&admin, &self.findings).await?;
            self.tally.verified.fetch_add(tried, Ordering::Relaxed);
        }
        Ok(Some(model))
    }

    /// Changes the keys of an organization that others change as well.
    async fn among_others(
        self,
        arena: Arc<Arena>,
        mut random: ChaCha20Rng,
    ) -> Result<Option<Model>> {
        while self.goes_on() {
            let id = arena.some_key(&mut random);
            let status = match random.random_range(0..20) {
                0..4 => self.generate(&arena, random.random()).await?,
                4..9 => self.toggle(&arena, &id, true).await?,
                9..12 => self.toggle(&arena, &id, false).await?,
                12..18 => self.refresh(&arena, &id).await?,
                _ => self.delete(&arena, &id).await?,
            };
            match status {
                200..300 => add(&self.tally.acknowledged),
                400 | 403 | 404 | 409 => add(&self.tally.lost),
                _ => self
                    .findings
                    .add(format!("{}: a change was answered with {status}", arena.name)),
            }
        }
        Ok(None)
    }

    async fn generate(&self, arena: &Arena, active: bool) -> Result<u16> {
        let path = keys_path(&arena.name);
        let answer = arena.admin.post(&path, json!({"is_active": active})).await?;
        if answer.status == 201 {
            add(&arena.generated);
            arena.remember(&answer.text_at("/id")?, answer.text_at("/key")?);
        }
        Ok(answer.status)
    }

    async fn toggle(&self, arena: &Arena, id: &str, on: bool) -> Result<u16> {
        let action = if on { "ACTIVATE" } else { "DEACTIVATE" };
        let path = key_path(&arena.name, id);
        let answer = arena.admin.put(&path, json!({"action": action})).await?;
        if answer.status == 201 {
            add(if on { &arena.activations } else { &arena.deactivations });
        }
        Ok(answer.status)
    }

    async fn refresh(&self, arena: &Arena, id: &str) -> Result<u16> {
        // What was shown before this is sent is older than what this will show.
        let older = arena.secrets_of(id);
        let answer = arena.admin.put(&keys_path(&arena.name), json!({"id": id})).await?;
        if answer.status == 201 {
            add(&arena.refreshed);
            arena.remember(id, answer.text_at("/key")?);
            self.bury(arena, &older).await?;
        }
        Ok(answer.status)
    }

    async fn delete(&self, arena: &Arena, id: &str) -> Result<u16> {
        let answer = arena.admin.delete(&key_path(&arena.name, id)).await?;
        if answer.status == 204 {
            add(&arena.removed);
            lock(&arena.deleted).insert(id.to_owned());
            self.bury(arena, &arena.secrets_of(id)).await?;
        }
        Ok(answer.status)
    }

    /// Notes that secrets are dead, and tries one of them at once.
    async fn bury(&self, arena: &Arena, secrets: &[Arc<Secret>]) -> Result<()> {
        for secret in secrets {
            secret.dead.store(true, Ordering::SeqCst);
        }
        match secrets.last() {
            Some(secret) => self.attempt(arena, secret).await,
            None => Ok(()),
        }
    }

    /// Tries a secret, which must not work if it was dead before.
    async fn attempt(&self, arena: &Arena, secret: &Secret) -> Result<()> {
        let dead = secret.dead.load(Ordering::SeqCst);
        let works = arena.admin.with_key(&secret.text).is_verified().await?;
        add(if works { &self.tally.verified } else { &self.tally.refused });
        if dead {
            add(&self.tally.tried_dead);
        }
        if dead && works {
            add(&self.tally.stale);
            self.findings.add(format!("{}: a dead secret of {} works", arena.name, secret.key));
        }
        Ok(())
    }

    /// Looks at lists and tries secrets, until all is over.
    async fn look_on(
        self,
        arenas: Vec<Arc<Arena>>,
        over: Arc<AtomicBool>,
        mut random: ChaCha20Rng,
    ) -> Result<()> {
        while !over.load(Ordering::Relaxed) {
            let Some(arena) = arenas.choose(&mut random) else { return Ok(()) };
            let secret = lock(&arena.secrets).choose(&mut random).cloned();
            if let Some(secret) = secret {
                self.attempt(arena, &secret).await?;
            }
            let keys = arena.admin.platform_keys(&arena.name).await?;
            add(&self.tally.looks);
            let active = keys.iter().filter(|key| key["is_active"] == true).count();
            self.findings.check(keys.len() <= 2 && active <= 1, || {
                format!("{}: a list shows {keys:?}", arena.name)
            });
        }
        Ok(())
    }

    /// Compares what is left with everything that was acknowledged.
    async fn settle(&self, arena: &Arena, db: &Db) -> Result<()> {
        let keys = arena.admin.platform_keys(&arena.name).await?;
        for key in &keys {
            let id = key["id"].as_str().unwrap_or_default();
            let mut working = 0;
            for secret in arena.secrets_of(id).iter().rev().take(50) {
                working += usize::from(arena.admin.with_key(&secret.text).is_verified().await?);
            }
            let wanted = usize::from(key["is_active"] == true);
            self.findings.check(working == wanted, || {
                format!("{}: {working} secrets work of {key}", arena.name)
            });
        }
        let counts = reconcile(db, &arena.name, &self.findings).await?;
        self.tally.events.fetch_add(counts.values().sum(), Ordering::Relaxed);
        let of = |action: &str| counts.get(action).copied().unwrap_or_default();
        let answered = |count: &AtomicUsize| count.load(Ordering::Relaxed);
        let exact = [
            // The first key came with the organization.
            ("platform_key_generated", answered(&arena.generated) + 1),
            ("platform_key_refreshed", answered(&arena.refreshed)),
            ("platform_key_deleted", answered(&arena.removed)),
        ];
        for (action, acknowledged) in exact {
            self.findings.check(of(action) == acknowledged, || {
                let written = of(action);
                format!("{}: {written} times {action} but {acknowledged} answers", arena.name)
            });
        }
        // Switching on what is on is acknowledged and changes nothing.
        let on = of("platform_key_activated");
        self.findings.check(on <= answered(&arena.activations), || {
            format!("{}: more activations are written down than were answered", arena.name)
        });
        Ok(())
    }
}

impl Arena {
    async fn open(server: &Server, name: &str) -> Result<Self> {
        let (admin, first) = server.found(name).await?;
        let keys = admin.platform_keys(name).await?;
        let arena = Self {
            name: name.to_owned(),
            admin,
            secrets: Mutex::default(),
            deleted: Mutex::default(),
            generated: AtomicUsize::new(0),
            refreshed: AtomicUsize::new(0),
            removed: AtomicUsize::new(0),
            activations: AtomicUsize::new(0),
            deactivations: AtomicUsize::new(0),
        };
        let id = keys.first().and_then(|key| key["id"].as_str()).unwrap_or_default();
        arena.remember(id, first);
        Ok(arena)
    }

    /// One of the newest keys that were heard of; now and then one that is gone.
    fn some_key(&self, random: &mut ChaCha20Rng) -> String {
        let secrets = lock(&self.secrets);
        let deleted = lock(&self.deleted);
        let newest = &secrets[secrets.len().saturating_sub(12)..];
        let left: Vec<_> = newest.iter().filter(|secret| !deleted.contains(&secret.key)).collect();
        let chosen = match left.choose(random) {
            Some(secret) if random.random_range(0..10) > 0 => Some(*secret),
            _ => newest.choose(random),
        };
        chosen.map(|secret| secret.key.clone()).unwrap_or_default()
    }

    fn remember(&self, key: &str, text: String) {
        let mut secrets = lock(&self.secrets);
        // Its key may have been deleted after it was refreshed and before that was heard of.
        let dead = lock(&self.deleted).contains(key);
        let secret = Secret { key: key.to_owned(), text, dead: AtomicBool::new(dead) };
        secrets.push(Arc::new(secret));
    }

    fn secrets_of(&self, key: &str) -> Vec<Arc<Secret>> {
        let secrets = lock(&self.secrets);
        secrets.iter().filter(|secret| secret.key == key).cloned().collect()
    }
}
