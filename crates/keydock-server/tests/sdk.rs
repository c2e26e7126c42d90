//! What tools of the SDK see (CONTRACT 8).

#![expect(clippy::unwrap_used, reason = "what is wrong in a test should stop it")]

mod harness;

use std::time::Duration;

use axum::{
    body::Body,
    http::{Method, Request, header},
};
use harness::{Answer, Client, ORG, TestApp};
use keydock_server::sdk;
use serde_json::{Value, json};

const KEYS: &str = "/api/v1/unstract/mock_org/platform/keys/";
const UNKNOWN: &str = "00000000-0000-4000-8000-000000000000";

async fn with_headers(client: &Client, path: &str, headers: &[(&str, &str)]) -> Answer {
    let mut request = Request::builder().uri(path);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    client.request(request.body(Body::empty()).unwrap()).await
}

async fn set(tool: &Client, key: &str, value: &str) -> u16 {
    tool.post("/cache", json!({"key": key, "value": value})).await.status.as_u16()
}

#[tokio::test]
async fn only_an_active_platform_key_is_let_in() {
    let app = TestApp::start().await;
    let admin = app.admin().await;
    let idle = admin.post(KEYS, json!({})).await.body["key"].as_str().unwrap().to_owned();
    let key = app.platform_key.clone();

    let details = app.platform().get("/platform_details").await;
    assert_eq!(
        (details.status.as_u16(), details.body),
        (200, json!({"status": "OK", "details": {"organization_id": ORG}}))
    );
    let nobody = app.nobody();
    for good in [format!("Bearer {key}"), key.clone(), format!("bearer {key}")] {
        let answer = with_headers(&nobody, "/platform_details", &[("authorization", &good)]).await;
        assert_eq!(answer.status, 200, "with and without the word Bearer");
    }
    let with_id = [("authorization", key.as_str()), ("x-request-id", "None")];
    let answer = with_headers(&nobody, "/platform_details", &with_id).await;
    assert_eq!((answer.status.as_u16(), answer.header("x-request-id")), (200, "None"));

    let routes = [
        (Method::GET, "/platform_details"),
        (Method::GET, "/cache?key=a"),
        (Method::POST, "/cache"),
        (Method::DELETE, "/cache?key=a"),
        (Method::POST, "/usage"),
        (Method::POST, "/page-usage"),
        (Method::GET, "/adapter_instance?adapter_instance_id=a"),
    ];
    let refused = [
        (app.nobody(), "unauthenticated"),
        (app.key(UNKNOWN), "key_unknown"),
        (app.key("nonsense"), "key_malformed"),
        (app.key(&idle), "key_inactive"),
        (admin, "unauthenticated"),
    ];
    for (client, code) in refused {
        for (method, path) in &routes {
            let body = (*method == Method::POST).then(|| json!({"key": "a", "value": "b"}));
            let answer = client.send(method.clone(), path, body).await;
            assert_eq!((answer.status.as_u16(), answer.text.as_str()), (401, "Unauthorized"));
            assert!(answer.header("content-type").starts_with("text/html"), "{path}");
            assert_eq!(answer.header("x-keydock-error"), code, "{path}");
            assert!(!answer.header("www-authenticate").is_empty(), "{path}");
        }
    }
    for open in [("/ping", "Pong"), ("/health", "OK")] {
        assert_eq!(app.nobody().get(open.0).await.text, open.1);
    }
}

#[tokio::test]
async fn the_header_may_only_confirm_the_organization() {
    let app = TestApp::start().await;
    app.other_org("globex").await;
    for (named, status) in [(ORG, 200), ("globex", 403), ("No Org", 400)] {
        let headers = [("x-organization-id", named)];
        let answer = with_headers(&app.platform(), "/platform_details", &headers).await;
        assert_eq!(answer.status, status, "{named}");
        if status == 403 {
            let told = answer.body["error"].as_str().unwrap();
            assert_eq!(told, "API key does not belong to this organization");
            assert_eq!(answer.body["name"], "APIError");
            assert_eq!(answer.body["code"], 403);
            assert!(answer.body["payload"].is_null());
        }
    }
}

