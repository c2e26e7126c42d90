//! Somebody who sends requests.

use std::{
    net::IpAddr,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};
use reqwest::{
    Method, RequestBuilder,
    header::{HeaderMap, SET_COOKIE},
    multipart::{Form, Part},
    redirect::Policy,
};
use serde_json::{Value, json};

/// What somebody proves who they are with.
#[derive(Clone, Debug)]
pub enum Credential {
    /// Nothing.
    Nobody,
    /// A key.
    Key(String),
    /// A session, and the token against forged requests.
    Session {
        /// The cookie.
        cookie: String,
        /// The token.
        csrf: String,
    },
}

/// Somebody who sends requests to one server. Redirects are not followed.
#[derive(Clone, Debug)]
pub struct Client {
    http: reqwest::Client,
    base: String,
    /// What they prove who they are with.
    pub credential: Credential,
    heard: Arc<Mutex<Vec<String>>>,
    listens: bool,
    /// Where they seem to come from; the server under test believes it.
    address: Option<IpAddr>,
}

/// What came back.
#[derive(Debug)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// The headers.
    pub headers: HeaderMap,
    /// The body.
    pub text: String,
    /// The body as JSON; null if it is none.
    pub body: Value,
}

/// A document to be sent.
#[derive(Clone, Debug)]
pub struct File {
    /// What it is called.
    pub name: String,
    /// What it is said to be.
    pub media_type: &'static str,
    /// What is in it.
    pub bytes: Vec<u8>,
}

impl File {
    /// A text.
    pub fn text(name: &str, bytes: impl Into<Vec<u8>>) -> Self {
        Self { name: name.to_owned(), media_type: "text/plain", bytes: bytes.into() }
    }

    /// A PDF.
    pub fn pdf(name: &str, bytes: impl Into<Vec<u8>>) -> Self {
        Self { name: name.to_owned(), media_type: "application/pdf", bytes: bytes.into() }
    }
}

/// How long an answer may take.
const ANSWER: Duration = Duration::from_mins(2);

impl Client {
    /// Somebody with this credential.
    pub fn new(base: &str, credential: Credential) -> Result<Self> {
        Self::connecting(base, credential, None)
    }

    /// The same at an address of this machine.
    pub fn at(base: &str, credential: Credential, address: IpAddr) -> Result<Self> {
        Self::connecting(base, credential, Some(address))
    }

    fn connecting(base: &str, credential: Credential, from: Option<IpAddr>) -> Result<Self> {
        // Fails only if it was chosen already. Nothing here speaks TLS, but the client wants one.
        let _already_chosen = rustls::crypto::ring::default_provider().install_default();
        let http = reqwest::Client::builder()
            .no_proxy()
            .redirect(Policy::none())
            .timeout(ANSWER)
            .local_address(from)
            .build()?;
        Ok(Self {
            http,
            base: base.to_owned(),
            credential,
            heard: Arc::default(),
            listens: false,
            address: None,
        })
    }

    /// The same connection in the hands of somebody else.
    #[must_use]
    pub fn with(&self, credential: Credential) -> Self {
        Self { credential, ..self.clone() }
    }

    /// The same connection in the hands of the holder of a key.
    #[must_use]
    pub fn with_key(&self, key: &str) -> Self {
        self.with(Credential::Key(key.to_owned()))
    }

    /// The same, seeming to come from another place.
    #[must_use]
    pub fn from_address(mut self, address: impl Into<IpAddr>) -> Self {
        self.address = Some(address.into());
        self
    }

    /// Remembers every answer from now on, and so does whoever is made of this client.
    #[must_use]
    pub fn listening(mut self) -> Self {
        self.listens = true;
        self
    }

