//! Members: who belongs to an organization, and in which role.
//!
//! An organization always keeps an admin: the one who would take away the last is refused.

pub mod api;
mod store;

use keydock_core::{
    id::{OrgNumber, UserNumber},
    organizations::OrgName,
    role::Role,
    text::{Email, Username},
};
use keydock_storage::db::Tx;
use serde_json::json;
use zeroize::Zeroizing;

use crate::{
    Error, FieldError, Result,
    access::{Admin, Caller, Member as MemberProof, Person, System},
    audit_log::{self, Action, Subject},
    users::{self, NewUser, User},
};

/// A person in an organization.
#[derive(Clone, Debug)]
pub struct Member {
    /// Their number.
    pub user: UserNumber,
    /// Their address.
    pub email: Email,
    /// What they may do.
    pub role: Role,
}

/// An organization that somebody belongs to.
#[derive(Clone, Debug)]
pub struct Membership {
    /// The organization.
    pub org: OrgNumber,
    /// Its name in URLs.
    pub org_name: OrgName,
    /// Its name.
    pub title: String,
    /// Its name on pages.
    pub display_name: String,
    /// What they may do there.
    pub role: Role,
}

/// The person's organizations, by name.
pub async fn of_person(tx: &mut Tx, person: &Person) -> Result<Vec<Membership>> {
    store::of_user(tx, person.user()).await
}

/// The person's place in the organization that the session is for.
pub async fn of_session(tx: &mut Tx, person: &Person) -> Result<Option<Membership>> {
    let Some(org) = person.session_org() else { return Ok(None) };
    let all = store::of_user(tx, person.user()).await?;
    Ok(all.into_iter().find(|membership| membership.org == org))
}

/// The members of the organization, those of the longest standing first.
pub async fn list(tx: &mut Tx, member: &MemberProof) -> Result<Vec<Member>> {
    store::list(tx, member.org()).await
}

/// The person behind the proof, as others see them. None for a key.
pub async fn profile(tx: &mut Tx, member: &MemberProof) -> Result<Option<Member>> {
    let Some(user) = member.caller().user() else { return Ok(None) };
    Ok(store::list(tx, member.org()).await?.into_iter().find(|found| found.user == user))
}

/// Makes the founder of an organization its first admin.
pub(crate) async fn add_founder(tx: &mut Tx, founder: &Caller, user: UserNumber) -> Result<()> {
    store::insert(tx, founder.org.number, user, Role::Admin).await
}

/// Lets the account of a program into the organization.
pub(crate) async fn add_service(tx: &mut Tx, admin: &Admin, service: UserNumber) -> Result<()> {
    store::insert(tx, admin.org(), service, Role::User).await
}

/// The same for an account that comes with a key from elsewhere.
pub(crate) async fn add_imported(
    tx: &mut Tx,
    _operator: &System,
    org: OrgNumber,
    service: UserNumber,
) -> Result<()> {
    store::insert(tx, org, service, Role::User).await
}

/// Whether this is a member of the admin's organization.
pub(crate) async fn is_member(tx: &mut Tx, admin: &Admin, user: UserNumber) -> Result<bool> {
    Ok(store::role_of(tx, admin.org(), user).await?.is_some())
}

/// Somebody who was added.
pub struct Added {
    /// The member.
    pub member: Member,
    /// The password to sign in with for the first time, if they were not known before.
    pub initial_password: Option<Zeroizing<String>>,
}

/// A password for somebody who may turn out to be new, made before the transaction because hashing
/// takes long.
pub struct InitialPassword {
    /// The password.
    pub text: Zeroizing<String>,
    /// Its hash.
    pub hash: String,
}

impl std::fmt::Debug for Added {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Added({})", self.member.user)
    }
}

impl std::fmt::Debug for InitialPassword {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("InitialPassword(..)")
    }
}

/// Adds somebody. Who is not known yet gets an initial password, to be changed at the first sign-in.
///
/// Who is known already was made known by somebody else, who may be the one that signs in with that
/// account: only administrators of the server let it into further organizations (TEN-04).
pub async fn add(
    tx: &mut Tx,
    admin: &Admin,
    email: Email,
    role: Role,
    password: InitialPassword,
) -> Result<Added> {
    store::lock(tx, admin.org()).await?;
    let (user, initial_password) = match users::find_by_email(tx, &email).await? {
        Some(user) => {
            let is_member = store::role_of(tx, admin.org(), user.number).await?.is_some();
            if !is_member && !users::runs_server(tx, admin.caller()).await? {
                return Err(Error::forbidden_to(
                    admin.caller(),
                    "This address has an account on this server already. Only an administrator of \
                     the server can add it to another organization.",
                ));
            }
            (user, None)
        }
        None => (create(tx, email, password.hash).await?, Some(password.text)),
    };
    if store::role_of(tx, admin.org(), user.number).await?.is_some() {
        return Err(Error::AlreadyExists { what: "A member", name: user.email.to_string() });
    }
    store::insert(tx, admin.org(), user.number, role).await?;
    record(tx, admin, Action::MemberAdded, &user, json!({"role": role.as_str()})).await?;
    let member = Member { user: user.number, email: user.email, role };
    Ok(Added { member, initial_password })
}

async fn create(tx: &mut Tx, email: Email, password_hash: String) -> Result<User> {
    let username: Username =
        email.as_str().parse().map_err(|error| FieldError::text("email", &error))?;
    let new = NewUser {
        username,
        email,
        password_hash,
        must_change_password: true,
        instance_admin: false,
    };
    users::create(tx, new).await
}

/// Gives a member a role. Demoting the last admin is refused.
pub async fn set_role(tx: &mut Tx, admin: &Admin, email: &Email, role: Role) -> Result<()> {
    store::lock(tx, admin.org()).await?;
    let user = member_called(tx, admin, email).await?;
    store::set_role(tx, admin.org(), user.number, role).await?;
    keep_an_admin(tx, admin).await?;
    record(tx, admin, Action::MemberRoleChanged, &user, json!({"role": role.as_str()})).await
}

/// Removes members. Removing the last admin is refused.
pub async fn remove(tx: &mut Tx, admin: &Admin, emails: &[Email]) -> Result<()> {
    store::lock(tx, admin.org()).await?;
    for email in emails {
        let user = member_called(tx, admin, email).await?;
        store::delete(tx, admin.org(), user.number).await?;
        record(tx, admin, Action::MemberRemoved, &user, json!({})).await?;
    }
    keep_an_admin(tx, admin).await
}

async fn member_called(tx: &mut Tx, admin: &Admin, email: &Email) -> Result<User> {
    let missing = || Error::NotFound { what: "Member" };
    let user = users::find_by_email(tx, email).await?.ok_or_else(missing)?;
    store::role_of(tx, admin.org(), user.number).await?.ok_or_else(missing)?;
    Ok(user)
}

/// The rule is checked after the change, in its transaction: whoever broke it rolls back.
async fn keep_an_admin(tx: &mut Tx, admin: &Admin) -> Result<()> {
    if store::count_admins(tx, admin.org()).await? == 0 {
        return Err(Error::LastAdmin);
    }
    Ok(())
}

async fn record(
    tx: &mut Tx,
    admin: &Admin,
    action: Action,
    user: &User,
    mut detail: serde_json::Value,
) -> Result<()> {
    detail["email"] = user.email.as_str().into();
    let subject = Subject::new("user", &user.number);
    audit_log::record(tx, admin.caller(), action, subject, detail).await
}
