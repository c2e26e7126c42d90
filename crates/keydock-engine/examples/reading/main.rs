//! How well documents are read: against what their authors say, and for PDF against `pdftotext`.
//!
//! ```text
//! cargo run -p keydock-engine --example reading -- FOLDER [--runs 3] [--only PART] [--keep FOLDER]
//! ```
//!
//! A document `a.pdf` may have a file `a.truth.json` beside it, with `text` or `markdown` (the
//! words of the document), `lines` (its lines in order) or `fields` (values that must be visible).

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "printing is what this is for")]

mod score;

use std::{
    path::{Path, PathBuf},
    process::{Command, ExitCode},
    time::{Duration, Instant},
};

use keydock_core::workflows::Definition;
use keydock_engine::sandbox::{Limits, Sandbox, child_main, is_child};
use serde_json::Value;

use self::score::{Score, f1, lines, rows, visible, words};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

fn main() -> ExitCode {
    if is_child() {
        return child_main();
    }
    match Reading::from_arguments().and_then(|reading| reading.run()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

/// What to read and how.
struct Reading {
    /// Read with the folders in it.
    folder: PathBuf,
    /// How often each document is read, alternating with `pdftotext`.
    runs: u32,
    /// Only documents whose path contains this.
    only: Option<String>,
    /// Languages for reading pictures.
    languages: String,
    /// Where the text of every document is written.
    keep: Option<PathBuf>,
}

/// What was found out about a document.
#[derive(Debug, Default)]
struct Measured {
    truth: Option<Score>,
    words: Option<Score>,
    lines: Option<Score>,
    rows: Option<Score>,
    ours: Duration,
    theirs: Duration,
    pages: usize,
}

impl Reading {
    fn from_arguments() -> Result<Self> {
        let mut arguments = std::env::args().skip(1);
        let folder = arguments.next().ok_or("which folder?")?.into();
        let languages = "eng, deu".to_owned();
        let mut reading = Self { folder, runs: 1, only: None, languages, keep: None };
        while let (Some(name), Some(value)) = (arguments.next(), arguments.next()) {
            match name.as_str() {
                "--runs" => reading.runs = value.parse()?,
                "--only" => reading.only = Some(value),
                "--languages" => reading.languages = value,
                "--keep" => reading.keep = Some(value.into()),
                _ => return Err(format!("there is no {name}").into()),
            }
        }
        Ok(reading)
    }

    /// Reads and prints.
    fn run(&self) -> Result<()> {
        let mut documents = Vec::new();
        collect(&self.folder, &mut documents)?;
        documents.sort();
        let runtime = tokio::runtime::Runtime::new()?;
        let _context = runtime.enter();
        let sandbox = Sandbox::new(Limits { wall_seconds: 300, ..Limits::default() })?;
        let mut all = Vec::new();
        println!("{:<58} truth  words  lines   rows  pages ms/page", "document");
        for path in documents.iter().filter(|it| self.is_wanted(it)) {
            let name = path.strip_prefix(&self.folder).unwrap_or(path).display().to_string();
            let short: String = name.chars().take(58).collect();
            match runtime.block_on(self.measure(&sandbox, path)) {
                Ok(measured) => {
                    println!("{short:<58} {}", row(&measured));
                    all.push(measured);
                }
                Err(error) => {
                    println!("{short:<58} {error}");
                    let nothing = Score { found: 0, wanted: 1, given: 0 };
                    all.push(Measured { truth: Some(nothing), ..Measured::default() });
                }
            }
        }
        summary(&all);
        Ok(())
    }

    fn is_wanted(&self, path: &Path) -> bool {
        self.only.as_ref().is_none_or(|only| path.to_string_lossy().contains(only.as_str()))
    }

    async fn measure(&self, sandbox: &Sandbox, path: &Path) -> Result<Measured> {
        let bytes = std::fs::read(path)?;
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let definition = definition(&self.languages)?;
        let mut measured = Measured::default();
        let is_pdf = bytes.starts_with(b"%PDF");
        let (mut text, mut reference) = (String::new(), None);
        for _ in 0..self.runs {
            let start = Instant::now();
            let len = bytes.len() as u64;
            let read = sandbox.extract(&bytes[..], len, &name, None, &definition).await?;
            measured.ours += start.elapsed() / self.runs;
            measured.pages = read.pages;
            text = read.text;
            if is_pdf {
                let start = Instant::now();
                reference = pdftotext(path);
                measured.theirs += start.elapsed() / self.runs;
            }
        }
        if let Some(folder) = &self.keep {
            std::fs::write(folder.join(format!("{name}.txt")), &text)?;
            if let Some(reference) = &reference {
                std::fs::write(folder.join(format!("{name}.reference.txt")), reference)?;
            }
        }
        measured.truth = truth(path)?.map(|truth| against(&truth, &text));
        if let Some(reference) = reference.filter(|it| it.split_whitespace().count() >= 20) {
            measured.words = Some(f1(&plain(&text), &plain(&reference)));
            measured.lines = Some(f1(&lines(&text), &lines(&reference)));
            measured.rows = Some(f1(&rows(&text), &rows(&reference)));
        }
        Ok(measured)
    }
}

/// A workflow that asks for next to nothing.
fn definition(languages: &str) -> Result<Definition> {
    let text = format!(
        "
read: {{ max_pages: 10000, ocr: {{ languages: [{languages}] }} }}
fields:
  - {{ key: nothing, type: text, rule: {{ label: a label that no document has }} }}
"
    );
    Definition::parse(&text).map_err(|errors| errors.to_string().into())
}

fn plain(text: &str) -> Vec<String> {
    text.split_whitespace().map(ToOwned::to_owned).collect()
}

fn pdftotext(path: &Path) -> Option<String> {
    let output = Command::new("pdftotext").arg("-layout").arg(path).arg("-").output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())
}

fn truth(path: &Path) -> Result<Option<Value>> {
    let beside = path.with_extension("truth.json");
    let other = path.with_extension("").with_extension("truth.json");
    let Some(found) = [beside, other].into_iter().find(|it| it.exists()) else {
        return Ok(None);
    };
    let text = std::fs::read_to_string(&found)?;
    Ok(Some(serde_json::from_str(&text)?))
}

/// Words of the document, or of its fields, that were read.
fn against(truth: &Value, text: &str) -> Score {
    let told = truth.get("markdown").or(truth.get("text")).and_then(Value::as_str);
    if let Some(told) = told {
        return f1(&words(text), &words(told));
    }
    if let Some(told) = truth.get("lines").and_then(Value::as_array) {
        let told: Vec<&str> = told.iter().filter_map(Value::as_str).collect();
        return f1(&words(text), &words(&told.join("\n")));
    }
    let values = truth.get("fields").and_then(Value::as_object);
    let values: Vec<String> = values
        .into_iter()
        .flat_map(|fields| fields.values())
        .filter_map(|value| match value {
            Value::String(text) => Some(text.clone()),
            Value::Number(number) => Some(number.to_string()),
            _ => None,
        })
        .collect();
    visible(&values, text)
}

fn collect(folder: &Path, documents: &mut Vec<PathBuf>) -> Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if path.is_dir() {
            collect(&path, documents)?;
        } else if !name.ends_with(".truth.json")
            && !name.ends_with("NOTE.txt")
            && name != "README.md"
        {
            documents.push(path);
        }
    }
    Ok(())
}

