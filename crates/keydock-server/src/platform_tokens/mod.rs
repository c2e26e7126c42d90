//! Platform tokens: keys of an organization that end by themselves, within the hour.
//!
//! Nobody makes one for themselves: pipelines get them in exchange for what they can prove, see
//! `ci_trusts`. Admins see them and can revoke them. They have a tier, as platform API keys have, and
//! whatever they do is done in the name of the account of their trust.

pub mod api;
mod store;

use std::time::Duration;

use keydock_core::{
    id::{self, Id, OrgNumber},
    role::Tier,
    secret::{KeyDigest, KeyKind, SecretForm, SecretKey},
    time::Timestamp,
};
use keydock_storage::db::Tx;
use serde_json::{Map, Value, json};

pub use self::store::{entries, find_entry, forget_old, record_uses};
use crate::{
    Error, Result,
    access::{
        Admin, Asker, Caller, Possession, changes,
        leaks::{Effect, OnLeak},
        secrets::Minting,
    },
    audit_log::{self, Action, KeyVerb, Subject},
    keys::Facts,
};

/// For how long a token is listed after its end.
pub const KEEP: Duration = Duration::from_hours(7 * 24);

const NOT_FOUND: Error = Error::NotFound { what: "Object" };

/// A token, without its secret.
#[derive(Clone, Debug)]
pub struct PlatformToken {
    /// Its id.
    pub id: Id<id::PlatformToken>,
    /// The trust by which it was granted.
    pub trust: Id<id::CiTrust>,
    /// What that is called.
    pub trust_name: String,
    /// How much it opens.
    pub tier: Tier,
    /// The end of its secret, for telling tokens apart.
    pub last_four: String,
    /// The beginning of the secret's SHA-256.
    pub fingerprint: String,
    /// For whom it was granted, as far as the issuer said.
    pub claims: Map<String, Value>,
    /// When it was granted.
    pub created_at: Timestamp,
    /// When it ends.
    pub expires_at: Timestamp,
    /// When it was revoked.
    pub revoked_at: Option<Timestamp>,
    /// When it was last used.
    pub last_used_at: Option<Timestamp>,
    /// Where it was last used from.
    pub last_used_ip: Option<String>,
    /// How often it was used.
    pub use_count: i64,
}

/// What to grant.
#[derive(Debug)]
pub(crate) struct Grant {
    pub(crate) trust: Id<id::CiTrust>,
    pub(crate) trust_name: String,
    pub(crate) tier: Tier,
    pub(crate) lifetime: Duration,
    pub(crate) claims: Map<String, Value>,
}

/// A token with the only copy of its secret.
#[derive(Debug)]
pub struct Issued {
    /// The token.
    pub token: PlatformToken,
    /// Its secret.
    pub secret: SecretKey,
}

/// Lists the newest tokens of the admin's organization, newest first.
pub async fn list(tx: &mut Tx, admin: &Admin) -> Result<Vec<PlatformToken>> {
    store::list(tx, admin.org(), 200).await
}

/// Revokes a token. Doing it twice is the same as once.
pub async fn revoke(tx: &mut Tx, admin: &Admin, id: Id<id::PlatformToken>) -> Result<()> {
    let (token, digest) = store::find(tx, admin.org(), id).await?.ok_or(NOT_FOUND)?;
    end(tx, admin.caller(), &token, &digest).await
}

/// Revokes the token whose secret was presented.
pub(crate) async fn give_up(tx: &mut Tx, possession: &Possession) -> Result<()> {
    let found = store::find(tx, possession.org(), possession.key().widen()).await?;
    let Some((token, digest)) = found else { return Ok(()) };
    end(tx, possession.caller(), &token, &digest).await
}

/// What a token is called, and when it was made; for a program of its organization that asks.
pub(crate) async fn facts(
    tx: &mut Tx,
    asker: &Asker,
    id: Id<id::PlatformToken>,
) -> Result<Option<Facts>> {
    let found = store::find(tx, asker.org(), id).await?;
    Ok(found.map(|(token, _)| Facts { name: token.trust_name, created_at: token.created_at }))
}

/// Revokes every token of a trust.
pub(crate) async fn revoke_all_of(
    tx: &mut Tx,
    caller: &Caller,
    trust: Id<id::CiTrust>,
) -> Result<()> {
    for (token, digest) in store::live_of(tx, caller.org.number, trust).await? {
        end(tx, caller, &token, &digest).await?;
    }
    Ok(())
}

async fn end(
    tx: &mut Tx,
    caller: &Caller,
    token: &PlatformToken,
    digest: &KeyDigest,
) -> Result<()> {
    if token.revoked_at.is_some() || token.expires_at <= tx.now() {
        return Ok(());
    }
    store::revoke(tx, caller.org.number, token.id).await?;
    changes::record(tx, digest);
    record(tx, caller, KeyVerb::Deactivated, token, json!({})).await
}

/// Grants a token.
pub(crate) async fn grant(
    tx: &mut Tx,
    caller: &Caller,
    minting: Minting<'_>,
    grant: Grant,
) -> Result<Issued> {
    // Always with a prefix and a checksum: it is written into logs of pipelines more than others.
    let minting = Minting { form: SecretForm::Prefixed, ..minting };
    let minted = minting.mint(tx, KeyKind::PlatformToken);
    let token = PlatformToken {
        id: tx.new_id(),
        trust: grant.trust,
        trust_name: grant.trust_name,
        tier: grant.tier,
        last_four: minted.last_four.clone(),
        fingerprint: minted.fingerprint.clone(),
        claims: grant.claims,
        created_at: tx.now(),
        expires_at: tx.now().after(grant.lifetime),
        revoked_at: None,
        last_used_at: None,
        last_used_ip: None,
        use_count: 0,
    };
    store::insert(tx, caller.org.number, &token, &minted).await?;
    changes::record(tx, &minted.digest);
    let detail = json!({"claims": token.claims, "lifetime_seconds": grant.lifetime.as_secs()});
    record(tx, caller, KeyVerb::Created, &token, detail).await?;
    Ok(Issued { token, secret: minted.secret })
}

/// Stops a token that leaked. Whoever holds it may ask for this.
pub(crate) async fn stop_leaked(
    tx: &mut Tx,
    finder: &Caller,
    id: Id<id::PlatformToken>,
    on_leak: OnLeak,
) -> Result<()> {
    let org: OrgNumber = finder.org.number;
    let Some((token, digest)) = store::find(tx, org, id).await? else { return Ok(()) };
    let effect = if token.revoked_at.is_some() || token.expires_at <= tx.now() {
        Effect::AlreadyOff
    } else if on_leak == OnLeak::Warn {
        Effect::Warned
    } else {
        store::revoke(tx, org, id).await?;
        changes::record(tx, &digest);
        Effect::Disabled
    };
    let detail = json!({"key_name": token.trust_name, "last_four": token.last_four,
                        "effect": effect.as_str()});
    let action = Action::Key(KeyKind::PlatformToken, KeyVerb::ReportedLeaked);
    let subject = Subject::new("platform_token", &id);
    audit_log::record_leak(tx, finder, action, subject, effect, detail).await
}

async fn record(
    tx: &mut Tx,
    caller: &Caller,
    verb: KeyVerb,
    token: &PlatformToken,
    mut detail: Value,
) -> Result<()> {
    detail["key_name"] = token.trust_name.as_str().into();
    detail["permission"] = token.tier.as_str().into();
    detail["last_four"] = token.last_four.as_str().into();
    let action = Action::Key(KeyKind::PlatformToken, verb);
    audit_log::record(tx, caller, action, Subject::new("platform_token", &token.id), detail).await
}
