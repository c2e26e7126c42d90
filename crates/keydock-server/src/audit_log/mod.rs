//! The audit log: who did what, when, from where.
//!
//! An event is written in the transaction of the change it tells of: neither exists without the
//! other. Events hold no secret, and outlive what they tell about.

pub mod api;
mod store;

use std::time::Duration;

use keydock_core::{
    id::{self, Id, OrgNumber},
    secret::KeyKind,
    time::Timestamp,
};
use keydock_storage::db::Tx;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::{
    Error, Result,
    access::{Actor, Admin, Caller, Person, Visitor, leaks::Effect},
};

/// How often it is said that a key was reported which did not have to be stopped.
const SAY_AGAIN: Duration = Duration::from_hours(24);

/// What can happen. The words are those of the OWASP Logging Vocabulary where it has one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "each says it")]
pub enum Action {
    SignedIn,
    SignedOut,
    PasswordChanged,
    OrganizationFounded,
    MemberAdded,
    MemberRoleChanged,
    MemberRemoved,
    /// Something happened to a key.
    Key(KeyKind, KeyVerb),
    WorkflowCreated,
    WorkflowChanged,
    WorkflowDeleted,
    DeploymentCreated,
    DeploymentChanged,
    DeploymentDeleted,
    WebhookCreated,
    WebhookChanged,
    WebhookRotated,
    WebhookDisabled,
    WebhookRedelivered,
    WebhookDeleted,
    CiTrustCreated,
    CiTrustChanged,
    CiTrustDeleted,
    ExecutionAccepted,
    ExecutionRead,
}

impl Action {
    /// The word in the log.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::SignedIn => "authn_login_success",
            Self::SignedOut => "authn_logout",
            Self::PasswordChanged => "authn_password_change",
            Self::OrganizationFounded => "organization_founded",
            Self::MemberAdded => "member_added",
            Self::MemberRoleChanged => "privilege_permissions_changed",
            Self::MemberRemoved => "member_removed",
            Self::Key(kind, verb) => verb.of(kind),
            Self::WorkflowCreated => "workflow_created",
            Self::WorkflowChanged => "workflow_changed",
            Self::WorkflowDeleted => "workflow_deleted",
            Self::DeploymentCreated => "deployment_created",
            Self::DeploymentChanged => "deployment_changed",
            Self::DeploymentDeleted => "deployment_deleted",
            Self::WebhookCreated => "webhook_created",
            Self::WebhookChanged => "webhook_changed",
            Self::WebhookRotated => "webhook_rotated",
            Self::WebhookDisabled => "webhook_disabled",
            Self::WebhookRedelivered => "webhook_redelivered",
            Self::WebhookDeleted => "webhook_deleted",
            Self::CiTrustCreated => "ci_trust_created",
            Self::CiTrustChanged => "ci_trust_changed",
            Self::CiTrustDeleted => "ci_trust_deleted",
            Self::ExecutionAccepted => "execution_accepted",
            Self::ExecutionRead => "execution_result_read",
        }
    }
}

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
    ReportedLeaked,
}

impl KeyVerb {
    /// Everything that can happen to a key.
    pub const ALL: [Self; 9] = [
        Self::Created,
        Self::Changed,
        Self::Activated,
        Self::Deactivated,
        Self::Rotated,
        Self::RotationUndone,
        Self::RotationFinished,
        Self::Deleted,
        Self::ReportedLeaked,
    ];

