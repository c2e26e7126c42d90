//! What admins and programs see of organization deployment keys (CONTRACT 3.6).

#![expect(clippy::unwrap_used, reason = "a test says so by failing")]

mod harness;

use std::sync::atomic::{AtomicU32, Ordering};

use harness::{Answer, Client, TestApp};
use serde_json::{Value, json};

const KEYS: &str = "/api/v1/unstract/mock_org/global-api-deployment/keys/";
const DEPLOYMENTS: &str = "/api/v1/unstract/mock_org/api/deployment/";

async fn deploy(client: &Client, name: &str) -> String {
    static UNIQUE: AtomicU32 = AtomicU32::new(0);
    let definition = "fields: [{key: total, type: currency, rule: {label: Total}}]";
    let workflow = format!("workflow {}", UNIQUE.fetch_add(1, Ordering::Relaxed));
    let body = json!({"workflow_name": workflow, "definition": definition});
    let made = client.post("/api/v1/unstract/mock_org/workflow/", body).await;
    let body = json!({"workflow": made.body["id"], "api_name": name});
    let made = client.post(DEPLOYMENTS, body).await;
    assert_eq!(made.status, 201, "{}", made.text);
    made.body["id"].as_str().unwrap().to_owned()
}

struct Key {
    id: String,
    secret: String,
}

fn key(made: &Answer) -> Key {
    assert!(made.status.is_success(), "{}", made.text);
    let text = |name: &str| made.body[name].as_str().unwrap().to_owned();
    Key { id: text("id"), secret: text("key") }
}

async fn create(admin: &Client, name: &str, scope: Value) -> Answer {
    let mut new = json!({"name": name, "description": "for a test"});
    new.as_object_mut().unwrap().extend(scope.as_object().unwrap().clone());
    admin.post(KEYS, new).await
}

fn at(key: &Key) -> String {
    format!("{KEYS}{}/", key.id)
}

/// How a deployment answers the holder of a secret: 400 is its own answer, to a poll without an id.
async fn opens(app: &TestApp, key: &Key, name: &str) -> (u16, String) {
    let answer = app.key(&key.secret).get(&format!("/deployment/api/mock_org/{name}/")).await;
    (answer.status.as_u16(), answer.code().to_owned())
}

fn opened() -> (u16, String) {
    (400, "invalid".to_owned())
}

fn shut(code: &str) -> (u16, String) {
    (401, code.to_owned())
}

#[tokio::test]
async fn a_key_opens_its_list_or_everything() {
    let app = TestApp::start().await;
    let admin = app.admin().await;
    let (invoices, _receipts) =
        (deploy(&admin, "invoices").await, deploy(&admin, "receipts").await);
    let some = key(&create(&admin, "some", json!({"api_deployments": [invoices]})).await);
    let all = key(&create(&admin, "all", json!({"allow_all_deployments": true})).await);
    assert_eq!(opens(&app, &some, "invoices").await, opened());
    assert_eq!(opens(&app, &some, "receipts").await, shut("key_of_other_deployment"));
    assert_eq!(opens(&app, &all, "receipts").await, opened());
    deploy(&admin, "later").await;
    assert_eq!(opens(&app, &all, "later").await, opened(), "those of the future too");
    assert_eq!(opens(&app, &some, "later").await, shut("key_of_other_deployment"));
    let tenant = app.key(&all.secret).get("/api/v1/unstract/whoami/").await;
    assert_eq!(tenant.code(), "key_kind");
    assert!(tenant.text.contains("organization deployment key"), "{}", tenant.text);
}

