//! The pepper is replaced while keys are used.

#![expect(clippy::unwrap_used, reason = "what is wrong in a test should stop it")]

mod harness;

use std::{
    fs,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use axum::{
    body::Body,
    http::{Request, header},
};
use harness::{ADMIN, Client, PASSWORD, TestApp};
use keydock_core::secret::PepperId;
use keydock_engine::sandbox::{Limits, Sandbox};
use keydock_server::{
    App,
    access::System,
    audit_log::verify,
    backup, bootstrap,
    bootstrap::StartError,
    config::{Config, Settings},
    jobs,
    peppers::{self, PepperError},
};
use keydock_storage::testing;
use serde_json::{Value, json};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use zeroize::Zeroizing;

const ORG: &str = "/api/v1/unstract/mock_org/";
const PLATFORM: &str = "/api/v1/unstract/mock_org/platform/keys/";
const WHOAMI: &str = "/api/v1/unstract/whoami/";
const CALL: &str =
    "/deployment/api/mock_org/api/?execution_id=00000000-0000-4000-8000-000000000000";
const DEFINITION: &str = "fields:\n  - key: total\n    type: number\n    rule: {label: Total}\n";

/// A server as an operator has it, with files of its own.
struct World {
    test: TestApp,
    config: Config,
    dir: tempfile::TempDir,
    node: CancellationToken,
}

async fn config(dir: &tempfile::TempDir, name: &str) -> Config {
    let data = dir.path().join(name);
    fs::create_dir_all(&data).unwrap();
    let settings = Settings {
        database: Some(testing::fresh(&data).await),
        data: Some(data),
        admin_user: Some(ADMIN.to_owned()),
        admin_password: Some(Zeroizing::new(PASSWORD.to_owned())),
        ..Settings::default()
    };
    settings.check().unwrap()
}

async fn open(config: &Config) -> Result<(App, CancellationToken), StartError> {
    let sandbox = Sandbox::new(Limits::default()).unwrap();
    let app = bootstrap::open(config.clone(), sandbox).await?;
    bootstrap::first_start(&app).await?;
    app.keyring().catch_up(app.db()).await.unwrap();
    let stop = CancellationToken::new();
    tokio::spawn(jobs::start(app.clone(), stop.clone()));
    Ok((app, stop))
}

impl World {
    async fn new() -> Self {
        let mut test = TestApp::start().await;
        let dir = tempfile::tempdir().unwrap();
        let config = config(&dir, "first").await;
        let (app, node) = open(&config).await.unwrap();
        let first = fs::read_to_string(config.credentials_file()).unwrap();
        let first = first.lines().find_map(|line| line.strip_prefix("PLATFORM_KEY=")).unwrap();
        first.clone_into(&mut test.platform_key);
        test.replace(app);
        Self { test, config, dir, node }
    }

    async fn restart(&mut self) {
        self.node.cancel();
        let (app, node) = open(&self.config).await.unwrap();
        self.test.replace(app);
        self.node = node;
    }

    fn app(&self) -> &App {
        &self.test.app
    }

    /// Keys of one deployment.
    async fn keys(&self, count: usize) -> Vec<(String, String)> {
        let admin = self.test.admin().await;
        let flow = json!({"workflow_name": "flow", "definition": DEFINITION});
        let flow = admin.post(&format!("{ORG}workflow/"), flow).await.body["id"].clone();
        let api = json!({"workflow": flow, "api_name": "api"});
        let api = admin.post(&format!("{ORG}api/deployment/"), api).await.body["id"].clone();
        let path = format!("{ORG}api/keys/api/{}/", api.as_str().unwrap());
        let mut keys = Vec::new();
        for n in 0..count {
            let made = admin.post(&path, json!({"description": format!("key {n}")})).await;
            assert_eq!(made.status, 201, "{}", made.text);
            let text = |name: &str| made.body[name].as_str().unwrap().to_owned();
            keys.push((text("id"), text("api_key")));
        }
        keys
    }

    /// As `keydock pepper rotate` does.
    async fn rotate(&self) -> PepperId {
        let id = bootstrap::add_pepper(&self.config.pepper_file).unwrap().id();
        let db = self.app().db();
        peppers::wait_until_known(db, id, Duration::from_mins(1)).await.unwrap();
        let file = bootstrap::peppers_in(&self.config.pepper_file).unwrap();
        peppers::make_current(db, &System::operator(), &file, id).await.unwrap();
        while self.app().pepper().id() != id {
            sleep(Duration::from_millis(20)).await;
        }
        id
    }

    async fn needing(&self, id: PepperId) -> usize {
        let (operator, id) = (System::operator(), id.to_string());
        let found = self.app().read(async |tx| peppers::unmoved(tx, &operator, &id, 1_000).await);
        found.await.unwrap().len()
    }

    /// Waits until that many things that work need a pepper.
    async fn wait_until_needed_by(&self, id: PepperId, count: usize) {
        while self.needing(id).await != count {
            sleep(Duration::from_millis(20)).await;
        }
    }

    async fn retire(&self, id: PepperId, revoke: bool) -> Result<u64, PepperError> {
        let (db, operator) = (self.app().db(), System::operator());
        let set = bootstrap::peppers_for(&self.config, db).await?;
        let name = id.to_string();
        while revoke && peppers::revoke_some(db, &operator, &set, &name).await? > 0 {}
        let sessions = peppers::retire(db, &operator, &set, &name, revoke).await?;
        bootstrap::remove_pepper(&self.config.pepper_file, id)?;
        Ok(sessions)
    }

    async fn works(&self, secret: &str) -> bool {
        let called = self.test.key(secret).get(CALL).await;
        assert!([401, 404].contains(&called.status.as_u16()), "{}", called.text);
        called.status == 404
    }

    async fn chain_is_whole(&self) -> bool {
        let peppers = bootstrap::present_peppers(&self.config, self.app().db()).await.unwrap();
        let operator = System::operator();
        let verify = async |tx: &mut _| verify::verify(tx, &operator, &peppers, None).await;
        let report = self.app().read(verify).await.unwrap();
        assert!(report.seals_checked, "{report:?}");
        report.is_whole()
    }
}

/// Proves KEY-07: keys go on working while the pepper is replaced under load and a server restarts in
/// the middle, and every key that is used moves.
#[tokio::test(flavor = "multi_thread")]
async fn the_pepper_is_replaced_under_load() {
    let mut world = World::new().await;
    let old = world.app().pepper().id();
    let keys = world.keys(24).await;
    let secrets: Vec<String> = keys.iter().map(|(_, secret)| secret.clone()).collect();
    let (second, second_stop) = open(&world.config).await.unwrap();
    let (asked, stop) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(false)));
    let mut hammers = Vec::new();
    let mut hammer = |client: Client| {
        let (asked, stop) = (Arc::clone(&asked), Arc::clone(&stop));
        hammers.push(tokio::spawn(async move {
            let mut refused = Vec::new();
            while !stop.load(Ordering::Relaxed) {
                let answer = client.get(CALL).await;
                if answer.status != 404 {
                    refused.push(answer.text);
                }
                asked.fetch_add(1, Ordering::Relaxed);
            }
            refused
        }));
    };
    for secret in &secrets[..20] {
        hammer(world.test.key(secret));
    }
    let first = world.app().clone();
    world.test.replace(second);
    for secret in &secrets[..20] {
        hammer(world.test.key(secret));
    }
    world.test.replace(first);
    let new = world.rotate().await;
    // A node that starts now takes part.
    let third = open(&world.config).await.unwrap();
    world.test.replace(third.0.clone());
    for secret in &secrets[..20] {
        hammer(world.test.key(secret));
    }
    world.node.cancel();
    world.node = third.1;
    world.wait_until_needed_by(old, 6).await;
    assert!(
        world.works(&secrets[20]).await && world.test.platform().get(WHOAMI).await.status == 200
    );
    world.wait_until_needed_by(old, 4).await;
    stop.store(true, Ordering::Relaxed);
    for hammer in hammers {
        let refused = hammer.await.unwrap();
        assert!(refused.is_empty(), "{} refused: {}", refused.len(), refused[0]);
    }
    assert!(asked.load(Ordering::Relaxed) > 100);
    second_stop.cancel();

    assert_eq!(world.needing(new).await, 22);
    assert!(world.chain_is_whole().await, "seals of both peppers");
    let admin = world.test.admin().await;
    let listed = admin.get(&format!("{ORG}api/keys/{}/", keys[0].0)).await;
    assert!(listed.status == 200, "the id of a key does not change");

    // What was not used is not taken away by accident.
    assert!(matches!(world.retire(old, false).await, Err(PepperError::Needed { count: 4, .. })));
    assert!(world.works(&secrets[21]).await);
    world.wait_until_needed_by(old, 3).await;
    world.retire(old, true).await.unwrap();
    world.restart().await;
    for secret in &secrets[..22] {
        assert!(world.works(secret).await);
    }
    assert!(!world.works(&secrets[22]).await && !world.works(&secrets[23]).await);
    assert!(world.chain_is_whole().await, "the seals of a retired pepper are vouched for");
    let events = world.test.admin().await.get(&format!("{ORG}audit/?subject={}", keys[23].0)).await;
    assert!(events.text.contains("pepper_retired"), "{}", events.text);
}

