use super::*;
use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress, Status};

mod fixed;
mod own_codes;
#[cfg(target_arch = "x86_64")]
mod wide;

const OUT_BYTES: usize = 1 << 18;

/// What zlib makes of `text`, without the end of its flush.
fn compressed(text: &[u8], level: u32) -> Vec<u8> {
    compressed_by(text, level, 15)
}

/// The same for one that looks back by 2 to the power of `window_bits`.
fn compressed_by(text: &[u8], level: u32, window_bits: u8) -> Vec<u8> {
    let level = Compression::new(level);
    let mut stream = Compress::new_with_window_bits(level, false, window_bits);
    let mut bytes = Vec::with_capacity(text.len() * 9 / 8 + 100);
    stream
        .compress_vec(text, &mut bytes, FlushCompress::Sync)
        .expect("compresses");
    assert_eq!(stream.total_in(), text.len() as u64);
    bytes.truncate(bytes.len() - 4);
    bytes
}

/// What zlib makes of a message; `None` if it is not whole.
fn by_zlib(compressed: &[u8]) -> Option<Vec<u8>> {
    let bytes = [compressed, &[0x00, 0x00, 0xFF, 0xFF, 0x03, 0x00]].concat();
    let mut stream = Decompress::new(false);
    let mut text = Vec::with_capacity(OUT_BYTES);
    let status = stream.decompress_vec(&bytes, &mut text, FlushDecompress::Finish);
    let ended = matches!(status, Ok(Status::StreamEnd));
    let whole = ended && stream.total_in() == bytes.len() as u64;
    whole.then_some(text)
}

/// What processors with AVX-512, with AVX2 and without make of a message, which is the same.
fn inflated(compressed: &[u8]) -> Option<Vec<u8>> {
    inflated_into(compressed, OUT_BYTES)
}

fn inflated_into(compressed: &[u8], room: usize) -> Option<Vec<u8>> {
    let blocks: [Block; 3] = [
        super::own_codes::block,
        super::own_codes::block_narrow,
        super::own_codes::block_anywhere,
    ];
    let [first, second, third] = blocks.map(|block| {
        let mut out = vec![0xAA; room];
        let len = Shortcut::new().inflate_by(block, compressed, &mut out)?;
        out.truncate(len);
        Some(out)
    });
    assert!(first == second && second == third);
    first
}

/// Bits that are put together by hand.
#[derive(Default)]
struct Bits {
    bytes: Vec<u8>,
    count: usize,
}

impl Bits {
    /// The lowest bit first, as numbers are written.
    fn number(mut self, number: u16, bits: usize) -> Self {
        for bit in 0..bits {
            if self.count.is_multiple_of(8) {
                self.bytes.push(0);
            }
            let last = self.bytes.last_mut().expect("pushed");
            *last |= u8::from(number >> bit & 1 == 1) << (self.count % 8);
            self.count += 1;
        }
        self
    }

    fn zeros(self, bytes: usize) -> Self {
        (0..bytes).fold(self, |bits, _| bits.number(0, 8))
    }

    fn behind(self, other: &Self) -> Self {
        (0..other.count).fold(self, |bits, at| {
            bits.number(u16::from(other.bytes[at / 8]) >> (at % 8) & 1, 1)
        })
    }

    /// The highest bit first, as codes are written.
    fn code(self, code: u16, bits: usize) -> Self {
        self.number(code.reverse_bits() >> (16 - bits), bits)
    }
}
