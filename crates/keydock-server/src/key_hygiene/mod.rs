//! Key hygiene: what the server does about keys by itself.
//!
//! Who made a key forgets it. So the organization is reminded of keys that end, 30, 14, 7 and 1 days
//! before; and keys that nobody uses are switched off, after a warning. They are not deleted: switching
//! one on again is all it takes, and begins its time anew.
//!
//! What is due stands in the rows of the keys, and is marked there in the transaction that tells of it:
//! so it is told once, whatever ends and however many nodes look.

mod dormancy;
mod reminders;
mod store;

use std::sync::Arc;

use keydock_core::id::OrgNumber;
use keydock_storage::db::Tx;

use crate::{
    App, Result,
    access::{Actor, Caller},
    organizations,
};

/// Does all that is due.
pub async fn look_after(app: &App) -> Result<()> {
    reminders::give(app).await?;
    dormancy::look(app).await
}

/// The server, as the one who acts in an organization.
async fn server(tx: &mut Tx, org: OrgNumber) -> Result<Caller> {
    let org = Arc::new(organizations::facts(tx, org).await?);
    Ok(Caller { org, actor: Actor::Server, request_id: String::new(), ip: None })
}
