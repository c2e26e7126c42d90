//! Runs of a deployment from outside.

use std::time::Duration;

use anyhow::{Context as _, Result};
use futures_util::future::try_join_all;
use keydock_e2e::{File, ORG, Server, Setup, TOTALS, program, total};
use reqwest::Method;
use serde_json::{Value, json};

const PATIENCE: Duration = Duration::from_mins(1);

/// The totals in the items of an answer.
fn totals(items: &Value) -> Vec<Value> {
    let items = items.as_array().into_iter().flatten();
    items.map(|item| item["result"]["output"]["total"].clone()).collect()
}

#[tokio::test]
async fn the_sample_invoice_is_read() -> Result<()> {
    let server = Server::fresh().await?;
    let sample = |name: &str| program::repository().join("examples/invoices").join(name);
    let definition = std::fs::read_to_string(sample("definition.yaml"))?;
    let caller = server.key(&server.publish("invoices", &definition).await?)?;
    let invoice = File::pdf("invoice.pdf", std::fs::read(sample("invoice.pdf"))?);

    let answer = caller
        .submit(ORG, "invoices", std::slice::from_ref(&invoice), &[("timeout", "60")])
        .await?
        .expect(200)?;
    let message = &answer.body["message"];
    assert_eq!(message["execution_status"], "COMPLETED", "{}", answer.text);
    let output = &message["result"][0]["result"]["output"];
    assert!(output["invoice_number"].is_string(), "{output}");
    assert!(!output["total"].is_null(), "{output}");

    let run = caller.accept(ORG, "invoices", invoice).await?;
    let polled = caller.wait(ORG, "invoices", &run, PATIENCE).await?.expect(200)?;
    assert_eq!(polled.body["message"][0]["result"]["output"], *output);
    let again = caller.poll(ORG, "invoices", &run).await?;
    assert_eq!(
        (again.status, &again.body["message"]),
        (406, &json!("Result already acknowledged"))
    );
    Ok(())
}

#[tokio::test]
async fn a_run_is_only_for_its_own_deployment() -> Result<()> {
    let server = Server::fresh().await?;
    let ours = server.key(&server.publish("ours", TOTALS).await?)?;
    let theirs = server.key(&server.publish("theirs", TOTALS).await?)?;
    let run = ours.accept(ORG, "ours", File::text("a.txt", total(7))).await?;

    for _ in 0..20 {
        let foreign = theirs.poll(ORG, "theirs", &run).await?;
        assert_eq!(foreign.status, 404, "{}", foreign.text);
        assert_eq!(theirs.poll(ORG, "ours", &run).await?.status, 401);
    }
    let answer = ours.wait(ORG, "ours", &run, PATIENCE).await?.expect(200)?;
    assert_eq!(totals(&answer.body["message"]), [json!(7)]);
    Ok(())
}

#[tokio::test]
async fn files_of_one_name_are_told_apart() -> Result<()> {
    let server = Server::fresh().await?;
    let caller = server.key(&server.publish("totals", TOTALS).await?)?;
    let files = [File::text("a.pdf", total(1)), File::text("a.pdf", total(2))];
    let answer = caller.submit(ORG, "totals", &files, &[("timeout", "60")]).await?.expect(200)?;
    let items = &answer.body["message"]["result"];
    assert_eq!(totals(items), [json!(1), json!(2)], "{}", answer.text);
    assert!(items.as_array().into_iter().flatten().all(|item| item["file"] == "a.pdf"));
    Ok(())
}

#[tokio::test]
async fn runs_over_the_limit_are_told_to_wait_and_places_come_back() -> Result<()> {
    let setup = Setup::default().env("KEYDOCK_ORG_EXECUTIONS", "3").env("KEYDOCK_WORKERS", "1");
    let server = setup.start().await?;
    let caller = server.key(&server.publish("totals", TOTALS).await?)?;

    // Refused for what they say; they must not take a place for ever.
    for _ in 0..6 {
        let files = [File::text("a.txt", total(1))];
        let refused = caller.submit(ORG, "totals", &files, &[("timeout", "999")]).await?;
        assert_eq!(refused.status, 400, "{}", refused.text);
    }
    let many = |run: u64| -> Vec<File> {
        (0..16).map(|n| File::text(&format!("{n}.txt"), total(run * 100 + n))).collect()
    };
    let all = (0..20).map(|run| {
        let (caller, files) = (caller.clone(), many(run));
        async move { caller.submit(ORG, "totals", &files, &[]).await }
    });
    let answers = try_join_all(all).await?;
    let mut accepted = Vec::new();
    let mut refused = 0;
    for answer in &answers {
        match answer.status {
            200 => accepted.push(answer.text_at("/message/execution_id")?),
            429 => {
                refused += 1;
                let seconds: u64 = answer.header("retry-after").parse().context("Retry-After")?;
                assert!(seconds > 0);
                assert!(answer.text_at("/errors/0/detail")?.contains("maximum"), "{}", answer.text);
            }
            _ => return Err(answer.unexpected()),
        }
    }
    assert!(accepted.len() >= 3 && refused > 0, "{} accepted, {refused} not", accepted.len());
    for run in &accepted {
        let over = caller.wait(ORG, "totals", run, PATIENCE).await?.expect(200)?;
        assert_eq!(totals(&over.body["message"]).len(), 16);
    }
    let after = try_join_all((0..3).map(|n| {
        let (caller, file) = (caller.clone(), File::text("a.txt", total(n)));
        async move { caller.accept(ORG, "totals", file).await }
    }));
    assert_eq!(after.await?.len(), 3);
    Ok(())
}

