//! A whole application per test, in process, on its own empty database.
//!
//! The clock ticks by itself and the random numbers are seeded, so answers are the same on every run
//! and snapshots need no redactions. `KEYDOCK_TEST_POSTGRES` switches the database. Tests speak as
//! people: [`TestApp::admin`], [`TestApp::member`], a [`Client`] with a key, or nobody.
#![allow(
    dead_code,
    unreachable_pub,
    missing_docs,
    clippy::allow_attributes,
    clippy::unwrap_used,
    clippy::missing_panics_doc,
    reason = "shared by the test binaries, each of which uses a part"
)]

use std::{
    net::{IpAddr, SocketAddr},
    path::PathBuf,
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use axum::{
    body::Body,
    extract::ConnectInfo,
    http::{HeaderMap, Method, Request, StatusCode, header},
};
use http_body_util::BodyExt as _;
use keydock_core::time::Clock;
use keydock_engine::sandbox::{Limits, Sandbox};
use keydock_server::{
    App, Parts, access::peppers::Peppers, bootstrap, config::Settings, jobs, web,
};
use keydock_storage::{
    blobs::{Blobs, Folder},
    db::Db,
    testing,
};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;
use tower::ServiceExt as _;
use zeroize::Zeroizing;

pub const ADMIN: &str = "ada";
pub const PASSWORD: &str = "a password for tests";
pub const ORG: &str = "mock_org";

pub struct TestApp {
    pub app: App,
    service: Service,
    /// The secret of `Key #1` of [`ORG`].
    pub platform_key: String,
    dir: tempfile::TempDir,
    workers: CancellationToken,
    addresses: AtomicU32,
}

type Service = web::edge::Edge<axum::Router>;

/// Someone who sends requests: signed in, with a key, or nobody.
#[derive(Clone)]
pub struct Client {
    service: Service,
    pub credential: Credential,
    pub ip: IpAddr,
}

#[derive(Clone, Debug)]
pub enum Credential {
    Nobody,
    Key(String),
    Session { cookie: String, csrf: String },
}

/// What came back.
#[derive(Debug)]
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub text: String,
    /// The body as JSON; null if it is none.
    pub body: Value,
}

impl TestApp {
    /// An application as it is after its first start, without workers.
    pub async fn start() -> Self {
        Self::start_with(Settings::default()).await
    }

