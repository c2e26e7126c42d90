//! New secrets for old, for keys of every kind: overlaps, who still uses the old one, and the way back.

#![expect(clippy::unwrap_used, reason = "a test says so by failing")]

mod harness;

use std::time::Duration;

use axum::{
    body::Body,
    http::{Method, Request},
};
use harness::{Answer, Client, TestApp};
use keydock_server::Error;
use keydock_storage::db::args;
use serde_json::{Value, json};

const TENANT: &str = "/api/v1/unstract/mock_org/";
const WHOAMI: &str = "/api/v1/unstract/whoami/";
const CALL: &str = "/deployment/api/mock_org/invoices/";

/// A kind of key: where its keys are, how one is made, and where one works.
struct Kind {
    name: &'static str,
    /// The path of one key, with `{id}` in it.
    path: String,
    make: (String, Value),
    works_at: &'static str,
    works: u16,
}

impl Kind {
    fn at(&self, id: &str, what: &str) -> String {
        format!("{}{what}", self.path.replace("{id}", id))
    }
}

/// Every kind, in a world with one deployment.
async fn kinds(admin: &Client) -> Vec<Kind> {
    let definition = "fields: [{key: total, type: currency, rule: {label: Total}}]";
    let body = json!({"workflow_name": "w", "definition": definition});
    let made = admin.post(&format!("{TENANT}workflow/"), body).await;
    let body = json!({"workflow": made.body["id"], "api_name": "invoices"});
    let made = admin.post(&format!("{TENANT}api/deployment/"), body).await;
    let deployment = made.body["id"].as_str().unwrap();
    let kind = |name, keys: &str, of: &str, body, works_at, works| Kind {
        name,
        path: format!("{TENANT}{keys}{{id}}/"),
        make: (format!("{TENANT}{keys}{of}"), body),
        works_at,
        works,
    };
    let named = json!({"name": "k", "description": "k"});
    let mut all = named.clone();
    all["allow_all_deployments"] = true.into();
    let of_deployment = format!("api/{deployment}/");
    let deployment_key = json!({"description": "k"});
    vec![
        kind("platform", "platform/keys/", "", json!({"is_active": true}), WHOAMI, 200),
        kind("platform api", "platform-api/keys/", "", named, WHOAMI, 200),
        kind("deployment", "api/keys/", &of_deployment, deployment_key, CALL, 400),
        kind("org deployment", "global-api-deployment/keys/", "", all, CALL, 400),
    ]
}

struct World {
    app: TestApp,
    admin: Client,
    kind: Kind,
    id: String,
    secret: String,
}

impl World {
    /// One for each kind, with a key of it.
    async fn each() -> Vec<Self> {
        let mut worlds = Vec::new();
        for nth in 0..4 {
            let app = TestApp::start().await;
            let admin = app.admin().await;
            let kind = kinds(&admin).await.swap_remove(nth);
            let made = admin.post(&kind.make.0, kind.make.1.clone()).await;
            assert_eq!(made.status, 201, "{}: {}", kind.name, made.text);
            let id = made.body["id"].as_str().unwrap().to_owned();
            let secret = secret(&made.body);
            worlds.push(Self { app, admin, kind, id, secret });
        }
        worlds
    }

    async fn rotate(&self, mut how: Value) -> String {
        let rotated = if self.kind.name == "platform" {
            how["id"] = self.id.as_str().into();
            self.admin.put(&format!("{TENANT}platform/keys/"), how).await
        } else {
            self.admin.post(&self.kind.at(&self.id, "rotate/"), how).await
        };
        assert!(rotated.status.is_success(), "{}: {}", self.kind.name, rotated.text);
        assert_eq!(rotated.body["id"], json!(self.id), "the id stays");
        secret(&rotated.body)
    }

    /// What a program gets that sends this secret: nothing if it works, otherwise the reason.
    async fn call(&self, secret: &str, agent: &str) -> String {
        let request = Request::get(self.kind.works_at).header("user-agent", agent);
        let request = request.body(Body::empty()).unwrap();
        let mut client = self.app.key(secret);
        // A program stays where it is.
        client.ip = [10, 9, 0, agent.bytes().fold(0, u8::wrapping_add)].into();
        let answer = client.request(request).await;
        if answer.status == self.kind.works { String::new() } else { answer.code().to_owned() }
    }

    async fn usage(&self) -> Value {
        let told = self.admin.get(&self.kind.at(&self.id, "usage/")).await;
        assert_eq!(told.status, 200, "{}: {}", self.kind.name, told.text);
        told.body
    }

    async fn settle(&self, action: &str) -> (u16, Value) {
        let path = self.kind.at(&self.id, "rotation/");
        let answer = self.admin.post(&path, json!({"action": action})).await;
        (answer.status.as_u16(), answer.body)
    }

    fn advance(&self, seconds: u64) {
        self.app.app.db().clock().advance(Duration::from_secs(seconds));
    }
}