#[tokio::test]
async fn values_are_kept_for_an_organization() {
    let app = TestApp::start().await;
    let (_, theirs) = app.other_org("globex").await;
    let (tool, other) = (app.platform(), app.key(&theirs));

    let put = tool.post("/cache", json!({"key": "k", "value": "mine"})).await;
    assert_eq!((put.status.as_u16(), put.text.as_str()), (200, "OK"));
    let got = tool.get("/cache?key=k").await;
    assert_eq!((got.status.as_u16(), got.text.as_str()), (200, "mine"));
    assert!(got.header("content-type").starts_with("text/plain"));

    let absent = other.get("/cache?key=k").await;
    assert_eq!((absent.status.as_u16(), absent.text.as_str()), (404, "Not Found"));
    assert_eq!(set(&other, "k", "theirs").await, 200);
    assert_eq!(other.delete("/cache?key=k").await.text, "OK");
    assert_eq!(tool.get("/cache?key=k").await.text, "mine");

    assert_eq!(set(&tool, "k", "{\"a\": 1}").await, 200);
    assert_eq!(tool.get("/cache?key=k").await.text, "{\"a\": 1}", "as it was sent");
    for _ in 0..2 {
        let dropped = tool.delete("/cache?key=k").await;
        assert_eq!((dropped.status.as_u16(), dropped.text.as_str()), (200, "OK"));
    }
    assert_eq!(tool.get("/cache?key=k").await.status, 404);
}

#[tokio::test]
async fn names_of_values_are_taken_as_tools_write_them() {
    let app = TestApp::start().await;
    let tool = app.platform();
    for (name, written) in [
        ("a+b/c=d&e", "a+b/c=d&e"),
        ("with blank", "with%20blank"),
        ("grün", "gr%C3%BCn"),
        (UNKNOWN, UNKNOWN),
    ] {
        assert_eq!(set(&tool, name, name).await, 200);
        assert_eq!(tool.get(&format!("/cache?key={written}")).await.text, name);
    }
    let key = &app.platform_key;
    let in_url = tool.get(&format!("/cache?key={key}")).await;
    assert_eq!((in_url.status.as_u16(), in_url.header("x-keydock-error")), (400, "key_in_url"));
    assert_eq!(tool.get(&format!("/cache?key=a&token={UNKNOWN}")).await.status, 400);
}

