//! What admins and programs see of platform API keys (CONTRACT 3.3).

#![expect(clippy::unwrap_used, reason = "a test says so by failing")]

mod harness;

use axum::http::Method;
use harness::{Answer, Client, TestApp};
use keydock_server::Error;
use keydock_storage::db::args;
use serde_json::{Value, json};

const KEYS: &str = "/api/v1/unstract/mock_org/platform-api/keys/";
const WORKFLOWS: &str = "/api/v1/unstract/mock_org/workflow/";
const WHOAMI: &str = "/api/v1/unstract/whoami/";

struct Key {
    id: String,
    secret: String,
}

fn key(made: &Answer) -> Key {
    assert!(made.status.is_success(), "{}", made.text);
    let text = |name: &str| made.body[name].as_str().unwrap().to_owned();
    Key { id: text("id"), secret: text("key") }
}

async fn create(admin: &Client, name: &str, tier: &str) -> Key {
    let new = json!({"name": name, "description": "for a test", "permission": tier});
    key(&admin.post(KEYS, new).await)
}

fn at(key: &Key) -> String {
    format!("{KEYS}{}/", key.id)
}

fn new_workflow(name: &str) -> Value {
    let definition = "fields: [{key: total, type: currency, rule: {label: Total}}]";
    json!({"workflow_name": name, "definition": definition})
}

/// Proves KEY-03 for platform API keys.
#[tokio::test]
async fn a_secret_is_shown_once() {
    let app = TestApp::start().await;
    let admin = app.admin().await;

    let made = admin.post(KEYS, json!({"name": "ci", "description": "CI deploys"})).await;

    assert_eq!(made.status, 201, "{}", made.text);
    assert_eq!(made.header("cache-control"), "no-store");
    let key = key(&made);
    for answer in [admin.get(KEYS).await, admin.get(&at(&key)).await] {
        assert!(!answer.text.contains(&key.secret));
        assert!(answer.text.contains(&format!("****-{}", &key.secret[32..])));
    }
    let row = admin.get(&at(&key)).await.body;
    assert_eq!(row["permission"], "read_write", "unless something else was asked for");
    assert_eq!(row["created_by_email"], "ada@localhost");
    assert_eq!(row["is_active"], true);
}

