//! The WebSocket protocol of RFC 6455 with the compression of RFC 7692, server side, as a machine over bytes.
//!
//! [`WebSocket`] pulls messages out of the bytes that a socket received and appends what has to be answered to the
//! bytes that go out. It knows sockets as little as it knows what the messages mean, and it holds memory only while a
//! message or a header is incomplete. Where the close texts are Jetty's, clients of the Java service know them.

pub mod deflate;
pub mod frame;
mod input;
#[cfg(test)]
mod tests;
mod utf8;
mod violation;

pub use deflate::{Deflater, Inflater};
pub use input::Input;
pub use violation::Violation;

use crate::codec::mask::{mask, mask_append, rotate};
use deflate::Fault;
use frame::{HEADER_BYTES_MAX, Header, Opcode};

/// Room of which more is given back at the end of a message, since one large message should not hold its memory for
/// good. A payload of 64 KiB is 86 of JSON, for which room doubles to this.
pub const ROOM_BYTES_MAX: usize = 128 * 1024;

/// The most room that a frame gets on the word of its header alone; what goes beyond has to arrive.
const TRUSTED_BYTES: usize = 64 * 1024;

/// How long messages may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The longest text message in bytes (`webSocketMaxTextFrameSize`).
    pub text_bytes_max: usize,
    /// The longest binary message in bytes.
    pub binary_bytes_max: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            text_bytes_max: 1_048_576,
            binary_bytes_max: 65_536,
        }
    }
}

impl Limits {
    /// What the closing text calls messages of this kind, and how long they may be.
    fn of(&self, data: Data) -> (&'static str, usize) {
        match data {
            Data::Text => ("Text", self.text_bytes_max),
            Data::Binary => ("Binary", self.binary_bytes_max),
        }
    }
}

