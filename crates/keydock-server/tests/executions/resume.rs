//! What was accepted ends, whatever happens to the server.

use std::{path::PathBuf, time::Duration};

use keydock_engine::sandbox::{Limits, Sandbox};
use keydock_storage::{db::args, queue};

use crate::world::{Form, Gate, World, invoice, sibling, workers};

const KINDS: &[&str] = &["run_execution"];

async fn gated() -> (World, Gate) {
    let mut world = World::idle().await;
    let gate = Gate::closed(&world.test.data());
    world.restart(gate.sandbox()).await;
    (world, gate)
}

#[tokio::test]
async fn a_restart_between_submitting_and_asking_changes_nothing() {
    let mut world = World::idle().await;
    let id = world.accepted(Form::invoice(1)).await;
    let sandbox = world.test.app.sandbox().clone();
    world.restart(sandbox.clone()).await;
    assert_eq!(world.poll(&id).await.body["status"], "PENDING");
    let first = workers(&world.test.app);
    world.until("it is over", async || world.unfinished().await == 0).await;
    first.abort();
    world.restart(sandbox).await;
    let read = world.poll(&id).await;
    assert_eq!(read.status, 200, "{}", read.text);
}

/// Proves EXE-03: a server that is killed takes its work up again as soon as it is back.
#[tokio::test]
async fn a_worker_that_is_killed_goes_on_where_it_was() {
    let (mut world, gate) = gated().await;
    let killed = workers(&world.test.app);
    let form = Form::default().file("a.txt", invoice(1)).file("b.txt", invoice(2));
    let id = world.accepted(form).await;
    gate.permit(1);
    let done = "SELECT COUNT(*) FROM file_executions WHERE status = 'COMPLETED'";
    world.until("one file is done", async || world.count(done).await == 1).await;
    world.until("the other one is begun", async || gate.begun() == 2).await;
    killed.abort();
    assert!(killed.await.unwrap_err().is_cancelled());
    assert_eq!(world.jobs().await.leased, 1, "it had no time to give anything back");

    world.restart(gate.sandbox()).await;
    gate.permit(2);
    let began = std::time::Instant::now();
    let _workers = workers(&world.test.app);
    let read = world.outcome(&id).await;
    assert_eq!(read.status, 200, "{}", read.text);
    assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
    assert_eq!(gate.begun(), 3, "the first file was not read again");
    world.until("the job is gone", async || world.jobs().await == queue::Counts::default()).await;
    world.no_documents().await;
}

#[tokio::test]
async fn another_worker_takes_over_when_the_lease_ends() {
    let world = World::idle().await;
    let id = world.accepted(Form::invoice(1)).await;
    let lease = Duration::from_mins(10);
    let db = world.test.app.db();
    let taken = queue::lease(db, "a worker far away", KINDS, 1, lease).await.unwrap();
    assert_eq!(taken.len(), 1);
    world.test.work();
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(world.poll(&id).await.body["status"], "PENDING", "it is not ours yet");
    db.clock().advance(lease);
    assert_eq!(world.outcome(&id).await.status, 200);
}

#[tokio::test]
async fn a_worker_that_is_asked_to_end_finishes_what_it_has_begun() {
    let (world, gate) = gated().await;
    let stop = tokio_util::sync::CancellationToken::new();
    let workers = tokio::spawn(keydock_server::jobs::start(world.test.app.clone(), stop.clone()));
    let id = world.accepted(Form::invoice(1)).await;
    world.until("it is begun", async || gate.begun() == 1).await;
    stop.cancel();
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!(world.poll(&id).await.body["status"], "EXECUTING");
    gate.permit(1);
    workers.await.unwrap();
    assert_eq!(world.poll(&id).await.status, 200);
}

#[tokio::test]
async fn a_worker_that_must_end_gives_back_what_it_cannot_finish() {
    let (world, gate) = gated().await;
    let stop = tokio_util::sync::CancellationToken::new();
    let workers = tokio::spawn(keydock_server::jobs::start(world.test.app.clone(), stop.clone()));
    let id = world.accepted(Form::invoice(1)).await;
    world.until("it is begun", async || gate.begun() == 1).await;
    stop.cancel();
    workers.await.unwrap();
    let jobs = world.jobs().await;
    assert_eq!((jobs.ready, jobs.leased), (1, 0), "{jobs:?}");
    assert_eq!(world.count("SELECT attempts FROM jobs").await, 0, "an attempt that does not count");
    gate.permit(1);
    let (mut world, sandbox) = (world, gate.sandbox());
    world.restart(sandbox).await;
    world.test.work();
    assert_eq!(world.outcome(&id).await.status, 200);
}