    /// Every answer that was remembered: head and body.
    pub fn heard(&self) -> Vec<String> {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// `GET`
    pub async fn get(&self, path: &str) -> Result<Answer> {
        self.send(Method::GET, path, None).await
    }

    /// `POST`
    pub async fn post(&self, path: &str, body: Value) -> Result<Answer> {
        self.send(Method::POST, path, Some(body)).await
    }

    /// `PUT`
    pub async fn put(&self, path: &str, body: Value) -> Result<Answer> {
        self.send(Method::PUT, path, Some(body)).await
    }

    /// `PATCH`
    pub async fn patch(&self, path: &str, body: Value) -> Result<Answer> {
        self.send(Method::PATCH, path, Some(body)).await
    }

    /// `DELETE`
    pub async fn delete(&self, path: &str) -> Result<Answer> {
        self.send(Method::DELETE, path, None).await
    }

    /// Sends JSON, or nothing.
    pub async fn send(&self, method: Method, path: &str, body: Option<Value>) -> Result<Answer> {
        let request = self.request(method, path);
        self.answer(match body {
            Some(body) => request.json(&body),
            None => request,
        })
        .await
    }

    /// A request with the credential of this client, to be completed and given to
    /// [`Client::answer`].
    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let request = self.http.request(method, format!("{}{path}", self.base));
        let request = match self.address {
            Some(address) => request.header("x-forwarded-for", address.to_string()),
            None => request,
        };
        match &self.credential {
            Credential::Nobody => request,
            Credential::Key(key) => request.bearer_auth(key),
            Credential::Session { cookie, csrf } => request
                .header("cookie", format!("sessionid={cookie}; csrftoken={csrf}"))
                .header("x-csrftoken", csrf),
        }
    }

    /// Sends a request and reads the whole answer.
    pub async fn answer(&self, request: RequestBuilder) -> Result<Answer> {
        let response = request.send().await?;
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let text = response.text().await?;
        if self.listens {
            let whole = format!("{status} {headers:?}\n{text}");
            self.heard.lock().unwrap_or_else(PoisonError::into_inner).push(whole);
        }
        let body = serde_json::from_str(&text).unwrap_or(Value::Null);
        Ok(Answer { status, headers, text, body })
    }

    /// Signs in with JSON.
    pub async fn sign_in(&self, username: &str, password: &str) -> Result<Self> {
        let body = json!({"username": username, "password": password});
        let answer = self.post("/api/v1/login", body).await?.expect(200)?;
        let cookie = answer.cookie("sessionid").context("no session")?;
        let csrf = answer.cookie("csrftoken").context("no token")?;
        Ok(self.with(Credential::Session { cookie, csrf }))
    }

    /// Makes an organization the one of the session.
    pub async fn enter(self, org: &str) -> Result<Self> {
        self.post(&format!("/api/v1/organization/{org}/set"), json!({})).await?.expect(200)?;
        Ok(self)
    }

    /// Adds an admin to an organization and signs them in there, as from another place.
    pub async fn add_admin(&self, org: &str, email: &str, address: IpAddr) -> Result<Self> {
        let body = json!({"email": email, "role": "admin"});
        let added = self.post(&format!("/api/v1/unstract/{org}/users/"), body).await?;
        let initial = added.expect(201)?.text_at("/initial_password")?;
        let nobody = self.with(Credential::Nobody).from_address(address);
        let admin = nobody.sign_in(email, &initial).await?;
        let body = json!({"current_password": initial, "new_password": "chosen for a test"});
        admin.post("/api/v1/password", body).await?.expect(200)?;
        admin.enter(org).await
    }

    /// Founds an organization. Gives the secret of its `Key #1`.
    pub async fn found(&self, name: &str) -> Result<String> {
        let body = json!({"name": name, "display_name": name, "organization_id": name});
        let founded = self.post("/api/v1/organization/create", body).await?.expect(201)?;
        founded.text_at("/tenant/platform_key")
    }

    /// Publishes a workflow. Gives the secret of the first key of the deployment.
    pub async fn publish(&self, org: &str, name: &str, definition: &str) -> Result<String> {
        let body = json!({"workflow_name": name, "definition": definition});
        let path = format!("/api/v1/unstract/{org}/workflow/");
        let workflow = self.post(&path, body).await?.expect(201)?.text_at("/id")?;
        let body = json!({"workflow": workflow, "api_name": name, "display_name": name});
        let path = format!("/api/v1/unstract/{org}/api/deployment/");
        self.post(&path, body).await?.expect(201)?.text_at("/api_key")
    }

