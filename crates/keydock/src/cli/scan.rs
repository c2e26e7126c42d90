//! `keydock scan`

use std::{
    fs::File,
    io::{Read, stdin},
    path::{Path, PathBuf},
};

use clap::Args;
use ignore::{DirEntry, WalkBuilder};
use keydock_core::scan::{Found, keys_in};
use serde_json::{Value, json};

use super::{Ended, Failure, Output, Result, output::note};

/// How much of a file is read to see whether it is text.
const HEAD: usize = 8 * 1024;
/// The most that is read from the standard input.
const MOST_INPUT: u64 = 1 << 30;

/// What `keydock scan --help` says below the arguments.
const ABOUT: &str = "\
A key with a prefix proves itself by its checksum and is found for certain. A key in the form of a \
UUID is reported as possible where the words around it speak of a key. What is found is never \
printed: path, line and column say where it is; its last four characters and the beginning of its \
SHA-256 say which key it is in the lists of keys.

Exit codes: 0 nothing was found, 1 something was found, 2 not everything could be read.";

/// Look for keys where none should be: in sources, settings, logs
#[derive(Debug, Args)]
#[command(after_long_help = ABOUT)]
pub(super) struct Scan {
    /// Files and folders; - is the standard input
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// Read what .gitignore leaves out, too
    #[arg(long)]
    ignored: bool,
    /// Report only what is a key beyond doubt
    #[arg(long)]
    certain: bool,
    /// Pass over files that are larger
    #[arg(long, value_name = "MB", default_value_t = 16)]
    max_mb: u64,
}

/// What became of a scan.
#[derive(Debug, Default)]
struct Report {
    findings: Vec<Value>,
    files: usize,
    too_large: usize,
    unread: Vec<String>,
}

impl Scan {
    pub(super) fn run(&self, output: &Output) -> Result<()> {
        let mut report = Report::default();
        for path in &self.paths {
            if path == Path::new("-") {
                self.scan_input(&mut report)?;
            } else if path.exists() {
                self.scan_tree(path, &mut report);
            } else {
                let words = format!("there is no {}", shown(path));
                return Err(Ended::new(Failure::Usage, words));
            }
        }
        report.tell(output)
    }

    fn scan_input(&self, report: &mut Report) -> Result<()> {
        let mut text = Vec::new();
        stdin().lock().take(MOST_INPUT + 1).read_to_end(&mut text)?;
        if text.len() as u64 > MOST_INPUT {
            return Err(Ended::new(Failure::Usage, "the standard input is larger than 1 GiB"));
        }
        self.note_findings(Path::new("-"), &text, report);
        Ok(())
    }

    fn scan_tree(&self, path: &Path, report: &mut Report) {
        let heeds = !self.ignored;
        let walk = WalkBuilder::new(path)
            // Where keys are most often forgotten, .env, is hidden.
            .hidden(false)
            .ignore(heeds)
            .git_ignore(heeds)
            .git_global(heeds)
            .git_exclude(heeds)
            .parents(heeds)
            .require_git(false)
            .filter_entry(|entry| entry.file_name() != ".git")
            .sort_by_file_path(Ord::cmp)
            .build();
        for entry in walk {
            let scanned = match &entry {
                Ok(entry) if is_file(entry) => self.scan_file(entry.path(), report),
                Ok(_) => Ok(()),
                Err(error) => Err(error.to_string()),
            };
            report.unread.extend(scanned.err());
        }
    }

    fn scan_file(&self, path: &Path, report: &mut Report) -> std::result::Result<(), String> {
        let failed = |error| format!("{}: {error}", shown(path));
        let mut file = File::open(path).map_err(failed)?;
        if file.metadata().map_err(failed)?.len() > self.max_mb.saturating_mul(1 << 20) {
            report.too_large += 1;
            return Ok(());
        }
        let mut text = Vec::new();
        file.by_ref().take(HEAD as u64).read_to_end(&mut text).map_err(failed)?;
        if text.contains(&0) {
            return Ok(());
        }
        file.read_to_end(&mut text).map_err(failed)?;
        self.note_findings(path, &text, report);
        Ok(())
    }

    fn note_findings(&self, path: &Path, text: &[u8], report: &mut Report) {
        report.files += 1;
        let mut place = Place::default();
        for found in keys_in(text) {
            place.advance(text, found.start);
            if found.is_certain() || !self.certain {
                report.findings.push(finding(path, &place, &found));
            }
        }
    }
}

/// An explicitly named link is followed; others are not, so that nothing is read twice.
fn is_file(entry: &DirEntry) -> bool {
    match entry.file_type() {
        Some(kind) if kind.is_symlink() => entry.depth() == 0 && entry.path().is_file(),
        Some(kind) => kind.is_file(),
        None => false,
    }
}

/// A place in a text, moved forward only.
#[derive(Debug)]
struct Place {
    at: usize,
    line: usize,
    line_start: usize,
    column: usize,
}

impl Default for Place {
    fn default() -> Self {
        Self { at: 0, line: 1, line_start: 0, column: 1 }
    }
}

impl Place {
    fn advance(&mut self, text: &[u8], to: usize) {
        for (at, byte) in (self.at..to).zip(&text[self.at..to]) {
            if *byte == b'\n' {
                self.line += 1;
                self.line_start = at + 1;
            }
        }
        self.at = to;
        self.column = String::from_utf8_lossy(&text[self.line_start..to]).chars().count() + 1;
    }
}

