//! The tables `key_callers` and `key_hours`: who uses which secret of a key, and how often.

use std::collections::HashMap;

use keydock_core::{
    id::{self, Id, OrgNumber},
    secret::KeyDigest,
    time::Timestamp,
};
use keydock_storage::db::{self, FromRow, Row, Tx, args};
use serde_json::{Value, json};

use crate::{
    Error, Result,
    access::{changes, usage::Used},
    keys::{CallerUses, HourUses},
};

const HOUR: i64 = 3_600_000_000;

/// Adds to the records of keys. By their ids alone: the keys themselves said who they are.
///
/// Tells which were written: not those that somebody is changing at the moment, or that are gone.
pub async fn record_uses(tx: &mut Tx, uses: &[&Used]) -> Result<Vec<Id<id::AnyKey>>> {
    let sql = tx.in_dialect(
        "UPDATE keys
         SET last_used_at = used.last_at, last_used_ip = used.last_ip,
             last_used_agent = used.last_agent, last_used_deployment = used.last_deployment,
             use_count = use_count + used.uses
         FROM (SELECT value ->> 'id' AS used_id, value ->> 'at' AS last_at,
                      value ->> 'ip' AS last_ip, value ->> 'agent' AS last_agent,
                      value ->> 'deployment' AS last_deployment, value ->> 'uses' AS uses
               FROM json_each($1)) AS used
         WHERE id = used.used_id
         RETURNING id",
        "UPDATE keys
         SET last_used_at = used.last_at, last_used_ip = used.last_ip,
             last_used_agent = used.last_agent, last_used_deployment = used.last_deployment,
             use_count = use_count + used.uses
         FROM (SELECT k.id AS used_id, u.at AS last_at, u.ip AS last_ip, u.agent AS last_agent,
                      u.deployment AS last_deployment, u.uses
               FROM keys k
               JOIN json_to_recordset($1::json)
                    AS u (id text, at bigint, ip text, agent text, deployment text, uses bigint)
                    ON u.id = k.id
               FOR UPDATE OF k SKIP LOCKED) AS used
         WHERE id = used.used_id
         RETURNING id",
    );
    let written: Vec<String> = tx.fetch_all(sql, args![by_key(uses)]).await?;
    let written: Vec<Id<id::AnyKey>> =
        written.iter().map(|id| id.parse().map_err(Error::internal)).collect::<Result<_>>()?;
    let uses: Vec<&Used> =
        uses.iter().filter(|used| written.contains(&used.key)).copied().collect();
    record_callers(tx, &uses).await?;
    record_hours(tx, &uses).await?;
    for used in uses.iter().filter(|used| used.ends_previous) {
        begin_overlap(tx, used).await?;
    }
    Ok(written)
}

/// Each key once, since a statement changes a row once: two secrets may be of one key.
pub(crate) fn by_key(uses: &[&Used]) -> String {
    let mut keys: HashMap<Id<id::AnyKey>, (&Used, u64)> = HashMap::new();
    for used in uses {
        let (last, count) = keys.entry(used.key).or_insert((used, 0));
        *count += u64::from(used.count);
        if used.last > last.last {
            *last = used;
        }
    }
    let row = |(used, count): &(&Used, u64)| {
        json!({"id": used.key.to_string(), "at": used.last.as_micros(), "ip": used.ip.to_string(),
               "agent": used.agent, "deployment": used.deployment, "uses": count})
    };
    keys.values().map(row).collect::<Value>().to_string()
}

async fn record_callers(tx: &mut Tx, uses: &[&Used]) -> Result<()> {
    let sql = tx.in_dialect(
        "INSERT INTO key_callers (key_id, org_id, version, ip, agent, deployment, first_used_at,
                                  last_used_at, uses)
         SELECT value ->> 'id', value ->> 'org', value ->> 'version', value ->> 'ip',
                value ->> 'agent', value ->> 'deployment', value ->> 'first', value ->> 'last',
                value ->> 'uses'
         FROM json_each($1) WHERE TRUE
         ON CONFLICT (key_id, version, ip, agent, deployment) DO UPDATE
         SET last_used_at = excluded.last_used_at, uses = key_callers.uses + excluded.uses",
        "INSERT INTO key_callers (key_id, org_id, version, ip, agent, deployment, first_used_at,
                                  last_used_at, uses)
         SELECT id, org, version, ip, agent, deployment, first, last, uses
         FROM json_to_recordset($1::json)
              AS u (id text, org bigint, version bigint, ip text, agent text, deployment text,
                    first bigint, last bigint, uses bigint)
         ON CONFLICT (key_id, version, ip, agent, deployment) DO UPDATE
         SET last_used_at = excluded.last_used_at, uses = key_callers.uses + excluded.uses",
    );
    // Two that were told apart by more than is kept are one here.
    let mut rows: HashMap<(Id<id::AnyKey>, i64, String, &str, &str), Value> = HashMap::new();
    for used in uses {
        let (agent, deployment) = (&*used.agent, &*used.deployment);
        let name = (used.key, used.version, used.ip.to_string(), agent, deployment);
        let row = rows.entry(name).or_insert_with(|| {
            json!({"id": used.key.to_string(), "org": used.org.as_i64(), "version": used.version,
                   "ip": used.ip.to_string(), "agent": agent, "deployment": deployment,
                   "first": used.first.as_micros(), "last": 0, "uses": 0})
        });
        row["last"] = row["last"].as_i64().unwrap_or(0).max(used.last.as_micros()).into();
        row["uses"] = (row["uses"].as_i64().unwrap_or(0) + i64::from(used.count)).into();
    }
    let rows: Value = rows.into_values().collect();
    tx.execute(sql, args![rows.to_string()]).await?;
    Ok(())
}

