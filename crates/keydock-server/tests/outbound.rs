//! The one way out, and what it refuses.

#![expect(clippy::unwrap_used, reason = "what is wrong in a test should stop it")]

use std::{
    collections::{HashMap, VecDeque},
    io,
    net::{IpAddr, SocketAddr},
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use axum::{Router, http::StatusCode, response::Redirect, routing::any};
use bytes::Bytes;
use futures_util::future::BoxFuture;
use http::HeaderMap;
use ipnet::IpNet;
use keydock_server::outbound::{Blocked, Failure, Lookup, Outbound, Patience};

/// A name server: each name has its answers, one after the other; the last one stays.
#[derive(Default)]
struct Names {
    answers: Mutex<HashMap<String, VecDeque<Vec<IpAddr>>>>,
    asked: AtomicUsize,
}

impl Names {
    fn of(answers: &[(&str, &[&[&str]])]) -> Arc<Self> {
        let parse = |texts: &[&str]| texts.iter().map(|text| text.parse().unwrap()).collect();
        let answers = answers.iter().map(|(name, rounds)| {
            ((*name).to_owned(), rounds.iter().map(|texts| parse(texts)).collect())
        });
        Arc::new(Self { answers: Mutex::new(answers.collect()), asked: AtomicUsize::new(0) })
    }
}

impl Lookup for Names {
    fn lookup(&self, name: String) -> BoxFuture<'static, io::Result<Vec<IpAddr>>> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        let mut answers = self.answers.lock().unwrap();
        let answer = answers.get_mut(&name).map(|rounds| {
            if rounds.len() > 1 { rounds.pop_front().unwrap() } else { rounds[0].clone() }
        });
        Box::pin(async move { answer.ok_or_else(|| io::Error::other("no such name")) })
    }
}

/// A server that counts who comes.
struct Canary {
    address: SocketAddr,
    hits: Arc<AtomicUsize>,
}

impl Canary {
    async fn listen(at: &str) -> Self {
        let hits = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&hits);
        let hit = move || {
            count.fetch_add(1, Ordering::SeqCst);
        };
        let again = hit.clone();
        let routes = Router::new()
            .route(
                "/redirect",
                any(async move || {
                    again();
                    Redirect::temporary("/")
                }),
            )
            .route("/slow", any(async || tokio::time::sleep(Duration::from_mins(1)).await))
            .route("/long", any(async || "x".repeat(10_000)))
            .fallback(async move || {
                hit();
                (StatusCode::OK, "a secret of the inside")
            });
        let listener = tokio::net::TcpListener::bind(at).await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move { axum::serve(listener, routes).await });
        Self { address, hits }
    }

    fn hits(&self) -> usize {
        self.hits.load(Ordering::SeqCst)
    }
}

fn outbound(allowed: &[&str], names: &Arc<Names>) -> Outbound {
    let allowed: Vec<IpNet> = allowed.iter().map(|net| net.parse().unwrap()).collect();
    let patience = Patience { connect: Duration::from_millis(500), total: Duration::from_secs(1) };
    Outbound::with(&allowed, Arc::<Names>::clone(names), patience)
}

async fn post(outbound: &Outbound, url: &str) -> Result<StatusCode, Failure> {
    let target = outbound.target(url)?;
    outbound.post(&target, HeaderMap::new(), Bytes::from_static(b"{}")).await
}

