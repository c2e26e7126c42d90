//! The keys of issuers, fetched when they are needed and kept for a while.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use jsonwebtoken::jwk::Jwk;
use serde_json::Value;

use super::jwt::{Claims, Unverified};
use crate::outbound::Outbound;

/// For how long keys are believed without asking again.
const FRESH: Duration = Duration::from_mins(10);
/// How often an issuer is asked at most, whatever keys are named: a stranger may name any.
const PAUSE: Duration = Duration::from_secs(30);
/// The longest answer of an issuer.
const LONGEST: usize = 256 * 1024;
/// The most keys that are taken from one.
const MOST: usize = 100;

/// The keys of issuers that somebody here trusts.
#[derive(Debug, Default)]
pub struct Issuers(Mutex<HashMap<String, Arc<tokio::sync::Mutex<Known>>>>);

/// What is known of an issuer.
#[derive(Debug, Default)]
struct Known {
    keys: Vec<Jwk>,
    fetched: Option<Instant>,
    asked: Option<Instant>,
}

impl Issuers {
    /// The claims of a token, if its issuer signed it. Only for issuers that somebody trusts.
    pub(super) async fn verify(
        &self,
        outbound: &Outbound,
        token: &Unverified<'_>,
    ) -> Option<Claims> {
        let known = {
            let mut issuers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(issuers.entry(token.issuer.clone()).or_default())
        };
        // One asks, the others wait for what comes of it.
        let mut known = known.lock().await;
        let is_within = |at: Option<Instant>, period| at.is_some_and(|at| at.elapsed() < period);
        let knows_key = known.keys.iter().any(|key| token.fits(key));
        let is_known = knows_key && is_within(known.fetched, FRESH);
        let was_asked = is_within(known.asked, PAUSE);
        if !is_known && !was_asked {
            known.asked = Some(Instant::now());
            match fetch(outbound, &token.issuer).await {
                Ok(keys) => {
                    known.keys = keys;
                    known.fetched = known.asked;
                }
                Err(reason) => {
                    tracing::warn!(issuer = token.issuer, reason, "no keys of an issuer");
                }
            }
        }
        if !is_within(known.fetched, FRESH) {
            return None;
        }
        known.keys.iter().filter(|key| token.fits(key)).find_map(|key| token.verify(key))
    }
}

/// Reads the keys of an issuer as `OpenID` Connect Discovery says.
async fn fetch(outbound: &Outbound, issuer: &str) -> Result<Vec<Jwk>, &'static str> {
    let base = issuer.trim_end_matches('/');
    let about = get(outbound, &format!("{base}/.well-known/openid-configuration")).await?;
    if about["issuer"].as_str() != Some(issuer) {
        return Err("its description is of another issuer");
    }
    let at = about["jwks_uri"].as_str().ok_or("its description names no keys")?;
    let set = get(outbound, at).await?;
    let keys = set["keys"].as_array().ok_or("what it names has no keys")?;
    // Keys of other sorts may be among them.
    let read = |key: &Value| serde_json::from_value::<Jwk>(key.clone()).ok();
    Ok(keys.iter().filter_map(read).take(MOST).collect())
}

async fn get(outbound: &Outbound, url: &str) -> Result<Value, &'static str> {
    let target = outbound.target(url).map_err(|_| "its address may not be called")?;
    let (status, body) =
        outbound.get(&target, LONGEST).await.map_err(|_| "it could not be reached")?;
    if status != http::StatusCode::OK {
        return Err("it did not answer with 200");
    }
    serde_json::from_slice(&body).map_err(|_| "what it answered is no JSON")
}
