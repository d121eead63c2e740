use super::*;
use proptest::prelude::*;

/// The lengths of the codes of lengths, by symbol; and those codes: four bits up to 12, five from 13 on.
const SHORT_LENGTHS: u16 = 13;

/// What stands before a block's codes: how many symbols and distances there are, and the codes of lengths.
fn begun(symbols: usize, distances: usize) -> Bits {
    let count = |count: usize| u16::try_from(count).unwrap();
    let begun = Bits::default()
        .number(0b100, 3)
        .number(count(symbols - 257), 5)
        .number(count(distances - 1), 5)
        .number(19 - 4, 4);
    let order = [
        16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15_u16,
    ];
    order.iter().fold(begun, |bits, symbol| {
        bits.number(if *symbol < SHORT_LENGTHS { 4 } else { 5 }, 3)
    })
}

/// A length, or how often one comes, as the header has it.
fn length(bits: Bits, symbol: u16) -> Bits {
    if symbol < SHORT_LENGTHS {
        bits.code(symbol, 4)
    } else {
        bits.code(symbol + SHORT_LENGTHS, 5)
    }
}

fn header(symbols: &[u8], distances: &[u8]) -> Bits {
    let begun = begun(symbols.len(), distances.len());
    let lengths = symbols.iter().chain(distances);
    lengths.fold(begun, |bits, bytes| length(bits, u16::from(*bytes)))
}

/// Each symbol's code and its length.
fn codes(lengths: &[u8]) -> Vec<(u16, usize)> {
    let mut codes = vec![(0, 0); lengths.len()];
    let mut code = 0;
    for bits in 1..=15 {
        for (symbol, length) in lengths.iter().enumerate() {
            if *length == bits {
                codes[symbol] = (code, usize::from(bits));
                code += 1;
            }
        }
        code <<= 1;
    }
    codes
}

/// Writes symbols with codes of their own.
pub(super) struct Writer {
    bits: Bits,
    symbols: Vec<(u16, usize)>,
    distances: Vec<(u16, usize)>,
}

impl Writer {
    pub(super) fn new(symbols: &[u8], distances: &[u8]) -> Self {
        Self {
            bits: header(symbols, distances),
            symbols: codes(symbols),
            distances: codes(distances),
        }
    }

    pub(super) fn symbol(mut self, symbol: usize) -> Self {
        let (code, bits) = self.symbols[symbol];
        self.bits = self.bits.code(code, bits);
        self
    }

    pub(super) fn bytes(self, bytes: &[u8]) -> Self {
        bytes
            .iter()
            .fold(self, |writer, byte| writer.symbol(usize::from(*byte)))
    }

    /// The distance of a repetition, with all of its further bits set or none.
    pub(super) fn distance(mut self, distance: usize, further: u16) -> Self {
        let (code, bits) = self.distances[distance];
        let more = (distance / 2).saturating_sub(1);
        self.bits = self.bits.code(code, bits).number(further, more);
        self
    }

    pub(super) fn ended(self) -> Vec<u8> {
        self.block().number(0, 3).bytes
    }

    /// No end of a message.
    pub(super) fn block(self) -> Bits {
        self.symbol(256).bits
    }
}

/// 286 symbols and 30 distances, all of which have a code.
fn all() -> (Vec<u8>, Vec<u8>) {
    (
        [[9; 60].as_slice(), &[8; 226]].concat(),
        [[4; 2].as_slice(), &[5; 28]].concat(),
    )
}

/// Symbols with codes of 1, 2, 3 bits and so on; the last two have as many.
fn chain(symbols: &[usize]) -> Vec<u8> {
    let mut lengths = vec![0; symbols.iter().max().unwrap() + 1];
    for (symbol, bits) in symbols.iter().zip(1_u8..) {
        lengths[*symbol] = bits.min(u8::try_from(symbols.len() - 1).unwrap());
    }
    lengths
}

/// Asserts that a message is what zlib makes of it too.
fn assert_as_zlib(message: &[u8]) -> Vec<u8> {
    let text = inflated(message).unwrap();
    assert!(Some(&text) == by_zlib(message).as_ref());
    text
}

/// Asserts that a message is left to zlib, which does not take it either.
fn assert_refused(message: &[u8], why: &str) {
    assert_eq!((inflated(message), by_zlib(message)), (None, None), "{why}");
}

fn noise(bytes: usize) -> Vec<u8> {
    let mut state = 1_u32;
    let next = |_| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        state.to_be_bytes()[0]
    };
    (0..bytes).map(next).collect()
}

