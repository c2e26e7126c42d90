//! Webhooks, as a receiver and an admin see them.

#![expect(clippy::unwrap_used, reason = "what is wrong in a test should stop it")]

mod harness;

use std::{
    collections::VecDeque,
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::{
    Router,
    body::Bytes,
    http::{HeaderMap, StatusCode},
    routing::post,
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use harness::{Answer, Client, ORG, TestApp};
use hmac::{Hmac, KeyInit as _, Mac as _};
use keydock_server::config::Settings;
use serde_json::{Value, json};
use sha2::Sha256;

/// Somebody's server.
#[derive(Clone)]
struct Receiver {
    address: SocketAddr,
    got: Arc<Mutex<Vec<Message>>>,
    answers: Arc<Mutex<VecDeque<u16>>>,
}

#[derive(Clone, Debug)]
struct Message {
    id: String,
    timestamp: String,
    signatures: String,
    body: String,
}

impl Receiver {
    async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let receiver = Self { address, got: Arc::default(), answers: Arc::default() };
        let told = receiver.clone();
        let hook = post(async move |headers: HeaderMap, body: Bytes| told.receive(&headers, &body));
        let routes = Router::new().route("/hook", hook);
        tokio::spawn(async move { axum::serve(listener, routes).await });
        receiver
    }

    fn receive(&self, headers: &HeaderMap, body: &[u8]) -> (StatusCode, &'static str) {
        let text = |name: &str| headers.get(name).unwrap().to_str().unwrap().to_owned();
        assert_eq!(text("content-type"), "application/json");
        self.got.lock().unwrap().push(Message {
            id: text("webhook-id"),
            timestamp: text("webhook-timestamp"),
            signatures: text("webhook-signature"),
            body: String::from_utf8(body.to_vec()).unwrap(),
        });
        let answer = self.answers.lock().unwrap().pop_front().unwrap_or(200);
        (StatusCode::from_u16(answer).unwrap(), "words of the receiver")
    }

    fn answer(&self, statuses: &[u16]) {
        *self.answers.lock().unwrap() = statuses.iter().copied().collect();
    }

    fn got(&self) -> Vec<Message> {
        self.got.lock().unwrap().clone()
    }

    fn url(&self) -> String {
        format!("http://{}/hook?token=receivers-own", self.address)
    }

    async fn wait_for(&self, count: usize) -> Vec<Message> {
        until(async || self.got().len() >= count).await;
        self.got()
    }
}

impl Message {
    /// Verification as the specification of Standard Webhooks describes it, apart from the code that
    /// signs: how many of the signatures are right under this secret.
    fn verified_by(&self, secret: &str) -> usize {
        let key = STANDARD.decode(secret.strip_prefix("whsec_").unwrap()).unwrap();
        let mut mac = Hmac::<Sha256>::new_from_slice(&key).unwrap();
        mac.update(format!("{}.{}.{}", self.id, self.timestamp, self.body).as_bytes());
        let expected = STANDARD.encode(mac.finalize().into_bytes());
        let right = |signature: &&str| *signature == format!("v1,{expected}");
        self.signatures.split(' ').filter(right).count()
    }

    fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }
}

