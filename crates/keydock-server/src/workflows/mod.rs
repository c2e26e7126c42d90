//! Workflows: what to extract from documents, and how.
//!
//! A workflow belongs to an organization and is owned by people of it; who owns it, admins and keys of
//! the organization may change it. Its definition is kept in versions, each frozen once written. A
//! workflow answers nobody until it is deployed.

pub mod api;
mod definition;
pub mod endpoints;
mod store;

use std::str::FromStr;

use keydock_core::{
    id::{self, Id, OrgNumber, UserNumber},
    text::{WorkflowDescription, WorkflowName},
    time::Timestamp,
    workflows::Definition,
};
use keydock_storage::db::{OnConflict as _, Tx};
use serde_json::json;

pub use self::definition::NewDefinition;
pub(crate) use self::store::owner;
use crate::{
    Error, FieldError, Result,
    access::{Admin, Caller, Member},
    audit_log::{self, Action, Subject},
    deployments::Undeployed,
};

/// What is said of a workflow that is not there or not to be seen.
const NOT_FOUND: Error = Error::NotFound { what: "Workflow" };

/// A workflow, without its definition.
#[derive(Clone, Debug)]
pub struct Workflow {
    /// Its id.
    pub id: Id<id::Workflow>,
    /// What it is called, unique in the organization.
    pub name: WorkflowName,
    /// What it is for.
    pub description: WorkflowDescription,
    /// The purpose that clients may note.
    pub purpose: Purpose,
    /// How often one file may be run.
    pub repeats: Repeats,
    /// Whether it may be used.
    pub is_active: bool,
    /// Whether every member of the organization may see it.
    pub shared_to_org: bool,
    /// The number of its newest definition; 0 while it has none.
    pub version: i64,
    /// The endpoint that documents come from.
    pub source: Id<id::Endpoint>,
    /// The endpoint that answers go to.
    pub destination: Id<id::Endpoint>,
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

/// Somebody who owns something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owner {
    /// The person.
    pub user: UserNumber,
    /// Their address.
    pub email: String,
}

impl Workflow {
    /// Whether the caller is one of its owners.
    pub fn is_owned_by(&self, caller: &Caller) -> bool {
        is_among(&self.owners, caller)
    }
}

/// Whether the caller is one of these owners. A key owns nothing.
pub(crate) fn is_among(owners: &[Owner], caller: &Caller) -> bool {
    caller.user().is_some_and(|user| owners.iter().any(|owner| owner.user == user))
}

/// What a workflow is meant for. Noted for clients; it changes nothing here.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(missing_docs, reason = "the words are all there is to know")]
pub enum Purpose {
    #[default]
    Default,
    Etl,
    Task,
    Api,
    App,
}

impl Purpose {
    const ALL: [Self; 5] = [Self::Default, Self::Etl, Self::Task, Self::Api, Self::App];

    /// The word on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Default => "DEFAULT",
            Self::Etl => "ETL",
            Self::Task => "TASK",
            Self::Api => "API",
            Self::App => "APP",
        }
    }
}

/// The text names no purpose.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("use DEFAULT, ETL, TASK, API or APP")]
pub struct UnknownPurpose;

impl FromStr for Purpose {
    type Err = UnknownPurpose;

    fn from_str(text: &str) -> Result<Self, UnknownPurpose> {
        Self::ALL.into_iter().find(|purpose| purpose.as_str() == text).ok_or(UnknownPurpose)
    }
}

/// How often one file may be run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Repeats {
    /// As often as one likes.
    #[default]
    Unlimited,
    /// At most so many times.
    AtMost(i64),
}

impl Repeats {
    /// The number, if there is one.
    pub const fn limit(self) -> Option<i64> {
        match self {
            Self::Unlimited => None,
            Self::AtMost(times) => Some(times),
        }
    }
}

impl From<Option<i64>> for Repeats {
    fn from(limit: Option<i64>) -> Self {
        limit.map_or(Self::Unlimited, Self::AtMost)
    }
}

/// A workflow with its newest definition as it was written.
#[derive(Debug)]
pub struct Defined {
    /// The workflow.
    pub workflow: Workflow,
    /// The definition, if it has one.
    pub definition: Option<String>,
}

/// A workflow that the caller may change, with the proof that they may.
///
/// Only [`manage`] makes one. The workflow is locked until the transaction ends, so that changes to
/// it come one after the other.
#[derive(Debug)]
pub struct Managed {
    workflow: Workflow,
    caller: Caller,
}

impl Managed {
    /// The workflow.
    pub fn workflow(&self) -> &Workflow {
        &self.workflow
    }

    /// Who may change it.
    pub fn caller(&self) -> &Caller {
        &self.caller
    }
}

