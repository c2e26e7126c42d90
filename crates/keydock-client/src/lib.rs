//! A client of keydock: an async method for each operation that its commands need.
//!
//! ```no_run
//! # async fn example() -> Result<(), keydock_client::Error> {
//! use keydock_client::{Client, Key, Submission};
//!
//! let key = Key::new(std::env::var("KEYDOCK_DEPLOYMENT_KEY").unwrap_or_default());
//! let client = Client::new("http://127.0.0.1:8080", Some(key))?;
//! let run = client.submit("mock_org", "invoices", &Submission::of_file("invoice.pdf")).await?;
//! println!("{}", run.execution_id);
//! # Ok(())
//! # }
//! ```

mod error;
mod runs;

use std::{
    fmt::{self, Display},
    time::Duration,
};

use keydock_wire::platform_keys::WhoAmI;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::{Method, RequestBuilder, Response, StatusCode, header};
use serde::de::DeserializeOwned;
use serde_json::Value;

pub use self::{
    error::Error,
    runs::{Outcome, Run, Submission},
};

/// Short for a result with [`Error`].
pub type Result<T> = std::result::Result<T, Error>;

/// A key, which is sent and never shown.
#[derive(Clone)]
pub struct Key(String);

impl Key {
    /// A key from its text.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into().trim().to_owned())
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key(…)")
    }
}

/// A connection to a server.
#[derive(Clone, Debug)]
pub struct Client {
    http: reqwest::Client,
    base: String,
    key: Option<Key>,
}

/// How long a connection may take to be made.
const CONNECT: Duration = Duration::from_secs(10);
/// How long an answer may take; a run may be waited for 300 seconds.
const ANSWER: Duration = Duration::from_secs(330);

