//! Deployments: workflows published as HTTP APIs.
//!
//! A deployment answers at an address of its own, to keys of its own. A workflow has at most one that
//! is active. Who owns a deployment, admins and keys of the organization may change it. Deleting one
//! takes the proof that none of its keys is left.

pub mod access;
pub mod api;
pub mod directory;
mod store;

use keydock_core::{
    id::{self, Id, OrgNumber, UserNumber},
    text::{ApiName, DeploymentDescription, DisplayName, WorkflowName},
    time::Timestamp,
};
use keydock_storage::db::{self, Tx};
use rand::RngExt as _;
use serde_json::json;

pub use self::access::Called;
use crate::{
    Error, FieldError, Result,
    access::{Admin, Caller, Member, Possession},
    audit_log::{self, Action, Subject},
    deployment_keys::Keyless,
    workflows::{self, Owner, is_among, replace},
};

/// What is said of a deployment that is not there or not to be seen.
pub(crate) const NOT_FOUND: Error = Error::NotFound { what: "API" };

/// A deployment.
#[derive(Clone, Debug)]
pub struct Deployment {
    /// Its id.
    pub id: Id<id::Deployment>,
    /// The organization that it belongs to.
    pub org: OrgNumber,
    /// The workflow that it publishes.
    pub workflow: Id<id::Workflow>,
    /// What that workflow is called.
    pub workflow_name: WorkflowName,
    /// The newest version of that workflow's definition, which a run that is accepted now uses.
    pub workflow_version: i64,
    /// What it is called on pages.
    pub display_name: DisplayName,
    /// What it is for.
    pub description: DeploymentDescription,
    /// The part of its address that names it, unique in the organization.
    pub api_name: ApiName,
    /// Whether it takes documents.
    pub is_active: bool,
    /// Whether every member of the organization may see it.
    pub shared_to_org: bool,
    /// Who created it, if that was a person who is still known.
    pub created_by: Option<UserNumber>,
    /// Their address.
    pub created_by_email: Option<String>,
    /// Who changed it last, if that was a person.
    pub modified_by: Option<UserNumber>,
    /// When it was created.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub modified_at: Timestamp,
    /// Who owns it, earliest first.
    pub owners: Vec<Owner>,
}

impl Deployment {
    /// Whether the caller is one of its owners.
    pub fn is_owned_by(&self, caller: &Caller) -> bool {
        is_among(&self.owners, caller)
    }
}

/// A deployment with how it was run.
#[derive(Debug)]
pub struct Overview {
    /// The deployment.
    pub deployment: Deployment,
    /// How often it was run.
    pub run_count: i64,
    /// When the last run was accepted.
    pub last_run_at: Option<Timestamp>,
    /// The last runs, at most five, oldest first.
    pub last_runs: Vec<Run>,
}

/// A run in short.
#[derive(Debug)]
pub struct Run {
    /// Its id.
    pub id: Id<id::Execution>,
    /// What became of it, in the words of the wire.
    pub status: String,
    /// When it was accepted.
    pub created_at: Timestamp,
    /// How many of its files gave a result.
    pub successful_files: i64,
    /// How many of its files failed.
    pub failed_files: i64,
}

/// A deployment that the caller may change, with the proof that they may.
///
/// Only operations of this module make one. The deployment is locked until the transaction ends, so
/// that changes to it and to its keys come one after the other.
#[derive(Debug)]
pub struct Managed {
    deployment: Deployment,
    caller: Caller,
}

impl Managed {
    /// The deployment.
    pub fn deployment(&self) -> &Deployment {
        &self.deployment
    }

    /// Who may change it.
    pub fn caller(&self) -> &Caller {
        &self.caller
    }
}

/// A workflow that the caller may change and that nothing publishes, until the transaction ends.
#[derive(Debug)]
pub struct Undeployed(workflows::Managed);

impl Undeployed {
    /// The workflow.
    pub(crate) fn into_workflow(self) -> workflows::Managed {
        self.0
    }
}

