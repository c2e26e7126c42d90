//! Who reaches for what only an admin may do.

use serde_json::{Value, json};

use crate::harness::{Client, TestApp};

const AUDIT: &str = "/api/v1/unstract/mock_org/audit/?action=administration_refused&page_size=1000";
const KEYS: &str = "/api/v1/unstract/mock_org/platform/keys/";

async fn refusals(admin: &Client) -> Vec<Value> {
    admin.get(AUDIT).await.body["results"].as_array().unwrap().clone()
}

#[tokio::test]
async fn a_refused_administrative_act_is_an_event() {
    let app = TestApp::start().await;
    let admin = app.admin().await;
    let member = app.member("uma@test.example", "user").await;
    assert!(refusals(&admin).await.is_empty());

    member.post(KEYS, json!({"key_name": "mine"})).await;
    app.platform().delete(&format!("{KEYS}0198c3f2-a7c8-7b0e-8f1d-2c3b4a596877/")).await;
    member.post("/api/v1/organization/create", json!({})).await;
    let events = refusals(&admin).await;
    let seen: Vec<_> = events
        .iter()
        .map(|event| (event["actor_kind"].as_str().unwrap(), event["subject_id"].as_str().unwrap()))
        .collect();
    assert_eq!(
        seen,
        [
            ("user", "POST /api/v1/organization/create"),
            (
                "platform_key",
                "DELETE /api/v1/unstract/mock_org/platform/keys/0198c3f2-a7c8-7b0e-8f1d-2c3b4a596877/"
            ),
            ("user", "POST /api/v1/unstract/mock_org/platform/keys/"),
        ]
    );
    assert_eq!(events[2]["actor_name"], "uma@test.example");
    assert_eq!(events[2]["detail"]["reason"], "forbidden");
    assert_eq!(events[2]["ip"], member.ip.to_string());
    assert!(!events[2]["request_id"].as_str().unwrap().is_empty());
}

/// Who did not prove anything makes no events.
#[tokio::test]
async fn strangers_leave_no_events() {
    let app = TestApp::start().await;
    let admin = app.admin().await;
    for stranger in [app.nobody(), app.key("00000000-0000-4000-8000-000000000000")] {
        stranger.post(KEYS, json!({})).await;
        stranger.get(KEYS).await;
    }
    assert!(refusals(&admin).await.is_empty());
}

#[tokio::test]
async fn nobody_can_fill_the_log_with_refusals() {
    let app = TestApp::start().await;
    let admin = app.admin().await;
    let member = app.member("uma@test.example", "user").await;
    let other = app.member("ida@test.example", "user").await;
    for _ in 0..60 {
        assert_eq!(member.get(KEYS).await.status, 403);
    }
    let written = refusals(&admin).await.len();
    assert!((10..25).contains(&written), "ten, and a few if this machine is slow: {written}");
    other.get(KEYS).await;
    assert_eq!(refusals(&admin).await[0]["actor_name"], "ida@test.example", "others are heard");
}

/// A key in the place of an id does not get into the log.
#[tokio::test]
async fn a_key_in_the_path_is_not_written_down() {
    let app = TestApp::start().await;
    let admin = app.admin().await;
    let member = app.member("uma@test.example", "user").await;
    assert_eq!(member.get(&format!("{KEYS}{}/", app.platform_key)).await.status, 403);
    let events = refusals(&admin).await;
    assert_eq!(events[0]["subject_id"], "GET /api/v1/unstract/mock_org/platform/keys/[key]/");
}
