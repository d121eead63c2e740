//! Payloads as stored: decompression of an entry's content.
//!
//! The five codecs of Pulsar, each in the form its Java client writes: LZ4 as a bare block, Snappy
//! without framing, ZLIB with its header, ZSTD as one frame. The size after decompression is
//! declared in the entry's metadata; content of any other size is corrupt. Nothing here knows what
//! an entry holds, or what becomes of a corrupt one.

use std::fmt;

use flate2::{Decompress, FlushDecompress};

/// No entry may grow beyond this, so that a few bytes from a producer can't fill the memory.
pub const UNCOMPRESSED_BYTES_MAX: usize = 64 << 20;

/// Scratch space that is kept for the next entry; what one large entry needed beyond it is not.
const KEPT_BYTES_MAX: usize = 4 << 20;

/// How a payload is compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Compression {
    /// Not at all.
    #[default]
    None,
    /// LZ4, one bare block.
    Lz4,
    /// Deflate with a zlib header.
    Zlib,
    /// Zstandard, one frame.
    Zstd,
    /// Snappy, raw.
    Snappy,
}

impl Compression {
    /// From the number in an entry's metadata; `None` if it stands for none that we know.
    #[must_use]
    pub const fn from_wire(number: u64) -> Option<Self> {
        Some(match number {
            0 => Self::None,
            1 => Self::Lz4,
            2 => Self::Zlib,
            3 => Self::Zstd,
            4 => Self::Snappy,
            _ => return None,
        })
    }
}

/// Why a payload could not be decompressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DecompressError {
    /// The declared size is beyond [`UNCOMPRESSED_BYTES_MAX`].
    TooLarge,
    /// The bytes are not what the codec writes, or have not the declared size.
    Corrupt,
}

/// Where payloads are decompressed to: space and contexts that a shard reuses for every entry.
#[derive(Default)]
pub struct Scratch {
    bytes: Vec<u8>,
    zlib: Option<Decompress>,
    zstd: Option<zstd::bulk::Decompressor<'static>>,
    snappy: snap::raw::Decoder,
}

impl Scratch {
    /// Empty; grows with the first entry that needs it.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The content of `compressed`, which has `size` bytes. Uncompressed content is passed through;
    /// its declared size means nothing.
    ///
    /// # Errors
    /// The size is beyond bounds, or a lie, or the bytes are corrupt.
    pub fn decompress<'e>(
        &'e mut self,
        compression: Compression,
        compressed: &'e [u8],
        size: u32,
    ) -> Result<&'e [u8], DecompressError> {
        if compression == Compression::None {
            return Ok(compressed);
        }
        let size = usize::try_from(size).map_err(|_| DecompressError::TooLarge)?;
        if size > UNCOMPRESSED_BYTES_MAX {
            return Err(DecompressError::TooLarge);
        }
        if size <= KEPT_BYTES_MAX && self.bytes.len() > KEPT_BYTES_MAX {
            self.bytes = Vec::new();
        }
        if self.bytes.len() < size {
            self.bytes.resize(size, 0);
        }
        let written = match compression {
            Compression::None => Some(0),
            Compression::Lz4 => {
                lz4_flex::block::decompress_into(compressed, &mut self.bytes[..size]).ok()
            }
            Compression::Zlib => self.inflate(compressed, size),
            Compression::Zstd => self.unzstd(compressed, size),
            Compression::Snappy => match snap::raw::decompress_len(compressed) {
                Ok(len) if len == size => self
                    .snappy
                    .decompress(compressed, &mut self.bytes[..size])
                    .ok(),
                _ => None,
            },
        };
        if written == Some(size) {
            Ok(&self.bytes[..size])
        } else {
            Err(DecompressError::Corrupt)
        }
    }

    /// As Java's `Inflater`: takes the declared number of bytes, and asks no further.
    fn inflate(&mut self, compressed: &[u8], size: usize) -> Option<usize> {
        let zlib = self.zlib.get_or_insert_with(|| Decompress::new(true));
        zlib.reset(true);
        zlib.decompress(compressed, &mut self.bytes[..size], FlushDecompress::Finish)
            .ok()?;
        usize::try_from(zlib.total_out()).ok()
    }

    fn unzstd(&mut self, compressed: &[u8], size: usize) -> Option<usize> {
        if self.zstd.is_none() {
            self.zstd = zstd::bulk::Decompressor::new().ok();
        }
        self.zstd
            .as_mut()?
            .decompress_to_buffer(compressed, &mut self.bytes[..size])
            .ok()
    }
}

impl fmt::Debug for Scratch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scratch")
            .field("bytes", &self.bytes.len())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
pub(super) mod tests {
    use std::io::Write;

    use super::*;
    use proptest::prelude::*;

    const CODECS: [Compression; 4] = [
        Compression::Lz4,
        Compression::Zlib,
        Compression::Zstd,
        Compression::Snappy,
    ];

