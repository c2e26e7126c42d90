//! Pipelines without stored keys, with an issuer of tokens that the test runs.

#![expect(clippy::unwrap_used, reason = "what is wrong in a test should stop it")]

mod harness;

use std::{
    sync::{
        Arc, LazyLock, Mutex,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use axum::{Json, Router, body::Body, http::Request, routing::get};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use harness::{Answer, Client, ORG, TestApp};
use hmac::{Hmac, KeyInit as _, Mac as _};
use keydock_server::config::Settings;
use ring::{
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _},
};
use rsa::{
    RsaPrivateKey,
    pkcs1v15::SigningKey,
    rand_core::OsRng,
    signature::{SignatureEncoding as _, Signer as _},
    traits::PublicKeyParts as _,
};
use serde_json::{Value, json};

const AUDIENCE: &str = "https://keydock.example";

/// Made once: it takes a while.
static RSA: LazyLock<RsaPrivateKey> =
    LazyLock::new(|| RsaPrivateKey::new(&mut OsRng, 2_048).unwrap());
static OTHER_RSA: LazyLock<RsaPrivateKey> =
    LazyLock::new(|| RsaPrivateKey::new(&mut OsRng, 2_048).unwrap());
static WEAK_RSA: LazyLock<RsaPrivateKey> =
    LazyLock::new(|| RsaPrivateKey::new(&mut OsRng, 1_024).unwrap());

fn b64(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// Something that signs as a token says.
enum Key {
    Rsa(&'static RsaPrivateKey),
    Ec(Box<EcdsaKeyPair>),
    Secret(Vec<u8>),
    Nothing,
}

impl Key {
    fn ec() -> Self {
        let rng = SystemRandom::new();
        let document =
            EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &rng).unwrap();
        let pair =
            EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, document.as_ref(), &rng);
        Self::Ec(Box::new(pair.unwrap()))
    }

    fn sign(&self, message: &[u8]) -> Vec<u8> {
        match self {
            Self::Rsa(key) => {
                let key = SigningKey::<rsa::sha2::Sha256>::new((*key).clone());
                key.sign(message).to_vec()
            }
            Self::Ec(key) => key.sign(&SystemRandom::new(), message).unwrap().as_ref().to_vec(),
            Self::Secret(secret) => {
                let mut mac = Hmac::<sha2::Sha256>::new_from_slice(secret).unwrap();
                mac.update(message);
                mac.finalize().into_bytes().to_vec()
            }
            Self::Nothing => Vec::new(),
        }
    }

    fn jwk(&self, kid: &str) -> Value {
        match self {
            Self::Rsa(key) => json!({"kty": "RSA", "kid": kid, "use": "sig", "alg": "RS256",
                "n": b64(key.n().to_bytes_be()), "e": b64(key.e().to_bytes_be())}),
            Self::Ec(key) => {
                let point = key.public_key().as_ref();
                json!({"kty": "EC", "crv": "P-256", "kid": kid, "x": b64(&point[1..33]), "y": b64(&point[33..])})
            }
            Self::Secret(secret) => json!({"kty": "oct", "kid": kid, "k": b64(secret)}),
            Self::Nothing => json!({"kty": "of the future", "kid": kid}),
        }
    }

    fn token(&self, header: &Value, claims: &Value) -> String {
        let message = format!("{}.{}", b64(header.to_string()), b64(claims.to_string()));
        format!("{message}.{}", b64(self.sign(message.as_bytes())))
    }
}

/// An issuer of tokens, as GitHub or GitLab is one.
#[derive(Clone)]
struct Issuer {
    url: String,
    keys: Arc<Mutex<Vec<Value>>>,
    asked: Arc<AtomicUsize>,
}

impl Issuer {
    async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let keys = Arc::new(Mutex::new(vec![
            Key::Nothing.jwk("future"),
            Key::Rsa(&RSA).jwk("rsa"),
            Key::Rsa(&WEAK_RSA).jwk("weak"),
        ]));
        let issuer = Self { url: url.clone(), keys, asked: Arc::default() };
        let about = json!({"issuer": url, "jwks_uri": format!("{url}/keys")});
        let set = issuer.clone();
        let routes = Router::new()
            .route("/.well-known/openid-configuration", get(async move || Json(about)))
            .route(
                "/keys",
                get(async move || {
                    set.asked.fetch_add(1, Ordering::SeqCst);
                    let keys = set.keys.lock().unwrap().clone();
                    Json(json!({ "keys": keys }))
                }),
            );
        tokio::spawn(async move { axum::serve(listener, routes).await });
        issuer
    }
}

