//! Who gets in, and what the others are told (CONTRACT 0.3, 1.2; REQUIREMENTS VER).

#![expect(clippy::unwrap_used, reason = "what is wrong in a test should stop it")]

mod harness;

use std::{fmt::Write as _, time::Instant};

use axum::{
    body::Body,
    http::{Method, Request, header},
};
use harness::{Answer, Client, ORG, TestApp};
use keydock_server::{access::keyring::Use, config::Settings};
use serde_json::json;

const WHOAMI: &str = "/api/v1/unstract/whoami/";
const USERS: &str = "/api/v1/unstract/mock_org/users/";
const KEYS: &str = "/api/v1/unstract/mock_org/platform/keys/";
const UNKNOWN: &str = "00000000-0000-4000-8000-000000000000";

/// Sends headers exactly as given.
async fn with_headers(client: &Client, path: &str, headers: &[(&str, &str)]) -> Answer {
    let mut request = Request::builder().uri(path);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    client.request(request.body(Body::empty()).unwrap()).await
}

/// Proves VER-01 and VER-03 for the refusals of the platform API: a stable code, a request id, a
/// place to read on, and a challenge on every 401.
#[tokio::test]
async fn every_refusal_has_a_code_and_a_challenge() {
    let app = TestApp::start().await;
    let admin = app.admin().await;
    let idle = admin.post(KEYS, json!({})).await.body["key"].as_str().unwrap().to_owned();
    let (_, foreign) = app.other_org("globex").await;
    let old = admin.get(KEYS).await.body[0]["id"].as_str().unwrap().to_owned();
    admin.put(KEYS, json!({"id": old, "grace_seconds": 1})).await;
    app.app.db().clock().advance(std::time::Duration::from_secs(5));

    let mut table = String::new();
    let cases = [
        ("nothing sent", vec![]),
        ("another scheme", vec![("authorization", "Basic YTpi".to_owned())]),
        ("an empty token", vec![("authorization", "Bearer ".to_owned())]),
        ("no key at all", vec![("authorization", "Bearer nonsense".to_owned())]),
        ("an unknown key", vec![("authorization", format!("Bearer {UNKNOWN}"))]),
        ("an inactive key", vec![("authorization", format!("Bearer {idle}"))]),
        ("a rotated-out key", vec![("authorization", format!("Bearer {}", app.platform_key))]),
        ("a key of another organization", vec![("authorization", format!("Bearer {foreign}"))]),
        (
            "two credentials",
            vec![
                ("authorization", format!("Bearer {foreign}")),
                ("authorization", format!("Bearer {idle}")),
            ],
        ),
    ];
    for (what, headers) in cases {
        let headers: Vec<_> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let answer = with_headers(&app.nobody(), USERS, &headers).await;
        assert_eq!(answer.body["request_id"], answer.header("x-request-id"), "{what}");
        assert!(answer.body["docs"].as_str().unwrap().ends_with(answer.code()), "{what}");
        assert!(answer.body["message"].is_string(), "{what}: the bare message stays");
        assert_eq!(answer.status == 401, !answer.header("www-authenticate").is_empty(), "{what}");
        writeln!(
            table,
            "{what}: {} {} | {} | {}",
            answer.status.as_u16(),
            answer.code(),
            answer.body["message"].as_str().unwrap(),
            answer.header("www-authenticate"),
        )
        .unwrap();
    }
    insta::assert_snapshot!(table);
}

/// Proves VER-02 for keys: unknown keys, and foreign and absent organizations, look the same.
#[tokio::test]
async fn there_is_no_oracle() {
    let app = TestApp::start().await;
    app.other_org("globex").await;
    let same = |a: &Answer, b: &Answer| {
        let text = |answer: &Answer| answer.text.replace(answer.header("x-request-id"), "[id]");
        assert_eq!(text(a), text(b));
        assert_eq!(a.status, b.status);
    };
    let foreign = "/api/v1/unstract/globex/users/";
    let absent = "/api/v1/unstract/no_such_org/users/";
    for caller in [app.admin().await, app.platform(), app.nobody(), app.key(UNKNOWN)] {
        same(&caller.get(foreign).await, &caller.get(absent).await);
    }
    let admin = app.admin().await;
    let set = |org: &str| format!("/api/v1/organization/{org}/set");
    let member = app.member("uma@test.example", "user").await;
    same(
        &member.post(&set("globex"), json!({})).await,
        &member.post(&set("no_such_org"), json!({})).await,
    );
    assert_eq!(admin.post(&set("globex"), json!({})).await.status, 200, "its founder may enter");
}

