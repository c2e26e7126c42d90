//! The drill: back up, revoke, lose everything, restore.

#![expect(clippy::unwrap_used, reason = "what is wrong in a test should stop it")]

mod harness;

use std::{fs, path::PathBuf};

use harness::{Client, TestApp};
use keydock_engine::sandbox::{Limits, Sandbox};
use keydock_server::{
    access::System,
    audit_log::verify,
    backup::{self, BackupError, Restored},
    bootstrap,
    config::{Config, Settings},
};
use keydock_storage::{db::args, testing};
use serde_json::{Value, json};

const ORG: &str = "/api/v1/unstract/mock_org/";
const PLATFORM: &str = "/api/v1/unstract/mock_org/platform/keys/";
const WHOAMI: &str = "/api/v1/unstract/whoami/";
const CALL: &str =
    "/deployment/api/mock_org/api/?execution_id=00000000-0000-4000-8000-000000000000";
const DEFINITION: &str = "fields:\n  - key: total\n    type: number\n    rule: {label: Total}\n";

/// How many keys there are of each fate.
const EACH: usize = 12;

/// A server with many keys, a backup of it, and what happened to the keys since.
struct Drill {
    test: TestApp,
    dir: tempfile::TempDir,
    /// Secrets that worked at the time of the backup and were revoked since.
    revoked: Vec<String>,
    /// Secrets that work still.
    working: Vec<String>,
    key_ids: Vec<String>,
}

impl Drill {
    async fn new() -> Self {
        let test = TestApp::start().await;
        let dir = tempfile::tempdir().unwrap();
        let admin = test.admin().await;
        let keys = make_keys(&admin).await;
        let second = admin.post(PLATFORM, json!({})).await.body;
        let mut drill = Self { test, dir, revoked: vec![], working: vec![], key_ids: vec![] };
        let (db, blobs) = (drill.test.app.db(), drill.test.app.blobs());
        let made = backup::back_up(db, blobs, &drill.file()).await.unwrap();
        assert!(made.rows > 50, "{made:?}");
        fs::copy(drill.journal(), drill.dir.path().join("journal.old")).unwrap();
        drill.revoke(&admin, &keys, &second).await;
        drill
    }

    /// Every way to end a secret, and some that do not.
    async fn revoke(&mut self, admin: &Client, keys: &[(String, String)], second: &Value) {
        for (n, (id, secret)) in keys.iter().enumerate() {
            let path = format!("{ORG}api/keys/{id}/");
            let off = json!({"is_active": false});
            match n % 5 {
                0 => admin.delete(&path).await,
                1 => admin.patch(&path, off).await,
                2 => admin.post(&format!("{path}rotate/"), json!({})).await,
                3 => admin.post(&format!("{path}rotate/"), json!({"grace_seconds": 3600})).await,
                _ => {
                    admin.patch(&path, off).await;
                    let back = admin.patch(&path, json!({"is_active": true})).await;
                    self.working.push(secret.clone());
                    self.key_ids.push(id.clone());
                    assert_eq!(back.status, 200);
                    continue;
                }
            };
            self.revoked.push(secret.clone());
        }
        let first = admin.get(PLATFORM).await.body[0]["id"].clone();
        admin.put(PLATFORM, json!({"id": first})).await;
        self.revoked.push(self.test.platform_key.clone());
        admin.delete(&format!("{PLATFORM}{}/", second["id"].as_str().unwrap())).await;
        self.revoked.push(second["key"].as_str().unwrap().to_owned());
    }

    fn file(&self) -> PathBuf {
        self.dir.path().join("backup.tar")
    }

    fn journal(&self) -> PathBuf {
        self.test.data().join("revocations.journal")
    }

    /// A new machine, with the pepper in its place.
    async fn elsewhere(&self, name: &str) -> Config {
        let data = self.dir.path().join(name);
        fs::create_dir_all(data.join("secrets")).unwrap();
        fs::write(data.join("secrets/pepper"), "07".repeat(32)).unwrap();
        let database = testing::fresh(&data).await;
        let settings =
            Settings { data: Some(data), database: Some(database), ..Settings::default() };
        settings.check().unwrap()
    }

