//! What clients see of platform keys (CONTRACT 2).

#![expect(clippy::unwrap_used, reason = "what is wrong in a test should stop it")]

mod harness;

use std::time::Duration;

use harness::{Client, ORG, TestApp};
use serde_json::{Value, json};

const KEYS: &str = "/api/v1/unstract/mock_org/platform/keys/";
const WHOAMI: &str = "/api/v1/unstract/whoami/";

async fn generate(admin: &Client, body: Value) -> (String, String) {
    let made = admin.post(KEYS, body).await;
    assert_eq!(made.status, 201, "{}", made.text);
    let text = |name: &str| made.body[name].as_str().unwrap().to_owned();
    (text("id"), text("key"))
}

async fn first_id(admin: &Client) -> String {
    admin.get(KEYS).await.body[0]["id"].as_str().unwrap().to_owned()
}

/// Proves KEY-03.
#[tokio::test]
async fn a_secret_is_shown_once() {
    let app = TestApp::start().await;
    let admin = app.admin().await;

    let made = admin.post(KEYS, json!({})).await;
    assert_eq!(made.status, 201);
    assert_eq!(made.header("cache-control"), "no-store");
    let secret = made.body["key"].as_str().unwrap();
    assert!(uuid::Uuid::try_parse(secret).is_ok());

    let id = made.body["id"].as_str().unwrap();
    for path in [
        KEYS.to_owned(),
        format!("{KEYS}{id}/"),
        format!("{KEYS}{id}/usage/"),
        format!("{KEYS}audit/"),
    ] {
        let read = admin.get(&path).await;
        assert_eq!(read.status, 200, "{path}");
        assert!(!read.text.contains(secret), "{path} shows a secret");
        assert!(!read.text.contains(&app.platform_key), "{path} shows a secret");
    }
}

#[tokio::test]
async fn a_list_is_a_bare_array_with_masked_secrets() {
    let app = TestApp::start().await;
    let admin = app.admin().await;

    let listed = admin.get(KEYS).await;

    insta::assert_json_snapshot!(listed.body, {
        "[].id" => "[id]", "[].key" => "[masked]", "[].fingerprint" => "[fingerprint]",
        "[].created_at" => "[time]", "[].modified_at" => "[time]",
    });
    let key = listed.body[0]["key"].as_str().unwrap();
    let last_four = &app.platform_key[app.platform_key.len() - 4..];
    assert_eq!(key, format!("********-****-****-****-********{last_four}"));
}

/// The state machine of CONTRACT 2.6, row by row.
#[tokio::test]
async fn at_most_one_key_is_active() {
    let app = TestApp::start().await;
    let admin = app.admin().await;
    let first = first_id(&admin).await;
    let states = async || -> Vec<bool> {
        let listed = admin.get(KEYS).await;
        listed.body.as_array().unwrap().iter().map(|k| k["is_active"].as_bool().unwrap()).collect()
    };
    assert_eq!(states().await, [true], "Key #1 is active from the start");

    let (second, _) = generate(&admin, json!({"is_active": true})).await;
    assert_eq!(states().await, [false, true], "an active new key switches the old one off");

    let toggled = admin.put(&format!("{KEYS}{first}/"), json!({"action": "ACTIVATE"})).await;
    assert_eq!(
        (toggled.status.as_u16(), &toggled.body),
        (201, &json!({"message": "Platform key toggled successfully"}))
    );
    assert_eq!(states().await, [true, false]);

    let again = admin.put(&format!("{KEYS}{first}/"), json!({"action": "ACTIVATE"})).await;
    assert_eq!(again.status, 201, "activating an active key is the same as once");

    admin.put(&format!("{KEYS}{first}/"), json!({"action": "DEACTIVATE"})).await;
    assert_eq!(states().await, [false, false]);

    admin.put(&format!("{KEYS}{second}/"), json!({"action": "ACTIVATE"})).await;
    let deleted = admin.delete(&format!("{KEYS}{second}/")).await;
    assert_eq!((deleted.status.as_u16(), deleted.text.as_str()), (204, ""));
    assert_eq!(states().await, [false], "nothing is promoted");
}

#[tokio::test]
async fn names_are_those_of_the_free_slots() {
    let app = TestApp::start().await;
    let admin = app.admin().await;
    let (_, _) = generate(&admin, json!({})).await;
    let first = first_id(&admin).await;
    admin.delete(&format!("{KEYS}{first}/")).await;

    let made = admin.post(KEYS, json!({"is_active": "False"})).await;
    assert_eq!(made.body["key_name"], "Key #1");
    assert_eq!(made.body["is_active"], false);
    for member in ["organization", "created_by", "modified_by"] {
        assert!(made.body[member].is_null(), "{member}");
    }
}

