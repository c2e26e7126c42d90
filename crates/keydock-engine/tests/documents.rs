//! Documents of every kind, and what is found in them.

#![expect(clippy::unwrap_used, reason = "a test may fail loudly")]

use keydock_core::workflows::Definition;
use keydock_engine::{Error, Evidence, Extraction, extract};
use serde_json::{Value, json};

const INVOICE: &[u8] = include_bytes!("../../../examples/invoices/invoice.pdf");
const RECHNUNG: &[u8] = include_bytes!("../../../examples/invoices/rechnung.pdf");
const SAMPLE: &str = include_str!("../../../examples/invoices/definition.yaml");
const EXPECTED: &str = include_str!("../../../examples/invoices/expected.json");

/// What a definition finds in a document.
fn find(document: &[u8], definition: &str) -> Result<Extraction, Error> {
    let definition = Definition::parse(definition).unwrap_or_else(|errors| panic!("{errors}"));
    extract(document, "document", None, &definition)
}

/// What one field finds in a text; the rule and more is written as in a definition.
fn one(text: &str, field: &str) -> Value {
    let definition = format!("fields: [{{ key: it, {field} }}]");
    find(text.as_bytes(), &definition).unwrap().output["it"].clone()
}

/// Why one field finds nothing in a text.
fn why_not(text: &str, field: &str) -> String {
    let definition = format!("fields: [{{ key: it, required: true, {field} }}]");
    find(text.as_bytes(), &definition).unwrap_err().to_string()
}

fn evidence<'e>(extraction: &'e Extraction, field: &str) -> &'e Evidence {
    extraction.evidence.iter().find(|evidence| evidence.field == field).unwrap()
}

#[test]
fn the_sample_invoice_is_read_whole() {
    let found = find(INVOICE, SAMPLE).unwrap();
    let expected: Value = serde_json::from_str(EXPECTED).unwrap();
    assert_eq!(Value::Object(found.output), expected);
    assert_eq!((found.misses, found.pages), (Vec::new(), 1));
    assert_eq!(found.media_type, "application/pdf");
}

#[test]
fn the_text_keeps_the_layout_of_the_page() {
    insta::assert_snapshot!(find(INVOICE, SAMPLE).unwrap().text);
    let german = "fields: [{ key: a, type: text, rule: { label: Rechnungsnummer } }]";
    insta::assert_snapshot!(find(RECHNUNG, german).unwrap().text.replace('\u{c}', "\n======\n"));
}

#[test]
fn a_table_goes_on_after_the_page_break() {
    let definition = "
read: { locale: de }
fields:
  - { key: nummer, type: text, rule: { label: Rechnungsnummer } }
  - { key: lieferdatum, type: date, rule: { label: Lieferdatum } }
  - { key: betrag, type: currency, rule: { label: Rechnungsbetrag } }
  - { key: skonto, type: boolean, rule: { label: Skonto gewährt } }
  - { key: mail, type: email, rule: { label: E-Mail } }
  - { key: steuern, type: list, items: integer, rule: { pattern: 'USt\\. (?P<value>\\d+) %' } }
  - key: positionen
    type: table
    rule:
      table:
        columns:
          - { key: was, header: Bezeichnung, required: true }
          - { key: menge, header: Menge, type: integer }
          - { key: betrag, header: Betrag, type: number }
        until: Nettobetrag
";
    let found = find(RECHNUNG, definition).unwrap();
    insta::assert_json_snapshot!(found.output);
    let pages: Vec<usize> =
        (0..7).map(|row| evidence(&found, &format!("positionen[{row}].was")).page).collect();
    assert_eq!(pages, [1, 1, 1, 1, 2, 2, 2]);
}

