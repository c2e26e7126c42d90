//! `keydock migrate`

use clap::Args;
use keydock_server::{bootstrap, config::Config};
use keydock_storage::db::Db;
use serde_json::json;

use super::{Ended, Failure, Output, Result, settings::ServerSettings};

/// Bring the database up to date
///
/// The server does the same when it starts; this is for those who want it done before.
#[derive(Debug, Args)]
pub(super) struct Migrate {
    #[command(flatten)]
    settings: ServerSettings,
    /// Only show what is pending; change nothing
    #[arg(long)]
    dry_run: bool,
}

impl Migrate {
    pub(super) async fn run(self, output: &Output) -> Result<()> {
        let config = self.settings.check()?;
        if self.dry_run {
            let pending = pending(&config).await?;
            output.value(&json!({ "pending": pending }), || listing("pending", &pending));
            return Ok(());
        }
        bootstrap::make_folder(&config.data)?;
        let db = bootstrap::connect(&config).await?;
        let migrated = db.migrate().await.map_err(failed)?;
        let value = json!({ "applied": migrated.applied, "version": migrated.version });
        output.value(&value, || listing("applied", &migrated.applied));
        db.close().await;
        Ok(())
    }
}

async fn pending(config: &Config) -> Result<Vec<String>> {
    let Some(db) = bootstrap::connect_existing(config).await? else {
        return Ok(Db::all_migrations());
    };
    let pending = db.pending_migrations().await.map_err(failed)?;
    db.close().await;
    Ok(pending)
}

fn failed(error: keydock_storage::db::Error) -> Ended {
    Ended::new(Failure::Other, error)
}

fn listing(word: &str, names: &[String]) -> String {
    if names.is_empty() {
        return "the database is up to date".to_owned();
    }
    format!("{word}:\n  {}", names.join("\n  "))
}
