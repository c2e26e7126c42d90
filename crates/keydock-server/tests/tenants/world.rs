//! Two organizations that have one of everything, and those who act for them.

use std::{
    collections::BTreeMap,
    fs,
    path::Path,
    sync::atomic::{AtomicU32, Ordering},
};

use axum::{Json, Router, http::Request, routing::get};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use keydock_core::secret::Pepper;
use keydock_server::{App, Error, Parts, access::peppers::Peppers, config::Settings, jobs};
use keydock_storage::db::args;
use ring::{
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _},
};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;
use zeroize::Zeroizing;

use crate::{
    harness::{Client, TestApp},
    requests::DEFINITION,
};

/// What an organization calls its things.
#[derive(Clone, Debug, Default)]
pub(crate) struct Names(BTreeMap<&'static str, String>);

static UNIQUE: AtomicU32 = AtomicU32::new(0);

impl Names {
    pub(crate) fn get(&self, name: &str) -> &str {
        self.0.get(name).unwrap_or_else(|| panic!("no organization has a {name}"))
    }

    /// A text with names in braces, in words.
    pub(crate) fn fill(&self, text: &str) -> String {
        let filled = self.0.iter().fold(text.to_owned(), |text, (name, value)| {
            text.replace(&format!("{{{name}}}"), value)
        });
        assert!(!filled.contains("{unique}") || self.0.contains_key("unique"));
        filled
    }

    /// The same names with a number that no request had yet.
    pub(crate) fn anew(&self) -> Self {
        let unique = UNIQUE.fetch_add(1, Ordering::Relaxed).to_string();
        self.with("unique", &unique)
    }

    pub(crate) fn with(&self, name: &'static str, value: &str) -> Self {
        let mut names = self.clone();
        names.0.insert(name, value.to_owned());
        names
    }

    /// Words by which something of the organization is recognized wherever it turns up.
    pub(crate) fn marks(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let common =
            ["issuer", "hook", "unique", "api_name", "org_number", "admin_number", "proof"];
        let all = self.0.iter().filter(move |(name, _)| !common.contains(name));
        all.map(|(name, value)| (*name, value.as_str()))
    }
}

/// Somebody with a credential, and what it is called.
pub(crate) struct Holder {
    pub(crate) what: &'static str,
    pub(crate) client: Client,
}

/// An organization, and everybody who has a credential of it.
pub(crate) struct Organization {
    pub(crate) names: Names,
    pub(crate) holders: Vec<Holder>,
    pub(crate) number: i64,
}

impl Organization {
    pub(crate) fn holder(&self, what: &str) -> &Client {
        &self.holders.iter().find(|holder| holder.what == what).unwrap().client
    }
}

pub(crate) struct World {
    pub(crate) test: TestApp,
    pub(crate) ours: Organization,
    pub(crate) theirs: Organization,
    /// A server on the other side of the wire: an issuer of tokens that also takes webhooks.
    outside: Outside,
}

impl World {
    pub(crate) async fn new() -> Self {
        let settings =
            Settings { outbound_allow: Some(vec!["127.0.0.1".to_owned()]), ..Settings::default() };
        let test = TestApp::start_with(settings).await;
        let outside = Outside::start().await;
        let ours = found(&test, &outside, "acme").await;
        let theirs = found(&test, &outside, "globex").await;
        Self { test, ours, theirs, outside }
    }

    /// What a pipeline of an organization gets from its issuer, which is good for once.
    pub(crate) fn proof(&self, of: &Organization) -> String {
        self.outside.token(&self.test, of.names.get("subject"))
    }

    /// Everything that is kept of an organization, a line a row. What anybody may add is left out:
    /// refusals of requests that named it are for its own admins to read.
    pub(crate) async fn kept(&self, of: &Organization) -> BTreeMap<String, Vec<String>> {
        self.test.app.read(async |tx| Ok::<_, Error>(rows(tx, of).await)).await.unwrap()
    }

    /// The documents that are stored.
    pub(crate) fn documents(&self) -> Vec<String> {
        let mut found = Vec::new();
        walk(&self.test.app.config().blobs(), &mut found);
        found.sort();
        found
    }
}

fn walk(folder: &Path, found: &mut Vec<String>) {
    for entry in fs::read_dir(folder).into_iter().flatten() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            walk(&path, found);
        } else {
            found.push(format!("{} {}", path.display(), fs::metadata(&path).unwrap().len()));
        }
    }
}