/// As base64 of noise.
fn base64(bytes: usize) -> Vec<u8> {
    let mut text = Vec::new();
    crate::codec::base64::encode_append(&noise(bytes), &mut text);
    text
}

#[test]
fn each_length_and_distance_has_its_code() {
    let (symbols, distances) = all();
    let mut writer = Writer::new(&symbols, &distances).bytes(&noise(33_000));
    for length in 257..286 {
        let more = match length {
            265..285 => (length - 261) / 4,
            _ => 0,
        };
        for distance in 0..30 {
            for further in [0, u16::MAX] {
                writer = writer.symbol(length);
                writer.bits = writer.bits.number(further, more);
                writer = writer.distance(distance, further);
            }
        }
    }
    let text = assert_as_zlib(&writer.ended());
    assert!(text.len() > 33_000 + 29 * 30 * 2 * 3);
}

#[test]
fn codes_of_any_length_are_read() {
    let symbols = chain(&[
        97, 257, 99, 100, 101, 102, 103, 104, 105, 106, 107, 108, 258, 110, 111, 256,
    ]);
    let distances: Vec<_> = (0..16).rev().collect();
    let distances = chain(&distances);
    assert_eq!((symbols[256], distances[0]), (15, 15));
    // One for either table.
    for (times, range) in [(1, 200..400), (10, 400..5000)] {
        let mut writer = Writer::new(&symbols, &distances).bytes(&b"ahognec".repeat(30));
        for distance in (0..16).cycle().take(6 * times) {
            writer = writer.bytes(b"ao").symbol(257).distance(distance, 1);
            writer = writer.symbol(258).distance(distance, 0);
        }
        let whole = writer.ended();
        assert!(range.contains(&whole.len()), "{}", whole.len());
        assert_as_zlib(&whole);
    }
}

#[test]
fn repetitions_reach_before_a_block_but_not_before_the_beginning() {
    let (symbols, distances) = all();
    let begun = || Writer::new(&symbols, &distances);
    let repeated = |writer: Writer, distance| writer.symbol(257).distance(distance, 0).ended();
    assert_eq!(assert_as_zlib(&repeated(begun().bytes(b"x"), 0)), b"xxxx");
    assert_refused(&repeated(begun().bytes(b"x"), 1), "before the beginning");
    assert_refused(&repeated(begun(), 0), "nothing before");
    let text = base64(60_000);
    let whole = compressed(&[&text[..], &text[..400]].concat(), 6);
    assert_eq!(assert_as_zlib(&whole).len(), text.len() + 400);
}

#[test]
fn a_block_may_have_one_code_of_a_distance_or_none() {
    let (symbols, _) = all();
    let none = Writer::new(&symbols, &[0]).bytes(b"abc");
    assert_eq!(assert_as_zlib(&none.ended()), b"abc");
    let one = || Writer::new(&symbols, &[0, 1]).bytes(b"abc").symbol(257);
    assert_eq!(assert_as_zlib(&one().distance(1, 0).ended()), b"abcbcb");
    let mut other = one();
    other.bits = other.bits.code(1, 1);
    assert_refused(&other.ended(), "a code that no distance has");
    let mut used = Writer::new(&symbols, &[0]).bytes(b"abc").symbol(257);
    used.bits = used.bits.number(0, 8);
    assert_refused(&used.ended(), "no distance has a code");
    let longer = Writer::new(&symbols, &[2]).bytes(b"abc");
    assert_refused(&longer.ended(), "one code of two bits");
}

#[test]
fn sets_of_codes_that_are_not_whole_are_left_to_the_other_decoder() {
    let (symbols, distances) = all();
    let refused = |symbols: &[u8], distances: &[u8], why| {
        assert_refused(&Writer::new(symbols, distances).bytes(b"abc").ended(), why);
    };
    for (change, why) in [(7, "too many codes"), (9, "too few codes")] {
        let mut changed = symbols.clone();
        changed[200] = change;
        refused(&changed, &distances, why);
    }
    for (change, why) in [(3, "too many distances"), (6, "too few distances")] {
        let mut changed = distances.clone();
        changed[20] = change;
        refused(&symbols, &changed, why);
    }
    let endless = [&[9; 58][..], &[8; 198], &[0], &[8; 29]].concat();
    let whole = Writer::new(&endless, &distances).bytes(b"abc").bits;
    assert_refused(&whole.zeros(12).bytes, "no end");
    let only_end = [[0; 256].as_slice(), &[1]].concat();
    let whole = header(&only_end, &[0]).code(0, 1).number(0, 3).bytes;
    // Zlib takes this one, and is left to it.
    assert_eq!((inflated(&whole), by_zlib(&whole)), (None, Some(vec![])));
}

