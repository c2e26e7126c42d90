//! A log that cannot be written (AUD-04).

use axum::http::Method;
use keydock_storage::db::{self, Kind, args};
use serde_json::{Value, json};

use super::attacks::{sql, verify};
use crate::harness::{Client, TestApp};

const ORG: &str = "/api/v1/unstract/mock_org/";
const DEFINITION: &str = "fields:\n  - key: total\n    type: number\n    rule: {label: Total}\n";

/// From here on no event can be written.
async fn refuse_events(app: &TestApp) {
    let db = app.app.db();
    if db.kind() == Kind::Postgres {
        let function = "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql
                        AS 'BEGIN RAISE EXCEPTION ''the disk of the log is away''; END'";
        let trigger = "CREATE TRIGGER refuse BEFORE INSERT ON audit_events
                       FOR EACH ROW EXECUTE FUNCTION refuse()";
        sql(db, function, args![]).await;
        sql(db, trigger, args![]).await;
    } else {
        let trigger = "CREATE TRIGGER refuse BEFORE INSERT ON audit_events
                       BEGIN SELECT RAISE(ABORT, 'the disk of the log is away'); END";
        sql(db, trigger, args![]).await;
    }
}

/// Everything that administration changes, as rows.
async fn everything(app: &TestApp) -> Vec<Vec<String>> {
    const TABLES: [&str; 8] = [
        "SELECT id || description || is_active || version || digest FROM keys ORDER BY id",
        "SELECT id || name || description || version FROM workflows ORDER BY id",
        "SELECT id || api_name || description || is_active FROM deployments ORDER BY id",
        "SELECT org_id || '/' || user_id || role FROM members ORDER BY org_id, user_id",
        "SELECT username || password_hash FROM users ORDER BY id",
        "SELECT name FROM organizations ORDER BY id",
        "SELECT name || value FROM counters WHERE name = 'key_changes'",
        "SELECT hash FROM audit_events ORDER BY seq",
    ];
    let read = app.app.db().read::<_, db::Error>(async |tx| {
        let mut rows = Vec::new();
        for table in TABLES {
            rows.push(tx.fetch_all::<String>(table, args![]).await?);
        }
        Ok(rows)
    });
    read.await.unwrap()
}

/// Proves AUD-04: what cannot be written to the log does not happen, and the answer says so.
#[tokio::test]
async fn nothing_changes_when_the_log_cannot_be_written() {
    let app = TestApp::start().await;
    let admin = app.admin().await;
    let make = async |path: &str, body: Value| {
        let made = admin.post(&format!("{ORG}{path}"), body).await;
        assert_eq!(made.status, 201, "{}", made.text);
        made.body
    };
    let key = make("platform/keys/", json!({})).await;
    let flow = json!({"workflow_name": "flow", "definition": DEFINITION});
    let flow = make("workflow/", flow).await;
    let free = json!({"workflow_name": "free", "definition": DEFINITION});
    let free = make("workflow/", free).await;
    let api = make("api/deployment/", json!({"workflow": flow["id"], "api_name": "api"})).await;
    let api_key =
        make(&format!("api/keys/api/{}/", text(&api["id"])), json!({"description": "k"})).await;
    make("users/", json!({"email": "uma@test.example"})).await;
    let role = json!({"email": "uma@test.example", "role": "admin"});
    let (key, flow, free) = (text(&key["id"]), text(&flow["id"]), text(&free["id"]));
    let (api, api_key) = (text(&api["id"]), text(&api_key["id"]));

    refuse_events(&app).await;
    let before = everything(&app).await;
    let (post, put, patch, delete) = (Method::POST, Method::PUT, Method::PATCH, Method::DELETE);
    let acts = [
        (post.clone(), format!("{ORG}users/"), json!({"email": "ida@test.example"})),
        (post.clone(), format!("{ORG}users/role/"), role),
        (delete.clone(), format!("{ORG}users/"), json!({"emails": ["uma@test.example"]})),
        (put.clone(), format!("{ORG}platform/keys/"), json!({"id": key})),
        (put.clone(), format!("{ORG}platform/keys/{key}/"), json!({"action": "ACTIVATE"})),
        (delete.clone(), format!("{ORG}platform/keys/{key}/"), Value::Null),
        (post.clone(), format!("{ORG}workflow/"), json!({"workflow_name": "new"})),
        (patch.clone(), format!("{ORG}workflow/{flow}/"), json!({"description": "changed"})),
        (delete.clone(), format!("{ORG}workflow/{free}/"), Value::Null),
        (
            post.clone(),
            format!("{ORG}api/deployment/"),
            json!({"workflow": free, "api_name": "new"}),
        ),
        (patch.clone(), format!("{ORG}api/deployment/{api}/"), json!({"description": "changed"})),
        (delete.clone(), format!("{ORG}api/deployment/{api}/"), Value::Null),
        (post.clone(), format!("{ORG}api/keys/api/{api}/"), json!({"description": "new"})),
        (post.clone(), format!("{ORG}api/keys/{api_key}/rotate/"), json!({})),
        (patch, format!("{ORG}api/keys/{api_key}/"), json!({"is_active": false})),
        (delete, format!("{ORG}api/keys/{api_key}/"), Value::Null),
        (
            post,
            "/api/v1/organization/create".to_owned(),
            json!({"name": "n", "display_name": "n", "organization_id": "new"}),
        ),
    ];
    for (method, path, body) in acts {
        refused(&admin, method, &path, body).await;
    }
    assert_eq!(everything(&app).await, before, "nothing half done");
    assert_eq!(app.platform().get(&format!("{ORG}users/")).await.status, 200, "reading goes on");
    sql(app.app.db(), drop_trigger(&app), args![]).await;
    assert_eq!(admin.post(&format!("{ORG}platform/keys/"), json!({})).await.status, 403, "full");
    assert_eq!(admin.put(&format!("{ORG}platform/keys/"), json!({"id": key})).await.status, 201);
    assert!(verify(&app.app, None).await.is_whole());
}

fn drop_trigger(app: &TestApp) -> &'static str {
    match app.app.db().kind() {
        Kind::Postgres => "DROP TRIGGER refuse ON audit_events",
        Kind::Sqlite => "DROP TRIGGER refuse",
    }
}

async fn refused(admin: &Client, method: Method, path: &str, body: Value) {
    let body = Some(body).filter(|body| !body.is_null());
    let answer = admin.send(method.clone(), path, body).await;
    assert_eq!((answer.status.as_u16(), answer.code()), (503, "unavailable"), "{method} {path}");
    assert_eq!(answer.body["type"], "server_error");
    assert!(answer.text.contains("The audit log cannot be written"), "{}", answer.text);
    assert!(!answer.header("retry-after").is_empty());
    assert!(!answer.text.contains("disk of the log"), "the cause is for the log of the server");
}

fn text(value: &Value) -> String {
    value.as_str().unwrap().to_owned()
}
