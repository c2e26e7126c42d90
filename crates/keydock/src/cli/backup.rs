//! `keydock backup` and `keydock restore`

use std::path::PathBuf;

use clap::Args;
use keydock_server::{backup, bootstrap};
use keydock_storage::blobs::{Blobs, Folder};
use serde_json::Value;

use super::{Ended, Failure, Output, Result, settings::ServerSettings};

/// Write everything that a server keeps to one file
///
/// While the server runs, as of one instant. The pepper is not in the file, nor are keys in clear: a
/// backup without the pepper opens nothing. Keep the two apart.
#[derive(Debug, Args)]
pub(super) struct Backup {
    #[command(flatten)]
    settings: ServerSettings,
    /// The file to write, which must not exist yet
    #[arg(long, value_name = "FILE")]
    to: PathBuf,
}

/// Put a backup into an empty data folder and an empty database
///
/// The pepper has to be in its place. Keys that were revoked since the backup stay revoked, as the
/// journal of revocations says; without one, every key comes up switched off until an admin activates
/// it. Everybody has to sign in again.
#[derive(Debug, Args)]
pub(super) struct Restore {
    #[command(flatten)]
    settings: ServerSettings,
    /// The backup
    #[arg(long, value_name = "FILE")]
    from: PathBuf,
    /// The newest journal of revocations [default: the one in its usual place, if it is there]
    #[arg(long, value_name = "FILE")]
    journal: Option<PathBuf>,
}

impl Backup {
    pub(super) async fn run(self, output: &Output) -> Result<()> {
        let config = self.settings.check()?;
        let db = super::open_existing(&config).await?;
        let blobs = Folder::open_at(config.blobs())
            .map_err(|error| Ended::new(Failure::Other, error))
            .map(Blobs::Folder)?;
        let made = backup::back_up(&db, &blobs, &self.to).await;
        db.close().await;
        let made = made.map_err(|error| Ended::new(Failure::Other, error))?;
        let value: Value = serde_json::to_value(&made).unwrap_or_default();
        output.value(&value, || {
            format!(
                "{}: {} rows and {} document(s), as of {}. The pepper is not in it: keep a copy of \
                 {} elsewhere.",
                self.to.display(),
                made.rows,
                made.documents,
                made.at,
                config.pepper_file.display()
            )
        });
        Ok(())
    }
}

impl Restore {
    pub(super) async fn run(self, output: &Output) -> Result<()> {
        let config = self.settings.check()?;
        let restored = backup::restore(&config, &self.from, self.journal.as_deref()).await;
        let restored = restored.map_err(|error| Ended::new(Failure::Other, error))?;
        let value: Value = serde_json::to_value(&restored).unwrap_or_default();
        output.value(&value, || {
            let keys = match restored.quarantined_keys {
                Some(keys) => format!(
                    "There was no journal that could tell which keys were revoked since: all of \
                     them are switched off, {keys} that worked. Activate those that you trust."
                ),
                None => format!(
                    "{} key(s) that were revoked since are closed.",
                    restored.revoked_keys_closed
                ),
            };
            format!(
                "{} rows and {} document(s), as of {}. {keys}",
                restored.rows, restored.documents, restored.at
            )
        });
        Ok(())
    }
}

/// What a restore left to be looked at.
pub(super) async fn quarantine(db: &keydock_storage::db::Db) -> Option<String> {
    let found = bootstrap::quarantined(db).await.ok().flatten();
    let (at, keys) = found?;
    Some(format!(
        "a restore without a journal at {at} switched every key off; {keys} are so still: activate \
         those that you trust"
    ))
}
