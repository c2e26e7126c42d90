//! Office documents, e-mails and pictures made to do harm.

use std::io::{Cursor, Write as _};

use zip::{CompressionMethod, ZipWriter, write::SimpleFileOptions};

use crate::{Hostile, random::Random};

const DOCUMENTS: [(&str, &[u8]); 6] = [
    ("good.docx", include_bytes!("../documents/docx_tablecell.docx")),
    ("good.xlsx", include_bytes!("../documents/xlsx_xlsx_comments.xlsx")),
    ("good.ods", include_bytes!("../documents/odf_odf_table_with_title_01.ods")),
    ("good.doc", include_bytes!("../documents/doc_greek_heading_styles.doc")),
    ("good.xls", include_bytes!("../documents/xls_legacy_sample.xls")),
    ("good.pptx", include_bytes!("../documents/pptx_powerpoint_bad_text.pptx")),
];

pub(crate) fn all() -> Vec<Hostile> {
    let mut all = mutated();
    all.extend(archives());
    all.extend(texts());
    all.extend(mails());
    all.extend(pictures());
    all
}

/// Good files with damage done to them.
fn mutated() -> Vec<Hostile> {
    let mut random = Random::new(7);
    let mut all = Vec::new();
    for (name, good) in DOCUMENTS {
        for round in 0..6 {
            let of = |what: &str| format!("{what} {round} {name}");
            all.push(Hostile::new(of("flipped"), random.flipped(good, 1 + 9 * round)));
            all.push(Hostile::new(of("smeared"), random.smeared(good, 8 << round)));
            all.push(Hostile::new(of("spliced"), random.spliced(good)));
            all.push(Hostile::new(of("cut"), random.cut(good)));
        }
    }
    all
}

