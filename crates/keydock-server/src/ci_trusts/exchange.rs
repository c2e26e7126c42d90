//! The exchange of a token of somebody else for one of ours (RFC 8693).

use std::sync::Arc;

use keydock_core::{
    role::Tier,
    secret::Pepper,
    trusts::{Condition, text},
};
use serde_json::{Map, Value};

use super::{
    CiTrust,
    jwt::{Claims, Unverified},
    store,
};
use crate::{
    App, Error, Result,
    access::{Actor, Caller, Visitor, keyring::OrgFacts, throttle::network},
    organizations,
    platform_tokens::{self, Grant, Issued},
};

/// By how many seconds the clocks of issuers may differ from ours.
const SKEW: i64 = 60;
/// For how many seconds a token of an issuer may be good. It is remembered for as long.
const LONGEST: i64 = 24 * 3_600;
/// The claims that are worth keeping: who it was, and where to look it up.
const TELLING: &[&str] = &[
    "sub",
    "repository",
    "ref",
    "environment",
    "workflow",
    "run_id",
    "run_attempt",
    "actor",
    "event_name",
    "project_path",
    "ref_type",
    "pipeline_id",
    "pipeline_source",
    "job_id",
    "user_login",
];

/// What is asked for.
#[derive(Debug)]
pub struct Asked<'a> {
    /// The organization, by its name.
    pub org: &'a str,
    /// The token of the pipeline.
    pub token: &'a str,
    /// Less than what would be granted.
    pub scope: Option<Tier>,
}

/// What was refused to somebody who proved nothing: it says nothing.
const UNPROVEN: &str = "The token was not accepted: nobody in this organization trusts its issuer, \
                        its signature is not right, or the organization does not exist.";

fn refused(description: impl Into<String>) -> Error {
    Error::TokenRefused { error: "invalid_grant", description: description.into() }
}

/// Gives a token of ours for a token of an issuer that the organization trusts.
pub async fn exchange(app: &App, visitor: &Visitor, asked: &Asked<'_>) -> Result<Issued> {
    let Some(proven) = prove(app, asked).await? else {
        // As a guess: whoever proved nothing may try only so often.
        let wait = app.guesses().count(&network(visitor.ip));
        return Err(wait.map_or_else(
            || refused(UNPROVEN),
            |retry_after| {
                let detail = "Too many tokens that prove nothing came from this address.".into();
                Error::TooMany { detail, retry_after }
            },
        ));
    };
    let now = seconds(app);
    check_times(&proven.claims, now)?;
    let trust = choose(&proven)?;
    let tier = asked.scope.unwrap_or(trust.tier);
    if tier > trust.tier {
        let most = trust.tier.as_str();
        return Err(Error::TokenRefused {
            error: "invalid_scope",
            description: format!("This trust grants {most} at most."),
        });
    }
    let claims = telling(&proven.claims, trust);
    let subject = claims.get("sub").and_then(text).unwrap_or_default();
    let caller = Caller {
        org: Arc::clone(&proven.org),
        actor: Actor::Pipeline { subject, trust: trust.name.to_string() },
        request_id: visitor.request_id.clone(),
        ip: Some(visitor.ip),
    };
    let grant = Grant {
        trust: trust.id,
        trust_name: trust.name.to_string(),
        tier,
        lifetime: trust.lifetime,
        claims,
    };
    let digest = |pepper: &Pepper| {
        hex::encode(pepper.digest_of("exchanged token", proven.identity.as_bytes()))
    };
    let pepper = app.pepper().id();
    let digests: Vec<String> = app.peppers().live().map(digest).collect();
    let until = proven.claims.get("exp").and_then(Value::as_i64).unwrap_or(now + LONGEST) + SKEW;
    app.write(async |tx| {
        // The trust may have been changed while the issuer was asked.
        store::lock(tx, caller.org.number).await?;
        let still = store::find(tx, caller.org.number, trust.id).await?;
        if still.is_none_or(|still| still.modified_at != trust.modified_at) {
            return Err(refused("The trust was changed in this moment. Try again."));
        }
        if !store::remember(tx, pepper, &digests, until).await? {
            return Err(refused("This token was exchanged before. Get a new one from the issuer."));
        }
        platform_tokens::grant(tx, &caller, app.minting(), grant).await
    })
    .await
}

/// A token that its issuer signed, and the trusts in that issuer.
struct Proven {
    org: Arc<OrgFacts>,
    trusts: Vec<CiTrust>,
    claims: Claims,
    identity: String,
}

/// Nothing, if nobody trusts the issuer, or the issuer did not sign it.
async fn prove(app: &App, asked: &Asked<'_>) -> Result<Option<Proven>> {
    let Some(token) = Unverified::read(asked.token) else { return Ok(None) };
    let found = app.read(async |tx| {
        let Some(org) = organizations::find_facts(tx, asked.org).await? else { return Ok(None) };
        let all = store::list(tx, org.number).await?;
        Ok(Some((org, all)))
    });
    let Some((org, all)) = found.await? else { return Ok(None) };
    let in_issuer = |trust: &CiTrust| trust.is_enabled && trust.issuer == token.issuer;
    let trusts: Vec<CiTrust> = all.into_iter().filter(in_issuer).collect();
    if trusts.is_empty() {
        return Ok(None);
    }
    let verified = app.issuers().verify(app.outbound(), &token).await;
    Ok(verified.map(|claims| {
        let identity = token.identity(&claims);
        Proven { org: Arc::new(org), trusts, claims, identity }
    }))
}

