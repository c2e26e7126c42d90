//! Keys that end soon, and keys that nobody uses, for keys of every kind.

#![expect(clippy::unwrap_used, reason = "what is wrong in a test should stop it")]

mod harness;

use std::time::Duration;

use futures_util::future::try_join_all;
use harness::{Client, TestApp};
use keydock_core::time::Timestamp;
use keydock_server::{App, access::usage, config::Settings, key_hygiene};
use serde_json::{Value, json};

const TENANT: &str = "/api/v1/unstract/mock_org/";
const WHOAMI: &str = "/api/v1/unstract/whoami/";
const CALL: &str = "/deployment/api/mock_org/invoices/";
const DAY: Duration = Duration::from_hours(24);

struct World {
    app: TestApp,
    admin: Client,
    webhook: String,
    deployment: String,
}

/// A key of some kind.
struct Key {
    kind: &'static str,
    path: String,
    secret: String,
}

const PLATFORM_API: &str = "platform_api_key";
const DEPLOYMENT: &str = "deployment_key";
const ORG_DEPLOYMENT: &str = "org_deployment_key";

/// The kinds that may be made with an end, and any number of them.
const KINDS: [&str; 3] = [PLATFORM_API, DEPLOYMENT, ORG_DEPLOYMENT];

fn text(body: &Value, name: &str) -> String {
    body[name].as_str().unwrap_or_else(|| panic!("no {name} in {body}")).to_owned()
}

impl World {
    async fn new() -> Self {
        Self::with(Settings::default()).await
    }

    async fn with(settings: Settings) -> Self {
        // Years pass in these tests.
        let settings = Settings { session_age_seconds: Some(5_000 * 86_400), ..settings };
        let app = TestApp::start_with(settings).await;
        let admin = app.admin().await;
        let definition = "fields: [{key: total, type: currency, rule: {label: Total}}]";
        let body = json!({"workflow_name": "w", "definition": definition});
        let made = admin.post(&format!("{TENANT}workflow/"), body).await;
        let body = json!({"workflow": made.body["id"], "api_name": "invoices"});
        let made = admin.post(&format!("{TENANT}api/deployment/"), body).await;
        let deployment = text(&made.body, "id");
        let first = admin.get(&format!("{TENANT}api/keys/api/{deployment}/")).await.body;
        let first = format!("{TENANT}api/keys/{}/", text(&first[0], "id"));
        assert_eq!(admin.delete(&first).await.status, 204);
        let body = json!({"url": "https://hooks.example.com/"});
        let made = admin.post(&format!("{TENANT}webhooks/"), body).await;
        let webhook = text(&made.body, "id");
        Self { app, admin, webhook, deployment }
    }

    async fn make(&self, kind: &'static str, name: &str, more: Value) -> Key {
        let (keys, of) = match kind {
            PLATFORM_API => ("platform-api/keys/", String::new()),
            DEPLOYMENT => ("api/keys/", format!("api/{}/", self.deployment)),
            _ => ("global-api-deployment/keys/", String::new()),
        };
        let mut new = json!({"description": name});
        if kind != DEPLOYMENT {
            new["name"] = name.into();
        }
        if kind == ORG_DEPLOYMENT {
            new["allow_all_deployments"] = true.into();
        }
        new.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let made = self.admin.post(&format!("{TENANT}{keys}{of}"), new).await;
        assert_eq!(made.status, 201, "{kind}: {}", made.text);
        let path = format!("{TENANT}{keys}{}/", text(&made.body, "id"));
        let secret = made.body["key"].as_str().or(made.body["api_key"].as_str()).unwrap();
        Key { kind, path, secret: secret.to_owned() }
    }

    fn now(&self) -> Timestamp {
        self.app.app.db().clock().now()
    }

    fn advance(&self, by: Duration) {
        self.app.app.db().clock().advance(by);
    }

    fn go_to(&self, at: Timestamp) {
        self.advance(at.since(self.now()));
    }

    /// What the server does every few minutes, on several nodes at once.
    async fn look(&self, nodes: &[App]) {
        let nodes = nodes.iter().chain([&self.app.app]);
        try_join_all(nodes.map(key_hygiene::look_after)).await.unwrap();
    }

