//! The language of rules, one feature after the other, on documents made for it.

#![expect(clippy::unwrap_used, reason = "a test may fail loudly")]

use keydock_core::workflows::Definition;
use keydock_engine::{Error, Extraction, RuleKind, extract};
use serde_json::{Value, json};

/// What a definition finds in a text.
fn find(text: &str, definition: &str) -> Result<Extraction, Error> {
    let definition = Definition::parse(definition).unwrap_or_else(|errors| panic!("{errors}"));
    extract(text.as_bytes(), "document", None, &definition)
}

/// What one field finds in a text.
fn one(text: &str, field: &str) -> Value {
    let definition = format!("fields: [{{ key: it, {field} }}]");
    find(text, &definition).unwrap().output["it"].clone()
}

#[test]
fn of_several_rules_the_first_that_gives_a_value_counts() {
    let rules = "type: number, rule: [{ label: Sum }, { label: Total }, { pattern: '\\d+' }]";
    assert_eq!(one("No 7\nTotal: 5", rules), json!(5));
    assert_eq!(one("No 7\nTotal: 5\nSum: 6", rules), json!(6));
    assert_eq!(one("No 7", rules), json!(7));
    let when = "type: number, rule: [{ label: Total, when: { any: [Gross, Brutto] } }, { label: Net, when: { none: Gross } }]";
    assert_eq!(one("Net: 4\nTotal: 5", when), json!(4));
    assert_eq!(one("Net: 4\nTotal: 5\nall gross", when), json!(5));
}

#[test]
fn of_several_patterns_the_first_that_gives_a_value_counts() {
    let rule = "type: text, rule: { pattern: ['A-\\d+', 'B-\\d+'] }";
    assert_eq!(one("B-1 A-2", rule), "A-2");
    assert_eq!(one("B-1", rule), "B-1");
    let part = "type: text, rule: { label: Ref, pattern: ['x\\d', '\\d+'] }";
    assert_eq!(one("Ref: 12 x3", part), "x3");
    assert_eq!(one("Ref: 12", part), "12");
}

#[test]
fn a_label_may_have_wrong_letters() {
    let rule = |errors| format!("type: number, rule: {{ label: Grand total, errors: {errors} }}");
    for noisy in ["Grand tota1: 5", "Grnad total: 5", "Gramd total   5", "GRAND T0TAL  5"] {
        assert_eq!(one(noisy, &rule(2)), json!(5), "{noisy}");
        assert_eq!(one(noisy, &rule(0)), json!(null), "{noisy}");
    }
    assert_eq!(one("Brand metal: 5", &rule(2)), json!(null));
    // Short labels must be right, however many errors are allowed.
    assert_eq!(one("Tox: 5", "type: number, rule: { label: Tax, errors: 2 }"), json!(null));
    // The right label is better than one that is nearly right.
    assert_eq!(one("Grand tolal: 4\nGrand total: 5", &rule(2)), json!(5));
    let found = find("Grand tolal: 4", &format!("fields: [{{ key: it, {} }}]", rule(1))).unwrap();
    assert!(found.evidence[0].confidence < 0.95, "{:?}", found.evidence);
}

#[test]
fn values_stand_on_every_side_of_their_labels() {
    let text = "12.00      Paid\n\nAda\nByron\nName       17      Age\n\nCity\nRome";
    let at = |label: &str, more: &str| {
        one(text, &format!("type: text, rule: {{ label: {label}, {more} }}"))
    };
    assert_eq!(at("Paid", "look: left_of"), "12.00");
    assert_eq!(at("Name", "look: above"), "Byron");
    assert_eq!(at("Name", "look: above, max_lines: 2"), "Ada\nByron");
    assert_eq!(at("Name", "look: right_of"), "17");
    assert_eq!(at("City", "look: below"), "Rome");
    assert_eq!(at("City", "look: below, distance: 0"), json!(null));
    assert_eq!(at("Name", "look: right_of, distance: 1"), json!(null));
}

#[test]
fn lines_are_skipped_and_the_last_is_known() {
    let text = "Seller\nNo. 4711\nAcme\nHolding Ltd\nVAT DE1\n12 Road";
    let rule = |more: &str| {
        one(
            text,
            &format!("type: text, rule: {{ label: Seller, look: below, max_lines: 9, {more} }}"),
        )
    };
    assert_eq!(rule("skip: '^No'"), "Acme\nHolding Ltd\nVAT DE1\n12 Road");
    assert_eq!(rule("skip: '^No', stop: '^VAT'"), "Acme\nHolding Ltd");
    assert_eq!(rule("skip: '^No|Ltd', stop: '^1'"), "Acme\nVAT DE1");
}