    /// The platform keys of an organization.
    pub async fn platform_keys(&self, org: &str) -> Result<Vec<Value>> {
        let answer = self.get(&keys_path(org)).await?.expect(200)?;
        answer.body.as_array().cloned().context("not a list")
    }

    /// Whether this client's platform key works. Anything but yes and no is an error.
    pub async fn is_verified(&self) -> Result<bool> {
        let answer = self.get("/api/v1/unstract/whoami/").await?;
        match answer.status {
            200 => Ok(true),
            // Too many that do not work came from here; the key was looked up all the same.
            401 | 429 => Ok(false),
            _ => Err(answer.unexpected()),
        }
    }

    /// Runs a deployment.
    pub async fn submit(
        &self,
        org: &str,
        deployment: &str,
        files: &[File],
        fields: &[(&str, &str)],
    ) -> Result<Answer> {
        let mut form = Form::new();
        for (name, value) in fields {
            form = form.text((*name).to_owned(), (*value).to_owned());
        }
        for file in files {
            let part = Part::bytes(file.bytes.clone())
                .file_name(file.name.clone())
                .mime_str(file.media_type)?;
            form = form.part("files", part);
        }
        let path = format!("/deployment/api/{org}/{deployment}/");
        self.answer(self.request(Method::POST, &path).multipart(form)).await
    }

    /// Runs a deployment on one document and does not wait. Gives the id of the run.
    pub async fn accept(&self, org: &str, deployment: &str, file: File) -> Result<String> {
        let answer = self.submit(org, deployment, &[file], &[]).await?.expect(200)?;
        answer.text_at("/message/execution_id")
    }

    /// Asks for a run once.
    pub async fn poll(&self, org: &str, deployment: &str, run: &str) -> Result<Answer> {
        self.get(&format!("/deployment/api/{org}/{deployment}/?execution_id={run}")).await
    }

    /// Asks for a run until it is over, or too long. Gives the answer that says so.
    pub async fn wait(
        &self,
        org: &str,
        deployment: &str,
        run: &str,
        patience: Duration,
    ) -> Result<Answer> {
        let began = Instant::now();
        loop {
            let answer = self.poll(org, deployment, run).await?;
            let status = answer.body["status"].as_str();
            if answer.status != 422 || !matches!(status, Some("PENDING" | "EXECUTING")) {
                return Ok(answer);
            }
            ensure!(began.elapsed() < patience, "run {run} does not end: {}", answer.text);
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
    }
}

/// Where the platform keys of an organization are.
pub fn keys_path(org: &str) -> String {
    format!("/api/v1/unstract/{org}/platform/keys/")
}

/// Where one of them is.
pub fn key_path(org: &str, id: &str) -> String {
    format!("/api/v1/unstract/{org}/platform/keys/{id}/")
}

impl Answer {
    /// The answer, if it has this status.
    pub fn expect(self, status: u16) -> Result<Self> {
        if self.status == status { Ok(self) } else { Err(self.unexpected()) }
    }

    /// What to say about an answer that should not be.
    pub fn unexpected(&self) -> anyhow::Error {
        anyhow::anyhow!("an answer that was not expected: {} {}", self.status, self.text)
    }

    /// A text in the body.
    pub fn text_at(&self, pointer: &str) -> Result<String> {
        let text = self.body.pointer(pointer).and_then(Value::as_str);
        text.map(str::to_owned).with_context(|| format!("no {pointer} in {}", self.text))
    }

    /// A header.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    /// A cookie that it sets.
    pub fn cookie(&self, name: &str) -> Option<String> {
        self.headers.get_all(SET_COOKIE).iter().find_map(|value| {
            let pair = value.to_str().ok()?.split(';').next()?;
            let (key, value) = pair.split_once('=')?;
            (key == name && !value.is_empty()).then(|| value.to_owned())
        })
    }
}
