//! Calling a deployment: `/deployment/api/{org}/{api_name}/` and what is below it (CONTRACT 5.2).

use axum::{
    extract::{FromRequestParts, RawPathParams},
    http::request::Parts,
};
use keydock_core::{
    id::{self, Id, OrgNumber},
    organizations::OrgName,
    text::ApiName,
};

use super::{Deployment, NOT_FOUND, store};
use crate::{
    App, Error, Result,
    access::{
        Again, Caller, Refusal, Takes, actor, charge, confirm_header,
        keyring::{Opens, Verified},
        refuse_key_in_url, token,
    },
    web::{Head, request_id},
};

/// The deployment named in the path, called with a key that opens it.
///
/// The row and the permission are one value: a handler cannot reach a deployment that it was not
/// given. A key that opens another deployment gets one answer whether that one is of the same
/// organization, of another, or not there.
///
/// ```compile_fail,E0451
/// use keydock_server::{access::Caller, deployments::{Called, Deployment}};
/// fn forge(deployment: Deployment, caller: Caller) -> Called { Called { deployment, caller } }
/// ```
#[derive(Debug)]
pub struct Called {
    deployment: Deployment,
    key: Id<id::AnyKey>,
    caller: Caller,
}

impl Called {
    /// The deployment.
    pub fn deployment(&self) -> &Deployment {
        &self.deployment
    }

    /// Its organization. Operations take it from here.
    pub fn org(&self) -> OrgNumber {
        self.caller.org.number
    }

    /// The name of that organization in URLs.
    pub fn org_name(&self) -> &OrgName {
        &self.caller.org.name
    }

    /// Who is calling: a key.
    pub fn caller(&self) -> &Caller {
        &self.caller
    }

    /// The key.
    pub fn key(&self) -> Id<id::AnyKey> {
        self.key
    }
}

impl FromRequestParts<App> for Called {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self> {
        refuse_key_in_url(&parts.uri)?;
        Again::note::<Self>(parts);
        let presented = {
            let token = token(&parts.headers)?.ok_or(Refusal::KeyMissing)?;
            app.verify_token(token, Head::of(parts))?
        };
        let verified = presented.verified;
        if let Opens::Organization { .. } | Opens::OrganizationTiered(_) = verified.opens {
            let sent = verified.genuine();
            return Err(Refusal::WrongKind { sent, takes: Takes::Deployment }.into());
        }
        let (org, name) = path(parts, app).await?;
        if org != verified.org.name.as_str() {
            return Err(Refusal::OtherDeployment.into());
        }
        confirm_header(&parts.headers, &verified.org)?;
        // As it is written, without the blanks that are forgiven in forms.
        let name = name.parse().ok().filter(|parsed: &ApiName| parsed.as_str() == name);
        let name = name.ok_or(NOT_FOUND)?;
        let number = verified.org.number;
        let found = app.read(async |tx| store::find_by_name(tx, number, &name).await).await?;
        let deployment = found.ok_or(NOT_FOUND)?;
        let is_opened = match &verified.opens {
            Opens::Deployment(opened) => *opened == deployment.id,
            Opens::Deployments(opened) => opened.opens(deployment.id),
            Opens::Organization { .. } | Opens::OrganizationTiered(_) => false,
        };
        if !is_opened {
            return Err(Refusal::OtherDeployment.into());
        }
        if !deployment.is_active {
            return Err(Error::NotFound { what: "Active API" });
        }
        charge(&verified, parts, app).await?;
        let Verified { key, org, opens, .. } = verified;
        let caller = Caller {
            org,
            actor: actor(key, opens),
            request_id: request_id(parts).to_owned(),
            ip: Some(presented.ip),
        };
        Ok(Self { deployment, key, caller })
    }
}

/// The organization and the deployment that the path names.
async fn path(parts: &mut Parts, app: &App) -> Result<(String, String)> {
    let params = RawPathParams::from_request_parts(parts, app).await.map_err(|_| NOT_FOUND)?;
    let named = |wanted: &str| {
        params.iter().find(|(name, _)| *name == wanted).map(|(_, value)| value.to_owned())
    };
    named("org")
        .zip(named("api_name"))
        .ok_or_else(|| Error::internal("this route names no deployment"))
}
