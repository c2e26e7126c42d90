//! One event, one line, whatever somebody sends (AUD-03).

use std::{
    io,
    sync::{Arc, Mutex},
};

use axum::{
    body::Body,
    http::{Request, header},
};
use keydock_server::audit_log::export::read_line;
use serde_json::{Value, json};
use tracing_subscriber::fmt::MakeWriter;

use crate::harness::{Client, TestApp};

const ORG: &str = "/api/v1/unstract/mock_org/";
const DEFINITION: &str = "fields:\n  - key: total\n    type: number\n    rule: {label: Total}\n";

/// What one would send to make a line look like another, or a terminal do something.
const PAYLOADS: [&str; 7] = [
    "a\r\nINFO forged line",
    "a\n{\"action\":\"forged\"}",
    "\u{1b}[2J\u{1b}]0;forged\u{7}",
    "\u{9b}2Jforged",
    "a\",\"action\":\"forged",
    "a\u{2028}forged\u{202e}degrof",
    "=cmd|' /C calc'!A0",
];

/// Catches logs.
#[derive(Clone, Default)]
struct Caught(Arc<Mutex<Vec<u8>>>);

impl io::Write for Caught {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Caught {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

impl Caught {
    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

/// Puts the payload wherever a text is taken.
async fn everywhere(app: &TestApp, admin: &Client, payload: &str, n: usize) {
    let org = |path: &str| format!("{ORG}{path}");
    admin.post(&org("platform/keys/"), json!({"key_name": payload})).await;
    admin.post(&org("users/"), json!({"email": format!("{payload}@test.example")})).await;
    admin.post(&org("users/"), json!({"email": payload, "role": payload})).await;
    let flow = json!({"workflow_name": payload, "description": payload, "definition": DEFINITION});
    admin.post(&org("workflow/"), flow).await;
    let flow = json!({"workflow_name": format!("w{n}"), "description": payload,
                      "definition": DEFINITION});
    let flow = admin.post(&org("workflow/"), flow).await.body["id"].clone();
    let api = json!({"workflow": flow, "api_name": format!("api{n}"), "display_name": payload,
                     "description": payload});
    admin.post(&org("api/deployment/"), api).await;
    let api = json!({"workflow": flow, "api_name": format!("api{n}")});
    let api = admin.post(&org("api/deployment/"), api).await;
    if let Some(id) = api.body["id"].as_str() {
        admin.post(&org(&format!("api/keys/api/{id}/")), json!({"description": payload})).await;
        let key = api.body["api_key"].as_str().unwrap();
        submit(app, key, &format!("api{n}"), payload).await;
    }
    let name =
        json!({"name": payload, "display_name": payload, "organization_id": format!("o{n}")});
    admin.post("/api/v1/organization/create", name).await;
    app.nobody().post("/api/v1/login", json!({"username": payload, "password": payload})).await;
    let encoded: String = url::form_urlencoded::byte_serialize(payload.as_bytes()).collect();
    admin.delete(&org(&format!("platform/keys/{encoded}/"))).await;
    admin.get(&org(&format!("audit/?action={encoded}&actor={encoded}"))).await;
    headers(app, payload).await;
}

async fn submit(app: &TestApp, key: &str, api: &str, payload: &str) {
    let file = payload.replace('"', "%22");
    let body = format!(
        "--b\r\ncontent-disposition: form-data; name=\"files\"; filename=\"{file}.txt\"\r\n\r\n\
         Total: 12\r\n--b\r\ncontent-disposition: form-data; name=\"tags\"\r\n\r\n{payload}\r\n--b--\r\n"
    );
    let request = Request::post(format!("/deployment/api/mock_org/{api}/"))
        .header(header::CONTENT_TYPE, "multipart/form-data; boundary=b");
    app.key(key).request(request.body(Body::from(body)).unwrap()).await;
}

/// What headers can carry at all, as far as the library lets it through.
async fn headers(app: &TestApp, payload: &str) {
    for client in [app.nobody(), app.platform()] {
        let mut request = Request::post(format!("{ORG}platform/keys/"));
        for name in ["x-request-id", "user-agent", "x-forwarded-for", "x-organization-id"] {
            if let Ok(value) = header::HeaderValue::from_bytes(payload.as_bytes()) {
                request = request.header(name, value);
            }
        }
        client.request(request.body(Body::empty()).unwrap()).await;
        // Some paths are taken with bytes that are no ASCII.
        let path = payload.replace(['\r', '\n', ' '], "");
        if let Ok(request) = Request::post(format!("{ORG}{path}/")).body(Body::empty()) {
            client.request(request).await;
        }
    }
}

fn is_plain(line: &str) -> bool {
    !line.chars().any(|c| c.is_control() || matches!(c, '\u{2028}' | '\u{202e}'))
}

/// Proves AUD-03 for the audit log: no line is forged in any of its forms.
#[tokio::test]
async fn no_event_is_forged() {
    let app = TestApp::start().await;
    let admin = app.admin().await;
    for (n, payload) in PAYLOADS.into_iter().enumerate() {
        everywhere(&app, &admin, payload, n).await;
    }
    let lines = admin.get(&format!("{ORG}audit/?format=jsonl")).await.text;
    let count = admin.get(&format!("{ORG}audit/")).await.body["count"].as_u64().unwrap();
    assert!(count > 15, "some payloads are names that may be: {count}");
    assert_eq!(lines.lines().count() as u64, count, "one event, one line");
    for line in lines.split_terminator('\n') {
        assert!(is_plain(line), "{line:?}");
        assert_ne!(read_line(line).unwrap().record.action, "forged");
    }
    let csv = admin.get(&format!("{ORG}audit/?format=csv")).await.text;
    assert_eq!(csv.split_terminator("\r\n").count() as u64, count + 1);
    assert!(csv.split_terminator("\r\n").all(is_plain), "{csv}");
}

async fn logged(json: bool) -> String {
    let caught = Caught::default();
    let log =
        tracing_subscriber::fmt().with_env_filter("debug,sqlx=warn").with_writer(caught.clone());
    let _guard = if json {
        tracing::subscriber::set_default(log.json().finish())
    } else {
        tracing::subscriber::set_default(log.with_ansi(false).finish())
    };
    let app = TestApp::start().await;
    let admin = app.admin().await;
    for (n, payload) in PAYLOADS.into_iter().enumerate() {
        everywhere(&app, &admin, payload, n).await;
    }
    caught.text()
}

/// Proves AUD-03 for logs in both forms: each line is one of ours.
#[tokio::test]
async fn no_log_line_is_forged() {
    let text = logged(false).await;
    assert!(text.lines().count() > 50, "logs were caught");
    for line in text.split_terminator('\n') {
        assert!(is_plain(line), "{line:?}");
        let is_ours = ["DEBUG", "INFO", "WARN", "ERROR"]
            .iter()
            .any(|level| line.split_whitespace().nth(1) == Some(level));
        assert!(is_ours, "{line:?}");
    }
    let json = logged(true).await;
    for line in json.split_terminator('\n') {
        assert!(is_plain(line), "{line:?}");
        let line: Value = serde_json::from_str(line).unwrap();
        assert!(line["fields"]["message"].is_string(), "{line}");
        assert_ne!(line["action"], "forged");
    }
}
