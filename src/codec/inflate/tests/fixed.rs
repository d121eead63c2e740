use super::super::symbols::{DISTANCES, LENGTHS};
use super::*;
use proptest::prelude::*;

/// A block with `byte` and a repetition of the codes given, ended as by a flush.
fn repetition(byte: u16, length: u16, distance: u16) -> Vec<u8> {
    let begun = Bits::default().number(0b010, 3).code(0x30 + byte, 8);
    let begun = match length {
        257..280 => begun.code(length - 256, 7),
        _ => begun.code(length - 280 + 0xC0, 8),
    };
    begun.code(distance, 5).code(0, 7).number(0, 3).bytes
}

#[test]
fn each_byte_has_its_code() {
    for byte in 0..=255_u16 {
        let bits = Bits::default().number(0b010, 3);
        let bits = match byte {
            0..144 => bits.code(0x30 + byte, 8),
            _ => bits.code(0x190 + byte - 144, 9),
        };
        let whole = bits.code(0, 7).number(0, 3).bytes;
        let text = u8::try_from(byte).expect("a byte");
        assert_eq!(inflated(&whole), Some(vec![text]));
        assert_eq!(by_zlib(&whole), Some(vec![text]));
    }
}

#[test]
fn repetitions_reach_into_themselves_and_not_before_the_beginning() {
    assert_eq!(inflated(&repetition(b'x'.into(), 257, 0)).unwrap(), b"xxxx");
    assert_eq!(
        inflated(&repetition(b'x'.into(), 264, 0)).unwrap(),
        [b'x'; 11]
    );
    assert_eq!(
        inflated(&repetition(b'x'.into(), 285, 0)).unwrap(),
        [b'x'; 259]
    );
    assert_eq!(inflated(&repetition(b'x'.into(), 257, 1)), None);
}

#[test]
fn codes_without_a_meaning_are_left_to_the_other_decoder() {
    for length in [286, 287] {
        let bytes = repetition(b'x'.into(), length, 0);
        assert_eq!((inflated(&bytes), by_zlib(&bytes)), (None, None));
    }
    for distance in [30, 31] {
        let bytes = repetition(b'x'.into(), 257, distance);
        assert_eq!((inflated(&bytes), by_zlib(&bytes)), (None, None));
    }
}

#[test]
fn text_of_any_length_is_read_at_once_wherever_it_begins() {
    let text: Vec<u8> = (0..200_u8)
        .map(|place| place.wrapping_mul(37) % 128)
        .collect();
    for length in 1..text.len() {
        let whole = compressed(&text[..length], 1);
        assert_eq!(inflated(&whole).unwrap(), text[..length], "{length}");
    }
}

#[test]
fn what_does_not_fit_is_left_to_the_other_decoder() {
    let text = b"a payload of some length, of which little comes again";
    let whole = compressed(text, 1);
    for room in 0..text.len() {
        assert_eq!(inflated_into(&whole, room), None, "{room}");
    }
    assert_eq!(inflated_into(&whole, text.len()).unwrap(), text);
}

#[test]
fn what_is_cut_or_goes_on_is_left_to_the_other_decoder() {
    let whole = compressed(b"{\"payload\":\"YWJj\",\"context\":\"1\"}", 6);
    assert!(inflated(&whole).is_some());
    for end in 0..whole.len() {
        assert_eq!(inflated(&whole[..end]), None, "cut at {end}");
    }
    assert_eq!(inflated(&[&whole[..], &[0]].concat()), None);
}

#[test]
fn many_repetitions_are_left_to_the_other_decoder() {
    let text: Vec<u8> = (0..40_000_u32)
        .flat_map(|number| format!("{},", number.wrapping_mul(2_654_435_761) % 97).into_bytes())
        .collect();
    assert!(inflated(&compressed(&text[..100], 1)).is_some());
    assert_eq!(inflated(&compressed(&text, 1)), None);
}

/// A symbol with what comes behind it.
#[derive(Clone, Copy, Debug)]
enum Symbol {
    Byte(u8),
    Repetition {
        length: u16,
        distance: u16,
        more: u16,
    },
}

impl Symbol {
    fn put(self, bits: Bits) -> Bits {
        match self {
            Self::Byte(byte @ 0..144) => bits.code(0x30 + u16::from(byte), 8),
            Self::Byte(byte) => bits.code(0x190 + u16::from(byte) - 144, 9),
            Self::Repetition {
                length,
                distance,
                more,
            } => {
                let bits = match length {
                    257..280 => bits.code(length - 256, 7),
                    _ => bits.code(length - 280 + 0xC0, 8),
                };
                let behind = |table: &[(u16, u8)], at: u16| {
                    table
                        .get(usize::from(at))
                        .map_or(0, |(_, bits)| usize::from(*bits))
                };
                bits.number(more, behind(&LENGTHS, length - 257))
                    .code(distance, 5)
                    .number(more, behind(&DISTANCES, distance))
            }
        }
    }
}

/// Mostly bytes, and repetitions that mostly find something.
fn symbol() -> impl Strategy<Value = Symbol> {
    let repetition = |lengths, distances| {
        (lengths, distances, any::<u16>()).prop_map(|(length, distance, more)| Symbol::Repetition {
            length,
            distance,
            more,
        })
    };
    prop_oneof![
        200 => (0..128_u8).prop_map(Symbol::Byte),
        10 => any::<u8>().prop_map(Symbol::Byte),
        10 => repetition(257..286_u16, 0..8_u16),
        1 => repetition(257..288_u16, 0..32_u16),
    ]
}

proptest! {
    #[test]
    fn what_is_inflated_is_what_zlib_inflates(
        text in prop_oneof!["[A-Za-z0-9+/]{0,3000}", "(\\{\"a\":\"[A-Za-z0-9]{20}\"\\}){1,60}", "\\PC{0,500}"],
        level in prop_oneof![Just(1_u32), 0..=9_u32],
    ) {
        let whole = compressed(text.as_bytes(), level);
        if let Some(inflated) = inflated(&whole) {
            prop_assert_eq!(inflated, text.as_bytes());
        }
    }

    #[test]
    fn what_is_put_together_or_broken_is_what_zlib_inflates(
        blocks in proptest::collection::vec(proptest::collection::vec(symbol(), 0..120), 1..4),
        flipped in proptest::option::weighted(0.2, any::<(prop::sample::Index, u8)>()),
        cut in proptest::option::weighted(0.1, any::<prop::sample::Index>()),
    ) {
        let blocks = blocks.iter().fold(Bits::default(), |bits, symbols| {
            let begun = bits.number(0b010, 3);
            symbols.iter().fold(begun, |bits, symbol| symbol.put(bits)).code(0, 7)
        });
        let mut bytes = blocks.number(0, 3).bytes;
        if let Some((at, bit)) = flipped {
            let at = at.index(bytes.len());
            bytes[at] ^= 1 << (bit % 8);
        }
        if let Some(at) = cut {
            bytes.truncate(at.index(bytes.len()));
        }
        if let Some(text) = inflated(&bytes) {
            prop_assert_eq!(Some(text), by_zlib(&bytes));
        }
    }

    #[test]
    fn a_changed_byte_makes_no_difference_to_zlib(
        text in "[a-z]{40,400}",
        at in any::<prop::sample::Index>(),
        to in any::<u8>(),
    ) {
        let mut bytes = compressed(text.as_bytes(), 1);
        let at = at.index(bytes.len());
        bytes[at] = to;
        if let Some(text) = inflated(&bytes) {
            prop_assert_eq!(Some(text), by_zlib(&bytes));
        }
    }
}
