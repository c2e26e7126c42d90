//! `keydock audit …`

use std::{
    fs::File,
    io::{BufRead as _, BufReader, Read as _},
    path::{Path, PathBuf},
};

use clap::{Args, Subcommand, ValueEnum};
use keydock_core::{organizations::OrgName, time::Timestamp};
use keydock_server::{
    access::System,
    audit_log::{
        Filter,
        export::{self, Format},
        verify::{self, Checkpoint, End, Report, Scope, Verifier},
    },
    bootstrap,
    config::Config,
};
use keydock_storage::db::Db;
use serde_json::Value;

use super::{
    Ended, Failure, Output, Result, open_existing, output::lines, settings::ServerSettings,
};

/// Verify, anchor and export the audit log of a server
///
/// Works on the database, whether the server runs or not, and changes nothing.
#[derive(Debug, Args)]
pub(super) struct Audit {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Check that no event was changed, taken away, slipped in or moved
    Verify(Verify),
    /// Print the end of the chain, to be kept where nobody can reach it who can reach the database
    Checkpoint(MakeCheckpoint),
    /// Print events, oldest first
    Export(Export),
}

/// Check that no event was changed, taken away, slipped in or moved
///
/// Ends with code 1 and the exact places if something is wrong. Only a checkpoint from elsewhere shows
/// that the newest events were cut off, or that all was written anew by somebody who also has the
/// pepper.
#[derive(Debug, Args)]
struct Verify {
    #[command(flatten)]
    settings: ServerSettings,
    /// A checkpoint made earlier and kept elsewhere
    #[arg(long, value_name = "FILE")]
    checkpoint: Option<PathBuf>,
    /// Check an export (jsonl) instead of a database
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
    /// The export has some of the events only: numbers may be missing
    #[arg(long, requires = "file")]
    partial: bool,
}

/// Print the end of the chain
///
/// A small JSON text. Refused, with code 1, for a chain that is broken.
#[derive(Debug, Args)]
struct MakeCheckpoint {
    #[command(flatten)]
    settings: ServerSettings,
}

