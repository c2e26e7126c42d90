//! Programs that hold a key of a whole organization and call routes that name none.

use std::fmt;

use axum::{extract::FromRequestParts, http::request::Parts};
use keydock_core::{id::OrgNumber, organizations::OrgName};

use super::{
    Again, BearerPresented, Caller, Presented, Refusal, Takes,
    bearer::{bare_or_bearer, confirm_header, refuse_key_in_query, refuse_key_in_url},
    caller::{actor, acts_in_an_organization},
    charge::charge,
    keyring::{Opens, Verified},
};
use crate::{
    App, Error, Result,
    web::{Head, request_id},
};

/// Proof of a program with a key of a whole organization, of any tier, that asks about other keys of
/// that organization.
///
/// ```compile_fail,E0423
/// use keydock_server::access::{Asker, Caller};
/// fn forge(caller: Caller) -> Asker { Asker(caller) }
/// ```
pub struct Asker(Caller);

/// Proof of a tool that was written with the SDK and holds an active platform key; keys with a tier are
/// none. It may leave out the word `Bearer`, and what it calls `key` in an address of the cache is the
/// name of a value.
pub struct Tool(Caller);

acts_in_an_organization! {
    Asker => |asker| &asker.0;
    Tool => |tool| &tool.0;
}

impl FromRequestParts<App> for Asker {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self> {
        refuse_key_in_url(&parts.uri)?;
        Again::note::<Self>(parts);
        let presented = match Presented::in_headers(&parts.headers)? {
            Presented::Token(token) => app.verify_token(token, Head::of(parts))?,
            Presented::Nothing | Presented::NotAKey => return Err(Refusal::Anonymous.into()),
        };
        match &presented.verified.opens {
            Opens::Organization { .. } | Opens::OrganizationTiered(_) => {}
            Opens::Deployment(_) | Opens::Deployments(_) => {
                return Err(wrong_kind(&presented.verified));
            }
        }
        Ok(Self(caller(presented, parts, app).await?))
    }
}

impl FromRequestParts<App> for Tool {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self> {
        let is_cache = parts.uri.path() == "/cache";
        let head = Head::of(parts);
        // What names a value there may look like a key; it must not be one.
        refuse_key_in_query(parts.uri.query().unwrap_or_default(), |name, secret| {
            !(is_cache && name == "key") || app.is_key(secret, head)
        })?;
        Again::note::<Self>(parts);
        let presented = {
            let token = bare_or_bearer(&parts.headers)?.ok_or(Refusal::Anonymous)?;
            app.verify_token(token, Head::of(parts))?
        };
        match &presented.verified.opens {
            Opens::Organization { .. } => {}
            Opens::OrganizationTiered(_) | Opens::Deployment(_) | Opens::Deployments(_) => {
                return Err(wrong_kind(&presented.verified));
            }
        }
        Ok(Self(caller(presented, parts, app).await?))
    }
}

fn wrong_kind(key: &Verified) -> Error {
    Refusal::WrongKind { sent: key.genuine(), takes: Takes::Platform }.into()
}

/// The caller whose key this is, whose use is counted.
async fn caller(presented: BearerPresented, parts: &mut Parts, app: &App) -> Result<Caller> {
    let BearerPresented { verified, ip } = presented;
    confirm_header(&parts.headers, &verified.org)?;
    charge(&verified, parts, app).await?;
    let Verified { key, org, opens, .. } = verified;
    let request_id = request_id(parts).to_owned();
    Ok(Caller { org, actor: actor(key, opens), request_id, ip: Some(ip) })
}
