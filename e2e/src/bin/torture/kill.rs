//! The server is killed at random moments while keys change and documents are read, started again on
//! the same data, and compared with what it had acknowledged (AUD-01, DUR-01, EXE-03).

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::Result;
use clap::Args;
use keydock_e2e::{Client, Server, TOTALS};
use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha20Rng;
use tokio::{sync::Mutex, task::JoinSet};

use crate::{
    Terms,
    findings::Findings,
    model::{Change, Model},
    reconcile::reconcile,
    runs::{DEPLOYMENT, Shared, Submitter},
};

/// Kill the server while keys change and documents are read
#[derive(Clone, Debug, Args)]
pub(crate) struct Kill {
    /// How often
    #[arg(long, default_value_t = 1_000)]
    rounds: usize,
    /// How many change keys, each of an organization of its own
    #[arg(long, default_value_t = 8)]
    writers: usize,
    /// How many submit documents
    #[arg(long, default_value_t = 4)]
    submitters: usize,
    /// The longest that the server lives in a round, in milliseconds
    #[arg(long, default_value_t = 800)]
    longest: u64,
}

impl Default for Kill {
    fn default() -> Self {
        Self { rounds: 1_000, writers: 8, submitters: 4, longest: 800 }
    }
}

/// Somebody who changes keys until the server is gone.
#[derive(Debug)]
struct Writer {
    admin: Client,
    model: Model,
    random: ChaCha20Rng,
    /// A change that was sent and not answered.
    in_doubt: Option<Change>,
    findings: Findings,
    /// How many changes were in doubt, and how many of these had happened.
    doubts: (usize, usize),
}

/// What happened, in numbers.
#[derive(Debug, Default)]
struct Figures {
    kills: usize,
    changes: usize,
    doubts: (usize, usize),
    tried: usize,
    accepted: usize,
    collected: usize,
    failed: usize,
    events: usize,
    slowest_start: Duration,
    slowest_end: Duration,
}

impl Kill {
    pub(crate) async fn run(
        &self,
        mut server: Server,
        terms: Terms,
        findings: &Findings,
    ) -> Result<String> {
        let mut random = ChaCha20Rng::seed_from_u64(terms.seed);
        let mut writers = Vec::new();
        for number in 0..self.writers {
            let seed = terms.seed ^ (number as u64 + 1);
            let writer = Writer::open(&server, number, seed, findings).await?;
            writers.push(Arc::new(Mutex::new(writer)));
        }
        let key = server.publish(DEPLOYMENT, TOTALS).await?;
        let submitters: Vec<Shared> = (0..self.submitters)
            .map(|number| {
                let first = number as u64 * 1_000_000;
                server.key(&key).map(|caller| Submitter::new(caller, first, findings))
            })
            .collect::<Result<_>>()?;
        let mut figures = Figures::default();
        let time = terms.begin();
        while figures.kills < self.rounds && !time.is_over() {
            let lives = Duration::from_millis(random.random_range(20..self.longest.max(21)));
            let working = work(&writers, &submitters);
            tokio::time::sleep(lives).await;
            server.kill()?;
            working.join_all().await;
            figures.kills += 1;
            let began = Instant::now();
            server.start().await?;
            figures.slowest_start = figures.slowest_start.max(began.elapsed());
            let began = Instant::now();
            compare(&writers, &submitters, &mut figures).await?;
            figures.slowest_end = figures.slowest_end.max(began.elapsed());
        }
        reconcile_all(&server, &writers, &mut figures, findings).await?;
        for submitter in &submitters {
            let submitter = submitter.lock().await;
            figures.accepted += submitter.accepted;
            figures.failed += submitter.failed;
        }
        findings.check(server.terminate().await?.success(), || "no orderly end".to_owned());
        Ok(figures.to_string())
    }
}