    /// The word in the log. The two platform keys are generated and refreshed, as their pages say.
    const fn of(self, kind: KeyKind) -> &'static str {
        match (kind, self) {
            (KeyKind::Platform, Self::Created) => "platform_key_generated",
            (KeyKind::Platform, Self::Changed) => "platform_key_changed",
            (KeyKind::Platform, Self::Activated) => "platform_key_activated",
            (KeyKind::Platform, Self::Deactivated) => "platform_key_deactivated",
            (KeyKind::Platform, Self::Rotated) => "platform_key_refreshed",
            (KeyKind::Platform, Self::RotationUndone) => "platform_key_refresh_undone",
            (KeyKind::Platform, Self::RotationFinished) => "platform_key_refresh_finished",
            (KeyKind::Platform, Self::Deleted) => "platform_key_deleted",
            (KeyKind::Platform, Self::ReportedLeaked) => "platform_key_reported_leaked",
            (KeyKind::PlatformApi, Self::Created) => "platform_api_key_created",
            (KeyKind::PlatformApi, Self::Changed) => "platform_api_key_changed",
            (KeyKind::PlatformApi, Self::Activated) => "platform_api_key_activated",
            (KeyKind::PlatformApi, Self::Deactivated) => "platform_api_key_deactivated",
            (KeyKind::PlatformApi, Self::Rotated) => "platform_api_key_rotated",
            (KeyKind::PlatformApi, Self::RotationUndone) => "platform_api_key_rotation_undone",
            (KeyKind::PlatformApi, Self::RotationFinished) => "platform_api_key_rotation_finished",
            (KeyKind::PlatformApi, Self::Deleted) => "platform_api_key_deleted",
            (KeyKind::PlatformApi, Self::ReportedLeaked) => "platform_api_key_reported_leaked",
            (KeyKind::Deployment, Self::Created) => "deployment_key_created",
            (KeyKind::Deployment, Self::Changed) => "deployment_key_changed",
            (KeyKind::Deployment, Self::Activated) => "deployment_key_activated",
            (KeyKind::Deployment, Self::Deactivated) => "deployment_key_deactivated",
            (KeyKind::Deployment, Self::Rotated) => "deployment_key_rotated",
            (KeyKind::Deployment, Self::RotationUndone) => "deployment_key_rotation_undone",
            (KeyKind::Deployment, Self::RotationFinished) => "deployment_key_rotation_finished",
            (KeyKind::Deployment, Self::Deleted) => "deployment_key_deleted",
            (KeyKind::Deployment, Self::ReportedLeaked) => "deployment_key_reported_leaked",
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
            (KeyKind::OrgDeployment, Self::ReportedLeaked) => "org_deployment_key_reported_leaked",
            (KeyKind::PlatformToken, Self::Created) => "platform_token_created",
            (KeyKind::PlatformToken, Self::Changed) => "platform_token_changed",
            (KeyKind::PlatformToken, Self::Activated) => "platform_token_activated",
            (KeyKind::PlatformToken, Self::Deactivated) => "platform_token_revoked",
            (KeyKind::PlatformToken, Self::Rotated) => "platform_token_rotated",
            (KeyKind::PlatformToken, Self::RotationUndone) => "platform_token_rotation_undone",
            (KeyKind::PlatformToken, Self::RotationFinished) => "platform_token_rotation_finished",
            (KeyKind::PlatformToken, Self::Deleted) => "platform_token_deleted",
            (KeyKind::PlatformToken, Self::ReportedLeaked) => "platform_token_reported_leaked",
        }
    }
}

/// An event as it is written.
#[derive(Debug)]
struct NewEvent<'a> {
    org: Option<OrgNumber>,
    action: Action,
    actor: &'a Actor,
    subject: Subject<'a>,
    detail: Map<String, Value>,
    request_id: &'a str,
    ip: String,
}

/// What an event is about: its kind in words, and its identifier.
#[derive(Clone, Debug)]
pub struct Subject<'a> {
    kind: &'static str,
    id: std::borrow::Cow<'a, str>,
}

impl Subject<'_> {
    /// A thing with an identifier.
    pub fn new(kind: &'static str, id: &impl ToString) -> Self {
        Self { kind, id: id.to_string().into() }
    }
}

/// Announced by every transaction in which something happened to a key, with what it was.
pub const TOPIC: &str = "audit_log";

/// What happened to a key, for those who want to hear of it.
#[derive(Debug, Serialize, Deserialize)]
#[expect(missing_docs, reason = "as in an event")]
pub struct Happened {
    pub org: OrgNumber,
    pub org_name: String,
    pub org_title: String,
    pub action: String,
    pub actor_kind: String,
    pub actor_id: String,
    pub actor_name: String,
    pub subject_kind: String,
    pub subject_id: String,
    pub detail: Map<String, Value>,
    pub ip: String,
}

