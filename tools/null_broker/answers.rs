//! The broker's side of the wire: frames written by appending.

use bytes::BytesMut;
use prost::Message;
use pulsar_ws_fast::{
    codec::protobuf::{bytes_len, put_bytes, put_bytes_header, put_uint, uint_len},
    pulsar::{command::put_command, proto::Kind, wire::MAGIC_CHECKSUM},
};

/// `BaseCommand.type`.
const TYPE: u32 = 1;

/// Appends a frame with one of the rare commands.
pub(crate) fn put_rare(out: &mut Vec<u8>, kind: Kind, command: &impl Message) {
    let mut frame = BytesMut::new();
    put_command(&mut frame, kind, command);
    out.extend_from_slice(&frame);
}

/// Appends PRODUCER_SUCCESS. Java's client insists on a schema version, which our own struct lacks.
pub(crate) fn put_producer_success(out: &mut Vec<u8>, request_id: u64, name: &str) {
    let mut body = Vec::new();
    put_uint(&mut body, 1, request_id);
    put_bytes(&mut body, 2, name.as_bytes());
    put_uint(&mut body, 3, u64::MAX);
    put_bytes(&mut body, 4, b"");
    put_head(out, Kind::ProducerSuccess, body.len(), 0);
    out.extend_from_slice(&body);
}

/// Appends ACK_RESPONSE.
pub(crate) fn put_ack_response(out: &mut Vec<u8>, consumer_id: u64, request_id: u64) {
    let body = uint_len(1, consumer_id) + uint_len(6, request_id);
    put_head(out, Kind::AckResponse, body, 0);
    put_uint(out, 1, consumer_id);
    put_uint(out, 6, request_id);
}

/// Appends SEND_RECEIPT.
pub(crate) fn put_receipt(
    out: &mut Vec<u8>,
    producer_id: u64,
    sequence_id: u64,
    highest: Option<u64>,
    (ledger, entry): (u64, u64),
) {
    let id = uint_len(1, ledger) + uint_len(2, entry);
    let mut body = uint_len(1, producer_id) + uint_len(2, sequence_id) + bytes_len(3, id);
    body += highest.map_or(0, |highest| uint_len(4, highest));
    put_head(out, Kind::SendReceipt, body, 0);
    put_uint(out, 1, producer_id);
    put_uint(out, 2, sequence_id);
    put_bytes_header(out, 3, id);
    put_uint(out, 1, ledger);
    put_uint(out, 2, entry);
    if let Some(highest) = highest {
        put_uint(out, 4, highest);
    }
}

/// Appends SEND_ERROR.
pub(crate) fn put_send_error(out: &mut Vec<u8>, producer_id: u64, sequence_id: u64, code: u64) {
    const TEXT: &[u8] = b"refused on purpose";
    let body = uint_len(1, producer_id) + uint_len(2, sequence_id) + uint_len(3, code);
    put_head(out, Kind::SendError, body + bytes_len(4, TEXT.len()), 0);
    put_uint(out, 1, producer_id);
    put_uint(out, 2, sequence_id);
    put_uint(out, 3, code);
    put_bytes(out, 4, TEXT);
}

/// What follows a MESSAGE command.
pub(crate) fn stored(metadata: &[u8], payload: &[u8]) -> Vec<u8> {
    let mut covered = Vec::new();
    put_size(&mut covered, metadata.len());
    covered.extend_from_slice(metadata);
    covered.extend_from_slice(payload);
    let checksum = crc32c::crc32c(&covered).to_be_bytes();
    [&MAGIC_CHECKSUM[..], &checksum, &covered].concat()
}

/// Appends MESSAGE, with `stored` behind it.
pub(crate) fn put_message(
    out: &mut Vec<u8>,
    consumer_id: u64,
    (ledger, entry): (u64, u64),
    stored: &[u8],
) {
    let id = uint_len(1, ledger) + uint_len(2, entry);
    let body = uint_len(1, consumer_id) + bytes_len(2, id);
    put_head(out, Kind::Message, body, stored.len());
    put_uint(out, 1, consumer_id);
    put_bytes_header(out, 2, id);
    put_uint(out, 1, ledger);
    put_uint(out, 2, entry);
    out.extend_from_slice(stored);
}

/// Appends a frame's head, up to the command's `body` bytes, which the caller writes, and then the
/// `rest` bytes behind them.
fn put_head(out: &mut Vec<u8>, kind: Kind, body: usize, rest: usize) {
    let (kind, number) = (kind as u64, kind as u32);
    let command = uint_len(TYPE, kind) + bytes_len(number, body);
    put_size(out, 4 + command + rest);
    put_size(out, command);
    put_uint(out, TYPE, kind);
    put_bytes_header(out, number, body);
}

fn put_size(out: &mut Vec<u8>, size: usize) {
    out.extend_from_slice(&u32::try_from(size).unwrap_or(u32::MAX).to_be_bytes());
}