    /// The same server three times anew, and another node beside it.
    async fn restart_and_look(&mut self) {
        for _ in 0..3 {
            usage::flush_all(self.app.app.keyring(), self.app.app.db()).await.unwrap();
            let before = self.app.app.clone();
            self.app.restart().await;
            self.admin = self.app.with(self.admin.credential.clone());
            self.look(&[before]).await;
        }
    }

    async fn get(&self, key: &Key) -> Value {
        let answer = self.admin.get(&key.path).await;
        assert_eq!(answer.status, 200, "{}", answer.text);
        answer.body
    }

    async fn patch(&self, key: &Key, changes: Value) -> Value {
        let answer = self.admin.patch(&key.path, changes).await;
        assert_eq!(answer.status, 200, "{}", answer.text);
        answer.body
    }

    /// The details of the events of this name about a key, oldest first. The webhook must have been told
    /// of as many.
    async fn events(&self, key: &Key, what: &str) -> Vec<Value> {
        let id = key.path.trim_end_matches('/').rsplit('/').next().unwrap();
        let action = format!("{}_{what}", key.kind);
        let path = format!("{TENANT}audit/?action={action}&subject={id}&page_size=100");
        let listed = self.admin.get(&path).await;
        let mut events = listed.body["results"].as_array().unwrap().clone();
        events.reverse();
        for event in &events {
            assert_eq!(event["actor_kind"], "server", "{event}");
        }
        let path = format!("{TENANT}webhooks/{}/deliveries/", self.webhook);
        let told = self.admin.get(&path).await;
        let event_type = format!("{}.{what}", key.kind);
        let is_it = |delivery: &&Value| {
            delivery["event_type"] == event_type && delivery["body"].to_string().contains(id)
        };
        let told = told.body.as_array().unwrap().iter().filter(is_it).count();
        assert_eq!(told, events.len(), "{event_type}");
        events.into_iter().map(|event| event["detail"].clone()).collect()
    }

    async fn reminded(&self, key: &Key) -> Vec<i64> {
        let events = self.events(key, "expiring").await;
        events.iter().map(|detail| detail["days"].as_i64().unwrap()).collect()
    }

    /// Warnings, and how often it was switched off.
    async fn dormancy(&self, key: &Key) -> (usize, usize) {
        let warned = self.events(key, "dormancy_warned").await;
        (warned.len(), self.events(key, "dormancy_disabled").await.len())
    }

    /// What a program gets that uses a key: nothing if it works, otherwise the reason.
    async fn call(&self, key: &Key) -> String {
        let (at, works) = if key.kind == PLATFORM_API || key.kind == PLATFORM {
            (WHOAMI, 200)
        } else {
            (CALL, 400)
        };
        let answer = self.app.key(&key.secret).get(at).await;
        if answer.status == works { String::new() } else { answer.code().to_owned() }
    }

    async fn set_dormancy(&self, days: Value) -> Value {
        let path = format!("{TENANT}organization/");
        let answer = self.admin.patch(&path, json!({"dormant_after_days": days})).await;
        assert_eq!(answer.status, 200, "{}", answer.text);
        answer.body["organization"].clone()
    }
}

const PLATFORM: &str = "platform_key";

