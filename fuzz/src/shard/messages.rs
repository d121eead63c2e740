//! What a broker says of messages: receipts of publishes, and entries for consumers.

use prost::Message;

use super::{World, broker::one_of};
use crate::{
    proto::{
        BaseCommand, KeyValue, MessageIdData, MessageMetadata, SendReceipt, SingleMessageMetadata,
    },
    script::Script,
    wire::{self, Body, Style},
};

impl World {
    /// A receipt: of the oldest publish, of any, or of none.
    pub(super) fn confirm(&mut self, script: &mut Script<'_>) {
        let kind = script.byte();
        let picked = match kind % 4 {
            0 | 1 => self.sent.pop_front(),
            2 => self.sent.get(script.below(self.sent.len())).copied(),
            _ => self
                .link(script)
                .map(|link| (link, script.pick(&[0, 1, 2, 3]), u64::from(script.byte()))),
        };
        let Some((link, producer_id, sequence_id)) = picked else {
            return;
        };
        let receipt = SendReceipt {
            producer_id,
            sequence_id,
            message_id: Some(message_id(sequence_id)),
            highest_sequence_id: (kind & 16 != 0).then_some(sequence_id + u64::from(kind >> 5)),
        };
        self.tell(
            link,
            BaseCommand {
                send_receipt: Some(receipt),
                ..BaseCommand::default()
            },
            None,
        );
        self.turn();
    }

    /// An entry for a consumer: one message, a batch, a part of one, or nonsense.
    pub(super) fn deliver(&mut self, script: &mut Script<'_>) {
        let Some(link) = self.link(script) else {
            return;
        };
        let consumer_id = one_of(&self.consumers, script);
        let kind = script.byte();
        let entry_id = u64::from(script.byte());
        let content = script.some();
        let mut metadata = MessageMetadata {
            producer_name: "p".into(),
            sequence_id: entry_id,
            publish_time: 1,
            partition_key: (kind & 16 != 0).then(|| "k".into()),
            ..MessageMetadata::default()
        };
        let mut payload = content.to_vec();
        let mut extra = Vec::new();
        match kind % 8 {
            0 | 1 => {}
            2 => {
                payload.clear();
                for message in content.chunks(5) {
                    let single = SingleMessageMetadata {
                        payload_size: i32::try_from(message.len()).expect("short"),
                        properties: vec![KeyValue {
                            key: "a".into(),
                            value: "b".into(),
                        }],
                        ..SingleMessageMetadata::default()
                    }
                    .encode_to_vec();
                    payload.extend(u32::try_from(single.len()).expect("short").to_be_bytes());
                    payload.extend_from_slice(&single);
                    payload.extend_from_slice(message);
                }
                let count = content.len().div_ceil(5) + usize::from(kind >> 7);
                metadata.num_messages_in_batch = Some(i32::try_from(count).expect("few"));
            }
            3 => metadata.num_messages_in_batch = Some(i32::from(script.byte()) - 5),
            4 => {
                metadata.compression = Some(1);
                metadata.uncompressed_size = Some(u32::try_from(payload.len()).expect("short"));
                payload = lz4_flex::block::compress(&payload);
            }
            5 => {
                metadata.compression = Some(i32::from(script.byte() % 7));
                metadata.uncompressed_size = Some(u32::from(script.short()) << (kind >> 5));
            }
            6 => {
                // uuid, number of chunks, bytes of all, which
                let (count, index) = (script.byte() % 6, script.byte() % 6);
                let bytes = script.byte();
                extra.extend_from_slice(&[0xd2, 0x01, 2, b'u', b'0' + script.byte() % 3]);
                extra.extend_from_slice(&[0xd8, 0x01, count, 0xe0, 0x01, bytes & 0x7f]);
                extra.extend_from_slice(&[0xe8, 0x01, index]);
            }
            _ => extra.extend_from_slice(script.some()),
        }
        let mut metadata = metadata.encode_to_vec();
        metadata.extend_from_slice(&extra);
        let body = Body {
            style: script.pick(&[
                Style::Checked,
                Style::Checked,
                Style::Unchecked,
                Style::Annotated,
            ]),
            metadata,
            payload,
        };
        let command = BaseCommand {
            deliver: Some(wire::Deliver {
                consumer_id,
                message_id: message_id(entry_id),
                redelivery_count: (kind & 32 != 0).then(|| u32::from(script.byte())),
                ack_set: if kind & 64 == 0 {
                    Vec::new()
                } else {
                    vec![i64::from(script.byte())]
                },
                consumer_epoch: None,
            }),
            ..BaseCommand::default()
        };
        self.tell(link, command, Some(&body));
        self.turn();
    }
}

fn message_id(entry_id: u64) -> MessageIdData {
    MessageIdData {
        ledger_id: 12,
        entry_id,
        partition: Some(-1),
        ..MessageIdData::default()
    }
}