/// Proves VER-04: the scheme in any case, one credential, and none in the URL.
#[tokio::test]
async fn one_credential_in_the_header_and_nowhere_else() {
    let app = TestApp::start().await;
    let key = app.platform_key.clone();
    let nobody = app.nobody();
    for scheme in ["Bearer", "bearer", "BEARER", "bEaReR"] {
        let answer =
            with_headers(&nobody, WHOAMI, &[("authorization", &format!("{scheme} {key}"))]).await;
        assert_eq!(answer.status, 200, "{scheme}");
    }
    let spaced =
        with_headers(&nobody, WHOAMI, &[("authorization", &format!("Bearer   {key}  "))]).await;
    assert_eq!(spaced.status, 200);
    for spelling in [key.to_uppercase(), key.replace('-', "")] {
        assert_eq!(app.key(&spelling).get(WHOAMI).await.status, 200, "{spelling}");
    }
    for spelling in [format!("{{{key}}}"), format!("urn:uuid:{key}"), format!("{key}x")] {
        assert_eq!(app.key(&spelling).get(WHOAMI).await.code(), "key_malformed", "{spelling}");
    }
    let glued = with_headers(&nobody, WHOAMI, &[("authorization", &format!("Bearer{key}"))]).await;
    assert_eq!(glued.status, 401);
    for name in ["key", "api_key", "token", "access_token", "Authorization"] {
        let answer = nobody.get(&format!("{WHOAMI}?{name}={key}")).await;
        assert_eq!((answer.status.as_u16(), answer.code()), (400, "key_in_url"), "{name}");
        assert!(!answer.text.contains(&key), "the key is not repeated");
        for path in [WHOAMI, "/api/v1/unstract/mock_org/workflow/"] {
            let twice = app.platform().get(&format!("{path}?{name}={key}")).await;
            assert_eq!(twice.code(), "key_in_url", "{name}: a key in the header is no excuse");
        }
    }
}

/// Proves VER-09: absent / equal / other / malformed / twice is 200 / 200 / 403 / 400 / 400.
#[tokio::test]
async fn the_header_may_only_confirm() {
    let app = TestApp::start().await;
    app.other_org("globex").await;
    let platform = app.platform();
    for path in [WHOAMI, USERS] {
        let status = async |headers: &[(&str, &str)]| {
            with_headers(&platform, path, headers).await.status.as_u16()
        };
        assert_eq!(status(&[]).await, 200);
        assert_eq!(status(&[("X-Organization-Id", ORG)]).await, 200);
        assert_eq!(status(&[("x-organization-ID", ORG)]).await, 200);
        assert_eq!(status(&[("x-organization-id", "globex")]).await, 403);
        assert_eq!(status(&[("x-organization-id", "no_such_org")]).await, 403);
        assert_eq!(status(&[("x-organization-id", "Not An Org")]).await, 400);
        assert_eq!(status(&[("x-organization-id", ORG), ("x-organization-id", ORG)]).await, 400);
    }
}

/// Proves VER-07 and A30: guesses are throttled by address, and genuine keys never are.
#[tokio::test]
async fn guessing_is_throttled_and_genuine_keys_are_not() {
    let settings =
        Settings { guesses_per_minute: std::num::NonZeroU32::new(100), ..Settings::default() };
    let app = TestApp::start_with(settings).await;
    let idle =
        app.admin().await.post(KEYS, json!({})).await.body["key"].as_str().unwrap().to_owned();
    let guesser = app.key(UNKNOWN);
    let here = |key: &str| {
        let mut client = app.key(key);
        client.ip = guesser.ip;
        client
    };

    // Genuine keys in a bad state do not count, however often they are sent.
    for _ in 0..300 {
        assert_eq!(here(&idle).get(WHOAMI).await.code(), "key_inactive");
    }
    let mut throttled = 0;
    for n in 0..300 {
        let answer = guesser.get(WHOAMI).await;
        if answer.status == 429 {
            throttled += 1;
            assert_eq!(answer.code(), "too_many_unknown_keys");
            assert!(answer.header("retry-after").parse::<u64>().unwrap() >= 1);
        } else {
            assert!(n < 110, "the first hundred are answered, this was number {n}");
        }
        if n % 10 == 0 {
            let valid = here(&app.platform_key).get(WHOAMI).await;
            assert_eq!(valid.status, 200, "a valid key behind the same address");
        }
    }
    assert!(throttled >= 190, "{throttled}");
    assert_eq!(app.key(UNKNOWN).get(WHOAMI).await.status, 401, "other addresses are not affected");
}

#[tokio::test]
async fn a_key_wins_over_a_session() {
    let app = TestApp::start().await;
    let admin = app.admin().await;
    let answer =
        with_headers(&admin, USERS, &[("authorization", &format!("Bearer {UNKNOWN}"))]).await;
    assert_eq!(answer.code(), "key_unknown", "a bad key does not fall through to the cookie");
}

