//! From bytes to characters.

use encoding_rs::{Encoding, UTF_8, UTF_16BE, UTF_16LE, WINDOWS_1252};

/// The text, in the encoding that its bytes suggest: what a byte order mark says, UTF-8 where it
/// is valid, UTF-16 where every other byte is zero, and Windows-1252 otherwise.
pub(super) fn text(bytes: &[u8]) -> String {
    let (encoding, skip) = guess(bytes);
    let bytes = bytes.get(skip..).unwrap_or_default();
    let (text, _) = encoding.decode_without_bom_handling(bytes);
    text.replace("\r\n", "\n").replace('\r', "\n")
}

fn guess(bytes: &[u8]) -> (&'static Encoding, usize) {
    if let Some(found) = Encoding::for_bom(bytes) {
        return found;
    }
    let encoding = if std::str::from_utf8(bytes).is_ok() && !bytes.contains(&0) {
        UTF_8
    } else {
        wide(bytes).unwrap_or(WINDOWS_1252)
    };
    (encoding, 0)
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
        assert_eq!(text(b"Gr\xf6\xdfe \x80"), "Größe €");
        assert_eq!(text(b"\xff\xfeG\0r\0\xf6\0"), "Grö");
        let wide: Vec<u8> = "Invoice 7".encode_utf16().flat_map(u16::to_be_bytes).collect();
        assert_eq!(text(&wide), "Invoice 7");
    }
}
