//! What the server itself notes about keys, and how it speaks of them whatever their kind.

use keydock_core::{
    id::{self, Id, OrgNumber},
    secret::KeyKind,
    time::Timestamp,
};
use keydock_storage::db::{self, FromRow, Row, Tx};
use serde_json::{Map, Value};

use super::subject_kind;
use crate::{
    Result,
    access::Caller,
    audit_log::{self, Action, KeyVerb, Subject},
};

/// What the server noted about a key.
#[derive(Clone, Debug, Default)]
pub struct Noted {
    /// The last reminder of its present end.
    pub reminder: Option<Reminder>,
    /// When its organization was told that nobody uses it, unless somebody has used it since.
    pub dormancy_warned_at: Option<Timestamp>,
    /// When it last raised an alarm, if it is a canary.
    pub alarmed_at: Option<Timestamp>,
}

/// A reminder that a key ends.
#[derive(Clone, Copy, Debug)]
pub struct Reminder {
    /// How many days before its end.
    pub days: i64,
    /// When it was given.
    pub at: Timestamp,
}

/// A key of any kind, as the server speaks of it.
#[derive(Clone, Debug)]
pub(crate) struct OfAnyKind {
    pub(crate) id: Id<id::AnyKey>,
    pub(crate) org: OrgNumber,
    pub(crate) kind: KeyKind,
    pub(crate) deployment: Option<Id<id::Deployment>>,
    name: Option<String>,
    description: String,
    last_four: String,
}

/// Writes down what the server did about a key, or what happened to it.
pub(crate) async fn record_of_any(
    tx: &mut Tx,
    caller: &Caller,
    verb: KeyVerb,
    key: &OfAnyKind,
    detail: Map<String, Value>,
) -> Result<()> {
    let mut members = Map::new();
    match &key.name {
        Some(name) => members.insert("key_name".to_owned(), name.as_str().into()),
        None => members.insert("description".to_owned(), key.description.as_str().into()),
    };
    if let Some(deployment) = key.deployment {
        members.insert("deployment".to_owned(), deployment.to_string().into());
    }
    members.insert("last_four".to_owned(), key.last_four.as_str().into());
    members.extend(detail);
    let subject = Subject::new(subject_kind(key.kind), &key.id);
    audit_log::record(tx, caller, Action::Key(key.kind, verb), subject, members.into()).await
}

impl FromRow for Noted {
    fn from_row(row: &Row) -> Result<Self, db::Error> {
        let reminded = row.int_opt("reminded_days")?.zip(row.time_opt("reminded_at")?);
        let idle_since = idle_since(row)?;
        let warned_at = row.time_opt("dormancy_warned_at")?;
        let is_active = row.bool("is_active")?;
        Ok(Self {
            reminder: reminded.map(|(days, at)| Reminder { days, at }),
            dormancy_warned_at: warned_at.filter(|at| is_active && *at >= idle_since),
            alarmed_at: row.time_opt("alarmed_at")?,
        })
    }
}

/// Since when nobody has used a key: its last use, or, if that is longer ago or never was, when it was
/// switched on.
pub(crate) fn idle_since(row: &Row) -> Result<Timestamp, db::Error> {
    let on = row.time_opt("active_since")?.map_or_else(|| row.time("created_at"), Ok)?;
    Ok(row.time_opt("last_used_at")?.map_or(on, |used| used.max(on)))
}

impl FromRow for OfAnyKind {
    fn from_row(row: &Row) -> Result<Self, db::Error> {
        Ok(Self {
            id: row.parse("id")?,
            org: OrgNumber::from_i64(row.int("org_id")?),
            kind: row.parse("kind")?,
            deployment: row.parse_opt("deployment_id")?,
            name: row.text_opt("name")?,
            description: row.text("description")?,
            last_four: row.text("last_four")?,
        })
    }
}
