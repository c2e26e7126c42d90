//! What clients see of workflows and their definitions (CONTRACT 6.1, 6.2).

#![expect(clippy::unwrap_used, reason = "a test says so by failing")]

mod harness;

use harness::{Answer, Client, TestApp};
use keydock_server::Error;
use keydock_storage::db::args;
use serde_json::{Value, json};

const WORKFLOWS: &str = "/api/v1/unstract/mock_org/workflow/";
const ENDPOINTS: &str = "/api/v1/unstract/mock_org/workflow/endpoint/";
const VALIDATE: &str = "/api/v1/unstract/mock_org/workflow/validate/";
const DEPLOYMENTS: &str = "/api/v1/unstract/mock_org/api/deployment/";

const DEFINITION: &str = "# invoices
fields:
  - {key: number, type: text, rule: {label: Invoice number}}
  - {key: total, type: currency, rule: {label: [Total, Amount due]}}
";

async fn create(client: &Client, name: &str) -> String {
    let made = client.post(WORKFLOWS, json!({"workflow_name": name})).await;
    assert_eq!(made.status, 201, "{}", made.text);
    made.body["id"].as_str().unwrap().to_owned()
}

fn of(id: &str) -> String {
    format!("{WORKFLOWS}{id}/")
}

fn refused(answer: &Answer, code: &str, attr: &str) {
    assert_eq!(answer.status, 400, "{}", answer.text);
    assert_eq!(answer.body["type"], "validation_error", "{}", answer.text);
    assert_eq!(answer.body["errors"][0]["code"], code, "{}", answer.text);
    assert_eq!(answer.body["errors"][0]["attr"], attr, "{}", answer.text);
}

fn names(rows: &Value) -> Vec<&str> {
    rows.as_array().unwrap().iter().map(|row| row["workflow_name"].as_str().unwrap()).collect()
}

/// There is no route for it yet.
async fn share(app: &TestApp, id: &str) {
    let sql = "UPDATE workflows SET shared_to_org = $1 WHERE id = $2";
    let shared = app.app.write(async |tx| Ok::<_, Error>(tx.execute(sql, args![true, id]).await?));
    assert_eq!(shared.await.unwrap(), 1);
}

