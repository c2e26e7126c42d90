//! An address to call, as far as it can be judged without asking anybody.

use std::{fmt, net::IpAddr};

use url::{Host, Url};

use super::{Blocked, Policy};

/// The longest address that is taken.
const LONGEST: usize = 2_048;

/// An address that may be called, as far as its text tells. Where its name leads is judged when it is
/// called, each time.
#[derive(Clone, PartialEq, Eq)]
pub struct Target {
    url: Url,
    reach: Reach,
}

/// How far a target may lead.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reach {
    /// To the open internet: it is `https` at its own port.
    Open,
    /// Only to addresses that the operator named: anything else than that.
    Named,
}

impl Target {
    pub(super) fn parse(text: &str, policy: &Policy) -> Result<Self, Blocked> {
        if text.len() > LONGEST || text.chars().any(|c| c.is_control() || c.is_whitespace()) {
            return Err(Blocked::Malformed);
        }
        let mut url = Url::parse(text).map_err(|_| Blocked::Malformed)?;
        if !matches!(url.scheme(), "https" | "http") {
            return Err(Blocked::Scheme);
        }
        if !url.username().is_empty() || url.password().is_some() || names_somebody(text) {
            return Err(Blocked::UserInfo);
        }
        url.set_fragment(None);
        let is_plain = url.scheme() == "https" && url.port().is_none();
        let reach = if is_plain { Reach::Open } else { Reach::Named };
        match url.host() {
            None => return Err(Blocked::Malformed),
            Some(Host::Domain(name)) if name.is_empty() || name.ends_with('.') => {
                return Err(Blocked::Malformed);
            }
            Some(Host::Domain(_)) if reach == Reach::Named && policy.names_nothing() => {
                return Err(if url.scheme() == "http" { Blocked::Scheme } else { Blocked::Port });
            }
            Some(Host::Domain(_)) => {}
            Some(Host::Ipv4(address)) => policy.judge(IpAddr::V4(address), reach)?,
            Some(Host::Ipv6(address)) => policy.judge(IpAddr::V6(address), reach)?,
        }
        Ok(Self { url, reach })
    }

    pub(super) fn url(&self) -> &Url {
        &self.url
    }

    pub(super) fn reach(&self) -> Reach {
        self.reach
    }

    /// The whole address. It may hold a secret of the receiver's, so it is for those who set it.
    pub fn as_str(&self) -> &str {
        self.url.as_str()
    }

    /// Its scheme, name and port, which may be shown and logged.
    pub fn origin(&self) -> String {
        self.url.origin().ascii_serialization()
    }
}

/// Whether there is an empty name before the host, which `Url` drops in silence.
fn names_somebody(text: &str) -> bool {
    let after_scheme = text.split_once(':').map_or(text, |(_, rest)| rest);
    let rest = after_scheme.trim_start_matches(['/', '\\']);
    rest.split(['/', '\\', '?', '#']).next().unwrap_or_default().contains('@')
}

impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Target({})", self.origin())
    }
}
