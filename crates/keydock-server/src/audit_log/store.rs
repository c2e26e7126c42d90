//! The `audit_events` table and the end of its chain. Rows are only ever added.
//!
//! What is about the chain as a whole names no organization: there is one chain for all of them.

use keydock_core::{id::OrgNumber, time::Timestamp};
use keydock_storage::db::{self, FromRow, Row, Tx, args};

use super::{
    Filter,
    chain::{Head, Link, Locked, Record},
};
use crate::Result;

/// Locks the end of the chain until this transaction ends. Tells where it is, and which pepper events
/// are sealed with from there on.
pub(super) async fn lock_head(tx: &mut Tx) -> Result<Locked, db::Error> {
    let sql = "UPDATE audit_chain SET seq = seq WHERE id = 1 RETURNING seq, hash, pepper";
    tx.fetch_one(sql, args![]).await
}

pub(super) async fn set_head(tx: &mut Tx, head: &Head) -> Result<(), db::Error> {
    let sql = "UPDATE audit_chain SET seq = $1, hash = $2 WHERE id = 1";
    tx.execute(sql, args![head.seq, &head.hash]).await?;
    Ok(())
}

pub(super) async fn head(tx: &mut Tx) -> Result<Option<Head>> {
    let sql = "SELECT seq, hash FROM audit_chain WHERE id = 1";
    Ok(tx.fetch_optional(sql, args![]).await?)
}

pub(super) async fn insert(
    tx: &mut Tx,
    place: &Head,
    seal: &str,
    record: &Record,
) -> Result<(), db::Error> {
    let sql = "INSERT INTO audit_events (id, org_id, at, action, actor_kind, actor_id, actor_name,
                                         subject_kind, subject_id, detail, request_id, ip,
                                         seq, hash, seal)
               VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)";
    let values = args![
        &record.id,
        record.org_id,
        record.at,
        &record.action,
        &record.actor_kind,
        &record.actor_id,
        &record.actor_name,
        &record.subject_kind,
        &record.subject_id,
        &record.detail,
        &record.request_id,
        &record.ip,
        place.seq,
        &place.hash,
        seal
    ];
    tx.execute(sql, values).await?;
    Ok(())
}

pub(super) async fn happened_since(
    tx: &mut Tx,
    org: OrgNumber,
    action: &str,
    subject_id: &str,
    since: Timestamp,
) -> Result<bool> {
    let sql = "SELECT COUNT(*) FROM audit_events
               WHERE org_id = $1 AND subject_id = $2 AND action = $3 AND at > $4";
    let count: i64 = tx.fetch_one(sql, args![org, subject_id, action, since]).await?;
    Ok(count > 0)
}

/// Events from before the chain, in the order of their ids.
pub(super) async fn unchained(tx: &mut Tx, limit: i64) -> Result<Vec<Record>> {
    let sql = "SELECT id, org_id, at, action, actor_kind, actor_id, actor_name, subject_kind,
                      subject_id, detail, request_id, ip
               FROM audit_events WHERE seq IS NULL ORDER BY id LIMIT $1";
    Ok(tx.fetch_all(sql, args![limit]).await?)
}

pub(super) async fn chain(tx: &mut Tx, place: &Head, seal: &str, id: &str) -> Result<()> {
    let sql = "UPDATE audit_events SET seq = $1, hash = $2, seal = $3 WHERE id = $4";
    tx.execute(sql, args![place.seq, &place.hash, seal, id]).await?;
    Ok(())
}

pub(super) async fn count_unchained(tx: &mut Tx) -> Result<i64> {
    let sql = "SELECT COUNT(*) FROM audit_events WHERE seq IS NULL";
    Ok(tx.fetch_one(sql, args![]).await?)
}

pub(super) async fn count_chained(tx: &mut Tx) -> Result<i64> {
    let sql = "SELECT COUNT(*) FROM audit_events WHERE seq IS NOT NULL";
    Ok(tx.fetch_one(sql, args![]).await?)
}

/// Events of everybody in the order of the chain.
pub(super) async fn links(tx: &mut Tx, after: i64, limit: i64) -> Result<Vec<Link>> {
    let sql = "SELECT id, org_id, at, action, actor_kind, actor_id, actor_name, subject_kind,
                      subject_id, detail, request_id, ip, seq, hash, seal,
                      CAST(NULL AS TEXT) AS previous_hash
               FROM audit_events WHERE seq > $1 ORDER BY seq, id LIMIT $2";
    Ok(tx.fetch_all(sql, args![after, limit]).await?)
}

