//! What a person expects of documents.

use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

use super::{Ended, Failure, Result, name_of};

/// What is expected, by document.
#[derive(Debug)]
pub(super) enum Expectations {
    /// One file for all.
    File(Map<String, Value>),
    /// A file for each.
    Folder(PathBuf),
}

impl Expectations {
    /// Reads a file; of a folder, files are read when their documents come.
    pub(super) fn read(path: &Path) -> Result<Self> {
        if path.is_dir() {
            return Ok(Self::Folder(path.to_owned()));
        }
        let all = read_object(path)?;
        if all.values().all(Value::is_object) {
            return Ok(Self::File(all));
        }
        let words = format!(
            "{}: write an object with a member for every document, {{\"invoice.pdf\": {{…}}}}",
            path.display()
        );
        Err(Ended::new(Failure::Usage, words))
    }

    /// What is expected of a document, if anything is.
    pub(super) fn of(&self, document: &Path) -> Result<Option<Map<String, Value>>> {
        let name = name_of(document);
        let stem = document.file_stem().map(|stem| stem.to_string_lossy().into_owned());
        let stem = stem.unwrap_or_default();
        match self {
            Self::File(all) => {
                let found = all.get(&name).or_else(|| all.get(&stem));
                Ok(found.and_then(Value::as_object).map(fields))
            }
            Self::Folder(folder) => {
                let endings = [".truth.json", ".expected.json", ".json"];
                let names =
                    endings.iter().flat_map(|end| [format!("{name}{end}"), format!("{stem}{end}")]);
                let path = names
                    .map(|name| folder.join(name))
                    .find(|path| path.is_file() && path != document);
                path.map(|path| Ok(fields(&read_object(&path)?))).transpose()
            }
        }
    }
}

/// The expected values themselves: a file may have more to say beside them.
fn fields(object: &Map<String, Value>) -> Map<String, Value> {
    match object.get("fields") {
        Some(Value::Object(fields)) => fields.clone(),
        _ => object.clone(),
    }
}

fn read_object(path: &Path) -> Result<Map<String, Value>> {
    let unusable =
        |words: String| Ended::new(Failure::Usage, format!("{}: {words}", path.display()));
    let text = std::fs::read_to_string(path).map_err(|error| unusable(error.to_string()))?;
    let value: Value = serde_json::from_str(&text).map_err(|error| unusable(error.to_string()))?;
    match value {
        Value::Object(object) => Ok(object),
        _ => Err(unusable("write a JSON object".to_owned())),
    }
}

/// Whether a file of a folder of documents says what is expected of another, or about all.
pub(super) fn is_expectation(path: &Path) -> bool {
    let name = name_of(path).to_lowercase();
    name.ends_with(".truth.json")
        || name.ends_with(".expected.json")
        || name == "expected.json"
        || name.starts_with("license")
        || name.starts_with("readme")
}
