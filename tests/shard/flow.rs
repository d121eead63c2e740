//! Every bound of a client: filled, answered as stated, and open again afterwards.
//!
//! The rows of ARCHITECTURE.md's table and who fills each:
//!
//! | queue | test |
//! |---|---|
//! | publishes in flight of a client | `publishes_in_flight_stop_the_reads_until_receipts_come` |
//! | publishes in flight of the process | `when_the_process_has_enough_in_flight_each_client_keeps_one` |
//! | replies a client does not read | `replies_that_are_not_read_stop_the_reads_until_they_are`, `who_reads_no_reply_for_30_s_is_told_1013` |
//! | deliveries not yet written to a client | `deliveries_wait_while_the_client_does_not_read` |
//! | deliveries held for a session | `no_new_permits_while_much_is_held` and its neighbours in `pulsar::consumer::tests::flow`; for all of the shard `pulsar::consumer::permits` |
//! | entries that wait for a data key | `pulsar::tests::decrypting`: no permits while they wait, so many keys at a time |
//! | incomplete chunked messages | `pulsar::consumer::tests::chunks` for a session, `pulsar::tests::incomplete` for all of the shard |
//! | incomplete WebSocket messages | `the_largest_incomplete_message_goes_when_there_are_too_many_bytes`, `one_message_larger_than_the_bound_for_all_is_let_in` |
//! | one text message | `a_message_beyond_the_limit_is_told_1009_and_what_follows_is_nothing` |
//! | client sockets of the process | `tests/balance.rs` |
//! | request head | `http::tests` |
//! | bytes that come before the 101 | `who_says_much_before_the_101_is_not_read_until_it_is_open` |
//! | bytes inflated in a turn | `who_has_much_inflated_takes_turns` |
//! | uncompressed size of an entry | `pulsar::payload`, `sizes_are_bounded_before_anything_is_allocated` |

use std::time::Duration;

use flate2::{Compress, Compression, FlushCompress};
use pulsar_ws_fast::{config::Config, session::SessionKey, ws::frame::Opcode};

use super::world::{BATCHING, CONSUMER, PRODUCER, World, count, frame, head, publish};

