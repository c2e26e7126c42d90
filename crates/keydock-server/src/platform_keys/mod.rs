//! Platform keys: how programs call everything of one organization.
//!
//! An organization has two slots for them, and at most one of the two works at a time: a new key is
//! generated in the idle slot, clients are moved, and activating it switches the old one off in the
//! same instant. The secret of a key is shown once, in the answer that makes it. Only admins who are
//! signed in manage these keys; no key does, not even these.

pub mod api;
mod store;

use std::time::Duration;

use keydock_core::{
    id::{self, Id, OrgNumber},
    secret::{KeyKind, Pepper, SecretKey},
    text::KeyName,
    time::Timestamp,
};
use keydock_storage::db::{OnConflict as _, Tx};
use serde_json::json;

pub use self::store::{entries, find_entry, record_uses};
use crate::{
    Error, Result,
    access::{Admin, Caller, changes, secrets::Minting},
    audit_log::{self, Action, Subject},
};

/// The longest overlap of an old and a new secret.
pub const MAX_GRACE: Duration = Duration::from_hours(30 * 24);

/// One of the two places for a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Slot {
    /// The first.
    One,
    /// The second.
    Two,
}

impl Slot {
    const ALL: [Self; 2] = [Self::One, Self::Two];

    /// Its number.
    pub const fn number(self) -> u8 {
        match self {
            Self::One => 1,
            Self::Two => 2,
        }
    }

    /// What a key in this slot is called if nobody says otherwise.
    fn default_name(self) -> KeyName {
        let name = match self {
            Self::One => "Key #1",
            Self::Two => "Key #2",
        };
        name.parse().expect("a constant that is a name")
    }
}

/// A platform key, without its secret.
#[derive(Debug)]
pub struct PlatformKey {
    /// Its id, which a refresh does not change.
    pub id: Id<id::PlatformKey>,
    /// Its place.
    pub slot: Slot,
    /// What people call it.
    pub name: KeyName,
    /// Whether it works.
    pub is_active: bool,
    /// The end of its secret, for telling keys apart.
    pub last_four: String,
    /// The beginning of the secret's SHA-256, for comparing with a secret one holds.
    pub fingerprint: String,
    /// How many secrets it has had.
    pub version: i64,
    /// When it was generated.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub modified_at: Timestamp,
    /// Who generated it, if they are still known.
    pub created_by_email: Option<String>,
    /// Until when the secret before this one works.
    pub previous_until: Option<Timestamp>,
    /// When it was last used.
    pub last_used_at: Option<Timestamp>,
    /// Where it was last used from.
    pub last_used_ip: Option<String>,
    /// How often it was used.
    pub use_count: i64,
}

/// A key that has a new secret, with the only copy of it.
#[derive(Debug)]
pub struct Issued {
    /// The key.
    pub key: PlatformKey,
    /// Its secret, to be shown once.
    pub secret: SecretKey,
}

/// What to generate.
#[derive(Debug, Default)]
pub struct NewKey {
    /// Its name; that of its slot if there is none.
    pub name: Option<KeyName>,
    /// Whether it works at once, in place of the other one.
    pub is_active: bool,
}

/// Generates a key in the first free slot.
pub async fn generate(
    tx: &mut Tx,
    admin: &Admin,
    minting: Minting<'_>,
    new: NewKey,
) -> Result<Issued> {
    generate_as(tx, admin.caller(), minting, new).await
}

/// Generates `Key #1`, active, of an organization that is being founded in this transaction.
pub(crate) async fn generate_first(
    tx: &mut Tx,
    founder: &Caller,
    minting: Minting<'_>,
) -> Result<Issued> {
    generate_as(tx, founder, minting, NewKey { name: None, is_active: true }).await
}

async fn generate_as(
    tx: &mut Tx,
    caller: &Caller,
    minting: Minting<'_>,
    new: NewKey,
) -> Result<Issued> {
    let org = caller.org.number;
    store::lock(tx, org).await?;
    let keys = store::list(tx, org).await?;
    let is_free = |slot: &Slot| keys.iter().all(|key| key.slot != *slot);
    let slot = Slot::ALL.into_iter().find(is_free).ok_or(Error::KeyLimit)?;
    let name = new.name.unwrap_or_else(|| free_name(slot, &keys));
    if new.is_active {
        deactivate_others(tx, caller, None).await?;
    }
    let minted = minting.mint(tx, KeyKind::Platform);
    let key = PlatformKey {
        id: tx.new_id(),
        slot,
        name,
        is_active: new.is_active,
        last_four: minted.last_four,
        fingerprint: minted.fingerprint,
        version: 1,
        created_at: tx.now(),
        modified_at: tx.now(),
        created_by_email: None,
        previous_until: None,
        last_used_at: None,
        last_used_ip: None,
        use_count: 0,
    };
    // The schema has the last word about the slots, the names and the one active key.
    store::insert(tx, caller, &key, &minted.digest)
        .await
        .on_constraint("name", || name_taken(&key.name))?;
    changes::record(tx, &minted.digest);
    let detail =
        json!({"key_name": key.name.as_str(), "slot": slot.number(), "is_active": key.is_active});
    record(tx, caller, Action::PlatformKeyGenerated, key.id, detail).await?;
    Ok(Issued { key, secret: minted.secret })
}

