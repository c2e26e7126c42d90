//! The process that sends requests: a minimal HTTP/1.1 client, light enough that the server is what
//! is measured. Every answer is checked, to its last byte.

use std::{
    io::{BufRead as _, stdin},
    net::Ipv4Addr,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicU8, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail, ensure};
use clap::Args;
use serde::{Deserialize, Serialize};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use crate::{
    keys::{self, SECRET},
    machine,
    server::body,
};

#[derive(Debug, Args)]
pub(crate) struct Load {
    data: PathBuf,
    cpu: usize,
}

/// What to send.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Case {
    /// Keys that work, to a handler that does not look at them.
    Bare,
    /// Keys that work, each for its own organization.
    Verified,
    /// Keys that nobody has.
    Unknown,
    /// Keys that work, as a gateway asks about those of its clients.
    ForwardAuth,
    /// Keys that work and ask about themselves (RFC 7662).
    Introspect,
}

impl Case {
    /// What it is called.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Bare => "bare axum handler",
            Self::Verified => "keydock, verified",
            Self::Unknown => "keydock, unknown key",
            Self::ForwardAuth => "keydock, forward-auth",
            Self::Introspect => "keydock, introspect",
        }
    }

    /// The first line of a request.
    const fn line(self) -> &'static str {
        match self {
            Self::Bare | Self::Verified | Self::Unknown => "GET /api/v1/unstract/whoami/ HTTP/1.1",
            Self::ForwardAuth => "GET /forward-auth?kind=platform HTTP/1.1",
            Self::Introspect => "POST /introspect HTTP/1.1",
        }
    }
}

/// A round.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct Round {
    pub(crate) port: u16,
    pub(crate) case: Case,
    pub(crate) seconds: f64,
    pub(crate) connections: usize,
}

/// What was measured in a round.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct Measured {
    /// Requests answered.
    pub(crate) requests: u64,
    /// How long it took.
    pub(crate) wall: Duration,
    /// Processor time of this process meanwhile.
    pub(crate) cpu: Duration,
    /// The latency that half of the requests stayed below.
    pub(crate) p50: Duration,
    /// The latency that all but one in a hundred stayed below.
    pub(crate) p99: Duration,
}

/// Said when measuring begins, so that the other side looks at its clock as well.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Began;

/// How long connections run before anything is counted.
const WARM_UP: Duration = Duration::from_millis(200);

impl Load {
    pub(crate) fn run(self) -> Result<()> {
        machine::stay_on(self.cpu)?;
        let secrets: Arc<[_]> = keys::secrets(&self.data)?.into();
        let runtime = machine::runtime()?;
        for line in stdin().lock().lines() {
            let round: Round = serde_json::from_str(&line?)?;
            let measured = runtime.block_on(measure(round, &secrets))?;
            println!("{}", serde_json::to_string(&measured)?);
        }
        Ok(())
    }
}

const WARMING_UP: u8 = 0;
const MEASURING: u8 = 1;
const OVER: u8 = 2;

async fn measure(round: Round, secrets: &Arc<[[u8; SECRET]]>) -> Result<Measured> {
    let phase = Arc::new(AtomicU8::new(WARMING_UP));
    let mut connections = Vec::new();
    for number in 1..=round.connections {
        let connection = Connection::open(round, number, secrets).await?;
        connections.push(tokio::spawn(connection.send_until_over(Arc::clone(&phase))));
    }
    tokio::time::sleep(WARM_UP).await;
    println!("{}", serde_json::to_string(&Began)?);
    let (began, cpu) = (Instant::now(), machine::cpu_time());
    phase.store(MEASURING, Ordering::Relaxed);
    tokio::time::sleep(Duration::from_secs_f64(round.seconds)).await;
    phase.store(OVER, Ordering::Relaxed);
    let (wall, cpu) = (began.elapsed(), machine::cpu_time().saturating_sub(cpu));
    let mut all = Latencies::default();
    for connection in connections {
        all.add(&connection.await??);
    }
    let (p50, p99) = (all.below(0.5), all.below(0.99));
    Ok(Measured { requests: all.count(), wall, cpu, p50, p99 })
}

struct Connection {
    stream: TcpStream,
    case: Case,
    random: Random,
    secrets: Arc<[[u8; SECRET]]>,
    request: Vec<u8>,
    expected: Vec<u8>,
    answer: Vec<u8>,
}

