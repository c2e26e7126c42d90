//! Names are resolved by the connection itself, through this: what is judged is what is called.

use std::{
    io,
    net::{IpAddr, SocketAddr},
    sync::Arc,
};

use futures_util::future::BoxFuture;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};

use super::{Failure, Policy, target::Reach};

/// Finds the addresses of a name.
pub trait Lookup: Send + Sync + 'static {
    /// All of them.
    fn lookup(&self, name: String) -> BoxFuture<'static, io::Result<Vec<IpAddr>>>;
}

/// Asks the system.
#[derive(Clone, Copy, Debug)]
pub struct SystemLookup;

impl Lookup for SystemLookup {
    fn lookup(&self, name: String) -> BoxFuture<'static, io::Result<Vec<IpAddr>>> {
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            Ok(found.map(|address| address.ip()).collect())
        })
    }
}

/// Hands on the addresses of a name if every one of them may be called.
#[derive(Clone)]
pub(super) struct Guard {
    pub(super) policy: Policy,
    pub(super) reach: Reach,
    pub(super) lookup: Arc<dyn Lookup>,
}

impl Guard {
    pub(super) async fn addresses(&self, name: &str) -> Result<Vec<IpAddr>, Failure> {
        let found = self.lookup.lookup(name.to_owned()).await;
        let found = found.map_err(|_| Failure::Unreachable)?;
        if found.is_empty() {
            return Err(Failure::Unreachable);
        }
        for address in &found {
            self.policy.judge(*address, self.reach).inspect_err(|_| {
                tracing::warn!(name, %address, "a call was refused because of where it leads");
            })?;
        }
        Ok(found)
    }
}

impl Resolve for Guard {
    fn resolve(&self, name: Name) -> Resolving {
        let guard = self.clone();
        Box::pin(async move {
            let found = guard.addresses(name.as_str()).await?;
            // The port is that of the address of the call.
            let found = found.into_iter().map(|address| SocketAddr::new(address, 0));
            Ok(Box::new(found) as Addrs)
        })
    }
}
