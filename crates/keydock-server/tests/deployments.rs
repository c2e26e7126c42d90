//! What clients see of deployments (CONTRACT 4.1, 4.2), and whom a deployment answers (CONTRACT 5.2).

#![expect(clippy::unwrap_used, reason = "a test says so by failing")]

mod harness;

use axum::{
    body::Body,
    http::{Request, header},
};
use harness::{Answer, Client, TestApp};
use keydock_server::Error;
use keydock_storage::db::args;
use serde_json::{Value, json};

const DEPLOYMENTS: &str = "/api/v1/unstract/mock_org/api/deployment/";
const WORKFLOWS: &str = "/api/v1/unstract/mock_org/workflow/";
const UNKNOWN: &str = "00000000-0000-4000-8000-000000000000";

fn at(id: &str) -> String {
    format!("{DEPLOYMENTS}{id}/")
}

async fn workflow(client: &Client, name: &str) -> String {
    workflow_in(client, "mock_org", name).await
}

async fn workflow_in(client: &Client, org: &str, name: &str) -> String {
    let definition = "fields: [{key: total, type: currency, rule: {label: Total}}]";
    let body = json!({"workflow_name": name, "definition": definition});
    let made = client.post(&format!("/api/v1/unstract/{org}/workflow/"), body).await;
    assert_eq!(made.status, 201, "{}", made.text);
    made.body["id"].as_str().unwrap().to_owned()
}

/// A deployment of a workflow of its own.
#[derive(Debug)]
struct Deployed {
    id: String,
    workflow: String,
    key: String,
}

async fn deploy(client: &Client, name: &str) -> Deployed {
    let workflow = workflow(client, &format!("workflow of {name}")).await;
    let body = json!({"workflow": workflow, "api_name": name, "display_name": name});
    let made = client.post(DEPLOYMENTS, body).await;
    assert_eq!(made.status, 201, "{}", made.text);
    let text = |member: &str| made.body[member].as_str().unwrap().to_owned();
    Deployed { id: text("id"), workflow, key: text("api_key") }
}

fn refused(answer: &Answer, code: &str, attr: &str) {
    assert_eq!(answer.status, 400, "{}", answer.text);
    assert_eq!(answer.body["errors"][0]["code"], code, "{}", answer.text);
    assert_eq!(answer.body["errors"][0]["attr"], attr, "{}", answer.text);
}

fn names(page: &Value) -> Vec<&str> {
    let rows = page["results"].as_array().unwrap();
    rows.iter().map(|row| row["api_name"].as_str().unwrap()).collect()
}

/// There is no route for it yet.
async fn share(app: &TestApp, id: &str) {
    let sql = "UPDATE deployments SET shared_to_org = $1 WHERE id = $2";
    let shared = app.app.write(async |tx| Ok::<_, Error>(tx.execute(sql, args![true, id]).await?));
    assert_eq!(shared.await.unwrap(), 1);
}

/// A run that is over, `nth` seconds after the epoch, with so many good and bad files.
async fn ran(app: &TestApp, deployed: &Deployed, nth: i64, good: usize, bad: usize) {
    let run = "INSERT INTO executions (id, org_id, deployment_id, workflow_id, workflow_version,
                                       key_id, status, use_file_history, created_at, finished_at)
               SELECT $1, d.org_id, d.id, d.workflow_id, 1, '', $2, $3, $4, $4
               FROM deployments d WHERE d.id = $5";
    let file = "INSERT INTO file_executions (id, org_id, execution_id, position, name,
                                             declared_type, size, sha256, status, finished_at)
                SELECT $1, e.org_id, e.id, $2, 'a.pdf', 'application/pdf', 1, '', $3, e.finished_at
                FROM executions e WHERE e.id = $4";
    let id = format!("00000000-0000-4000-8000-{nth:012}");
    app.app
        .write(async |tx| {
            let at = nth * 1_000_000;
            tx.execute(run, args![&id, "COMPLETED", false, at, &deployed.id]).await?;
            let outcomes =
                std::iter::repeat_n("COMPLETED", good).chain(std::iter::repeat_n("ERROR", bad));
            for (place, outcome) in (0_i64..).zip(outcomes) {
                let file_id = format!("{id}-{place}");
                tx.execute(file, args![file_id, place, outcome, &id]).await?;
            }
            Ok::<_, Error>(())
        })
        .await
        .unwrap();
}

