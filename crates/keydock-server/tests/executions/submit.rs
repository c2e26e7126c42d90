//! Submitting documents (CONTRACT 5.3).

use std::{num::NonZeroU32, time::Duration};

use keydock_server::config::Settings;
use serde_json::{Value, json};

use crate::world::{Form, Gate, World, deploy, invoice, post};

#[tokio::test]
async fn a_submission_that_does_not_wait_is_answered_at_once() {
    let world = World::idle().await;
    for form in [
        Form::invoice(1),
        Form::invoice(1).field("timeout", "0"),
        Form::invoice(1).field("timeout", "-1"),
        Form::invoice(1).field("timeout", ""),
    ] {
        let answer = world.submit(form).await;
        assert_eq!(answer.status, 200, "{}", answer.text);
        let message = &answer.body["message"];
        let id = message["execution_id"].as_str().unwrap();
        assert_eq!(
            answer.body,
            json!({"message": {
                "execution_id": id,
                "execution_status": "PENDING",
                "status_api": format!("/deployment/api/mock_org/invoices/?execution_id={id}"),
                "error": null,
                "result": null,
            }})
        );
    }
    assert_eq!(world.executions().await, 4);
    assert_eq!(world.jobs().await.ready, 4, "accepted with the job that runs it");
    assert_eq!(world.documents(), 4);
}

#[tokio::test]
async fn who_waits_gets_the_result_as_soon_as_it_is_there() {
    let world = World::working().await;
    let form = Form::default()
        .field("custom_data", r#"{"order": {"id": 7}}"#)
        .file("inv1.txt", invoice(1))
        .field("include_extracted_text", "True")
        .field("include_metadata", "True")
        .field("include_metrics", "1")
        .field("tags", "t1")
        .field("timeout", "60");
    let answer = world.submit(form).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    let message = &answer.body["message"];
    assert_eq!(message["execution_status"], "COMPLETED");
    assert_eq!(message["error"], Value::Null);
    let [item] = &message["result"].as_array().unwrap()[..] else { panic!("{message}") };

    let id = item["file_execution_id"].as_str().unwrap();
    assert_eq!(item["file"], "inv1.txt");
    assert_eq!(item["status"], "Success");
    assert_eq!(item["error"], Value::Null);
    assert_eq!(item["result"]["output"], json!({"number": "INV-1", "total": "12.00"}));
    let result = &item["result"]["metadata"];
    assert_eq!(result["run_id"], id);
    assert_eq!(result["file_name"], "inv1.txt");
    assert_eq!(result["pages"], 1);
    assert_eq!(result["media_type"], "text/plain");
    assert_eq!(result["context"], json!({}));
    assert_eq!(result["evidence"][0]["field"], "number");
    assert_eq!(result["misses"], json!([]));
    assert!(result.get("extracted_text").is_none());
    assert!(item["result"]["metrics"]["extraction_ms"].is_u64());
    assert!(item["extracted_text"].as_str().unwrap().contains("INV-1"));

    let metadata = &item["metadata"];
    assert_eq!(metadata["source_name"], "inv1.txt");
    assert_eq!(metadata["source_hash"].as_str().unwrap().len(), 64);
    assert_eq!(metadata["organization_id"], "mock_org");
    assert_eq!(metadata["workflow_id"], world.deployment.workflow);
    assert_eq!(metadata["execution_id"], message["execution_id"]);
    assert_eq!(metadata["file_execution_id"], id);
    assert_eq!(metadata["tags"], json!(["t1"]));
    assert_eq!(metadata["custom_data"], json!({"order": {"id": 7}}));
    assert!(metadata["total_elapsed_time"].is_f64());
    assert!(metadata["workflow_start_time"].as_f64().unwrap() > 1_767_225_600.0);
    assert_eq!(metadata["usage"]["total_tokens"], 0);
    assert_eq!(metadata["usage"]["cost_in_dollars"], 0.0);

    let again = world.poll(message["execution_id"].as_str().unwrap()).await;
    assert_eq!(again.status, 406, "the answer was the first reading");
}

#[tokio::test]
async fn an_item_carries_no_more_than_was_asked_for() {
    let world = World::working().await;
    let items = world.items(Form::invoice(1)).await;
    let [item] = &items[..] else { panic!("{items:?}") };
    let members = |value: &Value| value.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    assert_eq!(
        members(item),
        ["file", "file_execution_id", "status", "error", "result", "metadata"]
    );
    assert_eq!(members(&item["result"]), ["output"]);
    assert!(item["metadata"].get("usage").is_none());
    assert!(item["metadata"].get("custom_data").is_none());
    assert_eq!(item["metadata"]["tags"], json!([]));

    let items = world.items(Form::invoice(1).field("include_metrics", "yes")).await;
    assert_eq!(members(&items[0]["result"]), ["output", "metrics"]);
    assert!(items[0]["metadata"].get("usage").is_some());
}

#[tokio::test]
async fn who_has_waited_long_enough_is_told_how_far_it_is() {
    let mut world = World::idle().await;
    let gate = Gate::closed(&world.test.data());
    world.restart(gate.sandbox()).await;
    world.test.work();
    let answer = world.submit(Form::invoice(1).field("timeout", "1")).await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.body["message"]["execution_status"], "EXECUTING");
    assert_eq!(answer.body["message"]["result"], Value::Null);
    let id = answer.body["message"]["execution_id"].as_str().unwrap();
    assert_eq!(world.poll(id).await.body, json!({"status": "EXECUTING", "message": null}));
    gate.permit(1);
    assert_eq!(world.outcome(id).await.status, 200);
}

