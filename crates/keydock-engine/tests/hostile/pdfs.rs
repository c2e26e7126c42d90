//! PDF files made to do harm.

use std::fmt::Write as _;

use crate::{Hostile, random::Random};

pub(crate) fn all(good: &[u8]) -> Vec<Hostile> {
    let mut all = mutated(good);
    all.extend(structures());
    all.extend(streams());
    all.extend(contents());
    all
}

/// A good file with damage done to it.
fn mutated(good: &[u8]) -> Vec<Hostile> {
    let mut random = Random::new(1);
    let mut all = Vec::new();
    for round in 0..12 {
        all.push(Hostile::new(format!("flipped {round}.pdf"), random.flipped(good, 1 + 6 * round)));
        all.push(Hostile::new(
            format!("smeared {round}.pdf"),
            random.smeared(good, 8 << (round / 2)),
        ));
        all.push(Hostile::new(format!("spliced {round}.pdf"), random.spliced(good)));
        all.push(Hostile::new(format!("cut {round}.pdf"), random.cut(good)));
        all.push(Hostile::new(format!("table {round}.pdf"), damaged_table(good, &mut random)));
    }
    all
}

/// The table of objects points anywhere.
fn damaged_table(good: &[u8], random: &mut Random) -> Vec<u8> {
    let text: String = good.iter().map(|byte| char::from(*byte)).collect();
    let table = text.rfind("xref\n").unwrap_or_default();
    let mut bytes = good.to_vec();
    for byte in bytes.iter_mut().skip(table) {
        if byte.is_ascii_digit() && random.below(3) == 0 {
            *byte = b'0' + random.byte() % 10;
        }
    }
    bytes
}

/// A file from the bodies of its objects, numbered from 1; the first is the catalog.
fn file(objects: &[String]) -> Vec<u8> {
    let objects: Vec<Vec<u8>> = objects.iter().map(|it| it.clone().into_bytes()).collect();
    file_of_bytes(&objects, "")
}

fn file_of_bytes(objects: &[Vec<u8>], trailer: &str) -> Vec<u8> {
    let mut bytes = b"%PDF-1.7\n".to_vec();
    let mut table = format!("xref\n0 {}\n0000000000 65535 f \n", objects.len() + 1);
    for (index, object) in objects.iter().enumerate() {
        let _ = writeln!(table, "{:010} 00000 n ", bytes.len());
        bytes.extend(format!("{} 0 obj\n", index + 1).bytes());
        bytes.extend(object);
        bytes.extend(b"\nendobj\n");
    }
    let start = bytes.len();
    let size = objects.len() + 1;
    bytes.extend(table.bytes());
    bytes.extend(
        format!("trailer\n<</Size {size}/Root 1 0 R{trailer}>>\nstartxref\n{start}\n%%EOF").bytes(),
    );
    bytes
}

const CATALOG: &str = "<</Type/Catalog/Pages 2 0 R>>";
const PAGES: &str = "<</Type/Pages/Kids[3 0 R]/Count 1>>";
const PAGE: &str = "<</Type/Page/Parent 2 0 R/MediaBox[0 0 595 842]/Contents 4 0 R/Resources<</Font<</F 5 0 R>>/XObject<</X 6 0 R>>>>>>";
const FONT: &str = "<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>";

/// A page with this content, and further objects from number 6.
fn with_content(content: &[u8], dictionary: &str, more: &[String]) -> Vec<u8> {
    let stream = [
        format!("<</Length {}{dictionary}>>\nstream\n", content.len()).as_bytes(),
        content,
        b"\nendstream",
    ]
    .concat();
    let mut objects: Vec<Vec<u8>> =
        [CATALOG, PAGES, PAGE].iter().map(|it| it.as_bytes().to_vec()).collect();
    objects.push(stream);
    objects.push(FONT.as_bytes().to_vec());
    objects.extend(more.iter().map(|it| it.clone().into_bytes()));
    file_of_bytes(&objects, "")
}

fn stream(dictionary: &str, content: &str) -> String {
    format!("<<{dictionary}/Length {}>>\nstream\n{content}\nendstream", content.len())
}

