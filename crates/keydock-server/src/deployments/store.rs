//! The tables of deployments and their owners, and what the list tells of their runs. Every statement
//! names the organization.

use std::collections::HashMap;

use keydock_core::{
    id::{self, Id, OrgNumber, UserNumber},
    text::ApiName,
};
use keydock_storage::db::{self, FromRow, Row, Tx, Value, args};

use super::{Deployment, Listed, Overview, Query, Run};
use crate::{
    Result,
    access::Member,
    workflows::{Owner, owner},
};

/// Puts the changes to a deployment and to its keys into one order.
pub(super) async fn lock(tx: &mut Tx, org: OrgNumber, id: Id<id::Deployment>) -> Result<()> {
    let sql = "UPDATE deployments SET modified_at = modified_at WHERE org_id = $1 AND id = $2";
    tx.execute(sql, args![org, id]).await?;
    Ok(())
}

/// The same for every deployment of a workflow.
pub(super) async fn lock_all_of(
    tx: &mut Tx,
    org: OrgNumber,
    workflow: Id<id::Workflow>,
) -> Result<()> {
    let sql = "UPDATE deployments SET modified_at = modified_at
               WHERE org_id = $1 AND workflow_id = $2";
    tx.execute(sql, args![org, workflow]).await?;
    Ok(())
}

pub(super) async fn insert(tx: &mut Tx, deployment: &Deployment) -> Result<(), db::Error> {
    let sql = "INSERT INTO deployments (id, org_id, workflow_id, display_name, description,
                                        api_name, is_active, shared_to_org, created_by,
                                        modified_by, created_at, modified_at)
               VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)";
    let values = args![
        deployment.id,
        deployment.org,
        deployment.workflow,
        deployment.display_name.as_str(),
        deployment.description.as_str(),
        deployment.api_name.as_str(),
        deployment.is_active,
        deployment.shared_to_org,
        deployment.created_by,
        deployment.modified_by,
        deployment.created_at,
        deployment.modified_at
    ];
    tx.execute(sql, values).await?;
    Ok(())
}

pub(super) async fn insert_owner(
    tx: &mut Tx,
    org: OrgNumber,
    id: Id<id::Deployment>,
    user: UserNumber,
) -> Result<()> {
    let sql = "INSERT INTO deployment_owners (deployment_id, org_id, user_id, created_at)
               VALUES ($1, $2, $3, $4)";
    tx.execute(sql, args![id, org, user, tx.now()]).await?;
    Ok(())
}

pub(super) async fn update(tx: &mut Tx, deployment: &Deployment) -> Result<(), db::Error> {
    let sql = "UPDATE deployments
               SET workflow_id = $3, display_name = $4, description = $5, api_name = $6,
                   is_active = $7, modified_by = $8, modified_at = $9
               WHERE org_id = $1 AND id = $2";
    let values = args![
        deployment.org,
        deployment.id,
        deployment.workflow,
        deployment.display_name.as_str(),
        deployment.description.as_str(),
        deployment.api_name.as_str(),
        deployment.is_active,
        deployment.modified_by,
        deployment.modified_at
    ];
    tx.execute(sql, values).await?;
    Ok(())
}

pub(super) async fn delete(tx: &mut Tx, org: OrgNumber, id: Id<id::Deployment>) -> Result<()> {
    let sql = "DELETE FROM deployments WHERE org_id = $1 AND id = $2";
    tx.execute(sql, args![org, id]).await?;
    Ok(())
}

/// A deployment that the member may see.
pub(super) async fn find(
    tx: &mut Tx,
    member: &Member,
    id: Id<id::Deployment>,
) -> Result<Option<Deployment>> {
    let sql = "SELECT d.id, d.org_id, d.workflow_id, d.display_name, d.description, d.api_name,
                      d.is_active, d.shared_to_org, d.created_by, d.modified_by, d.created_at,
                      d.modified_at, w.name AS workflow_name, w.version AS workflow_version,
                      c.email AS created_by_email, o.user_id AS owner, u.email AS owner_email
               FROM deployments d
               JOIN workflows w ON w.org_id = $1 AND w.id = d.workflow_id
               LEFT JOIN users c ON c.id = d.created_by
               LEFT JOIN deployment_owners o ON o.org_id = $1 AND o.deployment_id = d.id
               LEFT JOIN users u ON u.id = o.user_id
               WHERE d.org_id = $1 AND d.id = $2
                 AND ($3 OR d.shared_to_org OR EXISTS (
                         SELECT 1 FROM deployment_owners own
                         WHERE own.org_id = $1 AND own.deployment_id = d.id AND own.user_id = $4))
               ORDER BY o.created_at, o.user_id";
    let values = args![member.org(), id, member.sees_all(), member.caller().user()];
    Ok(gather(tx.fetch_all(sql, values).await?).pop())
}