#[tokio::test]
async fn a_run_whose_files_all_failed_is_an_error_with_items() {
    let world = World::working().await;
    let form = Form::default().file("a.txt", "nothing of interest").field("timeout", "60");
    let answer = world.submit(form).await;
    assert_eq!(answer.status, 422, "{}", answer.text);
    let message = &answer.body["message"];
    assert_eq!(message["execution_status"], "ERROR");
    assert!(message["error"].as_str().unwrap().contains("number"), "{message}");
    assert_eq!(message["result"][0]["status"], "Failed");
    assert_eq!(message["result"][0]["result"], Value::Null);
    let id = message["execution_id"].as_str().unwrap();
    assert_eq!(world.poll(id).await.status, 406);
}

#[tokio::test]
async fn one_bad_file_does_not_sink_the_others() {
    let world = World::working().await;
    let form = Form::default()
        .file("good.txt", invoice(1))
        .file("bad.txt", "nothing of interest")
        .typed_file("archive.zip", "application/zip", "PK")
        .typed_file("typed.txt", "text/plain; charset=utf-8", invoice(2))
        .part("form-data; name=\"files\"; filename=\"untyped.txt\"", None, invoice(3).as_bytes());
    let items = world.items(form).await;
    let status: Vec<_> = items.iter().map(|item| item["status"].as_str().unwrap()).collect();
    assert_eq!(status, ["Success", "Failed", "Failed", "Success", "Success"]);
    assert!(items[1]["error"].as_str().unwrap().contains("number"));
    assert!(items[2]["error"].as_str().unwrap().contains("application/zip"));
}

#[tokio::test]
async fn every_part_has_an_item_of_its_own() {
    let world = World::working().await;
    let form = Form::default()
        .file("same.txt", invoice(1))
        .file("same.txt", invoice(2))
        .file("copy.txt", invoice(1))
        .field("include_extracted_text", "true");
    let items = world.items(form).await;
    let numbers: Vec<_> =
        items.iter().map(|item| item["result"]["output"]["number"].as_str().unwrap()).collect();
    assert_eq!(numbers, ["INV-1", "INV-2", "INV-1"]);
    let names: Vec<_> = items.iter().map(|item| item["file"].as_str().unwrap()).collect();
    assert_eq!(names, ["same.txt", "same.txt", "copy.txt"]);
    assert_eq!(items[2]["duplicate_of"], items[0]["file_execution_id"]);
    assert_eq!(items[2]["extracted_text"], items[0]["extracted_text"]);
    assert!(items[0].get("duplicate_of").is_none() && items[1].get("duplicate_of").is_none());
    world.no_documents().await;
}

