//! What documents are taken for: their content decides, and whoever says otherwise is refused.

use keydock_core::workflows::Definition;
use keydock_engine::{Error, extract};
use libtest_mimic::Trial;

use super::{INVOICE, at_once, find, office};

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        at_once("no_document_is_read_as_what_it_is_not", mismatches),
        at_once("what_is_two_things_at_once_is_refused", polyglots),
    ]
}

const PDF: &[u8] = include_bytes!("../../../../examples/invoices/invoice.pdf");

/// Proves UPL-03.
fn mismatches() {
    let definition = Definition::parse(INVOICE).unwrap();
    let mail = office::mail("Hello", &[]);
    let documents: [(&[u8], &[&str]); 5] = [
        (PDF, &["application/pdf", "application/x-pdf"]),
        (
            &office::docx(),
            &[
                "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
                "application/vnd.ms-word.document.macroenabled.12",
                "application/msword",
                "application/zip",
            ],
        ),
        (include_bytes!("../documents/xls_legacy_sample.xls"), &["application/vnd.ms-excel"]),
        (&mail, &["message/rfc822", "text/plain"]),
        (b"Total due: 5", &["text/plain", "text/csv", "text/html", "application/json"]),
    ];
    let types = [
        "application/pdf",
        "application/x-pdf",
        "application/zip",
        "application/msword",
        "application/vnd.ms-word.document.macroenabled.12",
        "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
        "application/vnd.openxmlformats-officedocument.presentationml.presentation",
        "application/vnd.oasis.opendocument.text",
        "application/vnd.ms-excel",
        "application/json",
        "image/png",
        "image/jpeg",
        "image/svg+xml",
        "message/rfc822",
        "text/html",
        "text/plain",
        "text/csv",
        "video/mp4",
    ];
    let mut refused = 0;
    for (document, fitting) in documents {
        for declared in types {
            let read = extract(document, "name.pdf", Some(declared), &definition);
            let is_told = matches!(
                read,
                Err(Error::DeclaredOtherwise { .. } | Error::UnsupportedFormat { .. })
            );
            // An e-mail is text of some kind; which, only its content says.
            let is_text = document.starts_with(b"From: ") || document.starts_with(b"Total");
            let may = fitting.contains(&declared) || (is_text && declared.starts_with("text/"));
            let may = may || (is_text && declared == "application/json");
            assert_eq!(is_told, !may, "{declared} for {:?}", &document[..8]);
            refused += usize::from(is_told);
        }
    }
    assert!(refused >= 60, "only {refused} were refused");
}

/// Proves UPL-03 for files that are two kinds of documents at once.
fn polyglots() {
    let zip = office::docx();
    let png = b"\x89PNG\r\n\x1a\n".as_slice();
    let mut stored = zip.clone();
    stored.splice(30..30, b"%PDF-1.4\n".iter().copied());
    for (what, document) in [
        ("a PDF before an archive", [PDF, zip.as_slice()].concat()),
        ("a picture before an archive", [png, zip.as_slice()].concat()),
        ("a page before an archive", [b"<html><p>hello</html>", zip.as_slice()].concat()),
        ("something after an archive", [zip.as_slice(), b"more"].concat()),
        ("an archive before an archive", [zip.as_slice(), zip.as_slice()].concat()),
        ("a PDF in a picture", [b"GIF89a", PDF].concat()),
        ("a PDF in a text", [b"Total due: 5\n", PDF].concat()),
        ("a PDF at the beginning of an archive", stored),
    ] {
        let read = find(&document, "a");
        let is_refused =
            matches!(read, Err(Error::UnsupportedFormat { .. } | Error::Damaged { .. }));
        assert!(is_refused, "{what}: {read:?}");
    }
}
