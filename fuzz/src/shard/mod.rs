//! A whole shard between clients and a broker that may say anything: no input stops it, what it writes is well-formed on
//! both sides, nothing is confirmed twice, every deadline passes, and when everybody is gone nothing is left.

mod broker;
mod clients;
mod judged;
mod messages;
mod turn;

use std::{collections::VecDeque, sync::Arc, time::Duration};

use pulsar_ws_fast::{
    config::Config,
    shard::{
        ConnectionKey, DataKeyRequest, Instant, LookupKey, Now, ResolveKey, SessionKey, Shard,
    },
};

use self::{broker::Link, clients::TARGETS, judged::Client};
use crate::{
    proto::BaseCommand,
    script::{Chance, Script},
};

/// No script asks for more steps.
const STEPS_MAX: usize = 300;

/// What a script says happens.
pub fn run(data: &[u8]) {
    play(data);
}

/// What a script led to.
#[derive(Debug, Default)]
struct Reached {
    opened: usize,
    answered: usize,
    delivered: usize,
}

fn play(data: &[u8]) -> Reached {
    let mut script = Script::new(data);
    let kind = script.byte();
    let mut world = World::new(kind, script.byte());
    for _ in 0..STEPS_MAX {
        if script.is_over() {
            break;
        }
        world.step(&mut script);
    }
    world.end();
    world.reached
}

/// A shard, and everybody around it.
struct World {
    shard: Shard,
    now: Now,
    chance: Chance,
    clients: Vec<Client>,
    links: Vec<Link>,
    /// Commands that were not answered, and where they came.
    unanswered: VecDeque<(ConnectionKey, BaseCommand)>,
    /// The broker answers at once.
    agrees: bool,
    resolving: Vec<ResolveKey>,
    locating: Vec<LookupKey>,
    decrypting: Vec<DataKeyRequest>,
    surveys: Vec<SessionKey>,
    looks: Vec<SessionKey>,
    consumers: Vec<u64>,
    producers: Vec<u64>,
    /// By producer: the sequence ids that were sent and not confirmed.
    sent: VecDeque<(ConnectionKey, u64, u64)>,
    publishes: usize,
    drained: usize,
    drains: bool,
    reached: Reached,
}

impl World {
    fn new(kind: u8, seed: u8) -> Self {
        let limits = kind & 1 != 0;
        let mut config = Config {
            text_frame_bytes_max: 20_000,
            proxy_protocol: kind & 2 != 0,
            ping_interval: (kind & 4 != 0).then_some(Duration::from_secs(20)),
            deflate_bytes_min: 10,
            ..Config::default()
        };
        if limits {
            config.publishes_in_flight_bytes_max = 2_000;
            config.all_publishes_in_flight_bytes_max = 3_000;
            config.replies_bytes_max = 1_000;
            config.held_deliveries_bytes_max = 2_000;
            config.incomplete_messages_bytes_max = 4_000;
            config.handshakes_max = 2;
        }
        if kind & 8 != 0 {
            config.brokers = Vec::new();
            config.service_urls = vec!["http://127.0.0.1:1".to_owned()];
        }
        if kind & 16 != 0 {
            config.brokers = vec![("broker".to_owned(), 6650), ("other".to_owned(), 6650)];
        }
        let zone = jiff::tz::TimeZone::UTC;
        Self {
            shard: Shard::new(Arc::new(config), 0, u64::from(seed), zone),
            now: Now {
                mono: Instant(1_000_000),
                wall_ms: 1_790_000_000_000,
            },
            chance: Chance(u64::from(seed)),
            clients: Vec::new(),
            links: Vec::new(),
            unanswered: VecDeque::new(),
            agrees: kind & 32 == 0,
            resolving: Vec::new(),
            locating: Vec::new(),
            decrypting: Vec::new(),
            surveys: Vec::new(),
            looks: Vec::new(),
            consumers: Vec::new(),
            producers: Vec::new(),
            sent: VecDeque::new(),
            publishes: 0,
            drained: 0,
            drains: false,
            reached: Reached::default(),
        }
    }

    fn step(&mut self, script: &mut Script<'_>) {
        match script.byte() % 20 {
            0 | 1 => self.come(script),
            2..=5 => self.say(script),
            6 => self.write(script),
            7 => self.leave(script),
            8 | 9 => self.answer_one(script),
            10 => self.confirm(script),
            11..=13 => self.deliver(script),
            14 => self.broker_says(script),
            15 => self.anything(script),
            16 => self.links(script),
            17 => self.answer_outside(script),
            18 => {
                let ms = [0, 1, 10, 1_000, 31_000][script.below(5)];
                self.pass(ms);
            }
            _ if script.byte() == 77 => {
                self.drains = true;
                self.shard.handle_drain(self.now);
                self.turn();
            }
            _ => self.agrees = script.byte() & 1 == 0,
        }
    }
}

/// A session of each kind with a few messages, quiet ones and some where much goes wrong.
pub fn seeds() -> Vec<Vec<u8>> {
    let mut seeds = Vec::new();
    for target in 0..TARGETS.len() as u8 {
        let come = [0, target, 0];
        let publish = [2, 0, 0, 0, 5, b'H', b'e', b'l', b'l', b'o', 1];
        let confirm = [10, 0];
        let deliver = [11, 0, 0, 0, 7, 3, b'a', b'b', b'c', 0];
        let batch = [11, 0, 0, 2, 8, 12, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 0];
        let write = [6, 0, 0];
        let ack = [2, 0, 3, 0];
        let pass = [18, 3];
        let leave = [7, 0, 1];
        for kind in [0, 1, 8, 16, 32] {
            seeds.push(
                [
                    &[kind, target][..],
                    &come,
                    &[17, 2, 17, 2, 17, 2, 16, 0, 1, 8, 0, 8, 0, 8, 0, 8, 0],
                    &publish,
                    &confirm,
                    &deliver,
                    &batch,
                    &write,
                    &ack,
                    &ack,
                    &pass,
                    &[16, 0, 0],
                    &pass,
                    &publish,
                    &deliver,
                    &write,
                    &leave,
                ]
                .concat(),
            );
        }
    }
    seeds
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seeds_open_sessions_and_pass_messages() {
        let mut all = Reached::default();
        for seed in seeds() {
            let reached = play(&seed);
            all.opened += reached.opened;
            all.answered += reached.answered;
            all.delivered += reached.delivered;
        }
        let is_alive = all.opened > 50 && all.answered > 10 && all.delivered > 20;
        assert!(is_alive, "{all:?}");
    }

    /// A few bytes of an entry may become a text that is longer than all the others together.
    #[test]
    fn an_entry_may_become_a_long_text() {
        let entry = zstd::bulk::compress(&vec![0; 24 << 17], 1).expect("compresses");
        let len = u8::try_from(entry.len()).expect("fewer than 256");
        let come = [0, 3, 0, 6, 1];
        let answered = [17, 2, 17, 2, 17, 2, 16, 0, 1, 8, 0, 8, 0, 8, 0, 8, 0];
        let deliver = [11, 0, 0, 0xe5, 9, len];
        // zstd, and a size of 24,576 << 7
        let compressed = [3, 0, 0x60];
        let reached = play(&[&come[..], &answered, &deliver, &entry, &compressed].concat());
        assert_eq!(reached.delivered, 1);
    }
}