/// Proves ROT-06: at 30, 14, 7 and 1 days, each once, whatever ends and however many nodes look.
#[tokio::test]
async fn an_end_is_reminded_of_four_times() {
    let mut world = World::new().await;
    let end = world.now().after(40 * DAY);
    let mut keys = Vec::new();
    for kind in KINDS {
        keys.push(world.make(kind, "ends", json!({"expires_at": end.to_string()})).await);
    }
    let forever = world.make(PLATFORM_API, "for ever", json!({})).await;
    world.look(&[]).await;
    let mut so_far = Vec::new();
    for days in [30, 14, 7, 1] {
        let boundary = end.before(days * DAY);
        world.go_to(boundary.before(Duration::from_mins(1)));
        world.restart_and_look().await;
        for key in &keys {
            assert_eq!(world.reminded(key).await, so_far, "{}: too early", key.kind);
        }
        world.go_to(boundary);
        world.restart_and_look().await;
        so_far.push(i64::from(days));
        for key in &keys {
            assert_eq!(world.reminded(key).await, so_far, "{}", key.kind);
            let reminder = &world.get(key).await["expiry_reminder"];
            assert_eq!(reminder["days"], days, "{}", key.kind);
            let at: Timestamp = text(reminder, "at").parse().unwrap();
            assert!(at >= boundary && at < end);
        }
    }
    world.go_to(end.after(DAY));
    world.restart_and_look().await;
    for key in &keys {
        assert_eq!(world.reminded(key).await, so_far, "{}: it has ended", key.kind);
    }
    assert_eq!(world.reminded(&forever).await.len(), 0);
    let told = world.events(&keys[0], "expiring").await;
    assert_eq!((&told[0]["key_name"], &told[0]["expires_at"]), (&json!("ends"), &json!(end)));
}

/// Proves ROT-06 for keys that are made late, and for ends that are moved.
#[tokio::test]
async fn what_is_past_is_passed_over_and_another_end_begins_anew() {
    let world = World::new().await;
    let start = world.now();
    let end = |days: u32| json!({"expires_at": start.after(days * DAY).to_string()});
    let short = world.make(PLATFORM_API, "short", end(10)).await;
    let moved = world.make(DEPLOYMENT, "moved", end(5)).await;
    let soon = start.after(Duration::from_hours(12)).to_string();
    let ends_at_once = world.make(PLATFORM_API, "at once", json!({"expires_at": soon})).await;
    for _ in 0..4 {
        world.look(&[]).await;
        world.advance(DAY);
    }
    assert_eq!(world.reminded(&short).await, [7]);
    assert_eq!(world.reminded(&ends_at_once).await.len(), 0);
    assert_eq!(world.reminded(&moved).await.len(), 0);
    world.look(&[]).await;
    assert_eq!(world.reminded(&moved).await, [1]);

    let changed = world.patch(&moved, end(20)).await;
    assert_eq!(changed["expiry_reminder"], Value::Null, "that was another end");
    let same = world.patch(&short, json!({"description": "changed"})).await;
    assert_eq!(same["expiry_reminder"]["days"], 7, "the end stays");
    // Sent back as it was got.
    let got = world.get(&short).await;
    assert_eq!(world.patch(&short, got).await["expiry_reminder"]["days"], 7);
    for _ in 0..20 {
        world.advance(DAY);
        world.look(&[]).await;
    }
    assert_eq!(world.reminded(&moved).await, [1, 14, 7, 1]);
    assert_eq!(world.reminded(&short).await, [7, 1]);
}

#[tokio::test]
async fn nobody_is_reminded_of_a_key_that_does_not_work() {
    let world = World::new().await;
    let end = world.now().after(10 * DAY).to_string();
    let key = world.make(PLATFORM_API, "off", json!({"expires_at": end})).await;
    let never = world.make(PLATFORM_API, "taken away", json!({"expires_at": end})).await;
    world.patch(&key, json!({"is_active": false})).await;
    world.patch(&never, json!({"expires_at": null})).await;
    world.advance(4 * DAY);
    world.look(&[]).await;
    assert_eq!(world.reminded(&key).await.len(), 0);
    world.patch(&key, json!({"is_active": true})).await;
    world.look(&[]).await;
    assert_eq!(world.reminded(&key).await.len(), 0, "what is past is past");
    world.advance(5 * DAY);
    world.look(&[]).await;
    assert_eq!(world.reminded(&key).await, [1]);
    assert_eq!(world.reminded(&never).await.len(), 0);
}

