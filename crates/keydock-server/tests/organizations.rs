//! Signing in, organizations and their members (CONTRACT 1.4, 1.6).

#![expect(clippy::unwrap_used, reason = "what is wrong in a test should stop it")]

mod harness;

use axum::{
    body::Body,
    http::{Method, Request, header},
};
use harness::{ADMIN, Answer, ORG, PASSWORD, TestApp};
use serde_json::json;

const USERS: &str = "/api/v1/unstract/mock_org/users/";
const CREATE: &str = "/api/v1/organization/create";
const KEYS: &str = "/api/v1/unstract/mock_org/platform/keys/";
const ROLE: &str = "/api/v1/unstract/mock_org/users/role/";

async fn form(app: &TestApp, cookie: &str, fields: &str) -> Answer {
    let request = Request::post("/api/v1/login")
        .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
        .header(header::COOKIE, cookie)
        .body(Body::from(fields.to_owned()))
        .unwrap();
    app.nobody().request(request).await
}

#[tokio::test]
async fn a_browser_signs_in_with_the_form() {
    let app = TestApp::start().await;
    let page = app.nobody().get("/api/v1/login").await;
    assert_eq!(page.status, 200);
    assert!(page.header("content-security-policy").contains("default-src 'none'"));
    let csrf = page.cookie("csrftoken").unwrap();
    assert!(page.text.contains(&csrf));
    let cookie = format!("csrftoken={csrf}");

    let wrong =
        form(&app, &cookie, &format!("csrfmiddlewaretoken={csrf}&username={ADMIN}&password=nope"))
            .await;
    assert_eq!(wrong.status, 200, "the form again");
    assert!(wrong.text.contains("Invalid username or password. Please try again."));

    let forged =
        form(&app, &cookie, &format!("csrfmiddlewaretoken=x&username={ADMIN}&password=nope")).await;
    assert_eq!((forged.status.as_u16(), forged.code()), (403, "csrf"));

    let password = PASSWORD.replace(' ', "+");
    let right = form(
        &app,
        &cookie,
        &format!("csrfmiddlewaretoken={csrf}&username={ADMIN}&password={password}"),
    )
    .await;
    assert_eq!((right.status.as_u16(), right.header("location")), (302, "/"));
    let session = right
        .headers
        .get_all(header::SET_COOKIE)
        .iter()
        .find(|value| value.to_str().unwrap().starts_with("sessionid="))
        .unwrap();
    for attribute in ["HttpOnly", "SameSite=Lax", "Path=/", "Max-Age=86400"] {
        assert!(session.to_str().unwrap().contains(attribute), "{attribute}");
    }
}