fn finding(path: &Path, place: &Place, found: &Found) -> Value {
    json!({
        "path": shown(path),
        "line": place.line,
        "column": place.column,
        "kind": found.kind.map_or("unknown", keydock_core::secret::KeyKind::as_str),
        "certainty": if found.is_certain() { "certain" } else { "possible" },
        "last_four": found.last_four,
        "fingerprint": found.fingerprint,
    })
}

/// A path as it can be printed: a file may be called like a key, or after a terminal's commands.
fn shown(path: &Path) -> String {
    let mut text = path.to_string_lossy().into_owned();
    for found in keys_in(text.clone().as_bytes()).iter().rev() {
        text.replace_range(found.start..found.end, &format!("…{}", found.last_four));
    }
    text.replace(char::is_control, "?")
}

impl Report {
    fn tell(self, output: &Output) -> Result<()> {
        let Self { findings, files, too_large, unread } = self;
        output.rows(
            &findings,
            &[
                ("PATH", "path"),
                ("LINE", "line"),
                ("COLUMN", "column"),
                ("KIND", "kind"),
                ("CERTAINTY", "certainty"),
                ("LAST FOUR", "last_four"),
                ("SHA-256", "fingerprint"),
            ],
        );
        if too_large > 0 {
            note(&format!("{too_large} files are larger than --max-mb and were passed over"));
        }
        for failure in &unread {
            note(failure);
        }
        let of_files = format!("{} in {files} files", findings.len());
        if !findings.is_empty() {
            let words =
                format!("keys or possible keys: {of_files}; replace those that are genuine");
            return Err(Ended::new(Failure::Other, words));
        }
        if !unread.is_empty() {
            let words = format!("nothing was found, but {} places were not read", unread.len());
            return Err(Ended::new(Failure::Usage, words));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use keydock_core::secret::{KeyKind, SecretForm, SecretKey};
    use rand::SeedableRng as _;
    use rand_chacha::ChaCha20Rng;

    use super::*;

    const UUID: &str = "5b0e3c52-9d1f-4c6a-8a77-0f6a3f2d9c41";

    fn scan(paths: &[&Path]) -> Scan {
        let paths = paths.iter().map(|path| (*path).to_owned()).collect();
        Scan { paths, ignored: false, certain: false, max_mb: 1 }
    }

    fn planted(folder: &Path) -> Vec<String> {
        let mut rng = ChaCha20Rng::seed_from_u64(7);
        let mut key = |kind| SecretKey::generate(kind, SecretForm::Prefixed, &mut rng).reveal();
        let (platform, deployment) = (key(KeyKind::Platform), key(KeyKind::Deployment));
        let write = |name: &str, text: &[u8]| {
            let path = folder.join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        write(".gitignore", b"ignored/\n");
        write(".env", format!("# settings\nKEYDOCK_KEY={platform}\n").as_bytes());
        write("src/call.py", format!("# ü\nkey = 'ü{deployment}'\nid = '{UUID}'\n").as_bytes());
        write("deploy.yaml", format!("- name: API_KEY\n  value: {UUID}\n").as_bytes());
        write("ignored/log.txt", platform.as_bytes());
        write(".git/config", platform.as_bytes());
        write("binary", format!("\0{platform}").as_bytes());
        write("huge", format!("{}{platform}", "x".repeat(1 << 20)).as_bytes());
        write(&format!("{deployment}.txt"), b"nothing");
        vec![platform, deployment, UUID.to_owned()]
    }

    fn report(scan: &Scan) -> Report {
        let mut report = Report::default();
        for path in &scan.paths {
            scan.scan_tree(path, &mut report);
        }
        report
    }

    fn places(report: &Report) -> Vec<String> {
        let place = |found: &Value| {
            let path = found["path"].as_str().unwrap();
            let name = path.rsplit('/').next().unwrap();
            let words = ["kind", "certainty"].map(|name| found[name].as_str().unwrap());
            format!("{name}:{}:{} {} {}", found["line"], found["column"], words[0], words[1])
        };
        report.findings.iter().map(place).collect()
    }

    #[test]
    fn planted_keys_are_found_where_they_are_and_not_printed() {
        let folder = tempfile::tempdir().unwrap();
        let secrets = planted(folder.path());
        let found = report(&scan(&[folder.path()]));
        assert_eq!(
            places(&found),
            [
                ".env:2:13 platform certain",
                "deploy.yaml:2:10 unknown possible",
                "call.py:2:9 deployment certain",
            ]
        );
        assert_eq!((found.too_large, found.unread.len()), (1, 0));
        let printed = format!("{found:?} {}", shown(&folder.path().join(&secrets[1])));
        assert!(secrets.iter().all(|secret| !printed.contains(secret)), "{printed}");
        let ended = found.tell(&Output::new(true)).unwrap_err();
        assert_eq!(ended.failure as u8, 1);
    }

    #[test]
    fn what_is_left_out_can_be_asked_for() {
        let folder = tempfile::tempdir().unwrap();
        planted(folder.path());
        let all = Scan { ignored: true, max_mb: 2, ..scan(&[folder.path()]) };
        assert_eq!(report(&all).findings.len(), 5);
        let certain = Scan { certain: true, ..all };
        assert_eq!(report(&certain).findings.len(), 4);
        let ignored = folder.path().join("ignored/log.txt");
        assert_eq!(report(&scan(&[&ignored])).findings.len(), 1, "a file that is named is read");
    }

    #[test]
    fn nothing_found_and_nothing_there_are_told_apart() {
        let folder = tempfile::tempdir().unwrap();
        let output = Output::new(true);
        assert!(scan(&[folder.path()]).run(&output).is_ok());
        let ended = scan(&[&folder.path().join("absent")]).run(&output).unwrap_err();
        assert_eq!(ended.failure as u8, 2);
    }
}