impl Client {
    /// A client of the server at `base`, such as `https://documents.example.com`.
    pub fn new(base: &str, key: Option<Key>) -> Result<Self> {
        // Fails only if another part of the program has chosen already, which is as good.
        let _already_chosen = rustls::crypto::ring::default_provider().install_default();
        let http = reqwest::Client::builder()
            .user_agent(concat!("keydock/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(CONNECT)
            .timeout(ANSWER)
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .map_err(Error::Connection)?;
        Ok(Self { http, base: base.trim_end_matches('/').to_owned(), key })
    }

    /// Whether the server is ready.
    pub async fn is_ready(&self) -> Result<bool> {
        let response = self.request(Method::GET, "/health").send().await;
        Ok(response.map_err(Error::Connection)?.status() == StatusCode::OK)
    }

    /// Whose platform key this is.
    pub async fn whoami(&self) -> Result<WhoAmI<'static>> {
        self.get("/api/v1/unstract/whoami/").await
    }

    /// The deployments of the organization, page by page until the last.
    pub async fn deployments(&self, org: &str) -> Result<Vec<Value>> {
        let mut rows = Vec::new();
        for page in 1.. {
            let path = format!(
                "/api/v1/unstract/{org}/api/deployment/?page_size=200&ordering=display_name&page={page}"
            );
            let answer: Value = self.get(&path).await?;
            rows.extend(answer["results"].as_array().cloned().unwrap_or_default());
            if answer["next"].is_null() {
                break;
            }
        }
        Ok(rows)
    }

    /// The deployment with this name in URLs.
    pub async fn deployment_called(&self, org: &str, api_name: &str) -> Result<Option<Value>> {
        let name = encode(api_name);
        let path = format!("/api/v1/unstract/{org}/api/deployment/?api_name={name}");
        let mut answer: Value = self.get(&path).await?;
        Ok(answer["results"].as_array_mut().and_then(Vec::pop))
    }

    /// Publishes a workflow.
    pub async fn create_deployment(&self, org: &str, body: &Value) -> Result<Value> {
        self.send(Method::POST, &format!("/api/v1/unstract/{org}/api/deployment/"), body).await
    }

    /// Changes a deployment.
    pub async fn change_deployment(&self, org: &str, id: &str, body: &Value) -> Result<Value> {
        self.send(Method::PATCH, &format!("/api/v1/unstract/{org}/api/deployment/{id}/"), body)
            .await
    }

    /// Deletes a deployment and its keys.
    pub async fn delete_deployment(&self, org: &str, id: &str) -> Result<()> {
        self.delete(&format!("/api/v1/unstract/{org}/api/deployment/{id}/")).await
    }

    /// The workflow with this name.
    pub async fn workflow_called(&self, org: &str, name: &str) -> Result<Option<Value>> {
        let name = encode(name);
        let path = format!("/api/v1/unstract/{org}/workflow/?workflow_name={name}");
        let mut rows: Vec<Value> = self.get(&path).await?;
        Ok(rows.pop())
    }

    /// Creates a workflow.
    pub async fn create_workflow(&self, org: &str, body: &Value) -> Result<Value> {
        self.send(Method::POST, &format!("/api/v1/unstract/{org}/workflow/"), body).await
    }

    /// Changes a workflow.
    pub async fn change_workflow(&self, org: &str, id: &str, body: &Value) -> Result<Value> {
        self.send(Method::PATCH, &format!("/api/v1/unstract/{org}/workflow/{id}/"), body).await
    }

    /// The keys of a deployment, without their secrets.
    pub async fn deployment_keys(&self, org: &str, deployment: &str) -> Result<Vec<Value>> {
        self.get(&format!("/api/v1/unstract/{org}/api/keys/api/{deployment}/")).await
    }

    /// Creates a key of a deployment. The answer shows its secret, for the only time.
    pub async fn create_deployment_key(
        &self,
        org: &str,
        deployment: &str,
        body: &Value,
    ) -> Result<Value> {
        let path = format!("/api/v1/unstract/{org}/api/keys/api/{deployment}/");
        self.send(Method::POST, &path, body).await
    }

    /// Changes a key of a deployment.
    pub async fn change_deployment_key(&self, org: &str, id: &str, body: &Value) -> Result<Value> {
        self.send(Method::PATCH, &format!("/api/v1/unstract/{org}/api/keys/{id}/"), body).await
    }

    /// Replaces the secret of a key of a deployment. The answer shows the new one, for the only time.
    pub async fn rotate_deployment_key(&self, org: &str, id: &str, body: &Value) -> Result<Value> {
        self.send(Method::POST, &format!("/api/v1/unstract/{org}/api/keys/{id}/rotate/"), body)
            .await
    }

    /// Deletes a key of a deployment.
    pub async fn delete_deployment_key(&self, org: &str, id: &str) -> Result<()> {
        self.delete(&format!("/api/v1/unstract/{org}/api/keys/{id}/")).await
    }

    async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T> {
        read(self.request(Method::GET, path).send().await.map_err(Error::Connection)?).await
    }

    async fn send<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: &Value,
    ) -> Result<T> {
        let request = self.request(method, path).json(body);
        read(request.send().await.map_err(Error::Connection)?).await
    }

    async fn delete(&self, path: &str) -> Result<()> {
        let response =
            self.request(Method::DELETE, path).send().await.map_err(Error::Connection)?;
        if response.status().is_success() { Ok(()) } else { Err(Error::refused(response).await) }
    }

    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let request = self.http.request(method, format!("{}{path}", self.base));
        match &self.key {
            Some(key) => request.header(header::AUTHORIZATION, format!("Bearer {}", key.0)),
            None => request,
        }
    }
}

async fn read<T: DeserializeOwned>(response: Response) -> Result<T> {
    if !response.status().is_success() {
        return Err(Error::refused(response).await);
    }
    response.json().await.map_err(Error::Answer)
}

/// Text as a part of a path or a query.
fn encode(text: &str) -> impl Display {
    utf8_percent_encode(text, NON_ALPHANUMERIC)
}
