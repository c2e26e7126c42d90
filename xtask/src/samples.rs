//! The sample documents: invoices that nobody ever paid.
//!
//! They are made here, so that everyone may have them and every byte is known.

use std::{fs, path::Path};

use anyhow::Context as _;
use pdf_writer::{Content, Finish as _, Name, Pdf, Rect, Ref, Str};

/// Writes the sample documents into a folder, which is made if need be.
pub(crate) fn write_samples(dir: &Path) -> anyhow::Result<()> {
    fs::create_dir_all(dir).with_context(|| format!("cannot make {}", dir.display()))?;
    for (name, pages) in [("invoice.pdf", english()), ("rechnung.pdf", german())] {
        let path = dir.join(name);
        fs::write(&path, pdf(&pages))
            .with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(())
}

/// A4, in points.
const WIDTH: f32 = 595.0;
const HEIGHT: f32 = 842.0;
const MARGIN: f32 = 56.0;
const RIGHT: f32 = WIDTH - MARGIN;

/// A page: texts with their places, and lines between them.
#[derive(Default)]
struct Page {
    pieces: Vec<Piece>,
    rules: Vec<f32>,
}

struct Piece {
    x: f32,
    y: f32,
    size: f32,
    is_bold: bool,
    text: String,
}

impl Page {
    /// Text that begins at `x`, `y` points from the top of the page.
    fn left(&mut self, x: f32, y: f32, text: &str) {
        self.add(x, y, 9.5, false, text);
    }

    /// Text that ends at `x`.
    fn right(&mut self, x: f32, y: f32, text: &str) {
        self.add(x - width(text, 9.5), y, 9.5, false, text);
    }

    fn bold(&mut self, x: f32, y: f32, size: f32, text: &str) {
        self.add(x, y, size, true, text);
    }

    fn add(&mut self, x: f32, y: f32, size: f32, is_bold: bool, text: &str) {
        self.pieces.push(Piece { x, y, size, is_bold, text: text.to_owned() });
    }

    /// A line across the page.
    fn rule(&mut self, y: f32) {
        self.rules.push(y);
    }

    /// Lines of text under each other.
    fn block(&mut self, x: f32, y: f32, lines: &[&str]) {
        for (row, line) in (0_u16..).zip(lines) {
            self.left(x, y + 13.0 * f32::from(row), line);
        }
    }

    /// Labels and values beside each other.
    fn pairs(&mut self, x: f32, value_x: f32, y: f32, pairs: &[(&str, &str)]) {
        for (row, (label, value)) in (0_u16..).zip(pairs) {
            let y = y + 14.0 * f32::from(row);
            self.left(x, y, label);
            self.left(value_x, y, value);
        }
    }

    /// Labels and values to the right of the page, under the amounts.
    fn totals(&mut self, y: f32, totals: &[(&str, &str)]) {
        for (row, (label, value)) in (0_u16..).zip(totals) {
            let y = y + 15.0 * f32::from(row);
            self.left(350.0, y, label);
            self.right(RIGHT, y, value);
        }
    }
}

/// Where the columns of the items are: text to the left, numbers to the right.
const COLUMNS: [f32; 4] = [330.0, 405.0, 460.0, RIGHT];

fn table_header(page: &mut Page, y: f32, headers: [&str; 5]) {
    let [description, numbers @ ..] = headers;
    page.left(MARGIN, y, description);
    for (x, header) in COLUMNS.into_iter().zip(numbers) {
        page.right(x, y, header);
    }
    page.rule(y + 4.0);
}

/// An item; its description may go on for several lines.
fn table_row(page: &mut Page, y: f32, description: &[&str], numbers: [&str; 4]) -> f32 {
    page.block(MARGIN, y, description);
    for (x, number) in COLUMNS.into_iter().zip(numbers) {
        page.right(x, y, number);
    }
    let lines = u16::try_from(description.len()).unwrap_or(u16::MAX);
    y + 5.0 + 13.0 * f32::from(lines)
}

fn english() -> Vec<Page> {
    let mut page = Page::default();
    page.bold(MARGIN, 70.0, 20.0, "INVOICE");
    page.bold(350.0, 64.0, 11.0, "Northwind Paper Ltd");
    page.block(
        350.0,
        79.0,
        &[
            "14 Harbour Road",
            "Bristol BS1 6QA, United Kingdom",
            "VAT no. GB 345 6789 12",
            "accounts@northwind-paper.example",
        ],
    );
    page.left(MARGIN, 150.0, "Bill to");
    page.block(
        MARGIN,
        164.0,
        &["Lakeside Books & Prints", "Attn: Eleanor Finch", "3 Mill Lane", "Kendal LA9 4BD"],
    );
    page.pairs(
        350.0,
        445.0,
        150.0,
        &[
            ("Invoice number:", "NW-2026-00417"),
            ("Invoice date:", "14 March 2026"),
            ("Due date:", "13 April 2026"),
            ("Purchase order:", "LB-7731"),
            ("Currency:", "GBP"),
        ],
    );
    table_header(&mut page, 260.0, ["Description", "Qty", "Unit price", "VAT %", "Amount"]);
    let mut y = 280.0;
    for (description, numbers) in [
        (
            &["Laid paper, ivory, A3, 120 g/m²", "Pack of 250 sheets, acid free"][..],
            ["12", "38.50", "20", "462.00"],
        ),
        (&["Binding cloth, forest green, per metre"][..], ["25.5", "11.20", "20", "285.60"]),
        (&["Bone folder, 20 cm"][..], ["40", "2.75", "20", "110.00"]),
        (
            &["Marbled endpapers, assorted designs", "Hand made; patterns may differ"][..],
            ["150", "3.90", "20", "585.00"],
        ),
        (&["The Restorer's Handbook, 3rd edition"][..], ["6", "24.00", "0", "144.00"]),
        (&["Returned: linen thread, damaged"][..], ["-4", "6.15", "20", "-24.60"]),
    ] {
        y = table_row(&mut page, y, description, numbers);
    }
    page.rule(y);
    page.totals(
        y + 20.0,
        &[("Subtotal", "1,562.00"), ("VAT 20 %", "283.60"), ("Total due", "£1,845.60")],
    );
    page.left(MARGIN, 560.0, "Payment details");
    page.pairs(
        MARGIN,
        130.0,
        576.0,
        &[
            ("Bank", "Severn Valley Bank"),
            ("IBAN", "GB33 BUKB 2020 1555 5555 55"),
            ("BIC", "BUKBGB22"),
            ("Reference", "NW-2026-00417"),
        ],
    );
    page.left(MARGIN, 660.0, "Notes");
    page.block(
        MARGIN,
        674.0,
        &[
            "• Please pay within 30 days of the invoice date.",
            "• Goods remain ours until paid in full.",
            "• Questions? Write to the address above.",
        ],
    );
    page.left(MARGIN, 790.0, "Northwind Paper Ltd, registered in England, no. 01234567");
    page.right(RIGHT, 790.0, "Page 1 of 1");
    vec![page]
}

fn german() -> Vec<Page> {
    let headers = ["Bezeichnung", "Menge", "Einzelpreis", "USt. %", "Betrag"];
    let mut first = Page::default();
    first.left(
        MARGIN,
        60.0,
        "Gebrüder Özdemir Werkzeughandel GmbH · Hafenstraße 7 · 20457 Hamburg",
    );
    first.block(
        MARGIN,
        110.0,
        &[
            "Tischlerei Grünwald & Söhne",
            "Frau Jördis Grünwald",
            "Am Mühlenbach 12",
            "24837 Schleswig",
        ],
    );
    first.pairs(
        350.0,
        450.0,
        110.0,
        &[
            ("Rechnungsnummer", "2026/10-0093"),
            ("Kundennummer", "K-20881"),
            ("Rechnungsdatum", "02.10.2026"),
            ("Lieferdatum", "28. September 2026"),
            ("Zahlbar bis", "01.11.2026"),
        ],
    );
    first.bold(MARGIN, 215.0, 15.0, "Rechnung");
    table_header(&mut first, 250.0, headers);
    let mut y = 270.0;
    for (description, numbers) in [
        (
            &["Hobelbank \"Modell 9\", Buche geölt", "mit Vorder- und Hinterzange"][..],
            ["2", "1.149,00", "19", "2.298,00"],
        ),
        (&["Japansäge Ryoba 240 mm"][..], ["5", "42,90", "19", "214,50"]),
        (&["Stechbeitel-Satz, 6-teilig"][..], ["3", "118,75", "19", "356,25"]),
        (&["Schleifpapier P120, Rolle 50 m"][..], ["10", "21,40", "19", "214,00"]),
    ] {
        y = table_row(&mut first, y, description, numbers);
    }
    first.right(RIGHT, 790.0, "Seite 1 von 2");
    let mut second = Page::default();
    second.left(MARGIN, 60.0, "Rechnung 2026/10-0093 vom 02.10.2026, Fortsetzung");
    table_header(&mut second, 90.0, headers);
    let mut y = 110.0;
    for (description, numbers) in [
        (&["Fachbuch \"Holzverbindungen\""][..], ["1", "49,00", "7", "49,00"]),
        (&["Leinölfirnis, 5 l", "Gefahrgut, nur Abholung"][..], ["4", "36,20", "19", "144,80"]),
        (&["Rabatt Messeaktion"][..], ["1", "-150,00", "19", "-150,00"]),
    ] {
        y = table_row(&mut second, y, description, numbers);
    }
    second.rule(y);
    second.totals(
        y + 20.0,
        &[
            ("Nettobetrag", "3.126,55 €"),
            ("USt. 19 %", "584,73 €"),
            ("USt. 7 %", "3,43 €"),
            ("Rechnungsbetrag", "3.714,71 €"),
        ],
    );
    second.pairs(
        MARGIN,
        150.0,
        420.0,
        &[
            ("IBAN", "DE89 3704 0044 0532 0130 00"),
            ("BIC", "COBADEFFXXX"),
            ("USt-IdNr.", "DE 811 234 567"),
            ("E-Mail", "buchhaltung@oezdemir-werkzeug.example"),
            ("Skonto gewährt", "ja"),
        ],
    );
    second.right(RIGHT, 790.0, "Seite 2 von 2");
    vec![first, second]
}

/// The pages as a PDF file, always the same bytes.
fn pdf(pages: &[Page]) -> Vec<u8> {
    let (catalog, tree, regular, bold) = (Ref::new(1), Ref::new(2), Ref::new(3), Ref::new(4));
    let ids: Vec<(Ref, Ref)> = (0..)
        .zip(pages)
        .map(|(index, _)| (Ref::new(5 + 2 * index), Ref::new(6 + 2 * index)))
        .collect();
    let mut pdf = Pdf::new();
    pdf.catalog(catalog).pages(tree);
    let count = i32::try_from(pages.len()).unwrap_or(i32::MAX);
    pdf.pages(tree).kids(ids.iter().map(|(page, _)| *page)).count(count);
    for (id, name) in [(regular, "Helvetica"), (bold, "Helvetica-Bold")] {
        let mut font = pdf.type1_font(id);
        font.base_font(Name(name.as_bytes()));
        font.encoding_predefined(Name(b"WinAnsiEncoding"));
    }
    for ((page_id, content_id), page) in ids.iter().zip(pages) {
        let mut written = pdf.page(*page_id);
        written.parent(tree).media_box(Rect::new(0.0, 0.0, WIDTH, HEIGHT)).contents(*content_id);
        let mut resources = written.resources();
        resources.fonts().pair(Name(b"F1"), regular).pair(Name(b"F2"), bold);
        resources.finish();
        written.finish();
        pdf.stream(*content_id, &content(page));
    }
    pdf.finish()
}

fn content(page: &Page) -> Vec<u8> {
    let mut content = Content::new();
    for piece in &page.pieces {
        let font = if piece.is_bold { Name(b"F2") } else { Name(b"F1") };
        content.begin_text();
        content.set_font(font, piece.size);
        content.next_line(piece.x, HEIGHT - piece.y);
        content.show(Str(&win_ansi(&piece.text)));
        content.end_text();
    }
    content.set_line_width(0.5);
    for y in &page.rules {
        content.move_to(MARGIN, HEIGHT - y);
        content.line_to(RIGHT, HEIGHT - y);
        content.stroke();
    }
    content.finish().into_vec()
}

/// The text in the encoding of the fonts.
fn win_ansi(text: &str) -> Vec<u8> {
    let byte = |character: char| match character {
        '€' => 0x80,
        '•' => 0x95,
        other => u8::try_from(u32::from(other)).unwrap_or(b'?'),
    };
    text.chars().map(byte).collect()
}

/// How wide a text is in Helvetica.
fn width(text: &str, size: f32) -> f32 {
    text.chars().map(|character| f32::from(units(character)) * size / 1000.0).sum()
}

/// The widths of the characters that are set to the right, in thousandths of the size.
const fn units(character: char) -> u16 {
    match character {
        'i' | 'j' | 'l' => 222,
        ' ' | '.' | ',' | ':' | '/' | 'f' | 't' | 'I' => 278,
        '-' | 'r' => 333,
        'c' | 'k' | 's' | 'v' | 'x' | 'y' | 'z' | 'J' => 500,
        'A' | 'B' | 'E' | 'K' | 'P' | 'S' | 'V' | 'X' | 'Y' => 667,
        'C' | 'D' | 'H' | 'N' | 'R' | 'U' => 722,
        'G' | 'O' | 'Q' => 778,
        'm' | 'M' => 833,
        '%' => 889,
        'F' | 'T' | 'Z' => 611,
        _ => 556,
    }
}
