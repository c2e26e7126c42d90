//! Organizations: the tenants. All data belongs to exactly one.
//!
//! Founding one makes its first admin and its `Key #1`, active, in the same transaction, by whatever
//! path it is founded.

pub mod api;
mod store;

use std::sync::Arc;

use keydock_core::{
    id::{OrgNumber, UserNumber},
    organizations::OrgName,
    text::OrgTitle,
    time::Timestamp,
};
use keydock_storage::db::{OnConflict as _, Tx};
use serde_json::json;

use crate::{
    Error, FieldError, Result,
    access::{
        Actor, Admin, Caller, InstanceAdmin, Member, Person, System, keyring::OrgFacts,
        secrets::Minting,
    },
    audit_log::{self, Action, Subject},
    keys::set,
    members,
    platform_keys::{self, Issued},
    sessions,
    users::User,
};

/// An organization.
#[derive(Clone, Debug)]
pub struct Organization {
    /// Its number.
    pub number: OrgNumber,
    /// Its name in URLs.
    pub name: OrgName,
    /// Its name.
    pub title: OrgTitle,
    /// Its name on pages.
    pub display_name: OrgTitle,
    /// When it was founded.
    pub created_at: Timestamp,
    /// After how many days without a use its keys are switched off: 0 for never; none for as the server
    /// has it.
    pub dormant_after_days: Option<u32>,
}

/// What to change; the rest stays.
#[derive(Clone, Copy, Debug, Default)]
pub struct Changes {
    /// After how many days without a use its keys are switched off.
    pub dormant_after: Option<DormantAfter>,
}

/// After how many days without a use keys are switched off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DormantAfter {
    /// As many as the server has.
    AsServer,
    /// So many; 0 for never.
    Days(u32),
}

/// An organization to be founded.
#[derive(Clone, Debug)]
pub struct NewOrganization {
    /// Its name in URLs.
    pub name: OrgName,
    /// Its name.
    pub title: OrgTitle,
    /// Its name on pages.
    pub display_name: OrgTitle,
}

/// An organization that was just founded, with the only copy of its first key's secret.
#[derive(Debug)]
pub struct Founded {
    /// The organization.
    pub organization: Organization,
    /// `Key #1`, active.
    pub first_key: Issued,
}

/// Founds an organization whose first admin is the one who founds it.
pub async fn found(
    tx: &mut Tx,
    admin: &InstanceAdmin,
    minting: Minting<'_>,
    new: NewOrganization,
) -> Result<Founded> {
    let person = admin.person();
    let act = |facts| person.acting_in(facts);
    found_as(tx, person.user(), act, minting, new).await
}

/// Founds the first organization of a server, for its first user.
pub async fn found_first(
    tx: &mut Tx,
    _operator: &System,
    owner: &User,
    minting: Minting<'_>,
    new: NewOrganization,
) -> Result<Founded> {
    let act = |facts| Caller {
        org: Arc::new(facts),
        actor: Actor::Server,
        request_id: String::new(),
        ip: None,
    };
    found_as(tx, owner.number, act, minting, new).await
}

async fn found_as(
    tx: &mut Tx,
    owner: UserNumber,
    act: impl FnOnce(OrgFacts) -> Caller,
    minting: Minting<'_>,
    new: NewOrganization,
) -> Result<Founded> {
    let organization = Organization {
        number: OrgNumber::from_i64(tx.next_in("organizations").await?),
        name: new.name,
        title: new.title,
        display_name: new.display_name,
        created_at: tx.now(),
        dormant_after_days: None,
    };
    store::insert(tx, &organization, owner).await.on_conflict(|| {
        Error::from(FieldError::invalid(
            "organization_id",
            "This organization id is already in use. Choose another one.",
        ))
    })?;
    let founder = act(OrgFacts {
        number: organization.number,
        name: organization.name.clone(),
        title: organization.title.as_str().into(),
    });
    members::add_founder(tx, &founder, owner).await?;
    let subject = Subject::new("organization", &organization.name);
    let detail = json!({"name": organization.title.as_str()});
    audit_log::record(tx, &founder, Action::OrganizationFounded, subject, detail).await?;
    let first_key = platform_keys::generate_first(tx, &founder, minting).await?;
    Ok(Founded { organization, first_key })
}

/// The organization of the proof.
pub async fn get(tx: &mut Tx, member: &Member) -> Result<Organization> {
    store::get(tx, member.org()).await
}

/// Changes the settings of the admin's organization. Changes that change nothing leave no trace.
pub async fn update(tx: &mut Tx, admin: &Admin, changes: Changes) -> Result<Organization> {
    let mut organization = store::lock(tx, admin.org()).await?;
    let mut touched = Vec::new();
    let after = changes.dormant_after.map(|after| match after {
        DormantAfter::AsServer => None,
        DormantAfter::Days(days) => Some(days),
    });
    set(&mut organization.dormant_after_days, after, "dormant_after_days", &mut touched);
    if !touched.is_empty() {
        store::update(tx, &organization).await?;
        let subject = Subject::new("organization", &organization.name);
        let after = organization.dormant_after_days;
        let detail = json!({"changed": touched, "dormant_after_days": after});
        audit_log::record(tx, admin.caller(), Action::OrganizationChanged, subject, detail).await?;
    }
    Ok(organization)
}

/// Makes the person's session one of the organization called `name`. None if they are not a member
/// of it, or if there is none.
pub async fn enter(tx: &mut Tx, person: &Person, name: &str) -> Result<Option<Organization>> {
    let Some(organization) = store::find(tx, name).await? else { return Ok(None) };
    let entered = sessions::set_organization(tx, person, organization.number).await?;
    Ok(entered.then_some(organization))
}

/// The organization of this name, if there is one. For callers who prove that they may act in it.
pub(crate) async fn find_facts(tx: &mut Tx, name: &str) -> Result<Option<OrgFacts>> {
    let found = store::find(tx, name).await?;
    Ok(found.map(|organization| OrgFacts {
        number: organization.number,
        title: organization.title.as_str().into(),
        name: organization.name,
    }))
}

/// What is told of an organization wherever somebody acts in it.
pub(crate) async fn facts(tx: &mut Tx, number: OrgNumber) -> Result<OrgFacts> {
    let organization = store::get(tx, number).await?;
    let title = organization.title.as_str().into();
    Ok(OrgFacts { number, name: organization.name, title })
}

/// Keeps others from founding the first organization until the transaction ends.
pub(crate) async fn lock_founding(tx: &mut Tx) -> Result<()> {
    tx.next_in("foundings").await?;
    Ok(())
}

/// How many organizations there are; none on a new server.
pub(crate) async fn count(tx: &mut Tx) -> Result<i64> {
    store::count(tx).await
}
