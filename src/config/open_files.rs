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
pub(super) struct Room {
    pub(super) admitted: usize,
    /// Beyond those, who wait for their refusal. Who comes then is closed without a word.
    pub(super) refused: usize,
}

impl Room {
    /// The room under the limit of open files, of which `wanted` clients are to be admitted; 0 is as many as fit.
    pub(super) fn find(shards: usize, wanted: usize) -> Self {
        let files = rlimit::Resource::NOFILE
            .get()
            .map_or(u64::MAX, |(soft, _)| soft);
        let room = Self::under(usize::try_from(files).unwrap_or(usize::MAX), shards, wanted);
        if room.admitted < wanted {
            tracing::warn!(
                open_files = files,
                clients = room.admitted,
                "the limit of open files leaves room for fewer clients than maxHttpServerConnections",
            );
        }
        room
    }

    fn under(files: usize, shards: usize, wanted: usize) -> Self {
        let kept = OF_PROCESS.saturating_add(OF_SHARD.saturating_mul(shards));
        let left = files - kept.min(files / 2);
        let refused = (left / REFUSED_SHARE).clamp(REFUSED_MIN, REFUSED_MAX);
        let fit = left.saturating_sub(refused).max(1);
        let admitted = if wanted == 0 { fit } else { wanted.min(fit) };
        Self { admitted, refused }
    }
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
}
