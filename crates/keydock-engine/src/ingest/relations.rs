//! How the parts of an office document refer to each other.

use std::collections::HashMap;

use super::{
    archive::Archive,
    xml::{self, Event},
};
use crate::error::Error;

/// The parts that a part refers to, by the names it has for them.
pub(super) fn of(archive: &mut Archive, part: &str) -> Result<HashMap<String, String>, Error> {
    let (folder, name) = part.rsplit_once('/').unwrap_or(("", part));
    let list = join(folder, &format!("_rels/{name}.rels"));
    let mut found = HashMap::new();
    if !archive.has(&list) {
        return Ok(found);
    }
    xml::walk(&archive.text(&list)?, |event| {
        let Event::Open(element) = event else { return };
        if element.attribute("TargetMode").as_deref() == Some("External") {
            return;
        }
        if let (Some(id), Some(target)) = (element.attribute("Id"), element.attribute("Target")) {
            found.insert(id, resolve(folder, &target));
        }
    })?;
    Ok(found)
}

/// The part with which the document begins.
pub(super) fn main_part(archive: &mut Archive) -> Option<String> {
    let mut main = None;
    let list = archive.text("_rels/.rels").ok()?;
    xml::walk(&list, |event| {
        if let Event::Open(element) = event
            && element.attribute("Type").is_some_and(|kind| kind.ends_with("/officeDocument"))
        {
            main = element.attribute("Target").map(|target| resolve("", &target));
        }
    })
    .ok()?;
    main.filter(|part| archive.has(part))
}

fn join(folder: &str, name: &str) -> String {
    if folder.is_empty() { name.to_owned() } else { format!("{folder}/{name}") }
}

/// The name of a part, seen from a folder. It only ever names a file of the archive.
fn resolve(folder: &str, target: &str) -> String {
    if let Some(absolute) = target.strip_prefix('/') {
        return absolute.to_owned();
    }
    let mut steps: Vec<&str> = folder.split('/').filter(|step| !step.is_empty()).collect();
    for step in target.split('/') {
        match step {
            ".." => {
                steps.pop();
            }
            "." | "" => {}
            step => steps.push(step),
        }
    }
    steps.join("/")
}
