//! Tortures a server: many at once change keys, and the process is killed while they do.
//!
//! ```text
//! torture                              both, for about twenty seconds
//! torture keys --operations 100000     64 writers race for the two slots of a few organizations
//! torture kill --rounds 1000           SIGKILL at random moments, then compare with what was said
//! ```
//!
//! On SQLite, or on PostgreSQL if `--database` or `KEYDOCK_TEST_POSTGRES` has the address of a
//! server. The choices that are made follow from the seed, which is printed; what they meet with
//! also depends on the machine. Ends with code 1 if anything was found that must not be.
#![expect(clippy::print_stdout, reason = "printing is what this is for")]

mod findings;
mod keys;
mod kill;
mod model;
mod reconcile;
mod runs;

use std::{
    process::ExitCode,
    time::{Duration, Instant},
};

use anyhow::Result;
use clap::{Parser, Subcommand};
use keydock_e2e::{Database, Setup};

use self::findings::Findings;

/// Torture a server with races and crashes, and tell what broke
#[derive(Debug, Parser)]
#[command(name = "torture", version, max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    /// Begin nothing new after so many seconds [default: 20 without a command, else no limit]
    #[arg(long, global = true)]
    seconds: Option<u64>,
    /// Where the random choices begin [default: another one every time]
    #[arg(long, global = true)]
    seed: Option<u64>,
    /// A PostgreSQL server, in which a schema is made and removed again [default: SQLite]
    #[arg(long, global = true, value_name = "URL", env = "KEYDOCK_TEST_POSTGRES")]
    database: Option<String>,
}

#[derive(Clone, Debug, Subcommand)]
enum Command {
    /// Race for the keys of organizations
    Keys(keys::Keys),
    /// Kill the server while keys change and documents are read
    Kill(kill::Kill),
}

/// What a torture is given.
#[derive(Clone, Copy, Debug)]
struct Terms {
    seed: u64,
    /// For how long new things are begun.
    lasts: Option<Duration>,
}

impl Terms {
    /// Begins to count the time, once everything is prepared.
    fn begin(self) -> Time {
        Time(self.lasts.map(|lasts| Instant::now() + lasts))
    }
}

/// Until when new things are begun.
#[derive(Clone, Copy, Debug)]
struct Time(Option<Instant>);

impl Time {
    fn is_over(self) -> bool {
        self.0.is_some_and(|end| Instant::now() >= end)
    }
}

#[tokio::main]
async fn main() -> Result<ExitCode> {
    let cli = Cli::parse();
    let seed = cli.seed.unwrap_or_else(|| rand::random::<u32>().into());
    let (commands, seconds) = match cli.command {
        Some(command) => (vec![command], cli.seconds),
        None => (
            vec![Command::Keys(keys::Keys::default()), Command::Kill(kill::Kill::default())],
            Some(cli.seconds.unwrap_or(20).div_ceil(2)),
        ),
    };
    let server = cli.database.filter(|server| !server.is_empty());
    let mut good = true;
    for command in commands {
        let terms = Terms { seed, lasts: seconds.map(Duration::from_secs) };
        good &= torture(&command, terms, server.as_deref()).await?;
    }
    Ok(if good { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Tortures a fresh server. Tells whether it stood it.
async fn torture(command: &Command, terms: Terms, postgres: Option<&str>) -> Result<bool> {
    let database = match postgres {
        Some(server) => Some(Database::schema(server).await?),
        None => None,
    };
    let setup = Setup::default()
        // All come from one address here, and many keys that they try are dead.
        .env("KEYDOCK_GUESSES_PER_MINUTE", "4000000000")
        .env("KEYDOCK_ORG_EXECUTIONS", "10000")
        .env("KEYDOCK_ALL_EXECUTIONS", "10000")
        .env("KEYDOCK_LOG", "warn");
    let server = match database {
        Some(database) => setup.database(database).start().await?,
        None => setup.start().await?,
    };
    let findings = Findings::default();
    let began = Instant::now();
    let name = match command {
        Command::Keys(_) => "keys",
        Command::Kill(_) => "kill",
    };
    let kind = if server.database().is_postgres() { "PostgreSQL" } else { "SQLite" };
    println!("torture {name} on {kind}, seed {}", terms.seed);
    let used = server.database().clone();
    let figures = match command {
        Command::Keys(keys) => keys.run(server, terms, &findings).await?,
        Command::Kill(kill) => kill.run(server, terms, &findings).await?,
    };
    used.remove().await?;
    let took = began.elapsed().as_secs_f64();
    println!("torture: {name} on {kind}, seed {}, {took:.1} s: {figures}", terms.seed);
    for finding in findings.list() {
        println!("  FOUND {finding}");
    }
    let word = if findings.is_empty() { "ok" } else { "not ok" };
    println!("{word} - torture {name} on {kind}");
    Ok(findings.is_empty())
}
