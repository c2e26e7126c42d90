//! What gateways are told. Here are the requests as each of them sends them; nginx and Caddy themselves
//! are in `e2e/tests/gateways.rs`.

#![expect(clippy::unwrap_used, reason = "what is wrong in a test should stop it")]

mod harness;

use std::{net::IpAddr, num::NonZeroU32};

use axum::{
    body::Body,
    http::{Method, Request},
};
use harness::{Answer, Client, ORG, TestApp};
use keydock_server::{access::usage, config::Settings};
use serde_json::json;

const PATH: &str = "/forward-auth";
const KEYS: &str = "/api/v1/unstract/mock_org/platform/keys/";
const UNKNOWN: &str = "00000000-0000-4000-8000-000000000000";

async fn ask(client: &Client, method: &str, path: &str, headers: &[(&str, &str)]) -> Answer {
    let method = Method::from_bytes(method.as_bytes()).unwrap();
    let mut request = Request::builder().method(method).uri(path);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    client.request(request.body(Body::empty()).unwrap()).await
}

fn identity(answer: &Answer) -> [&str; 5] {
    ["organization", "key-id", "key-name", "key-kind", "permission"]
        .map(|name| answer.headers[&format!("x-keydock-{name}")].to_str().unwrap())
}

/// Makes a deployment and gives its id and the secret of its first key.
async fn deployment(app: &TestApp, name: &str) -> (String, String) {
    let org = format!("/api/v1/unstract/{ORG}/");
    let definition = "fields:\n  - key: total\n    type: number\n    rule: {label: Total}\n";
    let platform = app.platform();
    let workflow = platform
        .post(&format!("{org}workflow/"), json!({"workflow_name": name, "definition": definition}))
        .await;
    let made = platform
        .post(
            &format!("{org}api/deployment/"),
            json!({"workflow": workflow.body["id"], "api_name": name}),
        )
        .await;
    let text = |member: &str| made.body[member].as_str().unwrap().to_owned();
    (text("id"), text("api_key"))
}

#[tokio::test]
async fn a_key_that_works_passes_with_its_identity_by_any_method() {
    let app = TestApp::start().await;
    let admin = app.admin().await;
    let id = admin.get(KEYS).await.body[0]["id"].as_str().unwrap().to_owned();
    for method in ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "PROPFIND", "TRACE"]
    {
        for path in [PATH, "/forward-auth/", "/forward-auth/ext-authz/any/thing?a=b&kind=x"] {
            let answer = ask(&app.platform(), method, path, &[]).await;
            assert_eq!(
                (answer.status.as_u16(), answer.text.as_str()),
                (200, ""),
                "{method} {path}"
            );
            assert_eq!(identity(&answer), [ORG, &id, "Key #1", "platform", "full_access"]);
            assert_eq!(answer.header("content-length"), "0", "so that connections are kept");
            assert_eq!(answer.header("cache-control"), "no-store");
        }
    }
    let (_, secret) = deployment(&app, "totals").await;
    let answer = ask(&app.key(&secret), "POST", PATH, &[]).await;
    let [org, _, name, kind, permission] = identity(&answer);
    assert_eq!([org, name, kind, permission], [ORG, "", "deployment", "execute"]);
}

#[tokio::test]
async fn names_are_made_safe_for_headers() {
    let app = TestApp::start().await;
    let admin = app.admin().await;
    let made = admin.post(KEYS, json!({"key_name": "Prüfung 100%", "is_active": true})).await;
    let answer = app.key(made.body["key"].as_str().unwrap()).get(PATH).await;
    assert_eq!(answer.header("x-keydock-key-name"), "Pr%C3%BCfung 100%25");
}