/// Objects that refer to themselves, are nested without end, or lie about their size.
fn structures() -> Vec<Hostile> {
    let nested = |open: &str, close: &str, depth: usize| {
        file(&[CATALOG.to_owned(), format!("{}{}", open.repeat(depth), close.repeat(depth))])
    };
    let pages = |kids: &str| {
        file(&[
            CATALOG.to_owned(),
            format!("<</Type/Pages/Kids[{kids}]/Count 9>>"),
            PAGES.replace('3', "2"),
        ])
    };
    let many: Vec<String> = (0..60_000).map(|_| "4 0 R".to_owned()).collect();
    let mut all = vec![
        Hostile::new("header only.pdf", "%PDF-1.7"),
        Hostile::new("no pages.pdf", file(&[CATALOG.to_owned()])),
        Hostile::new("page tree of itself.pdf", pages("2 0 R")),
        Hostile::new("page tree in a circle.pdf", pages("3 0 R 3 0 R")),
        Hostile::new("catalog is itself.pdf", file(&["1 0 R".to_owned()])),
        Hostile::new(
            "huge count.pdf",
            file(&[
                CATALOG.to_owned(),
                "<</Type/Pages/Kids[3 0 R]/Count 2147483647>>".to_owned(),
                PAGE.to_owned(),
            ]),
        ),
        Hostile::new(
            "very many pages.pdf",
            file(&[
                CATALOG.to_owned(),
                "<</Type/Pages/Kids 3 0 R/Count 60000>>".to_owned(),
                format!("[{}]", many.join(" ")),
                "<</Type/Page/Parent 2 0 R/MediaBox[0 0 9 9]>>".to_owned(),
            ]),
        ),
        Hostile::new("table before itself.pdf", looping_table()),
        Hostile::new(
            "parent of itself.pdf",
            file(&[
                CATALOG.to_owned(),
                "<</Type/Pages/Kids[3 0 R]/Count 1/Parent 3 0 R>>".to_owned(),
                "<</Type/Page/Parent 3 0 R/Contents 3 0 R>>".to_owned(),
            ]),
        ),
        Hostile::new("length of itself.pdf", with_content(b"BT ET", "/Length 4 0 R", &[])),
        Hostile::new(
            "huge box.pdf",
            file(&[CATALOG.to_owned(), PAGES.to_owned(), PAGE.replace("595 842", "1e38 1e38")]),
        ),
        Hostile::new(
            "box of nothing.pdf",
            file(&[CATALOG.to_owned(), PAGES.to_owned(), PAGE.replace("595 842", "0 0")]),
        ),
        Hostile::new(
            "endless number.pdf",
            file(&[CATALOG.to_owned(), format!("<</Count {}>>", "9".repeat(100_000))]),
        ),
        Hostile::new(
            "endless name.pdf",
            file(&[CATALOG.to_owned(), format!("/{}", "#41".repeat(100_000))]),
        ),
        Hostile::new("open string.pdf", file(&[CATALOG.to_owned(), "(".repeat(100_000)])),
        Hostile::new("encrypted nonsense.pdf", encrypted("/V 4/R 4/Length 128/P -1/O(x)/U(y)")),
        Hostile::new(
            "encrypted with a long key.pdf",
            encrypted("/V 5/R 6/Length 2147483647/P -1/O()/U()"),
        ),
    ];
    for depth in [100, 1_000, 10_000, 100_000] {
        all.push(Hostile::new(format!("lists {depth} deep.pdf"), nested("[", "]", depth)));
        all.push(Hostile::new(
            format!("dictionaries {depth} deep.pdf"),
            nested("<</A", ">>", depth),
        ));
        all.push(Hostile::new(format!("page tree {depth} deep.pdf"), deep_tree(depth.min(20_000))));
    }
    all
}

fn deep_tree(depth: usize) -> Vec<u8> {
    let mut objects = vec![CATALOG.to_owned()];
    for index in 0..depth {
        objects.push(format!("<</Type/Pages/Kids[{} 0 R]/Count 1>>", index + 3));
    }
    objects.push("<</Type/Page/MediaBox[0 0 9 9]>>".to_owned());
    file(&objects)
}