/// Sends a request that can be sent again.
async fn send(client: &Client, method: Method, path: &str, body: &Value, name: &str) -> Answer {
    let request = Request::builder().method(method).uri(path);
    let request =
        request.header("content-type", "application/json").header("idempotency-key", name);
    client.request(request.body(Body::from(body.to_string())).unwrap()).await
}

fn secret(body: &Value) -> String {
    body["key"].as_str().or(body["api_key"].as_str()).unwrap().to_owned()
}

const WORKS: &str = "";

/// Proves ROT-01 and ROT-03: an overlap ends when it was said to, also across a restart.
#[tokio::test]
async fn an_overlap_ends_on_the_second() {
    for mut world in World::each().await {
        let fresh = world.rotate(json!({"grace_seconds": 60})).await;
        assert_eq!(world.call(&world.secret, "a").await, WORKS, "{}", world.kind.name);
        assert_eq!(world.call(&fresh, "a").await, WORKS);
        world.advance(30);
        world.app.restart().await;
        world.advance(28);
        assert_eq!(world.call(&world.secret, "a").await, WORKS, "not a second early");
        world.advance(2);
        assert_eq!(world.call(&world.secret, "a").await, "key_rotated_out", "and not one late");
        assert_eq!(world.call(&fresh, "a").await, WORKS);
    }
}

/// Proves ROT-04: the overlap begins with the first use of the new secret.
#[tokio::test]
async fn an_overlap_may_begin_with_the_first_use() {
    for world in World::each().await {
        let how = json!({"grace_seconds": 60, "overlap_from": "first_use"});
        let fresh = world.rotate(how).await;
        world.advance(7_200);
        assert_eq!(world.call(&world.secret, "old").await, WORKS, "{}", world.kind.name);
        assert_eq!(world.call(&fresh, "new").await, WORKS);
        let told = world.usage().await;
        assert_eq!((&told["version"], &told["previous_version"]), (&json!(2), &json!(1)));
        world.advance(58);
        assert_eq!(world.call(&world.secret, "old").await, WORKS);
        world.advance(2);
        assert_eq!(world.call(&world.secret, "old").await, "key_rotated_out");
        assert_eq!(world.call(&fresh, "new").await, WORKS);
    }
}

#[tokio::test]
async fn an_overlap_that_nobody_begins_ends_after_thirty_days() {
    for world in World::each().await.into_iter().take(1) {
        world.rotate(json!({"grace_seconds": 60, "overlap_from": "first_use"})).await;
        world.advance(30 * 86_400 - 2);
        assert_eq!(world.call(&world.secret, "old").await, WORKS);
        world.advance(3);
        assert_eq!(world.call(&world.secret, "old").await, "key_rotated_out");
    }
}

