//! Deployment keys: how programs call one deployment.
//!
//! A deployment has as many keys as its owners like; each opens that deployment and nothing else. The
//! secret of a key is shown once, in the answer that makes it. Who may see a deployment may see that
//! it has keys; who may change it may make, change and delete them.

pub mod api;
mod store;

use std::time::Duration;

use keydock_core::{
    id::{self, Id, OrgNumber},
    secret::{KeyKind, SecretKey},
    text::KeyDescription,
    time::Timestamp,
};
use keydock_storage::db::Tx;
use serde_json::json;

pub use self::store::{entries, find_entry, record_uses};
use crate::{
    Error, Result,
    access::{Caller, Member, changes, secrets::Minting},
    audit_log::{self, Action, Subject},
    deployments,
    workflows::replace,
};

/// What is said of a key that is not there or not to be seen.
const NOT_FOUND: Error = Error::NotFound { what: "API deployment key" };

/// A deployment key, without its secret.
#[derive(Clone, Debug)]
pub struct DeploymentKey {
    /// Its id, which a rotation does not change.
    pub id: Id<id::DeploymentKey>,
    /// The deployment that it opens.
    pub deployment: Id<id::Deployment>,
    /// Whom it was given to.
    pub description: KeyDescription,
    /// Whether it works.
    pub is_active: bool,
    /// The end of its secret, for telling keys apart.
    pub last_four: String,
    /// The beginning of the secret's SHA-256, for comparing with a secret one holds.
    pub fingerprint: String,
    /// How many secrets it has had.
    pub version: i64,
    /// When it was created.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub modified_at: Timestamp,
    /// Who created it, if they are still known.
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
    pub key: DeploymentKey,
    /// Its secret, to be shown once.
    pub secret: SecretKey,
}

/// What to create.
#[derive(Debug)]
pub struct NewKey {
    /// Whom it is for.
    pub description: KeyDescription,
    /// Whether it works at once.
    pub is_active: bool,
}

/// What to change; the rest stays.
#[derive(Debug, Default)]
pub struct Changes {
    /// Whom it is for.
    pub description: Option<KeyDescription>,
    /// Whether it works.
    pub is_active: Option<bool>,
}

/// A key that the caller may change, with the proof that they may. Its deployment is locked until
/// the transaction ends.
#[derive(Debug)]
pub struct Managed {
    key: DeploymentKey,
    deployment: deployments::Managed,
}

impl Managed {
    /// The key.
    pub fn key(&self) -> &DeploymentKey {
        &self.key
    }

    fn caller(&self) -> &Caller {
        self.deployment.caller()
    }

    fn org(&self) -> OrgNumber {
        self.caller().org.number
    }
}

/// A deployment that the caller may change and that no key opens, until the transaction ends.
#[derive(Debug)]
pub struct Keyless(deployments::Managed);

impl Keyless {
    /// The deployment.
    pub(crate) fn into_deployment(self) -> deployments::Managed {
        self.0
    }
}

/// Lists the keys of a deployment that the member may see, oldest first.
pub async fn list(
    tx: &mut Tx,
    member: &Member,
    deployment: Id<id::Deployment>,
) -> Result<Vec<DeploymentKey>> {
    let deployment = deployments::get(tx, member, deployment).await?;
    store::list(tx, deployment.org, deployment.id).await
}

/// One key of a deployment that the member may see.
pub async fn get(tx: &mut Tx, member: &Member, id: Id<id::DeploymentKey>) -> Result<DeploymentKey> {
    let key = store::find(tx, member.org(), id).await?.ok_or(NOT_FOUND)?;
    deployments::find(tx, member, key.deployment).await?.map(|_| key).ok_or(NOT_FOUND)
}

/// One key of a deployment that the member may change.
pub async fn manage(tx: &mut Tx, member: &Member, id: Id<id::DeploymentKey>) -> Result<Managed> {
    let found = store::find(tx, member.org(), id).await?.ok_or(NOT_FOUND)?;
    let deployment = deployments::find_managed(tx, member, found.deployment).await?;
    let deployment = deployment.ok_or(NOT_FOUND)?;
    // Only what is read after the deployment was locked is sure to last.
    let key = store::find(tx, member.org(), id).await?.ok_or(NOT_FOUND)?;
    Ok(Managed { key, deployment })
}