/// What to create.
#[derive(Debug)]
pub struct NewDeployment {
    /// The workflow to publish.
    pub workflow: Id<id::Workflow>,
    /// What it is called on pages.
    pub display_name: DisplayName,
    /// What it is for.
    pub description: DeploymentDescription,
    /// The part of its address that names it; random if there is none.
    pub api_name: Option<ApiName>,
    /// Whether it takes documents.
    pub is_active: bool,
}

/// What to change; the rest stays.
#[derive(Debug, Default)]
pub struct Changes {
    /// The workflow to publish from now on.
    pub workflow: Option<Id<id::Workflow>>,
    /// What it is called on pages.
    pub display_name: Option<DisplayName>,
    /// What it is for.
    pub description: Option<DeploymentDescription>,
    /// The part of its address that names it.
    pub api_name: Option<ApiName>,
    /// Whether it takes documents.
    pub is_active: Option<bool>,
}

/// Which deployments to list, and how.
#[derive(Debug)]
pub struct Query {
    /// Only those of this workflow.
    pub workflow: Option<Id<id::Workflow>>,
    /// Only those with this text in their display name.
    pub search: Option<String>,
    /// Only the one with this name in its address.
    pub api_name: Option<String>,
    /// By what: one of [`ORDERINGS`].
    pub ordering: &'static str,
    /// How many to leave out at the beginning.
    pub offset: i64,
    /// How many to list at most.
    pub limit: i64,
}

/// The orders that a list can have; the first unless told otherwise. What was never run comes last
/// in both orders by run.
pub const ORDERINGS: [&str; 8] = [
    "-last_run_time",
    "last_run_time",
    "-created_at",
    "created_at",
    "-modified_at",
    "modified_at",
    "-display_name",
    "display_name",
];

impl Default for Query {
    /// Every deployment, the one that was run last first.
    fn default() -> Self {
        Self {
            workflow: None,
            search: None,
            api_name: None,
            ordering: ORDERINGS[0],
            offset: 0,
            limit: i64::MAX,
        }
    }
}

/// A part of a list.
#[derive(Debug)]
pub struct Listed {
    /// The deployments of this part.
    pub deployments: Vec<Overview>,
    /// How many there are in all; 0 if this part is empty.
    pub total: i64,
}

/// Lists the deployments that the member may see: their own, those shared with everybody, and all
/// for admins and keys.
pub async fn list(tx: &mut Tx, member: &Member, query: &Query) -> Result<Listed> {
    let mut listed = store::list(tx, member, query).await?;
    store::add_runs(tx, member, query, &mut listed.deployments).await?;
    Ok(listed)
}

/// One deployment that the member may see.
pub async fn get(tx: &mut Tx, member: &Member, id: Id<id::Deployment>) -> Result<Deployment> {
    find(tx, member, id).await?.ok_or(NOT_FOUND)
}

/// Puts what is done to the keys of a deployment into one order with everything else, until the
/// transaction ends.
pub(crate) async fn lock(tx: &mut Tx, org: OrgNumber, id: Id<id::Deployment>) -> Result<()> {
    store::lock(tx, org, id).await
}

/// One deployment, if the member may see it.
pub async fn find(
    tx: &mut Tx,
    member: &Member,
    id: Id<id::Deployment>,
) -> Result<Option<Deployment>> {
    store::find(tx, member, id).await
}

/// One deployment that the member may change: they own it, or are an admin or a key. A deployment
/// that they may only see is refused, one that they may not see is not there.
pub async fn manage(tx: &mut Tx, member: &Member, id: Id<id::Deployment>) -> Result<Managed> {
    find_managed(tx, member, id).await?.ok_or(NOT_FOUND)
}