#[test]
fn evidence_points_at_the_place_and_the_text() {
    let found = find(INVOICE, SAMPLE).unwrap();
    let number = evidence(&found, "invoice_number");
    let area = number.area.unwrap();
    // The generator puts the text at 445 points from the left, on a line 150 from the top.
    assert!((area.left - 445.0).abs() < 0.5, "{area:?}");
    assert!(area.top < 150.0 && 150.0 < area.bottom && area.bottom - area.top < 12.0, "{area:?}");
    assert!(area.right > 500.0 && area.right < 540.0, "{area:?}");
    let text: Vec<char> = found.text.chars().collect();
    for evidence in &found.evidence {
        let words = |text: &str| -> Vec<String> {
            text.split_whitespace().map(ToOwned::to_owned).collect()
        };
        let spanned: String = text[evidence.span.start..evidence.span.end].iter().collect();
        let (spanned, said) = (words(&spanned), words(&evidence.text));
        assert!(said.iter().all(|word| spanned.contains(word)), "{evidence:?}: {spanned:?}");
        assert!(evidence.confidence > 0.5 && evidence.confidence <= 1.0, "{evidence:?}");
        assert!(evidence.area.is_some_and(|area| area.right <= 595.0 && area.bottom <= 842.0));
    }
    assert_eq!(evidence(&found, "total").text, "£1,845.60");
}

#[test]
fn turned_pages_read_as_well() {
    let upright = find(INVOICE, SAMPLE).unwrap();
    for angle in ["90", "180", "270"] {
        let text: String = INVOICE.iter().map(|byte| char::from(*byte)).collect();
        let turned = text.replace("/Parent 2 0 R", &format!("/Parent 2 0 R/Rotate {angle}"));
        assert_ne!(turned, text);
        let turned: Vec<u8> = turned.chars().map(|c| u8::try_from(u32::from(c)).unwrap()).collect();
        let found = find(&turned, SAMPLE).unwrap();
        assert_eq!(found.text, upright.text, "turned by {angle}");
        assert_eq!(found.output, upright.output, "turned by {angle}");
    }
}

const RECEIPT: &str = "
fields:
  - { key: number, type: text, rule: { label: Invoice number } }
  - { key: date, type: date, rule: { label: [Invoice date, date] } }
  - { key: total, type: currency, rule: { label: Total } }
  - key: items
    type: table
    rule:
      table:
        columns:
          - { key: what, header: Item, required: true }
          - { key: price, header: Price, type: number }
        until: Total
";

#[test]
fn the_same_rules_work_on_every_kind_of_text() {
    let text = "INVOICE\n\nInvoice number: A-7\nInvoice date  2 May 2026\n\nItem         Price\nPaper         12.00\nInk            3.50\n\nTotal     EUR 15.50\n";
    let html = "<html><body><h1>INVOICE</h1><dl><dt>Invoice number:<dd>A-7</dl><p>Invoice date: <b>2 May 2026</b></p>
        <table><tr><th>Item<th>Price<tr><td>Paper<td>12.00<tr><td>Ink<td>3.50</table><p>Total: EUR 15.50</body></html>";
    let json = r#"{"invoice": {"number": "A-7", "date": "2026-05-02"}, "items": [{"Item": "Paper", "Price": 12.0}, {"Item": "Ink", "Price": 3.5}], "total": "EUR 15.50"}"#;
    let wide: Vec<u8> =
        [0xff, 0xfe].into_iter().chain(text.encode_utf16().flat_map(u16::to_le_bytes)).collect();
    let old: Vec<u8> = text
        .replace("EUR", "\u{80}")
        .chars()
        .map(|c| u8::try_from(u32::from(c)).unwrap())
        .collect();
    for (kind, document) in [
        ("text/plain", text.as_bytes()),
        ("text/html", html.as_bytes()),
        ("application/json", json.as_bytes()),
        ("text/plain", &wide),
        ("text/plain", &old),
    ] {
        let found = find(document, RECEIPT).unwrap();
        let expected = json!({
            "number": "A-7",
            "date": "2026-05-02",
            "total": {"amount": "15.50", "currency": "EUR"},
            "items": [{"what": "Paper", "price": 12.0}, {"what": "Ink", "price": 3.5}],
        });
        let (mut output, mut expected) = (Value::Object(found.output), expected);
        // Whole numbers stand in the answer as they do in the text.
        for value in [&mut output, &mut expected] {
            value["items"][0]["price"] = json!(value["items"][0]["price"].as_f64());
        }
        assert_eq!((found.media_type.as_str(), output), (kind, expected));
        assert!(found.evidence.iter().all(|evidence| evidence.area.is_none()));
    }
}