    pub async fn start_with(settings: Settings) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let db = testing::db(dir.path()).await;
        Self::start_on(settings, db, dir).await
    }

    /// The same on a clock that the test moves, and the address of its database.
    pub async fn start_by(clock: Clock, settings: Settings) -> (Self, String) {
        let dir = tempfile::tempdir().unwrap();
        let url = testing::fresh(dir.path()).await;
        let db = testing::connect_by(&url, clock, 1).await;
        db.migrate().await.unwrap();
        (Self::start_on(settings, db, dir).await, url)
    }

    async fn start_on(settings: Settings, db: Db, dir: tempfile::TempDir) -> Self {
        let settings = Settings {
            data: Some(dir.path().to_owned()),
            admin_user: Some(ADMIN.to_owned()),
            admin_password: Some(Zeroizing::new(PASSWORD.to_owned())),
            ..settings
        };
        let config = settings.check().unwrap();
        let blobs = Blobs::Folder(Folder::open_at(config.blobs()).unwrap());
        let app = App::new(Parts { config, db, blobs, peppers: peppers(), sandbox: sandbox() });
        let first = bootstrap::first_start(&app).await.unwrap().expect("the database is new");
        let credentials = std::fs::read_to_string(first.credentials).unwrap();
        let platform_key = credentials
            .lines()
            .find_map(|line| line.strip_prefix("PLATFORM_KEY="))
            .expect("the first key is in the file")
            .to_owned();
        app.keyring().catch_up(app.db()).await.unwrap();
        let workers = CancellationToken::new();
        tokio::spawn(read_key_changes(app.clone(), workers.clone()));
        let service = web::edge(&app, app.router());
        Self { app, service, platform_key, dir, workers, addresses: AtomicU32::new(1) }
    }

    /// Starts the workers, which run until the test ends.
    pub fn work(&self) {
        tokio::spawn(jobs::start(self.app.clone(), self.workers.clone()));
    }

    /// Goes on as another node, or the same one after a restart. Clients made before stay with the
    /// old one.
    pub fn replace(&mut self, app: App) {
        tokio::spawn(read_key_changes(app.clone(), self.workers.clone()));
        self.service = web::edge(&app, app.router());
        self.app = app;
    }

    /// Goes on as the same server after a restart.
    pub async fn restart(&mut self) {
        let app = App::new(Parts {
            config: self.app.config().clone(),
            db: self.app.db().clone(),
            blobs: self.app.blobs().clone(),
            peppers: peppers(),
            sandbox: sandbox(),
        });
        app.keyring().catch_up(app.db()).await.unwrap();
        self.replace(app);
    }

    /// The folder of everything that is kept.
    pub fn data(&self) -> PathBuf {
        self.dir.path().to_owned()
    }

    pub fn nobody(&self) -> Client {
        self.with(Credential::Nobody)
    }

    pub fn key(&self, key: &str) -> Client {
        self.with(Credential::Key(key.to_owned()))
    }

    /// The holder of `Key #1` of [`ORG`].
    pub fn platform(&self) -> Client {
        self.key(&self.platform_key)
    }

    /// Each client has an address of its own.
    pub fn with(&self, credential: Credential) -> Client {
        let n = self.addresses.fetch_add(1, Ordering::Relaxed);
        let part = |n: u32| u8::try_from(n % 250).unwrap();
        let ip = IpAddr::from([10, part(n / 62_500), part(n / 250), part(n)]);
        Client { service: self.service.clone(), credential, ip }
    }

    /// The first administrator, signed in, in [`ORG`].
    pub async fn admin(&self) -> Client {
        self.sign_in(ADMIN, PASSWORD, ORG).await
    }

    /// Somebody signed in, in an organization.
    pub async fn sign_in(&self, username: &str, password: &str, org: &str) -> Client {
        let signed_in = self.nobody().sign_in(username, password).await;
        let entered = signed_in.post(&format!("/api/v1/organization/{org}/set"), json!({})).await;
        assert_eq!(entered.status, 200, "{}", entered.text);
        signed_in
    }

    /// A new member of [`ORG`], who has changed their initial password, signed in.
    pub async fn member(&self, email: &str, role: &str) -> Client {
        self.member_of(&self.admin().await, ORG, email, role).await
    }

    pub async fn member_of(&self, admin: &Client, org: &str, email: &str, role: &str) -> Client {
        let added = admin
            .post(&format!("/api/v1/unstract/{org}/users/"), json!({"email": email, "role": role}))
            .await;
        assert_eq!(added.status, 201, "{}", added.text);
        let initial = added.body["initial_password"].as_str().unwrap();
        let member = self.nobody().sign_in(email, initial).await;
        let changed = member
            .post(
                "/api/v1/password",
                json!({"current_password": initial, "new_password": PASSWORD}),
            )
            .await;
        assert_eq!(changed.status, 200, "{}", changed.text);
        member
    }

    /// Founds another organization; its admin, signed in there, and the secret of its `Key #1`.
    pub async fn other_org(&self, name: &str) -> (Client, String) {
        let admin = self.admin().await;
        let founded = admin
            .post(
                "/api/v1/organization/create",
                json!({"name": name, "display_name": name, "organization_id": name}),
            )
            .await;
        assert_eq!(founded.status, 201, "{}", founded.text);
        let key = founded.body["tenant"]["platform_key"].as_str().unwrap().to_owned();
        let entered = admin.post(&format!("/api/v1/organization/{name}/set"), json!({})).await;
        assert_eq!(entered.status, 200);
        let admin = self.member_of(&admin, name, &format!("admin@{name}.test"), "admin").await;
        (admin, key)
    }
}

