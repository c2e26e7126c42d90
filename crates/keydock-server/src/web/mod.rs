//! HTTP, apart from any feature: the frame of every request, bodies, pages of lists, errors.

pub mod docs;
pub mod edge;
pub mod fields;
pub mod health;
pub mod paging;
pub mod problem;
pub mod serve;

use std::net::{IpAddr, SocketAddr};

use axum::{
    extract::ConnectInfo,
    http::{HeaderMap, HeaderName, HeaderValue, header, request::Parts},
};

pub use self::{docs::method_not_allowed, edge::edge, fields::Fields, paging::PageRequest};
use crate::config::Config;

/// Names a request in answers, logs and the audit log.
pub const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Forbids every cache to keep an answer; on everything that shows a secret.
pub const NO_STORE: (HeaderName, HeaderValue) =
    (header::CACHE_CONTROL, HeaderValue::from_static("no-store"));

/// The name of the request; the edge gave it one if the client did not.
pub fn request_id(headers: &HeaderMap) -> &str {
    headers.get(REQUEST_ID).and_then(|id| id.to_str().ok()).unwrap_or_default()
}

/// The address of the client: of the connection, or, behind proxies that the configuration trusts,
/// the nearest one in `X-Forwarded-For` that is not such a proxy, read from the right.
pub fn client_address(parts: &Parts, config: &Config) -> IpAddr {
    let peer = parts
        .extensions
        .get::<ConnectInfo<SocketAddr>>()
        .map_or(IpAddr::from([0, 0, 0, 0]), |ConnectInfo(peer)| peer.ip().to_canonical());
    if !config.trusts(peer) {
        return peer;
    }
    let forwarded = parts.headers.get_all("x-forwarded-for").iter().rev();
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
    let trusted = parts
        .extensions
        .get::<ConnectInfo<SocketAddr>>()
        .is_some_and(|ConnectInfo(peer)| config.trusts(peer.ip().to_canonical()));
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
        let peer: IpAddr = peer.parse().unwrap();
        parts.extensions.insert(ConnectInfo(SocketAddr::new(peer, 1)));
        parts
    }

    fn address(trusted: &[&str], peer: &str, forwarded: &[&str]) -> String {
        client_address(&parts(peer, forwarded), &config(trusted)).to_string()
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
        behind.extensions.insert(ConnectInfo(SocketAddr::from(([203, 0, 113, 9], 1))));
        assert_eq!(origin(&behind, &config), "http://documents.example");
    }
}
