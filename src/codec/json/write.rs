//! Strings as Jackson writes them.

use super::scan::{find_special, is_plain_ascii};

/// Appends `text` as a quoted JSON string.
///
/// Only quotes, backslashes and control characters are escaped: the five of them that have a letter by it, the others as `\u001F` in
/// upper-case hex. Everything else, `/` and U+2028 included, stands as it is. Bytes that are no UTF-8 become U+FFFD.
pub fn write_string(dst: &mut Vec<u8>, text: &[u8]) {
    if text.len() <= SHORT_BYTES_MAX && is_plain_ascii(text) {
        dst.reserve(text.len() + 2);
        dst.push(b'"');
        dst.extend_from_slice(text);
        dst.push(b'"');
        return;
    }
    match simdutf8::basic::from_utf8(text) {
        Ok(text) => write_str(dst, text),
        Err(_) => write_str(dst, &String::from_utf8_lossy(text)),
    }
}

/// Names and short values, mostly: one look tells that they are UTF-8 and need no escapes. Longer ones have vectors for both.
const SHORT_BYTES_MAX: usize = 64;

/// As [`write_string`], of what is known to be UTF-8.
pub fn write_str(dst: &mut Vec<u8>, text: &str) {
    dst.reserve(text.len() + 2);
    dst.push(b'"');
    write_escaped(dst, text.as_bytes());
    dst.push(b'"');
}

fn write_escaped(dst: &mut Vec<u8>, text: &[u8]) {
    let mut rest = text;
    loop {
        let (run, special) = rest.split_at(find_special(rest));
        dst.extend_from_slice(run);
        let Some((&byte, after)) = special.split_first() else {
            return;
        };
        write_escape(dst, byte);
        rest = after;
    }
}

fn write_escape(dst: &mut Vec<u8>, byte: u8) {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    let letter = match byte {
        0x08 => b'b',
        b'\t' => b't',
        b'\n' => b'n',
        0x0c => b'f',
        b'\r' => b'r',
        b'"' | b'\\' => byte,
        _ => {
            let digit = |nibble: u8| HEX[usize::from(nibble & 15)];
            dst.extend_from_slice(&[b'\\', b'u', b'0', b'0', digit(byte >> 4), digit(byte)]);
            return;
        }
    };
    dst.extend_from_slice(&[b'\\', letter]);
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn written(text: impl AsRef<[u8]>) -> String {
        let mut out = b"before".to_vec();
        write_string(&mut out, text.as_ref());
        String::from_utf8(out)
            .unwrap()
            .strip_prefix("before")
            .unwrap()
            .to_owned()
    }

    #[test]
    fn escapes_what_jackson_escapes_and_nothing_else() {
        assert_eq!(written("\"\\/'"), r#""\"\\/'""#);
        assert_eq!(written("\u{8}\t\n\u{c}\r"), r#""\b\t\n\f\r""#);
        assert_eq!(
            written("\u{0}\u{1}\u{b}\u{1f}\u{7f}"),
            "\"\\u0000\\u0001\\u000B\\u001F\u{7f}\""
        );
        assert_eq!(written("é€\u{2028}😀<>&"), "\"é€\u{2028}😀<>&\"");
        assert_eq!(written(""), "\"\"");
        assert_eq!(written(b"a\xffb\xe2\x82"), "\"a\u{fffd}b\u{fffd}\"");
    }

    proptest! {
        #[test]
        fn another_parser_reads_it_back(text in "[ -~\u{0}-\u{20}é€😀\"\\\\]{0,200}") {
            prop_assert_eq!(sonic_rs::from_str::<String>(&written(&text)).unwrap(), text);
        }
    }
}