/// Proves KEY-04 for one node: the limit and the name are refused, and nothing is an error of ours.
#[tokio::test]
async fn a_third_key_and_a_taken_name_are_refused() {
    let app = TestApp::start().await;
    let admin = app.admin().await;

    let taken = admin.post(KEYS, json!({"key_name": " Key #1 "})).await;
    assert_eq!((taken.status.as_u16(), taken.code()), (400, "already_exists"));
    assert_eq!(taken.body["errors"][0]["code"], "error");
    assert!(taken.body["errors"][0]["attr"].is_null());

    generate(&admin, json!({"key_name": "ci"})).await;
    let third = admin.post(KEYS, json!({"key_name": "more"})).await;
    assert_eq!((third.status.as_u16(), third.code()), (403, "key_limit"));
    assert_eq!(third.body["type"], "client_error");
}

/// Proves KEY-04: many at once, on the schema's word alone.
#[tokio::test]
async fn of_fifty_concurrent_generations_one_wins() {
    let app = TestApp::start().await;
    let admin = app.admin().await;
    let attempts = (0..50).map(|_| {
        let admin = admin.clone();
        tokio::spawn(async move { admin.post(KEYS, json!({})).await.status.as_u16() })
    });
    let mut statuses = Vec::new();
    for attempt in attempts.collect::<Vec<_>>() {
        statuses.push(attempt.await.unwrap());
    }
    statuses.sort_unstable();
    assert_eq!(statuses[0], 201);
    assert!(statuses[1..].iter().all(|status| *status == 403), "{statuses:?}");
    assert_eq!(admin.get(KEYS).await.body.as_array().unwrap().len(), 2);
}

/// Proves KEY-04: whoever reads while two keys are activated in turn sees one active at most.
#[tokio::test]
async fn concurrent_activations_leave_one_active_at_every_instant() {
    let app = TestApp::start().await;
    let admin = app.admin().await;
    let first = first_id(&admin).await;
    let (second, _) = generate(&admin, json!({})).await;
    let writers = (0..20).map(|n| {
        let admin = admin.clone();
        let id = if n % 2 == 0 { first.clone() } else { second.clone() };
        tokio::spawn(async move {
            let path = format!("{KEYS}{id}/");
            admin.put(&path, json!({"action": "ACTIVATE"})).await.status.as_u16()
        })
    });
    let writers: Vec<_> = writers.collect();
    for _ in 0..10 {
        let listed = admin.get(KEYS).await;
        let active = listed.body.as_array().unwrap().iter().filter(|k| k["is_active"] == true);
        assert_eq!(active.count(), 1);
    }
    for writer in writers {
        assert_eq!(writer.await.unwrap(), 201);
    }
}

/// Proves VER-05 for one node.
#[tokio::test]
async fn what_was_acknowledged_is_in_effect() {
    let app = TestApp::start().await;
    let admin = app.admin().await;
    let old = app.platform();
    assert_eq!(old.get(WHOAMI).await.status, 200);
    let id = first_id(&admin).await;

    let refreshed = admin.put(KEYS, json!({"id": id, "key_name": "Key #1"})).await;
    assert_eq!(refreshed.status, 201);
    assert_eq!(refreshed.header("cache-control"), "no-store");
    assert_eq!(refreshed.body["id"], json!(id), "the id stays");
    let new = app.key(refreshed.body["key"].as_str().unwrap());
    assert_eq!(old.get(WHOAMI).await.status, 401);
    assert_eq!(new.get(WHOAMI).await.status, 200);

    let path = format!("{KEYS}{id}/");
    admin.put(&path, json!({"action": "DEACTIVATE"})).await;
    let inactive = new.get(WHOAMI).await;
    assert_eq!((inactive.status.as_u16(), inactive.code()), (401, "key_inactive"));
    assert_eq!(inactive.body["message"], "Invalid or inactive API key");
    assert!(inactive.body["detail"].as_str().unwrap().contains("Key #1"), "{}", inactive.text);

    admin.put(&path, json!({"action": "ACTIVATE"})).await;
    assert_eq!(new.get(WHOAMI).await.status, 200);

    admin.delete(&path).await;
    assert_eq!(new.get(WHOAMI).await.code(), "key_unknown");
}

#[tokio::test]
async fn refreshing_an_inactive_key_leaves_it_inactive() {
    let app = TestApp::start().await;
    let admin = app.admin().await;
    let (id, _) = generate(&admin, json!({})).await;
    let refreshed = admin.put(KEYS, json!({"id": id})).await;
    let new = app.key(refreshed.body["key"].as_str().unwrap());
    assert_eq!(new.get(WHOAMI).await.code(), "key_inactive");
    admin.put(&format!("{KEYS}{id}/"), json!({"action": "ACTIVATE"})).await;
    assert_eq!(new.get(WHOAMI).await.status, 200);
}

