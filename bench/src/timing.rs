//! Whether the time of an answer tells something that the answer does not.
//!
//! Comparisons of secrets are timed as dudect does it: inputs of two classes in random order, and
//! Welch's t. One comparison that leaks on purpose stands among them and has to be found. Requests for
//! what is absent, foreign and forbidden are sent in turns, and their times compared.

use std::{
    hint::black_box,
    net::IpAddr,
    path::Path,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};
use clap::Args;
use keydock_core::{
    secret::{KeyDigest, SecretKey},
    time::Timestamp,
};
use keydock_server::{
    App,
    access::{csrf_matches, keyring::Use},
};

use crate::{keys, machine, oracle, statistics::worst_t};

/// From here on, times are said to differ (dudect).
const DIFFERENT: f64 = 4.5;

/// How often an operation is repeated within one measurement: a clock does not see a few nanoseconds.
const REPEATED: usize = 50;

/// Look for differences in time that would tell secrets
///
/// Ends with code 1 if a leak is found where there may be none, or if the leak that was built in is not.
#[derive(Debug, Args)]
pub(crate) struct Timing {
    /// How often each comparison is timed
    #[arg(long, default_value_t = 400_000)]
    measurements: usize,
    /// How many pairs of requests are sent
    #[arg(long, default_value_t = 10_000)]
    pairs: usize,
    /// How many keys the server knows
    #[arg(long, default_value_t = 2_000)]
    keys: usize,
}

/// Times of the two classes of inputs, in nanoseconds.
#[derive(Debug, Default)]
struct Times {
    left: Vec<f64>,
    right: Vec<f64>,
}

impl Timing {
    pub(crate) fn run(&self) -> Result<()> {
        let folder = tempfile::tempdir()?;
        machine::runtime()?.block_on(keys::make(folder.path(), self.keys, false))?;
        let app = machine::runtime()?.block_on(opened(folder.path()))?;
        let secrets = keys::secrets(folder.path())?;
        let mut is_well = true;
        println!("Comparisons: Welch's t over {} measurements of each", self.measurements);
        for (name, may_differ, times) in self.comparisons(&app, &secrets)? {
            let t = worst_t(&times.left, &times.right);
            let differs = t.abs() >= DIFFERENT;
            is_well &= differs == may_differ;
            let word = match (differs, may_differ) {
                (true, true) => "found, as it has to be",
                (false, true) => "NOT FOUND: the measurement is worth nothing",
                (true, false) => "LEAKS",
                (false, false) => "no difference",
            };
            println!("  {name:<58} t {t:>9.2}  {word}");
        }
        drop(app);
        is_well &= oracle::compare(self.pairs)?;
        ensure!(is_well, "the time of an answer tells something");
        Ok(())
    }

    fn comparisons(
        &self,
        app: &App,
        secrets: &[[u8; keys::SECRET]],
    ) -> Result<Vec<(&'static str, bool, Times)>> {
        let secret = std::str::from_utf8(&secrets[0])?;
        let digest = app.pepper().digest(&parse(secret)?);
        let own = *digest.as_bytes();
        let (mut early, mut late) = (own, own);
        early[0] ^= 1;
        late[31] ^= 1;
        let (early_digest, late_digest) =
            (KeyDigest::from_bytes(early), KeyDigest::from_bytes(late));
        let token = digest.to_hex();
        let (early_token, late_token) = (early_digest.to_hex(), late_digest.to_hex());
        // Unknown keys: wrong in the last place, and in all. Many of both, since the place in the map
        // that a key leads to takes its own time, which tells nothing about other keys.
        let at = app.db().clock().now();
        let ask = |secret: &str| is_known(app, secret, at);
        let (mut near, mut far) = (Vec::new(), Vec::new());
        for known in secrets {
            let known = std::str::from_utf8(known)?;
            near.push(replaced(known, 35));
            far.push((0..36).fold(known.to_owned(), |far, at| replaced(&far, at)));
            ensure!(ask(known), "a key is not known");
        }
        ensure!(!near.iter().chain(&far).any(|secret| ask(secret)), "a wrong key is known");
        Ok(vec![
            (
                "a comparison that leaks, built in here",
                true,
                self.time(REPEATED, &[early], &[late], |tried| leaky(black_box(&own), tried)),
            ),
            (
                "digests of keys: wrong in the first place, in the last",
                false,
                self.time(REPEATED, &[early_digest], &[late_digest], |tried| *tried == digest),
            ),
            (
                "digests of keys: the right one, one wrong in the first place",
                false,
                self.time(REPEATED, &[digest], &[early_digest], |tried| *tried == digest),
            ),
            (
                "tokens of sessions: wrong in the first place, in the last",
                false,
                self.time(REPEATED, &[early_token], &[late_token], |tried| {
                    csrf_matches(tried, &token)
                }),
            ),
            (
                "unknown keys: nearly a genuine one, nothing like it",
                false,
                self.time(2, &near, &far, |tried| ask(tried)),
            ),
        ])
    }

