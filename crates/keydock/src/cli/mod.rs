//! The commands, one file each.

#![expect(
    clippy::doc_markdown,
    rustdoc::bare_urls,
    reason = "help is read in a terminal, not as Markdown"
)]

mod audit;
mod backup;
mod connection;
mod deployments;
mod doctor;
mod import;
mod keys;
mod migrate;
mod output;
mod pepper;
mod run;
mod scan;
mod serve;
mod settings;
mod whoami;
mod workflows;

use std::{fmt::Display, process::ExitCode};

use clap::{Parser, Subcommand};

use self::output::Output;

/// Publish document-extraction workflows as HTTP APIs, guarded by keys
#[derive(Debug, Parser)]
#[command(name = "keydock", version, max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    command: Command,
    /// Print JSON instead of tables
    #[arg(long, global = true)]
    json: bool,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the server
    Serve(serve::Serve),
    /// Bring the database up to date, or show what that would do
    Migrate(migrate::Migrate),
    /// Check settings, folders, secrets and the database of a server, and say what to mend
    Doctor(doctor::Doctor),
    /// Verify, anchor and export the audit log of a server
    Audit(audit::Audit),
    /// Write everything that a server keeps to one file
    Backup(backup::Backup),
    /// Put a backup into an empty data folder and an empty database
    Restore(backup::Restore),
    /// Replace the pepper, the key of all digests, while the server runs
    Pepper(pepper::Pepper),
    /// Bring in keys that were made elsewhere, whose holders keep their secrets
    Import(import::Import),
    /// Tell whose platform key this is
    Whoami(whoami::Whoami),
    /// Manage the keys of a deployment, with a platform key
    Keys(keys::Keys),
    /// List and publish deployments, with a platform key
    Deployments(deployments::Deployments),
    /// Send documents to a deployment and print what is in them
    Run(run::Run),
    /// Look for keys where none should be: in sources, settings, logs
    Scan(scan::Scan),
    /// Try workflow definitions on documents, without a server
    Workflows(workflows::Workflows),
}

/// Why a command ended; each has an exit code that scripts can rely on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Failure {
    /// Something went wrong that has no code of its own.
    Other = 1,
    /// The settings or arguments cannot be used.
    Usage = 2,
    /// The key is missing or refused.
    Refused = 3,
    /// It does not exist.
    NotFound = 4,
    /// The server cannot be reached, or is over a limit.
    Unavailable = 5,
    /// The run ended, and not every document gave its values.
    Documents = 6,
}

/// A failure with its words.
#[derive(Debug)]
struct Ended {
    failure: Failure,
    words: String,
}

impl Ended {
    fn new(failure: Failure, words: impl Display) -> Self {
        Self { failure, words: words.to_string() }
    }
}

type Result<T> = std::result::Result<T, Ended>;

impl From<keydock_client::Error> for Ended {
    fn from(error: keydock_client::Error) -> Self {
        use keydock_client::Error as E;
        let failure = match &error {
            E::Refused { status: 401 | 403, .. } => Failure::Refused,
            E::Refused { status: 404, .. } => Failure::NotFound,
            E::Connection(_) | E::Refused { status: 429 | 502..=504, .. } => Failure::Unavailable,
            E::Refused { .. } | E::Answer(_) | E::Incomplete(_) => Failure::Other,
            E::File { .. } => Failure::Usage,
        };
        Self::new(failure, error)
    }
}

impl From<keydock_server::bootstrap::StartError> for Ended {
    fn from(error: keydock_server::bootstrap::StartError) -> Self {
        Self::new(Failure::Other, error)
    }
}

impl From<keydock_server::peppers::PepperError> for Ended {
    fn from(error: keydock_server::peppers::PepperError) -> Self {
        Self::new(Failure::Other, error)
    }
}

impl From<keydock_server::config::InvalidSetting> for Ended {
    fn from(error: keydock_server::config::InvalidSetting) -> Self {
        Self::new(Failure::Usage, error)
    }
}

impl From<std::io::Error> for Ended {
    fn from(error: std::io::Error) -> Self {
        Self::new(Failure::Other, error)
    }
}

/// The database of a server as it is: one of an older version is brought up to date first.
async fn open_existing(config: &keydock_server::config::Config) -> Result<keydock_storage::db::Db> {
    let found = keydock_server::bootstrap::connect_existing(config).await?;
    let db = found.ok_or_else(|| Ended::new(Failure::Usage, "there is no database yet"))?;
    let pending =
        db.pending_migrations().await.map_err(|error| Ended::new(Failure::Other, error))?;
    if pending.is_empty() {
        return Ok(db);
    }
    let words = "the database is of an older version: start the server once with this program";
    Err(Ended::new(Failure::Usage, words))
}

/// Runs the command that the program was called with.
pub(crate) fn run() -> ExitCode {
    let cli = Cli::parse();
    let output = Output::new(cli.json);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let ended = match runtime {
        Ok(runtime) => runtime.block_on(dispatch(cli.command, &output)),
        Err(error) => Err(error.into()),
    };
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(ended) => {
            output.failure(&ended.words);
            ExitCode::from(ended.failure as u8)
        }
    }
}

async fn dispatch(command: Command, output: &Output) -> Result<()> {
    match command {
        Command::Serve(serve) => serve.run().await,
        Command::Migrate(migrate) => migrate.run(output).await,
        Command::Doctor(doctor) => doctor.run(output).await,
        Command::Audit(audit) => audit.run(output).await,
        Command::Backup(backup) => backup.run(output).await,
        Command::Restore(restore) => restore.run(output).await,
        Command::Pepper(pepper) => pepper.run(output).await,
        Command::Import(import) => import.run(output).await,
        Command::Whoami(whoami) => whoami.run(output).await,
        Command::Keys(keys) => keys.run(output).await,
        Command::Deployments(deployments) => deployments.run(output).await,
        Command::Run(run) => run.run(output).await,
        Command::Scan(scan) => scan.run(output),
        Command::Workflows(workflows) => workflows.run(output).await,
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    /// All of the help, as one text: what scripts and people rely on.
    #[test]
    fn help() {
        let mut command = Cli::command().term_width(100);
        command.build();
        let mut text = String::new();
        describe(&mut command, &mut text);
        insta::assert_snapshot!(text);
    }

    fn describe(command: &mut clap::Command, text: &mut String) {
        text.push_str(&command.render_long_help().to_string());
        text.push_str("\n--------\n\n");
        let mut commands: Vec<_> =
            command.get_subcommands_mut().filter(|sub| sub.get_name() != "help").collect();
        for sub in &mut commands {
            describe(sub, text);
        }
    }
}
