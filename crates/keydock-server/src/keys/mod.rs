//! What keys of all kinds have in common: one table, one life.
//!
//! A key is made, used, rotated, switched off and deleted in the same way, whatever it opens. The
//! operations here take any caller; the features of the kinds (`platform_keys`, `deployment_keys`,
//! `platform_api_keys`, `org_deployment_keys`) are the way to them and demand their proofs.

pub mod api;
pub mod controls;
mod leaked;
mod noted;
mod rotation;
mod store;

use std::fmt::Debug;

use keydock_core::{
    id::{self, Id, OrgNumber, UserNumber},
    secret::{KeyKind, SecretKey},
    time::Timestamp,
};
use keydock_storage::db::{self, FromRow, Tx};
use serde_json::{Map, Value, json};

pub use self::{
    controls::{ControlChanges, Controls, Limits},
    noted::{Noted, Reminder},
    rotation::{CallerUses, HourUses, MAX_GRACE, Meter, Overlap, Settle},
    store::{
        count_all, entries, find_entry,
        sealed::forget_sealed,
        uses::{forget_uses, record_uses},
    },
};
pub(crate) use self::{
    controls::{DORMANT, set},
    leaked::stop_leaked,
    noted::{OfAnyKind, idle_since, record_of_any},
    rotation::{meter, rotate, secrets_of, settle},
    store::{
        announce_scoped, hand_over, lock, opens,
        quotas::take_quota,
        sealed::{Sealed, find_sealed, keep_sealed},
        uses::by_key as uses_by_key,
    },
};
use crate::{
    Error, Result,
    access::{
        Asker, Caller, Possession, changes,
        keyring::Opens,
        peppers::Peppers,
        secrets::{Digests, Minting, Which},
    },
    audit_log::{self, Action, KeyVerb, Subject},
};

/// A kind of key: what it says about itself beyond what all keys do.
pub trait Kind: FromRow + Clone + Debug + Send + Sync {
    /// Its identifiers.
    type Id: Clone + Debug + 'static;

    /// The kind.
    const KIND: KeyKind;

    /// What is said of a key that is not there or not to be seen.
    const NOT_FOUND: Error;

    /// Its columns.
    fn columns(&self) -> Columns<'_>;

    /// What the audit log says of it in every event.
    fn detail(&self) -> Map<String, Value>;
}

/// The columns that kinds use differently.
#[derive(Clone, Copy, Debug, Default)]
#[expect(missing_docs, reason = "the columns of the table")]
pub struct Columns<'a> {
    pub name: Option<&'a str>,
    pub description: &'a str,
    pub slot: Option<i64>,
    pub permission: Option<&'a str>,
    pub service_user: Option<UserNumber>,
    pub deployment: Option<Id<id::Deployment>>,
    pub opens_all: bool,
}

/// A key, without its secret.
#[derive(Clone, Debug)]
pub struct Key<K: Kind> {
    /// Its id, which a rotation does not change.
    pub id: Id<K::Id>,
    /// What its kind knows of it.
    pub kind: K,
    /// Whether it works.
    pub is_active: bool,
    /// Until when, from where and how often it works.
    pub controls: Controls,
    /// The end of its secret, for telling keys apart.
    pub last_four: String,
    /// The beginning of the secret's SHA-256, for comparing with a secret one holds.
    pub fingerprint: String,
    /// Which of its secrets it has.
    pub version: i64,
    /// When it was created.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub modified_at: Timestamp,
    /// Who created it, if they are still known.
    pub created_by: Option<UserNumber>,
    /// How others know them.
    pub created_by_email: Option<String>,
    /// Until when the secret before this one works.
    pub previous_until: Option<Timestamp>,
    /// When it was last used.
    pub last_used_at: Option<Timestamp>,
    /// Where it was last used from.
    pub last_used_ip: Option<String>,
    /// By what program it was last used.
    pub last_used_agent: Option<String>,
    /// How often it was used.
    pub use_count: i64,
    /// What the server noted about it.
    pub noted: Noted,
}

/// A key that has a new secret, with the only copy of it.
#[derive(Debug)]
pub struct Issued<K: Kind> {
    /// The key.
    pub key: Key<K>,
    /// Its secret, to be shown once.
    pub secret: SecretKey,
}

/// A key to be made.
#[derive(Debug)]
pub struct NewKey<K> {
    /// What its kind knows of it.
    pub kind: K,
    /// Whether it works at once.
    pub is_active: bool,
    /// Until when, from where and how often.
    pub controls: Controls,
}

/// Which keys are listed.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Those of one deployment.
    pub deployment: Option<Id<id::Deployment>>,
    /// Those whose name, description, last four characters or fingerprint hold this text.
    pub search: Option<String>,
    /// Those that work, or those that do not.
    pub is_active: Option<bool>,
    /// How many, and how many are left out before; all if it is not said.
    pub page: Option<(i64, i64)>,
}

