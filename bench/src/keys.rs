//! Data folders with many platform keys: two for every organization, one of them active.
//!
//! The rows are written straight into the schema of the server, with real digests under the pepper
//! of the folder; generating a hundred thousand keys one by one would only measure the disk.

use std::{
    fs,
    io::Write as _,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result};
use keydock_core::{
    id::{self, Id},
    secret::{KeyKind, SecretForm, SecretKey},
};
use keydock_engine::sandbox::{Limits, Sandbox};
use keydock_server::{App, bootstrap, config::Settings};
use keydock_storage::db::{self, Tx, args};

/// How many digits the number of an organization has in its name.
pub(crate) const DIGITS: usize = 7;

/// The length of a secret.
pub(crate) const SECRET: usize = 36;

/// How many organizations are written in a transaction.
const BATCH: usize = 5_000;

/// The application on a data folder.
pub(crate) async fn open(data: &Path) -> Result<App> {
    let settings = Settings {
        data: Some(data.to_owned()),
        // Every request comes from one address here, also the many with unknown keys.
        guesses_per_minute: Some(std::num::NonZeroU32::MAX),
        ..Settings::default()
    };
    Ok(bootstrap::open(settings.check()?, Sandbox::new(Limits::default())?).await?)
}

/// What the number `index` looks like in the name of an organization.
pub(crate) fn org_name(index: usize) -> String {
    format!("org-{index:0DIGITS$}")
}

/// The active secrets of a folder, by the number of the organization.
pub(crate) fn secrets(data: &Path) -> Result<Vec<[u8; SECRET]>> {
    let bytes = fs::read(file(data))?;
    let (secrets, rest) = bytes.as_chunks();
    anyhow::ensure!(rest.is_empty() && !secrets.is_empty(), "the file of secrets is damaged");
    Ok(secrets.to_vec())
}

fn file(data: &Path) -> PathBuf {
    data.join("benchmark-secrets")
}

/// A limit that a key has and no benchmark reaches.
const LIMIT: &str = r#"{"rate_limit":{"requests":1000000000,"window_seconds":60}}"#;

/// Fills a data folder with `keys` keys, with a rate limit each if `limited`.
pub(crate) async fn make(data: &Path, keys: usize, limited: bool) -> Result<()> {
    let limits = if limited { LIMIT } else { "{}" };
    let app = open(data).await?;
    let mut secrets = Vec::new();
    let orgs: Vec<usize> = (0..keys.div_ceil(2)).collect();
    for batch in orgs.chunks(BATCH) {
        let work = async |tx: &mut Tx| {
            for index in batch {
                secrets.extend(make_org(tx, &app, *index, limits).await?);
            }
            Ok::<_, db::Error>(())
        };
        app.db().write(work).await.context("cannot write the keys")?;
    }
    let mut out = fs::File::create_new(file(data))?;
    out.write_all(&secrets)?;
    app.db().close().await;
    Ok(())
}

/// Writes an organization with its two keys. Gives back the secret of the active one.
async fn make_org(
    tx: &mut Tx,
    app: &App,
    index: usize,
    limits: &str,
) -> Result<Vec<u8>, db::Error> {
    let number = tx.next_in("organizations").await?;
    let sql = "INSERT INTO organizations (id, name, title, display_name, key_changes, executions,
                                          created_at)
               VALUES ($1, $2, $2, $2, 0, 0, $3)";
    tx.execute(sql, args![number, org_name(index), tx.now()]).await?;
    let active = make_key(tx, app, number, 1, limits).await?;
    make_key(tx, app, number, 2, limits).await?;
    Ok(active.into_bytes())
}

async fn make_key(
    tx: &mut Tx,
    app: &App,
    org: i64,
    slot: i64,
    limits: &str,
) -> Result<String, db::Error> {
    let id: Id<id::PlatformKey> = tx.new_id();
    let form = SecretForm::Uuid;
    let secret = tx.with_rng(|rng| SecretKey::generate(KeyKind::Platform, form, rng));
    let sql =
        "INSERT INTO keys (id, org_id, kind, slot, name, description, opens_all, limits, digest,
                                 last_four, fingerprint, is_active, version, secrets_made,
                                 created_at, modified_at, use_count, pepper)
               VALUES ($1, $2, 'platform', $3, $4, '', FALSE, $5, $6, $7, $8, $9, 1, 1, $10, $10,
                       0, $11)";
    let values = args![
        id,
        org,
        slot,
        format!("Key #{slot}"),
        limits,
        app.pepper().digest(&secret).to_hex(),
        secret.last_four(),
        secret.fingerprint(),
        slot == 1,
        tx.now(),
        app.pepper().id().to_string()
    ];
    tx.execute(sql, values).await?;
    Ok(secret.reveal())
}
