//! Logs and metrics: structured, bounded, and without a secret in them.

use std::time::Duration;

use axum::http::StatusCode;
use prometheus::{
    Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts,
    Registry, TextEncoder, core::Collector,
};

use crate::{
    config::{InvalidSetting, invalid},
    web::edge::Surface,
};

/// Writes logs to standard error, as JSON or for people. `filter` is in the syntax of `RUST_LOG`.
pub fn start_logging(filter: &str, json: bool) -> Result<(), InvalidSetting> {
    let filter = tracing_subscriber::EnvFilter::try_new(filter)
        .map_err(|error| invalid("log", format!("{error}; write, for example, info")))?;
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    // A second call, as in tests, changes nothing.
    let _already_started = if json { log.json().try_init() } else { log.try_init() };
    Ok(())
}

const SURFACES: [&str; 7] =
    ["platform", "deployment", "sdk", "tokens", "gateway", "operations", "console"];
const CLASSES: [&str; 5] = ["1xx", "2xx", "3xx", "4xx", "5xx"];

/// Upper bounds of the buckets of answer times, in seconds.
const BOUNDS: [f64; 9] = [0.0005, 0.001, 0.0025, 0.01, 0.05, 0.25, 1.0, 10.0, 300.0];

/// What is counted. Every series is made at the start, so their number never grows, and the hot path
/// only adds to numbers.
#[derive(Debug)]
pub struct Metrics {
    answers: [[IntCounter; CLASSES.len()]; SURFACES.len()],
    times: [Histogram; SURFACES.len()],
    /// Secrets in the key map of this node.
    pub keys: IntGauge,
    /// Jobs that wait, are being done, or died.
    pub jobs: JobGauges,
    /// Files that were read, by whether that succeeded.
    pub documents: Documents,
    registry: Registry,
}

/// The queue, in numbers.
#[derive(Debug)]
pub struct JobGauges {
    /// Due or to be tried again.
    pub waiting: IntGauge,
    /// Being done.
    pub leased: IntGauge,
    /// Given up.
    pub dead: IntGauge,
}

/// The files that were read.
#[derive(Debug)]
pub struct Documents {
    /// With values.
    pub succeeded: IntCounter,
    /// Without.
    pub failed: IntCounter,
}

impl Metrics {
    /// Nothing counted yet.
    pub fn new() -> Self {
        Self::build().expect("the names of the series are right")
    }

    fn build() -> prometheus::Result<Self> {
        let registry = Registry::new();
        let opts = Opts::new(
            "keydock_answers_total",
            "Answers by part of the product and class of status.",
        );
        let answers = kept(&registry, IntCounterVec::new(opts, &["surface", "class"])?)?;
        let opts = HistogramOpts::new("keydock_answer_seconds", "Time from request to answer.");
        let times = HistogramVec::new(opts.buckets(BOUNDS.to_vec()), &["surface"])?;
        let times = kept(&registry, times)?;
        let opts = Opts::new("keydock_jobs", "Jobs in the queue, by state.");
        let jobs = kept(&registry, IntGaugeVec::new(opts, &["state"])?)?;
        let opts = Opts::new("keydock_documents_total", "Documents read, by result.");
        let documents = kept(&registry, IntCounterVec::new(opts, &["result"])?)?;
        let keys = IntGauge::new("keydock_keys", "Secrets in the key map of this node.")?;
        Ok(Self {
            answers: SURFACES
                .map(|surface| CLASSES.map(|class| answers.with_label_values(&[surface, class]))),
            times: SURFACES.map(|surface| times.with_label_values(&[surface])),
            keys: kept(&registry, keys)?,
            jobs: JobGauges {
                waiting: jobs.with_label_values(&["waiting"]),
                leased: jobs.with_label_values(&["leased"]),
                dead: jobs.with_label_values(&["dead"]),
            },
            documents: Documents {
                succeeded: documents.with_label_values(&["success"]),
                failed: documents.with_label_values(&["failure"]),
            },
            registry,
        })
    }

    /// Counts an answer.
    pub fn count(&self, surface: Surface, status: StatusCode, took: Duration) {
        let class = usize::from(status.as_u16() / 100).clamp(1, CLASSES.len()) - 1;
        self.answers[surface as usize][class].inc();
        self.times[surface as usize].observe(took.as_secs_f64());
    }

    /// Everything, in the text format of Prometheus.
    pub fn render(&self) -> String {
        TextEncoder::new().encode_to_string(&self.registry.gather()).unwrap_or_default()
    }
}

/// Registers what is to be shown.
fn kept<C: Collector + Clone + 'static>(registry: &Registry, shown: C) -> prometheus::Result<C> {
    registry.register(Box::new(shown.clone()))?;
    Ok(shown)
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}
