//! What admins are told of requests that were refused.

mod harness;

use std::time::Duration;

use axum::{body::Body, http::Request};
use harness::{Answer, Client, TestApp};
use serde_json::{Value, json};

const TENANT: &str = "/api/v1/unstract/mock_org/";
const UNKNOWN: &str = "00000000-0000-4000-8000-000000000000";

async fn explain(admin: &Client, answer: &Answer) -> Value {
    let id = answer.header("x-request-id");
    let told = admin.get(&format!("{TENANT}requests/{id}/explain/")).await;
    assert_eq!(told.status, 200, "{} after {}", told.text, answer.text);
    assert_eq!(told.body["request_id"], id);
    assert_eq!(told.body["code"], answer.code());
    assert_eq!(told.body["status"], answer.status.as_u16());
    told.body
}

/// Proves VER-01 for admins: every refusal can be looked up, with the key if it was genuine.
#[tokio::test]
async fn every_refusal_can_be_looked_up() {
    let app = TestApp::start().await;
    let admin = app.admin().await;
    let slots = format!("{TENANT}platform/keys/");
    let idle = admin.post(&slots, json!({})).await.body;
    let tiered = format!("{TENANT}platform-api/keys/");
    let create = async |limits: Value| {
        let mut new = json!({"name": limits.to_string(), "description": "x", "permission": "read"});
        new.as_object_mut().unwrap().extend(limits.as_object().unwrap().clone());
        let made = admin.post(&tiered, new).await;
        assert_eq!(made.status, 201, "{}", made.text);
        made.body
    };
    let past = app.app.db().clock().now().before(Duration::from_secs(9)).to_string();
    let expired = create(json!({"expires_at": past})).await;
    let elsewhere = create(json!({"allowed_ips": ["203.0.113.9"]})).await;
    let limited = create(json!({"rate_limit": {"requests": 1, "window_seconds": 3600}})).await;
    let reader = create(json!({})).await;
    let workflows = format!("{TENANT}workflow/");
    let get = async |key: &Value| {
        let client = app.key(key["key"].as_str().unwrap());
        let request = Request::get(&workflows).header("user-agent", "shop/1.0");
        client.request(request.body(Body::empty()).unwrap()).await
    };
    get(&limited).await;
    for (key, code) in [
        (&idle, "key_inactive"),
        (&expired, "key_expired"),
        (&elsewhere, "key_address"),
        (&limited, "rate_limited"),
    ] {
        let refused = get(key).await;
        assert_eq!(refused.code(), code, "{}", refused.text);
        let told = explain(&admin, &refused).await;
        assert_eq!(told["key"]["id"], key["id"], "{told}");
        assert_eq!(told["path"], workflows);
        assert_eq!(told["agent"], "shop/1.0");
        assert!(told["ip"].as_str().unwrap().starts_with("10."));
    }
    let reading = app.key(reader["key"].as_str().unwrap());
    let told = explain(&admin, &reading.post(&workflows, json!({})).await).await;
    assert_eq!((&told["code"], &told["key"]["id"]), (&json!("insufficient_scope"), &reader["id"]));
    let told = explain(&admin, &reading.get("/deployment/api/mock_org/x/").await).await;
    assert_eq!((&told["code"], &told["key"]["kind"]), (&json!("key_kind"), &json!("platform_api")));
    // What is answered in front of the router is kept as well.
    let told = explain(&admin, &reading.get("/forward-auth?tier=full_access").await).await;
    assert_eq!((&told["code"], &told["key"]["id"]), (&json!("insufficient_scope"), &reader["id"]));
    let spent = app.key(limited["key"].as_str().unwrap());
    let told = explain(&admin, &spent.get("/api/v1/unstract/whoami/").await).await;
    assert_eq!((&told["code"], &told["key"]["id"]), (&json!("rate_limited"), &limited["id"]));

    for stranger in [app.nobody(), app.key(UNKNOWN)] {
        let told = explain(&admin, &stranger.get(&workflows).await).await;
        assert_eq!(told["key"], Value::Null);
        assert!(!told["reason"].as_str().unwrap().is_empty());
    }
    let member = app.member("uma@test.example", "user").await;
    let told = explain(&admin, &member.get(&slots).await).await;
    assert_eq!(told["code"], "forbidden");
}

/// Proves TEN-01 for explanations: a key's refusal is its organization's business, wherever it was sent.
#[tokio::test]
async fn others_learn_nothing() {
    let app = TestApp::start().await;
    let admin = app.admin().await;
    let (outsider, _) = app.other_org("globex").await;
    let refused = app.platform().get("/api/v1/unstract/globex/workflow/").await;
    assert_eq!(refused.code(), "key_of_other_organization");
    let told = explain(&app.admin().await, &refused).await;
    assert_eq!(told["key"]["name"], "Key #1");
    let id = refused.header("x-request-id");
    let theirs = outsider.get(&format!("/api/v1/unstract/globex/requests/{id}/explain/")).await;
    assert_eq!(theirs.status, 404, "{}", theirs.text);
    let unknown = admin.get(&format!("{TENANT}requests/{UNKNOWN}/explain/")).await;
    assert_eq!(unknown.status, 404);
    let fine = app.platform().get(&format!("{TENANT}workflow/")).await;
    let path = format!("{TENANT}requests/{}/explain/", fine.header("x-request-id"));
    assert_eq!(admin.get(&path).await.status, 404, "what was not refused is not kept");
}

/// Proves VER-04 for explanations: a key in a path is not kept.
#[tokio::test]
async fn a_key_in_a_path_is_not_kept() {
    let app = TestApp::start().await;
    let admin = app.admin().await;
    let path = format!("{TENANT}workflow/{}/", app.platform_key);
    let refused = app.nobody().get(&path).await;
    let told = explain(&admin, &refused).await;
    assert_eq!(told["path"], format!("{TENANT}workflow/[key]/"));
}

#[tokio::test]
async fn after_a_week_it_is_forgotten() {
    let app = TestApp::start().await;
    let refused = app.nobody().get(&format!("{TENANT}workflow/")).await;
    explain(&app.admin().await, &refused).await;
    let forget = async || {
        app.app.write(async |tx| keydock_server::refusals::forget_old(tx).await).await.unwrap();
    };
    app.app.db().clock().advance(Duration::from_hours(7 * 24 - 1));
    forget().await;
    explain(&app.admin().await, &refused).await;
    app.app.db().clock().advance(Duration::from_hours(2));
    forget().await;
    let id = refused.header("x-request-id");
    let gone = app.admin().await.get(&format!("{TENANT}requests/{id}/explain/")).await;
    assert_eq!(gone.status, 404);
}
