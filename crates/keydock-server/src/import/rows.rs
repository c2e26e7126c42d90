//! The rows of an import, as text and as what they mean.

use std::{collections::HashMap, io, str::FromStr};

use keydock_core::{
    organizations::OrgName,
    role::Tier,
    secret::{KeyKind, SecretKey},
    text::{ApiKeyName, ApiKeyPurpose, KeyDescription, KeyName},
    time::Timestamp,
};
use serde_json::Value;
use zeroize::Zeroizing;

/// The columns that there may be.
pub const COLUMNS: [&str; 12] = [
    "kind",
    "organization",
    "name",
    "description",
    "secret",
    "sha256",
    "deployment",
    "permission",
    "active",
    "created_at",
    "expires_at",
    "last_four",
];

/// A row as it is written, and where.
#[derive(Debug)]
pub(super) struct Written {
    pub(super) line: u64,
    pub(super) fields: HashMap<String, Zeroizing<String>>,
}

/// What is wrong with a row, and where.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}, {column}: {reason}")]
pub struct InvalidRow {
    /// The line of the file, or the number of the row that a query gave.
    pub line: u64,
    /// The column.
    pub column: String,
    /// What is wrong with it; never what stands there, since that may be a secret.
    pub reason: String,
}

/// What is known of a secret.
#[derive(Debug)]
pub(super) enum Known {
    /// The secret.
    Secret(SecretKey),
    /// The SHA-256 of it.
    Sha256([u8; 32]),
}

/// A key to import.
#[derive(Debug)]
pub(super) struct Row {
    pub(super) line: u64,
    pub(super) kind: KeyKind,
    pub(super) org: OrgName,
    pub(super) name: Option<String>,
    pub(super) description: String,
    pub(super) known: Known,
    pub(super) last_four: String,
    pub(super) fingerprint: String,
    /// Names or ids of deployments: one, or for an organization deployment key any number.
    pub(super) deployments: Vec<String>,
    pub(super) permission: Option<Tier>,
    pub(super) is_active: bool,
    pub(super) created_at: Option<Timestamp>,
    pub(super) expires_at: Option<Timestamp>,
}

impl Written {
    fn text(&self, column: &str) -> Option<&str> {
        self.fields.get(column).map(|text| text.trim()).filter(|text| !text.is_empty())
    }

    fn wrong(&self, column: &str, reason: impl Into<String>) -> InvalidRow {
        InvalidRow { line: self.line, column: column.to_owned(), reason: reason.into() }
    }

    fn required(&self, column: &str) -> Result<&str, InvalidRow> {
        self.text(column).ok_or_else(|| self.wrong(column, "is missing"))
    }

    fn parse<T: FromStr<Err: ToString>>(&self, column: &str) -> Result<Option<T>, InvalidRow> {
        let parse = |text: &str| {
            text.parse().map_err(|error: T::Err| self.wrong(column, error.to_string()))
        };
        self.text(column).map(parse).transpose()
    }

    fn flag(&self, column: &str) -> Result<bool, InvalidRow> {
        match self.text(column).map(str::to_ascii_lowercase).as_deref() {
            None | Some("true" | "t" | "1" | "yes") => Ok(true),
            Some("false" | "f" | "0" | "no") => Ok(false),
            Some(_) => Err(self.wrong(column, "write true or false")),
        }
    }

    fn known(&self) -> Result<Known, InvalidRow> {
        match (self.text("secret"), self.text("sha256")) {
            (Some(_), Some(_)) => Err(self.wrong("sha256", "give the secret or its SHA-256")),
            (None, None) => Err(self.wrong("secret", "is missing, and so is sha256")),
            (Some(secret), None) => SecretKey::parse(secret)
                .map(Known::Secret)
                .map_err(|_| self.wrong("secret", "is neither a UUID nor a secret of keydock")),
            (None, Some(sha256)) => {
                let mut bytes = [0; 32];
                let read = hex::decode_to_slice(sha256, &mut bytes);
                read.map_err(|_| self.wrong("sha256", "write 64 hexadecimal digits"))?;
                Ok(Known::Sha256(bytes))
            }
        }
    }

