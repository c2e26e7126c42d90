//! What can happen to a key, and what the log calls it.

use keydock_core::secret::KeyKind;

/// What can happen to a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "each says it")]
pub enum KeyVerb {
    Created,
    Changed,
    Activated,
    Deactivated,
    Rotated,
    RotationUndone,
    RotationFinished,
    Deleted,
    Revoked,
    ReportedLeaked,
    Expiring,
    DormancyWarned,
    DormancyDisabled,
    CanaryUsed,
}

impl KeyVerb {
    /// Everything that can happen to a key.
    pub const ALL: [Self; 14] = [
        Self::Created,
        Self::Changed,
        Self::Activated,
        Self::Deactivated,
        Self::Rotated,
        Self::RotationUndone,
        Self::RotationFinished,
        Self::Deleted,
        Self::Revoked,
        Self::ReportedLeaked,
        Self::Expiring,
        Self::DormancyWarned,
        Self::DormancyDisabled,
        Self::CanaryUsed,
    ];

    /// The word in the log. The two platform keys are generated and refreshed, as their pages say.
    pub(super) const fn of(self, kind: KeyKind) -> &'static str {
        match (kind, self) {
            (KeyKind::Platform, Self::Created) => "platform_key_generated",
            (KeyKind::Platform, Self::Changed) => "platform_key_changed",
            (KeyKind::Platform, Self::Activated) => "platform_key_activated",
            (KeyKind::Platform, Self::Deactivated) => "platform_key_deactivated",
            (KeyKind::Platform, Self::Rotated) => "platform_key_refreshed",
            (KeyKind::Platform, Self::RotationUndone) => "platform_key_refresh_undone",
            (KeyKind::Platform, Self::RotationFinished) => "platform_key_refresh_finished",
            (KeyKind::Platform, Self::Deleted) => "platform_key_deleted",
            (KeyKind::Platform, Self::Revoked) => "platform_key_revoked",
            (KeyKind::Platform, Self::ReportedLeaked) => "platform_key_reported_leaked",
            (KeyKind::Platform, Self::Expiring) => "platform_key_expiring",
            (KeyKind::Platform, Self::DormancyWarned) => "platform_key_dormancy_warned",
            (KeyKind::Platform, Self::DormancyDisabled) => "platform_key_dormancy_disabled",
            (KeyKind::Platform, Self::CanaryUsed) => "platform_key_canary_used",
            (KeyKind::PlatformApi, Self::Created) => "platform_api_key_created",
            (KeyKind::PlatformApi, Self::Changed) => "platform_api_key_changed",
            (KeyKind::PlatformApi, Self::Activated) => "platform_api_key_activated",
            (KeyKind::PlatformApi, Self::Deactivated) => "platform_api_key_deactivated",
            (KeyKind::PlatformApi, Self::Rotated) => "platform_api_key_rotated",
            (KeyKind::PlatformApi, Self::RotationUndone) => "platform_api_key_rotation_undone",
            (KeyKind::PlatformApi, Self::RotationFinished) => "platform_api_key_rotation_finished",
            (KeyKind::PlatformApi, Self::Deleted) => "platform_api_key_deleted",
            (KeyKind::PlatformApi, Self::Revoked) => "platform_api_key_revoked",
            (KeyKind::PlatformApi, Self::ReportedLeaked) => "platform_api_key_reported_leaked",
            (KeyKind::PlatformApi, Self::Expiring) => "platform_api_key_expiring",
            (KeyKind::PlatformApi, Self::DormancyWarned) => "platform_api_key_dormancy_warned",
            (KeyKind::PlatformApi, Self::DormancyDisabled) => "platform_api_key_dormancy_disabled",
            (KeyKind::PlatformApi, Self::CanaryUsed) => "platform_api_key_canary_used",
            (KeyKind::Deployment, Self::Created) => "deployment_key_created",
            (KeyKind::Deployment, Self::Changed) => "deployment_key_changed",
            (KeyKind::Deployment, Self::Activated) => "deployment_key_activated",
            (KeyKind::Deployment, Self::Deactivated) => "deployment_key_deactivated",
            (KeyKind::Deployment, Self::Rotated) => "deployment_key_rotated",
            (KeyKind::Deployment, Self::RotationUndone) => "deployment_key_rotation_undone",
            (KeyKind::Deployment, Self::RotationFinished) => "deployment_key_rotation_finished",
            (KeyKind::Deployment, Self::Deleted) => "deployment_key_deleted",
            (KeyKind::Deployment, Self::Revoked) => "deployment_key_revoked",
            (KeyKind::Deployment, Self::ReportedLeaked) => "deployment_key_reported_leaked",
            (KeyKind::Deployment, Self::Expiring) => "deployment_key_expiring",
            (KeyKind::Deployment, Self::DormancyWarned) => "deployment_key_dormancy_warned",
            (KeyKind::Deployment, Self::DormancyDisabled) => "deployment_key_dormancy_disabled",
            (KeyKind::Deployment, Self::CanaryUsed) => "deployment_key_canary_used",
            (KeyKind::OrgDeployment, Self::Created) => "org_deployment_key_created",
            (KeyKind::OrgDeployment, Self::Changed) => "org_deployment_key_changed",
            (KeyKind::OrgDeployment, Self::Activated) => "org_deployment_key_activated",
            (KeyKind::OrgDeployment, Self::Deactivated) => "org_deployment_key_deactivated",
            (KeyKind::OrgDeployment, Self::Rotated) => "org_deployment_key_rotated",
            (KeyKind::OrgDeployment, Self::RotationUndone) => "org_deployment_key_rotation_undone",
            (KeyKind::OrgDeployment, Self::RotationFinished) => {
                "org_deployment_key_rotation_finished"
            }
            (KeyKind::OrgDeployment, Self::Deleted) => "org_deployment_key_deleted",
            (KeyKind::OrgDeployment, Self::Revoked) => "org_deployment_key_revoked",
            (KeyKind::OrgDeployment, Self::ReportedLeaked) => "org_deployment_key_reported_leaked",
            (KeyKind::OrgDeployment, Self::Expiring) => "org_deployment_key_expiring",
            (KeyKind::OrgDeployment, Self::DormancyWarned) => "org_deployment_key_dormancy_warned",
            (KeyKind::OrgDeployment, Self::DormancyDisabled) => {
                "org_deployment_key_dormancy_disabled"
            }
            (KeyKind::OrgDeployment, Self::CanaryUsed) => "org_deployment_key_canary_used",
            (KeyKind::PlatformToken, Self::Created) => "platform_token_created",
            (KeyKind::PlatformToken, Self::Changed) => "platform_token_changed",
            (KeyKind::PlatformToken, Self::Activated) => "platform_token_activated",
            (KeyKind::PlatformToken, Self::Deactivated) => "platform_token_revoked",
            (KeyKind::PlatformToken, Self::Rotated) => "platform_token_rotated",
            (KeyKind::PlatformToken, Self::RotationUndone) => "platform_token_rotation_undone",
            (KeyKind::PlatformToken, Self::RotationFinished) => "platform_token_rotation_finished",
            (KeyKind::PlatformToken, Self::Deleted) => "platform_token_deleted",
            (KeyKind::PlatformToken, Self::Revoked) => "platform_token_revoked_by_holder",
            (KeyKind::PlatformToken, Self::ReportedLeaked) => "platform_token_reported_leaked",
            (KeyKind::PlatformToken, Self::Expiring) => "platform_token_expiring",
            (KeyKind::PlatformToken, Self::DormancyWarned) => "platform_token_dormancy_warned",
            (KeyKind::PlatformToken, Self::DormancyDisabled) => "platform_token_dormancy_disabled",
            (KeyKind::PlatformToken, Self::CanaryUsed) => "platform_token_canary_used",
        }
    }
}