#[test]
fn publishes_in_flight_stop_the_reads_until_receipts_come() {
    let mut world = World::new(Config {
        publishes_in_flight_bytes_max: 3000,
        ..Config::default()
    });
    let client = world.open(PRODUCER);
    for _ in 0..10 {
        world.publish(client, 1000);
    }
    assert_eq!(world.sends.len(), 3, "the last one may exceed the bound");
    assert!(!world.shard.reads_client(client));
    world.receipts(1);
    assert_eq!(world.sends.len(), 3, "one leaves, one follows");
    assert!(!world.shard.reads_client(client));
    assert!(world.reads.is_empty());
    while !world.sends.is_empty() {
        world.receipts(1);
    }
    assert_eq!(world.reads, [client]);
    assert!(world.shard.reads_client(client));
    assert_eq!(count(&world.written(client), r#""result":"ok""#), 10);
}

#[test]
fn when_the_process_has_enough_in_flight_each_client_keeps_one() {
    let mut world = World::new(Config {
        all_publishes_in_flight_bytes_max: 3000,
        ..Config::default()
    });
    let busy = world.open(PRODUCER);
    for _ in 0..5 {
        world.publish(busy, 1000);
    }
    assert_eq!(world.sends.len(), 3, "the last one may exceed the bound");
    let other = world.open(PRODUCER);
    for _ in 0..5 {
        world.publish(other, 1000);
    }
    assert_eq!(world.sends.len(), 4, "one of the other's");
    assert!(!world.shard.reads_client(busy) && !world.shard.reads_client(other));
    for _ in 0..10 {
        world.receipts(1);
    }
    assert!(world.shard.reads_client(busy) && world.shard.reads_client(other));
    for client in [busy, other] {
        assert_eq!(count(&world.written(client), r#""result":"ok""#), 5);
    }
}

#[test]
fn a_batch_counts_before_it_is_sent() {
    let mut world = World::new(Config {
        publishes_in_flight_bytes_max: 3000,
        ..Config::default()
    });
    let client = world.open(BATCHING);
    for _ in 0..10 {
        world.publish(client, 1000);
    }
    assert_eq!(world.sends.len(), 0);
    assert!(!world.shard.reads_client(client));
    for _ in 0..4 {
        world.pass(Duration::from_secs(1));
        let batches = world.sends.len();
        world.receipts(batches);
    }
    assert!(world.shard.reads_client(client));
    assert_eq!(count(&world.written(client), r#""result":"ok""#), 10);
}

#[test]
fn without_memory_publishes_are_refused() {
    let mut world = World::new(Config {
        publishes_memory_bytes_max: Some(3000),
        ..Config::default()
    });
    let busy = world.open(PRODUCER);
    let other = world.open(BATCHING);
    for client in [busy, other] {
        for _ in 0..5 {
            world.publish(client, 1000);
        }
    }
    assert_eq!(world.sends.len(), 3, "the last one may exceed the bound");
    let full = "org.apache.pulsar.client.api.PulsarClientException$MemoryBufferIsFullError: Client memory buffer is full";
    assert_eq!(count(&world.written(busy), full), 2);
    assert_eq!(count(&world.written(other), full), 5);
    world.receipts(1);
    world.publish(other, 1000);
    world.publish(other, 1000);
    world.pass(Duration::from_secs(1));
    let batches = world.sends.len();
    world.receipts(batches);
    let replies = world.written(other);
    assert_eq!(count(&replies, r#""result":"ok""#), 1);
    assert_eq!(count(&replies, full), 1);
    assert_eq!(count(&world.written(busy), r#""result":"ok""#), 3);
}

/// A producer whose replies are not read, paused by them, with a write under way.
fn deaf(config: Config) -> (World, SessionKey) {
    let mut world = World::new(Config {
        replies_bytes_max: 1000,
        ..config
    });
    let client = world.open(PRODUCER);
    for _ in 0..30 {
        world.publish(client, 1);
    }
    world.receipts(30);
    world.publish(client, 1);
    assert!(!world.shard.reads_client(client));
    (world, client)
}

#[test]
fn replies_that_are_not_read_stop_the_reads_until_they_are() {
    let (mut world, client) = deaf(Config::default());
    assert_eq!(world.sends.len(), 0);
    let replies = world.written(client);
    assert!(replies.len() > 1000);
    assert_eq!(world.reads, [client]);
    assert_eq!(world.sends.len(), 1, "what waited went on");
}

#[test]
fn who_reads_no_reply_for_30_s_is_told_1013() {
    let (mut world, client) = deaf(Config::default());
    world.begin_write(client);
    world.pass(Duration::from_millis(29_999));
    assert!(!world.is_finished(client));
    world.pass(Duration::from_millis(1));
    assert_eq!(
        world.closed(client),
        (1013, "replies are not read".to_owned())
    );
}

#[test]
fn who_reads_slowly_stays() {
    let (mut world, client) = deaf(Config::default());
    world.begin_write(client);
    for _ in 0..10 {
        world.pass(Duration::from_secs(29));
        world.progress(client);
    }
    assert!(!world.is_finished(client));
    world.pass(Duration::from_secs(29));
    assert!(!world.is_finished(client));
    world.pass(Duration::from_secs(1));
    assert_eq!(world.closed(client).0, 1013);
}

#[test]
fn a_client_that_never_reads_its_pongs_is_stopped() {
    let mut world = World::new(Config {
        replies_bytes_max: 1000,
        ..Config::default()
    });
    let client = world.open(CONSUMER);
    let ping = frame(true, Opcode::Ping, &[1; 125]);
    for _ in 0..9 {
        world.bytes(client, &ping);
    }
    assert!(!world.shard.reads_client(client));
    assert_eq!(world.written(client).len(), 8 * 127);
    assert!(world.shard.reads_client(client));
    assert_eq!(world.written(client).len(), 127, "what waited went on");
}

/// A publish in `bytes` of JSON, and the few bytes that stand for them.
fn squeezed(bytes: usize) -> Vec<u8> {
    let text = format!(r#"{{"payload":"YQ==","x":"{}"}}"#, "y".repeat(bytes));
    let mut compressed = Vec::with_capacity(bytes);
    Compress::new(Compression::best(), false)
        .compress_vec(text.as_bytes(), &mut compressed, FlushCompress::Sync)
        .expect("compresses");
    compressed.truncate(compressed.len() - 4);
    let mut frame = frame(true, Opcode::Text, &compressed);
    frame[0] |= 0x40;
    frame
}

#[test]
fn who_has_much_inflated_takes_turns() {
    let mut world = World::new(Config::default());
    let clients = [0, 1].map(|_| {
        let client = world.accept();
        let offer = "Sec-WebSocket-Extensions: permessage-deflate\r\n\r\n";
        let head = String::from_utf8(head(PRODUCER)).expect("text");
        world.bytes(
            client,
            (head.trim_end().to_owned() + "\r\n" + offer).as_bytes(),
        );
        let answer = world.written(client);
        assert_eq!(count(&answer, "permessage-deflate"), 1);
        client
    });
    // Twelve times 1 MB, of which 4 MiB are inflated in a turn, and the message that goes beyond.
    let message = squeezed(1_000_000);
    for (place, client) in clients.iter().enumerate() {
        world.bytes(*client, &message.repeat(12));
        assert_eq!(world.sends.len(), 5 * (place + 1));
        assert!(!world.shard.reads_client(*client));
    }
    for sent in [15, 20] {
        world.pass(Duration::from_millis(1));
        assert_eq!(world.sends.len(), sent);
        assert!(world.reads.is_empty());
    }
    // What is left of both is little enough for one call.
    world.pass(Duration::from_millis(1));
    assert_eq!((world.sends.len(), &world.reads[..]), (24, &clients[..]));
    assert_eq!(world.shard.clients(), 2);
}

#[test]
fn deliveries_wait_while_the_client_does_not_read() {
    let mut world = World::new(Config::default());
    let client = world.open(CONSUMER);
    assert_eq!(world.permits, 1000);
    world.deliver(0..100, &[7; 10_000]);
    let first = world.begin_write(client);
    let sent = count(&first, r#""messageId""#);
    assert!((10..40).contains(&sent), "{sent}");
    world.deliver(100..101, b"x");
    assert!(world.shard.take_client_outbox(client).is_none());
    // What is held goes out as the writes end, in order and whole.
    world.shard.handle_client_written(
        pulsar_ws_fast::timer::Now {
            mono: pulsar_ws_fast::timer::Instant(2_000_000),
            wall_ms: 0,
        },
        client,
        first,
    );
    world.turn();
    let mut all = sent;
    loop {
        let more = world.written(client);
        if more.is_empty() {
            break;
        }
        all += count(&more, r#""messageId""#);
    }
    assert_eq!(all, 101);
}

#[test]
fn who_leaves_while_deliveries_are_held_leaves_nothing_behind() {
    let mut world = World::new(Config::default());
    let client = world.open(&format!("{CONSUMER}?receiverQueueSize=2"));
    world.deliver(0..2, b"x");
    world.deliver(2..3, b"x");
    assert_eq!(count(&world.written(client), r#""messageId""#), 2);
    world.gone(client);
    world.deliver(3..4, b"x");
    assert_eq!(world.closes, 1);
    world.drain();
    assert_eq!(world.drained, 1);
}

#[test]
fn the_largest_incomplete_message_goes_when_there_are_too_many_bytes() {
    let mut world = World::new(Config {
        incomplete_messages_bytes_max: 400_000,
        ..Config::default()
    });
    let clients: Vec<_> = (0..3).map(|_| world.open(PRODUCER)).collect();
    for (client, bytes) in clients.iter().zip([50_000, 150_000, 100_000]) {
        world.bytes(*client, &frame(false, Opcode::Text, &vec![b' '; bytes]));
    }
    assert!(world.finished.is_empty());
    world.bytes(
        clients[2],
        &frame(false, Opcode::Continuation, &vec![b' '; 200_000]),
    );
    assert_eq!(
        world.closed(clients[2]),
        (1013, "too many bytes of incomplete messages".to_owned())
    );
    assert_eq!(world.shard.clients(), 2);
    // What it held is free again.
    world.bytes(
        clients[1],
        &frame(false, Opcode::Continuation, &vec![b' '; 40_000]),
    );
    assert_eq!(world.shard.clients(), 2);
}

#[test]
fn who_has_not_got_a_101_goes_for_its_bytes_too() {
    let mut world = World::new(Config {
        incomplete_messages_bytes_max: 100_000,
        ..Config::default()
    });
    let open = world.open(PRODUCER);
    world.bytes(open, &frame(false, Opcode::Text, &vec![b' '; 20_000]));
    world.is_silent = true;
    let early = world.ask(PRODUCER);
    world.bytes(early, &vec![0; 60_000]);
    assert!(world.finished.is_empty());
    world.bytes(early, &vec![0; 60_000]);
    assert!(world.last(early).starts_with(b"HTTP/1.1 503 "));
    assert!(world.shard.reads_client(open));
}

#[test]
fn who_says_much_before_the_101_is_not_read_until_it_is_open() {
    let mut world = World::new(Config::default());
    world.is_silent = true;
    let early = world.ask(PRODUCER);
    let message = frame(true, Opcode::Text, publish(40_000).as_bytes());
    world.bytes(early, &message);
    assert!(world.shard.reads_client(early));
    world.bytes(early, &message);
    assert!(!world.shard.reads_client(early));
    assert!(world.finished.is_empty() && world.sends.is_empty());
    world.speak();
    assert!(world.written(early).starts_with(b"HTTP/1.1 101"));
    assert_eq!(world.sends.len(), 2, "nothing of it is lost");
    assert!(world.shard.reads_client(early));
}

#[test]
fn a_message_beyond_the_limit_is_told_1009_and_what_follows_is_nothing() {
    let mut world = World::new(Config {
        text_frame_bytes_max: 1000,
        ..Config::default()
    });
    let client = world.open(PRODUCER);
    let mut bytes = frame(true, Opcode::Text, publish(10).as_bytes());
    bytes.extend(frame(true, Opcode::Text, &[b' '; 1001]));
    bytes.extend(frame(true, Opcode::Text, publish(10).as_bytes()));
    world.bytes(client, &bytes);
    assert_eq!(
        world.closed(client),
        (
            1009,
            "Text message size [1001] exceeds maximum size [1000]".to_owned()
        )
    );
    assert_eq!(world.closes, 1);
}

#[test]
fn what_is_no_utf_8_is_told_1007() {
    let mut world = World::new(Config::default());
    let client = world.open(CONSUMER);
    world.bytes(client, &frame(true, Opcode::Text, b"{\"a\":\"\xff\"}"));
    assert_eq!(world.closed(client).0, 1007);
}

#[test]
fn a_close_is_echoed_behind_what_was_said_before() {
    let mut world = World::new(Config::default());
    let client = world.open(PRODUCER);
    world.publish(client, 1);
    world.receipts(1);
    world.bytes(client, &frame(true, Opcode::Close, &1000_u16.to_be_bytes()));
    assert_eq!(world.closed(client), (1000, String::new()));
    assert_eq!(count(world.last(client), r#""result":"ok""#), 1);
    // What still comes for it, and from it, is for nobody.
    world.publish(client, 1);
    assert_eq!((world.shard.clients(), world.sends.len()), (0, 0));
}

/// The client said all it wanted to; the replies alone grow too large.
#[test]
fn replies_pile_up_though_nothing_is_said() {
    for publishes_in_flight_bytes_max in [64 << 20, 3000] {
        let mut world = World::new(Config {
            replies_bytes_max: 1000,
            publishes_in_flight_bytes_max,
            ..Config::default()
        });
        let client = world.open(PRODUCER);
        for _ in 0..30 {
            world.publish(client, 1);
        }
        while !world.sends.is_empty() {
            world.receipts(1);
        }
        world.begin_write(client);
        world.pass(Duration::from_secs(30));
        assert_eq!(
            world.closed(client).0,
            1013,
            "{publishes_in_flight_bytes_max}"
        );
    }
}

#[test]
fn a_stall_that_ended_counts_no_more() {
    let (mut world, client) = deaf(Config::default());
    world.pass(Duration::from_secs(20));
    world.written(client);
    world.pass(Duration::from_secs(20));
    assert!(!world.is_finished(client));
    // A new stall gets its whole time.
    for _ in 0..30 {
        world.publish(client, 1);
    }
    world.receipts(31);
    world.begin_write(client);
    world.pass(Duration::from_millis(29_999));
    assert!(!world.is_finished(client));
    world.pass(Duration::from_millis(1));
    assert_eq!(world.closed(client).0, 1013);
}

#[test]
fn one_message_larger_than_the_bound_for_all_is_let_in() {
    let mut world = World::new(Config {
        incomplete_messages_bytes_max: 1000,
        ..Config::default()
    });
    let client = world.open(PRODUCER);
    let payload = publish(300_000);
    let (begin, end) = payload.as_bytes().split_at(200_000);
    world.bytes(client, &frame(false, Opcode::Text, begin));
    world.bytes(client, &frame(true, Opcode::Continuation, end));
    assert!(world.finished.is_empty());
    assert_eq!(world.sends.len(), 1);
}

#[test]
fn a_client_that_says_nothing_more_is_told_that_its_session_ends() {
    let mut world = World::new(Config::default());
    let client = world.open(PRODUCER);
    assert!(world.ended(client));
    assert_eq!(world.closed(client), (1001, String::new()));
    assert_eq!(world.closes, 1);
}
