//! What clients see of the keys of a deployment (CONTRACT 4.5).

#![expect(clippy::unwrap_used, reason = "a test says so by failing")]

mod harness;

use futures_util::future::join_all;
use harness::{Answer, Client, TestApp};
use keydock_server::{Error, access::usage};
use keydock_storage::db::args;
use serde_json::{Value, json};

const KEYS: &str = "/api/v1/unstract/mock_org/api/keys/";
const OF_API: &str = "/api/v1/unstract/mock_org/api/keys/api/";
const UNKNOWN: &str = "00000000-0000-4000-8000-000000000000";
const CALL: &str = "/deployment/api/mock_org/invoices/";

fn at(id: &str) -> String {
    format!("{KEYS}{id}/")
}

fn of(deployment: &str) -> String {
    format!("{OF_API}{deployment}/")
}

async fn deploy(client: &Client, org: &str, name: &str) -> String {
    let definition = "fields: [{key: total, type: currency, rule: {label: Total}}]";
    let body = json!({"workflow_name": name, "definition": definition});
    let made = client.post(&format!("/api/v1/unstract/{org}/workflow/"), body).await;
    let body = json!({"workflow": made.body["id"], "api_name": name});
    let made = client.post(&format!("/api/v1/unstract/{org}/api/deployment/"), body).await;
    assert_eq!(made.status, 201, "{}", made.text);
    made.body["id"].as_str().unwrap().to_owned()
}

struct Key {
    id: String,
    secret: String,
}

fn key(made: &Answer) -> Key {
    assert_eq!(made.status, 201, "{}", made.text);
    let text = |name: &str| made.body[name].as_str().unwrap().to_owned();
    Key { id: text("id"), secret: text("api_key") }
}

async fn create(client: &Client, deployment: &str) -> Key {
    key(&client.post(&of(deployment), json!({"description": "for ci"})).await)
}

/// How the deployment answers the holder of a secret: 400 is its own answer, to a poll without an id.
async fn opens(app: &TestApp, secret: &str) -> (u16, String) {
    let answer = app.key(secret).get(CALL).await;
    (answer.status.as_u16(), answer.code().to_owned())
}

fn opened() -> (u16, String) {
    (400, "invalid".to_owned())
}

fn shut(code: &str) -> (u16, String) {
    (401, code.to_owned())
}

fn refused(answer: &Answer, code: &str, attr: &str) {
    assert_eq!(answer.status, 400, "{}", answer.text);
    assert_eq!(answer.body["errors"][0]["code"], code, "{}", answer.text);
    assert_eq!(answer.body["errors"][0]["attr"], attr, "{}", answer.text);
}

