//! Each target with its seeds, and with inputs that chance makes of them: the same ones in every run.

use targets::{Chance, TARGETS, Target};

const INPUTS: usize = 3_000;

/// So many inputs beside the seeds; `FUZZ_INPUTS` says how many in place of 3,000. A whole shard takes longer over each.
fn inputs(name: &str) -> usize {
    let given = std::env::var("FUZZ_INPUTS").ok();
    let inputs = given.map_or(INPUTS, |given| given.parse().expect("a number"));
    if name == "shard" { inputs / 6 } else { inputs }
}

fn check(name: &str) {
    let Target { run, seeds, .. } = *TARGETS.iter().find(|it| it.name == name).expect("a target");
    let seeds = seeds();
    for seed in &seeds {
        run(seed);
    }
    let mut chance = Chance(7);
    for _ in 0..inputs(name) {
        run(&changed(&seeds, &mut chance));
    }
}

/// A seed, or the beginning of one and the end of another, with a few bytes changed, added or taken away.
fn changed(seeds: &[Vec<u8>], chance: &mut Chance) -> Vec<u8> {
    let mut input = seeds[chance.below(seeds.len())].clone();
    if chance.below(4) == 0 {
        let other = &seeds[chance.below(seeds.len())];
        input.truncate(chance.below(input.len() + 1));
        input.extend_from_slice(&other[chance.below(other.len() + 1)..]);
    }
    for _ in 0..chance.below(6) {
        let at = chance.below(input.len());
        let byte = chance.number().to_le_bytes()[0];
        match chance.below(5) {
            0 if !input.is_empty() => input[at] ^= 1 << (byte % 8),
            1 if !input.is_empty() => input[at] = byte,
            2 if !input.is_empty() => drop(input.remove(at)),
            3 => input.insert(at, byte),
            _ => input.extend_from_slice(&[byte, byte >> 3]),
        }
    }
    input
}

macro_rules! targets {
    ($($name:ident)*) => {$(
        #[test]
        fn $name() {
            check(stringify!($name));
        }
    )*

    #[test]
    fn none_is_left_out() {
        let names: Vec<_> = TARGETS.iter().map(|target| target.name).collect();
        assert_eq!(names, [$(stringify!($name)),*]);
    }
    };
}

targets! { frames inflate base64 json broker http names shard }
