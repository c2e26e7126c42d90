//! The application: its state and its routes.

use std::{sync::Arc, time::Duration};

use axum::Router;
use keydock_core::secret::Pepper;
use keydock_engine::sandbox::Sandbox;
use keydock_storage::{
    blobs::Blobs,
    db::{Db, Tx},
};
use utoipa_axum::router::OpenApiRouter;

use crate::{
    Error, Result,
    access::{
        changes,
        journal::Journal,
        keyring::Keyring,
        passwords::Passwords,
        peppers::Peppers,
        secrets::Minting,
        throttle::{Guesses, SignIns},
    },
    audit_log::{self, Refusals},
    canaries::Sightings,
    ci_trusts,
    config::Config,
    console, deployment_keys,
    deployments::{
        self,
        directory::{self, Directory},
    },
    executions::{self, Completions},
    forward_auth, jobs, leaked_keys, members, org_deployment_keys, organizations,
    outbound::Outbound,
    platform_api_keys, platform_keys, platform_tokens, refusals, sdk, sessions,
    telemetry::Metrics,
    tokens, users, web, webhooks, workflows,
};

/// What every handler can reach.
#[derive(Clone, Debug)]
pub struct App(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    config: Config,
    db: Db,
    blobs: Blobs,
    peppers: Peppers,
    keyring: Keyring,
    journal: Journal,
    passwords: Passwords,
    guesses: Guesses,
    sign_ins: SignIns,
    refusals: refusals::Waiting,
    canaries: Sightings,
    refused_acts: Refusals,
    sandbox: Sandbox,
    completions: Completions,
    deployment_names: Directory,
    outbound: Outbound,
    issuers: ci_trusts::Issuers,
    work: tokio::sync::Notify,
    metrics: Arc<Metrics>,
}

/// What an application stands on.
#[derive(Debug)]
pub struct Parts {
    /// The settings.
    pub config: Config,
    /// The database, migrated.
    pub db: Db,
    /// The store of documents.
    pub blobs: Blobs,
    /// The server's keys for digests.
    pub peppers: Peppers,
    /// Where documents are read.
    pub sandbox: Sandbox,
}

impl App {
    /// An application on these parts.
    pub fn new(parts: Parts) -> Self {
        let Parts { config, db, blobs, peppers, sandbox } = parts;
        let at_once = std::thread::available_parallelism().map_or(1, |n| (n.get() / 2).max(1));
        let journal = Journal::at(config.revocation_journal.clone(), peppers.identity());
        Self(Arc::new(Inner {
            guesses: Guesses::new(config.guesses, Duration::from_mins(1)),
            sign_ins: SignIns::new(),
            refusals: refusals::Waiting::default(),
            canaries: Sightings::default(),
            outbound: Outbound::new(&config.outbound_allow),
            issuers: ci_trusts::Issuers::default(),
            refused_acts: audit_log::refusals(),
            config,
            db,
            blobs,
            peppers,
            keyring: Keyring::default(),
            journal,
            passwords: Passwords::new(at_once),
            sandbox,
            completions: Completions::default(),
            deployment_names: Directory::default(),
            work: tokio::sync::Notify::new(),
            metrics: Arc::new(Metrics::new()),
        }))
    }

    /// The settings.
    pub fn config(&self) -> &Config {
        &self.0.config
    }

    /// The database.
    pub fn db(&self) -> &Db {
        &self.0.db
    }

    /// The store of documents.
    pub fn blobs(&self) -> &Blobs {
        &self.0.blobs
    }

    /// The server's key for digests, as long as no other one is current.
    pub fn pepper(&self) -> &Pepper {
        self.0.peppers.current()
    }

    /// All of them.
    pub fn peppers(&self) -> &Peppers {
        &self.0.peppers
    }