/// Proves KEY-03 for the keys of deployments.
#[tokio::test]
async fn a_secret_is_shown_once() {
    let app = TestApp::start().await;
    let admin = app.admin().await;
    let deployment = deploy(&admin, "mock_org", "invoices").await;

    let made = admin.post(&of(&deployment), json!({"description": " for ci "})).await;

    assert_eq!(made.status, 201, "{}", made.text);
    assert_eq!(made.header("cache-control"), "no-store");
    insta::assert_json_snapshot!(made.body, {
        ".id" => "[id]", ".api" => "[id]", ".api_key" => "[secret]", ".fingerprint" => "[fingerprint]",
        ".created_at" => "[time]", ".modified_at" => "[time]",
    }, @r#"
    {
      "id": "[id]",
      "api_key": "[secret]",
      "api": "[id]",
      "pipeline": null,
      "description": "for ci",
      "is_active": true,
      "created_at": "[time]",
      "modified_at": "[time]",
      "created_by_email": "ada@localhost",
      "last_used_at": null,
      "last_used_ip": null,
      "last_used_agent": null,
      "use_count": 0,
      "fingerprint": "[fingerprint]",
      "version": 1,
      "previous_secret_until": null,
      "expires_at": null,
      "allowed_ips": [],
      "rate_limit": null,
      "quota": null,
      "expiry_reminder": null,
      "dormancy_warned_at": null,
      "disabled_reason": null,
      "canary": false,
      "canary_alarmed_at": null
    }
    "#);
    assert_eq!(made.body["api"], deployment);
    let Key { id, secret } = key(&made);
    assert!(uuid::Uuid::try_parse(&secret).is_ok());
    let patched = admin.patch(&at(&id), json!({"description": "for cd"})).await;
    let listed = admin.get(&of(&deployment)).await;
    let got = admin.get(&at(&id)).await;
    for read in [&patched, &listed, &got] {
        assert_eq!(read.status, 200, "{}", read.text);
        assert!(!read.text.contains(&secret), "{}", read.text);
    }
    let masked = format!("********-****-****-****-********{}", &secret[secret.len() - 4..]);
    assert_eq!(got.body["api_key"], masked);
    assert_eq!(listed.body.as_array().unwrap().len(), 2, "a bare array, oldest first");
    assert_eq!(listed.body[1], got.body);
}

#[tokio::test]
async fn the_target_may_be_in_the_body() {
    let app = TestApp::start().await;
    let admin = app.admin().await;
    let deployment = deploy(&admin, "mock_org", "invoices").await;

    let made = admin
        .post(
            OF_API,
            json!({"description": "x", "api": deployment, "pipeline": null, "is_active": "False"}),
        )
        .await;
    let Key { secret, .. } = key(&made);
    assert_eq!(made.body["is_active"], false);
    assert_eq!(opens(&app, &secret).await, shut("key_inactive"));

    for (body, code, attr) in [
        (json!({"description": "x"}), "invalid", "non_field_errors"),
        (json!({"description": "x", "api": null}), "null", "api"),
        (json!({"description": "x", "api": "x"}), "invalid", "api"),
        (json!({"description": "x", "pipeline": UNKNOWN}), "invalid", "pipeline"),
        (
            json!({"description": "x", "api": deployment, "pipeline": UNKNOWN}),
            "invalid",
            "pipeline",
        ),
        (json!({"api": deployment}), "required", "description"),
        (json!([]), "invalid", "non_field_errors"),
    ] {
        refused(&admin.post(OF_API, body).await, code, attr);
    }
    let unknown = admin.post(OF_API, json!({"description": "x", "api": UNKNOWN})).await;
    assert_eq!((unknown.status.as_u16(), unknown.code()), (404, "not_found"));
}

#[tokio::test]
async fn wrong_fields_are_named() {
    let app = TestApp::start().await;
    let admin = app.admin().await;
    let deployment = deploy(&admin, "mock_org", "invoices").await;
    let other = deploy(&admin, "mock_org", "other").await;

    for (body, code, attr) in [
        (json!({}), "required", "description"),
        (json!({"description": ""}), "blank", "description"),
        (json!({"description": "x".repeat(256)}), "max_length", "description"),
        (json!({"description": "a\nb"}), "invalid", "description"),
        (json!({"description": "x", "is_active": "maybe"}), "invalid", "is_active"),
        (json!({"description": "x", "api": other}), "invalid", "api"),
        (json!({"description": "x", "pipeline": UNKNOWN}), "invalid", "pipeline"),
        (json!({"description": "x", "expires": 1}), "unknown", "expires"),
        (json!("x"), "invalid", "non_field_errors"),
    ] {
        refused(&admin.post(&of(&deployment), body).await, code, attr);
    }
    let repeated = json!({"description": "x", "api": deployment, "pipeline": null});
    assert_eq!(admin.post(&of(&deployment), repeated).await.status, 201);
    assert_eq!(admin.get(&of(&deployment)).await.body.as_array().unwrap().len(), 2);
}

/// Proves TEN-05: the console sends the whole row back, and what is the server's stays as it is.
#[tokio::test]
async fn a_whole_row_can_be_put_back() {
    let app = TestApp::start().await;
    let admin = app.admin().await;
    let deployment = deploy(&admin, "mock_org", "invoices").await;
    let other = deploy(&admin, "mock_org", "other").await;
    let made = create(&admin, &deployment).await;
    let mut row = admin.get(&at(&made.id)).await.body;
    row["description"] = json!("renamed");
    for (name, value) in
        [("use_count", json!(9)), ("version", json!(9)), ("fingerprint", json!(""))]
    {
        row[name] = value;
    }

    let put = admin.put(&at(&made.id), row).await;

    assert_eq!(put.status, 200, "{}", put.text);
    assert_eq!(put.body["description"], "renamed");
    assert_eq!((&put.body["use_count"], &put.body["version"]), (&json!(0), &json!(1)));
    assert_ne!(put.body["fingerprint"], "");
    assert_eq!(opens(&app, &made.secret).await, opened(), "the secret is as it was");

    refused(&admin.put(&at(&made.id), json!({"api": other})).await, "invalid", "api");
    refused(&admin.put(&at(&made.id), json!({"pipeline": other})).await, "invalid", "pipeline");
    refused(&admin.patch(&at(&made.id), json!({"odd": 1})).await, "unknown", "odd");
    refused(&admin.patch(&at(&made.id), json!({"description": null})).await, "null", "description");
    let same = admin.put(&at(&made.id), json!({"description": "renamed", "api": deployment})).await;
    assert_eq!(same.body, put.body, "nothing was changed");
}

/// Proves VER-05 on one node: each change is in effect when it is answered.
#[tokio::test]
async fn a_key_works_while_it_is_active_and_there() {
    let app = TestApp::start().await;
    let admin = app.admin().await;
    let deployment = deploy(&admin, "mock_org", "invoices").await;
    let made = create(&admin, &deployment).await;
    let other = create(&admin, &deployment).await;
    assert_eq!(opens(&app, &made.secret).await, opened());

    let off = admin.put(&at(&made.id), json!({"is_active": false})).await;
    assert_eq!((off.status.as_u16(), &off.body["is_active"]), (200, &json!(false)));
    assert_eq!(opens(&app, &made.secret).await, shut("key_inactive"));
    admin.patch(&at(&made.id), json!({"is_active": true})).await;
    assert_eq!(opens(&app, &made.secret).await, opened());

    let deleted = admin.delete(&at(&made.id)).await;
    assert_eq!((deleted.status.as_u16(), deleted.text.as_str()), (204, ""));
    assert_eq!(opens(&app, &made.secret).await, shut("key_unknown"));
    assert_eq!(admin.get(&at(&made.id)).await.status, 404);
    assert_eq!(admin.delete(&at(&made.id)).await.status, 404);
    assert_eq!(opens(&app, &other.secret).await, opened(), "the others go on");
}

#[tokio::test]
async fn rotating_replaces_the_secret_at_once_or_after_a_while() {
    let app = TestApp::start().await;
    let admin = app.admin().await;
    let deployment = deploy(&admin, "mock_org", "invoices").await;
    let first = create(&admin, &deployment).await;
    let rotate = format!("{}rotate/", at(&first.id));

    let second = admin.post(&rotate, json!({})).await;
    assert_eq!(second.status, 200, "{}", second.text);
    assert_eq!(second.header("cache-control"), "no-store");
    assert_eq!((&second.body["id"], &second.body["version"]), (&json!(first.id), &json!(2)));
    let second_secret = second.body["api_key"].as_str().unwrap();
    assert_eq!(opens(&app, &first.secret).await, shut("key_rotated_out"));
    assert_eq!(opens(&app, second_secret).await, opened());

    let third = admin.post(&rotate, json!({"grace_seconds": 60})).await;
    let third_secret = third.body["api_key"].as_str().unwrap();
    assert!(third.body["previous_secret_until"].is_string());
    assert_eq!(opens(&app, second_secret).await, opened(), "for another minute");
    assert_eq!(opens(&app, third_secret).await, opened());
    admin.patch(&at(&first.id), json!({"is_active": false})).await;
    assert_eq!(opens(&app, second_secret).await, shut("key_inactive"));
    assert_eq!(opens(&app, third_secret).await, shut("key_inactive"));
    admin.patch(&at(&first.id), json!({"is_active": true})).await;
    app.app.db().clock().advance(std::time::Duration::from_secs(61));
    assert_eq!(opens(&app, second_secret).await, shut("key_rotated_out"));
    assert_eq!(opens(&app, third_secret).await, opened());

    for (body, code) in [
        (json!({"grace_seconds": -1}), "min_value"),
        (json!({"grace_seconds": 2_592_001}), "max_value"),
        (json!({"grace_seconds": "x"}), "invalid"),
    ] {
        refused(&admin.post(&rotate, body).await, code, "grace_seconds");
    }
    refused(&admin.post(&rotate, json!({"grace": 1})).await, "unknown", "grace");
    assert_eq!(opens(&app, third_secret).await, opened(), "a refused rotation rotates nothing");
}

/// Rotations at the same time come one after the other; the secret of the last one works, alone.
#[tokio::test]
async fn of_many_rotations_at_once_one_secret_is_left() {
    let app = TestApp::start().await;
    let admin = app.admin().await;
    let deployment = deploy(&admin, "mock_org", "invoices").await;
    let made = create(&admin, &deployment).await;
    let rotate = format!("{}rotate/", at(&made.id));

    for round in 0..4 {
        let mut rotated = join_all((0..8).map(|_| admin.post(&rotate, json!({})))).await;

        rotated.sort_by_key(|answer| answer.body["version"].as_i64());
        let versions: Vec<_> =
            rotated.iter().map(|answer| answer.body["version"].clone()).collect();
        assert_eq!(versions, (2..10).map(|nth| json!(8 * round + nth)).collect::<Vec<_>>());
        let last = rotated.pop().unwrap();
        assert_eq!(opens(&app, last.body["api_key"].as_str().unwrap()).await, opened());
        // The one that was replaced last is remembered, so that its holder is told what happened.
        let before = rotated.pop().unwrap();
        let secret = before.body["api_key"].as_str().unwrap();
        assert_eq!(opens(&app, secret).await, shut("key_rotated_out"));
        for answer in rotated {
            let secret = answer.body["api_key"].as_str().unwrap();
            assert_eq!(
                opens(&app, secret).await,
                shut("key_unknown"),
                "{}",
                answer.body["version"]
            );
        }
    }
    assert_eq!(opens(&app, &made.secret).await, shut("key_unknown"));
}

#[tokio::test]
async fn who_may_only_see_a_deployment_sees_its_keys_and_changes_none() {
    let app = TestApp::start().await;
    let admin = app.admin().await;
    let bo = app.member("bo@localhost", "user").await;
    let deployment = deploy(&admin, "mock_org", "invoices").await;
    let made = create(&admin, &deployment).await;
    let rotate = format!("{}rotate/", at(&made.id));
    let new = json!({"description": "x"});

    for (unseen, unknown) in [
        (bo.get(&of(&deployment)).await, bo.get(&of(UNKNOWN)).await),
        (bo.get(&of(&deployment)).await, bo.get(&of("x")).await),
        (bo.post(&of(&deployment), new.clone()).await, bo.post(&of(UNKNOWN), new.clone()).await),
        (bo.get(&at(&made.id)).await, bo.get(&at(UNKNOWN)).await),
        (bo.patch(&at(&made.id), new.clone()).await, bo.patch(&at("x"), new.clone()).await),
        (bo.delete(&at(&made.id)).await, bo.delete(&at(UNKNOWN)).await),
        (
            bo.post(&rotate, json!({})).await,
            bo.post(&format!("{}rotate/", at("x")), json!({})).await,
        ),
    ] {
        assert_eq!((unseen.status.as_u16(), unknown.status.as_u16()), (404, 404));
        assert_eq!(unseen.body["errors"], unknown.body["errors"], "the two cannot be told apart");
    }

    let sql = "UPDATE deployments SET shared_to_org = $1";
    app.app.write(async |tx| Ok::<_, Error>(tx.execute(sql, args![true]).await?)).await.unwrap();
    let listed = bo.get(&of(&deployment)).await;
    assert_eq!(listed.status, 200);
    assert!(!listed.text.contains(&made.secret));
    assert_eq!(bo.get(&at(&made.id)).await.status, 200);
    for answer in [
        bo.post(&of(&deployment), new.clone()).await,
        bo.post(OF_API, json!({"description": "x", "api": deployment})).await,
        bo.put(&at(&made.id), new.clone()).await,
        bo.patch(&at(&made.id), json!({"is_active": false})).await,
        bo.delete(&at(&made.id)).await,
        bo.post(&rotate, json!({})).await,
    ] {
        assert_eq!((answer.status.as_u16(), answer.code()), (403, "forbidden"), "{}", answer.text);
    }
    assert_eq!(opens(&app, &made.secret).await, opened());

    let own = deploy(&bo, "mock_org", "own").await;
    let key = create(&bo, &own).await;
    assert_eq!(admin.patch(&at(&key.id), json!({"is_active": false})).await.status, 200);
    assert_eq!(app.platform().delete(&at(&key.id)).await.status, 204);
    assert_eq!(app.nobody().get(&of(&own)).await.status, 401);
    assert_eq!(app.key(&made.secret).get(&of(&own)).await.code(), "key_kind");
}

/// Proves TEN-01 for the keys of deployments.
#[tokio::test]
async fn another_organization_sees_nothing_of_it() {
    let app = TestApp::start().await;
    let admin = app.admin().await;
    let deployment = deploy(&admin, "mock_org", "invoices").await;
    let made = create(&admin, &deployment).await;
    let (outsider, platform_key) = app.other_org("globex").await;
    let theirs = |path: &str| format!("/api/v1/unstract/globex/api/keys/{path}");

    for client in [&outsider, &app.key(&platform_key)] {
        for (foreign, unknown) in [
            (theirs(&format!("api/{deployment}/")), theirs(&format!("api/{UNKNOWN}/"))),
            (theirs(&format!("{}/", made.id)), theirs(&format!("{UNKNOWN}/"))),
        ] {
            let (foreign, unknown) = (client.get(&foreign).await, client.get(&unknown).await);
            assert_eq!((foreign.status.as_u16(), unknown.status.as_u16()), (404, 404));
            assert_eq!(foreign.body["errors"], unknown.body["errors"]);
        }
        let body = json!({"description": "x"});
        let with_api = json!({"description": "x", "api": deployment});
        for answer in [
            client.post(&theirs(&format!("api/{deployment}/")), body.clone()).await,
            client.post(&theirs("api/"), with_api).await,
            client.put(&theirs(&format!("{}/", made.id)), body).await,
            client.post(&theirs(&format!("{}/rotate/", made.id)), json!({})).await,
            client.delete(&theirs(&format!("{}/", made.id))).await,
        ] {
            assert_eq!(answer.status, 404, "{}", answer.text);
        }
    }
    assert_eq!(opens(&app, &made.secret).await, opened());
    assert_eq!(admin.get(&of(&deployment)).await.body.as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn uses_of_a_key_are_counted() {
    let app = TestApp::start().await;
    let admin = app.admin().await;
    let deployment = deploy(&admin, "mock_org", "invoices").await;
    let made = create(&admin, &deployment).await;
    let caller = app.key(&made.secret);
    for _ in 0..3 {
        assert_eq!(caller.get(CALL).await.status, 400);
    }

    usage::flush(app.app.keyring(), app.app.db()).await.unwrap();

    let used = admin.get(&at(&made.id)).await.body;
    assert_eq!(used["use_count"], 3);
    assert_eq!(used["last_used_ip"], caller.ip.to_string());
    assert!(used["last_used_at"].as_str().unwrap().ends_with('Z'));
}

/// A node that starts reads every key, page by page.
#[tokio::test]
async fn a_node_that_starts_knows_every_key() {
    let app = TestApp::start().await;
    let admin = app.admin().await;
    let deployment = deploy(&admin, "mock_org", "invoices").await;
    let made = create(&admin, &deployment).await;
    let rotated =
        admin.post(&format!("{}rotate/", at(&made.id)), json!({"grace_seconds": 60})).await;
    assert_eq!(rotated.status, 200);

    let ring = keydock_server::access::keyring::Keyring::default();
    ring.catch_up(app.app.db()).await.unwrap();

    // Key #1 of the organization, the first key of the deployment, and both secrets of this one.
    assert_eq!(ring.len(), 4);
}

/// Proves AUD-01 and AUD-03: each change is on record, without any secret.
#[tokio::test]
async fn every_change_is_on_record() {
    let app = TestApp::start().await;
    let admin = app.admin().await;
    let deployment = deploy(&admin, "mock_org", "invoices").await;
    let made = create(&admin, &deployment).await;
    admin.patch(&at(&made.id), json!({"is_active": true})).await;
    app.platform().patch(&at(&made.id), json!({"is_active": false})).await;
    let rotated =
        admin.post(&format!("{}rotate/", at(&made.id)), json!({"grace_seconds": 5})).await;
    admin.delete(&at(&made.id)).await;

    let sql = "SELECT action, actor_kind, detail FROM audit_events
               WHERE subject_kind = 'deployment_key' AND subject_id = $1 ORDER BY id";
    let events: Vec<(String, String, String)> = app
        .app
        .read(async |tx| Ok::<_, Error>(tx.fetch_all(sql, args![&made.id]).await?))
        .await
        .unwrap();

    let told: Vec<_> = events
        .iter()
        .map(|(what, who, how)| {
            let mut how: Value = serde_json::from_str(how).unwrap();
            assert_eq!(how["deployment"].take(), json!(deployment));
            format!("{what} {who} {how}")
        })
        .collect();
    insta::assert_json_snapshot!(told, @r#"
    [
      "deployment_key_created user {\"deployment\":null,\"description\":\"for ci\",\"last_four\":\"df7d\",\"is_active\":true}",
      "deployment_key_changed platform_key {\"deployment\":null,\"description\":\"for ci\",\"last_four\":\"df7d\",\"changed\":[\"is_active\"],\"is_active\":false}",
      "deployment_key_rotated user {\"deployment\":null,\"description\":\"for ci\",\"last_four\":\"711c\",\"version\":2,\"grace_seconds\":5}",
      "deployment_key_deleted user {\"deployment\":null,\"description\":\"for ci\",\"last_four\":\"711c\",\"was_active\":false}"
    ]
    "#);
    let all = told.concat();
    assert!(!all.contains(&made.secret));
    assert!(!all.contains(rotated.body["api_key"].as_str().unwrap()));
}

/// Proves TEN-04 for many at once: who may not delete one may not delete several either.
#[tokio::test]
async fn deleting_several_takes_the_tier_of_deleting_one() {
    let app = TestApp::start().await;
    let admin = app.admin().await;
    let deployment = deploy(&admin, "mock_org", "invoices").await;
    let made = create(&admin, &deployment).await;
    let other = create(&admin, &deploy(&admin, "mock_org", "receipts").await).await;
    let tiered = "/api/v1/unstract/mock_org/platform-api/keys/";
    let new = json!({"name": "ci", "description": "x", "permission": "read_write"});
    let program = app.key(admin.post(tiered, new).await.body["key"].as_str().unwrap());
    let bulk = format!("{}bulk/", of(&deployment));

    let delete = json!({"ids": [made.id], "action": "delete"});
    let refused = program.post(&bulk, delete.clone()).await;
    assert_eq!((refused.status.as_u16(), refused.code()), (403, "insufficient_scope"));
    let off = program.post(&bulk, json!({"ids": [made.id], "action": "deactivate"})).await;
    assert_eq!(off.body, json!({"changed": 1, "unchanged": 0}), "{}", off.text);
    assert_eq!(opens(&app, &made.secret).await, shut("key_inactive"));

    let foreign = json!({"ids": [made.id, other.id], "action": "delete"});
    assert_eq!(admin.post(&bulk, foreign).await.status, 404, "a key of another deployment");
    assert_eq!(admin.post(&bulk, delete).await.status, 200);
    assert_eq!(opens(&app, &made.secret).await, shut("key_unknown"));
}