#[tokio::test]
async fn an_earlier_result_will_do_where_the_client_says_so() {
    let mut world = World::idle().await;
    let gate = Gate::closed(&world.test.data());
    world.restart(gate.sandbox()).await;
    world.test.work();
    gate.permit(1);
    let first = world.items(Form::invoice(1)).await;
    let history = |number| Form::invoice(number).field("use_file_history", "true");
    let second = world.items(history(1)).await;
    assert_eq!(second[0]["result"], first[0]["result"]);
    assert_ne!(second[0]["file_execution_id"], first[0]["file_execution_id"]);
    assert_eq!(gate.begun(), 1, "the second was not read");

    // Another content, another version, another organization: each is read.
    gate.permit(1);
    world.items(history(2)).await;
    assert_eq!(gate.begun(), 2);
    let path = format!("/api/v1/unstract/mock_org/workflow/{}/", world.deployment.workflow);
    let definition = "fields: [{key: number, type: text, rule: {label: Invoice number}}]";
    let changed = world.test.platform().patch(&path, json!({"definition": definition})).await;
    assert_eq!(changed.status, 200, "{}", changed.text);
    gate.permit(1);
    let third = world.items(history(1)).await;
    assert_eq!(third[0]["result"]["output"], json!({"number": "INV-1"}));
    assert_eq!(gate.begun(), 3);
    let (_, other_key) = world.test.other_org("other_org").await;
    world.deployment = deploy(&world.test.key(&other_key), "other_org", "invoices").await;
    gate.permit(1);
    world.items(history(1)).await;
    assert_eq!(gate.begun(), 4);
}

#[tokio::test]
async fn every_wrong_field_is_named() {
    let world = World::idle().await;
    for (field, value, code) in [
        ("timeout", "301", "max_value"),
        ("timeout", "-2", "min_value"),
        ("timeout", "soon", "invalid"),
        ("include_metadata", "maybe", "invalid"),
        ("include_metrics", "2", "invalid"),
        ("include_extracted_text", "nope", "invalid"),
        ("use_file_history", "x", "invalid"),
        ("tags", "a,b", "invalid"),
        ("tags", "1a", "invalid"),
        ("presigned_urls", "https://bucket.s3.amazonaws.com/a.pdf", "invalid"),
        ("llm_profile_id", "0198c3f2-a7c8-7b0e-8f1d-2c3b4a596877", "invalid"),
        ("hitl_queue_name", "q", "invalid"),
        ("hitl_packet_id", "p", "invalid"),
        ("custom_data", "{", "invalid"),
        ("custom_data", "[]", "invalid"),
    ] {
        let answer = world.submit(Form::invoice(1).field(field, value)).await;
        assert_eq!(answer.status, 400, "{field}={value}: {}", answer.text);
        assert_eq!(answer.body["type"], "validation_error");
        let error = &answer.body["errors"][0];
        assert_eq!(error["attr"], field, "{}", answer.text);
        assert_eq!(error["code"], code, "{field}={value}: {}", answer.text);
    }
    let form = Form::invoice(1).field("timeout", "301").field("tags", "a,b").field("future", "x");
    let answer = world.submit(form).await;
    assert_eq!(answer.body["errors"].as_array().unwrap().len(), 2, "{}", answer.text);
    assert_eq!((world.executions().await, world.documents()), (0, 0));
}

