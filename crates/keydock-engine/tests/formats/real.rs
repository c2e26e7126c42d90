//! Documents that other people made: the words that their authors see are found.

use std::{collections::HashMap, path::Path};

use keydock_core::workflows::Definition;
use keydock_engine::extract;
use libtest_mimic::Trial;
use serde_json::Value;

use super::at_once;

pub(crate) fn trials() -> Vec<Trial> {
    vec![at_once("the_words_of_real_documents_are_found", words_are_found)]
}

fn words(text: &str) -> Vec<String> {
    text.split(|c: char| !c.is_alphanumeric())
        .filter(|word| !word.is_empty())
        .map(str::to_lowercase)
        .collect()
}

/// Remarks in the margin are not on the page.
fn without_remarks(text: &str) -> String {
    let is_said = |line: &&str| !line.starts_with("[author:") && !line.starts_with("<!--");
    text.lines().filter(is_said).collect::<Vec<_>>().join("\n")
}

fn words_are_found() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/documents");
    let definition = "fields: [{ key: none, type: text, rule: { label: no such label } }]";
    let definition = Definition::parse(definition).unwrap();
    let mut count = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let truth = path.with_extension("truth.json");
        if !truth.exists() {
            continue;
        }
        count += 1;
        let truth: Value = serde_json::from_slice(&std::fs::read(truth).unwrap()).unwrap();
        let document = std::fs::read(&path).unwrap();
        let read = extract(&document, "no hint", None, &definition).unwrap();
        let mut left: HashMap<String, usize> = HashMap::new();
        for word in words(&read.text) {
            *left.entry(word).or_default() += 1;
        }
        let wanted = words(&without_remarks(truth["markdown"].as_str().unwrap()));
        let missing: Vec<&String> = wanted
            .iter()
            .filter(|word| match left.get_mut(*word) {
                Some(count) if *count > 0 => {
                    *count -= 1;
                    false
                }
                _ => true,
            })
            .collect();
        assert!(missing.len() * 10 <= wanted.len(), "{}: {missing:?}", path.display());
    }
    assert!(count >= 12, "only {count} documents");
}
