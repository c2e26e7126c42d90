//! The figures, and how they are shown.

use std::{fmt, time::Duration};

use serde::Serialize;
use serde_json::{Value, json};

use crate::{
    load::{Case, Measured},
    machine,
    program::Program,
};

/// Everything that was measured.
#[derive(Debug)]
pub(crate) struct Report {
    processor: String,
    apart: bool,
    pub(crate) comparisons: Vec<Comparison>,
    pub(crate) memory: Vec<Memory>,
    /// With keys that have a limit each.
    pub(crate) limited_memory: Option<Memory>,
    pub(crate) program: Option<Program>,
}

/// Bare and keydock, with a number of keys.
#[derive(Debug, Default)]
pub(crate) struct Comparison {
    pub(crate) keys: usize,
    /// Whether every key has a rate limit.
    pub(crate) limited: bool,
    pub(crate) pairs: Vec<Pair>,
    /// What else was asked.
    pub(crate) others: Vec<(Case, Sample)>,
}

/// Two rounds, one after the other.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pair {
    pub(crate) bare: Sample,
    pub(crate) keydock: Sample,
}

/// One round, or what is typical of several.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct Sample {
    /// Requests in a second.
    pub(crate) per_second: f64,
    /// Processor time of the server for a request, in microseconds, while requests came.
    cpu: f64,
    /// The same with what the server did about them afterwards.
    cpu_with_later: f64,
    /// Half of the requests took less than this, in microseconds.
    p50: f64,
    /// All but one in a hundred took less than this, in microseconds.
    p99: f64,
    /// The share of its own processor that the load took.
    load: f64,
}

/// What a server with so many keys takes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Memory {
    pub(crate) keys: usize,
    pub(crate) read_in: Duration,
    pub(crate) kilobytes: u64,
}

#[expect(clippy::cast_precision_loss, reason = "counts that a person can read")]
impl Sample {
    pub(crate) fn new(measured: Measured, server: Duration) -> Self {
        let requests = measured.requests as f64;
        let cpu = server.as_secs_f64() * 1e6 / requests;
        Self {
            per_second: requests / measured.wall.as_secs_f64(),
            cpu,
            cpu_with_later: cpu,
            p50: measured.p50.as_secs_f64() * 1e6,
            p99: measured.p99.as_secs_f64() * 1e6,
            load: measured.cpu.as_secs_f64() / measured.wall.as_secs_f64(),
        }
    }

    pub(crate) fn add_later(&mut self, cpu: Duration, requests: u64) {
        self.cpu_with_later += cpu.as_secs_f64() * 1e6 / requests as f64;
    }

    pub(crate) fn typical(samples: &[Self]) -> Self {
        let of = |value: fn(&Self) -> f64| median(samples.iter().map(value));
        Self {
            per_second: of(|sample| sample.per_second),
            cpu: of(|sample| sample.cpu),
            cpu_with_later: of(|sample| sample.cpu_with_later),
            p50: of(|sample| sample.p50),
            p99: of(|sample| sample.p99),
            load: of(|sample| sample.load),
        }
    }
}

fn sorted(values: impl Iterator<Item = f64>) -> Vec<f64> {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let values = sorted(values);
    match values.len() {
        0 => f64::NAN,
        len if len % 2 == 1 => values[len / 2],
        len => f64::midpoint(values[len / 2 - 1], values[len / 2]),
    }
}

/// A quotient in every pair of rounds: the middle one, and the ends.
#[derive(Clone, Copy, Debug, Serialize)]
struct Spread {
    median: f64,
    min: f64,
    max: f64,
}

impl Spread {
    fn of(values: impl Iterator<Item = f64>) -> Self {
        let values = sorted(values);
        let end = |value: Option<&f64>| value.copied().unwrap_or(f64::NAN);
        Self {
            median: median(values.iter().copied()),
            min: end(values.first()),
            max: end(values.last()),
        }
    }
}

impl fmt::Display for Spread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.3}  ({:.3} to {:.3})", self.median, self.min, self.max)
    }
}

impl Comparison {
    fn bare(&self) -> Sample {
        Sample::typical(&self.pairs.iter().map(|pair| pair.bare).collect::<Vec<_>>())
    }

    fn keydock(&self) -> Sample {
        Sample::typical(&self.pairs.iter().map(|pair| pair.keydock).collect::<Vec<_>>())
    }

    fn ratio(&self) -> Spread {
        let ratio = |pair: &Pair| pair.keydock.per_second / pair.bare.per_second;
        Spread::of(self.pairs.iter().map(ratio))
    }

    fn cpu_ratio(&self) -> Spread {
        Spread::of(self.pairs.iter().map(|pair| pair.keydock.cpu / pair.bare.cpu))
    }

    fn later_ratio(&self) -> Spread {
        Spread::of(self.pairs.iter().map(|pair| pair.keydock.cpu_with_later / pair.bare.cpu))
    }

    fn summary(&self) -> Value {
        let others =
            self.others.iter().map(|(case, sample)| (case.name().to_owned(), json!(sample)));
        json!({
            "keys": self.keys,
            "each_with_a_rate_limit": self.limited,
            "rounds": self.pairs.len(),
            "bare": self.bare(),
            "keydock": self.keydock(),
            "others": others.collect::<serde_json::Map<_, _>>(),
            "requests_per_second_of_bare": self.ratio(),
            "cpu_of_bare": self.cpu_ratio(),
            "cpu_with_later_of_bare": self.later_ratio(),
        })
    }
}

