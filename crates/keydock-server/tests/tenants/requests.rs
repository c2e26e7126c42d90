//! Requests made from the description: every operation, with values for every parameter and member
//! that it names. What the description names and no rule here knows makes the test fail.

use axum::{
    body::Body,
    http::{Method, Request, header},
};
use serde_json::{Map, Value, json};

use crate::{
    harness::{Answer, Client, PASSWORD},
    world::Names,
};

pub(crate) const DEFINITION: &str =
    "fields:\n  - key: total\n    type: number\n    rule: {label: Total}\n";

const TENANT: &str = "/api/v1/unstract/{org}/";

/// One operation of the description.
#[derive(Clone, Debug)]
pub(crate) struct Operation {
    pub(crate) method: Method,
    pub(crate) path: String,
    /// The names of its parameters in the query.
    query: Vec<String>,
    body: Shape,
    /// Whether its description says that people, signed in, may call it.
    pub(crate) takes_sessions: bool,
    /// Whether it is for keys of deployments.
    pub(crate) is_of_deployments: bool,
}

/// What a body looks like: its media type, and its members, each with the name of its schema.
#[derive(Clone, Debug)]
enum Shape {
    None,
    Json(Vec<(String, String)>),
    Form(Vec<(String, String)>),
    Upload,
}

/// A request that can be sent by anybody.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Prepared {
    pub(crate) method: Method,
    pub(crate) uri: String,
    media_type: Option<&'static str>,
    pub(crate) body: String,
    pub(crate) organization_header: Option<String>,
}

/// Every operation of the description, those that undo what others do last.
pub(crate) fn operations(description: &Value) -> Vec<Operation> {
    let mut all = Vec::new();
    for (path, item) in description["paths"].as_object().unwrap() {
        for (method, told) in item.as_object().unwrap() {
            let method: Method = method.to_uppercase().parse().unwrap();
            all.push(operation(description, method, path, told));
        }
    }
    // What is deleted has to be there before, and what is in use goes last.
    let order = |one: &Operation| {
        let rank = ["GET", "POST", "PUT", "PATCH", "DELETE"];
        rank.iter().position(|known| *known == one.method.as_str())
    };
    all.sort_by(|a, b| {
        let back = a.method == Method::DELETE && b.method == Method::DELETE;
        let by_path = if back { b.path.cmp(&a.path) } else { a.path.cmp(&b.path) };
        order(a).cmp(&order(b)).then(by_path)
    });
    all
}

fn operation(description: &Value, method: Method, path: &str, told: &Value) -> Operation {
    let parameters = told["parameters"].as_array().cloned().unwrap_or_default();
    let query = parameters.iter().filter(|parameter| parameter["in"] == "query");
    let query = query.map(|parameter| parameter["name"].as_str().unwrap().to_owned()).collect();
    let schemes = |scheme: &str| {
        let all = told["security"].as_array();
        all.is_some_and(|all| all.iter().any(|one| one.get(scheme).is_some()))
    };
    let content = &told["requestBody"]["content"];
    let members = |media_type: &str| members(description, &content[media_type]["schema"]);
    let body = if content.get("application/json").is_some() {
        Shape::Json(members("application/json"))
    } else if content.get("application/x-www-form-urlencoded").is_some() {
        Shape::Form(members("application/x-www-form-urlencoded"))
    } else if content.get("multipart/form-data").is_some() {
        Shape::Upload
    } else {
        assert!(content.is_null(), "{method} {path} takes a body of a type without a rule");
        Shape::None
    };
    Operation {
        takes_sessions: schemes("session"),
        is_of_deployments: schemes("deploymentKey") && path.starts_with("/deployment/"),
        path: path.to_owned(),
        method,
        query,
        body,
    }
}

/// The members of a schema, with what it consists of.
fn members(description: &Value, schema: &Value) -> Vec<(String, String)> {
    let Some(reference) = schema["$ref"].as_str() else { panic!("{schema} has no name") };
    let name = reference.rsplit('/').next().unwrap();
    let mut left = vec![&description["components"]["schemas"][name]];
    let mut found = Vec::new();
    while let Some(part) = left.pop() {
        if let Some(reference) = part["$ref"].as_str() {
            let name = reference.rsplit('/').next().unwrap();
            left.push(&description["components"]["schemas"][name]);
        }
        left.extend(part["allOf"].as_array().into_iter().flatten());
        let properties = part["properties"].as_object().into_iter().flatten();
        found.extend(properties.map(|(member, _)| (name.to_owned(), member.clone())));
    }
    found
}

