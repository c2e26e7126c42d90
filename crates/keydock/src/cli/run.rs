//! `keydock run`

use std::{fmt::Write as _, path::PathBuf, time::Duration};

use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use keydock_client::{Client, Outcome, Submission};
use serde_json::{Value, json};

use super::{Ended, Failure, Output, Result, connection::Connection, output::cell};

/// Send documents to a deployment and print what is in them
///
/// Ends with code 6 if a document did not give its values.
#[derive(Debug, Args)]
pub(super) struct Run {
    /// Documents
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Deployment, by its name in URLs
    #[arg(long, value_name = "NAME")]
    deployment: String,
    /// Label for the run
    #[arg(long)]
    tag: Option<String>,
    /// Show where on the page each value was found
    #[arg(long)]
    evidence: bool,
    /// How many seconds to wait for the result
    #[arg(long, value_name = "SECONDS", default_value_t = 600)]
    wait: u64,
    #[command(flatten)]
    connection: Connection,
}

/// How often the server is asked.
const POLL: Duration = Duration::from_millis(250);

impl Run {
    pub(super) async fn run(self, output: &Output) -> Result<()> {
        let (client, org) = self.connection.with_deployment_key()?;
        let progress = progress(output);
        progress.set_message("sending");
        let outcome = self.outcome(&client, &org, &progress).await;
        progress.finish_and_clear();
        let outcome = outcome?;
        output.value(&json!(outcome.items), || describe(&outcome, self.evidence));
        if outcome.is_success() {
            return Ok(());
        }
        let words =
            outcome.error.unwrap_or_else(|| "not every document gave its values".to_owned());
        Err(Ended::new(Failure::Documents, words))
    }

    async fn outcome(&self, client: &Client, org: &str, progress: &ProgressBar) -> Result<Outcome> {
        let sent = Submission {
            files: self.files.clone(),
            timeout: 0,
            tag: self.tag.clone(),
            include_metadata: self.evidence,
        };
        let run = client.submit(org, &self.deployment, &sent).await?;
        progress.set_message(format!("reading {} document(s)", self.files.len()));
        let wait = Duration::from_secs(self.wait);
        let polling = async {
            loop {
                if let Some(outcome) =
                    client.poll(org, &self.deployment, &run, self.evidence).await?
                {
                    return Ok(outcome);
                }
                tokio::time::sleep(POLL).await;
            }
        };
        tokio::time::timeout(wait, polling).await.unwrap_or_else(|_| {
            let id = &run.execution_id;
            Err(Ended::new(Failure::Unavailable, format!("run {id} is still under way")))
        })
    }
}

fn progress(output: &Output) -> ProgressBar {
    if !output.is_watched() {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::new_spinner();
    if let Ok(style) = ProgressStyle::with_template("{spinner} {msg} ({elapsed})") {
        bar.set_style(style);
    }
    bar.enable_steady_tick(Duration::from_millis(100));
    bar
}

fn describe(outcome: &Outcome, evidence: bool) -> String {
    outcome.items.iter().map(|item| describe_item(item, evidence)).collect::<Vec<_>>().join("\n")
}

fn describe_item(item: &Value, evidence: bool) -> String {
    let mut text = format!("{}: {}\n", cell(&item["file"]), cell(&item["status"]));
    if let Some(error) = item["error"].as_str() {
        _ = writeln!(text, "  {error}");
    }
    let output = item["result"]["output"].as_object();
    let width = output.into_iter().flat_map(|o| o.keys()).map(|k| k.chars().count()).max();
    let width = width.unwrap_or_default();
    for (name, value) in output.into_iter().flatten() {
        _ = writeln!(text, "  {name:width$}  {}", describe_value(value, width));
    }
    if evidence {
        for found in item["result"]["metadata"]["evidence"].as_array().into_iter().flatten() {
            _ = writeln!(text, "  · {found}");
        }
    }
    text
}

/// Tables get a line for every row.
fn describe_value(value: &Value, indent: usize) -> String {
    let Value::Array(rows) = value else { return cell(value) };
    let gap = format!("\n{}", " ".repeat(indent + 4));
    let row = |row: &Value| match row {
        Value::Object(cells) => cells.values().map(cell).collect::<Vec<_>>().join("  "),
        other => cell(other),
    };
    rows.iter().map(row).collect::<Vec<_>>().join(&gap)
}