/// Each outcome has the status that gateways understand, a code, and a challenge where one belongs.
#[tokio::test]
async fn every_outcome_has_its_status() {
    let app = TestApp::start().await;
    let admin = app.admin().await;
    let idle = admin.post(KEYS, json!({})).await.body["key"].as_str().unwrap().to_owned();
    let (_, foreign) = app.other_org("globex").await;
    let (_, secret) = deployment(&app, "totals").await;
    let (_, other) = deployment(&app, "others").await;
    let cases: [(&str, Client, &str, u16, &str); 16] = [
        ("good", app.platform(), "kind=platform&org=mock_org&tier=full_access", 200, ""),
        ("good for a deployment", app.key(&secret), "deployment=totals", 200, ""),
        ("either kind", app.key(&secret), "kind=platform,deployment", 200, ""),
        ("none", app.nobody(), "", 401, "unauthenticated"),
        ("a session", admin, "", 401, "unauthenticated"),
        ("unknown", app.key(UNKNOWN), "", 401, "key_unknown"),
        ("malformed", app.key("nonsense"), "", 401, "key_malformed"),
        ("disabled", app.key(&idle), "", 401, "key_inactive"),
        ("wrong kind", app.key(&secret), "kind=platform", 401, "key_kind"),
        ("wrong kind for a deployment", app.platform(), "deployment=totals", 401, "key_kind"),
        ("wrong kind for a tier", app.key(&secret), "tier=read", 401, "key_kind"),
        ("other organization", app.key(&foreign), "org=mock_org", 403, "key_of_other_organization"),
        ("other deployment", app.key(&other), "deployment=totals", 401, "key_of_other_deployment"),
        ("no deployment", app.key(&other), "deployment=nothing", 401, "key_of_other_deployment"),
        ("a demand that is not understood", app.platform(), "kinds=platform", 400, "invalid"),
        ("a key in the address", app.platform(), &format!("token={UNKNOWN}"), 400, "key_in_url"),
    ];
    for (what, client, demand, status, code) in cases {
        for method in ["GET", "POST"] {
            let answer = ask(&client, method, &format!("{PATH}?{demand}"), &[]).await;
            assert_eq!((answer.status.as_u16(), answer.code()), (status, code), "{what}");
            assert_eq!(answer.header("x-keydock-error"), code, "{what}");
            assert_eq!(status == 401, !answer.header("www-authenticate").is_empty(), "{what}");
            let told = answer.headers.keys().any(|name| name == "x-keydock-organization");
            assert_eq!(told, status == 200, "{what}: who it is is told of those who pass only");
        }
    }
    let key = format!("Bearer {}", app.platform_key);
    let two = [("authorization", key.as_str()), ("authorization", "Bearer x")];
    let answer = ask(&app.nobody(), "GET", PATH, &two).await;
    assert_eq!((answer.status.as_u16(), answer.code()), (400, "several_credentials"));
    let other_org = [("x-organization-id", "globex")];
    assert_eq!(ask(&app.platform(), "GET", PATH, &other_org).await.status, 403);
    assert_eq!(app.platform().get("/forward-auth/elsewhere").await.status, 404);
}

/// Requests as gateways send them: the key stands in the original address, which each tells in its way.
#[tokio::test]
async fn a_key_in_the_original_address_is_found_wherever_a_gateway_tells_it() {
    let app = TestApp::start().await;
    let platform = app.platform();
    let address = format!("/documents?page=2&api_key={}", app.platform_key);
    for header in ["x-original-uri", "x-original-url", "x-forwarded-uri", "x-envoy-original-path"] {
        let answer = ask(&platform, "GET", PATH, &[(header, &address)]).await;
        assert_eq!((answer.status.as_u16(), answer.code()), (400, "key_in_url"), "{header}");
        assert!(!answer.text.contains(&app.platform_key));
        let good = ask(&platform, "GET", PATH, &[(header, "/documents?page=2&key=7")]).await;
        assert_eq!(good.status, 200, "{header}");
    }
    let envoy = ask(&platform, "GET", &format!("/forward-auth/ext-authz{address}"), &[]).await;
    assert_eq!((envoy.status.as_u16(), envoy.code()), (400, "key_in_url"));
}

/// The request of Envoy has its client's method, address and query, behind the prefix.
#[tokio::test]
async fn envoy_demands_in_a_header_and_its_client_cannot_demand_less() {
    let app = TestApp::start().await;
    let (_, secret) = deployment(&app, "totals").await;
    let client = app.key(&secret);
    let path = "/forward-auth/ext-authz/documents?kind=deployment";
    let demand = async |demand: &str| {
        let headers = [("x-keydock-require", demand), ("x-forwarded-proto", "https")];
        let answer = ask(&client, "POST", path, &headers).await;
        (answer.status.as_u16(), answer.code().to_owned())
    };
    assert_eq!(demand("deployment=totals").await, (200, String::new()));
    assert_eq!(demand("kind=platform").await, (401, "key_kind".to_owned()));
    assert_eq!(demand("nonsense").await, (400, "invalid".to_owned()));
    assert_eq!(demand("ü").await, (400, "invalid".to_owned()));
    let both = [("x-keydock-require", "kind=deployment"), ("x-keydock-require", "kind=platform")];
    assert_eq!(ask(&client, "POST", path, &both).await.status, 401, "all have to hold");
    let weaker = [("x-keydock-require", "kind=deployment")];
    let answer = ask(&client, "GET", &format!("{PATH}?kind=platform"), &weaker).await;
    assert_eq!(answer.status, 401, "what a client adds makes it stricter or nothing");
}