/// Print events, oldest first
#[derive(Debug, Args)]
struct Export {
    #[command(flatten)]
    settings: ServerSettings,
    /// Only those of this organization
    #[arg(long, value_name = "NAME")]
    org: Option<OrgName>,
    /// Only those from this instant or day on
    #[arg(long, value_name = "TIME")]
    since: Option<Timestamp>,
    /// Only those before this instant or day
    #[arg(long, value_name = "TIME")]
    until: Option<Timestamp>,
    /// How to write them
    #[arg(long, value_enum, default_value = "jsonl")]
    format: ExportFormat,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum ExportFormat {
    /// An object on each line; can be verified
    Jsonl,
    /// For spreadsheets
    Csv,
}

impl Audit {
    pub(super) async fn run(self, output: &Output) -> Result<()> {
        match self.command {
            Command::Verify(verify) => verify.run(output).await,
            Command::Checkpoint(checkpoint) => checkpoint.run(output).await,
            Command::Export(export) => export.run().await,
        }
    }
}

impl Verify {
    async fn run(self, output: &Output) -> Result<()> {
        let checkpoint = self.checkpoint.as_deref().map(read_checkpoint).transpose()?;
        let report = match &self.file {
            Some(file) => {
                let scope = if self.partial { Scope::Some } else { Scope::From };
                of_file(file, scope, checkpoint.as_ref())?
            }
            None => of_database(&self.settings.check()?, checkpoint.as_ref()).await?,
        };
        tell(&report, output)
    }
}

async fn of_database(config: &Config, checkpoint: Option<&Checkpoint>) -> Result<Report> {
    let db = open_existing(config).await?;
    let peppers = bootstrap::present_peppers(config, &db).await?;
    let operator = System::operator();
    let report =
        db.read(async |tx| verify::verify(tx, &operator, &peppers, checkpoint).await).await;
    db.close().await;
    report.map_err(failed)
}

fn of_file(path: &Path, scope: Scope, checkpoint: Option<&Checkpoint>) -> Result<Report> {
    let file = File::open(path).map_err(|error| unreadable(path, &error))?;
    let mut verifier = Verifier::new(scope, &[], checkpoint);
    for (number, line) in BufReader::new(file).lines().enumerate() {
        let line = line.map_err(|error| unreadable(path, &error))?;
        if line.trim().is_empty() {
            continue;
        }
        let event = export::read_line(&line).map_err(|error| {
            let words = format!("line {} of {}: {error}", number + 1, path.display());
            Ended::new(Failure::Other, words)
        })?;
        verifier.read(&event);
    }
    Ok(verifier.finish(&End::Unknown))
}

/// Says what was found, and fails if something is wrong.
fn tell(report: &Report, output: &Output) -> Result<()> {
    let mut value = serde_json::to_value(report).unwrap_or_default();
    value["whole"] = report.is_whole().into();
    output.value(&value, || summary(report));
    match report.faults.first() {
        None => Ok(()),
        Some(first) => {
            let words = format!("the audit log is broken: {}", place(first.sequence, &first.what));
            Err(Ended::new(Failure::Other, words))
        }
    }
}

fn summary(report: &Report) -> String {
    let mut lines = Vec::new();
    for fault in &report.faults {
        lines.push(place(fault.sequence, &fault.what));
    }
    let untold = report.fault_count - report.faults.len() as u64;
    if untold > 0 {
        lines.push(format!("and {untold} more"));
    }
    let span = match (report.first, report.last) {
        (Some(first), Some(last)) => format!("{} event(s), {first} to {last}", report.events),
        _ => "no events".to_owned(),
    };
    let whole = if report.is_whole() { "whole" } else { "BROKEN" };
    lines.push(format!("{whole}: {span}"));
    if report.left_out > 0 {
        lines.push(format!("{} number(s) between them are not in the file", report.left_out));
    }
    if !report.seals_checked {
        lines.push("seals not checked: that takes the database and the pepper".to_owned());
    }
    lines.push(if report.checkpoint_compared {
        "compared with the checkpoint".to_owned()
    } else {
        "no checkpoint to compare with: newest events that were cut off would not be missed"
            .to_owned()
    });
    lines.join("\n")
}

fn place(sequence: i64, what: &str) -> String {
    if sequence > 0 { format!("event {sequence}: {what}") } else { what.to_owned() }
}

impl MakeCheckpoint {
    async fn run(self, output: &Output) -> Result<()> {
        let config = self.settings.check()?;
        let db = open_existing(&config).await?;
        let peppers = bootstrap::present_peppers(&config, &db).await?;
        let operator = System::operator();
        let made = db
            .read(async |tx| {
                let report = verify::verify(tx, &operator, &peppers, None).await?;
                Ok((report, verify::checkpoint(tx, &operator).await?))
            })
            .await;
        db.close().await;
        let (report, checkpoint) = made.map_err(failed)?;
        if !report.is_whole() {
            return tell(&report, output);
        }
        let value: Value = serde_json::to_value(checkpoint).unwrap_or_default();
        output.value(&value, || value.to_string());
        Ok(())
    }
}

impl Export {
    async fn run(self) -> Result<()> {
        let config = self.settings.check()?;
        let format = match self.format {
            ExportFormat::Jsonl => Format::JsonLines,
            ExportFormat::Csv => Format::Csv,
        };
        let filter = Filter { from: self.since, to: self.until, ..Filter::default() };
        let db = open_existing(&config).await?;
        let written = write(&db, self.org.as_ref(), &filter, format).await;
        db.close().await;
        written
    }
}

async fn write(db: &Db, org: Option<&OrgName>, filter: &Filter, format: Format) -> Result<()> {
    let operator = System::operator();
    let mut after = 0;
    lines(&format.heading().map_err(failed)?)?;
    loop {
        let read = db.read(async |tx| export::next(tx, &operator, org, filter, after).await).await;
        let links = read.map_err(failed)?;
        let Some(last) = links.last() else { return Ok(()) };
        after = last.seq;
        let mut text = String::new();
        for link in links {
            text.push_str(&format.line(link).map_err(failed)?);
        }
        lines(&text)?;
    }
}

fn read_checkpoint(path: &Path) -> Result<Checkpoint> {
    let file = File::open(path).map_err(|error| unreadable(path, &error))?;
    let mut text = String::new();
    file.take(64 * 1024).read_to_string(&mut text).map_err(|error| unreadable(path, &error))?;
    serde_json::from_str(&text).map_err(|error| {
        Ended::new(Failure::Usage, format!("{} is no checkpoint: {error}", path.display()))
    })
}

fn unreadable(path: &Path, error: &std::io::Error) -> Ended {
    Ended::new(Failure::Usage, format!("cannot read {}: {error}", path.display()))
}

#[expect(clippy::needless_pass_by_value, reason = "it is given to map_err")]
fn failed(error: keydock_server::Error) -> Ended {
    let failure = match &error {
        keydock_server::Error::NotFound { .. } => Failure::NotFound,
        keydock_server::Error::Unavailable { .. } => Failure::Unavailable,
        _ => Failure::Other,
    };
    let source = std::error::Error::source(&error).map(|source| format!(": {source}"));
    Ended::new(failure, format!("{error}{}", source.unwrap_or_default()))
}