/// The deployment that a caller with a key asks for.
pub(super) async fn find_by_name(
    tx: &mut Tx,
    org: OrgNumber,
    name: &ApiName,
) -> Result<Option<Deployment>> {
    let sql = "SELECT d.id, d.org_id, d.workflow_id, d.display_name, d.description, d.api_name,
                      d.is_active, d.shared_to_org, d.created_by, d.modified_by, d.created_at,
                      d.modified_at, w.name AS workflow_name, w.version AS workflow_version,
                      c.email AS created_by_email, o.user_id AS owner, u.email AS owner_email
               FROM deployments d
               JOIN workflows w ON w.org_id = $1 AND w.id = d.workflow_id
               LEFT JOIN users c ON c.id = d.created_by
               LEFT JOIN deployment_owners o ON o.org_id = $1 AND o.deployment_id = d.id
               LEFT JOIN users u ON u.id = o.user_id
               WHERE d.org_id = $1 AND d.api_name = $2
               ORDER BY o.created_at, o.user_id";
    Ok(gather(tx.fetch_all(sql, args![org, name.as_str()]).await?).pop())
}

pub(super) async fn all_of(
    tx: &mut Tx,
    org: OrgNumber,
    workflow: Id<id::Workflow>,
) -> Result<Vec<Deployment>> {
    let sql = "SELECT d.id, d.org_id, d.workflow_id, d.display_name, d.description, d.api_name,
                      d.is_active, d.shared_to_org, d.created_by, d.modified_by, d.created_at,
                      d.modified_at, w.name AS workflow_name, w.version AS workflow_version,
                      c.email AS created_by_email, o.user_id AS owner, u.email AS owner_email
               FROM deployments d
               JOIN workflows w ON w.org_id = $1 AND w.id = d.workflow_id
               LEFT JOIN users c ON c.id = d.created_by
               LEFT JOIN deployment_owners o ON o.org_id = $1 AND o.deployment_id = d.id
               LEFT JOIN users u ON u.id = o.user_id
               WHERE d.org_id = $1 AND d.workflow_id = $2
               ORDER BY d.created_at, d.id, o.created_at, o.user_id";
    Ok(gather(tx.fetch_all(sql, args![org, workflow]).await?))
}

/// The deployments of one page, which the list and the runs both begin with. A text contains another
/// if taking the other out of it changes it.
macro_rules! page {
    () => {
        "WITH seen AS (
             SELECT d.id, d.org_id, d.workflow_id, d.display_name, d.description, d.api_name,
                    d.is_active, d.shared_to_org, d.created_by, d.modified_by, d.created_at,
                    d.modified_at,
                    (SELECT MAX(e.created_at) FROM executions e
                     WHERE e.org_id = $1 AND e.deployment_id = d.id) AS last_run_at
             FROM deployments d
             WHERE d.org_id = $1
               AND ($2 OR d.shared_to_org OR EXISTS (
                       SELECT 1 FROM deployment_owners own
                       WHERE own.org_id = $1 AND own.deployment_id = d.id AND own.user_id = $3))
               AND ($4 IS NULL OR d.workflow_id = $4)
               AND ($5 IS NULL
                    OR REPLACE(LOWER(d.display_name), LOWER($5), '') <> LOWER(d.display_name))
               AND ($6 IS NULL OR d.api_name = $6)
         ), page AS (
             SELECT s.*, COUNT(*) OVER () AS total,
                    ROW_NUMBER() OVER (ORDER BY
                        CASE WHEN $7 = 'display_name' THEN s.display_name END,
                        CASE WHEN $7 = '-display_name' THEN s.display_name END DESC,
                        CASE WHEN $7 = 'created_at' THEN s.created_at
                             WHEN $7 = 'modified_at' THEN s.modified_at
                             WHEN $7 = 'last_run_time' THEN s.last_run_at END NULLS LAST,
                        CASE WHEN $7 = '-created_at' THEN s.created_at
                             WHEN $7 = '-modified_at' THEN s.modified_at
                             WHEN $7 = '-last_run_time' THEN s.last_run_at END DESC NULLS LAST,
                        s.created_at DESC, s.id DESC) AS place
             FROM seen s
             ORDER BY place LIMIT $8 OFFSET $9
         )"
    };
}