#[tokio::test]
async fn a_program_signs_in_with_json() {
    let app = TestApp::start().await;
    let sign_in = async |name: &str, password: &str| {
        app.nobody().post("/api/v1/login", json!({"username": name, "password": password})).await
    };
    assert_eq!(sign_in(ADMIN, PASSWORD).await.body, json!({"message": "success"}));
    assert_eq!(sign_in("Ada@Localhost", PASSWORD).await.status, 200, "by address, in any case");
    let wrong = sign_in(ADMIN, "wrong password").await;
    let nobody = sign_in("nobody", "wrong password").await;
    assert_eq!((wrong.status.as_u16(), wrong.code()), (401, "wrong_password"));
    assert_eq!(wrong.body["errors"], nobody.body["errors"], "which was wrong is not told");
    let short = sign_in("a", "b").await;
    assert_eq!(short.status, 400);
    assert_eq!(short.body["errors"].as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn guessing_passwords_is_throttled_by_name_and_address() {
    let app = TestApp::start().await;
    let guess = async |client: &harness::Client, name: String| {
        let body = json!({"username": name, "password": "wrong password"});
        client.post("/api/v1/login", body).await.status.as_u16()
    };
    let here = app.nobody();
    let mut statuses = Vec::new();
    for _ in 0..14 {
        statuses.push(guess(&here, "victim".to_owned()).await);
    }
    assert!(statuses[..10].iter().all(|status| *status == 401), "{statuses:?}");
    assert_eq!(statuses[13], 429);
    assert_eq!(guess(&here, "somebody else".to_owned()).await, 401);
    assert_eq!(guess(&app.nobody(), "victim".to_owned()).await, 401, "nobody is locked out");

    // Whoever knows the password may sign in as often as they like.
    for _ in 0..14 {
        app.admin().await;
    }
}

/// What no database can hold is a wrong name, not a fault of the server.
#[tokio::test]
async fn nonsense_names_nobody_and_nothing() {
    let app = TestApp::start().await;
    let body = json!({"username": "ad\u{0}min", "password": PASSWORD});
    assert_eq!(app.nobody().post("/api/v1/login", body).await.status, 401);
    let admin = app.admin().await;
    for path in [
        "/api/v1/unstract/%ff/platform/keys/",
        "/api/v1/unstract/a%00b/platform/keys/",
        "/api/v1/unstract/mock_org/workflow/%ff/",
        "/api/v1/unstract/mock_org/workflow/%00/",
        "/deployment/api/%ff/%00/",
    ] {
        for client in [&admin, &app.nobody(), &app.platform()] {
            let answer = client.get(path).await;
            assert!((401..=404).contains(&answer.status.as_u16()), "{path}: {}", answer.text);
            assert!(answer.body["code"].is_string(), "{path}: {}", answer.text);
        }
    }
    for name in ["%ff", "a%00b"] {
        let set = admin.post(&format!("/api/v1/organization/{name}/set"), json!({})).await;
        assert!((401..=404).contains(&set.status.as_u16()), "{name}: {}", set.text);
    }
}

#[tokio::test]
async fn the_session_tells_who_is_signed_in() {
    let app = TestApp::start().await;
    let out = app.nobody().get("/api/v1/session?q=1").await;
    assert_eq!((out.status.as_u16(), &out.body["message"]), (401, &json!("Unauthorized")));

    let session = app.admin().await.get("/api/v1/session?q=1").await;
    assert_eq!(session.status, 201);
    insta::assert_json_snapshot!(session.body, {".user_id" => "[uuid]"});
}

#[tokio::test]
async fn signing_out_ends_the_session() {
    let app = TestApp::start().await;
    let admin = app.admin().await;
    let out = admin.post("/api/v1/logout", json!({})).await;
    assert_eq!(out.status, 302);
    assert_eq!(admin.get("/api/v1/session").await.status, 401);

    let admin = app.admin().await;
    let from_elsewhere = Request::get("/api/v1/logout")
        .header("sec-fetch-site", "cross-site")
        .body(Body::empty())
        .unwrap();
    assert_eq!(admin.request(from_elsewhere).await.status, 403);
    assert_eq!(admin.get("/api/v1/logout").await.status, 302);
    assert_eq!(admin.get("/api/v1/session").await.status, 401);
}

#[tokio::test]
async fn changing_the_password_ends_the_other_sessions() {
    let app = TestApp::start().await;
    let (here, there) = (app.admin().await, app.admin().await);
    let change = async |current: &str, new: &str| {
        here.post("/api/v1/password", json!({"current_password": current, "new_password": new}))
            .await
    };
    assert_eq!(
        change("wrong", "another long password").await.body["errors"][0]["attr"],
        "current_password"
    );
    assert_eq!(change(PASSWORD, "short").await.body["errors"][0]["attr"], "new_password");
    assert_eq!(change(PASSWORD, "another long password").await.status, 200);
    assert_eq!(here.get("/api/v1/session").await.status, 201);
    assert_eq!(there.get("/api/v1/session").await.status, 401);
    app.nobody().sign_in(ADMIN, "another long password").await;
}

#[tokio::test]
async fn the_console_boots() {
    let app = TestApp::start().await;
    let someone = app.nobody().sign_in(ADMIN, PASSWORD).await;
    let mine = someone.get("/api/v1/organization").await;
    assert_eq!(
        mine.body,
        json!({"message": "success", "organizations": [
        {"id": ORG, "display_name": ORG, "name": ORG}]})
    );
    assert!(mine.cookie("csrftoken").is_some());
    let set = someone.post("/api/v1/organization/mock_org/set", json!({})).await;
    assert_eq!(set.body["user"]["id"], "1", "a text");
    assert_eq!(set.body["organization"]["organization_id"], ORG);
    let profile = someone.get("/api/v1/unstract/mock_org/users/profile/").await;
    assert_eq!(
        (profile.body["user"]["role"].as_str(), profile.body["user"]["is_admin"].as_bool()),
        (Some("admin"), Some(true))
    );
    let organization = someone.get("/api/v1/unstract/mock_org/organization").await;
    assert_eq!(organization.status, 201);
    assert_eq!(
        someone.get("/api/v1/unstract/mock_org/roles").await.body["members"]
            .as_array()
            .unwrap()
            .len(),
        2
    );
}

#[tokio::test]
async fn only_the_instance_admin_founds_organizations_and_gets_the_first_key() {
    let app = TestApp::start().await;
    let body =
        |id: &str| json!({"name": "Globex", "display_name": "Globex Inc.", "organization_id": id});
    let member = app.member("uma@test.example", "admin").await;
    assert_eq!(member.post(CREATE, body("globex")).await.status, 403);
    assert_eq!(app.platform().post(CREATE, body("globex")).await.status, 401, "no key does");

    let admin = app.admin().await;
    let founded = admin.post(CREATE, body("globex")).await;
    assert_eq!(founded.status, 201, "{}", founded.text);
    assert_eq!(founded.header("cache-control"), "no-store");
    let key = founded.body["tenant"]["platform_key"].as_str().unwrap();
    let me = app.key(key).get("/api/v1/unstract/whoami/").await;
    assert_eq!(
        (me.body["organization_id"].as_str(), me.body["key_name"].as_str()),
        (Some("globex"), Some("Key #1"))
    );

    for (id, what) in [
        ("globex", "taken"),
        ("whoami", "reserved"),
        ("login", "reserved"),
        ("Not ok", "characters"),
        ("", "blank"),
    ] {
        let refused = admin.post(CREATE, body(id)).await;
        assert_eq!(
            (refused.status.as_u16(), &refused.body["errors"][0]["attr"]),
            (400, &json!("organization_id")),
            "{what}"
        );
    }
}

#[tokio::test]
async fn members_are_added_and_change_their_first_password() {
    let app = TestApp::start().await;
    let admin = app.admin().await;
    let added = admin.post(USERS, json!({"email": "Uma@Test.example", "role": "user"})).await;
    assert_eq!(added.status, 201);
    assert_eq!(added.body["member"]["email"], "uma@test.example");
    let initial = added.body["initial_password"].as_str().unwrap();
    let uma = app.nobody().sign_in("uma@test.example", initial).await;
    assert_eq!(uma.get(USERS).await.code(), "forbidden", "the password must be changed first");
    let changed = uma
        .post("/api/v1/password", json!({"current_password": initial, "new_password": PASSWORD}))
        .await;
    assert_eq!(changed.status, 200);
    let listed = uma.get(USERS).await;
    assert_eq!(listed.body["members"].as_array().unwrap().len(), 2);
    assert!(listed.body["members"][0]["id"].is_string());

    let twice = admin.post(USERS, json!({"email": "uma@test.example"})).await;
    assert_eq!((twice.status.as_u16(), twice.code()), (400, "already_exists"));
    let wrong = admin.post(USERS, json!({"email": "nobody", "role": "owner"})).await;
    assert_eq!(wrong.body["errors"].as_array().unwrap().len(), 2, "both fields are named");
    assert_eq!(uma.post(USERS, json!({"email": "x@test.example"})).await.status, 403);
}

/// Proves KEY-06 for members: an organization keeps an admin, whoever tries what at the same time.
#[tokio::test]
async fn the_last_admin_stays() {
    let app = TestApp::start().await;
    let admin = app.admin().await;
    let me = json!({"email": "ada@localhost", "role": "admin"});
    let demoted = admin.send(Method::DELETE, ROLE, Some(me.clone())).await;
    assert_eq!((demoted.status.as_u16(), demoted.code()), (403, "last_admin"));
    let demoted = admin.post(ROLE, json!({"email": "ada@localhost", "role": "user"})).await;
    assert_eq!(demoted.code(), "last_admin");
    let removed =
        admin.send(Method::DELETE, USERS, Some(json!({"emails": ["ada@localhost"]}))).await;
    assert_eq!(removed.code(), "last_admin");

    let other = app.member("bea@test.example", "admin").await;
    let (one, two) = tokio::join!(
        admin.post(ROLE, json!({"email": "bea@test.example", "role": "user"})),
        other.post(ROLE, json!({"email": "ada@localhost", "role": "user"})),
    );
    let won = [&one, &two].iter().filter(|answer| answer.status == 200).count();
    assert_eq!(won, 1, "{} {}", one.text, two.text);
}

#[tokio::test]
async fn a_removed_member_is_out_at_once() {
    let app = TestApp::start().await;
    let admin = app.admin().await;
    let uma = app.member("uma@test.example", "user").await;
    assert_eq!(uma.get(USERS).await.status, 200);
    let body = json!({"emails": ["uma@test.example"]});
    let removed = admin.send(Method::DELETE, USERS, Some(body.clone())).await;
    assert_eq!(removed.body, json!({"status": "success", "message": "success"}));
    assert_eq!(uma.get(USERS).await.status, 403);
    let again = admin.send(Method::DELETE, USERS, Some(body)).await;
    assert_eq!((again.status.as_u16(), &again.body["status"]), (400, &json!("failed")));
    let many: Vec<_> = (0..11).map(|n| format!("u{n}@test.example")).collect();
    let many = admin.send(Method::DELETE, USERS, Some(json!({"emails": many}))).await;
    assert_eq!(many.body["errors"][0]["attr"], "emails");
}

/// Proves TEN-06: with the answer, no session of a removed member acts in the organization any more, and
/// none can be opened; what they made belongs to the organization and goes on working.
#[tokio::test]
async fn a_removed_member_is_out_on_every_session_and_what_they_made_stays() {
    let app = TestApp::start().await;
    let admin = app.admin().await;
    let uma = app.member("uma@test.example", "admin").await;
    let elsewhere = app.sign_in("uma@test.example", PASSWORD, ORG).await;
    let new = json!({"name": "hers", "description": "x", "permission": "full_access"});
    let made = uma.post("/api/v1/unstract/mock_org/platform-api/keys/", new).await;
    assert_eq!(made.status, 201, "{}", made.text);
    for session in [&uma, &elsewhere] {
        assert_eq!(session.get(KEYS).await.status, 200);
    }
    let body = json!({"emails": ["uma@test.example"]});
    assert_eq!(admin.send(Method::DELETE, USERS, Some(body)).await.status, 200);
    for session in [&uma, &elsewhere] {
        assert_eq!(session.get(KEYS).await.status, 403);
        assert_eq!(session.get(USERS).await.status, 403);
        let entered = session.post("/api/v1/organization/mock_org/set", json!({})).await;
        assert!(entered.status.is_client_error(), "{}", entered.text);
    }
    let key = app.key(made.body["key"].as_str().unwrap());
    assert_eq!(key.get("/api/v1/unstract/whoami/").await.status, 200, "it is the organization's");
    let path = format!(
        "/api/v1/unstract/mock_org/platform-api/keys/{}/",
        made.body["id"].as_str().unwrap()
    );
    assert_eq!(admin.delete(&path).await.status, 204);
    assert_eq!(key.get("/api/v1/unstract/whoami/").await.status, 401);
}

#[tokio::test]
async fn a_promoted_member_is_an_admin_at_once() {
    let app = TestApp::start().await;
    let admin = app.admin().await;
    let uma = app.member("uma@test.example", "user").await;
    assert_eq!(uma.get(KEYS).await.status, 403);
    let role = json!({"email": "uma@test.example", "role": "admin"});
    assert_eq!(admin.post(ROLE, role.clone()).await.status, 200);
    assert_eq!(uma.get(KEYS).await.status, 200);
    assert_eq!(admin.send(Method::DELETE, ROLE, Some(role)).await.status, 200);
    assert_eq!(uma.get(KEYS).await.status, 403);
    let wrong = admin.post(ROLE, json!({"email": "uma@test.example", "role": "owner"})).await;
    assert_eq!(
        (wrong.status.as_u16(), &wrong.body["errors"][0]["code"]),
        (400, &json!("invalid_choice"))
    );
}
