//! Documents on their way in.

use std::{io, time::Duration};

use axum::{
    body::{Body, Bytes},
    http::header,
};
use futures_util::{StreamExt as _, stream};
use keydock_server::config::Settings;

use crate::world::{Form, World, invoice, request};

async fn small() -> World {
    World::with(Settings { upload_limit_mb: Some(1), ..Settings::default() }).await
}

#[tokio::test]
async fn what_is_too_large_is_refused_and_leaves_nothing() {
    let world = small().await;
    let large = vec![b'x'; 700 * 1024];
    let answer = world.submit(Form::default().file("a.txt", &large).file("b.txt", &large)).await;
    assert_eq!(answer.status, 413, "{}", answer.text);
    assert_eq!(answer.body["type"], "client_error");
    assert_eq!(answer.code(), "too_large");
    assert_eq!((world.executions().await, world.documents()), (0, 0));
    world.accepted(Form::default().file("a.txt", &large)).await;
}

#[tokio::test]
async fn what_says_that_it_is_too_large_is_not_read() {
    let world = small().await;
    let body = Body::from_stream(stream::pending::<Result<Bytes, io::Error>>());
    let mut request = request(&world.deployment.path, body);
    request.headers_mut().insert(header::CONTENT_LENGTH, "3000000".parse().unwrap());
    let answer = world.caller().request(request).await;
    assert_eq!(answer.status, 413, "{}", answer.text);
}

#[tokio::test]
async fn text_is_bounded_too() {
    let world = small().await;
    let long = "x".repeat(70_000);
    let answer = world.submit(Form::invoice(1).field("custom_data", &long)).await;
    assert_eq!(answer.status, 400, "{}", answer.text);
    assert_eq!(answer.body["errors"][0]["code"], "max_length");
    let endless = format!("form-data; name=\"{}\"", "x".repeat(100_000));
    let answer = world.submit(Form::default().part(&endless, None, b"")).await;
    assert_eq!(answer.status, 400, "{}", answer.text);
    assert_eq!(answer.body["errors"][0]["code"], "parse_error");
    let parts = (0..1_001).fold(Form::default(), |form, _| form.field("x", ""));
    assert_eq!(world.submit(parts).await.status, 400);
    assert_eq!(world.documents(), 0);
}

#[tokio::test]
async fn an_upload_that_breaks_off_leaves_nothing() {
    let world = World::idle().await;
    let begun = Form::invoice(1).file("b.txt", invoice(2)).begun();
    for cut in [0, 50, 150, begun.len() - 10, begun.len()] {
        let pieces: Vec<Result<Bytes, io::Error>> =
            vec![Ok(Bytes::copy_from_slice(&begun[..cut])), Err(io::Error::other("gone"))];
        let body = Body::from_stream(stream::iter(pieces));
        let answer = world.caller().request(request(&world.deployment.path, body)).await;
        assert_eq!(answer.status, 400, "{cut}: {}", answer.text);
        assert_eq!((world.executions().await, world.documents()), (0, 0), "{cut}");
        let body = Body::from(begun[..cut].to_vec());
        let answer = world.caller().request(request(&world.deployment.path, body)).await;
        assert_eq!(answer.status, 400, "{cut}: {}", answer.text);
        assert_eq!((world.executions().await, world.documents()), (0, 0), "{cut}");
    }
}

#[tokio::test]
async fn a_client_that_leaves_in_the_middle_leaves_nothing() {
    let world = World::idle().await;
    let begun = Form::invoice(1).file("b.txt", invoice(2)).begun();
    let pieces: Vec<Result<Bytes, io::Error>> = begun[..begun.len() - 10]
        .chunks(50)
        .map(|piece| Ok(Bytes::copy_from_slice(piece)))
        .collect();
    let body = Body::from_stream(stream::iter(pieces).chain(stream::pending()));
    let (caller, request) = (world.caller(), request(&world.deployment.path, body));
    let upload = tokio::spawn(async move { caller.request(request).await.status });
    world.until("the first document is stored", async || world.documents() == 2).await;
    tokio::time::sleep(Duration::from_millis(100)).await;
    upload.abort();
    world.no_documents().await;
    assert_eq!(world.executions().await, 0);
}

#[tokio::test]
async fn large_documents_pass_through() {
    let world = World::working().await;
    let document =
        format!("{}{}", invoice(1), "All work and no play makes a dull text.\n".repeat(50_000));
    let form = Form::default().file("large.txt", &document).field("timeout", "60");
    let answer = world.submit(form).await;
    assert_eq!(answer.status, 200, "{}", answer.text.chars().take(500).collect::<String>());
    world.no_documents().await;
}

/// Proves UPL-04.
#[tokio::test]
async fn the_name_of_a_document_is_never_a_path() {
    let world = World::working().await;
    let names = [
        ("../../../etc/passwd", "passwd"),
        ("/etc/cron.d/x", "x"),
        ("C:\\\\Windows\\\\win.ini", "win.ini"),
        ("..", "document"),
        ("a\u{202e}b.txt", "ab.txt"),
    ];
    let form = names.iter().enumerate().fold(Form::default(), |form, (n, (name, _))| {
        form.file(name, invoice(u32::try_from(n).unwrap()))
    });
    let items = world.items(form).await;
    let shown: Vec<_> = items.iter().map(|item| item["file"].as_str().unwrap()).collect();
    assert_eq!(shown, names.map(|(_, shown)| shown));
    assert!(!world.test.data().join("passwd").exists());
}