#[tokio::test]
async fn a_new_workflow_belongs_to_who_created_it() {
    let app = TestApp::start().await;
    let admin = app.admin().await;

    let made = admin
        .post(
            WORKFLOWS,
            json!({
                "workflow_name": " Invoices ", "description": "of suppliers",
                "deployment_type": "API", "source_settings": {}, "destination_settings": {},
                "max_file_execution_count": 3, "definition": DEFINITION,
            }),
        )
        .await;

    assert_eq!(made.status, 201, "{}", made.text);
    insta::assert_json_snapshot!(made.body, {".id" => "[id]", ".created_at" => "[time]", ".modified_at" => "[time]"}, @r##"
    {
      "id": "[id]",
      "workflow_name": "Invoices",
      "description": "of suppliers",
      "is_active": true,
      "status": "",
      "deployment_type": "API",
      "source_settings": {},
      "destination_settings": {},
      "max_file_execution_count": 3,
      "workflow_owner": 1,
      "created_by": 1,
      "created_by_email": "ada@localhost",
      "modified_by": 1,
      "organization": null,
      "shared_to_org": false,
      "shared_groups": [],
      "tool_instances": [],
      "is_owner": true,
      "co_owners_count": 0,
      "owner_emails": [
        "ada@localhost"
      ],
      "created_at": "[time]",
      "modified_at": "[time]",
      "definition_version": 1,
      "definition": "# invoices\nfields:\n  - {key: number, type: text, rule: {label: Invoice number}}\n  - {key: total, type: currency, rule: {label: [Total, Amount due]}}\n"
    }
    "##);
    let id = made.body["id"].as_str().unwrap();
    assert_eq!(admin.get(&of(id)).await.body, made.body);
    assert!(made.body["created_at"].as_str().unwrap().ends_with('Z'));
}

#[tokio::test]
async fn what_a_key_creates_has_no_owner() {
    let app = TestApp::start().await;

    let made = app.platform().post(WORKFLOWS, json!({"workflow_name": "by a key"})).await;

    assert_eq!(made.status, 201, "{}", made.text);
    assert_eq!(made.body["created_by"], Value::Null);
    assert_eq!(made.body["owner_emails"], json!([]));
    assert_eq!(made.body["is_owner"], false);
    assert_eq!(made.body["definition_version"], 0);
    assert!(made.body.get("definition").is_none());
    assert_eq!(app.admin().await.get(WORKFLOWS).await.body[0]["id"], made.body["id"]);
}

#[tokio::test]
async fn wrong_fields_are_named() {
    let app = TestApp::start().await;
    let admin = app.admin().await;
    create(&admin, "taken").await;

    for (body, code, attr) in [
        (json!({}), "required", "workflow_name"),
        (json!({"workflow_name": null}), "null", "workflow_name"),
        (json!({"workflow_name": "  "}), "blank", "workflow_name"),
        (json!({"workflow_name": "x".repeat(129)}), "max_length", "workflow_name"),
        (json!({"workflow_name": "<b>x</b>"}), "invalid", "workflow_name"),
        (json!({"workflow_name": "taken"}), "invalid", "workflow_name"),
        (
            json!({"workflow_name": "x", "description": "y".repeat(491)}),
            "max_length",
            "description",
        ),
        (
            json!({"workflow_name": "x", "deployment_type": "FTP"}),
            "invalid_choice",
            "deployment_type",
        ),
        (
            json!({"workflow_name": "x", "max_file_execution_count": 0}),
            "min_value",
            "max_file_execution_count",
        ),
        (
            json!({"workflow_name": "x", "max_file_execution_count": "a"}),
            "invalid",
            "max_file_execution_count",
        ),
        (json!({"workflow_name": "x", "definition": 7}), "invalid", "definition"),
        (json!({"workflow_name": "x", "workflwo": 7}), "unknown", "workflwo"),
    ] {
        refused(&admin.post(WORKFLOWS, body).await, code, attr);
    }
    let several = admin.post(WORKFLOWS, json!({"deployment_type": "FTP", "odd": 1})).await;
    let attrs: Vec<_> =
        several.body["errors"].as_array().unwrap().iter().map(|error| &error["attr"]).collect();
    assert_eq!(attrs, ["workflow_name", "deployment_type", "odd"]);
    assert_eq!(names(&admin.get(WORKFLOWS).await.body), ["taken"], "nothing was created");
}

/// Proves TEN-05: what is the server's stays as it is, whoever sends it back.
#[tokio::test]
async fn fields_of_the_server_are_not_changed() {
    let app = TestApp::start().await;
    let admin = app.admin().await;
    let id = create(&admin, "w").await;
    let mut row = admin.get(&of(&id)).await.body;
    for (name, value) in [
        ("id", json!("00000000-0000-0000-0000-000000000000")),
        ("is_owner", json!(false)),
        ("shared_to_org", json!(true)),
        ("created_by", json!(99)),
        ("owner_emails", json!([])),
        ("definition_version", json!(7)),
        ("source_settings", json!({"a": 1})),
    ] {
        row[name] = value;
    }
    row["description"] = json!("changed");

    let put = admin.put(&of(&id), row).await;

    assert_eq!(put.status, 200, "{}", put.text);
    assert_eq!(put.body["description"], "changed");
    let after = admin.get(&of(&id)).await.body;
    for (name, value) in [
        ("id", json!(id)),
        ("is_owner", json!(true)),
        ("shared_to_org", json!(false)),
        ("created_by", json!(1)),
        ("owner_emails", json!(["ada@localhost"])),
        ("definition_version", json!(0)),
        ("source_settings", json!({})),
    ] {
        assert_eq!(after[name], value, "{name}");
    }
}

#[tokio::test]
async fn put_names_the_workflow_and_patch_need_not() {
    let app = TestApp::start().await;
    let admin = app.admin().await;
    let id = create(&admin, "w").await;
    create(&admin, "other").await;

    refused(&admin.put(&of(&id), json!({"description": "d"})).await, "required", "workflow_name");
    refused(
        &admin.put(&of(&id), json!({"workflow_name": "other"})).await,
        "invalid",
        "workflow_name",
    );
    refused(&admin.patch(&of(&id), json!({"workflow_name": null})).await, "null", "workflow_name");
    refused(&admin.patch(&of(&id), json!({"nmae": 1})).await, "unknown", "nmae");

    let same = admin.put(&of(&id), json!({"workflow_name": "w"})).await;
    assert_eq!(same.status, 200, "its own name is not taken: {}", same.text);
    let limited = admin.patch(&of(&id), json!({"max_file_execution_count": 2})).await;
    assert_eq!(limited.body["max_file_execution_count"], 2);
    let renamed = admin.patch(&of(&id), json!({"workflow_name": "v"})).await;
    assert_eq!(renamed.body["max_file_execution_count"], 2, "what is left out stays");
    let unlimited = admin.patch(&of(&id), json!({"max_file_execution_count": null})).await;
    assert_eq!(unlimited.body["max_file_execution_count"], Value::Null);
    assert_eq!(unlimited.body["workflow_name"], "v");
}

#[tokio::test]
async fn a_definition_becomes_a_version_and_the_same_text_does_not() {
    let app = TestApp::start().await;
    let admin = app.admin().await;
    let id = create(&admin, "w").await;

    let first = admin.patch(&of(&id), json!({"definition": DEFINITION})).await;
    assert_eq!(first.status, 200, "{}", first.text);
    assert_eq!(first.body["definition_version"], 1);
    let again = admin.patch(&of(&id), json!({"definition": DEFINITION})).await;
    assert_eq!(again.body["definition_version"], 1);
    assert_eq!(again.body["modified_at"], first.body["modified_at"], "nothing was changed");

    let object = json!({"fields": [{"key": "a", "type": "text", "rule": {"label": "A"}}]});
    let second = admin.put(&of(&id), json!({"workflow_name": "w", "definition": object})).await;
    assert_eq!(second.body["definition_version"], 2);
    let text = second.body["definition"].as_str().unwrap();
    assert_eq!(serde_json::from_str::<Value>(text).unwrap(), object);

    let kept = admin.patch(&of(&id), json!({"definition": null})).await;
    assert_eq!(kept.body["definition"], second.body["definition"], "null leaves it as it is");
    let listed = admin.get(WORKFLOWS).await;
    assert_eq!(listed.body[0]["definition_version"], 2);
    assert!(listed.body[0].get("definition").is_none(), "lists are without definitions");
}

#[tokio::test]
async fn every_mistake_of_a_definition_is_told_at_its_place() {
    let app = TestApp::start().await;
    let admin = app.admin().await;
    let id = create(&admin, "w").await;
    let wrong = "fields:
  - {key: a, type: text, rule: {label: A}}
  - {key: a, type: money, rule: {label: A}}
  - {key: c, type: text, rule: {pattern: '('}}
";

    let kept = admin.patch(&of(&id), json!({"definition": wrong})).await;
    let checked = admin.post(VALIDATE, json!({"definition": wrong})).await;
    let created = admin.post(WORKFLOWS, json!({"workflow_name": "x", "definition": wrong})).await;

    assert_eq!(kept.status, 400, "{}", kept.text);
    let errors = kept.body["errors"].as_array().unwrap();
    let attrs: Vec<_> = errors.iter().map(|error| error["attr"].as_str().unwrap()).collect();
    assert!(attrs.contains(&"definition.fields[1].type"), "{attrs:?}");
    assert!(attrs.iter().all(|attr| attr.starts_with("definition")), "{attrs:?}");
    let unknown_type = errors.iter().find(|e| e["attr"] == "definition.fields[1].type").unwrap();
    assert!(unknown_type["detail"].as_str().unwrap().starts_with("3:20: "), "{unknown_type}");
    assert_eq!(unknown_type["code"], "invalid");
    assert_eq!(checked.body["errors"], kept.body["errors"]);
    assert_eq!(created.body["errors"], kept.body["errors"]);
    assert_eq!(admin.get(&of(&id)).await.body["definition_version"], 0);
}

#[tokio::test]
async fn a_definition_can_be_checked_without_keeping_it() {
    let app = TestApp::start().await;
    let member = app.member("bo@localhost", "user").await;

    let valid = member.post(VALIDATE, json!({"definition": DEFINITION})).await;
    assert_eq!((valid.status.as_u16(), &valid.body), (200, &json!({"valid": true})));
    refused(&member.post(VALIDATE, json!({})).await, "required", "definition");
    refused(&member.post(VALIDATE, json!({"definition": null})).await, "null", "definition");
    refused(&member.post(VALIDATE, json!({"definition": ""})).await, "invalid", "definition");
    refused(&member.post(VALIDATE, json!({"definition": "a\0b"})).await, "invalid", "definition");
    assert_eq!(app.nobody().post(VALIDATE, json!({"definition": DEFINITION})).await.status, 401);
}

#[tokio::test]
async fn the_schema_of_definitions_is_public() {
    let app = TestApp::start().await;

    let schema = app.nobody().get("/api/v1/schemas/workflow-definition.json").await;

    assert_eq!(schema.status, 200);
    assert_eq!(schema.header("content-type"), "application/schema+json");
    assert_eq!(schema.body["title"], "Workflow definition");
}

#[tokio::test]
async fn members_see_what_they_own_and_what_is_shared() {
    let app = TestApp::start().await;
    let admin = app.admin().await;
    let bo = app.member("bo@localhost", "user").await;
    let ids = create(&admin, "of the admin").await;
    let own = create(&bo, "of bo").await;

    assert_eq!(names(&bo.get(WORKFLOWS).await.body), ["of bo"]);
    assert_eq!(names(&admin.get(WORKFLOWS).await.body), ["of bo", "of the admin"]);
    assert_eq!(names(&app.platform().get(WORKFLOWS).await.body), ["of bo", "of the admin"]);

    let unseen = bo.get(&of(&ids)).await;
    let unknown = bo.get(&of("00000000-0000-4000-8000-000000000000")).await;
    for (one, other) in [
        (unseen, unknown),
        (bo.patch(&of(&ids), json!({})).await, bo.patch(&of("x"), json!({})).await),
        (bo.delete(&of(&ids)).await, bo.delete(&of("x")).await),
    ] {
        assert_eq!((one.status, other.status), (404.try_into().unwrap(), 404.try_into().unwrap()));
        assert_eq!(one.body["errors"], other.body["errors"], "the two cannot be told apart");
    }

    share(&app, &ids).await;
    assert_eq!(names(&bo.get(WORKFLOWS).await.body), ["of bo", "of the admin"]);
    let seen = bo.get(&of(&ids)).await;
    assert_eq!((seen.status.as_u16(), &seen.body["is_owner"]), (200, &json!(false)));
    for answer in
        [bo.patch(&of(&ids), json!({"description": "x"})).await, bo.delete(&of(&ids)).await]
    {
        assert_eq!((answer.status.as_u16(), answer.code()), (403, "forbidden"));
        assert_eq!(answer.body["errors"][0]["code"], "permission_denied");
    }
    assert_eq!(bo.patch(&of(&own), json!({"description": "mine"})).await.status, 200);
    assert_eq!(admin.patch(&of(&own), json!({"description": "ours"})).await.status, 200);
    assert_eq!(app.platform().delete(&of(&own)).await.status, 204);
}

/// Proves TEN-01 for workflows.
#[tokio::test]
async fn another_organization_sees_nothing_of_it() {
    let app = TestApp::start().await;
    let id = create(&app.admin().await, "secret plans").await;
    let (outsider, key) = app.other_org("globex").await;
    let theirs = |id: &str| format!("/api/v1/unstract/globex/workflow/{id}/");
    let before = app.admin().await.get(&of(&id)).await.body;

    for client in [&outsider, &app.key(&key)] {
        let foreign = client.get(&theirs(&id)).await;
        let unknown = client.get(&theirs("00000000-0000-4000-8000-000000000000")).await;
        assert_eq!((foreign.status.as_u16(), unknown.status.as_u16()), (404, 404));
        assert_eq!(foreign.body["errors"], unknown.body["errors"]);
        assert_eq!(client.patch(&theirs(&id), json!({"description": "x"})).await.status, 404);
        assert_eq!(client.delete(&theirs(&id)).await.status, 404);
        assert_eq!(client.get("/api/v1/unstract/globex/workflow/").await.body, json!([]));
        assert_eq!(client.get("/api/v1/unstract/globex/workflow/endpoint/").await.body, json!([]));
        assert_eq!(client.get(WORKFLOWS).await.status, 403, "the URL of the other organization");
    }
    let same_name = json!({"workflow_name": "secret plans"});
    let made = outsider.post("/api/v1/unstract/globex/workflow/", same_name).await;
    assert_eq!(made.status, 201, "names are unique in an organization only: {}", made.text);
    assert_eq!(app.admin().await.get(&of(&id)).await.body, before);
}

#[tokio::test]
async fn a_list_is_bare_or_in_pages() {
    let app = TestApp::start().await;
    let admin = app.admin().await;
    for name in ["alpha", "beta", "gamma", "delta", "epsilon"] {
        // A key owns nothing, so that no owner's address is found by the search.
        create(&app.platform(), name).await;
    }

    assert_eq!(admin.get(WORKFLOWS).await.body.as_array().unwrap().len(), 5);
    assert_eq!(admin.get(&format!("{WORKFLOWS}?page=")).await.body.as_array().unwrap().len(), 5);

    let mut url = format!("{WORKFLOWS}?page_size=2&ordering=workflow_name&search=a");
    let mut found = Vec::new();
    let count = loop {
        let page = admin.get(&url).await;
        assert_eq!(page.status, 200, "{}", page.text);
        found.extend(names(&page.body["results"]).into_iter().map(str::to_owned));
        match page.body["next"].as_str() {
            Some(next) => {
                assert!(next.starts_with("http://localhost/api/v1/unstract/mock_org/workflow/?"));
                assert!(next.contains("ordering=workflow_name") && next.contains("search=a"));
                next.trim_start_matches("http://localhost").clone_into(&mut url);
            }
            None => break page.body["count"].as_u64().unwrap(),
        }
    };
    assert_eq!(found, ["alpha", "beta", "delta", "gamma"]);
    assert_eq!(count, 4);

    let nothing = admin.get(&format!("{WORKFLOWS}?page=1&search=%00")).await;
    assert_eq!((nothing.status.as_u16(), &nothing.body["count"]), (200, &json!(0)));

    for bad in ["?page=4&page_size=2", "?page=x", "?page=0", "?page=-1", "?page=99999999999"] {
        let answer = admin.get(&format!("{WORKFLOWS}{bad}")).await;
        assert_eq!((answer.status.as_u16(), answer.code()), (404, "no_such_page"), "{bad}");
    }
}

#[tokio::test]
async fn a_list_is_filtered_and_ordered() {
    let app = TestApp::start().await;
    let admin = app.admin().await;
    let bo = app.member("bo@localhost", "user").await;
    let first = create(&admin, "100% sure").await;
    create(&bo, "Receipts").await;
    create(&admin, "under_score").await;
    admin.patch(&of(&first), json!({"description": "changed last"})).await;
    let get = async |query: &str| -> Vec<String> {
        let answer = admin.get(&format!("{WORKFLOWS}?{query}")).await;
        assert_eq!(answer.status, 200, "{}", answer.text);
        names(&answer.body).into_iter().map(str::to_owned).collect()
    };

    for (query, expected) in [
        ("", vec!["100% sure", "under_score", "Receipts"]),
        ("ordering=odd", vec!["100% sure", "under_score", "Receipts"]),
        ("ordering=created_at", vec!["100% sure", "Receipts", "under_score"]),
        ("ordering=-created_at", vec!["under_score", "Receipts", "100% sure"]),
        ("ordering=modified_at", vec!["Receipts", "under_score", "100% sure"]),
        ("workflow_name=Receipts", vec!["Receipts"]),
        ("workflow_name=receipts", vec![]),
        ("workflow_name=%00", vec![]),
        ("search=rECEIPT", vec!["Receipts"]),
        ("search=bo@", vec!["Receipts"]),
        ("search=0%25", vec!["100% sure"]),
        ("search=r_s", vec!["under_score"]),
        ("search=%00", vec![]),
        ("is_active=false", vec![]),
        ("is_active=True&workflow_owner=1", vec!["100% sure", "under_score"]),
        ("project=ignored&search=receipts", vec!["Receipts"]),
    ] {
        assert_eq!(get(query).await, expected, "{query}");
    }
    refused(
        &admin.get(&format!("{WORKFLOWS}?workflow_owner=x")).await,
        "invalid",
        "workflow_owner",
    );
}

#[tokio::test]
async fn both_endpoints_of_a_workflow_are_the_api() {
    let app = TestApp::start().await;
    let admin = app.admin().await;
    let id = create(&admin, "w").await;
    create(&admin, "v").await;

    let all = admin.get(ENDPOINTS).await;
    assert_eq!(all.body.as_array().unwrap().len(), 4);
    let ends = admin.get(&format!("{ENDPOINTS}?workflow={id}")).await;
    insta::assert_json_snapshot!(ends.body, {
        "[].id" => "[id]", "[].workflow" => "[id]",
        "[].created_at" => "[time]", "[].modified_at" => "[time]",
    }, @r#"
    [
      {
        "id": "[id]",
        "workflow": "[id]",
        "workflow_name": "w",
        "endpoint_type": "SOURCE",
        "connection_type": "API",
        "configuration": {},
        "connector_instance": null,
        "created_at": "[time]",
        "modified_at": "[time]"
      },
      {
        "id": "[id]",
        "workflow": "[id]",
        "workflow_name": "w",
        "endpoint_type": "DESTINATION",
        "connection_type": "API",
        "configuration": {},
        "connector_instance": null,
        "created_at": "[time]",
        "modified_at": "[time]"
      }
    ]
    "#);
    assert_eq!(admin.get(&format!("{}endpoint/", of(&id))).await.body, ends.body);
    let source = format!("{ENDPOINTS}{}/", ends.body[0]["id"].as_str().unwrap());
    assert_eq!(admin.get(&source).await.body, ends.body[0]);
    for (query, count) in [
        ("endpoint_type=SOURCE", 2),
        ("connection_type=API", 4),
        ("connection_type=FILESYSTEM", 0),
        ("workflow=00000000-0000-4000-8000-000000000000", 0),
    ] {
        let listed = admin.get(&format!("{ENDPOINTS}?{query}")).await;
        assert_eq!(listed.body.as_array().unwrap().len(), count, "{query}");
    }
    refused(&admin.get(&format!("{ENDPOINTS}?workflow=x")).await, "invalid", "workflow");
}

#[tokio::test]
async fn an_endpoint_takes_no_other_connection() {
    let app = TestApp::start().await;
    let admin = app.admin().await;
    let bo = app.member("bo@localhost", "user").await;
    let id = create(&admin, "w").await;
    let ends = admin.get(&format!("{}endpoint/", of(&id))).await;
    let source = format!("{ENDPOINTS}{}/", ends.body[0]["id"].as_str().unwrap());

    let set =
        json!({"connection_type": "API", "configuration": {"a": 1}, "connector_instance_id": null});
    for answer in [admin.put(&source, set.clone()).await, admin.patch(&source, set.clone()).await] {
        assert_eq!((answer.status.as_u16(), &answer.body), (200, &ends.body[0]), "{}", answer.text);
    }
    for (body, attr) in [
        (json!({"connection_type": "FILESYSTEM"}), "connection_type"),
        (json!({"connection_type": ""}), "connection_type"),
        (json!({"connector_instance_id": id}), "connector_instance_id"),
    ] {
        refused(&admin.patch(&source, body).await, "invalid", attr);
    }
    refused(&admin.patch(&source, json!({"x": 1})).await, "unknown", "x");

    assert_eq!(bo.get(&source).await.status, 404);
    assert_eq!(bo.patch(&source, set.clone()).await.status, 404);
    assert_eq!(bo.get(&format!("{}endpoint/", of(&id))).await.status, 404);
    assert_eq!(bo.get(&format!("{ENDPOINTS}x/")).await.status, 404);
    share(&app, &id).await;
    assert_eq!(bo.get(&source).await.status, 200);
    assert_eq!(bo.patch(&source, set).await.status, 403);
}

/// Proves AUD-01: each change is on record, and what changed nothing is not.
#[tokio::test]
async fn every_change_is_on_record() {
    let app = TestApp::start().await;
    let admin = app.admin().await;
    let id = create(&admin, "w").await;
    admin.patch(&of(&id), json!({"definition": DEFINITION})).await;
    admin.patch(&of(&id), json!({"definition": DEFINITION, "workflow_name": "w"})).await;
    app.platform().patch(&of(&id), json!({"description": "d"})).await;
    admin.delete(&of(&id)).await;

    let sql = "SELECT action, actor_kind, detail FROM audit_events
               WHERE subject_kind = 'workflow' AND subject_id = $1 ORDER BY id";
    let events: Vec<(String, String, String)> = app
        .app
        .read(async |tx| Ok::<_, Error>(tx.fetch_all(sql, args![&id]).await?))
        .await
        .unwrap();

    let told: Vec<_> =
        events.iter().map(|(what, who, how)| format!("{what} {who} {how}")).collect();
    insta::assert_json_snapshot!(told, @r#"
    [
      "workflow_created user {\"workflow_name\":\"w\",\"version\":0}",
      "workflow_changed user {\"changed\":[\"definition\"],\"version\":1}",
      "workflow_changed platform_key {\"changed\":[\"description\"],\"version\":1}",
      "workflow_deleted user {\"workflow_name\":\"w\",\"version\":1}"
    ]
    "#);
}

/// Proves KEY-06 for workflows: no key of any of its deployments goes on working.
#[tokio::test]
async fn deleting_a_workflow_takes_its_deployments_and_their_keys_along() {
    let app = TestApp::start().await;
    let admin = app.admin().await;
    let id = create(&admin, "w").await;
    admin.patch(&of(&id), json!({"definition": DEFINITION})).await;
    let mut keys = Vec::new();
    for (name, is_active) in [("one", true), ("two", false)] {
        let body = json!({"workflow": id, "api_name": name, "is_active": is_active});
        let made = admin.post(DEPLOYMENTS, body).await;
        assert_eq!(made.status, 201, "{}", made.text);
        let deployment = made.body["id"].as_str().unwrap();
        keys.push((name, made.body["api_key"].as_str().unwrap().to_owned()));
        let path = format!("/api/v1/unstract/mock_org/api/keys/api/{deployment}/");
        let more = admin.post(&path, json!({"description": "another"})).await;
        keys.push((name, more.body["api_key"].as_str().unwrap().to_owned()));
    }
    let poll = |name: &str| format!("/deployment/api/mock_org/{name}/?execution_id={id}");
    for (name, key) in &keys {
        let before = app.key(key).get(&poll(name)).await;
        assert_eq!(before.status, 404, "the key opens: {}", before.text);
    }

    assert_eq!(admin.delete(&of(&id)).await.status, 204);

    for (name, key) in &keys {
        let after = app.key(key).get(&poll(name)).await;
        assert_eq!((after.status.as_u16(), after.code()), (401, "key_unknown"));
    }
    assert_eq!(admin.get(&of(&id)).await.status, 404);
    assert_eq!(admin.get(DEPLOYMENTS).await.body["count"], 0);
    assert_eq!(admin.delete(&of(&id)).await.status, 404, "there is nothing left to delete");
}

/// Two members, one name: the schema decides, and the loser is told which field it was.
#[tokio::test]
async fn one_of_two_equal_names_wins() {
    let app = TestApp::start().await;
    let admin = app.admin().await;
    let key = app.platform();
    let body = json!({"workflow_name": "same"});

    let (one, other) = tokio::join!(admin.post(WORKFLOWS, body.clone()), key.post(WORKFLOWS, body));

    let (won, lost) = if one.status == 201 { (one, other) } else { (other, one) };
    assert_eq!(won.status, 201);
    refused(&lost, "invalid", "workflow_name");
}

/// Two edits at once make two versions, and none is lost.
#[tokio::test]
async fn edits_at_the_same_time_come_one_after_the_other() {
    let app = TestApp::start().await;
    let admin = app.admin().await;
    let id = create(&admin, "w").await;
    let path = of(&id);
    let edit = async |n: usize| {
        let text = format!("fields: [{{key: f{n}, type: text, rule: {{label: A}}}}]");
        admin.patch(&path, json!({"definition": text})).await
    };

    let (a, b, c, d) = tokio::join!(edit(1), edit(2), edit(3), edit(4));

    let mut versions: Vec<i64> = [a, b, c, d]
        .iter()
        .map(|answer| {
            assert_eq!(answer.status, 200, "{}", answer.text);
            answer.body["definition_version"].as_i64().unwrap()
        })
        .collect();
    versions.sort_unstable();
    assert_eq!(versions, [1, 2, 3, 4]);
    assert_eq!(admin.get(&path).await.body["definition_version"], 4);
}