/// Events for an export, of one organization or of everybody, in the order of the chain.
pub(super) async fn export(
    tx: &mut Tx,
    org: Option<OrgNumber>,
    filter: &Filter,
    after: i64,
    limit: i64,
) -> Result<Vec<Link>> {
    let sql = "SELECT e.id, e.org_id, e.at, e.action, e.actor_kind, e.actor_id, e.actor_name,
                      e.subject_kind, e.subject_id, e.detail, e.request_id, e.ip, e.seq, e.hash,
                      CAST(NULL AS TEXT) AS seal, COALESCE(p.hash, '') AS previous_hash
               FROM audit_events e LEFT JOIN audit_events p ON p.seq = e.seq - 1
               WHERE ($1 < 0 OR e.org_id = $1)
                 AND ($2 = '' OR e.action = $2)
                 AND ($3 = '' OR e.actor_id = $3 OR e.actor_name = $3)
                 AND ($4 = '' OR e.subject_id = $4 OR e.subject_kind = $4)
                 AND e.at >= $5 AND e.at < $6 AND e.seq > $7
               ORDER BY e.seq LIMIT $8";
    let org = org.map_or(-1, OrgNumber::as_i64);
    let (from, to) = filter.span();
    let values = args![org, &filter.action, &filter.actor, &filter.subject, from, to, after, limit];
    Ok(tx.fetch_all(sql, values).await?)
}

/// A page of events of an organization, newest first.
pub(super) async fn list(
    tx: &mut Tx,
    org: OrgNumber,
    filter: &Filter,
    offset: i64,
    limit: i64,
) -> Result<Vec<Link>> {
    let sql = "SELECT e.id, e.org_id, e.at, e.action, e.actor_kind, e.actor_id, e.actor_name,
                      e.subject_kind, e.subject_id, e.detail, e.request_id, e.ip, e.seq, e.hash,
                      CAST(NULL AS TEXT) AS seal, COALESCE(p.hash, '') AS previous_hash
               FROM audit_events e LEFT JOIN audit_events p ON p.seq = e.seq - 1
               WHERE e.org_id = $1
                 AND ($2 = '' OR e.action = $2)
                 AND ($3 = '' OR e.actor_id = $3 OR e.actor_name = $3)
                 AND ($4 = '' OR e.subject_id = $4 OR e.subject_kind = $4)
                 AND e.at >= $5 AND e.at < $6 AND e.seq IS NOT NULL
               ORDER BY e.seq DESC LIMIT $7 OFFSET $8";
    let (from, to) = filter.span();
    let values =
        args![org, &filter.action, &filter.actor, &filter.subject, from, to, limit, offset];
    Ok(tx.fetch_all(sql, values).await?)
}

pub(super) async fn count(tx: &mut Tx, org: OrgNumber, filter: &Filter) -> Result<i64> {
    let sql = "SELECT COUNT(*) FROM audit_events e
               WHERE e.org_id = $1
                 AND ($2 = '' OR e.action = $2)
                 AND ($3 = '' OR e.actor_id = $3 OR e.actor_name = $3)
                 AND ($4 = '' OR e.subject_id = $4 OR e.subject_kind = $4)
                 AND e.at >= $5 AND e.at < $6 AND e.seq IS NOT NULL";
    let (from, to) = filter.span();
    let values = args![org, &filter.action, &filter.actor, &filter.subject, from, to];
    Ok(tx.fetch_one(sql, values).await?)
}

/// The number of the organization with this name.
pub(super) async fn org_called(tx: &mut Tx, name: &str) -> Result<Option<OrgNumber>> {
    let sql = "SELECT id FROM organizations WHERE name = $1";
    let found: Option<i64> = tx.fetch_optional(sql, args![name]).await?;
    Ok(found.map(OrgNumber::from_i64))
}

impl Filter {
    fn span(&self) -> (Timestamp, Timestamp) {
        let bound = |at: Option<Timestamp>, open| at.unwrap_or(Timestamp::from_micros(open));
        (bound(self.from, i64::MIN), bound(self.to, i64::MAX))
    }
}

impl FromRow for Locked {
    fn from_row(row: &Row) -> Result<Self, db::Error> {
        Ok(Self { head: Head::from_row(row)?, pepper: row.text("pepper")? })
    }
}

impl FromRow for Head {
    fn from_row(row: &Row) -> Result<Self, db::Error> {
        Ok(Self { seq: row.int("seq")?, hash: row.text("hash")? })
    }
}

impl FromRow for Record {
    fn from_row(row: &Row) -> Result<Self, db::Error> {
        Ok(Self {
            id: row.text("id")?,
            org_id: row.int_opt("org_id")?,
            at: row.int("at")?,
            action: row.text("action")?,
            actor_kind: row.text("actor_kind")?,
            actor_id: row.text("actor_id")?,
            actor_name: row.text("actor_name")?,
            subject_kind: row.text("subject_kind")?,
            subject_id: row.text("subject_id")?,
            detail: row.text("detail")?,
            request_id: row.text("request_id")?,
            ip: row.text("ip")?,
        })
    }
}

impl FromRow for Link {
    fn from_row(row: &Row) -> Result<Self, db::Error> {
        Ok(Self {
            seq: row.int("seq")?,
            previous_hash: row.text_opt("previous_hash")?,
            // What somebody took away is as wrong as what they changed.
            hash: row.text_opt("hash")?.unwrap_or_default(),
            seal: row.text_opt("seal")?,
            record: Record::from_row(row)?,
        })
    }
}