struct World {
    app: TestApp,
    admin: Client,
    issuer: Issuer,
    counter: AtomicU64,
}

fn path(rest: &str) -> String {
    format!("/api/v1/unstract/{ORG}/{rest}")
}

fn with(mut value: Value, more: &Value) -> Value {
    for (name, member) in more.as_object().unwrap() {
        match member {
            Value::Null => drop(value.as_object_mut().unwrap().remove(name)),
            member => value[name] = member.clone(),
        }
    }
    value
}

impl World {
    async fn new() -> Self {
        Self::with(Settings::default()).await
    }

    async fn with(settings: Settings) -> Self {
        let outbound_allow = Some(vec!["127.0.0.1".to_owned()]);
        let app = TestApp::start_with(Settings { outbound_allow, ..settings }).await;
        let admin = app.admin().await;
        Self { app, admin, issuer: Issuer::start().await, counter: AtomicU64::new(0) }
    }

    /// A trust in pipelines of one repository, on branches.
    async fn trust(&self, more: Value) -> Answer {
        let body = json!({"name": "deploys", "issuer": self.issuer.url, "audience": AUDIENCE,
            "conditions": {"repository": "acme/app", "ref": "refs/heads/*"},
            "permission": "read_write"});
        self.admin.post(&path("ci-trusts/"), with(body, &more)).await
    }

    fn now(&self) -> i64 {
        self.app.app.db().clock().now().as_micros() / 1_000_000
    }

    fn claims(&self, more: &Value) -> Value {
        let n = self.counter.fetch_add(1, Ordering::Relaxed);
        let claims = json!({"iss": self.issuer.url, "aud": AUDIENCE, "jti": format!("token {n}"),
            "sub": "repo:acme/app:ref:refs/heads/main", "repository": "acme/app",
            "ref": "refs/heads/main", "run_id": "4711", "iat": self.now(), "nbf": self.now(),
            "exp": self.now() + 300});
        with(claims, more)
    }

    /// What the pipeline gets from its issuer.
    fn token(&self, more: &Value) -> String {
        Key::Rsa(&RSA)
            .token(&json!({"alg": "RS256", "kid": "rsa", "typ": "JWT"}), &self.claims(more))
    }

    async fn exchange(&self, token: &str) -> Answer {
        self.ask(&self.app.nobody(), token, &[("audience", ORG)]).await
    }

    async fn ask(&self, client: &Client, token: &str, more: &[(&str, &str)]) -> Answer {
        let mut form = vec![
            ("grant_type", "urn:ietf:params:oauth:grant-type:token-exchange"),
            ("subject_token", token),
            ("subject_token_type", "urn:ietf:params:oauth:token-type:id_token"),
        ];
        for (name, value) in more {
            form.retain(|(known, _)| known != name);
            form.push((name, value));
        }
        let body = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish();
        let request = Request::post("/api/v1/token")
            .header("content-type", "application/x-www-form-urlencoded")
            .body(Body::from(body));
        client.request(request.unwrap()).await
    }

    /// A token of ours.
    async fn granted(&self) -> String {
        let answer = self.exchange(&self.token(&json!({}))).await;
        assert_eq!(answer.status, 200, "{}", answer.text);
        answer.body["access_token"].as_str().unwrap().to_owned()
    }

    async fn code(&self, token: &str) -> String {
        self.app.key(token).get("/api/v1/unstract/whoami/").await.code().to_owned()
    }
}

