//! Reminders of keys that end (ROT-06).

use keydock_core::hygiene::{due_reminder, next_reminder};
use keydock_storage::db::Tx;
use serde_json::{Map, json};

use super::{
    server,
    store::{self, Ending},
};
use crate::{App, Result, audit_log::KeyVerb, keys};

/// Gives the reminders that are due.
pub(super) async fn give(app: &App) -> Result<()> {
    loop {
        // Each moves on when it was looked at, so this comes to an end.
        let due = app.read(async |tx| store::due_reminders(tx).await).await?;
        if due.is_empty() {
            return Ok(());
        }
        let mut outcome = Ok(());
        for ending in due {
            // One that fails does not keep the others of this page waiting.
            outcome = app.write(async |tx| remind(tx, &ending).await).await.and(outcome);
        }
        outcome?;
    }
}

/// Gives one reminder, unless another node has, or the key has got another end. Of a key that does not
/// work anyway nobody is reminded.
async fn remind(tx: &mut Tx, ending: &Ending) -> Result<()> {
    let days = due_reminder(ending.end, tx.now()).filter(|_| ending.is_active);
    let next = next_reminder(ending.end, tx.now());
    let is_ours = store::set_reminded(tx, ending, days, next).await?;
    let Some(days) = days.filter(|_| is_ours) else { return Ok(()) };
    let caller = server(tx, ending.key.org).await?;
    let detail = Map::from_iter([
        ("expires_at".to_owned(), json!(ending.end)),
        ("days".to_owned(), days.into()),
    ]);
    keys::record_of_any(tx, &caller, KeyVerb::Expiring, &ending.key, detail).await
}
