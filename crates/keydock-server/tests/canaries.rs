//! Canaries: keys that open nothing and tell of whoever presents them.

#![expect(clippy::unwrap_used, reason = "what is wrong in a test should stop it")]

mod harness;

use std::{fmt::Write as _, num::NonZeroU32, time::Duration};

use axum::{
    body::Body,
    http::{Method, Request, header},
};
use harness::{Answer, Client, TestApp};
use keydock_server::{App, canaries, config::Settings};
use serde_json::{Value, json};

const TENANT: &str = "/api/v1/unstract/mock_org/";
const WHOAMI: &str = "/api/v1/unstract/whoami/";
const CALL: &str = "/deployment/api/mock_org/invoices/";
const UNKNOWN: &str = "11111111-1111-4111-8111-111111111111";

struct World {
    app: TestApp,
    admin: Client,
    webhook: String,
    deployment: String,
}

struct Canary {
    kind: &'static str,
    id: String,
    path: String,
    secret: String,
}

const KINDS: [&str; 3] = ["platform_api_key", "deployment_key", "org_deployment_key"];

fn text(body: &Value, name: &str) -> String {
    body[name].as_str().unwrap_or_else(|| panic!("no {name} in {body}")).to_owned()
}

impl World {
    async fn new() -> Self {
        Self::with(Settings::default()).await
    }

    async fn with(settings: Settings) -> Self {
        let app = TestApp::start_with(settings).await;
        let admin = app.admin().await;
        let definition = "fields: [{key: total, type: currency, rule: {label: Total}}]";
        let body = json!({"workflow_name": "w", "definition": definition});
        let made = admin.post(&format!("{TENANT}workflow/"), body).await;
        let body = json!({"workflow": made.body["id"], "api_name": "invoices"});
        let made = admin.post(&format!("{TENANT}api/deployment/"), body).await;
        let deployment = text(&made.body, "id");
        let body = json!({"url": "https://hooks.example.com/", "event_types": ["*"]});
        let made = admin.post(&format!("{TENANT}webhooks/"), body).await;
        let webhook = text(&made.body, "id");
        Self { app, admin, webhook, deployment }
    }

    async fn try_make(&self, kind: &str, more: Value) -> (String, Answer) {
        let (keys, of) = match kind {
            "platform_api_key" => ("platform-api/keys/", String::new()),
            "deployment_key" => ("api/keys/", format!("api/{}/", self.deployment)),
            _ => ("global-api-deployment/keys/", String::new()),
        };
        let mut new = json!({"description": "in the old repository"});
        if kind != "deployment_key" {
            new["name"] = "old ci".into();
        }
        if kind == "org_deployment_key" {
            new["allow_all_deployments"] = true.into();
        }
        new.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let made = self.admin.post(&format!("{TENANT}{keys}{of}"), new).await;
        (format!("{TENANT}{keys}"), made)
    }

    async fn make(&self, kind: &'static str) -> Canary {
        let (keys, made) = self.try_make(kind, json!({"canary": true})).await;
        assert_eq!(made.status, 201, "{kind}: {}", made.text);
        let id = text(&made.body, "id");
        let path = format!("{keys}{id}/");
        let secret = made.body["key"].as_str().or(made.body["api_key"].as_str()).unwrap();
        Canary { kind, id, path, secret: secret.to_owned() }
    }

    async fn get(&self, canary: &Canary) -> Value {
        self.admin.get(&canary.path).await.body
    }

    /// What the server does every second.
    async fn raise(&self) {
        canaries::raise(&self.app.app).await.unwrap();
    }

    /// The alarms of a canary, the oldest first. The webhook was told of as many.
    async fn alarms(&self, canary: &Canary) -> Vec<Value> {
        let mut told = self.told(canary).await;
        let events = self.events(canary).await;
        if told.len() < events.len() {
            // A worker may have raised one between the two looks.
            told = self.told(canary).await;
        }
        assert_eq!(told.len(), events.len(), "{}", canary.kind);
        for shown in told.iter().map(ToString::to_string).chain([json!(events).to_string()]) {
            assert!(!shown.contains(&canary.secret), "no secret is told");
        }
        events
    }

    async fn events(&self, canary: &Canary) -> Vec<Value> {
        let action = format!("{}_canary_used", canary.kind);
        let path = format!("{TENANT}audit/?action={action}&subject={}&page_size=100", canary.id);
        let mut events = self.admin.get(&path).await.body["results"].as_array().unwrap().clone();
        events.reverse();
        events
    }

