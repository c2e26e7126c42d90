//! The walls around the reader of pictures, tried from inside: this program takes its place and
//! tells as the words of a picture what it could do.

use std::{
    fs::File,
    io::{Read, Write},
    net::{TcpListener, TcpStream, UdpSocket},
    process::{Command, ExitCode},
    thread,
};

use keydock_engine::Error;
use libtest_mimic::Trial;

use super::{patient, read, trial};

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        trial("the_reader_of_pictures_can_do_nothing_else", nothing_else),
        trial("a_reader_of_pictures_that_fails_fails_alone", fails_alone),
    ]
}

/// Whether this process was started in the place of Tesseract.
pub(crate) fn is_reader_of_pictures() -> bool {
    std::env::args().nth(1).as_deref() == Some("stdin")
}

/// Tries everything, and writes what could be done as a table of words.
pub(crate) fn reader_of_pictures() -> ExitCode {
    let mut picture = Vec::new();
    std::io::stdin().read_to_end(&mut picture).unwrap();
    if picture.starts_with(b"P5\n64 ") {
        return ExitCode::FAILURE;
    }
    let here = std::env::current_exe().unwrap_or_default();
    let beside = here.with_extension("escaped");
    let tried = [
        ("passwords", File::open("/etc/passwd").is_ok()),
        ("processes", File::open("/proc/1/cmdline").is_ok() || std::fs::read_dir("/proc").is_ok()),
        ("folder", here.parent().is_some_and(|folder| std::fs::read_dir(folder).is_ok())),
        ("write", File::create(beside).is_ok() || File::create("/tmp/keydock-escaped").is_ok()),
        ("listen", TcpListener::bind("127.0.0.1:0").is_ok()),
        ("connect", TcpStream::connect("127.0.0.1:22").is_ok()),
        ("packet", UdpSocket::bind("127.0.0.1:0").is_ok()),
        ("program", Command::new("/usr/bin/true").status().is_ok_and(|it| it.success())),
        ("thread", thread::Builder::new().spawn(|| ()).is_ok()),
        ("environment", std::env::vars().any(|(name, _)| name == "HOME" || name == "PATH")),
        ("system", File::open("/usr/bin/env").is_ok()),
    ];
    let mut table = String::from("level\tpage\n");
    for (index, (what, was_possible)) in tried.iter().enumerate() {
        let verb = if *was_possible { "can" } else { "cannot" };
        let top = index * 40;
        table.push_str(&format!("5\t1\t1\t1\t{index}\t1\t10\t{top}\t100\t20\t90\t{what}:{verb}\n"));
    }
    let is_told = std::io::stdout().write_all(table.as_bytes()).is_ok();
    if is_told { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// A BMP of one colour.
fn picture(width: u32, height: u32) -> Vec<u8> {
    let image = image::DynamicImage::ImageLuma8(image::GrayImage::new(width, height));
    let mut bytes = std::io::Cursor::new(Vec::new());
    image.write_to(&mut bytes, image::ImageFormat::Bmp).unwrap();
    bytes.into_inner()
}

/// Proves UPL-01 for the program that reads pictures.
async fn nothing_else() {
    let sandbox = patient().with_reader_of_pictures(std::env::current_exe().unwrap());
    let found = read(&sandbox, &picture(4_000, 60), "").await.unwrap();
    let said: Vec<&str> = found.text.split_whitespace().collect();
    assert_eq!(said.len(), 11, "{said:?}");
    for word in said {
        let is_right = if word.starts_with("system") { "can" } else { "cannot" };
        assert!(word.ends_with(&format!(":{is_right}")), "{word}");
    }
}

async fn fails_alone() {
    let sandbox = patient().with_reader_of_pictures(std::env::current_exe().unwrap());
    // This one is made larger before it is shown.
    let failed = read(&sandbox, &picture(32, 32), "").await;
    assert!(matches!(failed, Err(Error::PictureUnread { .. })), "{failed:?}");
    assert!(read(&sandbox, &picture(4_000, 60), "").await.is_ok(), "and the next is read");
}