fn archive(files: &[(&str, Vec<u8>)]) -> Vec<u8> {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, content) in files {
        let options = SimpleFileOptions::default().compression_method(CompressionMethod::Deflated);
        zip.start_file(*name, options).unwrap();
        zip.write_all(content).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

const TYPES: &str = r#"<Types><Override PartName="/word/document.xml" ContentType="application/vnd.openxmlformats-officedocument.wordprocessingml.document.main+xml"/></Types>"#;

/// A Word document with this text in it.
fn docx(document: impl Into<Vec<u8>>) -> Vec<u8> {
    archive(&[("[Content_Types].xml", TYPES.into()), ("word/document.xml", document.into())])
}

fn sheet(content: impl Into<Vec<u8>>) -> Vec<u8> {
    let mimetype = b"application/vnd.oasis.opendocument.spreadsheet".to_vec();
    archive(&[("mimetype", mimetype), ("content.xml", content.into())])
}

/// Bombs, and archives whose directories lie.
fn archives() -> Vec<Hostile> {
    let bomb = docx(vec![b' '; 24 << 20]);
    let mut lying = bomb.clone();
    overwrite_sizes(&mut lying);
    let nested = (0..5).fold(bomb.clone(), |inner, _| archive(&[("word/document.xml", inner)]));
    let mut many = ZipWriter::new(Cursor::new(Vec::new()));
    for index in 0..10_050 {
        many.start_file(format!("{index}"), SimpleFileOptions::default()).unwrap();
    }
    let good = docx("<w:document/>");
    let mut overlapping = good.clone();
    overlap(&mut overlapping);
    let mut huge_directory = good.clone();
    let end = huge_directory.len();
    huge_directory[end - 12..end - 10].copy_from_slice(&[0xff, 0xff]);
    vec![
        Hostile::new("bomb.docx", bomb),
        Hostile::new("bomb that lies about its size.docx", lying),
        Hostile::new("archives in archives.docx", nested),
        Hostile::new("ten thousand files.docx", many.finish().unwrap().into_inner()),
        Hostile::new("overlapping files.docx", overlapping),
        Hostile::new("a directory that lies.docx", huge_directory),
        Hostile::new("two archives.docx", [good.clone(), good.clone()].concat()),
        Hostile::new(
            "only an end.docx",
            b"PK\x05\x06".iter().copied().chain([0; 18]).collect::<Vec<_>>(),
        ),
        Hostile::new(
            "paths.docx",
            archive(&[
                ("../../etc/passwd", b"x".to_vec()),
                ("[Content_Types].xml", TYPES.into()),
                ("word/document.xml", b"<w:document/>".to_vec()),
            ]),
        ),
    ]
}

/// All sizes in the directory become small.
fn overwrite_sizes(bytes: &mut [u8]) {
    let places: Vec<usize> =
        (0..bytes.len() - 4).filter(|&at| bytes[at..].starts_with(b"PK\x01\x02")).collect();
    for at in places {
        bytes[at + 24..at + 28].copy_from_slice(&100_u32.to_le_bytes());
    }
}

/// The second file is said to begin where the first does.
fn overlap(bytes: &mut [u8]) {
    let places: Vec<usize> =
        (0..bytes.len() - 4).filter(|&at| bytes[at..].starts_with(b"PK\x01\x02")).collect();
    let second = places[1];
    bytes[second + 42..second + 46].copy_from_slice(&0_u32.to_le_bytes());
}

/// XML that is deep, wide, or refers to itself.
fn texts() -> Vec<Hostile> {
    let deep = |name: &str, depth: usize| {
        format!("{}{}", format!("<w:{name}>").repeat(depth), format!("</w:{name}>").repeat(depth))
    };
    let laughs = "<!DOCTYPE l [<!ENTITY a \"ha\"><!ENTITY b \"&a;&a;&a;&a;&a;&a;&a;&a;\"><!ENTITY c \"&b;&b;&b;&b;&b;&b;&b;\">]><w:p><w:t>&c;&c;</w:t></w:p>";
    let outside =
        "<!DOCTYPE l [<!ENTITY a SYSTEM \"file:///etc/passwd\">]><w:p><w:t>&a;</w:t></w:p>";
    let repeated = "<office:spreadsheet><table:table><table:table-row table:number-rows-repeated='2000000000'><table:table-cell table:number-columns-repeated='2000000000'><text:p>x</text:p></table:table-cell></table:table-row></table:table></office:spreadsheet>";
    let spaces = "<office:text><text:p>x<text:s text:c='2000000000'/>y</text:p></office:text>";
    let wide = format!("<w:tbl>{}</w:tbl>", "<w:tr><w:tc><w:tcPr><w:gridSpan w:val='999999999'/></w:tcPr><w:p><w:t>x</w:t></w:p></w:tc></w:tr>".repeat(50));
    let mut all = vec![
        Hostile::new("laughs.docx", docx(laughs)),
        Hostile::new("a file from outside.docx", docx(outside)),
        Hostile::new("wide table.docx", docx(wide)),
        Hostile::new("repeated.ods", sheet(repeated)),
        Hostile::new("spaces.ods", sheet(spaces)),
        Hostile::new("no end.docx", docx("<w:p>".repeat(100_000))),
        Hostile::new("only ends.docx", docx("</w:tbl></w:tc>".repeat(1_000))),
        Hostile::new("not xml.docx", docx(vec![0xff; 5_000])),
    ];
    for name in ["p", "tbl", "tc", "txbxContent", "Fallback", "r"] {
        all.push(Hostile::new(format!("deep {name}.docx"), docx(deep(name, 40_000))));
    }
    all
}

fn mails() -> Vec<Hostile> {
    let head = "From: a@b.c\r\nTo: d@e.f\r\nMIME-Version: 1.0\r\n";
    let deep = (0..2_000).fold(String::new(), |mut text, index| {
        text.push_str(&format!(
            "Content-Type: multipart/mixed; boundary=b{index}\r\n\r\n--b{index}\r\n"
        ));
        text
    });
    let nested =
        "Content-Type: message/rfc822\r\n\r\nFrom: a@b.c\r\nMIME-Version: 1.0\r\n".repeat(2_000);
    let many = "--b\r\nContent-Disposition: attachment; filename=a\r\n\r\nx\r\n".repeat(5_000);
    vec![
        Hostile::new("deep parts.eml", format!("{head}{deep}x")),
        Hostile::new("deep messages.eml", format!("{head}{nested}\r\nx")),
        Hostile::new("parts.eml", format!("{head}Content-Type: multipart/mixed; boundary=b\r\n\r\n{many}--b--")),
        Hostile::new("names.eml", format!("{head}Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Disposition: attachment; filename=\"../../{}\"\r\n\r\nx\r\n--b--", "x".repeat(9_000))),
        Hostile::new("bomb.eml", [
            format!("{head}Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Disposition: attachment; filename=a.docx\r\nContent-Transfer-Encoding: binary\r\n\r\n").into_bytes(),
            docx(vec![b' '; 24 << 20]),
            b"\r\n--b--".to_vec(),
        ].concat()),
    ]
}

/// Pictures that are larger than any memory, or whose pages go in circles.
fn pictures() -> Vec<Hostile> {
    let png = |width: u32, height: u32| {
        let mut header = b"IHDR".to_vec();
        header.extend(width.to_be_bytes());
        header.extend(height.to_be_bytes());
        header.extend([8, 2, 0, 0, 0]);
        let mut bytes = b"\x89PNG\r\n\x1a\n\0\0\0\x0d".to_vec();
        bytes.extend(&header);
        bytes.extend(crc32(&header).to_be_bytes());
        bytes.extend(b"\0\0\0\0IDAT\x35\xaf\x06\x1e");
        bytes
    };
    let tiff = b"II*\0\x08\0\0\0\0\0\x08\0\0\0".to_vec();
    let gif = b"GIF89a\xff\xff\xff\xff\0\0\0,\0\0\0\0\xff\xff\xff\xff\0\x02\x01\0\0;".to_vec();
    let mut bmp = b"BM\xff\xff\0\0\0\0\0\0\x36\0\0\0\x28\0\0\0".to_vec();
    bmp.extend(0x7fff_ffff_u32.to_le_bytes());
    bmp.extend(0x7fff_ffff_u32.to_le_bytes());
    bmp.extend(b"\x01\0\x18\0");
    bmp.extend([0; 24]);
    vec![
        Hostile::new("wide.png", png(2_000_000_000, 1)),
        Hostile::new("large.png", png(60_000, 60_000)),
        Hostile::new("just allowed.png", png(7_000, 7_000)),
        Hostile::new("empty.png", png(0, 0)),
        Hostile::new("circle.tiff", tiff),
        Hostile::new("large.gif", gif),
        Hostile::new("large.bmp", bmp),
        Hostile::new("only a beginning.jpg", b"\xff\xd8\xff\xe0".to_vec()),
        Hostile::new(
            "only a beginning.webp",
            b"RIFF\xff\xff\xff\xffWEBPVP8L\xff\xff\xff\xff\x2f\xff\xff\xff\xff".to_vec(),
        ),
    ]
}

fn crc32(bytes: &[u8]) -> u32 {
    let step = |sum: u32, byte: &u8| {
        (0..8).fold(sum ^ u32::from(*byte), |sum, _| {
            if sum & 1 == 1 { (sum >> 1) ^ 0xedb8_8320 } else { sum >> 1 }
        })
    };
    !bytes.iter().fold(u32::MAX, step)
}
