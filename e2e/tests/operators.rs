//! What operators do on the database of a server: the audit log verified, a backup made and restored.

use std::{fs, path::Path};

use anyhow::{Context as _, Result};
use keydock_e2e::{
    ORG, Server, Setup, TOTALS,
    client::{key_path, keys_path},
    program::{self, Ended},
};
use serde_json::{Value, json};

const UNKNOWN_EXECUTION: &str =
    "/deployment/api/mock_org/totals/?execution_id=00000000-0000-4000-8000-000000000000";

/// Runs a command on the database of this server.
fn run(server: &Server, arguments: &[&str]) -> Result<Ended> {
    let data = server.data().display().to_string();
    let settings = ["--data", data.as_str(), "--database", server.database().url()];
    let arguments: Vec<&str> = arguments.iter().copied().chain(settings).collect();
    program::run(&arguments, &[])
}

fn show(path: &Path) -> String {
    path.display().to_string()
}

#[tokio::test]
async fn the_audit_log_is_verified_while_the_server_runs() -> Result<()> {
    let server = Server::fresh().await?;
    let admin = server.admin().await?;
    for _ in 0..3 {
        let id = admin.post(&keys_path(ORG), json!({})).await?.expect(201)?.text_at("/id")?;
        admin.delete(&key_path(ORG, &id)).await?.expect(204)?;
    }
    let folder = tempfile::tempdir()?;
    let checkpoint = folder.path().join("checkpoint.json");
    let printed = run(&server, &["audit", "checkpoint"])?;
    assert_eq!(printed.code, Some(0), "{}", printed.stderr);
    fs::write(&checkpoint, &printed.stdout)?;
    admin.post(&keys_path(ORG), json!({})).await?.expect(201)?;
    let verified = run(&server, &["audit", "verify", "--checkpoint", &show(&checkpoint)])?;
    assert_eq!(verified.code, Some(0), "{}{}", verified.stdout, verified.stderr);
    assert!(verified.stdout.contains("compared with the checkpoint"), "{}", verified.stdout);
    let report = run(&server, &["audit", "verify", "--json"])?;
    let report: Value = serde_json::from_str(&report.stdout)?;
    assert_eq!((&report["whole"], &report["seals_checked"]), (&json!(true), &json!(true)));

    let mut later: Value = serde_json::from_str(&printed.stdout)?;
    later["sequence"] = json!(1_000);
    fs::write(&checkpoint, later.to_string())?;
    let cut_off = run(&server, &["audit", "verify", "--checkpoint", &show(&checkpoint)])?;
    assert_eq!(cut_off.code, Some(1), "{}", cut_off.stdout);
    assert!(cut_off.stderr.contains("are missing"), "{}", cut_off.stderr);

    let exported = run(&server, &["audit", "export"])?;
    assert_eq!(exported.code, Some(0), "{}", exported.stderr);
    let file = folder.path().join("events.jsonl");
    fs::write(&file, &exported.stdout)?;
    let verify = |partial: bool| {
        let (file, mut arguments) = (show(&file), vec!["audit", "verify", "--file"]);
        arguments.push(&file);
        arguments.extend(partial.then_some("--partial"));
        program::run(&arguments, &[])
    };
    assert_eq!(verify(false)?.code, Some(0));
    let lines: Vec<&str> = exported.stdout.lines().collect();
    fs::write(&file, [&lines[..2], &lines[3..]].concat().join("\n"))?;
    let broken = verify(false)?;
    assert_eq!(broken.code, Some(1));
    assert!(broken.stderr.contains("event 3: it is missing"), "{}", broken.stderr);
    assert_eq!(verify(true)?.code, Some(0), "in a part numbers may be missing");
    fs::write(&file, exported.stdout.replacen("127.0.0.1", "127.0.0.2", 1))?;
    assert_eq!(verify(true)?.code, Some(1));

    let some = run(&server, &["audit", "export", "--org", ORG, "--format", "csv"])?;
    assert!(some.stdout.lines().count() > 3 && some.stdout.starts_with("\"sequence\""));
    assert_eq!(run(&server, &["audit", "export", "--org", "nobody"])?.code, Some(4));
    let none = run(&server, &["audit", "export", "--since", "2999-01-01"])?;
    assert_eq!((none.code, none.stdout.as_str()), (Some(0), ""));
    assert_eq!(run(&server, &["audit", "export", "--since", "soon"])?.code, Some(2));
    Ok(())
}

/// Proves DUR-04 from outside: the server is killed, its data lost, and its backup restored.
#[tokio::test]
async fn a_disaster_revives_no_key() -> Result<()> {
    let mut server = Server::fresh().await?;
    let admin = server.admin().await?;
    let deployment_key = server.publish("totals", TOTALS).await?;
    let first = server.credentials().platform_key.clone();
    let folder = tempfile::tempdir()?;
    let backup = folder.path().join("backup.tar");
    let made = run(&server, &["backup", "--to", &show(&backup)])?;
    assert_eq!(made.code, Some(0), "{}", made.stderr);
    let id = admin.platform_keys(ORG).await?[0]["id"].as_str().context("an id")?.to_owned();
    let second = admin.put(&keys_path(ORG), json!({"id": id})).await?.expect(201)?;
    let second = second.text_at("/key")?;
    assert!(!server.key(&first)?.is_verified().await?);
    server.kill()?;

    for with_journal in [true, false] {
        let mut restored = Setup::default().prepare().await?;
        fs::create_dir(restored.data().join("secrets"))?;
        let pepper = Path::new("secrets/pepper");
        let arguments = ["restore", "--from", &show(&backup)].map(str::to_owned).to_vec();
        let journal = show(&server.data().join("revocations.journal"));
        let journal = ["--journal".to_owned(), journal];
        let arguments: Vec<String> =
            arguments.into_iter().chain(journal.into_iter().filter(|_| with_journal)).collect();
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let refused = run(&restored, &arguments)?;
        assert_eq!(refused.code, Some(1), "without the pepper: {}", refused.stdout);
        fs::copy(server.data().join(pepper), restored.data().join(pepper))?;
        let ended = run(&restored, &arguments)?;
        assert_eq!(ended.code, Some(0), "{}", ended.stderr);
        restored.spawn()?;
        restored.wait_until_ready().await?;
        for revoked in [&first, &second] {
            assert!(!restored.key(revoked)?.is_verified().await?, "{}", ended.stdout);
        }
        let called = restored.key(&deployment_key)?.get(UNKNOWN_EXECUTION).await?;
        assert_eq!(called.status == 404, with_journal, "{}", ended.stdout);
        let doctor = run(&restored, &["doctor"])?;
        assert_eq!(doctor.stdout.contains("switched every key off"), !with_journal);
        assert_eq!(run(&restored, &["audit", "verify"])?.code, Some(0));
    }
    Ok(())
}