impl Operation {
    pub(crate) fn name(&self) -> String {
        format!("{} {}", self.method, self.path)
    }

    /// A request that means what `path` names, and mentions in its query and its body what `rest`
    /// names.
    pub(crate) fn prepare(&self, org: &Names, path: &Names, rest: &Names) -> Prepared {
        let mut uri = self.path.clone();
        for part in self.path.split('/').filter(|part| part.starts_with('{')) {
            let names = if part == "{org}" { org } else { path };
            uri = uri.replace(part, &names.fill(&self.thing(part)));
        }
        let pairs: Vec<(String, String)> = self
            .query
            .iter()
            .filter_map(|name| Some((name.clone(), rest.fill(query(name)?))))
            .collect();
        if !pairs.is_empty() {
            let mut encoded = url::form_urlencoded::Serializer::new(String::new());
            uri = format!("{uri}?{}", encoded.extend_pairs(pairs).finish());
        }
        let (media_type, body) = match &self.body {
            Shape::None => (None, String::new()),
            Shape::Json(members) => {
                let members = members.iter().filter_map(|(schema, member)| {
                    Some((member.clone(), self.value(schema, member)?))
                });
                let body = Value::Object(members.collect::<Map<_, _>>()).to_string();
                (Some("application/json"), rest.fill(&body))
            }
            Shape::Form(members) => {
                let text = |value: Value| rest.fill(value.as_str().unwrap());
                let pairs = members.iter().filter_map(|(schema, member)| {
                    Some((member.clone(), text(self.value(schema, member)?)))
                });
                let mut encoded = url::form_urlencoded::Serializer::new(String::new());
                (Some("application/x-www-form-urlencoded"), encoded.extend_pairs(pairs).finish())
            }
            Shape::Upload => {
                let part = "--b\r\ncontent-disposition: form-data; name=\"files\"; \
                            filename=\"a.txt\"\r\n\r\nTotal: 12\r\n--b--\r\n";
                (Some("multipart/form-data; boundary=b"), part.to_owned())
            }
        };
        let method = self.method.clone();
        Prepared { method, uri, media_type, body, organization_header: None }
    }

    /// What a parameter of the path stands for.
    fn thing(&self, parameter: &str) -> String {
        let rest = self.path.strip_prefix(TENANT).unwrap_or(&self.path);
        let begins = |start: &str| rest.starts_with(start);
        let thing = match parameter {
            "{org}" | "{api_name}" | "{delivery}" => return parameter.to_owned(),
            "{request_id}" if begins("requests/") => "request",
            "{id}" if begins("api/deployment/") || begins("api/keys/api/") => "deployment",
            "{id}" if begins("api/keys/") => "deployment_key",
            "{id}" if begins("ci-trusts/") => "trust",
            "{id}" if begins("global-api-deployment/keys/") => "org_key",
            "{id}" if begins("platform-api/keys/") => "api_key",
            "{id}" if begins("platform-tokens/") => "token",
            "{id}" if begins("platform/keys/") => "platform_key",
            "{id}" if begins("webhooks/") => "webhook",
            "{id}" if begins("workflow/endpoint/") => "endpoint",
            // One that no deployment needs.
            "{id}" if begins("workflow/") && self.method == Method::DELETE => "spare_workflow",
            "{id}" if begins("workflow/") => "workflow",
            _ => panic!("no rule says what {parameter} is in {}", self.name()),
        };
        format!("{{{thing}}}")
    }

