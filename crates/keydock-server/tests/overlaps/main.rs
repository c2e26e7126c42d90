//! Rotations at random, by a clock that the test moves: to the microsecond before an end, to the end and
//! past it, across restarts and crashes. A model says what every secret must get, and each is tried after
//! every step.
//!
//! The short run is a part of the suite. A long one, with another seed:
//!
//! ```text
//! KEYDOCK_ROTATIONS=1000 KEYDOCK_SEED=7 cargo nextest run -p keydock-server --test overlaps
//! ```

#![expect(clippy::unwrap_used, reason = "what is wrong in a test should stop it")]

#[path = "../harness/mod.rs"]
mod harness;
mod model;

use std::{fmt, num::NonZeroU32, time::Duration};

use harness::{ADMIN, Client, ORG, PASSWORD, TestApp};
use keydock_core::{
    secret::Pepper,
    time::{Clock, Timestamp},
};
use keydock_server::{
    App, Parts,
    access::{peppers::Peppers, usage},
    config::Settings,
};
use keydock_storage::testing;
use model::{KINDS, Key, Model, Place};
use rand::{RngExt as _, SeedableRng as _, seq::IndexedRandom as _};
use rand_chacha::ChaCha20Rng;
use serde_json::{Value, json};
use zeroize::Zeroizing;

const TENANT: &str = "/api/v1/unstract/mock_org/";
const START: i64 = 1_767_225_600_000_000;
const SECOND: i64 = 1_000_000;

/// What is done next.
#[derive(Clone, Copy, Debug)]
enum Step {
    Create,
    Rotate,
    Undo,
    Finish,
    Toggle,
    Delete,
    /// To the end of an overlap, or a microsecond before or after it.
    ToAnEnd(i64),
    /// By some time.
    Wait,
    /// With everything that was noted in memory written down, or as after a crash.
    Restart {
        orderly: bool,
    },
}

#[derive(Debug, Default)]
struct Figures {
    steps: usize,
    rotations: usize,
    from_first_use: usize,
    restarts: usize,
    crashes: usize,
    /// Before, at and after an end.
    at_ends: [usize; 3],
    tried: usize,
    worked: usize,
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { steps, rotations, from_first_use, restarts, crashes, at_ends, tried, worked } =
            self;
        let [before, at, after] = at_ends;
        write!(
            f,
            "{steps} steps, {rotations} rotations, {from_first_use} of them with an overlap from \
             the first use, {restarts} restarts and {crashes} crashes; {tried} times a secret was \
             tried, {worked} times it worked; {before} times a microsecond before an end, {at} at \
             it, {after} after it"
        )
    }
}

struct World {
    test: TestApp,
    url: String,
    clock: Clock,
    admin: Client,
    signed_in_at: i64,
    deployment: String,
    model: Model,
    random: ChaCha20Rng,
    figures: Figures,
    /// Some first use is noted in memory only.
    unwritten: bool,
}

impl World {
    async fn new(seed: u64) -> Self {
        let clock = Clock::standing_at(Timestamp::from_micros(START));
        let settings = Settings {
            // Secrets that were replaced twice are unknown, and they are tried again and again.
            guesses_per_minute: NonZeroU32::new(4_000_000_000),
            ..Settings::default()
        };
        let (test, url) = TestApp::start_by(clock.clone(), settings).await;
        let admin = test.admin().await;
        let definition = "fields: [{key: total, type: currency, rule: {label: Total}}]";
        let body = json!({"workflow_name": "w", "definition": definition});
        let made = admin.post(&format!("{TENANT}workflow/"), body).await;
        let body = json!({"workflow": made.body["id"], "api_name": "invoices"});
        let made = admin.post(&format!("{TENANT}api/deployment/"), body).await;
        let deployment = made.body["id"].as_str().unwrap().to_owned();
        let listed = admin.get(&format!("{TENANT}platform/keys/")).await.body;
        let mut model = Model::default();
        let first = listed[0]["id"].as_str().unwrap();
        model.keys.push(Key::new(Place::Platform, first, &test.platform_key, true));
        let random = ChaCha20Rng::seed_from_u64(seed);
        let (signed_in_at, figures) = (START, Figures::default());
        Self {
            test,
            url,
            clock,
            admin,
            signed_in_at,
            deployment,
            model,
            random,
            figures,
            unwritten: false,
        }
    }

    fn now(&self) -> i64 {
        self.clock.now().as_micros()
    }

    fn choose(&mut self) -> Step {
        // What was not written down is lost only if the server stops before it is.
        if self.unwritten {
            return Step::Restart { orderly: false };
        }
        if self.model.keys.len() < 5 {
            return Step::Create;
        }
        match self.random.random_range(0..100) {
            0..34 => Step::Rotate,
            34..64 => Step::ToAnEnd(self.random.random_range(-1..=1)),
            64..70 => Step::Wait,
            70..76 => Step::Undo,
            76..80 => Step::Finish,
            80..88 => Step::Toggle,
            88..91 => Step::Delete,
            91..94 if self.model.keys.len() < 9 => Step::Create,
            _ => Step::Restart { orderly: self.random.random() },
        }
    }

