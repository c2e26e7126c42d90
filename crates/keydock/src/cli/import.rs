//! `keydock import`

use std::path::PathBuf;

use clap::Args;
use keydock_server::{
    access::System,
    bootstrap,
    import::{self, From, ImportError, Imported},
};
use zeroize::Zeroizing;

use super::{Ended, Failure, Output, Result, open_existing, settings::ServerSettings};

/// Bring in keys that were made elsewhere, whose holders keep their secrets
///
/// From a CSV file, or from a PostgreSQL database with a query. The columns: kind (platform,
/// platform_api, deployment, org_deployment), organization, name, description, secret (a UUID) or sha256
/// (of the secret, in hexadecimal), deployment (a name or an id; of an org_deployment key several,
/// separated by `;`, or none for all), permission (of a platform_api key: read, read_write or
/// full_access), active, created_at, expires_at, last_four. Organizations and deployments must be there.
/// Keys that are there already are left alone, so an import may run twice. Ends with code 1 if some rows
/// do not fit.
#[derive(Debug, Args)]
pub(super) struct Import {
    #[command(flatten)]
    settings: ServerSettings,
    /// CSV file, or the postgres:// address of a database
    #[arg(long, value_name = "FILE|URL", env = "KEYDOCK_IMPORT_FROM", hide_env_values = true)]
    from: String,
    /// File with the query that gives the rows of a database, whose columns are named as above
    #[arg(long, value_name = "FILE")]
    query: Option<PathBuf>,
    /// Check everything and write nothing
    #[arg(long)]
    dry_run: bool,
}

impl Import {
    pub(super) async fn run(self, output: &Output) -> Result<()> {
        let config = self.settings.check()?;
        let address = Zeroizing::new(self.from);
        let path = PathBuf::from(address.as_str());
        let is_database =
            address.starts_with("postgres://") || address.starts_with("postgresql://");
        let sql = match (&self.query, is_database) {
            (Some(query), true) => std::fs::read_to_string(query).map_err(|error| {
                Ended::new(Failure::Usage, format!("cannot read {}: {error}", query.display()))
            })?,
            (None, true) => {
                let words = "--query names the file with the query on that database";
                return Err(Ended::new(Failure::Usage, words));
            }
            (Some(_), false) => {
                return Err(Ended::new(
                    Failure::Usage,
                    "--query is for a database, not for a file",
                ));
            }
            (None, false) => String::new(),
        };
        let from =
            if is_database { From::Query { url: &address, sql: &sql } } else { From::Csv(&path) };
        let db = open_existing(&config).await?;
        let peppers = bootstrap::peppers_for(&config, &db).await?;
        let done = import::import(&db, &System::operator(), &peppers, &from, self.dry_run).await;
        db.close().await;
        let done = done.map_err(|error| match error {
            ImportError::Source { .. } | ImportError::Invalid { .. } => {
                Ended::new(Failure::Usage, error)
            }
            ImportError::Failed(_) => Ended::new(Failure::Other, error),
        })?;
        let value = serde_json::to_value(&done).unwrap_or_default();
        output.value(&value, || summary(&done, self.dry_run));
        if done.left_out > 0 {
            let words = format!("{} row(s) were left out", done.left_out);
            return Err(Ended::new(Failure::Other, words));
        }
        Ok(())
    }
}

fn summary(done: &Imported, dry_run: bool) -> String {
    let mut lines = done.reasons.clone();
    let verb = if dry_run { "would be made" } else { "made" };
    for (kind, count) in &done.made {
        lines.push(format!("{kind}: {count} {verb}"));
    }
    lines.push(format!(
        "{} row(s), {} there already, {} left out",
        done.rows, done.already_there, done.left_out
    ));
    lines.join("\n")
}
