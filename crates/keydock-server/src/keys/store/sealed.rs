//! The `sealed_answers` table: answers with secrets, which only the client can open.

use keydock_core::{
    id::{self, Id, OrgNumber},
    time::Timestamp,
};
use keydock_storage::db::{self, FromRow, Row, Tx, args};

use crate::{Error, Result};

/// An answer that was given.
#[derive(Debug)]
pub(crate) struct Sealed {
    /// A digest of what was asked.
    pub(crate) request: String,
    /// What was answered, sealed.
    pub(crate) sealed: String,
}

pub(crate) async fn find_sealed(tx: &mut Tx, org: OrgNumber, id: &str) -> Result<Option<Sealed>> {
    let sql = "SELECT request, sealed FROM sealed_answers
               WHERE org_id = $1 AND id = $2 AND expires_at > $3";
    Ok(tx.fetch_optional(sql, args![org, id, tx.now()]).await?)
}

pub(crate) async fn keep_sealed(
    tx: &mut Tx,
    org: OrgNumber,
    key: Id<id::AnyKey>,
    id: &str,
    answer: &Sealed,
    expires_at: Timestamp,
) -> Result<()> {
    let sql = "DELETE FROM sealed_answers WHERE org_id = $1 AND id = $2 AND expires_at <= $3";
    tx.execute(sql, args![org, id, tx.now()]).await?;
    let sql = "INSERT INTO sealed_answers (org_id, id, key_id, request, sealed, expires_at)
               VALUES ($1, $2, $3, $4, $5, $6)";
    let values = args![org, id, key, &answer.request, &answer.sealed, expires_at];
    let kept = tx.execute(sql, values).await;
    db::OnConflict::on_conflict(kept.map(drop), || Error::Conflict {
        detail: "A request with this Idempotency-Key is under way. Send it again in a moment.",
    })
}

/// Forgets answers that nobody can ask for any more.
pub async fn forget_sealed(tx: &mut Tx) -> Result<()> {
    tx.execute("DELETE FROM sealed_answers WHERE expires_at <= $1", args![tx.now()]).await?;
    Ok(())
}

impl FromRow for Sealed {
    fn from_row(row: &Row) -> Result<Self, db::Error> {
        Ok(Self { request: row.text("request")?, sealed: row.text("sealed")? })
    }
}
