//! New secrets for old: an overlap in which both work, who still uses the old one, and the way back.

use std::time::Duration;

use keydock_core::{
    id::{self, Id, OrgNumber},
    secret::KeyDigest,
    time::Timestamp,
};
use keydock_storage::db::Tx;
use serde_json::json;

use super::{Issued, Key, Kind, digests, find, record, store};
use crate::{
    Error, Result,
    access::{Caller, changes, secrets::Minting},
    audit_log::KeyVerb,
};

/// The longest overlap of an old and a new secret.
pub const MAX_GRACE: Duration = Duration::from_hours(30 * 24);

/// How far back hours are told.
const HOURS: Duration = Duration::from_hours(7 * 24);

/// For how long an old secret works beside a new one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Overlap {
    /// From the rotation on; usually not at all.
    FromNow(Duration),
    /// From the first use of the new secret on, and for [`MAX_GRACE`] at most.
    FromFirstUse(Duration),
}

/// What is done about an overlap that has not ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Settle {
    /// The old secret is the only one again; the new one is dead.
    Undo,
    /// The old secret ends now.
    Finish,
}

/// Uses of one secret by one caller.
#[derive(Clone, Debug)]
#[expect(missing_docs, reason = "the columns of the table")]
pub struct CallerUses {
    pub version: i64,
    pub ip: String,
    pub agent: String,
    pub deployment: String,
    pub first_used_at: Timestamp,
    pub last_used_at: Timestamp,
    pub uses: i64,
}

/// Uses of a key in one hour.
#[derive(Clone, Copy, Debug)]
pub struct HourUses {
    /// Its beginning.
    pub hour: Timestamp,
    /// How many.
    pub uses: i64,
}

/// Who uses which secret of a key, and how often.
#[derive(Debug)]
pub struct Meter<K: Kind> {
    /// The key.
    pub key: Key<K>,
    /// Which secret it had before, while that works.
    pub previous_version: Option<i64>,
    /// By whom its secrets were used, the newest secret first.
    pub callers: Vec<CallerUses>,
    /// The hours of the last week in which it was used.
    pub hours: Vec<HourUses>,
    /// Uses in this hour and the one before.
    pub recent: i64,
}

/// Replaces the secret of a key and leaves everything else as it is.
pub(crate) async fn rotate<K: Kind>(
    tx: &mut Tx,
    caller: &Caller,
    minting: Minting<'_>,
    id: Id<K::Id>,
    overlap: Overlap,
) -> Result<Issued<K>> {
    let org = caller.org.number;
    let old = digests(tx, org, id).await?.ok_or(K::NOT_FOUND)?;
    let (until, waits, grace) = match overlap {
        Overlap::FromNow(grace) => (tx.now().after(grace), None, grace),
        Overlap::FromFirstUse(grace) => {
            (tx.now().after(MAX_GRACE), i64::try_from(grace.as_secs()).ok(), grace)
        }
    };
    let minted = minting.mint(tx, K::KIND);
    store::replace_secret(tx, org, id, &minted, until, waits).await?;
    old.record_change(tx);
    changes::record(tx, &minted.digest);
    let key = find::<K>(tx, org, id).await?;
    let mut detail = json!({"version": key.version, "grace_seconds": grace.as_secs()});
    if waits.is_some() {
        detail["overlap_from"] = "first_use".into();
    }
    record(tx, caller, KeyVerb::Rotated, &key, detail).await?;
    Ok(Issued { key, secret: minted.secret })
}

/// Takes a rotation back, or ends its overlap, while the old secret still works.
pub(crate) async fn settle<K: Kind>(
    tx: &mut Tx,
    caller: &Caller,
    id: Id<K::Id>,
    how: Settle,
) -> Result<Key<K>> {
    let org = caller.org.number;
    let both = digests(tx, org, id).await?.ok_or(K::NOT_FOUND)?;
    let key = find::<K>(tx, org, id).await?;
    if key.previous_until.is_none_or(|until| until <= tx.now()) {
        return Err(Error::Conflict {
            detail: "No old secret of this key works any more. Rotate it to get a new one.",
        });
    }
    match how {
        Settle::Undo => store::swap_secrets(tx, org, id).await?,
        Settle::Finish => store::end_overlap(tx, org, id).await?,
    }
    both.record_change(tx);
    let key = find::<K>(tx, org, id).await?;
    let verb = match how {
        Settle::Undo => KeyVerb::RotationUndone,
        Settle::Finish => KeyVerb::RotationFinished,
    };
    record(tx, caller, verb, &key, json!({"version": key.version})).await?;
    Ok(key)
}

/// Who uses which secret of a key, as far as it is written down.
pub(crate) async fn meter<K: Kind>(tx: &mut Tx, org: OrgNumber, id: Id<K::Id>) -> Result<Meter<K>> {
    let key = find::<K>(tx, org, id).await?;
    let works = key.previous_until.is_some_and(|until| until > tx.now());
    let previous = store::previous_version(tx, org, id).await?;
    let hours = store::uses::hours(tx, org, id.widen(), tx.now().before(HOURS)).await?;
    let since = tx.now().before(Duration::from_hours(1) + Duration::from_hours(1));
    let recent = hours.iter().filter(|hour| hour.hour > since).map(|hour| hour.uses).sum();
    let callers = store::uses::callers(tx, org, id.widen()).await?;
    Ok(Meter { key, previous_version: previous.filter(|_| works), callers, hours, recent })
}

/// What the secrets of a key are looked up by; for whoever wants its uses written down now.
pub(crate) async fn secrets_of(
    tx: &mut Tx,
    org: OrgNumber,
    id: Id<id::AnyKey>,
) -> Result<Vec<KeyDigest>> {
    let digests = digests(tx, org, id).await?;
    Ok(digests
        .into_iter()
        .flat_map(|both| std::iter::once(both.current).chain(both.previous))
        .collect())
}
