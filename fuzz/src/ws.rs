//! Frames and compressed messages, as others write and read them.

use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress, Status};
use pulsar_ws_fast::ws::frame::{Header, Opcode};

use crate::script::Chance;

/// No byte of deflate data becomes more.
const RATIO_MAX: usize = 1032;

/// A client's frame, with a mask that chance makes.
pub(crate) fn put(
    bytes: &mut Vec<u8>,
    opcode: Opcode,
    fin: bool,
    compressed: bool,
    payload: &[u8],
    chance: &mut Chance,
) {
    let key = chance.number().to_le_bytes();
    let mask = [key[0], key[1], key[2], key[3]];
    Header {
        fin,
        opcode,
        compressed,
        mask: Some(mask),
        payload_bytes: payload.len() as u64,
    }
    .encode(bytes);
    bytes.extend(payload.iter().zip(mask.iter().cycle()).map(|(a, b)| a ^ b));
}

/// A server's frame, its payload and what follows it; `None` while it is not whole.
pub(crate) fn take(bytes: &[u8]) -> Option<(Header, &[u8], &[u8])> {
    let (header, len) = Header::decode_with(bytes, true).expect("a frame's header")?;
    let payload_bytes = usize::try_from(header.payload_bytes).expect("short");
    let (payload, rest) = bytes[len..].split_at_checked(payload_bytes)?;
    assert!(header.fin && header.mask.is_none(), "as servers write it");
    Some((header, payload, rest))
}

/// What zlib makes of `text`, without the end of its flush.
pub(crate) fn compressed(text: &[u8], level: u32) -> Vec<u8> {
    let mut stream = Compress::new(Compression::new(level), false);
    let mut bytes = Vec::with_capacity(text.len() * 9 / 8 + 100);
    stream
        .compress_vec(text, &mut bytes, FlushCompress::Sync)
        .expect("compresses");
    bytes.truncate(bytes.len() - 4);
    bytes
}

/// What zlib makes of a message; `None` if it is not whole, or too long.
pub(crate) fn decompressed(compressed: &[u8], text_bytes_max: usize) -> Option<Vec<u8>> {
    let bytes = [compressed, &[0x00, 0x00, 0xFF, 0xFF, 0x03, 0x00]].concat();
    let mut stream = Decompress::new(false);
    let mut text = Vec::with_capacity(text_bytes_max.min(bytes.len() * RATIO_MAX));
    let status = stream.decompress_vec(&bytes, &mut text, FlushDecompress::Finish);
    let ended = matches!(status, Ok(Status::StreamEnd));
    (ended && stream.total_in() == bytes.len() as u64).then_some(text)
}
