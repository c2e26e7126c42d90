//! Logs and metrics: structured, bounded, and without a secret in them.

use std::time::Duration;

use axum::http::StatusCode;
use metrics::{Counter, Gauge, Histogram, Key, KeyName, Label, Metadata, Recorder as _, Unit};
use metrics_exporter_prometheus::{
    Matcher, PrometheusBuilder, PrometheusHandle, PrometheusRecorder,
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

const SURFACES: [&str; 4] = ["platform", "deployment", "operations", "console"];
const CLASSES: [&str; 5] = ["1xx", "2xx", "3xx", "4xx", "5xx"];

/// Upper bounds of the buckets of answer times, in seconds.
const BOUNDS: [f64; 9] = [0.0005, 0.001, 0.0025, 0.01, 0.05, 0.25, 1.0, 10.0, 300.0];

/// What is counted. Every series is made at the start, so their number never grows, and the hot path
/// only adds to numbers.
pub struct Metrics {
    answers: [[Counter; CLASSES.len()]; SURFACES.len()],
    times: [Histogram; SURFACES.len()],
    /// Secrets in the key map of this node.
    pub keys: Gauge,
    /// Jobs that wait, are being done, or died.
    pub jobs: JobGauges,
    /// Files that were read, by whether that succeeded.
    pub documents: Documents,
    handle: PrometheusHandle,
}

/// The queue, in numbers.
#[expect(missing_debug_implementations, reason = "handles have nothing to show")]
pub struct JobGauges {
    /// Due or to be tried again.
    pub waiting: Gauge,
    /// Being done.
    pub leased: Gauge,
    /// Given up.
    pub dead: Gauge,
}

/// The files that were read.
#[expect(missing_debug_implementations, reason = "handles have nothing to show")]
pub struct Documents {
    /// With values.
    pub succeeded: Counter,
    /// Without.
    pub failed: Counter,
}

impl Metrics {
    /// Nothing counted yet.
    pub fn new() -> Self {
        let recorder = PrometheusBuilder::new()
            .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), &BOUNDS)
            .expect("the bounds are not empty")
            .build_recorder();
        describe(&recorder);
        Self {
            answers: SURFACES.map(|surface| {
                CLASSES.map(|class| {
                    counter(
                        &recorder,
                        "keydock_answers_total",
                        &[("surface", surface), ("class", class)],
                    )
                })
            }),
            times: SURFACES.map(|surface| {
                let key = key("keydock_answer_seconds", &[("surface", surface)]);
                recorder.register_histogram(&key, &METADATA)
            }),
            keys: gauge(&recorder, "keydock_keys", &[]),
            jobs: JobGauges {
                waiting: gauge(&recorder, "keydock_jobs", &[("state", "waiting")]),
                leased: gauge(&recorder, "keydock_jobs", &[("state", "leased")]),
                dead: gauge(&recorder, "keydock_jobs", &[("state", "dead")]),
            },
            documents: Documents {
                succeeded: counter(&recorder, "keydock_documents_total", &[("result", "success")]),
                failed: counter(&recorder, "keydock_documents_total", &[("result", "failure")]),
            },
            handle: recorder.handle(),
        }
    }

    /// Counts an answer.
    pub fn count(&self, surface: Surface, status: StatusCode, took: Duration) {
        let class = usize::from(status.as_u16() / 100).clamp(1, CLASSES.len()) - 1;
        self.answers[surface as usize][class].increment(1);
        self.times[surface as usize].record(took.as_secs_f64());
    }

    /// Everything, in the text format of Prometheus.
    pub fn render(&self) -> String {
        self.handle.render()
    }

    /// Sums up what was recorded, so that it does not pile up while nobody asks.
    pub fn tidy(&self) {
        self.handle.run_upkeep();
    }
}

impl std::fmt::Debug for Metrics {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Metrics")
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

const METADATA: Metadata<'_> =
    Metadata::new("keydock", metrics::Level::INFO, Some("keydock_server::telemetry"));

fn describe(recorder: &PrometheusRecorder) {
    let texts = [
        ("keydock_answers_total", "Answers by part of the product and class of status."),
        ("keydock_documents_total", "Documents read, by result."),
    ];
    for (name, text) in texts {
        recorder.describe_counter(KeyName::from_const_str(name), Some(Unit::Count), text.into());
    }
    let texts = [
        ("keydock_keys", "Secrets in the key map of this node."),
        ("keydock_jobs", "Jobs in the queue, by state."),
    ];
    for (name, text) in texts {
        recorder.describe_gauge(KeyName::from_const_str(name), Some(Unit::Count), text.into());
    }
    let name = KeyName::from_const_str("keydock_answer_seconds");
    recorder.describe_histogram(name, Some(Unit::Seconds), "Time from request to answer.".into());
}

fn key(name: &'static str, labels: &[(&'static str, &'static str)]) -> Key {
    let labels: Vec<Label> =
        labels.iter().map(|(key, value)| Label::from_static_parts(key, value)).collect();
    Key::from_parts(name, labels)
}

fn counter(
    recorder: &PrometheusRecorder,
    name: &'static str,
    labels: &[(&'static str, &'static str)],
) -> Counter {
    recorder.register_counter(&key(name, labels), &METADATA)
}

fn gauge(
    recorder: &PrometheusRecorder,
    name: &'static str,
    labels: &[(&'static str, &'static str)],
) -> Gauge {
    recorder.register_gauge(&key(name, labels), &METADATA)
}
