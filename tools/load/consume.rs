//! Consumes and acknowledges, as fast as messages come.

use std::{io, sync::atomic::Ordering::Relaxed};

use pulsar_ws_fast::codec::base64;

use crate::{
    Common,
    client::Client,
    frames,
    shared::payload,
    window::{Outcome, Progress, measure},
};

pub(crate) fn run(common: &Common) -> io::Result<String> {
    let (address, deflate) = (common.address, common.deflate);
    let connect = move |index| {
        let path = format!(
            "/ws/v2/consumer/persistent/public/default/load-{index}/load?subscriptionType=Shared"
        );
        Client::open(address, &path, deflate)
    };
    let mut expected = Vec::new();
    base64::encode_append(&payload(common.payload_bytes), &mut expected);
    measure(common, connect, move |client, progress| {
        consume(client, progress, &expected)
    })
}

fn consume(mut client: Client, progress: &Progress, expected: &[u8]) -> io::Result<Outcome> {
    let mut outcome = Outcome::default();
    let (mut out, mut text) = (Vec::new(), Vec::new());
    while !progress.stopped() {
        let before = outcome.messages;
        client.receive(|delivery| {
            let whole = frames::field(delivery, b"\"payload\":") == Some(expected);
            let id = frames::field(delivery, b"\"messageId\":");
            match (id, id.and_then(frames::hash_of)) {
                (Some(id), Some(hash)) if whole => {
                    outcome.sum = outcome.sum.wrapping_add(hash);
                    text.clear();
                    text.extend_from_slice(b"{\"messageId\":\"");
                    text.extend_from_slice(id);
                    text.extend_from_slice(b"\"}");
                    frames::put(&mut out, frames::TEXT, &text);
                    outcome.messages += 1;
                }
                _ => outcome.wrong += 1,
            }
        })?;
        client.send(&out)?;
        out.clear();
        progress.done.fetch_add(outcome.messages - before, Relaxed);
    }
    outcome.traffic = client.traffic;
    client.close()?;
    Ok(outcome)
}
