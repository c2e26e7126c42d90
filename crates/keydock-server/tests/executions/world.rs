//! A deployment that reads text files, and the forms that clients send.

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    time::Duration,
};

use axum::{
    body::{Body, Bytes},
    http::{Method, Request, header},
};
use keydock_core::secret::Pepper;
use keydock_engine::sandbox::{Limits, Sandbox};
use keydock_server::{App, Parts, access::peppers::Peppers, config::Settings, jobs};
use keydock_storage::{
    db::args,
    queue::{self, Counts},
};
use serde_json::{Value, json};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use zeroize::Zeroizing;

use crate::harness::{Answer, Client, TestApp};

const DEFINITION: &str = "
fields:
  - { key: number, type: text, required: true, rule: { label: Invoice number } }
  - { key: total, type: text, rule: { label: Total } }
";

/// A document that the definition understands.
pub(crate) fn invoice(number: u32) -> String {
    format!("Invoice number: INV-{number}\nTotal: 12.00\n")
}

/// An application with one deployment, `invoices`.
pub(crate) struct World {
    pub(crate) test: TestApp,
    pub(crate) deployment: Deployment,
}

/// A deployment and its first key.
#[derive(Clone)]
pub(crate) struct Deployment {
    pub(crate) id: String,
    pub(crate) workflow: String,
    pub(crate) path: String,
    pub(crate) key: String,
}

impl World {
    /// With workers.
    pub(crate) async fn working() -> Self {
        let world = Self::idle().await;
        world.test.work();
        world
    }

    /// Without workers: what is accepted stays pending.
    pub(crate) async fn idle() -> Self {
        Self::with(Settings::default()).await
    }

    pub(crate) async fn with(settings: Settings) -> Self {
        let test = TestApp::start_with(settings).await;
        let deployment = deploy(&test.platform(), "mock_org", "invoices").await;
        Self { test, deployment }
    }

    /// The holder of the deployment's key.
    pub(crate) fn caller(&self) -> Client {
        self.test.key(&self.deployment.key)
    }

    pub(crate) async fn submit(&self, form: Form) -> Answer {
        submit(&self.caller(), &self.deployment.path, form).await
    }

    /// Submits without waiting; the id of the execution.
    pub(crate) async fn accepted(&self, form: Form) -> String {
        let answer = self.submit(form).await;
        assert_eq!(answer.status, 200, "{}", answer.text);
        assert_eq!(answer.body["message"]["execution_status"], "PENDING");
        answer.body["message"]["execution_id"].as_str().unwrap().to_owned()
    }

    /// Submits and waits; the items.
    pub(crate) async fn items(&self, form: Form) -> Vec<Value> {
        let answer = self.submit(form.field("timeout", "60")).await;
        assert_eq!(answer.status, 200, "{}", answer.text);
        assert_eq!(answer.body["message"]["execution_status"], "COMPLETED");
        answer.body["message"]["result"].as_array().unwrap().clone()
    }

    pub(crate) async fn poll(&self, execution: &str) -> Answer {
        self.poll_with(execution, "").await
    }

    pub(crate) async fn poll_with(&self, execution: &str, query: &str) -> Answer {
        let path = &self.deployment.path;
        self.caller().get(&format!("{path}?execution_id={execution}{query}")).await
    }

