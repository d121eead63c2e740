//! A scripted client: what all three kinds have in common.

use super::{
    broker::Broker,
    consumer::Consumer,
    judge::Judge,
    producer::Producer,
    reader::Reader,
    rng::Rng,
    twists::Twists,
    ws::{Incoming, WebSocket},
};

/// What a client needs to act and to check.
pub(crate) struct Scene<'a> {
    pub(crate) broker: &'a Broker,
    pub(crate) judge: &'a mut Judge,
    pub(crate) rng: &'a mut Rng,
    /// Finish what is begun, begin nothing, be good.
    pub(crate) quiet: bool,
    /// Whether anything went wrong on purpose in this run.
    pub(crate) faults: bool,
    /// The shard was told to come to its end.
    pub(crate) draining: bool,
    pub(crate) twists: Twists,
}

/// How the service closes a consumer whose subscription was not removed.
const FAILED_TO_DESERIALIZE: u16 = 4003;

/// How far a client is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    Connecting,
    Open,
    /// It has sent its close frame.
    Closing,
}

/// How a session ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum End {
    Refused(u16),
    Closed(Option<u16>),
    Dropped,
}

/// One kind of client.
#[derive(Debug)]
pub(crate) enum Role {
    Producer(Producer),
    Consumer(Consumer),
    Reader(Reader),
}

/// What a client wants now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wish {
    Nothing,
    Close,
    Vanish,
}

/// One client, for one session.
#[derive(Debug)]
pub(crate) struct Actor {
    /// Its producer or consumer name.
    pub(crate) name: String,
    pub(crate) ws: WebSocket,
    pub(crate) role: Role,
    pub(crate) stage: Stage,
    pub(crate) end: Option<End>,
    /// It does not read, until it must be good.
    pub(crate) is_deaf: bool,
}

impl Actor {
    pub(crate) fn new(name: String, target: &str, role: Role) -> Self {
        Self {
            name,
            ws: WebSocket::connect(target),
            role,
            stage: Stage::Connecting,
            end: None,
            is_deaf: false,
        }
    }

    /// Whether it has something to do without being told anything.
    pub(crate) fn restless(&self, quiet: bool, judge: &Judge) -> bool {
        self.stage == Stage::Open
            && match &self.role {
                Role::Producer(producer) => producer.restless(quiet),
                Role::Consumer(consumer) => consumer.restless(&self.name, quiet, judge),
                Role::Reader(reader) => reader.owes(),
            }
    }

    /// Does something of its own.
    pub(crate) fn act(&mut self, scene: &mut Scene<'_>) {
        self.is_deaf |= scene.twists.deafness && scene.rng.one_in(60);
        let wish = match &mut self.role {
            Role::Producer(producer) => producer.act(&self.name, &mut self.ws, scene),
            Role::Consumer(consumer) => consumer.act(&self.name, &mut self.ws, scene),
            Role::Reader(reader) => reader.act(&mut self.ws, scene),
        };
        match wish {
            Wish::Nothing => {}
            Wish::Close => self.close(scene.rng),
            Wish::Vanish => self.end = Some(End::Dropped),
        }
    }

    /// Ends the session in the orderly way.
    pub(crate) fn close(&mut self, rng: &mut Rng) {
        if self.stage == Stage::Open {
            self.ws.close(rng);
            self.stage = Stage::Closing;
        }
    }

    /// Bytes of the server.
    pub(crate) fn bytes(&mut self, bytes: &[u8], scene: &mut Scene<'_>) {
        self.ws.bytes(bytes);
        loop {
            let start = self.ws.read;
            let Some(incoming) = self.ws.next() else {
                return;
            };
            log!("    {} gets {incoming:.200?}", self.name);
            assert!(
                self.end.is_none(),
                "{}: {incoming:?} after the end",
                self.name
            );
            match incoming {
                Incoming::Open => self.stage = Stage::Open,
                Incoming::Refused(status, body) => {
                    let allowed = match status {
                        409 => matches!(self.role, Role::Consumer(_)),
                        503 if scene.draining => true,
                        500 | 503 | 504 => scene.faults,
                        _ => false,
                    };
                    assert!(allowed, "{} is refused with {status}: {body}", self.name);
                    self.end = Some(End::Refused(status));
                }
                Incoming::Close(code, reason) => {
                    let expected = match code {
                        Some(1000) => self.stage == Stage::Closing,
                        Some(1001) if reason.contains("Idle timeout") => scene.twists.idleness,
                        Some(1001) => scene.draining,
                        // Patience is so short then that it ends with slow clients, too.
                        Some(1013) if reason == "replies are not read" => scene.twists.deafness,
                        Some(1013) => self.is_deaf,
                        Some(FAILED_TO_DESERIALIZE) => match &self.role {
                            Role::Consumer(consumer) => consumer.unsubscribed,
                            _ => false,
                        },
                        _ => false,
                    };
                    assert!(expected, "{} is closed: {code:?} {reason}", self.name);
                    self.end = Some(End::Closed(code));
                }
                Incoming::Text(text) => match &mut self.role {
                    Role::Producer(producer) => producer.text(&self.name, &text, scene),
                    Role::Consumer(consumer) => consumer.text(&self.name, start, &text, scene),
                    Role::Reader(reader) => reader.text(&self.name, &text, scene),
                },
            }
        }
    }
}