    /// As a producer would store it.
    pub(in crate::pulsar) fn compress(compression: Compression, bytes: &[u8]) -> Vec<u8> {
        match compression {
            Compression::None => bytes.to_vec(),
            Compression::Lz4 => lz4_flex::block::compress(bytes),
            Compression::Zlib => {
                let mut encoder =
                    flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::default());
                encoder.write_all(bytes).unwrap();
                encoder.finish().unwrap()
            }
            Compression::Zstd => zstd::bulk::compress(bytes, 3).unwrap(),
            Compression::Snappy => snap::raw::Encoder::new().compress_vec(bytes).unwrap(),
        }
    }

    /// Written by hand from the formats' own descriptions, so that the crates' two halves can't
    /// agree on a form that nobody else speaks.
    #[test]
    fn the_forms_are_those_of_the_formats() {
        let mut scratch = Scratch::new();
        let lz4 = b"\x50hello";
        assert_eq!(
            scratch.decompress(Compression::Lz4, lz4, 5),
            Ok(&b"hello"[..])
        );
        let snappy = b"\x05\x10hello";
        assert_eq!(
            scratch.decompress(Compression::Snappy, snappy, 5),
            Ok(&b"hello"[..])
        );
        let zlib = b"\x78\x01\x01\x05\x00\xfa\xffhello\x06\x2c\x02\x15";
        assert_eq!(
            scratch.decompress(Compression::Zlib, zlib, 5),
            Ok(&b"hello"[..])
        );
        let zstd = b"\x28\xb5\x2f\xfd\x20\x05\x29\x00\x00hello";
        assert_eq!(
            scratch.decompress(Compression::Zstd, zstd, 5),
            Ok(&b"hello"[..])
        );
    }

    #[test]
    fn a_size_that_lies_is_corrupt() {
        let content = b"hello hello hello hello".repeat(10);
        let len = u32::try_from(content.len()).unwrap();
        let mut scratch = Scratch::new();
        for codec in CODECS {
            let compressed = compress(codec, &content);
            for size in [0, 1, len - 1, len + 1, len * 2] {
                // Java's inflater stops at the declared size, too.
                if codec == Compression::Zlib && size < len {
                    continue;
                }
                assert_eq!(
                    scratch.decompress(codec, &compressed, size),
                    Err(DecompressError::Corrupt),
                    "{codec:?} {size}"
                );
            }
            assert_eq!(
                scratch.decompress(codec, &compressed, len),
                Ok(&content[..])
            );
        }
    }

    #[test]
    fn sizes_are_bounded_before_anything_is_allocated() {
        let mut scratch = Scratch::new();
        for codec in CODECS {
            for size in [(64 << 20) + 1, u32::MAX] {
                let result = scratch.decompress(codec, b"x", size);
                assert_eq!(result, Err(DecompressError::TooLarge));
            }
        }
        assert_eq!(scratch.bytes.capacity(), 0);
        assert_eq!(
            scratch.decompress(Compression::None, b"x", u32::MAX),
            Ok(&b"x"[..])
        );
    }

    #[test]
    fn the_space_of_a_large_entry_is_not_kept() {
        let large = vec![7; KEPT_BYTES_MAX + 1];
        let compressed = compress(Compression::Lz4, &large);
        let mut scratch = Scratch::new();
        let len = u32::try_from(large.len()).unwrap();
        assert!(
            scratch
                .decompress(Compression::Lz4, &compressed, len)
                .is_ok()
        );
        assert!(
            scratch
                .decompress(Compression::Lz4, b"\x50hello", 5)
                .is_ok()
        );
        assert!(scratch.bytes.capacity() < KEPT_BYTES_MAX);
    }

    proptest! {
        #[test]
        fn decompress_undoes_compress(content: Vec<u8>, repeat in 1usize..50) {
            let content = content.repeat(repeat);
            let mut scratch = Scratch::new();
            for codec in CODECS {
                let compressed = compress(codec, &content);
                let size = u32::try_from(content.len()).unwrap();
                prop_assert_eq!(
                    scratch.decompress(codec, &compressed, size), Ok(&content[..]), "{:?}", codec
                );
            }
        }

        #[test]
        fn garbage_is_answered(garbage: Vec<u8>, size in 0u32..100_000) {
            let mut scratch = Scratch::new();
            for codec in CODECS {
                let _ = scratch.decompress(codec, &garbage, size);
            }
        }

        #[test]
        fn damaged_content_is_answered(content: Vec<u8>, at: prop::sample::Index, byte: u8) {
            let mut scratch = Scratch::new();
            for codec in CODECS {
                let mut compressed = compress(codec, &content);
                if !compressed.is_empty() {
                    let at = at.index(compressed.len());
                    compressed[at] = byte;
                }
                let _ = scratch.decompress(codec, &compressed, u32::try_from(content.len()).unwrap());
            }
        }
    }
}
