//! permessage-deflate, the client's side, without context takeover in either direction.

use std::io;

use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress};

/// The offer; a service that agrees to it keeps no context either.
pub(crate) const OFFER: &str = "Sec-WebSocket-Extensions: permessage-deflate; \
                                client_no_context_takeover; server_no_context_takeover\r\n";

/// What a sender leaves off.
const TAIL: [u8; 4] = [0x00, 0x00, 0xff, 0xff];

pub(crate) struct Deflate {
    deflater: Compress,
    inflater: Decompress,
    space: Vec<u8>,
}

impl Deflate {
    pub(crate) fn new() -> Self {
        Self {
            // zlib's default, as clients have it: its codes fit the message. Lower levels leave the service less to do.
            deflater: Compress::new(Compression::default(), false),
            inflater: Decompress::new(false),
            space: Vec::new(),
        }
    }

    /// The compressed form of a message.
    pub(crate) fn deflate(&mut self, message: &[u8]) -> io::Result<&[u8]> {
        self.deflater.reset();
        self.space.clear();
        self.space.reserve(message.len() + message.len() / 8 + 64);
        self.deflater
            .compress_vec(message, &mut self.space, FlushCompress::Sync)?;
        self.space
            .strip_suffix(&TAIL)
            .ok_or_else(|| io::Error::other("a message was not compressed whole"))
    }

    /// The message in a compressed form.
    pub(crate) fn inflate(&mut self, compressed: &[u8]) -> io::Result<&[u8]> {
        self.inflater.reset(false);
        self.space.clear();
        for mut rest in [compressed, &TAIL] {
            loop {
                self.space.reserve(self.space.len().max(4096));
                let (total_in, written) = (self.inflater.total_in(), self.space.len());
                self.inflater
                    .decompress_vec(rest, &mut self.space, FlushDecompress::None)?;
                let taken = usize::try_from(self.inflater.total_in() - total_in).unwrap_or(0);
                if taken == 0 && self.space.len() == written {
                    break;
                }
                rest = rest.get(taken..).unwrap_or_default();
            }
        }
        Ok(&self.space)
    }
}
