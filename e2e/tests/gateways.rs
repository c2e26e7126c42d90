//! nginx and Caddy, as Debian has them and with the files of `examples/gateways`, in front of something
//! that is guarded.

use std::net::{IpAddr, Ipv4Addr};

use anyhow::Result;
use keydock_e2e::{
    ORG, Server, Setup, TOTALS,
    client::{Answer, Client, Credential, keys_path},
    gateway::{Gateway, Guarded, Kind},
};
use reqwest::Method;
use serde_json::json;

const UNKNOWN: &str = "00000000-0000-4000-8000-000000000000";

/// What the files of the examples demand.
const PLATFORM: &str = "kind=platform&org=mock_org";

/// A server, something that is guarded, and a gateway of a kind in front of it.
struct World {
    server: Server,
    guarded: Guarded,
    kind: Kind,
}

/// Somebody at an address of their own: this machine has sixteen million.
fn at(gateway: &Gateway, last: u8, key: Option<&str>) -> Result<Client> {
    let credential = key.map_or(Credential::Nobody, |key| Credential::Key(key.to_owned()));
    Client::at(&gateway.url(), credential, IpAddr::from(Ipv4Addr::new(127, 0, 7, last)))
}

impl World {
    async fn new(kind: Kind) -> Result<Self> {
        // One unknown key a minute: who sends a second one is told to wait.
        let server = Setup::default().env("KEYDOCK_GUESSES_PER_MINUTE", "1").start().await?;
        Ok(Self { server, guarded: Guarded::start().await?, kind })
    }

    async fn gateway(&self, demand: &str) -> Result<Gateway> {
        Gateway::start(self.kind, self.server.address(), &self.guarded, demand).await
    }

    /// Sends a request that must be refused with this status, before anything that is guarded sees it.
    fn refused(&self, what: &str, answer: Result<Answer>, status: u16) -> Result<()> {
        let answer = answer?;
        assert_eq!(answer.status, status, "{what}: {}", answer.text);
        let challenge = answer.header("www-authenticate");
        assert_eq!(status == 401, challenge.starts_with("Bearer realm"), "{what}: {challenge}");
        assert!(answer.header("location").is_empty(), "{what}: nothing is redirected");
        let seen = self.guarded.take();
        assert!(seen.is_empty(), "{what}: it got through: {seen:?}");
        Ok(())
    }

    /// What the guarded one was told of whose request it is, in any spelling of the names.
    fn told(&self) -> Vec<(String, String)> {
        let mut seen = self.guarded.take();
        assert_eq!(seen.len(), 1, "{seen:?}");
        let head = seen.remove(0).to_lowercase();
        assert!(!head.contains("authorization"), "{head}");
        let lines = head.lines().filter_map(|line| line.split_once(':'));
        let told = lines.map(|(name, value)| (name.replace('_', "-"), value.trim().to_owned()));
        let mut told: Vec<_> = told.filter(|(name, _)| name.starts_with("x-keydock")).collect();
        told.sort();
        told
    }
}

/// Names and values that a client might try in order to pass for another.
fn forged() -> Vec<(&'static str, &'static str)> {
    vec![
        ("X-Keydock-Organization", "globex"),
        ("x-keydock-organization", "globex"),
        ("X_Keydock_Organization", "globex"),
        ("X-Keydock_Organization", "globex"),
        ("X_KEYDOCK-ORGANIZATION", "globex"),
        ("X-Keydock-Key-Id", UNKNOWN),
        ("X-Keydock-Key-Name", "Key of somebody else"),
        ("X_Keydock_Key_Name", "Key of somebody else"),
        ("X-Keydock-Key-Kind", "instance"),
        ("X-Keydock-Permission", "everything"),
        ("X-Keydock-Permission", "more"),
    ]
}

async fn send(client: &Client, method: &str, path: &str, more: &[(&str, &str)]) -> Result<Answer> {
    let method = Method::from_bytes(method.as_bytes())?;
    let request = client.request(method, path);
    let request = more.iter().fold(request, |request, (name, value)| request.header(*name, *value));
    client.answer(request).await
}

