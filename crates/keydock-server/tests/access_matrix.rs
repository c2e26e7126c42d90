//! Every route, called by everyone. The snapshot is the access policy; a reviewer reads it there.
//!
//! Proves TEN-01 and VER-08 over the whole surface: the outsider and the keys of others get nowhere,
//! and no route of the description is missing.

#![expect(clippy::unwrap_used, reason = "what is wrong in a test should stop it")]

mod harness;

use std::{
    collections::BTreeSet,
    fmt::Write as _,
    sync::atomic::{AtomicU32, Ordering},
};

use axum::{
    body::Body,
    http::{Method, Request, header},
};
use harness::{Client, TestApp};
use serde_json::{Value, json};

/// Those who may change something come last; the one whose session may end, at the very end.
const CALLERS: [&str; 13] = [
    "anonymous",
    "unknown key",
    "inactive platform key",
    "deployment key",
    "another deployment's key",
    "key of all deployments",
    "admin of another organization",
    "member",
    "read key",
    "read_write key",
    "full_access key",
    "platform key",
    "admin",
];

const ORG: &str = "/api/v1/unstract/{org}/";

/// The id of nothing.
const NOTHING: &str = "00000000-0000-4000-8000-000000000000";

/// Method, path, and a body that would succeed.
#[expect(clippy::too_many_lines, reason = "one line a route, to be read as a list")]
fn routes() -> Vec<(Method, String, Option<Value>)> {
    let get = Method::GET;
    let (post, put, patch, delete) = (Method::POST, Method::PUT, Method::PATCH, Method::DELETE);
    let new_workflow = json!({"workflow_name": "w{unique}", "definition": DEFINITION});
    let new_deployment = json!({"workflow": "{free_workflow}", "api_name": "d{unique}"});
    let new_key = json!({"name": "k{unique}", "description": "for everybody"});
    let role = json!({"email": "{target_email}", "role": "admin"});
    let new_trust = json!({"name": "t{unique}", "issuer": "https://issuer.example",
                           "audience": "us", "conditions": {"sub": "x"}, "permission": "read"});
    let tenant = |path: &str| format!("{ORG}{path}");
    vec![
        (get.clone(), "/api/v1/login".to_owned(), None),
        (
            post.clone(),
            "/api/v1/login".to_owned(),
            Some(json!({"username": "nobody", "password": "wrong"})),
        ),
        (
            post.clone(),
            "/api/v1/report-leaked-key".to_owned(),
            Some(json!({"key": "00000000-0000-4000-8000-000000000000"})),
        ),
        (get.clone(), "/api/v1/logout".to_owned(), None),
        (post.clone(), "/api/v1/logout".to_owned(), Some(json!({}))),
        (get.clone(), "/api/v1/session".to_owned(), None),
        (
            post.clone(),
            "/api/v1/password".to_owned(),
            Some(
                json!({"current_password": harness::PASSWORD, "new_password": "another long password"}),
            ),
        ),
        (get.clone(), "/api/v1/organization".to_owned(), None),
        (
            post.clone(),
            "/api/v1/organization/create".to_owned(),
            Some(json!({"name": "n", "display_name": "n", "organization_id": "o{unique}"})),
        ),
        (post.clone(), "/api/v1/organization/{org}/set".to_owned(), Some(json!({}))),
        (get.clone(), "/api/v1/unstract/whoami/".to_owned(), None),
        (get.clone(), "/api/v1/schemas/workflow-definition.json".to_owned(), None),
        (get.clone(), tenant("organization/"), None),
        (patch.clone(), tenant("organization/"), Some(json!({"dormant_after_days": 90}))),
        (get.clone(), tenant("requests/{unique}/explain/"), None),
        (get.clone(), tenant("roles/"), None),
        (get.clone(), tenant("users/"), None),
        (post.clone(), tenant("users/"), Some(json!({"email": "new{unique}@test.example"}))),
        (delete.clone(), tenant("users/"), Some(json!({"emails": ["{target_email}"]}))),
        (get.clone(), tenant("users/profile/"), None),
        (post.clone(), tenant("users/role/"), Some(role.clone())),
        (delete.clone(), tenant("users/role/"), Some(role)),
        (get.clone(), tenant("platform/keys/"), None),
        (post.clone(), tenant("platform/keys/"), Some(json!({}))),
        (put.clone(), tenant("platform/keys/"), Some(json!({"id": "{idle_key}"}))),
        (get.clone(), tenant("audit/"), None),
        (get.clone(), tenant("platform/keys/audit/"), None),
        (get.clone(), tenant("platform/keys/{idle_key}/"), None),
        (put.clone(), tenant("platform/keys/{idle_key}/"), Some(json!({"action": "DEACTIVATE"}))),
        (delete.clone(), tenant("platform/keys/{idle_key}/"), None),
        (
            post.clone(),
            tenant("platform/keys/{idle_key}/rotation/"),
            Some(json!({"action": "undo"})),
        ),
        (get.clone(), tenant("platform/keys/{idle_key}/usage/"), None),
        (post.clone(), tenant("platform/keys/{idle_key}/verify/"), Some(json!({"key": "x"}))),
        (get.clone(), tenant("platform-api/keys/"), None),
        (post.clone(), tenant("platform-api/keys/"), Some(new_key.clone())),
        (
            post.clone(),
            tenant("platform-api/keys/bulk/"),
            Some(json!({"ids": ["{api_key}"], "action": "deactivate"})),
        ),
        (get.clone(), tenant("platform-api/keys/{api_key}/"), None),
        (
            patch.clone(),
            tenant("platform-api/keys/{api_key}/"),
            Some(json!({"permission": "full_access"})),
        ),
        (delete.clone(), tenant("platform-api/keys/{api_key}/"), None),
        (get.clone(), tenant("platform-api/keys/{api_key}/usage/"), None),
        (
            post.clone(),
            tenant("platform-api/keys/{api_key}/rotation/"),
            Some(json!({"action": "undo"})),
        ),
        (post.clone(), tenant("platform-api/keys/{api_key}/rotate/"), Some(json!({}))),
        (get.clone(), tenant("global-api-deployment/keys/"), None),
        (
            post.clone(),
            tenant("global-api-deployment/keys/"),
            Some(json!({"name": "k{unique}", "description": "k", "allow_all_deployments": true})),
        ),
        (
            post.clone(),
            tenant("global-api-deployment/keys/bulk/"),
            Some(json!({"ids": ["{org_key}"], "action": "delete"})),
        ),
        (get.clone(), tenant("global-api-deployment/keys/{org_key}/"), None),
        (
            patch.clone(),
            tenant("global-api-deployment/keys/{org_key}/"),
            Some(json!({"api_deployments": ["{deployment}"]})),
        ),
        (delete.clone(), tenant("global-api-deployment/keys/{org_key}/"), None),
        (get.clone(), tenant("global-api-deployment/keys/{org_key}/usage/"), None),
        (
            post.clone(),
            tenant("global-api-deployment/keys/{org_key}/rotation/"),
            Some(json!({"action": "undo"})),
        ),
        (post.clone(), tenant("global-api-deployment/keys/{org_key}/rotate/"), Some(json!({}))),
        (get.clone(), tenant("global-api-deployment/deployments/"), None),
        (post.clone(), "/api/v1/token".to_owned(), Some(json!({"grant_type": "x"}))),
        (get.clone(), tenant("ci-trusts/"), None),
        (post.clone(), tenant("ci-trusts/"), Some(new_trust.clone())),
        (get.clone(), tenant("ci-trusts/{trust}/"), None),
        (patch.clone(), tenant("ci-trusts/{trust}/"), Some(json!({"permission": "read"}))),
        (delete.clone(), tenant("ci-trusts/{trust}/"), None),
        (get.clone(), tenant("platform-tokens/"), None),
        (delete.clone(), tenant("platform-tokens/{trust}/"), None),
        (get.clone(), tenant("webhooks/"), None),
        (
            post.clone(),
            tenant("webhooks/"),
            Some(json!({"url": "https://hooks.example.com/{unique}", "is_enabled": false})),
        ),
        (get.clone(), tenant("webhooks/{webhook}/"), None),
        (patch.clone(), tenant("webhooks/{webhook}/"), Some(json!({"description": "changed"}))),
        (delete.clone(), tenant("webhooks/{webhook}/"), None),
        (post.clone(), tenant("webhooks/{webhook}/rotate/"), Some(json!({}))),
        (post.clone(), tenant("webhooks/{webhook}/ping/"), Some(json!({}))),
        (get.clone(), tenant("webhooks/{webhook}/deliveries/"), None),
        (
            post.clone(),
            tenant("webhooks/{webhook}/deliveries/{webhook}/redeliver/"),
            Some(json!({})),
        ),
        (get.clone(), tenant("workflow/"), None),
        (post.clone(), tenant("workflow/"), Some(new_workflow.clone())),
        (post.clone(), tenant("workflow/validate/"), Some(json!({"definition": DEFINITION}))),
        (get.clone(), tenant("workflow/endpoint/"), None),
        (get.clone(), tenant("workflow/endpoint/{endpoint}/"), None),
        (
            put.clone(),
            tenant("workflow/endpoint/{endpoint}/"),
            Some(json!({"connection_type": "API", "connector_instance_id": null})),
        ),
        (
            patch.clone(),
            tenant("workflow/endpoint/{endpoint}/"),
            Some(json!({"connection_type": "API"})),
        ),
        (get.clone(), tenant("workflow/{workflow}/"), None),
        (put.clone(), tenant("workflow/{workflow}/"), Some(new_workflow.clone())),
        (patch.clone(), tenant("workflow/{workflow}/"), Some(json!({"description": "changed"}))),
        (delete.clone(), tenant("workflow/{workflow}/"), None),
        (get.clone(), tenant("workflow/{workflow}/endpoint/"), None),
        (get.clone(), tenant("api/deployment/"), None),
        (post.clone(), tenant("api/deployment/"), Some(new_deployment)),
        (get.clone(), tenant("api/deployment/{deployment}/"), None),
        (
            put.clone(),
            tenant("api/deployment/{deployment}/"),
            Some(json!({"workflow": "{workflow}"})),
        ),
        (
            patch.clone(),
            tenant("api/deployment/{deployment}/"),
            Some(json!({"description": "changed"})),
        ),
        (delete.clone(), tenant("api/deployment/{deployment}/"), None),
        (
            post.clone(),
            tenant("api/keys/api/"),
            Some(json!({"description": "k", "api": "{deployment}"})),
        ),
        (get.clone(), tenant("api/keys/api/{deployment}/"), None),
        (post.clone(), tenant("api/keys/api/{deployment}/"), Some(json!({"description": "k"}))),
        (
            post.clone(),
            tenant("api/keys/api/{deployment}/bulk/"),
            Some(json!({"ids": ["{deployment_key}"], "action": "deactivate"})),
        ),
        (get.clone(), tenant("api/keys/{deployment_key}/"), None),
        (
            put.clone(),
            tenant("api/keys/{deployment_key}/"),
            Some(json!({"description": "k", "is_active": true})),
        ),
        (patch.clone(), tenant("api/keys/{deployment_key}/"), Some(json!({"description": "k"}))),
        (delete.clone(), tenant("api/keys/{deployment_key}/"), None),
        (get.clone(), tenant("api/keys/{deployment_key}/usage/"), None),
        (
            post.clone(),
            tenant("api/keys/{deployment_key}/rotation/"),
            Some(json!({"action": "undo"})),
        ),
        (post.clone(), tenant("api/keys/{deployment_key}/rotate/"), Some(json!({}))),
        (post.clone(), "/deployment/api/{org}/{api_name}/".to_owned(), Some(json!("form"))),
        (
            get.clone(),
            "/deployment/api/{org}/{api_name}/?execution_id=00000000-0000-4000-8000-000000000000"
                .to_owned(),
            None,
        ),
        (get.clone(), "/ping".to_owned(), None),
        (get.clone(), "/platform_details".to_owned(), None),
        (get.clone(), "/cache?key=never".to_owned(), None),
        (post.clone(), "/cache".to_owned(), Some(json!({"key": "k", "value": "v"}))),
        (delete, "/cache?key=k".to_owned(), None),
        (post.clone(), "/usage".to_owned(), Some(json!({"total_tokens": 1}))),
        (post.clone(), "/page-usage".to_owned(), Some(json!({"page_count": 1}))),
        (get.clone(), format!("/adapter_instance?adapter_instance_id={NOTHING}"), None),
        (get.clone(), format!("/custom_tool_instance?prompt_registry_id={NOTHING}"), None),
        (get.clone(), format!("/agentic_tool_instance?agentic_registry_id={NOTHING}"), None),
        (get.clone(), format!("/llm_profile_instance?llm_profile_id={NOTHING}"), None),
        (post.clone(), "/introspect".to_owned(), Some(json!("token={deployment_secret}"))),
        (post, "/revoke".to_owned(), Some(json!("token={deployment_secret}"))),
        (get.clone(), "/forward-auth".to_owned(), None),
        (get.clone(), "/health".to_owned(), None),
        (get.clone(), "/health/live".to_owned(), None),
        (get.clone(), "/health/ready".to_owned(), None),
        (get, "/metrics".to_owned(), None),
    ]
}

