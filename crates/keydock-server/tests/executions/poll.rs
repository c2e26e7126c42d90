//! Asking for an execution (CONTRACT 5.4).

use std::time::Duration;

use axum::{
    body::Body,
    http::{Method, Request},
};
use keydock_server::config::Settings;
use serde_json::{Value, json};

use crate::world::{Form, World, deploy, submit};

const UNKNOWN: &str = "0198c3f2-a7c8-7b0e-8f1d-2c3b4a596877";

#[tokio::test]
async fn a_result_is_read_once() {
    let world = World::idle().await;
    let id = world.accepted(Form::invoice(1)).await;
    let pending = world.poll(&id).await;
    assert_eq!(pending.status, 422);
    assert_eq!(pending.body, json!({"status": "PENDING", "message": null}));
    world.test.work();
    let read = world.outcome(&id).await;
    assert_eq!(read.status, 200, "{}", read.text);
    assert_eq!(read.body["status"], "COMPLETED");
    assert_eq!(read.body["message"][0]["result"]["output"]["number"], "INV-1");
    for _ in 0..3 {
        let again = world.poll(&id).await;
        assert_eq!(again.status, 406);
        assert_eq!(
            again.body,
            json!({"status": "COMPLETED", "message": "Result already acknowledged"})
        );
    }
}

#[tokio::test]
async fn a_failure_is_read_once_too() {
    let world = World::working().await;
    let id = world.accepted(Form::default().file("a.txt", "nothing of interest")).await;
    let read = world.outcome(&id).await;
    assert_eq!(read.status, 422, "{}", read.text);
    assert_eq!(read.body["status"], "ERROR");
    assert_eq!(read.body["message"][0]["status"], "Failed");
    let again = world.poll(&id).await;
    assert_eq!(again.status, 406);
    assert_eq!(again.body, json!({"status": "ERROR", "message": "Result already acknowledged"}));
}

#[tokio::test]
async fn a_question_about_nothing_says_what_is_wrong() {
    let world = World::idle().await;
    let (caller, path) = (world.caller(), &world.deployment.path);
    for (query, status, code, attr) in [
        ("", 400, "required", json!("execution_id")),
        ("?execution_id=", 400, "required", json!("execution_id")),
        ("?execution_id=abc", 400, "invalid", json!("execution_id")),
        (
            "?execution_id=0198c3f2-a7c8-7b0e-8f1d-2c3b4a59687",
            400,
            "invalid",
            json!("execution_id"),
        ),
        (&format!("?execution_id={UNKNOWN}"), 404, "not_found", Value::Null),
        (
            &format!("?execution_id={UNKNOWN}&include_metadata=x"),
            400,
            "invalid",
            json!("include_metadata"),
        ),
    ] {
        let answer = caller.get(&format!("{path}{query}")).await;
        assert_eq!(answer.status, status, "{query}: {}", answer.text);
        assert_eq!(answer.body["errors"][0]["code"], code, "{query}: {}", answer.text);
        assert_eq!(answer.body["errors"][0]["attr"], attr, "{query}: {}", answer.text);
    }
    let answer = caller.get(&format!("{path}?execution_id=abc")).await;
    let detail = answer.body["errors"][0]["detail"].as_str().unwrap();
    assert_eq!(detail, "Invalid execution_id 'abc'. Must be a valid UUID.");
    assert_eq!(world.test.nobody().get(path).await.status, 403);
    assert_eq!(world.test.key(UNKNOWN).get(path).await.status, 401);
}

#[tokio::test]
async fn spaces_capitals_accept_and_the_final_slash_make_no_difference() {
    let world = World::working().await;
    let id = world.accepted(Form::invoice(1)).await;
    world.until("it is over", async || world.unfinished().await == 0).await;
    let path = world.deployment.path.trim_end_matches('/');
    let uri = format!("{path}?execution_id=%20+{}%20&include_metadata=True", id.to_uppercase());
    let request =
        Request::builder().uri(uri).header("accept", "text/html").body(Body::empty()).unwrap();
    let answer = world.caller().request(request).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    assert_eq!(answer.header("content-type"), "application/json");
    assert_eq!(answer.body["message"][0]["metadata"]["execution_id"], id);
}

