//! The settings of a server: from flags, then the environment, then a file.

use std::{
    num::{NonZeroU32, NonZeroUsize},
    path::PathBuf,
};

use clap::Args;
use keydock_server::config::{Config, Settings};
use zeroize::Zeroizing;

use super::{Ended, Failure, Result};

/// Where the server keeps things, and how it behaves
#[derive(Debug, Args)]
pub(super) struct ServerSettings {
    /// Folder of everything that is kept [default: keydock-data]
    #[arg(long, value_name = "DIR", env = "KEYDOCK_DATA", hide_env_values = true)]
    data: Option<PathBuf>,
    /// Address to listen on [default: 127.0.0.1:8080]
    #[arg(long, value_name = "ADDR:PORT", env = "KEYDOCK_LISTEN", hide_env_values = true)]
    listen: Option<String>,
    /// Database: sqlite:PATH or postgres://USER:PASSWORD@HOST/NAME [default: DIR/keydock.db]
    #[arg(long, value_name = "URL", env = "KEYDOCK_DATABASE", hide_env_values = true)]
    database: Option<String>,
    /// File with settings [default: DIR/keydock.toml, if it is there]
    #[arg(long, value_name = "FILE", env = "KEYDOCK_CONFIG", hide_env_values = true)]
    config: Option<PathBuf>,
    /// Address under which clients reach this server, such as https://documents.example.com
    #[arg(long, value_name = "URL", env = "KEYDOCK_PUBLIC_URL", hide_env_values = true)]
    public_url: Option<String>,
}

impl ServerSettings {
    /// Reads everything and checks it.
    pub(super) fn check(self) -> Result<Config> {
        let file = self.file()?;
        let flags = Settings {
            data: self.data,
            listen: self.listen,
            database: self.database,
            public_url: self.public_url,
            ..environment()?
        };
        Ok(flags.or(file).check()?)
    }

    fn file(&self) -> Result<Settings> {
        let folder = self.data.clone().unwrap_or_else(|| PathBuf::from("keydock-data"));
        let path = self.config.clone().unwrap_or_else(|| folder.join("keydock.toml"));
        match std::fs::read_to_string(&path) {
            Ok(text) => Ok(Settings::from_toml(&text)?),
            Err(error) if self.config.is_none() && error.kind() == std::io::ErrorKind::NotFound => {
                Ok(Settings::default())
            }
            Err(error) => {
                Err(Ended::new(Failure::Usage, format!("cannot read {}: {error}", path.display())))
            }
        }
    }
}

/// The settings that have no flag, from the environment.
fn environment() -> Result<Settings> {
    let list = |text: String| text.split(',').map(|part| part.trim().to_owned()).collect();
    Ok(Settings {
        database_connections: number("KEYDOCK_DATABASE_CONNECTIONS")?,
        pepper_file: variable("KEYDOCK_PEPPER_FILE").map(PathBuf::from),
        revocation_journal: variable("KEYDOCK_REVOCATION_JOURNAL").map(PathBuf::from),
        trusted_proxies: variable("KEYDOCK_TRUSTED_PROXIES").map(list),
        first_org: variable("KEYDOCK_FIRST_ORG"),
        admin_user: variable("KEYDOCK_ADMIN_USER"),
        admin_password: variable("KEYDOCK_ADMIN_PASSWORD").map(Zeroizing::new),
        secret_form: variable("KEYDOCK_SECRET_FORM"),
        session_age_seconds: number("KEYDOCK_SESSION_AGE_SECONDS")?,
        upload_limit_mb: number("KEYDOCK_UPLOAD_LIMIT_MB")?,
        org_executions: number("KEYDOCK_ORG_EXECUTIONS")?,
        all_executions: number("KEYDOCK_ALL_EXECUTIONS")?,
        result_age_hours: number("KEYDOCK_RESULT_AGE_HOURS")?,
        workers: number::<NonZeroUsize>("KEYDOCK_WORKERS")?,
        guesses_per_minute: number::<NonZeroU32>("KEYDOCK_GUESSES_PER_MINUTE")?,
        outbound_allow: variable("KEYDOCK_OUTBOUND_ALLOW").map(list),
        leaked_keys: variable("KEYDOCK_LEAKED_KEYS"),
        dormant_after_days: number("KEYDOCK_DORMANT_AFTER_DAYS")?,
        dormant_warning_days: number("KEYDOCK_DORMANT_WARNING_DAYS")?,
        ..Settings::default()
    })
}

fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

fn number<T: std::str::FromStr>(name: &str) -> Result<Option<T>> {
    let parse = |text: String| {
        text.trim().parse().map_err(|_| {
            Ended::new(Failure::Usage, format!("{name}: \"{text}\" is not such a number"))
        })
    };
    variable(name).map(parse).transpose()
}
