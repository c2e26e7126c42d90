//! HTTP, apart from any feature: the frame of every request, bodies, pages of lists, errors.

pub mod docs;
pub mod edge;
pub mod fields;
pub mod health;
pub mod paging;
pub mod problem;
mod pulse;
pub mod serve;

use std::{
    net::IpAddr,
    sync::{Arc, OnceLock},
    time::Instant,
};

use axum::http::{HeaderMap, HeaderName, HeaderValue, Uri, header, request::Parts};

pub use self::{docs::method_not_allowed, edge::edge, fields::Fields, paging::PageRequest};
use crate::{access::Genuine, config::Config};

/// Names a request in answers, logs and the audit log.
pub const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// What proxies say of their clients. Names that are made in advance need not be read every time.
const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// Forbids every cache to keep an answer; on everything that shows a secret.
pub const NO_STORE: (HeaderName, HeaderValue) =
    (header::CACHE_CONTROL, HeaderValue::from_static("no-store"));

/// What the frame knows of a request, apart from what the client says. One value, since every one
/// put beside a request costs as much as verifying its key.
#[derive(Clone, Debug)]
pub(crate) struct Arrival {
    /// The name of the request: the client's, or one that the frame gave it.
    pub(crate) id: HeaderValue,
    /// The other end of the connection.
    pub(crate) peer: IpAddr,
    /// When it came.
    pub(crate) at: Instant,
    /// Whether its proof was made before and is being made again: then it is neither used nor charged
    /// a second time.
    pub(crate) is_again: bool,
    /// What is learnt on the way and belongs on the answer.
    pub(crate) notes: Notes,
}

/// What is learnt of a request on the way, for those who see its answer. Room for it is made for a
/// request that is routed, and when there is something to keep: making it costs as much as verifying a
/// key.
#[derive(Clone, Debug, Default)]
pub(crate) struct Notes(OnceLock<Arc<Learnt>>);

#[derive(Debug, Default)]
struct Learnt {
    fields: OnceLock<Vec<(HeaderName, HeaderValue)>>,
    key: OnceLock<Genuine>,
}

impl Notes {
    /// Room for what will be learnt, which all clones share.
    pub(crate) fn of_a_route() -> Self {
        Self(OnceLock::from(Arc::default()))
    }

    /// Adds header fields that the answer gets whatever else happens: how the key stands against its
    /// limits. Only the first call counts.
    pub(crate) fn put(&self, fields: Vec<(HeaderName, HeaderValue)>) {
        // A proof that is made twice learns the same.
        _ = self.0.get_or_init(Arc::default).fields.set(fields);
    }

    /// Notes which genuine key was sent.
    pub(crate) fn put_key(&self, key: Genuine) {
        _ = self.0.get_or_init(Arc::default).key.set(key);
    }

    /// The header fields.
    pub(crate) fn fields(&self) -> &[(HeaderName, HeaderValue)] {
        let learnt = self.0.get().and_then(|learnt| learnt.fields.get());
        learnt.map(Vec::as_slice).unwrap_or_default()
    }

    /// The genuine key that was sent, if one was.
    pub(crate) fn key(&self) -> Option<&Genuine> {
        self.0.get()?.key.get()
    }
}

/// What a request says before its body, read where it stands.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Head<'a> {
    pub(crate) uri: &'a Uri,
    pub(crate) headers: &'a HeaderMap,
    pub(crate) arrival: Option<&'a Arrival>,
}

impl<'a> Head<'a> {
    /// The head of a request that is being routed.
    pub(crate) fn of(parts: &'a Parts) -> Self {
        Self { uri: &parts.uri, headers: &parts.headers, arrival: parts.extensions.get() }
    }

    /// The name of the request.
    pub(crate) fn request_id(self) -> &'a str {
        self.arrival.and_then(|arrival| arrival.id.to_str().ok()).unwrap_or_default()
    }

    /// When the request came.
    pub(crate) fn arrived_at(self) -> Instant {
        self.arrival.map_or_else(Instant::now, |arrival| arrival.at)
    }

    /// Notes which genuine key was sent, if there is room.
    pub(crate) fn note_key(self, key: impl FnOnce() -> Genuine) {
        let notes = self.arrival.map(|arrival| &arrival.notes);
        if let Some(notes) = notes.filter(|notes| notes.0.get().is_some()) {
            notes.put_key(key());
        }
    }

    /// Notes which genuine key was sent, since the request is refused: for those who want to know why.
    pub(crate) fn note_refused(self, key: impl FnOnce() -> Genuine) {
        if let Some(arrival) = self.arrival {
            arrival.notes.put_key(key());
        }
    }

    /// Whether the proof of this request was made before.
    pub(crate) fn is_again(self) -> bool {
        self.arrival.is_some_and(|arrival| arrival.is_again)
    }

    fn peer(self) -> IpAddr {
        self.arrival.map_or(IpAddr::from([0, 0, 0, 0]), |arrival| arrival.peer)
    }
}

/// What a client calls itself.
pub(crate) fn user_agent(headers: &HeaderMap) -> &str {
    let agent = headers.get(header::USER_AGENT);
    agent.and_then(|agent| agent.to_str().ok()).unwrap_or_default()
}