/// Sets everybody to work until the server is gone.
fn work(writers: &[Arc<Mutex<Writer>>], submitters: &[Shared]) -> JoinSet<()> {
    let mut working = JoinSet::new();
    for writer in writers {
        let writer = Arc::clone(writer);
        working.spawn(async move { writer.lock().await.work().await });
    }
    for submitter in submitters {
        let submitter = Arc::clone(submitter);
        working.spawn(async move { submitter.lock().await.work().await });
    }
    working
}

/// Compares what there is with what was acknowledged.
async fn compare(
    writers: &[Arc<Mutex<Writer>>],
    submitters: &[Shared],
    figures: &mut Figures,
) -> Result<()> {
    for writer in writers {
        figures.tried += writer.lock().await.compare().await?;
    }
    let mut collecting = JoinSet::new();
    for submitter in submitters {
        let submitter = Arc::clone(submitter);
        collecting.spawn(async move { submitter.lock().await.collect().await });
    }
    for collected in collecting.join_all().await {
        figures.collected += collected?;
    }
    Ok(())
}

async fn reconcile_all(
    server: &Server,
    writers: &[Arc<Mutex<Writer>>],
    figures: &mut Figures,
    findings: &Findings,
) -> Result<()> {
    let db = server.database().open().await?;
    for writer in writers {
        let writer = writer.lock().await;
        let counts = reconcile(&db, &writer.model.org, findings).await?;
        figures.events += counts.values().sum::<usize>();
        figures.changes += writer.model.changes;
        figures.doubts.0 += writer.doubts.0;
        figures.doubts.1 += writer.doubts.1;
    }
    db.close().await;
    Ok(())
}

impl Writer {
    async fn open(server: &Server, number: usize, seed: u64, findings: &Findings) -> Result<Self> {
        let name = format!("writer_{number}");
        let (admin, secret) = server.found(&name).await?;
        let model = Model::of(&admin, &name, &secret).await?;
        Ok(Self {
            admin,
            model,
            random: ChaCha20Rng::seed_from_u64(seed),
            in_doubt: None,
            findings: findings.clone(),
            doubts: (0, 0),
        })
    }

    async fn work(&mut self) {
        while self.in_doubt.is_none() {
            let change = self.model.choose(&mut self.random);
            match self.model.send(&self.admin, change).await {
                Ok(answer) => self.model.acknowledge(change, &answer, &self.findings),
                Err(_gone) => self.in_doubt = Some(change),
            }
        }
    }

    /// What is there is what was acknowledged, with or without the change in doubt.
    async fn compare(&mut self) -> Result<usize> {
        let listed = self.admin.platform_keys(&self.model.org).await?;
        let without = self.model.is_confirmed_by(&listed);
        if let Some(change) = self.in_doubt.take() {
            let mut after = self.model.clone();
            if after.is_possible(change) {
                after.apply(change, None, None);
            }
            let with = after.is_confirmed_by(&listed);
            self.doubts.0 += 1;
            self.doubts.1 += usize::from(with && !without);
            self.findings.check(with || without, || {
                let Self { model, .. } = &*self;
                format!("{}: {listed:?} instead of {model:?}, perhaps {change:?}", model.org)
            });
        } else {
            self.findings.check(without, || {
                format!("{}: {listed:?} instead of {:?}", self.model.org, self.model)
            });
        }
        self.model.adopt(&listed)?;
        self.model.verify(&self.admin, &self.findings).await
    }
}

impl std::fmt::Display for Figures {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{} kills; {} changes of keys acknowledged, {} in doubt of which {} had happened, {} \
             secrets tried, {} events; {} documents accepted, {} awaited after a start, {} failed; \
             ready within {:.2} s, all ended within {:.1} s",
            self.kills,
            self.changes,
            self.doubts.0,
            self.doubts.1,
            self.tried,
            self.events,
            self.accepted,
            self.collected,
            self.failed,
            self.slowest_start.as_secs_f64(),
            self.slowest_end.as_secs_f64(),
        )
    }
}
