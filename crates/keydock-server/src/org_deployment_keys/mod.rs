//! Organization deployment keys: how one program calls several deployments.
//!
//! Each opens all deployments of its organization, those of the future included, or the ones that are
//! listed. A deployment that is deleted leaves the lists; a key whose list is empty opens nothing. Only
//! admins who are signed in manage these keys.

pub mod api;
mod store;

use keydock_core::{
    id::{self, Id, OrgNumber},
    secret::KeyKind,
    text::{ApiKeyName, ApiKeyPurpose},
};
use keydock_storage::db::Tx;
use serde_json::{Map, Value};

use crate::{
    Error, FieldError, Result,
    access::{Admin, secrets::Minting},
    keys::{
        self, BulkAction, Columns, ControlChanges, Controls, Filter, Kind, Listed, Meter, Overlap,
        Settle, set,
    },
};

/// What is of organization deployment keys only.
#[derive(Clone, Debug)]
pub struct OrgWide {
    /// What people call it.
    pub name: ApiKeyName,
    /// What it is for.
    pub description: ApiKeyPurpose,
    /// Whether it opens every deployment.
    pub opens_all: bool,
    /// Those that it opens otherwise.
    pub deployments: Vec<Reachable>,
}

/// A deployment that a key can open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reachable {
    /// Its id.
    pub id: Id<id::Deployment>,
    /// Its name on pages.
    pub display_name: String,
    /// Its name in URLs.
    pub api_name: String,
    /// Whether it answers.
    pub is_active: bool,
}

/// An organization deployment key, without its secret.
pub type OrgDeploymentKey = keys::Key<OrgWide>;

/// An organization deployment key that has a new secret, with the only copy of it.
pub type Issued = keys::Issued<OrgWide>;

impl Kind for OrgWide {
    type Id = id::OrgDeploymentKey;

    const KIND: KeyKind = KeyKind::OrgDeployment;
    const NOT_FOUND: Error = Error::NotFound { what: "Object" };

    fn columns(&self) -> Columns<'_> {
        Columns {
            name: Some(self.name.as_str()),
            description: self.description.as_str(),
            opens_all: self.opens_all,
            ..Columns::default()
        }
    }

    fn detail(&self) -> Map<String, Value> {
        let names = self.deployments.iter().map(|deployment| deployment.api_name.as_str());
        let opens = if self.opens_all { "all".into() } else { names.collect::<Vec<_>>().into() };
        Map::from_iter([
            ("key_name".to_owned(), self.name.as_str().into()),
            ("deployments".to_owned(), opens),
        ])
    }
}

/// What a key shall open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Scope {
    /// Every deployment.
    All,
    /// These.
    Some(Vec<Id<id::Deployment>>),
}

/// What to create.
#[derive(Debug)]
pub struct NewKey {
    /// What people call it.
    pub name: ApiKeyName,
    /// What it is for.
    pub description: ApiKeyPurpose,
    /// What it opens.
    pub scope: Scope,
    /// Until when, from where and how often it works.
    pub controls: Controls,
}

/// What to change; the rest stays.
#[derive(Debug, Default)]
pub struct Changes {
    /// What it is for.
    pub description: Option<ApiKeyPurpose>,
    /// Whether it works.
    pub is_active: Option<bool>,
    /// Whether it opens every deployment.
    pub opens_all: Option<bool>,
    /// The deployments that it opens.
    pub deployments: Option<Vec<Id<id::Deployment>>>,
    /// Until when, from where and how often it works.
    pub controls: ControlChanges,
}

/// Creates a key.
pub async fn create(
    tx: &mut Tx,
    admin: &Admin,
    minting: Minting<'_>,
    new: NewKey,
) -> Result<Issued> {
    let taken = || {
        FieldError::invalid(
            "name",
            "An organization deployment key with this name exists. Choose another name.",
        )
    };
    let kind = OrgWide {
        name: new.name,
        description: new.description,
        opens_all: new.scope == Scope::All,
        deployments: match new.scope {
            Scope::All => Vec::new(),
            Scope::Some(ids) => reachable(tx, admin.org(), &ids).await?,
        },
    };
    let scope: Vec<_> = kind.deployments.iter().map(|deployment| deployment.id).collect();
    let new = keys::NewKey { kind, is_active: true, controls: new.controls };
    let created = keys::create(tx, admin.caller(), minting, new).await;
    let issued = created.map_err(|error| error.on_name(|| taken().into()))?;
    store::set_scope(tx, admin.org(), issued.key.id, &scope).await?;
    Ok(issued)
}

/// The deployments with these ids, all of them.
async fn reachable(
    tx: &mut Tx,
    org: OrgNumber,
    ids: &[Id<id::Deployment>],
) -> Result<Vec<Reachable>> {
    let all = store::deployments(tx, org).await?;
    if let Some(unknown) = ids.iter().find(|id| all.iter().all(|known| known.id != **id)) {
        let detail = format!("There is no deployment {unknown} in this organization.");
        return Err(FieldError::new("api_deployments", "does_not_exist", detail).into());
    }
    Ok(all.into_iter().filter(|deployment| ids.contains(&deployment.id)).collect())
}

/// Lists the keys of the admin's organization, oldest first.
pub async fn list(tx: &mut Tx, admin: &Admin, filter: &Filter) -> Result<Listed<OrgWide>> {
    let mut listed: Listed<OrgWide> = keys::list_page(tx, admin.org(), filter).await?;
    let scopes = store::scopes(tx, admin.org(), None).await?;
    for key in &mut listed.keys {
        key.kind.deployments = of_key(&scopes, key.id);
    }
    Ok(listed)
}

