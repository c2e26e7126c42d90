//! One invoice in every format of offices: each gives the same values.

use std::io::{Cursor, Write as _};

use keydock_engine::Error;
use libtest_mimic::Trial;
use zip::{ZipWriter, write::SimpleFileOptions};

use super::{at_once, find};

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        at_once("an_invoice_says_the_same_in_every_format", every_format),
        at_once("attachments_of_an_email_are_read_two_deep", attachments),
        at_once("sheets_and_slides_are_pages", pages),
    ]
}

/// A ZIP archive of these files.
pub(crate) fn archive(files: &[(&str, &str)]) -> Vec<u8> {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, content) in files {
        zip.start_file(*name, SimpleFileOptions::default()).unwrap();
        zip.write_all(content.as_bytes()).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

const ROWS: [[&str; 2]; 4] = [
    ["Invoice number", "INV-2026-7"],
    ["Description", "Amount"],
    ["Bolts & nuts", "1200.50"],
    ["Paint", "99"],
];

fn types(kind: &str) -> String {
    format!(
        r#"<Types><Override PartName="/main.xml" ContentType="application/vnd.openxmlformats-officedocument.{kind}.main+xml"/></Types>"#
    )
}

fn relations(main: &str) -> String {
    format!(
        r#"<Relationships><Relationship Id="r1" Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/officeDocument" Target="{main}"/></Relationships>"#
    )
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
}

pub(crate) fn docx() -> Vec<u8> {
    let cell =
        |text: &&str| format!("<w:tc><w:p><w:r><w:t>{}</w:t></w:r></w:p></w:tc>", escaped(text));
    let rows: String = ROWS
        .iter()
        .map(|row| format!("<w:tr>{}</w:tr>", row.iter().map(cell).collect::<String>()))
        .collect();
    let document = format!(
        r#"<w:document xmlns:w="w"><w:body><w:p><w:r><w:t>Invoice</w:t></w:r></w:p><w:tbl>{rows}</w:tbl>
        <w:p><w:r><w:t>Total due:</w:t><w:tab/><w:t xml:space="preserve"> EUR 1,299.50</w:t></w:r></w:p></w:body></w:document>"#
    );
    archive(&[
        ("[Content_Types].xml", &types("wordprocessingml.document")),
        ("_rels/.rels", &relations("word/document.xml")),
        ("word/document.xml", &document),
        (
            "word/header1.xml",
            "<w:hdr xmlns:w='w'><w:p><w:r><w:t>ACME Ltd</w:t></w:r></w:p></w:hdr>",
        ),
    ])
}

fn xlsx(sheets: usize) -> Vec<u8> {
    let total = [["Total due", "EUR 1299.50"]];
    let rows: String = ROWS
        .iter()
        .chain(&total)
        .enumerate()
        .map(|(index, [left, right])| {
            let row = index + 1;
            let number = match right.parse::<f64>() {
                Ok(number) => format!("<c r=\"B{row}\"><v>{number}</v></c>"),
                Err(_) => format!("<c r=\"B{row}\" t=\"inlineStr\"><is><t>{right}</t></is></c>"),
            };
            let left = escaped(left);
            format!("<row r=\"{row}\"><c r=\"A{row}\" t=\"inlineStr\"><is><t>{left}</t></is></c>{number}</row>")
        })
        .collect();
    let space = "http://schemas.openxmlformats.org/spreadsheetml/2006/main";
    let sheet = format!("<worksheet xmlns=\"{space}\"><sheetData>{rows}</sheetData></worksheet>");
    let ids = 1..=sheets;
    let names: String = ids
        .clone()
        .map(|id| format!("<sheet name=\"S{id}\" sheetId=\"{id}\" r:id=\"s{id}\"/>"))
        .collect();
    let kind = "http://schemas.openxmlformats.org/officeDocument/2006/relationships/worksheet";
    let parts: String = ids
        .map(|id| {
            format!(
                "<Relationship Id=\"s{id}\" Type=\"{kind}\" Target=\"worksheets/sheet{id}.xml\"/>"
            )
        })
        .collect();
    let book = format!(
        "<workbook xmlns=\"{space}\" xmlns:r=\"http://schemas.openxmlformats.org/officeDocument/2006/relationships\"><sheets>{names}</sheets></workbook>"
    );
    let mut files = vec![
        ("[Content_Types].xml".to_owned(), types("spreadsheetml.sheet")),
        ("_rels/.rels".to_owned(), relations("xl/workbook.xml")),
        ("xl/workbook.xml".to_owned(), book),
        (
            "xl/_rels/workbook.xml.rels".to_owned(),
            format!(
                "<Relationships xmlns=\"http://schemas.openxmlformats.org/package/2006/relationships\">{parts}</Relationships>"
            ),
        ),
    ];
    files.extend((1..=sheets).map(|id| (format!("xl/worksheets/sheet{id}.xml"), sheet.clone())));
    let files: Vec<(&str, &str)> = files.iter().map(|(a, b)| (a.as_str(), b.as_str())).collect();
    archive(&files)
}

fn pptx() -> Vec<u8> {
    let cell = |text: &&str| {
        format!(
            "<a:tc><a:txBody><a:p><a:r><a:t>{}</a:t></a:r></a:p></a:txBody></a:tc>",
            escaped(text)
        )
    };
    let rows: String = ROWS
        .iter()
        .map(|row| format!("<a:tr>{}</a:tr>", row.iter().map(cell).collect::<String>()))
        .collect();
    let slide = format!(
        "<p:sld xmlns:p='p' xmlns:a='a'><a:tbl>{rows}</a:tbl><p:sp><p:txBody><a:p><a:r><a:t>Total due: EUR 1299.50</a:t></a:r></a:p></p:txBody></p:sp></p:sld>"
    );
    let rel =
        |id: u8| format!("<Relationship Id='r{id}' Type='slide' Target='slides/slide{id}.xml'/>");
    archive(&[
        ("[Content_Types].xml", &types("presentationml.presentation")),
        ("_rels/.rels", &relations("ppt/presentation.xml")),
        (
            "ppt/presentation.xml",
            "<p:presentation xmlns:p='p' xmlns:r='r'><p:sldIdLst><p:sldId id='256' r:id='r2'/><p:sldId id='257' r:id='r1'/></p:sldIdLst></p:presentation>",
        ),
        (
            "ppt/_rels/presentation.xml.rels",
            &format!("<Relationships>{}{}</Relationships>", rel(1), rel(2)),
        ),
        ("ppt/slides/slide1.xml", &slide),
        (
            "ppt/slides/slide2.xml",
            "<p:sld xmlns:p='p' xmlns:a='a'><a:p><a:r><a:t>Cover</a:t></a:r></a:p></p:sld>",
        ),
    ])
}

fn opendocument(kind: &str) -> Vec<u8> {
    let cell = |text: &&str| {
        format!("<table:table-cell><text:p>{}</text:p></table:table-cell>", escaped(text))
    };
    let rows: String = ROWS
        .iter()
        .map(|row| {
            format!(
                "<table:table-row>{}</table:table-row>",
                row.iter().map(cell).collect::<String>()
            )
        })
        .collect();
    let total = "<table:table-row><table:table-cell><text:p>Total due</text:p></table:table-cell><table:table-cell><text:p>EUR<text:s/>1299.50</text:p></table:table-cell><table:table-cell table:number-columns-repeated='16000'/></table:table-row><table:table-row table:number-rows-repeated='1048000'><table:table-cell/></table:table-row>";
    let table = format!("<table:table table:name='S1'>{rows}{total}</table:table>");
    let (open, close) = match kind {
        "text" => ("<office:text>", "</office:text>"),
        "spreadsheet" => ("<office:spreadsheet>", "</office:spreadsheet>"),
        _ => ("<office:presentation><draw:page>", "</draw:page></office:presentation>"),
    };
    let content = format!(
        "<office:document-content xmlns:office='o' xmlns:text='t' xmlns:table='b' xmlns:draw='d'><office:body>{open}{table}{close}</office:body></office:document-content>"
    );
    let mimetype = format!("application/vnd.oasis.opendocument.{kind}");
    archive(&[("mimetype", &mimetype), ("content.xml", &content)])
}

/// A message with attachments.
pub(crate) fn mail(text: &str, attachments: &[(&str, &str, Vec<u8>)]) -> Vec<u8> {
    let mut mail = format!(
        "From: Ann <ann@example.com>\r\nTo: bob@example.com\r\nDate: Mon, 2 Mar 2026 10:00:00 +0100\r\nSubject: =?utf-8?Q?Gr=C3=BC=C3=9Fe?=\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: text/plain; charset=iso-8859-1\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n{text}\r\n"
    );
    for (name, kind, bytes) in attachments {
        let encoded = hex_of(bytes);
        mail.push_str(&format!(
            "--b\r\nContent-Type: {kind}; name=\"{name}\"\r\nContent-Disposition: attachment; filename=\"{name}\"\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n{encoded}\r\n"
        ));
    }
    mail.push_str("--b--\r\n");
    mail.into_bytes()
}

/// Quoted-printable, with every byte quoted.
fn hex_of(bytes: &[u8]) -> String {
    let lines =
        bytes.chunks(20).map(|line| line.iter().map(|it| format!("={it:02X}")).collect::<String>());
    lines.collect::<Vec<_>>().join("=\r\n")
}

fn every_format() {
    let mail = mail("See the attachment", &[("invoice.docx", "application/octet-stream", docx())]);
    for (kind, document) in [
        ("application/vnd.openxmlformats-officedocument.wordprocessingml.document", docx()),
        ("application/vnd.openxmlformats-officedocument.spreadsheetml.sheet", xlsx(1)),
        ("application/vnd.openxmlformats-officedocument.presentationml.presentation", pptx()),
        ("application/vnd.oasis.opendocument.text", opendocument("text")),
        ("application/vnd.oasis.opendocument.spreadsheet", opendocument("spreadsheet")),
        ("application/vnd.oasis.opendocument.presentation", opendocument("presentation")),
        ("message/rfc822", mail),
    ] {
        let found = find(&document, "any name").unwrap();
        assert_eq!(found.media_type, kind);
        assert_eq!(found.output["number"], "INV-2026-7", "{kind}: {}", found.text);
        assert_eq!(found.output["total"]["amount"], "1299.50", "{kind}: {}", found.text);
        assert_eq!(found.output["items"][0]["what"], "Bolts & nuts", "{kind}: {}", found.text);
        assert_eq!(found.output["items"][1]["amount"], 99, "{kind}: {}", found.text);
    }
    assert!(find(&docx(), "a").unwrap().text.starts_with("ACME Ltd\nInvoice\n"));
}

/// Proves UPL-02 for documents in documents.
fn attachments() {
    let inner = mail("Inner =F6", &[("a.docx", "application/octet-stream", docx())]);
    let outer =
        mail("Outer", &[("inner.eml", "message/rfc822", inner), ("b.bin", "x/y", vec![0, 1, 2])]);
    let found = find(&outer, "mail").unwrap();
    assert!(
        found.text.starts_with("From: Ann <ann@example.com>\nTo: bob@example.com\n"),
        "{}",
        found.text
    );
    for said in
        ["Subject: Grüße", "Outer", "Attachment: inner.eml", "Inner ö", "Attachment: a.docx"]
    {
        assert!(found.text.contains(said), "{said}: {}", found.text);
    }
    assert!(
        found.text.contains("Attachment: b.bin (not read: the document is in an unknown binary")
    );
    assert_eq!(found.output["number"], "INV-2026-7");
    let deeper = mail("Deeper", &[("outer.eml", "message/rfc822", outer)]);
    let found = find(&deeper, "mail").unwrap();
    assert!(
        found.text.contains("a.docx (not read: the document could not be read: documents stand"),
        "{}",
        found.text
    );
}

fn pages() {
    let found = find(&xlsx(3), "a").unwrap();
    assert_eq!((found.pages, found.text.matches('\u{c}').count()), (3, 2));
    let found = find(&pptx(), "a").unwrap();
    assert!(found.text.starts_with("Cover\u{c}"), "slides come in their order: {}", found.text);
    let encrypted = [
        ("mimetype", "application/vnd.oasis.opendocument.text"),
        ("META-INF/manifest.xml", "<m:encryption-data/>"),
        ("content.xml", "?"),
    ];
    assert_eq!(find(&archive(&encrypted), "a"), Err(Error::Encrypted));
}
