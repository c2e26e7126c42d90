//! `keydock deployments`

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use keydock_client::Client;
use serde_json::{Value, json};

use super::{
    Ended, Failure, Output, Result,
    connection::Connection,
    output::{cell, note},
};

/// List and publish deployments
#[derive(Debug, Args)]
pub(super) struct Deployments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// List the deployments of the organization
    List {
        #[command(flatten)]
        connection: Connection,
    },
    /// Publish a workflow definition under a name, and print the first key, once
    ///
    /// A deployment that exists already gets the new definition and keeps its keys.
    Publish {
        /// Name in URLs
        name: String,
        /// Workflow definition, in YAML or JSON
        #[arg(long, value_name = "FILE")]
        definition: PathBuf,
        #[command(flatten)]
        connection: Connection,
    },
    /// Switch a deployment on
    Enable(Which),
    /// Switch a deployment off
    Disable(Which),
    /// Delete a deployment and its keys
    Delete(Which),
}

#[derive(Debug, Args)]
struct Which {
    /// Name in URLs
    name: String,
    #[command(flatten)]
    connection: Connection,
}

impl Deployments {
    pub(super) async fn run(self, output: &Output) -> Result<()> {
        match self.command {
            Command::List { connection } => list(&connection, output).await,
            Command::Publish { name, definition, connection } => {
                publish(&connection, &name, &definition, output).await
            }
            Command::Enable(which) => switch(&which, true, output).await,
            Command::Disable(which) => switch(&which, false, output).await,
            Command::Delete(which) => delete(&which, output).await,
        }
    }
}

async fn list(connection: &Connection, output: &Output) -> Result<()> {
    let (client, org) = connection.with_platform_key().await?;
    let rows = client.deployments(&org).await?;
    output.rows(
        &rows,
        &[
            ("NAME", "api_name"),
            ("TITLE", "display_name"),
            ("WORKFLOW", "workflow_name"),
            ("ACTIVE", "is_active"),
            ("RUNS", "run_count"),
            ("LAST RUN", "last_run_time"),
        ],
    );
    Ok(())
}

async fn publish(
    connection: &Connection,
    name: &str,
    definition: &Path,
    output: &Output,
) -> Result<()> {
    let text = std::fs::read_to_string(definition).map_err(|error| {
        Ended::new(Failure::Usage, format!("cannot read {}: {error}", definition.display()))
    })?;
    let (client, org) = connection.with_platform_key().await?;
    let workflow = workflow(&client, &org, name, &text).await?;
    if let Some(deployment) = client.deployment_called(&org, name).await? {
        note("the deployment exists and keeps its keys; its definition is up to date");
        output.value(&deployment, || cell(&deployment["api_endpoint"]));
        return Ok(());
    }
    let body = json!({
        "workflow": workflow, "api_name": name,
        "display_name": name.chars().take(30).collect::<String>(),
    });
    let deployment = client.create_deployment(&org, &body).await?;
    let endpoint = cell(&deployment["api_endpoint"]);
    note(&format!("published at /{endpoint}; its first key is shown this once:"));
    output.value(&deployment, || cell(&deployment["api_key"]));
    Ok(())
}

/// The id of the workflow of this name, with this definition.
async fn workflow(client: &Client, org: &str, name: &str, definition: &str) -> Result<Value> {
    let row = if let Some(row) = client.workflow_called(org, name).await? {
        let change = json!({ "definition": definition });
        client.change_workflow(org, &cell(&row["id"]), &change).await?
    } else {
        let body = json!({ "workflow_name": name, "definition": definition });
        client.create_workflow(org, &body).await?
    };
    Ok(row["id"].clone())
}

async fn switch(which: &Which, on: bool, output: &Output) -> Result<()> {
    let (client, org, id) = find(which).await?;
    let row = client.change_deployment(&org, &id, &json!({ "is_active": on })).await?;
    let word = if on { "on" } else { "off" };
    output.value(&row, || format!("{} is switched {word}", which.name));
    Ok(())
}

async fn delete(which: &Which, output: &Output) -> Result<()> {
    let (client, org, id) = find(which).await?;
    client.delete_deployment(&org, &id).await?;
    output.value(&json!({ "deleted": which.name }), || format!("{} is deleted", which.name));
    Ok(())
}

async fn find(which: &Which) -> Result<(Client, String, String)> {
    let (client, org) = which.connection.with_platform_key().await?;
    let found = client.deployment_called(&org, &which.name).await?;
    let id = found.as_ref().and_then(|row| row["id"].as_str()).map(str::to_owned);
    let id = id.ok_or_else(|| {
        Ended::new(Failure::NotFound, format!("{org} has no deployment called {}", which.name))
    })?;
    Ok((client, org, id))
}