#[tokio::test]
async fn the_tier_decides_what_a_key_may_do() {
    let app = TestApp::start().await;
    let admin = app.admin().await;
    for (tier, post, delete) in
        [("read", 403, 403), ("read_write", 201, 403), ("full_access", 201, 204)]
    {
        let program = app.key(&create(&admin, tier, tier).await.secret);
        let me = program.get(WHOAMI).await;
        assert_eq!((&me.body["permission"], &me.body["key_name"]), (&json!(tier), &json!(tier)));
        assert_eq!(program.get(WORKFLOWS).await.status, 200);
        let made = program.post(WORKFLOWS, new_workflow(tier)).await;
        assert_eq!(made.status, post, "{tier}: {}", made.text);
        if post == 403 {
            assert_eq!(made.code(), "insufficient_scope");
            assert!(made.header("www-authenticate").contains(r#"scope="read_write""#));
        }
        let target = admin.post(WORKFLOWS, new_workflow(&format!("target of {tier}"))).await;
        let target = format!("{WORKFLOWS}{}/", target.body["id"].as_str().unwrap());
        assert_eq!(program.delete(&target).await.status, delete, "{tier}");
    }
}

/// Proves TEN-04 for platform API keys: none makes, changes or widens a key.
#[tokio::test]
async fn no_key_manages_keys() {
    let app = TestApp::start().await;
    let admin = app.admin().await;
    let key = create(&admin, "strong", "full_access").await;
    for program in [app.key(&key.secret), app.platform()] {
        assert_eq!(program.get(KEYS).await.status, 403);
        let new = json!({"name": "more", "description": "x", "permission": "full_access"});
        assert_eq!(program.post(KEYS, new).await.status, 403);
        assert_eq!(
            program.patch(&at(&key), json!({"permission": "full_access"})).await.status,
            403
        );
        assert_eq!(program.delete(&at(&key)).await.status, 403);
        let slots = "/api/v1/unstract/mock_org/platform/keys/";
        assert_eq!(program.post(slots, json!({})).await.status, 403);
    }
    assert_eq!(admin.get(KEYS).await.body.as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn a_full_access_key_rotates_itself_and_others_do_not() {
    let app = TestApp::start().await;
    let admin = app.admin().await;
    let strong = create(&admin, "strong", "full_access").await;
    let weak = create(&admin, "weak", "read_write").await;
    let rotate = format!("{}rotate/", at(&strong));

    for program in [app.key(&weak.secret), app.platform()] {
        assert_eq!(program.post(&rotate, json!({})).await.status, 403);
    }
    let rotated = app.key(&strong.secret).post(&rotate, json!({})).await;

    assert_eq!(rotated.status, 200, "{}", rotated.text);
    let fresh = key(&rotated);
    assert_eq!(fresh.id, strong.id);
    assert_eq!(app.key(&strong.secret).get(WHOAMI).await.code(), "key_rotated_out");
    assert_eq!(app.key(&fresh.secret).get(WHOAMI).await.status, 200);
    let row = admin.get(&at(&strong)).await.body;
    assert_eq!(row["version"], 2);
    assert_ne!(row["modified_at"], row["created_at"]);
}

#[tokio::test]
async fn a_rotated_key_that_is_switched_off_stays_off() {
    let app = TestApp::start().await;
    let admin = app.admin().await;
    let key_made = create(&admin, "idle", "read").await;
    admin.patch(&at(&key_made), json!({"is_active": false})).await;
    let rotated = admin.post(&format!("{}rotate/", at(&key_made)), json!({})).await;
    assert_eq!(rotated.body["is_active"], false);
    assert_eq!(app.key(&key(&rotated).secret).get(WHOAMI).await.code(), "key_inactive");
}

/// Proves VER-05 for one node: what a key loses, it has lost when the change is answered.
#[tokio::test]
async fn a_change_is_in_effect_when_it_is_answered() {
    let app = TestApp::start().await;
    let admin = app.admin().await;
    let made = create(&admin, "ci", "full_access").await;
    let program = app.key(&made.secret);
    for (change, code, answer) in [
        (json!({"permission": "read"}), 403, "insufficient_scope"),
        (json!({"permission": "read_write"}), 201, ""),
        (json!({"is_active": false}), 401, "key_inactive"),
        (json!({"is_active": true}), 201, ""),
    ] {
        assert_eq!(admin.patch(&at(&made), change.clone()).await.status, 200);
        let got = program.post(WORKFLOWS, new_workflow(&change.to_string())).await;
        assert_eq!((got.status.as_u16(), got.code()), (code, answer), "{change}");
    }
    assert_eq!(admin.delete(&at(&made)).await.status, 204);
    assert_eq!(program.get(WHOAMI).await.code(), "key_unknown");
    assert_eq!(admin.delete(&at(&made)).await.status, 404);
}

#[tokio::test]
async fn what_a_key_created_goes_to_its_creator_and_then_to_the_acting_admin() {
    let app = TestApp::start().await;
    let admin = app.admin().await;
    let bea = app.member("bea@test.example", "admin").await;
    let mut owned = Vec::new();
    for name in ["stays", "leaves"] {
        let made = create(&bea, name, "read_write").await;
        let workflow = app.key(&made.secret).post(WORKFLOWS, new_workflow(name)).await;
        assert_eq!(workflow.status, 201, "{}", workflow.text);
        let id = workflow.body["id"].as_str().unwrap().to_owned();
        owned.push((made, format!("{WORKFLOWS}{id}/")));
    }
    let owners = async |path: &str| admin.get(path).await.body["owner_emails"].clone();
    assert!(owners(&owned[0].1).await.to_string().contains("@platform.internal"));

    assert_eq!(admin.delete(&at(&owned[0].0)).await.status, 204);
    assert_eq!(owners(&owned[0].1).await, json!(["bea@test.example"]));

    let gone = json!({"emails": ["bea@test.example"]});
    let users = "/api/v1/unstract/mock_org/users/";
    assert_eq!(admin.send(Method::DELETE, users, Some(gone)).await.status, 200);
    assert_eq!(admin.delete(&at(&owned[1].0)).await.status, 204);
    assert_eq!(owners(&owned[1].1).await, json!(["ada@localhost"]));
    let members = admin.get(users).await;
    assert!(!members.text.contains("platform.internal"), "{}", members.text);
}

#[tokio::test]
async fn nobody_signs_in_as_a_key() {
    let app = TestApp::start().await;
    let admin = app.admin().await;
    let made = create(&admin, "ci", "read_write").await;
    let workflow = app.key(&made.secret).post(WORKFLOWS, new_workflow("owned")).await;
    let owner = admin
        .get(&format!("{WORKFLOWS}{}/", workflow.body["id"].as_str().unwrap()))
        .await
        .body["owner_emails"][0]
        .as_str()
        .unwrap()
        .to_owned();
    for password in ["!!!!!!!!!!!!", harness::PASSWORD] {
        let body = json!({"username": owner, "password": password});
        let refused = app.nobody().post("/api/v1/login", body).await;
        assert_eq!(refused.status, 401, "{}", refused.text);
    }
}

#[tokio::test]
async fn wrong_fields_are_named() {
    let app = TestApp::start().await;
    let admin = app.admin().await;
    create(&admin, "taken", "read").await;
    let long = "x".repeat(129);
    for (body, code, attr) in [
        (json!({"description": "x"}), "required", "name"),
        (json!({"name": "x"}), "required", "description"),
        (json!({"name": long, "description": "x"}), "max_length", "name"),
        (json!({"name": "taken", "description": "x"}), "invalid", "name"),
        (json!({"name": "x", "description": "<b>"}), "invalid", "description"),
        (
            json!({"name": "x", "description": "x", "permission": "all"}),
            "invalid_choice",
            "permission",
        ),
        (json!({"name": "x", "description": "x", "is_admin": true}), "unknown", "is_admin"),
        (json!({"name": "x", "description": "x", "expires_at": "soon"}), "invalid", "expires_at"),
        (
            json!({"name": "x", "description": "x", "allowed_ips": ["here"]}),
            "invalid",
            "allowed_ips",
        ),
        (
            json!({"name": "x", "description": "x", "rate_limit": {"requests": 0, "window_seconds": 1}}),
            "invalid",
            "rate_limit",
        ),
        (
            json!({"name": "x", "description": "x", "quota": {"requests": 5, "period": "year"}}),
            "invalid",
            "quota",
        ),
    ] {
        let refused = admin.post(KEYS, body.clone()).await;
        assert_eq!(refused.status, 400, "{body}: {}", refused.text);
        assert_eq!(refused.body["errors"][0]["code"], code, "{}", refused.text);
        assert_eq!(refused.body["errors"][0]["attr"], attr, "{}", refused.text);
    }
    assert_eq!(admin.put(&format!("{KEYS}{UNKNOWN}/"), json!({})).await.status, 405);
    assert_eq!(admin.get(&format!("{KEYS}{UNKNOWN}/")).await.status, 404);
    assert_eq!(admin.get(&format!("{KEYS}nonsense/")).await.status, 404);
}

const UNKNOWN: &str = "00000000-0000-4000-8000-000000000000";

#[tokio::test]
async fn many_keys_are_found_in_pages_and_changed_together() {
    let app = TestApp::start().await;
    let admin = app.admin().await;
    let mut made = Vec::new();
    for n in 0..12 {
        made.push(create(&admin, &format!("key 10{n:02}%"), "read").await);
    }
    let page = admin.get(&format!("{KEYS}?page=2&page_size=5")).await.body;
    assert_eq!((&page["count"], page["results"].as_array().unwrap().len()), (&json!(12), 5));
    assert_eq!(page["results"][0]["name"], "key 1005%");
    assert!(page["next"].as_str().unwrap().contains("page=3"));
    let found = async |query: &str| {
        admin.get(&format!("{KEYS}?{query}")).await.body.as_array().unwrap().len()
    };
    assert_eq!(found("search=KEY%20101").await, 2, "letters of any case");
    assert_eq!(found("search=%25").await, 12, "a sign is a sign");
    assert_eq!(found("search=1_0").await, 0, "and no wildcard");

    let ids: Vec<&str> = made[..4].iter().map(|key| key.id.as_str()).collect();
    let bulk = format!("{KEYS}bulk/");
    let off = admin.post(&bulk, json!({"ids": ids, "action": "deactivate"})).await;
    assert_eq!(off.body, json!({"changed": 4, "unchanged": 0}), "{}", off.text);
    assert_eq!(found("is_active=false").await, 4);
    assert_eq!(app.key(&made[0].secret).get(WHOAMI).await.code(), "key_inactive");
    let again = admin.post(&bulk, json!({"ids": ids[..2], "action": "deactivate"})).await;
    assert_eq!(again.body, json!({"changed": 0, "unchanged": 2}));

    let one_missing = json!({"ids": [ids[0], UNKNOWN], "action": "delete"});
    assert_eq!(admin.post(&bulk, one_missing).await.status, 404);
    assert_eq!(found("").await, 12, "all or nothing");
    admin.post(&bulk, json!({"ids": ids, "action": "delete"})).await;
    assert_eq!(found("").await, 8);
    for (body, attr) in [
        (json!({"ids": [], "action": "delete"}), "ids"),
        (json!({"ids": ["x"], "action": "delete"}), "ids"),
        (json!({"ids": ids, "action": "burn"}), "action"),
    ] {
        let refused = admin.post(&bulk, body).await;
        assert_eq!(refused.body["errors"][0]["attr"], attr, "{}", refused.text);
    }
}

#[tokio::test]
async fn every_change_is_on_record() {
    let app = TestApp::start().await;
    let admin = app.admin().await;
    let made = create(&admin, "ci", "read").await;
    admin.patch(&at(&made), json!({"permission": "full_access", "is_active": true})).await;
    admin.patch(&at(&made), json!({"permission": "full_access"})).await;
    app.key(&made.secret).post(&format!("{}rotate/", at(&made)), json!({})).await;
    admin.delete(&at(&made)).await;
    let sql = "SELECT action, actor_kind, detail FROM audit_events
               WHERE subject_kind = 'platform_api_key' AND subject_id = $1 ORDER BY id";
    let events: Vec<(String, String, String)> = app
        .app
        .read(async |tx| Ok::<_, Error>(tx.fetch_all(sql, args![&made.id]).await?))
        .await
        .unwrap();
    let told: Vec<String> =
        events.iter().map(|(what, who, how)| format!("{what} by {who} {how}")).collect();
    insta::assert_snapshot!(told.join("\n"), @r#"
    platform_api_key_created by user {"key_name":"ci","permission":"read","last_four":"7e10","is_active":true}
    platform_api_key_changed by user {"key_name":"ci","permission":"full_access","last_four":"7e10","changed":["permission"],"is_active":true}
    platform_api_key_rotated by platform_api_key {"key_name":"ci","permission":"full_access","last_four":"c383","version":2,"grace_seconds":0}
    platform_api_key_deleted by user {"key_name":"ci","permission":"full_access","last_four":"c383","was_active":true}
    "#);
}
