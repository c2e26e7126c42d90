//! Benchmarks a stranger can run.
//!
//! ```text
//! cargo run --release -p keydock-bench -- verify
//! cargo run --release -p keydock-bench -- timing
//! ```
//!
//! What it measures and how to read it is in `bench/README.md`.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "printing is what this is for")]

mod child;
mod keys;
mod load;
mod machine;
mod oracle;
mod program;
mod report;
mod server;
mod statistics;
mod timing;
mod verify;

use std::path::PathBuf;

use clap::{Parser, Subcommand};
use keydock_engine::sandbox;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Measure what keydock costs, and what its times tell
#[derive(Debug, Parser)]
#[command(name = "keydock-bench", version, max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Compare a verified request with a bare axum handler, and weigh the program
    Verify(verify::Verify),
    /// Look for differences in time that would tell secrets
    Timing(timing::Timing),
    /// Make a data folder with keys
    #[command(hide = true)]
    MakeKeys {
        data: PathBuf,
        keys: usize,
        #[arg(long)]
        limited: bool,
    },
    /// Serve the bare handler and keydock, on one processor
    #[command(hide = true)]
    Serve(server::Serve),
    /// Send requests, from one processor
    #[command(hide = true)]
    Load(load::Load),
}

fn main() -> anyhow::Result<()> {
    if std::env::args().nth(1).as_deref() == Some(sandbox::CHILD_ARG) {
        std::process::exit(i32::from(sandbox::child_main() != std::process::ExitCode::SUCCESS));
    }
    match Cli::parse().command {
        Command::Verify(verify) => verify.run(),
        Command::Timing(timing) => timing.run(),
        Command::MakeKeys { data, keys, limited } => {
            machine::runtime()?.block_on(keys::make(&data, keys, limited))
        }
        Command::Serve(serve) => serve.run(),
        Command::Load(load) => load.run(),
    }
}
