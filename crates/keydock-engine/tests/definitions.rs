//! The reference of the language in `docs/definitions.md` is true: its examples do what it says.

#![expect(clippy::unwrap_used, reason = "a test may fail loudly")]

use keydock_core::workflows::Definition;
use keydock_engine::extract;
use serde_json::Value;

const REFERENCE: &str = include_str!("../../../docs/definitions.md");

/// The fenced blocks of a text, with their kinds.
fn blocks(text: &str) -> Vec<(&str, String)> {
    let mut blocks: Vec<(&str, String)> = Vec::new();
    let mut is_open = false;
    for line in text.lines() {
        match line.strip_prefix("```") {
            Some("") if is_open => is_open = false,
            Some(kind) => {
                blocks.push((kind, String::new()));
                is_open = true;
            }
            None if is_open => {
                let (_, block) = blocks.last_mut().unwrap();
                block.push_str(line);
                block.push('\n');
            }
            None => {}
        }
    }
    blocks
}

#[test]
fn every_example_of_the_reference_gives_what_it_says() {
    let blocks = blocks(REFERENCE);
    let mut count = 0;
    for window in blocks.windows(3) {
        let [("yaml", definition), ("text", document), ("json", answer)] = window else { continue };
        let definition =
            Definition::parse(definition).unwrap_or_else(|errors| panic!("{definition}{errors}"));
        let found = extract(document.as_bytes(), "example.txt", None, &definition).unwrap();
        let answer: Value = serde_json::from_str(answer).unwrap();
        assert_eq!(Value::Object(found.output), answer, "{document}");
        count += 1;
    }
    let definitions = blocks.iter().filter(|(kind, _)| *kind == "yaml").count();
    assert_eq!((count, definitions), (definitions, 8), "every definition has a document");
}