/// What becomes of each sort of request.
async fn every_outcome(kind: Kind) -> Result<()> {
    let world = World::new(kind).await?;
    let server = &world.server;
    let gateway = world.gateway(PLATFORM).await?;
    let key = server.credentials().platform_key.clone();
    let admin = server.admin().await?;
    let id = admin.platform_keys(ORG).await?[0]["id"].clone();
    let idle = admin.post(&keys_path(ORG), json!({})).await?.expect(201)?.text_at("/key")?;
    let (_, foreign) = server.found("globex").await?;
    let deployment = server.publish("totals", TOTALS).await?;

    // 1: a good key, by every method.
    let good = at(&gateway, 1, Some(&key))?;
    let identity = |name: &str, value: &str| (format!("x-keydock-{name}"), value.to_owned());
    let mine = [
        identity("key-id", id.as_str().unwrap_or_default()),
        identity("key-kind", "platform"),
        identity("key-name", "key #1"),
        identity("organization", ORG),
        identity("permission", "full_access"),
    ];
    for method in ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"] {
        let answer = send(&good, method, "/documents/7?page=2&key=3", &[]).await?;
        assert_eq!((answer.status, answer.text.as_str()), (200, "guarded"), "{method}");
        assert_eq!(world.told(), mine, "{method}");
    }
    // 2 to 6: no key, an unknown one, one that is switched off, of a wrong kind, of others.
    let cases = [
        ("no key", None, 401),
        ("an unknown key", Some(UNKNOWN), 401),
        ("a key that is switched off", Some(&*idle), 401),
        ("a deployment key", Some(&*deployment), 401),
        ("a key of another organization", Some(&*foreign), 403),
    ];
    for (last, (what, key, status)) in (2..).zip(cases) {
        let client = at(&gateway, last, key)?;
        world.refused(what, send(&client, "POST", "/documents", &forged()).await, status)?;
    }
    // 7: the identity of a good key is the one that keydock tells, whatever its client says.
    let answer = send(&good, "GET", "/documents", &forged()).await?;
    assert_eq!(answer.status, 200, "{}", answer.text);
    assert_eq!(world.told(), mine);
    // What demands more only makes it stricter, or is not heard.
    for (name, value) in
        [("X-Forwarded-Method", "GET"), ("X-Original-URI", "/"), ("X-Original-Method", "GET")]
    {
        assert_eq!(send(&good, "DELETE", "/documents", &[(name, value)]).await?.status, 200);
        world.guarded.take();
    }
    // 8 and 9: a key in the address, whatever the header holds; two credentials.
    for client in [&good, &at(&gateway, 8, None)?] {
        let path = format!("/documents?a=b&api_key={key}");
        world.refused("a key in the address", send(client, "GET", &path, &[]).await, 400)?;
    }
    let two = [("Authorization", &*format!("Bearer {UNKNOWN}"))];
    world.refused("two credentials", send(&good, "GET", "/documents", &two).await, 400)?;
    let other = [("X-Organization-Id", "globex")];
    world.refused("another organization", send(&good, "GET", "/", &other).await, 403)?;
    Ok(())
}

/// What else a gateway can demand.
async fn other_demands(kind: Kind) -> Result<()> {
    let world = World::new(kind).await?;
    let platform = world.server.credentials().platform_key.clone();
    let totals = world.server.publish("totals", TOTALS).await?;
    let others = world.server.publish("others", TOTALS).await?;

    // 10: a tier, which deployment keys have not.
    let gateway = world.gateway("tier=full_access").await?;
    assert_eq!(send(&at(&gateway, 1, Some(&platform))?, "GET", "/", &[]).await?.status, 200);
    world.guarded.take();
    let client = at(&gateway, 2, Some(&totals))?;
    world.refused("no tier", send(&client, "GET", "/", &[]).await, 401)?;

    let gateway = world.gateway("deployment=totals").await?;
    for _ in 0..2 {
        let client = at(&gateway, 3, Some(&totals))?;
        assert_eq!(send(&client, "POST", "/", &forged()).await?.status, 200);
        let told = world.told();
        let value = |name: &str| {
            let found = told.iter().find(|(told, _)| told == name);
            found.map(|(_, value)| value.as_str()).unwrap_or_default()
        };
        assert_eq!(value("x-keydock-organization"), ORG, "{told:?}");
        assert_eq!(value("x-keydock-permission"), "execute", "{told:?}");
        assert_eq!(value("x-keydock-key-name"), "", "what keydock does not say, nobody says");
        assert!(told.len() <= 5, "{told:?}");
    }
    let client = at(&gateway, 4, Some(&others))?;
    world.refused("another deployment", send(&client, "POST", "/", &[]).await, 401)?;
    let client = at(&gateway, 5, Some(&platform))?;
    world.refused("a platform key", send(&client, "POST", "/", &[]).await, 401)?;

    let gateway = world.gateway("kinds=platform").await?;
    let client = at(&gateway, 6, Some(&platform))?;
    world.refused("a demand that is misspelt", send(&client, "GET", "/", &[]).await, 400)?;
    Ok(())
}

