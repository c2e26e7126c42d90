//! `keydock pepper`

use std::time::Duration;

use clap::{Args, Subcommand};
use keydock_core::secret::Pepper as Key;
use keydock_server::{
    access::System,
    bootstrap,
    config::Config,
    peppers::{self, PepperError, Seen, Stored, Unmoved},
};
use keydock_storage::db::Db;
use serde_json::{Value, json};

use super::{Ended, Failure, Output, Result, open_existing, output, settings::ServerSettings};

/// How many of those that need an old pepper are listed.
const LISTED: i64 = 50;

/// Replace the pepper, the key of all digests, while the server runs
///
/// First `rotate`: from then on new digests are made with a new pepper, and every key that is used
/// moves to it. `status` says what has not moved. When nothing is left, or nobody needs what is left,
/// `retire` the old pepper. Each pepper is a line of the pepper file.
#[derive(Debug, Args)]
pub(super) struct Pepper {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Add a new pepper to the file, without using it yet
    ///
    /// With several servers: add it on one of them, bring the file to the others, then `rotate`.
    Add(Add),
    /// Make a new pepper the current one, on all servers at once
    ///
    /// Uses the pepper that was added to the file, or adds one. Changes nothing unless every server that
    /// runs has it.
    Rotate(Rotate),
    /// Tell how many secrets are stored under which pepper
    Status(Status),
    /// End the need for the peppers that were replaced, and take them out of the file
    ///
    /// Refuses as long as something that works needs one of them.
    Retire(Retire),
}

#[derive(Debug, Args)]
struct Add {
    #[command(flatten)]
    settings: ServerSettings,
}

#[derive(Debug, Args)]
struct Rotate {
    #[command(flatten)]
    settings: ServerSettings,
    /// How many seconds to wait until the servers that run have read the file
    #[arg(long, value_name = "SECONDS", default_value_t = 40)]
    wait: u64,
}

#[derive(Debug, Args)]
struct Status {
    #[command(flatten)]
    settings: ServerSettings,
    /// Count those apart that were used in the last so many days
    #[arg(long, value_name = "DAYS", default_value_t = 30)]
    days: u64,
}

#[derive(Debug, Args)]
struct Retire {
    #[command(flatten)]
    settings: ServerSettings,
    /// Switch off what still needs an old pepper, after listing it
    #[arg(long)]
    revoke_unmoved: bool,
}

impl Pepper {
    pub(super) async fn run(self, output: &Output) -> Result<()> {
        match self.command {
            Command::Add(add) => add.run(output).await,
            Command::Rotate(rotate) => rotate.run(output).await,
            Command::Status(status) => status.run(output).await,
            Command::Retire(retire) => retire.run(output).await,
        }
    }
}

/// The settings, the database, and the peppers of the file, which fit it.
async fn open(settings: ServerSettings) -> Result<(Config, Db, Vec<Key>)> {
    let config = settings.check()?;
    let db = open_existing(&config).await?;
    if !bootstrap::check_pepper(&config, Some(&db)).await? {
        let words = "there is no pepper yet: start the server once";
        return Err(Ended::new(Failure::Usage, words));
    }
    let file = bootstrap::peppers_in(&config.pepper_file)?;
    Ok((config, db, file))
}

impl Add {
    async fn run(self, output: &Output) -> Result<()> {
        let (config, db, file) = open(self.settings).await?;
        let next = peppers::next(&db, &file).await.map_err(PepperError::from)?;
        let is_there = next.map(Key::id);
        let id = match is_there {
            Some(id) => id,
            None => bootstrap::add_pepper(&config.pepper_file)?.id(),
        };
        db.close().await;
        let words = if is_there.is_some() { "waits already" } else { "is added" };
        output.value(&json!({"id": id.to_string(), "added": is_there.is_none()}), || {
            format!(
                "pepper {id} {words} in {}: bring the file to every server, then run `keydock pepper rotate`",
                config.pepper_file.display()
            )
        });
        Ok(())
    }
}