#[tokio::test]
async fn what_cannot_be_read_now_is_tried_again_and_ends() {
    let mut world = World::idle().await;
    let nowhere = PathBuf::from("/nowhere/at/all");
    world.restart(Sandbox::with_program(nowhere, Limits::default()).unwrap()).await;
    let _workers = workers(&world.test.app);
    let id = world.accepted(Form::invoice(1)).await;
    for attempt in 1..5 {
        world.until("it waits for another attempt", async || world.jobs().await.waiting == 1).await;
        assert_eq!(world.count("SELECT attempts FROM jobs").await, attempt);
        assert_eq!(world.poll(&id).await.body["status"], "EXECUTING");
        world.test.app.db().clock().advance(Duration::from_mins(6));
        world.until("it is tried again", async || world.jobs().await.waiting == 0).await;
    }
    let read = world.outcome(&id).await;
    assert_eq!(
        (read.status.as_u16(), &read.body["status"]),
        (422, &"ERROR".into()),
        "{}",
        read.text
    );
    assert!(read.body["message"][0]["error"].as_str().unwrap().contains("on this server"));
    world.no_documents().await;
    world.until("the job is gone", async || world.jobs().await == queue::Counts::default()).await;
}

#[tokio::test]
async fn a_job_that_kills_its_workers_ends_as_an_error() {
    let world = World::idle().await;
    let form = Form::default().file("a.txt", invoice(1)).file("copy.txt", invoice(1));
    let id = world.accepted(form).await;
    let db = world.test.app.db();
    for attempt in 1..=5 {
        let taken = queue::lease(db, "doomed", KINDS, 1, Duration::from_millis(1)).await.unwrap();
        assert_eq!(taken[0].attempt, attempt);
        db.clock().advance(Duration::from_secs(1));
    }
    world.test.work();
    let read = world.outcome(&id).await;
    assert_eq!(read.status, 422, "{}", read.text);
    assert_eq!(read.body["status"], "ERROR");
    assert_eq!(read.body["message"].as_array().unwrap().len(), 2);
    assert_eq!(read.body["message"][1]["status"], "Failed");
    assert_eq!(world.jobs().await.dead, 1, "kept for somebody to look at");
    world.no_documents().await;
}

#[tokio::test]
async fn a_workflow_that_was_deleted_meanwhile_ends_its_runs() {
    let world = World::idle().await;
    let id = world.accepted(Form::invoice(1)).await;
    let sql = "DELETE FROM workflow_versions WHERE workflow_id = $1";
    let (db, workflow) = (world.test.app.db(), &world.deployment.workflow);
    db.write::<_, keydock_storage::db::Error>(async |tx| tx.execute(sql, args![workflow]).await)
        .await
        .unwrap();
    world.test.work();
    let read = world.outcome(&id).await;
    assert_eq!((read.status.as_u16(), &read.body["status"]), (422, &"ERROR".into()));
    world.no_documents().await;
}

#[tokio::test]
async fn documents_that_a_killed_server_received_are_deleted_after_a_day() {
    let world = World::idle().await;
    world.accepted(Form::invoice(1)).await;
    let folder = world.test.app.config().blobs().join("1/7f");
    std::fs::create_dir_all(&folder).unwrap();
    let lost =
        folder.join(format!("{}.{}", "0198c3f2-a7c8-7b0e-8f1d-2c3b4a59687f", uuid::Uuid::nil()));
    let fresh =
        folder.join(format!("{}.{}", "0198c3f2-a7c8-7b0e-8f1d-2c3b4a59687f", uuid::Uuid::max()));
    std::fs::write(&lost, "x").unwrap();
    std::fs::write(&fresh, "x").unwrap();
    let yesterday = std::fs::File::options().write(true).open(&lost).unwrap();
    let day = Duration::from_hours(25);
    let now = std::fs::metadata(&lost).unwrap().modified().unwrap();
    yesterday.set_modified(now - day).unwrap();
    world.test.work();
    world.until("the old one is gone", async || !lost.exists()).await;
    assert!(fresh.exists(), "it may be of an upload that is under way");
}

#[tokio::test]
async fn who_waits_on_another_node_is_told_too() {
    let world = World::idle().await;
    let other_node = sibling(&world.test.app, world.test.app.sandbox().clone()).await;
    let _workers = workers(&other_node);
    let items = world.items(Form::invoice(1)).await;
    assert_eq!(items[0]["status"], "Success");
}