#[tokio::test]
async fn an_overlap_ends_when_it_was_promised_to() {
    let app = TestApp::start().await;
    let admin = app.admin().await;
    let old = app.platform();
    let id = first_id(&admin).await;

    let refreshed = admin.put(KEYS, json!({"id": id, "grace_seconds": 60})).await;
    assert_eq!(refreshed.status, 201, "{}", refreshed.text);
    assert!(refreshed.body["previous_secret_until"].is_string());
    let new = app.key(refreshed.body["key"].as_str().unwrap());
    assert_eq!(
        (old.get(WHOAMI).await.status, new.get(WHOAMI).await.status),
        (200.try_into().unwrap(), 200.try_into().unwrap())
    );

    app.app.db().clock().advance(Duration::from_secs(58));
    assert_eq!(old.get(WHOAMI).await.status, 200);
    app.app.db().clock().advance(Duration::from_secs(2));
    assert_eq!(old.get(WHOAMI).await.code(), "key_rotated_out");
    assert_eq!(new.get(WHOAMI).await.status, 200);

    for wrong in [json!(-1), json!(2_592_001), json!("soon")] {
        let refused = admin.put(KEYS, json!({"id": id, "grace_seconds": wrong})).await;
        assert_eq!(refused.status, 400);
        assert_eq!(refused.body["errors"][0]["attr"], "grace_seconds");
    }
}

#[tokio::test]
async fn wrong_requests_are_told_what_is_wrong() {
    let app = TestApp::start().await;
    let admin = app.admin().await;
    let id = first_id(&admin).await;

    let cases = [
        (admin.post(KEYS, json!({"is_active": "perhaps"})).await, "is_active", "invalid"),
        (admin.post(KEYS, json!({"key_name": ""})).await, "key_name", "blank"),
        (admin.post(KEYS, json!({"key_name": "x".repeat(65)})).await, "key_name", "max_length"),
        (admin.post(KEYS, json!({"slot": 2})).await, "slot", "unknown"),
        (
            admin.put(&format!("{KEYS}{id}/"), json!({"action": "EXPLODE"})).await,
            "action",
            "invalid_choice",
        ),
    ];
    for (answer, attr, code) in cases {
        assert_eq!(answer.status, 400, "{attr}");
        assert_eq!(answer.body["type"], "validation_error");
        assert_eq!(
            (&answer.body["errors"][0]["attr"], &answer.body["errors"][0]["code"]),
            (&json!(attr), &json!(code))
        );
    }
    for answer in [
        admin.put(KEYS, json!({"key_name": "x"})).await,
        admin.put(&format!("{KEYS}{id}/"), json!({})).await,
    ] {
        assert_eq!(answer.status, 400);
        assert_eq!(answer.body["message"], "validation error");
        assert_eq!(answer.body["errors"], "Mandatory fields missing");
    }
    for unknown in ["00000000-0000-4000-8000-000000000000", "nonsense"] {
        assert_eq!(admin.put(KEYS, json!({"id": unknown})).await.status, 404);
        assert_eq!(admin.delete(&format!("{KEYS}{unknown}/")).await.status, 404);
        assert_eq!(
            admin.put(&format!("{KEYS}{unknown}/"), json!({"action": "ACTIVATE"})).await.status,
            404
        );
    }
}

/// Proves TEN-01 for platform keys: to its admin, a key of another organization does not exist.
#[tokio::test]
async fn a_key_of_another_organization_does_not_exist() {
    let app = TestApp::start().await;
    let (other, other_key) = app.other_org("globex").await;
    let id = first_id(&app.admin().await).await;
    let theirs = "/api/v1/unstract/globex/platform/keys/";

    for answer in [
        other.put(theirs, json!({"id": id})).await,
        other.put(&format!("{theirs}{id}/"), json!({"action": "DEACTIVATE"})).await,
        other.delete(&format!("{theirs}{id}/")).await,
        other.get(&format!("{theirs}{id}/")).await,
    ] {
        let unknown = other.get(&format!("{theirs}00000000-0000-4000-8000-000000000000/")).await;
        assert_eq!(answer.status, 404);
        assert_eq!(
            answer.body["errors"], unknown.body["errors"],
            "foreign and unknown look the same"
        );
    }
    assert_eq!(other.get(KEYS).await.status, 403, "nor is the organization open");
    assert_eq!(app.platform().get(WHOAMI).await.status, 200);
    assert_eq!(app.key(&other_key).get(WHOAMI).await.body["organization_id"], "globex");
}

