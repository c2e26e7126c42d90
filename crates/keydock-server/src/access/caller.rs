//! Callers, and the proofs that only this module can make.

use std::{fmt, net::IpAddr, sync::Arc};

use axum::{
    extract::{FromRequestParts, RawPathParams},
    http::{HeaderMap, request::Parts},
};
use keydock_core::{
    id::{self, Id, OrgNumber, UserNumber},
    organizations::OrgName,
    role::{Role, Tier},
    secret::KeyKind,
};

use super::{
    Again, Presented, Refusal,
    bearer::{self, confirm_header, confirm_tier, organization_key},
    charge::{charge, charge_at_once},
    keyring::{Opens, OrgFacts, Verified},
    session::{self, Membership, SignedIn},
};
use crate::{
    App, Error, Result,
    web::{Head, client_address, request_id},
};

/// Who does something, for the audit log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Actor {
    /// A person, signed in.
    Person {
        /// Their number.
        user: UserNumber,
        /// How they are known.
        email: String,
    },
    /// A program with a platform key.
    PlatformKey {
        /// The key.
        id: Id<id::PlatformKey>,
        /// What people call it.
        name: Arc<str>,
    },
    /// A program with a platform API key.
    PlatformApiKey {
        /// The key.
        id: Id<id::PlatformApiKey>,
        /// What people call it.
        name: Arc<str>,
        /// The account that owns what it creates.
        user: UserNumber,
        /// How much it opens.
        tier: Tier,
    },
    /// A program with a deployment key.
    DeploymentKey {
        /// The key.
        id: Id<id::DeploymentKey>,
    },
    /// A program with an organization deployment key.
    OrgDeploymentKey {
        /// The key.
        id: Id<id::OrgDeploymentKey>,
        /// What people call it.
        name: Arc<str>,
    },
    /// A program with a platform token.
    PlatformToken {
        /// The token.
        id: Id<id::PlatformToken>,
        /// What the trust is called by which it was granted.
        name: Arc<str>,
        /// The account that owns what it creates.
        user: UserNumber,
    },
    /// A pipeline that proved who it is.
    Pipeline {
        /// Who, in the words of its issuer.
        subject: String,
        /// What the trust in it is called.
        trust: String,
    },
    /// Somebody of whom nothing is known, as whoever finds a key and reports it.
    Anonymous,
    /// The server itself, when it starts or works through its queue.
    Server,
}

impl Actor {
    /// Tells this one from all others.
    pub(crate) fn identity(&self) -> String {
        match self {
            Self::Person { user, .. } => format!("user {user}"),
            Self::PlatformKey { id, .. } => format!("key {id}"),
            Self::PlatformApiKey { id, .. } => format!("key {id}"),
            Self::DeploymentKey { id } => format!("key {id}"),
            Self::OrgDeploymentKey { id, .. } => format!("key {id}"),
            Self::PlatformToken { id, .. } => format!("token {id}"),
            Self::Pipeline { subject, trust } => format!("pipeline {trust}\n{subject}"),
            Self::Anonymous => "anonymous".to_owned(),
            Self::Server => "server".to_owned(),
        }
    }
}

/// Somebody who acts in an organization.
#[derive(Clone, Debug)]
pub struct Caller {
    /// The organization.
    pub org: Arc<OrgFacts>,
    /// Who it is.
    pub actor: Actor,
    /// The request, for the audit log and for support.
    pub request_id: String,
    /// Where the request came from.
    pub ip: Option<IpAddr>,
}

impl Caller {
    /// The account that owns what the caller creates: the person, or that of a platform API key.
    pub fn user(&self) -> Option<UserNumber> {
        match self.actor {
            Actor::Person { user, .. }
            | Actor::PlatformApiKey { user, .. }
            | Actor::PlatformToken { user, .. } => Some(user),
            _ => None,
        }
    }

    /// Whether it is a person.
    pub fn is_person(&self) -> bool {
        matches!(self.actor, Actor::Person { .. })
    }
}

/// Proof of an admin of the organization in the URL, signed in. No key is an admin.
///
/// ```compile_fail,E0423
/// use keydock_server::access::{Admin, Caller};
/// fn forge(caller: Caller) -> Admin { Admin(caller) }
/// ```
pub struct Admin(Caller);

/// Proof of an admin, signed in, or of a platform API key with full access: they may give platform API
/// keys new secrets, which makes none stronger.
pub struct KeyRotator(Caller);

