//! The `key_scopes` table: which deployments a key opens. Every statement names the organization.

use keydock_core::id::{self, Id, OrgNumber};
use keydock_storage::db::{self, FromRow, Row, Tx, args};

use super::{OrgWide, Reachable};
use crate::Result;

/// Every deployment of the organization.
pub(super) async fn deployments(tx: &mut Tx, org: OrgNumber) -> Result<Vec<Reachable>> {
    let sql = "SELECT id, display_name, api_name, is_active FROM deployments
               WHERE org_id = $1 ORDER BY display_name, id";
    Ok(tx.fetch_all(sql, args![org]).await?)
}

/// The deployments in the scopes of keys, with the keys.
pub(super) async fn scopes(
    tx: &mut Tx,
    org: OrgNumber,
    key: Option<Id<id::OrgDeploymentKey>>,
) -> Result<Vec<(Id<id::OrgDeploymentKey>, Reachable)>> {
    let sql = "SELECT s.key_id, d.id, d.display_name, d.api_name, d.is_active
               FROM key_scopes s JOIN deployments d ON d.org_id = $1 AND d.id = s.deployment_id
               WHERE s.org_id = $1 AND ($2 IS NULL OR s.key_id = $2)
               ORDER BY d.display_name, d.id";
    let rows: Vec<Scoped> = tx.fetch_all(sql, args![org, key]).await?;
    Ok(rows.into_iter().map(|Scoped(key, deployment)| (key, deployment)).collect())
}

pub(super) async fn set_scope(
    tx: &mut Tx,
    org: OrgNumber,
    key: Id<id::OrgDeploymentKey>,
    deployments: &[Id<id::Deployment>],
) -> Result<()> {
    let sql = "DELETE FROM key_scopes WHERE org_id = $1 AND key_id = $2";
    tx.execute(sql, args![org, key]).await?;
    for deployment in deployments {
        let sql = "INSERT INTO key_scopes (org_id, key_id, deployment_id) VALUES ($1, $2, $3)";
        tx.execute(sql, args![org, key, *deployment]).await?;
    }
    Ok(())
}

struct Scoped(Id<id::OrgDeploymentKey>, Reachable);

impl FromRow for Scoped {
    fn from_row(row: &Row) -> Result<Self, db::Error> {
        Ok(Self(row.parse("key_id")?, Reachable::from_row(row)?))
    }
}

impl FromRow for Reachable {
    fn from_row(row: &Row) -> Result<Self, db::Error> {
        Ok(Self {
            id: row.parse("id")?,
            display_name: row.text("display_name")?,
            api_name: row.text("api_name")?,
            is_active: row.bool("is_active")?,
        })
    }
}

impl FromRow for OrgWide {
    fn from_row(row: &Row) -> Result<Self, db::Error> {
        Ok(Self {
            name: row.parse("name")?,
            description: row.parse("description")?,
            opens_all: row.bool("opens_all")?,
            // Read apart.
            deployments: Vec::new(),
        })
    }
}
