//! The commands, against a running server, with their exit codes.

use std::{fs, os::unix::fs::PermissionsExt as _};

use anyhow::{Context as _, Result};
use keydock_e2e::{ORG, Server, TOTALS, program, program::Ended};
use serde_json::Value;

/// The shell of somebody with keys in the environment.
struct Shell {
    url: String,
    platform_key: String,
    deployment_key: String,
    folder: tempfile::TempDir,
}

impl Shell {
    fn new(server: &Server) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        fs::write(folder.path().join("totals.yaml"), TOTALS)?;
        fs::write(folder.path().join("a.txt"), "Total: 12\n")?;
        fs::write(folder.path().join("broken.pdf"), "%PDF-1.7\nthis is not one")?;
        Ok(Self {
            url: server.url(),
            platform_key: server.credentials().platform_key.clone(),
            deployment_key: String::new(),
            folder,
        })
    }

    fn file(&self, name: &str) -> String {
        self.folder.path().join(name).display().to_string()
    }

    async fn run(&self, arguments: &[&str]) -> Result<Ended> {
        let owned: Vec<String> = arguments.iter().map(|text| (*text).to_owned()).collect();
        let environment = [
            ("KEYDOCK_URL", self.url.clone()),
            ("KEYDOCK_KEY", self.platform_key.clone()),
            ("KEYDOCK_DEPLOYMENT_KEY", self.deployment_key.clone()),
        ];
        tokio::task::spawn_blocking(move || {
            let arguments: Vec<&str> = owned.iter().map(String::as_str).collect();
            let set = environment.iter().filter(|(_, value)| !value.is_empty());
            let set: Vec<(&str, &str)> = set.map(|(name, value)| (*name, value.as_str())).collect();
            program::run(&arguments, &set)
        })
        .await?
    }

    /// Runs a command that must succeed, and reads what it prints.
    async fn json(&self, arguments: &[&str]) -> Result<Value> {
        let arguments: Vec<&str> = arguments.iter().copied().chain(["--json"]).collect();
        let ended = self.run(&arguments).await?;
        assert_eq!(ended.code, Some(0), "{arguments:?}: {}", ended.stderr);
        serde_json::from_str(&ended.stdout).with_context(|| ended.stdout)
    }
}

fn text(value: &Value, name: &str) -> Result<String> {
    Ok(value[name].as_str().with_context(|| format!("no {name} in {value}"))?.to_owned())
}

#[tokio::test]
async fn from_publishing_to_a_result() -> Result<()> {
    let server = Server::fresh().await?;
    let mut shell = Shell::new(&server)?;
    let me = shell.json(&["whoami"]).await?;
    assert_eq!(me["organization_id"], ORG);
    assert_eq!(me["permission"], "full_access");

    let definition = shell.file("totals.yaml");
    let publish = ["deployments", "publish", "totals", "--definition", &definition];
    let published = shell.json(&publish).await?;
    let first_key = text(&published, "api_key")?;
    let again = shell.json(&publish).await?;
    assert_eq!(again["api_name"], "totals");
    assert!(again["api_key"].is_null(), "a deployment that exists keeps its keys");
    let list = shell.json(&["deployments", "list"]).await?;
    assert_eq!(list.as_array().map(Vec::len), Some(1));

    let created = shell
        .json(&["keys", "create", "--deployment", "totals", "--description", "a script"])
        .await?;
    let (id, second_key) = (text(&created, "id")?, text(&created, "api_key")?);
    assert_ne!(first_key, second_key);
    let listed = shell.json(&["keys", "list", "--deployment", "totals"]).await?;
    assert_eq!(listed.as_array().map(Vec::len), Some(2));
    assert!(!listed.to_string().contains(&second_key), "shown once");

    let document = shell.file("a.txt");
    let run = ["run", &document, "--deployment", "totals"];
    shell.deployment_key = second_key.clone();
    let result = shell.json(&run).await?;
    assert_eq!(result["items"].get(0).unwrap_or(&result[0])["result"]["output"]["total"], 12);
    let table = shell.run(&run).await?;
    assert_eq!(table.code, Some(0));
    assert!(table.stdout.contains("total") && table.stdout.contains("12"), "{}", table.stdout);

    let rotated = text(&shell.json(&["keys", "rotate", &id]).await?, "api_key")?;
    assert_eq!(shell.run(&run).await?.code, Some(3), "the old secret");
    shell.deployment_key = rotated;
    assert_eq!(shell.run(&run).await?.code, Some(0), "the new one");
    shell.json(&["keys", "disable", &id]).await?;
    assert_eq!(shell.run(&run).await?.code, Some(3));
    shell.json(&["keys", "enable", &id]).await?;
    assert_eq!(shell.run(&run).await?.code, Some(0));
    shell.json(&["keys", "delete", &id]).await?;
    assert_eq!(shell.run(&run).await?.code, Some(3));

    shell.deployment_key = first_key;
    let broken = shell.file("broken.pdf");
    let failed = shell.run(&["run", &broken, "--deployment", "totals"]).await?;
    assert_eq!(failed.code, Some(6), "{}", failed.stderr);
    shell.json(&["deployments", "disable", "totals"]).await?;
    assert_eq!(shell.run(&run).await?.code, Some(4), "switched off");
    shell.json(&["deployments", "delete", "totals"]).await?;
    assert_eq!(shell.run(&run).await?.code, Some(3), "the key went with it");
    Ok(())
}