/// What to create.
#[derive(Debug)]
pub struct NewWorkflow {
    /// What it is called.
    pub name: WorkflowName,
    /// What it is for.
    pub description: WorkflowDescription,
    /// The purpose that clients may note.
    pub purpose: Purpose,
    /// How often one file may be run.
    pub repeats: Repeats,
    /// What it extracts; it may be told later.
    pub definition: Option<NewDefinition>,
}

/// What to change; the rest stays.
#[derive(Debug, Default)]
pub struct Changes {
    /// What it is called from now on.
    pub name: Option<WorkflowName>,
    /// What it is for.
    pub description: Option<WorkflowDescription>,
    /// The purpose that clients may note.
    pub purpose: Option<Purpose>,
    /// How often one file may be run.
    pub repeats: Option<Repeats>,
    /// What it extracts from now on.
    pub definition: Option<NewDefinition>,
}

/// Which workflows to list, and how.
#[derive(Debug)]
pub struct Query {
    /// Only the one with this name.
    pub name: Option<String>,
    /// Only those with this text in their name or in the address of an owner.
    pub search: Option<String>,
    /// Only those that may, or may not, be used.
    pub is_active: Option<bool>,
    /// Only those that this person created.
    pub created_by: Option<UserNumber>,
    /// By what: one of [`ORDERINGS`].
    pub ordering: &'static str,
    /// How many to leave out at the beginning.
    pub offset: i64,
    /// How many to list at most.
    pub limit: i64,
}

/// The orders that a list can have; the first unless told otherwise.
pub const ORDERINGS: [&str; 6] =
    ["-modified_at", "modified_at", "-created_at", "created_at", "-workflow_name", "workflow_name"];

impl Default for Query {
    /// Every workflow, the one that was changed last first.
    fn default() -> Self {
        Self {
            name: None,
            search: None,
            is_active: None,
            created_by: None,
            ordering: ORDERINGS[0],
            offset: 0,
            limit: i64::MAX,
        }
    }
}

/// A part of a list.
#[derive(Debug)]
pub struct Listed {
    /// The workflows of this part.
    pub workflows: Vec<Workflow>,
    /// How many there are in all; 0 if this part is empty.
    pub total: i64,
}

/// Lists the workflows that the member may see: their own, those shared with everybody, and all for
/// admins and keys.
pub async fn list(tx: &mut Tx, member: &Member, query: &Query) -> Result<Listed> {
    store::list(tx, member, query).await
}

/// One workflow that the member may see, with its definition.
pub async fn get(tx: &mut Tx, member: &Member, id: Id<id::Workflow>) -> Result<Defined> {
    let workflow = find(tx, member, id).await?.ok_or(NOT_FOUND)?;
    defined(tx, member.org(), workflow).await
}

/// One workflow, if the member may see it.
pub async fn find(tx: &mut Tx, member: &Member, id: Id<id::Workflow>) -> Result<Option<Workflow>> {
    store::find(tx, member, id).await
}

/// Locks a workflow until the transaction ends: nobody deletes or changes it meanwhile. Says
/// nothing about whether there is one.
pub(crate) async fn lock(tx: &mut Tx, member: &Member, id: Id<id::Workflow>) -> Result<()> {
    store::lock(tx, member.org(), id).await
}

/// One workflow that the member may change: they own it, or are an admin or a key. A workflow that
/// they may only see is refused, one that they may not see is not there.
pub async fn manage(tx: &mut Tx, member: &Member, id: Id<id::Workflow>) -> Result<Managed> {
    store::lock(tx, member.org(), id).await?;
    let workflow = find(tx, member, id).await?.ok_or(NOT_FOUND)?;
    check_may_change(member, &workflow)?;
    Ok(Managed { workflow, caller: member.caller().clone() })
}

fn check_may_change(member: &Member, workflow: &Workflow) -> Result<()> {
    if member.sees_all() || workflow.is_owned_by(member.caller()) {
        return Ok(());
    }
    Err(Error::forbidden_to(
        member.caller(),
        "You can see this workflow but not change it. Ask one of its owners or an admin.",
    ))
}

