//! The tables of the cache and of reported use. Every statement names the organization, but for those
//! of upkeep.

use keydock_core::{
    id::{self, Id, OrgNumber},
    time::Timestamp,
};
use keydock_storage::db::{Tx, args};

use super::{CacheKey, CacheValue, Pages, Tokens};
use crate::{
    Result,
    access::{Actor, Tool},
};

pub(super) async fn value(tx: &mut Tx, org: OrgNumber, key: &CacheKey) -> Result<Option<String>> {
    let sql = "SELECT value FROM sdk_cache WHERE org_id = $1 AND key = $2 AND expires_at > $3";
    Ok(tx.fetch_optional(sql, args![org, &key.0, tx.now()]).await?)
}

pub(super) async fn put(
    tx: &mut Tx,
    org: OrgNumber,
    key: &CacheKey,
    value: &CacheValue,
    until: Timestamp,
) -> Result<()> {
    let sql = "INSERT INTO sdk_cache (org_id, key, value, expires_at) VALUES ($1, $2, $3, $4)
               ON CONFLICT (org_id, key)
               DO UPDATE SET value = excluded.value, expires_at = excluded.expires_at";
    tx.execute(sql, args![org, &key.0, &value.0, until]).await?;
    Ok(())
}

/// Deletes what would end first, beyond the first `most`. What another transaction holds is left: it
/// makes room itself.
pub(super) async fn make_room(tx: &mut Tx, org: OrgNumber, most: i64) -> Result<()> {
    let sql = tx.in_dialect(
        "DELETE FROM sdk_cache
         WHERE org_id = $1 AND key IN (SELECT key FROM sdk_cache WHERE org_id = $1
                                       ORDER BY expires_at DESC, key
                                       LIMIT 1000000 OFFSET $2)",
        "DELETE FROM sdk_cache
         WHERE org_id = $1 AND key IN (SELECT key FROM sdk_cache WHERE org_id = $1
                                       ORDER BY expires_at DESC, key
                                       LIMIT 1000000 OFFSET $2 FOR UPDATE SKIP LOCKED)",
    );
    tx.execute(sql, args![org, most]).await?;
    Ok(())
}

pub(super) async fn remove(tx: &mut Tx, org: OrgNumber, key: &CacheKey) -> Result<()> {
    let sql = "DELETE FROM sdk_cache WHERE org_id = $1 AND key = $2";
    tx.execute(sql, args![org, &key.0]).await?;
    Ok(())
}

pub(super) async fn insert_tokens(
    tx: &mut Tx,
    tool: &Tool,
    id: Id<id::ReportedUse>,
    used: &Tokens,
) -> Result<()> {
    let sql = "INSERT INTO sdk_usage (id, org_id, key_id, at, workflow_id, execution_id,
                                      adapter_id, run_id, usage_type, reason, model_name,
                                      provider, embedding_tokens, prompt_tokens,
                                      completion_tokens, total_tokens, nanodollars)
               VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17)";
    let values = args![
        id,
        tool.org(),
        key_of(tool),
        tx.now(),
        &used.workflow_id,
        &used.execution_id,
        &used.adapter_id,
        &used.run_id,
        &used.usage_type,
        &used.reason,
        &used.model_name,
        &used.provider,
        used.embedding_tokens,
        used.prompt_tokens,
        used.completion_tokens,
        used.total_tokens,
        used.nanodollars
    ];
    tx.execute(sql, values).await?;
    Ok(())
}

pub(super) async fn insert_pages(
    tx: &mut Tx,
    tool: &Tool,
    id: Id<id::ReportedUse>,
    used: &Pages,
) -> Result<()> {
    let sql = "INSERT INTO sdk_page_usage (id, org_id, key_id, at, run_id, file_name, file_type,
                                           file_size, page_count)
               VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)";
    let values = args![
        id,
        tool.org(),
        key_of(tool),
        tx.now(),
        &used.run_id,
        &used.file_name,
        &used.file_type,
        used.file_size,
        used.page_count
    ];
    tx.execute(sql, values).await?;
    Ok(())
}

/// The key that a tool called with.
fn key_of(tool: &Tool) -> String {
    match &tool.caller().actor {
        Actor::PlatformKey { id, .. } => id.to_string(),
        Actor::PlatformApiKey { id, .. } => id.to_string(),
        Actor::DeploymentKey { id } => id.to_string(),
        Actor::OrgDeploymentKey { id, .. } => id.to_string(),
        Actor::PlatformToken { id, .. } => id.to_string(),
        Actor::Person { .. } | Actor::Pipeline { .. } | Actor::Anonymous | Actor::Server => {
            String::new()
        }
    }
}

/// Upkeep: of every organization.
pub(super) async fn forget_values(tx: &mut Tx, now: Timestamp) -> Result<()> {
    tx.execute("DELETE FROM sdk_cache WHERE expires_at <= $1", args![now]).await?;
    Ok(())
}

/// Upkeep: of every organization.
pub(super) async fn forget_reports(tx: &mut Tx, before: Timestamp) -> Result<()> {
    tx.execute("DELETE FROM sdk_usage WHERE at < $1", args![before]).await?;
    tx.execute("DELETE FROM sdk_page_usage WHERE at < $1", args![before]).await?;
    Ok(())
}