    /// Times an operation with inputs of both classes, which and in which order by chance.
    fn time<T, R>(
        &self,
        repeated: usize,
        left: &[T],
        right: &[T],
        operation: impl Fn(&T) -> R,
    ) -> Times {
        let mut times = Times::default();
        let mut random = Random(0x9e37_79b9_7f4a_7c15);
        for measured in 0..self.measurements + self.measurements / 50 {
            let is_left = random.coin();
            let inputs = if is_left { left } else { right };
            let input = black_box(&inputs[random.below(inputs.len())]);
            let began = Instant::now();
            for _ in 0..repeated {
                black_box(operation(black_box(input)));
            }
            let took = began.elapsed();
            // The first ones warm the machine up.
            if measured >= self.measurements / 50 {
                let side = if is_left { &mut times.left } else { &mut times.right };
                side.push(nanoseconds(took));
            }
        }
        times
    }
}

/// What no comparison of secrets may be like: it ends at the first difference.
#[inline(never)]
fn leaky(left: &[u8; 32], right: &[u8; 32]) -> bool {
    left.iter().zip(right).all(|(left, right)| black_box(left) == black_box(right))
}

async fn opened(data: &Path) -> Result<App> {
    let app = keys::open(data).await?;
    app.keyring().catch_up(app.db()).await?;
    Ok(app)
}

fn parse(secret: &str) -> Result<SecretKey> {
    SecretKey::parse(secret).ok().context("a secret has the wrong form")
}

/// All that is done with a key that is presented, without HTTP.
fn is_known(app: &App, secret: &str, at: Timestamp) -> bool {
    let Ok(secret) = SecretKey::parse(secret) else { return false };
    let digest = app.pepper().digest(&secret);
    let ip = IpAddr::from([127, 0, 0, 1]);
    // The node is to trust its keys for as long as this takes, so its clock stands.
    let instant = *STARTED.get_or_init(Instant::now);
    let used = Use { at, instant, ip, agent: "", deployment: "", is_again: false };
    app.keyring().verify(&digest, &used).is_ok()
}

static STARTED: std::sync::OnceLock<Instant> = std::sync::OnceLock::new();

/// The same with another hexadecimal digit in one place.
fn replaced(secret: &str, place: usize) -> String {
    let other = |(at, digit): (usize, char)| match digit.to_digit(16) {
        Some(value) if at == place && at != 14 && at != 19 => {
            char::from_digit(value ^ 5, 16).unwrap_or(digit)
        }
        _ => digit,
    };
    secret.chars().enumerate().map(other).collect()
}

pub(crate) fn nanoseconds(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e9
}

/// Coins, by the shifts of Marsaglia: their quality matters little.
#[derive(Debug)]
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn coin(&mut self) -> bool {
        self.next() >> 63 == 1
    }

    fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() >> 33).unwrap_or(0) % end
    }

    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }
}