    async fn step(&mut self, step: Step) {
        self.figures.steps += 1;
        let place = self.random.random_range(0..self.model.keys.len().max(1));
        match step {
            Step::Create => self.create().await,
            Step::Rotate => self.rotate(place).await,
            Step::Undo => self.settle(place, "undo").await,
            Step::Finish => self.settle(place, "finish").await,
            Step::Toggle => self.toggle(place).await,
            Step::Delete => {
                let path = self.path(place, "");
                let answer = self.admin.delete(&path).await;
                assert_eq!(answer.status, 204, "{}", answer.text);
                self.model.delete(place);
            }
            Step::ToAnEnd(off) => {
                let now = self.now();
                let ends: Vec<i64> = self.model.ends().filter(|end| end + off > now).collect();
                if let Some(end) = ends.choose(&mut self.random) {
                    self.advance(end + off - now).await;
                    self.figures.at_ends[usize::try_from(off + 1).unwrap()] += 1;
                }
            }
            Step::Wait => {
                let micros = self.random.random_range(1..90 * SECOND);
                self.advance(micros).await;
            }
            Step::Restart { orderly } => self.restart(orderly).await,
        }
    }

    fn path(&self, place: usize, what: &str) -> String {
        let key = &self.model.keys[place];
        format!("{TENANT}{}{}/{what}", key.place.keys(), key.id)
    }

    async fn create(&mut self) {
        let slots = self.model.keys.iter().filter(|key| key.place == Place::Platform).count();
        let kinds: Vec<Place> =
            KINDS.into_iter().filter(|kind| *kind != Place::Platform || slots < 2).collect();
        let place = *kinds.choose(&mut self.random).unwrap();
        let active = place != Place::Platform || self.random.random();
        let number = self.figures.steps;
        let named = json!({"name": format!("k{number}"), "description": "k"});
        let (path, body) = match place {
            Place::Platform => (place.keys().to_owned(), json!({"is_active": active})),
            Place::PlatformApi => (place.keys().to_owned(), named),
            Place::Deployment => {
                (format!("api/keys/api/{}/", self.deployment), json!({"description": "k"}))
            }
            Place::OrgDeployment => {
                let mut all = named;
                all["allow_all_deployments"] = true.into();
                (place.keys().to_owned(), all)
            }
        };
        let made = self.admin.post(&format!("{TENANT}{path}"), body).await;
        assert_eq!(made.status, 201, "{}", made.text);
        let id = made.body["id"].as_str().unwrap();
        if place == Place::Platform && active {
            self.model.switch_off_platform_keys();
        }
        self.model.keys.push(Key::new(place, id, &secret(&made.body), active));
    }

    async fn rotate(&mut self, place: usize) {
        let grace = *[0, 1, 5, 60, 3_600, 86_400].choose(&mut self.random).unwrap();
        let first_use = grace > 0 && self.random.random_range(0..3) == 0;
        let mut how = json!({"grace_seconds": grace});
        if first_use {
            how["overlap_from"] = "first_use".into();
        }
        let rotated = if self.model.keys[place].place == Place::Platform {
            how["id"] = self.model.keys[place].id.as_str().into();
            self.admin.put(&format!("{TENANT}platform/keys/"), how).await
        } else {
            self.admin.post(&self.path(place, "rotate/"), how).await
        };
        assert!(rotated.status.is_success(), "{}", rotated.text);
        assert_eq!(rotated.body["id"], self.model.keys[place].id.as_str());
        let now = self.now();
        self.model.rotate(place, &secret(&rotated.body), now, grace * SECOND, first_use);
        self.figures.rotations += 1;
        self.figures.from_first_use += usize::from(first_use);
    }

    async fn settle(&mut self, place: usize, action: &str) {
        let path = self.path(place, "rotation/");
        let answer = self.admin.post(&path, json!({"action": action})).await;
        let now = self.now();
        let expected = if self.model.settle(place, action == "undo", now) { 200 } else { 409 };
        assert_eq!(answer.status, expected, "{action} of {}: {}", place, answer.text);
    }

    async fn toggle(&mut self, place: usize) {
        let key = &self.model.keys[place];
        let (active, path) = (!key.is_active, self.path(place, ""));
        let answer = if key.place == Place::Platform {
            let action = if active { "ACTIVATE" } else { "DEACTIVATE" };
            self.admin.put(&path, json!({"action": action})).await
        } else {
            self.admin.patch(&path, json!({"is_active": active})).await
        };
        assert!(answer.status.is_success(), "{}", answer.text);
        if active && self.model.keys[place].place == Place::Platform {
            self.model.switch_off_platform_keys();
        }
        self.model.keys[place].is_active = active;
    }

    async fn advance(&mut self, micros: i64) {
        self.clock.advance(Duration::from_micros(u64::try_from(micros).unwrap()));
        // Sessions end, and signing in takes no time by this clock.
        if self.now() - self.signed_in_at > 40_000 * SECOND {
            self.sign_in().await;
        }
    }

