//! What a definition may say, and what is answered to one that is wrong.

use super::*;
use crate::fields::{Finder, ListRule, Look, PageChoice, Scalar, TableFinder, Wanted};

fn mistakes(text: &str) -> String {
    match Definition::parse(text) {
        Ok(_) => "no mistakes".to_owned(),
        Err(errors) => errors.to_string(),
    }
}

const GOOD: &str = r"
description: What a supplier's invoice says
read: { pages: 1-2, locale: de, currency: EUR }
fields:
  - key: invoice_number
    type: text
    required: true
    rule: { label: [Rechnungsnummer, Rechnung Nr.], look: right_of, pattern: '[A-Z0-9-]+' }
  - { key: iban, type: text, rule: { pattern: '\b[A-Z]{2}\d{2}(?: ?\d{4}){4,7}' } }
  - { key: due, type: date, locale: en-US, date_formats: [MM/DD/YYYY], rule: { label: Due } }
  - { key: notes, type: list, rule: { lines: { after: Notes, before: Terms } } }
  - key: items
    type: table
    rule:
      table:
        columns:
          - { key: what, header: Bezeichnung, required: true }
          - { key: amount, header: [Betrag, Summe], type: number }
        until: Zwischensumme
        row_starts_with: amount
";

#[test]
fn a_good_definition_says_what_is_meant() {
    let definition = Definition::parse(GOOD).unwrap();
    let keys: Vec<_> = definition.fields().iter().map(|field| field.key.as_str()).collect();
    assert_eq!(keys, ["invoice_number", "iban", "due", "notes", "items"]);
    assert!(definition.reading().pages.contains(2) && !definition.reading().pages.contains(3));
    let Wanted::One(format, rules) = &definition.fields()[0].wanted else {
        panic!("{:?}", definition.fields()[0])
    };
    let Finder::Label(label) = &rules[0].find else { panic!("{rules:?}") };
    assert_eq!((format.scalar, label.look), (Scalar::Text, Look::RightOf));
    assert_eq!(format.currency.as_deref(), Some("EUR"));
    let Wanted::One(due, _) = &definition.fields()[2].wanted else { panic!() };
    assert_eq!((due.date_order, due.date_formats.len()), (DateOrder::MonthFirst, 1));
    let Wanted::Table(rules) = &definition.fields()[4].wanted else { panic!() };
    let TableFinder::Columns(table) = &rules[0].find else { panic!("{rules:?}") };
    assert_eq!(table.columns[1].headers, ["Betrag", "Summe"]);
}

#[test]
fn the_canonical_form_is_a_fixed_point() {
    let json = Definition::parse(GOOD).unwrap().to_json();
    let again = Definition::parse(&json.to_string()).unwrap();
    assert_eq!(again.to_json(), json);
    let pretty = serde_json::to_string_pretty(&json).unwrap();
    assert_eq!(Definition::parse(&pretty).unwrap().to_json(), json);
    let tabbed = pretty.replace("  ", "\t");
    assert_eq!(Definition::parse(&tabbed).unwrap().to_json(), json);
}

const RICH: &str = r"
read: { locale: auto }
choose: best
templates:
  - name: Acme
    when: { all: [Acme], none: Draft }
    locale: en-US
    currency: USD
    rules:
      total: { label: Amount, look: row }
      note: { value: from Acme }
fields:
  - key: number
    type: text
    checksum: iban
    transform: [upper, { replace: '\s', with: '' }, { map: { A: B } }]
    rule:
      - { label: No, errors: 1, distance: 4, skip: x, stop: y, look: above, transform: digits,
          within: { after: Head, before: [Foot], column: true, page: last } }
      - { pattern: [a+, b+], within: { left: 10, right: 50, top: 0, bottom: 12.5 }, when: { any: [A, B] } }
  - { key: total, type: decimal, rule: { label: Total } }
  - { key: half, type: number, rule: { compute: total / 2 } }
  - { key: rate, type: percent, rule: { label: VAT } }
  - { key: note, type: text }
  - key: rows
    type: table
    rule:
      - { table: { row: '(?P<a>\w+) (?P<b>\d+)', columns: [{ key: a }, { key: b, type: number }] } }
      - { table: { block: { starts: '^\d', ends: end }, columns: [{ key: a, pattern: \w+ }] } }
      - { table: { continues: true, skip: x, columns: [{ key: a, left: 0, right: 20 }, { key: b, left: 20, right: 40.5, pattern: \d+ }] } }
  - { key: who, type: object, rule: { table: { row: '(?P<name>\w+)', columns: [{ key: name }] } } }