/// Proves KEY-07: a wrong pepper, or one too few, keeps the server from starting, and it says so.
#[tokio::test]
async fn a_server_does_not_start_without_the_peppers_that_it_needs() {
    let world = World::new().await;
    world.keys(2).await;
    let old = world.app().pepper().id();
    world.rotate().await;
    let path = &world.config.pepper_file;
    let both = fs::read_to_string(path).unwrap();
    let lines: Vec<&str> = both.lines().collect();
    world.node.cancel();
    fs::write(path, lines[1]).unwrap();
    let error = open(&world.config).await.unwrap_err();
    assert!(
        matches!(&error, StartError::MissingPepper { id, secrets: 4, .. } if *id == old.to_string()),
        "{error}"
    );
    fs::write(path, lines[0]).unwrap();
    assert!(matches!(open(&world.config).await, Err(StartError::OtherPepper { .. })));
    fs::write(path, "ab".repeat(32)).unwrap();
    assert!(matches!(open(&world.config).await, Err(StartError::OtherPepper { .. })));
    fs::write(path, format!("{}\n{}\n", lines[1], lines[0])).unwrap();
    open(&world.config).await.unwrap().1.cancel();
}

/// A node that cannot follow keeps the others from going ahead.
#[tokio::test]
async fn the_pepper_is_not_replaced_before_every_server_has_it() {
    let world = World::new().await;
    let old = world.app().pepper().id();
    let mut apart = world.config.clone();
    apart.pepper_file = world.dir.path().join("apart");
    apart.revocation_journal = world.dir.path().join("apart.journal");
    fs::copy(&world.config.pepper_file, &apart.pepper_file).unwrap();
    let (other, stop) = open(&apart).await.unwrap();
    let id = bootstrap::add_pepper(&world.config.pepper_file).unwrap().id();
    let known = |wait| peppers::wait_until_known(world.app().db(), id, Duration::from_secs(wait));
    assert!(matches!(known(3).await, Err(PepperError::NotEverywhere { .. })));
    fs::copy(&world.config.pepper_file, &apart.pepper_file).unwrap();
    known(60).await.unwrap();
    assert_eq!((world.app().pepper().id(), other.pepper().id()), (old, old));
    stop.cancel();
}

