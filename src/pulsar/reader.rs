//! Cuts a connection's byte stream into frames, without copying those that arrive whole.

use super::wire::{FRAME_PADDING_BYTES, FrameError, TOTAL_LEN, frame_len};

/// Received bytes, and how far they are worked on.
#[derive(Debug)]
pub struct Input<'i> {
    bytes: &'i [u8],
}

impl<'i> Input<'i> {
    /// Nothing of it is worked on yet.
    #[must_use]
    pub const fn new(bytes: &'i [u8]) -> Self {
        Self { bytes }
    }

    /// The rest is of no use.
    pub(super) const fn clear(&mut self) {
        self.bytes = &[];
    }

    /// Takes `len` bytes, or as many as there are.
    fn take(&mut self, len: usize) -> &'i [u8] {
        let (taken, rest) = self.bytes.split_at(len.min(self.bytes.len()));
        self.bytes = rest;
        taken
    }
}

/// Where a whole frame is.
#[derive(Clone, Copy, Debug)]
pub(super) enum Place<'i> {
    /// In the input.
    Input(&'i [u8]),
    /// It arrived in parts and is in the scratch now.
    Scratch,
}

/// What has arrived of a frame that is not whole.
#[derive(Debug)]
pub(super) struct FrameReader {
    partial: Vec<u8>,
    frame_bytes_max: usize,
}

impl FrameReader {
    pub(super) const fn new(message_bytes_max: usize) -> Self {
        Self {
            partial: Vec::new(),
            frame_bytes_max: message_bytes_max.saturating_add(FRAME_PADDING_BYTES),
        }
    }

    /// The broker said how large messages may be.
    pub(super) const fn set_message_bytes_max(&mut self, bytes: usize) {
        self.frame_bytes_max = bytes.saturating_add(FRAME_PADDING_BYTES);
    }

    /// The next whole frame; `None`: the input is used up. The scratch is free again when the next
    /// frame is asked for.
    pub(super) fn next<'i>(
        &mut self,
        input: &mut Input<'i>,
        scratch: &mut Vec<u8>,
    ) -> Result<Option<Place<'i>>, FrameError> {
        if self.partial.is_empty() {
            return self.next_in_place(input, scratch);
        }
        self.fill(input, TOTAL_LEN);
        let Some(len) = frame_len(&self.partial, self.frame_bytes_max)? else {
            return Ok(None);
        };
        self.fill(input, len);
        if self.partial.len() < len {
            return Ok(None);
        }
        *scratch = std::mem::take(&mut self.partial);
        Ok(Some(Place::Scratch))
    }

    fn next_in_place<'i>(
        &mut self,
        input: &mut Input<'i>,
        scratch: &mut Vec<u8>,
    ) -> Result<Option<Place<'i>>, FrameError> {
        let len = frame_len(input.bytes, self.frame_bytes_max)?;
        if let Some(len) = len
            && len <= input.bytes.len()
        {
            return Ok(Some(Place::Input(input.take(len))));
        }
        if !input.bytes.is_empty() {
            // The scratch lends its space until the frame is whole, then it comes back.
            self.partial = std::mem::take(scratch);
            self.partial.clear();
            self.partial.reserve(len.unwrap_or(TOTAL_LEN));
            self.partial.extend_from_slice(input.take(usize::MAX));
        }
        Ok(None)
    }

    /// Adds input until `len` bytes are there.
    fn fill(&mut self, input: &mut Input<'_>, len: usize) {
        let missing = len.saturating_sub(self.partial.len());
        self.partial.extend_from_slice(input.take(missing));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(pieces: &[&[u8]]) -> Result<Vec<Vec<u8>>, FrameError> {
        let mut reader = FrameReader::new(1000);
        let (mut frames, mut scratch) = (Vec::new(), Vec::new());
        for piece in pieces {
            let mut input = Input::new(piece);
            while let Some(place) = reader.next(&mut input, &mut scratch)? {
                frames.push(match place {
                    Place::Input(frame) => frame.to_vec(),
                    Place::Scratch => scratch.clone(),
                });
            }
            assert!(input.bytes.is_empty());
        }
        Ok(frames)
    }

    #[test]
    fn frames_come_out_however_they_are_cut() {
        let frames: Vec<Vec<u8>> = (4u8..20)
            .map(|len| [&[0, 0, 0, len][..], &vec![len; usize::from(len)]].concat())
            .collect();
        let bytes = frames.concat();
        assert_eq!(read(&[&bytes]).as_ref(), Ok(&frames));
        for size in 1..bytes.len() {
            let pieces: Vec<&[u8]> = bytes.chunks(size).collect();
            assert_eq!(read(&pieces).as_ref(), Ok(&frames), "pieces of {size}");
        }
    }

    #[test]
    fn a_lie_is_seen_as_soon_as_the_size_is_there() {
        let lie = [0, 0xff, 0, 0];
        let error = Err(FrameError::TooLarge {
            bytes: 0x00ff_0000,
            max: 1000 + FRAME_PADDING_BYTES,
        });
        assert_eq!(read(&[&lie]), error);
        assert_eq!(read(&[&lie[..1], &lie[1..3], &lie[3..]]), error);
    }
}
