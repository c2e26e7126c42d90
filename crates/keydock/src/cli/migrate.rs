//! `keydock migrate`

use clap::Args;
use keydock_server::bootstrap;
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
        bootstrap::make_folder(&config.data)?;
        let db = bootstrap::connect(&config).await?;
        let failed = |error| Ended::new(Failure::Other, error);
        if self.dry_run {
            let pending = db.pending_migrations().await.map_err(failed)?;
            output.value(&json!({ "pending": pending }), || listing("pending", &pending));
        } else {
            let migrated = db.migrate().await.map_err(failed)?;
            let value = json!({ "applied": migrated.applied, "version": migrated.version });
            output.value(&value, || listing("applied", &migrated.applied));
        }
        db.close().await;
        Ok(())
    }
}

fn listing(word: &str, names: &[String]) -> String {
    if names.is_empty() {
        return "the database is up to date".to_owned();
    }
    format!("{word}:\n  {}", names.join("\n  "))
}