#[expect(clippy::match_same_arms, reason = "a table each, with the reason why")]
async fn rows(
    tx: &mut keydock_storage::db::Tx,
    of: &Organization,
) -> BTreeMap<String, Vec<String>> {
    let mut kept = BTreeMap::new();
    for table in tx.tables().await.unwrap() {
        let columns: Vec<String> = table.columns().map(ToOwned::to_owned).collect();
        let place = |wanted: &str| columns.iter().position(|column| column == wanted);
        let mut dumped = Vec::new();
        tx.dump(&table, &mut dumped).await.unwrap();
        let text = String::from_utf8(dumped).unwrap();
        let is_theirs = |row: &str| {
            let values: Value = serde_json::from_str(row).unwrap();
            let at = |place: Option<usize>| &values[place.unwrap()];
            match (table.name.as_str(), place("org_id")) {
                ("refusals", _) => false,
                (_, Some(place)) => values[place] == of.number,
                ("organizations", None) => *at(place("id")) == of.number,
                ("users", None) => of.names.marks().any(|(_, mark)| row.contains(mark)),
                ("jobs", None) => {
                    let body = at(place("body")).as_str().unwrap();
                    of.names.marks().any(|(_, mark)| body.contains(mark))
                }
                // Of the whole server: they hold digests, numbers and nothing of an organization.
                (
                    "audit_chain" | "counters" | "exchanged_tokens" | "key_changes" | "settings",
                    None,
                ) => false,
                (other, None) => panic!("no rule says whose the rows of {other} are"),
            }
        };
        let mut lines: Vec<String> =
            text.lines().filter(|row| is_theirs(row)).map(ToOwned::to_owned).collect();
        lines.sort();
        kept.insert(table.name.clone(), lines);
    }
    kept
}