#[tokio::test]
async fn a_look_at_the_headers_does_not_read_the_result() {
    let world = World::idle().await;
    let id = world.accepted(Form::invoice(1)).await;
    let path = format!("{}?execution_id={id}", world.deployment.path);
    assert_eq!(world.caller().send(Method::HEAD, &path, None).await.status, 422);
    world.test.work();
    world.until("it is over", async || world.unfinished().await == 0).await;
    for _ in 0..2 {
        let head = world.caller().send(Method::HEAD, &path, None).await;
        assert_eq!((head.status.as_u16(), &*head.text), (200, ""));
    }
    assert_eq!(world.poll(&id).await.status, 200);
    assert_eq!(world.caller().send(Method::HEAD, &path, None).await.status, 406);
    assert_eq!(world.caller().delete(&path).await.status, 405);
}

#[tokio::test]
async fn the_view_is_chosen_when_the_result_is_read() {
    let world = World::working().await;
    let id = world.accepted(Form::invoice(1).field("include_metadata", "true")).await;
    let read = world.outcome(&id).await;
    assert!(read.body["message"][0]["result"].get("metadata").is_none(), "not asked for now");
    let again = "&replay=1&include_metadata=1&include_metrics=on&include_extracted_text=y";
    let again = world.poll_with(&id, again).await;
    let item = &again.body["message"][0];
    assert_eq!(item["result"]["metadata"]["file_name"], "invoice.txt");
    assert!(item["result"]["metrics"].is_object());
    assert!(item["extracted_text"].is_string());
    assert!(item["metadata"]["usage"].is_object());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_many_who_ask_at_once_one_gets_the_result() {
    let world = World::working().await;
    for round in 0..5 {
        let id = world.accepted(Form::invoice(round)).await;
        world.until("it is over", async || world.unfinished().await == 0).await;
        let path = format!("{}?execution_id={id}", world.deployment.path);
        let polls: Vec<_> = (0..20)
            .map(|_| {
                let (caller, path) = (world.caller(), path.clone());
                tokio::spawn(async move { caller.get(&path).await.status.as_u16() })
            })
            .collect();
        let mut statuses = Vec::new();
        for poll in polls {
            statuses.push(poll.await.unwrap());
        }
        statuses.sort_unstable();
        assert_eq!(statuses[0], 200);
        assert!(statuses[1..].iter().all(|status| *status == 406), "{statuses:?}");
    }
}

/// Proves TEN-03.
#[tokio::test]
async fn the_id_of_an_execution_alone_opens_nothing() {
    let world = World::working().await;
    let id = world.accepted(Form::invoice(1)).await;
    world.until("it is over", async || world.unfinished().await == 0).await;

    let neighbour = deploy(&world.test.platform(), "mock_org", "neighbour").await;
    let (_, other_key) = world.test.other_org("other_org").await;
    let other = deploy(&world.test.key(&other_key), "other_org", "invoices").await;
    for stranger in [&neighbour, &other] {
        let client = world.test.key(&stranger.key);
        for query in ["", "&replay=1"] {
            let own = client.get(&format!("{}?execution_id={id}{query}", stranger.path)).await;
            assert_eq!(own.status, 404, "through their own deployment: {}", own.text);
            let unknown =
                client.get(&format!("{}?execution_id={UNKNOWN}{query}", stranger.path)).await;
            assert_eq!(own.body["errors"], unknown.body["errors"], "as if there were none");
            let ours =
                client.get(&format!("{}?execution_id={id}{query}", world.deployment.path)).await;
            assert_eq!(ours.status, 401, "through ours: {}", ours.text);
        }
    }
    let owner = world.poll(&id).await;
    assert_eq!(owner.status, 200, "nothing was consumed: {}", owner.text);
}

#[tokio::test]
async fn a_result_is_given_again_to_the_key_that_submitted_it() {
    let world = World::working().await;
    let id = world.accepted(Form::invoice(1)).await;
    let first = world.outcome(&id).await;
    let again = world.poll_with(&id, "&replay=1").await;
    assert_eq!(again.status, 200);
    assert_eq!(again.body, first.body);

    let path = format!("/api/v1/unstract/mock_org/api/keys/api/{}/", world.deployment.id);
    let colleague = world.test.platform().post(&path, json!({"description": "a colleague"})).await;
    assert_eq!(colleague.status, 201, "{}", colleague.text);
    let colleague = world.test.key(colleague.body["api_key"].as_str().unwrap());
    let poll = format!("{}?execution_id={id}&replay=1", world.deployment.path);
    assert_eq!(colleague.get(&poll).await.status, 406, "any other key of the deployment");

    let unread = world.accepted(Form::invoice(2)).await;
    world.until("it is over", async || world.unfinished().await == 0).await;
    let poll = format!("{}?execution_id={unread}", world.deployment.path);
    assert_eq!(colleague.get(&poll).await.status, 200, "but it may read one that was not read yet");
    assert_eq!(world.poll(&unread).await.status, 406);
    assert_eq!(world.poll_with(&unread, "&replay=1").await.status, 200);
}

#[tokio::test]
async fn a_result_is_forgotten_for_its_age() {
    let settings = Settings { result_age_hours: Some(24), ..Settings::default() };
    let mut world = World::with(settings).await;
    let workers = crate::world::workers(&world.test.app);
    let tagged = Form::invoice(1).field("tags", "t1").field("custom_data", "{\"a\":1}");
    let id = world.accepted(tagged).await;
    let read = world.accepted(Form::invoice(2)).await;
    world.outcome(&read).await;
    world.until("both are over", async || world.unfinished().await == 0).await;
    workers.abort();

    let clock = world.test.app.db().clock().clone();
    clock.advance(Duration::from_hours(23));
    upkeep(&mut world).await;
    assert_eq!(world.count("SELECT COUNT(*) FROM file_executions").await, 2, "not old enough");
    clock.advance(Duration::from_hours(2));
    upkeep(&mut world).await;
    world
        .until("results are forgotten", async || {
            world.count("SELECT COUNT(*) FROM file_executions").await == 0
        })
        .await;
    let left = "SELECT COUNT(*) FROM executions WHERE custom_data IS NOT NULL OR tag IS NOT NULL";
    assert_eq!(world.count(left).await, 0);
    let expired = world.poll(&id).await;
    assert_eq!(expired.status, 200);
    assert_eq!(expired.body, json!({"status": "COMPLETED", "message": null}));
    assert_eq!(world.poll(&id).await.status, 406);
    let replayed = world.poll_with(&read, "&replay=1").await;
    assert_eq!(replayed.body, json!({"status": "COMPLETED", "message": null}));

    clock.advance(Duration::from_hours(31 * 24));
    upkeep(&mut world).await;
    world.until("executions are forgotten", async || world.executions().await == 0).await;
    assert_eq!(world.poll(&id).await.status, 404);
}

/// Upkeep runs first when a server starts.
async fn upkeep(world: &mut World) {
    let sandbox = world.test.app.sandbox().clone();
    world.restart(sandbox).await;
    let workers = crate::world::workers(&world.test.app);
    tokio::time::sleep(Duration::from_millis(500)).await;
    workers.abort();
}

#[tokio::test]
async fn deployments_do_not_see_each_others_runs() {
    let world = World::working().await;
    let neighbour = deploy(&world.test.platform(), "mock_org", "neighbour").await;
    let client = world.test.key(&neighbour.key);
    let answer = submit(&client, &neighbour.path, Form::invoice(1).field("timeout", "60")).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    let status_api = answer.body["message"]["status_api"].as_str().unwrap();
    assert!(status_api.starts_with(&neighbour.path));
    assert_eq!(client.get(status_api).await.status, 406);
}