#[test]
fn spreadsheets_as_text_are_tables() {
    let table = "rule: { table: { columns: [{ key: what, header: Name }, { key: price, header: Price, type: number, locale: de }] } }, type: table";
    let rows = json!([{"what": "Paper, white", "price": 1200.5}, {"what": "Ink", "price": -3}]);
    for csv in [
        "Name;Price\nPaper, white;1.200,50\nInk;-3\n",
        "Name\tPrice\r\nPaper, white\t1.200,50\r\nInk\t-3\r\n",
        "Name,Price\n\"Paper, white\",\"1.200,50\"\nInk,-3\n",
        "Name|Price\nPaper, white|1.200,50\nInk|-3",
    ] {
        assert_eq!(one(csv, table), rows, "{csv}");
    }
}

#[test]
fn labels_are_found_however_they_are_set() {
    for (text, look, expected) in [
        ("Invoice no.: 17", "nearby", "17"),
        ("INVOICE NO   17", "nearby", "17"),
        ("I N V O I C E N O:   17", "nearby", "17"),
        ("Invoice no (ours)   17", "nearby", "17"),
        ("Invoice no        :        17", "nearby", "17"),
        ("Invoice no\n17", "nearby", "17"),
        ("Invoice no   Date\n17           2 May", "below", "17"),
        ("Invoice no   Due date\n17           2 May", "nearby", "17"),
        ("Our invoice no 16\nInvoice no: 17", "nearby", "17"),
        ("Invoice no-one 16\nInvoice no 17", "nearby", "17"),
        ("old invoice no. 17 of May", "right_of", "17 of May"),
    ] {
        let field = format!("type: text, rule: {{ label: Invoice no, look: {look} }}");
        // A second field, so that its label is known not to be a value.
        let definition = format!(
            "fields: [{{ key: it, {field} }}, {{ key: due, type: date, rule: {{ label: [Due date, Date] }} }}]"
        );
        let found = find(text.as_bytes(), &definition).unwrap();
        assert_eq!(found.output["it"], expected, "{text:?}");
    }
}

#[test]
fn labels_lead_to_values_of_the_wanted_type() {
    let text =
        "Subtotal      10.00\nTotal VAT 19%  1.90\nTotal      EUR     11.90\nTotal paid   0.00\n";
    let total = |more: &str| one(text, &format!("type: currency, rule: {{ label: Total{more} }}"));
    assert_eq!(total(""), json!({"amount": "11.90", "currency": "EUR"}));
    assert_eq!(total(", occurrence: last")["amount"], "11.90");
    assert_eq!(one(text, "type: number, rule: { label: [Grand total, Total VAT] }"), json!(1.90));
    let due = "Amount due on May 3,     2026    $4.11";
    assert_eq!(one(due, "type: currency, rule: { label: Amount due }")["amount"], "4.11");
    let address = "Bill to:            Ship to:\nAda Lovelace        Charles Babbage\n12 Engine Row       1 Mill\n\nDate: 2 May 2026";
    let buyer = "type: text, rule: { label: Bill to, look: below, max_lines: 3 }";
    assert_eq!(one(address, buyer), "Ada Lovelace\n12 Engine Row");
    let first =
        "type: text, rule: { label: Bill to, look: below, max_lines: 3, max_characters: 3 }";
    assert_eq!(one(address, first), "Ada");
    let surname = "type: text, rule: { label: Bill to, pattern: '(?P<value>\\w+)$' }";
    assert_eq!(one(address, surname), "Lovelace");
}