#[tokio::test]
async fn a_value_that_cannot_be_kept_is_refused() {
    let app = TestApp::start().await;
    let tool = app.platform();
    for body in [
        json!({}),
        json!({"key": "k"}),
        json!({"value": "v"}),
        json!({"key": "", "value": "v"}),
        json!({"key": "k", "value": null}),
        json!({"key": "k", "value": {"a": 1}}),
        json!({"key": "k", "value": "a\u{0}b"}),
        json!({"key": "k".repeat(513), "value": "v"}),
    ] {
        let answer = tool.post("/cache", body).await;
        assert_eq!((answer.status.as_u16(), answer.text.as_str()), (400, "Bad Request"));
    }
    for path in ["/cache", "/cache?key=", "/cache?other=k", "/cache?key=%ff"] {
        for answer in [tool.get(path).await, tool.delete(path).await] {
            assert_eq!((answer.status.as_u16(), answer.text.as_str()), (400, "Bad Request"));
        }
    }
    // Two bytes each in UTF-8, and six in the JSON of some.
    let largest = "ü".repeat(sdk::LARGEST_VALUE / 2);
    let escaped = format!(r#"{{"key": "k", "value": "{}"}}"#, largest.replace('ü', "\\u00fc"));
    let request = Request::post("/cache").header(header::CONTENT_TYPE, "application/json");
    let answer = tool.request(request.body(Body::from(escaped)).unwrap()).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    assert_eq!(tool.get("/cache?key=k").await.text, largest);
    assert_eq!(set(&tool, "k", &format!("{largest}x")).await, 413);
}

#[tokio::test]
async fn values_end_after_a_week_and_make_room_for_later_ones() {
    let app = TestApp::start().await;
    let tool = app.platform();
    assert_eq!(set(&tool, "first", "1").await, 200);
    app.app.db().clock().advance(sdk::LIFETIME.saturating_sub(Duration::from_mins(1)));
    assert_eq!(tool.get("/cache?key=first").await.status, 200);
    assert_eq!(set(&tool, "second", "2").await, 200);
    app.app.db().clock().advance(Duration::from_mins(2));
    assert_eq!(tool.get("/cache?key=first").await.status, 404);
    assert_eq!(tool.get("/cache?key=second").await.status, 200);
    app.app.write(async |tx| sdk::forget_old(tx).await).await.unwrap();
    assert_eq!(tool.get("/cache?key=second").await.status, 200, "upkeep leaves what has not ended");

    let most = usize::try_from(sdk::MOST_VALUES).unwrap();
    for n in 0..most {
        assert_eq!(set(&tool, &format!("many{n}"), "v").await, 200);
    }
    assert_eq!(tool.get("/cache?key=second").await.status, 404, "it would have ended first");
    assert_eq!(tool.get("/cache?key=many0").await.status, 200);
    assert_eq!(tool.get(&format!("/cache?key=many{}", most - 1)).await.status, 200);
}

#[tokio::test]
async fn what_models_and_documents_cost_is_stored() {
    let app = TestApp::start().await;
    let tool = app.platform();
    let sent = json!({"workflow_id": "", "execution_id": "e", "adapter_instance_id": UNKNOWN,
        "run_id": "", "usage_type": "llm", "llm_usage_reason": "extraction", "model_name": "m",
        "provider": "p", "embedding_tokens": 0, "prompt_tokens": 5, "completion_tokens": 7,
        "total_tokens": 12, "cost_in_dollars": 0.000_000_45, "of another version": true});
    let answer = tool.post("/usage", sent).await;
    assert_eq!((answer.status.as_u16(), &answer.body["status"]), (200, &json!("OK")));
    assert_eq!(answer.body["error"], "");
    assert!(uuid::Uuid::try_parse(answer.body["unique_id"].as_str().unwrap()).is_ok());

    let pages = json!({"page_count": 3, "file_name": "a.pdf", "file_size": 10,
                       "file_type": "application/pdf", "run_id": null});
    let stored = tool.post("/page-usage", pages).await;
    assert_eq!((stored.status.as_u16(), &stored.body["status"]), (200, &json!("OK")));
    assert_ne!(stored.body["unique_id"], answer.body["unique_id"]);

    for path in ["/usage", "/page-usage"] {
        for body in [Body::empty(), Body::from("{}")] {
            let request = Request::post(path).header(header::CONTENT_TYPE, "application/json");
            let answer = tool.request(request.body(body).unwrap()).await;
            assert_eq!(answer.status, 400, "{path}");
            assert_eq!(answer.body["error"], "Bad Request / No payload");
            assert_eq!(
                (&answer.body["status"], &answer.body["unique_id"]),
                (&json!("ERROR"), &json!(""))
            );
        }
    }
    for wrong in [
        json!({"total_tokens": -1}),
        json!({"total_tokens": "many"}),
        json!({"cost_in_dollars": -0.5}),
        json!({"model_name": "m".repeat(256)}),
        json!({"run_id": "a\u{0}"}),
    ] {
        let answer = tool.post("/usage", wrong.clone()).await;
        assert_eq!((answer.status.as_u16(), &answer.body["status"]), (400, &json!("ERROR")));
        let named = wrong.as_object().unwrap().keys().next().unwrap();
        assert!(answer.body["error"].as_str().unwrap().starts_with(named.as_str()));
    }
}

/// What a tool asks for that is not there yet is answered in a way that it understands.
#[tokio::test]
async fn what_does_not_exist_is_not_there() {
    let app = TestApp::start().await;
    let tool = app.platform();
    for (path, parameter) in [
        ("/adapter_instance", "adapter_instance_id"),
        ("/custom_tool_instance", "prompt_registry_id"),
        ("/agentic_tool_instance", "agentic_registry_id"),
        ("/llm_profile_instance", "llm_profile_id"),
    ] {
        let absent = tool.get(&format!("{path}?{parameter}={UNKNOWN}")).await;
        assert_eq!(absent.status, 404, "{path}");
        let told = absent.body["error"].as_str().unwrap();
        assert!(told.contains(UNKNOWN), "{told}");
        let shape = |body: &Value| (body["name"].clone(), body["code"].clone());
        assert_eq!(shape(&absent.body), (json!("APIError"), json!(404)));
        let incomplete = tool.get(path).await;
        assert_eq!(shape(&incomplete.body), (json!("APIError"), json!(400)), "{path}");
        assert_eq!(incomplete.body["error"], format!("{parameter} is required"));
    }
}
