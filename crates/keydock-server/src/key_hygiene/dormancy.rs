//! Keys that nobody uses (ROT-07).

use keydock_core::hygiene::Verdict;
use keydock_storage::db::Tx;
use serde_json::{Map, json};

use super::{
    server,
    store::{self, Idle},
};
use crate::{
    App, Result, access::usage, audit_log::KeyVerb, config::Dormancies, deployments, keys,
};

/// Looks for keys that nobody uses, and warns about them or switches them off.
pub(super) async fn look(app: &App) -> Result<()> {
    let dormancies = app.config().dormancy;
    let mut after = String::new();
    let mut outcome = Ok(());
    loop {
        let page = app.read(async |tx| store::idle(tx, dormancies, &after).await).await?;
        let Some(last) = page.last() else { return outcome };
        after = last.key.id.to_string();
        for idle in page {
            if idle.verdict(dormancies, app.db().clock().now()) != Verdict::Leave {
                // One that fails does not keep the others waiting.
                outcome = judge(app, &idle, dormancies).await.and(outcome);
            }
        }
    }
}

async fn judge(app: &App, idle: &Idle, dormancies: Dormancies) -> Result<()> {
    let (org, id) = (idle.key.org, idle.key.id);
    // Uses that this node has in memory count. Those on other nodes are written down within seconds.
    let secrets = app.read(async |tx| keys::secrets_of(tx, org, id).await).await?;
    usage::flush_of(app.keyring(), app.db(), &secrets).await?;
    app.write(async |tx| act(tx, idle, dormancies).await).await
}

/// Does what is to be done about a key as it stands now, in the order of everything else that is done to
/// it.
async fn act(tx: &mut Tx, idle: &Idle, dormancies: Dormancies) -> Result<()> {
    let (org, id) = (idle.key.org, idle.key.id);
    match idle.key.deployment {
        Some(deployment) => deployments::lock(tx, org, deployment).await?,
        None => keys::lock(tx, org).await?,
    }
    let Some(idle) = store::find_idle(tx, org, id).await? else { return Ok(()) };
    let mut detail = Map::from_iter([("idle_since".to_owned(), json!(idle.since))]);
    let verb = match idle.verdict(dormancies, tx.now()) {
        Verdict::Leave => return Ok(()),
        Verdict::Warn { until } => {
            if !store::set_warned(tx, &idle).await? {
                return Ok(());
            }
            detail.insert("disabled_from".to_owned(), json!(until));
            KeyVerb::DormancyWarned
        }
        Verdict::Disable => {
            if !store::disable(tx, &idle).await? {
                return Ok(());
            }
            keys::announce(tx, org, id).await?;
            detail.insert("reason".to_owned(), keys::DORMANT.into());
            KeyVerb::DormancyDisabled
        }
    };
    let caller = server(tx, org).await?;
    keys::record_of_any(tx, &caller, verb, &idle.key, detail).await
}
