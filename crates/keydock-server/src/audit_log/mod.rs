//! The audit log: who did what, when, from where.
//!
//! An event is written in the transaction of the change it tells of: neither exists without the
//! other. Events hold no secret, and outlive what they tell about. They are a chain: what was written
//! cannot be changed, taken away or slipped in without a trace.

pub mod api;
mod chain;
pub mod export;
mod key_verbs;
mod refused;
mod store;
pub mod verify;

use std::time::Duration;

use keydock_core::{
    id::{self, Id, OrgNumber},
    secret::KeyKind,
    time::Timestamp,
};
use keydock_storage::db::Tx;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

pub use self::{
    chain::{Head, Link, Record},
    key_verbs::KeyVerb,
    refused::{Refusals, Refused},
};
pub(crate) use self::{
    chain::{adopt, write_down},
    refused::{record as record_refused, refusals},
};
use crate::{
    Error, Result,
    access::{Actor, Admin, Caller, Person, System, Visitor, leaks::Effect},
};

/// How often it is said that a key was reported which did not have to be stopped.
const SAY_AGAIN: Duration = Duration::from_hours(24);

/// The longest text that an event holds, in characters.
const LONGEST: usize = 1_000;

/// How deep and how wide the detail of an event may be.
const DEEPEST: usize = 8;
const WIDEST: usize = 100;

/// What can happen. The words are those of the OWASP Logging Vocabulary where it has one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "each says it")]
pub enum Action {
    SignedIn,
    SignedOut,
    PasswordChanged,
    OrganizationFounded,
    OrganizationChanged,
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
    AdministrationRefused,
    BackupRestored,
    PepperRotated,
    PepperRetired,
    KeysImported,
}

impl Action {
    /// The word in the log.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::SignedIn => "authn_login_success",
            Self::SignedOut => "authn_logout",
            Self::PasswordChanged => "authn_password_change",
            Self::OrganizationFounded => "organization_founded",
            Self::OrganizationChanged => "organization_changed",
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
            Self::AdministrationRefused => "administration_refused",
            Self::BackupRestored => "backup_restored",
            Self::PepperRotated => "pepper_rotated",
            Self::PepperRetired => "pepper_retired",
            Self::KeysImported => "keys_imported",
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
pub const KEY_EVENTS: &str = "key_events";

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
    fn of(caller: &Caller, record: &Record) -> Result<Self> {
        Ok(Self {
            org: caller.org.number,
            org_name: caller.org.name.to_string(),
            org_title: caller.org.title.to_string(),
            action: record.action.clone(),
            actor_kind: record.actor_kind.clone(),
            actor_id: record.actor_id.clone(),
            actor_name: record.actor_name.clone(),
            subject_kind: record.subject_kind.clone(),
            subject_id: record.subject_id.clone(),
            detail: serde_json::from_str(&record.detail).map_err(Error::internal)?,
            ip: record.ip.clone(),
        })
    }
}

/// Which events are wanted; a text that is empty stands for all.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// What was done.
    pub action: String,
    /// Who did it: an id, or how they are known.
    pub actor: String,
    /// To what: an id, or a kind of thing.
    pub subject: String,
    /// From this instant on.
    pub from: Option<Timestamp>,
    /// Before this instant.
    pub to: Option<Timestamp>,
}

/// Writes down what a caller does in an organization.
#[expect(clippy::unused_async, reason = "when it is written is for this module to say")]
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
    let record = record_of(tx, event);
    if matches!(action, Action::Key(..)) {
        let happened = serde_json::to_string(&Happened::of(caller, &record)?);
        tx.announce_about(KEY_EVENTS, happened.map_err(Error::internal)?);
    }
    chain::note(tx, &record)
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
#[expect(clippy::unused_async, reason = "when it is written is for this module to say")]
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
    write(tx, event)
}

/// Writes down what somebody does whose proof is only being made.
#[expect(clippy::unused_async, reason = "when it is written is for this module to say")]
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
    write(tx, event)
}

/// Writes down that an older state of the database was put in place, and what that meant for keys.
pub(crate) fn record_restored(tx: &mut Tx, detail: Value) -> Result<()> {
    let event = NewEvent {
        org: None,
        action: Action::BackupRestored,
        actor: &Actor::Server,
        subject: Subject::new("database", &""),
        detail: members(detail)?,
        request_id: "",
        ip: String::new(),
    };
    write(tx, event)
}

