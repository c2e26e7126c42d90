//! What was shown once is nowhere afterwards.

use std::{
    collections::{BTreeSet, HashMap},
    fs,
    path::Path,
};

use anyhow::{Context as _, Result};
use keydock_e2e::{
    Client, File, ORG, Server, TOTALS,
    client::{Credential, key_path, keys_path},
    total,
};
use serde_json::json;

/// A secret, and what it is called when it is found.
struct Planted {
    what: String,
    text: String,
    /// How many answers may show it: the one that issued it.
    shown: usize,
}

#[derive(Default)]
struct Secrets {
    planted: Vec<Planted>,
    /// The spellings that begin with these eight bytes, and whose they are.
    beginnings: HashMap<[u8; 8], Vec<(Vec<u8>, usize)>>,
}

impl Secrets {
    fn add(&mut self, what: impl Into<String>, text: impl Into<String>, shown: usize) {
        let secret = Planted { what: what.into(), text: text.into(), shown };
        for spelling in secret.spellings() {
            if let Some(beginning) = spelling.first_chunk() {
                let same = self.beginnings.entry(*beginning).or_default();
                same.push((spelling, self.planted.len()));
            }
        }
        self.planted.push(secret);
    }

    /// Names the secrets that are in these bytes, in any way of writing them.
    fn in_bytes(&self, bytes: &[u8]) -> Vec<&str> {
        let mut found = BTreeSet::new();
        for (at, beginning) in bytes.windows(8).enumerate() {
            let Some(same) = beginning.first_chunk().and_then(|eight| self.beginnings.get(eight))
            else {
                continue;
            };
            let here = same.iter().filter(|(spelling, _)| bytes[at..].starts_with(spelling));
            found.extend(here.map(|(_, secret)| *secret));
        }
        found.into_iter().map(|secret| self.planted[secret].what.as_str()).collect()
    }
}

impl Planted {
    fn spellings(&self) -> Vec<Vec<u8>> {
        let mut spellings = vec![self.text.clone().into_bytes()];
        if let Ok(uuid) = uuid::Uuid::try_parse(&self.text) {
            spellings.push(uuid.simple().to_string().into_bytes());
            spellings.push(self.text.to_uppercase().into_bytes());
            spellings.push(uuid.as_bytes().to_vec());
        }
        spellings
    }
}

/// Every file below a folder but the two that are meant to hold secrets.
fn search(folder: &Path, secrets: &Secrets, hits: &mut Vec<String>) -> Result<usize> {
    let mut files = 0;
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            files += search(&path, secrets, hits)?;
            continue;
        }
        let name = path.file_name().unwrap_or_default();
        if name == "first-credentials.txt" || name == "pepper" {
            continue;
        }
        // SQLite removes its log while it ends.
        let Ok(bytes) = fs::read(&path) else { continue };
        files += 1;
        let found = secrets.in_bytes(&bytes);
        hits.extend(found.into_iter().map(|what| format!("{what} in {}", path.display())));
    }
    Ok(files)
}

/// Issues secrets of every kind, in every way there is.
async fn issue(server: &Server, listener: &Client, secrets: &mut Secrets) -> Result<()> {
    let credentials = server.credentials();
    secrets.add("the first platform key", &credentials.platform_key, 0);
    secrets.add("the first password", &credentials.password, 0);
    let admin = listener.sign_in(&credentials.user, &credentials.password).await?;
    let admin = admin.enter(ORG).await?;
    session(&admin, "the session of the admin", secrets);
    platform_keys(&admin, secrets).await?;
    deployment_keys(server, listener, secrets).await?;
    members(listener, &admin, secrets).await?;
    let founded = admin.found("second_org").await?;
    secrets.add("the first key of another organization", founded, 1);
    Ok(())
}

fn session(client: &Client, what: &str, secrets: &mut Secrets) {
    if let Credential::Session { cookie, .. } = &client.credential {
        secrets.add(what, cookie, 1);
    }
}

async fn platform_keys(admin: &Client, secrets: &mut Secrets) -> Result<()> {
    let generated = admin.post(&keys_path(ORG), json!({})).await?.expect(201)?;
    secrets.add("a generated platform key", generated.text_at("/key")?, 1);
    let id = generated.text_at("/id")?;
    for round in 0..80 {
        let body = json!({"id": id, "grace_seconds": if round % 3 == 0 { 60 } else { 0 }});
        let refreshed = admin.put(&keys_path(ORG), body).await?.expect(201)?;
        let secret = refreshed.text_at("/key")?;
        admin.with_key(&secret).is_verified().await?;
        secrets.add(format!("refreshed platform key {round}"), secret, 1);
    }
    admin.get(&key_path(ORG, &id)).await?.expect(200)?;
    admin.put(&key_path(ORG, &id), json!({"action": "ACTIVATE"})).await?.expect(201)?;
    Ok(())
}

