//! Starting, refusing to start, and ending.

use std::{fs, os::unix::fs::PermissionsExt as _, time::Duration};

use anyhow::Result;
use keydock_e2e::{Credentials, File, ORG, Server, Setup, TOTALS, program, total};
use rustix::process::Signal;

#[tokio::test]
async fn the_first_start_leaves_credentials_for_its_owner_only() -> Result<()> {
    let mut server = Server::fresh().await?;
    let file = server.data().join("first-credentials.txt");
    assert_eq!(fs::metadata(&file)?.permissions().mode() & 0o777, 0o600);
    let pepper = server.data().join("secrets/pepper");
    assert_eq!(fs::metadata(pepper)?.permissions().mode() & 0o777, 0o600);
    let credentials = server.credentials().clone();
    assert!(credentials.password.len() >= 12);
    assert!(server.platform()?.is_verified().await?);
    server.admin().await?;

    // The second start makes nothing new, and what was made goes on working.
    fs::remove_file(&file)?;
    assert!(server.terminate().await?.success());
    server.start().await?;
    assert!(!file.exists());
    assert!(server.platform()?.is_verified().await?);
    assert_eq!(server.admin().await?.platform_keys(ORG).await?.len(), 1);
    Ok(())
}

#[tokio::test]
async fn a_script_names_the_first_administrator() -> Result<()> {
    let password = "chosen by a script";
    let setup = Setup::default()
        .env("KEYDOCK_ADMIN_USER", "operator")
        .env("KEYDOCK_ADMIN_PASSWORD", password);
    let server = setup.start().await?;
    let admin = server.nobody()?.sign_in("operator", password).await?.enter(ORG).await?;
    assert_eq!(admin.platform_keys(ORG).await?.len(), 1);
    assert!(server.nobody()?.sign_in("admin", password).await.is_err());
    let text = fs::read_to_string(server.data().join("first-credentials.txt"))?;
    assert!(!text.contains(password), "what the operator knows need not be written down");
    assert!(!server.log().contains(password));
    Ok(())
}

#[tokio::test]
async fn an_orderly_end_answers_what_is_under_way() -> Result<()> {
    let mut server = Server::fresh().await?;
    let caller = server.key(&server.publish("totals", TOTALS).await?)?;
    let files: Vec<File> = (0..32).map(|n| File::text(&format!("{n}.txt"), total(n))).collect();
    let under_way =
        tokio::spawn(
            async move { caller.submit(ORG, "totals", &files, &[("timeout", "60")]).await },
        );
    // Until it was accepted.
    while !server.platform()?.get("/metrics").await?.text.contains("keydock_jobs") {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    tokio::time::sleep(Duration::from_millis(150)).await;
    server.signal(Signal::TERM)?;
    let status = server.wait_until_ended().await?;
    assert_eq!(status.code(), Some(0), "{}", server.log());
    let answer = under_way.await??;
    assert_eq!(answer.status, 200, "{}", answer.text);
    let status = answer.text_at("/message/execution_status")?;
    assert!(["COMPLETED", "PENDING", "EXECUTING"].contains(&status.as_str()), "{}", answer.text);
    assert!(server.nobody()?.get("/health").await.is_err(), "nobody listens any more");
    Ok(())
}

#[tokio::test]
async fn an_interrupt_is_an_orderly_end_too() -> Result<()> {
    let mut server = Server::fresh().await?;
    server.signal(Signal::INT)?;
    assert_eq!(server.wait_until_ended().await?.code(), Some(0));
    Ok(())
}

/// Starts a server that must not start. Gives what it said.
async fn refusal(server: &mut Server) -> Result<String> {
    let before = server.log().len();
    server.spawn()?;
    let status = server.wait_until_ended().await?;
    let said = server.log()[before..].to_owned();
    assert!(status.code().is_some_and(|code| code != 0), "{status}: {said}");
    Ok(said)
}

#[tokio::test]
async fn another_pepper_is_refused() -> Result<()> {
    let mut server = Server::fresh().await?;
    assert!(server.terminate().await?.success());
    let pepper = server.data().join("secrets/pepper");
    let right = fs::read_to_string(&pepper)?;

    fs::write(&pepper, format!("{}\n", "ab".repeat(32)))?;
    let said = refusal(&mut server).await?;
    assert!(said.contains("pepper") && said.contains("restore"), "{said}");
    fs::write(&pepper, "short\n")?;
    assert!(refusal(&mut server).await?.contains("64 hexadecimal digits"));
    fs::remove_file(&pepper)?;
    assert!(refusal(&mut server).await?.contains("pepper"));
    assert!(!pepper.exists(), "none is made for a database that has keys");

    fs::write(&pepper, right)?;
    server.start().await?;
    assert!(server.platform()?.is_verified().await?);
    Ok(())
}

#[tokio::test]
async fn a_port_in_use_is_refused_and_nothing_is_made() -> Result<()> {
    let mut server = Setup::default().prepare().await?;
    let _taken = std::net::TcpListener::bind(server.address())?;
    let said = refusal(&mut server).await?;
    assert!(said.contains(&server.address().to_string()), "{said}");
    assert!(!server.data().join("first-credentials.txt").exists());
    assert!(!server.data().join("secrets").exists());
    Ok(())
}

#[tokio::test]
async fn settings_that_cannot_be_used_are_named() -> Result<()> {
    /// Arguments, environment, what must be named.
    type Case = (&'static [&'static str], &'static [(&'static str, &'static str)], &'static str);
    const CASES: [Case; 7] = [
        (&["--listen", "8080"], &[], "listen"),
        (&["--database", "mysql://here/there"], &[], "database"),
        (&["--public-url", "example.com"], &[], "public_url"),
        (&["--config", "no-such-file.toml"], &[], "no-such-file.toml"),
        (&[], &[("KEYDOCK_ADMIN_USER", "root")], "admin_password"),
        (&[], &[("KEYDOCK_ORG_EXECUTIONS", "many")], "KEYDOCK_ORG_EXECUTIONS"),
        (&[], &[("KEYDOCK_SECRET_FORM", "short")], "secret_form"),
    ];
    let folder = tempfile::tempdir()?;
    let data = folder.path().join("data").display().to_string();
    for (arguments, environment, named) in CASES {
        let arguments: Vec<&str> =
            ["serve", "--data", &data].into_iter().chain(arguments.iter().copied()).collect();
        let ended = program::run(&arguments, environment)?;
        assert_eq!(ended.code, Some(2), "{named}: {}", ended.stderr);
        assert!(ended.stderr.contains(named), "{named}: {}", ended.stderr);
    }
    assert!(!folder.path().join("data").exists(), "nothing is made before the settings are good");
    Ok(())
}

#[tokio::test]
async fn a_file_of_credentials_is_read_as_it_is_written() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("first-credentials.txt");
    fs::write(
        &path,
        "# x\nORGANIZATION=mock_org\nADMIN_USER=a\nADMIN_PASSWORD=b\nPLATFORM_KEY=c\n",
    )?;
    let Credentials { user, password, platform_key } = Credentials::read(&path)?;
    assert_eq!([user, password, platform_key], ["a", "b", "c"]);
    Ok(())
}