async fn once(client: &Client, name: &str) -> harness::Answer {
    let request = Request::post(PLATFORM)
        .header(header::CONTENT_TYPE, "application/json")
        .header("idempotency-key", name)
        .body(Body::from("{}"));
    client.request(request.unwrap()).await
}

/// What else is made with the pepper goes on as well.
#[tokio::test]
async fn sign_ins_lost_answers_webhooks_and_reports_survive_a_new_pepper() {
    let world = World::new().await;
    let (admin, keys) = (world.test.admin().await, world.keys(4).await);
    let webhook = json!({"url": "https://example.com/hook", "event_types": ["*"]});
    let webhook = admin.post(&format!("{ORG}webhooks/"), webhook).await;
    assert_eq!(webhook.status, 201, "{}", webhook.text);
    let before = once(&admin, "a-name-of-a-request").await;
    assert_eq!(before.status, 201, "{}", before.text);
    let old = world.app().pepper().id();
    world.rotate().await;
    assert_eq!(admin.get(PLATFORM).await.status, 200, "the session goes on");
    let again = once(&admin, "a-name-of-a-request").await;
    assert_eq!((again.status, again.text), (before.status, before.text), "the same answer");

    // Reported, given up and rotated before they moved.
    let nobody = world.test.nobody();
    let reported = nobody.post("/api/v1/report-leaked-key", json!({"key": keys[0].1})).await;
    assert_eq!(reported.status, 202);
    while world.works(&keys[0].1).await {
        sleep(Duration::from_millis(20)).await;
    }
    let rotated = format!("{ORG}api/keys/{}/rotate/", keys[1].0);
    let rotated = admin.post(&rotated, json!({"grace_seconds": 3600})).await;
    assert_eq!(rotated.status, 200, "{}", rotated.text);
    assert!(world.works(&keys[1].1).await, "the secret before works in the overlap");
    assert!(world.works(rotated.body["api_key"].as_str().unwrap()).await);
    // One deployment key, and both platform keys, were not used; a webhook follows from its pepper.
    let left = |kind: &'static str| {
        let world = &world;
        async move {
            let (operator, id) = (System::operator(), old.to_string());
            let all = world.app().read(async |tx| peppers::unmoved(tx, &operator, &id, 100).await);
            all.await.unwrap().iter().filter(|one| one.kind == kind).count()
        }
    };
    while left("deployment").await != 3 {
        // The one that is made with the deployment, and two of four.
        sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(left("webhook").await, 1);
    let id = webhook.body["id"].as_str().unwrap();
    let rotated = admin.post(&format!("{ORG}webhooks/{id}/rotate/"), json!({})).await;
    assert!(rotated.status.is_success(), "{}", rotated.text);
    assert_eq!(left("webhook").await, 0, "a new secret follows from the new pepper");
}

