//! Leaked keys: whoever finds one can have it stopped, and needs nothing but the key.
//!
//! The answer is the same whether the key is genuine or not, and so is what is done before it: a job
//! is queued, which looks for the key and stops it. So nobody learns from an answer, or from the time
//! that it took, whether a key exists.

pub mod api;

use std::{net::IpAddr, sync::Arc};

use keydock_core::secret::{KeyDigest, KeyKind};
use keydock_storage::db::Tx;

use crate::{
    Result,
    access::{
        Actor, Caller,
        keyring::{Entry, Opens, Shared},
        leaks::OnLeak,
    },
    deployments, keys, platform_tokens,
};

/// A key that somebody reports.
#[derive(Debug)]
pub struct Report {
    /// The digests by which it may be stored.
    pub digests: Vec<KeyDigest>,
    /// The request that reported it.
    pub request_id: String,
    /// Where that came from.
    pub ip: Option<IpAddr>,
}

/// Stops the key, if it is one of ours. Doing it twice is the same as once.
pub async fn stop(tx: &mut Tx, report: &Report, on_leak: OnLeak) -> Result<()> {
    let Some(entry) = find(tx, &report.digests).await? else { return Ok(()) };
    let caller = Caller {
        org: Arc::clone(&entry.org),
        actor: Actor::Anonymous,
        request_id: report.request_id.clone(),
        ip: report.ip,
    };
    let org = entry.org.number;
    // In the order of everything else that is done to such a key.
    match &entry.opens {
        Opens::Organization { .. } | Opens::OrganizationTiered(_) | Opens::Deployments(_) => {
            keys::lock(tx, org).await?;
        }
        Opens::Deployment(deployment) => deployments::lock(tx, org, *deployment).await?,
    }
    let kind = entry.opens.kind();
    if kind == KeyKind::PlatformToken {
        return platform_tokens::stop_leaked(tx, &caller, entry.key.widen(), on_leak).await;
    }
    keys::stop_leaked(tx, &caller, kind, entry.key, &report.digests, on_leak).await
}

async fn find(tx: &mut Tx, digests: &[KeyDigest]) -> Result<Option<Entry>> {
    let mut shared = Shared::default();
    for digest in digests {
        if let Some(entry) = keys::find_entry(tx, &mut shared, digest).await? {
            return Ok(Some(entry));
        }
        if let Some(entry) = platform_tokens::find_entry(tx, &mut shared, digest).await? {
            return Ok(Some(entry));
        }
    }
    Ok(None)
}