    /// Polls until the execution is over; the answer that says so.
    pub(crate) async fn outcome(&self, execution: &str) -> Answer {
        for _ in 0..600 {
            let answer = self.poll(execution).await;
            let status = answer.body["status"].as_str().unwrap_or_default();
            if !matches!(status, "PENDING" | "EXECUTING") {
                return answer;
            }
            assert_eq!(answer.status, 422, "{}", answer.text);
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("the execution does not end");
    }

    /// Puts another application in place of this one, on the same database and documents: a restart,
    /// or another node.
    pub(crate) async fn restart(&mut self, sandbox: Sandbox) {
        self.test.replace(sibling(&self.test.app, sandbox).await);
    }

    pub(crate) async fn executions(&self) -> i64 {
        self.count("SELECT COUNT(*) FROM executions").await
    }

    pub(crate) async fn unfinished(&self) -> i64 {
        self.count("SELECT COUNT(*) FROM executions WHERE finished_at IS NULL").await
    }

    pub(crate) async fn count(&self, sql: &'static str) -> i64 {
        let db = self.test.app.db();
        db.read::<_, keydock_storage::db::Error>(async |tx| tx.fetch_one(sql, args![]).await)
            .await
            .unwrap()
    }

    /// The documents that are stored, finished or not.
    pub(crate) fn documents(&self) -> usize {
        files(&self.test.app.config().blobs())
    }

    /// Waits until no document is stored.
    pub(crate) async fn no_documents(&self) {
        for _ in 0..100 {
            if self.documents() == 0 {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("{} documents are left", self.documents());
    }

    pub(crate) async fn jobs(&self) -> Counts {
        self.test.app.read(async |tx| Ok(queue::counts(tx).await?)).await.unwrap()
    }

    /// Waits until it is so.
    pub(crate) async fn until(&self, what: &str, is_so: impl AsyncFn() -> bool) {
        for _ in 0..600 {
            if is_so().await {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("it never was so that {what}");
    }
}

/// Another application on the same database and documents.
pub(crate) async fn sibling(app: &App, sandbox: Sandbox) -> App {
    let sibling = App::new(Parts {
        config: app.config().clone(),
        db: app.db().clone(),
        blobs: app.blobs().clone(),
        peppers: Peppers::only(Pepper::new(&Zeroizing::new([7; 32]))),
        sandbox,
    });
    sibling.keyring().catch_up(sibling.db()).await.unwrap();
    sibling
}

/// Workers that can be killed.
pub(crate) fn workers(app: &App) -> JoinHandle<()> {
    tokio::spawn(jobs::start(app.clone(), CancellationToken::new()))
}

fn files(folder: &Path) -> usize {
    let Ok(entries) = fs::read_dir(folder) else { return 0 };
    entries
        .map(|entry| entry.unwrap().path())
        .map(|path| if path.is_dir() { files(&path) } else { 1 })
        .sum()
}

/// Deploys a workflow with the definition above.
pub(crate) async fn deploy(client: &Client, org: &str, name: &str) -> Deployment {
    let base = format!("/api/v1/unstract/{org}");
    let workflow = client
        .post(
            &format!("{base}/workflow/"),
            json!({"workflow_name": name, "definition": DEFINITION}),
        )
        .await;
    assert_eq!(workflow.status, 201, "{}", workflow.text);
    let workflow = workflow.body["id"].as_str().unwrap().to_owned();
    let deployed = client
        .post(
            &format!("{base}/api/deployment/"),
            json!({"workflow": workflow, "api_name": name, "display_name": name}),
        )
        .await;
    assert_eq!(deployed.status, 201, "{}", deployed.text);
    Deployment {
        id: deployed.body["id"].as_str().unwrap().to_owned(),
        workflow,
        path: format!("/deployment/api/{org}/{name}/"),
        key: deployed.body["api_key"].as_str().unwrap().to_owned(),
    }
}

/// A reader of documents that reads one for each permit.
pub(crate) struct Gate(PathBuf);

impl Gate {
    pub(crate) fn closed(dir: &Path) -> Self {
        let dir = dir.join("gate");
        fs::create_dir(&dir).unwrap();
        let here = std::env::current_exe().unwrap();
        let reader = here.parent().and_then(Path::parent).unwrap().join("examples/document-child");
        let script = format!(
            "#!/bin/sh\necho begun >> {dir}/log\nwhile :; do\n  for permit in {dir}/permit*; do\n    \
             [ -e \"$permit\" ] && /bin/rm \"$permit\" 2>/dev/null && exec {reader} \"$@\"\n  done\n  \
             /bin/sleep 0.02\ndone\n",
            dir = dir.display(),
            reader = reader.display(),
        );
        fs::write(dir.join("reader"), script).unwrap();
        fs::set_permissions(dir.join("reader"), fs::Permissions::from_mode(0o755)).unwrap();
        Self(dir)
    }

    pub(crate) fn sandbox(&self) -> Sandbox {
        let limits = Limits { parallel: 4, ..Limits::default() };
        Sandbox::with_program(self.0.join("reader"), limits).unwrap()
    }

    /// Lets so many documents be read.
    pub(crate) fn permit(&self, count: usize) {
        for _ in 0..count {
            fs::write(self.0.join(format!("permit{:x}", rand::random::<u64>())), "").unwrap();
        }
    }

    /// How many readings were begun.
    pub(crate) fn begun(&self) -> usize {
        fs::read_to_string(self.0.join("log")).map_or(0, |log| log.lines().count())
    }
}

const BOUNDARY: &str = "0f3b1c5d7e9f0a2b4c6d8e0f1a3b5c7d";

/// A multipart form.
#[derive(Clone, Default)]
pub(crate) struct Form(Vec<u8>);

impl Form {
    /// One invoice.
    pub(crate) fn invoice(number: u32) -> Self {
        Self::default().file("invoice.txt", invoice(number))
    }

    pub(crate) fn field(self, name: &str, value: &str) -> Self {
        self.part(&format!("form-data; name=\"{name}\""), Some("text/plain"), value.as_bytes())
    }

    pub(crate) fn file(self, name: &str, content: impl AsRef<[u8]>) -> Self {
        self.typed_file(name, "application/octet-stream", content)
    }

    pub(crate) fn typed_file(self, name: &str, kind: &str, content: impl AsRef<[u8]>) -> Self {
        let disposition = format!("form-data; name=\"files\"; filename=\"{name}\"");
        self.part(&disposition, Some(kind), content.as_ref())
    }

    pub(crate) fn part(mut self, disposition: &str, kind: Option<&str>, content: &[u8]) -> Self {
        let kind = kind.map(|kind| format!("Content-Type: {kind}\r\n")).unwrap_or_default();
        let head = format!("--{BOUNDARY}\r\nContent-Disposition: {disposition}\r\n{kind}\r\n");
        self.0.extend_from_slice(head.as_bytes());
        self.0.extend_from_slice(content);
        self.0.extend_from_slice(b"\r\n");
        self
    }

    /// The body without its end.
    pub(crate) fn begun(self) -> Vec<u8> {
        self.0
    }

    pub(crate) fn body(mut self) -> Vec<u8> {
        self.0.extend_from_slice(format!("--{BOUNDARY}--\r\n").as_bytes());
        self.0
    }
}

/// A submission with this body, in the form's format.
pub(crate) fn request(path: &str, body: Body) -> Request<Body> {
    Request::builder()
        .method(Method::POST)
        .uri(path)
        .header(header::CONTENT_TYPE, format!("multipart/form-data; boundary={BOUNDARY}"))
        .body(body)
        .unwrap()
}

pub(crate) async fn submit(client: &Client, path: &str, form: Form) -> Answer {
    // In small pieces, as it comes over a wire.
    let pieces: Vec<_> = form
        .body()
        .chunks(1_000)
        .map(|piece| Ok::<_, std::io::Error>(Bytes::copy_from_slice(piece)))
        .collect();
    client.request(request(path, Body::from_stream(futures_util::stream::iter(pieces)))).await
}

/// A body of any type.
pub(crate) async fn post(
    client: &Client,
    path: &str,
    media_type: &str,
    body: impl Into<Body>,
) -> Answer {
    let request = Request::builder()
        .method(Method::POST)
        .uri(path)
        .header(header::CONTENT_TYPE, media_type)
        .body(body.into())
        .unwrap();
    client.request(request).await
}
