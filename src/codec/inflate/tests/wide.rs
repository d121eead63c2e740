use super::own_codes::Writer;
use super::*;
use crate::codec::inflate::lengths::Counts;
use crate::codec::inflate::tables::Order;
use crate::codec::inflate::wide::ShortCodes;
use crate::codec::vectors::has_avx512;
use proptest::prelude::*;

/// Whether many of such codes would be found at once; nothing on a processor that can't.
fn are_short(lengths: &[u8]) -> Option<bool> {
    let mut counts: Counts = [0; _];
    for length in lengths {
        counts[usize::from(*length)] += 1;
    }
    let mut order = Order::new();
    order.fill(lengths, &counts);
    #[allow(unsafe_code, reason = "a call of what the processor may lack")]
    // SAFETY: the processor has what it needs.
    has_avx512().then(|| unsafe { ShortCodes::of(&order) }.is_some())
}

/// Halves some of the codes, down to so many bits.
fn halved(mut lengths: Vec<u8>, halves: &[prop::sample::Index], bits_max: u8) -> Vec<u8> {
    for half in halves {
        let at = half.index(lengths.len());
        if lengths[at] < bits_max {
            lengths[at] += 1;
            lengths.push(lengths[at]);
        }
    }
    lengths
}

#[test]
fn codes_of_base64_are_short_and_those_of_few_bytes_are_too_short() {
    let lengths = [[0; 40].as_slice(), &[6; 63], &[0; 153], &[6]].concat();
    assert_ne!(are_short(&lengths), Some(false));
    let lengths = [[0; 40].as_slice(), &[3; 7], &[0; 209], &[3]].concat();
    assert_ne!(are_short(&lengths), Some(true));
    // A 64th of them longer than seven bits, and twice as many.
    for (eights, are) in [(4, true), (8, false)] {
        let sixes = 64 - eights / 4;
        let lengths = [
            vec![6; sixes],
            vec![8; eights - 1],
            vec![0; 257 - sixes - eights],
            vec![8],
        ];
        assert_ne!(are_short(&lengths.concat()), Some(!are), "{eights}");
    }
}

#[test]
fn steps_full_of_the_shortest_codes_are_read_from_any_bit_on() {
    let lengths = [[4; 15].as_slice(), &[7; 7], &[0; 234], &[7]].concat();
    assert_ne!(are_short(&lengths), Some(false));
    for sevens in 0..16 {
        for fours in 0..50 {
            let text = [vec![15; sevens], (0..fours).map(|at| at % 15).collect()].concat();
            let whole = Writer::new(&lengths, &[0]).bytes(&text).ended();
            assert_eq!(inflated(&whole).as_ref(), Some(&text), "{sevens} {fours}");
            assert_eq!(inflated_into(&whole, text.len()), Some(text));
        }
    }
}

#[test]
fn a_message_may_turn_to_other_codes_and_back() {
    let short = [[4; 15].as_slice(), &[7; 7], &[0; 234], &[7]].concat();
    let other = [[3; 7].as_slice(), &[8; 31], &[0; 218], &[8]].concat();
    assert_ne!(are_short(&short), Some(false));
    assert_ne!(are_short(&other), Some(true));
    let (mut bits, mut text) = (Bits::default(), Vec::new());
    for (lengths, bytes) in [
        (&short, 500),
        (&other, 300),
        (&short, 90),
        (&other, 1),
        (&short, 7),
    ] {
        let block: Vec<_> = (0..bytes)
            .map(|at| (at % 22_u32).to_le_bytes()[0])
            .collect();
        bits = bits.behind(&Writer::new(lengths, &[0]).bytes(&block).block());
        text.extend(block);
    }
    assert_eq!(inflated(&bits.number(0, 3).bytes), Some(text));
}

proptest! {
    /// All but a code of six bits become short ones of bytes; those that it becomes may be long, or of lengths.
    #[test]
    fn short_codes_of_bytes_are_read_with_others_between_them(
        halves in proptest::collection::vec(any::<prop::sample::Index>(), 0..90),
        other_halves in proptest::collection::vec(any::<prop::sample::Index>(), 1..40),
        mut bytes in Just((0..256).collect::<Vec<_>>()).prop_shuffle(),
        used in proptest::collection::vec((0..100, any::<prop::sample::Index>()), 0..900),
        others_share in 0..30,
    ) {
        let of_short = halved([[4; 15].as_slice(), &[5, 6]].concat(), &halves, 7);
        let of_others = halved(vec![6], &other_halves, 15);
        let rest = bytes.split_off(of_short.len());
        let mut others = [(256..286).collect(), rest].concat();
        others.truncate(of_others.len());
        let mut lengths = vec![0; 286];
        for (symbol, bits) in bytes.iter().zip(of_short).chain(others.iter().zip(of_others)) {
            lengths[*symbol] = bits;
        }
        prop_assert_ne!(are_short(&lengths), Some(false));
        let mut writer = Writer::new(&lengths, &[[4; 2].as_slice(), &[5; 28]].concat());
        let mut has_bytes = false;
        for (share, symbol) in used {
            let symbol = *symbol.get(if share < others_share { &others } else { &bytes });
            if symbol < 256 {
                writer = writer.symbol(symbol);
                has_bytes = true;
            } else if (257..265).contains(&symbol) && has_bytes {
                writer = writer.symbol(symbol).distance(0, 0);
            }
        }
        let whole = writer.ended();
        let text = by_zlib(&whole);
        prop_assert!(text.is_some());
        prop_assert_eq!(inflated(&whole), text);
    }
}
