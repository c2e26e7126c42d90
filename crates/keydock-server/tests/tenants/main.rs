//! No organization reads or changes what is another's: every operation of the description, with every
//! credential of one organization and the names of the other, in the path, the query, the body and the
//! header.
//!
//! The requests are made from the description of the running program, so a new operation is tried as
//! well, and one that no rule knows makes the test fail. So that a refusal proves something, the same
//! request has to succeed for the organization whose things it names.

#![expect(clippy::unwrap_used, reason = "what is wrong in a test should stop it")]

#[path = "../harness/mod.rs"]
mod harness;
mod requests;
mod world;

use std::fmt::Write as _;

use axum::http::{Method, Request};
use harness::{Answer, Client, TestApp};
use requests::{Operation, Prepared, operations};
use serde_json::Value;
use world::{Names, Organization, World, passer_by};

/// What a request names of the other organization.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Foreign {
    /// The organization in the path, and everything else.
    All,
    /// Everything but the organization in the path.
    Ids,
    /// What is in the query and in the body.
    Mentioned,
    /// Nothing but the header for it.
    Header,
    /// Members of the body that do not exist.
    Members,
}

const EVERY: [Foreign; 5] =
    [Foreign::All, Foreign::Ids, Foreign::Mentioned, Foreign::Header, Foreign::Members];

/// Operations that name nothing of any organization, or take what they name as a proof in itself.
const OF_NOBODY: [(&str, &str); 19] = [
    ("GET /api/v1/login", "a page for everybody"),
    ("POST /api/v1/login", "who knows the password is that person"),
    ("GET /api/v1/logout", "ends one's own session"),
    ("POST /api/v1/logout", "ends one's own session"),
    ("GET /api/v1/organization", "lists one's own organizations"),
    ("GET /api/v1/session", "tells one's own name"),
    ("POST /api/v1/password", "changes one's own password"),
    ("POST /api/v1/organization/create", "founds another one; for who runs the server"),
    ("POST /api/v1/report-leaked-key", "who has a secret may end it"),
    ("POST /revoke", "who has a secret may end it"),
    ("GET /api/v1/schemas/workflow-definition.json", "a document for everybody"),
    ("GET /api/v1/unstract/whoami/", "tells the organization of one's own key"),
    ("GET /platform_details", "tells the organization of one's own key"),
    ("GET /health", "for whoever watches the server"),
    ("GET /health/live", "for whoever watches the server"),
    ("GET /health/ready", "for whoever watches the server"),
    ("GET /metrics", "numbers of the whole server"),
    ("GET /ping", "for everybody"),
    ("POST /api/v1/token", "the proof that is sent is the credential: see the test of its own"),
];

/// Requests that may succeed though they mention something of the other organization in the query or in
/// the body, because it means nothing to the one that sends them. What they are told is looked at all the
/// same.
const MEANT_AS_TEXT: [(&str, &str); 8] = [
    ("POST /api/v1/unstract/{org}/platform/keys/{id}/verify/", "no secret of others is one's own"),
    ("POST /introspect", "of a key of others it is told that it is not active"),
    ("POST /cache", "a name in one's own cache"),
    ("GET /cache", "a name in one's own cache"),
    ("DELETE /cache", "a name in one's own cache"),
    ("POST /usage", "a report in one's own words"),
    ("POST /page-usage", "a report in one's own words"),
    ("DELETE /api/v1/unstract/{org}/users/", "who is no member need not be removed"),
];

/// Operations that do not look at the header for the organization.
const WITHOUT_HEADER: [(&str, &str); 1] =
    [("POST /api/v1/organization/{org}/set", "this is where people say in which one they act")];

/// Operations that pass over members that only the server sets, so that one can send back what one got.
const SENT_BACK: [(&str, &str); 1] = [(
    "PUT /api/v1/unstract/{org}/api/deployment/{id}/",
    "takes what a GET gave, and leaves the members of the server as they are",
)];

/// The answers to those whose things they are, where it is not a success.
const CONTROLS: [(&str, u16, &str); 7] = [
    ("POST /api/v1/login", 401, "with a wrong password, as everybody sends it here"),
    ("GET /api/v1/logout", 302, "leads to the page for signing in"),
    ("POST /api/v1/logout", 302, "leads to the page for signing in"),
    ("GET /adapter_instance", 404, "there are none of these yet"),
    ("GET /agentic_tool_instance", 404, "there are none of these yet"),
    ("GET /custom_tool_instance", 404, "there are none of these yet"),
    ("GET /llm_profile_instance", 404, "there are none of these yet"),
];

