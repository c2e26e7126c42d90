//! The bearer pipeline: from the header to a key that works (CONTRACT 1.2).

use std::{net::IpAddr, time::Instant};

use axum::http::{HeaderMap, HeaderName, Method, Uri, header};
use keydock_core::{
    organizations::OrgName,
    role::Tier,
    secret::{KeyDigest, PepperId, SecretKey},
    time::Timestamp,
};

use super::{
    Genuine, Refusal, Takes,
    keyring::{Inspected, Opens, OrgFacts, Seen, Use, Verified},
    throttle::network,
};
use crate::{
    App, Error, Result,
    canaries::Sighting,
    forward_auth,
    web::{Head, client_address, user_agent},
};

const ORGANIZATION: HeaderName = HeaderName::from_static("x-organization-id");

/// What the `Authorization` header holds.
#[derive(Debug)]
pub enum Presented<'a> {
    /// Nothing.
    Nothing,
    /// Another scheme than `Bearer`, or `Bearer` without a token.
    NotAKey,
    /// A token.
    Token(&'a str),
}

impl<'a> Presented<'a> {
    /// Reads the one `Authorization` header there may be.
    pub fn in_headers(headers: &'a HeaderMap) -> Result<Self, Refusal> {
        let mut values = headers.get_all(header::AUTHORIZATION).iter();
        let Some(value) = values.next() else { return Ok(Self::Nothing) };
        if values.next().is_some() {
            return Err(Refusal::SeveralCredentials);
        }
        let bytes = value.as_bytes();
        // Scheme names are case-insensitive (RFC 9110, section 11.1).
        let is_bearer = bytes.len() >= 6 && bytes[..6].eq_ignore_ascii_case(b"bearer");
        if !is_bearer || bytes.get(6).is_some_and(|byte| *byte != b' ') {
            return Ok(Self::NotAKey);
        }
        let token = std::str::from_utf8(&bytes[6..]).map_err(|_| Refusal::MalformedKey)?;
        Ok(Self::Token(token.trim_matches(' ')))
    }
}

/// The one key in the `Authorization` header where tools of the SDK send it, which may leave out the
/// word `Bearer` (CONTRACT 8.1).
pub(super) fn bare_or_bearer(headers: &HeaderMap) -> Result<Option<&str>, Refusal> {
    match Presented::in_headers(headers)? {
        Presented::Token(token) => Ok(Some(token)),
        Presented::Nothing => Ok(None),
        Presented::NotAKey => {
            let value = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
            // With a blank in it, it is another scheme.
            Ok(value.map(str::trim).filter(|token| !token.contains(' ')))
        }
    }
}

/// A bearer key that was verified, and where it came from.
#[derive(Debug)]
pub struct BearerPresented {
    /// The key.
    pub verified: Verified,
    /// The address that sent it.
    pub ip: IpAddr,
}

impl App {
    /// Verifies a token. An unknown one counts against the address that sent it; a genuine one,
    /// whatever its state, never does (VER-07).
    pub(crate) fn verify_token(&self, token: &str, head: Head<'_>) -> Result<BearerPresented> {
        let presented = self.verify_token_then(token, head, |seen, ip| {
            head.note_key(|| seen.genuine());
            Some(BearerPresented { verified: seen.verified(), ip })
        })?;
        presented.ok_or_else(|| Refusal::UnknownKey.into())
    }

