//! Platform keys from outside: races, and what a change does to those who use a key.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use anyhow::{Context as _, Result};
use futures_util::future::try_join_all;
use keydock_e2e::{
    Client, ORG, Server, TOTALS,
    client::{key_path, keys_path},
};
use serde_json::{Value, json};

/// An answer lists no more than two keys, and no more than one that works.
fn assert_sound(keys: &[Value]) {
    let active = keys.iter().filter(|key| key["is_active"] == true).count();
    assert!(keys.len() <= 2 && active <= 1, "{keys:?}");
}

async fn first_key(admin: &Client, org: &str) -> Result<String> {
    let keys = admin.platform_keys(org).await?;
    let id = keys.first().and_then(|key| key["id"].as_str());
    Ok(id.context("the organization has no key")?.to_owned())
}

#[tokio::test]
async fn a_key_of_another_organization_cannot_be_changed() -> Result<()> {
    let server = Server::fresh().await?;
    let (other_admin, other_key) = server.found("other_org").await?;
    let theirs = first_key(&other_admin, "other_org").await?;
    let admin = server.admin().await?;

    let refreshed = admin.put(&keys_path(ORG), json!({"id": theirs, "key_name": "Key #1"})).await?;
    assert_eq!((refreshed.status, &refreshed.body["code"]), (404, &json!("not_found")));
    for action in ["ACTIVATE", "DEACTIVATE"] {
        let toggled = admin.put(&key_path(ORG, &theirs), json!({"action": action})).await?;
        assert_eq!(toggled.status, 404, "{}", toggled.text);
    }
    assert_eq!(admin.delete(&key_path(ORG, &theirs)).await?.status, 404);
    assert_eq!(admin.get(&key_path(ORG, &theirs)).await?.status, 404);

    assert!(server.key(&other_key)?.is_verified().await?);
    Ok(())
}

/// Proves KEY-04.
#[tokio::test]
async fn fifty_at_once_generate_two_keys() -> Result<()> {
    let server = Server::fresh().await?;
    let admin = server.admin().await?;
    let first = first_key(&admin, ORG).await?;
    admin.delete(&key_path(ORG, &first)).await?.expect(204)?;

    let path = keys_path(ORG);
    let all = (0..50).map(|n| admin.post(&path, json!({"is_active": n % 2 == 0})));
    let mut statuses: Vec<u16> = try_join_all(all).await?.iter().map(|a| a.status).collect();
    statuses.sort_unstable();
    assert_eq!(statuses[..2], [201, 201]);
    assert!(statuses[2..].iter().all(|status| *status == 403), "{statuses:?}");

    let keys = admin.platform_keys(ORG).await?;
    assert_eq!(keys.len(), 2);
    assert_sound(&keys);
    let mut names: Vec<_> = keys.iter().map(|key| key["key_name"].as_str()).collect();
    names.sort_unstable();
    assert_eq!(names, [Some("Key #1"), Some("Key #2")]);
    Ok(())
}

/// Proves KEY-04.
#[tokio::test]
async fn two_hundred_toggles_never_leave_two_active() -> Result<()> {
    let server = Server::fresh().await?;
    let admin = server.admin().await?;
    let first = first_key(&admin, ORG).await?;
    let second = admin.post(&keys_path(ORG), json!({})).await?.expect(201)?.text_at("/id")?;

    let over = Arc::new(AtomicBool::new(false));
    let watcher = {
        let (admin, over) = (admin.clone(), Arc::clone(&over));
        tokio::spawn(async move {
            let mut looks = 0;
            while !over.load(Ordering::Relaxed) {
                assert_sound(&admin.platform_keys(ORG).await?);
                looks += 1;
            }
            Ok::<_, anyhow::Error>(looks)
        })
    };
    let toggles = (0..200).map(|n| {
        let id = if rand::random() { &first } else { &second };
        let action = if n % 4 == 0 { "DEACTIVATE" } else { "ACTIVATE" };
        let (admin, path) = (admin.clone(), key_path(ORG, id));
        async move { admin.put(&path, json!({"action": action})).await }
    });
    for answer in try_join_all(toggles).await? {
        assert!(matches!(answer.status, 201 | 409), "{} {}", answer.status, answer.text);
    }
    over.store(true, Ordering::Relaxed);
    assert!(watcher.await?? > 0);
    assert_sound(&admin.platform_keys(ORG).await?);
    Ok(())
}

/// Proves VER-05 for one node.
#[tokio::test]
async fn a_key_that_was_switched_off_is_refused_at_once() -> Result<()> {
    let server = Server::fresh().await?;
    let admin = server.admin().await?;
    let id = first_key(&admin, ORG).await?;
    let platform = server.platform()?;

    let off = Arc::new(AtomicBool::new(false));
    let used = Arc::new(AtomicUsize::new(0));
    let hammering = (0..32).map(|_| {
        let (platform, off, used) = (platform.clone(), Arc::clone(&off), Arc::clone(&used));
        tokio::spawn(async move {
            loop {
                let sent_after = off.load(Ordering::SeqCst);
                let works = platform.is_verified().await?;
                assert!(!(sent_after && works), "accepted after it was switched off");
                used.fetch_add(1, Ordering::Relaxed);
                if !works {
                    return Ok::<_, anyhow::Error>(());
                }
            }
        })
    });
    let hammering: Vec<_> = hammering.collect();
    while used.load(Ordering::Relaxed) < 200 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    admin.put(&key_path(ORG, &id), json!({"action": "DEACTIVATE"})).await?.expect(201)?;
    off.store(true, Ordering::SeqCst);
    assert!(!platform.is_verified().await?);
    for client in hammering {
        client.await??;
    }

    admin.put(&key_path(ORG, &id), json!({"action": "ACTIVATE"})).await?.expect(201)?;
    assert!(platform.is_verified().await?);
    Ok(())
}

#[tokio::test]
async fn a_refresh_ends_the_old_secret_unless_it_may_overlap() -> Result<()> {
    let server = Server::fresh().await?;
    let admin = server.admin().await?;
    let id = first_key(&admin, ORG).await?;
    let first = server.platform()?;

    let body = json!({"id": id});
    let second = admin.put(&keys_path(ORG), body).await?.expect(201)?.text_at("/key")?;
    assert!(!first.is_verified().await?);
    assert!(server.key(&second)?.is_verified().await?);

    let body = json!({"id": id, "grace_seconds": 2});
    let third = admin.put(&keys_path(ORG), body).await?.expect(201)?.text_at("/key")?;
    assert!(server.key(&second)?.is_verified().await?);
    assert!(server.key(&third)?.is_verified().await?);
    tokio::time::sleep(Duration::from_millis(2_100)).await;
    assert!(!server.key(&second)?.is_verified().await?);
    assert!(server.key(&third)?.is_verified().await?);
    Ok(())
}

/// Proves KEY-06 for deployments.
#[tokio::test]
async fn the_keys_of_a_deployment_die_with_it() -> Result<()> {
    let server = Server::fresh().await?;
    let key = server.publish("totals", TOTALS).await?;
    let caller = server.key(&key)?;
    let nothing = "0198c3f2-a7c8-7b0e-8f1d-2c3b4a596877";
    assert_eq!(caller.poll(ORG, "totals", nothing).await?.status, 404);

    let platform = server.platform()?;
    let path = format!("/api/v1/unstract/{ORG}/api/deployment/");
    let id = platform.get(&path).await?.expect(200)?.text_at("/results/0/id")?;
    platform.delete(&format!("{path}{id}/")).await?.expect(204)?;
    assert_eq!(caller.poll(ORG, "totals", nothing).await?.status, 401);
    Ok(())
}
