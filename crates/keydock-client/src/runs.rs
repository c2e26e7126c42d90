//! Sending documents and waiting for what is in them.

use std::path::{Path, PathBuf};

use reqwest::{
    Method, StatusCode,
    multipart::{Form, Part},
};
use serde_json::Value;
use tokio::fs::File;
use tokio_util::io::ReaderStream;

use crate::{Client, Error, Result};

/// Documents to be sent.
#[derive(Clone, Debug, Default)]
pub struct Submission {
    /// The files.
    pub files: Vec<PathBuf>,
    /// How many seconds the server waits for the result before it answers; 0 not at all.
    pub timeout: u16,
    /// A label for the run.
    pub tag: Option<String>,
    /// Whether evidence comes with the values.
    pub include_metadata: bool,
}

impl Submission {
    /// One file, answered at once.
    pub fn of_file(path: impl Into<PathBuf>) -> Self {
        Self { files: vec![path.into()], ..Self::default() }
    }
}

/// A run that was accepted.
#[derive(Clone, Debug)]
pub struct Run {
    /// Its identifier.
    pub execution_id: String,
    /// What became of it, if the server waited long enough to know.
    pub outcome: Option<Outcome>,
}

/// What became of a run.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// `COMPLETED`, `ERROR` or `STOPPED`.
    pub status: String,
    /// One item per file.
    pub items: Vec<Value>,
    /// Why the run failed as a whole.
    pub error: Option<String>,
}

impl Outcome {
    fn read(status: &str, items: &Value, error: Option<&str>) -> Option<Self> {
        matches!(status, "COMPLETED" | "ERROR" | "STOPPED").then(|| Self {
            status: status.to_owned(),
            items: items.as_array().cloned().unwrap_or_default(),
            error: error.map(str::to_owned),
        })
    }

    /// Whether every file gave its values.
    pub fn is_success(&self) -> bool {
        self.status == "COMPLETED" && self.items.iter().all(|item| item["status"] == "Success")
    }
}

impl Client {
    /// Sends documents to a deployment.
    pub async fn submit(&self, org: &str, api_name: &str, sent: &Submission) -> Result<Run> {
        let mut form = Form::new()
            .text("timeout", sent.timeout.to_string())
            .text("include_metadata", sent.include_metadata.to_string());
        if let Some(tag) = &sent.tag {
            form = form.text("tags", tag.clone());
        }
        for path in &sent.files {
            form = form.part("files", part(path).await?);
        }
        let request = self
            .request(Method::POST, &format!("/deployment/api/{org}/{api_name}/"))
            .multipart(form);
        let response = request.send().await.map_err(Error::Connection)?;
        let status = response.status();
        if !status.is_success() && status != StatusCode::UNPROCESSABLE_ENTITY {
            return Err(Error::refused(response).await);
        }
        let body: Value = response.json().await.map_err(Error::Answer)?;
        let message = &body["message"];
        let status = message["execution_status"].as_str().unwrap_or_default();
        Ok(Run {
            execution_id: message["execution_id"]
                .as_str()
                .ok_or(Error::Incomplete("execution_id"))?
                .to_owned(),
            outcome: Outcome::read(status, &message["result"], message["error"].as_str()),
        })
    }

    /// What became of a run; nothing while it is under way. Reading a result for the first time
    /// acknowledges it; this asks so that it can be read again.
    pub async fn poll(
        &self,
        org: &str,
        api_name: &str,
        run: &Run,
        include_metadata: bool,
    ) -> Result<Option<Outcome>> {
        let path = format!(
            "/deployment/api/{org}/{api_name}/?execution_id={}&include_metadata={include_metadata}\
             &replay=1",
            run.execution_id
        );
        let response = self.request(Method::GET, &path).send().await.map_err(Error::Connection)?;
        if !matches!(response.status(), StatusCode::OK | StatusCode::UNPROCESSABLE_ENTITY) {
            return Err(Error::refused(response).await);
        }
        let body: Value = response.json().await.map_err(Error::Answer)?;
        let status = body["status"].as_str().ok_or(Error::Incomplete("status"))?;
        Ok(Outcome::read(status, &body["message"], body["error"].as_str()))
    }
}

/// A file as a part of a form, read as it is sent.
async fn part(path: &Path) -> Result<Part> {
    let failed = |source| Error::File { path: path.display().to_string(), source };
    let file = File::open(path).await.map_err(failed)?;
    let len = file.metadata().await.map_err(failed)?.len();
    let name =
        path.file_name().map_or("document".into(), |name| name.to_string_lossy().into_owned());
    let body = reqwest::Body::wrap_stream(ReaderStream::new(file));
    Ok(Part::stream_with_length(body, len).file_name(name))
}
