//! From bytes to characters.

use chardetng::{EncodingDetector, Iso2022JpDetection, Utf8Detection};
use encoding_rs::{Encoding, UTF_8, UTF_16BE, UTF_16LE};

/// The text, in the encoding that its bytes suggest: what a byte order mark says, UTF-8 where it
/// is valid, UTF-16 where every other byte is zero, and otherwise the older encoding that the
/// frequency of its characters speaks for.
pub(super) fn text(bytes: &[u8]) -> String {
    if let Some(text) = utf32(bytes) {
        return plain_lines(&text);
    }
    let (encoding, skip) = guess(bytes);
    let bytes = bytes.get(skip..).unwrap_or_default();
    plain_lines(&encoding.decode_without_bom_handling(bytes).0)
}

/// The text of a page of HTML, which may name its encoding.
pub(super) fn html(bytes: &[u8]) -> String {
    let has_mark = Encoding::for_bom(bytes).is_some() || wide(bytes).is_some();
    let is_utf8 = std::str::from_utf8(bytes).is_ok();
    match declared(bytes).filter(|_| !has_mark && !is_utf8) {
        Some(encoding) => plain_lines(&encoding.decode_without_bom_handling(bytes).0),
        None => text(bytes),
    }
}

fn plain_lines(text: &str) -> String {
    text.replace("\r\n", "\n").replace('\r', "\n")
}

/// What `<meta charset=…>` or the like says near the beginning.
fn declared(bytes: &[u8]) -> Option<&'static Encoding> {
    let head = bytes.get(..bytes.len().min(2048))?.to_ascii_lowercase();
    let at = head.windows(8).position(|window| window == b"charset=")? + 8;
    let name: Vec<u8> = head
        .get(at..)?
        .iter()
        .copied()
        .skip_while(|byte| matches!(byte, b'"' | b'\'' | b' '))
        .take_while(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
        .collect();
    Encoding::for_label(&name)
}

fn guess(bytes: &[u8]) -> (&'static Encoding, usize) {
    if let Some(found) = Encoding::for_bom(bytes) {
        return found;
    }
    if std::str::from_utf8(bytes).is_ok() && !bytes.contains(&0) && !bytes.contains(&0x1b) {
        return (UTF_8, 0);
    }
    (wide(bytes).unwrap_or_else(|| older(bytes)), 0)
}

/// The encoding that the frequency of characters speaks for.
fn older(bytes: &[u8]) -> &'static Encoding {
    let mut detector = EncodingDetector::new(Iso2022JpDetection::Allow);
    detector.feed(bytes, true);
    detector.guess(None, Utf8Detection::Deny)
}

/// UTF-32 with a byte order mark, which browsers do not know.
fn utf32(bytes: &[u8]) -> Option<String> {
    let read: fn([u8; 4]) -> u32 = match bytes.get(..4)? {
        [0xff, 0xfe, 0, 0] => u32::from_le_bytes,
        [0, 0, 0xfe, 0xff] => u32::from_be_bytes,
        _ => return None,
    };
    let (characters, _) = bytes.get(4..)?.as_chunks::<4>();
    let one = |four: &[u8; 4]| char::from_u32(read(*four)).unwrap_or(char::REPLACEMENT_CHARACTER);
    Some(characters.iter().map(one).collect())
}

/// Whether there is a mark of UTF-32.
pub(super) fn is_utf32(bytes: &[u8]) -> bool {
    bytes.starts_with(b"\xff\xfe\0\0") || bytes.starts_with(b"\0\0\xfe\xff")
}

/// UTF-16 without a mark: mostly Latin letters, so that one byte of each pair is zero.
pub(super) fn wide(bytes: &[u8]) -> Option<&'static Encoding> {
    let sample = bytes.get(..bytes.len().min(4096))?;
    let pairs = sample.len() / 2;
    let zeros = |offset| sample.iter().skip(offset).step_by(2).filter(|&&byte| byte == 0).count();
    let (even, odd) = (zeros(0), zeros(1));
    if pairs < 2 || !bytes.len().is_multiple_of(2) {
        None
    } else if odd * 10 > pairs * 7 && even * 10 < pairs {
        Some(UTF_16LE)
    } else if even * 10 > pairs * 7 && odd * 10 < pairs {
        Some(UTF_16BE)
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn encodings_are_recognized() {
        assert_eq!(text("Größe\r\n".as_bytes()), "Größe\n");
        assert_eq!(text(b"\xef\xbb\xbfa"), "a");
        assert_eq!(text(b"Gr\xf6\xdfe: 5 \x80"), "Größe: 5 €");
        assert_eq!(text(b"\xff\xfeG\0r\0\xf6\0"), "Grö");
        let wide: Vec<u8> = "Invoice 7".encode_utf16().flat_map(u16::to_be_bytes).collect();
        assert_eq!(text(&wide), "Invoice 7");
        let wider: Vec<u8> =
            "\u{feff}Grö€".chars().flat_map(|c| u32::from(c).to_le_bytes()).collect();
        assert_eq!(text(&wider), "Grö€");
    }

    #[test]
    fn older_encodings_are_told_apart_by_their_characters() {
        let russian = "Счёт на оплату номер двенадцать, итого к оплате пятьсот рублей";
        let greek = "Τιμολόγιο πώλησης αριθμός δώδεκα, σύνολο πληρωτέο πεντακόσια ευρώ";
        let polish = "Faktura VAT numer dwanaście, należność ogółem: pięćset złotych, zapłać";
        let japanese = "請求書番号十二、合計金額は五百円です。お支払いください。";
        for (written, encoding) in [
            (russian, encoding_rs::WINDOWS_1251),
            (russian, encoding_rs::KOI8_U),
            (greek, encoding_rs::WINDOWS_1253),
            (polish, encoding_rs::ISO_8859_2),
            (japanese, encoding_rs::SHIFT_JIS),
            (japanese, encoding_rs::EUC_JP),
            (japanese, encoding_rs::ISO_2022_JP),
        ] {
            let (bytes, _, _) = encoding.encode(written);
            assert_eq!(text(&bytes), written, "{}", encoding.name());
        }
    }

    #[test]
    fn a_page_may_name_its_encoding() {
        assert_eq!(
            html(b"<meta charset=\"iso-8859-5\">\xb4\xd0"),
            "<meta charset=\"iso-8859-5\">Да"
        );
        assert_eq!(html("<meta charset=latin1>ö".as_bytes()), "<meta charset=latin1>ö");
    }
}
