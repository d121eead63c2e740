//! All clients on one connection to the far end.
//!
//! What one turn of the loop brought leaves in one write, and answers go back in the order in which requests went.
//! Only whole messages go on; what is not whole waits in its read buffer. Whoever loads it waits for answers, which bounds
//! what gathers here.

use std::{cell::RefCell, collections::VecDeque, process, rc::Rc};

use monoio::{
    buf::IoBufMut,
    io::{AsyncReadRent, Splitable},
    net::{
        TcpStream,
        tcp::{TcpOwnedReadHalf, TcpOwnedWriteHalf},
    },
};

use crate::{outbox::Outbox, shape::Shape};

/// As the service reads from clients.
const CLIENT_READ_BYTES: usize = 64 * 1024;
/// As the service reads from brokers.
const FAR_READ_BYTES: usize = 256 * 1024;

pub(crate) struct Joined {
    shape: Shape,
    far: Outbox,
    /// Who waits for answers, and for how many, in the order in which they asked.
    order: RefCell<VecDeque<(Rc<Outbox>, usize)>>,
}

impl Joined {
    pub(crate) fn start(shape: Shape, far: TcpStream) -> Rc<Self> {
        let joined = Rc::new(Self {
            shape,
            far: Outbox::default(),
            order: RefCell::default(),
        });
        let (read, write) = far.into_split();
        monoio::spawn(joined.clone().from_far(read));
        monoio::spawn(joined.clone().to_far(write));
        joined
    }

    pub(crate) fn take_in(self: &Rc<Self>, client: TcpStream) {
        let (read, write) = client.into_split();
        let out = Rc::new(Outbox::default());
        self.ask(&out, self.shape.ahead, |far| {
            self.shape.request.make(self.shape.ahead, far);
        });
        let writing = out.clone();
        monoio::spawn(async move {
            if writing.write_to(write).await.is_err() {
                writing.close();
            }
        });
        monoio::spawn(self.clone().from_client(read, out));
    }

    async fn from_client(self: Rc<Self>, from: TcpOwnedReadHalf, out: Rc<Outbox>) {
        let leg = self.shape.request;
        read_whole(from, CLIENT_READ_BYTES, leg.bytes_in, |bytes| {
            self.ask(&out, bytes.len() / leg.bytes_in, |far| {
                leg.carry(bytes, far)
            });
        })
        .await;
        // Answers that are still to come for it go nowhere.
        out.close();
    }

    /// Appends so many requests of who has `out` to what goes to the far end.
    fn ask(&self, out: &Rc<Outbox>, requests: usize, append: impl FnOnce(&mut Vec<u8>)) {
        if requests > 0 {
            self.far.put(append);
            self.order.borrow_mut().push_back((out.clone(), requests));
        }
    }

    async fn from_far(self: Rc<Self>, from: TcpOwnedReadHalf) {
        let leg = self.shape.answer;
        read_whole(from, FAR_READ_BYTES, leg.bytes_in, |mut bytes| {
            let mut order = self.order.borrow_mut();
            while !bytes.is_empty() {
                let Some((out, waiting)) = order.front_mut() else {
                    return;
                };
                let answers = (*waiting).min(bytes.len() / leg.bytes_in);
                let (now, later) = bytes.split_at(answers * leg.bytes_in);
                out.put(|out| leg.carry(now, out));
                bytes = later;
                *waiting -= answers;
                if *waiting == 0 {
                    order.pop_front();
                }
            }
        })
        .await;
        without_far_end()
    }

    async fn to_far(self: Rc<Self>, to: TcpOwnedWriteHalf) {
        let _ = self.far.write_to(to).await;
        without_far_end()
    }
}

/// There is nothing to measure.
fn without_far_end() -> ! {
    eprintln!("pulsar-relay: the far end is gone");
    process::exit(1)
}

/// Until the end: hands over the messages, each of so many bytes, that are whole after each read.
async fn read_whole(
    mut from: impl AsyncReadRent,
    read_bytes: usize,
    message_bytes: usize,
    mut whole: impl FnMut(&[u8]),
) {
    let mut buffer = vec![0; message_bytes + read_bytes];
    let mut filled = 0;
    loop {
        let (read, slice) = from
            .read(buffer.slice_mut(filled..filled + read_bytes))
            .await;
        buffer = slice.into_inner();
        let Ok(read @ 1..) = read else { return };
        filled += read;
        let end = filled - filled % message_bytes;
        if end > 0 {
            whole(&buffer[..end]);
            buffer.copy_within(end..filled, 0);
            filled -= end;
        }
    }
}
