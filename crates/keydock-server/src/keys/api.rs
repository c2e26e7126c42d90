//! How keys of all kinds are spoken of over HTTP.

use std::time::Duration;

use axum::http::{HeaderName, HeaderValue};
use keydock_core::{
    id::{AnyKey, Id, OrgNumber},
    limits::Period,
};
use keydock_wire::keys as wire;
use serde::Serialize;
use serde_json::Value;

use super::{
    BulkAction, CallerUses, Filter, Issued, Key, Kind, Listed, MAX_GRACE, Meter, Overlap, Settle,
};
use crate::{
    App, Error, FieldError, Result,
    access::usage,
    web::{Fields, PageRequest},
};

/// An answer that nobody may keep.
pub(crate) type Uncached<T> = ([(HeaderName, HeaderValue); 1], T);

/// The most keys that something is done to at once.
const MAX_BULK: usize = 500;

/// Fields of a key that clients send back to us and that are not theirs to change.
pub(crate) const NOT_THEIRS: &[&str] = &[
    "canary_alarmed_at",
    "created_at",
    "created_by",
    "created_by_email",
    "disabled_reason",
    "dormancy_warned_at",
    "expiry_reminder",
    "fingerprint",
    "id",
    "key",
    "last_used_agent",
    "last_used_at",
    "last_used_ip",
    "modified_at",
    "modified_by",
    "previous_secret_until",
    "use_count",
    "version",
];

/// Reads for how long the old secret of a key shall still work, and from when that counts.
pub(crate) fn overlap(fields: &mut Fields) -> Overlap {
    let grace = grace(fields);
    match fields.string_opt("overlap_from").as_deref() {
        None | Some("" | "now") => Overlap::FromNow(grace),
        Some("first_use") => Overlap::FromFirstUse(grace),
        Some(_) => {
            let detail = "Send now or first_use.";
            fields.reject(FieldError::new("overlap_from", "invalid_choice", detail));
            Overlap::FromNow(grace)
        }
    }
}

fn grace(fields: &mut Fields) -> Duration {
    let seconds = fields.int_opt("grace_seconds").unwrap_or(0);
    let Ok(seconds) = u64::try_from(seconds) else {
        fields.reject(FieldError::new(
            "grace_seconds",
            "min_value",
            "Ensure this value is greater than or equal to 0.",
        ));
        return Duration::ZERO;
    };
    let most = MAX_GRACE.as_secs();
    if seconds > most {
        fields.reject(FieldError::new(
            "grace_seconds",
            "max_value",
            format!("Ensure this value is less than or equal to {most}."),
        ));
    }
    Duration::from_secs(seconds.min(most))
}

/// Reads what shall be done about an overlap.
pub(crate) fn settle(mut fields: Fields) -> Result<Settle> {
    let how = match fields.string("action").as_deref() {
        Some("undo") => Some(Settle::Undo),
        Some("finish") => Some(Settle::Finish),
        Some(_) => {
            let detail = "Send undo or finish.";
            fields.reject(FieldError::new("action", "invalid_choice", detail));
            None
        }
        None => None,
    };
    fields.finish()?;
    how.ok_or_else(|| FieldError::required("action").into())
}

/// Has the uses of a key written down, for somebody who is about to look at them.
pub(crate) async fn write_down_uses<T>(app: &App, org: OrgNumber, id: Id<T>) -> Result<()> {
    let secrets = app.read(async |tx| super::secrets_of(tx, org, id.widen()).await).await?;
    usage::flush_of(app.keyring(), app.db(), &secrets).await
}

/// Who uses which secret of a key.
pub(crate) fn meter<K: Kind>(meter: Meter<K>) -> axum::Json<wire::KeyUsage> {
    let Meter { key, previous_version, callers, hours, recent } = meter;
    let state = |version: i64| {
        if version == key.version {
            "current"
        } else if Some(version) == previous_version {
            "previous"
        } else {
            "ended"
        }
    };
    let left = callers.iter().filter(|caller| Some(caller.version) == previous_version).count();
    let last = callers.iter().max_by_key(|caller| caller.last_used_at).cloned();
    let told = |caller: CallerUses| wire::KeyCaller {
        secret_version: caller.version,
        secret_state: state(caller.version).to_owned(),
        ip: caller.ip,
        agent: caller.agent,
        deployment: Some(caller.deployment).filter(|name| !name.is_empty()),
        first_used_at: caller.first_used_at.to_string(),
        last_used_at: caller.last_used_at.to_string(),
        uses: caller.uses,
    };
    axum::Json(wire::KeyUsage {
        use_count: key.use_count,
        last_used_at: key.last_used_at.map(|at| at.to_string()),
        last_used_ip: key.last_used_ip,
        last_used_agent: key.last_used_agent,
        version: key.version,
        previous_version,
        previous_secret_until: key.previous_until.map(|at| at.to_string()),
        callers_of_previous: left,
        recent_uses: recent,
        last_caller: last.map(told),
        callers: callers.into_iter().map(told).collect(),
        hours: hours
            .into_iter()
            .map(|hour| wire::HourUses { hour: hour.hour.to_string(), uses: hour.uses })
            .collect(),
    })
}

/// What stands in place of a deployment's or a platform key's secret: its last four characters.
pub(crate) fn masked(last_four: &str) -> String {
    format!("********-****-****-****-********{last_four}")
}

/// The same for keys of an organization.
pub(crate) fn masked_shortly(last_four: &str) -> String {
    format!("****-{last_four}")
}