    /// What the row means.
    pub(super) fn read(&self) -> Result<Row, InvalidRow> {
        if let Some(strange) = self.fields.keys().find(|name| !COLUMNS.contains(&name.as_str())) {
            return Err(
                self.wrong(strange, format!("there is no such column; {}", COLUMNS.join(", ")))
            );
        }
        let kind: KeyKind = self.parse("kind")?.ok_or_else(|| self.wrong("kind", "is missing"))?;
        if kind == KeyKind::PlatformToken {
            return Err(self.wrong("kind", "tokens are not imported: they end within the hour"));
        }
        let org = self.required("organization")?;
        let org = org.parse().map_err(|error| self.wrong("organization", format!("{error}")))?;
        let known = self.known()?;
        let (last_four, fingerprint) = match &known {
            Known::Secret(secret) => (secret.last_four(), secret.fingerprint()),
            Known::Sha256(hash) => {
                let end = self.text("last_four").unwrap_or("????");
                (end.chars().take(4).collect(), hex::encode(&hash[..4]))
            }
        };
        let description = self.text("description").unwrap_or_default();
        let (name, description) = self.names(kind, description)?;
        let permission = self.parse::<Tier>("permission")?;
        if (kind == KeyKind::PlatformApi) != permission.is_some() {
            return Err(self.wrong("permission", "platform API keys have one, and no others"));
        }
        let deployments = self.text("deployment").unwrap_or_default().split(';');
        let deployments: Vec<String> = deployments
            .map(|name| name.trim().to_owned())
            .filter(|name| !name.is_empty())
            .collect();
        let fits = match kind {
            KeyKind::Deployment => deployments.len() == 1,
            KeyKind::OrgDeployment => true,
            _ => deployments.is_empty(),
        };
        if !fits {
            let reason = "a deployment key has one, an organization deployment key any number, \
                          separated by `;`, or none for all; no others have one";
            return Err(self.wrong("deployment", reason));
        }
        Ok(Row {
            line: self.line,
            kind,
            org,
            name,
            description,
            known,
            last_four,
            fingerprint,
            deployments,
            permission,
            is_active: self.flag("active")?,
            created_at: self.parse("created_at")?,
            expires_at: self.parse("expires_at")?,
        })
    }

    /// The name and the description, as keys of this kind have them.
    fn names(
        &self,
        kind: KeyKind,
        description: &str,
    ) -> Result<(Option<String>, String), InvalidRow> {
        let wrong = |column: &str, error: keydock_core::text::InvalidText| {
            self.wrong(column, error.to_string())
        };
        Ok(match kind {
            KeyKind::Deployment => {
                let text = if description.is_empty() {
                    self.text("name").unwrap_or("imported")
                } else {
                    description
                };
                let text: KeyDescription =
                    text.parse().map_err(|error| wrong("description", error))?;
                (None, text.into())
            }
            KeyKind::Platform => {
                let name: KeyName =
                    self.required("name")?.parse().map_err(|error| wrong("name", error))?;
                (Some(name.into()), String::new())
            }
            _ => {
                let name: ApiKeyName =
                    self.required("name")?.parse().map_err(|error| wrong("name", error))?;
                let purpose = if description.is_empty() { "imported" } else { description };
                let purpose: ApiKeyPurpose =
                    purpose.parse().map_err(|error| wrong("description", error))?;
                (Some(name.into()), purpose.into())
            }
        })
    }
}

