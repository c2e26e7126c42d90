//! How commands reach a server.

use std::path::PathBuf;

use clap::Args;
use keydock_client::{Client, Key};

use super::{Ended, Failure, Result};

/// How to reach the server
#[derive(Debug, Args)]
pub(super) struct Connection {
    /// Address of the server
    #[arg(
        long,
        value_name = "URL",
        env = "KEYDOCK_URL",
        hide_env_values = true,
        default_value = "http://127.0.0.1:8080"
    )]
    url: String,
    /// Organization [default: that of the platform key, or mock_org]
    #[arg(long, value_name = "NAME", env = "KEYDOCK_ORG", hide_env_values = true)]
    org: Option<String>,
    /// File with the key; else it is taken from the environment, never from an argument
    #[arg(long, value_name = "FILE")]
    key_file: Option<PathBuf>,
}

impl Connection {
    /// A client with a platform key, and the organization of that key.
    pub(super) async fn with_platform_key(&self) -> Result<(Client, String)> {
        let client = Client::new(&self.url, Some(self.key(&["KEYDOCK_KEY"])?))?;
        let org = client.whoami().await?.organization_id.into_owned();
        match &self.org {
            Some(wanted) if *wanted != org => Err(Ended::new(
                Failure::Refused,
                format!("the key is of the organization {org}, not of {wanted}"),
            )),
            _ => Ok((client, org)),
        }
    }

    /// A client with a deployment key, and the organization to call.
    pub(super) fn with_deployment_key(&self) -> Result<(Client, String)> {
        let key = self.key(&["KEYDOCK_DEPLOYMENT_KEY", "KEYDOCK_KEY"])?;
        let org = self.org.clone().unwrap_or_else(|| "mock_org".to_owned());
        Ok((Client::new(&self.url, Some(key))?, org))
    }

    fn key(&self, variables: &[&str]) -> Result<Key> {
        if let Some(path) = &self.key_file {
            let text = std::fs::read_to_string(path).map_err(|error| {
                Ended::new(Failure::Usage, format!("cannot read {}: {error}", path.display()))
            })?;
            return Ok(Key::new(text));
        }
        let found = variables.iter().find_map(|name| std::env::var(name).ok());
        found.filter(|text| !text.trim().is_empty()).map(Key::new).ok_or_else(|| {
            let names = variables.join(" or ");
            Ended::new(Failure::Refused, format!("no key: set {names}, or use --key-file"))
        })
    }
}