#[tokio::test]
async fn failures_have_their_codes() -> Result<()> {
    let server = Server::fresh().await?;
    let mut shell = Shell::new(&server)?;
    let unknown = shell.run(&["keys", "list", "--deployment", "nothing"]).await?;
    assert_eq!(unknown.code, Some(4), "{}", unknown.stderr);
    assert_eq!(shell.run(&["no-such-command"]).await?.code, Some(2));
    let missing = shell.run(&["deployments", "publish", "x", "--definition", "/no/such"]).await?;
    assert_eq!(missing.code, Some(2), "{}", missing.stderr);

    shell.platform_key = "0198c3f2-a7c8-4b0e-8f1d-2c3b4a596877".to_owned();
    assert_eq!(shell.run(&["whoami"]).await?.code, Some(3));
    shell.platform_key.clear();
    assert_eq!(shell.run(&["whoami"]).await?.code, Some(3));
    shell.platform_key = "0198c3f2-a7c8-4b0e-8f1d-2c3b4a596877".to_owned();
    shell.url = "http://127.0.0.1:1".to_owned();
    assert_eq!(shell.run(&["whoami"]).await?.code, Some(5));
    Ok(())
}

#[tokio::test]
async fn the_operator_looks_after_a_server() -> Result<()> {
    let mut server = Server::fresh().await?;
    assert!(server.terminate().await?.success());
    let data = server.data().display().to_string();
    let url = server.database().url().to_owned();
    let settings = ["--data", data.as_str(), "--database", url.as_str()];
    let with = |command: &[&'static str]| -> Vec<String> {
        command.iter().chain(&settings).map(ToString::to_string).collect()
    };
    let run = |arguments: Vec<String>| {
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        program::run(&arguments, &[])
    };

    let doctor = run(with(&["doctor"]))?;
    assert_eq!(doctor.code, Some(0), "{}{}", doctor.stdout, doctor.stderr);
    assert!(doctor.stdout.contains("the confined child works"), "{}", doctor.stdout);
    let migrated = run(with(&["migrate", "--dry-run"]))?;
    assert_eq!(migrated.code, Some(0), "{}", migrated.stderr);
    assert!(migrated.stdout.contains("up to date"), "{}", migrated.stdout);
    let migrated = run(with(&["migrate", "--json"]))?;
    assert_eq!(serde_json::from_str::<Value>(&migrated.stdout)?["applied"], serde_json::json!([]));

    // An open folder is worth mending.
    fs::set_permissions(server.data(), fs::Permissions::from_mode(0o755))?;
    let doctor = run(with(&["doctor"]))?;
    assert_eq!(doctor.code, Some(1), "{}", doctor.stdout);
    assert!(doctor.stdout.contains("chmod 700"), "{}", doctor.stdout);

    // Another pepper would make every key unknown.
    let pepper = server.data().join("secrets/pepper");
    fs::write(&pepper, "0".repeat(64))?;
    let doctor = run(with(&["doctor"]))?;
    assert!(doctor.stdout.contains("is not the one that this database was made with"));
    fs::remove_file(&pepper)?;
    let doctor = run(with(&["doctor"]))?;
    assert!(doctor.stdout.contains("is not the one that this database was made with"));
    assert!(!pepper.exists(), "nothing is made by looking");
    Ok(())
}

#[tokio::test]
async fn a_database_is_made_beforehand() -> Result<()> {
    let mut server = keydock_e2e::Setup::default().prepare().await?;
    let data = server.data().display().to_string();
    let url = server.database().url().to_owned();
    let migrate = ["migrate", "--data", &data, "--database", &url, "--json"];
    let dry: Vec<&str> = migrate.iter().copied().chain(["--dry-run"]).collect();
    let pending: Value = serde_json::from_str(&program::run(&dry, &[])?.stdout)?;
    let pending = pending["pending"].as_array().context("a list")?.len();
    assert!(pending > 0);
    if url.starts_with("sqlite:") {
        assert!(!server.data().join("keydock.db").exists(), "nothing is made by looking");
    }
    let applied: Value = serde_json::from_str(&program::run(&migrate, &[])?.stdout)?;
    assert_eq!(applied["applied"].as_array().map(Vec::len), Some(pending));
    server.start().await?;
    assert!(server.platform()?.is_verified().await?);
    Ok(())
}