/// Who guesses cannot do so in the name of others (11), and without keydock nobody gets in (12).
async fn spoofs_and_outages(kind: Kind) -> Result<()> {
    let mut world = World::new(kind).await?;
    let key = world.server.credentials().platform_key.clone();
    let gateway = world.gateway(PLATFORM).await?;
    let guesser = at(&gateway, 1, Some(UNKNOWN))?;
    world.refused("the first guess", send(&guesser, "GET", "/", &[]).await, 401)?;
    let spoofs = [
        "127.0.0.1",
        "10.0.0.1",
        "198.51.100.1",
        "198.51.100.2, 127.0.0.1",
        "::1",
        "2001:db8::1",
        "::ffff:127.0.0.1",
        "::ffff:198.51.100.3",
        "0:0:0:0:0:ffff:c633:6404",
        "unknown",
        "127.0.7.1, 198.51.100.5",
        "198.51.100.6, 127.0.7.9",
        "198.51.100.7:443",
        "[2001:db8::2]:80",
        "\"[2001:db8::3]\"",
        "_hidden",
        ",",
        "198.51.100.8,,",
        "127.0.0.1, 127.0.0.1",
        "localhost",
    ];
    assert_eq!(spoofs.len(), 20);
    for spoof in spoofs {
        for header in ["X-Forwarded-For", "x-forwarded-for", "X-Real-IP", "Forwarded"] {
            let answer = send(&guesser, "GET", "/", &[(header, spoof)]).await?;
            assert!(!answer.header("retry-after").is_empty(), "{header}: {spoof}");
            world.refused(spoof, Ok(answer), 429)?;
        }
        let twice = [("X-Forwarded-For", spoof), ("X-Forwarded-For", "198.51.100.77")];
        world.refused(spoof, send(&guesser, "GET", "/", &twice).await, 429)?;
    }
    let other = at(&gateway, 2, Some(UNKNOWN))?;
    world.refused("a guess elsewhere", send(&other, "GET", "/", &[]).await, 401)?;
    let genuine = at(&gateway, 1, Some(&key))?;
    assert_eq!(send(&genuine, "GET", "/", &[]).await?.status, 200, "never a genuine key");
    world.guarded.take();

    world.server.kill()?;
    for client in [&genuine, &at(&gateway, 3, None)?] {
        world.refused("keydock is away", send(client, "GET", "/", &[]).await, 503)?;
    }
    world.server.start().await?;
    assert_eq!(send(&genuine, "GET", "/", &[]).await?.status, 200, "and it is back");
    Ok(())
}

/// Proves VER-10 for nginx.
#[tokio::test]
async fn nginx_lets_pass_what_keydock_lets_pass() -> Result<()> {
    every_outcome(Kind::Nginx).await
}

/// Proves VER-10 for nginx.
#[tokio::test]
async fn nginx_demands_what_its_configuration_says() -> Result<()> {
    other_demands(Kind::Nginx).await
}

/// Proves VER-10 for nginx.
#[tokio::test]
async fn nginx_tells_where_its_clients_are_and_fails_closed() -> Result<()> {
    spoofs_and_outages(Kind::Nginx).await
}

/// Proves VER-10 for Caddy.
#[tokio::test]
async fn caddy_lets_pass_what_keydock_lets_pass() -> Result<()> {
    every_outcome(Kind::Caddy).await
}

/// Proves VER-10 for Caddy.
#[tokio::test]
async fn caddy_demands_what_its_configuration_says() -> Result<()> {
    other_demands(Kind::Caddy).await
}

/// Proves VER-10 for Caddy.
#[tokio::test]
async fn caddy_tells_where_its_clients_are_and_fails_closed() -> Result<()> {
    spoofs_and_outages(Kind::Caddy).await
}