/// Founds an organization with one of everything.
#[expect(clippy::too_many_lines, clippy::similar_names, reason = "one thing after the other")]
async fn found(test: &TestApp, outside: &Outside, org: &'static str) -> Organization {
    let (admin, platform_secret) = test.other_org(org).await;
    let member_email = format!("member@{org}.test");
    let member = test.member_of(&admin, org, &member_email, "user").await;
    let base = format!("/api/v1/unstract/{org}/");
    let make = async |path: &str, body: Value| {
        let made = admin.post(&format!("{base}{path}"), body).await;
        assert!(made.status.is_success(), "{path}: {} {}", made.status, made.text);
        made.body
    };
    let text = |value: &Value, name: &str| {
        value[name].as_str().unwrap_or_else(|| panic!("{name} in {value}")).to_owned()
    };
    let workflow = async |name: &str| {
        let name = format!("{name} of {org}");
        let made =
            make("workflow/", json!({"workflow_name": name, "definition": DEFINITION})).await;
        (text(&made, "id"), name)
    };
    let (used, workflow_name) = workflow("used").await;
    let (free, free_name) = workflow("free").await;
    let (spare, _) = workflow("spare").await;
    let endpoints = admin.get(&format!("{base}workflow/{used}/endpoint/")).await.body;
    let made = make("api/deployment/", json!({"workflow": used, "api_name": "invoices"})).await;
    let deployment = text(&made, "id");
    let caller = text(&made, "api_key");

    // Every key is in the middle of a rotation, so that there is one to take back.
    let overlap = json!({"grace_seconds": 86_400});
    let keys = admin.get(&format!("{base}platform/keys/")).await.body;
    let platform_key = text(&keys[0], "id");
    let refresh = json!({"id": platform_key, "grace_seconds": 86_400});
    let refreshed = admin.put(&format!("{base}platform/keys/"), refresh).await;
    assert_eq!(refreshed.status, 201, "{}", refreshed.text);
    let key = async |path: &str, new: Value| {
        let made = make(path, new).await;
        let id = text(&made, "id");
        let path = path.split("api/keys/api/").next().unwrap();
        let path = if path.is_empty() { "api/keys/" } else { path };
        make(&format!("{path}{id}/rotate/"), overlap.clone()).await;
        (id, made["key"].as_str().or(made["api_key"].as_str()).unwrap().to_owned())
    };
    let (deployment_key, deployment_secret) =
        key(&format!("api/keys/api/{deployment}/"), json!({"description": org})).await;
    let all =
        json!({"name": format!("all of {org}"), "description": org, "allow_all_deployments": true});
    let (org_key, org_secret) = key("global-api-deployment/keys/", all).await;
    let full =
        json!({"name": format!("api of {org}"), "description": org, "permission": "full_access"});
    let (api_key, api_secret) = key("platform-api/keys/", full).await;
    let spare_key = |name: &str| json!({"name": format!("{name} of {org}"), "description": org});
    let mut holders_key = spare_key("holder");
    holders_key["permission"] = "full_access".into();
    let holders_key = text(&make("platform-api/keys/", holders_key).await, "key");
    let mut for_all = spare_key("holder of all");
    for_all["allow_all_deployments"] = true.into();
    let for_all = text(&make("global-api-deployment/keys/", for_all).await, "key");

    let subject = format!("pipeline of {org}");
    let trust = json!({"name": format!("trust of {org}"), "issuer": outside.url, "audience": "us",
                       "conditions": {"sub": subject}, "permission": "full_access"});
    let trust = text(&make("ci-trusts/", trust).await, "id");
    let mut names = Names::default();
    for (name, value) in [
        ("org", org),
        ("member_email", &member_email),
        ("admin_email", &format!("admin@{org}.test")),
        ("workflow", &used),
        ("workflow_name", &workflow_name),
        ("free_workflow", &free),
        ("free_name", &free_name),
        ("spare_workflow", &spare),
        ("endpoint", &text(&endpoints[0], "id")),
        ("deployment", &deployment),
        ("api_name", "invoices"),
        ("platform_key", &platform_key),
        ("platform_secret", &platform_secret),
        ("deployment_key", &deployment_key),
        ("deployment_secret", &deployment_secret),
        ("org_key", &org_key),
        ("org_secret", &org_secret),
        ("api_key", &api_key),
        ("api_secret", &api_secret),
        ("trust", &trust),
        ("subject", &subject),
        ("issuer", &outside.url),
        ("hook", &format!("{}/hook", outside.url)),
        ("cache_key", &format!("cached-by-{org}")),
        ("proof", ""),
    ] {
        names.0.insert(name, value.to_owned());
    }

    let granted = exchange(test, outside, &names).await;
    let tokens = admin.get(&format!("{base}platform-tokens/")).await.body;
    names.0.insert("token", text(&tokens[0], "id"));
    let tool = test.key(&platform_secret);
    let cached = json!({"key": names.get("cache_key"), "value": format!("value of {org}")});
    assert_eq!(tool.post("/cache", cached).await.status, 200);

    // A run with its result, and a delivery that arrived. Nothing works in the background later.
    let execution = run(test, &caller, org).await;
    names.0.insert("execution", execution);
    let (webhook, delivery) = deliver(test, &admin, &base, names.get("hook")).await;
    names.0.insert("webhook", webhook);
    names.0.insert("delivery", delivery);
    let refused = test.key(names.get("deployment_secret")).get(&format!("{base}roles/")).await;
    assert_eq!(refused.status, 401, "{}", refused.text);
    names.0.insert("request", refused.header("x-request-id").to_owned());
    let sql = "SELECT id FROM organizations WHERE name = $1";
    let number: i64 = test
        .app
        .read(async |tx| Ok::<_, Error>(tx.fetch_one(sql, args![org]).await?))
        .await
        .unwrap();
    let sql = "SELECT id FROM users WHERE email = $1";
    let email = names.get("admin_email").to_owned();
    let user: i64 = test
        .app
        .read(async |tx| Ok::<_, Error>(tx.fetch_one(sql, args![email.as_str()]).await?))
        .await
        .unwrap();
    names.0.insert("org_number", number.to_string());
    names.0.insert("admin_number", user.to_string());
    let holders = [
        ("admin", admin.clone()),
        ("member", member),
        ("platform key", tool),
        ("platform API key", test.key(&holders_key)),
        ("platform token", test.key(&granted)),
        ("deployment key", test.key(&caller)),
        ("organization deployment key", test.key(&for_all)),
    ];
    let holders = holders.map(|(what, client)| Holder { what, client }).into();
    keydock_server::access::usage::flush_all(test.app.keyring(), test.app.db()).await.unwrap();
    Organization { names, holders, number }
}

async fn exchange(test: &TestApp, outside: &Outside, names: &Names) -> String {
    let proof = outside.token(test, names.get("subject"));
    let form = url::form_urlencoded::Serializer::new(String::new())
        .append_pair("grant_type", "urn:ietf:params:oauth:grant-type:token-exchange")
        .append_pair("subject_token", &proof)
        .append_pair("subject_token_type", "urn:ietf:params:oauth:token-type:id_token")
        .append_pair("audience", names.get("org"))
        .finish();
    let request = Request::post("/api/v1/token")
        .header("content-type", "application/x-www-form-urlencoded")
        .body(form.into());
    let granted = test.nobody().request(request.unwrap()).await;
    assert_eq!(granted.status, 200, "{}", granted.text);
    granted.body["access_token"].as_str().unwrap().to_owned()
}

/// Workers on the same database, for as long as something takes.
async fn with_workers<T>(test: &TestApp, doing: impl AsyncFnOnce() -> T) -> T {
    let app = App::new(Parts {
        config: test.app.config().clone(),
        db: test.app.db().clone(),
        blobs: test.app.blobs().clone(),
        peppers: Peppers::only(Pepper::new(&Zeroizing::new([7; 32]))),
        sandbox: test.app.sandbox().clone(),
    });
    app.keyring().catch_up(app.db()).await.unwrap();
    let stop = CancellationToken::new();
    let working = tokio::spawn(jobs::start(app, stop.clone()));
    let done = doing().await;
    stop.cancel();
    let _ = working.await;
    done
}

