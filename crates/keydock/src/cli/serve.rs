//! `keydock serve`

use clap::Args;
use keydock_engine::sandbox::{Limits, Sandbox};
use keydock_server::{App, bootstrap, jobs, memory, telemetry, web};
use tokio::{
    net::TcpListener,
    signal::unix::{SignalKind, signal},
};
use tokio_util::sync::CancellationToken;

use super::{Ended, Failure, Result, settings::ServerSettings};

/// Run the server
///
/// Prints nothing but logs, to standard error. Ends with code 0 after SIGTERM or SIGINT, once the
/// requests under way have been answered.
#[derive(Debug, Args)]
pub(super) struct Serve {
    #[command(flatten)]
    settings: ServerSettings,
    /// Which logs to write, in the syntax of RUST_LOG
    #[arg(
        long,
        value_name = "FILTER",
        env = "KEYDOCK_LOG",
        hide_env_values = true,
        default_value = "info"
    )]
    log: String,
    /// Write logs as JSON
    #[arg(long, env = "KEYDOCK_LOG_JSON", hide_env_values = true)]
    log_json: bool,
}

impl Serve {
    pub(super) async fn run(self) -> Result<()> {
        memory::start_small();
        telemetry::start_logging(&self.log, self.log_json)?;
        let config = self.settings.check()?;
        let sandbox = sandbox(&config)?;
        // Bound before anything is made, so that a port in use changes nothing.
        let listener = TcpListener::bind(config.listen).await.map_err(|error| {
            Ended::new(Failure::Usage, format!("cannot listen on {}: {error}", config.listen))
        })?;
        let app = bootstrap::open(config, sandbox).await?;
        if let Some(first) = bootstrap::first_start(&app).await? {
            let path = first.credentials.display();
            tracing::warn!(%path, "first start: the administrator's credentials and Key #1 are in this file, once");
        }
        serve(app, listener).await
    }
}

fn sandbox(config: &keydock_server::config::Config) -> Result<Sandbox> {
    let limits = Limits { parallel: config.workers.get(), ..Limits::default() };
    Ok(Sandbox::new(limits)?)
}

async fn serve(app: App, listener: TcpListener) -> Result<()> {
    app.keyring().catch_up(app.db()).await.map_err(|error| Ended::new(Failure::Other, error))?;
    let stop = CancellationToken::new();
    let work = jobs::start(app.clone(), stop.clone());
    let service = web::edge(&app, app.router());
    if !listener.local_addr()?.ip().is_loopback() && !app.config().is_secure() {
        tracing::warn!("keys and passwords travel in clear: put TLS in front and set public_url");
    }
    tracing::info!(address = %listener.local_addr()?, keys = app.keyring().len(), "ready");
    web::serve::serve(listener, service, ended()?).await;
    stop.cancel();
    work.await;
    app.db().close().await;
    tracing::info!("ended");
    Ok(())
}

/// Done when somebody asks the program to end.
fn ended() -> Result<impl Future<Output = ()>> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        tracing::info!("ending: no new connections, requests under way are answered");
    })
}