    /// How secrets are made and stored here.
    pub fn minting(&self) -> Minting<'_> {
        Minting { pepper: self.pepper(), form: self.config().secret_form }
    }

    /// The keys that this node knows.
    pub fn keyring(&self) -> &Keyring {
        &self.0.keyring
    }

    /// What a restored database would have forgotten of revocations.
    pub fn journal(&self) -> &Journal {
        &self.0.journal
    }

    /// Hashes and checks passwords.
    pub fn passwords(&self) -> &Passwords {
        &self.0.passwords
    }

    /// Counts unknown keys by address.
    pub fn guesses(&self) -> &Guesses {
        &self.0.guesses
    }

    /// Counts sign-ins that failed.
    pub fn sign_ins(&self) -> &SignIns {
        &self.0.sign_ins
    }

    /// Requests that were refused and are not written down yet.
    pub fn refusals(&self) -> &refusals::Waiting {
        &self.0.refusals
    }

    /// Canaries that were presented and have not raised an alarm for it yet.
    pub fn canaries(&self) -> &Sightings {
        &self.0.canaries
    }

    /// Counts refused acts of administration that are written down.
    pub fn refused_acts(&self) -> &Refusals {
        &self.0.refused_acts
    }

    /// Where documents are read.
    pub fn sandbox(&self) -> &Sandbox {
        &self.0.sandbox
    }

    /// Who waits for which run.
    pub fn completions(&self) -> &Completions {
        &self.0.completions
    }

    /// The deployments that gateways ask for.
    pub fn deployment_names(&self) -> &Directory {
        &self.0.deployment_names
    }

    /// Calls addresses that users name.
    pub fn outbound(&self) -> &Outbound {
        &self.0.outbound
    }

    /// The keys of issuers of tokens that organizations trust.
    pub fn issuers(&self) -> &ci_trusts::Issuers {
        &self.0.issuers
    }

    /// Wakes the workers.
    pub fn work(&self) -> &tokio::sync::Notify {
        &self.0.work
    }

    /// What is counted.
    pub fn metrics(&self) -> &Arc<Metrics> {
        &self.0.metrics
    }

    /// Runs `work` in one transaction, and lets its effects on this node take place before
    /// returning: a key that was revoked no longer works, and workers know of new work.
    pub async fn write<T>(&self, work: impl AsyncFnOnce(&mut Tx) -> Result<T>) -> Result<T> {
        let committed = self
            .db()
            .write(async |tx| {
                let value = work(tx).await?;
                // What is told to others is written before the rows that all transactions lock.
                webhooks::write_down(tx).await?;
                if changes::write_down(tx).await? > 0 && self.journal().is_behind() {
                    return Err(journal_is_behind());
                }
                audit_log::write_down(tx, self.peppers()).await?;
                Ok::<_, Error>(value)
            })
            .await
            .inspect_err(stop_if_not_durable)?;
        if committed.topics.contains(jobs::TOPIC) {
            self.work().notify_waiters();
        }
        if committed.topics.contains(directory::TOPIC) {
            self.deployment_names().forget();
        }
        if committed.topics.contains(changes::TOPIC)
            && let Err(error) = self.journal().catch_up(self.db()).await
        {
            // What was done is done. It is tried again every half second, and until it succeeds no
            // key is changed any more.
            let error = &error as &dyn std::error::Error;
            tracing::error!(error, "the journal of revocations cannot be written");
        }
        if committed.topics.contains(changes::TOPIC)
            && let Err(error) = self.keyring().catch_up(self.db()).await
        {
            // What was done is done, and the answer may hold the only copy of a secret. What this
            // node knows of keys is now too old: it refuses all of them until it has read them.
            self.keyring().distrust();
            let error = &error as &dyn std::error::Error;
            tracing::error!(error, "keys were changed and cannot be read again yet");
        }
        Ok(committed.value)
    }

    /// Runs `work` for reading.
    pub async fn read<T>(&self, work: impl AsyncFnOnce(&mut Tx) -> Result<T>) -> Result<T> {
        self.db().read(work).await
    }

    /// The routes of the product and their description; tests call the same as the server does.
    pub fn routes() -> OpenApiRouter<Self> {
        OpenApiRouter::new()
            .merge(sessions::api::routes())
            .merge(organizations::api::routes())
            .merge(users::api::routes())
            .merge(members::api::routes())
            .merge(platform_keys::api::routes())
            .merge(platform_api_keys::api::routes())
            .merge(workflows::api::routes())
            .merge(deployments::api::routes())
            .merge(deployment_keys::api::routes())
            .merge(org_deployment_keys::api::routes())
            .merge(executions::api::routes())
            .merge(refusals::api::routes())
            .merge(leaked_keys::api::routes())
            .merge(webhooks::api::routes())
            .merge(platform_tokens::api::routes())
            .merge(ci_trusts::api::routes())
            .merge(audit_log::api::routes())
            .merge(sdk::api::routes())
            .merge(tokens::api::routes())
            .merge(forward_auth::api::routes())
            .merge(web::health::routes())
    }

    /// The whole HTTP surface, without the frame around it.
    pub fn router(&self) -> Router {
        let (routes, description) = Self::routes().split_for_parts();
        routes
            .merge(web::docs::routes(description))
            .merge(console::routes())
            .fallback(async || Error::NotFound { what: "Object" })
            .method_not_allowed_fallback(web::method_not_allowed)
            .with_state(self.clone())
    }
}

fn journal_is_behind() -> Error {
    Error::Unavailable {
        detail: "The journal of revocations cannot be written, so no key was changed. Try again \
                 shortly.",
        retry_after: Duration::from_secs(2),
        source: None,
    }
}

/// Ends the process when the disk did not confirm a write: nobody may be told that something is
/// stored, or is not, when that is in doubt (DUR-02). The next start finds out.
fn stop_if_not_durable(error: &Error) {
    if error.is_not_durable() {
        tracing::error!("the disk did not confirm a write; stopping at once");
        std::process::abort();
    }
}