/// How a key is used, and what limits it.
pub(crate) fn facts<K: Kind>(key: &Key<K>) -> wire::KeyFacts {
    let limits = &key.controls.limits;
    wire::KeyFacts {
        last_used_at: key.last_used_at.map(|at| at.to_string()),
        last_used_ip: key.last_used_ip.clone(),
        last_used_agent: key.last_used_agent.clone(),
        use_count: key.use_count,
        fingerprint: key.fingerprint.clone(),
        version: key.version,
        previous_secret_until: key.previous_until.map(|at| at.to_string()),
        expires_at: key.controls.expires_at.map(|at| at.to_string()),
        allowed_ips: limits.allowed_ips.iter().map(ToString::to_string).collect(),
        rate_limit: limits.rate_limit.map(|limit| wire::RateLimit {
            requests: limit.requests,
            window_seconds: limit.window_seconds,
        }),
        quota: limits.quota.map(|quota| wire::Quota {
            requests: quota.requests,
            period: match quota.period {
                Period::Hour => "hour",
                Period::Day => "day",
                Period::Month => "month",
            }
            .to_owned(),
        }),
        expiry_reminder: key.noted.reminder.map(|reminder| wire::ExpiryReminder {
            days: reminder.days,
            at: reminder.at.to_string(),
        }),
        dormancy_warned_at: key.noted.dormancy_warned_at.map(|at| at.to_string()),
        disabled_reason: disabled_reason(key),
        canary: key.controls.is_canary,
        canary_alarmed_at: key.noted.alarmed_at.map(|at| at.to_string()),
    }
}

/// Why the server switched a key off, if it did.
pub(crate) fn disabled_reason<K: Kind>(key: &Key<K>) -> Option<String> {
    key.controls.is_dormant.then(|| super::DORMANT.to_owned())
}

/// Who created a key, as lists say it.
pub(crate) fn creator<K: Kind>(key: &Key<K>) -> String {
    key.created_by_email.clone().unwrap_or_else(|| "Deleted user".to_owned())
}

/// A key with its new secret, shown once.
pub(crate) fn issued<K: Kind>(issued: Issued<K>, name: String) -> (Id<AnyKey>, wire::IssuedKey) {
    let shown = wire::IssuedKey {
        id: issued.key.id.to_string(),
        name,
        is_active: issued.key.is_active,
        previous_secret_until: issued.key.previous_until.map(|at| at.to_string()),
        key: issued.secret.reveal(),
    };
    (issued.key.id.widen(), shown)
}

/// Which keys a request for a list asks for: `search`, `is_active`, `page` and `page_size`.
pub(crate) fn filter(page: &PageRequest) -> Result<Filter> {
    let is_active = page.filter("is_active").map(|text| {
        crate::web::fields::parse_bool(text)
            .ok_or_else(|| FieldError::invalid("is_active", "Must be a valid boolean."))
    });
    Ok(Filter {
        deployment: None,
        search: page.filter("search").map(ToOwned::to_owned),
        is_active: is_active.transpose()?,
        page: page.is_asked().then(|| (page.limit(), page.offset())),
    })
}

/// The rows of a list: bare, or in pages for those who ask for pages.
pub(crate) fn rows<K: Kind, W: Serialize + From<Key<K>>>(
    page: &PageRequest,
    listed: Listed<K>,
) -> Result<axum::Json<Value>> {
    let row = |key: Key<K>| serde_json::to_value(W::from(key)).map_err(Error::internal);
    let rows: Vec<Value> = listed.keys.into_iter().map(row).collect::<Result<_>>()?;
    let answer = if page.is_asked() { page.answer(listed.total, &rows)? } else { rows.into() };
    Ok(axum::Json(answer))
}

/// Reads what to do to which keys.
pub(crate) fn bulk<T>(mut fields: Fields) -> Result<(Vec<Id<T>>, BulkAction)> {
    let ids = ids(&mut fields, "ids");
    let action = match fields.string("action").as_deref() {
        Some("activate") => Some(BulkAction::Activate),
        Some("deactivate") => Some(BulkAction::Deactivate),
        Some("delete") => Some(BulkAction::Delete),
        Some(_) => {
            let detail = "Send activate, deactivate or delete.";
            fields.reject(FieldError::new("action", "invalid_choice", detail));
            None
        }
        None => None,
    };
    if ids.as_ref().is_some_and(|ids| ids.is_empty() || ids.len() > MAX_BULK) {
        fields.reject(FieldError::invalid("ids", format!("Name 1 to {MAX_BULK} keys.")));
    }
    fields.finish()?;
    ids.zip(action).ok_or_else(|| FieldError::required("ids").into())
}

/// A list of identifiers, each once.
pub(crate) fn ids<T>(fields: &mut Fields, name: &'static str) -> Option<Vec<Id<T>>> {
    let mut ids = Vec::new();
    let Value::Array(values) = fields.take(name)? else {
        fields.reject(FieldError::new(name, "not_a_list", "Send a list of identifiers."));
        return None;
    };
    for value in values {
        match value.as_str().and_then(|text| text.trim().parse().ok()) {
            Some(id) if ids.contains(&id) => {}
            Some(id) => ids.push(id),
            None => {
                fields.reject(FieldError::invalid(name, "Must be a valid UUID."));
                return None;
            }
        }
    }
    Some(ids)
}

/// What was done to some of so many keys.
pub(crate) fn done(all: usize, changed: usize) -> axum::Json<wire::BulkDone> {
    axum::Json(wire::BulkDone { changed, unchanged: all - changed })
}