/// Writes down what the operator of the server did with a command, in no organization.
pub(crate) fn record_operated(
    tx: &mut Tx,
    _operator: &System,
    action: Action,
    subject: &'static str,
    detail: Value,
) -> Result<()> {
    let event = NewEvent {
        org: None,
        action,
        actor: &Actor::Server,
        subject: Subject::new(subject, &""),
        detail: members(detail)?,
        request_id: "",
        ip: String::new(),
    };
    write(tx, event)
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

/// Notes an event for the end of the transaction, when its place in the chain is known.
fn write(tx: &mut Tx, event: NewEvent<'_>) -> Result<()> {
    let record = record_of(tx, event);
    chain::note(tx, &record)
}

/// An event as it will be written.
fn record_of(tx: &mut Tx, event: NewEvent<'_>) -> Record {
    let id: Id<id::AuditEvent> = tx.new_id();
    let (kind, actor, name) = match event.actor {
        Actor::Person { user, email } => ("user", user.to_string(), email.clone()),
        Actor::PlatformKey { id, name } => ("platform_key", id.to_string(), name.to_string()),
        Actor::PlatformApiKey { id, name, .. } => {
            ("platform_api_key", id.to_string(), name.to_string())
        }
        Actor::DeploymentKey { id } => ("deployment_key", id.to_string(), String::new()),
        Actor::OrgDeploymentKey { id, name } => {
            ("org_deployment_key", id.to_string(), name.to_string())
        }
        Actor::PlatformToken { id, name, .. } => {
            ("platform_token", id.to_string(), name.to_string())
        }
        Actor::Pipeline { subject, trust } => ("pipeline", subject.clone(), trust.clone()),
        Actor::Anonymous => ("anonymous", String::new(), String::new()),
        Actor::Server => ("server", String::new(), String::new()),
    };
    Record {
        id: id.to_string(),
        org_id: event.org.map(OrgNumber::as_i64),
        at: tx.now().as_micros(),
        action: event.action.as_str().to_owned(),
        actor_kind: kind.to_owned(),
        actor_id: actor,
        actor_name: plain(&name),
        subject_kind: event.subject.kind.to_owned(),
        subject_id: plain(&event.subject.id),
        detail: Value::Object(plain_members(event.detail, DEEPEST)).to_string(),
        request_id: plain(event.request_id),
        ip: event.ip,
    }
}

/// A text on one line, of bounded length, without anything that a terminal would obey (AUD-03).
///
/// Names are checked where they come in; this is for those that come in where nobody thought of it.
fn plain(text: &str) -> String {
    let shown = |c: char| if is_unprintable(c) { char::REPLACEMENT_CHARACTER } else { c };
    text.chars().take(LONGEST).map(shown).collect()
}

/// Control characters, separators of lines, and what turns the direction of writing.
fn is_unprintable(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{2028}' | '\u{2029}' | '\u{200e}' | '\u{200f}')
        || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}

fn plain_members(members: Map<String, Value>, depth: usize) -> Map<String, Value> {
    let members = members.into_iter().take(WIDEST);
    members.map(|(name, value)| (plain(&name), plain_value(value, depth))).collect()
}

fn plain_value(value: Value, depth: usize) -> Value {
    match value {
        Value::String(text) => plain(&text).into(),
        Value::Array(_) | Value::Object(_) if depth == 0 => "…".into(),
        Value::Array(values) => {
            values.into_iter().take(WIDEST).map(|value| plain_value(value, depth - 1)).collect()
        }
        Value::Object(members) => Value::Object(plain_members(members, depth - 1)),
        value => value,
    }
}

/// A page of events of the admin's organization, newest first, and how many there are in all.
pub async fn list(
    tx: &mut Tx,
    admin: &Admin,
    filter: &Filter,
    offset: i64,
    limit: i64,
) -> Result<(i64, Vec<Link>)> {
    let count = store::count(tx, admin.org(), filter).await?;
    Ok((count, store::list(tx, admin.org(), filter, offset, limit).await?))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn texts_are_plain_and_bounded() {
        assert_eq!(plain("a\r\nb\u{1b}[2J\u{9b}c\u{202e}d\u{2028}"), "a��b�[2J�c�d�");
        assert_eq!(plain(&"x".repeat(5_000)).len(), LONGEST);
        let deep = (0..50).fold(json!("\n"), |inner, _| json!({"in\n": [inner]}));
        let Value::Object(deep) = deep else { panic!("an object") };
        let plain = Value::Object(plain_members(deep, DEEPEST)).to_string();
        assert!(plain.len() < 200 && !plain.contains("\\n"), "{plain}");
    }
}