#[tokio::test]
async fn every_wrong_file_is_named() {
    let world = World::idle().await;
    let errors = async |form: Form| {
        let answer = world.submit(form).await;
        assert_eq!(answer.status, 400, "{}", answer.text);
        let errors = answer.body["errors"].as_array().unwrap().clone();
        errors
            .iter()
            .map(|e| (e["attr"].clone(), e["code"].clone(), e["detail"].clone()))
            .collect::<Vec<_>>()
    };
    let empty = errors(Form::invoice(1).file("empty.txt", "")).await;
    assert_eq!((&empty[0].0, &empty[0].1), (&json!("files.1"), &json!("empty")));
    let unnamed = errors(Form::default().field("files", "text")).await;
    assert_eq!((&unnamed[0].0, &unnamed[0].1), (&json!("files.0"), &json!("invalid")));
    let none = errors(Form::default().field("timeout", "0")).await;
    assert_eq!((&none[0].0, &none[0].1), (&json!("non_field_errors"), &json!("invalid")));
    let misnamed = Form::default().part("form-data; name=\"file\"; filename=\"a.txt\"", None, b"x");
    let misnamed = errors(misnamed).await;
    assert!(misnamed[0].2.as_str().unwrap().contains("\"file\""), "{misnamed:?}");
    let many = (0..33).fold(Form::default(), |form, n| form.file("a.txt", invoice(n)));
    let many = errors(many).await;
    assert_eq!(many[0].0, "non_field_errors");
    assert!(many[0].2.as_str().unwrap().contains("33"), "{many:?}");
    assert_eq!((world.executions().await, world.documents()), (0, 0));

    let most = (0..32).fold(Form::default(), |form, n| form.file("a.txt", invoice(n)));
    world.accepted(most).await;
    assert_eq!(world.documents(), 32);
}

