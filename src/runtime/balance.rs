//! How many clients each shard has, and which shard takes the next one.
//!
//! A WebSocket stays for hours, so the kernel's choice among the listeners, a hash, would leave some
//! shards with far more clients than others. Whoever accepts a client therefore looks for the shard
//! with the fewest. The counts are the process's only state that shards write together, once a
//! client.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use crate::config::open_files::Room;

/// The clients of all shards. Clones share their counts.
#[derive(Clone)]
pub(super) struct Balance(Arc<Counts>);

struct Counts {
    shards: Box<[Padded]>,
    /// The sum of `shards`; at most as `room` says.
    admitted: Padded,
    /// Not in `admitted`.
    refused: Padded,
    room: Room,
}

/// Alone on its cache lines: every shard reads all counts and writes few.
#[repr(align(128))]
#[derive(Default)]
struct Padded(AtomicUsize);

/// Where a client goes.
pub(super) enum Verdict {
    /// Among the clients of this shard.
    Admitted(Place),
    /// There are too many: it is told so.
    Refused(Place),
    /// There are too many even of those who are being told.
    Dropped,
}

/// A client's share in the counts, from accept until its socket is closed.
pub(super) struct Place {
    counts: Arc<Counts>,
    /// `None`: among the refused.
    shard: Option<usize>,
}

/// The room that this process's limit of open files leaves, of which `wanted` clients are to be admitted; 0 is as many as fit.
pub(super) fn room(shards: usize, wanted: usize) -> Room {
    let files = rlimit::Resource::NOFILE
        .get()
        .map_or(u64::MAX, |(soft, _)| soft);
    let room = Room::under(usize::try_from(files).unwrap_or(usize::MAX), shards, wanted);
    if room.admitted < wanted {
        tracing::warn!(
            open_files = files,
            clients = room.admitted,
            "the limit of open files leaves room for fewer clients than maxHttpServerConnections",
        );
    }
    room
}

impl Balance {
    /// No clients yet, and room for so many.
    pub(super) fn new(shards: usize, room: Room) -> Self {
        Self(Arc::new(Counts {
            shards: (0..shards).map(|_| Padded::default()).collect(),
            admitted: Padded::default(),
            refused: Padded::default(),
            room,
        }))
    }

    /// A place for a client that shard `own` accepted: there if no other shard has fewer clients.
    pub(super) fn place(&self, own: usize) -> Verdict {
        let counts = &self.0;
        if !counts.admitted.reserve(counts.room.admitted) {
            return if counts.refused.reserve(counts.room.refused) {
                Verdict::Refused(self.at(None))
            } else {
                Verdict::Dropped
            };
        }
        loop {
            let (shard, clients) = self.fewest(own);
            // Only if nobody chose it meanwhile: two that both saw it as the emptiest would make
            // it the fullest.
            let chosen = counts.shards[shard].0.compare_exchange_weak(
                clients,
                clients + 1,
                Ordering::Relaxed,
                Ordering::Relaxed,
            );
            if chosen.is_ok() {
                return Verdict::Admitted(self.at(Some(shard)));
            }
        }
    }

    /// Each shard's clients.
    pub(super) fn clients(&self) -> Vec<usize> {
        self.0.shards.iter().map(Padded::get).collect()
    }

    fn fewest(&self, own: usize) -> (usize, usize) {
        let mut fewest = (own, self.0.shards[own].get());
        for (shard, count) in self.0.shards.iter().enumerate() {
            let clients = count.get();
            if clients < fewest.1 {
                fewest = (shard, clients);
            }
        }
        fewest
    }

    fn at(&self, shard: Option<usize>) -> Place {
        Place {
            counts: self.0.clone(),
            shard,
        }
    }
}

impl Place {
    /// Which shard; a client to be refused has none, and is told where it was accepted.
    pub(super) fn shard(&self) -> Option<usize> {
        self.shard
    }

    /// The same client on another shard, which could not be avoided.
    pub(super) fn moved(mut self, shard: usize) -> Self {
        if let Some(old) = self.shard.replace(shard) {
            self.counts.shards[old].release();
            self.counts.shards[shard].0.fetch_add(1, Ordering::Relaxed);
        }
        self
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        match self.shard {
            Some(shard) => {
                self.counts.shards[shard].release();
                self.counts.admitted.release();
            }
            None => self.counts.refused.release(),
        }
    }
}

impl Padded {
    fn get(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }

    fn reserve(&self, max: usize) -> bool {
        self.0
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |count| {
                (count < max).then_some(count + 1)
            })
            .is_ok()
    }

    fn release(&self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const REFUSED: usize = 5;

    fn room(admitted: usize) -> Room {
        Room {
            admitted,
            refused: REFUSED,
        }
    }

    fn admitted(verdict: Verdict) -> Place {
        match verdict {
            Verdict::Admitted(place) => place,
            Verdict::Refused(_) | Verdict::Dropped => panic!("there is room"),
        }
    }

    #[test]
    fn the_emptiest_shard_is_chosen_and_the_own_one_among_equals() {
        let balance = Balance::new(3, room(100));
        let shards: Vec<_> = (0..3).map(|_| admitted(balance.place(1))).collect();
        let chosen: Vec<_> = shards.iter().map(Place::shard).collect();
        assert_eq!(chosen, [Some(1), Some(0), Some(2)]);
        drop(shards);
        assert_eq!(balance.clients(), [0, 0, 0]);
    }

    #[test]
    #[allow(
        clippy::needless_collect,
        reason = "all threads start before one is waited for"
    )]
    fn threads_that_choose_at_once_leave_no_two_shards_more_than_one_apart() {
        let balance = Balance::new(4, room(100_000));
        let places: Vec<Place> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..4)
                .map(|own| {
                    let balance = &balance;
                    scope.spawn(move || {
                        (0..2501)
                            .map(|_| admitted(balance.place(own)))
                            .collect::<Vec<_>>()
                    })
                })
                .collect();
            threads
                .into_iter()
                .flat_map(|thread| thread.join().unwrap())
                .collect()
        });
        assert_eq!(balance.clients(), [2501; 4]);
        drop(places);
        assert_eq!(balance.clients(), [0; 4]);
    }

    #[test]
    fn beyond_the_limit_clients_are_refused_and_then_dropped() {
        let balance = Balance::new(2, room(3));
        let mut places: Vec<_> = (0..3).map(|_| admitted(balance.place(0))).collect();
        let refused: Vec<_> = (0..REFUSED)
            .map(|_| match balance.place(0) {
                Verdict::Refused(place) => place,
                Verdict::Admitted(_) | Verdict::Dropped => panic!("it is to be told"),
            })
            .collect();
        assert!(matches!(balance.place(0), Verdict::Dropped));
        places.pop();
        places.push(admitted(balance.place(0)));
        assert!(matches!(balance.place(0), Verdict::Dropped));
        drop(refused);
        assert!(matches!(balance.place(0), Verdict::Refused(_)));
    }

    #[test]
    fn who_moves_is_counted_once() {
        let balance = Balance::new(2, room(1));
        let place = admitted(balance.place(0)).moved(1);
        assert_eq!((place.shard(), balance.clients()), (Some(1), vec![0, 1]));
        drop(place);
        assert_eq!(balance.clients(), [0, 0]);
        admitted(balance.place(0));
    }
}
