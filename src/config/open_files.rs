//! How many clients the limit of open files leaves room for.
//!
//! Clients keep coming when no descriptor is left, and take each one that falls free. A lost connection to a
//! broker could never be made again, and nobody would be served. So some descriptors are kept from clients.

/// Kept for each shard: ring, wake-up, listeners and broker connections.
const OF_SHARD: usize = 32;
/// Kept for the process: log, signals, lookups, files that are looked at.
const OF_PROCESS: usize = 32;
/// Clients that wait for their refusal at a time: one of so many, in these bounds.
const REFUSED_SHARE: usize = 128;
const REFUSED_MIN: usize = 16;
const REFUSED_MAX: usize = 1024;

/// How many clients there may be at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Room {
    /// Those that are served.
    pub admitted: usize,
    /// Beyond those, who wait for their refusal. Who comes then is closed without a word.
    pub refused: usize,
}

impl Room {
    /// The room under a limit of open files, of which `wanted` clients are to be admitted; 0 is as many as fit.
    #[must_use]
    pub fn under(files: usize, shards: usize, wanted: usize) -> Self {
        let left = files - kept(shards).min(files / 2);
        let refused = (left / REFUSED_SHARE).clamp(REFUSED_MIN, REFUSED_MAX);
        let fit = left.saturating_sub(refused).max(1);
        let admitted = if wanted == 0 { fit } else { wanted.min(fit) };
        Self { admitted, refused }
    }
}

/// The limit of open files under which so many clients are admitted.
#[must_use]
pub fn needed(shards: usize, clients: usize) -> usize {
    let refused = (clients / (REFUSED_SHARE - 1) + 1).clamp(REFUSED_MIN, REFUSED_MAX);
    let kept = kept(shards);
    // At most half of all files is kept.
    let left = clients.saturating_add(refused).max(kept);
    left.saturating_add(kept)
}

/// Descriptors that no client gets.
const fn kept(shards: usize) -> usize {
    OF_PROCESS.saturating_add(OF_SHARD.saturating_mul(shards))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clients_leave_descriptors_for_brokers() {
        for files in [0, 1, 20, 64, 256, 1024, 20_000, 1_048_576, usize::MAX] {
            for shards in [1, 2, 64, 1000] {
                let room = Room::under(files, shards, 0);
                assert!(room.admitted > 0);
                if files >= 256 {
                    let clients = room.admitted + room.refused;
                    assert!(files - clients >= (files / 2).min(32 * shards + 32));
                }
            }
        }
        let room = |admitted, refused| Room { admitted, refused };
        assert_eq!(Room::under(256, 1, 0), room(176, 16));
        assert_eq!(Room::under(256, 1, 2048), room(176, 16));
        assert_eq!(Room::under(1_048_576, 1, 2048), room(2048, 1024));
    }

    #[test]
    fn what_is_needed_is_enough_for_all_who_are_to_be_admitted() {
        for shards in [1, 2, 4, 16, 1000] {
            for clients in (1..3000).chain([8400, 20_000, 50_000, 100_000, 1_000_000]) {
                let needed = needed(shards, clients);
                assert_eq!(Room::under(needed, shards, clients).admitted, clients);
                assert!(needed <= 2 * (32 * shards + 32) + clients + clients / 100 + 20);
            }
        }
        assert_eq!(needed(1, usize::MAX), usize::MAX);
    }
}
