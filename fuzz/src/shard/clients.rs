//! What clients do: they come, say what clients say or anything else, take what is written to them, and leave.

use std::net::SocketAddr;

use pulsar_ws_fast::{shard::SessionKey, ws::frame::Opcode};

use super::{World, judged::Client};
use crate::{
    script::{Chance, Script, pieces, repeated},
    ws,
};

/// What a client may ask for behind `/ws/`.
pub(super) const TARGETS: [&str; 20] = [
    "/ws/v2/producer/persistent/public/default/t",
    "/ws/v2/producer/persistent/public/default/t?sendTimeoutMillis=5000&maxPendingMessages=3",
    "/ws/v2/producer/persistent/public/default/t?batchingEnabled=true&batchingMaxPublishDelay=5&batchingMaxMessages=3",
    "/ws/v2/producer/persistent/public/default/t?compressionType=LZ4&batchingEnabled=true",
    "/ws/v2/producer/persistent/public/default/t?messageRoutingMode=RoundRobinPartition&hashingScheme=Murmur3_32Hash",
    "/ws/v2/producer/persistent/public/default/t?encryptionKeys=eyJhIjp7ImtleVZhbHVlIjoiQUFBQSIsIm1ldGFkYXRhIjp7ImIiOiJjIn19fQ==",
    "/ws/v2/consumer/persistent/public/default/t/s",
    "/ws/v2/consumer/persistent/public/default/t/s?subscriptionType=Shared&receiverQueueSize=3",
    "/ws/v2/consumer/persistent/public/default/t/s?subscriptionType=Shared&ackTimeoutMillis=2000&negativeAckRedeliveryDelay=100",
    "/ws/v2/consumer/persistent/public/default/t/s?subscriptionType=Key_Shared&maxRedeliverCount=1&deadLetterTopic=d",
    "/ws/v2/consumer/persistent/public/default/t/s?pullMode=true&receiverQueueSize=5",
    "/ws/v2/consumer/persistent/public/default/t/s?subscriptionType=Failover&cryptoFailureAction=CONSUME",
    "/ws/v3/consumer/s?topics=a,b&subscriptionType=Shared",
    "/ws/v3/consumer/s?topicsPattern=persistent://public/default/.*",
    "/ws/v2/reader/persistent/public/default/t",
    "/ws/v2/reader/persistent/public/default/t?messageId=earliest&receiverQueueSize=2",
    "/ws/v2/reader/persistent/public/default/t?messageId=CAMQAyAAMAA=",
    "/metrics",
    "/admin/v2/proxy-stats/stats",
    "/status.html",
];
impl World {
    /// A client comes and asks for something.
    pub(super) fn come(&mut self, script: &mut Script<'_>) {
        if self.clients.len() >= 6 {
            return;
        }
        let address = SocketAddr::from(([127, 0, 0, 1], 8080));
        let key = self.shard.handle_accepted(self.now, address, address);
        self.clients.push(Client::new(key));
        self.turn();
        let target = script.pick(&TARGETS);
        let kind = script.byte();
        let extension = if kind & 1 == 0 {
            ""
        } else {
            "Sec-WebSocket-Extensions: permessage-deflate\r\n"
        };
        let announcement = if kind & 6 == 6 {
            "PROXY TCP4 1.2.3.4 5.6.7.8 111 222\r\n"
        } else {
            ""
        };
        let head = format!(
            "{announcement}GET {target} HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             {extension}Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        );
        self.bytes(key, head.as_bytes(), kind & 8 != 0);
    }

    /// A client's bytes arrive, perhaps in pieces.
    fn bytes(&mut self, key: SessionKey, bytes: &[u8], in_pieces: bool) {
        let pieces = if in_pieces {
            pieces(bytes, Chance(self.chance.number()))
        } else {
            vec![bytes.to_vec()]
        };
        for mut piece in pieces {
            if self.is_there(key) {
                self.run_timers();
                self.shard.handle_client_bytes(self.now, key, &mut piece);
                self.turn();
            }
        }
    }

    fn client(&self, script: &mut Script<'_>) -> Option<usize> {
        let at = script.below(self.clients.len());
        (at < self.clients.len()).then_some(at)
    }

    fn is_there(&self, key: SessionKey) -> bool {
        self.clients.iter().any(|client| client.key == key)
    }

    /// One that nobody can have guessed.
    fn context(&mut self) -> String {
        self.publishes += 1;
        format!("c{}-{:x}", self.publishes, self.chance.number())
    }

    /// A client says something, mostly what clients say.
    pub(super) fn say(&mut self, script: &mut Script<'_>) {
        let Some(at) = self.client(script) else {
            return;
        };
        let key = self.clients[at].key;
        let kind = script.byte();
        let id = |script: &mut Script<'_>, client: &Client| match script.any(&client.delivered) {
            Some(id) => id.clone(),
            None => base64_simd::STANDARD.encode_to_string(script.some()),
        };
        let text = match kind % 10 {
            0..=2 => {
                let content = repeated(script);
                let payload = base64_simd::STANDARD.encode_to_string(&content);
                let more = script.pick(&[
                    "",
                    r#","key":"k""#,
                    r#","properties":{"a":"b"}"#,
                    r#","deliverAfterMs":5"#,
                    r#","encryptionParam":"AAAA""#,
                ]);
                format!(
                    r#"{{"payload":"{payload}","context":"{}"{more}}}"#,
                    self.context()
                )
            }
            3 | 4 => format!(r#"{{"messageId":"{}"}}"#, id(script, &self.clients[at])),
            5 => {
                let id = id(script, &self.clients[at]);
                format!(r#"{{"type":"negativeAcknowledge","messageId":"{id}"}}"#)
            }
            6 => format!(r#"{{"type":"permit","permitMessages":{}}}"#, script.byte()),
            7 => script
                .pick(&[r#"{"type":"unsubscribe"}"#, r#"{"type":"isEndOfTopic"}"#])
                .to_owned(),
            8 => script.text(),
            _ => return self.bytes(key, script.some(), false),
        };
        let opcode = match kind / 10 {
            24 => Opcode::Close,
            23 => Opcode::Ping,
            22 => Opcode::Binary,
            _ => Opcode::Text,
        };
        let (fin, text) = (kind / 10 != 21, text.as_bytes());
        let mut frame = Vec::new();
        ws::put(&mut frame, opcode, fin, false, text, &mut self.chance);
        self.bytes(key, &frame, kind & 32 != 0);
    }

    /// A client's socket takes what there is for it, or begins to.
    pub(super) fn write(&mut self, script: &mut Script<'_>) {
        let Some(at) = self.client(script) else {
            return;
        };
        let begins_only = script.byte() & 1 == 1;
        self.take(at);
        if !begins_only {
            self.written(at);
        }
    }

    pub(super) fn take(&mut self, at: usize) {
        let client = &mut self.clients[at];
        if client.writing.is_none()
            && let Some(outbox) = self.shard.take_client_outbox(client.key)
        {
            assert!(!outbox.is_empty());
            client.received.extend_from_slice(&outbox);
            client.writing = Some(outbox);
            client.read(&mut self.reached);
        }
    }

    pub(super) fn written(&mut self, at: usize) {
        let client = &mut self.clients[at];
        let key = client.key;
        if let Some(outbox) = client.writing.take() {
            self.shard.handle_client_written(self.now, key, outbox);
            self.turn();
        }
    }

    pub(super) fn leave(&mut self, script: &mut Script<'_>) {
        let Some(at) = self.client(script) else {
            return;
        };
        let key = self.clients[at].key;
        if script.byte() & 1 == 0 && self.shard.handle_client_ended(self.now, key) {
            return self.turn();
        }
        if self.is_there(key) {
            self.gone(key);
        }
    }

    pub(super) fn gone(&mut self, key: SessionKey) {
        self.clients.retain(|client| client.key != key);
        self.shard.handle_client_closed(self.now, key, "gone");
        self.turn();
    }
}