    /// Does as [`Self::verify_token`] and tells what `then` makes of the key. If that is nothing, the
    /// key was not used.
    pub(crate) fn verify_token_then<T>(
        &self,
        token: &str,
        head: Head<'_>,
        then: impl FnOnce(Seen<'_>, IpAddr) -> Option<T>,
    ) -> Result<Option<T>> {
        let ip = client_address(head, self.config());
        let at = self.db().clock().now();
        let agent = user_agent(head.headers);
        let deployment = called_deployment(head.uri.path());
        let (instant, is_again) = (head.arrived_at(), head.is_again());
        let used = Use { at, instant, ip, agent, deployment, is_again };
        let verified = self.verify(token, &used, |seen| then(seen, ip));
        let hide = |refusal| self.hide_canary(refusal, at, Some(ip), || sighting(head, ip));
        match verified.map_err(hide) {
            Ok(made) => Ok(made),
            Err(refusal @ (Refusal::UnknownKey | Refusal::MalformedKey)) => Err(self
                .guesses()
                .count(&network(ip))
                .map_or(refusal, |retry_after| Refusal::Guessing { retry_after })
                .into()),
            Err(refusal) => Err(refusal.into()),
        }
    }

    fn verify<T>(
        &self,
        token: &str,
        used: &Use<'_>,
        then: impl FnOnce(Seen<'_>) -> Option<T>,
    ) -> Result<Option<T>, Refusal> {
        let secret = SecretKey::parse(token).map_err(|_| Refusal::MalformedKey)?;
        let pepper = self.pepper();
        let digest = pepper.digest(&secret);
        let mut then = Some(then);
        let mut then = |seen: Seen<'_>| then.take().and_then(|then| then(seen));
        match self.keyring().verify_then(&digest, used, &mut then) {
            Err(Refusal::UnknownKey) if self.peppers().has_elsewhere() => {
                self.find_elsewhere(&secret, (&digest, pepper.id()), |digest| {
                    self.keyring().verify_then(digest, used, &mut then)
                })
            }
            verified => verified,
        }
    }

    /// Looks for a secret that the current pepper did not find under whatever else it may be stored, and
    /// has it made anew if it is there.
    fn find_elsewhere<T>(
        &self,
        secret: &SecretKey,
        (current, pepper): (&KeyDigest, PepperId),
        mut find: impl FnMut(&KeyDigest) -> Result<T, Refusal>,
    ) -> Result<T, Refusal> {
        for digest in self.peppers().elsewhere(secret) {
            match find(&digest) {
                Err(Refusal::UnknownKey) => {}
                Err(Refusal::KeysUnavailable) => return Err(Refusal::KeysUnavailable),
                found => {
                    self.peppers().moves().note(&digest, current, pepper);
                    return found;
                }
            }
        }
        // It may have been moved to its new place between the two looks.
        find(current)
    }

    /// Whether this is a secret that works, or did.
    pub(crate) fn knows(&self, secret: &SecretKey) -> bool {
        let digest = self.pepper().digest(secret);
        let knows = |digest: &KeyDigest| self.keyring().knows(digest);
        knows(&digest)
            || (self.peppers().has_elsewhere()
                && (self.peppers().elsewhere(secret).iter().any(knows) || knows(&digest)))
    }

    /// What is true of a token that somebody asks about. This is neither a use nor a guess.
    pub(crate) fn inspect_token(
        &self,
        token: &str,
        ip: Option<IpAddr>,
        sighting: impl FnOnce() -> Sighting,
    ) -> Result<Inspected, Refusal> {
        let secret = SecretKey::parse(token).map_err(|_| Refusal::MalformedKey)?;
        self.inspect(&secret, ip, sighting)
    }

    fn inspect(
        &self,
        secret: &SecretKey,
        ip: Option<IpAddr>,
        sighting: impl FnOnce() -> Sighting,
    ) -> Result<Inspected, Refusal> {
        let at = self.db().clock().now();
        let pepper = self.pepper();
        let digest = pepper.digest(secret);
        let inspect = |digest: &KeyDigest| self.keyring().inspect(digest, at, Instant::now());
        let inspected = match inspect(&digest) {
            Err(Refusal::UnknownKey) if self.peppers().has_elsewhere() => {
                self.find_elsewhere(secret, (&digest, pepper.id()), inspect)?
            }
            inspected => inspected?,
        };
        let guard = inspected.verified.guard.as_ref();
        if guard.is_some_and(|guard| guard.controls().is_canary) {
            let refusal = Refusal::Canary(inspected.verified.genuine());
            return Err(self.hide_canary(refusal, at, ip, sighting));
        }
        Ok(inspected)
    }

    /// Whether this is the secret of a key, as far as whoever sends it may know.
    pub(super) fn is_key(&self, secret: &SecretKey, head: Head<'_>) -> bool {
        let ip = client_address(head, self.config());
        self.knows(secret)
            && self.inspect(secret, Some(ip), || sighting(head, ip)).err()
                != Some(Refusal::UnknownKey)
    }

    /// Notes that a canary was presented, and says what is said of a key that does not exist.
    fn hide_canary(
        &self,
        refusal: Refusal,
        at: Timestamp,
        ip: Option<IpAddr>,
        sighting: impl FnOnce() -> Sighting,
    ) -> Refusal {
        let Refusal::Canary(key) = refusal else { return refusal };
        self.canaries().note(&key, at, ip, sighting);
        Refusal::UnknownKey
    }

    /// The forms of a token that may be stored.
    pub(super) fn digests(&self, token: &str) -> Result<Vec<KeyDigest>, Refusal> {
        let secret = SecretKey::parse(token).map_err(|_| Refusal::MalformedKey)?;
        Ok(self.peppers().digests(&secret))
    }
}

/// What there is to say about a request that presents a key.
fn sighting(head: Head<'_>, ip: IpAddr) -> Sighting {
    // A gateway asks about something else.
    let path = forward_auth::api::asked_for(head).unwrap_or_else(|| head.uri.path());
    Sighting::new(head.request_id(), Some(ip), user_agent(head.headers), path)
}

/// The name of the deployment that a path calls, if it could be one.
fn called_deployment(path: &str) -> &str {
    let called = path.strip_prefix("/deployment/api/").and_then(|rest| rest.split('/').nth(1));
    called.filter(|name| name.len() <= 30).unwrap_or_default()
}

/// The tier and the name of a key of a whole organization; refuses any other kind.
pub(super) fn organization_key(
    opens: &Opens,
    genuine: impl FnOnce() -> Genuine,
) -> Result<(Tier, &std::sync::Arc<str>), Refusal> {
    match opens {
        Opens::Organization { key_name } => Ok((Tier::FullAccess, key_name)),
        Opens::OrganizationTiered(key) => Ok((key.tier, &key.name)),
        Opens::Deployment(_) | Opens::Deployments(_) => {
            Err(Refusal::WrongKind { sent: genuine(), takes: Takes::Platform })
        }
    }
}

/// Checks that `X-Organization-Id`, if sent, confirms the organization of the key (VER-09).
pub(crate) fn confirm_header(headers: &HeaderMap, org: &OrgFacts) -> Result<(), Refusal> {
    let mut values = headers.get_all(ORGANIZATION).iter();
    let Some(value) = values.next() else { return Ok(()) };
    if values.next().is_some() {
        return Err(Refusal::SeveralCredentials);
    }
    if value.as_bytes() == org.name.as_str().as_bytes() {
        return Ok(());
    }
    let named = value.to_str().ok().and_then(|text| text.trim().parse::<OrgName>().ok());
    match named {
        Some(name) if name == org.name => Ok(()),
        Some(_) => Err(Refusal::OtherOrganization),
        None => Err(Refusal::MalformedOrganization),
    }
}

/// Checks that a key of this tier may use the method.
pub(super) fn confirm_tier(tier: Tier, method: &Method) -> Result<(), Refusal> {
    if tier >= tier_for(method.as_str()) {
        return Ok(());
    }
    Err(Refusal::Tier { tier, method: method.as_str().to_owned() })
}

/// The least tier that may use a method; of one that nobody knows, the highest.
pub(crate) fn tier_for(method: &str) -> Tier {
    match method {
        "GET" | "HEAD" | "OPTIONS" => Tier::Read,
        "POST" | "PUT" | "PATCH" => Tier::ReadWrite,
        _ => Tier::FullAccess,
    }
}

/// Refuses a key in the query of the URL, where proxies and logs would keep it (VER-04).
pub(crate) fn refuse_key_in_url(uri: &Uri) -> Result<(), Refusal> {
    uri.query().map_or(Ok(()), |query| refuse_key_in_query(query, |_, _| true))
}

/// The same for the query of any address. `is_meant` has the last word about what has the name and
/// the form of a key.
pub(crate) fn refuse_key_in_query(
    query: &str,
    is_meant: impl Fn(&str, &SecretKey) -> bool,
) -> Result<(), Refusal> {
    const NAMES: [&str; 6] = ["access_token", "api_key", "apikey", "key", "token", "authorization"];
    let names_a_key = query.split('&').any(|pair| {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let value = value.trim_start_matches("Bearer%20").trim_start_matches("Bearer+");
        NAMES.iter().any(|known| name.eq_ignore_ascii_case(known))
            && SecretKey::parse(value).is_ok_and(|secret| is_meant(name, &secret))
    });
    if names_a_key { Err(Refusal::KeyInUrl) } else { Ok(()) }
}

impl From<keydock_core::secret::Malformed> for Error {
    fn from(_: keydock_core::secret::Malformed) -> Self {
        Refusal::MalformedKey.into()
    }
}