/// Some keys, and how many there are in all.
#[derive(Debug)]
pub struct Listed<K: Kind> {
    /// The keys.
    pub keys: Vec<Key<K>>,
    /// How many the filter finds, pages apart.
    pub total: i64,
}

/// What is done to several keys at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BulkAction {
    /// They are switched on.
    Activate,
    /// They are switched off.
    Deactivate,
    /// They are deleted.
    Delete,
}

/// Makes a key. The schema has the last word about names and slots, which is why its error is given
/// back as it is.
pub(crate) async fn create<K: Kind>(
    tx: &mut Tx,
    caller: &Caller,
    minting: Minting<'_>,
    new: NewKey<K>,
) -> Result<Issued<K>, CreateError> {
    let minted = minting.mint(tx, K::KIND);
    let id: Id<K::Id> = tx.new_id();
    store::insert(tx, caller, id, &new, &minted).await.map_err(CreateError::Row)?;
    changes::record(tx, &minted.digest);
    let key = find::<K>(tx, caller.org.number, id).await?;
    let mut detail = json!({"is_active": key.is_active});
    if key.controls.is_canary {
        detail["canary"] = true.into();
    }
    record(tx, caller, KeyVerb::Created, &key, detail).await?;
    Ok(Issued { key, secret: minted.secret })
}

/// Why a key was not made.
#[derive(Debug)]
pub(crate) enum CreateError {
    /// The schema refused its row.
    Row(db::Error),
    /// Something else.
    Other(Error),
}

impl From<Error> for CreateError {
    fn from(error: Error) -> Self {
        Self::Other(error)
    }
}

impl CreateError {
    /// The error of a name that another key of this kind has, made by `taken`.
    pub(crate) fn on_name(self, taken: impl FnOnce() -> Error) -> Error {
        match self {
            Self::Other(error) => error,
            Self::Row(error) => {
                use keydock_storage::db::OnConflict as _;
                let broken = Err::<(), _>(error).on_constraint("name", taken);
                broken.err().unwrap_or_else(|| Error::internal("a row was refused without cause"))
            }
        }
    }
}

/// The key with this id.
pub(crate) async fn find<K: Kind>(tx: &mut Tx, org: OrgNumber, id: Id<K::Id>) -> Result<Key<K>> {
    store::find(tx, org, id).await?.ok_or(K::NOT_FOUND)
}

/// Keys of this kind, oldest first.
pub(crate) async fn list<K: Kind>(
    tx: &mut Tx,
    org: OrgNumber,
    filter: &Filter,
) -> Result<Vec<Key<K>>> {
    store::list(tx, org, filter).await
}

/// The same, and how many there are.
pub(crate) async fn list_page<K: Kind>(
    tx: &mut Tx,
    org: OrgNumber,
    filter: &Filter,
) -> Result<Listed<K>> {
    let keys = store::list(tx, org, filter).await?;
    let total = match filter.page {
        None => i64::try_from(keys.len()).unwrap_or(i64::MAX),
        Some(_) => store::count::<K>(tx, org, filter).await?,
    };
    Ok(Listed { keys, total })
}

/// Does the same to several keys, each with its own event. Tells how many it changed.
pub(crate) async fn act_on_all<K: Kind>(
    tx: &mut Tx,
    caller: &Caller,
    mut all: Vec<Key<K>>,
    action: BulkAction,
) -> Result<usize> {
    let active = action == BulkAction::Activate;
    let mut changed = 0;
    for key in &mut all {
        if action == BulkAction::Delete {
            delete(tx, caller, key).await?;
        } else if key.is_active != active {
            key.is_active = active;
            save(tx, caller, key, &["is_active"]).await?;
        } else {
            continue;
        }
        changed += 1;
    }
    Ok(changed)
}

