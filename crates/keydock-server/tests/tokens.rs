//! Asking about keys, and giving them up (RFC 7662, RFC 7009).

#![expect(clippy::unwrap_used, reason = "what is wrong in a test should stop it")]

mod harness;

use std::{num::NonZeroU32, time::Duration};

use axum::{
    body::Body,
    http::{Request, header},
};
use harness::{Answer, Client, ORG, TestApp};
use keydock_server::config::Settings;
use serde_json::json;

const KEYS: &str = "/api/v1/unstract/mock_org/platform/keys/";
const WHOAMI: &str = "/api/v1/unstract/whoami/";
const UNKNOWN: &str = "00000000-0000-4000-8000-000000000000";

async fn form(client: &Client, path: &str, body: String) -> Answer {
    let request = Request::post(path)
        .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
        .body(Body::from(body));
    client.request(request.unwrap()).await
}

async fn introspect(asker: &Client, token: &str) -> Answer {
    let answer = form(asker, "/introspect", format!("token={token}")).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    assert_eq!(answer.header("cache-control"), "no-store");
    answer
}

async fn revoke(client: &Client, token: &str) -> u16 {
    form(client, "/revoke", format!("token={token}&token_type_hint=wrong")).await.status.as_u16()
}

/// A deployment, the id of its first key, and that key's secret.
async fn deployment(app: &TestApp) -> (String, String, String) {
    let platform = app.platform();
    let org = format!("/api/v1/unstract/{ORG}/");
    let definition = "fields:\n  - key: total\n    type: number\n    rule: {label: Total}\n";
    let workflow = platform
        .post(
            &format!("{org}workflow/"),
            json!({"workflow_name": "totals", "definition": definition}),
        )
        .await;
    let made = platform
        .post(
            &format!("{org}api/deployment/"),
            json!({"workflow": workflow.body["id"], "api_name": "totals"}),
        )
        .await;
    let id = made.body["id"].as_str().unwrap().to_owned();
    let keys = platform.get(&format!("{org}api/keys/api/{id}/")).await;
    let key = keys.body[0]["id"].as_str().unwrap().to_owned();
    (id, key, made.body["api_key"].as_str().unwrap().to_owned())
}

async fn runs(app: &TestApp, secret: &str) -> u16 {
    let path = format!("/deployment/api/{ORG}/totals/?execution_id={UNKNOWN}");
    app.key(secret).get(&path).await.status.as_u16()
}

#[tokio::test]
async fn a_program_learns_about_the_keys_of_its_organization() {
    let app = TestApp::start().await;
    let (deployment, key, secret) = deployment(&app).await;
    let platform = app.platform();

    let own = introspect(&platform, &app.platform_key).await.body;
    let first = app.admin().await.get(KEYS).await.body[0]["id"].clone();
    assert_eq!((&own["active"], &own["sub"]), (&json!(true), &first));
    assert_eq!(own["client_id"], own["sub"]);
    for (member, value) in [
        ("key_name", "Key #1"),
        ("token_type", "Bearer"),
        ("scope", "full_access"),
        ("org", ORG),
        ("kind", "platform"),
    ] {
        assert_eq!(own[member], value);
    }
    assert!(own["iat"].as_i64().unwrap() > 0);
    assert!(own.get("exp").is_none() && own.get("deployment").is_none(), "{own}");

    let theirs = introspect(&platform, &secret).await.body;
    assert_eq!(theirs["sub"], key);
    assert_eq!(theirs["deployment"], deployment);
    assert_eq!((&theirs["kind"], &theirs["scope"]), (&json!("deployment"), &json!("execute")));
}

