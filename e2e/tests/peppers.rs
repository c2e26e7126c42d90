//! The pepper is replaced by command while clients go on, and the server is killed in the middle.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};
use keydock_e2e::{
    ORG, Server, TOTALS,
    program::{self, Ended},
};
use serde_json::{Value, json};
use tokio::time::sleep;

const CALL: &str =
    "/deployment/api/mock_org/totals/?execution_id=00000000-0000-4000-8000-000000000000";

fn run(server: &Server, arguments: &[&str]) -> Result<Ended> {
    let data = server.data().display().to_string();
    let settings = ["--data", data.as_str(), "--database", server.database().url()];
    let arguments: Vec<&str> = arguments.iter().copied().chain(settings).collect();
    program::run(&arguments, &[])
}

fn status(server: &Server) -> Result<Value> {
    let told = run(server, &["pepper", "status", "--json"])?;
    ensure!(told.code == Some(0), "{}", told.stderr);
    Ok(serde_json::from_str(&told.stdout)?)
}

/// How many keys that work need the pepper that was replaced.
fn left(server: &Server) -> Result<i64> {
    let told = status(server)?;
    let all = told["peppers"].as_array().context("peppers")?;
    let previous = all.iter().filter(|one| one["state"] == "previous");
    let rows = previous.flat_map(|one| one["stored"].as_array().cloned().unwrap_or_default());
    let keys = rows.filter(|row| row["kind"] != "session");
    Ok(keys.filter_map(|row| row["active"].as_i64()).sum())
}

/// Proves KEY-07 from outside: no valid key is refused while the pepper is replaced and the server is
/// killed and started again.
#[tokio::test(flavor = "multi_thread")]
async fn no_key_is_refused_while_the_pepper_is_replaced() -> Result<()> {
    let mut server = Server::fresh().await?;
    let mut keys = vec![server.publish("totals", TOTALS).await?];
    let platform = server.credentials().platform_key.clone();
    let workflow = server.platform()?;
    let deployments = workflow.get(&format!("/api/v1/unstract/{ORG}/api/deployment/")).await?;
    let deployment =
        deployments.text_at("/results/0/id").or_else(|_| deployments.text_at("/0/id"))?;
    let admin = server.admin().await?;
    for n in 0..10 {
        let path = format!("/api/v1/unstract/{ORG}/api/keys/api/{deployment}/");
        let made = admin.post(&path, json!({"description": format!("key {n}")}));
        keys.push(made.await?.expect(201)?.text_at("/api_key")?);
    }
    let (stop, asked) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let mut clients = Vec::new();
    for key in &keys {
        let client = server.key(key)?;
        let (stop, asked) = (Arc::clone(&stop), Arc::clone(&asked));
        clients.push(tokio::spawn(async move {
            let mut refused = 0;
            while !stop.load(Ordering::Relaxed) {
                match client.get(CALL).await {
                    Ok(answer) if answer.status == 404 => {
                        asked.fetch_add(1, Ordering::Relaxed);
                    }
                    // A server that is just starting has not read its keys, and says so.
                    Ok(answer) if answer.status == 503 => {}
                    Ok(_) => refused += 1,
                    // It was killed.
                    Err(_) => sleep(Duration::from_millis(20)).await,
                }
            }
            refused
        }));
    }
    let rotated = run(&server, &["pepper", "rotate"])?;
    assert_eq!(rotated.code, Some(0), "{}", rotated.stderr);
    server.kill()?;
    server.start().await?;
    // The platform key was not used since.
    while left(&server)? > 1 {
        sleep(Duration::from_millis(100)).await;
    }
    stop.store(true, Ordering::Relaxed);
    for client in clients {
        assert_eq!(client.await?, 0, "valid keys were refused");
    }
    assert!(asked.load(Ordering::Relaxed) > 100);
    let refused = run(&server, &["pepper", "retire"])?;
    assert_eq!(refused.code, Some(1), "{}", refused.stdout);
    assert!(refused.stderr.contains("Key #1") && refused.stderr.contains("--revoke-unmoved"));
    assert!(server.key(&platform)?.is_verified().await?);
    while left(&server)? > 0 {
        sleep(Duration::from_millis(100)).await;
    }
    let retired = run(&server, &["pepper", "retire"])?;
    assert_eq!(retired.code, Some(0), "{}", retired.stderr);
    let file = std::fs::read_to_string(server.data().join("secrets/pepper"))?;
    assert_eq!(file.lines().count(), 1);
    server.terminate().await?;
    server.start().await?;
    for key in &keys {
        assert_eq!(server.key(key)?.get(CALL).await?.status, 404);
    }
    assert_eq!(run(&server, &["audit", "verify"])?.code, Some(0));
    assert!(server.platform()?.is_verified().await?);
    Ok(())
}
