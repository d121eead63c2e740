//! Payloads as stored: compression of what is published, decompression of an entry's content.
//!
//! The five codecs of Pulsar, each in the form its Java client writes: LZ4 as a bare block, Snappy
//! without framing, ZLIB with its header, ZSTD as one frame. The size after decompression is
//! declared in the entry's metadata; content of any other size is corrupt. Nothing here knows what
//! an entry holds, or what becomes of a corrupt one. Whatever else is done to a payload is done
//! after it is compressed, and undone before it is decompressed.

use std::fmt;

use bytes::BytesMut;
use flate2::{Compress, Decompress, FlushCompress, FlushDecompress, Status};
use lz4_flex::block::{CompressTable, compress_into_with_table, get_maximum_output_size};

use super::crypto::Opener;
pub use crate::session::producer::Compression;
use crate::session::{Payload, PayloadError};

/// No entry may grow beyond this, so that a few bytes from a producer can't fill the memory.
pub const UNCOMPRESSED_BYTES_MAX: usize = 64 << 20;

/// Scratch space that is kept for the next entry; what one large entry needed beyond it is not.
const KEPT_BYTES_MAX: usize = 4 << 20;

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

    /// The number in an entry's metadata.
    #[must_use]
    pub const fn to_wire(self) -> u64 {
        match self {
            Self::None => 0,
            Self::Lz4 => 1,
            Self::Zlib => 2,
            Self::Zstd => 3,
            Self::Snappy => 4,
        }
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

/// Where payloads are decrypted and decompressed: space and contexts that a shard reuses for every entry.
#[derive(Default)]
pub struct Scratch {
    opener: Opener,
    space: Space,
}

/// Where payloads are decompressed to.
#[derive(Default)]
pub struct Space {
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

    /// With keys to decrypt with.
    #[must_use]
    pub fn opening(opener: Opener) -> Self {
        Self {
            opener,
            space: Space::default(),
        }
    }

    /// What decrypts, and where it is decompressed to after that.
    pub const fn parts(&mut self) -> (&mut Opener, &mut Space) {
        (&mut self.opener, &mut self.space)
    }

    /// As [`Space::decompress`].
    ///
    /// # Errors
    /// As [`Space::decompress`].
    pub fn decompress<'e>(
        &'e mut self,
        compression: Compression,
        compressed: &'e [u8],
        size: u32,
    ) -> Result<&'e [u8], DecompressError> {
        self.space.decompress(compression, compressed, size)
    }
}

impl Space {
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
            .field("bytes", &self.space.bytes.len())
            .finish_non_exhaustive()
    }
}

/// `CompressionCodecZstd.ZSTD_COMPRESSION_LEVEL`.
const ZSTD_LEVEL: i32 = 3;

/// Where payloads are compressed: space and contexts that a shard reuses for every message. Each
/// context is made when it is first needed.
#[derive(Default)]
pub struct Compressor {
    /// As it comes out of the client's encoding.
    decoded: BytesMut,
    compressed: Vec<u8>,
    lz4: Option<CompressTable>,
    zlib: Option<Compress>,
    zstd: Option<zstd::bulk::Compressor<'static>>,
    snappy: Option<snap::raw::Encoder>,
}

impl Compressor {
    /// The content of a publish, compressed. `None` where the codec does not take it, which it does
    /// up to a size that no broker takes.
    ///
    /// # Errors
    /// The payload's encoding is broken.
    pub fn compress_payload(
        &mut self,
        compression: Compression,
        payload: Payload<'_>,
    ) -> Result<Option<&[u8]>, PayloadError> {
        self.decode(payload)?;
        let decoded = std::mem::take(&mut self.decoded);
        let len = self.compress_into_space(compression, &decoded);
        self.decoded = decoded;
        Ok(len.map(|len| &self.compressed[..len]))
    }

    /// These bytes, compressed; `None` as for [`Compressor::compress_payload`].
    pub fn compress(&mut self, compression: Compression, bytes: &[u8]) -> Option<&[u8]> {
        let len = self.compress_into_space(compression, bytes)?;
        Some(&self.compressed[..len])
    }