fn looping_table() -> Vec<u8> {
    let objects: Vec<Vec<u8>> =
        [CATALOG, PAGES, PAGE].iter().map(|it| it.as_bytes().to_vec()).collect();
    let first = file_of_bytes(&objects, "/Prev 0000000000");
    let text = String::from_utf8_lossy(&first).into_owned();
    let start = text.rfind("xref\n0 ").unwrap_or_default();
    text.replace("/Prev 0000000000", &format!("/Prev {start:010}")).into_bytes()
}

fn encrypted(how: &str) -> Vec<u8> {
    let objects: Vec<Vec<u8>> =
        [CATALOG, PAGES, PAGE].iter().map(|it| it.as_bytes().to_vec()).collect();
    file_of_bytes(&objects, &format!("/ID[(a)(b)]/Encrypt<</Filter/Standard{how}>>"))
}

/// Streams that are not as long, or as short, as they say.
fn streams() -> Vec<Hostile> {
    let zeros = vec![b' '; 64 << 20];
    let bomb = miniz_oxide::deflate::compress_to_vec_zlib(&zeros, 6);
    let twice = miniz_oxide::deflate::compress_to_vec_zlib(&bomb, 6);
    let filters = "/FlateDecode ".repeat(50);
    let mut all = vec![
        Hostile::new("bomb.pdf", with_content(&bomb, "/Filter/FlateDecode", &[])),
        Hostile::new(
            "bomb in a bomb.pdf",
            with_content(&twice, "/Filter[/FlateDecode/FlateDecode]", &[]),
        ),
        Hostile::new("many filters.pdf", with_content(&bomb, &format!("/Filter[{filters}]"), &[])),
        Hostile::new(
            "predicted bomb.pdf",
            with_content(
                &bomb,
                "/Filter/FlateDecode/DecodeParms<</Predictor 12/Columns 2147483647/Colors 32/BitsPerComponent 16>>",
                &[],
            ),
        ),
        Hostile::new(
            "run lengths.pdf",
            with_content(&[129, b' '].repeat(500_000), "/Filter/RunLengthDecode", &[]),
        ),
        Hostile::new(
            "hexadecimal.pdf",
            with_content(&b"20".repeat(500_000), "/Filter/ASCIIHexDecode", &[]),
        ),
        Hostile::new(
            "base 85.pdf",
            with_content(&b"z".repeat(1_000_000), "/Filter/ASCII85Decode", &[]),
        ),
        Hostile::new(
            "broken lzw.pdf",
            with_content(&Random::new(5).smeared(&[0; 50_000], 50_000), "/Filter/LZWDecode", &[]),
        ),
    ];
    for filter in ["FlateDecode", "CCITTFaxDecode", "JBIG2Decode", "DCTDecode", "JPXDecode"] {
        let noise = Random::new(6).smeared(&[0; 5_000], 5_000);
        let filter_of_noise = format!("/Filter/{filter}");
        all.push(Hostile::new(
            format!("noise in {filter}.pdf"),
            with_content(&noise, &filter_of_noise, &[]),
        ));
    }
    for length in ["-1", "0", "99999999", "2147483648", "1e30", "9223372036854775807"] {
        let file = with_content(b"BT /F 9 Tf 9 9 Td (Total: 5) Tj ET", "", &[]);
        let text =
            String::from_utf8_lossy(&file).replace("/Length 34", &format!("/Length {length}"));
        all.push(Hostile::new(format!("length {length}.pdf"), text));
    }
    all
}