/// Proves ROT-04: callers move one by one, and the meter shows who is left.
#[tokio::test]
async fn the_meter_shows_who_has_moved() {
    for world in World::each().await {
        for agent in ["ci", "shop", "shop"] {
            world.call(&world.secret, agent).await;
        }
        let fresh = world.rotate(json!({"grace_seconds": 3600})).await;
        let told = world.usage().await;
        assert_eq!(told["callers_of_previous"], 2, "{}: {told}", world.kind.name);
        assert_eq!(told["recent_uses"], 3, "what a deletion would hit");
        world.call(&fresh, "ci").await;
        let told = world.usage().await;
        let callers: Vec<String> = told["callers"]
            .as_array()
            .unwrap()
            .iter()
            .map(|c| format!("{} {} {}", c["secret_state"], c["agent"], c["uses"]))
            .collect();
        let moved = [r#""current" "ci" 1"#, r#""previous" "shop" 2"#, r#""previous" "ci" 1"#];
        assert_eq!(callers, moved, "{told}");
        assert_eq!(told["last_caller"]["agent"], "ci");
        assert_eq!(told["use_count"], 4);
        assert_eq!(told["hours"].as_array().unwrap().len(), 1);
        if world.kind.works_at == CALL {
            assert_eq!(told["callers"][0]["deployment"], "invoices");
        }
    }
}

/// Proves ROT-04: a rotation that went wrong is taken back.
#[tokio::test]
async fn a_rotation_is_undone_while_the_old_secret_works() {
    for world in World::each().await {
        let fresh = world.rotate(json!({"grace_seconds": 60})).await;
        let (status, key) = world.settle("undo").await;
        assert_eq!(status, 200, "{}: {key}", world.kind.name);
        assert_eq!(key["version"], 1);
        assert_eq!(key["previous_secret_until"], Value::Null);
        assert!(key.to_string().contains(&world.secret[32..]), "the old one's last four: {key}");
        assert_eq!(world.call(&fresh, "a").await, "key_rotated_out");
        world.advance(120);
        assert_eq!(world.call(&world.secret, "a").await, WORKS, "for good");
        assert_eq!(world.settle("undo").await.0, 409, "once");
        let third = world.rotate(json!({})).await;
        assert_eq!(world.usage().await["version"], 3, "numbers are not given twice");
        assert_eq!(world.call(&third, "a").await, WORKS);
        assert_eq!(world.settle("undo").await.0, 409, "without an overlap there is no way back");
    }
}

#[tokio::test]
async fn an_overlap_is_ended_early() {
    for world in World::each().await {
        let fresh = world.rotate(json!({"grace_seconds": 3600})).await;
        assert_eq!(world.settle("finish").await.0, 200);
        assert_eq!(world.call(&world.secret, "a").await, "key_rotated_out", "{}", world.kind.name);
        assert_eq!(world.call(&fresh, "a").await, WORKS);
        assert_eq!(world.settle("finish").await.0, 409);
        let wrong = world.admin.post(&world.kind.at(&world.id, "rotation/"), json!({})).await;
        assert_eq!(wrong.body["errors"][0]["attr"], "action");
    }
}

/// Proves AUD-05: a key has a record of its last use, with address and program.
#[tokio::test]
async fn the_last_use_is_on_record() {
    for world in World::each().await {
        world.call(&world.secret, "shop/1.0").await;
        world.usage().await;
        let key = world.admin.get(&world.kind.at(&world.id, "")).await.body;
        assert_eq!(key["last_used_agent"], "shop/1.0", "{}: {key}", world.kind.name);
        assert!(key["last_used_ip"].as_str().unwrap().starts_with("10."));
        assert_eq!(key["use_count"], 1);
    }
}

const NAME: &str = "5b0c5a4e-8f3a-4bb1-9b0e-0d6a2f1c7e55";

/// Proves ROT-05 and KEY-03: a lost answer is given again, for ten minutes and to the same caller only,
/// and what is kept for that holds no secret.
#[tokio::test]
async fn a_lost_answer_is_given_again() {
    for world in World::each().await {
        let (method, path, body) = if world.kind.name == "platform" {
            let path = format!("{TENANT}platform/keys/");
            (Method::PUT, path, json!({"id": world.id, "grace_seconds": 60}))
        } else {
            (Method::POST, world.kind.at(&world.id, "rotate/"), json!({"grace_seconds": 60}))
        };
        let rotate = async |client: &Client, name: &str| {
            send(client, method.clone(), &path, &body, name).await
        };
        let first = rotate(&world.admin, NAME).await;
        assert!(first.status.is_success(), "{}: {}", world.kind.name, first.text);
        let again = rotate(&world.admin, NAME).await;
        assert_eq!((again.status, &again.body), (first.status, &first.body));
        assert_eq!(again.header("cache-control"), "no-store");
        assert_eq!(world.usage().await["version"], 2, "rotated once");
        assert_eq!(world.call(&secret(&again.body), "a").await, WORKS);

        let sql = "SELECT sealed || request || id FROM sealed_answers";
        let kept: Vec<String> = world
            .app
            .app
            .read(async |tx| Ok::<_, Error>(tx.fetch_all(sql, args![]).await?))
            .await
            .unwrap();
        assert_eq!(kept.len(), 1);
        for text in [secret(&first.body), NAME.to_owned()] {
            assert!(!kept[0].contains(&text) && !kept[0].contains(&hex::encode(&text)));
        }

        let mut other = body.clone();
        other["grace_seconds"] = 61.into();
        let refused = send(&world.admin, method.clone(), &path, &other, NAME).await;
        assert_eq!(refused.status, 400, "{}", refused.text);
        assert_eq!(refused.body["errors"][0]["attr"], "Idempotency-Key");
        let short = rotate(&world.admin, "short").await;
        assert_eq!(short.body["errors"][0]["attr"], "Idempotency-Key", "{}", short.text);

        let somebody = world.app.member("bea@test.example", "admin").await;
        let theirs = rotate(&somebody, NAME).await;
        assert_ne!(theirs.body, first.body, "another caller asked something else");
        world.advance(601);
        let late = rotate(&world.admin, NAME).await;
        assert_ne!(secret(&late.body), secret(&first.body), "after ten minutes it is forgotten");
    }
}

/// Proves ROT-05 for keys that are made.
#[tokio::test]
async fn a_key_is_made_once() {
    for world in World::each().await {
        let (path, mut new) = world.kind.make.clone();
        if let Some(name) = new.get_mut("name") {
            *name = "another".into();
        }
        world.admin.delete(&format!("{TENANT}platform/keys/{}/", world.id)).await;
        let first = send(&world.admin, Method::POST, &path, &new, NAME).await;
        let again = send(&world.admin, Method::POST, &path, &new, NAME).await;
        assert_eq!(first.status, 201, "{}: {}", world.kind.name, first.text);
        assert_eq!(first.body, again.body);
        assert_eq!(again.status, 201);
    }
}