impl Report {
    /// Nothing measured yet. `apart` tells whether server and load have a processor each.
    pub(crate) fn new(apart: bool) -> Self {
        Self {
            processor: machine::processor(),
            apart,
            comparisons: Vec::new(),
            memory: Vec::new(),
            limited_memory: None,
            program: None,
        }
    }

    /// Bytes that a key takes: what a server has more than the one with the fewest keys.
    #[expect(clippy::cast_precision_loss, reason = "sizes that a person can read")]
    fn bytes_per_key(&self, many: Memory) -> Option<f64> {
        let few = self.memory.first()?;
        let keys = many.keys.checked_sub(few.keys).filter(|keys| *keys > 0)?;
        Some((many.kilobytes as f64 - few.kilobytes as f64) * 1024.0 / keys as f64)
    }

    /// How much processor time a verified request takes among the most keys, in that of one among the
    /// fewest.
    fn growth(&self) -> Option<f64> {
        let plain = || self.comparisons.iter().filter(|comparison| !comparison.limited);
        let few = plain().min_by_key(|comparison| comparison.keys)?;
        let many = plain().max_by_key(|comparison| comparison.keys)?;
        // Against the bare handler of the same minutes, which does not know how many keys there are.
        (many.keys > few.keys).then(|| many.cpu_ratio().median / few.cpu_ratio().median)
    }

    /// Everything, for programs.
    pub(crate) fn summary(&self) -> Value {
        let memory = self.memory.iter().map(|memory| {
            json!({
                "keys": memory.keys,
                "anonymous_kilobytes": memory.kilobytes,
                "keys_read_in_milliseconds": memory.read_in.as_secs_f64() * 1e3,
                "bytes_per_key": self.bytes_per_key(*memory),
            })
        });
        json!({
            "processor": self.processor,
            "server_and_load_on_processors_of_their_own": self.apart,
            "verify": self.comparisons.iter().map(Comparison::summary).collect::<Vec<_>>(),
            "memory": memory.collect::<Vec<_>>(),
            "bytes_per_key_with_a_rate_limit": self.limited_memory.and_then(|m| self.bytes_per_key(m)),
            "cpu_among_most_keys_of_fewest": self.growth(),
            "program": self.program,
        })
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.processor)?;
        if !self.apart {
            writeln!(f, "ONE PROCESSOR ONLY: server and load share it, figures mean little")?;
        }
        for comparison in &self.comparisons {
            comparison.fmt(f)?;
        }
        writeln!(f, "\nMemory")?;
        let limited = self.limited_memory.iter().map(|memory| (memory, " with a rate limit"));
        for (memory, what) in self.memory.iter().map(|memory| (memory, "")).chain(limited) {
            let (keys, kilobytes) = (memory.keys, memory.kilobytes);
            let read_in = memory.read_in.as_secs_f64() * 1e3;
            write!(
                f,
                "  {keys:>9} keys{what}  {kilobytes:>8} KB anonymous, read in {read_in:.0} ms"
            )?;
            match self.bytes_per_key(*memory) {
                Some(bytes) => writeln!(f, ", {bytes:.0} bytes a key")?,
                None => writeln!(f)?,
            }
        }
        if let Some(growth) = self.growth() {
            writeln!(
                f,
                "\nCPU of a request among the most keys, of one among the fewest: {growth:.3}"
            )?;
        }
        match &self.program {
            Some(program) => program.fmt(f),
            None => writeln!(f, "\nThe program was not weighed: cargo build --release -p keydock"),
        }
    }
}

impl fmt::Display for Comparison {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = if self.limited { " with a rate limit each" } else { "" };
        writeln!(f, "\nAmong {} keys{what}, {} pairs of rounds", self.keys, self.pairs.len())?;
        writeln!(
            f,
            "  {:<22} {:>9} {:>13} {:>9} {:>9} {:>9} {:>7}",
            "", "req/s", "CPU µs/req", "+ later", "p50 µs", "p99 µs", "load"
        )?;
        let rows = [(Case::Bare, self.bare()), (Case::Verified, self.keydock())];
        for (case, row) in rows.iter().chain(&self.others) {
            let name = case.name();
            writeln!(
                f,
                "  {name:<22} {:>9.0} {:>13.2} {:>9.2} {:>9.0} {:>9.0} {:>6.0}%",
                row.per_second,
                row.cpu,
                row.cpu_with_later,
                row.p50,
                row.p99,
                row.load * 100.0
            )?;
        }
        writeln!(f, "  requests of bare       {}", self.ratio())?;
        writeln!(f, "  CPU of bare            {}", self.cpu_ratio())?;
        writeln!(f, "  CPU of bare, + later   {}", self.later_ratio())
    }
}

#[expect(clippy::cast_precision_loss, reason = "sizes that a person can read")]
impl fmt::Display for Program {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ready = Spread::of(self.ready_milliseconds.iter().copied());
        writeln!(f, "\n{}", self.path.display())?;
        writeln!(f, "  size            {:.1} MB", self.bytes as f64 / 1e6)?;
        writeln!(
            f,
            "  ready           {:.0} ms ({:.0} to {:.0}) after the start on an empty folder",
            ready.median, ready.min, ready.max
        )?;
        writeln!(
            f,
            "  first verified  {:.0} ms after the start with {} keys",
            self.verified_milliseconds, self.keys
        )?;
        writeln!(f, "  idle            {:.1} MB resident", self.idle_kilobytes as f64 / 1e3)
    }
}
