//! `keydock workflows test`, which needs no server.

use std::fs;

use anyhow::{Context as _, Result};
use keydock_e2e::program;
use serde_json::{Value, json};

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");

#[test]
fn a_folder_is_compared_with_what_is_expected() -> Result<()> {
    let definition = format!("{ROOT}/examples/workflows/suppliers.yaml");
    let folder = format!("{ROOT}/crates/keydock-engine/tests/documents/invoice2data");
    let test = ["workflows", "test", &definition, &folder, "--expect", &folder, "--timing"];
    let ended = program::run(&[&test[..], &["--json"]].concat(), &[])?;
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let report: Value = serde_json::from_str(&ended.stdout).context(ended.stdout)?;
    assert_eq!(report["total"], json!({"right": 31, "wrong": 0, "missing": 0}));
    assert_eq!(report["documents"][2]["template"], "OYO");
    assert!(report["documents"][0]["milliseconds"].as_f64().is_some_and(|it| it > 0.0));
    let told = program::run(&test, &[])?.stdout;
    assert!(told.contains("FIELD") && told.contains("amount_untaxed"), "{told}");
    assert!(told.contains("compare_oyo.pdf (OYO)"), "{told}");
    Ok(())
}

#[test]
fn what_is_not_as_expected_is_shown_and_told_by_the_exit_code() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let path = |name: &str| folder.path().join(name).display().to_string();
    fs::write(path("a.yaml"), "fields: [{ key: total, type: decimal, rule: { label: Total } }]")?;
    fs::write(path("a.txt"), "Total: 12.00\n")?;
    fs::write(path("b.txt"), "Nothing\n")?;
    fs::write(path("expected.json"), r#"{"a.txt": {"total": 12}, "b.txt": {"total": "3.00"}}"#)?;
    let expected = path("expected.json");
    let (definition, documents) = (path("a.yaml"), [path("a.txt"), path("b.txt")]);
    let test = ["workflows", "test", &definition, &documents[0], &documents[1]];
    let ended = program::run(&[&test[..], &["--expect", &expected, "--quiet"]].concat(), &[])?;
    assert_eq!(ended.code, Some(6), "{}", ended.stderr);
    assert!(ended.stdout.contains("missing: total: expected 3.00, found -"), "{}", ended.stdout);
    assert!(!ended.stdout.contains("a.txt"), "{}", ended.stdout);
    assert!(ended.stderr.contains("1 of 2 expected values"), "{}", ended.stderr);
    let shown = program::run(&test, &[])?;
    assert_eq!(shown.code, Some(0), "{}", shown.stderr);
    assert!(shown.stdout.contains("[page 1, label, 0.98]"), "{}", shown.stdout);

    fs::write(path("a.yaml"), "fields:\n  - { key: total, type: decimal, rule: { label: 5 } }\n")?;
    let ended = program::run(&test, &[])?;
    assert_eq!(ended.code, Some(2), "{}", ended.stdout);
    assert!(ended.stderr.contains("a.yaml:2:49: fields[0].rule.label: "), "{}", ended.stderr);
    Ok(())
}
