//! Real invoices, and what the shipped definitions find in them: a table of fields right, wrong
//! and missing. It may only get better, and nothing may be wrong.

#![expect(clippy::unwrap_used, reason = "a test may fail loudly")]

use std::{collections::BTreeMap, fmt::Write as _, fs, path::Path};

use keydock_core::workflows::Definition;
use keydock_engine::{extract, says_the_same};
use serde_json::Value;

const INVOICE: &str = include_str!("../../../examples/workflows/invoice.yaml");
const SUPPLIERS: &str = include_str!("../../../examples/workflows/suppliers.yaml");

/// Right, wrong and missing.
type Count = [usize; 3];

/// Reads every document of a folder and compares it with what its author says.
fn table(folder: &str, definition: &str) -> (String, Count) {
    let definition = Definition::parse(definition).unwrap_or_else(|errors| panic!("{errors}"));
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/documents").join(folder);
    let mut names: Vec<String> = fs::read_dir(&folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.to_lowercase().ends_with(".pdf"))
        .collect();
    names.sort();
    let mut counts: BTreeMap<String, Count> = BTreeMap::new();
    let mut off = String::new();
    for name in &names {
        let document = fs::read(folder.join(name)).unwrap();
        let truth = folder.join(name.replace(".pdf", ".truth.json"));
        let truth: Value = serde_json::from_slice(&fs::read(truth).unwrap()).unwrap();
        let found = extract(&document, name, None, &definition).unwrap();
        for evidence in &found.evidence {
            let count = found.text.chars().count();
            assert!(evidence.span.end <= count, "{name}: {evidence:?} is beyond the text");
        }
        let fields = definition.fields_of(found.template.as_deref());
        for (key, expected) in truth["fields"].as_object().unwrap() {
            let field = fields.iter().find(|field| field.key == *key).unwrap();
            let value = &found.output[key];
            let place = match value {
                value if says_the_same(field, expected, value) => 0,
                Value::Null => 2,
                _ => 1,
            };
            counts.entry(key.clone()).or_default()[place] += 1;
            if place > 0 {
                let word = ["", "wrong", "missing"][place];
                writeln!(off, "{word}: {name}: {key}: expected {expected}, found {value}").unwrap();
            }
        }
    }
    let mut table = format!("{:<16} right wrong missing\n", format!("{} documents", names.len()));
    let mut total = [0; 3];
    for (key, count) in &counts {
        let [right, wrong, missing] = count;
        writeln!(table, "{key:<16} {right:>5} {wrong:>5} {missing:>7}").unwrap();
        for (sum, count) in total.iter_mut().zip(count) {
            *sum += count;
        }
    }
    let [right, wrong, missing] = total;
    writeln!(table, "{:<16} {right:>5} {wrong:>5} {missing:>7}\n\n{off}", "total").unwrap();
    (table, total)
}

#[test]
fn one_definition_reads_german_invoices_of_many_layouts() {
    let (table, [_, wrong, _]) = table("zugferd", INVOICE);
    assert_eq!(wrong, 0, "{table}");
    insta::assert_snapshot!(table);
}

#[test]
fn templates_read_the_invoices_of_known_suppliers() {
    let (table, [_, wrong, missing]) = table("invoice2data", SUPPLIERS);
    assert_eq!((wrong, missing), (0, 0), "{table}");
    insta::assert_snapshot!(table);
}

#[test]
fn every_shipped_definition_is_one() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/workflows");
    let mut count = 0;
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let text = fs::read_to_string(&path).unwrap();
        Definition::parse(&text).unwrap_or_else(|errors| panic!("{}: {errors}", path.display()));
        count += 1;
    }
    assert!(count >= 3, "{count}");
}
