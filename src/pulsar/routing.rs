//! Which partition a publish goes to: `MessageRouterBase` of the Java client and its two children.

use crate::session::producer::{Hashing, Partitioning, Routing};

use super::hash;

/// Chooses a partition for each publish of a session.
#[derive(Debug)]
pub(super) struct Router {
    partitioning: Partitioning,
    /// Where it began, by chance.
    start: u32,
    /// Publishes without a key so far.
    count: u32,
}

impl Router {
    /// `chance` decides where messages without a key go (first).
    pub(super) fn new(partitioning: Partitioning, partitions: u32, chance: u64) -> Self {
        Self {
            partitioning,
            start: below(chance, partitions),
            count: 0,
        }
    }

    /// A number below that of the partitions. A key decides alone.
    pub(super) fn choose(&mut self, wall_ms: u64, key: Option<&str>, partitions: u32) -> u32 {
        let start = u64::from(self.start);
        let number = match (key, self.partitioning.routing) {
            (Some(key), _) => u64::from(match self.partitioning.hashing {
                Hashing::JavaString => hash::java_string(key),
                Hashing::Murmur3 => hash::murmur3_32(key),
            }),
            (None, Routing::Single) => start,
            (None, Routing::RoundRobin) => {
                let count = u64::from(self.count);
                self.count = self.count.wrapping_add(1);
                start + count
            }
            (None, Routing::RoundRobinInTime { ms }) => start + wall_ms / u64::from(ms.max(1)),
        };
        below(number, partitions)
    }
}

fn below(number: u64, partitions: u32) -> u32 {
    let rest = number % u64::from(partitions.max(1));
    u32::try_from(rest).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn router(routing: Routing, chance: u64) -> Router {
        let hashing = Hashing::JavaString;
        Router::new(Partitioning { routing, hashing }, 4, chance)
    }

    #[test]
    fn without_a_key_by_mode() {
        let mut single = router(Routing::Single, 6);
        let mut robin = router(Routing::RoundRobin, 6);
        let mut timed = router(Routing::RoundRobinInTime { ms: 10 }, 6);
        let chosen: Vec<_> = (0..6)
            .map(|n| {
                let now = 100 + n * 5;
                [&mut single, &mut robin, &mut timed].map(|router| router.choose(now, None, 4))
            })
            .collect();
        let expected = [
            [2, 2, 0],
            [2, 3, 0],
            [2, 0, 1],
            [2, 1, 1],
            [2, 2, 2],
            [2, 3, 2],
        ];
        assert_eq!(chosen, expected);
    }

    #[test]
    fn a_key_decides_alone_and_keyless_turns_go_on() {
        let mut robin = router(Routing::RoundRobin, 0);
        assert_eq!(robin.choose(0, None, 4), 0);
        assert_eq!(robin.choose(0, Some("a"), 4), 97 % 4);
        assert_eq!(robin.choose(0, Some(""), 4), 0, "an empty key is a key");
        assert_eq!(robin.choose(0, None, 4), 1);
        assert_eq!(
            robin.choose(0, Some("a"), 7),
            97 % 7,
            "partitions were added"
        );
    }

    proptest! {
        #[test]
        fn always_one_of_them(wall: u64, key: Option<String>, partitions in 1u32.., chance: u64, ms: u32) {
            for routing in [Routing::Single, Routing::RoundRobin, Routing::RoundRobinInTime { ms }] {
                for hashing in [Hashing::JavaString, Hashing::Murmur3] {
                    let mut router = Router::new(Partitioning { routing, hashing }, partitions, chance);
                    let wall = wall >> 1;
                    prop_assert!(router.choose(wall, key.as_deref(), partitions) < partitions);
                }
            }
        }
    }
}