/// Traefik asks with `GET` and tells the rest in `X-Forwarded-…`.
#[tokio::test]
async fn the_request_of_traefik_is_understood() {
    let app = TestApp::start().await;
    let headers = [
        ("x-forwarded-method", "DELETE"),
        ("x-forwarded-proto", "https"),
        ("x-forwarded-host", "documents.example"),
        ("x-forwarded-uri", "/documents/7"),
        ("x-forwarded-for", "203.0.113.9"),
    ];
    let path = format!("{PATH}?kind=platform&org={ORG}");
    assert_eq!(ask(&app.platform(), "GET", &path, &headers).await.status, 200);
    assert_eq!(ask(&app.nobody(), "GET", &path, &headers).await.status, 401);
}

#[tokio::test]
async fn what_happens_to_a_deployment_is_in_effect_at_once() {
    let app = TestApp::start().await;
    let (id, secret) = deployment(&app, "totals").await;
    let client = app.key(&secret);
    let deployment = format!("/api/v1/unstract/{ORG}/api/deployment/{id}/");
    let platform = app.platform();
    let status =
        async |name: &str| client.get(&format!("{PATH}?deployment={name}")).await.status.as_u16();
    for _ in 0..3 {
        assert_eq!(status("totals").await, 200);
    }
    platform.patch(&deployment, json!({"api_name": "renamed"})).await;
    assert_eq!((status("totals").await, status("renamed").await), (401, 200));
    platform.patch(&deployment, json!({"is_active": false})).await;
    assert_eq!(status("renamed").await, 403);
    platform.patch(&deployment, json!({"is_active": true})).await;
    assert_eq!(status("renamed").await, 200);
    assert_eq!(platform.delete(&deployment).await.status, 204);
    assert_eq!(status("renamed").await, 401);
}

/// Every request counts as one use of the key, whether a name had to be looked up or not.
#[tokio::test]
async fn each_request_is_one_use() {
    let app = TestApp::start().await;
    let (id, secret) = deployment(&app, "totals").await;
    for path in [PATH, "/forward-auth?deployment=totals", "/forward-auth?deployment=totals"] {
        assert_eq!(app.key(&secret).get(path).await.status, 200);
    }
    usage::flush_all(app.app.keyring(), app.app.db()).await.unwrap();
    let keys = app.platform().get(&format!("/api/v1/unstract/{ORG}/api/keys/api/{id}/")).await;
    assert_eq!(keys.body[0]["use_count"], 3, "{}", keys.text);
}