#[tokio::test]
async fn what_a_client_accepts_does_not_matter_and_nothing_is_redirected() -> Result<()> {
    let server = Server::fresh().await?;
    let key = server.publish("totals", TOTALS).await?;
    let caller = server.key(&key)?;
    let run = caller.accept(ORG, "totals", File::text("a.txt", total(3))).await?;
    loop {
        let path = format!("/deployment/api/{ORG}/totals?execution_id={run}");
        let request = caller.request(Method::GET, &path).header("accept", "text/html");
        let answer = caller.answer(request).await?;
        match answer.status {
            422 => tokio::time::sleep(Duration::from_millis(25)).await,
            _ => break assert_eq!(answer.status, 200, "{}", answer.text),
        }
    }

    // Without the slash at the end, and with the body arriving.
    let request = caller.request(Method::POST, &format!("/deployment/api/{ORG}/totals"));
    let form = reqwest::multipart::Form::new()
        .text("timeout", "60")
        .part("files", reqwest::multipart::Part::bytes(total(4)).file_name("a.txt"));
    let answer = caller.answer(request.multipart(form)).await?.expect(200)?;
    assert_eq!(totals(&answer.body["message"]["result"]), [json!(4)], "{}", answer.text);

    let admin = server.admin().await?;
    let path = format!("/api/v1/unstract/{ORG}/platform/keys");
    assert_eq!(admin.post(&path, json!({"is_active": false})).await?.status, 201);
    Ok(())
}

/// Proves EXE-03 and DUR-01 for one crash.
#[tokio::test]
async fn a_run_survives_the_server() -> Result<()> {
    let setup = Setup::default().env("KEYDOCK_WORKERS", "1");
    let mut server = setup.start().await?;
    let caller = server.key(&server.publish("totals", TOTALS).await?)?;
    let mut runs = Vec::new();
    for number in 0..8 {
        runs.push(caller.accept(ORG, "totals", File::text("a.txt", total(number))).await?);
    }
    server.kill()?;
    server.start().await?;
    for (number, run) in runs.iter().enumerate() {
        let over = caller.wait(ORG, "totals", run, PATIENCE).await?.expect(200)?;
        assert_eq!(totals(&over.body["message"]), [json!(number)], "{}", over.text);
    }

    // And an orderly end between submitting and asking.
    let run = caller.accept(ORG, "totals", File::text("a.txt", total(99))).await?;
    assert!(server.terminate().await?.success());
    server.start().await?;
    let over = caller.wait(ORG, "totals", &run, PATIENCE).await?.expect(200)?;
    assert_eq!(totals(&over.body["message"]), [json!(99)]);
    assert_eq!(caller.poll(ORG, "totals", &run).await?.status, 406);
    Ok(())
}

#[tokio::test]
async fn one_bad_file_does_not_sink_the_others() -> Result<()> {
    let server = Server::fresh().await?;
    let caller = server.key(&server.publish("totals", TOTALS).await?)?;
    let files = [
        File::text("good.txt", total(1)),
        File::pdf("broken.pdf", b"%PDF-1.7\nthis is not one".to_vec()),
        File::text("also-good.txt", total(2)),
    ];
    let answer = caller.submit(ORG, "totals", &files, &[("timeout", "60")]).await?.expect(200)?;
    let items = answer.body["message"]["result"].as_array().context("items")?;
    let statuses: Vec<_> = items.iter().map(|item| item["status"].as_str()).collect();
    assert_eq!(statuses, [Some("Success"), Some("Failed"), Some("Success")], "{}", answer.text);
    assert!(items[1]["error"].as_str().is_some_and(|error| !error.is_empty()));
    Ok(())
}
