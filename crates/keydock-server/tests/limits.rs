//! Keys that work until a certain time, from certain places, and so often.

#![expect(clippy::unwrap_used, reason = "a test says so by failing")]

mod harness;

use std::{
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use axum::{body::Body, http::Request};
use futures_util::future::join_all;
use harness::{Answer, Client, TestApp};
use keydock_server::config::Settings;
use serde_json::{Value, json};

const KEYS: &str = "/api/v1/unstract/mock_org/platform-api/keys/";
const WHOAMI: &str = "/api/v1/unstract/whoami/";
const WORKFLOWS: &str = "/api/v1/unstract/mock_org/workflow/";

async fn create(admin: &Client, limits: Value) -> (String, String) {
    static UNIQUE: AtomicU32 = AtomicU32::new(0);
    let name = format!("key {}", UNIQUE.fetch_add(1, Ordering::Relaxed));
    let mut new = json!({"name": name, "description": "limited", "permission": "full_access"});
    new.as_object_mut().unwrap().extend(limits.as_object().unwrap().clone());
    let made = admin.post(KEYS, new).await;
    assert_eq!(made.status, 201, "{}", made.text);
    let text = |name: &str| made.body[name].as_str().unwrap().to_owned();
    (format!("{KEYS}{}/", text("id")), text("key"))
}

fn assert_refused(answer: &Answer, status: u16, code: &str) {
    assert_eq!((answer.status.as_u16(), answer.code()), (status, code), "{}", answer.text);
}

/// The number after `name=` in the first item of a structured field.
fn parameter(field: &str, name: &str) -> u64 {
    let item = field.split(',').next().unwrap();
    let value = item.split(';').find_map(|pair| pair.trim().strip_prefix(&format!("{name}=")));
    value.unwrap_or_else(|| panic!("no {name} in {field}")).parse().unwrap()
}

#[tokio::test]
async fn a_key_ends_when_it_was_said_to() {
    let app = TestApp::start().await;
    let admin = app.admin().await;
    let now = app.app.db().clock().now();
    let end = now.after(Duration::from_hours(1)).to_string();
    let (path, secret) = create(&admin, json!({"expires_at": end})).await;
    let fine = app.key(&secret).get(WHOAMI).await;
    assert_eq!(fine.status, 200);
    assert_eq!(fine.header("keydock-key-expires"), end);
    assert_eq!(admin.get(&path).await.body["expires_at"], json!(end));

    let past = now.before(Duration::from_secs(1)).to_string();
    admin.patch(&path, json!({"expires_at": past})).await;
    assert_refused(&app.key(&secret).get(WHOAMI).await, 401, "key_expired");
    admin.patch(&path, json!({"expires_at": null})).await;
    let forever = app.key(&secret).get(WHOAMI).await;
    assert_eq!((forever.status.as_u16(), forever.header("keydock-key-expires")), (200, ""));
}

/// Proves VER-10 for keys themselves: the address counts that a trusted proxy saw, not one that the
/// client made up.
#[tokio::test]
async fn a_key_works_from_its_networks_only() {
    let settings =
        Settings { trusted_proxies: Some(vec!["192.0.2.0/24".to_owned()]), ..Settings::default() };
    let app = TestApp::start_with(settings).await;
    let admin = app.admin().await;
    let networks = json!({"allowed_ips": ["203.0.113.0/24", "2001:db8::/32", "192.0.2.77"]});
    let (_, secret) = create(&admin, networks).await;
    let from = async |peer: &str, forwarded: &str| {
        let mut client = app.key(&secret);
        client.ip = peer.parse().unwrap();
        let request = Request::get(WHOAMI).header("x-forwarded-for", forwarded);
        let answer = client.request(request.body(Body::empty()).unwrap()).await;
        (answer.status.as_u16(), answer.code().to_owned())
    };
    let fine = (200, String::new());
    let refused = (403, "key_address".to_owned());
    assert_eq!(from("203.0.113.9", "").await, fine);
    assert_eq!(from("2001:db8:1::1", "").await, fine);
    assert_eq!(from("::ffff:203.0.113.9", "").await, fine, "IPv4 in the clothes of IPv6");
    assert_eq!(from("198.51.100.1", "").await, refused);
    assert_eq!(from("198.51.100.1", "203.0.113.9").await, refused, "a stranger speaks for himself");
    assert_eq!(from("192.0.2.1", "203.0.113.9").await, fine, "a proxy speaks for others");
    assert_eq!(from("192.0.2.1", "203.0.113.9, 198.51.100.1").await, refused, "the nearest counts");
    assert_eq!(from("192.0.2.1", "198.51.100.1, 203.0.113.9").await, fine);
    assert_eq!(from("2001:db9::1", "").await, refused);
}

/// Proves RL-03: the fields tell what is left, and who waits for as long as they say is let in.
#[tokio::test]
async fn a_rate_limit_is_told_and_kept() {
    let app = TestApp::start().await;
    let admin = app.admin().await;
    let limit = json!({"rate_limit": {"requests": 3, "window_seconds": 5}});
    let (_, secret) = create(&admin, limit).await;
    let program = app.key(&secret);
    for left in [2, 1, 0] {
        let fine = program.get(WORKFLOWS).await;
        assert_eq!(fine.status, 200, "{}", fine.text);
        assert_eq!(fine.header("ratelimit-policy"), r#""rate";q=3;w=5"#);
        assert_eq!(parameter(fine.header("ratelimit"), "r"), left);
    }
    let refused = program.get(WHOAMI).await;
    assert_refused(&refused, 429, "rate_limited");
    let wait: u64 = refused.header("retry-after").parse().unwrap();
    assert!(wait >= parameter(refused.header("ratelimit"), "t"), "{:?}", refused.headers);
    assert_eq!(parameter(refused.header("ratelimit"), "r"), 0);
    tokio::time::sleep(Duration::from_secs(wait)).await;
    assert_eq!(program.get(WHOAMI).await.status, 200);
}

/// Proves RL-01 for one node: however many ask at the same time, no more are let in.
#[tokio::test]
async fn a_rate_limit_holds_under_a_rush() {
    let app = TestApp::start().await;
    let admin = app.admin().await;
    let limit = json!({"rate_limit": {"requests": 50, "window_seconds": 3600}});
    let (path, secret) = create(&admin, limit).await;
    let program = app.key(&secret);
    let rush = || join_all((0..200).map(|_| program.get(WHOAMI)));
    let let_in = |answers: &[Answer]| answers.iter().filter(|answer| answer.status == 200).count();
    assert_eq!(let_in(&rush().await), 50);
    // A new secret is of the same key, and changing something else does not start it afresh.
    admin.patch(&path, json!({"description": "changed"})).await;
    let rotated = admin.post(&format!("{path}rotate/"), json!({"grace_seconds": 60})).await;
    let fresh = app.key(rotated.body["key"].as_str().unwrap());
    assert_refused(&fresh.get(WHOAMI).await, 429, "rate_limited");
    assert_eq!(let_in(&rush().await), 0);
    admin.patch(&path, json!({"rate_limit": {"requests": 51, "window_seconds": 3600}})).await;
    assert_eq!(let_in(&rush().await), 51, "another limit counts by itself");
}

/// Proves RL-05: who has no right to something cannot use up what those have who do.
#[tokio::test]
async fn only_what_is_permitted_is_charged() {
    let app = TestApp::start().await;
    let admin = app.admin().await;
    let limits = json!({
        "permission": "read",
        "rate_limit": {"requests": 2, "window_seconds": 3600},
        "allowed_ips": ["203.0.113.9"],
    });
    let (_, secret) = create(&admin, limits).await;
    let mut holder = app.key(&secret);
    let thief = app.key(&secret);
    holder.ip = "203.0.113.9".parse().unwrap();
    for _ in 0..5 {
        assert_refused(&thief.get(WHOAMI).await, 403, "key_address");
        assert_refused(&holder.post(WORKFLOWS, json!({})).await, 403, "insufficient_scope");
        let foreign = holder.get("/api/v1/unstract/globex/workflow/").await;
        assert_refused(&foreign, 403, "key_of_other_organization");
        assert_eq!(app.nobody().get(WORKFLOWS).await.status, 401);
    }
    assert_eq!(holder.get(WORKFLOWS).await.status, 200);
    assert_eq!(holder.get(WORKFLOWS).await.status, 200);
    assert_refused(&holder.get(WORKFLOWS).await, 429, "rate_limited");
}

#[tokio::test]
async fn a_quota_lasts_for_its_period_and_survives_a_restart() {
    let mut app = TestApp::start().await;
    let admin = app.admin().await;
    let limits = json!({"quota": {"requests": 5, "period": "month"}});
    let (_, secret) = create(&admin, limits).await;
    for left in [4, 3] {
        let fine = app.key(&secret).get(WHOAMI).await;
        assert_eq!(fine.status, 200, "{}", fine.text);
        assert_eq!(fine.header("ratelimit-policy"), r#""quota";q=5;w=2678400"#);
        assert_eq!(parameter(fine.header("ratelimit"), "r"), left);
    }
    app.restart().await;
    for _ in 0..3 {
        assert_eq!(app.key(&secret).get(WHOAMI).await.status, 200);
    }
    let refused = app.key(&secret).get(WHOAMI).await;
    assert_refused(&refused, 429, "quota_exhausted");
    let wait: u64 = refused.header("retry-after").parse().unwrap();
    assert!((1..=31 * 86_400).contains(&wait), "until the next month: {wait}");
}

/// Proves RL-04 for requests: without the database nothing is spent and nothing is let in.
#[tokio::test]
async fn a_quota_that_cannot_be_counted_is_not_given() {
    let app = TestApp::start().await;
    let admin = app.admin().await;
    let (_, secret) = create(&admin, json!({"quota": {"requests": 1000, "period": "day"}})).await;
    app.app.db().close().await;
    let refused = app.key(&secret).get(WHOAMI).await;
    assert!(refused.status.is_server_error() || refused.status == 429, "{}", refused.text);
}

#[tokio::test]
async fn deployment_keys_have_limits_too() {
    let app = TestApp::start().await;
    let admin = app.admin().await;
    let definition = "fields: [{key: total, type: currency, rule: {label: Total}}]";
    let body = json!({"workflow_name": "w", "definition": definition});
    let made = admin.post(WORKFLOWS, body).await;
    let body = json!({"workflow": made.body["id"], "api_name": "invoices"});
    let made = admin.post("/api/v1/unstract/mock_org/api/deployment/", body).await;
    let keys =
        format!("/api/v1/unstract/mock_org/api/keys/api/{}/", made.body["id"].as_str().unwrap());
    let limit = json!({"description": "x", "rate_limit": {"requests": 1, "window_seconds": 3600}});
    let made = admin.post(&keys, limit).await;
    assert_eq!(made.body["rate_limit"], json!({"requests": 1, "window_seconds": 3600}));
    let program = app.key(made.body["api_key"].as_str().unwrap());
    let call = "/deployment/api/mock_org/invoices/";
    assert_eq!(program.get(call).await.status, 400, "its own answer, to a poll without an id");
    assert_refused(&program.get(call).await, 429, "rate_limited");
}

/// Proves AUD-05 and RL-05 for a body that is long in coming: its permission is asked for twice, and it
/// is one use all the same.
#[tokio::test]
async fn a_slow_request_is_counted_once() {
    let app = TestApp::start().await;
    let admin = app.admin().await;
    let limit = json!({"rate_limit": {"requests": 5, "window_seconds": 3600}});
    let (path, secret) = create(&admin, limit).await;
    let body = futures_util::stream::once(async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        Ok::<_, std::io::Error>(json!({"workflow_name": "slow"}).to_string())
    });
    let slow = Request::post(WORKFLOWS).header("content-type", "application/json");
    let made = app.key(&secret).request(slow.body(Body::from_stream(body)).unwrap()).await;
    assert_eq!(made.status, 201, "{}", made.text);
    assert_eq!(parameter(made.header("ratelimit"), "r"), 4);
    let next = app.key(&secret).get(WHOAMI).await;
    assert_eq!(parameter(next.header("ratelimit"), "r"), 3, "not two for the slow one");
    let usage = admin.get(&format!("{path}usage/")).await;
    assert_eq!(usage.body["use_count"], 2, "{}", usage.text);
}