    /// A value that a member can have; none if it is left out on purpose.
    #[expect(clippy::match_same_arms, reason = "one line a member, to be read as a list")]
    fn value(&self, schema: &str, member: &str) -> Option<Value> {
        Some(match (schema, member) {
            ("AddMember", "email") => json!("new{unique}@people.test"),
            ("AddMember", "role") => json!("user"),
            ("BulkKeys", "ids") => json!([self.thing_of_bulk()]),
            ("BulkKeys", "action") => json!("deactivate"),
            ("CacheEntry", "key") => json!("{cache_key}"),
            ("CacheEntry", "value") => json!("a value"),
            ("ChangeCiTrust" | "CreateCiTrust", "audience") => json!("us"),
            ("ChangeCiTrust" | "CreateCiTrust", "conditions") => json!({"sub": "somebody"}),
            ("ChangeCiTrust" | "CreateCiTrust", "lifetime_seconds") => json!(600),
            ("ChangeCiTrust" | "CreateCiTrust", "permission") => json!("read"),
            ("CreateCiTrust", "issuer") => json!("{issuer}"),
            ("CreateCiTrust", "name") => json!("t{unique}"),
            ("ChangePassword", "current_password") => json!(PASSWORD),
            ("ChangePassword", "new_password") => json!("another long password"),
            ("ChangeWebhook" | "CreateWebhook", "url") => json!("{hook}"),
            ("ChangeWebhook" | "CreateWebhook", "event_types") => json!(["*"]),
            ("CreateWebhook", "is_enabled") => json!(false),
            ("CreateDeployment", "workflow") => json!("{free_workflow}"),
            ("CreateDeployment", "api_name" | "display_name") => json!("d{unique}"),
            ("UpdateDeployment", "workflow") => json!("{workflow}"),
            ("UpdateDeployment", "api_name") => json!("{api_name}"),
            ("UpdateDeployment", "display_name") => json!("changed{unique}"),
            ("CreateDeploymentKey" | "UpdateDeploymentKey", "api") => json!("{deployment}"),
            ("CreateOrgDeploymentKey" | "UpdateOrgDeploymentKey", "api_deployments") => {
                json!(["{deployment}"])
            }
            ("CreateOrgDeploymentKey" | "UpdateOrgDeploymentKey", "allow_all_deployments") => {
                json!(false)
            }
            ("CreateOrgDeploymentKey" | "CreatePlatformApiKey", "name") => json!("k{unique}"),
            ("CreatePlatformApiKey" | "UpdatePlatformApiKey", "permission") => json!("read"),
            ("CreateWorkflow" | "UpdateWorkflow", "workflow_name") => json!("w{unique}"),
            ("CreateWorkflow" | "UpdateWorkflow", "deployment_type") => json!("API"),
            ("CreateWorkflow" | "UpdateWorkflow", "max_file_execution_count") => json!(5),
            ("CreateWorkflow" | "UpdateWorkflow" | "ValidateDefinition", "definition") => {
                json!(DEFINITION)
            }
            ("ExchangeToken", "grant_type") => {
                json!("urn:ietf:params:oauth:grant-type:token-exchange")
            }
            ("ExchangeToken", "subject_token") => json!("{proof}"),
            ("ExchangeToken", "subject_token_type") => {
                json!("urn:ietf:params:oauth:token-type:id_token")
            }
            ("ExchangeToken", "audience") => json!("{org}"),
            ("ExchangeToken", "resource" | "scope" | "requested_token_type")
            | ("PresentedToken", "token_type_hint") => return None,
            ("FoundOrganization", "name" | "display_name" | "organization_id") => {
                json!("o{unique}")
            }
            ("GeneratePlatformKey", "key_name") => json!("p{unique}"),
            ("GeneratePlatformKey", "is_active") => json!(false),
            ("MemberRole", "email") => json!("{member_email}"),
            ("MemberRole", "role") => json!("admin"),
            ("RemoveMembers", "emails") => json!(["{member_email}"]),
            ("PresentedToken", "token") if self.path == "/introspect" => {
                json!("{deployment_secret}")
            }
            // Who presents a secret may give it up, wherever they are from: so only an id is sent.
            ("PresentedToken", "token") | ("ReportLeakedKey", "key") => json!("{deployment_key}"),
            ("RefreshPlatformKey", "id") => json!("{platform_key}"),
            ("RefreshPlatformKey", "key_name") => json!("Key #1"),
            ("RefreshPlatformKey" | "RotateKey", "grace_seconds") => json!(3600),
            ("RotateWebhook", "grace_seconds") => json!(60),
            ("RefreshPlatformKey" | "RotateKey", "overlap_from") => json!("now"),
            ("SettleRotation", "action") => json!("undo"),
            ("SignIn", "username") => json!("{member_email}"),
            ("SignIn", "password") => json!("not their password"),
            ("TogglePlatformKey", "action") => json!("ACTIVATE"),
            ("UpdateOrganization", "dormant_after_days") => json!(100),
            ("UpdateWorkflowEndpoint", "configuration") => json!({}),
            ("UpdateWorkflowEndpoint", "connection_type") => json!("API"),
            ("UpdateWorkflowEndpoint", "connector_instance_id") => Value::Null,
            ("Usage", "workflow_id") => json!("{workflow}"),
            ("Usage", "execution_id" | "run_id") | ("PageUsage", "run_id") => json!("{execution}"),
            ("Usage" | "PageUsage", "page_count" | "file_size" | "cost_in_dollars") => json!(1),
            ("Usage", tokens) if tokens.ends_with("_tokens") => json!(1),
            ("Usage" | "PageUsage", _) => json!("x"),
            ("VerifyPlatformKey", "key") => json!("{platform_secret}"),
            (_, "expires_at") => json!("2030-01-01T00:00:00Z"),
            (_, "allowed_ips") => json!(["10.0.0.0/8"]),
            (_, "rate_limit") => json!({"requests": 100, "window_seconds": 60}),
            (_, "quota") => json!({"requests": 1000, "period": "day"}),
            (_, "canary") => json!(false),
            (_, "description") => json!("changed"),
            (_, "is_active" | "is_enabled") => json!(true),
            _ => panic!("no rule says what {member} of {schema} may be"),
        })
    }