impl Happened {
    fn of(caller: &Caller, event: &NewEvent<'_>) -> Self {
        let (actor_kind, actor_id, actor_name) = store::words(event.actor);
        Self {
            org: caller.org.number,
            org_name: caller.org.name.to_string(),
            org_title: caller.org.title.to_string(),
            action: event.action.as_str().to_owned(),
            actor_kind: actor_kind.to_owned(),
            actor_id,
            actor_name,
            subject_kind: event.subject.kind.to_owned(),
            subject_id: event.subject.id.to_string(),
            detail: event.detail.clone(),
            ip: event.ip.clone(),
        }
    }
}

/// An event as it is read.
#[derive(Debug)]
#[expect(missing_docs, reason = "each column says it")]
pub struct Event {
    pub id: Id<id::AuditEvent>,
    pub at: Timestamp,
    pub action: String,
    pub actor_kind: String,
    pub actor_id: String,
    pub actor_name: String,
    pub subject_kind: String,
    pub subject_id: String,
    pub detail: Value,
    pub request_id: String,
    pub ip: String,
}

/// Writes down what a caller does in an organization.
pub async fn record(
    tx: &mut Tx,
    caller: &Caller,
    action: Action,
    subject: Subject<'_>,
    detail: Value,
) -> Result<()> {
    let event = NewEvent {
        org: Some(caller.org.number),
        action,
        actor: &caller.actor,
        subject,
        detail: members(detail)?,
        request_id: &caller.request_id,
        ip: caller.ip.map(|ip| ip.to_string()).unwrap_or_default(),
    };
    if matches!(action, Action::Key(..)) {
        let happened = serde_json::to_string(&Happened::of(caller, &event));
        tx.announce_about(TOPIC, happened.map_err(Error::internal)?);
    }
    store::insert(tx, event).await
}

/// Writes down that somebody found a key. That nothing came of it is said once a day, however often
/// it is reported.
pub async fn record_leak(
    tx: &mut Tx,
    finder: &Caller,
    action: Action,
    subject: Subject<'_>,
    effect: Effect,
    detail: Value,
) -> Result<()> {
    let is_news = matches!(effect, Effect::Disabled | Effect::OverlapEnded);
    if is_news || !happened_within(tx, finder.org.number, action, &subject, SAY_AGAIN).await? {
        record(tx, finder, action, subject, detail).await?;
    }
    Ok(())
}

/// Writes down what a person does outside any organization.
pub async fn record_personal(
    tx: &mut Tx,
    person: &Person,
    action: Action,
    subject: Subject<'_>,
    detail: Value,
) -> Result<()> {
    let event = NewEvent {
        org: None,
        action,
        actor: &person.actor(),
        subject,
        detail: members(detail)?,
        request_id: person.request_id(),
        ip: person.ip().to_string(),
    };
    store::insert(tx, event).await
}

/// Writes down what somebody does whose proof is only being made.
pub(crate) async fn record_sign_in(
    tx: &mut Tx,
    person: &Actor,
    subject: Subject<'_>,
    visitor: &Visitor,
) -> Result<()> {
    let event = NewEvent {
        org: None,
        action: Action::SignedIn,
        actor: person,
        subject,
        detail: Map::new(),
        request_id: &visitor.request_id,
        ip: visitor.ip.to_string(),
    };
    store::insert(tx, event).await
}

fn members(detail: Value) -> Result<Map<String, Value>> {
    match detail {
        Value::Null => Ok(Map::new()),
        Value::Object(members) => Ok(members),
        _ => Err(Error::internal("the detail of an event is an object")),
    }
}

async fn happened_within(
    tx: &mut Tx,
    org: OrgNumber,
    action: Action,
    subject: &Subject<'_>,
    period: Duration,
) -> Result<bool> {
    let since = tx.now().before(period);
    store::happened_since(tx, org, action.as_str(), &subject.id, since).await
}

/// Events of the admin's organization, newest first; of one thing if `subject` names it.
pub async fn list(
    tx: &mut Tx,
    admin: &Admin,
    subject_kind: &str,
    limit: i64,
) -> Result<Vec<Event>> {
    store::list(tx, admin.org(), subject_kind, limit.clamp(1, 1_000)).await
}
