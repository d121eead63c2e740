//! What a shard wants is done, at once or when a script says so; time passes, and everything comes to its end.

use std::{net::SocketAddr, time::Duration};

use pulsar_ws_fast::shard::{Effect, Instant, Location, NotLocated, Now, Survey};

use super::{World, broker::Link};
use crate::{script::Script, wire};

impl World {
    /// Does what the shard wants until it wants nothing.
    pub(super) fn turn(&mut self) {
        for _ in 0..10_000 {
            let mut is_over = true;
            while let Some(effect) = self.shard.poll_effect() {
                is_over = false;
                self.effect(effect);
            }
            for at in 0..self.links.len() {
                let link = &mut self.links[at];
                let key = link.key;
                while let Some(piece) = self.shard.take_broker_outbox(key) {
                    assert!(!piece.is_empty());
                    link.received.extend_from_slice(&piece);
                }
                while let Some(frame) = wire::take_frame(&mut self.links[at].received) {
                    is_over = false;
                    self.asked(key, frame.command);
                    if self.links.get(at).is_none_or(|link| link.key != key) {
                        break;
                    }
                }
                if at + 1 >= self.links.len() {
                    break;
                }
            }
            if is_over {
                return;
            }
        }
        panic!("wishes without end");
    }

    fn effect(&mut self, effect: Effect) {
        match effect {
            Effect::WriteClient(_) | Effect::Read(_) | Effect::WriteBroker(_) => {}
            Effect::Finish { client, last } => {
                let at = self.clients.iter().position(|it| it.key == client);
                let mut client = self.clients.remove(at.expect("a client"));
                client.received.extend_from_slice(&last);
                client.read(&mut self.reached);
            }
            Effect::Abort(client) => self.clients.retain(|it| it.key != client),
            Effect::Connect { connection, .. } => {
                assert!(self.links.iter().all(|link| link.key != connection));
                let is_up = self.agrees;
                self.links.push(Link {
                    key: connection,
                    is_up,
                    received: Vec::new(),
                });
                if is_up {
                    self.shard.handle_connected(self.now, connection);
                }
            }
            Effect::Disconnect(connection) => self.forget(connection),
            Effect::Resolve { request, .. } => self.resolving.push(request),
            Effect::Locate { lookup, .. } => self.locating.push(lookup),
            Effect::DecryptKey { request, .. } => self.decrypting.push(request),
            Effect::Survey { client, question } => {
                let _ = self.shard.handle_question(self.now, &question);
                self.surveys.push(client);
            }
            Effect::LookAtStatusFile(client) => self.looks.push(client),
            Effect::Drained => self.drained += 1,
        }
        assert!(self.drained <= usize::from(self.drains), "drained once");
    }

    /// Names, lookups over HTTP, data keys and questions are answered.
    pub(super) fn answer_outside(&mut self, script: &mut Script<'_>) {
        let kind = script.byte();
        if let Some(request) = self.resolving.pop() {
            let answer = match kind % 4 {
                0 => Err("no such host".to_owned()),
                1 => Ok(Vec::new()),
                _ => Ok(vec![SocketAddr::from(([127, 0, 0, 1], 6650))]),
            };
            self.shard.handle_resolved(self.now, request, answer);
        } else if let Some(lookup) = self.locating.pop() {
            let answer = match kind % 4 {
                0 => Err(NotLocated {
                    status: [None, Some(401), Some(404), Some(500)][usize::from(kind >> 6)],
                    message: script.text(),
                }),
                1 => Ok(Location {
                    partitions: script.number() >> (kind >> 2),
                    broker_url: script.text(),
                    topics: vec![script.text(), script.text()],
                }),
                _ => Ok(Location {
                    partitions: u64::from(kind >> 6),
                    broker_url: "pulsar://127.0.0.1:6650".to_owned(),
                    topics: vec!["persistent://public/default/a".to_owned()],
                }),
            };
            self.shard.handle_located(self.now, lookup, answer);
        } else if let Some(request) = self.decrypting.pop() {
            match kind % 2 {
                0 => self.shard.handle_data_key(self.now, request, None),
                _ => self.shard.handle_no_data_key(self.now, request),
            }
        } else if let Some(client) = self.surveys.pop() {
            let survey = match kind % 3 {
                0 => Survey::Text(b"{}".to_vec()),
                1 => Survey::NoSuchTopic,
                _ => Survey::Failed,
            };
            self.shard.handle_survey(self.now, client, survey);
        } else if let Some(client) = self.looks.pop() {
            let is_there = [None, Some(true), Some(false)][usize::from(kind) % 3];
            self.shard.handle_status(self.now, client, is_there);
        }
        self.turn();
    }

    /// Due deadlines come before anything that happens.
    pub(super) fn run_timers(&mut self) {
        if self
            .shard
            .poll_timeout()
            .is_some_and(|due| due <= self.now.mono)
        {
            self.shard.handle_timeout(self.now);
            self.turn();
        }
    }

    pub(super) fn pass(&mut self, ms: u64) {
        let until = self.now.mono + Duration::from_millis(ms);
        let mut times = 0;
        while let Some(deadline) = self.shard.poll_timeout()
            && deadline <= until
        {
            self.advance(deadline.max(self.now.mono));
            self.run_timers();
            let next = self.shard.poll_timeout();
            assert!(
                next.is_none_or(|next| next > self.now.mono),
                "nothing is left due"
            );
            times += 1;
            assert!(times < 200_000, "deadlines without end");
        }
        self.advance(until);
    }

    fn advance(&mut self, mono: Instant) {
        let ms = (mono.0 - self.now.mono.0) / 1_000_000;
        self.now = Now {
            mono,
            wall_ms: self.now.wall_ms + ms,
        };
    }

    /// Everybody goes, and the broker agrees to what is left to do, for as long as anything may take.
    pub(super) fn end(&mut self) {
        for at in 0..self.clients.len() {
            if at < self.clients.len() {
                self.take(at);
                self.written(at);
            }
        }
        while let Some(client) = self.clients.last() {
            let key = client.key;
            self.gone(key);
        }
        assert_eq!(self.shard.clients(), 0);
        self.agrees = true;
        for link in self.links.iter().map(|link| link.key).collect::<Vec<_>>() {
            self.lose(link);
        }
        self.pass(120_000);
        assert!(
            self.drained == usize::from(self.drains),
            "drained when all are gone"
        );
    }
}