/// Proves KEY-03 for the first key of a deployment.
#[tokio::test]
async fn creating_a_deployment_shows_its_first_key_once() {
    let app = TestApp::start().await;
    let admin = app.admin().await;
    let workflow = workflow(&admin, "Invoices").await;

    let made = admin
        .post(
            DEPLOYMENTS,
            json!({"workflow": workflow, "api_name": "invoices", "display_name": " Invoices ",
                   "description": "of suppliers"}),
        )
        .await;

    assert_eq!(made.status, 201, "{}", made.text);
    assert_eq!(made.header("cache-control"), "no-store");
    insta::assert_json_snapshot!(made.body, {".id" => "[id]", ".api_key" => "[secret]"}, @r#"
    {
      "id": "[id]",
      "api_key": "[secret]",
      "api_endpoint": "deployment/api/mock_org/invoices/",
      "display_name": "Invoices",
      "description": "of suppliers",
      "api_name": "invoices",
      "is_active": "True"
    }
    "#);
    let secret = made.body["api_key"].as_str().unwrap();
    let id = made.body["id"].as_str().unwrap();
    assert!(uuid::Uuid::try_parse(secret).is_ok());
    let keys = admin.get(&format!("/api/v1/unstract/mock_org/api/keys/api/{id}/")).await;
    assert_eq!(keys.body[0]["description"], "API Key for invoices");
    for path in [at(id), DEPLOYMENTS.to_owned()] {
        assert!(!admin.get(&path).await.text.contains(secret), "{path} shows a secret");
    }
    assert!(!keys.text.contains(secret));
    let called = app.key(secret).get("/deployment/api/mock_org/invoices/").await;
    assert_eq!(called.status, 400, "the key opens it: {}", called.text);
}

#[tokio::test]
async fn what_is_left_out_has_a_default() {
    let app = TestApp::start().await;
    let admin = app.admin().await;
    let workflow = workflow(&admin, "w").await;

    let made = admin.post(DEPLOYMENTS, json!({"workflow": workflow, "is_active": "False"})).await;

    assert_eq!(made.status, 201, "{}", made.text);
    assert_eq!(made.body["display_name"], "default api");
    assert_eq!(made.body["description"], "");
    assert_eq!(made.body["is_active"], "False");
    let name = made.body["api_name"].as_str().unwrap();
    assert_eq!(name.len(), 30);
    assert!(name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit()));
    assert_eq!(made.body["api_endpoint"], format!("deployment/api/mock_org/{name}/"));
}