/// The same for callers who have another word for what is not there.
pub(crate) async fn find_managed(
    tx: &mut Tx,
    member: &Member,
    id: Id<id::Deployment>,
) -> Result<Option<Managed>> {
    store::lock(tx, member.org(), id).await?;
    let Some(deployment) = find(tx, member, id).await? else { return Ok(None) };
    if member.sees_all() || deployment.is_owned_by(member.caller()) {
        return Ok(Some(Managed { deployment, caller: member.caller().clone() }));
    }
    Err(Error::forbidden_to(
        member.caller(),
        "You can see this deployment but not change it or its keys. Ask one of its owners or an \
         admin.",
    ))
}

/// Puts what happens to a deployment and its keys into one order, for somebody who gives up such a key.
pub(crate) async fn lock_for(
    tx: &mut Tx,
    possession: &Possession,
    id: Id<id::Deployment>,
) -> Result<()> {
    store::lock(tx, possession.org(), id).await
}

/// Publishes a workflow. Whoever does it becomes the owner, if that is a person. Nothing opens the
/// deployment until it has a key.
pub async fn create(tx: &mut Tx, member: &Member, new: NewDeployment) -> Result<Managed> {
    workflows::lock(tx, member, new.workflow).await?;
    let workflow = deployable(tx, member, new.workflow).await?;
    let caller = member.caller();
    let deployment = Deployment {
        id: tx.new_id(),
        org: member.org(),
        workflow: workflow.id,
        workflow_name: workflow.name,
        workflow_version: workflow.version,
        display_name: new.display_name,
        description: new.description,
        api_name: new.api_name.unwrap_or_else(|| random_name(tx)),
        is_active: new.is_active,
        shared_to_org: false,
        created_by: caller.user(),
        created_by_email: None,
        modified_by: caller.user(),
        created_at: tx.now(),
        modified_at: tx.now(),
        owners: Vec::new(),
    };
    let id = deployment.id;
    store::insert(tx, &deployment).await.map_err(|error| taken(error, &deployment))?;
    if let Some(user) = caller.user() {
        store::insert_owner(tx, member.org(), id, user).await?;
    }
    let detail = json!({"api_name": deployment.api_name.as_str(), "workflow": deployment.workflow,
                        "is_active": deployment.is_active});
    record(tx, caller, Action::DeploymentCreated, id, detail).await?;
    manage(tx, member, id).await
}

/// A workflow that the member may see and that has something to publish.
async fn deployable(
    tx: &mut Tx,
    member: &Member,
    id: Id<id::Workflow>,
) -> Result<workflows::Workflow> {
    let Some(workflow) = workflows::find(tx, member, id).await? else {
        let detail =
            format!("There is no workflow {id} here. Choose one of this organization's workflows.");
        return Err(FieldError::new("workflow", "does_not_exist", detail).into());
    };
    if workflow.version == 0 {
        return Err(Error::invalid(
            "workflow",
            format!(
                "The workflow \"{}\" has no definition yet, so there is nothing to run. Add one \
                 with PATCH workflow/{id}/ and the field definition, then deploy it.",
                workflow.name
            ),
        ));
    }
    Ok(workflow)
}

fn random_name(tx: &mut Tx) -> ApiName {
    const LETTERS: &[u8; 36] = b"abcdefghijklmnopqrstuvwxyz0123456789";
    let name: String = tx.with_rng(|rng| {
        (0..30).map(|_| char::from(LETTERS[rng.random_range(0..LETTERS.len())])).collect()
    });
    name.parse().expect("thirty letters and digits are a name")
}

/// The schema has the last word about names and the one active deployment.
fn taken(error: db::Error, deployment: &Deployment) -> Error {
    match &error {
        db::Error::Unique { constraint } if constraint.contains("api_name") => Error::invalid(
            "api_name",
            format!(
                "There is an API named \"{}\" already. Choose another name.",
                deployment.api_name
            ),
        ),
        db::Error::Unique { constraint } if constraint.contains("workflow_id") => Error::invalid(
            "workflow",
            format!(
                "The workflow \"{}\" has an active deployment already, and one is the limit. \
                 Deactivate or delete that one, or create this one with is_active false.",
                deployment.workflow_name
            ),
        ),
        _ => error.into(),
    }
}

