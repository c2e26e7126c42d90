//! The `refusals` table. Every statement names the organization.

use keydock_core::{id::OrgNumber, time::Timestamp};
use keydock_storage::db::{self, FromRow, Row, Tx, args};

use super::{Kept, Refused, Whose};
use crate::Result;

pub(super) async fn insert(tx: &mut Tx, refused: &[Refused]) -> Result<()> {
    for refused in refused {
        let (number, name) = match &refused.org {
            Whose::Number(number) => (Some(*number), ""),
            Whose::Named(name) => (None, name.as_str()),
        };
        let sql =
            "INSERT INTO refusals (id, org_id, request_id, at, status, code, reason, method, path,
                                         key_id, key_kind, key_name, ip, agent)
                   SELECT $1, id, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15
                   FROM organizations WHERE id = $2 OR ($2 IS NULL AND name = $3)";
        let key = refused.key.as_ref();
        let values = args![
            tx.new_id::<()>(),
            number,
            name,
            &refused.request_id,
            refused.at,
            i64::from(refused.status),
            &refused.code,
            &refused.reason,
            &refused.method,
            &refused.path,
            key.map(|key| key.key.to_string()).unwrap_or_default(),
            key.map(|key| key.kind.as_str()).unwrap_or_default(),
            key.and_then(|key| key.name.clone()).unwrap_or_default(),
            refused.ip.to_string(),
            &refused.agent
        ];
        tx.execute(sql, values).await?;
    }
    Ok(())
}

/// The newest refusal of a request of this name: names are chosen by clients, and may be chosen twice.
pub(super) async fn find(tx: &mut Tx, org: OrgNumber, request_id: &str) -> Result<Option<Kept>> {
    let sql = "SELECT request_id, at, status, code, reason, method, path, key_id, key_kind, key_name,
                      ip, agent
               FROM refusals WHERE org_id = $1 AND request_id = $2 ORDER BY at DESC, id DESC LIMIT 1";
    Ok(tx.fetch_optional(sql, args![org, request_id]).await?)
}

/// Forgets old refusals, whosever they are.
pub(super) async fn forget(tx: &mut Tx, before: Timestamp) -> Result<()> {
    tx.execute("DELETE FROM refusals WHERE at < $1", args![before]).await?;
    Ok(())
}

impl FromRow for Kept {
    fn from_row(row: &Row) -> Result<Self, db::Error> {
        let is_genuine = !row.text("key_id")?.is_empty();
        let key = is_genuine
            .then(|| {
                Ok::<_, db::Error>((
                    row.parse("key_id")?,
                    row.parse("key_kind")?,
                    row.text("key_name")?,
                ))
            })
            .transpose()?;
        Ok(Self {
            request_id: row.text("request_id")?,
            at: row.time("at")?,
            status: row.int("status")?,
            code: row.text("code")?,
            reason: row.text("reason")?,
            method: row.text("method")?,
            path: row.text("path")?,
            key,
            ip: row.text("ip")?,
            agent: row.text("agent")?,
        })
    }
}