#[tokio::test]
async fn bodies_without_files_are_read_and_others_are_refused() {
    let world = World::idle().await;
    let (caller, path) = (world.caller(), &world.deployment.path);
    for (media_type, body, status, code) in [
        ("application/json", "{}", 400, "invalid"),
        ("application/json", r#"{"timeout": 301}"#, 400, "max_value"),
        ("application/json", r#"{"presigned_urls": ["https://x"]}"#, 400, "invalid"),
        ("application/json", "{", 400, "parse_error"),
        ("application/x-www-form-urlencoded", "timeout=301", 400, "max_value"),
        ("text/plain", "hello", 415, "unsupported_media_type"),
        ("multipart/form-data", "hello", 400, "parse_error"),
        ("multipart/form-data; boundary=x", "hello", 400, "parse_error"),
        ("multipart/form-data; boundary=x", "--x\r\nnonsense", 400, "parse_error"),
    ] {
        let answer = post(&caller, path, media_type, body).await;
        assert_eq!(answer.status, status, "{media_type} {body}: {}", answer.text);
        assert_eq!(answer.body["errors"][0]["code"], code, "{}", answer.text);
    }
}

#[tokio::test]
async fn the_key_is_checked_before_the_body() {
    let world = World::idle().await;
    let path = &world.deployment.path;
    let stuck = || {
        axum::body::Body::from_stream(futures_util::stream::pending::<
            Result<axum::body::Bytes, std::io::Error>,
        >())
    };
    for (client, status) in [
        (world.test.nobody(), 403),
        (world.test.key("00000000-0000-4000-8000-000000000000"), 401),
        (world.test.platform(), 401),
    ] {
        let answer = client.request(crate::world::request(path, stuck())).await;
        assert_eq!(answer.status, status, "{}", answer.text);
        assert_eq!(answer.body["errors"][0]["code"], "error", "{}", answer.text);
    }
}

/// What real clients send, byte for byte.
#[tokio::test]
async fn the_forms_of_real_clients_are_understood() {
    let world = World::working().await;
    let (caller, path) = (world.caller(), &world.deployment.path);
    let python = "--5d3b5f2f0fb6e5bd3e1fd4fc5c6a5d0c\r\n\
        Content-Disposition: form-data; name=\"custom_data\"\r\nContent-Type: text/plain\r\n\r\n{\"a\": 1}\r\n\
        --5d3b5f2f0fb6e5bd3e1fd4fc5c6a5d0c\r\n\
        Content-Disposition: form-data; name=\"files\"; filename=\"tmpab12.txt\"\r\nContent-Type: application/octet-stream\r\n\r\nInvoice number: A\r\n\
        --5d3b5f2f0fb6e5bd3e1fd4fc5c6a5d0c\r\n\
        Content-Disposition: form-data; name=\"include_metadata\"\r\nContent-Type: text/plain\r\n\r\nTrue\r\n\
        --5d3b5f2f0fb6e5bd3e1fd4fc5c6a5d0c\r\n\
        Content-Disposition: form-data; name=\"tags\"\r\nContent-Type: text/plain\r\n\r\nt1\r\n\
        --5d3b5f2f0fb6e5bd3e1fd4fc5c6a5d0c\r\n\
        Content-Disposition: form-data; name=\"timeout\"\r\nContent-Type: text/plain\r\n\r\n60\r\n\
        --5d3b5f2f0fb6e5bd3e1fd4fc5c6a5d0c--\r\n";
    let n8n = "------WebKitFormBoundary7MA4YWxkTrZu0gW\r\n\
        Content-Disposition: form-data; name=\"files\"; filename=\"B ü.txt\"\r\nContent-Type: text/plain\r\n\r\nInvoice number: B\r\n\
        ------WebKitFormBoundary7MA4YWxkTrZu0gW\r\n\
        Content-Disposition: form-data; name=\"timeout\"\r\n\r\n60\r\n\
        ------WebKitFormBoundary7MA4YWxkTrZu0gW\r\n\
        Content-Disposition: form-data; name=\"include_metrics\"\r\n\r\nfalse\r\n\
        ------WebKitFormBoundary7MA4YWxkTrZu0gW\r\n\
        Content-Disposition: form-data; name=\"use_file_history\"\r\n\r\nfalse\r\n\
        ------WebKitFormBoundary7MA4YWxkTrZu0gW\r\n\
        Content-Disposition: form-data; name=\"tags\"\r\n\r\n\r\n\
        ------WebKitFormBoundary7MA4YWxkTrZu0gW--\r\n";
    let postman = "----------------------------925394217371964513746823\r\n\
        Content-Disposition: form-data; name=\"files\"; filename=\"c.txt\"\r\nContent-Type: text/plain\r\n\r\nInvoice number: C\r\n\
        ----------------------------925394217371964513746823\r\n\
        Content-Disposition: form-data; name=\"timeout\"\r\n\r\n60\r\n\
        ----------------------------925394217371964513746823\r\n\
        Content-Disposition: form-data; name=\"llm_profile_id\"\r\n\r\n\r\n\
        ----------------------------925394217371964513746823--\r\n";
    // Older ones write a name with other letters than ASCII in the way of RFC 5987.
    let requests = "--x\r\n\
        Content-Disposition: form-data; name=\"timeout\"\r\n\r\n60\r\n\
        --x\r\n\
        Content-Disposition: form-data; name=\"files\"; filename*=utf-8''D%20%C3%BC.txt\r\n\r\nInvoice number: D\r\n\
        --x--\r\n";
    for (boundary, body, file, number) in [
        ("5d3b5f2f0fb6e5bd3e1fd4fc5c6a5d0c", python, "tmpab12.txt", "A"),
        ("----WebKitFormBoundary7MA4YWxkTrZu0gW", n8n, "B ü.txt", "B"),
        ("--------------------------925394217371964513746823", postman, "c.txt", "C"),
        ("x", requests, "D ü.txt", "D"),
    ] {
        let media_type = format!("multipart/form-data; boundary={boundary}");
        let answer = post(&caller, path, &media_type, body).await;
        assert_eq!(answer.status, 200, "{}", answer.text);
        let item = &answer.body["message"]["result"][0];
        assert_eq!(item["file"], file);
        assert_eq!(item["result"]["output"]["number"], number, "{}", answer.text);
    }
}

#[tokio::test]
async fn a_submission_without_the_final_slash_is_the_same() {
    let world = World::idle().await;
    let path = world.deployment.path.trim_end_matches('/');
    let answer = crate::world::submit(&world.caller(), path, Form::invoice(1)).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
}

#[tokio::test]
async fn an_organization_has_so_many_executions_at_a_time() {
    let settings = Settings { org_executions: NonZeroU32::new(20), ..Settings::default() };
    let world = World::with(settings).await;
    // Submissions that were refused took no place.
    for _ in 0..25 {
        assert_eq!(world.submit(Form::invoice(1).field("timeout", "x")).await.status, 400);
    }
    for n in 0..20 {
        world.accepted(Form::invoice(n)).await;
    }
    let refused = world.submit(Form::invoice(21)).await;
    assert_eq!(refused.status, 429, "{}", refused.text);
    assert!(refused.header("retry-after").parse::<u64>().unwrap() > 0);
    assert_eq!(refused.code(), "too_many_requests");
    assert_eq!(world.documents(), 20);

    let (_, other_key) = world.test.other_org("other_org").await;
    let other = deploy(&world.test.key(&other_key), "other_org", "invoices").await;
    let caller = world.test.key(&other.key);
    let answer = crate::world::submit(&caller, &other.path, Form::invoice(1)).await;
    assert_eq!(answer.status, 200, "other organizations are not concerned: {}", answer.text);

    world.test.work();
    world.until("all are over", async || world.unfinished().await == 0).await;
    world.accepted(Form::invoice(22)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_limit_holds_for_submissions_at_the_same_time() {
    let settings = Settings { org_executions: NonZeroU32::new(5), ..Settings::default() };
    let world = World::with(settings).await;
    let caller = world.caller();
    let submissions = (0..20).map(|n| {
        let (caller, path) = (caller.clone(), world.deployment.path.clone());
        tokio::spawn(
            async move { crate::world::submit(&caller, &path, Form::invoice(n)).await.status },
        )
    });
    let mut statuses = Vec::new();
    for submission in submissions.collect::<Vec<_>>() {
        statuses.push(submission.await.unwrap().as_u16());
    }
    assert_eq!(statuses.iter().filter(|status| **status == 200).count(), 5, "{statuses:?}");
    assert!(statuses.iter().all(|status| matches!(status, 200 | 429)), "{statuses:?}");
    assert_eq!(world.executions().await, 5);
    world.until("refused documents are gone", async || world.documents() == 5).await;
}

#[tokio::test]
async fn the_server_has_so_many_executions_at_a_time() {
    let settings = Settings { all_executions: NonZeroU32::new(1), ..Settings::default() };
    let world = World::with(settings).await;
    world.accepted(Form::invoice(1)).await;
    assert_eq!(world.submit(Form::invoice(2)).await.status, 429);
}

/// Proves AUD-06 for the HTTP interface: each reading of a result is an event, also by whoever waited
/// for it.
#[tokio::test]
async fn accepting_and_reading_are_events() {
    let world = World::working().await;
    let id = world.accepted(Form::invoice(1)).await;
    world.outcome(&id).await;
    world.poll(&id).await;
    world.poll_with(&id, "&replay=1").await;
    world.items(Form::invoice(2)).await;
    let count = async |action: &'static str| {
        let db = world.test.app.db();
        let sql = "SELECT COUNT(*) FROM audit_events
                   WHERE action = $1 AND actor_kind = 'deployment_key' AND subject_kind = 'execution'";
        let count: i64 = db
            .read::<_, keydock_storage::db::Error>(async |tx| {
                tx.fetch_one(sql, keydock_storage::db::args![action]).await
            })
            .await
            .unwrap();
        count
    };
    assert_eq!(count("execution_accepted").await, 2);
    assert_eq!(count("execution_result_read").await, 3, "read, read again, waited for");
}

#[tokio::test]
async fn waking_up_takes_no_time() {
    let world = World::working().await;
    world.items(Form::invoice(1)).await;
    let began = std::time::Instant::now();
    world.items(Form::invoice(2)).await;
    let took = began.elapsed();
    assert!(took < Duration::from_millis(900), "{took:?}: quicker than looking every second");
}
