//! Events as lines: for other programs, for archives, and to be verified away from the database.

use std::fmt::Write as _;

use keydock_core::{organizations::OrgName, time::Timestamp};
use keydock_storage::db::Tx;
use keydock_wire::audit_log::AuditEvent;

use super::{
    Filter, api,
    chain::{Link, Record},
    is_unprintable, store,
};
use crate::{
    Error, Result,
    access::{Admin, System},
};

/// How many events are read at a time.
const PAGE: i64 = 500;

/// How an export is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// An object on each line. Can be verified.
    JsonLines,
    /// For spreadsheets.
    Csv,
}

/// The next events of the admin's organization, in the order of the chain. None when there are no
/// more.
pub async fn next_of_org(
    tx: &mut Tx,
    admin: &Admin,
    filter: &Filter,
    after: i64,
) -> Result<Vec<Link>> {
    store::export(tx, Some(admin.org()), filter, after, PAGE).await
}

/// The next events of an organization or of everybody, in the order of the chain. None when there are
/// no more.
pub async fn next(
    tx: &mut Tx,
    _operator: &System,
    org: Option<&OrgName>,
    filter: &Filter,
    after: i64,
) -> Result<Vec<Link>> {
    let org = match org {
        None => None,
        Some(name) => {
            let found = store::org_called(tx, name.as_str()).await?;
            Some(found.ok_or(Error::NotFound { what: "Organization" })?)
        }
    };
    store::export(tx, org, filter, after, PAGE).await
}

impl Format {
    /// What the first line of an export is.
    pub fn heading(self) -> Result<String> {
        match self {
            Self::JsonLines => Ok(String::new()),
            Self::Csv => csv_line(&COLUMNS.map(str::to_owned)),
        }
    }

    /// One event as a line, with its end.
    pub fn line(self, link: Link) -> Result<String> {
        let event = api::event(link);
        match self {
            Self::JsonLines => {
                let json = serde_json::to_string(&event).map_err(Error::internal)?;
                Ok(escaped(&json) + "\n")
            }
            Self::Csv => csv_line(&cells(event)),
        }
    }
}

/// Reads a line of an export back.
pub fn read_line(line: &str) -> Result<Link, String> {
    let event: AuditEvent = serde_json::from_str(line).map_err(|error| error.to_string())?;
    let at: Timestamp = event.at.parse().map_err(|_| "\"at\" is no instant".to_owned())?;
    Ok(Link {
        seq: event.sequence,
        previous_hash: Some(event.previous_hash),
        hash: event.hash,
        seal: None,
        record: Record {
            id: event.id,
            org_id: event.org_id,
            at: at.as_micros(),
            action: event.action,
            actor_kind: event.actor_kind,
            actor_id: event.actor_id,
            actor_name: event.actor_name,
            subject_kind: event.subject_kind,
            subject_id: event.subject_id,
            detail: event.detail.to_string(),
            request_id: event.request_id,
            ip: event.ip,
        },
    })
}

/// The same JSON, without anything that a terminal would obey.
fn escaped(json: &str) -> String {
    let mut text = String::with_capacity(json.len());
    for c in json.chars() {
        if is_unprintable(c) {
            let mut units = [0; 2];
            for unit in c.encode_utf16(&mut units) {
                // A text takes what is written to it.
                let _ = write!(text, "\\u{unit:04x}");
            }
        } else {
            text.push(c);
        }
    }
    text
}

const COLUMNS: [&str; 15] = [
    "sequence",
    "at",
    "action",
    "actor_kind",
    "actor_id",
    "actor_name",
    "subject_kind",
    "subject_id",
    "detail",
    "request_id",
    "ip",
    "org_id",
    "id",
    "previous_hash",
    "hash",
];

fn cells(event: AuditEvent) -> [String; 15] {
    [
        event.sequence.to_string(),
        event.at,
        event.action,
        event.actor_kind,
        event.actor_id,
        event.actor_name,
        event.subject_kind,
        event.subject_id,
        event.detail.to_string(),
        event.request_id,
        event.ip,
        event.org_id.map(|org| org.to_string()).unwrap_or_default(),
        event.id,
        event.previous_hash,
        event.hash,
    ]
}

/// A line of RFC 4180, every cell in quotation marks.
fn csv_line(cells: &[String; 15]) -> Result<String> {
    let mut writer = csv::WriterBuilder::new()
        .quote_style(csv::QuoteStyle::Always)
        .terminator(csv::Terminator::CRLF)
        .from_writer(Vec::new());
    writer.write_record(cells.iter().map(|cell| harmless(cell))).map_err(Error::internal)?;
    let bytes = writer.into_inner().map_err(|error| Error::internal(error.to_string()))?;
    String::from_utf8(bytes).map_err(Error::internal)
}

/// A cell that no spreadsheet takes for a formula, on one line.
fn harmless(cell: &str) -> String {
    let plain: String = cell.chars().map(|c| if is_unprintable(c) { ' ' } else { c }).collect();
    let begins = plain.trim_start().chars().next();
    let is_formula =
        matches!(begins, Some('=' | '+' | '-' | '@' | '＝' | '＋' | '－' | '＠' | '|' | '%'));
    if is_formula { format!("'{plain}") } else { plain }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Proves AUD-03 for spreadsheets.
    #[test]
    fn no_cell_begins_a_formula_or_a_line() {
        for cell in ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r\n=1", " =1", "＝1", "|calc"] {
            let cell = harmless(cell);
            assert!(cell.starts_with('\''), "{cell}");
            assert!(!cell.contains(['\r', '\n', '\t']), "{cell:?}");
        }
        assert_eq!(harmless("ada@example.org"), "ada@example.org");
        let mut cells = COLUMNS.map(str::to_owned);
        cells[5] = "a\",\"b\r\n=c".to_owned();
        let line = csv_line(&cells).unwrap();
        assert_eq!(line.matches("\r\n").count(), 1, "{line}");
        assert!(line.contains("\"a\"\",\"\"b  =c\""), "{line}");
    }

    #[test]
    fn what_is_escaped_reads_the_same() {
        let json = serde_json::to_string("a\u{9b}2J\u{202e}\u{feff}b\n").unwrap();
        let escaped = escaped(&json);
        assert!(!escaped.chars().any(is_unprintable), "{escaped}");
        assert_eq!(
            serde_json::from_str::<String>(&escaped).unwrap(),
            "a\u{9b}2J\u{202e}\u{feff}b\n"
        );
    }
}
