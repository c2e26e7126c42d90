//! What tools that were written with the SDK find here: whose key they hold, a cache of texts for a
//! few days, and a place to report what models and documents cost (CONTRACT 8).
//!
//! Nothing of it leaves a trace in the audit log: the cache is memory of programs, and a report is
//! itself a record.

pub mod api;
mod store;

use std::{str::FromStr, time::Duration};

use keydock_core::id::{self, Id};
use keydock_storage::db::Tx;

use crate::{Error, Result, access::Tool};

/// The largest value in the cache, in bytes.
pub const LARGEST_VALUE: usize = 1024 * 1024;

/// How many values an organization may have in the cache; those that would end first make room.
pub const MOST_VALUES: i64 = 1_000;

/// How long a value stays in the cache.
pub const LIFETIME: Duration = Duration::from_hours(7 * 24);

/// How long reports are kept.
const REPORTS: Duration = Duration::from_hours(400 * 24);

/// The name of a value in the cache: 1 to 512 characters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CacheKey(String);

/// A value in the cache: any text that a database can hold.
#[derive(Clone, PartialEq, Eq)]
pub struct CacheValue(String);

impl std::fmt::Debug for CacheValue {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "CacheValue({} bytes)", self.0.len())
    }
}

impl FromStr for CacheKey {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        if text.is_empty() || text.chars().count() > 512 || text.contains('\0') {
            return Err(Error::invalid("key", "Use 1 to 512 characters, and no NUL."));
        }
        Ok(Self(text.to_owned()))
    }
}

impl TryFrom<String> for CacheValue {
    type Error = Error;

    fn try_from(text: String) -> Result<Self> {
        if text.len() > LARGEST_VALUE {
            return Err(Error::TooLarge { limit: LARGEST_VALUE as u64 });
        }
        if text.contains('\0') {
            return Err(Error::invalid("value", "A text must not hold NUL."));
        }
        Ok(Self(text))
    }
}

/// Tokens that a model took.
#[derive(Debug, Default)]
#[expect(missing_docs, reason = "each has the meaning of its namesake on the wire")]
pub struct Tokens {
    pub workflow_id: String,
    pub execution_id: String,
    pub adapter_id: String,
    pub run_id: String,
    pub usage_type: String,
    pub reason: String,
    pub model_name: String,
    pub provider: String,
    pub embedding_tokens: i64,
    pub prompt_tokens: i64,
    pub completion_tokens: i64,
    pub total_tokens: i64,
    /// What they cost, in billionths of a dollar.
    pub nanodollars: i64,
}

/// Pages that a document had.
#[derive(Debug, Default)]
#[expect(missing_docs, reason = "each has the meaning of its namesake on the wire")]
pub struct Pages {
    pub run_id: String,
    pub file_name: String,
    pub file_type: String,
    pub file_size: i64,
    pub page_count: i64,
}

/// A value of the tool's organization, unless it has ended.
pub async fn cached(tx: &mut Tx, tool: &Tool, key: &CacheKey) -> Result<String> {
    store::value(tx, tool.org(), key).await?.ok_or(Error::NotFound { what: "Value" })
}

/// Keeps a value for [`LIFETIME`], in place of the one of the same name.
pub async fn cache(tx: &mut Tx, tool: &Tool, key: &CacheKey, value: &CacheValue) -> Result<()> {
    let until = tx.now().after(LIFETIME);
    store::put(tx, tool.org(), key, value, until).await?;
    store::make_room(tx, tool.org(), MOST_VALUES).await
}

/// Drops a value. That it was not there is no error.
pub async fn uncache(tx: &mut Tx, tool: &Tool, key: &CacheKey) -> Result<()> {
    store::remove(tx, tool.org(), key).await
}

/// Stores a report of tokens.
pub async fn report_tokens(tx: &mut Tx, tool: &Tool, used: &Tokens) -> Result<Id<id::ReportedUse>> {
    let id = tx.new_id();
    store::insert_tokens(tx, tool, id, used).await?;
    Ok(id)
}

/// Stores a report of pages.
pub async fn report_pages(tx: &mut Tx, tool: &Tool, used: &Pages) -> Result<Id<id::ReportedUse>> {
    let id = tx.new_id();
    store::insert_pages(tx, tool, id, used).await?;
    Ok(id)
}

/// Deletes values that have ended, and reports of long ago.
pub async fn forget_old(tx: &mut Tx) -> Result<()> {
    let now = tx.now();
    store::forget_values(tx, now).await?;
    store::forget_reports(tx, now.before(REPORTS)).await
}