/// Proof of a member of the organization in the URL, or of a key of the whole organization.
///
/// ```compile_fail,E0308
/// use keydock_server::access::{Admin, Member};
/// fn for_admins(_: &Admin) {}
/// fn try_as_member(member: &Member) { for_admins(member) }
/// ```
pub struct Member {
    caller: Caller,
    role: Role,
    tier: Tier,
}

/// Somebody signed in, whatever the organization.
pub struct Person {
    signed_in: SignedIn,
    request_id: String,
    ip: IpAddr,
}

/// Proof of somebody signed in who runs this server.
pub struct InstanceAdmin(Person);

/// The holder of a key of a whole organization, where the URL names none.
#[derive(Clone, Copy)]
pub struct KeyHolder<'a> {
    org: &'a OrgFacts,
    key_name: &'a str,
    tier: Tier,
}

/// Somebody of whom nothing is known but where they are.
#[derive(Debug)]
pub struct Visitor {
    /// The request, for the audit log.
    pub request_id: String,
    /// Where the request came from.
    pub ip: IpAddr,
}

impl FromRequestParts<App> for Visitor {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self> {
        bearer::refuse_key_in_url(&parts.uri)?;
        let request_id = request_id(parts).to_owned();
        Ok(Self { request_id, ip: client_address(Head::of(parts), app.config()) })
    }
}

/// The server acting by itself: at its first start, or on behalf of the operator at its console.
#[derive(Debug)]
pub struct System(());

impl System {
    /// For the first start of a server and for the commands of its operator.
    pub const fn operator() -> Self {
        Self(())
    }
}

macro_rules! acts_in_an_organization {
    ($($proof:ty => |$this:ident| $caller:expr;)*) => {$(
        impl $proof {
            /// The organization the proof is about. Operations take it from here.
            pub fn org(&self) -> OrgNumber {
                self.caller().org.number
            }

            /// The name of that organization in URLs.
            pub fn org_name(&self) -> &OrgName {
                &self.caller().org.name
            }

            /// Who is calling.
            pub fn caller(&self) -> &Caller {
                let $this = self;
                $caller
            }
        }

        impl fmt::Debug for $proof {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.caller().fmt(f)
            }
        }
    )*};
}

pub(super) use acts_in_an_organization;

acts_in_an_organization! {
    Admin => |admin| &admin.0;
    Member => |member| &member.caller;
    KeyRotator => |rotator| &rotator.0;
}

impl Member {
    /// Whether everything of the organization is open, whoever owns it: to admins and to keys.
    pub fn sees_all(&self) -> bool {
        self.role == Role::Admin || !self.caller.is_person()
    }

    /// Refuses a key of a lower tier where the method says too little: what `doing` does needs `tier`.
    pub fn confirm_tier(&self, tier: Tier, doing: &str) -> Result<(), Refusal> {
        if self.tier >= tier {
            return Ok(());
        }
        Err(Refusal::Tier { tier: self.tier, method: doing.to_owned() })
    }

    /// The role: `user` for a key, which is nobody's admin.
    pub fn role(&self) -> Role {
        self.role
    }
}

impl FromRequestParts<App> for Member {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self> {
        bearer::refuse_key_in_url(&parts.uri)?;
        Again::note::<Self>(parts);
        match Presented::in_headers(&parts.headers)? {
            Presented::Token(_) => by_key(parts, app).await,
            Presented::Nothing | Presented::NotAKey => by_session(parts, app).await,
        }
    }
}

async fn by_key(parts: &mut Parts, app: &App) -> Result<Member> {
    let token = token(&parts.headers)?.ok_or(Refusal::MalformedKey)?;
    let presented = app.verify_token(token, Head::of(parts))?;
    let (tier, _) = organization_key(&presented.verified.opens, || presented.verified.genuine())?;
    let org = &presented.verified.org;
    if !path_names(parts, org.name.as_str()) {
        return Err(Refusal::OtherOrganization.into());
    }
    confirm_header(&parts.headers, org)?;
    confirm_tier(tier, &parts.method)?;
    charge(&presented.verified, parts, app).await?;
    let Verified { key, org, opens, .. } = presented.verified;
    let caller = Caller {
        org,
        actor: actor(key, opens),
        request_id: request_id(parts).to_owned(),
        ip: Some(presented.ip),
    };
    Ok(Member { caller, role: Role::User, tier })
}