fn row(measured: &Measured) -> String {
    let score =
        |it: &Option<Score>| it.map_or("    –".to_owned(), |it| format!("{:.3}", it.f1()));
    let pages = u32::try_from(measured.pages.max(1)).unwrap_or(u32::MAX);
    format!(
        "{}  {}  {}  {}  {:>5} {:>7.1}",
        score(&measured.truth),
        score(&measured.words),
        score(&measured.lines),
        score(&measured.rows),
        measured.pages,
        (measured.ours / pages).as_secs_f64() * 1000.0,
    )
}

/// The means over all documents that have the score.
fn summary(all: &[Measured]) {
    let mean = |of: fn(&Measured) -> Option<Score>| {
        let scores: Vec<f64> = all.iter().filter_map(of).map(|it| it.f1()).collect();
        #[expect(clippy::cast_precision_loss, reason = "few documents")]
        let mean = scores.iter().sum::<f64>() / scores.len().max(1) as f64;
        format!("{mean:.3} ({} documents)", scores.len())
    };
    println!("\ntruth  {}", mean(|it| it.truth));
    println!("words  {}", mean(|it| it.words));
    println!("lines  {}", mean(|it| it.lines));
    println!("rows   {}", mean(|it| it.rows));
    let pdfs = || all.iter().filter(|it| !it.theirs.is_zero());
    let pages: usize = pdfs().map(|it| it.pages).sum();
    let per_page = |total: Duration| {
        let pages = u32::try_from(pages.max(1)).unwrap_or(u32::MAX);
        (total / pages).as_secs_f64() * 1000.0
    };
    let ours = per_page(pdfs().map(|it| it.ours).sum());
    let theirs = per_page(pdfs().map(|it| it.theirs).sum());
    println!(
        "PDF    {pages} pages, {ours:.1} ms a page, pdftotext {theirs:.1} (with their processes)"
    );
}