/// Proves TEN-04 for platform keys: no key manages keys, and no member who is not an admin.
#[tokio::test]
async fn only_admins_who_are_signed_in_manage_platform_keys() {
    let app = TestApp::start().await;
    let member = app.member("uma@test.example", "user").await;
    for caller in [app.platform(), member] {
        for answer in [
            caller.get(KEYS).await,
            caller.post(KEYS, json!({})).await,
            caller.put(KEYS, json!({"id": "x"})).await,
        ] {
            assert_eq!((answer.status.as_u16(), answer.code()), (403, "forbidden"));
        }
    }
    assert_eq!(app.nobody().get(KEYS).await.body["message"], "Unauthorized");
}

/// Proves AUD-01: each change has its event, and a change that was refused has none.
#[tokio::test]
async fn every_change_has_its_event() {
    let app = TestApp::start().await;
    let admin = app.admin().await;
    let (id, _) = generate(&admin, json!({})).await;
    admin.put(KEYS, json!({"id": id})).await;
    admin.put(&format!("{KEYS}{id}/"), json!({"action": "ACTIVATE"})).await;
    admin.put(&format!("{KEYS}{id}/"), json!({"action": "ACTIVATE"})).await;
    admin.post(KEYS, json!({})).await;
    admin.delete(&format!("{KEYS}{id}/")).await;

    let events = admin.get(&format!("{KEYS}audit/")).await;
    let actions: Vec<_> = events
        .body
        .as_array()
        .unwrap()
        .iter()
        .rev()
        .map(|e| e["action"].as_str().unwrap())
        .collect();
    assert_eq!(
        actions,
        [
            "platform_key_generated",
            "platform_key_generated",
            "platform_key_refreshed",
            "platform_key_deactivated",
            "platform_key_activated",
            "platform_key_deleted",
        ]
    );
    let newest = &events.body[0];
    assert_eq!(newest["actor_name"], "ada@localhost");
    assert_eq!(newest["ip"], admin.ip.to_string());
    assert_eq!(newest["subject_id"], json!(id));
}

/// Proves AUD-05 in part: uses are counted, with the address of the last.
#[tokio::test]
async fn uses_are_recorded() {
    let app = TestApp::start().await;
    let caller = app.platform();
    for _ in 0..3 {
        caller.get(WHOAMI).await;
    }
    keydock_server::access::usage::flush(app.app.keyring(), app.app.db()).await.unwrap();
    let listed = app.admin().await.get(KEYS).await;
    assert_eq!(listed.body[0]["use_count"], 3);
    assert_eq!(listed.body[0]["last_used_ip"], caller.ip.to_string());
    assert!(listed.body[0]["last_used_at"].is_string());
}

/// Proves AUD-05 while two secrets of one key work: both are uses of the key.
#[tokio::test]
async fn uses_of_both_secrets_of_an_overlap_count() {
    let app = TestApp::start().await;
    let admin = app.admin().await;
    let id = first_id(&admin).await;
    let old = app.platform();
    let refreshed = admin.put(KEYS, json!({"id": id, "grace_seconds": 60})).await;
    let new = app.key(refreshed.body["key"].as_str().unwrap());
    for _ in 0..2 {
        assert_eq!(old.get(WHOAMI).await.status, 200);
    }
    for _ in 0..3 {
        assert_eq!(new.get(WHOAMI).await.status, 200);
    }
    keydock_server::access::usage::flush(app.app.keyring(), app.app.db()).await.unwrap();
    let listed = admin.get(KEYS).await;
    assert_eq!(listed.body[0]["use_count"], 5);
    assert_eq!(listed.body[0]["last_used_ip"], new.ip.to_string(), "the later one");
}

#[tokio::test]
async fn a_secret_can_be_compared_with_a_key() {
    let app = TestApp::start().await;
    let admin = app.admin().await;
    let path = format!("{KEYS}{}/verify/", first_id(&admin).await);
    let right = admin.post(&path, json!({"key": app.platform_key.to_uppercase()})).await;
    assert_eq!(right.body, json!({"match": true}));
    for wrong in ["nonsense", "00000000-0000-4000-8000-000000000000"] {
        assert_eq!(admin.post(&path, json!({"key": wrong})).await.body, json!({"match": false}));
    }
}

#[tokio::test]
async fn whoami_tells_whose_key_it_is() {
    let app = TestApp::start().await;
    let me = app.platform().get(WHOAMI).await;
    assert_eq!(
        me.body,
        json!({"organization_id": ORG, "organization_name": ORG, "permission": "full_access", "key_name": "Key #1"})
    );
}
