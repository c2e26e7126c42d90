//! The two endpoints of a workflow: where its documents come from, and where its answers go.
//!
//! Clients of the wire set these up before they deploy a workflow. Here both are always the API, so
//! that there is nothing to set up and every workflow is ready.

pub mod api;

use keydock_core::id::{self, Id};
use keydock_storage::db::Tx;

use super::{Query, Workflow, check_may_change, store};
use crate::{Error, Result, access::Member};

const NOT_FOUND: Error = Error::NotFound { what: "Workflow endpoint" };

/// One end of a workflow.
#[derive(Debug)]
pub struct Endpoint {
    /// Its id.
    pub id: Id<id::Endpoint>,
    /// Which of the two it is.
    pub side: Side,
    /// The workflow.
    pub workflow: Workflow,
}

/// Which end of a workflow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// Where documents come from.
    Source,
    /// Where answers go.
    Destination,
}

impl Side {
    /// The word on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Source => "SOURCE",
            Self::Destination => "DESTINATION",
        }
    }
}

fn ends(workflow: Workflow) -> [Endpoint; 2] {
    let (source, destination) = (workflow.source, workflow.destination);
    [
        Endpoint { id: source, side: Side::Source, workflow: workflow.clone() },
        Endpoint { id: destination, side: Side::Destination, workflow },
    ]
}

/// The endpoints of every workflow that the member may see.
pub async fn list(tx: &mut Tx, member: &Member) -> Result<Vec<Endpoint>> {
    let listed = store::list(tx, member, &Query::default()).await?;
    Ok(listed.workflows.into_iter().flat_map(ends).collect())
}

/// The endpoints of one workflow; none if the member may not see it.
pub async fn list_of(
    tx: &mut Tx,
    member: &Member,
    workflow: Id<id::Workflow>,
) -> Result<Vec<Endpoint>> {
    let workflow = store::find(tx, member, workflow).await?;
    Ok(workflow.into_iter().flat_map(ends).collect())
}

/// One endpoint of a workflow that the member may see.
pub async fn get(tx: &mut Tx, member: &Member, id: Id<id::Endpoint>) -> Result<Endpoint> {
    let workflow = store::find_by_endpoint(tx, member, id).await?;
    let ends = workflow.into_iter().flat_map(ends);
    ends.into_iter().find(|end| end.id == id).ok_or(NOT_FOUND)
}

/// One endpoint of a workflow that the member may change.
pub async fn manage(tx: &mut Tx, member: &Member, id: Id<id::Endpoint>) -> Result<Endpoint> {
    let endpoint = get(tx, member, id).await?;
    check_may_change(member, &endpoint.workflow)?;
    Ok(endpoint)
}