/// Changes a deployment. Changes that change nothing leave no trace.
pub async fn update(
    tx: &mut Tx,
    member: &Member,
    id: Id<id::Deployment>,
    changes: Changes,
) -> Result<Deployment> {
    if let Some(workflow) = changes.workflow {
        // Workflows are locked before deployments, here as where a workflow is deleted.
        workflows::lock(tx, member, workflow).await?;
    }
    let Managed { mut deployment, caller } = manage(tx, member, id).await?;
    let mut touched = Vec::new();
    if let Some(workflow) = changes.workflow.filter(|workflow| *workflow != deployment.workflow) {
        let workflow = deployable(tx, member, workflow).await?;
        deployment.workflow = workflow.id;
        deployment.workflow_name = workflow.name;
        deployment.workflow_version = workflow.version;
        touched.push("workflow");
    }
    replace(&mut deployment.display_name, changes.display_name, "display_name", &mut touched);
    replace(&mut deployment.description, changes.description, "description", &mut touched);
    replace(&mut deployment.api_name, changes.api_name, "api_name", &mut touched);
    replace(&mut deployment.is_active, changes.is_active, "is_active", &mut touched);
    if touched.is_empty() {
        return Ok(deployment);
    }
    deployment.modified_by = caller.user();
    deployment.modified_at = tx.now();
    store::update(tx, &deployment).await.map_err(|error| taken(error, &deployment))?;
    tx.announce(directory::TOPIC);
    let detail = json!({"changed": touched, "api_name": deployment.api_name.as_str(),
                        "workflow": deployment.workflow, "is_active": deployment.is_active});
    record(tx, &caller, Action::DeploymentChanged, id, detail).await?;
    Ok(deployment)
}

/// Deletes a deployment. It takes the proof that none of its keys is left. What was run stays on
/// record.
pub async fn delete(tx: &mut Tx, keyless: Keyless) -> Result<()> {
    let Managed { deployment, caller } = keyless.into_deployment();
    store::delete(tx, deployment.org, deployment.id).await?;
    tx.announce(directory::TOPIC);
    let detail = json!({"api_name": deployment.api_name.as_str(), "workflow": deployment.workflow,
                        "was_active": deployment.is_active});
    record(tx, &caller, Action::DeploymentDeleted, deployment.id, detail).await
}

/// Every deployment of a workflow, whoever owns it: who may delete a workflow may take down what
/// publishes it.
pub async fn all_of(tx: &mut Tx, workflow: &workflows::Managed) -> Result<Vec<Managed>> {
    let (org, id) = (workflow.caller().org.number, workflow.workflow().id);
    store::lock_all_of(tx, org, id).await?;
    let deployments = store::all_of(tx, org, id).await?;
    let managed = |deployment| Managed { deployment, caller: workflow.caller().clone() };
    Ok(deployments.into_iter().map(managed).collect())
}

/// The proof that nothing publishes a workflow.
pub async fn none_left(tx: &mut Tx, workflow: workflows::Managed) -> Result<Undeployed> {
    if all_of(tx, &workflow).await?.is_empty() {
        return Ok(Undeployed(workflow));
    }
    let detail = "The workflow is still published. Delete its deployments first.";
    Err(Error::Conflict { detail })
}

async fn record(
    tx: &mut Tx,
    caller: &Caller,
    action: Action,
    id: Id<id::Deployment>,
    detail: serde_json::Value,
) -> Result<()> {
    audit_log::record(tx, caller, action, Subject::new("deployment", &id), detail).await
}

/// Gives what the account of a program owns to a member of the organization.
pub(crate) async fn hand_over(
    tx: &mut Tx,
    admin: &Admin,
    from: UserNumber,
    to: UserNumber,
) -> Result<()> {
    store::hand_over(tx, admin.org(), from, to).await
}