#[tokio::test]
async fn a_pipeline_works_for_a_while_without_a_stored_key() {
    let world = World::new().await;
    assert_eq!(world.trust(json!({"lifetime_seconds": 120})).await.status, 201);
    let answer = world.exchange(&world.token(&json!({}))).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    assert_eq!(answer.header("cache-control"), "no-store");
    assert_eq!(answer.body["token_type"], "Bearer");
    assert_eq!(answer.body["issued_token_type"], "urn:ietf:params:oauth:token-type:access_token");
    assert_eq!(
        (&answer.body["expires_in"], &answer.body["scope"]),
        (&json!(120), &json!("read_write"))
    );
    let token = answer.body["access_token"].as_str().unwrap();
    assert!(token.starts_with("kdt_"), "scanners know it");
    let me = world.app.key(token).get("/api/v1/unstract/whoami/").await;
    assert_eq!((me.status.as_u16(), &me.body["permission"]), (200, &json!("read_write")));
    // Whose the things are that it creates, and who is said to have done it.
    let made = world
        .app
        .key(token)
        .post(
            &path("workflow/"),
            json!({"workflow_name": "w", "definition": "fields:\n  - key: t\n    type: text\n    rule: {label: T}\n"}),
        )
        .await;
    assert_eq!(made.status, 201, "{}", made.text);
    assert_eq!(
        world.app.key(token).delete(&path("workflow/x/")).await.code(),
        "insufficient_scope"
    );
    world.app.app.db().clock().advance(Duration::from_secs(119));
    assert_eq!(world.code(token).await, "", "it works to the end");
    world.app.app.db().clock().advance(Duration::from_secs(1));
    assert_eq!(world.code(token).await, "key_expired");
}

#[tokio::test]
async fn both_kinds_of_keys_are_taken_and_new_ones_are_found() {
    let world = World::new().await;
    world.trust(json!({})).await;
    world.granted().await;
    assert_eq!(world.issuer.asked.load(Ordering::SeqCst), 1);
    world.granted().await;
    assert_eq!(world.issuer.asked.load(Ordering::SeqCst), 1, "keys are kept");
    let ec = Key::ec();
    let world = World::new().await;
    world.trust(json!({})).await;
    world.issuer.keys.lock().unwrap().push(ec.jwk("ec"));
    let token = ec.token(&json!({"alg": "ES256", "kid": "ec"}), &world.claims(&json!({})));
    assert_eq!(world.exchange(&token).await.status, 200);
}

