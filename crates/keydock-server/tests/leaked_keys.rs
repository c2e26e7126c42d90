//! Keys that somebody found, reported by whoever found them.

#![expect(clippy::unwrap_used, reason = "what is wrong in a test should stop it")]

mod harness;

use std::{num::NonZeroU32, time::Duration};

use axum::{
    body::Body,
    http::{Request, header},
};
use harness::{Answer, Client, ORG, TestApp};
use keydock_server::config::Settings;
use serde_json::{Value, json};

const REPORT: &str = "/api/v1/report-leaked-key";
const UNKNOWN: &str = "11111111-1111-4111-8111-111111111111";

async fn start(settings: Settings) -> TestApp {
    let app = TestApp::start_with(settings).await;
    app.work();
    app
}

async fn report(finder: &Client, key: &str) -> Answer {
    finder.post(REPORT, json!({ "key": key })).await
}

/// Asks until it is so; a job has its own pace.
async fn until(mut is_so: impl AsyncFnMut() -> bool) {
    for _ in 0..200 {
        if is_so().await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    panic!("it did not come about");
}

async fn events(app: &TestApp) -> Vec<Value> {
    let audit = format!("/api/v1/unstract/{ORG}/platform/keys/audit/");
    let events = app.admin().await.get(&audit).await.body;
    let leaks = events.as_array().unwrap().iter();
    leaks.filter(|event| event["action"] == "platform_key_reported_leaked").cloned().collect()
}

async fn is_refused(app: &TestApp, key: &str, code: &str) -> bool {
    app.key(key).get("/api/v1/unstract/whoami/").await.code() == code
}

#[tokio::test]
async fn a_found_platform_key_is_stopped_for_whoever_sends_it() {
    let app = start(Settings::default()).await;
    let key = app.platform_key.clone();
    let answer = report(&app.nobody(), &key).await;
    assert_eq!(answer.status, 202, "{}", answer.text);
    until(async || is_refused(&app, &key, "key_inactive").await).await;
    let events = events(&app).await;
    assert_eq!(events.len(), 1);
    assert_eq!(events[0]["actor_kind"], "anonymous");
    assert_eq!(events[0]["detail"]["effect"], "disabled");
    assert_eq!(events[0]["detail"]["last_four"], key[key.len() - 4..]);
    assert!(!events[0].to_string().contains(&key));
}

/// Proves VER-02 for reports: what does not exist looks like what does.
#[tokio::test]
async fn the_answer_says_nothing_about_the_key() {
    let app = start(Settings::default()).await;
    let mut answers = Vec::new();
    for key in [app.platform_key.as_str(), UNKNOWN, "kdp_nonsense", "", "ü"] {
        let Answer { status, headers, text, .. } = report(&app.nobody(), key).await;
        let names: Vec<String> = headers.keys().map(ToString::to_string).collect();
        answers.push((status, names, text));
    }
    assert!(answers.windows(2).all(|pair| pair[0] == pair[1]), "{answers:?}");
    let nothing = app.nobody().post(REPORT, json!({})).await;
    assert_eq!((nothing.status.as_u16(), nothing.code()), (400, "invalid"));
    let more = app.nobody().post(REPORT, json!({"key": UNKNOWN, "name": "me"})).await;
    assert_eq!(more.status, 400, "it asks for nothing but the key");
}

/// Proves VER-07 for reports: they count as guesses do, and a count tells nothing either.
#[tokio::test]
async fn reports_are_counted_whatever_they_report() {
    let few = Settings { guesses_per_minute: NonZeroU32::new(2), ..Settings::default() };
    let app = start(few).await;
    for key in [app.platform_key.as_str(), UNKNOWN] {
        let finder = app.nobody();
        for _ in 0..2 {
            assert_eq!(report(&finder, key).await.status, 202);
        }
        let refused = report(&finder, key).await;
        assert_eq!((refused.status.as_u16(), refused.code()), (429, "too_many_requests"));
        assert!(!refused.header("retry-after").is_empty());
        assert_eq!(report(&app.nobody(), key).await.status, 202, "others may go on");
    }
}

#[tokio::test]
async fn a_found_deployment_key_is_stopped_as_text_too() {
    let app = start(Settings::default()).await;
    let platform = app.platform();
    let make = async |path: &str, body: Value| {
        let made = platform.post(&format!("/api/v1/unstract/{ORG}/{path}"), body).await;
        assert_eq!(made.status, 201, "{}", made.text);
        made.body
    };
    let definition = "fields:\n  - key: total\n    type: number\n    rule: {label: Total}\n";
    let workflow = make("workflow/", json!({"workflow_name": "w", "definition": definition})).await;
    let deployment =
        make("api/deployment/", json!({"workflow": workflow["id"], "api_name": "d"})).await;
    let key = deployment["api_key"].as_str().unwrap();
    let request = Request::post(REPORT)
        .header(header::CONTENT_TYPE, "text/plain; charset=utf-8")
        .body(Body::from(format!("  {}\n", key.to_uppercase())))
        .unwrap();
    assert_eq!(app.nobody().request(request).await.status, 202);
    let keys =
        format!("/api/v1/unstract/{ORG}/api/keys/api/{}/", deployment["id"].as_str().unwrap());
    until(async || platform.get(&keys).await.body[0]["is_active"] == false).await;
    // A node learns of what it did in the background right after the database has it.
    until(async || app.key(key).get("/api/v1/unstract/whoami/").await.code() == "key_inactive")
        .await;
}

#[tokio::test]
async fn of_two_secrets_only_the_one_that_leaked_is_stopped() {
    let app = start(Settings::default()).await;
    let admin = app.admin().await;
    let keys = format!("/api/v1/unstract/{ORG}/platform/keys/");
    let id = admin.get(&keys).await.body[0]["id"].clone();
    let refreshed = admin.put(&keys, json!({"id": id, "grace_seconds": 3600})).await;
    assert_eq!(refreshed.status, 201, "{}", refreshed.text);
    let new = refreshed.body["key"].as_str().unwrap().to_owned();
    let old = app.platform_key.clone();
    assert!(is_refused(&app, &old, "").await, "both work");
    report(&app.nobody(), &old).await;
    until(async || is_refused(&app, &old, "key_rotated_out").await).await;
    assert!(is_refused(&app, &new, "").await, "the new one still works");
    assert_eq!(events(&app).await[0]["detail"]["effect"], "overlap_ended");
}

#[tokio::test]
async fn an_operator_may_want_to_be_warned_only() {
    let warn = Settings { leaked_keys: Some("warn".to_owned()), ..Settings::default() };
    let app = start(warn).await;
    let key = app.platform_key.clone();
    for _ in 0..3 {
        report(&app.nobody(), &key).await;
    }
    until(async || !events(&app).await.is_empty()).await;
    assert!(is_refused(&app, &key, "").await, "it works on");
    tokio::time::sleep(Duration::from_millis(300)).await;
    let events = events(&app).await;
    assert_eq!(events.len(), 1, "it is said once a day");
    assert_eq!(events[0]["detail"]["effect"], "warned");
}