/// Proves VER-02 for asking about keys: what one may not know looks like what does not exist.
#[tokio::test]
async fn nothing_is_told_about_other_keys() {
    let app = TestApp::start().await;
    let admin = app.admin().await;
    let idle = admin.post(KEYS, json!({})).await.body["key"].as_str().unwrap().to_owned();
    let (_, foreign) = app.other_org("globex").await;
    let platform = app.platform();
    for token in [UNKNOWN, "nonsense", &idle, &foreign, "%00"] {
        assert_eq!(introspect(&platform, token).await.text, r#"{"active":false}"#);
    }
    assert_eq!(introspect(&app.key(&foreign), &foreign).await.body["active"], true);
}

#[tokio::test]
async fn only_a_platform_key_may_ask() {
    let app = TestApp::start().await;
    let (_, _, secret) = deployment(&app).await;
    let admin = app.admin().await;
    let bare = Request::post("/introspect")
        .header(header::AUTHORIZATION, &app.platform_key)
        .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
        .body(Body::from(format!("token={UNKNOWN}")));
    let bare = app.nobody().request(bare.unwrap()).await;
    assert_eq!(bare.status, 401, "the word Bearer is needed here");
    for client in [app.nobody(), app.key(UNKNOWN), app.key(&secret), admin] {
        let answer = form(&client, "/introspect", format!("token={}", app.platform_key)).await;
        assert_eq!((answer.status.as_u16(), &answer.body["error"]), (401, &json!("invalid_token")));
        assert!(answer.header("www-authenticate").starts_with("Bearer realm"));
    }
}

#[tokio::test]
async fn a_request_without_exactly_one_token_is_refused() {
    let app = TestApp::start().await;
    for path in ["/introspect", "/revoke"] {
        for body in ["", "token=", "tokem=x", "token=a&token=b"] {
            let answer = form(&app.platform(), path, body.to_owned()).await;
            let told = (answer.status.as_u16(), &answer.body["error"]);
            assert_eq!(told, (400, &json!("invalid_request")), "{path} {body}");
            assert!(answer.body["error_description"].is_string());
        }
        let answer = app.platform().post(path, json!({"token": UNKNOWN})).await;
        assert_eq!(answer.status, 415, "a form is what the standards have");
        let in_url = form(&app.platform(), &format!("{path}?token={UNKNOWN}"), String::new()).await;
        assert_eq!((in_url.status.as_u16(), in_url.code()), (400, "key_in_url"));
    }
}

/// Asking is no use of a key, and no guess.
#[tokio::test]
async fn asking_leaves_no_trace_at_the_key() {
    let settings = Settings { guesses_per_minute: NonZeroU32::new(3), ..Settings::default() };
    let app = TestApp::start_with(settings).await;
    let (_, key, secret) = deployment(&app).await;
    let platform = app.platform();
    for _ in 0..20 {
        assert_eq!(introspect(&platform, UNKNOWN).await.body["active"], false);
        assert_eq!(introspect(&platform, &secret).await.body["active"], true);
    }
    keydock_server::access::usage::flush_all(app.app.keyring(), app.app.db()).await.unwrap();
    let found = platform.get(&format!("/api/v1/unstract/{ORG}/api/keys/{key}/")).await;
    assert_eq!(found.status, 200);
    assert!(found.body["last_used_at"].is_null(), "{}", found.text);
}

/// Proves VER-05 for giving up a key, and AUD-01.
#[tokio::test]
async fn who_holds_a_key_can_give_it_up() {
    let app = TestApp::start().await;
    let (_, key, secret) = deployment(&app).await;
    let admin = app.admin().await;

    assert_eq!(runs(&app, &secret).await, 404, "it opens the deployment");
    assert_eq!(revoke(&app.nobody(), &secret).await, 200);
    assert_eq!(runs(&app, &secret).await, 401);
    assert_eq!(revoke(&app.nobody(), &secret).await, 200, "once more changes nothing");
    let found = admin.get(&format!("/api/v1/unstract/{ORG}/api/keys/{key}/")).await;
    assert_eq!((found.status.as_u16(), &found.body["is_active"]), (200, &json!(false)));

    let mut platform = app.platform();
    platform.ip = "203.0.113.7".parse().unwrap();
    assert_eq!(
        revoke(&platform, &app.platform_key).await,
        200,
        "a key in the header is no hindrance"
    );
    assert_eq!(app.platform().get(WHOAMI).await.status, 401);
    assert_eq!(admin.get(KEYS).await.body[0]["is_active"], false, "it is there and switched off");
    let event = &admin.get(&format!("{KEYS}audit/")).await.body[0];
    assert_eq!(event["action"], "platform_key_revoked");
    assert_eq!(event["detail"], json!({"key_name": "Key #1", "secret": "current"}));
    assert!(event.to_string().contains("203.0.113.7"), "{event}");

    let id = admin.get(KEYS).await.body[0]["id"].as_str().unwrap().to_owned();
    admin.put(&format!("{KEYS}{id}/"), json!({"action": "ACTIVATE"})).await;
    assert_eq!(app.platform().get(WHOAMI).await.status, 200, "an admin can take it back");
}

#[tokio::test]
async fn a_secret_that_is_being_replaced_ends_alone() {
    let app = TestApp::start().await;
    let admin = app.admin().await;
    let id = admin.get(KEYS).await.body[0]["id"].clone();
    let refreshed = admin.put(KEYS, json!({"id": id, "grace_seconds": 3600})).await;
    let new = refreshed.body["key"].as_str().unwrap();
    let told = introspect(&app.key(new), &app.platform_key).await.body;
    let (issued, ends) = (told["iat"].as_i64().unwrap(), told["exp"].as_i64().unwrap());
    assert!(ends >= issued + 3600, "{told}");

    assert_eq!(revoke(&app.nobody(), &app.platform_key).await, 200);
    assert_eq!(app.platform().get(WHOAMI).await.status, 401);
    assert_eq!(app.key(new).get(WHOAMI).await.status, 200, "the new one is somebody else's");
    assert_eq!(introspect(&app.key(new), new).await.body.get("exp"), None);
    let event = &admin.get(&format!("{KEYS}audit/")).await.body[0];
    assert_eq!(event["detail"]["secret"], "previous");
    app.app.db().clock().advance(Duration::from_hours(2));
    assert_eq!(app.key(new).get(WHOAMI).await.status, 200);
}

#[tokio::test]
async fn the_same_holds_for_keys_of_deployments() {
    let app = TestApp::start().await;
    let (_, key, old) = deployment(&app).await;
    let rotate = format!("/api/v1/unstract/{ORG}/api/keys/{key}/rotate/");
    let rotated = app.platform().post(&rotate, json!({"grace_seconds": 3600})).await;
    let new = rotated.body["api_key"].as_str().unwrap().to_owned();
    assert_eq!((runs(&app, &old).await, runs(&app, &new).await), (404, 404));
    assert_eq!(revoke(&app.nobody(), &old).await, 200);
    assert_eq!((runs(&app, &old).await, runs(&app, &new).await), (401, 404));
}

/// A key that is bound to addresses and a time is told about and given up from anywhere, while it lasts.
#[tokio::test]
async fn keys_with_limits_are_told_about_and_given_up() {
    let app = TestApp::start().await;
    let (id, _, _) = deployment(&app).await;
    let path = format!("/api/v1/unstract/{ORG}/api/keys/api/{id}/");
    let platform = app.platform();
    let mut ends = 0;
    let mut secrets = Vec::new();
    for _ in 0..2 {
        let now = app.app.db().clock().now();
        let end = now.after(Duration::from_hours(1));
        ends = end.as_seconds();
        let body = json!({"description": "bound", "allowed_ips": ["203.0.113.7"],
                          "expires_at": end.to_string()});
        let made = platform.post(&path, body).await;
        assert_eq!(made.status, 201, "{}", made.text);
        secrets.push(made.body["api_key"].as_str().unwrap().to_owned());
    }
    let told = introspect(&platform, &secrets[1]).await.body;
    assert_eq!((&told["active"], &told["exp"]), (&json!(true), &json!(ends)));
    assert_eq!(told["key_name"], "bound");
    assert_eq!(revoke(&app.nobody(), &secrets[0]).await, 200);
    assert_eq!(introspect(&platform, &secrets[0]).await.body, json!({"active": false}));
    app.app.db().clock().advance(Duration::from_hours(2));
    assert_eq!(introspect(&platform, &secrets[1]).await.body, json!({"active": false}));
    assert_eq!(revoke(&app.nobody(), &secrets[1]).await, 200, "there is nothing left to give up");
}

/// Keys of every kind are told about, judged for gateways, and given up in the same way.
#[tokio::test]
async fn every_kind_of_key_is_known_here() {
    let app = TestApp::start().await;
    let (_, _, of_one) = deployment(&app).await;
    let admin = app.admin().await;
    let make = async |path: &str, body: serde_json::Value| {
        let made = admin.post(&format!("/api/v1/unstract/{ORG}/{path}"), body).await;
        assert!(made.status.is_success(), "{}", made.text);
        made.body["key"].as_str().unwrap().to_owned()
    };
    let tiered = json!({"name": "reads", "description": "d", "permission": "read"});
    let tiered = make("platform-api/keys/", tiered).await;
    let all = json!({"name": "all", "description": "d", "allow_all_deployments": true});
    let all = make("global-api-deployment/keys/", all).await;

    let asker = app.key(&tiered);
    for (secret, kind, name, scope) in [
        (&tiered, "platform_api", "reads", "read"),
        (&all, "org_deployment", "all", "execute"),
        (&of_one, "deployment", "API Key for totals", "execute"),
    ] {
        let told = introspect(&asker, secret).await.body;
        assert_eq!(told["active"], true, "{kind}");
        assert_eq!((&told["kind"], &told["scope"]), (&json!(kind), &json!(scope)));
        assert_eq!(told["key_name"], name);
    }

    let gateway = async |secret: &str, query: &str, method: &str| {
        let request = Request::get(format!("/forward-auth?{query}"));
        let request = request.header("x-forwarded-method", method).body(Body::empty());
        app.key(secret).request(request.unwrap()).await
    };
    assert_eq!(gateway(&tiered, "", "GET").await.header("x-keydock-permission"), "read");
    let posted = gateway(&tiered, "", "POST").await;
    assert_eq!((posted.status.as_u16(), posted.code()), (403, "insufficient_scope"));
    assert!(posted.header("www-authenticate").contains("scope="), "it says which one is needed");
    assert_eq!(gateway(&tiered, "kind=platform", "GET").await.code(), "key_kind");
    let passed = gateway(&all, "deployment=totals", "POST").await;
    assert_eq!((passed.status.as_u16(), passed.header("x-keydock-key-name")), (200, "all"));
    assert_eq!(gateway(&all, "deployment=nothing", "POST").await.status, 401);

    let platform = app.platform();
    for secret in [&tiered, &all] {
        assert_eq!(revoke(&app.nobody(), secret).await, 200);
        assert_eq!(introspect(&platform, secret).await.body, json!({"active": false}));
        assert_eq!(gateway(secret, "", "GET").await.code(), "key_inactive");
    }
}

/// Proves VER-07 for giving up keys: it is no way to guess them.
#[tokio::test]
async fn guesses_are_counted_here_too() {
    let settings = Settings { guesses_per_minute: NonZeroU32::new(5), ..Settings::default() };
    let app = TestApp::start_with(settings).await;
    let guesser = app.nobody();
    let mut statuses = Vec::new();
    for _ in 0..8 {
        statuses.push(revoke(&guesser, UNKNOWN).await);
    }
    assert_eq!(statuses, [200, 200, 200, 200, 200, 429, 429, 429]);
    assert_eq!(revoke(&app.nobody(), UNKNOWN).await, 200, "others are not affected");
    assert_eq!(revoke(&guesser, &app.platform_key).await, 200, "a genuine key never counts");
    assert_eq!(app.platform().get(WHOAMI).await.status, 401);
}