const BEFORE_SECRET: &str = "authorization: Bearer ";

/// What a body of [`Case::Introspect`] begins with.
const TOKEN: &str = "token=";

impl Connection {
    async fn open(round: Round, number: usize, secrets: &Arc<[[u8; SECRET]]>) -> Result<Self> {
        let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, round.port)).await?;
        stream.set_nodelay(true)?;
        let blank = "0".repeat(SECRET);
        let (head, form) = match round.case {
            Case::Introspect => (
                format!(
                    "content-type: application/x-www-form-urlencoded\r\ncontent-length: {}\r\n",
                    TOKEN.len() + SECRET
                ),
                format!("{TOKEN}{blank}"),
            ),
            _ => Default::default(),
        };
        let request = format!(
            "{}\r\nhost: 127.0.0.1:{}\r\n{BEFORE_SECRET}{blank}\r\naccept: application/json\r\n\
             user-agent: keydock-bench\r\n{head}\r\n{form}",
            round.case.line(),
            round.port
        );
        Ok(Self {
            stream,
            case: round.case,
            random: Random(0x9e37_79b9_7f4a_7c15 ^ number as u64),
            secrets: Arc::clone(secrets),
            request: request.into_bytes(),
            expected: body(&keys::org_name(0)).into_bytes(),
            answer: vec![0; 4096],
        })
    }

    async fn send_until_over(mut self, phase: Arc<AtomicU8>) -> Result<Latencies> {
        let place =
            find(&self.request, BEFORE_SECRET.as_bytes()).context("no place for a secret")?;
        let place = place + BEFORE_SECRET.len();
        let mut latencies = Latencies::default();
        loop {
            let org = self.choose(place);
            let began = Instant::now();
            self.stream.write_all(&self.request).await?;
            let len = self.receive().await?;
            let took = began.elapsed();
            self.check(org, len)?;
            match phase.load(Ordering::Relaxed) {
                MEASURING => latencies.note(took),
                OVER => return Ok(latencies),
                _ => {}
            }
        }
    }

    /// Writes one of the secrets into the request.
    fn choose(&mut self, place: usize) -> usize {
        let secret = &mut self.request[place..place + SECRET];
        if self.case == Case::Unknown {
            for digit in secret.iter_mut().filter(|byte| **byte != b'-') {
                *digit = b"0123456789abcdef"[self.random.below(16)];
            }
            for hyphen in [8, 13, 18, 23] {
                secret[hyphen] = b'-';
            }
            return 0;
        }
        let org = self.random.below(self.secrets.len());
        secret.copy_from_slice(&self.secrets[org]);
        if self.case == Case::Introspect {
            let end = self.request.len();
            self.request[end - SECRET..].copy_from_slice(&self.secrets[org]);
        }
        org
    }

    /// Reads one answer.
    async fn receive(&mut self) -> Result<usize> {
        let mut len = 0;
        loop {
            let read = self.stream.read(&mut self.answer[len..]).await?;
            ensure!(read > 0, "the server closed the connection");
            len += read;
            if whole(&self.answer[..len])? {
                return Ok(len);
            }
        }
    }

    fn check(&mut self, org: usize, len: usize) -> Result<()> {
        let answer = &self.answer[..len];
        let good = match self.case {
            Case::Unknown => {
                answer.starts_with(b"HTTP/1.1 401 ")
                    && find(answer, b"Invalid or inactive API key").is_some()
            }
            Case::ForwardAuth => {
                let name = format!("\r\nx-keydock-organization: {}\r\n", keys::org_name(org));
                answer.starts_with(b"HTTP/1.1 200 ") && find(answer, name.as_bytes()).is_some()
            }
            Case::Introspect => {
                let name = format!("\"{}\"", keys::org_name(org));
                answer.starts_with(b"HTTP/1.1 200 ")
                    && find(answer, br#"{"active":true,"#).is_some()
                    && find(answer, name.as_bytes()).is_some()
            }
            Case::Bare | Case::Verified => {
                if self.case == Case::Verified {
                    write_org(&mut self.expected, org);
                }
                answer.starts_with(b"HTTP/1.1 200 ") && answer.ends_with(&self.expected)
            }
        };
        if good {
            return Ok(());
        }
        bail!("an answer that was not expected:\n{}", String::from_utf8_lossy(answer));
    }
}