fn is_listed<const N: usize>(list: &[(&str, &str); N], operation: &Operation) -> bool {
    list.iter().any(|(name, _)| *name == operation.name())
}

impl Foreign {
    fn request(self, operation: &Operation, ours: &Names, theirs: &Names) -> Option<Prepared> {
        let own = operation.prepare(ours, ours, ours);
        let request = match self {
            Self::All => operation.prepare(theirs, theirs, theirs),
            Self::Ids => operation.prepare(ours, theirs, theirs),
            Self::Mentioned => operation.prepare(ours, ours, theirs),
            Self::Header => own.clone().naming(theirs.get("org")),
            Self::Members => own.clone().smuggling(theirs)?,
        };
        (request != own).then_some(request)
    }

    /// Whether a success says that something is wrong, whatever the answer holds.
    fn must_fail(self, operation: &Operation) -> bool {
        let is_read = operation.method == Method::GET;
        let names_a_thing = operation.path.replace("{org}", "").contains('{');
        match self {
            Self::Header => {
                !is_listed(&WITHOUT_HEADER, operation)
                    && (!is_listed(&OF_NOBODY, operation) || tells_whose_key_it_is(operation))
            }
            _ if is_listed(&OF_NOBODY, operation) => false,
            Self::All if operation.path.contains("{org}") => true,
            Self::Ids if names_a_thing => true,
            // A list that is narrowed down to something foreign is an empty one.
            Self::Ids | Self::Mentioned | Self::All => {
                !is_read && !is_listed(&MEANT_AS_TEXT, operation)
            }
            Self::Members => {
                !is_listed(&MEANT_AS_TEXT, operation) && !is_listed(&SENT_BACK, operation)
            }
        }
    }
}

fn tells_whose_key_it_is(operation: &Operation) -> bool {
    ["/api/v1/unstract/whoami/", "/platform_details"].contains(&operation.path.as_str())
}

/// Something of the other organization that an answer holds and the request did not.
fn told<'a>(request: &Prepared, answer: &Answer, theirs: &'a Names) -> Option<&'a str> {
    let headers = format!("{:?}", answer.headers);
    theirs
        .marks()
        .filter(|(_, mark)| !request.mentions(mark))
        .find(|(_, mark)| answer.text.contains(mark) || headers.contains(mark))
        .map(|(name, _)| name)
}

async fn description(test: &TestApp) -> Value {
    let answer = test.nobody().get("/api/v1/openapi.json").await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    answer.body
}

/// Proves TEN-01: nothing succeeds, nothing is told, nothing changes; and it would for its owner.
#[tokio::test]
async fn no_operation_crosses_from_one_organization_to_another() {
    let world = World::new().await;
    let described = description(&world.test).await;
    let operations = operations(&described);
    let count: usize = described["paths"]
        .as_object()
        .unwrap()
        .values()
        .map(|item| item.as_object().unwrap().len())
        .sum();
    assert_eq!(operations.len(), count, "every operation is tried");
    let mut found = String::new();
    let mut sent = 0;
    let mut kept = world.kept(&world.theirs).await;
    for operation in &operations {
        sent += attack(&world, operation, &mut found).await;
        let now = world.kept(&world.theirs).await;
        for (table, rows) in now.iter().filter(|(table, rows)| kept.get(*table) != Some(rows)) {
            let before = kept.get(table);
            let name = operation.name();
            writeln!(found, "{name} changes {table} of the others: {before:?} {rows:?}").unwrap();
        }
        kept = now;
    }
    for operation in &operations {
        control(&world, operation, &mut found).await;
    }
    assert!(found.is_empty(), "\n{found}");
    assert!(sent > 10 * count, "only {sent} requests for {count} operations");
}