#[test]
fn patterns_find_one_or_all() {
    let text = "Order A-1 of 2 May, order A-2 of 3 May\nand order A-3";
    let rule = |more: &str| format!("rule: {{ pattern: 'rder (?P<value>A-\\d)'{more} }}");
    let find = |kind: &str, more: &str| one(text, &format!("type: {kind}, {}", rule(more)));
    assert_eq!(find("text", ""), "A-1");
    assert_eq!(find("text", ", occurrence: last"), "A-3");
    assert_eq!(find("list", ""), json!(["A-1", "A-2", "A-3"]));
}

#[test]
fn lists_are_the_lines_between_two_texts() {
    let text =
        "Terms            Contents\n• Pay soon       1 lamp\n- Ship early     2 oil\n\nRegards\nMe";
    let list = |rule: &str| one(text, &format!("type: list, rule: {{ lines: {rule} }}"));
    assert_eq!(list("{ after: Terms }"), json!(["Pay soon", "Ship early"]));
    assert_eq!(list("{ after: Contents, before: Regards }"), json!(["1 lamp", "2 oil"]));
    let counts = "type: list, items: integer, rule: { lines: { after: Contents } }";
    assert_eq!(one(text, counts), json!([1, 2]));
}

const TABLE: &str = "
Ref   Description             Qty    Unit price      Total
7     Lamp, brass, with         2       1,000.00   2,000.00
      a green shade
8     Oil                    10.5           2.00      21.00
9     Wick                                  0.50
Carried over                                       2,021.00
";

#[test]
fn tables_follow_their_columns() {
    let columns = "{ key: what, header: Description }, { key: n, header: Qty, type: number }, { key: sum, header: [Amount, Total], type: number }";
    let table = |more: &str| {
        one(TABLE, &format!("type: table, rule: {{ table: {{ columns: [{columns}]{more} }} }}"))
    };
    let rows = json!([
        {"what": "Lamp, brass, with a green shade", "n": 2, "sum": 2000.0},
        {"what": "Oil", "n": 10.5, "sum": 21.0},
        {"what": "Wick", "n": null, "sum": null},
    ]);
    let sums = |rows: &Value| -> Vec<Option<f64>> {
        rows.as_array().unwrap().iter().map(|row| row["sum"].as_f64()).collect()
    };
    let found = table(", until: Carried over");
    assert_eq!(sums(&found), sums(&rows));
    assert_eq!(found[0]["what"], rows[0]["what"]);
    assert_eq!(found[2]["what"], rows[2]["what"]);
}

#[test]
fn what_is_missing_is_told_with_what_was_looked_for() {
    let text = "Total: soon\nDate: 31.02.2026\nName:";
    let told = [
        why_not(text, "type: number, rule: { label: [Total, Sum] }"),
        why_not(text, "type: date, rule: { label: Date }"),
        why_not(text, "type: text, rule: { label: Name, look: right_of }"),
        why_not(text, "type: text, rule: { label: [Address, Street] }"),
        why_not(text, "type: text, rule: { pattern: '[0-9]{9}' }"),
        why_not(text, "type: email, rule: { pattern: 'T\\w+' }"),
        why_not(text, "type: list, rule: { lines: { after: Items } }"),
        why_not(text, "type: table, rule: { table: { columns: [{ key: a, header: Item }] } }"),
    ];
    insta::assert_snapshot!(told.join("\n"));
}

#[test]
fn an_optional_field_without_value_is_null_or_its_default() {
    let definition = "fields:
  - { key: a, type: number, rule: { label: Missing } }
  - { key: b, type: number, default: 7, rule: { label: Missing } }
  - { key: c, type: number, rule: { label: Total } }";
    let found = find(b"Total: soon", definition).unwrap();
    assert_eq!(Value::Object(found.output), json!({"a": null, "b": 7, "c": null}));
    let fields: Vec<&str> = found.misses.iter().map(|miss| miss.field.as_str()).collect();
    assert_eq!(fields, ["a", "b", "c"]);
}

