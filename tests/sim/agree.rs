//! A broker's way of agreeing: the answers without which no session opens. For tests and benches
//! that need a broker and not its memory; the simulation has one of its own, which remembers.

use super::wire::{
    BaseCommand, Connected, LookupResponse, PartitionMetadataResponse, ProducerSuccess,
};

/// The answer to CONNECT, PARTITIONED_METADATA, LOOKUP (itself, at `port`) or PRODUCER.
pub(crate) fn agree(asked: &BaseCommand, port: u16) -> Option<BaseCommand> {
    let mut answer = BaseCommand::default();
    if asked.connect.is_some() {
        answer.connected = Some(Connected {
            server_version: "test".into(),
            protocol_version: Some(21),
            max_message_size: Some(5 << 20),
        });
    } else if let Some(asked) = &asked.partition_metadata {
        answer.partition_metadata_response = Some(PartitionMetadataResponse {
            partitions: Some(0),
            request_id: asked.request_id,
            response: Some(0),
            ..Default::default()
        });
    } else if let Some(asked) = &asked.lookup {
        answer.lookup_response = Some(LookupResponse {
            broker_service_url: Some(format!("pulsar://127.0.0.1:{port}")),
            response: Some(1),
            request_id: asked.request_id,
            authoritative: Some(true),
            ..Default::default()
        });
    } else if let Some(asked) = &asked.producer {
        answer.producer_success = Some(ProducerSuccess {
            request_id: asked.request_id,
            producer_name: "p".into(),
            last_sequence_id: Some(-1),
            producer_ready: Some(true),
        });
    } else {
        return None;
    }
    Some(answer)
}
