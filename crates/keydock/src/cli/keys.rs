//! `keydock keys`

use clap::{Args, Subcommand};
use keydock_client::Client;
use serde_json::{Value, json};

use super::{
    Ended, Failure, Output, Result,
    connection::Connection,
    output::{cell, note},
};

/// Manage the keys of a deployment
#[derive(Debug, Args)]
pub(super) struct Keys {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// List the keys of a deployment
    List(OfDeployment),
    /// Create a key and print its secret, once
    Create {
        #[command(flatten)]
        of: OfDeployment,
        /// Whom the key is for
        #[arg(long, value_name = "TEXT")]
        description: String,
        /// Make a canary: a key that opens nothing and raises an alarm where it is presented
        #[arg(long)]
        canary: bool,
    },
    /// Replace the secret of a key and print the new one, once
    Rotate {
        #[command(flatten)]
        which: Which,
        /// For how many seconds the old secret still works
        #[arg(long, value_name = "SECONDS", default_value_t = 0)]
        grace: u32,
    },
    /// Switch a key on
    Enable(Which),
    /// Switch a key off
    Disable(Which),
    /// Delete a key
    Delete(Which),
}

#[derive(Debug, Args)]
struct OfDeployment {
    /// Deployment, by its name in URLs
    #[arg(long, value_name = "NAME")]
    deployment: String,
    #[command(flatten)]
    connection: Connection,
}

#[derive(Debug, Args)]
struct Which {
    /// Key, by its id
    id: String,
    #[command(flatten)]
    connection: Connection,
}

impl Keys {
    pub(super) async fn run(self, output: &Output) -> Result<()> {
        match self.command {
            Command::List(of) => list(&of, output).await,
            Command::Create { of, description, canary } => {
                create(&of, &description, canary, output).await
            }
            Command::Rotate { which, grace } => rotate(&which, grace, output).await,
            Command::Enable(which) => switch(&which, true, output).await,
            Command::Disable(which) => switch(&which, false, output).await,
            Command::Delete(which) => delete(&which, output).await,
        }
    }
}

async fn list(of: &OfDeployment, output: &Output) -> Result<()> {
    let (client, org, deployment) = find(of).await?;
    let keys = client.deployment_keys(&org, &deployment).await?;
    output.rows(
        &keys,
        &[
            ("ID", "id"),
            ("DESCRIPTION", "description"),
            ("KEY", "api_key"),
            ("ACTIVE", "is_active"),
            ("WHY NOT", "disabled_reason"),
            ("CANARY", "canary"),
            ("EXPIRES", "expires_at"),
            ("LAST USED", "last_used_at"),
            ("USES", "use_count"),
        ],
    );
    Ok(())
}

async fn create(of: &OfDeployment, description: &str, canary: bool, output: &Output) -> Result<()> {
    let (client, org, deployment) = find(of).await?;
    let mut body = json!({ "description": description });
    if canary {
        body["canary"] = true.into();
    }
    let key = client.create_deployment_key(&org, &deployment, &body).await?;
    reveal(&key, output);
    Ok(())
}

async fn rotate(which: &Which, grace: u32, output: &Output) -> Result<()> {
    let (client, org) = which.connection.with_platform_key().await?;
    let body = json!({ "grace_seconds": grace });
    let key = client.rotate_deployment_key(&org, &which.id, &body).await?;
    reveal(&key, output);
    Ok(())
}

async fn switch(which: &Which, on: bool, output: &Output) -> Result<()> {
    let (client, org) = which.connection.with_platform_key().await?;
    let key = client.change_deployment_key(&org, &which.id, &json!({ "is_active": on })).await?;
    let word = if on { "on" } else { "off" };
    output.value(&key, || format!("{} is switched {word}", which.id));
    Ok(())
}

async fn delete(which: &Which, output: &Output) -> Result<()> {
    let (client, org) = which.connection.with_platform_key().await?;
    client.delete_deployment_key(&org, &which.id).await?;
    output.value(&json!({ "deleted": which.id }), || format!("{} is deleted", which.id));
    Ok(())
}

/// The secret alone on its line, so that it can be piped; what is said about it goes elsewhere.
fn reveal(key: &Value, output: &Output) {
    note(&format!("key {}; its secret is shown this once:", cell(&key["id"])));
    output.value(key, || cell(&key["api_key"]));
}

async fn find(of: &OfDeployment) -> Result<(Client, String, String)> {
    let (client, org) = of.connection.with_platform_key().await?;
    let found = client.deployment_called(&org, &of.deployment).await?;
    let id = found.as_ref().and_then(|row| row["id"].as_str()).map(str::to_owned);
    let id = id.ok_or_else(|| {
        Ended::new(Failure::NotFound, format!("{org} has no deployment called {}", of.deployment))
    })?;
    Ok((client, org, id))
}