    fn thing_of_bulk(&self) -> &'static str {
        match self.path.strip_prefix(TENANT) {
            Some("api/keys/api/{id}/bulk/") => "{deployment_key}",
            Some("global-api-deployment/keys/bulk/") => "{org_key}",
            Some("platform-api/keys/bulk/") => "{api_key}",
            _ => panic!("no rule says what {} does to several of", self.name()),
        }
    }
}

/// What a parameter of a query can be; none if it is left out on purpose.
#[expect(clippy::match_same_arms, reason = "a list of names, to be read by name")]
fn query(name: &str) -> Option<&'static str> {
    Some(match name {
        "workflow" => "{workflow}",
        "workflow_name" => "{workflow_name}",
        "workflow_owner" => "{admin_number}",
        "api_name" | "deployment" => "{api_name}",
        "org" => "{org}",
        "actor" => "{admin_email}",
        "subject" => "{deployment_key}",
        "execution_id" => "{execution}",
        // Its result was read by its owner before.
        "replay" => "1",
        "key" => "{cache_key}",
        "adapter_instance_id" | "prompt_registry_id" | "agentic_registry_id" | "llm_profile_id" => {
            "{workflow}"
        }
        "search"
        | "is_active"
        | "ordering"
        | "page"
        | "page_size"
        | "action"
        | "from"
        | "to"
        | "format"
        | "state"
        | "endpoint_type"
        | "connection_type"
        | "include_metadata"
        | "include_metrics"
        | "include_extracted_text"
        | "kind"
        | "tier" => return None,
        _ => panic!("no rule says what {name} may be in a query"),
    })
}

impl Prepared {
    /// The same, naming an organization in the header for it.
    pub(crate) fn naming(mut self, org: &str) -> Self {
        self.organization_header = Some(org.to_owned());
        self
    }

    /// The same, naming an organization in members of the body that are not there.
    pub(crate) fn smuggling(mut self, org: &Names) -> Option<Self> {
        let mut body: Map<String, Value> = serde_json::from_str(&self.body).ok()?;
        for (member, name) in [
            ("organization", "{org}"),
            ("organization_id", "{org}"),
            ("org_id", "{org_number}"),
            ("created_by", "{admin_number}"),
        ] {
            body.insert(member.to_owned(), org.fill(name).into());
        }
        self.body = Value::Object(body).to_string();
        Some(self)
    }

    /// Everything that whoever sends this knows already.
    pub(crate) fn mentions(&self, text: &str) -> bool {
        let decoded = percent_encoding::percent_decode_str(&self.uri).decode_utf8_lossy();
        let body = percent_encoding::percent_decode_str(&self.body).decode_utf8_lossy();
        let header = self.organization_header.as_deref().unwrap_or_default();
        decoded.contains(text) || body.contains(text) || header == text
    }

    pub(crate) async fn send(&self, client: &Client) -> Answer {
        let mut request = Request::builder().method(self.method.clone()).uri(&self.uri);
        if let Some(media_type) = self.media_type {
            request = request.header(header::CONTENT_TYPE, media_type);
        }
        if let Some(org) = &self.organization_header {
            request = request.header("x-organization-id", org);
        }
        client.request(request.body(Body::from(self.body.clone())).unwrap()).await
    }
}