    async fn sign_in(&mut self) {
        self.admin = self.test.sign_in(ADMIN, PASSWORD, ORG).await;
        self.signed_in_at = self.now();
    }

    /// Everything in memory is gone; what was not written down never was.
    async fn restart(&mut self, orderly: bool) {
        let old = self.test.app.clone();
        if orderly {
            usage::flush_all(old.keyring(), old.db()).await.unwrap();
            self.figures.restarts += 1;
        } else {
            self.figures.crashes += 1;
        }
        self.model.forget_unwritten();
        self.unwritten = false;
        let seed = self.random.random();
        let db = testing::connect_by(&self.url, self.clock.clone(), seed).await;
        let app = App::new(Parts {
            config: old.config().clone(),
            db,
            blobs: old.blobs().clone(),
            peppers: Peppers::only(Pepper::new(&Zeroizing::new([7; 32]))),
            sandbox: old.sandbox().clone(),
        });
        app.keyring().catch_up(app.db()).await.unwrap();
        self.test.replace(app);
        old.db().close().await;
        self.sign_in().await;
    }

    /// Tries the secrets, and compares.
    async fn compare(&mut self, did: Step) {
        let now = self.now();
        let mut wanted = Vec::new();
        for (place, key) in self.model.keys.iter().enumerate() {
            // Using the new secret begins an overlap; so often it is left alone.
            let begins = key.begins_overlap() && self.random.random_range(0..4) > 0;
            for secret in key.secrets().filter(|secret| !(begins && *secret == key.current)) {
                wanted.push((place, secret.to_owned(), key.answer(secret, now)));
            }
        }
        for secret in self.model.gone.iter().rev().take(3) {
            let works_at = secret.0;
            let answer = self.call(works_at, &secret.1).await;
            assert_eq!(answer, "key_unknown", "{did:?}: of a key that is gone");
        }
        for (place, secret, expected) in wanted {
            let works_at = self.model.keys[place].place;
            let answer = self.call(works_at, &secret).await;
            self.figures.tried += 1;
            self.figures.worked += usize::from(expected.is_empty());
            let off = self.model.keys[place].previous.as_ref().map(|previous| previous.until - now);
            assert_eq!(
                answer,
                expected,
                "after {did:?}, {} µs before the end: {:?}; so far {}",
                off.unwrap_or_default(),
                self.model.keys[place],
                self.figures
            );
            let key = &mut self.model.keys[place];
            if expected.is_empty() && secret == key.current && key.begins_overlap() {
                key.note_first_use(now);
                self.unwritten = true;
            }
        }
        if self.unwritten && self.random.random_range(0..6) > 0 {
            // As upkeep does within a second.
            let app = &self.test.app;
            usage::flush(app.keyring(), app.db()).await.unwrap();
            self.model.write_down();
            self.unwritten = false;
        }
    }

    /// What a program is told that sends this secret: nothing if it works.
    async fn call(&self, place: Place, secret: &str) -> String {
        let (path, works) = place.works_at();
        loop {
            let answer = self.test.key(secret).get(path).await;
            if answer.status == works {
                return String::new();
            }
            if answer.code() != "keys_unavailable" {
                return answer.code().to_owned();
            }
            // The machine stood still for longer than keys are trusted without looking.
            self.test.app.keyring().catch_up(self.test.app.db()).await.unwrap();
        }
    }

    /// The versions and the ends that the server tells are those of the model.
    async fn compare_lists(&self) {
        for (place, key) in self.model.keys.iter().enumerate() {
            let told = self.admin.get(&self.path(place, "")).await.body;
            assert_eq!(told["is_active"], key.is_active, "{told} {key:?}");
            let until = key.previous.as_ref().map(|previous| previous.until);
            let until = until.filter(|until| *until > self.now());
            if let Some(until) = until {
                let until = Timestamp::from_micros(until).to_string();
                assert_eq!(told["previous_secret_until"], json!(until), "{told} {key:?}");
            }
        }
    }
}

fn secret(body: &Value) -> String {
    body["key"].as_str().or(body["api_key"].as_str()).unwrap().to_owned()
}

fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

/// Proves ROT-01 and ROT-02: an overlap ends at its microsecond, also across restarts, and at every moment
/// exactly those secrets work that are promised to.
#[tokio::test]
#[expect(clippy::print_stdout, reason = "the figures of a long run")]
async fn every_secret_works_exactly_as_long_as_promised() {
    let rotations = usize::try_from(setting("KEYDOCK_ROTATIONS", 60)).unwrap();
    let seed = setting("KEYDOCK_SEED", rand::random::<u32>().into());
    println!("seed {seed}");
    let mut world = World::new(seed).await;
    while world.figures.rotations < rotations {
        let step = world.choose();
        world.step(step).await;
        world.compare(step).await;
        if world.figures.steps.is_multiple_of(20) && !world.unwritten {
            world.compare_lists().await;
        }
    }
    println!("{}", world.figures);
}