/// The program that holds a key.
pub(crate) fn actor(key: Id<id::AnyKey>, opens: Opens) -> Actor {
    match opens {
        Opens::Organization { key_name } => Actor::PlatformKey { id: key.widen(), name: key_name },
        Opens::OrganizationTiered(facts) if facts.kind == KeyKind::PlatformToken => {
            Actor::PlatformToken {
                id: key.widen(),
                name: Arc::clone(&facts.name),
                user: facts.user,
            }
        }
        Opens::OrganizationTiered(facts) => Actor::PlatformApiKey {
            id: key.widen(),
            name: Arc::clone(&facts.name),
            user: facts.user,
            tier: facts.tier,
        },
        Opens::Deployment(_) => Actor::DeploymentKey { id: key.widen() },
        Opens::Deployments(facts) => {
            Actor::OrgDeploymentKey { id: key.widen(), name: Arc::clone(&facts.key_name) }
        }
    }
}

async fn by_session(parts: &mut Parts, app: &App) -> Result<Member> {
    let org = path_org(parts, app).await?;
    let signed_in = session::find(app, parts, Some(&org)).await?.ok_or(Refusal::Anonymous)?;
    // A session is of one organization at a time (CONTRACT 1.2).
    let membership = match signed_in.membership.clone() {
        Some(membership) if signed_in.session_org == Some(membership.org) => membership,
        _ => return Err(Refusal::OtherOrganizationSession.into()),
    };
    if signed_in.must_change_password {
        return Err(must_change_password());
    }
    let Membership { org, name, title, role } = membership;
    let caller = Caller {
        org: Arc::new(OrgFacts { number: org, name, title }),
        actor: Actor::Person { user: signed_in.user, email: signed_in.email },
        request_id: request_id(parts).to_owned(),
        ip: Some(client_address(Head::of(parts), app.config())),
    };
    confirm_header(&parts.headers, &caller.org)?;
    Ok(Member { caller, role, tier: Tier::FullAccess })
}

fn must_change_password() -> Error {
    Error::forbidden(
        "Change the initial password first: POST /api/v1/password with current_password and \
         new_password.",
    )
}

/// Whether the organization in the path is `name`; compared in place, nothing is copied.
fn path_names(parts: &Parts, name: &str) -> bool {
    let path = parts.uri.path();
    let rest = path.strip_prefix("/api/v1/unstract/").unwrap_or_default();
    rest.split('/').next() == Some(name)
}

async fn path_org(parts: &mut Parts, app: &App) -> Result<String> {
    let params = RawPathParams::from_request_parts(parts, app).await;
    let params = params.map_err(|_| Error::NotFound { what: "Object" })?;
    let org = params.iter().find(|(name, _)| *name == "org").map(|(_, org)| org.to_owned());
    org.ok_or_else(|| Error::internal("this route names no organization"))
}

impl FromRequestParts<App> for Admin {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self> {
        let member = Member::from_request_parts(parts, app).await?;
        Again::note::<Self>(parts);
        if member.role == Role::Admin {
            return Ok(Self(member.caller));
        }
        Err(Error::forbidden_to(
            &member.caller,
            "User is forbidden from performing this action. Please contact admin. Only admins of \
             the organization, signed in, may do this; no key may.",
        ))
    }
}

impl FromRequestParts<App> for KeyRotator {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self> {
        let member = Member::from_request_parts(parts, app).await?;
        Again::note::<Self>(parts);
        let may = match member.caller.actor {
            Actor::PlatformApiKey { tier, .. } => tier == Tier::FullAccess,
            _ => member.role == Role::Admin,
        };
        if may {
            return Ok(Self(member.caller));
        }
        Err(Error::forbidden_to(
            &member.caller,
            "Platform API keys are rotated by admins of the organization, signed in, and by \
             platform API keys with full_access.",
        ))
    }
}

impl Person {
    /// Their number.
    pub fn user(&self) -> UserNumber {
        self.signed_in.user
    }

    /// The organization of the session, once one was set.
    pub fn session_org(&self) -> Option<OrgNumber> {
        self.signed_in.session_org
    }

    /// The stored form of the session cookie.
    pub fn session_digest(&self) -> &str {
        &self.signed_in.digest
    }

    /// The token that changes must carry.
    pub fn csrf(&self) -> &str {
        &self.signed_in.csrf
    }

    /// Whether nothing but a change of password is possible.
    pub fn must_change_password(&self) -> bool {
        self.signed_in.must_change_password
    }

    /// The person as somebody who acts in an organization that they do not act in by its URL.
    pub fn acting_in(&self, org: OrgFacts) -> Caller {
        Caller {
            org: Arc::new(org),
            actor: self.actor(),
            request_id: self.request_id.clone(),
            ip: Some(self.ip),
        }
    }