/// Proves VER-10 for the address of the client: only a trusted gateway may tell it, and it is read from
/// the right. Guesses are counted where it was found.
#[tokio::test]
async fn a_client_cannot_hide_behind_a_made_up_address() {
    let settings = Settings {
        guesses_per_minute: NonZeroU32::new(3),
        trusted_proxies: Some(vec!["10.9.0.0/16".to_owned(), "2001:db8:9::/48".to_owned()]),
        ..Settings::default()
    };
    let app = TestApp::start_with(settings).await;
    let from = |peer: &str| {
        let mut client = app.key(UNKNOWN);
        client.ip = peer.parse::<IpAddr>().unwrap();
        client
    };
    let gateway = from("10.9.0.1");
    let client = "203.0.113.9";
    for _ in 0..3 {
        let headers = [("x-forwarded-for", client)];
        assert_eq!(ask(&gateway, "GET", PATH, &headers).await.status, 401);
    }
    // The gateway adds the address that it saw behind what its client wrote.
    let spoofs = [
        "",
        "10.9.0.1",
        "127.0.0.1",
        "::1",
        "198.51.100.1",
        "::ffff:198.51.100.1",
        "::ffff:10.9.0.1",
        "0:0:0:0:0:ffff:c633:6401",
        "2001:db8:9::1",
        "2001:db8:1::1",
        "198.51.100.1, 10.9.0.1",
        "10.9.0.1, 198.51.100.1",
        "unknown",
        "_hidden",
        "\"[2001:db8::1]\"",
        "198.51.100.1:443",
        "[::1]:80",
        "203.0.113.9, 198.51.100.1",
        ",",
        "198.51.100.1,,",
    ];
    assert_eq!(spoofs.len(), 20);
    for spoof in spoofs {
        for tail in [client.to_owned(), format!("::ffff:{client}"), format!("{client}, 10.9.3.3")] {
            let one_line = format!("{spoof}, {tail}");
            let ways = [
                vec![("x-forwarded-for", one_line.as_str())],
                vec![("x-forwarded-for", spoof), ("x-forwarded-for", &tail)],
            ];
            for headers in ways {
                let answer = ask(&gateway, "GET", PATH, &headers).await;
                assert_eq!((answer.status.as_u16(), answer.code()), (429, "too_many_unknown_keys"));
                assert!(!answer.header("retry-after").is_empty());
            }
        }
        // Past the gateway nobody is believed.
        for peer in ["203.0.113.9", "::ffff:203.0.113.9"] {
            let answer = ask(&from(peer), "GET", PATH, &[("x-forwarded-for", spoof)]).await;
            assert_eq!(answer.status, 429, "{spoof} from {peer}");
        }
    }
    let elsewhere = [("x-forwarded-for", "203.0.113.10")];
    assert_eq!(ask(&gateway, "GET", PATH, &elsewhere).await.status, 401, "others are not affected");
    let mut good = app.platform();
    good.ip = gateway.ip;
    assert_eq!(ask(&good, "GET", PATH, &[("x-forwarded-for", client)]).await.status, 200);
}

/// What limits a key limits it here, and the gateway's client is where it is used from.
#[tokio::test]
async fn the_limits_of_a_key_hold() {
    let trusted = Some(vec!["10.9.0.1".to_owned()]);
    let app =
        TestApp::start_with(Settings { trusted_proxies: trusted, ..Settings::default() }).await;
    let (id, _) = deployment(&app, "totals").await;
    let make = async |limit: serde_json::Value| {
        let mut body = json!({"description": "limited"});
        body.as_object_mut().unwrap().extend(limit.as_object().unwrap().clone());
        let path = format!("/api/v1/unstract/{ORG}/api/keys/api/{id}/");
        let made = app.platform().post(&path, body).await;
        assert_eq!(made.status, 201, "{}", made.text);
        let mut client = app.key(made.body["api_key"].as_str().unwrap());
        client.ip = "10.9.0.1".parse().unwrap();
        client
    };
    let path = format!("{PATH}?deployment=totals");

    let rated = make(json!({"rate_limit": {"requests": 2, "window_seconds": 60}})).await;
    for left in ["1", "0"] {
        let answer = ask(&rated, "GET", &path, &[]).await;
        assert_eq!(answer.status, 200);
        assert!(answer.header("ratelimit").contains(&format!("r={left}")), "{:?}", answer.headers);
    }
    let answer = ask(&rated, "GET", &path, &[]).await;
    assert_eq!((answer.status.as_u16(), answer.code()), (429, "rate_limited"));
    assert!(!answer.header("retry-after").is_empty());

    let bound = make(json!({"allowed_ips": ["203.0.113.0/24"]})).await;
    let from = async |address| {
        let answer = ask(&bound, "GET", PATH, &[("x-forwarded-for", address)]).await;
        (answer.status.as_u16(), answer.code().to_owned())
    };
    assert_eq!(from("203.0.113.9").await, (200, String::new()));
    assert_eq!(from("203.0.113.9, 198.51.100.1").await, (403, "key_address".to_owned()));
}

/// Without its database a node answers for as long as it trusts its keys, and then says 503.
#[tokio::test]
async fn no_database_is_asked() {
    let app = TestApp::start().await;
    let (_, secret) = deployment(&app, "totals").await;
    let path = format!("{PATH}?deployment=totals");
    assert_eq!(app.key(&secret).get(&path).await.status, 200);
    app.app.db().close().await;
    assert_eq!(app.key(&secret).get(&path).await.status, 200);
    assert_eq!(app.platform().get(PATH).await.status, 200);
    assert_eq!(app.nobody().get(PATH).await.status, 401);
}
