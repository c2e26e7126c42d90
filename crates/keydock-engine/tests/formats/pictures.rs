//! Pictures of text, read by Tesseract. They are drawn from the invoice of the examples.

use std::io::Cursor;

use hayro::{
    PixmapSettings, RenderCache, RenderSettings, hayro_interpret::InterpreterSettings,
    hayro_syntax::Pdf, vello_cpu::color::palette::css::WHITE,
};
use image::{DynamicImage, GrayImage, ImageFormat};
use keydock_engine::Error;
use libtest_mimic::Trial;

use super::{patient, read, trial};

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        trial("pictures_of_all_formats_are_read", all_formats),
        trial("a_scanned_pdf_is_read_unless_told_otherwise", scans),
        trial("pages_of_a_tiff_are_pages", pages),
        trial("a_language_that_is_missing_is_named_with_its_package", missing_language),
        trial("without_tesseract_the_packages_are_named", missing_program),
    ]
}

const PDF: &[u8] = include_bytes!("../../../../examples/invoices/invoice.pdf");

/// The first page of the invoice.
fn drawn(scale: f32) -> GrayImage {
    let pdf = Pdf::new(PDF.to_vec()).unwrap();
    let settings = PixmapSettings { x_scale: scale, y_scale: scale, bg_color: WHITE };
    let pixels = hayro::render(
        &pdf.pages()[0],
        &RenderCache::new(),
        &InterpreterSettings::default(),
        &RenderSettings::default(),
        &settings,
    );
    let (four, _) = pixels.data_as_u8_slice().as_chunks::<4>();
    let grey = four.iter().map(|[red, ..]| *red).collect();
    GrayImage::from_raw(pixels.width().into(), pixels.height().into(), grey).unwrap()
}

fn file(image: &GrayImage, format: ImageFormat) -> Vec<u8> {
    let image = DynamicImage::ImageLuma8(image.clone());
    let image = match format {
        ImageFormat::Gif => DynamicImage::ImageRgba8(image.to_rgba8()),
        ImageFormat::WebP => DynamicImage::ImageRgb8(image.to_rgb8()),
        _ => image,
    };
    let mut bytes = Cursor::new(Vec::new());
    image.write_to(&mut bytes, format).unwrap();
    bytes.into_inner()
}

/// A PDF with a page that is a picture.
fn scanned(image: &GrayImage) -> Vec<u8> {
    let (width, height) = image.dimensions();
    let content = "q 595 0 0 842 0 0 cm /X Do Q";
    let objects = [
        b"<</Type/Catalog/Pages 2 0 R>>".to_vec(),
        b"<</Type/Pages/Kids[3 0 R]/Count 1>>".to_vec(),
        b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 595 842]/Contents 4 0 R/Resources<</XObject<</X 5 0 R>>>>>>".to_vec(),
        format!("<</Length {}>>\nstream\n{content}\nendstream", content.len()).into_bytes(),
        [
            format!("<</Type/XObject/Subtype/Image/Width {width}/Height {height}/ColorSpace/DeviceGray/BitsPerComponent 8/Length {}>>\nstream\n", image.as_raw().len()).into_bytes(),
            image.as_raw().clone(),
            b"\nendstream".to_vec(),
        ]
        .concat(),
    ];
    let mut bytes = b"%PDF-1.7\n".to_vec();
    let mut table = format!("xref\n0 {}\n0000000000 65535 f \n", objects.len() + 1);
    for (index, object) in objects.iter().enumerate() {
        table.push_str(&format!("{:010} 00000 n \n", bytes.len()));
        bytes.extend(format!("{} 0 obj\n", index + 1).bytes());
        bytes.extend(object);
        bytes.extend(b"\nendobj\n");
    }
    let start = bytes.len();
    bytes.extend(table.bytes());
    bytes.extend(format!("trailer\n<</Size 6/Root 1 0 R>>\nstartxref\n{start}\n%%EOF").bytes());
    bytes
}

