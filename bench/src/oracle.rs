//! Requests for what is absent, foreign or forbidden, in turns: bytes and times of their answers
//! (VER-02).

use std::{
    fs,
    io::{Read as _, Write as _},
    net::{Ipv4Addr, SocketAddr, TcpStream},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail, ensure};
use keydock_server::{bootstrap, jobs, web};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::{
    keys, machine,
    statistics::kolmogorov_smirnov,
    timing::{Random, nanoseconds},
};

/// Distributions that are farther apart are said to differ.
const APART: f64 = 0.05;

const PASSWORD: &str = "a password to compare by";
const DEFINITION: &str = "fields: [{key: total, type: number, rule: {label: Total}}]";

/// Two requests that must not be told apart.
struct Pair {
    name: &'static str,
    headers: String,
    absent: String,
    present: String,
}

/// An answer, taken apart as far as needed.
struct Answer {
    status: u16,
    head: String,
    body: String,
}

/// The credentials that a first start makes.
struct First {
    org: String,
    admin: String,
    password: String,
    platform_key: String,
}

/// A connection.
struct Wire {
    stream: TcpStream,
    headers: String,
}

/// Sends so many of each pair. Tells whether none of them can be told apart.
pub(crate) fn compare(count: usize) -> Result<bool> {
    let folder = tempfile::tempdir()?;
    let (address, first) = serve(folder.path())?;
    let pairs = prepare(address, &first)?;
    println!("Answers: distance of the distributions (KS) over {count} of each, and bytes");
    let mut is_well = true;
    for pair in pairs {
        let mut wire = Wire::to(address, &pair.headers)?;
        let mut random = Random(0x2545_f491_4f6c_dd1d);
        let (mut absent, mut present) = (Vec::new(), Vec::new());
        let mut different = 0;
        for asked in 0..count + count / 20 {
            // Each of the two comes first as often as the other.
            let absent_first = random.coin();
            let paths = if absent_first {
                [&pair.absent, &pair.present]
            } else {
                [&pair.present, &pair.absent]
            };
            let (first, first_took) = wire.timed(paths[0])?;
            let (second, second_took) = wire.timed(paths[1])?;
            different += usize::from(first.without_id() != second.without_id());
            if asked >= count / 20 {
                let took = if absent_first {
                    (first_took, second_took)
                } else {
                    (second_took, first_took)
                };
                absent.push(nanoseconds(took.0));
                present.push(nanoseconds(took.1));
            }
        }
        let apart = kolmogorov_smirnov(&absent, &present);
        let good = apart <= APART && different == 0;
        is_well &= good;
        let word = if good { "no difference" } else { "DIFFERENT" };
        println!("  {:<58} D {apart:>9.4}  {different} different  {word}", pair.name);
    }
    Ok(is_well)
}

/// A whole server, in a thread of its own, and its first credentials.
fn serve(data: &std::path::Path) -> Result<(SocketAddr, First)> {
    let runtime = machine::runtime()?;
    let data = data.to_owned();
    let (listener, app, credentials) = runtime.block_on(async {
        let app = keys::open(&data).await?;
        let first = bootstrap::first_start(&app).await?.context("the folder is new")?;
        let credentials = fs::read_to_string(first.credentials)?;
        app.keyring().catch_up(app.db()).await?;
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        Ok::<_, anyhow::Error>((listener, app, credentials))
    })?;
    let address = listener.local_addr()?;
    thread::spawn(move || {
        runtime.block_on(async {
            tokio::spawn(jobs::start(app.clone(), CancellationToken::new()));
            let service = web::edge(&app, app.router());
            web::serve::serve(listener, service, std::future::pending()).await;
        });
    });
    let line = |name: &str| {
        let found = credentials.lines().find_map(|line| line.strip_prefix(name));
        found.map(ToOwned::to_owned).with_context(|| format!("no {name} in the first credentials"))
    };
    let first = First {
        org: line("ORGANIZATION=")?,
        admin: line("ADMIN_USER=")?,
        password: line("ADMIN_PASSWORD=")?,
        platform_key: line("PLATFORM_KEY=")?,
    };
    Ok((address, first))
}

/// What there is to be asked for, and by whom.
fn prepare(address: SocketAddr, first: &First) -> Result<Vec<Pair>> {
    let First { org, platform_key, .. } = first;
    let admin = sign_in(address, &first.admin, &first.password)?;
    let mut wire = Wire::to(address, &admin)?;
    wire.post(&format!("/api/v1/organization/{org}/set"), &json!({}))?;
    let tenant = format!("/api/v1/unstract/{org}/");
    let workflow = json!({"workflow_name": "theirs", "definition": DEFINITION});
    let forbidden = wire.post(&format!("{tenant}workflow/"), &workflow)?;
    let added = wire.post(&format!("{tenant}users/"), &json!({"email": "uma@test.example"}))?;
    let founded = json!({"name": "globex", "display_name": "globex", "organization_id": "globex"});
    let founded = wire.post("/api/v1/organization/create", &founded)?;
    let foreign_key = text(&founded, "/tenant/platform_key")?;
    let mut theirs = Wire::to(address, &bearer(&foreign_key))?;
    let foreign = theirs.post("/api/v1/unstract/globex/workflow/", &workflow)?;
    let initial = text(&added, "/initial_password")?;
    let member = sign_in(address, "uma@test.example", &initial)?;
    let changed = json!({"current_password": initial, "new_password": PASSWORD});
    Wire::to(address, &member)?.post("/api/v1/password", &changed)?;
    let member = sign_in(address, "uma@test.example", PASSWORD)?;
    Wire::to(address, &member)?.post(&format!("/api/v1/organization/{org}/set"), &json!({}))?;
    let nothing = "019b76da-a827-7000-8000-9f87011f6eb3";
    let one = |id: &str| format!("{tenant}workflow/{id}/");
    Ok(vec![
        Pair {
            name: "a workflow that is absent, one of another organization",
            headers: bearer(platform_key),
            absent: one(nothing),
            present: one(&text(&foreign, "/id")?),
        },
        Pair {
            name: "a workflow that is absent, one that is somebody else's",
            headers: member,
            absent: one(nothing),
            present: one(&text(&forbidden, "/id")?),
        },
        Pair {
            name: "an organization that is absent, one that is not the key's",
            headers: bearer(platform_key),
            absent: "/api/v1/unstract/nobody/users/".to_owned(),
            present: "/api/v1/unstract/globex/users/".to_owned(),
        },
    ])
}

