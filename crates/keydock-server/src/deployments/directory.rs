//! Which deployment a name means, in memory, for gateways that ask with every request.
//!
//! What changes on this node is forgotten before the change is answered; what others change is noticed
//! as soon as revoked keys are, after [`TRUST`] at the latest.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Instant,
};

use keydock_core::{
    id::{self, Id, OrgNumber},
    text::ApiName,
};
use papaya::HashMap;

use super::store;
use crate::{
    App, Result,
    access::keyring::{OrgFacts, TRUST},
};

/// Announced by every transaction that changes what a name means, or whether that takes documents.
pub const TOPIC: &str = "deployment names";

/// A deployment, as far as gateways ask for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Named {
    /// The deployment.
    pub id: Id<id::Deployment>,
    /// Whether it takes documents.
    pub is_active: bool,
}

/// The names that were asked for lately, and that mean something.
#[derive(Debug, Default)]
pub struct Directory {
    known: HashMap<(OrgNumber, ApiName), (Named, Instant)>,
    /// How often everything was forgotten.
    age: AtomicU64,
}

impl Directory {
    /// What a name means in an organization, if that was read lately.
    pub fn recall(&self, org: &OrgFacts, name: &ApiName) -> Option<Named> {
        let known = self.known.pin();
        let (named, read_at) = known.get(&(org.number, name.clone()))?;
        (read_at.elapsed() < TRUST).then_some(*named)
    }

    /// Forgets every name.
    pub(crate) fn forget(&self) {
        // Before the names: who is reading one now notices and does not keep it.
        self.age.fetch_add(1, Ordering::SeqCst);
        self.known.pin().clear();
    }

    /// Forgets names that nobody has asked for lately.
    pub(crate) fn forget_idle(&self) {
        self.known.pin().retain(|_, (_, read_at)| read_at.elapsed() < TRUST);
    }

    /// What a name means in an organization.
    pub(crate) async fn find(
        &self,
        app: &App,
        org: &OrgFacts,
        name: &ApiName,
    ) -> Result<Option<Named>> {
        if let Some(named) = self.recall(org, name) {
            return Ok(Some(named));
        }
        let age = self.age.load(Ordering::SeqCst);
        let read_at = Instant::now();
        let org = org.number;
        let found = app.read(async |tx| store::find_by_name(tx, org, name).await).await?;
        let named = found.map(|found| Named { id: found.id, is_active: found.is_active });
        // A name that means nothing is not kept: anybody with a key could fill the memory with them.
        if let Some(named) = named {
            let known = self.known.pin();
            known.insert((org, name.clone()), (named, read_at));
            if self.age.load(Ordering::SeqCst) != age {
                known.clear();
            }
        }
        Ok(named)
    }
}
