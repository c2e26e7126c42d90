//! Trust in pipelines: they get a short token for what their issuer says of them, and need no stored
//! key.
//!
//! A pipeline has a token of its own, signed by whoever runs it (GitHub, GitLab, or any issuer of
//! `OpenID` Connect). An admin says whose tokens are trusted, what must be true of them, and what is
//! granted for how long; [`exchange()`] does the rest.

pub mod api;
mod exchange;
mod issuers;
mod jwt;
mod store;

use std::time::Duration;

use keydock_core::{
    id::{self, Id, UserNumber},
    role::Tier,
    text::ApiKeyName,
    time::Timestamp,
    trusts::Condition,
};
use keydock_storage::db::{OnConflict as _, Tx};
use serde_json::{Value, json};

pub use self::{
    exchange::{Asked, exchange},
    issuers::Issuers,
    store::forget_old,
};
use crate::{
    Error, FieldError, Result,
    access::{Admin, Caller},
    audit_log::{self, Action, Subject},
    keys::set,
    outbound::Target,
    platform_api_keys, platform_tokens,
};

/// How many trusts an organization may have.
pub const MOST: usize = 20;
/// How long what is granted may last.
pub const MAX_LIFETIME: Duration = Duration::from_hours(1);
/// How long it lasts at least.
pub const MIN_LIFETIME: Duration = Duration::from_mins(1);
/// How long it lasts if nobody says otherwise.
pub const LIFETIME: Duration = Duration::from_mins(15);

const NOT_FOUND: Error = Error::NotFound { what: "Object" };

/// Whose tokens are trusted, and for what.
#[derive(Clone, Debug)]
pub struct CiTrust {
    /// Its id.
    pub id: Id<id::CiTrust>,
    /// What it is called.
    pub name: ApiKeyName,
    /// Who signs the tokens.
    pub issuer: String,
    /// Whom they are for.
    pub audience: String,
    /// What else must be true of them.
    pub conditions: Vec<Condition>,
    /// What is granted.
    pub tier: Tier,
    /// For how long.
    pub lifetime: Duration,
    /// The account that owns what is created with it.
    pub service: UserNumber,
    /// Whether anything is granted.
    pub is_enabled: bool,
    /// Who created it, if they are still known.
    pub created_by: Option<UserNumber>,
    /// When it was created.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub modified_at: Timestamp,
}

/// What to trust.
#[derive(Debug)]
pub struct NewTrust {
    /// What it is called.
    pub name: ApiKeyName,
    /// Who signs the tokens, exactly as they write it.
    pub issuer: String,
    /// The same as an address that may be called.
    pub target: Target,
    /// Whom the tokens are for.
    pub audience: String,
    /// What else must be true of them.
    pub conditions: Vec<Condition>,
    /// What is granted.
    pub tier: Tier,
    /// For how long.
    pub lifetime: Duration,
    /// Whether anything is granted.
    pub is_enabled: bool,
}

/// What to change; the rest stays.
#[derive(Debug, Default)]
pub struct Changes {
    /// Whom the tokens are for.
    pub audience: Option<String>,
    /// What else must be true of them.
    pub conditions: Option<Vec<Condition>>,
    /// What is granted.
    pub tier: Option<Tier>,
    /// For how long.
    pub lifetime: Option<Duration>,
    /// Whether anything is granted.
    pub is_enabled: Option<bool>,
}

/// Lists the trusts of the admin's organization, oldest first.
pub async fn list(tx: &mut Tx, admin: &Admin) -> Result<Vec<CiTrust>> {
    store::list(tx, admin.org()).await
}

/// One trust of the admin's organization.
pub async fn get(tx: &mut Tx, admin: &Admin, id: Id<id::CiTrust>) -> Result<CiTrust> {
    store::find(tx, admin.org(), id).await?.ok_or(NOT_FOUND)
}

/// Trusts an issuer, and makes the account that owns what is created with its tokens.
pub async fn create(tx: &mut Tx, admin: &Admin, new: NewTrust) -> Result<CiTrust> {
    store::lock(tx, admin.org()).await?;
    if store::list(tx, admin.org()).await?.len() >= MOST {
        return Err(Error::forbidden(format!(
            "This organization trusts {MOST} issuers already. Delete one first."
        )));
    }
    let trust = CiTrust {
        id: tx.new_id(),
        service: platform_api_keys::open_account(tx, admin, &new.name).await?,
        name: new.name,
        issuer: new.issuer,
        audience: new.audience,
        conditions: new.conditions,
        tier: new.tier,
        lifetime: new.lifetime,
        is_enabled: new.is_enabled,
        created_by: admin.caller().user(),
        created_at: tx.now(),
        modified_at: tx.now(),
    };
    store::insert(tx, admin.caller(), &trust).await.on_constraint("name", || {
        let words = "There is a trust with this name. Choose another name.";
        Error::from(FieldError::invalid("name", words))
    })?;
    let detail = json!({"issuer": trust.issuer, "audience": trust.audience,
                        "conditions": Condition::to_object(&trust.conditions),
                        "lifetime_seconds": trust.lifetime.as_secs()});
    record(tx, admin.caller(), Action::CiTrustCreated, &trust, detail).await?;
    Ok(trust)
}

/// Changes a trust. What was granted before stays, unless the trust is switched off or grants less.
pub async fn update(
    tx: &mut Tx,
    admin: &Admin,
    id: Id<id::CiTrust>,
    changes: Changes,
) -> Result<CiTrust> {
    store::lock(tx, admin.org()).await?;
    let mut trust = get(tx, admin, id).await?;
    let before = trust.tier;
    let mut touched = Vec::new();
    set(&mut trust.audience, changes.audience, "audience", &mut touched);
    set(&mut trust.conditions, changes.conditions, "conditions", &mut touched);
    set(&mut trust.tier, changes.tier, "permission", &mut touched);
    set(&mut trust.lifetime, changes.lifetime, "lifetime_seconds", &mut touched);
    set(&mut trust.is_enabled, changes.is_enabled, "is_enabled", &mut touched);
    if touched.is_empty() {
        return Ok(trust);
    }
    trust.modified_at = tx.now();
    store::update(tx, admin.org(), &trust).await?;
    if !trust.is_enabled || trust.tier < before {
        platform_tokens::revoke_all_of(tx, admin.caller(), id).await?;
    }
    let detail = json!({"changed": touched, "is_enabled": trust.is_enabled,
                        "conditions": Condition::to_object(&trust.conditions)});
    record(tx, admin.caller(), Action::CiTrustChanged, &trust, detail).await?;
    Ok(trust)
}

/// Deletes a trust and ends what was granted by it. What its account owns goes to whoever created the
/// trust, or to the admin.
pub async fn delete(tx: &mut Tx, admin: &Admin, id: Id<id::CiTrust>) -> Result<()> {
    store::lock(tx, admin.org()).await?;
    let trust = get(tx, admin, id).await?;
    platform_tokens::revoke_all_of(tx, admin.caller(), id).await?;
    store::delete(tx, admin.org(), id).await?;
    platform_api_keys::close_account(tx, admin, trust.service, trust.created_by).await?;
    record(tx, admin.caller(), Action::CiTrustDeleted, &trust, json!({})).await
}

async fn record(
    tx: &mut Tx,
    caller: &Caller,
    action: Action,
    trust: &CiTrust,
    mut detail: Value,
) -> Result<()> {
    detail["name"] = trust.name.as_str().into();
    detail["permission"] = trust.tier.as_str().into();
    audit_log::record(tx, caller, action, Subject::new("ci_trust", &trust.id), detail).await
}