fn bearer(key: &str) -> String {
    format!("authorization: Bearer {key}\r\n")
}

/// The headers of somebody signed in.
fn sign_in(address: SocketAddr, name: &str, password: &str) -> Result<String> {
    let body = json!({"username": name, "password": password}).to_string();
    let answer = Wire::to(address, "")?.ask("POST", "/api/v1/login", &body)?;
    ensure!(answer.status == 200, "{}", answer.body);
    let cookie = |name: &str| {
        let found = answer.head.lines().find_map(|line| {
            let (header, value) = line.split_once(": ")?;
            let value = header.eq_ignore_ascii_case("set-cookie").then_some(value)?;
            value.strip_prefix(name)?.strip_prefix('=')?.split(';').next()
        });
        found.map(ToOwned::to_owned).with_context(|| format!("no cookie {name}"))
    };
    let (session, token) = (cookie("sessionid")?, cookie("csrftoken")?);
    Ok(format!("cookie: sessionid={session}; csrftoken={token}\r\nx-csrftoken: {token}\r\n"))
}

fn text(answer: &Value, place: &str) -> Result<String> {
    let found = answer.pointer(place).and_then(Value::as_str);
    found.map(ToOwned::to_owned).with_context(|| format!("no {place} in {answer}"))
}

impl Answer {
    /// Everything but what differs from request to request.
    fn without_id(&self) -> String {
        let varies = |line: &&str| {
            let name = line.split(':').next().unwrap_or_default().to_ascii_lowercase();
            name == "x-request-id" || name == "date"
        };
        let header = |line: &str| line.to_ascii_lowercase().starts_with("x-request-id:");
        let id = self.head.lines().find(|line| header(line)).and_then(|line| line.split_once(": "));
        let head: Vec<&str> = self.head.lines().filter(|line| !varies(line)).collect();
        let body = id.map_or(self.body.clone(), |(_, id)| self.body.replace(id, ""));
        format!("{}\n\n{body}", head.join("\n"))
    }
}

impl Wire {
    fn to(address: SocketAddr, headers: &str) -> Result<Self> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(Duration::from_secs(30)))?;
        Ok(Self { stream, headers: headers.to_owned() })
    }

    fn timed(&mut self, path: &str) -> Result<(Answer, Duration)> {
        let began = Instant::now();
        let answer = self.ask("GET", path, "")?;
        Ok((answer, began.elapsed()))
    }

    fn post(&mut self, path: &str, body: &Value) -> Result<Value> {
        let answer = self.ask("POST", path, &body.to_string())?;
        ensure!((200..300).contains(&answer.status), "{path}: {} {}", answer.status, answer.body);
        Ok(serde_json::from_str(&answer.body).unwrap_or_default())
    }

    fn ask(&mut self, method: &str, path: &str, body: &str) -> Result<Answer> {
        let head = format!(
            "{method} {path} HTTP/1.1\r\nhost: localhost\r\n{}content-type: \
             application/json\r\ncontent-length: {}\r\n\r\n{body}",
            self.headers,
            body.len()
        );
        self.stream.write_all(head.as_bytes())?;
        let mut read = Vec::new();
        let mut some = [0; 16 * 1024];
        loop {
            let length = self.stream.read(&mut some)?;
            ensure!(length > 0, "the connection ended");
            read.extend_from_slice(&some[..length]);
            if let Some(answer) = whole(&read)? {
                return Ok(answer);
            }
        }
    }
}

/// The answer, once all of it is there.
fn whole(read: &[u8]) -> Result<Option<Answer>> {
    let text = String::from_utf8_lossy(read);
    let Some((head, body)) = text.split_once("\r\n\r\n") else { return Ok(None) };
    let length = head.lines().find_map(|line| {
        let (name, value) = line.split_once(": ")?;
        name.eq_ignore_ascii_case("content-length").then(|| value.parse::<usize>().ok())?
    });
    let Some(length) = length else { bail!("an answer does not say how long it is: {head}") };
    if body.len() < length {
        return Ok(None);
    }
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
    let status = status.context("an answer has no status")?;
    Ok(Some(Answer { status, head: head.to_owned(), body: body.to_owned() }))
}