/// Creates a workflow, owned by whoever creates it if that is a person.
pub async fn create(tx: &mut Tx, member: &Member, new: NewWorkflow) -> Result<Defined> {
    let caller = member.caller();
    let workflow = Workflow {
        id: tx.new_id(),
        name: new.name,
        description: new.description,
        purpose: new.purpose,
        repeats: new.repeats,
        is_active: true,
        shared_to_org: false,
        version: i64::from(new.definition.is_some()),
        source: tx.new_id(),
        destination: tx.new_id(),
        created_by: caller.user(),
        created_by_email: None,
        modified_by: caller.user(),
        created_at: tx.now(),
        modified_at: tx.now(),
        owners: Vec::new(),
    };
    let org = member.org();
    store::insert(tx, org, &workflow).await.on_constraint("name", || name_taken(&workflow.name))?;
    if let Some(user) = caller.user() {
        store::insert_owner(tx, org, workflow.id, user).await?;
    }
    if let Some(definition) = &new.definition {
        store::insert_version(tx, caller, workflow.id, workflow.version, definition).await?;
    }
    let detail = json!({"workflow_name": workflow.name.as_str(), "version": workflow.version});
    record(tx, caller, Action::WorkflowCreated, workflow.id, detail).await?;
    get(tx, member, workflow.id).await
}

fn name_taken(name: &WorkflowName) -> Error {
    let detail = format!("There is a workflow named \"{name}\" already. Choose another name.");
    Error::invalid("workflow_name", detail)
}

/// Changes a workflow. A definition that differs from the newest one becomes a new version; changes
/// that change nothing leave no trace.
pub async fn update(tx: &mut Tx, managed: Managed, changes: Changes) -> Result<Defined> {
    let Managed { workflow: before, caller } = managed;
    let mut workflow = before.clone();
    let mut touched = Vec::new();
    let org = caller.org.number;
    replace(&mut workflow.name, changes.name, "workflow_name", &mut touched);
    replace(&mut workflow.description, changes.description, "description", &mut touched);
    replace(&mut workflow.purpose, changes.purpose, "deployment_type", &mut touched);
    replace(&mut workflow.repeats, changes.repeats, "max_file_execution_count", &mut touched);
    if let Some(definition) = changes.definition {
        let newest = store::definition(tx, org, workflow.id, workflow.version).await?;
        if newest.as_deref() != Some(definition.as_str()) {
            workflow.version += 1;
            touched.push("definition");
            store::insert_version(tx, &caller, workflow.id, workflow.version, &definition).await?;
        }
    }
    if !touched.is_empty() {
        workflow.modified_by = caller.user();
        workflow.modified_at = tx.now();
        store::update(tx, org, &workflow)
            .await
            .on_constraint("name", || name_taken(&workflow.name))?;
        let detail = json!({"changed": touched, "version": workflow.version});
        record(tx, &caller, Action::WorkflowChanged, workflow.id, detail).await?;
    }
    defined(tx, org, workflow).await
}

/// Puts a new value in place of an old one, and notes the name of the field if they differ.
pub(crate) fn replace<T: PartialEq>(
    old: &mut T,
    new: Option<T>,
    name: &'static str,
    touched: &mut Vec<&'static str>,
) {
    if let Some(new) = new
        && *old != new
    {
        *old = new;
        touched.push(name);
    }
}

/// Deletes a workflow and all its versions. It takes the proof that nothing publishes it any more.
pub async fn delete(tx: &mut Tx, undeployed: Undeployed) -> Result<()> {
    let Managed { workflow, caller } = undeployed.into_workflow();
    store::delete(tx, caller.org.number, workflow.id).await?;
    let detail = json!({"workflow_name": workflow.name.as_str(), "version": workflow.version});
    record(tx, &caller, Action::WorkflowDeleted, workflow.id, detail).await
}

/// A version of a definition, for a run.
pub(crate) async fn definition(
    tx: &mut Tx,
    org: OrgNumber,
    workflow: Id<id::Workflow>,
    version: i64,
) -> Result<Definition> {
    let text = store::definition(tx, org, workflow, version).await?;
    let text = text.ok_or(Error::NotFound { what: "Workflow definition" })?;
    // It was checked before it was written; only a newer program could have meant something else.
    Definition::parse(&text).map_err(Error::internal)
}

async fn defined(tx: &mut Tx, org: OrgNumber, workflow: Workflow) -> Result<Defined> {
    let definition = store::definition(tx, org, workflow.id, workflow.version).await?;
    Ok(Defined { workflow, definition })
}

async fn record(
    tx: &mut Tx,
    caller: &Caller,
    action: Action,
    id: Id<id::Workflow>,
    detail: serde_json::Value,
) -> Result<()> {
    audit_log::record(tx, caller, action, Subject::new("workflow", &id), detail).await
}

/// Reads how often one file may be run.
fn repeats(sent: Option<i64>) -> Result<Repeats, FieldError> {
    match sent {
        Some(times) if times < 1 => Err(FieldError::new(
            "max_file_execution_count",
            "min_value",
            "Ensure this value is greater than or equal to 1, or leave it out for no limit.",
        )),
        limit => Ok(limit.into()),
    }
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