/// Pages that draw without end, or outside of every measure.
fn contents() -> Vec<Hostile> {
    let form = "/Type/XObject/Subtype/Form/BBox[0 0 9 9]/Resources<</XObject<</X 6 0 R/Y 7 0 R>>>>";
    let itself = stream(form, "/X Do");
    let doubling: Vec<String> = (0..30)
        .map(|index| {
            let next = index + 7;
            stream(
                &format!("/Type/XObject/Subtype/Form/BBox[0 0 9 9]/Resources<</XObject<</X {next} 0 R>>>>"),
                "/X Do /X Do /X Do",
            )
        })
        .collect();
    let text = |operators: &str| format!("BT /F 9 Tf 9 9 Td {operators} ET").into_bytes();
    vec![
        Hostile::new("form of itself.pdf", with_content(b"/X Do", "", &[itself])),
        Hostile::new(
            "forms in a circle.pdf",
            with_content(b"/X Do", "", &[stream(form, "/Y Do"), stream(form, "/X Do")]),
        ),
        Hostile::new("forms that double.pdf", with_content(b"/X Do", "", &doubling)),
        Hostile::new("saved states.pdf", with_content(&b"q ".repeat(300_000), "", &[])),
        Hostile::new("restored states.pdf", with_content(&b"Q ".repeat(300_000), "", &[])),
        Hostile::new("operands.pdf", with_content(&b"1 ".repeat(500_000), "", &[])),
        Hostile::new("nested operands.pdf", with_content(&b"[".repeat(100_000), "", &[])),
        Hostile::new(
            "very much text.pdf",
            with_content(&text(&"(Total: 5) Tj ".repeat(15_000)), "", &[]),
        ),
        Hostile::new(
            "text everywhere.pdf",
            with_content(&text(&"1 0 0 1 7 7 cm 99 3 Td (Total 5) Tj ".repeat(5_000)), "", &[]),
        ),
        Hostile::new(
            "huge text.pdf",
            with_content(&text("1e30 0 0 1e30 0 0 Tm (Total: 5) Tj"), "", &[]),
        ),
        Hostile::new(
            "tiny text.pdf",
            with_content(&text("1e-30 0 0 1e-30 9 9 Tm (Total: 5) Tj"), "", &[]),
        ),
        Hostile::new(
            "far apart.pdf",
            with_content(&text("(a) Tj [(b) -1e30 (c)] TJ 1e30 Tc (d) Tj"), "", &[]),
        ),
        Hostile::new(
            "no numbers.pdf",
            with_content(&text("NaN inf -inf nan Tm (Total: 5) Tj"), "", &[]),
        ),
        Hostile::new("many clips.pdf", with_content(&b"0 0 9 9 re W n ".repeat(50_000), "", &[])),
        Hostile::new(
            "open picture.pdf",
            with_content(b"BI /W 2147483647 /H 2147483647 /BPC 8 /CS /RGB ID x", "", &[]),
        ),
        Hostile::new("marked content.pdf", with_content(&b"/A BMC ".repeat(100_000), "", &[])),
        Hostile::new(
            "one long word.pdf",
            with_content(&text(&format!("({}) Tj", "x".repeat(100_000))), "", &[]),
        ),
        Hostile::new(
            "font of itself.pdf",
            with_content(
                b"/F 9 Tf",
                "",
                &["<</Type/Font/Subtype/Type0/DescendantFonts[6 0 R]>>".to_owned()],
            ),
        ),
        Hostile::new("drawn font that draws itself.pdf", drawn_font()),
        Hostile::new(
            "also a zip.pdf",
            [with_content(&text("(Total: 5) Tj"), "", &[]), b"PK\x05\x06".to_vec(), vec![0; 18]]
                .concat(),
        ),
        Hostile::new(
            "behind a picture.pdf",
            [b"GIF89a".to_vec(), with_content(&text("(Total: 5) Tj"), "", &[])].concat(),
        ),
    ]
}

/// A Type 3 font whose letter is a text in the same font.
fn drawn_font() -> Vec<u8> {
    let letter = stream("", "9 0 d0 BT /F 9 Tf (aaaa) Tj ET");
    let objects = [
        CATALOG.to_owned(),
        PAGES.to_owned(),
        PAGE.to_owned(),
        stream("", "BT /F 9 Tf 9 9 Td (aaaa) Tj ET"),
        "<</Type/Font/Subtype/Type3/FontBBox[0 0 9 9]/FontMatrix[1 0 0 1 0 0]/CharProcs<</a 6 0 R>>/Encoding<</Differences[97/a]>>/FirstChar 97/LastChar 97/Widths[9]/Resources<</Font<</F 5 0 R>>>>>>".to_owned(),
        letter,
    ];
    file(&objects)
}