checks:
  - { that: total >= half, tolerance: 0.01, message: Odd, required: true }
  - that: sum(rows.b) = total
";

#[test]
fn all_of_the_language_is_understood() {
    let definition = Definition::parse(RICH).unwrap_or_else(|errors| panic!("{errors}"));
    assert!(definition.reading().is_auto && definition.choice() == Choice::Best);
    let json = definition.to_json();
    assert_eq!(Definition::parse(&json.to_string()).unwrap().to_json(), json);
    let Wanted::One(format, rules) = &definition.fields()[0].wanted else { panic!() };
    assert_eq!((format.transforms.len(), format.is_auto), (3, true));
    let zone = &rules[0].zone;
    assert_eq!((zone.page, zone.is_column), (Some(PageChoice::Last), true));
    assert_eq!((rules[1].zone.bottom, rules[1].when.any.len()), (Some(0.125), 2));
    let Wanted::Table(rules) = &definition.fields()[5].wanted else { panic!() };
    assert!(matches!(rules[0].find, TableFinder::Rows(_)));
    assert!(matches!(rules[1].find, TableFinder::Blocks(_)));
    assert!(matches!(rules[2].find, TableFinder::Columns(_)));
    // The rules of a template come before those of the field.
    let acme = definition.fields_of(Some("Acme"));
    let Wanted::One(format, rules) = &acme[1].wanted else { panic!() };
    assert_eq!((rules.len(), format.currency.as_deref(), format.is_auto), (2, Some("USD"), false));
    let Finder::Label(label) = &rules[0].find else { panic!() };
    assert_eq!((label.look, label.max_lines), (Look::Row, 10));
    assert_eq!(definition.checks().len(), 2);
}

#[test]
fn a_definition_of_old_means_what_it_meant() {
    let text = "fields: [{ key: a, type: list, rule: { pattern: a } }]";
    let definition = Definition::parse(text).unwrap();
    assert_eq!(
        definition.to_json().to_string(),
        r#"{"fields":[{"key":"a","type":"list","rule":{"pattern":"a"}}]}"#
    );
    let Wanted::List(_, rules) = &definition.fields()[0].wanted else { panic!() };
    assert!(rules[0].zone.is_everything() && matches!(rules[0].find, ListRule::Pattern(_)));
    assert!(definition.templates().is_empty() && definition.checks().is_empty());
}

#[test]
fn mistakes_in_templates_rules_and_checks_are_told_with_their_places() {
    let text = r"
templates:
  - { name: A, rules: { totel: { label: X } } }
  - { name: A, when: {}, currency: euro, rules: { total: { label: T, look: up } } }
  - { name: B, rules: { total: { compute: total + 1 } } }
fields:
  - key: total
    type: number
    transform: [upper, { replace: '(', with: '' }]
    rule:
      - { label: Total, within: {}, errors: 9 }
      - { label: Total, within: { column: true, left: 50, right: 20, bottom: 120 } }
      - { pattern: [a, 'b*'], transform: digits, value: 5 }
      - { compute: net + }
      - { compute: net * 2, within: { page: first } }
      - { value: five }
  - { key: short, type: number, rule: [Total] }
  - { key: loud, type: text, transform: shout, rule: { label: X } }
  - { key: rows, type: table, transform: upper, rule: { table: { row: '(?P<a>x)', until: Y, columns: [
        { key: a, header: A }, { key: b } ] } } }
  - { key: more, type: table, rule: { table: { columns: [{ key: a }, { key: b, header: B }] } } }
checks:
  - { that: total }
  - { that: rows = 5, tolerance: -1 }
  - { that: rows.c = sum(rows.a), mesage: x }
  - { that: rows.c = sum(rows.a) }
";
    insta::assert_snapshot!(mistakes(text));
}

