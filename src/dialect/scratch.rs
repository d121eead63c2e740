//! Space that one message after the other is unescaped and decoded into.

use bytes::BytesMut;

use crate::session::Strings;

/// Reusable space for reading commands; a shard has one. It keeps what the largest message so far needed.
#[derive(Debug, Default)]
pub struct Scratch {
    /// Texts without a place of their own in the message.
    pub(super) text: Vec<u8>,
    /// Name, value, name, value…
    pub(super) properties: StringList,
    /// One cluster after the other.
    pub(super) clusters: StringList,
    /// Positions of strings while a list is put in order.
    pub(super) order: Vec<u32>,
    /// A message id in the backend's encoding.
    pub(super) message_id: BytesMut,
    /// What the client's key was used with.
    pub(super) param: BytesMut,
}

impl Scratch {
    /// Empty space.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Forgets the last message.
    pub(super) fn clear(&mut self) {
        self.text.clear();
        self.properties.clear();
        self.clusters.clear();
        self.order.clear();
        self.message_id.clear();
        self.param.clear();
    }
}

/// Strings being laid end to end; some may be null.
#[derive(Debug, Default)]
pub(super) struct StringList {
    text: Vec<u8>,
    ends: Vec<u32>,
    /// Which ones are null, by position, ascending.
    nulls: Vec<u32>,
}

impl StringList {
    pub(super) fn clear(&mut self) {
        self.text.clear();
        self.ends.clear();
        self.nulls.clear();
    }

    pub(super) fn len(&self) -> usize {
        self.ends.len()
    }

    /// Appends a string by appending its text.
    pub(super) fn push_with(&mut self, append: impl FnOnce(&mut Vec<u8>)) {
        append(&mut self.text);
        self.ends.push(offset(self.text.len()));
    }

    pub(super) fn push_null(&mut self) {
        self.nulls.push(offset(self.ends.len()));
        self.ends.push(offset(self.text.len()));
    }

    /// The string at `position`, empty for null.
    pub(super) fn get(&self, position: usize) -> &[u8] {
        let start = match position.checked_sub(1) {
            Some(before) => self.ends[before] as usize,
            None => 0,
        };
        &self.text[start..self.ends[position] as usize]
    }

    /// Whether any string is null.
    pub(super) fn has_nulls(&self) -> bool {
        !self.nulls.is_empty()
    }

    pub(super) fn is_null(&self, position: usize) -> bool {
        self.nulls.binary_search(&offset(position)).is_ok()
    }

    pub(super) fn as_strings(&self) -> Strings<'_> {
        Strings {
            text: &self.text,
            ends: &self.ends,
        }
    }
}

/// Messages are shorter than 2 GiB (Java's limit is an `int`), and so is what they unescape to.
fn offset(len: usize) -> u32 {
    u32::try_from(len).unwrap_or(u32::MAX)
}
