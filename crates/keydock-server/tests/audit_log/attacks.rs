//! Somebody who has the database (AUD-02).

use keydock_core::secret::Pepper;
use keydock_engine::sandbox::{Limits, Sandbox};
use keydock_server::{
    App,
    access::System,
    audit_log::verify::{self, Checkpoint, Report},
    bootstrap,
    config::Settings,
};
use keydock_storage::{
    db::{self, Db, Value, args},
    testing,
};
use serde_json::json;
use zeroize::Zeroizing;

use crate::harness::{Client, TestApp};

const KEYS: &str = "/api/v1/unstract/mock_org/platform/keys/";

/// The pepper of the harness.
fn pepper() -> Pepper {
    Pepper::new(&Zeroizing::new([7; 32]))
}

pub(crate) async fn verify(app: &App, checkpoint: Option<&Checkpoint>) -> Report {
    let (operator, pepper) = (System::operator(), pepper());
    app.read(async |tx| {
        verify::verify(tx, &operator, std::slice::from_ref(&pepper), checkpoint).await
    })
    .await
    .unwrap()
}

async fn checkpoint(app: &App) -> Checkpoint {
    let operator = System::operator();
    app.read(async |tx| verify::checkpoint(tx, &operator).await).await.unwrap()
}

pub(crate) async fn sql(db: &Db, sql: &'static str, args: &[Value]) -> u64 {
    let ran = db.write::<_, db::Error>(async |tx| tx.execute(sql, args).await).await;
    ran.unwrap().value
}

/// Makes events: switches a key on and off.
async fn events(admin: &Client, count: usize) {
    admin.post(KEYS, json!({"key_name": "busy"})).await;
    let keys = admin.get(KEYS).await;
    let path = format!("{KEYS}{}/", keys.body[1]["id"].as_str().unwrap());
    for n in 1..count {
        let action = if n % 2 == 1 { "ACTIVATE" } else { "DEACTIVATE" };
        admin.put(&path, json!({"action": action})).await;
    }
}