impl Drop for TestApp {
    fn drop(&mut self) {
        self.workers.cancel();
    }
}

/// What a server does twice a second, so that it goes on trusting its keys.
async fn read_key_changes(app: App, stop: CancellationToken) {
    while !stop.is_cancelled() {
        tokio::time::sleep(Duration::from_millis(500)).await;
        if app.peppers().refresh(app.db()).await.is_ok() {
            let _ = app.keyring().catch_up(app.db()).await;
        }
    }
}

/// The pepper of the harness.
fn peppers() -> Peppers {
    Peppers::only(keydock_core::secret::Pepper::new(&Zeroizing::new([7; 32])))
}

fn sandbox() -> Sandbox {
    let here = std::env::current_exe().unwrap();
    let target = here.parent().and_then(|deps| deps.parent()).unwrap();
    let limits = Limits { parallel: 2, ..Limits::default() };
    Sandbox::with_program(target.join("examples/document-child"), limits).unwrap()
}

impl Client {
    /// Signs in with JSON and keeps the cookies.
    pub async fn sign_in(mut self, username: &str, password: &str) -> Self {
        let answer =
            self.post("/api/v1/login", json!({"username": username, "password": password})).await;
        assert_eq!(answer.status, 200, "{}", answer.text);
        let cookie = answer.cookie("sessionid").expect("a session");
        let csrf = answer.cookie("csrftoken").expect("a token");
        self.credential = Credential::Session { cookie, csrf };
        self
    }

    pub async fn get(&self, path: &str) -> Answer {
        self.send(Method::GET, path, None).await
    }

    pub async fn post(&self, path: &str, body: Value) -> Answer {
        self.send(Method::POST, path, Some(body)).await
    }

    pub async fn put(&self, path: &str, body: Value) -> Answer {
        self.send(Method::PUT, path, Some(body)).await
    }

    pub async fn patch(&self, path: &str, body: Value) -> Answer {
        self.send(Method::PATCH, path, Some(body)).await
    }

    pub async fn delete(&self, path: &str) -> Answer {
        self.send(Method::DELETE, path, None).await
    }

    pub async fn send(&self, method: Method, path: &str, body: Option<Value>) -> Answer {
        let mut request = Request::builder().method(method).uri(path);
        let body = match body {
            Some(json) => {
                request = request.header(header::CONTENT_TYPE, "application/json");
                Body::from(json.to_string())
            }
            None => Body::empty(),
        };
        self.request(request.body(body).unwrap()).await
    }

    /// Sends a request as it is, with the credential of this client and nothing else added.
    pub async fn request(&self, mut request: Request<Body>) -> Answer {
        let headers = request.headers_mut();
        match &self.credential {
            Credential::Nobody => {}
            Credential::Key(key) => {
                headers.insert(header::AUTHORIZATION, format!("Bearer {key}").parse().unwrap());
            }
            Credential::Session { cookie, csrf } => {
                let cookies = format!("sessionid={cookie}; csrftoken={csrf}");
                headers.insert(header::COOKIE, cookies.parse().unwrap());
                headers.entry("x-csrftoken").or_insert(csrf.parse().unwrap());
            }
        }
        request.extensions_mut().insert(ConnectInfo(SocketAddr::new(self.ip, 40_000)));
        let response = self.service.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let bytes = body.collect().await.unwrap().to_bytes();
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let body = serde_json::from_str(&text).unwrap_or(Value::Null);
        Answer { status: parts.status, headers: parts.headers, text, body }
    }
}

impl Answer {
    /// A cookie that the answer sets.
    pub fn cookie(&self, name: &str) -> Option<String> {
        self.headers.get_all(header::SET_COOKIE).iter().find_map(|value| {
            let pair = value.to_str().ok()?.split(';').next()?;
            let (key, value) = pair.split_once('=')?;
            (key == name && !value.is_empty()).then(|| value.to_owned())
        })
    }

    /// A header of the answer.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    /// The stable code of an error.
    pub fn code(&self) -> &str {
        self.body["code"].as_str().unwrap_or_default()
    }
}