async fn until(mut is_so: impl AsyncFnMut() -> bool) {
    for _ in 0..400 {
        if is_so().await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    panic!("it did not come about");
}

struct World {
    app: TestApp,
    admin: Client,
    receiver: Receiver,
}

fn path(rest: &str) -> String {
    format!("/api/v1/unstract/{ORG}/{rest}")
}

impl World {
    async fn new() -> Self {
        let allow = Some(vec!["127.0.0.1".to_owned()]);
        let settings = Settings {
            outbound_allow: allow,
            // Days pass in these tests.
            session_age_seconds: Some(90 * 86_400),
            ..Settings::default()
        };
        let app = TestApp::start_with(settings).await;
        app.work();
        let admin = app.admin().await;
        Self { app, admin, receiver: Receiver::start().await }
    }

    async fn create(&self, more: Value) -> Answer {
        let mut body = json!({"url": self.receiver.url()});
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        self.admin.post(&path("webhooks/"), body).await
    }

    /// A webhook's id and its secret.
    async fn webhook(&self, more: Value) -> (String, String) {
        let made = self.create(more).await;
        assert_eq!(made.status, 201, "{}", made.text);
        assert_eq!(made.header("cache-control"), "no-store");
        let text = |name: &str| made.body[name].as_str().unwrap().to_owned();
        (text("id"), text("secret"))
    }

    async fn get(&self, id: &str) -> Value {
        self.admin.get(&path(&format!("webhooks/{id}/"))).await.body
    }

    async fn deliveries(&self, id: &str, query: &str) -> Vec<Value> {
        let listed = self.admin.get(&path(&format!("webhooks/{id}/deliveries/{query}"))).await;
        assert_eq!(listed.status, 200, "{}", listed.text);
        listed.body.as_array().unwrap().clone()
    }

    async fn toggle(&self, action: &str) {
        let keys = path("platform/keys/");
        let id = self.admin.get(&keys).await.body[0]["id"].as_str().unwrap().to_owned();
        let done = self.admin.put(&format!("{keys}{id}/"), json!({"action": action})).await;
        assert_eq!(done.status, 201, "{}", done.text);
    }

    fn advance(&self, by: Duration) {
        self.app.app.db().clock().advance(by);
    }

    /// Lets all attempts of what is pending be made.
    async fn wait_out(&self, id: &str) {
        for wait in keydock_server::webhooks::WAITS {
            let before = self.receiver.got().len();
            self.advance(wait);
            self.receiver.wait_for(before + 1).await;
            until(async || {
                let newest = &self.deliveries(id, "").await[0];
                newest["attempts"] == before + 1
            })
            .await;
        }
    }
}

#[tokio::test]
async fn what_happens_to_a_key_is_told_and_signed() {
    let world = World::new().await;
    let (_, secret) = world.webhook(json!({"event_types": ["platform_key.*"]})).await;
    world.webhook(json!({"event_types": ["deployment_key.created"]})).await;
    world.toggle("DEACTIVATE").await;
    let got = world.receiver.wait_for(1).await;
    assert_eq!(got[0].verified_by(&secret), 1, "{got:?}");
    let said = got[0].json();
    assert_eq!(said["type"], "platform_key.deactivated");
    let data = &said["data"];
    assert_eq!(data["organization"]["id"], ORG);
    assert_eq!(
        (&data["subject"]["kind"], &data["subject"]["name"]),
        (&json!("platform_key"), &json!("Key #1"))
    );
    let key = &world.app.platform_key;
    assert_eq!(data["subject"]["last_four"], key[key.len() - 4..]);
    assert_eq!(
        (&data["actor"]["kind"], &data["actor"]["name"]),
        (&json!("user"), &json!("ada@localhost"))
    );
    assert!(!got[0].body.contains(key.as_str()), "no secret is told");
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!(world.receiver.got().len(), 1, "who did not ask for it hears nothing");
    // A damaged message, or another secret, is not verified.
    let damaged = Message { body: got[0].body.replace("Key #1", "Key #2"), ..got[0].clone() };
    assert_eq!(damaged.verified_by(&secret), 0);
    let (_, other) = world.webhook(json!({"is_enabled": false})).await;
    assert_eq!(got[0].verified_by(&other), 0);
}

#[tokio::test]
async fn a_leaked_key_is_told_of() {
    let world = World::new().await;
    world.webhook(json!({})).await;
    let key = json!({"key": world.app.platform_key});
    world.app.nobody().post("/api/v1/report-leaked-key", key).await;
    let said = world.receiver.wait_for(1).await[0].json();
    assert_eq!(said["type"], "platform_key.reported_leaked");
    assert_eq!(said["data"]["actor"]["kind"], "anonymous");
    assert_eq!(said["data"]["detail"]["effect"], "disabled");
}

/// Proves EXE-04 for events of keys: what does not arrive is tried again under the same id.
#[tokio::test]
async fn what_does_not_arrive_is_tried_again() {
    let world = World::new().await;
    let (id, secret) = world.webhook(json!({})).await;
    world.receiver.answer(&[500, 302]);
    world.toggle("DEACTIVATE").await;
    world.receiver.wait_for(1).await;
    until(async || !world.get(&id).await["failing_since"].is_null()).await;
    let pending = &world.deliveries(&id, "?state=pending").await[0];
    assert_eq!((&pending["attempts"], &pending["last_status"]), (&json!(1), &json!(500)));
    assert!(!pending.to_string().contains("words of the receiver"), "SSR-02: nothing is shown");
    world.advance(Duration::from_secs(5));
    world.receiver.wait_for(2).await;
    until(async || world.deliveries(&id, "").await[0]["attempts"] == 2).await;
    world.advance(Duration::from_secs(30));
    let got = world.receiver.wait_for(3).await;
    until(async || world.deliveries(&id, "").await[0]["state"] == "delivered").await;
    assert!(got.iter().all(|message| message.id == got[0].id && message.body == got[0].body));
    assert!(got.iter().all(|message| message.verified_by(&secret) == 1));
    assert!(got[2].timestamp > got[0].timestamp, "each attempt is signed at its own time");
    assert!(world.get(&id).await["failing_since"].is_null());
}

/// Proves EXE-04 for events of keys: what was given up can be seen and sent again.
#[tokio::test]
async fn what_was_given_up_stays_and_can_be_sent_again() {
    let world = World::new().await;
    let (id, _) = world.webhook(json!({})).await;
    world.receiver.answer(&[500; 9]);
    world.toggle("DEACTIVATE").await;
    world.receiver.wait_for(1).await;
    until(async || world.deliveries(&id, "").await[0]["attempts"] == 1).await;
    world.wait_out(&id).await;
    let dead = world.deliveries(&id, "?state=failed").await;
    assert_eq!((dead.len(), &dead[0]["attempts"]), (1, &json!(9)));
    assert_eq!(dead[0]["last_failure"], "The receiver answered with 500.");
    let delivery = dead[0]["id"].as_str().unwrap();
    let again = path(&format!("webhooks/{id}/deliveries/{delivery}/redeliver/"));
    assert_eq!(world.admin.post(&again, json!({})).await.status, 202);
    let got = world.receiver.wait_for(10).await;
    assert_eq!(got[9].id, got[0].id);
    until(async || world.deliveries(&id, "?state=delivered").await.len() == 1).await;
    // One that is under way is not begun twice.
    world.receiver.answer(&[500]);
    assert_eq!(world.admin.post(&again, json!({})).await.status, 202);
    world.receiver.wait_for(11).await;
    assert_eq!(world.admin.post(&again, json!({})).await.status, 409);
}

#[tokio::test]
async fn for_a_while_both_secrets_sign() {
    let world = World::new().await;
    let (id, old) = world.webhook(json!({})).await;
    let rotate = path(&format!("webhooks/{id}/rotate/"));
    let rotated = world.admin.post(&rotate, json!({"grace_seconds": 60})).await;
    assert_eq!(rotated.status, 200, "{}", rotated.text);
    let new = rotated.body["secret"].as_str().unwrap().to_owned();
    assert_ne!(new, old);
    let ping = path(&format!("webhooks/{id}/ping/"));
    assert_eq!(world.admin.post(&ping, json!({})).await.status, 202);
    let got = world.receiver.wait_for(1).await;
    assert_eq!(got[0].json()["type"], "webhook.ping");
    assert_eq!((got[0].verified_by(&old), got[0].verified_by(&new)), (1, 1));
    world.advance(Duration::from_mins(1));
    world.admin.post(&ping, json!({})).await;
    let got = world.receiver.wait_for(2).await;
    assert_eq!((got[1].verified_by(&old), got[1].verified_by(&new)), (0, 1));
    let shown = world.get(&id).await.to_string();
    assert!(!shown.contains("whsec_"), "a secret is shown once: {shown}");
    let too_long = world.admin.post(&rotate, json!({"grace_seconds": 604_801})).await;
    assert_eq!(too_long.status, 400);
}

#[tokio::test]
async fn who_never_answers_is_not_called_for_ever() {
    let world = World::new().await;
    let (id, _) = world.webhook(json!({})).await;
    world.receiver.answer(&[500; 2]);
    let ping = path(&format!("webhooks/{id}/ping/"));
    world.admin.post(&ping, json!({})).await;
    until(async || !world.get(&id).await["failing_since"].is_null()).await;
    world.advance(Duration::from_hours(5 * 24));
    until(async || world.get(&id).await["is_enabled"] == false).await;
    assert_eq!(world.get(&id).await["disabled_reason"], "Nothing has arrived for days.");
    assert_eq!(world.admin.post(&ping, json!({})).await.status, 409);
    let before = world.receiver.got().len();
    world.toggle("DEACTIVATE").await;
    world.advance(Duration::from_hours(48));
    until(async || world.deliveries(&id, "?state=pending").await.is_empty()).await;
    assert_eq!(world.receiver.got().len(), before, "it is told nothing more");
    // Somebody mends it and switches it on.
    let on =
        world.admin.patch(&path(&format!("webhooks/{id}/")), json!({"is_enabled": true})).await;
    assert_eq!((on.status.as_u16(), &on.body["disabled_reason"]), (200, &Value::Null));
    world.toggle("ACTIVATE").await;
    world.receiver.wait_for(before + 1).await;
}

#[tokio::test]
async fn who_is_gone_for_good_is_switched_off_at_once() {
    let world = World::new().await;
    let (id, _) = world.webhook(json!({})).await;
    world.receiver.answer(&[410]);
    world.admin.post(&path(&format!("webhooks/{id}/ping/")), json!({})).await;
    until(async || world.get(&id).await["is_enabled"] == false).await;
}

#[tokio::test]
async fn what_did_not_happen_is_not_told() {
    let world = World::new().await;
    let (id, _) = world.webhook(json!({})).await;
    let keys = path("platform/keys/");
    assert_eq!(world.admin.post(&keys, json!({})).await.status, 201);
    assert_eq!(world.admin.post(&keys, json!({})).await.status, 403, "both slots are taken");
    let told = world.deliveries(&id, "").await;
    assert_eq!(told.len(), 1, "one transaction, or none");
    let deleted = world.admin.delete(&path(&format!("webhooks/{id}/"))).await;
    assert_eq!(deleted.status, 204);
    assert_eq!(world.admin.get(&path(&format!("webhooks/{id}/"))).await.status, 404);
}

#[tokio::test]
async fn what_cannot_be_called_is_not_registered() {
    let world = World::new().await;
    for url in [
        "http://93.184.216.34/",
        "https://10.0.0.1/",
        "https://169.254.169.254/latest/",
        "https://[::1]/",
        "http://127.0.0.2/",
        "https://user:password@hooks.example.com/",
        "hooks.example.com",
        "",
    ] {
        let refused = world.create(json!({ "url": url })).await;
        assert_eq!(refused.status, 400, "{url}: {}", refused.text);
        assert_eq!(refused.body["errors"][0]["attr"], "url", "{}", refused.text);
    }
    for types in
        [json!([]), json!(["key.deleted"]), json!("*"), json!([1]), json!(["webhook.ping"])]
    {
        let refused = world.create(json!({ "event_types": types })).await;
        assert_eq!(refused.body["errors"][0]["attr"], "event_types", "{}", refused.text);
    }
    let unknown = world.create(json!({"secret": "whsec_x"})).await;
    assert_eq!(unknown.body["errors"][0]["code"], "unknown", "{}", unknown.text);
    for _ in 0..20 {
        world.webhook(json!({"is_enabled": false})).await;
    }
    assert_eq!(world.create(json!({})).await.status, 403, "twenty are enough");
}
