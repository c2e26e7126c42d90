//! The tables of workflows, their versions and their owners. Every statement names the organization.

use keydock_core::id::{self, Id, OrgNumber, UserNumber};
use keydock_storage::db::{self, FromRow, Row, Tx, args};

use super::{Listed, NewDefinition, Owner, Query, Workflow};
use crate::{
    Result,
    access::{Caller, Member},
};

/// Puts the changes to a workflow into one order.
pub(super) async fn lock(tx: &mut Tx, org: OrgNumber, id: Id<id::Workflow>) -> Result<()> {
    let sql = "UPDATE workflows SET modified_at = modified_at WHERE org_id = $1 AND id = $2";
    tx.execute(sql, args![org, id]).await?;
    Ok(())
}

pub(super) async fn insert(
    tx: &mut Tx,
    org: OrgNumber,
    workflow: &Workflow,
) -> Result<(), db::Error> {
    let sql = "INSERT INTO workflows (id, org_id, name, description, deployment_type,
                                      max_file_execution_count, is_active, shared_to_org, version,
                                      source_id, destination_id, created_by, modified_by,
                                      created_at, modified_at)
               VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)";
    let values = args![
        workflow.id,
        org,
        workflow.name.as_str(),
        workflow.description.as_str(),
        workflow.purpose.as_str(),
        workflow.repeats.limit(),
        workflow.is_active,
        workflow.shared_to_org,
        workflow.version,
        workflow.source,
        workflow.destination,
        workflow.created_by,
        workflow.modified_by,
        workflow.created_at,
        workflow.modified_at
    ];
    tx.execute(sql, values).await?;
    Ok(())
}

pub(super) async fn insert_owner(
    tx: &mut Tx,
    org: OrgNumber,
    id: Id<id::Workflow>,
    user: UserNumber,
) -> Result<()> {
    let sql = "INSERT INTO workflow_owners (workflow_id, org_id, user_id, created_at)
               VALUES ($1, $2, $3, $4)";
    tx.execute(sql, args![id, org, user, tx.now()]).await?;
    Ok(())
}

pub(super) async fn insert_version(
    tx: &mut Tx,
    caller: &Caller,
    id: Id<id::Workflow>,
    version: i64,
    definition: &NewDefinition,
) -> Result<()> {
    let sql = "INSERT INTO workflow_versions (workflow_id, org_id, version, definition, created_by,
                                              created_at)
               VALUES ($1, $2, $3, $4, $5, $6)";
    let org = caller.org.number;
    let values = args![id, org, version, definition.as_str(), caller.user(), tx.now()];
    tx.execute(sql, values).await?;
    Ok(())
}

pub(super) async fn definition(
    tx: &mut Tx,
    org: OrgNumber,
    id: Id<id::Workflow>,
    version: i64,
) -> Result<Option<String>> {
    let sql = "SELECT definition FROM workflow_versions
               WHERE org_id = $1 AND workflow_id = $2 AND version = $3";
    Ok(tx.fetch_optional(sql, args![org, id, version]).await?)
}

pub(super) async fn update(
    tx: &mut Tx,
    org: OrgNumber,
    workflow: &Workflow,
) -> Result<(), db::Error> {
    let sql = "UPDATE workflows
               SET name = $3, description = $4, deployment_type = $5,
                   max_file_execution_count = $6, version = $7, modified_by = $8, modified_at = $9
               WHERE org_id = $1 AND id = $2";
    let values = args![
        org,
        workflow.id,
        workflow.name.as_str(),
        workflow.description.as_str(),
        workflow.purpose.as_str(),
        workflow.repeats.limit(),
        workflow.version,
        workflow.modified_by,
        workflow.modified_at
    ];
    tx.execute(sql, values).await?;
    Ok(())
}

pub(super) async fn delete(tx: &mut Tx, org: OrgNumber, id: Id<id::Workflow>) -> Result<()> {
    let sql = "DELETE FROM workflows WHERE org_id = $1 AND id = $2";
    tx.execute(sql, args![org, id]).await?;
    Ok(())
}