impl Rotate {
    async fn run(self, output: &Output) -> Result<()> {
        let (config, db, file) = open(self.settings).await?;
        let next = peppers::next(&db, &file).await.map_err(PepperError::from)?.map(Key::id);
        let id = match next {
            Some(id) => id,
            None => bootstrap::add_pepper(&config.pepper_file)?.id(),
        };
        peppers::wait_until_known(&db, id, Duration::from_secs(self.wait)).await?;
        let file = bootstrap::peppers_in(&config.pepper_file)?;
        peppers::make_current(&db, &System::operator(), &file, id).await?;
        db.close().await;
        output.value(&json!({"current": id.to_string()}), || {
            format!(
                "pepper {id} is the current one. Back up {} now, apart from the database. Keys move to it \
                 as they are used: see `keydock pepper status`",
                config.pepper_file.display()
            )
        });
        Ok(())
    }
}

impl Status {
    async fn run(self, output: &Output) -> Result<()> {
        let (_, db, file) = open(self.settings).await?;
        let operator = System::operator();
        let found = db
            .read(async |tx| {
                let since = tx.now().before(Duration::from_secs(self.days.saturating_mul(86_400)));
                let seen = peppers::list(tx, &operator, &file).await?;
                Ok::<_, keydock_server::Error>((seen, peppers::stored(tx, &operator, since).await?))
            })
            .await;
        db.close().await;
        let (seen, stored) = found.map_err(PepperError::from)?;
        let values: Vec<Value> = seen.iter().map(|one| peppers::told(one, &stored)).collect();
        output.value(&json!({"peppers": values, "days": self.days}), || {
            seen.iter().map(|one| words(one, &stored, self.days)).collect::<Vec<_>>().join("\n")
        });
        Ok(())
    }
}

fn words(seen: &Seen, stored: &[Stored], days: u64) -> String {
    let mut lines = vec![format!("{} {}", seen.id, seen.state)];
    if let Some(since) = seen.since {
        lines[0] += ", current since ";
        lines[0] += &since.to_string();
    }
    if !seen.in_file && seen.state != "retired" {
        lines[0].push_str(", NOT IN THE FILE");
    }
    for row in stored.iter().filter(|row| row.pepper.starts_with(&seen.id)) {
        let form = if row.pepper.ends_with("/sha256") { ", imported as SHA-256" } else { "" };
        let (kind, secrets, active, used) = (&row.kind, row.secrets, row.active, row.used);
        lines.push(format!(
            "  {kind}{form}: {secrets}, {active} of them active, {used} used in {days} days"
        ));
    }
    lines.join("\n")
}

impl Retire {
    async fn run(self, output: &Output) -> Result<()> {
        let (config, db, file) = open(self.settings).await?;
        let operator = System::operator();
        let seen = db.read(async |tx| peppers::list(tx, &operator, &file).await).await;
        let seen = seen.map_err(PepperError::from)?;
        let old: Vec<&Seen> = seen.iter().filter(|one| one.state == "previous").collect();
        let set = bootstrap::peppers_for(&config, &db).await?;
        let (mut sessions, mut ended) = (0, 0);
        for one in &old {
            let unmoved =
                db.read(async |tx| peppers::unmoved(tx, &operator, &one.id, LISTED).await);
            for unmoved in unmoved.await.map_err(PepperError::from)? {
                output::note(&line(&unmoved));
            }
            if self.revoke_unmoved {
                loop {
                    match peppers::revoke_some(&db, &operator, &set, &one.id).await? {
                        0 => break,
                        some => ended += some,
                    }
                }
            }
            sessions += peppers::retire(&db, &operator, &set, &one.id, self.revoke_unmoved).await?;
            if let Some(key) = file.iter().find(|key| key.id().to_string() == one.id) {
                bootstrap::remove_pepper(&config.pepper_file, key.id())?;
            }
        }
        db.close().await;
        let ids: Vec<&str> = old.iter().map(|one| one.id.as_str()).collect();
        let value = json!({"retired": ids, "revoked": ended, "sessions_ended": sessions});
        output.value(&value, || {
            if ids.is_empty() {
                return "no pepper was replaced, so none is to be retired".to_owned();
            }
            format!(
                "retired: {}. {ended} thing(s) that needed them are switched off, {sessions} \
                 sign-in(s) ended",
                ids.join(", ")
            )
        });
        Ok(())
    }
}

fn line(unmoved: &Unmoved) -> String {
    let Unmoved { org_name, kind, id, called, last_four, last_used_at, .. } = unmoved;
    let used = last_used_at.map_or("never used".to_owned(), |at| format!("last used {at}"));
    format!("{org_name}  {kind}  {id}  {called}  …{last_four}  {used}")
}
