//! `keydock doctor`

use std::{os::unix::fs::PermissionsExt as _, path::Path};

use clap::Args;
use keydock_core::workflows::Definition;
use keydock_engine::sandbox::{Limits, Sandbox};
use keydock_server::{bootstrap, config::Config};
use keydock_storage::db::Db;
use serde_json::{Value, json};

use super::{Ended, Failure, Output, Result, settings::ServerSettings};

/// Check settings, folders, secrets and the database of a server, and say what to mend
///
/// Changes nothing. Ends with code 1 if something must be mended.
#[derive(Debug, Args)]
pub(super) struct Doctor {
    #[command(flatten)]
    settings: ServerSettings,
}

/// What was looked at and what was found.
struct Finding {
    what: &'static str,
    state: State,
    words: String,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Good,
    Worth,
    Bad,
}

impl State {
    const fn word(self) -> &'static str {
        match self {
            Self::Good => "ok",
            Self::Worth => "note",
            Self::Bad => "MEND",
        }
    }
}

impl Doctor {
    pub(super) async fn run(self, output: &Output) -> Result<()> {
        let config = self.settings.check()?;
        let mut findings =
            vec![folder(&config.data), credentials(&config.credentials_file()), transport(&config)];
        findings.extend(database(&config).await);
        findings.push(reading().await);
        let rows: Vec<Value> = findings.iter().map(Finding::row).collect();
        output.rows(&rows, &[("STATE", "state"), ("WHAT", "what"), ("FOUND", "found")]);
        if findings.iter().any(|finding| finding.state == State::Bad) {
            return Err(Ended::new(Failure::Other, "something must be mended"));
        }
        Ok(())
    }
}

impl Finding {
    fn new(what: &'static str, state: State, words: impl Into<String>) -> Self {
        Self { what, state, words: words.into() }
    }

    fn row(&self) -> Value {
        json!({ "state": self.state.word(), "what": self.what, "found": self.words })
    }
}

fn folder(path: &Path) -> Finding {
    let what = "data folder";
    let Ok(found) = std::fs::metadata(path) else {
        return Finding::new(what, State::Worth, format!("{} will be made", path.display()));
    };
    let mode = found.permissions().mode() & 0o777;
    if mode & 0o077 == 0 {
        Finding::new(what, State::Good, path.display().to_string())
    } else {
        let words = format!("others can look in (mode {mode:o}): chmod 700 {}", path.display());
        Finding::new(what, State::Bad, words)
    }
}

async fn pepper(config: &Config, db: Option<&Db>) -> Finding {
    let what = "pepper";
    let path = &config.pepper_file;
    match bootstrap::check_pepper(config, db).await {
        Ok(true) => {}
        Ok(false) => {
            return Finding::new(what, State::Worth, format!("{} will be made", path.display()));
        }
        Err(error) => return Finding::new(what, State::Bad, error.to_string()),
    }
    let Ok(found) = std::fs::metadata(path) else {
        return Finding::new(what, State::Bad, format!("{} is gone", path.display()));
    };
    if found.permissions().mode() & 0o077 != 0 {
        let words = format!("others can read it: chmod 600 {}", path.display());
        return Finding::new(what, State::Bad, words);
    }
    if path.starts_with(&config.data) {
        let words = "lies beside the database: one stolen backup has both; set pepper_file";
        return Finding::new(what, State::Worth, words);
    }
    Finding::new(what, State::Good, path.display().to_string())
}

fn credentials(path: &Path) -> Finding {
    let what = "first credentials";
    if path.exists() {
        let words = format!("store them safely, then delete {}", path.display());
        Finding::new(what, State::Worth, words)
    } else {
        Finding::new(what, State::Good, "the file is gone")
    }
}

fn transport(config: &Config) -> Finding {
    let what = "transport";
    match config.public_url() {
        _ if config.is_secure() => Finding::new(what, State::Good, "public_url is https"),
        Some(_) => {
            Finding::new(what, State::Bad, "public_url is plain http: keys can be read on the way")
        }
        None if config.listen.ip().is_loopback() => {
            Finding::new(what, State::Good, "listens on this machine only")
        }
        None => Finding::new(
            what,
            State::Bad,
            "listens to others without TLS: put a proxy in front and set public_url",
        ),
    }
}

async fn database(config: &Config) -> Vec<Finding> {
    let db = match bootstrap::connect_existing(config).await {
        Ok(Some(db)) => db,
        Ok(None) => {
            let database = Finding::new("database", State::Worth, "will be made");
            return vec![database, pepper(config, None).await];
        }
        Err(error) => return vec![Finding::new("database", State::Bad, error.to_string())],
    };
    let reached = match db.ping().await {
        Ok(()) => Finding::new("database", State::Good, format!("{:?} answers", db.kind())),
        Err(error) => Finding::new("database", State::Bad, error.to_string()),
    };
    let schema = match db.pending_migrations().await {
        Ok(pending) if pending.is_empty() => Finding::new("schema", State::Good, "up to date"),
        Ok(pending) => {
            let words = format!("{} migration(s) will be applied at the next start", pending.len());
            Finding::new("schema", State::Worth, words)
        }
        Err(error) => Finding::new("schema", State::Bad, error.to_string()),
    };
    let pepper = pepper(config, Some(&db)).await;
    let quarantine = super::backup::quarantine(&db).await;
    db.close().await;
    let quarantine = quarantine.map(|words| Finding::new("keys", State::Worth, words));
    [reached, schema, pepper].into_iter().chain(quarantine).collect()
}

/// Reads a small document in the confined child, as the server would.
async fn reading() -> Finding {
    match try_reading().await {
        Ok(()) => Finding::new("reading documents", State::Good, "the confined child works"),
        Err(words) => Finding::new("reading documents", State::Bad, words),
    }
}

async fn try_reading() -> std::result::Result<(), String> {
    const DEFINITION: &str =
        "fields:\n  - key: total\n    type: number\n    rule: {label: Total}\n";
    const DOCUMENT: &[u8] = b"Total: 12\n";
    let definition = Definition::parse(DEFINITION).map_err(|error| error.to_string())?;
    let sandbox = Sandbox::new(Limits::default()).map_err(|error| error.to_string())?;
    let len = u64::try_from(DOCUMENT.len()).unwrap_or_default();
    let read = sandbox.extract(DOCUMENT, len, "check.txt", None, &definition).await;
    read.map(|_| ()).map_err(|error| error.to_string())
}