async fn deployment_keys(server: &Server, listener: &Client, secrets: &mut Secrets) -> Result<()> {
    // Activating the other key has ended this one; its admin gives it back its place.
    let admin = server.admin().await?;
    let keys = admin.platform_keys(ORG).await?;
    let first = keys.first().and_then(|key| key["id"].as_str()).context("no key")?;
    admin.put(&key_path(ORG, first), json!({"action": "ACTIVATE"})).await?.expect(201)?;

    let platform = listener.with_key(&server.credentials().platform_key);
    let first = platform.publish(ORG, "totals", TOTALS).await?;
    let path = format!("/api/v1/unstract/{ORG}/api");
    let list = platform.get(&format!("{path}/deployment/")).await?.expect(200)?;
    let deployment = list.text_at("/results/0/id")?;
    let body = json!({"description": "one more"});
    let created = platform.post(&format!("{path}/keys/api/{deployment}/"), body).await?;
    let created = created.expect(201)?;
    let id = created.text_at("/id")?;
    secrets.add("a created deployment key", created.text_at("/api_key")?, 1);
    for round in 0..80 {
        let rotated = platform.post(&format!("{path}/keys/{id}/rotate/"), json!({})).await?;
        let secret = rotated.expect(200)?.text_at("/api_key")?;
        secrets.add(format!("rotated deployment key {round}"), secret, 1);
    }
    let caller = platform.with_key(&first);
    secrets.add("the first deployment key", first, 1);
    let files = [File::text("a.txt", total(5))];
    caller.submit(ORG, "totals", &files, &[("timeout", "60")]).await?.expect(200)?;
    platform.get(&format!("{path}/keys/api/{deployment}/")).await?.expect(200)?;
    Ok(())
}

async fn members(listener: &Client, admin: &Client, secrets: &mut Secrets) -> Result<()> {
    for number in 0..4 {
        let email = format!("member{number}@example.com");
        let listener = listener.clone().from_address([10, 1, 0, number]);
        let body = json!({"email": email, "role": "user"});
        let added = admin.post(&format!("/api/v1/unstract/{ORG}/users/"), body).await?;
        let initial = added.expect(201)?.text_at("/initial_password")?;
        let chosen = format!("a password that member {number} chose");
        let member = listener.sign_in(&email, &initial).await?;
        session(&member, "the session of a member", secrets);
        let body = json!({"current_password": initial, "new_password": chosen});
        member.post("/api/v1/password", body).await?.expect(200)?;
        let wrong = json!({"username": email, "password": format!("{chosen}!")});
        listener.post("/api/v1/login", wrong).await?.expect(401)?;
        secrets.add(format!("initial password {number}"), initial, 1);
        secrets.add(format!("chosen password {number}"), chosen, 0);
    }
    Ok(())
}

/// Looks at everything that shows something.
async fn look_around(admin: &Client) -> Result<()> {
    for path in ["/metrics", "/health", "/docs", "/", "/api/v1/openapi.json", "/api/v1/session"] {
        admin.get(path).await?;
    }
    for path in ["platform/keys/", "platform/keys/audit/", "users/", "api/deployment/", "workflow/"]
    {
        admin.get(&format!("/api/v1/unstract/{ORG}/{path}")).await?.expect(200)?;
    }
    Ok(())
}

/// Proves KEY-03.
#[tokio::test]
async fn secrets_are_shown_once_and_kept_nowhere() -> Result<()> {
    let mut server = Server::fresh().await?;
    let listener = server.nobody()?.listening();
    let mut secrets = Secrets::default();
    issue(&server, &listener, &mut secrets).await?;
    let credentials = server.credentials().clone();
    look_around(
        &listener.sign_in(&credentials.user, &credentials.password).await?.enter(ORG).await?,
    )
    .await?;
    assert!(secrets.planted.len() > 170, "{} planted", secrets.planted.len());

    let heard = listener.heard();
    for secret in &secrets.planted {
        let times = heard.iter().filter(|answer| answer.contains(&secret.text)).count();
        assert_eq!(times, secret.shown, "{} was shown {times} times", secret.what);
    }

    // While it runs, with the log of the database as it is; and after it ended.
    let mut hits = Vec::new();
    let files = search(&server.data(), &secrets, &mut hits)?;
    assert!(files > 0 || server.database().is_postgres());
    let dump = server.database().dump().await?;
    hits.extend(
        secrets.in_bytes(dump.as_bytes()).into_iter().map(|what| format!("{what} in a table")),
    );
    assert!(server.terminate().await?.success());
    search(&server.data(), &secrets, &mut hits)?;
    let log = server.log();
    hits.extend(
        secrets.in_bytes(log.as_bytes()).into_iter().map(|what| format!("{what} in the log")),
    );
    assert!(hits.is_empty(), "{hits:#?}");
    Ok(())
}

#[test]
fn the_search_finds_what_is_there() {
    let mut secrets = Secrets::default();
    secrets.add("a key", "0198c3f2-a7c8-7b0e-8f1d-2c3b4a596877", 0);
    assert_eq!(secrets.in_bytes(b"..0198C3F2-A7C8-7B0E-8F1D-2C3B4A596877.."), ["a key"]);
    assert_eq!(secrets.in_bytes(b"0198c3f2a7c87b0e8f1d2c3b4a596877"), ["a key"]);
    assert!(secrets.in_bytes(b"0198c3f2-a7c8-7b0e-8f1d").is_empty());
}