#[test]
fn all_missing_fields_are_told_at_once() {
    let definition = "fields:
  - { key: a, type: number, required: true, rule: { label: One } }
  - { key: b, type: number, required: true, rule: { label: Two } }";
    insta::assert_snapshot!(find(b"nothing", definition).unwrap_err().to_string(), @"required values are missing: `a`: looked for the label “One”, which is not in the document; `b`: looked for the label “Two”, which is not in the document");
}

#[test]
fn other_formats_are_refused_by_name() {
    let told: Vec<String> = [
        &b"\0\0\0\x18ftypheic"[..],
        b"PK\x03\x04........word/document.xml",
        b"PK\x03\x04........xl/workbook.xml",
        b"PK\x03\x04........a.txt",
        b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1....",
        b"%!PS-Adobe",
        b"{\\rtf1 hello}",
        b"\x1f\x8b\x08\0\0",
        b"<?xml version='1.0'?><invoice/>",
        b"\x00\x01\x02\x03",
        b"GIF89a %PDF-1.4",
        b"x\n%PDF-1.4",
        b"",
        b"  \n ",
    ]
    .iter()
    .map(|bytes| find(bytes, RECEIPT).unwrap_err().to_string())
    .collect();
    insta::assert_snapshot!(told.join("\n"));
}

/// Proves UPL-03 for the formats that are read.
#[test]
fn a_document_is_not_taken_for_what_it_is_not() {
    let definition = Definition::parse(RECEIPT).unwrap();
    let read = |bytes: &[u8], declared| extract(bytes, "a", Some(declared), &definition);
    let refused = |bytes: &[u8], declared| {
        matches!(read(bytes, declared), Err(Error::DeclaredOtherwise { .. }))
    };
    assert!(refused(b"Total: 5", "application/pdf"));
    assert!(refused(INVOICE, "text/plain"));
    assert!(refused(INVOICE, "image/png"));
    assert!(refused(b"<html>Total: 5</html>", "image/svg"));
    for declared in ["text/plain; charset=utf-8", "application/octet-stream", "text/csv", ""] {
        assert_eq!(read(b"Total: 5", declared).unwrap().output["total"]["amount"], "5");
    }
}

#[test]
fn only_the_wanted_pages_are_read() {
    let definition = |read: &str| {
        format!(
            "read: {{ {read} }}\nfields: [{{ key: n, type: list, rule: {{ pattern: '[0-9]+' }} }}]"
        )
    };
    let text = b"page 1\x0cpage 2\x0cpage 3\x0cpage 4";
    let pages = |read: &str| find(text, &definition(read)).map(|found| found.output["n"].clone());
    assert_eq!(pages("layout: true"), Ok(json!(["1", "2", "3", "4"])));
    assert_eq!(pages("pages: '2, 4-'"), Ok(json!(["2", "4"])));
    assert_eq!(pages("max_pages: 3"), Err(Error::TooManyPages { pages: 4, max: 3 }));
    let second = "fields: [{ key: n, type: text, rule: { pattern: '[0-9]+', page: 3 } }]";
    assert_eq!(find(text, second).unwrap().output["n"], "3");
}

#[test]
fn without_layout_lines_have_single_spaces() {
    let definition =
        "read: { layout: false }\nfields: [{ key: n, type: text, rule: { label: Currency } }]";
    let found = find(INVOICE, definition).unwrap();
    assert!(found.text.contains("Bill to Invoice number: NW-2026-00417\n"), "{}", found.text);
    assert_eq!(found.output["n"], "GBP");
}

#[test]
fn a_locked_document_is_told_so() {
    let encrypt = format!(
        "/ID[<00><00>]/Encrypt<</Filter/Standard/V 1/R 2/P -4/O<{0}>/U<{0}>>>",
        "41".repeat(32)
    );
    let text: String = INVOICE.iter().map(|byte| char::from(*byte)).collect();
    let locked = text.replace("/Root 1 0 R", &format!("/Root 1 0 R{encrypt}"));
    let locked: Vec<u8> = locked.chars().map(|c| u8::try_from(u32::from(c)).unwrap()).collect();
    assert_eq!(find(&locked, RECEIPT), Err(Error::Encrypted));
}