/// Creates a key.
pub async fn create(
    tx: &mut Tx,
    deployment: &deployments::Managed,
    minting: Minting<'_>,
    new: NewKey,
) -> Result<Issued> {
    let caller = deployment.caller();
    let minted = minting.mint(tx, KeyKind::Deployment);
    let key = DeploymentKey {
        id: tx.new_id(),
        deployment: deployment.deployment().id,
        description: new.description,
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
    store::insert(tx, caller, &key, &minted.digest).await?;
    record(tx, caller, Action::DeploymentKeyCreated, &key, json!({"is_active": key.is_active}))
        .await?;
    changes::record(tx, &minted.digest);
    let key = store::find(tx, caller.org.number, key.id).await?.ok_or(NOT_FOUND)?;
    Ok(Issued { key, secret: minted.secret })
}

/// Changes a key. Changes that change nothing leave no trace.
pub async fn update(tx: &mut Tx, managed: Managed, changes: Changes) -> Result<DeploymentKey> {
    let mut key = managed.key.clone();
    let mut touched = Vec::new();
    replace(&mut key.description, changes.description, "description", &mut touched);
    replace(&mut key.is_active, changes.is_active, "is_active", &mut touched);
    if touched.is_empty() {
        return Ok(key);
    }
    key.modified_at = tx.now();
    store::update(tx, managed.org(), &key).await?;
    let detail = json!({"changed": touched, "is_active": key.is_active});
    record(tx, managed.caller(), Action::DeploymentKeyChanged, &key, detail).await?;
    if touched.contains(&"is_active") {
        record_change(tx, managed.org(), key.id).await?;
    }
    Ok(key)
}

/// Replaces the secret of a key and leaves everything else as it is. The old secret works for
/// another `grace`, which is usually none.
pub async fn rotate(
    tx: &mut Tx,
    managed: Managed,
    minting: Minting<'_>,
    grace: Duration,
) -> Result<Issued> {
    let (org, id) = (managed.org(), managed.key.id);
    let old = store::digests(tx, org, id).await?.ok_or(NOT_FOUND)?;
    let until = tx.now().after(grace);
    let minted = minting.mint(tx, KeyKind::Deployment);
    store::replace_secret(tx, org, id, &minted, until).await?;
    let key = store::find(tx, org, id).await?.ok_or(NOT_FOUND)?;
    let detail = json!({"version": key.version, "grace_seconds": grace.as_secs()});
    record(tx, managed.caller(), Action::DeploymentKeyRotated, &key, detail).await?;
    old.record_change(tx);
    changes::record(tx, &minted.digest);
    Ok(Issued { key, secret: minted.secret })
}

/// Deletes a key, active or not.
pub async fn delete(tx: &mut Tx, managed: Managed) -> Result<()> {
    let caller = managed.caller();
    record_change(tx, managed.org(), managed.key.id).await?;
    delete_row(tx, caller, &managed.key).await
}

/// Deletes every key of a deployment. Without the proof that this makes, no deployment is deleted.
pub async fn revoke_all_of(tx: &mut Tx, deployment: deployments::Managed) -> Result<Keyless> {
    let (org, id) = (deployment.deployment().org, deployment.deployment().id);
    let digests = store::digests_of(tx, org, id).await?;
    // One by one and oldest first, the order in which uses of keys are written down.
    for key in store::list(tx, org, id).await? {
        delete_row(tx, deployment.caller(), &key).await?;
    }
    for digests in digests {
        digests.record_change(tx);
    }
    Ok(Keyless(deployment))
}

async fn delete_row(tx: &mut Tx, caller: &Caller, key: &DeploymentKey) -> Result<()> {
    store::delete(tx, caller.org.number, key.id).await?;
    let detail = json!({"was_active": key.is_active});
    record(tx, caller, Action::DeploymentKeyDeleted, key, detail).await
}

async fn record_change(tx: &mut Tx, org: OrgNumber, id: Id<id::DeploymentKey>) -> Result<()> {
    if let Some(digests) = store::digests(tx, org, id).await? {
        digests.record_change(tx);
    }
    Ok(())
}

async fn record(
    tx: &mut Tx,
    caller: &Caller,
    action: Action,
    key: &DeploymentKey,
    mut detail: serde_json::Value,
) -> Result<()> {
    detail["deployment"] = key.deployment.to_string().into();
    detail["description"] = key.description.as_str().into();
    let subject = Subject::new("deployment_key", &key.id);
    audit_log::record(tx, caller, action, subject, detail).await
}