async fn record_hours(tx: &mut Tx, uses: &[&Used]) -> Result<()> {
    let sql = tx.in_dialect(
        "INSERT INTO key_hours (key_id, org_id, hour, uses)
         SELECT value ->> 'id', value ->> 'org', value ->> 'hour', value ->> 'uses'
         FROM json_each($1) WHERE TRUE
         ON CONFLICT (key_id, hour) DO UPDATE SET uses = key_hours.uses + excluded.uses",
        "INSERT INTO key_hours (key_id, org_id, hour, uses)
         SELECT id, org, hour, uses
         FROM json_to_recordset($1::json) AS u (id text, org bigint, hour bigint, uses bigint)
         ON CONFLICT (key_id, hour) DO UPDATE SET uses = key_hours.uses + excluded.uses",
    );
    let mut hours: HashMap<(Id<id::AnyKey>, i64), (OrgNumber, u64)> = HashMap::new();
    for used in uses {
        let hour = used.last.as_micros().div_euclid(HOUR) * HOUR;
        hours.entry((used.key, hour)).or_insert((used.org, 0)).1 += u64::from(used.count);
    }
    let row = |((key, hour), (org, uses)): ((Id<id::AnyKey>, i64), (OrgNumber, u64))| json!({"id": key.to_string(), "org": org.as_i64(), "hour": hour, "uses": uses});
    let rows: Value = hours.into_iter().map(row).collect();
    tx.execute(sql, args![rows.to_string()]).await?;
    Ok(())
}

/// Ends the secret before a new one so and so long after the first use of the new one.
async fn begin_overlap(tx: &mut Tx, used: &Used) -> Result<()> {
    let sql = "UPDATE keys
               SET previous_until = CASE
                       WHEN previous_until < $4 + overlap_seconds * 1000000 THEN previous_until
                       ELSE $4 + overlap_seconds * 1000000
                   END,
                   overlap_seconds = NULL
               WHERE org_id = $1 AND id = $2 AND version = $3 AND overlap_seconds IS NOT NULL
               RETURNING previous_digest, digest";
    let values = args![used.org, used.key, used.version, used.first];
    if let Some(Both(previous, current)) = tx.fetch_optional(sql, values).await? {
        for digest in previous.iter().chain([&current]) {
            changes::record(tx, digest);
        }
    }
    Ok(())
}

struct Both(Option<KeyDigest>, KeyDigest);

impl FromRow for Both {
    fn from_row(row: &Row) -> Result<Self, db::Error> {
        Ok(Self(row.parse_opt("previous_digest")?, row.parse("digest")?))
    }
}

/// Who used a key, those of the newest secret first, and of each secret the latest.
pub(in crate::keys) async fn callers(
    tx: &mut Tx,
    org: OrgNumber,
    key: Id<id::AnyKey>,
) -> Result<Vec<CallerUses>> {
    let sql = "SELECT version, ip, agent, deployment, first_used_at, last_used_at, uses
               FROM key_callers WHERE org_id = $1 AND key_id = $2
               ORDER BY version DESC, last_used_at DESC LIMIT 500";
    Ok(tx.fetch_all(sql, args![org, key]).await?)
}

/// How often a key was used in each hour since then in which it was.
pub(in crate::keys) async fn hours(
    tx: &mut Tx,
    org: OrgNumber,
    key: Id<id::AnyKey>,
    since: Timestamp,
) -> Result<Vec<HourUses>> {
    let sql = "SELECT hour, uses FROM key_hours
               WHERE org_id = $1 AND key_id = $2 AND hour >= $3 ORDER BY hour";
    Ok(tx.fetch_all(sql, args![org, key, since]).await?)
}

/// Forgets what nobody needs any more.
pub async fn forget_uses(tx: &mut Tx, before: Timestamp) -> Result<()> {
    tx.execute("DELETE FROM key_callers WHERE last_used_at < $1", args![before]).await?;
    tx.execute("DELETE FROM key_hours WHERE hour < $1", args![before]).await?;
    Ok(())
}

impl FromRow for CallerUses {
    fn from_row(row: &Row) -> Result<Self, db::Error> {
        Ok(Self {
            version: row.int("version")?,
            ip: row.text("ip")?,
            agent: row.text("agent")?,
            deployment: row.text("deployment")?,
            first_used_at: row.time("first_used_at")?,
            last_used_at: row.time("last_used_at")?,
            uses: row.int("uses")?,
        })
    }
}

impl FromRow for HourUses {
    fn from_row(row: &Row) -> Result<Self, db::Error> {
        Ok(Self { hour: row.time("hour")?, uses: row.int("uses")? })
    }
}