/// The name of the slot, or of the other one, where somebody gave this slot's name to its neighbour.
fn free_name(slot: Slot, keys: &[PlatformKey]) -> KeyName {
    let own = slot.default_name();
    let is_taken = |name: &KeyName| keys.iter().any(|key| key.name == *name);
    let other = Slot::ALL.into_iter().map(Slot::default_name).find(|name| !is_taken(name));
    if is_taken(&own) { other.unwrap_or(own) } else { own }
}

fn name_taken(name: &KeyName) -> Error {
    Error::AlreadyExists { what: "A platform key", name: name.to_string() }
}

/// Lists the keys of the admin's organization, oldest first.
pub async fn list(tx: &mut Tx, admin: &Admin) -> Result<Vec<PlatformKey>> {
    store::list(tx, admin.org()).await
}

/// One key of the admin's organization.
pub async fn get(tx: &mut Tx, admin: &Admin, id: Id<id::PlatformKey>) -> Result<PlatformKey> {
    find(tx, admin.org(), id).await
}

async fn find(tx: &mut Tx, org: OrgNumber, id: Id<id::PlatformKey>) -> Result<PlatformKey> {
    store::find(tx, org, id).await?.ok_or(Error::NotFound { what: "Object" })
}

/// Replaces the secret of a key and leaves everything else as it is. The old secret works for
/// another `grace`, which is usually none.
pub async fn refresh(
    tx: &mut Tx,
    admin: &Admin,
    minting: Minting<'_>,
    id: Id<id::PlatformKey>,
    grace: Duration,
) -> Result<Issued> {
    let org = admin.org();
    store::lock(tx, org).await?;
    let old = store::digests(tx, org, id).await?.ok_or(Error::NotFound { what: "Object" })?;
    let until = tx.now().after(grace);
    let minted = minting.mint(tx, KeyKind::Platform);
    store::replace_secret(tx, org, id, &minted, until).await?;
    old.record_change(tx);
    changes::record(tx, &minted.digest);
    let key = find(tx, org, id).await?;
    let detail = json!({"key_name": key.name.as_str(), "version": key.version,
                        "grace_seconds": grace.as_secs()});
    record(tx, admin.caller(), Action::PlatformKeyRefreshed, id, detail).await?;
    Ok(Issued { key, secret: minted.secret })
}

/// Switches a key on, and the other one off in the same transaction. Doing it twice is the same as
/// once.
pub async fn activate(tx: &mut Tx, admin: &Admin, id: Id<id::PlatformKey>) -> Result<()> {
    store::lock(tx, admin.org()).await?;
    let key = find(tx, admin.org(), id).await?;
    if key.is_active {
        return Ok(());
    }
    deactivate_others(tx, admin.caller(), Some(id)).await?;
    set_active(tx, admin.caller(), &key, true).await
}

/// Switches a key off. Doing it twice is the same as once.
pub async fn deactivate(tx: &mut Tx, admin: &Admin, id: Id<id::PlatformKey>) -> Result<()> {
    store::lock(tx, admin.org()).await?;
    let key = find(tx, admin.org(), id).await?;
    if !key.is_active {
        return Ok(());
    }
    set_active(tx, admin.caller(), &key, false).await
}

async fn deactivate_others(
    tx: &mut Tx,
    caller: &Caller,
    but: Option<Id<id::PlatformKey>>,
) -> Result<()> {
    let keys = store::list(tx, caller.org.number).await?;
    for key in keys.iter().filter(|key| key.is_active && Some(key.id) != but) {
        set_active(tx, caller, key, false).await?;
    }
    Ok(())
}

async fn set_active(tx: &mut Tx, caller: &Caller, key: &PlatformKey, active: bool) -> Result<()> {
    store::set_active(tx, caller.org.number, key.id, active).await.on_conflict(|| {
        Error::Conflict { detail: "Another key was activated at the same time. Look again." }
    })?;
    record_change(tx, caller.org.number, key.id).await?;
    let action = if active { Action::PlatformKeyActivated } else { Action::PlatformKeyDeactivated };
    record(tx, caller, action, key.id, json!({"key_name": key.name.as_str()})).await
}

/// Deletes a key, active or not. Nothing takes its place.
pub async fn delete(tx: &mut Tx, admin: &Admin, id: Id<id::PlatformKey>) -> Result<()> {
    store::lock(tx, admin.org()).await?;
    let key = find(tx, admin.org(), id).await?;
    record_change(tx, admin.org(), id).await?;
    store::delete(tx, admin.org(), id).await?;
    let detail = json!({"key_name": key.name.as_str(), "was_active": key.is_active});
    record(tx, admin.caller(), Action::PlatformKeyDeleted, id, detail).await
}

/// Whether `secret` is the current secret of a key; for somebody who found one and wonders.
pub async fn is_secret_of(
    tx: &mut Tx,
    admin: &Admin,
    pepper: &Pepper,
    id: Id<id::PlatformKey>,
    secret: &SecretKey,
) -> Result<bool> {
    let digests = store::digests(tx, admin.org(), id).await?;
    let digests = digests.ok_or(Error::NotFound { what: "Object" })?;
    Ok(digests.current == pepper.digest(secret))
}

async fn record_change(tx: &mut Tx, org: OrgNumber, id: Id<id::PlatformKey>) -> Result<()> {
    if let Some(digests) = store::digests(tx, org, id).await? {
        digests.record_change(tx);
    }
    Ok(())
}

async fn record(
    tx: &mut Tx,
    caller: &Caller,
    action: Action,
    id: Id<id::PlatformKey>,
    detail: serde_json::Value,
) -> Result<()> {
    audit_log::record(tx, caller, action, Subject::new("platform_key", &id), detail).await
}