    async fn restore(&mut self, config: &Config, journal: Option<PathBuf>) -> Restored {
        let restored = backup::restore(config, &self.file(), journal.as_deref()).await.unwrap();
        self.start(config).await;
        restored
    }

    async fn start(&mut self, config: &Config) {
        let sandbox = Sandbox::new(Limits::default()).unwrap();
        let app = bootstrap::open(config.clone(), sandbox).await.unwrap();
        app.keyring().catch_up(app.db()).await.unwrap();
        self.test.replace(app);
    }

    /// How many of these secrets are taken.
    async fn accepted(&self, secrets: &[String]) -> usize {
        let mut accepted = 0;
        for secret in secrets {
            let client = self.test.key(secret);
            let called = client.get(CALL).await.status;
            let asked = client.get(WHOAMI).await.status;
            assert!(called == 401 || called == 404, "{called}");
            accepted += usize::from(called != 401 || asked == 200);
        }
        accepted
    }

    async fn is_whole(&self) -> bool {
        let app = &self.test.app;
        let (operator, pepper) = (System::operator(), app.pepper().clone());
        let report = app
            .read(async |tx| {
                verify::verify(tx, &operator, std::slice::from_ref(&pepper), None).await
            })
            .await
            .unwrap();
        report.is_whole()
    }
}

/// Keys of one deployment: their ids and secrets.
async fn make_keys(admin: &Client) -> Vec<(String, String)> {
    let flow = json!({"workflow_name": "flow", "definition": DEFINITION});
    let flow = admin.post(&format!("{ORG}workflow/"), flow).await.body["id"].clone();
    let api = json!({"workflow": flow, "api_name": "api"});
    let api = admin.post(&format!("{ORG}api/deployment/"), api).await.body["id"].clone();
    let path = format!("{ORG}api/keys/api/{}/", api.as_str().unwrap());
    let mut keys = Vec::new();
    for n in 0..5 * EACH {
        let made = admin.post(&path, json!({"description": format!("key {n}")})).await;
        assert_eq!(made.status, 201, "{}", made.text);
        let text = |name: &str| made.body[name].as_str().unwrap().to_owned();
        keys.push((text("id"), text("api_key")));
    }
    keys
}

/// Proves DUR-04: with the journal, what was revoked since the backup stays revoked, in whatever way
/// that was done, and everything else works.
#[tokio::test]
async fn a_restore_revives_no_revoked_key() {
    let mut drill = Drill::new().await;
    let config = drill.elsewhere("with").await;
    let restored = drill.restore(&config, Some(drill.journal())).await;
    assert_eq!(restored.quarantined_keys, None);
    // The second platform key was not active at the time.
    assert_eq!(restored.revoked_keys_closed, drill.revoked.len() as u64 - 1, "{restored:?}");
    assert_eq!(drill.accepted(&drill.revoked).await, 0);
    assert_eq!(drill.accepted(&drill.working).await, EACH);
    assert!(drill.is_whole().await, "the chain goes on");
    assert!(drill.test.admin().await.get(PLATFORM).await.status == 200, "people sign in again");
    assert_eq!(bootstrap::quarantined(drill.test.app.db()).await.unwrap(), None);

    // What happens from here on is journaled too: a second disaster revives nothing either.
    let id = drill.key_ids.pop().unwrap();
    let admin = drill.test.admin().await;
    admin.delete(&format!("{ORG}api/keys/{id}/")).await;
    let lost = drill.working.pop().unwrap();
    drill.revoked.push(lost);
    let again = drill.elsewhere("again").await;
    let journal = config.revocation_journal.clone();
    let restored = drill.restore(&again, Some(journal)).await;
    assert_eq!(restored.quarantined_keys, None);
    assert_eq!(drill.accepted(&drill.revoked).await, 0);
    assert_eq!(drill.accepted(&drill.working).await, EACH - 1);
}