#[test]
fn a_row_of_a_grid_has_the_lines_nearest_to_its_label() {
    let text = "
            First line
Name:
            second line

Street:     12 Road

            alone
City:
";
    let row =
        |label: &str| one(text, &format!("type: text, rule: {{ label: {label}, look: row }}"));
    assert_eq!(row("Name"), "First line\nsecond line");
    assert_eq!(row("Street"), "12 Road");
    assert_eq!(row("City"), "alone");
}

const SECTIONS: &str = "
Seller                 Buyer
Name: Acme             Name: Bolt
No: 1                  No: 2

Delivery
Name: Crate
\u{c}
Name: Dome
Payment
Name: Ever
";

#[test]
fn rules_search_sections_columns_pages_and_regions() {
    let name = |within: &str| {
        one(SECTIONS, &format!("type: text, rule: {{ label: Name, within: {{ {within} }} }}"))
    };
    assert_eq!(name("after: Seller"), "Acme");
    assert_eq!(name("after: Buyer, column: true"), "Bolt");
    assert_eq!(name("after: Seller, column: true, before: Delivery"), "Acme");
    assert_eq!(name("after: [Shipping, Delivery]"), "Crate");
    assert_eq!(name("after: Payment"), "Ever");
    assert_eq!(name("page: 2"), "Dome");
    assert_eq!(name("page: last, after: Payment"), "Ever");
    assert_eq!(name("left: 50"), "Bolt");
    assert_eq!(name("page: 1, top: 60"), "Crate");
    assert_eq!(name("after: Nobody"), json!(null));
    // A section goes on over the page break.
    let all = "type: list, rule: { pattern: 'Name: (?P<value>\\w+)', within: { after: Delivery, before: Payment } }";
    assert_eq!(one(SECTIONS, all), json!(["Crate", "Dome"]));
}

#[test]
fn evidence_from_a_part_points_into_the_whole_text() {
    let definition =
        "fields: [{ key: it, type: text, rule: { label: Name, within: { after: Payment } } }]";
    let found = find(SECTIONS, definition).unwrap();
    let text: Vec<char> = found.text.chars().collect();
    let span = found.evidence[0].span;
    assert_eq!(text[span.start..span.end].iter().collect::<String>(), "Ever");
    assert_eq!(found.evidence[0].page, 2);
    let why = "fields: [{ key: it, type: text, required: true, rule: { label: Name, within: { after: Nobody } } }]";
    let told = find(SECTIONS, why).unwrap_err().to_string();
    assert!(told.contains("after “Nobody”, which is not in it"), "{told}");
}

#[test]
fn text_is_changed_before_it_is_read() {
    let text = "Code: # a-1 b\nAmount: 1O.5O\nPaid: JA";
    let field = |kind: &str, label: &str, steps: &str| {
        one(text, &format!("type: {kind}, transform: {steps}, rule: {{ label: {label} }}"))
    };
    assert_eq!(field("text", "Code", "no_spaces"), "#a-1b");
    assert_eq!(field("text", "Code", "[alphanumeric, upper]"), "A1B");
    assert_eq!(field("text", "Code", "{ replace: '# (.)-(\\d)', with: '$2$1' }"), "1a b");
    assert_eq!(field("decimal", "Amount", "digits_from_letters"), "10.50");
    assert_eq!(field("text", "Paid", "{ map: { ja: paid, nein: open } }"), "paid");
    let both = "type: text, transform: upper, rule: [{ label: Code, transform: no_spaces }]";
    assert_eq!(one(text, both), "#A-1B");
}

#[test]
fn checksums_choose_among_candidates() {
    let text = "IBAN DE12 1234 5678 9012 3456 78 (old)\nPay to DE88 2008 0000 0970 3757 00 BIC COBADEFFXXX";
    let pattern = "type: text, checksum: iban, rule: { pattern: '[A-Z]{2}\\d{2}(?: \\d{2,4})+' }";
    assert_eq!(one(text, pattern), "DE88 2008 0000 0970 3757 00");
    let label = "type: text, checksum: iban, rule: { label: Pay to }";
    assert_eq!(one(text, label), "DE88 2008 0000 0970 3757 00");
    let wrong = "fields: [{ key: it, type: text, required: true, checksum: iban, rule: { label: IBAN, look: right_of } }]";
    let told = find(text, wrong).unwrap_err().to_string();
    assert!(told.contains("expected a valid IBAN"), "{told}");
}