/// What must not be called. `CANARY` stands for the port of a server that listens on loopback.
const REFUSED: &[&str] = &[
    // Not https at its own port.
    "http://hooks.example.com/",
    "http://93.184.216.34/",
    "http://93.184.216.34:443/",
    "https://hooks.example.com:8443/",
    "https://93.184.216.34:22/",
    "https://hooks.example.com:0/",
    "https://hooks.example.com:CANARY/",
    "ftp://hooks.example.com/",
    "file:///etc/passwd",
    "gopher://hooks.example.com/",
    "data:text/plain,x",
    "javascript:alert(1)",
    "ws://hooks.example.com/",
    "unix:/run/keydock.sock",
    "//hooks.example.com/",
    "hooks.example.com",
    "",
    "https://",
    "https:///",
    "https://?",
    "https://:443/",
    "https://hooks.example.com:99999/",
    "https://hooks.example.com./",
    "https://./",
    "https://hooks.example.com\t/",
    "https://hooks .example.com/",
    "https://hooks.example.com/\r\nx-header: 1",
    " https://hooks.example.com/",
    "https://hooks.example.com%00.evil.example/",
    "https://[::1/",
    "https://[fe80::1%25eth0]/",
    // With a name in it.
    "https://user@hooks.example.com/",
    "https://user:password@hooks.example.com/",
    "https://:password@hooks.example.com/",
    "https://@hooks.example.com/",
    "https://hooks.example.com@127.0.0.1/",
    "https://hooks.example.com:443@127.0.0.1/",
    "https:\\\\user@hooks.example.com/",
    // Loopback in every spelling.
    "https://127.0.0.1/",
    "https://127.0.0.1:CANARY/",
    "http://127.0.0.1:CANARY/",
    "https://127.1/",
    "https://127.0.1/",
    "https://2130706433/",
    "https://0x7f000001/",
    "https://0x7f.0.0.1/",
    "https://0x7f.1/",
    "https://017700000001/",
    "https://0177.0.0.1/",
    "https://0177.0.0.01/",
    "https://127.0.0.1./",
    "https://127.255.255.254/",
    "https://①②⑦.⓪.⓪.①/",
    "https://127。0。0。1/",
    "https://%31%32%37.0.0.1/",
    "https://[::1]/",
    "http://[::1]:CANARY/",
    "https://[0:0:0:0:0:0:0:1]/",
    "https://[::]/",
    "https://[::ffff:127.0.0.1]/",
    "https://[::ffff:7f00:1]/",
    "https://[::127.0.0.1]/",
    "https://[64:ff9b::127.0.0.1]/",
    "https://[64:ff9b::7f00:1]/",
    "https://[64:ff9b:1::7f00:1]/",
    "https://[2002:7f00:1::]/",
    "https://[2001:0:7f00:1::]/",
    "https://0/",
    "https://0.0.0.0/",
    "https://0.1.2.3/",
    // Private.
    "https://10.0.0.1/",
    "https://10.255.255.255/",
    "https://167772161/",
    "https://012.0.0.1/",
    "https://172.16.0.1/",
    "https://172.31.255.255/",
    "https://0xac100001/",
    "https://192.168.0.1/",
    "https://192.168.1/",
    "https://0xc0a80001/",
    "https://[::ffff:10.0.0.1]/",
    "https://[::ffff:192.168.0.1]/",
    "https://[64:ff9b::10.0.0.1]/",
    "https://[2002:a00:1::1]/",
    "https://[2002:c0a8:1::1]/",
    "https://[fc00::1]/",
    "https://[fd12:3456:789a::1]/",
    "https://[fec0::1]/",
    // Link-local, and the services of clouds for their machines.
    "https://169.254.0.1/",
    "https://169.254.169.254/",
    "https://169.254.169.254/latest/meta-data/iam/security-credentials/",
    "http://169.254.169.254/latest/meta-data/",
    "https://2852039166/",
    "https://0xa9fea9fe/",
    "https://0251.0376.0251.0376/",
    "https://169.254.170.2/",
    "https://[::ffff:169.254.169.254]/",
    "https://[64:ff9b::169.254.169.254]/",
    "https://[fd00:ec2::254]/",
    "https://[fe80::1]/",
    "https://[fe80::a9fe:a9fe]/",
    "https://100.100.100.200/",
    "https://192.0.0.192/",
    "https://168.63.129.16/",
    // A carrier's inside, examples, measurements, protocols, multicast, reserved.
    "https://100.64.0.1/",
    "https://100.127.255.255/",
    "https://192.0.2.1/",
    "https://198.51.100.1/",
    "https://203.0.113.1/",
    "https://198.18.0.1/",
    "https://198.19.255.255/",
    "https://192.0.0.8/",
    "https://192.88.99.1/",
    "https://224.0.0.1/",
    "https://239.255.255.250/",
    "https://240.0.0.1/",
    "https://255.255.255.255/",
    "https://[2001:db8::1]/",
    "https://[3fff::1]/",
    "https://[ff02::1]/",
    "https://[100::1]/",
    "https://[5f00::1]/",
    // Names that lead inside, or partly inside, or nowhere.
    "https://localhost/",
    "https://localhost:CANARY/",
    "http://localhost:CANARY/",
    "https://LOCALHOST/",
    "https://loopback.example/",
    "https://LOOPBACK.example/",
    "https://metadata.example/",
    "https://private.example/",
    "https://mapped.example/",
    "https://nat64.example/",
    "https://unique.example/",
    "https://mixed.example/",
    "https://mixed6.example/",
    "https://empty.example/",
    "https://unknown.example/",
];

fn names() -> Arc<Names> {
    Names::of(&[
        ("hooks.example.com", &[&["93.184.216.34", "2606:2800:220:1::1"]]),
        ("localhost", &[&["127.0.0.1", "::1"]]),
        ("loopback.example", &[&["127.0.0.1"]]),
        ("metadata.example", &[&["169.254.169.254"]]),
        ("private.example", &[&["10.1.2.3"]]),
        ("mapped.example", &[&["::ffff:127.0.0.1"]]),
        ("nat64.example", &[&["64:ff9b::7f00:1"]]),
        ("unique.example", &[&["fd00::1"]]),
        ("mixed.example", &[&["93.184.216.34", "127.0.0.1"]]),
        ("mixed6.example", &[&["2606:2800:220:1::1", "::1"]]),
        ("empty.example", &[&[]]),
    ])
}