/// Proves CONTRACT 1.3.
#[tokio::test]
async fn a_change_by_session_needs_the_token() {
    let app = TestApp::start().await;
    let admin = app.admin().await;
    let post = async |token: &str| {
        let request = Request::post(KEYS)
            .header(header::CONTENT_TYPE, "application/json")
            .header("x-csrftoken", token)
            .body(Body::from("{}"))
            .unwrap();
        admin.request(request).await
    };
    let forged = post("forged").await;
    assert_eq!((forged.status.as_u16(), forged.code()), (403, "csrf"));
    assert_eq!(forged.body["errors"][0]["code"], "permission_denied");
    assert!(forged.body["errors"][0]["detail"].as_str().unwrap().starts_with("CSRF Failed: "));

    let cross_site =
        Request::post(KEYS).header("sec-fetch-site", "cross-site").body(Body::from("{}")).unwrap();
    assert_eq!(admin.request(cross_site).await.code(), "csrf");
    assert_eq!(admin.post(KEYS, json!({})).await.status, 201);
}

#[tokio::test]
async fn slashes_are_optional_and_nothing_is_redirected() {
    let app = TestApp::start().await;
    let admin = app.admin().await;
    for path in [USERS, USERS.trim_end_matches('/')] {
        assert_eq!(app.platform().get(path).await.status, 200, "{path}");
    }
    for path in ["/api/v1/session", "/api/v1/session/"] {
        assert_eq!(admin.get(path).await.status, 201, "{path}");
    }
    let made = admin.post(KEYS.trim_end_matches('/'), json!({})).await;
    assert_eq!(made.status, 201);
    assert_eq!(app.nobody().get("/healthXYZ").await.status, 404, "whole segments only");
}

#[tokio::test]
async fn unknown_addresses_and_methods_are_told_so() {
    let app = TestApp::start().await;
    let answer = app.nobody().get("/api/v1/nothing").await;
    assert_eq!((answer.status.as_u16(), answer.code()), (404, "not_found"));
    assert_eq!(answer.body["errors"][0]["detail"], "Not found.");

    let answer = app.admin().await.patch(KEYS, json!({})).await;
    assert_eq!((answer.status.as_u16(), answer.code()), (405, "method_not_allowed"));
    assert!(answer.header("allow").contains("POST"), "{:?}", answer.headers);
}

#[tokio::test]
async fn errors_are_problem_documents_for_those_who_ask() {
    let app = TestApp::start().await;
    let admin = app.admin().await;
    let request = Request::post(KEYS)
        .header(header::CONTENT_TYPE, "application/json")
        .header(header::ACCEPT, "application/problem+json")
        .header("x-request-id", "trace-1")
        .body(Body::from(r#"{"key_name": "", "slot": 1}"#))
        .unwrap();
    let answer = admin.request(request).await;
    assert_eq!(answer.header("content-type"), "application/problem+json");
    assert_eq!(answer.header("x-request-id"), "trace-1");
    insta::assert_json_snapshot!(answer.body);
}

#[tokio::test]
async fn a_body_that_cannot_be_read_is_told_so() {
    let app = TestApp::start().await;
    let admin = app.admin().await;
    let send = async |media_type: &str, body: &'static str| {
        let request = Request::post(KEYS)
            .header(header::CONTENT_TYPE, media_type)
            .body(Body::from(body))
            .unwrap();
        admin.request(request).await
    };
    let answer = send("application/json", "{").await;
    assert_eq!(
        (answer.status.as_u16(), &answer.body["errors"][0]["code"]),
        (400, &json!("parse_error"))
    );
    let answer = send("application/json", "[]").await;
    assert_eq!(
        (answer.status.as_u16(), &answer.body["errors"][0]["attr"]),
        (400, &json!("non_field_errors"))
    );
    let answer = send("text/csv", "a,b").await;
    assert_eq!((answer.status.as_u16(), answer.code()), (415, "unsupported_media_type"));
    let answer = send("application/x-www-form-urlencoded", "is_active=False&key_name=ci").await;
    assert_eq!(answer.status, 201, "{}", answer.text);
}

#[tokio::test]
async fn a_head_is_a_get_without_its_body() {
    let app = TestApp::start().await;
    let answer = app.platform().send(Method::HEAD, WHOAMI, None).await;
    assert_eq!((answer.status.as_u16(), answer.text.as_str()), (200, ""));
    let answer = app.nobody().send(Method::HEAD, WHOAMI, None).await;
    assert_eq!((answer.status.as_u16(), answer.text.as_str()), (401, ""));
}

fn used_now(app: &TestApp) -> Use<'static> {
    Use {
        at: app.app.db().clock().now(),
        instant: Instant::now(),
        ip: [127, 0, 0, 1].into(),
        agent: "",
        deployment: "",
        is_again: false,
    }
}

