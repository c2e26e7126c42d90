//! Tasks of the repository: `cargo xtask openapi`, `cargo xtask samples`.
#![expect(clippy::print_stdout, reason = "a task tells what it did")]

mod samples;

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use clap::{Parser, Subcommand};
use keydock_server::web::docs;

/// Tasks of the repository
#[derive(Debug, Parser)]
#[command(name = "cargo xtask")]
struct Tasks {
    #[command(subcommand)]
    task: Task,
}

#[derive(Debug, Subcommand)]
enum Task {
    /// Write openapi.json from the code
    Openapi {
        /// Write nothing; fail if the committed file differs
        #[arg(long)]
        check: bool,
    },
    /// Write the sample documents of examples/ anew
    Samples,
}

fn main() -> Result<()> {
    match Tasks::parse().task {
        Task::Openapi { check } => openapi(check),
        Task::Samples => samples::write_samples(&repository().join("examples/invoices")),
    }
}

fn repository() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().unwrap_or(here).to_owned()
}

fn openapi(check: bool) -> Result<()> {
    let path = repository().join("openapi.json");
    let mut text = docs::description().to_pretty_json().context("writing the description")?;
    text.push('\n');
    if !check {
        std::fs::write(&path, text).context("writing openapi.json")?;
        println!("wrote {}", path.display());
        return Ok(());
    }
    let committed = std::fs::read_to_string(&path).context("reading openapi.json")?;
    if committed != text {
        bail!(
            "openapi.json is not what the code says: run cargo xtask openapi and look at the difference"
        );
    }
    println!("openapi.json is what the code says");
    Ok(())
}