/// Proves SSR-01 and SSR-02: nothing of the table is called, and the canary inside hears nothing.
#[tokio::test]
async fn nothing_inside_is_called_in_any_spelling() {
    let canary = Canary::listen("127.0.0.1:0").await;
    let outbound = outbound(&[], &names());
    assert!(REFUSED.len() >= 120, "{}", REFUSED.len());
    for url in REFUSED {
        let url = url.replace("CANARY", &canary.address.port().to_string());
        let called = post(&outbound, &url).await;
        let is_blocked = matches!(called, Err(Failure::Blocked(_)));
        let leads_nowhere = url.contains("unknown.") || url.contains("empty.");
        assert!(
            is_blocked || (leads_nowhere && called == Err(Failure::Unreachable)),
            "{url}: {called:?}"
        );
    }
    assert_eq!(canary.hits(), 0);
}

#[tokio::test]
async fn the_open_internet_may_be_called() {
    let outbound = outbound(&[], &names());
    for url in [
        "https://hooks.example.com/",
        "https://hooks.example.com:443/path?token=x#fragment",
        "https://HOOKS.example.com",
        "https://93.184.216.34/",
        "https://[2606:2800:220:1::1]/",
        "https://hooks.example.com/@user",
        "https://hooks.example.com/?next=http://127.0.0.1/",
    ] {
        let target = outbound.target(url).unwrap();
        assert!(!outbound.addresses(&target).await.unwrap().is_empty(), "{url}");
        assert!(!format!("{target:?}").contains("token"), "a path may hold a secret");
    }
}

/// Proves SSR-01: what was judged is what is connected to, however often a name changes its mind.
#[tokio::test]
async fn a_name_that_changes_its_mind_is_judged_each_time() {
    let inside = Canary::listen("127.0.0.1:0").await;
    let port = inside.address.port();
    let allowed = Canary::listen(&format!("127.0.0.2:{port}")).await;
    let names = Names::of(&[("rebinding.example", &[&["127.0.0.2"], &["127.0.0.1"]])]);
    let outbound = outbound(&["127.0.0.2/32"], &names);
    let url = format!("http://rebinding.example:{port}/");
    assert_eq!(post(&outbound, &url).await, Ok(StatusCode::OK));
    assert_eq!(names.asked.load(Ordering::SeqCst), 1, "nobody asks twice for one call");
    for _ in 0..3 {
        assert_eq!(post(&outbound, &url).await, Err(Blocked::Address.into()));
    }
    assert_eq!((allowed.hits(), inside.hits()), (1, 0));

    // The same with an address of the open internet first: it was judged, and now it leads inside.
    let names = Names::of(&[("flip.example", &[&["93.184.216.34"], &["127.0.0.1"]])]);
    let outbound = self::outbound(&[], &names);
    let target = outbound.target("https://flip.example/").unwrap();
    assert!(outbound.addresses(&target).await.is_ok());
    let called = outbound.post(&target, HeaderMap::new(), Bytes::new()).await;
    assert_eq!(called, Err(Blocked::Address.into()));
}

#[tokio::test]
async fn what_the_operator_names_may_be_called_and_nothing_beside_it() {
    let canary = Canary::listen("127.0.0.1:0").await;
    let port = canary.address.port();
    let names = Names::of(&[
        ("receiver.example", &[&["127.0.0.1"]]),
        ("mixed.example", &[&["127.0.0.1", "127.0.0.2"]]),
        ("outside.example", &[&["93.184.216.34"]]),
    ]);
    let outbound = outbound(&["127.0.0.1/32"], &names);
    let ok = Ok(StatusCode::OK);
    assert_eq!(post(&outbound, &format!("http://127.0.0.1:{port}/")).await, ok);
    assert_eq!(post(&outbound, &format!("http://receiver.example:{port}/")).await, ok);
    let refused = Err(Blocked::Address.into());
    assert_eq!(post(&outbound, &format!("http://127.0.0.2:{port}/")).await, refused);
    assert_eq!(post(&outbound, &format!("http://mixed.example:{port}/")).await, refused);
    // http and other ports remain for what was named.
    assert_eq!(post(&outbound, "http://outside.example/").await, refused);
    assert_eq!(post(&outbound, "https://outside.example:8443/").await, refused);
    assert_eq!(canary.hits(), 2);
}

#[tokio::test]
async fn redirects_are_not_followed_and_patience_and_length_end() {
    let canary = Canary::listen("127.0.0.1:0").await;
    let base = format!("http://{}", canary.address);
    let outbound = outbound(&["127.0.0.1/32"], &Names::of(&[]));
    let redirected = post(&outbound, &format!("{base}/redirect")).await;
    assert_eq!(redirected, Ok(StatusCode::TEMPORARY_REDIRECT));
    assert_eq!(canary.hits(), 1, "only the redirect itself");
    assert_eq!(post(&outbound, &format!("{base}/slow")).await, Err(Failure::TimedOut));
    let long = outbound.target(&format!("{base}/long")).unwrap();
    assert_eq!(outbound.get(&long, 9_999).await, Err(Failure::TooLong));
    assert_eq!(outbound.get(&long, 10_000).await.unwrap().1.len(), 10_000);
    let closed = outbound.target("http://127.0.0.1:1/").unwrap();
    assert_eq!(outbound.get(&closed, 1).await, Err(Failure::Unreachable));
}