fn of_key(
    scopes: &[(Id<id::OrgDeploymentKey>, Reachable)],
    key: Id<id::OrgDeploymentKey>,
) -> Vec<Reachable> {
    let of_key = scopes.iter().filter(|(owner, _)| *owner == key);
    of_key.map(|(_, deployment)| deployment.clone()).collect()
}

/// One key of the admin's organization.
pub async fn get(
    tx: &mut Tx,
    admin: &Admin,
    id: Id<id::OrgDeploymentKey>,
) -> Result<OrgDeploymentKey> {
    let mut key: OrgDeploymentKey = keys::find(tx, admin.org(), id).await?;
    key.kind.deployments = of_key(&store::scopes(tx, admin.org(), Some(id)).await?, id);
    Ok(key)
}

/// Every deployment that a key of the admin's organization can open.
pub async fn deployments(tx: &mut Tx, admin: &Admin) -> Result<Vec<Reachable>> {
    store::deployments(tx, admin.org()).await
}

/// Changes a key. Changes that change nothing leave no trace. What it opens is only looked at if it is
/// to change, so that a key whose deployments are gone can still be switched off.
pub async fn update(
    tx: &mut Tx,
    admin: &Admin,
    id: Id<id::OrgDeploymentKey>,
    changes: Changes,
) -> Result<OrgDeploymentKey> {
    keys::lock(tx, admin.org()).await?;
    let mut key = get(tx, admin, id).await?;
    let mut touched = Vec::new();
    set(&mut key.kind.description, changes.description, "description", &mut touched);
    set(&mut key.is_active, changes.is_active, "is_active", &mut touched);
    changes.controls.apply(&mut key.controls, &mut touched);
    if changes.opens_all.is_some() || changes.deployments.is_some() {
        let opens_all = changes.opens_all.unwrap_or(false);
        let known = || key.kind.deployments.iter().map(|deployment| deployment.id).collect();
        let ids: Vec<_> =
            changes.deployments.unwrap_or_else(|| if opens_all { Vec::new() } else { known() });
        let scope = scope(opens_all, ids)?;
        let deployments = match &scope {
            Scope::All => Vec::new(),
            Scope::Some(ids) => reachable(tx, admin.org(), ids).await?,
        };
        set(&mut key.kind.opens_all, Some(opens_all), "allow_all_deployments", &mut touched);
        set(&mut key.kind.deployments, Some(deployments), "api_deployments", &mut touched);
        let ids: Vec<_> = key.kind.deployments.iter().map(|deployment| deployment.id).collect();
        store::set_scope(tx, admin.org(), id, &ids).await?;
    }
    if !touched.is_empty() {
        keys::save(tx, admin.caller(), &mut key, &touched).await?;
    }
    Ok(key)
}

/// What a key shall open, said in two fields of which exactly one counts.
pub fn scope(opens_all: bool, deployments: Vec<Id<id::Deployment>>) -> Result<Scope, FieldError> {
    match (opens_all, deployments.is_empty()) {
        (true, true) => Ok(Scope::All),
        (false, false) => Ok(Scope::Some(deployments)),
        (true, false) => Err(FieldError::invalid(
            "api_deployments",
            "The key opens all deployments. Leave this empty, or send allow_all_deployments as \
             false.",
        )),
        (false, true) => Err(FieldError::invalid(
            "api_deployments",
            "Name at least one deployment, or send allow_all_deployments as true.",
        )),
    }
}

/// Replaces the secret of a key and leaves everything else as it is.
pub async fn rotate(
    tx: &mut Tx,
    admin: &Admin,
    minting: Minting<'_>,
    id: Id<id::OrgDeploymentKey>,
    overlap: Overlap,
) -> Result<Issued> {
    keys::lock(tx, admin.org()).await?;
    keys::rotate(tx, admin.caller(), minting, id, overlap).await
}

/// Takes a rotation back, or ends its overlap, while the old secret still works.
pub async fn settle(
    tx: &mut Tx,
    admin: &Admin,
    id: Id<id::OrgDeploymentKey>,
    how: Settle,
) -> Result<OrgDeploymentKey> {
    keys::lock(tx, admin.org()).await?;
    keys::settle(tx, admin.caller(), id, how).await
}

/// Who uses which secret of a key.
pub async fn meter(
    tx: &mut Tx,
    admin: &Admin,
    id: Id<id::OrgDeploymentKey>,
) -> Result<Meter<OrgWide>> {
    keys::meter(tx, admin.org(), id).await
}

/// Deletes a key, active or not.
pub async fn delete(tx: &mut Tx, admin: &Admin, id: Id<id::OrgDeploymentKey>) -> Result<()> {
    keys::lock(tx, admin.org()).await?;
    let key = get(tx, admin, id).await?;
    keys::delete(tx, admin.caller(), &key).await
}

/// Does the same to several keys, or to none if one of them is not there.
pub async fn bulk(
    tx: &mut Tx,
    admin: &Admin,
    ids: &[Id<id::OrgDeploymentKey>],
    action: BulkAction,
) -> Result<usize> {
    keys::lock(tx, admin.org()).await?;
    let mut all = Vec::with_capacity(ids.len());
    for id in ids {
        all.push(get(tx, admin, *id).await?);
    }
    keys::act_on_all(tx, admin.caller(), all, action).await
}
