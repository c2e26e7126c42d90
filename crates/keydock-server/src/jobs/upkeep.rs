//! What keeps a server in order while it runs.
//!
//! Every node does all of it; doing it on several nodes at once is the same as on one.

use std::time::Duration;

use keydock_storage::queue;
use tokio::{
    task::JoinSet,
    time::{MissedTickBehavior, interval},
};
use tokio_util::sync::CancellationToken;

use crate::{
    App, Error, Result, access, canaries, ci_trusts, executions, key_hygiene, keys, memory,
    peppers, platform_tokens, refusals, sdk, sessions, webhooks,
};

/// How often the changes of keys on other nodes are read.
const KEYS: Duration = Duration::from_millis(500);
/// How often the uses of keys are written down.
const USES: Duration = Duration::from_secs(2);
/// How often secrets get new digests that were found under a pepper that was replaced.
const MOVES: Duration = Duration::from_millis(500);
/// How often refused requests are written down.
const REFUSALS: Duration = Duration::from_secs(1);
/// How often alarms of canaries are raised.
const ALARMS: Duration = Duration::from_secs(1);
/// How often it is looked which keys end soon or are not used.
const HYGIENE: Duration = Duration::from_mins(10);
/// How often gauges are set.
const GAUGES: Duration = Duration::from_secs(15);
/// How often memory is given back.
const MEMORY: Duration = Duration::from_millis(1_500);
/// How often old things are forgotten.
const OLD: Duration = Duration::from_mins(10);
/// How old an unfinished document is that nobody is writing any more.
const UNFINISHED: Duration = Duration::from_hours(1);
/// How long it is remembered who used a key.
const USED: Duration = Duration::from_hours(90 * 24);
/// How long jobs that were given up are kept for somebody to look at.
const DEAD: Duration = Duration::from_hours(7 * 24);

/// Starts it all.
pub(super) fn start(app: &App, stop: &CancellationToken, tasks: &mut JoinSet<()>) {
    tasks.spawn(every(KEYS, app.clone(), stop.clone(), "reading key changes", read_keys));
    tasks.spawn(every(MOVES, app.clone(), stop.clone(), "making digests anew", move_secrets));
    tasks.spawn(peppers::attend(app.clone(), stop.clone()));
    tasks.spawn(every(REFUSALS, app.clone(), stop.clone(), "writing down refusals", refused));
    tasks.spawn(every(GAUGES, app.clone(), stop.clone(), "setting gauges", set_gauges));
    tasks.spawn(every(MEMORY, app.clone(), stop.clone(), "giving back memory", give_back));
    tasks.spawn(every(OLD, app.clone(), stop.clone(), "forgetting old things", forget));
    tasks.spawn(every(HYGIENE, app.clone(), stop.clone(), "looking after keys", look_after_keys));
    let (alarmed, until) = (app.clone(), stop.clone());
    tasks.spawn(async move {
        every(ALARMS, alarmed.clone(), until, "raising alarms of canaries", raise_alarms).await;
        log_failure("raising alarms of canaries", canaries::raise_all(&alarmed).await);
    });
    let (app, stop) = (app.clone(), stop.clone());
    tasks.spawn(async move {
        every(USES, app.clone(), stop, "writing down uses of keys", write_uses).await;
        // What was gathered since, before the program ends.
        let written = access::usage::flush_all(app.keyring(), app.db()).await;
        log_failure("writing down uses of keys", written);
    });
}

/// Does `work` at once and then every `period`, until `stop`. A failure is told and the next time is
/// another chance.
async fn every<F: Future<Output = Result<()>>>(
    period: Duration,
    app: App,
    stop: CancellationToken,
    what: &'static str,
    work: fn(App) -> F,
) {
    let mut times = interval(period);
    times.set_missed_tick_behavior(MissedTickBehavior::Delay);
    while stop.run_until_cancelled(times.tick()).await.is_some() {
        log_failure(what, work(app.clone()).await);
    }
}

fn log_failure(what: &'static str, result: Result<()>) {
    if let Err(error) = result {
        tracing::error!(error = &error as &dyn std::error::Error, "{what} failed");
    }
}

async fn read_keys(app: App) -> Result<()> {
    // First, since a change may be about a digest of a pepper that was not used until now.
    app.peppers().refresh(app.db()).await?;
    app.keyring().catch_up(app.db()).await?;
    app.journal().catch_up(app.db()).await
}

async fn move_secrets(app: App) -> Result<()> {
    access::moves::write_down(&app).await
}

async fn refused(app: App) -> Result<()> {
    refusals::write_down(&app).await
}

async fn raise_alarms(app: App) -> Result<()> {
    canaries::raise(&app).await
}

async fn look_after_keys(app: App) -> Result<()> {
    key_hygiene::look_after(&app).await
}

async fn write_uses(app: App) -> Result<()> {
    access::usage::flush(app.keyring(), app.db()).await
}

async fn set_gauges(app: App) -> Result<()> {
    let counts = app.read(async |tx| Ok(queue::counts(tx).await?)).await?;
    let metrics = app.metrics();
    metrics.jobs.waiting.set(counts.ready + counts.waiting);
    metrics.jobs.leased.set(counts.leased);
    metrics.jobs.dead.set(counts.dead);
    metrics.keys.set(i64::try_from(app.keyring().len()).unwrap_or(i64::MAX));
    Ok(())
}

async fn give_back(_: App) -> Result<()> {
    memory::give_back();
    Ok(())
}

async fn forget(app: App) -> Result<()> {
    app.guesses().forget_idle();
    app.sign_ins().forget_idle();
    app.refused_acts().forget_idle();
    app.deployment_names().forget_idle();
    let age = app.config().result_age;
    while app.write(async |tx| executions::forget_old(tx, age).await).await? {}
    app.write(async |tx| sessions::forget_ended(tx).await).await?;
    app.write(async |tx| sdk::forget_old(tx).await).await?;
    app.write(async |tx| {
        let before = tx.now().before(USED);
        keys::forget_uses(tx, before).await
    })
    .await?;
    app.write(async |tx| access::changes::forget_old(tx).await).await?;
    app.write(async |tx| keys::forget_sealed(tx).await).await?;
    app.write(async |tx| refusals::forget_old(tx).await).await?;
    app.write(async |tx| webhooks::forget_old(tx).await).await?;
    app.write(async |tx| ci_trusts::forget_old(tx).await).await?;
    while app.write(async |tx| platform_tokens::forget_old(tx).await).await? {}
    app.write(async |tx| {
        let before = tx.now().before(DEAD);
        Ok(queue::forget_dead(tx, before).await?)
    })
    .await?;
    let swept = app.blobs().sweep_temporary(UNFINISHED).await.map_err(Error::internal)?;
    let lost = executions::clear_lost(&app).await?;
    if swept + lost > 0 {
        tracing::info!(
            swept,
            lost,
            "documents of uploads that a killed server received are deleted"
        );
    }
    Ok(())
}