/// Nothing is granted for what the issuer did not sign, and nobody learns why.
#[tokio::test]
async fn what_is_not_signed_by_the_issuer_proves_nothing() {
    let many = Settings { guesses_per_minute: 1_000.try_into().ok(), ..Settings::default() };
    let world = World::with(many).await;
    world.trust(json!({})).await;
    world.granted().await;
    let claims = || world.claims(&json!({}));
    let rsa_n = Key::Rsa(&RSA).jwk("rsa")["n"].as_str().unwrap().to_owned();
    let good = world.token(&json!({}));
    let (head, rest) = good.split_once('.').unwrap();
    let (body, signature) = rest.split_once('.').unwrap();
    let other = b64(world.claims(&json!({"repository": "acme/app"})).to_string());
    let ec = Key::ec();
    for (what, token) in [
        ("alg none", Key::Nothing.token(&json!({"alg": "none", "kid": "rsa"}), &claims())),
        ("no signature", format!("{head}.{body}.")),
        ("two parts", format!("{head}.{body}")),
        ("four parts", format!("{good}.x")),
        ("nothing", "x".to_owned()),
        ("other claims", format!("{head}.{other}.{signature}")),
        (
            "HMAC with the public key",
            Key::Secret(rsa_n.into_bytes())
                .token(&json!({"alg": "HS256", "kid": "rsa"}), &claims()),
        ),
        (
            "another key",
            Key::Rsa(&OTHER_RSA).token(&json!({"alg": "RS256", "kid": "rsa"}), &claims()),
        ),
        (
            "another key, brought along",
            Key::Rsa(&OTHER_RSA)
                .token(&json!({"alg": "RS256", "jwk": Key::Rsa(&OTHER_RSA).jwk("own")}), &claims()),
        ),
        (
            "a key of 1024 bits",
            Key::Rsa(&WEAK_RSA).token(&json!({"alg": "RS256", "kid": "weak"}), &claims()),
        ),
        ("an unknown kid", Key::Rsa(&RSA).token(&json!({"alg": "RS256", "kid": "new"}), &claims())),
        (
            "another algorithm",
            Key::Rsa(&RSA).token(&json!({"alg": "RS512", "kid": "rsa"}), &claims()),
        ),
        (
            "a header that must be understood",
            Key::Rsa(&RSA).token(
                &json!({"alg": "RS256", "kid": "rsa", "crit": ["b64"], "b64": true}),
                &claims(),
            ),
        ),
        ("EC for RSA", ec.token(&json!({"alg": "ES256", "kid": "rsa"}), &claims())),
        (
            "RSA said to be EC",
            Key::Rsa(&RSA).token(&json!({"alg": "ES256", "kid": "rsa"}), &claims()),
        ),
        ("an issuer that nobody trusts", world.token(&json!({"iss": "https://issuer.example"}))),
        (
            "an issuer nearly the same",
            world.token(&json!({"iss": format!("{}/", world.issuer.url)})),
        ),
        ("no issuer", world.token(&json!({"iss": null}))),
    ] {
        let refused = world.exchange(&token).await;
        assert_eq!(refused.status, 400, "{what}: {}", refused.text);
        assert_eq!(refused.body["error"], "invalid_grant", "{what}");
        let told = refused.body["error_description"].as_str().unwrap();
        assert!(told.contains("signature is not right, or"), "{what}: {told}");
    }
    let elsewhere = world.ask(&world.app.nobody(), &good, &[("audience", "no_such_org")]).await;
    assert!(elsewhere.body["error_description"].as_str().unwrap().contains("does not exist"));
    assert_eq!(world.exchange(&good).await.status, 200, "the good one was not used up");
}

#[tokio::test]
async fn what_is_signed_must_also_be_true() {
    let world = World::new().await;
    world.trust(json!({})).await;
    let now = world.now();
    for (claims, named) in [
        (json!({"aud": "https://elsewhere.example"}), "aud"),
        (json!({"aud": null}), "aud"),
        (json!({"repository": "acme/other"}), "repository"),
        (json!({"repository": "evil/acme/app"}), "repository"),
        (json!({"repository": null}), "repository"),
        (json!({"repository": ["acme/app"]}), "repository"),
        (json!({"ref": "refs/tags/v1"}), "ref"),
        (json!({"ref": "refs/pull/1/merge"}), "ref"),
        (json!({"exp": now - 61}), "exp"),
        (json!({"exp": null}), "exp"),
        (json!({"exp": "never"}), "exp"),
        (json!({"nbf": now + 600}), "nbf"),
        (json!({"iat": now + 600}), "iat"),
        (json!({"iat": null}), "iat"),
    ] {
        let refused = world.exchange(&world.token(&claims)).await;
        assert_eq!(refused.body["error"], "invalid_grant", "{claims}: {}", refused.text);
        let told = refused.body["error_description"].as_str().unwrap();
        assert!(told.contains(&format!("\"{named}\"")), "{claims}: {told}");
        assert!(
            !told.contains("acme") && !told.contains(AUDIENCE),
            "not what it should be: {told}"
        );
    }
    for claims in [
        json!({"aud": ["https://elsewhere.example", AUDIENCE]}),
        json!({"ref": "refs/heads/feature/x"}),
        json!({"exp": now + 600, "nbf": null}),
        json!({"jti": null}),
    ] {
        assert_eq!(world.exchange(&world.token(&claims)).await.status, 200, "{claims}");
    }
}