/// Proves ROT-07: one warning, then switched off and not deleted, on again in one call; and nothing of
/// that for keys in use, though their uses are only in memory.
#[tokio::test]
async fn a_key_that_nobody_uses_is_switched_off() {
    let mut world = World::new().await;
    let mut idle = Vec::new();
    let mut used = Vec::new();
    for kind in KINDS {
        idle.push(world.make(kind, "idle", json!({})).await);
        used.push(world.make(kind, "in use", json!({})).await);
    }
    for day in 1..=95 {
        world.advance(DAY);
        if day % 25 == 0 {
            for key in &used {
                assert_eq!(world.call(key).await, "");
            }
        }
        if day % 10 == 0 || day == 76 || day == 90 {
            world.restart_and_look().await;
        } else {
            world.look(&[]).await;
        }
        for key in &idle {
            let expected = (usize::from(day >= 76), usize::from(day >= 90));
            assert_eq!(world.dormancy(key).await, expected, "{} on day {day}", key.kind);
            let shown = world.get(key).await;
            assert_eq!(shown["is_active"], day < 90);
            assert_eq!(shown["dormancy_warned_at"].is_string(), (76..90).contains(&day));
            assert_eq!(shown["disabled_reason"].is_string(), day >= 90);
        }
    }
    for key in &used {
        assert_eq!(world.dormancy(key).await, (0, 0), "{}", key.kind);
        assert_eq!(world.call(key).await, "");
    }
    for key in &idle {
        assert_eq!(world.get(key).await["disabled_reason"], "dormant");
        assert_eq!(world.call(key).await, "key_inactive");
        let again = world.patch(key, json!({"is_active": true})).await;
        assert_eq!(again["disabled_reason"], Value::Null);
        assert_eq!(again["dormancy_warned_at"], Value::Null);
        assert_eq!(world.call(key).await, "", "{}", key.kind);
    }
    world.advance(75 * DAY);
    world.look(&[]).await;
    assert_eq!(world.dormancy(&idle[0]).await, (1, 1), "its time began anew");
    world.advance(DAY);
    world.look(&[]).await;
    assert_eq!(world.dormancy(&idle[0]).await, (2, 1));
}

/// Proves ROT-07 where a key is switched on again and not used at all.
#[tokio::test]
async fn switching_a_key_on_begins_its_time_anew() {
    let world = World::new().await;
    let key = world.make(PLATFORM_API, "idle", json!({})).await;
    world.advance(70 * DAY);
    world.patch(&key, json!({"is_active": false})).await;
    assert_eq!(world.get(&key).await["disabled_reason"], Value::Null, "it was an admin");
    world.advance(30 * DAY);
    world.look(&[]).await;
    assert_eq!(world.dormancy(&key).await, (0, 0), "what is off cannot be used");
    world.patch(&key, json!({"is_active": true})).await;
    world.advance(75 * DAY);
    world.look(&[]).await;
    assert_eq!(world.dormancy(&key).await, (0, 0));
    world.advance(DAY);
    world.look(&[]).await;
    assert_eq!(world.dormancy(&key).await, (1, 0));
    // A use after the warning, of which only the memory of this node knows.
    world.advance(14 * DAY);
    assert_eq!(world.call(&key).await, "");
    world.advance(Duration::from_mins(1));
    world.look(&[]).await;
    assert_eq!(world.dormancy(&key).await, (1, 0), "a key used a minute ago is not dormant");
    assert_eq!(world.get(&key).await["dormancy_warned_at"], Value::Null);
}