#[test]
fn every_mistake_is_told_with_its_place() {
    let text = r"
read: { pages: 3-1, locale: xx, currency: euro, max_pages: 0 }
fields:
  - { key: total, type: number, rule: { label: [] } }
  - { key: total, type: text, rule: { pattern: '(' } }
  - { key: 1st, type: text, rule: { label: '***' } }
  - { key: items, type: table, rule: { label: Items } }
  - { key: names, type: list, items: table, rule: { label: Items } }
  - { key: day, type: date, date_formats: ['%d'], rule: { look: below, pattern: 'a*' } }
  - { key: rows, type: table, rule: { table: { columns: [
        { key: a, header: A, type: table }, { key: a, header: B } ], row_starts_with: c } } }
  - { key: x, type: number, required: true, default: 1, rule: {} }
  - { key: y, type: number, default: one, items: text, rule: { lines: { after: A } } }
";
    insta::assert_snapshot!(mistakes(text));
}

#[test]
fn misspelt_members_are_told_for_every_field() {
    let text = r"
reed: {}
fields:
  - { key: a, type: text, rule: { prompt: What is the total? } }
  - { key: b, type: txt, rule: { label: B } }
  - { key: c, rule: { label: C } }
  - { key: d, type: text, rule: { label: 5 } }
  - { key: e, type: text, rule: { label: E, look: above } }
  - { key: f, type: text, rule: { table: { columns: [ { key: a } ] } } }
  - { key: b, type: text, rule: { label: B } }
";
    insta::assert_snapshot!(mistakes(text));
}

#[test]
fn a_document_that_is_no_definition_is_told_so() {
    let all = [
        "",
        "fields",
        "fields: []",
        "fields: 5",
        "read: {}",
        "fields: [",
        "fields:\n  - key: a\n   type: text",
        "{\"fields\": [{\"key\": \"a\" \"type\": \"text\"}]}",
        "fields: []\nfields: []",
        "a: &a [*a]",
        "--- {}\n--- {}",
    ];
    let told: Vec<String> =
        all.iter().map(|text| format!("{text:?}\n{}", mistakes(text))).collect();
    insta::assert_snapshot!(told.join("\n"));
}

#[test]
fn a_written_output_schema_may_not_invent_fields() {
    let text = r"
fields: [{ key: a, type: text, rule: { label: A } }]
output_schema:
  type: array
  properties:
    b: { type: string }
";
    insta::assert_snapshot!(mistakes(text));
}

#[test]
fn definitions_are_limited() {
    let long = format!("description: {}\nfields: []", "x".repeat(MAX_BYTES));
    assert!(mistakes(&long).contains("at most 256 KiB"));
    let field = |n| format!("  - {{ key: f{n}, type: text, rule: {{ label: A }} }}\n");
    let many: String = (0..=MAX_FIELDS).map(field).collect();
    assert!(mistakes(&format!("fields:\n{many}")).contains("at most 200 fields"));
    let pattern = "a".repeat(1_001);
    let text = format!("fields: [{{ key: a, type: text, rule: {{ pattern: {pattern} }} }}]");
    assert!(mistakes(&text).contains("at most 1000 characters"), "{}", mistakes(&text));
    let bomb = "fields: [{ key: a, type: text, rule: { pattern: '((a{100}){100}){100}' } }]";
    assert!(mistakes(bomb).contains("too much memory"), "{}", mistakes(bomb));
    let deep = format!("output_schema: {}{}", "[".repeat(5_000), "]".repeat(5_000));
    assert!(mistakes(&deep).contains("write valid YAML or JSON"), "{}", mistakes(&deep));
    let laughs = "a: &a [x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b]\nd: &d [*c,*c,*c,*c,*c,*c,*c,*c,*c]\ne: [*d,*d,*d,*d,*d,*d,*d,*d,*d]\nf: [*d,*d,*d,*d,*d,*d,*d,*d,*d]";
    assert!(mistakes(laughs).contains("write valid YAML or JSON"), "{}", mistakes(laughs));
}

#[test]
fn the_answer_has_a_schema() {
    let definition = Definition::parse(GOOD).unwrap();
    insta::assert_json_snapshot!(definition.output_schema());
}

#[test]
fn the_language_has_a_schema() {
    insta::assert_json_snapshot!(json_schema());
}