const DEFINITION: &str = "fields:\n  - key: total\n    type: number\n    rule: {label: Total}\n";

/// No route of the description is left out of the policy, and none is made up.
#[test]
fn the_policy_covers_the_description() {
    let described: BTreeSet<String> = operations();
    let covered: BTreeSet<String> = routes()
        .into_iter()
        .map(|(method, path, _)| format!("{method} {}", shape(path.split('?').next().unwrap())))
        .collect();
    let missing: Vec<_> = described.difference(&covered).collect();
    let unknown: Vec<_> = covered.difference(&described).collect();
    assert!(missing.is_empty() && unknown.is_empty(), "missing {missing:?}, unknown {unknown:?}");
}

fn operations() -> BTreeSet<String> {
    let description = keydock_server::web::docs::description().to_json().unwrap();
    let description: Value = serde_json::from_str(&description).unwrap();
    let mut operations = BTreeSet::new();
    for (path, item) in description["paths"].as_object().unwrap() {
        for method in ["get", "put", "post", "patch", "delete", "head", "options"] {
            if item.get(method).is_some() {
                operations.insert(format!("{} {}", method.to_uppercase(), shape(path)));
            }
        }
    }
    operations
}

/// A path with its parameters' names left out.
fn shape(path: &str) -> String {
    let part = |part: &str| if part.starts_with('{') { "{}".to_owned() } else { part.to_owned() };
    path.split('/').map(part).collect::<Vec<_>>().join("/")
}

