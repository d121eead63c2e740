//! Pairs of a name and a value, taken one by one from where they lie.

use crate::codec::protobuf::{Field, Reader, take_short_bytes};

/// Takes the next pair off a `MessageMetadata`.
pub(in crate::pulsar::consumer) fn next_metadata_property<'a>(
    encoded: &mut &'a [u8],
) -> Option<(&'a [u8], &'a [u8])> {
    next_property(encoded, 4)
}

/// Takes the next pair off a `SingleMessageMetadata`.
pub(in crate::pulsar::consumer) fn next_single_property<'a>(
    encoded: &mut &'a [u8],
) -> Option<(&'a [u8], &'a [u8])> {
    next_property(encoded, 1)
}

pub(super) fn next_key_property<'a>(encoded: &mut &'a [u8]) -> Option<(&'a [u8], &'a [u8])> {
    next_property(encoded, 3)
}

fn next_property<'a>(encoded: &mut &'a [u8], wanted: u8) -> Option<(&'a [u8], &'a [u8])> {
    if encoded.is_empty() {
        return None;
    }
    take_usual(encoded, wanted).or_else(|| next_field(encoded, u32::from(wanted)).map(decode_pair))
}

/// Takes off what comes next if it is a pair as clients write it: a name, then a value, with sizes of one byte.
#[inline(always)]
fn take_usual<'a>(encoded: &mut &'a [u8], wanted: u8) -> Option<(&'a [u8], &'a [u8])> {
    let mut rest = *encoded;
    let mut pair = take_short_bytes(&mut rest, wanted)?;
    let name = take_short_bytes(&mut pair, 1)?;
    let value = take_short_bytes(&mut pair, 2)?;
    pair.is_empty().then(|| {
        *encoded = rest;
        (name, value)
    })
}

/// Takes everything off up to the next field of that number, and that field.
pub(super) fn next_field<'a>(encoded: &mut &'a [u8], wanted: u32) -> Option<&'a [u8]> {
    let mut fields = Reader::new(encoded);
    while let Ok(Some((number, field))) = fields.next() {
        if let (true, Field::Bytes(bytes)) = (number == wanted, field) {
            *encoded = encoded.get(fields.position()..)?;
            return Some(bytes);
        }
    }
    *encoded = &[];
    None
}

fn decode_pair(pair: &[u8]) -> (&[u8], &[u8]) {
    let (mut key, mut value): (&[u8], &[u8]) = (&[], &[]);
    let mut fields = Reader::new(pair);
    while let Ok(Some((number, field))) = fields.next() {
        match (number, field) {
            (1, Field::Bytes(text)) => key = text,
            (2, Field::Bytes(text)) => value = text,
            _ => {}
        }
    }
    (key, value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::protobuf::put_bytes;
    use proptest::prelude::*;

    #[test]
    fn properties_are_taken_one_by_one() {
        let metadata = b"\x08\x01\x0a\x06\x0a\x01a\x12\x01b\x12\x01k\x0a\x04\x12\x00\x0a\x00";
        let mut rest = &metadata[..];
        assert_eq!(
            next_single_property(&mut rest),
            Some((&b"a"[..], &b"b"[..]))
        );
        assert_eq!(next_single_property(&mut rest), Some((&b""[..], &b""[..])));
        assert_eq!(next_single_property(&mut rest), None);
        assert_eq!(next_single_property(&mut rest), None);
        assert_eq!(next_metadata_property(&mut &metadata[..]), None);
    }

    proptest! {
        #[test]
        fn any_bytes_are_answered(bytes: Vec<u8>) {
            let mut rest = &bytes[..];
            while next_metadata_property(&mut rest).is_some() {}
        }

        #[test]
        fn the_short_way_takes_what_the_long_one_takes(
            pairs in prop::collection::vec((".{0,9}", ".{0,90}", any::<bool>()), 0..5),
        ) {
            let mut encoded = Vec::new();
            for (name, value, is_odd) in &pairs {
                let mut pair = Vec::new();
                if *is_odd {
                    put_bytes(&mut pair, 2, value.as_bytes());
                    put_bytes(&mut pair, 1, name.as_bytes());
                } else {
                    put_bytes(&mut pair, 1, name.as_bytes());
                    put_bytes(&mut pair, 2, value.as_bytes());
                }
                put_bytes(&mut encoded, 4, &pair);
            }
            let mut rest = &encoded[..];
            for (name, value, _) in &pairs {
                prop_assert_eq!(next_metadata_property(&mut rest), Some((name.as_bytes(), value.as_bytes())));
            }
            prop_assert_eq!(next_metadata_property(&mut rest), None);
        }
    }
}