/// Proves ROT-07 for the two platform keys of an organization.
#[tokio::test]
async fn an_unused_platform_key_is_deactivated() {
    let world = World::new().await;
    let keys = format!("{TENANT}platform/keys/");
    let id = text(&world.admin.get(&keys).await.body[0], "id");
    let idle = world.admin.post(&keys, json!({})).await;
    let path = format!("{keys}{id}/");
    let secret = world.app.platform_key.clone();
    let key = Key { kind: PLATFORM, path: path.clone(), secret };
    let second = format!("{keys}{}/", text(&idle.body, "id"));
    let second = Key { kind: PLATFORM, path: second, secret: text(&idle.body, "key") };
    world.advance(80 * DAY);
    world.look(&[]).await;
    assert_eq!(world.dormancy(&key).await, (1, 0));
    assert!(world.get(&key).await["dormancy_warned_at"].is_string());
    world.advance(14 * DAY);
    world.look(&[]).await;
    assert_eq!(world.dormancy(&key).await, (1, 1));
    assert_eq!(world.dormancy(&second).await, (0, 0), "the other slot is idle as it should be");
    let shown = world.get(&key).await;
    let expected = (&json!("dormant"), &json!(false));
    assert_eq!((&shown["disabled_reason"], &shown["is_active"]), expected);

    let program = world.app.key(&key.secret);
    let refused = program.get(WHOAMI).await;
    assert_eq!((refused.status.as_u16(), refused.code()), (401, "key_inactive"));
    let why = "switched off because nobody had used it for long. An administrator of the \
               organization can activate it.";
    assert!(refused.text.contains(why), "{}", refused.text);
    let request = refused.header("x-request-id");
    let explained = world.admin.get(&format!("{TENANT}requests/{request}/explain/")).await;
    assert!(explained.body["reason"].as_str().unwrap().contains(why), "{}", explained.text);

    let on = world.admin.put(&path, json!({"action": "ACTIVATE"})).await;
    assert_eq!(on.status, 201, "{}", on.text);
    assert_eq!(program.get(WHOAMI).await.status, 200);
    assert_eq!(world.get(&key).await["disabled_reason"], Value::Null);
}

/// Proves ROT-07 for a server that was away: nothing is switched off that nobody was warned about.
#[tokio::test]
async fn nothing_is_switched_off_unwarned() {
    let world = World::new().await;
    let key = world.make(DEPLOYMENT, "idle", json!({})).await;
    world.advance(500 * DAY);
    world.look(&[]).await;
    assert_eq!(world.dormancy(&key).await, (1, 0));
    world.advance(13 * DAY);
    world.look(&[]).await;
    assert_eq!(world.dormancy(&key).await, (1, 0));
    world.advance(DAY);
    let warned = world.events(&key, "dormancy_warned").await;
    let until: Timestamp = text(&warned[0], "disabled_from").parse().unwrap();
    assert!(until <= world.now(), "it was said when");
    world.look(&[]).await;
    assert_eq!(world.dormancy(&key).await, (1, 1));
}

#[tokio::test]
async fn an_organization_says_how_long_its_keys_may_go_unused() {
    let settings = Settings { dormant_after_days: Some(0), ..Settings::default() };
    let world = World::with(settings).await;
    let key = world.make(PLATFORM_API, "idle", json!({})).await;
    world.advance(400 * DAY);
    world.look(&[]).await;
    assert_eq!(world.dormancy(&key).await, (0, 0), "the server has it off");

    let (used, used_at) = (world.make(PLATFORM_API, "used", json!({})).await, world.now());
    assert_eq!(world.call(&key).await, "");
    let set = world.set_dormancy(json!(10)).await;
    assert_eq!(
        (&set["dormant_after_days"], &set["dormant_warning_days"]),
        (&json!(10), &json!(14))
    );
    world.go_to(used_at.after(5 * DAY).before(Duration::from_hours(1)));
    world.look(&[]).await;
    assert_eq!(world.dormancy(&used).await, (0, 0), "half of the time passes in any case");
    world.advance(Duration::from_hours(2));
    world.look(&[]).await;
    assert_eq!(world.dormancy(&used).await, (1, 0));
    assert_eq!(world.set_dormancy(json!(0)).await["dormant_after_days"], 0);
    world.advance(100 * DAY);
    world.look(&[]).await;
    assert_eq!(world.dormancy(&used).await, (1, 0));
    world.set_dormancy(json!(10)).await;
    assert_eq!(world.set_dormancy(Value::Null).await["dormant_after_days"], 0);

    let path = format!("{TENANT}organization/");
    for wrong in [json!(-1), json!(3_651), json!("soon"), json!([])] {
        let refused = world.admin.patch(&path, json!({"dormant_after_days": wrong})).await;
        assert_eq!(refused.body["errors"][0]["attr"], "dormant_after_days", "{}", refused.text);
    }
    let changed = world.admin.get(&format!("{TENANT}audit/?action=organization_changed")).await;
    assert_eq!(changed.body["count"], 4, "{}", changed.text);
}