/// What a client sent.
#[derive(Debug, PartialEq, Eq)]
pub enum Incoming<'a> {
    /// A text message, checked to be UTF-8. Whoever reads it may decode it in place.
    Text(&'a mut [u8]),
    /// A binary message; no endpoint takes any, so its bytes were not kept.
    Binary,
    /// A pong with its data.
    Pong(&'a [u8]),
    /// The client's close frame, already answered. Nothing comes after it.
    Closed {
        /// The status code, where the frame had one.
        code: Option<u16>,
        /// The reason, possibly empty.
        reason: &'a str,
    },
}

/// One client's WebSocket.
///
/// Give each run of received bytes to [`next_message`](Self::next_message) as an [`Input`] and call it until it
/// returns `None`: the input is then consumed whole. It is fine to stop earlier and to come back with the rest. In
/// either case [`give_back`](Self::give_back) is to follow, so that a WebSocket between messages holds no memory. What
/// has to be answered (pongs, the echo of a close) is appended to `out` in the order of arrival. After a
/// [`Violation`] the caller closes with its code and reason; from then on, as after the client's close, whatever
/// still arrives is swallowed.
///
/// Once [`close`](Self::close) was called nothing more is appended to `out`, and data messages are read but dropped:
/// only the client's close frame is still waited for.
#[derive(Debug)]
pub struct WebSocket {
    limits: Limits,
    /// Where messages may be compressed: how far back the client looks, in bits.
    deflate: Option<u8>,
    /// The start of a header whose end has not arrived. At most one byte less than the longest header.
    header: [u8; HEADER_BYTES_MAX],
    header_bytes: u8,
    /// The frame whose payload is being read.
    frame: Option<Frame>,
    /// The kind of the message that waits for its next fragment.
    fragmented: Option<Data>,
    /// The current data message is compressed.
    compressed: bool,
    /// Payload bytes announced by the frames of the current data message.
    message_bytes: u64,
    /// The unmasked bytes of a text or compressed message that does not lie whole in one input. Its room can be lent.
    assembly: Vec<u8>,
    /// How many bytes of `assembly` are known to be whole characters; never more than its length.
    checked_bytes: usize,
    /// The unmasked payload of the control frame being read, or last read.
    control: Vec<u8>,
    close_sent: bool,
    close_received: bool,
    /// The code of the close that came from here, before any of the client's.
    close_code: Option<u16>,
    violated: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Data {
    Text,
    Binary,
}

/// A frame with the part of its payload that has not been read.
#[derive(Clone, Copy, Debug)]
struct Frame {
    opcode: Opcode,
    /// The message a data frame belongs to.
    data: Data,
    fin: bool,
    /// A text or compressed message of one frame, of which nothing was read: it can stay where it is.
    untouched: bool,
    /// The masking key, rotated to the next byte.
    key: [u8; 4],
    left_bytes: usize,
}

/// Where the next message lies; names no borrow of the machine, so that the machine can look for it in a loop.
enum Found<'b> {
    Nothing,
    TextInPlace(&'b mut [u8]),
    TextAssembled,
    TextInflated,
    Binary,
    Pong,
    Closed,
}

impl WebSocket {
    /// A WebSocket just after its upgrade.
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            deflate: None,
            header: [0; HEADER_BYTES_MAX],
            header_bytes: 0,
            frame: None,
            fragmented: None,
            compressed: false,
            message_bytes: 0,
            assembly: Vec::new(),
            checked_bytes: 0,
            control: Vec::new(),
            close_sent: false,
            close_received: false,
            close_code: None,
            violated: false,
        }
    }

    /// The same where permessage-deflate was agreed without context takeover, with a client that looks back by 2 to the
    /// power of `window_bits`.
    #[must_use]
    pub fn with_deflate(mut self, window_bits: u8) -> Self {
        self.deflate = Some(window_bits);
        self
    }

    /// The next message of `input`, or `None` when all of `input` has been consumed.
    ///
    /// A message of one frame that lies whole in the input is unmasked there and borrowed from there; others are put
    /// together inside. One that was compressed is borrowed from the inflater. A violation is returned once; nothing is
    /// parsed after it.
    pub fn next_message<'m, 'b: 'm>(
        &'m mut self,
        input: &mut Input<'b>,
        out: &mut Vec<u8>,
        inflater: &'m mut Inflater,
    ) -> Result<Option<Incoming<'m>>, Violation> {
        let found = match self.find(input, out, inflater) {
            Ok(found) => found,
            Err(violation) => {
                self.violated = true;
                self.release();
                return Err(violation);
            }
        };
        Ok(match found {
            Found::Nothing => None,
            Found::TextInPlace(text) => Some(Incoming::Text(text)),
            Found::TextAssembled => Some(Incoming::Text(&mut self.assembly)),
            Found::TextInflated => Some(Incoming::Text(inflater.message())),
            Found::Binary => Some(Incoming::Binary),
            Found::Pong => Some(Incoming::Pong(&self.control)),
            Found::Closed => {
                let (code, reason) = violation::close_payload(&self.control)?;
                Some(Incoming::Closed { code, reason })
            }
        })
    }

    /// How far back the client looks in compressed messages, in bits, where it may get any. [`Deflater::finish`] wants
    /// to know.
    #[must_use]
    pub fn window_bits(&self) -> Option<u8> {
        self.deflate
    }

    /// Room for a message that does not lie whole in one input, where it holds none; else it comes back.
    pub fn lend(&mut self, room: Vec<u8>) -> Vec<u8> {
        if self.assembly.capacity() > 0 {
            return room;
        }
        std::mem::replace(&mut self.assembly, room)
    }

    /// Gives room back for another WebSocket, unless a message is incomplete in it. A WebSocket to which none is lent
    /// makes its own.
    pub fn give_back(&mut self) -> Vec<u8> {
        if self.keeps_message() {
            return Vec::new();
        }
        self.checked_bytes = 0;
        std::mem::take(&mut self.assembly)
    }

    /// The memory held for a message that is incomplete, in bytes.
    pub fn incomplete_bytes(&self) -> usize {
        self.assembly.capacity()
    }

    /// Appends our close frame, once: later calls, and calls after the client's close was answered, do nothing. The
    /// reason is cut to the 123 bytes that fit, at the end of a character.
    pub fn close(&mut self, out: &mut Vec<u8>, code: u16, reason: &str) {
        if !self.close_sent {
            self.close_code = Some(code);
            self.close_sent = true;
            frame::write_close(out, code, reason);
        }
    }

    /// The code given to [`close`](Self::close), if it was called before the client closed.
    #[must_use]
    pub fn close_code(&self) -> Option<u16> {
        self.close_code
    }

    /// Whether our close frame has been appended, of our own accord or as an answer.
    pub fn close_sent(&self) -> bool {
        self.close_sent
    }

    /// Whether the client's close frame has been read.
    pub fn close_received(&self) -> bool {
        self.close_received
    }

    fn find<'b>(
        &mut self,
        input: &mut Input<'b>,
        out: &mut Vec<u8>,
        inflater: &mut Inflater,
    ) -> Result<Found<'b>, Violation> {
        if self.violated || self.close_received {
            input.take(usize::MAX);
            self.release();
            return Ok(Found::Nothing);
        }
        if !self.keeps_message() {
            self.assembly.clear();
            self.checked_bytes = 0;
            if self.assembly.capacity() > ROOM_BYTES_MAX {
                self.assembly = Vec::new();
            }
        }
        loop {
            let frame = match self.frame.take() {
                Some(frame) => frame,
                None => match self.next_header(input)? {
                    Some(header) => self.begin_frame(header)?,
                    None => break,
                },
            };
            let found = if frame.opcode.is_control() {
                self.read_control(frame, input, out)?
            } else if self.compressed {
                self.read_compressed(frame, input, inflater)?
            } else if frame.data == Data::Text {
                self.read_text(frame, input)?
            } else {
                self.skip_binary(frame, input)
            };
            match found {
                Found::Nothing if self.frame.is_some() => break,
                Found::Nothing => {}
                Found::TextAssembled if self.close_sent => {
                    self.assembly.clear();
                    self.checked_bytes = 0;
                }
                Found::TextInPlace(_) | Found::Binary if self.close_sent => {}
                found => return Ok(found),
            }
        }
        Ok(Found::Nothing)
    }

    /// Whether `assembly` belongs to a message that goes on.
    fn keeps_message(&self) -> bool {
        let kept = |data| data == Data::Text || self.compressed;
        self.fragmented.is_some_and(kept)
            || self
                .frame
                .is_some_and(|frame| !frame.opcode.is_control() && kept(frame.data))
    }

    /// Nothing will be put together any more.
    fn release(&mut self) {
        self.assembly = Vec::new();
        self.checked_bytes = 0;
    }

    /// Takes a header from the input, together with the part of it that came before. An incomplete one is kept.
    fn next_header(&mut self, input: &mut Input<'_>) -> Result<Option<Header>, Violation> {
        let broken = |error: frame::HeaderError| Violation::protocol(error.text());
        if self.header_bytes == 0
            && let Some((header, bytes)) =
                Header::decode_with(input.rest(), self.deflate.is_some()).map_err(broken)?
        {
            input.take(bytes);
            return Ok(Some(header));
        }
        while let [byte] = input.take(1) {
            let at = usize::from(self.header_bytes);
            self.header[at] = *byte;
            self.header_bytes += 1;
            let header = &self.header[..=at];
            if let Some((header, _)) =
                Header::decode_with(header, self.deflate.is_some()).map_err(broken)?
            {
                self.header_bytes = 0;
                return Ok(Some(header));
            }
        }
        Ok(None)
    }

    /// Judges a frame by its header, before any of its payload is read.
    fn begin_frame(&mut self, header: Header) -> Result<Frame, Violation> {
        let Some(key) = header.mask else {
            return Err(Violation::protocol("Client frames must be masked"));
        };
        let begun = self.fragmented;
        let data = match (header.opcode, begun) {
            (Opcode::Continuation, Some(data)) => data,
            (Opcode::Continuation, None) => {
                return Err(Violation::protocol("No message to continue"));
            }
            (Opcode::Text | Opcode::Binary, Some(_)) => {
                return Err(Violation::protocol(
                    "A new message within a fragmented message",
                ));
            }
            (Opcode::Binary, None) => Data::Binary,
            (Opcode::Text | Opcode::Close | Opcode::Ping | Opcode::Pong, _) => Data::Text,
        };
        if header.opcode.is_control() {
            self.control.clear();
        } else {
            if begun.is_none() {
                self.message_bytes = 0;
                self.compressed = header.compressed;
            }
            self.message_bytes = self.message_bytes.saturating_add(header.payload_bytes);
            self.check_size(data)?;
            self.fragmented = (!header.fin).then_some(data);
        }
        Ok(Frame {
            opcode: header.opcode,
            data,
            fin: header.fin,
            untouched: header.opcode != Opcode::Continuation && header.fin,
            key,
            // The size was checked against a limit that is itself a usize.
            left_bytes: usize::try_from(header.payload_bytes).unwrap_or(usize::MAX),
        })
    }

    /// As in Jetty, the sum over a message's fragments counts, and the frame that exceeds it is not read. What a
    /// compressed message holds is seen only later, but there is a limit to how it can be put.
    fn check_size(&self, data: Data) -> Result<(), Violation> {
        let (kind, bytes_max) = self.limits.of(data);
        let bytes = self.message_bytes;
        let announced_max = if self.compressed {
            deflate::compressed_bytes_max(bytes_max)
        } else {
            bytes_max
        };
        if bytes <= announced_max as u64 {
            return Ok(());
        }
        Err(Violation::too_big(kind, bytes, bytes_max))
    }

    /// Reads what there is of a text frame: in place where the whole message lies in the input.
    fn read_text<'b>(
        &mut self,
        mut frame: Frame,
        input: &mut Input<'b>,
    ) -> Result<Found<'b>, Violation> {
        if frame.untouched && input.remaining() >= frame.left_bytes {
            let text = input.take(frame.left_bytes);
            let is_ascii = mask(text, frame.key);
            if !is_ascii {
                utf8::check(text).map_err(Violation::not_utf8)?;
            }
            return Ok(Found::TextInPlace(text));
        }
        let chunk = input.take(frame.left_bytes);
        if !chunk.is_empty() {
            self.assembly.reserve(frame.left_bytes.min(TRUSTED_BYTES));
            mask_append(&mut self.assembly, chunk, frame.key);
            frame.key = rotate(frame.key, chunk.len());
            frame.left_bytes -= chunk.len();
            frame.untouched = false;
            let fresh = &self.assembly[self.checked_bytes..];
            self.checked_bytes += utf8::check_prefix(fresh).map_err(Violation::not_utf8)?;
        }
        if frame.left_bytes > 0 {
            self.frame = Some(frame);
            return Ok(Found::Nothing);
        }
        if !frame.fin {
            return Ok(Found::Nothing);
        }
        if self.checked_bytes < self.assembly.len() {
            return Err(Violation::not_utf8(utf8::Fault::Incomplete));
        }
        Ok(Found::TextAssembled)
    }

    /// Reads what there is of a frame of a compressed message, and inflates the message when it is whole.
    fn read_compressed<'b>(
        &mut self,
        mut frame: Frame,
        input: &mut Input<'_>,
        inflater: &mut Inflater,
    ) -> Result<Found<'b>, Violation> {
        let chunk = input.take(frame.left_bytes);
        if frame.untouched && chunk.len() == frame.left_bytes {
            if self.close_sent {
                return Ok(Found::Nothing);
            }
            mask(chunk, frame.key);
            return self.inflate(frame.data, chunk, inflater);
        }
        if !chunk.is_empty() {
            self.assembly.reserve(frame.left_bytes.min(TRUSTED_BYTES));
            mask_append(&mut self.assembly, chunk, frame.key);
            frame.key = rotate(frame.key, chunk.len());
            frame.left_bytes -= chunk.len();
            frame.untouched = false;
        }
        if frame.left_bytes > 0 {
            self.frame = Some(frame);
            return Ok(Found::Nothing);
        }
        if !frame.fin {
            return Ok(Found::Nothing);
        }
        if self.close_sent {
            self.assembly.clear();
            return Ok(Found::Nothing);
        }
        self.inflate(frame.data, &self.assembly, inflater)
    }

    /// A whole compressed message, in the inflater.
    fn inflate<'b>(
        &self,
        data: Data,
        compressed: &[u8],
        inflater: &mut Inflater,
    ) -> Result<Found<'b>, Violation> {
        let (kind, bytes_max) = self.limits.of(data);
        inflater
            .inflate(compressed, bytes_max)
            .map_err(|fault| match fault {
                Fault::TooBig => Violation::too_big(kind, bytes_max as u64 + 1, bytes_max),
                Fault::Corrupt(text) => Violation::not_deflate(&text),
                Fault::Incomplete => Violation::not_deflate("incomplete data"),
            })?;
        if data == Data::Binary {
            return Ok(Found::Binary);
        }
        utf8::check(inflater.message()).map_err(Violation::not_utf8)?;
        Ok(Found::TextInflated)
    }

    /// Reads over a binary frame.
    fn skip_binary<'b>(&mut self, mut frame: Frame, input: &mut Input<'_>) -> Found<'b> {
        frame.left_bytes -= input.take(frame.left_bytes).len();
        if frame.left_bytes > 0 {
            self.frame = Some(frame);
            return Found::Nothing;
        }
        if frame.fin {
            Found::Binary
        } else {
            Found::Nothing
        }
    }

    /// Reads what there is of a control frame, and answers it when it is whole.
    fn read_control<'b>(
        &mut self,
        mut frame: Frame,
        input: &mut Input<'_>,
        out: &mut Vec<u8>,
    ) -> Result<Found<'b>, Violation> {
        let chunk = input.take(frame.left_bytes);
        mask_append(&mut self.control, chunk, frame.key);
        frame.key = rotate(frame.key, chunk.len());
        frame.left_bytes -= chunk.len();
        if frame.left_bytes > 0 {
            self.frame = Some(frame);
            return Ok(Found::Nothing);
        }
        match frame.opcode {
            Opcode::Ping => {
                if !self.close_sent {
                    frame::write_pong(out, &self.control);
                }
                Ok(Found::Nothing)
            }
            Opcode::Close => {
                let (code, reason) = violation::close_payload(&self.control)?;
                self.close_received = true;
                if !self.close_sent {
                    self.close_sent = true;
                    match code {
                        Some(code) => frame::write_close(out, code, reason),
                        None => frame::write_control(out, Opcode::Close, &[]),
                    }
                }
                Ok(Found::Closed)
            }
            Opcode::Pong | Opcode::Continuation | Opcode::Text | Opcode::Binary => Ok(Found::Pong),
        }
    }
}