    /// What the webhook was told of.
    async fn told(&self, canary: &Canary) -> Vec<Value> {
        let path = format!("{TENANT}webhooks/{}/deliveries/", self.webhook);
        let mut told = self.admin.get(&path).await.body.as_array().unwrap().clone();
        let event_type = format!("{}.canary_used", canary.kind);
        told.retain(|delivery| {
            delivery["event_type"] == event_type
                && delivery["body"].to_string().contains(&canary.id)
        });
        told
    }

    fn advance(&self, seconds: u64) {
        self.app.app.db().clock().advance(Duration::from_secs(seconds));
    }
}

/// Method, address, header fields and body.
type Way<'a> = (Method, &'a str, &'a [(&'a str, &'a str)], &'a str);

/// Every way to present a key, each from an address of its own, and how it was answered: all of it, but
/// for what names the request.
async fn presented(world: &World, key: &str) -> String {
    let app = &world.app;
    let bearer = format!("Bearer {key}");
    let platform = format!("Bearer {}", app.platform_key);
    let form = "application/x-www-form-urlencoded";
    let token = format!("token={key}");
    let ways: [Way<'_>; 13] = [
        (Method::GET, WHOAMI, &[("authorization", &bearer)], ""),
        (Method::GET, &format!("{TENANT}workflow/"), &[("authorization", &bearer)], ""),
        (Method::POST, &format!("{TENANT}platform-api/keys/"), &[("authorization", &bearer)], "{}"),
        (Method::GET, "/api/v1/session", &[("authorization", &bearer)], ""),
        (Method::GET, CALL, &[("authorization", &bearer)], ""),
        (Method::POST, CALL, &[("authorization", &bearer)], ""),
        (Method::GET, "/forward-auth", &[("authorization", &bearer)], ""),
        (
            Method::GET,
            "/forward-auth?deployment=invoices",
            &[("authorization", &bearer), ("x-original-uri", "/secret/place?x=1")],
            "",
        ),
        (Method::GET, "/platform_details", &[("authorization", &bearer)], ""),
        (
            Method::POST,
            "/introspect",
            &[("authorization", &bearer), ("content-type", form)],
            &token,
        ),
        (
            Method::POST,
            "/introspect",
            &[("authorization", &platform), ("content-type", form)],
            &token,
        ),
        (Method::POST, "/revoke", &[("content-type", form)], &token),
        (Method::GET, &format!("/cache?key={key}"), &[("authorization", &platform)], ""),
    ];
    let mut told = String::new();
    for (method, path, headers, body) in ways {
        let mut request = Request::builder().method(method.clone()).uri(path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request = request.header(header::USER_AGENT, "a thief's program/1.0");
        let answer = app.nobody().request(request.body(Body::from(body.to_owned())).unwrap()).await;
        let id = answer.header("x-request-id").to_owned();
        let headers: Vec<_> =
            answer.headers.iter().filter(|(name, _)| *name != "x-request-id").collect();
        let path = path.replace(key, "KEY");
        writeln!(told, "{method} {path} {} {headers:?}", answer.status).unwrap();
        writeln!(told, "{}", answer.text.replace(&id, "ID").replace(key, "KEY")).unwrap();
    }
    told
}

/// Proves VER-02 for canaries: whoever presents one sees what they see of a key that does not exist.
#[tokio::test]
async fn a_canary_looks_like_a_key_that_does_not_exist() {
    let world = World::new().await;
    let unknown = presented(&world, UNKNOWN).await;
    assert!(unknown.contains("key_unknown") && unknown.contains("{\"active\":false}"), "{unknown}");
    for kind in KINDS {
        let canary = world.make(kind).await;
        assert_eq!(presented(&world, &canary.secret).await, unknown, "{kind}");
        world.raise().await;
        let alarms = world.alarms(&canary).await;
        assert_eq!(alarms.len(), 1, "{kind}");
        assert_eq!(alarms[0]["detail"]["count"], 13, "whatever way it was presented: {alarms:?}");
        let addresses = alarms[0]["detail"]["addresses"].as_array().unwrap();
        assert_eq!(addresses.len(), 13, "{addresses:?}");
        // Switched off, replaced or gone, it looks no different, and old secrets alarm as well.
        let off = world.admin.patch(&canary.path, json!({"is_active": false})).await;
        assert_eq!(off.status, 200, "{}", off.text);
        assert_eq!(presented(&world, &canary.secret).await, unknown, "{kind}");
        world.admin.patch(&canary.path, json!({"is_active": true})).await;
        let rotated = world.admin.post(&format!("{}rotate/", canary.path), json!({})).await;
        let fresh = rotated.body["key"].as_str().or(rotated.body["api_key"].as_str()).unwrap();
        assert_eq!(presented(&world, &canary.secret).await, unknown, "{kind}");
        assert_eq!(presented(&world, fresh).await, unknown, "{kind}");
        assert_eq!(world.admin.delete(&canary.path).await.status, 204);
        assert_eq!(presented(&world, fresh).await, unknown, "{kind}");
    }
}

/// Proves VER-02 for canaries under a flood: they count as guesses, so nothing differs there either.
#[tokio::test]
async fn presenting_a_canary_counts_as_a_guess() {
    let settings = Settings { guesses_per_minute: NonZeroU32::new(5), ..Settings::default() };
    let world = World::with(settings).await;
    let canary = world.make(KINDS[0]).await;
    let mut codes = Vec::new();
    for key in [UNKNOWN, canary.secret.as_str()] {
        let client = world.app.key(key);
        let mut some = Vec::new();
        for _ in 0..7 {
            let answer = client.get(WHOAMI).await;
            some.push((answer.status.as_u16(), answer.code().to_owned()));
        }
        codes.push(some);
    }
    assert_eq!(codes[0], codes[1]);
    assert_eq!(codes[0][4].1, "key_unknown");
    assert_eq!(codes[0][5].1, "too_many_unknown_keys");
    world.raise().await;
    assert_eq!(world.alarms(&canary).await[0]["detail"]["count"], 7, "all of them are noted");
}

#[tokio::test]
async fn an_alarm_says_where_from_by_what_and_for_what() {
    let world = World::new().await;
    let canary = world.make(KINDS[1]).await;
    let shown = world.get(&canary).await;
    assert_eq!((&shown["canary"], &shown["canary_alarmed_at"]), (&json!(true), &Value::Null));

    let mut thief = world.app.key(&canary.secret);
    thief.ip = [203, 0, 113, 66].into();
    let request = Request::post(format!("{CALL}?x=secret"));
    let request =
        request.header(header::USER_AGENT, "grab/1\u{e9}").header("x-request-id", "it-was-me");
    let refused = thief.request(request.body(Body::empty()).unwrap()).await;
    assert_eq!((refused.status.as_u16(), refused.code()), (401, "key_unknown"));
    let again = thief.get(WHOAMI).await;
    assert_eq!(again.status, 401);
    world.raise().await;

    let alarms = world.alarms(&canary).await;
    assert_eq!(alarms.len(), 1, "{alarms:?}");
    let alarm = &alarms[0];
    assert_eq!((&alarm["ip"], &alarm["actor_kind"]), (&json!("203.0.113.66"), &json!("anonymous")));
    assert_eq!(
        (&alarm["request_id"], &alarm["subject_kind"]),
        (&json!("it-was-me"), &json!("deployment_key"))
    );
    let detail = &alarm["detail"];
    assert_eq!((&detail["path"], &detail["count"]), (&json!(CALL), &json!(2)), "{detail}");
    assert_eq!(detail["description"], "in the old repository");
    assert_eq!(detail["deployment"], world.deployment);
    assert_eq!(detail["last_four"], canary.secret[canary.secret.len() - 4..]);

    let listed = world.admin.get(&format!("{TENANT}api/keys/api/{}/", world.deployment)).await;
    let rows = listed.body.as_array().unwrap();
    let row = rows.iter().find(|row| row["id"] == canary.id).unwrap();
    assert_eq!((&row["canary"], &row["use_count"]), (&json!(true), &json!(2)));
    assert!(row["canary_alarmed_at"].is_string() && row["last_used_at"].is_string(), "{row}");
    assert_eq!(row["last_used_ip"], "203.0.113.66");
    let genuine = rows.iter().find(|row| row["id"] != canary.id).unwrap();
    assert_eq!(genuine["canary"], false);

    // What a gateway is asked about is what somebody asked for.
    world.advance(61);
    let request = Request::get("/forward-auth").header("x-forwarded-uri", "/payroll/?a=b");
    thief.request(request.body(Body::empty()).unwrap()).await;
    world.raise().await;
    assert_eq!(world.alarms(&canary).await[1]["detail"]["path"], "/payroll/");
}

/// A flood on two nodes is one alarm a minute, and none of it is lost.
#[tokio::test]
async fn a_flood_is_one_alarm_a_minute_with_a_count() {
    let mut world = World::new().await;
    let canary = world.make(KINDS[0]).await;
    let first = world.app.app.clone();
    let here = world.app.key(&canary.secret);
    world.app.restart().await;
    let there = world.app.key(&canary.secret);
    world.admin = world.app.with(world.admin.credential.clone());
    let nodes: [App; 2] = [first, world.app.app.clone()];
    let raise = async || {
        let [a, b] = &nodes;
        let (a, b) = tokio::join!(canaries::raise(a), canaries::raise(b));
        a.and(b).unwrap();
    };
    for _ in 0..180 {
        for client in [&here, &there] {
            assert!(client.get(WHOAMI).await.status.is_client_error());
        }
        raise().await;
        world.advance(1);
    }
    let alarms = world.alarms(&canary).await;
    assert!((3..=4).contains(&alarms.len()), "{}", alarms.len());
    for node in &nodes {
        canaries::raise_all(node).await.unwrap();
    }
    let alarms = world.alarms(&canary).await;
    let counted: i64 = alarms.iter().map(|alarm| alarm["detail"]["count"].as_i64().unwrap()).sum();
    assert_eq!(world.get(&canary).await["use_count"], counted);
    assert_eq!(counted, 2 * 180);
}

#[tokio::test]
async fn a_canary_is_silent_when_it_is_off_and_cannot_be_silenced_by_who_finds_it() {
    let world = World::new().await;
    world.app.work();
    let canary = world.make(KINDS[0]).await;
    let report = json!({"key": canary.secret});
    assert_eq!(world.app.nobody().post("/api/v1/report-leaked-key", report).await.status, 202);
    let path = format!("{TENANT}audit/?action=platform_api_key_reported_leaked");
    let mut reported = Value::Null;
    for _ in 0..200 {
        reported = world.admin.get(&path).await.body["results"][0].clone();
        if !reported.is_null() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    assert_eq!(reported["detail"]["effect"], "warned", "{reported}");
    assert_eq!(world.get(&canary).await["is_active"], true);
    world.app.key(&canary.secret).get(WHOAMI).await;
    for _ in 0..200 {
        if !world.alarms(&canary).await.is_empty() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    assert_eq!(world.alarms(&canary).await.len(), 1, "the server raises it by itself");

    world.admin.patch(&canary.path, json!({"is_active": false})).await;
    world.advance(61);
    world.app.key(&canary.secret).get(WHOAMI).await;
    canaries::raise_all(&world.app.app).await.unwrap();
    assert_eq!(world.alarms(&canary).await.len(), 1);
}

#[tokio::test]
async fn a_canary_takes_no_limits_and_stays_one() {
    let world = World::new().await;
    for kind in KINDS {
        for limits in [
            json!({"expires_at": "2100-01-01T00:00:00Z"}),
            json!({"allowed_ips": ["10.0.0.0/8"]}),
            json!({"rate_limit": {"requests": 1, "window_seconds": 1}}),
        ] {
            let mut new = json!({"canary": true});
            new.as_object_mut().unwrap().extend(limits.as_object().unwrap().clone());
            let (_, refused) = world.try_make(kind, new).await;
            assert_eq!(refused.status, 400, "{}", refused.text);
            assert_eq!(refused.body["errors"][0]["attr"], "canary", "{}", refused.text);
        }
        let canary = world.make(kind).await;
        for changes in [json!({"canary": false}), json!({"expires_at": "2100-01-01T00:00:00Z"})] {
            let refused = world.admin.patch(&canary.path, changes).await;
            assert_eq!(refused.status, 400, "{}", refused.text);
            assert_eq!(refused.body["errors"][0]["attr"], "canary", "{}", refused.text);
        }
        let same =
            world.admin.patch(&canary.path, json!({"canary": true, "description": "x"})).await;
        assert_eq!((same.status.as_u16(), &same.body["canary"]), (200, &json!(true)));
    }
    let (keys, plain) = world.try_make(KINDS[0], json!({"name": "plain"})).await;
    let path = format!("{keys}{}/", text(&plain.body, "id"));
    assert_eq!(world.admin.get(&path).await.body["canary"], false);
    assert_eq!(world.admin.patch(&path, json!({"canary": true})).await.status, 400);
    let plain = world.app.key(&text(&plain.body, "key"));
    assert_eq!(plain.get(WHOAMI).await.status, 200);
}