/// Proves DUR-04 without a journal: nothing can be proved, so nothing works until an admin says so.
#[tokio::test]
async fn a_restore_without_a_journal_switches_every_key_off() {
    let mut drill = Drill::new().await;
    let config = drill.elsewhere("without").await;
    let restored = drill.restore(&config, None).await;
    assert!(restored.quarantined_keys.is_some_and(|keys| keys > 4 * EACH as u64), "{restored:?}");
    assert_eq!(drill.accepted(&drill.revoked).await, 0);
    assert_eq!(drill.accepted(&drill.working).await, 0);
    let left = bootstrap::quarantined(drill.test.app.db()).await.unwrap().unwrap().1;
    let admin = drill.test.admin().await;
    let id = drill.key_ids[0].clone();
    admin.patch(&format!("{ORG}api/keys/{id}/"), json!({"is_active": true})).await;
    assert_eq!(drill.accepted(&drill.working).await, 1, "the one that was activated");
    let now_left = bootstrap::quarantined(drill.test.app.db()).await.unwrap().unwrap().1;
    assert_eq!(now_left, left - 1);
    assert!(drill.is_whole().await);

    // The journal that began after the first restore does not know what that one closed before.
    let again = drill.elsewhere("again").await;
    let journal = config.revocation_journal.clone();
    let restored = drill.restore(&again, Some(journal)).await;
    assert!(restored.quarantined_keys.is_some(), "{restored:?}");
    assert_eq!(drill.accepted(&drill.revoked).await, 0);
}

/// Proves DUR-04 for those who put the files in place by hand: the start finds out.
#[tokio::test]
async fn a_start_on_an_older_database_closes_what_was_revoked() {
    let mut drill = Drill::new().await;
    let config = drill.elsewhere("by_hand").await;
    let old = drill.dir.path().join("journal.old");
    backup::restore(&config, &drill.file(), Some(&old)).await.unwrap();
    fs::copy(drill.journal(), &config.revocation_journal).unwrap();
    drill.start(&config).await;
    assert_eq!(drill.accepted(&drill.revoked).await, 0);
    assert_eq!(drill.accepted(&drill.working).await, EACH);
    assert!(drill.is_whole().await);
}

/// A journal that cannot know is as good as none.
#[tokio::test]
async fn a_journal_with_a_hole_switches_every_key_off() {
    let mut drill = Drill::new().await;
    let text = fs::read_to_string(drill.journal()).unwrap();
    let last = text.lines().last().unwrap().split(' ').next().unwrap();
    let holed = drill.dir.path().join("journal.holed");
    let begins = format!("from {}", from(&text));
    fs::write(&holed, text.replacen(&begins, &format!("from {last}"), 1)).unwrap();
    let config = drill.elsewhere("holed").await;
    let restored = drill.restore(&config, Some(holed)).await;
    assert!(restored.quarantined_keys.is_some(), "{restored:?}");
    assert_eq!(drill.accepted(&drill.revoked).await + drill.accepted(&drill.working).await, 0);
}

#[tokio::test]
async fn what_cannot_be_restored_changes_nothing() {
    let drill = Drill::new().await;
    let config = drill.elsewhere("nothing").await;
    let bytes = fs::read(drill.file()).unwrap();
    let broken = drill.dir.path().join("broken.tar");
    for cut in [0, 700, bytes.len() / 2, bytes.len() - 2_000] {
        fs::write(&broken, &bytes[..cut]).unwrap();
        let error = backup::restore(&config, &broken, None).await.unwrap_err();
        assert!(matches!(error, BackupError::NotWhole(_)), "cut at {cut}: {error}");
    }
    for at in [600, bytes.len() / 3, bytes.len() / 2] {
        let mut flipped = bytes.clone();
        flipped[at] ^= 1;
        fs::write(&broken, flipped).unwrap();
        let error = backup::restore(&config, &broken, None).await.unwrap_err();
        assert!(matches!(error, BackupError::NotWhole(_)), "changed at {at}: {error}");
    }
    let garbage = drill.dir.path().join("garbage");
    fs::write(&garbage, "no journal").unwrap();
    let error = backup::restore(&config, &drill.file(), Some(&garbage)).await.unwrap_err();
    assert!(matches!(error, BackupError::Journal { .. }), "{error}");
    fs::write(&config.pepper_file, "08".repeat(32)).unwrap();
    let error = backup::restore(&config, &drill.file(), Some(&drill.journal())).await.unwrap_err();
    assert!(matches!(error, BackupError::Journal { .. } | BackupError::Pepper { .. }), "{error}");
    fs::write(&config.pepper_file, "07".repeat(32)).unwrap();
    assert!(!config.revocation_journal.exists(), "nothing was put in place");
    backup::restore(&config, &drill.file(), Some(&drill.journal())).await.unwrap();
    let error = backup::restore(&config, &drill.file(), None).await.unwrap_err();
    assert!(matches!(error, BackupError::NotEmpty), "{error}");
}

