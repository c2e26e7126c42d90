//! Organizations (CONTRACT 1.4, 1.6).

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// The organizations of the person who is signed in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct MyOrganizations {
    /// `success`
    pub message: String,
    /// The organizations.
    pub organizations: Vec<MyOrganization>,
}

/// An organization that somebody belongs to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct MyOrganization {
    /// Its name in URLs.
    pub id: String,
    /// Its name on pages.
    pub display_name: String,
    /// Its name.
    pub name: String,
}

/// The session after an organization was set.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct OrganizationSet {
    /// Always false: organizations are founded elsewhere.
    pub is_new_org: bool,
    /// Who is signed in.
    pub user: UserSummary,
    /// The organization.
    pub organization: OrganizationSummary,
    /// Names the stream of log events of this session.
    pub log_events_id: String,
}

/// Somebody, in short.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct UserSummary {
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
}

/// An organization, in short.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct OrganizationSummary {
    /// Its name.
    pub name: String,
    /// Its name in URLs.
    pub organization_id: String,
}

/// Founds an organization.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct FoundOrganization {
    /// 1 to 150 characters.
    pub name: String,
    /// 1 to 150 characters.
    pub display_name: String,
    /// 1 to 30 of `a-z`, `0-9`, `_` and `-`; its name in URLs.
    pub organization_id: String,
}

/// An organization that was just founded.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct OrganizationFounded {
    /// `success`
    pub message: String,
    /// The organization.
    pub tenant: Tenant,
}

/// A new organization and its first platform key, whose secret is shown this once.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Tenant {
    /// Its name.
    pub name: String,
    /// Its name on pages.
    pub display_name: String,
    /// Its name in URLs.
    pub organization_id: String,
    /// When it was founded.
    pub created_at: String,
    /// The secret of `Key #1`, which is active.
    pub platform_key: String,
}

impl std::fmt::Debug for Tenant {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Tenant({})", self.organization_id)
    }
}

/// The organization of the URL.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct OrganizationAnswer {
    /// `success`
    pub message: String,
    /// The organization.
    pub organization: OrganizationDetail,
}

/// An organization.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct OrganizationDetail {
    /// Its name.
    pub name: String,
    /// Its name on pages.
    pub display_name: String,
    /// Its name in URLs.
    pub organization_id: String,
    /// When it was founded.
    pub created_at: String,
    /// After how many days without a use keys are switched off; 0 for never.
    pub dormant_after_days: u32,
    /// How many days before that it is told, at most.
    pub dormant_warning_days: u32,
}

/// Changes the settings of an organization. What is left out stays.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct UpdateOrganization {
    /// After how many days without a use keys are switched off: 1 to 3,650; 0 for never; `null` for as
    /// the server has it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dormant_after_days: Option<u32>,
}