    /// The person, for the audit log.
    pub fn actor(&self) -> Actor {
        Actor::Person { user: self.signed_in.user, email: self.signed_in.email.clone() }
    }

    /// The request, for the audit log.
    pub fn request_id(&self) -> &str {
        &self.request_id
    }

    /// Where the request came from.
    pub fn ip(&self) -> IpAddr {
        self.ip
    }
}

impl fmt::Debug for Person {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Person({})", self.signed_in.user)
    }
}

impl FromRequestParts<App> for Person {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self> {
        bearer::refuse_key_in_url(&parts.uri)?;
        if let Presented::Token(token) = Presented::in_headers(&parts.headers)? {
            // A key is judged as a key, whatever cookie comes with it; and none is a person.
            app.verify_token(token, Head::of(parts))?;
            return Err(Refusal::Anonymous.into());
        }
        Again::note::<Self>(parts);
        let signed_in = session::find(app, parts, None).await?.ok_or(Refusal::Anonymous)?;
        let request_id = request_id(parts).to_owned();
        Ok(Self { signed_in, request_id, ip: client_address(Head::of(parts), app.config()) })
    }
}

impl InstanceAdmin {
    /// The person.
    pub fn person(&self) -> &Person {
        &self.0
    }
}

impl fmt::Debug for InstanceAdmin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromRequestParts<App> for InstanceAdmin {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self> {
        let person = Person::from_request_parts(parts, app).await?;
        Again::note::<Self>(parts);
        if person.must_change_password() {
            return Err(must_change_password());
        }
        if person.signed_in.instance_admin {
            return Ok(Self(person));
        }
        Err(Error::forbidden_to(&person, "Only administrators of this server may do this."))
    }
}

impl KeyHolder<'_> {
    /// What `then` makes of the holder of the key in the head of a request, which is counted. Nothing if
    /// the key has a quota: that takes more than a look.
    pub(crate) fn at_once<T>(
        head: Head<'_>,
        app: &App,
        then: impl FnOnce(KeyHolder<'_>) -> T,
    ) -> Result<Option<T>> {
        let token = Self::token(head)?;
        let made = app.verify_token_then(token, head, |seen, _| {
            let judge = || {
                confirm_header(head.headers, seen.org())?;
                let (tier, key_name) = organization_key(seen.opens(), || seen.genuine())?;
                let Some(charged) = charge_at_once(seen, head, app) else { return Ok(None) };
                charged.map(|()| Some(then(KeyHolder { org: seen.org(), key_name, tier })))
            };
            let judged = judge();
            if judged.is_err() {
                head.note_refused(|| seen.genuine());
            }
            judged.transpose()
        })?;
        made.transpose()
    }

    /// What `then` makes of the holder of the key of a request, which is counted.
    pub(crate) async fn counted<T>(
        parts: &mut Parts,
        app: &App,
        then: impl FnOnce(KeyHolder<'_>) -> T,
    ) -> Result<T> {
        let head = Head::of(parts);
        let verified = app.verify_token(Self::token(head)?, head)?.verified;
        let (tier, key_name) = organization_key(&verified.opens, || verified.genuine())?;
        confirm_header(&parts.headers, &verified.org)?;
        charge(&verified, parts, app).await?;
        Ok(then(KeyHolder { org: &verified.org, key_name, tier }))
    }

    fn token(head: Head<'_>) -> Result<&str> {
        bearer::refuse_key_in_url(head.uri)?;
        match Presented::in_headers(head.headers)? {
            Presented::Token(token) => Ok(token),
            Presented::Nothing | Presented::NotAKey => Err(Refusal::Anonymous.into()),
        }
    }

    /// The organization of the key.
    pub fn org(&self) -> &OrgFacts {
        self.org
    }

    /// What people call the key.
    pub fn key_name(&self) -> &str {
        self.key_name
    }

    /// How much the key opens.
    pub fn tier(&self) -> Tier {
        self.tier
    }
}

impl fmt::Debug for KeyHolder<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyHolder({})", self.org.name)
    }
}

/// The one bearer token of a request, for surfaces that take other keys than these proofs.
pub(crate) fn token(headers: &HeaderMap) -> Result<Option<&str>, Refusal> {
    Ok(match Presented::in_headers(headers)? {
        Presented::Token(token) if !token.is_empty() => Some(token),
        Presented::Token(_) | Presented::Nothing | Presented::NotAKey => None,
    })
}
