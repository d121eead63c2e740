//! The two kinds of socket, and how the shard is told about each.

use std::{cell::RefCell, rc::Rc};

use bytes::Bytes;
use monoio::buf::IoBuf;

use super::{buffers::Buffers, core::Core, socket::Socket, writers::Writers};
use crate::{
    paged::Beside,
    shard::{ConnectionKey, Now, SessionKey, Shard},
};

/// Sockets by the shard's key.
pub(super) type Sockets<L> = RefCell<Beside<L, Rc<Socket<L>>>>;

/// A shard's key for a socket.
pub(super) trait Leg: slotmap::Key + 'static {
    /// Bytes to be written, as the shard hands them out.
    type Outbox: IoBuf;

    fn buffers(core: &Core) -> &Buffers;
    fn writers(core: &Core) -> &Writers<Self>;
    fn sockets(core: &Core) -> &Sockets<Self>;
    fn reads(self, shard: &Shard) -> bool;
    fn take_outbox(self, shard: &mut Shard) -> Option<Self::Outbox>;
    fn handle_bytes(self, shard: &mut Shard, now: Now, bytes: &mut [u8]);
    fn handle_progress(self, shard: &mut Shard, now: Now);
    fn handle_written(self, shard: &mut Shard, now: Now, outbox: Self::Outbox);
    /// The peer says nothing more. Whether there is something to be written yet.
    fn handle_ended(self, shard: &mut Shard, now: Now) -> bool;
    fn handle_closed(self, shard: &mut Shard, now: Now, reason: &str);
}

impl Leg for SessionKey {
    type Outbox = Vec<u8>;

    fn buffers(core: &Core) -> &Buffers {
        &core.client_buffers
    }

    fn writers(core: &Core) -> &Writers<Self> {
        &core.client_writers
    }

    fn sockets(core: &Core) -> &Sockets<Self> {
        &core.clients
    }

    fn reads(self, shard: &Shard) -> bool {
        shard.reads_client(self)
    }

    fn take_outbox(self, shard: &mut Shard) -> Option<Vec<u8>> {
        shard.take_client_outbox(self)
    }

    fn handle_bytes(self, shard: &mut Shard, now: Now, bytes: &mut [u8]) {
        shard.handle_client_bytes(now, self, bytes);
    }

    fn handle_progress(self, shard: &mut Shard, now: Now) {
        shard.handle_client_progress(now, self);
    }

    fn handle_written(self, shard: &mut Shard, now: Now, outbox: Vec<u8>) {
        shard.handle_client_written(now, self, outbox);
    }

    fn handle_ended(self, shard: &mut Shard, now: Now) -> bool {
        shard.handle_client_ended(now, self)
    }

    fn handle_closed(self, shard: &mut Shard, now: Now, reason: &str) {
        shard.handle_client_closed(now, self, reason);
    }
}

impl Leg for ConnectionKey {
    type Outbox = Bytes;

    fn buffers(core: &Core) -> &Buffers {
        &core.broker_buffers
    }

    fn writers(core: &Core) -> &Writers<Self> {
        &core.broker_writers
    }

    fn sockets(core: &Core) -> &Sockets<Self> {
        &core.brokers
    }

    /// A connection is shared by sessions, so none of them can stop its reads.
    fn reads(self, _: &Shard) -> bool {
        true
    }

    fn take_outbox(self, shard: &mut Shard) -> Option<Bytes> {
        shard.take_broker_outbox(self)
    }

    fn handle_bytes(self, shard: &mut Shard, now: Now, bytes: &mut [u8]) {
        shard.handle_broker_bytes(now, self, bytes);
    }

    fn handle_progress(self, _: &mut Shard, _: Now) {}

    fn handle_written(self, _: &mut Shard, _: Now, _: Bytes) {}

    fn handle_ended(self, _: &mut Shard, _: Now) -> bool {
        false
    }

    fn handle_closed(self, shard: &mut Shard, now: Now, reason: &str) {
        shard.handle_disconnected(now, self, reason);
    }
}