/// Sends everything that names something of the others, as everybody of ours.
async fn attack(world: &World, operation: &Operation, found: &mut String) -> usize {
    let (ours, theirs) = (&world.ours, &world.theirs);
    let documents = world.documents();
    let mut sent = 0;
    let mut kinds = 0;
    for foreign in EVERY {
        let mut is_tried = false;
        for holder in &ours.holders {
            let proof = world.proof(ours);
            let (own, other) = (ours.names.anew(), theirs.names.with("proof", &proof));
            let other = other.with("unique", own.get("unique"));
            let Some(request) = foreign.request(operation, &own, &other) else { continue };
            is_tried = true;
            let throw_away;
            let client =
                if operation.path.ends_with("/logout") || operation.path.ends_with("/password") {
                    throw_away = passer_by(world, ours).await;
                    &throw_away
                } else {
                    &holder.client
                };
            let answer = request.send(client).await;
            sent += 1;
            let status = answer.status;
            let mut wrong = |what: &str| {
                let (name, who) = (operation.name(), holder.what);
                writeln!(
                    found,
                    "{name}, {foreign:?}, with our {who}: {what}; {status} {}",
                    answer.text
                )
                .unwrap();
            };
            if status.is_success() && foreign.must_fail(operation) {
                wrong("it succeeds");
            }
            if status.is_server_error() {
                wrong("it breaks");
            }
            if let Some(mark) = told(&request, &answer, &theirs.names) {
                wrong(&format!("it tells the other's {mark}"));
            }
        }
        kinds += usize::from(is_tried && foreign != Foreign::Header);
    }
    if kinds == 0 && !is_listed(&OF_NOBODY, operation) {
        writeln!(found, "{}: nothing of the others can be named in it", operation.name()).unwrap();
    }
    if let Some(lost) = documents.iter().find(|document| !world.documents().contains(document)) {
        writeln!(found, "{}: the document {lost} is gone", operation.name()).unwrap();
    }
    sent
}

/// The same request as one of those whose things it names.
async fn control(world: &World, operation: &Operation, found: &mut String) {
    let theirs = &world.theirs;
    let proof = world.proof(theirs);
    let names = theirs.names.anew().with("proof", &proof);
    let request = operation.prepare(&names, &names, &names);
    let client = owner(world, operation, theirs).await;
    let answer = request.send(&client).await;
    let name = operation.name();
    let expected = CONTROLS.iter().find(|(listed, _, _)| *listed == name);
    let is_right = match expected {
        Some((_, status, _)) => answer.status == *status,
        None => answer.status.is_success(),
    };
    if !is_right {
        writeln!(found, "{name} is refused to its owner: {} {}", answer.status, answer.text)
            .unwrap();
    }
}

/// Somebody who may do it.
async fn owner(world: &World, operation: &Operation, theirs: &Organization) -> Client {
    match operation.name().as_str() {
        "GET /api/v1/logout" | "POST /api/v1/logout" | "POST /api/v1/password" => {
            passer_by(world, theirs).await
        }
        "POST /api/v1/organization/create" => world.test.admin().await,
        _ if operation.is_of_deployments || operation.path == "/forward-auth" => {
            theirs.holder("deployment key").clone()
        }
        _ if operation.takes_sessions => theirs.holder("admin").clone(),
        _ => theirs.holder("platform key").clone(),
    }
}

/// Proves TEN-01 for pipelines: what one proves to one organization opens no other.
#[tokio::test]
async fn a_proof_for_one_organization_opens_no_other() {
    let world = World::new().await;
    let exchange = async |proof: &str, org: &str| {
        let form = url::form_urlencoded::Serializer::new(String::new())
            .append_pair("grant_type", "urn:ietf:params:oauth:grant-type:token-exchange")
            .append_pair("subject_token", proof)
            .append_pair("subject_token_type", "urn:ietf:params:oauth:token-type:id_token")
            .append_pair("audience", org)
            .finish();
        let request = Request::post("/api/v1/token")
            .header("content-type", "application/x-www-form-urlencoded")
            .body(form.into());
        world.test.nobody().request(request.unwrap()).await
    };
    let before = world.kept(&world.theirs).await;
    let proof = world.proof(&world.ours);
    let refused = exchange(&proof, "globex").await;
    assert_eq!(refused.status, 400, "{}", refused.text);
    assert_eq!(world.kept(&world.theirs).await, before);
    assert_eq!(exchange(&proof, "acme").await.status, 200, "it is good, and was not used up");
}