#[test]
fn decimals_and_percentages_keep_what_was_written() {
    let text =
        "Rechnung\nNet: 1.234,50 €\nVAT 19 %: 234,56\nLoss: (5,00)\nBack: 7,10-\nZero: -0,00";
    let decimal = |label: &str| {
        let definition = format!(
            "read: {{ locale: de }}\nfields: [{{ key: it, type: decimal, rule: {{ label: {label} }} }}]"
        );
        find(text, &definition).unwrap().output["it"].clone()
    };
    assert_eq!(decimal("Net"), "1234.50");
    assert_eq!(decimal("Loss"), "-5.00");
    assert_eq!(decimal("Back"), "-7.10");
    assert_eq!(decimal("Zero"), "0.00");
    assert_eq!(one(text, "type: percent, rule: { label: VAT }"), json!(19));
}

#[test]
fn the_words_of_a_document_decide_about_its_locale() {
    let auto = "read: { locale: auto }\nfields:\n  - { key: day, type: date, rule: { label: [Date, Datum, Fecha] } }\n  - { key: n, type: number, rule: { label: [Number, Zahl, Importe] } }";
    let read = |text: &str| Value::Object(find(text, auto).unwrap().output).to_string();
    let german = read("Rechnung\nDatum: 03.04.2026\nZahl: 1.234\nBitte überweisen Sie den Betrag");
    assert_eq!(german, r#"{"day":"2026-04-03","n":1234}"#);
    let american = read("Invoice for you\nDate: 03/04/2026\nNumber: 1,234\nTotal amount due $5");
    assert_eq!(american, r#"{"day":"2026-03-04","n":1234}"#);
    let british =
        read("Invoice for you\nDate: 03/04/2026\nNumber: 1.234\nthe payment of 31/03/2026, £5");
    assert_eq!(british, r#"{"day":"2026-04-03","n":1.234}"#);
}

const ORDER: &str = "
fields:
  - { key: net, type: decimal, rule: { label: Net } }
  - { key: vat, type: currency, rule: { label: VAT } }
  - { key: total, type: decimal, rule: [{ label: Total }, { compute: net + vat }] }
  - { key: half, type: number, rule: { compute: total / 2 } }
  - { key: money, type: text, rule: { compute: currency(vat) } }
  - { key: issued, type: date, rule: { label: Issued } }
  - { key: due, type: date, rule: [{ label: Due }, { compute: 'add_days(issued, 14)' }] }
  - { key: kind, type: text, rule: { value: order } }
checks:
  - { that: net + vat = total, tolerance: 0.01, message: The sum is wrong }
  - { that: issued <= due }
";

#[test]
fn values_follow_from_other_values() {
    let found = find("Net: 100.00\nVAT: EUR 19.00\nIssued: 2026-01-20", ORDER).unwrap();
    let expected = json!({
        "net": "100.00", "vat": {"amount": "19.00", "currency": "EUR"}, "total": "119",
        "half": 59.5, "money": "EUR", "issued": "2026-01-20", "due": "2026-02-03", "kind": "order",
    });
    assert_eq!(Value::Object(found.output), expected);
    assert!(found.misses.is_empty(), "{:?}", found.misses);
    let rule = |field: &str| found.evidence.iter().find(|it| it.field == field).map(|it| it.rule);
    assert_eq!(rule("total"), Some(RuleKind::Computed));
    assert_eq!(rule("kind"), Some(RuleKind::Constant));
    let keys: Vec<String> = found.evidence.iter().map(|it| it.field.clone()).collect();
    assert!(keys.contains(&"half".to_owned()), "{keys:?}");
}

#[test]
fn what_cannot_be_computed_is_told() {
    let found = find("Net: 100.00", ORDER).unwrap();
    assert_eq!(found.output["total"], json!(null));
    let miss = found.misses.iter().find(|miss| miss.field == "total").unwrap();
    assert_eq!(miss.reason, "`net + vat` cannot be computed, for values are missing");
}

#[test]
fn checks_are_told_among_the_misses_or_fail_the_document() {
    let text = "Net: 100.00\nVAT: EUR 19.00\nTotal: 120.00\nIssued: 2026-01-20\nDue: 2026-01-10";
    let told: Vec<String> = find(text, ORDER)
        .unwrap()
        .misses
        .into_iter()
        .map(|miss| format!("{}: {}", miss.field, miss.reason))
        .collect();
    insta::assert_snapshot!(told.join("\n"), @"
    checks[0]: The sum is wrong: `net + vat = total` does not hold (119 and 120.00)
    checks[1]: `issued <= due` does not hold (2026-01-20 and 2026-01-10)
    ");
    let strict = ORDER.replace("message: The sum is wrong", "required: true");
    let error = find(text, &strict).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the values contradict each other: `net + vat = total` does not hold (119 and 120.00)"
    );
}

const TEMPLATES: &str = "
templates:
  - name: Acme
    when: { all: Acme }
    locale: de
    rules: { total: { label: Summe }, who: { value: Acme GmbH } }
  - name: Bolt
    when: { any: [Bolt, Acme], none: Draft }
    rules: { total: { label: Amount }, extra: { label: Extra } }
fields:
  - { key: who, type: text, rule: { label: Name } }
  - { key: total, type: decimal, required: true, rule: { label: Total } }
  - { key: extra, type: text }
";

#[test]
fn a_template_is_chosen_by_what_the_document_says() {
    let read = |text: &str, choose: &str| {
        let found = find(text, &format!("choose: {choose}\n{TEMPLATES}")).unwrap();
        (found.template, found.output["total"].clone())
    };
    let acme = "Acme\nSumme: 1.234,00\nTotal: 5.00";
    assert_eq!(read(acme, "first"), (Some("Acme".to_owned()), json!("1234.00")));
    assert_eq!(read("Bolt\nAmount: 3.00", "first").0.as_deref(), Some("Bolt"));
    // What a template does not say, the field says itself.
    assert_eq!(read("Bolt\nTotal: 4.00", "first").1, "4.00");
    assert_eq!(read("Total: 5.00", "first"), (None, json!("5.00")));
    assert_eq!(read("Draft Bolt\nTotal: 5.00", "first").0, None);
    // By score: Acme stands there, but the rules of Bolt find more.
    let both = "Acme\nName: Ada\nAmount: 3.00\nExtra: yes";
    assert_eq!(read(both, "best").0.as_deref(), Some("Bolt"));
    assert!(find(both, TEMPLATES).unwrap_err().to_string().contains("required"));
}

#[test]
fn rows_and_blocks_are_found_by_patterns() {
    let text = "
Items
AWS Transfer        $0.01
  VAT               $0.00
AWS Storage         $1.87
  VAT               $0.00
Total               $1.88
";
    let rows = "type: table, rule: { within: { after: Items }, table: { row: '^(?P<what>AWS [^$]*?) {2,}\\$(?P<price>[\\d.]+)$', columns: [{ key: what, required: true }, { key: price, type: decimal }] } }";
    let expected = json!([
        {"what": "AWS Transfer", "price": "0.01"},
        {"what": "AWS Storage", "price": "1.87"},
    ]);
    assert_eq!(one(text, rows), expected);
    let first = rows.replace("type: table", "type: object");
    assert_eq!(one(text, &first), expected[0]);
    let blocks = "type: table, rule: { table: { block: { starts: '^AWS', ends: '^Total' }, columns: [{ key: what, pattern: '^AWS \\w+' }, { key: vat, type: decimal, pattern: 'VAT\\s+\\$(?P<value>[\\d.]+)' }] } }";
    let expected = json!([
        {"what": "AWS Transfer", "vat": "0.00"},
        {"what": "AWS Storage", "vat": "0.00"},
    ]);
    assert_eq!(one(text, blocks), expected);
    // A block goes on after the page break.
    let broken =
        text.replace("  VAT               $0.00\nAWS S", "\u{c}\n  VAT               $0.07\nAWS S");
    assert_eq!(one(&broken, blocks)[0]["vat"], "0.07");
}

#[test]
fn tables_go_on_without_headers_and_pass_over_lines() {
    let text = "
What           Amount
Lamp             1.00
subtotal         1.00
Oil              2.00
\u{c}
Page 2

Wick             3.00
Total            6.00
";
    let table = |more: &str| {
        one(
            text,
            &format!(
                "type: table, rule: {{ table: {{ columns: [{{ key: what, header: What, required: true }}, {{ key: sum, header: Amount, type: decimal, required: true }}], until: Total, {more} }} }}"
            ),
        )
    };
    let names = |rows: &Value| -> Vec<String> {
        rows.as_array()
            .unwrap()
            .iter()
            .map(|row| row["what"].as_str().unwrap().to_owned())
            .collect()
    };
    assert_eq!(names(&table("continues: false")), ["Lamp", "subtotal", "Oil"]);
    assert_eq!(names(&table("skip: '^subtotal'")), ["Lamp", "Oil"]);
    assert_eq!(names(&table("skip: '^subtotal', continues: true")), ["Lamp", "Oil", "Wick"]);
}

#[test]
fn columns_may_have_places_instead_of_headers() {
    let text = "Lamp          2    10.00\nOil, fine     1     5.50\n";
    let table = "type: table, rule: { table: { columns: [{ key: what, left: 0, right: 50 }, { key: n, left: 50, right: 70, type: integer }, { key: sum, left: 70, right: 100, type: decimal, pattern: '^\\d+' }] } }";
    let expected = json!([
        {"what": "Lamp", "n": 2, "sum": "10"},
        {"what": "Oil, fine", "n": 1, "sum": "5"},
    ]);
    assert_eq!(one(text, table), expected);
}