/// The name of the request.
pub(crate) fn request_id(parts: &Parts) -> &str {
    let arrival = parts.extensions.get::<Arrival>();
    arrival.and_then(|arrival| arrival.id.to_str().ok()).unwrap_or_default()
}

/// The address of the client: of the connection, or, behind proxies that the configuration trusts,
/// the nearest one in `X-Forwarded-For` that is not such a proxy, read from the right.
pub(crate) fn client_address(head: Head<'_>, config: &Config) -> IpAddr {
    let peer = head.peer();
    if !config.trusts(peer) {
        return peer;
    }
    let forwarded = head.headers.get_all(FORWARDED_FOR).iter().rev();
    let hops =
        forwarded.filter_map(|value| value.to_str().ok()).flat_map(|value| value.rsplit(','));
    let mut nearest = peer;
    for hop in hops {
        let Ok(address) = hop.trim().parse::<IpAddr>() else { break };
        nearest = address.to_canonical();
        if !config.trusts(nearest) {
            break;
        }
    }
    nearest
}

/// The scheme and host that the client used, for links in answers.
pub fn origin(parts: &Parts, config: &Config) -> String {
    if let Some(url) = config.public_url() {
        return url.trim_end_matches('/').to_owned();
    }
    let trusted = config.trusts(Head::of(parts).peer());
    let forwarded = |name: &str| {
        parts.headers.get(name).filter(|_| trusted).and_then(|value| value.to_str().ok())
    };
    let scheme =
        forwarded("x-forwarded-proto").filter(|scheme| *scheme == "https").unwrap_or("http");
    let host = forwarded("x-forwarded-host")
        .or_else(|| parts.headers.get(header::HOST).and_then(|value| value.to_str().ok()))
        .or_else(|| parts.uri.authority().map(http::uri::Authority::as_str))
        .unwrap_or("localhost");
    format!("{scheme}://{host}")
}

#[cfg(test)]
mod tests {
    use axum::http::Request;

    use super::*;
    use crate::config::Settings;

    fn config(trusted: &[&str]) -> Config {
        let proxies = trusted.iter().map(|text| (*text).to_owned()).collect();
        Settings { trusted_proxies: Some(proxies), ..Settings::default() }.check().unwrap()
    }

    fn parts(peer: &str, forwarded: &[&str]) -> Parts {
        let mut request = Request::builder().uri("/").header("host", "documents.example");
        for value in forwarded {
            request = request.header("x-forwarded-for", *value);
        }
        let mut parts = request.body(()).unwrap().into_parts().0;
        come_from(&mut parts, peer);
        parts
    }

    fn come_from(parts: &mut Parts, peer: &str) {
        let peer = peer.parse::<IpAddr>().unwrap().to_canonical();
        let id = HeaderValue::from_static("test");
        parts.extensions.insert(Arrival {
            id,
            peer,
            at: Instant::now(),
            is_again: false,
            notes: Notes::default(),
        });
    }

    fn address(trusted: &[&str], peer: &str, forwarded: &[&str]) -> String {
        client_address(Head::of(&parts(peer, forwarded)), &config(trusted)).to_string()
    }

    #[test]
    fn a_stranger_cannot_speak_for_others() {
        assert_eq!(address(&[], "203.0.113.9", &["10.0.0.1"]), "203.0.113.9");
        assert_eq!(address(&["10.0.0.0/8"], "203.0.113.9", &["10.0.0.1"]), "203.0.113.9");
    }

    #[test]
    fn behind_proxies_the_nearest_stranger_counts() {
        let trusted = ["10.0.0.0/8", "::1"];
        assert_eq!(address(&trusted, "10.0.0.1", &["203.0.113.9"]), "203.0.113.9");
        assert_eq!(
            address(&trusted, "10.0.0.1", &["1.2.3.4, 203.0.113.9, 10.0.0.7"]),
            "203.0.113.9"
        );
        assert_eq!(address(&trusted, "10.0.0.1", &["1.2.3.4", "203.0.113.9"]), "203.0.113.9");
        assert_eq!(address(&trusted, "::ffff:10.0.0.1", &["::ffff:203.0.113.9"]), "203.0.113.9");
        assert_eq!(address(&trusted, "10.0.0.1", &["unknown"]), "10.0.0.1");
        assert_eq!(address(&trusted, "10.0.0.1", &[]), "10.0.0.1");
    }

    #[test]
    fn links_use_the_host_that_the_client_used() {
        let config = config(&["10.0.0.0/8"]);
        assert_eq!(origin(&parts("203.0.113.9", &[]), &config), "http://documents.example");
        let mut behind = parts("10.0.0.1", &[]);
        behind.headers.insert("x-forwarded-proto", "https".parse().unwrap());
        behind.headers.insert("x-forwarded-host", "public.example".parse().unwrap());
        assert_eq!(origin(&behind, &config), "https://public.example");
        come_from(&mut behind, "203.0.113.9");
        assert_eq!(origin(&behind, &config), "http://documents.example");
    }
}