/// A backup from before a key moved does not take the key away, and revives none either.
#[tokio::test]
async fn a_backup_from_before_is_restored_with_the_peppers_that_it_needs() {
    let mut world = World::new().await;
    let keys = world.keys(3).await;
    let file = world.dir.path().join("backup.tar");
    backup::back_up(world.app().db(), world.app().blobs(), &file).await.unwrap();
    let old = world.app().pepper().id();
    world.rotate().await;
    assert!(world.works(&keys[0].1).await && world.works(&keys[1].1).await);
    // The first key of the deployment, one that was not used, and the platform key.
    world.wait_until_needed_by(old, 3).await;
    let admin = world.test.admin().await;
    admin.delete(&format!("{ORG}api/keys/{}/", keys[1].0)).await;
    world.node.cancel();

    let second = config(&world.dir, "second").await;
    fs::create_dir_all(second.pepper_file.parent().unwrap()).unwrap();
    let journal = world.config.revocation_journal.clone();
    let both = fs::read_to_string(&world.config.pepper_file).unwrap();
    fs::write(&second.pepper_file, both.lines().nth(1).unwrap()).unwrap();
    let refused = backup::restore(&second, &file, Some(&journal)).await.unwrap_err().to_string();
    assert!(refused.contains(&old.to_string()), "{refused}");
    fs::write(&second.pepper_file, both).unwrap();
    let restored = backup::restore(&second, &file, Some(&journal)).await.unwrap();
    assert_eq!((restored.revoked_keys_closed, restored.quarantined_keys), (1, None));
    world.config = second;
    world.restart().await;
    assert!(world.works(&keys[0].1).await, "it moved and was not revoked");
    assert!(!world.works(&keys[1].1).await, "it moved and was revoked");
    assert!(world.works(&keys[2].1).await);
    assert!(world.chain_is_whole().await);
    let status: Value = world.test.platform().get(WHOAMI).await.body;
    assert_eq!(status["organization_id"], "mock_org");
}