fn seconds(app: &App) -> i64 {
    app.db().clock().now().as_micros().div_euclid(1_000_000)
}

/// Judges when a token is good. A time that is no number is wrong, not absent.
fn check_times(claims: &Claims, now: i64) -> Result<()> {
    let time = |name: &str| match claims.get(name) {
        None => Ok(None),
        Some(value) => {
            let whole = value.as_i64().or_else(|| value.as_f64().map(whole));
            whole.map(Some).ok_or_else(|| wrong(name, "is no time"))
        }
    };
    let exp = time("exp")?.ok_or_else(|| wrong("exp", "is missing"))?;
    let iat = time("iat")?.ok_or_else(|| wrong("iat", "is missing"))?;
    if exp.saturating_add(SKEW) <= now {
        return Err(wrong("exp", "is over"));
    }
    if exp > now.saturating_add(LONGEST) {
        return Err(wrong("exp", "is more than a day away"));
    }
    if time("nbf")?.is_some_and(|nbf| nbf > now.saturating_add(SKEW)) {
        return Err(wrong("nbf", "is still to come"));
    }
    if iat > now.saturating_add(SKEW) {
        return Err(wrong("iat", "is still to come"));
    }
    Ok(())
}

#[expect(clippy::cast_possible_truncation, reason = "beyond the range it is the end of the range")]
fn whole(number: f64) -> i64 {
    number.floor() as i64
}

/// Told only to somebody whose token the issuer signed.
fn wrong(claim: &str, how: &str) -> Error {
    refused(format!("The claim \"{claim}\" {how}."))
}

/// The first trust of which everything holds. If there is none, the first claim that keeps the first
/// trust for this audience from holding; never what it should be.
fn choose(proven: &Proven) -> Result<&CiTrust> {
    let for_us = |trust: &&CiTrust| is_for(&proven.claims, &trust.audience);
    let candidates: Vec<&CiTrust> = proven.trusts.iter().filter(for_us).collect();
    let failing = |trust: &CiTrust| {
        trust
            .conditions
            .iter()
            .find(|one| !one.holds(&proven.claims))
            .map(Condition::claim)
            .map(ToOwned::to_owned)
    };
    if let Some(trust) = candidates.iter().find(|trust| failing(trust).is_none()) {
        return Ok(trust);
    }
    let first = candidates.first().and_then(|trust| failing(trust));
    Err(wrong(first.as_deref().unwrap_or("aud"), "is not one that this organization trusts"))
}

fn is_for(claims: &Claims, audience: &str) -> bool {
    match claims.get("aud") {
        Some(Value::String(one)) => one == audience,
        Some(Value::Array(all)) => all.iter().any(|one| one.as_str() == Some(audience)),
        _ => false,
    }
}

fn telling(claims: &Claims, trust: &CiTrust) -> Map<String, Value> {
    let conditions = trust.conditions.iter().map(Condition::claim);
    let names = TELLING.iter().copied().chain(conditions);
    let short = |value: &Value| text(value).map(|text| text.chars().take(300).collect::<String>());
    names
        .filter_map(|name| Some((name.to_owned(), claims.get(name).and_then(short)?.into())))
        .collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_token_is_good_within_its_times() {
        let now = 1_000_000;
        let judge = |claims: Value| {
            let claims = claims.as_object().cloned().unwrap_or_default();
            check_times(&claims, now).map_err(|error| error.to_string()).err()
        };
        let ok = [
            json!({"exp": now + 300, "iat": now}),
            json!({"exp": now - 59, "iat": now - 300}),
            json!({"exp": now + 300, "iat": now + 60, "nbf": now + 60}),
            json!({"exp": 1_000_300.5, "iat": 999_999.5}),
        ];
        for claims in ok {
            assert_eq!(judge(claims.clone()), None, "{claims}");
        }
        for (claims, named) in [
            (json!({"iat": now}), "exp"),
            (json!({"exp": now + 300}), "iat"),
            (json!({"exp": now - 60, "iat": now - 300}), "exp"),
            (json!({"exp": "9999999999", "iat": now}), "exp"),
            (json!({"exp": null, "iat": now}), "exp"),
            (json!({"exp": now + 90_000, "iat": now}), "exp"),
            (json!({"exp": now + 300, "iat": now, "nbf": now + 61}), "nbf"),
            (json!({"exp": now + 300, "iat": now, "nbf": "0"}), "nbf"),
            (json!({"exp": now + 300, "iat": now + 61}), "iat"),
        ] {
            let told = judge(claims.clone()).unwrap_or_default();
            assert!(told.contains(&format!("\"{named}\"")), "{claims}: {told}");
        }
    }

    #[test]
    fn a_token_is_for_one_of_its_audiences() {
        let for_us = |aud: Value| {
            let claims = json!({ "aud": aud });
            is_for(claims.as_object().unwrap(), "us")
        };
        assert!(for_us(json!("us")) && for_us(json!(["them", "us"])));
        assert!(!for_us(json!("them")) && !for_us(json!([])) && !for_us(json!(null)));
        assert!(!for_us(json!("usa")) && !for_us(json!({"us": true})));
    }
}