fn page_values(member: &Member, query: &Query) -> [Value; 9] {
    [
        member.org().into(),
        member.sees_all().into(),
        member.caller().user().into(),
        query.workflow.into(),
        query.search.clone().into(),
        query.api_name.clone().into(),
        query.ordering.into(),
        query.limit.into(),
        query.offset.into(),
    ]
}

pub(super) async fn list(tx: &mut Tx, member: &Member, query: &Query) -> Result<Listed> {
    let sql = concat!(
        page!(),
        " SELECT p.id, p.org_id, p.workflow_id, p.display_name, p.description, p.api_name,
                 p.is_active, p.shared_to_org, p.created_by, p.modified_by, p.created_at,
                 p.modified_at, p.total, p.last_run_at,
                 (SELECT COUNT(*) FROM executions e
                  WHERE e.org_id = $1 AND e.deployment_id = p.id) AS run_count,
                 w.name AS workflow_name, w.version AS workflow_version,
                 c.email AS created_by_email, o.user_id AS owner, u.email AS owner_email
          FROM page p
          JOIN workflows w ON w.org_id = $1 AND w.id = p.workflow_id
          LEFT JOIN users c ON c.id = p.created_by
          LEFT JOIN deployment_owners o ON o.org_id = $1 AND o.deployment_id = p.id
          LEFT JOIN users u ON u.id = o.user_id
          ORDER BY p.place, o.created_at, o.user_id"
    );
    let lines: Vec<ListLine> = tx.fetch_all(sql, &page_values(member, query)).await?;
    let total = lines.first().map_or(0, |line| line.total);
    let mut deployments: Vec<Overview> = Vec::new();
    for ListLine { overview, owner, .. } in lines {
        let is_next = |last: &Overview| last.deployment.id != overview.deployment.id;
        if deployments.last().is_none_or(is_next) {
            deployments.push(overview);
        }
        if let Some(last) = deployments.last_mut() {
            last.deployment.owners.extend(owner);
        }
    }
    Ok(Listed { deployments, total })
}

/// Adds the last five runs to each deployment of the page, in one statement.
///
/// Where the fifth last run of a deployment is, the index knows; only runs from there on are read.
pub(super) async fn add_runs(
    tx: &mut Tx,
    member: &Member,
    query: &Query,
    deployments: &mut [Overview],
) -> Result<()> {
    let sql = concat!(
        page!(),
        ", bound AS (
             SELECT p.id, COALESCE((SELECT e.created_at FROM executions e
                                    WHERE e.org_id = $1 AND e.deployment_id = p.id
                                    ORDER BY e.created_at DESC LIMIT 1 OFFSET 4), 0) AS since
             FROM page p
         ), run AS (
             SELECT e.id, e.deployment_id, e.status, e.created_at,
                    ROW_NUMBER() OVER (PARTITION BY e.deployment_id
                                       ORDER BY e.created_at DESC, e.id DESC) AS nth
             FROM bound b
             JOIN executions e ON e.org_id = $1 AND e.deployment_id = b.id
                              AND e.created_at >= b.since
         )
         SELECT r.id, r.deployment_id, r.status, r.created_at,
                COUNT(*) FILTER (WHERE f.status = 'COMPLETED') AS successful_files,
                COUNT(*) FILTER (WHERE f.status = 'ERROR') AS failed_files
         FROM run r
         LEFT JOIN file_executions f ON f.org_id = $1 AND f.execution_id = r.id
         WHERE r.nth <= 5
         GROUP BY r.id, r.deployment_id, r.status, r.created_at
         ORDER BY r.created_at, r.id"
    );
    if deployments.iter().all(|overview| overview.run_count == 0) {
        return Ok(());
    }
    let lines: Vec<RunLine> = tx.fetch_all(sql, &page_values(member, query)).await?;
    let mut runs: HashMap<Id<id::Deployment>, Vec<Run>> = HashMap::new();
    for line in lines {
        runs.entry(line.deployment).or_default().push(line.run);
    }
    for overview in deployments {
        overview.last_runs = runs.remove(&overview.deployment.id).unwrap_or_default();
    }
    Ok(())
}