#[test]
fn access_policy() {
    let routes = routes();
    // Side by side, but not so many that a database server runs out of connections.
    let share = routes.len().div_ceil(4);
    let threads: Vec<_> = routes
        .chunks(share)
        .map(|some| {
            let some = some.to_vec();
            std::thread::spawn(move || some.into_iter().map(policy_of).collect::<Vec<_>>())
        })
        .collect();
    let rows: Vec<String> = threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect();
    insta::assert_snapshot!(rows.join("\n"));
}

fn policy_of((method, path, body): (Method, String, Option<Value>)) -> String {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(row(method, path, body))
}

/// What everybody gets from one route, in a world of its own.
async fn row(method: Method, path: String, body: Option<Value>) -> String {
    let world = World::new().await;
    let mut line = format!("{method} {path}\n  ");
    for who in CALLERS {
        let wanted = format!("{path} {}", body.as_ref().map(Value::to_string).unwrap_or_default());
        let things = world.things(&wanted).await;
        let caller = world.caller(who, &things).await;
        if method == Method::POST && path.ends_with("platform/keys/") {
            world.free_a_slot().await;
        }
        let path = things.fill(&path);
        let body = body.as_ref().map(|body| things.fill(&body.to_string()));
        let answer = send(&caller, &method, &path, body).await;
        assert!(answer < 500, "{method} {path} as {who}: {answer}");
        write!(line, " {who} {answer} ").unwrap();
    }
    line.trim_end().to_owned()
}

