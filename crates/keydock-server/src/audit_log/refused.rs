//! Administrative acts that were asked for and refused.
//!
//! Somebody who proved who they are and reaches for what only an admin may do is worth a line; so many
//! lines a minute and no more, or they could fill the disk with them.

use std::{num::NonZeroU32, time::Duration};

use keydock_core::id::OrgNumber;
use serde_json::json;

use super::{Action, NewEvent, Subject, members, write};
use crate::{
    App, Result,
    access::{Actor, Caller, Person, throttle::Throttle},
};

/// How many refusals of one caller are written down in a minute.
const PER_MINUTE: u32 = 10;

/// Counts the refusals that are written down, by caller.
pub type Refusals = Throttle<String>;

/// Somebody who was refused something, as far as the log wants to know.
#[derive(Clone, Debug)]
pub struct Refused {
    org: Option<OrgNumber>,
    actor: Actor,
    request_id: String,
    ip: String,
}

impl From<&Caller> for Refused {
    fn from(caller: &Caller) -> Self {
        Self {
            org: Some(caller.org.number),
            actor: caller.actor.clone(),
            request_id: caller.request_id.clone(),
            ip: caller.ip.map(|ip| ip.to_string()).unwrap_or_default(),
        }
    }
}

impl From<&Person> for Refused {
    fn from(person: &Person) -> Self {
        Self {
            org: person.session_org(),
            actor: person.actor(),
            request_id: person.request_id().to_owned(),
            ip: person.ip().to_string(),
        }
    }
}

impl Refused {
    fn who(&self) -> String {
        self.actor.identity()
    }
}

/// Nothing was refused yet.
pub(crate) fn refusals() -> Refusals {
    Throttle::new(NonZeroU32::new(PER_MINUTE).unwrap_or(NonZeroU32::MIN), Duration::from_mins(1))
}

/// Writes down that somebody was refused. The refusal stands, whether it can be written down or not.
pub(crate) async fn record(app: &App, refused: &Refused, method: &str, path: &str, reason: &str) {
    if app.refused_acts().count(&refused.who()).is_some() {
        return;
    }
    let written = app.write(async |tx| note(tx, refused, method, path, reason)).await;
    if let Err(error) = written {
        let error = &error as &dyn std::error::Error;
        tracing::error!(error, "a refusal could not be written to the audit log");
    }
}

fn note(
    tx: &mut keydock_storage::db::Tx,
    refused: &Refused,
    method: &str,
    path: &str,
    reason: &str,
) -> Result<()> {
    let event = NewEvent {
        org: refused.org,
        action: Action::AdministrationRefused,
        actor: &refused.actor,
        subject: Subject::new("route", &format!("{method} {path}")),
        detail: members(json!({ "reason": reason }))?,
        request_id: &refused.request_id,
        ip: refused.ip.clone(),
    };
    write(tx, event)
}
