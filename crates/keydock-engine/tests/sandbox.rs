//! The walls of the sandbox, tried from inside. This program is its own child, and its documents
//! tell it by their names what to try.

#![expect(clippy::unwrap_used, reason = "a test may fail loudly")]

use std::{
    fs::File,
    hint::black_box,
    net::{TcpListener, UdpSocket},
    process::{Command, ExitCode},
    thread,
    time::{Duration, Instant},
};

use keydock_engine::{
    Error, Extraction,
    sandbox::{Job, Limits, Sandbox},
};
use libtest_mimic::Trial;
use rustix::process::Pid;

use self::harness::{LIMITS, definition, read, trial};

mod harness;

fn main() -> ExitCode {
    harness::main(attempt, trials)
}

fn trials() -> Vec<Trial> {
    vec![
        trial("a_good_document_is_read", a_good_document_is_read),
        trial("nothing_but_computing_is_allowed", nothing_but_computing_is_allowed),
        trial("a_hang_is_cut_at_the_deadline", a_hang_is_cut_at_the_deadline),
        trial("endless_computing_is_ended_by_the_kernel", endless_computing_is_ended),
        trial("a_memory_bomb_finds_no_memory", a_memory_bomb_finds_no_memory),
        trial("an_answer_without_end_is_not_listened_to", an_answer_without_end),
        trial("a_crash_is_told_with_its_signal", a_crash_is_told_with_its_signal),
        trial("a_panic_is_a_damaged_document", a_panic_is_a_damaged_document),
        trial("a_child_that_talks_nonsense_is_not_believed", nonsense_is_not_believed),
        trial("the_child_inherits_nothing", the_child_inherits_nothing),
        trial("a_document_that_breaks_off_is_told_so", a_document_that_breaks_off),
        trial("a_document_that_is_too_large_is_not_begun", a_document_that_is_too_large),
        trial("documents_wait_for_a_place", documents_wait_for_a_place),
        trial("a_program_that_is_no_reader_is_found_out", no_reader),
    ]
}

/// What the child does, by the name of its document.
fn attempt(job: &Job) -> Result<Extraction, Error> {
    match job.name.as_str() {
        "open a file" => done(File::open("/etc/hostname").is_ok()),
        "write a file" => done(File::create("/tmp/keydock-escaped").is_ok()),
        "list a folder" => done(std::fs::read_dir("/").is_ok()),
        "listen" => done(TcpListener::bind("127.0.0.1:0").is_ok()),
        "send a packet" => done(UdpSocket::bind("127.0.0.1:0").is_ok()),
        "start a program" => done(Command::new("/bin/true").status().is_ok()),
        "start a thread" => done(thread::spawn(|| ()).join().is_ok()),
        // Not even asking whether a process is there, let alone ending it.
        "signal a process" => done(rustix::process::test_kill_process(Pid::INIT).is_ok()),
        "hang" => loop {
            thread::sleep(Duration::from_secs(1));
        },
        "compute" => loop {
            black_box(1);
        },
        "take memory" => done(vec![1_u8; 1 << 30].iter().map(|it| u64::from(*it)).sum::<u64>() > 0),
        "take memory slowly" => {
            let mut taken: Vec<Vec<u8>> = Vec::new();
            loop {
                taken.push(vec![1; 1 << 16]);
                black_box(&taken);
            }
        }
        "talk" => loop {
            say(&[b'x'; 4096]);
        },
        "talk nonsense" => {
            say(b"{\"Ok\": ");
            std::process::exit(0);
        }
        "abort" => std::process::abort(),
        "overflow the stack" => done(deep(0) > 0),
        "panic" => panic!("as asked"),
        "look around" => {
            let environment: Vec<String> = std::env::vars().map(|(name, _)| name).collect();
            Err(Error::Damaged { reason: environment.join(",") })
        }
        _ => job.extract(),
    }
}

fn done(is_done: bool) -> Result<Extraction, Error> {
    Err(Error::Damaged { reason: format!("it came back with {is_done}") })
}

fn say(bytes: &[u8]) {
    use std::io::Write as _;
    let _ = std::io::stdout().write_all(bytes);
    let _ = std::io::stdout().flush();
}

#[expect(unconditional_recursion, reason = "that is the attempt")]
fn deep(depth: u64) -> u64 {
    let block = black_box([depth; 64]);
    deep(depth + 1) + block[7]
}

fn sandbox(limits: Limits) -> Sandbox {
    Sandbox::new(limits).unwrap()
}

async fn try_to(what: &str) -> Result<Extraction, Error> {
    read(&sandbox(LIMITS), b"bytes", what).await
}