async fn send(caller: &Client, method: &Method, path: &str, body: Option<String>) -> u16 {
    let mut request = Request::builder().method(method.clone()).uri(path);
    let body = match body {
        None => Body::empty(),
        Some(body) if body == "\"form\"" => {
            request = request.header(header::CONTENT_TYPE, "multipart/form-data; boundary=b");
            let part = "--b\r\ncontent-disposition: form-data; name=\"files\"; filename=\"a.txt\"\
                        \r\n\r\nTotal: 12\r\n--b--\r\n";
            Body::from(part)
        }
        Some(body) if body.starts_with("\"token=") => {
            let form = "application/x-www-form-urlencoded";
            request = request.header(header::CONTENT_TYPE, form);
            Body::from(body.trim_matches('"').to_owned())
        }
        Some(body) => {
            request = request.header(header::CONTENT_TYPE, "application/json");
            Body::from(body)
        }
    };
    caller.request(request.body(body).unwrap()).await.status.as_u16()
}

/// Two organizations, and in the first one somebody to act and something to act on.
struct World {
    app: TestApp,
    owner: Client,
    outsider: Client,
    member: Client,
    other_deployment_key: String,
    /// A key of all deployments, then one platform API key of each tier.
    org_keys: Vec<String>,
    counter: AtomicU32,
}