#[tokio::test]
async fn a_token_of_an_issuer_is_good_once() {
    let world = World::new().await;
    world.trust(json!({})).await;
    for claims in [json!({}), json!({"jti": null})] {
        let token = world.token(&claims);
        let both = tokio::join!(world.exchange(&token), world.exchange(&token));
        let mut statuses = [both.0.status.as_u16(), both.1.status.as_u16()];
        statuses.sort_unstable();
        assert_eq!(statuses, [200, 400], "{} {}", both.0.text, both.1.text);
        let again = world.exchange(&token).await;
        assert!(again.body["error_description"].as_str().unwrap().contains("exchanged before"));
    }
}

/// A stranger cannot have the issuer asked as often as they like.
#[tokio::test]
async fn unknown_keys_are_asked_for_once_in_a_while() {
    let world = World::new().await;
    world.trust(json!({})).await;
    world.granted().await;
    for n in 0..20 {
        let header = json!({"alg": "RS256", "kid": format!("kid {n}")});
        let token = Key::Rsa(&RSA).token(&header, &world.claims(&json!({})));
        assert_eq!(world.exchange(&token).await.status, 400);
    }
    assert!(world.issuer.asked.load(Ordering::SeqCst) <= 2);
}

#[tokio::test]
async fn who_proves_nothing_has_to_wait() {
    let few = Settings { guesses_per_minute: 2.try_into().ok(), ..Settings::default() };
    let world = World::with(few).await;
    world.trust(json!({})).await;
    let stranger = world.app.nobody();
    let ask = async |token: &str| world.ask(&stranger, token, &[("audience", ORG)]).await;
    for status in [400, 400, 429] {
        assert_eq!(ask("a.b.c").await.status, status);
    }
    assert_eq!(ask(&world.token(&json!({}))).await.status, 200, "a proof is never a guess");
    // What is signed and not true says so, however often: it is no guess either.
    let untrue = json!({"repository": "acme/other"});
    for _ in 0..4 {
        assert_eq!(ask(&world.token(&untrue)).await.status, 400);
    }
}

#[tokio::test]
async fn admins_see_what_was_granted_and_can_end_it() {
    let world = World::new().await;
    let trust = world.trust(json!({})).await.body;
    let token = world.granted().await;
    let listed = world.admin.get(&path("platform-tokens/")).await;
    let row = &listed.body[0];
    assert_eq!(row["claims"]["run_id"], "4711", "{}", listed.text);
    assert_eq!((&row["trust_name"], &row["permission"]), (&json!("deploys"), &json!("read_write")));
    assert!(!listed.text.contains(&token));
    let one = path(&format!("platform-tokens/{}/", row["id"].as_str().unwrap()));
    assert_eq!(world.admin.delete(&one).await.status, 204);
    assert_eq!(world.code(&token).await, "key_inactive");
    assert_eq!(world.admin.delete(&one).await.status, 204, "twice is the same as once");
    // Switching off a trust ends what was granted by it, and so does deleting it.
    let at = path(&format!("ci-trusts/{}/", trust["id"].as_str().unwrap()));
    let token = world.granted().await;
    let off = world.admin.patch(&at, json!({"is_enabled": false})).await;
    assert_eq!(off.status, 200, "{}", off.text);
    assert_eq!(world.code(&token).await, "key_inactive");
    assert_eq!(world.exchange(&world.token(&json!({}))).await.status, 400);
    world.admin.patch(&at, json!({"is_enabled": true})).await;
    let token = world.granted().await;
    assert_eq!(world.admin.delete(&at).await.status, 204);
    assert_eq!(world.code(&token).await, "key_unknown");
    assert_eq!(world.admin.get(&path("platform-tokens/")).await.body, json!([]));
}