/// A workflow that the member may see.
pub(super) async fn find(
    tx: &mut Tx,
    member: &Member,
    id: Id<id::Workflow>,
) -> Result<Option<Workflow>> {
    let sql = "SELECT w.id, w.name, w.description, w.deployment_type, w.max_file_execution_count,
                      w.is_active, w.shared_to_org, w.version, w.source_id, w.destination_id,
                      w.created_by, w.modified_by, w.created_at, w.modified_at,
                      c.email AS created_by_email, o.user_id AS owner, u.email AS owner_email,
                      1 AS total
               FROM workflows w
               LEFT JOIN users c ON c.id = w.created_by
               LEFT JOIN workflow_owners o ON o.org_id = $1 AND o.workflow_id = w.id
               LEFT JOIN users u ON u.id = o.user_id
               WHERE w.org_id = $1 AND w.id = $2
                 AND ($3 OR w.shared_to_org OR EXISTS (
                         SELECT 1 FROM workflow_owners own
                         WHERE own.org_id = $1 AND own.workflow_id = w.id AND own.user_id = $4))
               ORDER BY o.created_at, o.user_id";
    let values = args![member.org(), id, member.sees_all(), member.caller().user()];
    let lines = tx.fetch_all(sql, values).await?;
    Ok(gather(lines).workflows.pop())
}

/// The workflow with this endpoint, if the member may see it.
pub(super) async fn find_by_endpoint(
    tx: &mut Tx,
    member: &Member,
    endpoint: Id<id::Endpoint>,
) -> Result<Option<Workflow>> {
    let sql = "SELECT w.id, w.name, w.description, w.deployment_type, w.max_file_execution_count,
                      w.is_active, w.shared_to_org, w.version, w.source_id, w.destination_id,
                      w.created_by, w.modified_by, w.created_at, w.modified_at,
                      c.email AS created_by_email, o.user_id AS owner, u.email AS owner_email,
                      1 AS total
               FROM workflows w
               LEFT JOIN users c ON c.id = w.created_by
               LEFT JOIN workflow_owners o ON o.org_id = $1 AND o.workflow_id = w.id
               LEFT JOIN users u ON u.id = o.user_id
               WHERE w.org_id = $1 AND (w.source_id = $2 OR w.destination_id = $2)
                 AND ($3 OR w.shared_to_org OR EXISTS (
                         SELECT 1 FROM workflow_owners own
                         WHERE own.org_id = $1 AND own.workflow_id = w.id AND own.user_id = $4))
               ORDER BY o.created_at, o.user_id";
    let values = args![member.org(), endpoint, member.sees_all(), member.caller().user()];
    let lines = tx.fetch_all(sql, values).await?;
    Ok(gather(lines).workflows.pop())
}

/// A text contains another if taking the other out of it changes it: both databases can say that,
/// and neither gives any character a special meaning.
pub(super) async fn list(tx: &mut Tx, member: &Member, query: &Query) -> Result<Listed> {
    let sql = "WITH page AS (
                   SELECT w.id, w.name, w.description, w.deployment_type,
                          w.max_file_execution_count, w.is_active, w.shared_to_org, w.version,
                          w.source_id, w.destination_id, w.created_by, w.modified_by,
                          w.created_at, w.modified_at,
                          COUNT(*) OVER () AS total,
                          ROW_NUMBER() OVER (ORDER BY
                              CASE WHEN $8 = 'workflow_name' THEN w.name END,
                              CASE WHEN $8 = '-workflow_name' THEN w.name END DESC,
                              CASE WHEN $8 = 'created_at' THEN w.created_at
                                   WHEN $8 = 'modified_at' THEN w.modified_at END,
                              CASE WHEN $8 = '-created_at' THEN w.created_at
                                   WHEN $8 = '-modified_at' THEN w.modified_at END DESC,
                              w.id DESC) AS place
                   FROM workflows w
                   WHERE w.org_id = $1
                     AND ($2 OR w.shared_to_org OR EXISTS (
                             SELECT 1 FROM workflow_owners own
                             WHERE own.org_id = $1 AND own.workflow_id = w.id
                               AND own.user_id = $3))
                     AND ($4 IS NULL OR w.name = $4)
                     AND ($5 IS NULL OR REPLACE(LOWER(w.name), LOWER($5), '') <> LOWER(w.name)
                          OR EXISTS (
                             SELECT 1 FROM workflow_owners own JOIN users u ON u.id = own.user_id
                             WHERE own.org_id = $1 AND own.workflow_id = w.id
                               AND REPLACE(LOWER(u.email), LOWER($5), '') <> LOWER(u.email)))
                     AND ($6 IS NULL OR w.is_active = $6)
                     AND ($7 IS NULL OR w.created_by = $7)
                   ORDER BY place LIMIT $9 OFFSET $10
               )
               SELECT p.id, p.name, p.description, p.deployment_type, p.max_file_execution_count,
                      p.is_active, p.shared_to_org, p.version, p.source_id, p.destination_id,
                      p.created_by, p.modified_by, p.created_at, p.modified_at, p.total,
                      c.email AS created_by_email, o.user_id AS owner, u.email AS owner_email
               FROM page p
               LEFT JOIN users c ON c.id = p.created_by
               LEFT JOIN workflow_owners o ON o.org_id = $1 AND o.workflow_id = p.id
               LEFT JOIN users u ON u.id = o.user_id
               ORDER BY p.place, o.created_at, o.user_id";
    let values = args![
        member.org(),
        member.sees_all(),
        member.caller().user(),
        query.name.clone(),
        query.search.clone(),
        query.is_active,
        query.created_by,
        query.ordering,
        query.limit,
        query.offset
    ];
    Ok(gather(tx.fetch_all(sql, values).await?))
}

