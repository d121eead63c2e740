//! How large payloads are: always the same, anything in a range, or one of a weighted list.

use std::{fmt, str::FromStr};

use crate::shared::random::Random;

/// More than any broker takes.
const BYTES_MAX: usize = 1 << 30;

/// Written as `1024`, `100-2000` or `100:9,65536:1`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Sizes {
    Fixed(usize),
    /// Both ends belong to it.
    Uniform(usize, usize),
    /// Sizes with their weights, none of which is 0.
    Weighted(Vec<(usize, u64)>),
}

impl Sizes {
    pub(crate) fn draw(&self, random: &mut Random) -> usize {
        match self {
            Self::Fixed(bytes) => *bytes,
            Self::Uniform(least, most) => {
                let drawn = random.below((most - least + 1) as u64);
                least + usize::try_from(drawn).unwrap_or(0)
            }
            Self::Weighted(list) => {
                let mut drawn = random.below(list.iter().map(|(_, weight)| weight).sum());
                for (bytes, weight) in list {
                    match drawn.checked_sub(*weight) {
                        Some(rest) => drawn = rest,
                        None => return *bytes,
                    }
                }
                self.most()
            }
        }
    }

    pub(crate) fn least(&self) -> usize {
        match self {
            Self::Fixed(bytes) | Self::Uniform(bytes, _) => *bytes,
            Self::Weighted(list) => list.iter().map(|(bytes, _)| *bytes).min().unwrap_or(0),
        }
    }

    pub(crate) fn most(&self) -> usize {
        match self {
            Self::Fixed(bytes) | Self::Uniform(_, bytes) => *bytes,
            Self::Weighted(list) => list.iter().map(|(bytes, _)| *bytes).max().unwrap_or(0),
        }
    }

    /// Whether a payload of `bytes` may be one of these.
    pub(crate) fn contain(&self, bytes: usize) -> bool {
        match self {
            Self::Fixed(size) => *size == bytes,
            Self::Uniform(least, most) => (*least..=*most).contains(&bytes),
            Self::Weighted(list) => list.iter().any(|(size, _)| *size == bytes),
        }
    }
}

impl FromStr for Sizes {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        parse(text).ok_or_else(|| {
            "expected bytes as 1024, 100-2000 or 100:9,65536:1 (size:weight), 1 GiB at most".into()
        })
    }
}

fn parse(text: &str) -> Option<Sizes> {
    let size = |text: &str| text.parse().ok().filter(|bytes| *bytes <= BYTES_MAX);
    if let Some((least, most)) = text.split_once('-') {
        let (least, most) = (size(least)?, size(most)?);
        return (least <= most).then_some(Sizes::Uniform(least, most));
    }
    if !text.contains([':', ',']) {
        return size(text).map(Sizes::Fixed);
    }
    let list = text.split(',').map(|item| {
        let (bytes, weight) = item.split_once(':').unwrap_or((item, "1"));
        let weight = weight.parse::<u32>().ok().filter(|weight| *weight > 0)?;
        Some((size(bytes)?, u64::from(weight)))
    });
    list.collect::<Option<_>>().map(Sizes::Weighted)
}

impl fmt::Display for Sizes {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fixed(bytes) => write!(to, "{bytes} B"),
            Self::Uniform(least, most) => write!(to, "{least} to {most} B"),
            Self::Weighted(list) => {
                for (at, (bytes, weight)) in list.iter().enumerate() {
                    let comma = if at == 0 { "" } else { ", " };
                    write!(to, "{comma}{weight} × {bytes} B")?;
                }
                Ok(())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drawn(text: &str, count: usize) -> Vec<usize> {
        let sizes: Sizes = text.parse().expect("sizes");
        let mut random = Random::new(1);
        let drawn: Vec<usize> = (0..count).map(|_| sizes.draw(&mut random)).collect();
        assert!(drawn.iter().all(|bytes| sizes.contain(*bytes)), "{text}");
        drawn
    }

    #[test]
    fn a_fixed_size_is_always_the_same() {
        assert_eq!(drawn("1024", 3), [1024; 3]);
        assert_eq!(drawn("0", 1), [0]);
    }

    #[test]
    fn a_range_reaches_both_ends_evenly() {
        let drawn = drawn("10-19", 10_000);
        for bytes in 10..20 {
            let count = drawn.iter().filter(|drawn| **drawn == bytes).count();
            assert!((850..1150).contains(&count), "{bytes}: {count}");
        }
        assert_eq!(
            ("10-19".parse::<Sizes>()).map(|sizes| sizes.least()),
            Ok(10)
        );
        assert_eq!(("10-19".parse::<Sizes>()).map(|sizes| sizes.most()), Ok(19));
    }

    #[test]
    fn a_list_is_drawn_by_weight() {
        let drawn = drawn("100:9,65536:1", 10_000);
        let large = drawn.iter().filter(|bytes| **bytes == 65536).count();
        assert!((850..1150).contains(&large), "{large}");
        assert_eq!(
            drawn.len() - large,
            drawn.iter().filter(|bytes| **bytes == 100).count()
        );
        assert_eq!("5,7".parse(), Ok(Sizes::Weighted(vec![(5, 1), (7, 1)])));
    }

    #[test]
    fn what_is_no_size_is_refused() {
        for text in [
            "",
            "x",
            "-",
            "9-8",
            "1:0",
            "1:",
            ":1",
            "1,,2",
            "-5",
            "9999999999",
        ] {
            assert!(text.parse::<Sizes>().is_err(), "{text}");
        }
    }
}