#[tokio::test]
async fn a_short_token_makes_nothing_that_lasts_for_itself() {
    let world = World::new().await;
    world.trust(json!({"permission": "full_access"})).await;
    let token = world.granted().await;
    let key = world
        .admin
        .post(&path("platform-api/keys/"), json!({"name": "k", "description": "k"}))
        .await
        .body;
    let program = world.app.key(&token);
    let rotate = path(&format!("platform-api/keys/{}/rotate/", key["id"].as_str().unwrap()));
    assert_eq!(program.post(&rotate, json!({})).await.status, 403, "nor a new secret of a key");
    for (at, body) in [
        ("platform/keys/", json!({})),
        ("platform-api/keys/", json!({"name": "x", "description": "x"})),
        ("ci-trusts/", json!({})),
        ("webhooks/", json!({"url": "https://hooks.example.com/"})),
    ] {
        assert_eq!(program.post(&path(at), body).await.status, 403, "{at}");
    }
}

#[tokio::test]
async fn a_leaked_token_is_stopped() {
    let world = World::new().await;
    world.app.work();
    world.trust(json!({})).await;
    let token = world.granted().await;
    world.app.nobody().post("/api/v1/report-leaked-key", json!({ "key": token })).await;
    for _ in 0..100 {
        if world.code(&token).await == "key_inactive" {
            return;
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    panic!("it still works");
}

#[tokio::test]
async fn requests_are_answered_as_the_standards_say() {
    let world = World::new().await;
    world.trust(json!({})).await;
    let resource = format!("https://keydock.example/api/v1/unstract/{ORG}/");
    let nobody = world.app.nobody();
    for (form, error) in [
        (vec![("grant_type", "client_credentials")], "unsupported_grant_type"),
        (vec![("subject_token", "")], "invalid_request"),
        (vec![("subject_token_type", "urn:ietf:params:oauth:token-type:saml2")], "invalid_request"),
        (vec![("actor_token", "x")], "invalid_request"),
        (vec![("requested_token_type", "urn:ietf:params:oauth:token-type:jwt")], "invalid_request"),
        (vec![], "invalid_request"),
        (vec![("resource", "https://keydock.example/")], "invalid_target"),
        (vec![("resource", &resource), ("audience", "other")], "invalid_target"),
        (vec![("audience", ORG), ("scope", "everything")], "invalid_scope"),
        (vec![("audience", ORG), ("scope", "full_access")], "invalid_scope"),
    ] {
        let refused = world.ask(&nobody, &world.token(&json!({})), &form).await;
        assert_eq!(refused.status, 400, "{form:?}");
        assert_eq!(refused.body["error"], error, "{form:?}: {}", refused.text);
        assert_eq!(refused.body["code"], "token_refused");
    }
    let less = [("resource", resource.as_str()), ("scope", "read")];
    let granted = world.ask(&nobody, &world.token(&json!({})), &less).await;
    assert_eq!(granted.body["scope"], "read", "{}", granted.text);
    let token = granted.body["access_token"].as_str().unwrap();
    let refused = world.app.key(token).post(&path("workflow/"), json!({})).await;
    assert_eq!(refused.code(), "insufficient_scope");
}

#[tokio::test]
async fn what_cannot_be_trusted_is_not() {
    let world = World::new().await;
    for (more, attr) in [
        (json!({"issuer": "https://10.0.0.1"}), "issuer"),
        (json!({"issuer": "issuer"}), "issuer"),
        (json!({"audience": ""}), "audience"),
        (json!({"conditions": {}}), "conditions"),
        (json!({"conditions": {"sub": "*"}}), "conditions"),
        (json!({"permission": "admin"}), "permission"),
        (json!({"lifetime_seconds": 3_601}), "lifetime_seconds"),
        (json!({"lifetime_seconds": 59}), "lifetime_seconds"),
        (json!({"name": null}), "name"),
        (json!({"audience": null}), "audience"),
        (json!({"role": "admin"}), "role"),
    ] {
        let refused = world.trust(more.clone()).await;
        assert_eq!(refused.status, 400, "{more}: {}", refused.text);
        assert_eq!(refused.body["errors"][0]["attr"], attr, "{more}: {}", refused.text);
    }
    assert_eq!(world.trust(json!({})).await.status, 201);
    let twice = world.trust(json!({})).await;
    assert_eq!(twice.body["errors"][0]["attr"], "name", "{}", twice.text);
}