    /// Whether a payload's encoding is whole.
    ///
    /// # Errors
    /// It is not.
    pub fn check(&mut self, payload: Payload<'_>) -> Result<(), PayloadError> {
        self.decode(payload)
    }

    fn decode(&mut self, payload: Payload<'_>) -> Result<(), PayloadError> {
        if payload.len <= KEPT_BYTES_MAX && self.decoded.capacity() > KEPT_BYTES_MAX {
            self.decoded = BytesMut::new();
        }
        self.decoded.clear();
        self.decoded.reserve(payload.len);
        (payload.decode)(payload.encoded, &mut self.decoded)
    }

    fn compress_into_space(&mut self, compression: Compression, bytes: &[u8]) -> Option<usize> {
        let room = match compression {
            Compression::None => bytes.len(),
            Compression::Lz4 => get_maximum_output_size(bytes.len()),
            // zlib's own bound for what can't be compressed, and some more.
            Compression::Zlib => bytes.len() + bytes.len() / 500 + 64,
            Compression::Zstd => zstd::zstd_safe::compress_bound(bytes.len()),
            Compression::Snappy => snap::raw::max_compress_len(bytes.len()),
        };
        if room <= KEPT_BYTES_MAX && self.compressed.len() > KEPT_BYTES_MAX {
            self.compressed = Vec::new();
        }
        if self.compressed.len() < room {
            self.compressed.resize(room, 0);
        }
        let out = &mut self.compressed[..room];
        match compression {
            Compression::None => {
                out.copy_from_slice(bytes);
                Some(room)
            }
            Compression::Lz4 => {
                compress_into_with_table(bytes, out, self.lz4.get_or_insert_default()).ok()
            }
            Compression::Zlib => {
                let zlib = self
                    .zlib
                    .get_or_insert_with(|| Compress::new(flate2::Compression::default(), true));
                zlib.reset();
                match zlib.compress(bytes, out, FlushCompress::Finish) {
                    Ok(Status::StreamEnd) => usize::try_from(zlib.total_out()).ok(),
                    _ => None,
                }
            }
            Compression::Zstd => {
                if self.zstd.is_none() {
                    self.zstd = zstd::bulk::Compressor::new(ZSTD_LEVEL).ok();
                }
                self.zstd.as_mut()?.compress_to_buffer(bytes, out).ok()
            }
            Compression::Snappy => {
                let snappy = self.snappy.get_or_insert_with(snap::raw::Encoder::new);
                snappy.compress(bytes, out).ok()
            }
        }
    }
}

impl fmt::Debug for Compressor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Compressor")
            .field("decoded", &self.decoded.capacity())
            .field("compressed", &self.compressed.len())
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

    /// Java's deflater is asked for nothing, then.
    #[test]
    fn nothing_may_be_nothing_when_compressed() {
        assert_eq!(
            Scratch::new().decompress(Compression::Zlib, b"", 0),
            Ok(&b""[..])
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
        assert_eq!(scratch.space.bytes.capacity(), 0);
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
        assert!(scratch.space.bytes.capacity() < KEPT_BYTES_MAX);
    }

    #[test]
    fn the_space_for_a_large_payload_is_not_kept() {
        let mut compressor = Compressor::default();
        for codec in CODECS {
            let large = vec![7; KEPT_BYTES_MAX + 1];
            assert!(compressor.compress(codec, &large).is_some());
            assert!(compressor.compress(codec, b"hello").is_some());
            assert!(compressor.compressed.capacity() < KEPT_BYTES_MAX);
        }
    }

    proptest! {
        #[test]
        fn what_is_compressed_comes_back(
            contents in proptest::collection::vec((any::<Vec<u8>>(), 1usize..700), 1..5)
        ) {
            let (mut compressor, mut scratch) = (Compressor::default(), Scratch::new());
            for (content, repeat) in contents {
                let content = content.repeat(repeat);
                let size = u32::try_from(content.len()).unwrap();
                for codec in CODECS {
                    let compressed = compressor.compress(codec, &content).unwrap();
                    prop_assert_eq!(
                        scratch.decompress(codec, compressed, size), Ok(&content[..]), "{:?}", codec
                    );
                }
            }
        }

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
