//! Publishes in a closed loop: a new one for each receipt.

use std::{io, sync::atomic::Ordering::Relaxed};

use pulsar_ws_fast::codec::base64;

use crate::{
    Common,
    client::Client,
    frames,
    shared::payload,
    window::{Outcome, Progress, measure},
};

/// Contexts have so many digits, so that all publishes have one size.
const CONTEXT_DIGITS: usize = 10;

pub(crate) fn run(common: &Common, in_flight: u64) -> io::Result<String> {
    let (address, deflate) = (common.address, common.deflate);
    let connect = move |index| {
        let path = format!("/ws/v2/producer/persistent/public/default/load-{index}");
        Client::open(address, &path, deflate)
    };
    let payload = payload(common.payload_bytes);
    measure(common, connect, move |client, progress| {
        publish(client, progress, in_flight, &payload)
    })
}

fn publish(
    mut client: Client,
    progress: &Progress,
    in_flight: u64,
    payload: &[u8],
) -> io::Result<Outcome> {
    let mut text = b"{\"payload\":\"".to_vec();
    base64::encode_append(payload, &mut text);
    text.extend_from_slice(b"\",\"context\":\"");
    let head = text.len();
    let mut outcome = Outcome::default();
    let (mut sent, mut out) = (0, Vec::new());
    loop {
        if !progress.stopped() {
            while sent < outcome.messages + in_flight {
                text.truncate(head);
                text.extend_from_slice(context(sent).as_bytes());
                text.extend_from_slice(b"\"}");
                client.put(&mut out, &text)?;
                sent += 1;
            }
            client.send(&out)?;
            out.clear();
        } else if sent == outcome.messages {
            outcome.traffic = client.traffic;
            client.close()?;
            return Ok(outcome);
        }
        let before = outcome.messages;
        client.receive(|reply| judge(reply, &mut outcome))?;
        progress.done.fetch_add(outcome.messages - before, Relaxed);
    }
}

/// Replies come in the order of the publishes.
fn judge(reply: &[u8], outcome: &mut Outcome) {
    let ok = frames::field(reply, b"\"result\":") == Some(b"ok");
    let expected = context(outcome.messages);
    let answers = frames::field(reply, b"\"context\":") == Some(expected.as_bytes());
    let id = frames::field(reply, b"\"messageId\":").and_then(frames::hash_of);
    match id {
        Some(hash) if ok && answers => outcome.sum = outcome.sum.wrapping_add(hash),
        _ => outcome.wrong += 1,
    }
    outcome.messages += 1;
}

fn context(number: u64) -> String {
    format!("{number:0CONTEXT_DIGITS$}")
}
