//! When, how often and from where keys were used, gathered in memory and written in batches.

use std::{collections::HashMap, net::IpAddr, sync::Mutex};

use keydock_core::{
    id::{self, Id},
    secret::KeyKind,
    time::Timestamp,
};
use keydock_storage::db::Db;

use super::keyring::Keyring;
use crate::{Result, deployment_keys, platform_keys};

/// Uses not yet written down.
#[derive(Debug, Default)]
pub struct Usage(Mutex<HashMap<[u8; 16], Use>>);

/// The latest use of a secret.
#[derive(Clone, Copy, Debug)]
struct Use {
    key: Id<id::AnyKey>,
    kind: KeyKind,
    at: Timestamp,
    ip: IpAddr,
}

/// What is added to the record of a key.
#[derive(Clone, Copy, Debug)]
pub struct Used {
    /// The key.
    pub key: Id<id::AnyKey>,
    /// Its latest use.
    pub at: Timestamp,
    /// Where that came from.
    pub ip: IpAddr,
    /// How many uses there were.
    pub count: u32,
}

impl Usage {
    pub(super) fn note(
        &self,
        key: Id<id::AnyKey>,
        kind: KeyKind,
        tag: [u8; 16],
        at: Timestamp,
        ip: IpAddr,
    ) {
        self.lock().insert(tag, Use { key, kind, at, ip });
    }

    fn take(&self) -> HashMap<[u8; 16], Use> {
        std::mem::take(&mut *self.lock())
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<[u8; 16], Use>> {
        self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

/// Writes down the uses gathered so far. What cannot be written is lost: it is a record of
/// convenience, and no verification waits for it.
pub async fn flush(keyring: &Keyring, db: &Db) -> Result<()> {
    let gathered = keyring.usage().take();
    if gathered.is_empty() {
        return Ok(());
    }
    let mut used: Vec<(KeyKind, Used)> = gathered
        .into_iter()
        .map(|(tag, latest)| {
            let count = keyring.take_uses(&tag);
            (latest.kind, Used { key: latest.key, at: latest.at, ip: latest.ip, count })
        })
        .collect();
    // One order for all writers, so that no two of them wait for each other's rows.
    used.sort_by_key(|(_, used)| used.key);
    for batch in used.chunks(500) {
        db.write(async |tx| {
            for (kind, used) in batch {
                match kind {
                    KeyKind::Platform => platform_keys::record_use(tx, used).await?,
                    KeyKind::Deployment => deployment_keys::record_use(tx, used).await?,
                }
            }
            Ok::<_, crate::Error>(())
        })
        .await?;
    }
    Ok(())
}
