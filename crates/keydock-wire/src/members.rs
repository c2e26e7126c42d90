//! Members of an organization (CONTRACT 1.6).

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// The members of an organization.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Members {
    /// `success`
    pub message: String,
    /// The members.
    pub members: Vec<Member>,
}

/// A member of an organization.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Member {
    /// Their number, as a text.
    pub id: String,
    /// Their address.
    pub email: String,
    /// `admin` or `user`.
    pub role: String,
    /// Whether the role is `admin`.
    pub is_admin: bool,
    /// Always false.
    pub is_service_account: bool,
}

/// Adds somebody to the organization.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AddMember {
    /// Their address.
    pub email: String,
    /// `admin` or `user`; `user` if left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub role: Option<String>,
}

/// Somebody who was just added.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct MemberAdded {
    /// The member.
    pub member: Member,
    /// The password to sign in with for the first time, if they were not known before. Shown once.
    pub initial_password: Option<String>,
}

impl std::fmt::Debug for MemberAdded {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "MemberAdded({})", self.member.id)
    }
}

/// Members to be removed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RemoveMembers {
    /// Their addresses, at most ten.
    pub emails: Vec<String>,
}

/// A role to be given or taken.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct MemberRole {
    /// Whose.
    pub email: String,
    /// `admin` or `user`.
    pub role: String,
}

/// Whether it was done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Outcome {
    /// `success` or `failed`.
    pub status: String,
    /// What was done, or why not.
    pub message: String,
}

/// The person who is signed in, as a member.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ProfileAnswer {
    /// The profile.
    pub user: Profile,
}

/// The person who is signed in, as a member.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Profile {
    /// Their number, as a text.
    pub id: String,
    /// Their address.
    pub email: String,
    /// Their name.
    pub name: String,
    /// Their name on pages.
    pub display_name: String,
    /// Always empty.
    pub family_name: String,
    /// Always empty.
    pub picture: String,
    /// Whether their role is `admin`.
    pub is_admin: bool,
    /// Always true: there are no such messages.
    pub login_onboarding_message_displayed: bool,
    /// Always true.
    pub prompt_onboarding_message_displayed: bool,
    /// `admin` or `user`.
    pub role: String,
    /// The organization's name.
    pub organization_name: String,
    /// The organization's name in URLs.
    pub organization_id: String,
}

/// The roles that there are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Roles {
    /// `success`
    pub message: String,
    /// The roles.
    pub members: Vec<RoleDescription>,
}

/// A role.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RoleDescription {
    /// The word for it.
    pub id: String,
    /// The word for it.
    pub name: String,
    /// What it allows.
    pub description: String,
}