async fn a_good_document_is_read() {
    let invoice = include_bytes!("../../../examples/invoices/invoice.pdf");
    let read = read(&sandbox(LIMITS), invoice, "invoice.pdf").await.unwrap();
    assert_eq!(read.output["number"], "NW-2026-00417");
    assert_eq!(read.output["total"]["amount"], "1845.60");
    let direct = keydock_engine::extract(invoice, "invoice.pdf", None, &definition()).unwrap();
    assert_eq!(read, direct, "the walls change nothing");
}

/// Proves UPL-01.
async fn nothing_but_computing_is_allowed() {
    for what in [
        "open a file",
        "write a file",
        "list a folder",
        "listen",
        "send a packet",
        "start a program",
        "start a thread",
        "signal a process",
    ] {
        assert_eq!(try_to(what).await, Err(Error::Forbidden), "{what}");
    }
}

/// Proves UPL-01.
async fn a_hang_is_cut_at_the_deadline() {
    let start = Instant::now();
    let sandbox = sandbox(Limits { wall_seconds: 1, ..LIMITS });
    assert_eq!(read(&sandbox, b"bytes", "hang").await, Err(Error::TimedOut { seconds: 1 }));
    assert!(start.elapsed() < Duration::from_secs(3));
}

/// Proves UPL-01.
async fn endless_computing_is_ended() {
    let sandbox = sandbox(Limits { cpu_seconds: 1, ..LIMITS });
    assert_eq!(read(&sandbox, b"bytes", "compute").await, Err(Error::TimedOut { seconds: 1 }));
}

/// Proves UPL-01.
async fn a_memory_bomb_finds_no_memory() {
    let expected = Error::OutOfMemory { bytes: LIMITS.memory_bytes };
    for what in ["take memory", "take memory slowly"] {
        assert_eq!(try_to(what).await, Err(expected.clone()), "{what}");
    }
    assert_eq!(
        expected.to_string(),
        "the document could not be read: it needed more than 160 MiB of memory"
    );
}

async fn an_answer_without_end() {
    let expected = Error::OutputTooLarge { bytes: LIMITS.output_bytes };
    assert_eq!(try_to("talk").await, Err(expected));
}

async fn a_crash_is_told_with_its_signal() {
    for what in ["abort", "overflow the stack"] {
        let error = try_to(what).await.unwrap_err();
        assert!(matches!(error, Error::Crashed { signal: Some(6 | 11) }), "{what}: {error:?}");
    }
}

async fn a_panic_is_a_damaged_document() {
    let error = try_to("panic").await.unwrap_err();
    assert!(matches!(error, Error::Damaged { .. }), "{error:?}");
}

async fn nonsense_is_not_believed() {
    assert_eq!(try_to("talk nonsense").await, Err(Error::Crashed { signal: None }));
}

async fn the_child_inherits_nothing() {
    let expected = Error::Damaged { reason: "MIMALLOC_ARENA_EAGER_COMMIT".to_owned() };
    assert_eq!(try_to("look around").await, Err(expected));
}

async fn a_document_that_breaks_off() {
    let sandbox = sandbox(LIMITS);
    let read = sandbox.extract(&b"half"[..], 8, "a.txt", None, &definition()).await;
    let reason = "it ended after 4 of 8 bytes".to_owned();
    assert_eq!(read, Err(Error::Incomplete { reason }));
}

async fn a_document_that_is_too_large() {
    let sandbox = sandbox(Limits { document_bytes: 10, ..LIMITS });
    let read = sandbox.extract(tokio::io::empty(), 11, "a.txt", None, &definition()).await;
    assert_eq!(read, Err(Error::TooLarge { bytes: 11, max: 10 }));
}

async fn documents_wait_for_a_place() {
    let sandbox = sandbox(Limits { parallel: 1, ..LIMITS });
    let definition = definition();
    let read = || sandbox.extract(&b"Total: 5"[..], 8, "a.txt", None, &definition);
    let (first, second, third) = tokio::join!(read(), read(), read());
    for read in [first, second, third] {
        assert_eq!(read.unwrap().output["total"]["amount"], "5");
    }
}

async fn no_reader() {
    let sandbox = Sandbox::with_program("/bin/cat".into(), LIMITS).unwrap();
    let error = read(&sandbox, b"bytes", "a.txt").await.unwrap_err();
    assert!(matches!(error, Error::Crashed { .. }), "{error:?}");
    let sandbox = Sandbox::with_program("/nowhere".into(), LIMITS).unwrap();
    let error = read(&sandbox, b"bytes", "a.txt").await.unwrap_err();
    assert!(matches!(error, Error::Unavailable { .. }), "{error:?}");
}
