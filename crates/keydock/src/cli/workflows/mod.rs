//! `keydock workflows`

mod expectations;
mod report;

use std::{
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use clap::{Args, Subcommand};
use ignore::WalkBuilder;
use keydock_core::workflows::Definition;
use keydock_engine::{
    Extraction,
    sandbox::{Limits, Sandbox},
};
use serde_json::{Value, json};

use self::expectations::{Expectations, is_expectation};
use super::{Ended, Failure, Output, Result};

/// Try workflow definitions on documents, without a server
#[derive(Debug, Args)]
pub(super) struct Workflows {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Read documents with a definition and show what it finds, and what it misses
    ///
    /// Nothing is sent anywhere: documents are read on this machine, each in a confined process
    /// of its own, as the server does it.
    #[command(after_long_help = ABOUT)]
    Test(Test),
}

/// What `keydock workflows test --help` says below the arguments.
const ABOUT: &str = "\
With --expect the values are compared with those that a person expects. EXPECTED is a JSON file, \
{\"invoice-1.pdf\": {\"total\": \"119.00\"}, …}, or a folder with a file for each document, \
invoice-1.json, invoice-1.expected.json or invoice-1.truth.json. Dates and amounts may be \
expected as the documents write them. What is not expected is not compared; null expects that \
nothing is found.

Exit codes: 0 all is as expected, 2 the definition or an argument cannot be used, 6 a document \
did not give its values, or not those that were expected.";

#[derive(Debug, Args)]
struct Test {
    /// Workflow definition, in YAML or JSON
    definition: PathBuf,
    /// Documents, and folders of documents
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Compare with what is expected: a JSON file, or a folder of them
    #[arg(long, value_name = "EXPECTED")]
    expect: Option<PathBuf>,
    /// Show only what is not as it should be
    #[arg(long, short)]
    quiet: bool,
    /// Show the text of each document as the rules see it
    #[arg(long)]
    text: bool,
    /// Show how long each document took
    #[arg(long)]
    timing: bool,
}

/// A document that was read, or not.
#[derive(Debug)]
struct Tried {
    path: PathBuf,
    took: Duration,
    result: std::result::Result<Extraction, keydock_engine::Error>,
}

impl Workflows {
    pub(super) async fn run(self, output: &Output) -> Result<()> {
        match self.command {
            Command::Test(test) => test.run(output).await,
        }
    }
}

impl Test {
    async fn run(self, output: &Output) -> Result<()> {
        let definition = read_definition(&self.definition)?;
        let documents = documents(&self.files)?;
        let expectations = self.expect.as_deref().map(Expectations::read).transpose()?;
        let sandbox = Sandbox::new(Limits::default())?;
        let mut tried = Vec::new();
        for path in documents {
            tried.push(attempt(&sandbox, &definition, path).await?);
        }
        let report = report::Report::new(&definition, tried, expectations.as_ref());
        output.value(&report.to_json(self.text, self.timing), || {
            report.describe(self.quiet, self.text, self.timing)
        });
        report.failure().map_or(Ok(()), |words| Err(Ended::new(Failure::Documents, words)))
    }
}

/// A definition; every mistake in it is told with its place in the file.
fn read_definition(path: &Path) -> Result<Definition> {
    let unusable = |words: String| Ended::new(Failure::Usage, words);
    let text = std::fs::read_to_string(path)
        .map_err(|error| unusable(format!("{}: {error}", path.display())))?;
    Definition::parse(&text).map_err(|errors| {
        let told = errors.as_slice().iter().map(|error| {
            let place =
                error.line.zip(error.column).map(|(line, column)| format!(":{line}:{column}"));
            let at =
                if error.path.is_empty() { String::new() } else { format!("{}: ", error.path) };
            format!("\n  {}{}: {at}{}", path.display(), place.unwrap_or_default(), error.message)
        });
        unusable(format!("the definition has mistakes:{}", told.collect::<String>()))
    })
}

/// The files that are named, and those in the folders that are named, without what is expected of
/// them.
fn documents(paths: &[PathBuf]) -> Result<Vec<PathBuf>> {
    let mut documents = Vec::new();
    for path in paths {
        if path.is_file() {
            documents.push(path.clone());
            continue;
        }
        if !path.is_dir() {
            return Err(Ended::new(Failure::Usage, format!("there is no {}", path.display())));
        }
        let walk = WalkBuilder::new(path).sort_by_file_path(Ord::cmp).build();
        for entry in walk {
            let entry = entry.map_err(|error| Ended::new(Failure::Usage, error))?;
            let is_file = entry.file_type().is_some_and(|kind| kind.is_file());
            if is_file && !is_expectation(entry.path()) {
                documents.push(entry.into_path());
            }
        }
    }
    Ok(documents)
}

async fn attempt(sandbox: &Sandbox, definition: &Definition, path: PathBuf) -> Result<Tried> {
    let unusable = |error| Ended::new(Failure::Usage, format!("{}: {error}", path.display()));
    let file = tokio::fs::File::open(&path).await.map_err(unusable)?;
    let len = file.metadata().await.map_err(unusable)?.len();
    let name = name_of(&path);
    let start = Instant::now();
    let result = sandbox.extract(file, len, &name, None, definition).await;
    Ok(Tried { took: start.elapsed(), path, result })
}

/// What a document is called.
fn name_of(path: &Path) -> String {
    path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
}

/// Milliseconds with one digit behind the point.
fn milliseconds(duration: Duration) -> Value {
    json!((duration.as_secs_f64() * 10_000.0).round() / 10.0)
}
