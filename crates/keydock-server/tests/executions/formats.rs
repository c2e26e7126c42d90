//! Documents of every group of formats, through the API.

use serde_json::Value;

use crate::world::{Form, World, invoice};

macro_rules! document {
    ($name:literal) => {
        include_bytes!(concat!("../../../keydock-engine/tests/documents/", $name)).as_slice()
    };
}

/// What becomes of documents that are sent together, with one that is read for certain.
async fn sent(documents: &[(&str, &[u8])]) -> Vec<Value> {
    let world = World::working().await;
    let mut form = Form::default().field("include_extracted_text", "True");
    for (name, bytes) in documents {
        form = form.file(name, bytes);
    }
    let mut items = world.items(form.file("good.txt", invoice(1))).await;
    assert_eq!(items.pop().unwrap()["error"], Value::Null);
    assert_eq!(items.len(), documents.len());
    items
}

/// The definition of the tests asks for an invoice number, which most of these do not have: that
/// it is missing means that the text was read.
#[tokio::test]
async fn office_documents_are_read() {
    let items = sent(&[
        ("a.docx", document!("docx_tablecell.docx")),
        ("a.xlsx", document!("xlsx_xlsx_comments.xlsx")),
        ("a.pptx", document!("pptx_powerpoint_bad_text.pptx")),
        ("a.odt", document!("odf_text_document_03.odt")),
        ("a.doc", document!("doc_greek_heading_styles.doc")),
        ("a.xls", document!("xls_legacy_sample.xls")),
    ])
    .await;
    for item in items {
        let error = item["error"].as_str().unwrap();
        assert!(error.starts_with("a required value is missing: `number`"), "{item}");
    }
}

#[tokio::test]
async fn an_email_is_read_with_its_attachment() {
    let mail = "From: a@example.com\r\nTo: b@example.com\r\nSubject: Invoice\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\nSee below\r\n--b\r\nContent-Type: text/plain\r\nContent-Disposition: attachment; filename=a.txt\r\n\r\nInvoice number: INV-77\r\nTotal: 5\r\n--b--\r\n";
    let items = sent(&[("mail.eml", mail.as_bytes())]).await;
    assert_eq!(items[0]["result"]["output"]["number"], "INV-77", "{items:?}");
}

#[tokio::test]
async fn a_picture_is_read() {
    let items = sent(&[("scan.png", document!("invoice.png"))]).await;
    assert_eq!(items[0]["error"], Value::Null, "{items:?}");
    assert!(items[0].to_string().contains("1,845.60"), "{items:?}");
}

/// Proves UPL-02 and UPL-03 through the API.
#[tokio::test]
async fn what_is_not_what_it_seems_is_a_failed_file() {
    let docx = document!("docx_tablecell.docx");
    let twice = [b"%PDF-1.7\n", docx].concat();
    let items = sent(&[("a.pdf", &twice), ("b.rtf", b"{\\rtf1 x}")]).await;
    for (item, said) in items.iter().zip(["a ZIP archive and something else", "RTF"]) {
        assert!(item["error"].as_str().unwrap().contains(said), "{item}");
    }
}