#[test]
fn headers_out_of_range_are_left_to_the_other_decoder() {
    let (symbols, distances) = all();
    for more in 1..3 {
        let symbols = [&symbols[..], &vec![0; more]].concat();
        let whole = Writer::new(&symbols, &distances).bytes(b"abc").ended();
        assert_refused(&whole, "too many symbols");
        let distances = [&distances[..], &vec![0; more]].concat();
        let whole = Writer::new(&symbols[..286], &distances)
            .bytes(b"abc")
            .ended();
        assert_refused(&whole, "too many distances");
    }
    // A whole set but for the first three symbols.
    let symbols = [&[0; 3][..], &[9; 54], &[8; 229]].concat();
    let again = length(begun(286, 30), 16).number(0, 2);
    let rest = symbols[3..].iter().chain(&distances);
    let writer = Writer {
        bits: rest.fold(again, |bits, bytes| length(bits, u16::from(*bytes))),
        ..Writer::new(&symbols, &distances)
    };
    let whole = writer.bytes(b"abc").ended();
    assert_refused(&whole, "the first length comes again");
    let (symbols, _) = all();
    // The last distance's length comes three times.
    let beyond = symbols.iter().chain(&distances[..29]);
    let beyond = beyond.fold(begun(286, 30), |bits, bytes| {
        length(bits, u16::from(*bytes))
    });
    let beyond = length(beyond, 16).number(0, 2).code(0, 16).zeros(12);
    assert_refused(&beyond.bytes, "more lengths than there are");
}

#[test]
fn lengths_of_codes_come_again_from_symbols_to_distances() {
    let zeros = (0..241).fold(begun(257, 16), |bits, _| length(bits, 0));
    let fours = length(length(zeros, 4), 4);
    // The third of these runs of six begins with symbols and ends with distances.
    let mut bits = (0..4).fold(fours, |bits, _| length(bits, 16).number(3, 2));
    for _ in 0..6 {
        bits = length(bits, 4);
    }
    let symbols = [&[0; 241][..], &[4; 16]].concat();
    let writer = Writer {
        bits,
        symbols: codes(&symbols),
        distances: codes(&[4; 16]),
    };
    let whole = writer.bytes(&[241, 255, 254, 242, 255]).ended();
    assert_eq!(assert_as_zlib(&whole), [241, 255, 254, 242, 255]);
}

#[test]
fn what_is_cut_or_goes_on_is_left_to_the_other_decoder() {
    for bytes in [150, 700] {
        let text = base64(bytes);
        let whole = compressed(&text, 6);
        assert_eq!(whole[0] & 0b111, 0b100);
        assert_eq!(inflated(&whole).unwrap(), text);
        for end in 0..whole.len() {
            assert_eq!(inflated(&whole[..end]), None, "cut at {end}");
        }
        assert_eq!(inflated(&[&whole[..], &[0]].concat()), None);
        for room in 0..text.len() {
            assert_eq!(inflated_into(&whole, room), None, "{room}");
        }
        assert_eq!(inflated_into(&whole, text.len()).unwrap(), text);
    }
}

#[test]
fn a_message_may_have_many_blocks_of_either_kind() {
    let mut text = base64(90_000);
    text.extend_from_slice(b"and some more");
    for level in 2..10 {
        assert_eq!(
            inflated(&compressed(&text, level)).unwrap(),
            text,
            "{level}"
        );
    }
    let own = compressed(&text[..1000], 6);
    let fixed = compressed(b"{}", 6);
    assert_eq!((own[0] & 0b111, fixed[0] & 0b111), (0b100, 0b010));
}

#[test]
fn much_of_what_comes_again_is_left_to_the_other_decoder() {
    let text: Vec<u8> = (0..40_000_u32)
        .flat_map(|number| format!("{},", number.wrapping_mul(2_654_435_761) % 997).into_bytes())
        .collect();
    assert!(inflated(&compressed(&text[..3000], 6)).is_some());
    assert_eq!(inflated(&compressed(&text, 6)), None);
}

#[test]
fn more_than_a_mebibyte_is_left_to_the_other_decoder() {
    for (bytes, fits) in [(1_000_000, true), (1_060_000, false)] {
        let text = base64(bytes);
        let whole = compressed(&text, 2);
        assert_eq!(whole.len() <= 1024 * 1024, fits);
        assert!(inflated_into(&whole, text.len()) == fits.then_some(text));
    }
}

