//! A client, and what is judged of all that it gets: one response, frames of a server, JSON, no publish answered twice.

use std::collections::BTreeSet;

use pulsar_ws_fast::{
    pulsar::payload::UNCOMPRESSED_BYTES_MAX, shard::SessionKey, ws::frame::Opcode,
};
use serde_json::Value;

use super::Reached;
use crate::ws;

/// No client gets a longer text: base64 of the longest payload, and what stands around it.
const TEXT_BYTES_MAX: usize = UNCOMPRESSED_BYTES_MAX / 3 * 4 + 10_000;

/// A client that is there.
pub(super) struct Client {
    pub(super) key: SessionKey,
    /// Not yet taken apart.
    pub(super) received: Vec<u8>,
    is_open: bool,
    /// Contexts of publishes that were answered.
    answered: BTreeSet<String>,
    /// Ids of messages that came.
    pub(super) delivered: Vec<String>,
    /// An outbox that is being written.
    pub(super) writing: Option<Vec<u8>>,
}

impl Client {
    /// One that just came.
    pub(super) fn new(key: SessionKey) -> Self {
        Self {
            key,
            received: Vec::new(),
            is_open: false,
            answered: BTreeSet::new(),
            delivered: Vec::new(),
            writing: None,
        }
    }

    /// Takes apart what came: the response, then frames.
    pub(super) fn read(&mut self, reached: &mut Reached) {
        if !self.is_open {
            let Some(end) = self.received.windows(4).position(|it| it == b"\r\n\r\n") else {
                return;
            };
            if !self.received.starts_with(b"HTTP/1.1 101 ") {
                return;
            }
            self.received.drain(..end + 4);
            self.is_open = true;
            reached.opened += 1;
        }
        let mut rest = &self.received[..];
        let mut texts = Vec::new();
        while let Some((header, payload, behind)) = ws::take(rest) {
            match (header.opcode, header.compressed) {
                (Opcode::Text, true) => {
                    let text = ws::decompressed(payload, TEXT_BYTES_MAX);
                    texts.push(text.expect("deflate data"));
                }
                (Opcode::Text, false) => texts.push(payload.to_vec()),
                (opcode, _) => assert!(opcode.is_control()),
            }
            rest = behind;
        }
        self.received = rest.to_vec();
        for text in texts {
            self.told(&text, reached);
        }
    }

    fn told(&mut self, text: &[u8], reached: &mut Reached) {
        let told: Value = serde_json::from_slice(text).expect("JSON");
        if told.get("result").is_some() {
            reached.answered += usize::from(told["result"] == "ok");
            if let Some(context) = told["context"].as_str() {
                let is_new = self.answered.insert(context.to_owned());
                assert!(
                    is_new || !context.starts_with('c'),
                    "{context} was answered twice"
                );
            }
        } else if let Some(id) = told["messageId"].as_str() {
            reached.delivered += 1;
            self.delivered.push(id.to_owned());
        }
    }
}