async fn all_formats() {
    let sandbox = patient();
    let image = drawn(2.0);
    for (format, kind) in [
        (ImageFormat::Png, "image/png"),
        (ImageFormat::Jpeg, "image/jpeg"),
        (ImageFormat::Tiff, "image/tiff"),
        (ImageFormat::Bmp, "image/bmp"),
        (ImageFormat::Gif, "image/gif"),
        (ImageFormat::WebP, "image/webp"),
    ] {
        let found = read(&sandbox, &file(&image, format), "").await.unwrap();
        assert_eq!(found.media_type, kind);
        assert_eq!(found.output["total"]["amount"], "1845.60", "{kind}: {}", found.text);
        let evidence = found.evidence.iter().find(|it| it.field == "total").unwrap();
        assert!(evidence.area.is_some() && evidence.confidence > 0.3, "{evidence:?}");
    }
}

async fn scans() {
    let sandbox = patient();
    let scan = scanned(&drawn(2.5));
    let found = read(&sandbox, &scan, "").await.unwrap();
    assert_eq!(found.output["total"]["amount"], "1845.60", "{}", found.text);
    let never = read(&sandbox, &scan, "ocr: { mode: never }").await;
    assert_eq!(never, Err(Error::NoText));
    let picture = file(&drawn(1.0), ImageFormat::Png);
    let never = read(&sandbox, &picture, "ocr: { mode: never }").await;
    assert!(matches!(never, Err(Error::PictureUnread { .. })), "{never:?}");
    let always = read(&sandbox, PDF, "ocr: { mode: always }").await.unwrap();
    assert_eq!(always.output["total"]["amount"], "1845.60", "{}", always.text);
    // Where there is a text layer, nobody is asked.
    let nobody = sandbox.with_reader_of_pictures("/nowhere/tesseract".into());
    assert!(read(&nobody, PDF, "").await.is_ok());
    let refused = read(&nobody, PDF, "ocr: { mode: always }").await;
    assert!(matches!(refused, Err(Error::PictureUnread { .. })), "{refused:?}");
}

/// Two pages in one file: the tables of contents of both, one behind the other.
fn two_pages(image: &GrayImage) -> Vec<u8> {
    let one = file(image, ImageFormat::Tiff);
    let long = |bytes: &[u8], at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap());
    let start = usize::try_from(long(&one, 4)).unwrap();
    let count = usize::from(u16::from_le_bytes(one[start..start + 2].try_into().unwrap()));
    let next = start + 2 + 12 * count;
    let mut two = one.clone();
    let copy = two.len();
    two.extend_from_slice(&one[start..next + 4]);
    two[next..next + 4].copy_from_slice(&u32::try_from(copy).unwrap().to_le_bytes());
    two
}

async fn pages() {
    let tiff = two_pages(&drawn(1.5));
    let found = read(&patient(), &tiff, "pages: '2'").await.unwrap();
    assert_eq!(found.pages, 2);
    assert_eq!(found.output["total"]["amount"], "1845.60", "{}", found.text);
    let refused = read(&patient(), &tiff, "max_pages: 1").await;
    assert_eq!(refused, Err(Error::TooManyPages { pages: 2, max: 1 }));
}

async fn missing_language() {
    let picture = file(&drawn(1.0), ImageFormat::Png);
    let told = read(&patient(), &picture, "ocr: { languages: [eng, tlh] }").await.unwrap_err();
    assert_eq!(
        told.to_string(),
        "the document is a picture of text, or has such pages, and could not be read: it takes the program tesseract with its languages: have the packages tesseract-ocr and tesseract-ocr-tlh installed on the server"
    );
}

async fn missing_program() {
    let picture = file(&drawn(1.0), ImageFormat::Png);
    let nobody = patient().with_reader_of_pictures("/nowhere/tesseract".into());
    let told = read(&nobody, &picture, "locale: de").await.unwrap_err().to_string();
    assert!(told.ends_with(
        "have the packages tesseract-ocr and tesseract-ocr-deu, tesseract-ocr-eng installed on the server"
    ), "{told}");
}
