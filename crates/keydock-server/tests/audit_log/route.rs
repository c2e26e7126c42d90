//! `/api/v1/unstract/{org}/audit/`

use axum::{
    body::Body,
    http::{Request, header},
};
use keydock_server::audit_log::{
    export,
    verify::{End, Scope, Verifier},
};
use serde_json::{Value, json};

use crate::harness::{Answer, Client, TestApp};

const AUDIT: &str = "/api/v1/unstract/mock_org/audit/";
const KEYS: &str = "/api/v1/unstract/mock_org/platform/keys/";

fn actions(answer: &Answer) -> Vec<&str> {
    assert_eq!(answer.status, 200, "{}", answer.text);
    let events = answer.body["results"].as_array().unwrap();
    events.iter().map(|event| event["action"].as_str().unwrap()).collect()
}

async fn accepting(client: &Client, media_type: &str) -> Answer {
    let request = Request::builder().uri(AUDIT).header(header::ACCEPT, media_type);
    client.request(request.body(Body::empty()).unwrap()).await
}

#[tokio::test]
async fn admins_read_what_was_done_in_their_organization() {
    let app = TestApp::start().await;
    let admin = app.admin().await;
    let (outsider, _) = app.other_org("globex").await;
    let made = admin.post(KEYS, json!({"key_name": "ci"})).await;
    let id = made.body["id"].as_str().unwrap().to_owned();
    admin.put(KEYS, json!({"id": id})).await;
    admin.post("/api/v1/unstract/mock_org/users/", json!({"email": "uma@test.example"})).await;

    let all = admin.get(AUDIT).await;
    assert_eq!(
        actions(&all)[..3],
        ["member_added", "platform_key_refreshed", "platform_key_generated"]
    );
    let sequences: Vec<_> =
        all.body["results"].as_array().unwrap().iter().map(|e| e["sequence"].as_i64()).collect();
    assert!(sequences.is_sorted_by(|newer, older| newer > older), "{sequences:?}");
    assert!(!all.text.contains(made.body["key"].as_str().unwrap()), "KEY-03");

    let page = admin.get(&format!("{AUDIT}?page_size=2&page=2&subject=platform_key")).await;
    assert_eq!(page.body["results"].as_array().unwrap().len(), 1);
    assert_eq!(page.body["count"], 3);
    assert!(page.body["previous"].as_str().unwrap().contains("subject=platform_key"));
    assert_eq!(admin.get(&format!("{AUDIT}?page=9")).await.code(), "no_such_page");

    for (query, expected) in [
        ("action=member_added", 1),
        ("actor=ada@localhost", 3),
        ("actor=nobody", 0),
        (&format!("subject={id}"), 2),
        ("from=2026-01-01&to=2027-01-01", 5),
        ("from=2027-01-01", 0),
        ("to=2026-01-01T00:00:00Z", 0),
        ("from=2025-12-31T22:00:00-02:00&action=member_added", 1),
    ] {
        let found = admin.get(&format!("{AUDIT}?{query}")).await;
        assert_eq!(found.body["count"], expected, "{query}: {}", found.text);
    }
    for query in ["from=yesterday", "to=1", "format=xml"] {
        let answer = admin.get(&format!("{AUDIT}?{query}")).await;
        assert_eq!((answer.status.as_u16(), answer.code()), (400, "invalid"), "{query}");
    }

    let theirs = outsider.get("/api/v1/unstract/globex/audit/").await;
    assert!(!theirs.text.contains("uma@test.example") && !theirs.text.contains(&id), "TEN-01");
    assert_eq!(outsider.get(AUDIT).await.status, 403);
}

#[tokio::test]
async fn exports_are_lines_that_can_be_verified() {
    let app = TestApp::start().await;
    let admin = app.admin().await;
    let path = admin.post(KEYS, json!({"key_name": "=cmd|' /C calc'!A0"})).await;
    let path = format!("{KEYS}{}/", path.body["id"].as_str().unwrap());
    // More than one read of the database.
    for n in 0..300 {
        let action = if n % 2 == 0 { "ACTIVATE" } else { "DEACTIVATE" };
        admin.put(&path, json!({"action": action})).await;
    }
    let lines = admin.get(&format!("{AUDIT}?format=jsonl")).await;
    assert_eq!(lines.header("content-type"), "application/x-ndjson");
    assert!(lines.header("content-disposition").contains("audit-mock_org.jsonl"));
    let count = admin.get(AUDIT).await.body["count"].as_u64().unwrap();
    assert_eq!(lines.text.lines().count() as u64, count);

    let verify = |text: &str| {
        let mut verifier = Verifier::new(Scope::Some, &[], None);
        text.lines().for_each(|line| verifier.read(&export::read_line(line).unwrap()));
        verifier.finish(&End::Unknown)
    };
    let report = verify(&lines.text);
    assert!(report.is_whole() && report.events > 300, "{report:?}");
    assert!(!verify(&lines.text.replacen("_activated", "_refreshed", 1)).is_whole());

    let csv = accepting(&admin, "text/csv").await;
    assert!(csv.header("content-type").starts_with("text/csv"));
    assert_eq!(csv.text.lines().count() as u64, count + 1);
    assert!(!csv.text.contains(",\"=") && !csv.text.contains(",="), "no cell is a formula");
    assert_eq!(accepting(&admin, "application/x-ndjson").await.text, lines.text);
    assert!(accepting(&admin, "application/json, text/html;q=0.5").await.body["count"].is_u64());
    let some = admin.get(&format!("{AUDIT}?format=jsonl&action=platform_key_generated")).await;
    assert_eq!(some.text.lines().count(), 2);
    let none = admin.get(&format!("{AUDIT}?format=csv&action=nothing")).await;
    assert_eq!(none.text.lines().count(), 1, "the heading");
    let first: Value = serde_json::from_str(lines.text.lines().next().unwrap()).unwrap();
    assert_eq!(first["action"], "organization_founded");
}