/// A run of one document; its result is read once.
async fn run(test: &TestApp, secret: &str, org: &str) -> String {
    let path = format!("/deployment/api/{org}/invoices/");
    let body = "--b\r\ncontent-disposition: form-data; name=\"files\"; filename=\"a.txt\"\r\n\r\n\
                Total: 12\r\n--b--\r\n";
    let request = Request::post(&path)
        .header("content-type", "multipart/form-data; boundary=b")
        .body(body.into());
    let caller = test.key(secret);
    let accepted = caller.request(request.unwrap()).await;
    assert_eq!(accepted.status, 200, "{}", accepted.text);
    let id = accepted.body["message"]["execution_id"].as_str().unwrap().to_owned();
    let path = format!("{path}?execution_id={id}");
    with_workers(test, async || {
        for _ in 0..1_200 {
            let polled = caller.get(&path).await;
            if polled.status == 200 {
                return;
            }
            assert_eq!(polled.status, 422, "{}", polled.text);
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
        panic!("the run does not end");
    })
    .await;
    id
}

async fn deliver(test: &TestApp, admin: &Client, base: &str, hook: &str) -> (String, String) {
    let made = admin.post(&format!("{base}webhooks/"), json!({"url": hook})).await;
    assert_eq!(made.status, 201, "{}", made.text);
    let webhook = made.body["id"].as_str().unwrap().to_owned();
    let path = format!("{base}webhooks/{webhook}/");
    let pinged = admin.post(&format!("{path}ping/"), json!({})).await;
    assert!(pinged.status.is_success(), "{}", pinged.text);
    let delivery = with_workers(test, async || {
        for _ in 0..1_200 {
            let told = admin.get(&format!("{path}deliveries/")).await.body;
            let all = told.as_array().unwrap();
            if !all.is_empty() && all.iter().all(|one| one["state"] == "delivered") {
                return told[0]["id"].as_str().unwrap().to_owned();
            }
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
        panic!("the ping does not arrive");
    });
    let delivery = delivery.await;
    (webhook, delivery)
}

/// An issuer of tokens on another address, where webhooks are sent to as well.
struct Outside {
    url: String,
    pair: EcdsaKeyPair,
}

impl Outside {
    async fn start() -> Self {
        let rng = SystemRandom::new();
        let algorithm = &ECDSA_P256_SHA256_FIXED_SIGNING;
        let document = EcdsaKeyPair::generate_pkcs8(algorithm, &rng).unwrap();
        let pair = EcdsaKeyPair::from_pkcs8(algorithm, document.as_ref(), &rng).unwrap();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let about = json!({"issuer": url, "jwks_uri": format!("{url}/keys")});
        let point = pair.public_key().as_ref();
        let keys = json!({"keys": [{"kty": "EC", "crv": "P-256", "kid": "ec",
            "x": URL_SAFE_NO_PAD.encode(&point[1..33]), "y": URL_SAFE_NO_PAD.encode(&point[33..])}]});
        let routes = Router::new()
            .route("/.well-known/openid-configuration", get(async move || Json(about)))
            .route("/keys", get(async move || Json(keys)))
            .route("/hook", axum::routing::post(async || "thanks"));
        tokio::spawn(async move { axum::serve(listener, routes).await });
        Self { url, pair }
    }

    fn token(&self, test: &TestApp, subject: &str) -> String {
        let now = test.app.db().clock().now().as_seconds();
        let unique = UNIQUE.fetch_add(1, Ordering::Relaxed);
        let header = json!({"alg": "ES256", "kid": "ec", "typ": "JWT"});
        let claims = json!({"iss": self.url, "aud": "us", "sub": subject, "iat": now, "nbf": now,
                            "exp": now + 300, "jti": format!("token {unique}")});
        let encode = |value: Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let message = format!("{}.{}", encode(header), encode(claims));
        let signature = self.pair.sign(&SystemRandom::new(), message.as_bytes()).unwrap();
        format!("{message}.{}", URL_SAFE_NO_PAD.encode(signature.as_ref()))
    }
}

/// Somebody signed in, whose session may end and whose password may change.
pub(crate) async fn passer_by(world: &World, of: &Organization) -> Client {
    let unique = UNIQUE.fetch_add(1, Ordering::Relaxed);
    let email = format!("passer{unique}@passers.test");
    world.test.member_of(of.holder("admin"), of.names.get("org"), &email, "user").await
}