/// Proves AUD-02 on the database itself.
#[tokio::test]
async fn attacks_on_the_table_are_found() {
    let app = TestApp::start().await;
    let admin = app.admin().await;
    events(&admin, 12).await;
    let (db, known) = (app.app.db(), checkpoint(&app.app).await);
    assert!(known.events >= 12 && known.events == known.sequence, "{known:?}");
    let report = verify(&app.app, Some(&known)).await;
    assert!(report.is_whole() && report.seals_checked, "{report:?}");
    let columns = ["actor_name", "detail", "ip", "subject_id", "action", "request_id"];

    for at in [1, 2, known.sequence / 2, known.sequence - 1, known.sequence] {
        for column in columns {
            let change: &'static str =
                format!("UPDATE audit_events SET {column} = {column} || $2 WHERE seq = $1").leak();
            sql(db, change, args![at, " "]).await;
            let report = verify(&app.app, None).await;
            assert_eq!(report.faults[0].sequence, at, "{column} of {at} was changed");
            let back: &'static str = format!(
                "UPDATE audit_events SET {column} = substr({column}, 1, length({column}) - 1)
                 WHERE seq = $1"
            )
            .leak();
            sql(db, back, args![at]).await;
        }
        assert!(verify(&app.app, Some(&known)).await.is_whole(), "as it was");

        let hide = "UPDATE audit_events SET seq = -seq WHERE seq = $1";
        sql(db, hide, args![at]).await;
        assert!(!verify(&app.app, Some(&known)).await.is_whole(), "{at} is away");
        sql(db, "UPDATE audit_events SET seq = -seq WHERE seq < 0", args![]).await;
    }
    let apart = "UPDATE audit_events SET seq = -seq WHERE seq IN (3, 4)";
    let together = "UPDATE audit_events SET seq = 7 + seq WHERE seq IN (-3, -4)";
    sql(db, apart, args![]).await;
    sql(db, together, args![]).await;
    assert_eq!(verify(&app.app, None).await.faults[0].sequence, 3, "3 and 4 changed places");
    sql(db, apart, args![]).await;
    sql(db, together, args![]).await;

    let insert =
        "INSERT INTO audit_events (id, org_id, at, action, actor_kind, actor_id, actor_name,
                    subject_kind, subject_id, detail, request_id, ip)
                  SELECT 'forged', org_id, at, action, actor_kind, actor_id, actor_name,
                    subject_kind, subject_id, detail, request_id, ip
                  FROM audit_events WHERE seq = 2";
    sql(db, insert, args![]).await;
    assert!(!verify(&app.app, None).await.is_whole(), "an event without a place");
    sql(db, "DELETE FROM audit_events WHERE id = 'forged'", args![]).await;
    assert!(verify(&app.app, Some(&known)).await.is_whole(), "as it was");

    // Last: the end is cut off, and the note of the end moved to where it is now.
    sql(db, "DELETE FROM audit_events WHERE seq > $1", args![known.sequence - 2]).await;
    assert_eq!(verify(&app.app, None).await.faults[0].sequence, known.sequence - 1);
    let moved = "UPDATE audit_chain SET seq = $1,
                        hash = (SELECT hash FROM audit_events WHERE seq = $1)";
    sql(db, moved, args![known.sequence - 2]).await;
    assert!(verify(&app.app, None).await.is_whole(), "what only a checkpoint can show");
    assert!(!verify(&app.app, Some(&known)).await.is_whole());
    events(&admin, 4).await;
    assert!(!verify(&app.app, Some(&known)).await.is_whole(), "nor does it grow over");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_chain_has_no_gaps_whoever_races() {
    let app = TestApp::start().await;
    let admin = app.admin().await;
    let (other, _) = app.other_org("globex").await;
    let racing: Vec<_> = (0..6)
        .map(|n| {
            let (client, org) = if n % 2 == 0 { (&admin, "mock_org") } else { (&other, "globex") };
            let (client, path) = (client.clone(), format!("/api/v1/unstract/{org}/platform/keys/"));
            tokio::spawn(async move {
                for _ in 0..4 {
                    let made = client.post(&path, json!({})).await;
                    if let Some(id) = made.body["id"].as_str() {
                        client.put(&path, json!({"id": id})).await;
                        client.delete(&format!("{path}{id}/")).await;
                    }
                }
            })
        })
        .collect();
    for racer in racing {
        racer.await.unwrap();
    }
    let report = verify(&app.app, None).await;
    assert!(report.is_whole() && report.events > 20, "{report:?}");
}

/// Events from before there was a chain are carried into it at the first start, once.
#[tokio::test]
async fn a_database_from_before_is_carried_in() {
    let dir = tempfile::tempdir().unwrap();
    let url = testing::fresh(dir.path()).await;
    let old = testing::connect(&url).await;
    old.migrate().await.unwrap();
    let insert =
        "INSERT INTO audit_events (id, org_id, at, action, actor_kind, actor_id, actor_name,
                    subject_kind, subject_id, detail, request_id, ip)
                  VALUES ($1, NULL, 1, 'authn_login_success', 'user', '1', 'ada', 'user', '1', '{}',
                    '', '')";
    for n in 0..1_203 {
        sql(&old, insert, args![format!("{n:05}")]).await;
    }
    old.close().await;
    let settings =
        Settings { data: Some(dir.path().to_owned()), database: Some(url), ..Settings::default() };
    let config = settings.check().unwrap();
    let open = async || {
        let sandbox = Sandbox::new(Limits::default()).unwrap();
        bootstrap::open(config.clone(), sandbox).await.unwrap()
    };
    let report = async |app: &App| {
        let (operator, pepper) = (System::operator(), app.pepper().clone());
        app.read(async |tx| {
            verify::verify(tx, &operator, std::slice::from_ref(&pepper), None).await
        })
        .await
        .unwrap()
    };
    let app = open().await;
    let found = report(&app).await;
    assert!(found.is_whole() && found.events == 1_203, "{found:?}");
    sql(app.db(), insert, args!["slipped in"]).await;
    app.db().close().await;
    let app = open().await;
    let found = report(&app).await;
    assert!(!found.is_whole() && found.events == 1_203, "not a second time: {found:?}");
    app.db().close().await;
}