/// One workflow and one of its owners; a workflow has as many lines as owners, and at least one.
struct Line {
    workflow: Workflow,
    owner: Option<Owner>,
    total: i64,
}

fn gather(lines: Vec<Line>) -> Listed {
    let total = lines.first().map_or(0, |line| line.total);
    let mut workflows: Vec<Workflow> = Vec::new();
    for line in lines {
        if workflows.last().is_none_or(|last| last.id != line.workflow.id) {
            workflows.push(line.workflow);
        }
        if let Some(last) = workflows.last_mut() {
            last.owners.extend(line.owner);
        }
    }
    Listed { workflows, total }
}

/// Gives what one account owns to another.
pub(super) async fn hand_over(
    tx: &mut Tx,
    org: OrgNumber,
    from: UserNumber,
    to: UserNumber,
) -> Result<()> {
    let sql = "UPDATE workflow_owners SET user_id = $3
               WHERE org_id = $1 AND user_id = $2
                 AND NOT EXISTS (SELECT 1 FROM workflow_owners o
                                 WHERE o.org_id = $1 AND o.user_id = $3
                                   AND o.workflow_id = workflow_owners.workflow_id)";
    tx.execute(sql, args![org, from, to]).await?;
    let sql = "UPDATE workflows SET created_by = $3 WHERE org_id = $1 AND created_by = $2";
    tx.execute(sql, args![org, from, to]).await?;
    let sql = "UPDATE workflows SET modified_by = $3 WHERE org_id = $1 AND modified_by = $2";
    tx.execute(sql, args![org, from, to]).await?;
    Ok(())
}

impl FromRow for Line {
    fn from_row(row: &Row) -> Result<Self, db::Error> {
        let workflow = Workflow {
            id: row.parse("id")?,
            name: row.parse("name")?,
            description: row.parse("description")?,
            purpose: row.parse("deployment_type")?,
            repeats: row.int_opt("max_file_execution_count")?.into(),
            is_active: row.bool("is_active")?,
            shared_to_org: row.bool("shared_to_org")?,
            version: row.int("version")?,
            source: row.parse("source_id")?,
            destination: row.parse("destination_id")?,
            created_by: row.int_opt("created_by")?.map(UserNumber::from_i64),
            created_by_email: row.text_opt("created_by_email")?,
            modified_by: row.int_opt("modified_by")?.map(UserNumber::from_i64),
            created_at: row.time("created_at")?,
            modified_at: row.time("modified_at")?,
            owners: Vec::new(),
        };
        Ok(Self { workflow, owner: owner(row)?, total: row.int("total")? })
    }
}

/// The owner in a line of a workflow or a deployment.
pub(crate) fn owner(row: &Row) -> Result<Option<Owner>, db::Error> {
    let user = row.int_opt("owner")?.map(UserNumber::from_i64);
    Ok(user.zip(row.text_opt("owner_email")?).map(|(user, email)| Owner { user, email }))
}