#[tokio::test]
async fn a_row_of_the_list_has_what_typed_clients_read() {
    let app = TestApp::start().await;
    let admin = app.admin().await;
    deploy(&admin, "invoices").await;

    let listed = admin.get(DEPLOYMENTS).await;

    insta::assert_json_snapshot!(listed.body, {
        ".results[].id" => "[id]", ".results[].workflow" => "[id]",
        ".results[].created_at" => "[time]", ".results[].modified_at" => "[time]",
    }, @r#"
    {
      "count": 1,
      "next": null,
      "previous": null,
      "results": [
        {
          "id": "[id]",
          "workflow": "[id]",
          "workflow_name": "workflow of invoices",
          "display_name": "invoices",
          "description": "",
          "is_active": true,
          "api_endpoint": "deployment/api/mock_org/invoices/",
          "api_name": "invoices",
          "created_by": 1,
          "created_by_email": "ada@localhost",
          "last_5_run_statuses": [],
          "run_count": 0,
          "last_run_time": null,
          "is_owner": true,
          "co_owners_count": 0,
          "owner_emails": [
            "ada@localhost"
          ],
          "created_at": "[time]",
          "modified_at": "[time]",
          "shared_to_org": false,
          "shared_groups": [],
          "shared_users": []
        }
      ]
    }
    "#);
}

#[tokio::test]
async fn one_deployment_in_full() {
    let app = TestApp::start().await;
    let admin = app.admin().await;
    let deployed = deploy(&admin, "invoices").await;

    let got = admin.get(&at(&deployed.id)).await;

    insta::assert_json_snapshot!(got.body, {
        ".id" => "[id]", ".workflow" => "[id]", ".created_at" => "[time]", ".modified_at" => "[time]",
    }, @r#"
    {
      "id": "[id]",
      "display_name": "invoices",
      "description": "",
      "workflow": "[id]",
      "api_name": "invoices",
      "api_endpoint": "deployment/api/mock_org/invoices/",
      "is_active": true,
      "created_at": "[time]",
      "modified_at": "[time]",
      "created_by": 1,
      "modified_by": 1,
      "organization": null,
      "shared_to_org": false,
      "shared_groups": [],
      "shared_users": []
    }
    "#);
    assert_eq!(got.body["id"], deployed.id);
    assert_eq!(got.body["workflow"], deployed.workflow);
}

#[tokio::test]
async fn wrong_fields_are_named() {
    let app = TestApp::start().await;
    let admin = app.admin().await;
    let taken = deploy(&admin, "taken").await;
    let free = workflow(&admin, "free").await;
    let empty = admin.post(WORKFLOWS, json!({"workflow_name": "empty"})).await;
    let (outsider, _) = app.other_org("globex").await;
    let foreign = workflow_in(&outsider, "globex", "w").await;

    for (body, code, attr) in [
        (json!({}), "required", "workflow"),
        (json!({"workflow": null}), "null", "workflow"),
        (json!({"workflow": "x"}), "invalid", "workflow"),
        (json!({"workflow": UNKNOWN}), "does_not_exist", "workflow"),
        (json!({"workflow": foreign}), "does_not_exist", "workflow"),
        (json!({"workflow": empty.body["id"]}), "invalid", "workflow"),
        (json!({"workflow": taken.workflow}), "invalid", "workflow"),
        (json!({"workflow": free, "api_name": "taken"}), "invalid", "api_name"),
        (json!({"workflow": free, "api_name": "a b"}), "invalid", "api_name"),
        (json!({"workflow": free, "api_name": ""}), "blank", "api_name"),
        (json!({"workflow": free, "api_name": "x".repeat(31)}), "max_length", "api_name"),
        (json!({"workflow": free, "display_name": "x".repeat(31)}), "max_length", "display_name"),
        (json!({"workflow": free, "display_name": "<i>"}), "invalid", "display_name"),
        (json!({"workflow": free, "description": "x".repeat(256)}), "max_length", "description"),
        (json!({"workflow": free, "is_active": "maybe"}), "invalid", "is_active"),
        (json!({"workflow": free, "is_atcive": true}), "unknown", "is_atcive"),
    ] {
        let answer = admin.post(DEPLOYMENTS, body.clone()).await;
        refused(&answer, code, attr);
    }
    let several = json!({"is_active": "maybe", "api_name": "a b", "display_name": ""});
    let answer = admin.post(DEPLOYMENTS, several).await;
    let attrs: Vec<_> =
        answer.body["errors"].as_array().unwrap().iter().map(|error| &error["attr"]).collect();
    assert_eq!(attrs, ["display_name", "workflow", "api_name", "is_active"]);
    assert_eq!(names(&admin.get(DEPLOYMENTS).await.body), ["taken"], "nothing was created");

    let foreign = admin.post(DEPLOYMENTS, json!({"workflow": foreign})).await;
    let unknown = admin.post(DEPLOYMENTS, json!({"workflow": UNKNOWN})).await;
    let sentence = |answer: &Answer| answer.body["errors"][0]["detail"].as_str().unwrap().len();
    assert_eq!(sentence(&foreign), sentence(&unknown), "the two cannot be told apart");
}

#[tokio::test]
async fn a_workflow_has_one_active_deployment() {
    let app = TestApp::start().await;
    let admin = app.admin().await;
    let first = deploy(&admin, "first").await;
    let idle = json!({"workflow": first.workflow, "api_name": "second", "is_active": false});
    let second = admin.post(DEPLOYMENTS, idle).await;
    assert_eq!(second.status, 201, "{}", second.text);
    let second = second.body["id"].as_str().unwrap();

    refused(&admin.patch(&at(second), json!({"is_active": true})).await, "invalid", "workflow");
    assert_eq!(admin.patch(&at(&first.id), json!({"is_active": true})).await.status, 200);
    assert_eq!(admin.patch(&at(&first.id), json!({"is_active": false})).await.status, 200);
    assert_eq!(admin.patch(&at(second), json!({"is_active": true})).await.status, 200);
    refused(&admin.patch(&at(&first.id), json!({"is_active": true})).await, "invalid", "workflow");

    let other = deploy(&admin, "other").await;
    let moved = admin.patch(&at(&other.id), json!({"workflow": first.workflow})).await;
    refused(&moved, "invalid", "workflow");
}

/// Two requests, one name, one workflow: the schema decides, and the loser is told which field.
#[tokio::test]
async fn one_of_two_at_once_wins() {
    let app = TestApp::start().await;
    let admin = app.admin().await;
    let key = app.platform();
    let (one, two) = (workflow(&admin, "one").await, workflow(&admin, "two").await);

    for (left, right, attr) in [
        (
            json!({"workflow": one, "api_name": "a"}),
            json!({"workflow": one, "api_name": "b"}),
            "workflow",
        ),
        (
            json!({"workflow": two, "api_name": "same"}),
            json!({"workflow": two, "api_name": "same", "is_active": false}),
            "api_name",
        ),
    ] {
        let (left, right) =
            tokio::join!(admin.post(DEPLOYMENTS, left), key.post(DEPLOYMENTS, right));
        let (won, lost) = if left.status == 201 { (left, right) } else { (right, left) };
        assert_eq!(won.status, 201, "{}", won.text);
        refused(&lost, "invalid", attr);
    }
    assert_eq!(admin.get(DEPLOYMENTS).await.body["count"], 2);
}

/// Proves TEN-05: the console sends the whole row back, and what is the server's stays as it is.
#[tokio::test]
async fn a_whole_row_can_be_put_back() {
    let app = TestApp::start().await;
    let admin = app.admin().await;
    let deployed = deploy(&admin, "invoices").await;
    let mut row = admin.get(DEPLOYMENTS).await.body["results"][0].clone();
    row["is_active"] = json!(false);
    row["run_count"] = json!(99);
    row["is_owner"] = json!(false);
    row["created_by"] = json!(42);
    row["api_endpoint"] = json!("deployment/api/evil/x/");
    row["something_new"] = json!(1);

    let put = admin.put(&at(&deployed.id), row).await;

    assert_eq!(put.status, 200, "{}", put.text);
    assert_eq!(put.body["is_active"], false);
    let after = &admin.get(DEPLOYMENTS).await.body["results"][0];
    assert_eq!(after["run_count"], 0);
    assert_eq!(after["is_owner"], true);
    assert_eq!(after["created_by"], 1);
    assert_eq!(after["api_endpoint"], "deployment/api/mock_org/invoices/");

    refused(&admin.put(&at(&deployed.id), json!({})).await, "required", "workflow");
    refused(&admin.patch(&at(&deployed.id), json!({"odd": 1})).await, "unknown", "odd");
    let empty = admin.patch(&at(&deployed.id), json!({})).await;
    assert_eq!(empty.body["modified_at"], after["modified_at"], "nothing was changed");
}

#[tokio::test]
async fn a_deployment_moves_to_another_name_and_workflow() {
    let app = TestApp::start().await;
    let admin = app.admin().await;
    let deployed = deploy(&admin, "old").await;
    deploy(&admin, "taken").await;
    let other = workflow(&admin, "other").await;

    for (body, code, attr) in [
        (json!({"api_name": "taken"}), "invalid", "api_name"),
        (json!({"workflow": UNKNOWN}), "does_not_exist", "workflow"),
        (json!({"workflow": null}), "null", "workflow"),
    ] {
        refused(&admin.patch(&at(&deployed.id), body).await, code, attr);
    }
    let moved = admin.patch(&at(&deployed.id), json!({"api_name": "new", "workflow": other})).await;
    assert_eq!(moved.status, 200, "{}", moved.text);
    assert_eq!(moved.body["api_endpoint"], "deployment/api/mock_org/new/");
    assert_eq!(moved.body["workflow"], other);
    let caller = app.key(&deployed.key);
    assert_eq!(caller.get("/deployment/api/mock_org/new/").await.status, 400);
    assert_eq!(caller.get("/deployment/api/mock_org/old/").await.status, 404);
}

#[tokio::test]
async fn members_see_what_they_own_and_what_is_shared() {
    let app = TestApp::start().await;
    let admin = app.admin().await;
    let bo = app.member("bo@localhost", "user").await;
    let theirs = deploy(&admin, "theirs").await;
    let own = deploy(&bo, "own").await;

    assert_eq!(names(&bo.get(DEPLOYMENTS).await.body), ["own"]);
    assert_eq!(admin.get(DEPLOYMENTS).await.body["count"], 2);
    assert_eq!(app.platform().get(DEPLOYMENTS).await.body["count"], 2);

    let change = json!({"description": "x"});
    for (unseen, unknown) in [
        (bo.get(&at(&theirs.id)).await, bo.get(&at(UNKNOWN)).await),
        (bo.patch(&at(&theirs.id), change.clone()).await, bo.patch(&at("x"), change.clone()).await),
        (bo.delete(&at(&theirs.id)).await, bo.delete(&at(UNKNOWN)).await),
    ] {
        assert_eq!((unseen.status.as_u16(), unknown.status.as_u16()), (404, 404));
        assert_eq!(unseen.body["errors"], unknown.body["errors"], "the two cannot be told apart");
    }
    let unseen_workflow = json!({"workflow": theirs.workflow, "is_active": false});
    refused(&bo.post(DEPLOYMENTS, unseen_workflow).await, "does_not_exist", "workflow");

    share(&app, &theirs.id).await;
    assert_eq!(bo.get(DEPLOYMENTS).await.body["count"], 2);
    assert_eq!(bo.get(&at(&theirs.id)).await.status, 200);
    for answer in
        [bo.patch(&at(&theirs.id), change.clone()).await, bo.delete(&at(&theirs.id)).await]
    {
        assert_eq!((answer.status.as_u16(), answer.code()), (403, "forbidden"));
        assert_eq!(answer.body["errors"][0]["code"], "permission_denied");
    }
    assert_eq!(bo.patch(&at(&own.id), change.clone()).await.status, 200);
    assert_eq!(admin.patch(&at(&own.id), change.clone()).await.status, 200);
    assert_eq!(app.platform().patch(&at(&own.id), change).await.status, 200);
    assert_eq!(app.nobody().get(DEPLOYMENTS).await.status, 401);
    assert_eq!(app.key(&own.key).get(DEPLOYMENTS).await.code(), "key_kind");
}

/// Proves TEN-01 for deployments.
#[tokio::test]
async fn another_organization_sees_nothing_of_it() {
    let app = TestApp::start().await;
    let deployed = deploy(&app.admin().await, "invoices").await;
    let (outsider, key) = app.other_org("globex").await;
    let before = app.admin().await.get(&at(&deployed.id)).await.body;
    let list = "/api/v1/unstract/globex/api/deployment/";

    for client in [&outsider, &app.key(&key)] {
        let foreign = client.get(&format!("{list}{}/", deployed.id)).await;
        let unknown = client.get(&format!("{list}{UNKNOWN}/")).await;
        assert_eq!((foreign.status.as_u16(), unknown.status.as_u16()), (404, 404));
        assert_eq!(foreign.body["errors"], unknown.body["errors"]);
        let path = format!("{list}{}/", deployed.id);
        assert_eq!(client.patch(&path, json!({"is_active": false})).await.status, 404);
        assert_eq!(client.put(&path, json!({"workflow": deployed.workflow})).await.status, 404);
        assert_eq!(client.delete(&path).await.status, 404);
        assert_eq!(client.get(list).await.body["count"], 0);
        assert_eq!(
            client.get(&format!("{list}?workflow={}", deployed.workflow)).await.body["count"],
            0
        );
        assert_eq!(client.get(DEPLOYMENTS).await.status, 403);
    }
    let theirs = workflow_in(&outsider, "globex", "w").await;
    let same_name = outsider.post(list, json!({"workflow": theirs, "api_name": "invoices"})).await;
    assert_eq!(same_name.status, 201, "names are unique in an organization only");
    assert_eq!(app.admin().await.get(&at(&deployed.id)).await.body, before);
}

#[tokio::test]
async fn pages_keep_their_filters_and_add_up() {
    let app = TestApp::start().await;
    let key = app.platform();
    for name in ["alpha", "beta", "gamma", "delta", "epsilon"] {
        deploy(&key, name).await;
    }

    let mut url = format!("{DEPLOYMENTS}?page_size=2&search=A&ordering=-display_name");
    let mut found = Vec::new();
    let count = loop {
        let page = key.get(&url).await;
        assert_eq!(page.status, 200, "{}", page.text);
        found.extend(names(&page.body).into_iter().map(str::to_owned));
        let Some(next) = page.body["next"].as_str() else { break page.body["count"].clone() };
        assert!(next.starts_with("http://localhost/api/v1/unstract/mock_org/api/deployment/?"));
        for part in ["page_size=2", "search=A", "ordering=-display_name"] {
            assert!(next.contains(part), "{next}");
        }
        next.trim_start_matches("http://localhost").clone_into(&mut url);
    };
    assert_eq!(found, ["gamma", "delta", "beta", "alpha"]);
    assert_eq!(count, 4);
    let last = key.get(&url).await;
    assert!(last.body["previous"].as_str().unwrap().contains("page=1"));
    let beyond = key.get(&format!("{DEPLOYMENTS}?page=2")).await;
    assert_eq!((beyond.status.as_u16(), beyond.code()), (404, "no_such_page"));
    assert_eq!(key.get(&format!("{DEPLOYMENTS}?search=zzz")).await.body["count"], 0);
}

#[tokio::test]
async fn a_list_is_filtered_and_ordered() {
    let app = TestApp::start().await;
    let admin = app.admin().await;
    let b = deploy(&admin, "b").await;
    let c = deploy(&admin, "c").await;
    deploy(&admin, "a").await;
    admin.patch(&at(&c.id), json!({"display_name": "50% off"})).await;
    ran(&app, &b, 1, 1, 0).await;
    ran(&app, &c, 2, 1, 0).await;

    for (query, expected) in [
        ("", vec!["c", "b", "a"]),
        ("ordering=odd", vec!["c", "b", "a"]),
        ("ordering=last_run_time", vec!["b", "c", "a"]),
        ("ordering=-last_run_time", vec!["c", "b", "a"]),
        ("ordering=display_name", vec!["c", "a", "b"]),
        ("ordering=created_at", vec!["b", "c", "a"]),
        ("ordering=-created_at", vec!["a", "c", "b"]),
        ("ordering=modified_at", vec!["b", "a", "c"]),
        ("api_name=b", vec!["b"]),
        ("api_name=B", vec![]),
        ("api_name=%00", vec![]),
        ("search=0%25", vec!["c"]),
        ("search=%00", vec![]),
        (&format!("workflow={}", b.workflow), vec!["b"]),
        (&format!("workflow={UNKNOWN}"), vec![]),
    ] {
        let page = admin.get(&format!("{DEPLOYMENTS}?{query}")).await;
        assert_eq!(page.status, 200, "{query}: {}", page.text);
        assert_eq!(names(&page.body), expected, "{query}");
        assert_eq!(page.body["count"], expected.len(), "{query}");
    }
    refused(&admin.get(&format!("{DEPLOYMENTS}?workflow=x")).await, "invalid", "workflow");
}

#[tokio::test]
async fn the_last_five_runs_are_told_oldest_first() {
    let app = TestApp::start().await;
    let admin = app.admin().await;
    let busy = deploy(&admin, "busy").await;
    let calm = deploy(&admin, "calm").await;
    deploy(&admin, "idle").await;
    for nth in 1..=6 {
        ran(&app, &busy, nth, 1, 0).await;
    }
    ran(&app, &busy, 7, 2, 1).await;
    ran(&app, &calm, 3_600, 0, 1).await;

    let page = admin.get(&format!("{DEPLOYMENTS}?page_size=2")).await;

    assert_eq!(names(&page.body), ["calm", "busy"]);
    let [calm, busy] = [&page.body["results"][0], &page.body["results"][1]];
    assert_eq!(busy["run_count"], 7);
    assert_eq!(busy["last_run_time"], "1970-01-01T00:00:07.000000+00:00");
    let runs = busy["last_5_run_statuses"].as_array().unwrap();
    let told: Vec<_> = runs
        .iter()
        .map(|run| {
            (
                run["execution_id"].as_str().unwrap().chars().last().unwrap(),
                run["status"].as_str().unwrap(),
            )
        })
        .collect();
    assert_eq!(
        told,
        [
            ('3', "COMPLETED"),
            ('4', "COMPLETED"),
            ('5', "COMPLETED"),
            ('6', "COMPLETED"),
            ('7', "PARTIAL_SUCCESS")
        ]
    );
    assert_eq!((&runs[4]["successful_files"], &runs[4]["failed_files"]), (&json!(2), &json!(1)));
    assert_eq!(
        calm["last_5_run_statuses"],
        json!([{
            "execution_id": "00000000-0000-4000-8000-000000003600", "status": "COMPLETED",
            "timestamp": "1970-01-01T01:00:00.000000+00:00", "successful_files": 0, "failed_files": 1,
        }])
    );
}

/// Proves AUD-01: each change is on record, and what changed nothing is not.
#[tokio::test]
async fn every_change_is_on_record() {
    let app = TestApp::start().await;
    let admin = app.admin().await;
    let deployed = deploy(&admin, "invoices").await;
    admin.patch(&at(&deployed.id), json!({"is_active": true})).await;
    app.platform().patch(&at(&deployed.id), json!({"is_active": false})).await;
    admin.delete(&at(&deployed.id)).await;

    let sql = "SELECT action, actor_kind, detail FROM audit_events
               WHERE subject_kind = 'deployment' AND subject_id = $1 ORDER BY id";
    let events: Vec<(String, String, String)> = app
        .app
        .read(async |tx| Ok::<_, Error>(tx.fetch_all(sql, args![&deployed.id]).await?))
        .await
        .unwrap();

    let told: Vec<_> = events
        .iter()
        .map(|(what, who, how)| format!("{what} {who} {}", how.replace(&deployed.workflow, "[id]")))
        .collect();
    insta::assert_json_snapshot!(told, @r#"
    [
      "deployment_created user {\"api_name\":\"invoices\",\"workflow\":\"[id]\",\"is_active\":true}",
      "deployment_changed platform_key {\"changed\":[\"is_active\"],\"api_name\":\"invoices\",\"workflow\":\"[id]\",\"is_active\":false}",
      "deployment_deleted user {\"api_name\":\"invoices\",\"workflow\":\"[id]\",\"was_active\":false}"
    ]
    "#);
}

/// Proves KEY-06 for deployments.
#[tokio::test]
async fn the_keys_of_a_deleted_deployment_stop_working_at_once() {
    let app = TestApp::start().await;
    let admin = app.admin().await;
    let gone = deploy(&admin, "gone").await;
    let kept = deploy(&admin, "kept").await;
    let keys = format!("/api/v1/unstract/mock_org/api/keys/api/{}/", gone.id);
    let more = admin.post(&keys, json!({"description": "more"})).await;
    let rotate =
        format!("/api/v1/unstract/mock_org/api/keys/{}/rotate/", more.body["id"].as_str().unwrap());
    let rotated = admin.post(&rotate, json!({"grace_seconds": 3600})).await;
    let secrets = [
        gone.key.clone(),
        more.body["api_key"].as_str().unwrap().to_owned(),
        rotated.body["api_key"].as_str().unwrap().to_owned(),
    ];
    for secret in &secrets {
        assert_eq!(app.key(secret).get("/deployment/api/mock_org/gone/").await.status, 400);
    }
    ran(&app, &gone, 1, 1, 0).await;

    assert_eq!(admin.delete(&at(&gone.id)).await.status, 204);

    for secret in &secrets {
        let after = app.key(secret).get("/deployment/api/mock_org/gone/").await;
        assert_eq!((after.status.as_u16(), after.code()), (401, "key_unknown"));
    }
    assert_eq!(app.key(&kept.key).get("/deployment/api/mock_org/kept/").await.status, 400);
    assert_eq!(admin.get(&at(&gone.id)).await.status, 404);
    assert_eq!(admin.get(&keys).await.status, 404);
    assert_eq!(admin.delete(&at(&gone.id)).await.status, 404);
    let runs: i64 = app
        .app
        .read(async |tx| {
            Ok::<_, Error>(tx.fetch_one("SELECT COUNT(*) FROM executions", args![]).await?)
        })
        .await
        .unwrap();
    assert_eq!(runs, 1, "what was run stays on record");
}

/// Proves KEY-06 under fire: whichever comes first, no key outlives its deployment.
#[tokio::test]
async fn a_key_made_while_its_deployment_is_deleted_does_not_outlive_it() {
    let app = TestApp::start().await;
    let (admin, other) = (app.admin().await, app.platform());
    for round in 0..5 {
        let deployed = deploy(&admin, &format!("d{round}")).await;
        let keys = format!("/api/v1/unstract/mock_org/api/keys/api/{}/", deployed.id);
        let workflow = format!("{WORKFLOWS}{}/", deployed.workflow);
        let new = || json!({"description": "late"});

        let (deleted, one, two, three) = tokio::join!(
            async {
                if round % 2 == 0 {
                    admin.delete(&at(&deployed.id)).await
                } else {
                    admin.delete(&workflow).await
                }
            },
            other.post(&keys, new()),
            other.post(&keys, new()),
            other.post(&keys, new()),
        );

        assert_eq!(deleted.status, 204, "{}", deleted.text);
        for made in [one, two, three] {
            assert!([201, 404].contains(&made.status.as_u16()), "{}", made.text);
            if let Some(secret) = made.body["api_key"].as_str() {
                let called =
                    app.key(secret).get(&format!("/deployment/api/mock_org/d{round}/")).await;
                assert_eq!((called.status.as_u16(), called.code()), (401, "key_unknown"));
            }
        }
    }
}

#[tokio::test]
async fn a_deployment_answers_its_own_keys_only() {
    let app = TestApp::start().await;
    let admin = app.admin().await;
    let invoices = deploy(&admin, "invoices").await;
    let receipts = deploy(&admin, "receipts").await;
    let (outsider, foreign_platform) = app.other_org("globex").await;
    let foreign_workflow = workflow_in(&outsider, "globex", "w").await;
    let foreign = outsider
        .post(
            "/api/v1/unstract/globex/api/deployment/",
            json!({"workflow": foreign_workflow, "api_name": "invoices"}),
        )
        .await;
    let foreign = foreign.body["api_key"].as_str().unwrap();
    let path = "/deployment/api/mock_org/invoices/";

    for (client, status, code) in [
        (app.nobody(), 403, "key_missing"),
        (admin.clone(), 403, "key_missing"),
        (app.key(""), 403, "key_missing"),
        (app.key("nonsense"), 401, "key_malformed"),
        (app.key(UNKNOWN), 401, "key_unknown"),
        (app.platform(), 401, "key_kind"),
        (app.key(&foreign_platform), 401, "key_kind"),
        (app.key(&receipts.key), 401, "key_of_other_deployment"),
        (app.key(foreign), 401, "key_of_other_deployment"),
        (app.key(&invoices.key), 400, "invalid"),
    ] {
        let answer = client.get(path).await;
        assert_eq!((answer.status.as_u16(), answer.code()), (status, code), "{}", answer.text);
        assert_eq!(answer.body["errors"].as_array().unwrap().len(), 1, "an envelope");
        if status == 401 {
            assert!(answer.header("www-authenticate").starts_with("Bearer realm="), "{code}");
        }
    }
    let other = app.key(&receipts.key).get(path).await;
    let foreign_key = app.key(foreign).get(path).await;
    let no_such_org = app.key(&invoices.key).get("/deployment/api/nowhere/invoices/").await;
    assert_eq!(other.body["errors"], foreign_key.body["errors"], "the two cannot be told apart");
    assert_eq!(other.body["errors"], no_such_org.body["errors"]);
}

#[tokio::test]
async fn a_key_of_the_organization_learns_that_an_api_is_not_there() {
    let app = TestApp::start().await;
    let admin = app.admin().await;
    let deployed = deploy(&admin, "invoices").await;
    let caller = app.key(&deployed.key);

    for path in ["nothing", "%20invoices", "a%00b", &"x".repeat(40)] {
        let answer = caller.get(&format!("/deployment/api/mock_org/{path}/")).await;
        assert_eq!(answer.status, 404, "{path}: {}", answer.text);
        assert_eq!(answer.body["errors"][0]["detail"], "API not found.");
    }
    admin.patch(&at(&deployed.id), json!({"is_active": false})).await;
    let idle = caller.get("/deployment/api/mock_org/invoices/").await;
    assert_eq!((idle.status.as_u16(), idle.code()), (404, "not_found"));
    assert_eq!(idle.body["errors"][0]["detail"], "Active API not found.");
    admin.patch(&at(&deployed.id), json!({"is_active": true})).await;
    assert_eq!(caller.get("/deployment/api/mock_org/invoices/").await.status, 400);
}

/// Proves VER-04 and VER-09 for the keys of deployments.
#[tokio::test]
async fn one_key_in_one_place_and_the_header_may_only_confirm() {
    let app = TestApp::start().await;
    let deployed = deploy(&app.admin().await, "invoices").await;
    let path = "/deployment/api/mock_org/invoices/";
    let key = &deployed.key;
    let ask = async |uri: &str, headers: &[(&'static str, &str)]| -> (u16, String) {
        let mut request = Request::get(uri);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let answer = app.nobody().request(request.body(Body::empty()).unwrap()).await;
        (answer.status.as_u16(), answer.code().to_owned())
    };
    let (auth, org) = (header::AUTHORIZATION.as_str(), "x-organization-id");
    let bearer = format!("bEARER   {key}");
    let opened = (400, "invalid".to_owned());

    assert_eq!(ask(path, &[(auth, &bearer)]).await, opened);
    assert_eq!(ask(path.trim_end_matches('/'), &[(auth, &bearer)]).await, opened);
    assert_eq!(ask(path, &[(auth, &bearer), (org, "mock_org")]).await, opened);
    for (uri, headers, status, code) in [
        (path, vec![(auth, bearer.as_str()), (org, "globex")], 403, "key_of_other_organization"),
        (path, vec![(auth, &bearer), (org, "a b")], 400, "organization_header_malformed"),
        (path, vec![(auth, &bearer), (auth, &bearer)], 400, "several_credentials"),
        (
            path,
            vec![(auth, &bearer), (org, "mock_org"), (org, "mock_org")],
            400,
            "several_credentials",
        ),
        (path, vec![(auth, "Basic YTpi")], 403, "key_missing"),
        (path, vec![(auth, "Bearer")], 403, "key_missing"),
        (path, vec![(auth, key)], 403, "key_missing"),
        (&format!("{path}?api_key={key}"), vec![], 400, "key_in_url"),
        (&format!("{path}?token={key}"), vec![(auth, &bearer)], 400, "key_in_url"),
    ] {
        assert_eq!(ask(uri, &headers).await, (status, code.to_owned()), "{uri} {headers:?}");
    }
}