#[test]
fn nothing_is_kept_from_one_message_to_the_next() {
    let mut shortcut = Shortcut::new();
    let mut out = vec![0; OUT_BYTES];
    let texts = [
        base64(5000),
        base64(40),
        b"{\"a\":1}".repeat(90),
        base64(700),
    ];
    for text in texts.iter().chain(texts.iter().rev()) {
        let whole = compressed(text, 6);
        let _ = shortcut.inflate(&whole[..whole.len() / 2], &mut out);
        let len = shortcut.inflate(&whole, &mut out).unwrap();
        assert!(out[..len] == text[..]);
    }
}

fn text() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        "[A-Za-z0-9+/]{0,3000}".prop_map(String::into_bytes),
        "(\\{\"a\":\"[A-Za-z0-9]{20}\"\\}){1,60}".prop_map(String::into_bytes),
        "\\PC{0,500}".prop_map(String::into_bytes),
        "([a-e]{1,9} ){1,900}".prop_map(String::into_bytes),
        proptest::collection::vec(any::<u8>(), 0..2000),
        proptest::collection::vec(0..4_u8, 0..9000),
    ]
}

proptest! {
    #[test]
    fn what_is_inflated_is_what_zlib_deflated(
        text in text(),
        level in 1..=9_u32,
        window_bits in 9..=15_u8,
    ) {
        let whole = compressed_by(&text, level, window_bits);
        if let Some(inflated) = inflated(&whole) {
            prop_assert_eq!(inflated, text);
        }
    }

    #[test]
    fn base64_is_never_left_to_the_other_decoder(
        bytes in proptest::collection::vec(any::<u8>(), 100..5000),
        level in 2..=9_u32,
    ) {
        let mut text = Vec::new();
        crate::codec::base64::encode_append(&bytes, &mut text);
        prop_assert_eq!(inflated(&compressed(&text, level)), Some(text));
    }

    #[test]
    fn changed_bytes_make_no_difference_to_zlib(
        text in text(),
        level in 2..=9_u32,
        changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        is_near_the_beginning in any::<bool>(),
    ) {
        let mut bytes = compressed(&text, level);
        let near = if is_near_the_beginning { bytes.len().min(60) } else { bytes.len() };
        for (at, to) in changes {
            bytes[at.index(near)] = to;
        }
        if let Some(text) = inflated(&bytes) {
            prop_assert_eq!(Some(text), by_zlib(&bytes));
        }
    }

    #[test]
    fn nothing_is_inflated_that_zlib_does_not_inflate_so(
        mut bytes in proptest::collection::vec(any::<u8>(), 1..300),
    ) {
        bytes[0] = bytes[0] & !0b111 | 0b100;
        if let Some(text) = inflated(&bytes) {
            prop_assert_eq!(Some(text), by_zlib(&bytes));
        }
    }

    /// With lengths at random there is hardly a whole set: these are made whole by halving.
    #[test]
    fn any_whole_set_of_codes_is_read(
        halves in proptest::collection::vec(any::<prop::sample::Index>(), 1..285),
        distance_halves in proptest::collection::vec(any::<prop::sample::Index>(), 1..29),
        places in Just((0..256).chain(257..286).collect::<Vec<_>>()).prop_shuffle(),
        used in proptest::collection::vec((any::<prop::sample::Index>(), any::<prop::sample::Index>()), 0..900),
    ) {
        let mut symbols = vec![0_u8; 286];
        let by_half = halved(&halves);
        for (bits, place) in by_half.iter().zip([256].into_iter().chain(places)) {
            symbols[place] = *bits;
        }
        let distances = halved(&distance_halves);
        let mut writer = Writer::new(&symbols, &distances);
        let (mut written, mut expected) = (0, Vec::new());
        for (symbol, distance) in used {
            let symbol = symbol.index(286);
            if symbols[symbol] == 0 || symbol == 256 {
                continue;
            }
            if symbol < 256 {
                writer = writer.symbol(symbol);
                expected.push(symbol);
                written += 1;
            } else if symbol < 265 {
                let distance = distance.index(distances.len().min(4));
                if distance < written {
                    writer = writer.symbol(symbol).distance(distance, 0);
                    written += symbol - 254;
                }
            }
        }
        let whole = writer.ended();
        let text = inflated(&whole);
        prop_assert_eq!(text.as_ref().map(Vec::len), Some(written));
        prop_assert_eq!(text, by_zlib(&whole));
    }
}

/// Lengths of a whole set of codes: one code of no bits, of which some are halved one after another, up to 15 bits.
fn halved(halves: &[prop::sample::Index]) -> Vec<u8> {
    let mut lengths = vec![1, 1];
    for half in halves {
        let at = half.index(lengths.len());
        if lengths[at] < 15 {
            lengths[at] += 1;
            lengths.push(lengths[at]);
        }
    }
    lengths
}