/// Reads a CSV file with a heading, row by row. Ends early when `each` gives back `false`.
pub(super) fn of_csv(
    file: impl io::Read,
    mut each: impl FnMut(Result<Written, InvalidRow>) -> bool,
) {
    let invalid = |line: u64, reason: String| InvalidRow { line, column: "CSV".to_owned(), reason };
    let mut reader = csv::ReaderBuilder::new().trim(csv::Trim::All).from_reader(file);
    let heading = match reader.headers() {
        Ok(heading) => heading.clone(),
        Err(error) => {
            each(Err(invalid(1, csv_reason(&error))));
            return;
        }
    };
    let mut record = csv::StringRecord::new();
    loop {
        let line = reader.position().line();
        match reader.read_record(&mut record) {
            Ok(false) => return,
            Ok(true) => {
                let line = record.position().map_or(line, csv::Position::line);
                let text = |text: &str| Zeroizing::new(text.to_owned());
                let fields = heading.iter().zip(&record);
                let fields = fields.map(|(name, value)| (name.to_owned(), text(value))).collect();
                if !each(Ok(Written { line, fields })) {
                    return;
                }
            }
            Err(error) => {
                let is_over = matches!(error.kind(), csv::ErrorKind::Io(_));
                if !each(Err(invalid(line, csv_reason(&error)))) || is_over {
                    return;
                }
            }
        }
    }
}

/// What is wrong, without what stands there.
fn csv_reason(error: &csv::Error) -> String {
    match error.kind() {
        csv::ErrorKind::UnequalLengths { expected_len, len, .. } => {
            format!("{len} columns where the heading has {expected_len}")
        }
        csv::ErrorKind::Utf8 { .. } => "it is not UTF-8".to_owned(),
        csv::ErrorKind::Io(error) => error.to_string(),
        _ => "it is no CSV".to_owned(),
    }
}

/// A row that a query gave, as a JSON object.
pub(super) fn of_json(line: u64, json: &str) -> Result<Written, InvalidRow> {
    let object: HashMap<String, Value> = serde_json::from_str(json).map_err(|error| {
        InvalidRow { line, column: "row".to_owned(), reason: error.to_string() }
    })?;
    let text = |value: Value| match value {
        Value::Null => None,
        Value::String(text) => Some(Zeroizing::new(text)),
        other => Some(Zeroizing::new(other.to_string())),
    };
    let fields = object.into_iter().filter_map(|(name, value)| Some((name, text(value)?)));
    Ok(Written { line, fields: fields.collect() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(csv: &str) -> Vec<Result<Row, InvalidRow>> {
        let mut rows = Vec::new();
        of_csv(csv.as_bytes(), |written| {
            rows.push(written.and_then(|written| written.read()));
            true
        });
        rows
    }

    #[test]
    fn what_is_wrong_is_named_by_line_and_column() {
        let csv = "kind,organization,name,secret,sha256,deployment,active\n\
                   deployment,acme,,0198c3f2-a7c8-4b0e-8f1d-2c3b4a596877,,invoices,true\n\
                   deployment,acme,,nonsense,,invoices,true\n\
                   platform,acme,Key,,0198,,true\n\
                   deployment,acme,,0198c3f2-a7c8-4b0e-8f1d-2c3b4a596877,,,true\n\
                   deployment,acme\n\
                   pipeline,acme,,0198c3f2-a7c8-4b0e-8f1d-2c3b4a596877,,,true\n\
                   platform,acme,Key,0198c3f2-a7c8-4b0e-8f1d-2c3b4a596877,,,perhaps\n";
        let rows = read(csv);
        assert!(rows[0].is_ok(), "{:?}", rows[0]);
        let wrong: Vec<(u64, String)> = rows
            .into_iter()
            .filter_map(Result::err)
            .map(|error| (error.line, error.column))
            .collect();
        let expected = [
            (3, "secret"),
            (4, "sha256"),
            (5, "deployment"),
            (6, "CSV"),
            (7, "kind"),
            (8, "active"),
        ];
        assert_eq!(wrong, expected.map(|(line, column)| (line, column.to_owned())));
    }

    #[test]
    fn a_refused_row_does_not_show_its_secret() {
        let csv = "kind,organization,secret,deployment\ndeployment,acme,my-clear-secret,one\n";
        let error = read(csv).remove(0).unwrap_err();
        assert!(!error.to_string().contains("my-clear-secret"), "{error}");
    }
}