/// Writes the number of an organization into both of its names in a body.
fn write_org(body: &mut [u8], mut org: usize) {
    const FIRST: usize = r#"{"organization_id":"org-"#.len();
    const SECOND: usize = FIRST + keys::DIGITS + r#"","organization_name":"org-"#.len();
    for place in (0..keys::DIGITS).rev() {
        let digit = b"0123456789"[org % 10];
        body[FIRST + place] = digit;
        body[SECOND + place] = digit;
        org /= 10;
    }
}

/// Whether this is an answer with all of its body.
fn whole(answer: &[u8]) -> Result<bool> {
    const NAME: &[u8] = b"\r\ncontent-length: ";
    let Some(end) = find(answer, b"\r\n\r\n") else { return Ok(false) };
    let (head, body) = (&answer[..end], answer.len() - end - 4);
    let place = find(head, NAME).context("an answer without a length")? + NAME.len();
    let digits = head[place..].iter().take_while(|byte| byte.is_ascii_digit());
    let length = digits.fold(0, |number, digit| number * 10 + usize::from(digit - b'0'));
    ensure!(body <= length, "an answer that is longer than it says");
    Ok(body == length)
}

fn find(text: &[u8], wanted: &[u8]) -> Option<usize> {
    let (first, rest) = wanted.split_first()?;
    let mut from = 0;
    while let Some(at) = text[from..].iter().position(|byte| byte == first) {
        if text[from + at + 1..].starts_with(rest) {
            return Some(from + at);
        }
        from += at + 1;
    }
    None
}

/// Good enough to choose keys, and costs next to nothing.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        let limit = u64::try_from(limit).unwrap_or(1).max(1);
        usize::try_from((self.0 >> 11) % limit).unwrap_or_default()
    }
}

/// How many of the steps between a power of two and the next are told apart.
const STEPS: u64 = 32;

/// Latencies, to a precision of three in a hundred.
struct Latencies(Vec<u32>);

impl Default for Latencies {
    fn default() -> Self {
        Self(vec![0; usize::try_from(STEPS * 60).unwrap_or_default()])
    }
}

impl Latencies {
    fn note(&mut self, took: Duration) {
        let nanos = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX).max(STEPS);
        let power = u64::from(nanos.ilog2());
        let step = (nanos >> (power - 5)) - STEPS;
        let place = usize::try_from((power - 5) * STEPS + step).unwrap_or(usize::MAX);
        let last = self.0.len() - 1;
        self.0[place.min(last)] += 1;
    }

    fn add(&mut self, other: &Self) {
        for (mine, theirs) in self.0.iter_mut().zip(&other.0) {
            *mine += theirs;
        }
    }

    fn count(&self) -> u64 {
        self.0.iter().map(|count| u64::from(*count)).sum()
    }

    /// The latency that this share of the requests stayed below.
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a share of a count"
    )]
    fn below(&self, share: f64) -> Duration {
        let wanted = (self.count() as f64 * share).ceil() as u64;
        let mut seen = 0;
        let place = self.0.iter().position(|count| {
            seen += u64::from(*count);
            seen >= wanted
        });
        let place = place.unwrap_or_default() as u64;
        Duration::from_nanos((STEPS + place % STEPS + 1) << (place / STEPS))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn latencies_are_told_apart() {
        let mut latencies = Latencies::default();
        for micros in 1..=1_000 {
            latencies.note(Duration::from_micros(micros));
        }
        assert_eq!(latencies.count(), 1_000);
        for (share, wanted) in [(0.5, 500_000.0), (0.99, 990_000.0)] {
            let nanos = latencies.below(share).as_secs_f64() * 1e9;
            assert!((nanos / wanted - 1.0).abs() < 0.04, "{nanos}");
        }
    }

    #[test]
    fn an_answer_is_whole_or_not() {
        let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\ndate: x\r\n\r\nok";
        assert!(whole(answer).unwrap());
        assert!(!whole(&answer[..answer.len() - 1]).unwrap());
        assert!(!whole(&answer[..30]).unwrap());
    }

    #[test]
    fn the_expected_body_is_that_of_the_organization() {
        let mut expected = body(&keys::org_name(0)).into_bytes();
        write_org(&mut expected, 1_234_567);
        assert_eq!(expected, body(&keys::org_name(1_234_567)).into_bytes());
    }
}
