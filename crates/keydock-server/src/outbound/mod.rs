//! Calls to addresses that users name: the one way out, and it leads to the open internet only.
//!
//! Whoever may name an address could name one that only this server can reach. So each address is
//! judged, all that a name leads to are, and what is connected to is what was judged: a name is
//! resolved once, by the connection itself. `https` on its own port, no redirects, no proxies of the
//! environment, bounded time and bounded answers; and no byte of an answer is shown to users.
//!
//! Addresses that the operator names in `outbound_allow` are exempt: for receivers in the house.

mod addresses;
mod resolver;
mod target;

use std::{
    fmt,
    net::IpAddr,
    sync::{Arc, OnceLock},
    time::Duration,
};

use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use ipnet::IpNet;

use self::{resolver::Guard, target::Reach};
pub use self::{
    resolver::{Lookup, SystemLookup},
    target::Target,
};

/// How long a call may take.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// Until there is a connection, with its name resolved.
    pub connect: Duration,
    /// Until the answer is read.
    pub total: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self { connect: Duration::from_secs(5), total: Duration::from_secs(30) }
    }
}

/// Why an address may not be called. Says nothing about where a name leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Blocked {
    /// It is no address.
    #[error("Write a whole address, such as https://hooks.example.com/keydock.")]
    Malformed,
    /// It is not `https`.
    #[error("The address must begin with https://.")]
    Scheme,
    /// It has a name or a password in it.
    #[error("The address must not have a user name or a password in it.")]
    UserInfo,
    /// It has a port.
    #[error("The address must not have a port.")]
    Port,
    /// It leads inside, or one of several does.
    #[error(
        "The address does not lead to the open internet. The operator of this server can allow it."
    )]
    Address,
}

/// Why a call came to nothing. None of these has anything that the other side said.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// It was not made.
    #[error("{0}")]
    Blocked(#[from] Blocked),
    /// The name is unknown, or nobody answers there, or not over TLS as it should be.
    #[error("No connection could be made.")]
    Unreachable,
    /// It took too long.
    #[error("The call took too long.")]
    TimedOut,
    /// The connection broke off, or what came was not HTTP.
    #[error("The answer could not be read.")]
    Broken,
    /// The answer was longer than it should be.
    #[error("The answer was too long.")]
    TooLong,
}

/// What may be called.
#[derive(Clone, Debug, Default)]
pub(crate) struct Policy {
    named: Arc<[IpNet]>,
}

impl Policy {
    fn names_nothing(&self) -> bool {
        self.named.is_empty()
    }

    fn judge(&self, address: IpAddr, reach: Reach) -> Result<(), Blocked> {
        let plain = address.to_canonical();
        if self.named.iter().any(|net| net.contains(&address) || net.contains(&plain)) {
            return Ok(());
        }
        if reach == Reach::Open && addresses::inside(address).is_none() {
            return Ok(());
        }
        Err(Blocked::Address)
    }
}

/// Calls addresses that users name.
#[derive(Clone)]
pub struct Outbound {
    policy: Policy,
    patience: Patience,
    lookup: Arc<dyn Lookup>,
    clients: Arc<OnceLock<Option<Clients>>>,
}

#[derive(Debug)]
struct Clients {
    open: reqwest::Client,
    named: reqwest::Client,
}

impl fmt::Debug for Outbound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Outbound").field("policy", &self.policy).finish_non_exhaustive()
    }
}

impl Outbound {
    /// Calls the open internet, and addresses in these ranges.
    pub fn new(named: &[IpNet]) -> Self {
        Self::with(named, Arc::new(SystemLookup), Patience::default())
    }

    /// The same with another way of looking up names, and other patience.
    pub fn with(named: &[IpNet], lookup: Arc<dyn Lookup>, patience: Patience) -> Self {
        let policy = Policy { named: named.into() };
        Self { policy, patience, lookup, clients: Arc::default() }
    }

    /// Judges the text of an address; asks nobody.
    pub fn target(&self, text: &str) -> Result<Target, Blocked> {
        Target::parse(text, &self.policy)
    }

    /// Where a target leads now, if all of it may be called. For checks: a call finds out by itself.
    pub async fn addresses(&self, target: &Target) -> Result<Vec<IpAddr>, Failure> {
        match target.url().host() {
            Some(url::Host::Domain(name)) => self.guard(target.reach()).addresses(name).await,
            Some(url::Host::Ipv4(address)) => Ok(vec![address.into()]),
            Some(url::Host::Ipv6(address)) => Ok(vec![address.into()]),
            None => Err(Blocked::Malformed.into()),
        }
    }

    /// Posts a body and tells the status of the answer, whose body nobody reads.
    pub async fn post(
        &self,
        target: &Target,
        headers: HeaderMap,
        body: Bytes,
    ) -> Result<StatusCode, Failure> {
        let request = self.client(target)?.post(target.url().clone()).headers(headers).body(body);
        Ok(request.send().await.map_err(|error| failure(&error))?.status())
    }

    /// Gets what is there: the status, and the body if it is not longer than `limit`.
    pub async fn get(&self, target: &Target, limit: usize) -> Result<(StatusCode, Bytes), Failure> {
        let request = self.client(target)?.get(target.url().clone());
        let request = request.header(http::header::ACCEPT, "application/json");
        let mut answer = request.send().await.map_err(|error| failure(&error))?;
        let mut body = Vec::new();
        while let Some(chunk) = answer.chunk().await.map_err(|error| failure(&error))? {
            if body.len() + chunk.len() > limit {
                return Err(Failure::TooLong);
            }
            body.extend_from_slice(&chunk);
        }
        Ok((answer.status(), body.into()))
    }

    fn guard(&self, reach: Reach) -> Guard {
        Guard { policy: self.policy.clone(), reach, lookup: Arc::clone(&self.lookup) }
    }

    fn client(&self, target: &Target) -> Result<&reqwest::Client, Failure> {
        // Made at the first call: a machine without root certificates may never make one.
        let clients = self.clients.get_or_init(|| {
            let made = self
                .make(Reach::Open)
                .and_then(|open| Ok(Clients { open, named: self.make(Reach::Named)? }));
            made.inspect_err(|error| {
                let error = error as &dyn std::error::Error;
                tracing::error!(error, "nothing can be called: TLS cannot be set up");
            })
            .ok()
        });
        let clients = clients.as_ref().ok_or(Failure::Unreachable)?;
        Ok(match target.reach() {
            Reach::Open => &clients.open,
            Reach::Named => &clients.named,
        })
    }

    fn make(&self, reach: Reach) -> reqwest::Result<reqwest::Client> {
        // Fails only if another part of the program has chosen already, which is as good.
        let _already_chosen = rustls::crypto::ring::default_provider().install_default();
        reqwest::Client::builder()
            .user_agent(concat!("keydock/", env!("CARGO_PKG_VERSION")))
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .referer(false)
            // Every call resolves its name anew and is judged anew.
            .pool_max_idle_per_host(0)
            .connect_timeout(self.patience.connect)
            .timeout(self.patience.total)
            .dns_resolver(Arc::new(self.guard(reach)))
            .build()
    }
}

/// What to make of an error, without its words: they may hold the address, and what others sent.
fn failure(error: &reqwest::Error) -> Failure {
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        if let Some(failure) = cause.downcast_ref::<Failure>() {
            return *failure;
        }
        source = cause.source();
    }
    if error.is_timeout() {
        Failure::TimedOut
    } else if error.is_connect() {
        Failure::Unreachable
    } else {
        Failure::Broken
    }
}
