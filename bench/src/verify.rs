//! A verified request beside a bare axum handler, in alternating rounds on the same processor.

use std::{
    ffi::OsString,
    path::{Path, PathBuf},
    thread::sleep,
    time::Duration,
};

use anyhow::{Result, ensure};
use clap::Args;

use crate::{
    child::{self, Talker},
    load::{Began, Case, Measured, Round},
    machine, program,
    report::{Comparison, Memory, Pair, Report, Sample},
    server::{Consumed, Ready},
};

/// Compare a verified request with a bare axum handler, and weigh the program
///
/// Rounds alternate: bare, keydock, bare, keydock, … The server has one processor, the load another.
#[derive(Debug, Args)]
pub(crate) struct Verify {
    /// Among how many keys, one after the other, half of them active
    #[arg(long, value_delimiter = ',', default_values_t = [1_000, 100_000])]
    keys: Vec<usize>,
    /// Among how many keys that have a rate limit each; 0 to leave it out
    #[arg(long, default_value_t = 100_000)]
    limited_keys: usize,
    /// How long a round lasts
    #[arg(long, default_value_t = 3.0)]
    seconds: f64,
    /// How many pairs of rounds
    #[arg(long, default_value_t = 10)]
    rounds: usize,
    /// How many connections send at the same time
    #[arg(long, default_value_t = 32)]
    connections: usize,
    /// The program to weigh [default: keydock beside this program]
    #[arg(long, value_name = "FILE")]
    program: Option<PathBuf>,
    /// Measure requests only
    #[arg(long)]
    no_program: bool,
    /// Print JSON instead of tables
    #[arg(long)]
    json: bool,
}

/// The server counts as idle below this share of its processor.
const IDLE: f64 = 0.05;

impl Verify {
    pub(crate) fn run(&self) -> Result<()> {
        ensure!(
            self.rounds > 0 && self.connections > 0 && self.seconds > 0.0,
            "nothing to measure"
        );
        ensure!(!self.keys.is_empty(), "no number of keys");
        let (server, load) = machine::two_processors()?;
        let mut report = Report::new(server != load);
        let folders = tempfile::tempdir()?;
        for keys in &self.keys {
            let data = folders.path().join(keys.to_string());
            eprintln!("making {keys} keys");
            let arguments = ["make-keys".into(), data.clone().into(), keys.to_string().into()];
            child::run::<OsString>(arguments)?;
            let (mut comparison, memory) = self.compare(&data, server, load)?;
            comparison.others = self.beside(&data, server, load)?;
            report.comparisons.push(comparison);
            report.memory.push(memory);
            if !self.no_program && Some(keys) == self.weighed() {
                eprintln!("weighing the program");
                report.program = program::weigh(self.program.as_deref(), &data)?;
            }
            // A folder with millions of keys is large.
            std::fs::remove_dir_all(&data)?;
        }
        if self.limited_keys > 0 {
            let (data, keys) = (folders.path().join("limited"), self.limited_keys);
            eprintln!("making {keys} keys with limits");
            let many = keys.to_string().into();
            let arguments = ["make-keys".into(), data.clone().into(), many, "--limited".into()];
            child::run::<OsString>(arguments)?;
            let (mut comparison, memory) = self.compare(&data, server, load)?;
            comparison.limited = true;
            report.comparisons.push(comparison);
            report.limited_memory = Some(memory);
        }
        if self.json {
            println!("{}", serde_json::to_string_pretty(&report.summary())?);
        } else {
            println!("{report}");
        }
        Ok(())
    }

    /// The program is weighed with the number of keys that a company may have.
    fn weighed(&self) -> Option<&usize> {
        self.keys.iter().filter(|keys| **keys <= 100_000).max()
    }

    fn start(&self, data: &Path, server: usize, load: usize) -> Result<(Bench<'_>, Ready)> {
        let on = |what: &str, cpu: usize| -> [OsString; 3] {
            [what.into(), data.into(), cpu.to_string().into()]
        };
        let mut server = Talker::start(on("serve", server))?;
        let ready: Ready = server.hear()?;
        Ok((Bench { server, load: Talker::start(on("load", load))?, verify: self }, ready))
    }

    fn compare(&self, data: &Path, server: usize, load: usize) -> Result<(Comparison, Memory)> {
        let (mut bench, ready) = self.start(data, server, load)?;
        // What reading the keys took for a moment has been given back by then.
        sleep(Duration::from_secs(2));
        let consumed: Consumed = bench.server.ask("")?;
        let memory =
            Memory { keys: ready.keys, read_in: ready.read_in, kilobytes: consumed.anonymous };
        let mut comparison = Comparison { keys: ready.keys, ..Comparison::default() };
        for round in 1..=self.rounds {
            let bare = bench.sample(Case::Bare, ready.bare)?;
            let keydock = bench.sample(Case::Verified, ready.keydock)?;
            eprintln!(
                "{} keys, round {round} of {}: {:.3} of bare",
                ready.keys,
                self.rounds,
                keydock.per_second / bare.per_second
            );
            comparison.pairs.push(Pair { bare, keydock });
        }
        Ok((comparison, memory))
    }

    /// Other questions about keys.
    fn beside(&self, data: &Path, server: usize, load: usize) -> Result<Vec<(Case, Sample)>> {
        let (mut bench, ready) = self.start(data, server, load)?;
        let mut samples = Vec::new();
        for case in [Case::Unknown, Case::ForwardAuth, Case::Introspect] {
            let rounds = 0..self.rounds.div_ceil(3);
            let rounds: Result<Vec<_>> =
                rounds.map(|_| bench.sample(case, ready.keydock)).collect();
            samples.push((case, Sample::typical(&rounds?)));
        }
        Ok(samples)
    }
}

/// A server under load.
struct Bench<'a> {
    server: Talker,
    load: Talker,
    verify: &'a Verify,
}

impl Bench<'_> {
    /// Measures one round. What the server does about it afterwards, such as writing down when keys
    /// were used, is waited for and counted as well.
    fn sample(&mut self, case: Case, port: u16) -> Result<Sample> {
        let Verify { seconds, connections, .. } = *self.verify;
        let round = Round { port, case, seconds, connections };
        self.load.say(&serde_json::to_string(&round)?)?;
        let Began = self.load.hear()?;
        let before: Consumed = self.server.ask("")?;
        let measured: Measured = self.load.hear()?;
        let after: Consumed = self.server.ask("")?;
        let settled = self.settle()?;
        let mut sample = Sample::new(measured, after.cpu.saturating_sub(before.cpu));
        if case != Case::Bare {
            sample.add_later(settled.saturating_sub(after.cpu), measured.requests);
        }
        Ok(sample)
    }

    /// Waits until the server is idle. Gives its processor time then.
    fn settle(&mut self) -> Result<Duration> {
        const STEP: Duration = Duration::from_millis(250);
        let mut last: Consumed = self.server.ask("")?;
        let mut quiet = 0;
        // Uses of keys are written down every two seconds; longer than that and it was the last.
        for _ in 0..80 {
            sleep(STEP);
            let now: Consumed = self.server.ask("")?;
            let share = now.cpu.saturating_sub(last.cpu).as_secs_f64() / STEP.as_secs_f64();
            quiet = if share < IDLE { quiet + 1 } else { 0 };
            last = now;
            if quiet >= 9 {
                break;
            }
        }
        Ok(last.cpu)
    }
}