/// Writes down what was changed of a key, apart from its secret. `touched` names it.
pub(crate) async fn save<K: Kind>(
    tx: &mut Tx,
    caller: &Caller,
    key: &mut Key<K>,
    touched: &[&'static str],
) -> Result<()> {
    key.controls.confirm(touched)?;
    key.modified_at = tx.now();
    write(tx, caller.org.number, key).await?;
    announce(tx, caller.org.number, key.id).await?;
    let detail = json!({"changed": touched, "is_active": key.is_active});
    record(tx, caller, KeyVerb::Changed, key, detail).await
}

/// Writes a key down, and reads what follows from that: who switches a key on, or moves its end, begins
/// anew what the server notes about it.
async fn write<K: Kind>(tx: &mut Tx, org: OrgNumber, key: &mut Key<K>) -> Result<(), db::Error> {
    store::update(tx, org, key).await?;
    key.controls.is_dormant &= !key.is_active;
    key.noted = store::noted(tx, org, key.id).await?;
    Ok(())
}

/// Switches a key on or off and says so in an event of its own.
pub(crate) async fn set_active<K: Kind>(
    tx: &mut Tx,
    caller: &Caller,
    key: &mut Key<K>,
    active: bool,
) -> Result<(), CreateError> {
    key.is_active = active;
    key.modified_at = tx.now();
    write(tx, caller.org.number, key).await.map_err(CreateError::Row)?;
    announce(tx, caller.org.number, key.id).await?;
    let verb = if active { KeyVerb::Activated } else { KeyVerb::Deactivated };
    Ok(record(tx, caller, verb, key, Value::Null).await?)
}

/// Deletes a key, active or not.
pub(crate) async fn delete<K: Kind>(tx: &mut Tx, caller: &Caller, key: &Key<K>) -> Result<()> {
    announce(tx, caller.org.number, key.id).await?;
    store::delete(tx, caller.org.number, key.id).await?;
    record(tx, caller, KeyVerb::Deleted, key, json!({"was_active": key.is_active})).await
}

/// Switches off the key whose secret was presented, of whatever kind. If that secret was replaced
/// already and its overlap is not over, only the overlap ends: whoever has the new one keeps it.
///
/// Whatever puts the changes to keys of its kind into one order has to be locked.
pub(crate) async fn give_up(tx: &mut Tx, possession: &Possession) -> Result<()> {
    let (org, id) = (possession.org(), possession.key());
    let Some(digests) = digests(tx, org, id).await? else { return Ok(()) };
    let Some(which) = digests.which_of(possession.digests()) else { return Ok(()) };
    let is_changed = match which {
        Which::Current => store::switch_off(tx, org, id).await?,
        Which::Previous => {
            store::end_overlap(tx, org, id).await?;
            true
        }
    };
    if !is_changed {
        return Ok(());
    }
    digests.record_change(tx);
    let opens = possession.opens();
    let mut detail = json!({"secret": which.as_str()});
    if let Some(name) = opens.key_name() {
        detail["key_name"] = name.as_ref().into();
    }
    if let Opens::Deployment(deployment) = opens {
        detail["deployment"] = deployment.to_string().into();
    }
    let action = Action::Key(opens.kind(), KeyVerb::Revoked);
    let subject = Subject::new(subject_kind(opens.kind()), &id);
    audit_log::record(tx, possession.caller(), action, subject, detail).await
}

/// What people call a key, and when it was made; for a program of its organization that asks.
pub(crate) async fn facts(tx: &mut Tx, asker: &Asker, id: Id<id::AnyKey>) -> Result<Option<Facts>> {
    store::facts(tx, asker.org(), id).await
}

/// What is told about a key of any kind.
#[derive(Debug)]
pub struct Facts {
    /// Its name, or, where it has none, its description.
    pub name: String,
    /// When it was made.
    pub created_at: Timestamp,
}

/// Whether `secret` is the current secret of a key; for somebody who found one and wonders.
pub(crate) async fn is_secret_of<K: Kind>(
    tx: &mut Tx,
    org: OrgNumber,
    peppers: &Peppers,
    id: Id<K::Id>,
    secret: &SecretKey,
) -> Result<bool> {
    let digests = digests(tx, org, id).await?.ok_or(K::NOT_FOUND)?;
    Ok(peppers.digests(secret).contains(&digests.current))
}

async fn digests<T>(tx: &mut Tx, org: OrgNumber, id: Id<T>) -> Result<Option<Digests>> {
    store::digests(tx, org, id.widen()).await
}

/// Announces that what the secrets of a key open changes with this transaction.
pub(crate) async fn announce<T>(tx: &mut Tx, org: OrgNumber, id: Id<T>) -> Result<()> {
    if let Some(digests) = digests(tx, org, id).await? {
        digests.record_change(tx);
    }
    Ok(())
}

/// Writes down what happened to a key.
pub(crate) async fn record<K: Kind>(
    tx: &mut Tx,
    caller: &Caller,
    verb: KeyVerb,
    key: &Key<K>,
    detail: Value,
) -> Result<()> {
    let mut members = key.kind.detail();
    members.insert("last_four".to_owned(), key.last_four.as_str().into());
    if let Value::Object(more) = detail {
        members.extend(more);
    }
    let subject = Subject::new(subject_kind(K::KIND), &key.id);
    audit_log::record(tx, caller, Action::Key(K::KIND, verb), subject, members.into()).await
}

/// What a kind of key is called where things are named.
pub const fn subject_kind(kind: KeyKind) -> &'static str {
    match kind {
        KeyKind::Platform => "platform_key",
        KeyKind::PlatformApi => "platform_api_key",
        KeyKind::Deployment => "deployment_key",
        KeyKind::OrgDeployment => "org_deployment_key",
        KeyKind::PlatformToken => "platform_token",
    }
}