/// One deployment and one of its owners; a deployment has as many lines as owners, and at least one.
struct Line {
    deployment: Deployment,
    owner: Option<Owner>,
}

fn gather(lines: Vec<Line>) -> Vec<Deployment> {
    let mut deployments: Vec<Deployment> = Vec::new();
    for line in lines {
        if deployments.last().is_none_or(|last| last.id != line.deployment.id) {
            deployments.push(line.deployment);
        }
        if let Some(last) = deployments.last_mut() {
            last.owners.extend(line.owner);
        }
    }
    deployments
}

/// Gives what one account owns to another.
pub(super) async fn hand_over(
    tx: &mut Tx,
    org: OrgNumber,
    from: UserNumber,
    to: UserNumber,
) -> Result<()> {
    let sql = "UPDATE deployment_owners SET user_id = $3
               WHERE org_id = $1 AND user_id = $2
                 AND NOT EXISTS (SELECT 1 FROM deployment_owners o
                                 WHERE o.org_id = $1 AND o.user_id = $3
                                   AND o.deployment_id = deployment_owners.deployment_id)";
    tx.execute(sql, args![org, from, to]).await?;
    let sql = "UPDATE deployments SET created_by = $3 WHERE org_id = $1 AND created_by = $2";
    tx.execute(sql, args![org, from, to]).await?;
    let sql = "UPDATE deployments SET modified_by = $3 WHERE org_id = $1 AND modified_by = $2";
    tx.execute(sql, args![org, from, to]).await?;
    Ok(())
}

impl FromRow for Line {
    fn from_row(row: &Row) -> Result<Self, db::Error> {
        let deployment = Deployment {
            id: row.parse("id")?,
            org: OrgNumber::from_i64(row.int("org_id")?),
            workflow: row.parse("workflow_id")?,
            workflow_name: row.parse("workflow_name")?,
            workflow_version: row.int("workflow_version")?,
            display_name: row.parse("display_name")?,
            description: row.parse("description")?,
            api_name: row.parse("api_name")?,
            is_active: row.bool("is_active")?,
            shared_to_org: row.bool("shared_to_org")?,
            created_by: row.int_opt("created_by")?.map(UserNumber::from_i64),
            created_by_email: row.text_opt("created_by_email")?,
            modified_by: row.int_opt("modified_by")?.map(UserNumber::from_i64),
            created_at: row.time("created_at")?,
            modified_at: row.time("modified_at")?,
            owners: Vec::new(),
        };
        Ok(Self { deployment, owner: owner(row)? })
    }
}

struct ListLine {
    overview: Overview,
    owner: Option<Owner>,
    total: i64,
}

impl FromRow for ListLine {
    fn from_row(row: &Row) -> Result<Self, db::Error> {
        let Line { deployment, owner } = Line::from_row(row)?;
        let overview = Overview {
            deployment,
            run_count: row.int("run_count")?,
            last_run_at: row.time_opt("last_run_at")?,
            last_runs: Vec::new(),
        };
        Ok(Self { overview, owner, total: row.int("total")? })
    }
}

struct RunLine {
    deployment: Id<id::Deployment>,
    run: Run,
}

impl FromRow for RunLine {
    fn from_row(row: &Row) -> Result<Self, db::Error> {
        let run = Run {
            id: row.parse("id")?,
            status: row.text("status")?,
            created_at: row.time("created_at")?,
            successful_files: row.int("successful_files")?,
            failed_files: row.int("failed_files")?,
        };
        Ok(Self { deployment: row.parse("deployment_id")?, run })
    }
}
