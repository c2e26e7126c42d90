//! Stopping a secret that leaked.

use keydock_core::{
    id::{self, Id},
    secret::{KeyDigest, KeyKind},
    time::Timestamp,
};
use keydock_storage::db::Tx;
use serde_json::json;

use super::{announce, store, subject_kind};
use crate::{
    Result,
    access::{
        Caller,
        leaks::{Effect, Leaked, OnLeak},
        secrets::Digests,
    },
    audit_log::{self, Action, KeyVerb, Subject},
};

/// What is asked of a key one of whose secrets leaked, whatever its kind.
#[derive(Debug)]
pub(super) struct Exposed {
    pub(super) digests: Digests,
    pub(super) name: String,
    pub(super) last_four: String,
    pub(super) previous_last_four: Option<String>,
    pub(super) is_active: bool,
    pub(super) is_canary: bool,
    pub(super) previous_until: Option<Timestamp>,
}

/// Stops a secret that leaked: switches its key off, or ends the overlap if it is the one before the
/// last. Whoever holds a secret may ask for this, so it takes no other proof.
pub(crate) async fn stop_leaked(
    tx: &mut Tx,
    finder: &Caller,
    kind: KeyKind,
    id: Id<id::AnyKey>,
    secret: &[KeyDigest],
    on_leak: OnLeak,
) -> Result<()> {
    let org = finder.org.number;
    let Some(key) = store::exposed(tx, org, id).await? else { return Ok(()) };
    let secret = secret.iter().find(|digest| key.digests.which(digest).is_some());
    let Some(secret) = secret else { return Ok(()) };
    let leaked = Leaked {
        digests: &key.digests,
        secret,
        is_active: key.is_active,
        previous_until: key.previous_until,
    };
    // Nobody silences a canary by saying that they found it.
    let on_leak = if key.is_canary { OnLeak::Warn } else { on_leak };
    let effect = leaked.effect(on_leak, tx.now());
    match effect {
        Effect::Disabled => {
            store::switch_off(tx, org, id).await?;
        }
        Effect::OverlapEnded => store::end_overlap(tx, org, id).await?,
        Effect::Warned | Effect::AlreadyOff => {}
    }
    announce(tx, org, id).await?;
    let is_current = key.digests.current == *secret;
    let last_four = if is_current { Some(key.last_four) } else { key.previous_last_four };
    let detail = json!({"key_name": key.name, "last_four": last_four, "effect": effect.as_str()});
    let action = Action::Key(kind, KeyVerb::ReportedLeaked);
    let subject = Subject::new(subject_kind(kind), &id);
    audit_log::record_leak(tx, finder, action, subject, effect, detail).await
}