/// Something to act on, fresh for every caller.
struct Things(Vec<(&'static str, String)>);

impl World {
    async fn new() -> Self {
        let app = TestApp::start().await;
        let owner = app.admin().await;
        let (outsider, _) = app.other_org("globex").await;
        let member = app.member("uma@test.example", "user").await;
        let world = Self {
            app,
            owner,
            outsider,
            member,
            other_deployment_key: String::new(),
            org_keys: Vec::new(),
            counter: AtomicU32::new(0),
        };
        let other = world.things("").await;
        let mut org_keys = vec![
            world
                .make_key(
                    "global-api-deployment/keys/",
                    json!({"name": "all", "description": "x", "allow_all_deployments": true}),
                )
                .await
                .1,
        ];
        for tier in ["read", "read_write", "full_access"] {
            let new = json!({"name": tier, "description": "x", "permission": tier});
            org_keys.push(world.make_key("platform-api/keys/", new).await.1);
        }
        let other_deployment_key = other.get("{deployment_secret}").to_owned();
        Self { other_deployment_key, org_keys, ..world }
    }

    /// The id and the secret of a new key of the organization.
    async fn make_key(&self, path: &str, new: Value) -> (String, String) {
        let path = format!("{}{path}", ORG.replace("{org}", harness::ORG));
        let made = self.owner.post(&path, new).await;
        assert_eq!(made.status, 201, "{}", made.text);
        let text = |name: &str| made.body[name].as_str().unwrap().to_owned();
        (text("id"), text("key"))
    }

    async fn caller(&self, who: &str, things: &Things) -> Client {
        match who {
            "anonymous" => self.app.nobody(),
            "unknown key" => self.app.key("00000000-0000-4000-8000-000000000000"),
            "inactive platform key" => self.app.key(things.get("{idle_secret}")),
            "deployment key" => self.app.key(things.get("{deployment_secret}")),
            "another deployment's key" => self.app.key(&self.other_deployment_key),
            "key of all deployments" => self.app.key(&self.org_keys[0]),
            "read key" => self.app.key(&self.org_keys[1]),
            "read_write key" => self.app.key(&self.org_keys[2]),
            "full_access key" => self.app.key(&self.org_keys[3]),
            "admin of another organization" => self.outsider.clone(),
            "member" => self.member.clone(),
            "platform key" => self.app.platform(),
            "admin" => self.app.admin().await,
            other => panic!("nobody is called {other}"),
        }
    }

    async fn free_a_slot(&self) -> String {
        let keys = format!("{}platform/keys/", ORG.replace("{org}", harness::ORG));
        for key in self.owner.get(&keys).await.body.as_array().unwrap() {
            if key["is_active"] == false {
                self.owner.delete(&format!("{keys}{}/", key["id"].as_str().unwrap())).await;
            }
        }
        keys
    }

    /// A key in the idle slot, made anew so that its secret is known.
    async fn idle_key(&self) -> (String, String) {
        let keys = self.free_a_slot().await;
        let made = self.owner.post(&keys, json!({})).await;
        let text = |name: &str| made.body[name].as_str().unwrap_or_default().to_owned();
        (text("id"), text("key"))
    }

    /// Things to act on; those that are slow to make only if they are wanted.
    async fn things(&self, wanted: &str) -> Things {
        let unique = self.counter.fetch_add(1, Ordering::Relaxed);
        let org = ORG.replace("{org}", harness::ORG);
        let make = async |path: &str, body: Value| {
            let made = self.owner.post(&format!("{org}{path}"), body).await;
            assert_eq!(made.status, 201, "{}", made.text);
            made.body
        };
        let text = |value: &Value, name: &str| value[name].as_str().unwrap().to_owned();
        let workflow = make(
            "workflow/",
            json!({"workflow_name": format!("used {unique}"), "definition": DEFINITION}),
        )
        .await;
        let free = make(
            "workflow/",
            json!({"workflow_name": format!("free {unique}"), "definition": DEFINITION}),
        )
        .await;
        let api_name = format!("api{unique}");
        let deployment =
            make("api/deployment/", json!({"workflow": workflow["id"], "api_name": api_name}))
                .await;
        let key = make(
            &format!("api/keys/api/{}/", text(&deployment, "id")),
            json!({"description": "target"}),
        )
        .await;
        let endpoints =
            self.owner.get(&format!("{org}workflow/{}/endpoint/", text(&workflow, "id"))).await;
        let target = format!("target{unique}@test.example");
        if wanted.contains("{target_email}") {
            make("users/", json!({"email": target})).await;
        }
        let new = json!({"name": format!("target {unique}"), "description": "target"});
        let (api_key, _) = self.make_key("platform-api/keys/", new.clone()).await;
        let mut new = new;
        new["allow_all_deployments"] = true.into();
        let (org_key, _) = self.make_key("global-api-deployment/keys/", new).await;
        let trust = if wanted.contains("{trust}") {
            let body = json!({"name": format!("trust {unique}"), "issuer": "https://issuer.example",
                              "audience": "us", "conditions": {"sub": "x"}, "permission": "read"});
            text(&make("ci-trusts/", body).await, "id")
        } else {
            String::new()
        };
        let webhook = if wanted.contains("{webhook}") {
            let body = json!({"url": "https://hooks.example.com/", "event_types": ["*"]});
            text(&make("webhooks/", body).await, "id")
        } else {
            String::new()
        };
        let (idle, idle_secret) = self.idle_key().await;
        Things(vec![
            ("{org}", harness::ORG.to_owned()),
            ("{unique}", unique.to_string()),
            ("{workflow}", text(&workflow, "id")),
            ("{free_workflow}", text(&free, "id")),
            ("{endpoint}", text(&endpoints.body[0], "id")),
            ("{deployment}", text(&deployment, "id")),
            ("{deployment_secret}", text(&deployment, "api_key")),
            ("{api_name}", api_name),
            ("{deployment_key}", text(&key, "id")),
            ("{api_key}", api_key),
            ("{org_key}", org_key),
            ("{trust}", trust),
            ("{webhook}", webhook),
            ("{idle_key}", idle),
            ("{idle_secret}", idle_secret),
            ("{target_email}", target),
        ])
    }
}

impl Things {
    fn get(&self, name: &str) -> &str {
        &self.0.iter().find(|(key, _)| *key == name).unwrap().1
    }

    fn fill(&self, text: &str) -> String {
        self.0.iter().fold(text.to_owned(), |text, (name, value)| text.replace(name, value))
    }
}
