//! Platform keys: how programs call everything of one organization.
//!
//! An organization has two slots for them, and at most one of the two works at a time: a new key is
//! generated in the idle slot, clients are moved, and activating it switches the old one off in the
//! same instant. The secret of a key is shown once, in the answer that makes it. Only admins who are
//! signed in manage these keys; no key does, not even these.

pub mod api;
mod store;

use keydock_core::{
    id::{self, Id},
    secret::{KeyKind, SecretKey},
    text::KeyName,
};
use keydock_storage::db::{OnConflict as _, Tx};
use serde_json::{Map, Value};

use crate::{
    Error, Result,
    access::{Admin, Caller, Possession, peppers::Peppers, secrets::Minting},
    keys::{self, Columns, Controls, CreateError, Filter, Kind, Meter, Overlap, Settle},
};

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

/// What is of platform keys only.
#[derive(Clone, Debug)]
pub struct Slotted {
    /// Its place.
    pub slot: Slot,
    /// What people call it.
    pub name: KeyName,
}

/// A platform key, without its secret.
pub type PlatformKey = keys::Key<Slotted>;

/// A platform key that has a new secret, with the only copy of it.
pub type Issued = keys::Issued<Slotted>;

impl Kind for Slotted {
    type Id = id::PlatformKey;

    const KIND: KeyKind = KeyKind::Platform;
    const NOT_FOUND: Error = Error::NotFound { what: "Object" };

    fn columns(&self) -> Columns<'_> {
        let slot = Some(self.slot.number().into());
        Columns { name: Some(self.name.as_str()), slot, ..Columns::default() }
    }

    fn detail(&self) -> Map<String, Value> {
        Map::from_iter([("key_name".to_owned(), self.name.as_str().into())])
    }
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
    keys::lock(tx, org).await?;
    let others: Vec<PlatformKey> = keys::list(tx, org, &Filter::default()).await?;
    let is_free = |slot: &Slot| others.iter().all(|key| key.kind.slot != *slot);
    let slot = Slot::ALL.into_iter().find(is_free).ok_or(Error::KeyLimit)?;
    let name = new.name.unwrap_or_else(|| free_name(slot, &others));
    if new.is_active {
        deactivate_others(tx, caller, None).await?;
    }
    let taken = name_taken(&name);
    let new = keys::NewKey {
        kind: Slotted { slot, name },
        is_active: new.is_active,
        controls: Controls::default(),
    };
    // The schema has the last word about the slots, the names and the one active key.
    keys::create(tx, caller, minting, new).await.map_err(|error| error.on_name(|| taken))
}

/// The name of the slot, or of the other one, where somebody gave this slot's name to its neighbour.
fn free_name(slot: Slot, keys: &[PlatformKey]) -> KeyName {
    let own = slot.default_name();
    let is_taken = |name: &KeyName| keys.iter().any(|key| key.kind.name == *name);
    let other = Slot::ALL.into_iter().map(Slot::default_name).find(|name| !is_taken(name));
    if is_taken(&own) { other.unwrap_or(own) } else { own }
}

fn name_taken(name: &KeyName) -> Error {
    Error::AlreadyExists { what: "A platform key", name: name.to_string() }
}

/// Lists the keys of the admin's organization, oldest first.
pub async fn list(tx: &mut Tx, admin: &Admin) -> Result<Vec<PlatformKey>> {
    keys::list(tx, admin.org(), &Filter::default()).await
}

/// One key of the admin's organization.
pub async fn get(tx: &mut Tx, admin: &Admin, id: Id<id::PlatformKey>) -> Result<PlatformKey> {
    keys::find(tx, admin.org(), id).await
}

/// Replaces the secret of a key and leaves everything else as it is.
pub async fn refresh(
    tx: &mut Tx,
    admin: &Admin,
    minting: Minting<'_>,
    id: Id<id::PlatformKey>,
    overlap: Overlap,
) -> Result<Issued> {
    keys::lock(tx, admin.org()).await?;
    keys::rotate(tx, admin.caller(), minting, id, overlap).await
}

/// Takes a refresh back, or ends its overlap, while the old secret still works.
pub async fn settle(
    tx: &mut Tx,
    admin: &Admin,
    id: Id<id::PlatformKey>,
    how: Settle,
) -> Result<PlatformKey> {
    keys::lock(tx, admin.org()).await?;
    keys::settle(tx, admin.caller(), id, how).await
}

/// Who uses which secret of a key.
pub async fn meter(tx: &mut Tx, admin: &Admin, id: Id<id::PlatformKey>) -> Result<Meter<Slotted>> {
    keys::meter(tx, admin.org(), id).await
}

/// Switches a key on, and the other one off in the same transaction. Doing it twice is the same as
/// once.
pub async fn activate(tx: &mut Tx, admin: &Admin, id: Id<id::PlatformKey>) -> Result<()> {
    keys::lock(tx, admin.org()).await?;
    let key = get(tx, admin, id).await?;
    if key.is_active {
        return Ok(());
    }
    deactivate_others(tx, admin.caller(), Some(id)).await?;
    set_active(tx, admin.caller(), key, true).await
}

/// Switches a key off. Doing it twice is the same as once.
pub async fn deactivate(tx: &mut Tx, admin: &Admin, id: Id<id::PlatformKey>) -> Result<()> {
    keys::lock(tx, admin.org()).await?;
    let key = get(tx, admin, id).await?;
    if !key.is_active {
        return Ok(());
    }
    set_active(tx, admin.caller(), key, false).await
}

async fn deactivate_others(
    tx: &mut Tx,
    caller: &Caller,
    but: Option<Id<id::PlatformKey>>,
) -> Result<()> {
    let others: Vec<PlatformKey> = keys::list(tx, caller.org.number, &Filter::default()).await?;
    for key in others.into_iter().filter(|key| key.is_active && Some(key.id) != but) {
        set_active(tx, caller, key, false).await?;
    }
    Ok(())
}

async fn set_active(
    tx: &mut Tx,
    caller: &Caller,
    mut key: PlatformKey,
    active: bool,
) -> Result<()> {
    match keys::set_active(tx, caller, &mut key, active).await {
        Ok(()) => Ok(()),
        Err(CreateError::Other(error)) => Err(error),
        Err(CreateError::Row(error)) => Err(error).on_conflict(|| Error::Conflict {
            detail: "Another key was activated at the same time. Look again.",
        }),
    }
}

/// Deletes a key, active or not. Nothing takes its place.
pub async fn delete(tx: &mut Tx, admin: &Admin, id: Id<id::PlatformKey>) -> Result<()> {
    keys::lock(tx, admin.org()).await?;
    let key = get(tx, admin, id).await?;
    keys::delete(tx, admin.caller(), &key).await
}

/// Puts the changes to the keys of an organization into one order, for somebody who gives one up.
pub(crate) async fn lock_for(tx: &mut Tx, possession: &Possession) -> Result<()> {
    keys::lock(tx, possession.org()).await
}

/// Whether `secret` is the current secret of a key; for somebody who found one and wonders.
pub async fn is_secret_of(
    tx: &mut Tx,
    admin: &Admin,
    peppers: &Peppers,
    id: Id<id::PlatformKey>,
    secret: &SecretKey,
) -> Result<bool> {
    keys::is_secret_of::<Slotted>(tx, admin.org(), peppers, id, secret).await
}