/// Proves VER-05 for a node that lost touch with its database: it stops trusting what it knows.
#[tokio::test]
async fn a_node_that_never_read_the_keys_refuses_all() {
    let app = TestApp::start().await;
    let fresh = keydock_server::access::keyring::Keyring::default();
    assert!(!fresh.is_trusted());
    let digest = app
        .app
        .pepper()
        .digest(&keydock_core::secret::SecretKey::parse(&app.platform_key).unwrap());
    let refused = fresh.verify(&digest, &used_now(&app)).unwrap_err();
    assert_eq!(refused.code(), "keys_unavailable");
    fresh.catch_up(app.app.db()).await.unwrap();
    assert!(fresh.verify(&digest, &used_now(&app)).is_ok());
}

/// Proves VER-05 between nodes: another node that reads the log knows of every change.
#[tokio::test]
async fn another_node_learns_of_changes_from_the_log() {
    let app = TestApp::start().await;
    let admin = app.admin().await;
    let other = keydock_server::access::keyring::Keyring::default();
    other.catch_up(app.app.db()).await.unwrap();
    let digest =
        |key: &str| app.app.pepper().digest(&keydock_core::secret::SecretKey::parse(key).unwrap());
    let works = |key: &str| other.verify(&digest(key), &used_now(&app)).is_ok();
    assert!(works(&app.platform_key));

    let second = admin.post(KEYS, json!({"is_active": true})).await;
    let (id, key) = (second.body["id"].as_str().unwrap(), second.body["key"].as_str().unwrap());
    other.catch_up(app.app.db()).await.unwrap();
    assert!(works(key) && !works(&app.platform_key));

    let refreshed = admin.put(KEYS, json!({"id": id})).await;
    other.catch_up(app.app.db()).await.unwrap();
    assert!(!works(key) && works(refreshed.body["key"].as_str().unwrap()));

    admin.delete(&format!("{KEYS}{id}/")).await;
    other.catch_up(app.app.db()).await.unwrap();
    assert!(!works(refreshed.body["key"].as_str().unwrap()));
    assert_eq!(other.len(), app.app.keyring().len());
}

/// Proves VER-05 for a request whose body is long in coming: what was permitted when it began has to
/// be permitted when it ends.
#[tokio::test]
async fn who_is_shut_out_while_the_body_comes_changes_nothing() {
    const WORKFLOWS: &str = "/api/v1/unstract/mock_org/workflow/";
    let app = TestApp::start().await;
    let admin = app.admin().await;
    let id = admin.get(KEYS).await.body[0]["id"].as_str().unwrap().to_owned();
    let slow = |name: &'static str| {
        let body = futures_util::stream::once(async move {
            tokio::time::sleep(std::time::Duration::from_millis(400)).await;
            Ok::<_, std::io::Error>(json!({"workflow_name": name}).to_string())
        });
        Request::post(WORKFLOWS)
            .header(header::CONTENT_TYPE, "application/json")
            .body(Body::from_stream(body))
            .unwrap()
    };
    let key = app.platform();
    assert_eq!(key.request(slow("in time")).await.status, 201, "to be slow is no crime");

    let (late, refreshed) = tokio::join!(key.request(slow("late")), async {
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        admin.put(KEYS, json!({"id": id})).await
    });
    assert_eq!((refreshed.status.as_u16(), late.code()), (201, "key_rotated_out"), "{}", late.text);

    let uma = app.member("uma@test.example", "admin").await;
    let (late, removed) = tokio::join!(uma.request(slow("later")), async {
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        admin.send(Method::DELETE, USERS, Some(json!({"emails": ["uma@test.example"]}))).await
    });
    assert_eq!((removed.status.as_u16(), late.status.as_u16()), (200, 403), "{}", late.text);
    assert_eq!(admin.get(WORKFLOWS).await.body.as_array().unwrap().len(), 1);
}

/// Proves VER-04: a key that was taken for an identifier does not get into the log.
#[test]
fn a_key_in_the_path_is_not_logged() {
    #[derive(Clone, Default)]
    struct Written(std::sync::Arc<std::sync::Mutex<Vec<u8>>>);
    impl std::io::Write for Written {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let written = Written::default();
    let writer = written.clone();
    let subscriber = tracing_subscriber::fmt().with_writer(move || writer.clone()).finish();
    tracing::subscriber::with_default(subscriber, || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let app = TestApp::start().await;
            let path = format!("{KEYS}{}/", app.platform_key);
            let answer = app.admin().await.send(Method::DELETE, &path, None).await;
            assert_eq!(answer.status, 404);
            let log = String::from_utf8(written.0.lock().unwrap().clone()).unwrap();
            assert!(log.contains("/platform/keys/[key]/"), "{log}");
            assert!(!log.contains(&app.platform_key), "{log}");
        });
    });
}
