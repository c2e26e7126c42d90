//! The process under load: a bare axum handler on one port and the whole of keydock on another, on
//! one thread of one processor.

use std::{
    io::{BufRead as _, stdin},
    net::Ipv4Addr,
    path::PathBuf,
    thread,
    time::{Duration, Instant},
};

use anyhow::Result;
use axum::{Router, http::header, routing::get};
use clap::Args;
use keydock_server::{App, jobs, memory, telemetry, web};
use serde::{Deserialize, Serialize};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::{keys, machine};

/// The route that is measured: something tiny behind a platform key.
pub(crate) const ROUTE: &str = "/api/v1/unstract/whoami/";

#[derive(Debug, Args)]
pub(crate) struct Serve {
    data: PathBuf,
    cpu: usize,
}

/// What the process says once it listens.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Ready {
    /// The port of the bare handler.
    pub(crate) bare: u16,
    /// The port of keydock.
    pub(crate) keydock: u16,
    /// How many secrets it knows.
    pub(crate) keys: usize,
    /// How long it took to read them.
    pub(crate) read_in: Duration,
}

/// What it has consumed so far.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct Consumed {
    /// Processor time.
    pub(crate) cpu: Duration,
    /// Memory that no file is behind, in kilobytes.
    pub(crate) anonymous: u64,
}

impl Consumed {
    fn so_far() -> Result<Self> {
        Ok(Self { cpu: machine::cpu_time(), anonymous: machine::memory("self", "RssAnon")? })
    }
}

/// What `whoami` answers to the key of this organization, to the byte.
pub(crate) fn body(org: &str) -> String {
    format!(
        r#"{{"organization_id":"{org}","organization_name":"{org}","permission":"full_access","key_name":"Key #1"}}"#
    )
}

impl Serve {
    pub(crate) fn run(self) -> Result<()> {
        machine::stay_on(self.cpu)?;
        // As `keydock serve` does it.
        memory::start_small();
        telemetry::start_logging("info", false)?;
        machine::runtime()?.block_on(self.serve())
    }

    async fn serve(self) -> Result<()> {
        let app = keys::open(&self.data).await?;
        let began = Instant::now();
        app.keyring().catch_up(app.db()).await?;
        let read_in = began.elapsed();
        let bare = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let keydock = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let ready = Ready {
            bare: bare.local_addr()?.port(),
            keydock: keydock.local_addr()?.port(),
            keys: app.keyring().len(),
            read_in,
        };
        println!("{}", serde_json::to_string(&ready)?);
        answer_questions();
        tokio::spawn(jobs::start(app.clone(), CancellationToken::new()));
        tokio::spawn(serve_keydock(app, keydock));
        Ok(axum::serve(bare, bare_routes()).await?)
    }
}

fn bare_routes() -> Router {
    let body: &'static str = body(&keys::org_name(0)).leak();
    Router::new()
        .route(ROUTE, get(async move || ([(header::CONTENT_TYPE, "application/json")], body)))
}

async fn serve_keydock(app: App, listener: TcpListener) {
    let service = web::edge(&app, app.router());
    web::serve::serve(listener, service, std::future::pending()).await;
}

/// Tells what was consumed whenever a line comes; ends the process with the benchmark.
fn answer_questions() {
    thread::spawn(|| {
        for _question in stdin().lock().lines().map_while(Result::ok) {
            let consumed = Consumed::so_far().map(|consumed| serde_json::to_string(&consumed));
            if let Ok(Ok(text)) = consumed {
                println!("{text}");
            }
        }
        std::process::exit(0);
    });
}