/// Proves VER-05 for scopes: what is cut is cut when it is answered.
#[tokio::test]
async fn a_scope_that_is_cut_is_cut_at_once() {
    let app = TestApp::start().await;
    let admin = app.admin().await;
    let (a, b) = (deploy(&admin, "a").await, deploy(&admin, "b").await);
    let made = key(&create(&admin, "some", json!({"api_deployments": [a, b]})).await);
    let cut = admin.patch(&at(&made), json!({"api_deployments": [a]})).await;
    assert_eq!(cut.body["api_deployments"][0]["api_name"], "a", "{}", cut.text);
    assert_eq!(opens(&app, &made, "b").await, shut("key_of_other_deployment"));
    assert_eq!(opens(&app, &made, "a").await, opened());

    admin.patch(&at(&made), json!({"allow_all_deployments": true})).await;
    assert_eq!(opens(&app, &made, "b").await, opened());
    assert_eq!(admin.get(&at(&made)).await.body["api_deployments"], json!([]), "the list is gone");
    let nothing = admin.patch(&at(&made), json!({"allow_all_deployments": false})).await;
    assert_eq!(nothing.body["errors"][0]["attr"], "api_deployments", "{}", nothing.text);
}

/// Proves KEY-06 for scopes: a deployment that is deleted leaves nothing open behind.
#[tokio::test]
async fn a_deleted_deployment_leaves_the_lists() {
    let app = TestApp::start().await;
    let admin = app.admin().await;
    let id = deploy(&admin, "a").await;
    let made = key(&create(&admin, "some", json!({"api_deployments": [id]})).await);
    assert_eq!(opens(&app, &made, "a").await, opened());
    assert_eq!(admin.delete(&format!("{DEPLOYMENTS}{id}/")).await.status, 204);
    assert_eq!(admin.get(&at(&made)).await.body["api_deployments"], json!([]));
    deploy(&admin, "a").await;
    assert_eq!(
        opens(&app, &made, "a").await,
        shut("key_of_other_deployment"),
        "a new one is another"
    );
    let off = admin.patch(&at(&made), json!({"is_active": false})).await;
    assert_eq!(off.status, 200, "a key that opens nothing can still be switched off: {}", off.text);
    assert_eq!(opens(&app, &made, "a").await, shut("key_inactive"));
}

#[tokio::test]
async fn a_scope_is_one_of_two_and_of_this_organization() {
    let app = TestApp::start().await;
    let admin = app.admin().await;
    let id = deploy(&admin, "a").await;
    let unknown = "00000000-0000-4000-8000-000000000000";
    for (scope, code) in [
        (json!({"allow_all_deployments": true, "api_deployments": [id]}), "invalid"),
        (json!({}), "invalid"),
        (json!({"allow_all_deployments": false, "api_deployments": []}), "invalid"),
        (json!({"api_deployments": [id, unknown]}), "does_not_exist"),
        (json!({"api_deployments": "a"}), "not_a_list"),
    ] {
        let refused = create(&admin, "x", scope.clone()).await;
        assert_eq!(refused.status, 400, "{scope}: {}", refused.text);
        assert_eq!(refused.body["errors"][0]["code"], code, "{}", refused.text);
        assert_eq!(refused.body["errors"][0]["attr"], "api_deployments", "{}", refused.text);
    }
    let (outsider, _) = app.other_org("globex").await;
    let theirs = "/api/v1/unstract/globex/global-api-deployment/keys/";
    let new = json!({"name": "x", "description": "x", "api_deployments": [id]});
    let refused = outsider.post(theirs, new).await;
    assert_eq!(refused.body["errors"][0]["code"], "does_not_exist", "{}", refused.text);
    let reachable = admin.get("/api/v1/unstract/mock_org/global-api-deployment/deployments/").await;
    assert_eq!(reachable.body[0]["api_name"], "a", "{}", reachable.text);
}

#[tokio::test]
async fn a_rotated_key_keeps_its_scope() {
    let app = TestApp::start().await;
    let admin = app.admin().await;
    let id = deploy(&admin, "a").await;
    let old = key(&create(&admin, "some", json!({"api_deployments": [id]})).await);
    let rotated = admin.post(&format!("{}rotate/", at(&old)), json!({"grace_seconds": 60})).await;
    assert_eq!(rotated.status, 200, "{}", rotated.text);
    let fresh = key(&rotated);
    for either in [&old, &fresh] {
        assert_eq!(opens(&app, either, "a").await, opened());
    }
    assert_eq!(admin.delete(&at(&fresh)).await.status, 204);
    for either in [&old, &fresh] {
        assert_eq!(opens(&app, either, "a").await, shut("key_unknown"));
    }
}
