//! Giving up a key: who presents its secret may do that, and only that (RFC 7009).

use keydock_core::{
    id::{self, Id, OrgNumber},
    secret::KeyDigest,
};

use super::{
    Caller, Refusal, Visitor, actor,
    keyring::{Opens, Verified},
    throttle::network,
};
use crate::{App, Result, canaries::Sighting};

/// Proof that somebody presented the secret of a key that works. It permits to switch off that key and
/// nothing else.
///
/// ```compile_fail,E0451
/// use keydock_server::access::Possession;
/// fn forge(possession: Possession) -> Possession { Possession { ..possession } }
/// ```
#[derive(Debug)]
pub struct Possession {
    caller: Caller,
    key: Id<id::AnyKey>,
    opens: Opens,
    digests: Vec<KeyDigest>,
}

impl Possession {
    /// The organization of the key. Operations take it from here.
    pub fn org(&self) -> OrgNumber {
        self.caller.org.number
    }

    /// The key itself, as the one who acts.
    pub fn caller(&self) -> &Caller {
        &self.caller
    }

    /// The key.
    pub fn key(&self) -> Id<id::AnyKey> {
        self.key
    }

    /// What it opens.
    pub fn opens(&self) -> &Opens {
        &self.opens
    }

    /// The secret that was presented, in the forms in which it may be stored.
    pub fn digests(&self) -> &[KeyDigest] {
        &self.digests
    }
}

impl App {
    /// The key that a visitor presents to give it up. None if it does not work anyway. One that is
    /// unknown counts against the address, as it does everywhere.
    pub(crate) fn possession(
        &self,
        token: &str,
        visitor: &Visitor,
        sighting: impl FnOnce() -> Sighting,
    ) -> Result<Option<Possession>> {
        let inspected = match self.inspect_token(token, Some(visitor.ip), sighting) {
            Ok(inspected) => inspected,
            Err(Refusal::UnknownKey | Refusal::MalformedKey) => {
                return match self.guesses().count(&network(visitor.ip)) {
                    Some(retry_after) => Err(Refusal::Guessing { retry_after }.into()),
                    None => Ok(None),
                };
            }
            Err(
                Refusal::Inactive(_)
                | Refusal::Dormant(_)
                | Refusal::RotatedOut(_)
                | Refusal::Expired(_),
            ) => return Ok(None),
            Err(refusal) => return Err(refusal.into()),
        };
        let Verified { key, org, opens, .. } = inspected.verified;
        let caller = Caller {
            org,
            actor: actor(key, opens.clone()),
            request_id: visitor.request_id.clone(),
            ip: Some(visitor.ip),
        };
        let digests = self.digests(token)?;
        Ok(Some(Possession { caller, key, opens, digests }))
    }
}
