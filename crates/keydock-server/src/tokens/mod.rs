//! Keys in the hands of other programs: what a key is, for those who guard something with keydock's
//! keys (RFC 7662), and giving up a key, for whoever holds or finds one (RFC 7009).
//!
//! Both standards are about OAuth; that they fit keys is our reading. Who asks proves to be of the
//! organization, and learns nothing of the keys of others, not even whether they exist.

pub mod api;

use keydock_core::{
    id::{self, Id},
    secret::KeyKind,
    time::Timestamp,
};
use keydock_storage::db::Tx;

use crate::{
    Result,
    access::{
        Asker, Possession,
        keyring::{Inspected, Opens},
    },
    deployments, keys, platform_keys, platform_tokens,
};

/// What is told of a key that works.
#[derive(Debug)]
pub struct Known {
    /// The key.
    pub key: Id<id::AnyKey>,
    /// What people call it.
    pub name: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// When the secret ends, if it was replaced.
    pub until: Option<Timestamp>,
    /// What it opens.
    pub opens: Opens,
}

/// What there is to know of a key, if it is of the organization of who asks.
pub async fn introspect(tx: &mut Tx, asker: &Asker, inspected: Inspected) -> Result<Option<Known>> {
    let Inspected { verified, until } = inspected;
    if verified.org.number != asker.org() {
        return Ok(None);
    }
    let (key, opens) = (verified.key, verified.opens);
    let found = match opens.kind() {
        KeyKind::PlatformToken => platform_tokens::facts(tx, asker, key.widen()).await?,
        _ => keys::facts(tx, asker, key).await?,
    };
    Ok(found.map(|keys::Facts { name, created_at }| Known { key, name, created_at, until, opens }))
}

/// Switches off the key whose secret was presented.
pub async fn revoke(tx: &mut Tx, possession: &Possession) -> Result<()> {
    if possession.opens().kind() == KeyKind::PlatformToken {
        return platform_tokens::give_up(tx, possession).await;
    }
    match possession.opens() {
        Opens::Organization { .. } | Opens::OrganizationTiered(_) | Opens::Deployments(_) => {
            platform_keys::lock_for(tx, possession).await?;
        }
        Opens::Deployment(id) => deployments::lock_for(tx, possession, *id).await?,
    }
    keys::give_up(tx, possession).await
}