/// Proves KEY-03 for backups and journals: neither has a secret in it, nor the pepper.
#[tokio::test]
async fn neither_backup_nor_journal_holds_a_secret() {
    let drill = Drill::new().await;
    for path in [drill.file(), drill.journal()] {
        let bytes = fs::read(&path).unwrap();
        let holds = |text: &str| bytes.windows(text.len()).any(|w| w == text.as_bytes());
        for secret in drill.revoked.iter().chain(&drill.working) {
            assert!(!holds(secret), "a key in {}", path.display());
        }
        assert!(!holds(&"07".repeat(32)) && !holds(harness::PASSWORD), "{}", path.display());
        assert!(bytes.windows(32).all(|w| w != [7; 32]), "the pepper in {}", path.display());
    }
}

/// Proves DUR-04 in part: a change is in the journal before it is answered, and one that cannot be
/// written there stops further ones.
#[tokio::test]
async fn a_revocation_is_journaled_before_it_is_answered() {
    let test = TestApp::start().await;
    let admin = test.admin().await;
    let path = test.data().join("revocations.journal");
    let made = admin.post(PLATFORM, json!({})).await.body["id"].clone();
    let made = made.as_str().unwrap().to_owned();
    let lines = || fs::read_to_string(&path).unwrap();
    let before = lines();
    admin.put(PLATFORM, json!({"id": made})).await;
    let after = lines();
    let added: Vec<&str> = after[before.len()..].lines().collect();
    assert_eq!(added.len(), 2, "the old secret and the new one: {added:?}");
    assert!(added.iter().all(|line| line.ends_with("closed")), "neither works: {added:?}");

    // None is left out.
    let sql = "SELECT COUNT(*) FROM key_changes";
    let count: i64 = test.app.read(async |tx| Ok(tx.fetch_one(sql, args![]).await?)).await.unwrap();
    let lines_of_changes = i64::try_from(lines().lines().count()).unwrap() - 2;
    assert_eq!(lines_of_changes, count - from(&lines()));
}

fn from(text: &str) -> i64 {
    text.lines().nth(1).unwrap().strip_prefix("from ").unwrap().parse().unwrap()
}

/// Documents of executions under way come along.
#[tokio::test]
async fn documents_are_in_a_backup() {
    let test = TestApp::start().await;
    let dir = tempfile::tempdir().unwrap();
    let id = keydock_storage::blobs::BlobId::of_path(
        "1/77/0198c3f2-a7c8-7b0e-8f1d-2c3b4a596877.0198c3f2-a7c8-7b0e-8f1d-2c3b4a596877".as_ref(),
    );
    let id = id.unwrap();
    let chunk = futures_util::stream::iter([Ok::<_, std::io::Error>("Total: 12\n".into())]);
    test.app.blobs().put(&id, chunk, 100).await.unwrap();
    let file = dir.path().join("backup.tar");
    backup::back_up(test.app.db(), test.app.blobs(), &file).await.unwrap();
    let mode = std::os::unix::fs::PermissionsExt::mode(&fs::metadata(&file).unwrap().permissions());
    assert_eq!(mode & 0o777, 0o600);
    assert!(backup::back_up(test.app.db(), test.app.blobs(), &file).await.is_err(), "not over it");
    let data = dir.path().join("data");
    fs::create_dir_all(data.join("secrets")).unwrap();
    fs::write(data.join("secrets/pepper"), "07".repeat(32)).unwrap();
    let settings = Settings {
        data: Some(data.clone()),
        database: Some(testing::fresh(&data).await),
        ..Settings::default()
    };
    let restored = backup::restore(&settings.check().unwrap(), &file, None).await.unwrap();
    assert_eq!(restored.documents, 1);
    let back = fs::read_to_string(data.join("blobs").join(id.path())).unwrap();
    assert_eq!(back, "Total: 12\n");
}
