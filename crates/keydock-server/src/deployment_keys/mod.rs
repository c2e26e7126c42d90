//! Deployment keys: how programs call one deployment.
//!
//! A deployment has as many keys as its owners like; each opens that deployment and nothing else. The
//! secret of a key is shown once, in the answer that makes it. Who may see a deployment may see that
//! it has keys; who may change it may make, change and delete them.

pub mod api;

use keydock_core::{
    id::{self, Id},
    secret::KeyKind,
    text::KeyDescription,
};
use keydock_storage::db::{self, FromRow, Row, Tx};
use serde_json::{Map, Value};

use crate::{
    Error, Result,
    access::{Caller, Member, secrets::Minting},
    deployments,
    keys::{
        self, BulkAction, Columns, ControlChanges, Controls, Filter, Kind, Listed, Meter, Overlap,
        Settle, set,
    },
};

/// What is said of a key that is not there or not to be seen.
const NOT_FOUND: Error = Error::NotFound { what: "API deployment key" };

/// What is of deployment keys only.
#[derive(Clone, Debug)]
pub struct OfDeployment {
    /// The deployment that it opens.
    pub deployment: Id<id::Deployment>,
    /// Whom it was given to.
    pub description: KeyDescription,
}

/// A deployment key, without its secret.
pub type DeploymentKey = keys::Key<OfDeployment>;

/// A deployment key that has a new secret, with the only copy of it.
pub type Issued = keys::Issued<OfDeployment>;

impl Kind for OfDeployment {
    type Id = id::DeploymentKey;

    const KIND: KeyKind = KeyKind::Deployment;
    const NOT_FOUND: Error = NOT_FOUND;

    fn columns(&self) -> Columns<'_> {
        Columns {
            description: self.description.as_str(),
            deployment: Some(self.deployment),
            ..Columns::default()
        }
    }

    fn detail(&self) -> Map<String, Value> {
        Map::from_iter([
            ("deployment".to_owned(), self.deployment.to_string().into()),
            ("description".to_owned(), self.description.as_str().into()),
        ])
    }
}

impl FromRow for OfDeployment {
    fn from_row(row: &Row) -> Result<Self, db::Error> {
        Ok(Self { deployment: row.parse("deployment_id")?, description: row.parse("description")? })
    }
}

/// What to create.
#[derive(Debug)]
pub struct NewKey {
    /// Whom it is for.
    pub description: KeyDescription,
    /// Whether it works at once.
    pub is_active: bool,
    /// Until when, from where and how often it works.
    pub controls: Controls,
}

/// What to change; the rest stays.
#[derive(Debug, Default)]
pub struct Changes {
    /// Whom it is for.
    pub description: Option<KeyDescription>,
    /// Whether it works.
    pub is_active: Option<bool>,
    /// Until when, from where and how often it works.
    pub controls: ControlChanges,
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
    filter: Filter,
) -> Result<Listed<OfDeployment>> {
    let deployment = deployments::get(tx, member, deployment).await?;
    let filter = Filter { deployment: Some(deployment.id), ..filter };
    keys::list_page(tx, deployment.org, &filter).await
}

/// Does the same to several keys of a deployment, or to none if one of them is not there.
pub async fn bulk(
    tx: &mut Tx,
    deployment: &deployments::Managed,
    ids: &[Id<id::DeploymentKey>],
    action: BulkAction,
) -> Result<usize> {
    let mut all: Vec<DeploymentKey> = Vec::with_capacity(ids.len());
    for id in ids {
        let key: DeploymentKey = keys::find(tx, deployment.deployment().org, *id).await?;
        if key.kind.deployment != deployment.deployment().id {
            return Err(NOT_FOUND);
        }
        all.push(key);
    }
    keys::act_on_all(tx, deployment.caller(), all, action).await
}

/// One key of a deployment that the member may see.
pub async fn get(tx: &mut Tx, member: &Member, id: Id<id::DeploymentKey>) -> Result<DeploymentKey> {
    let key: DeploymentKey = keys::find(tx, member.org(), id).await?;
    let deployment = deployments::find(tx, member, key.kind.deployment).await?;
    deployment.map(|_| key).ok_or(NOT_FOUND)
}

/// One key of a deployment that the member may change.
pub async fn manage(tx: &mut Tx, member: &Member, id: Id<id::DeploymentKey>) -> Result<Managed> {
    let found: DeploymentKey = keys::find(tx, member.org(), id).await?;
    let deployment = deployments::find_managed(tx, member, found.kind.deployment).await?;
    let deployment = deployment.ok_or(NOT_FOUND)?;
    // Only what is read after the deployment was locked is sure to last.
    let key = keys::find(tx, member.org(), id).await?;
    Ok(Managed { key, deployment })
}

/// Creates a key.
pub async fn create(
    tx: &mut Tx,
    deployment: &deployments::Managed,
    minting: Minting<'_>,
    new: NewKey,
) -> Result<Issued> {
    let kind =
        OfDeployment { deployment: deployment.deployment().id, description: new.description };
    let new = keys::NewKey { kind, is_active: new.is_active, controls: new.controls };
    let created = keys::create(tx, deployment.caller(), minting, new).await;
    // Its name is nobody's concern.
    created.map_err(|error| error.on_name(|| NOT_FOUND))
}

/// Changes a key. Changes that change nothing leave no trace.
pub async fn update(tx: &mut Tx, managed: Managed, changes: Changes) -> Result<DeploymentKey> {
    let mut key = managed.key.clone();
    let mut touched = Vec::new();
    set(&mut key.kind.description, changes.description, "description", &mut touched);
    set(&mut key.is_active, changes.is_active, "is_active", &mut touched);
    changes.controls.apply(&mut key.controls, &mut touched);
    if !touched.is_empty() {
        keys::save(tx, managed.caller(), &mut key, &touched).await?;
    }
    Ok(key)
}

/// Replaces the secret of a key and leaves everything else as it is.
pub async fn rotate(
    tx: &mut Tx,
    managed: Managed,
    minting: Minting<'_>,
    overlap: Overlap,
) -> Result<Issued> {
    keys::rotate(tx, managed.caller(), minting, managed.key.id, overlap).await
}

/// Takes a rotation back, or ends its overlap, while the old secret still works.
pub async fn settle(tx: &mut Tx, managed: Managed, how: Settle) -> Result<DeploymentKey> {
    keys::settle(tx, managed.caller(), managed.key.id, how).await
}

/// Who uses which secret of a key; for those who may change it.
pub async fn meter(tx: &mut Tx, managed: &Managed) -> Result<Meter<OfDeployment>> {
    keys::meter(tx, managed.caller().org.number, managed.key.id).await
}

/// Deletes a key, active or not.
pub async fn delete(tx: &mut Tx, managed: Managed) -> Result<()> {
    keys::delete(tx, managed.caller(), &managed.key).await
}

/// Deletes every key of a deployment. Without the proof that this makes, no deployment is deleted.
pub async fn revoke_all_of(tx: &mut Tx, deployment: deployments::Managed) -> Result<Keyless> {
    let (org, id) = (deployment.deployment().org, deployment.deployment().id);
    // One by one and oldest first, the order in which uses of keys are written down.
    let of_deployment = Filter { deployment: Some(id), ..Filter::default() };
    let all: Vec<DeploymentKey> = keys::list(tx, org, &of_deployment).await?;
    for key in all {
        keys::delete(tx, deployment.caller(), &key).await?;
    }
    keys::announce_scoped(tx, org, id).await?;
    Ok(Keyless(deployment))
}
