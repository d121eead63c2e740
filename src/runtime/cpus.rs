//! Which CPU each shard runs on.

use std::{fs, num::NonZeroUsize};

use crate::config::{Config, cpu_list};

/// One entry a shard: the CPU it is pinned to, or `None` where the kernel may move it.
#[must_use]
pub fn layout(config: &Config) -> Vec<Option<usize>> {
    let parallelism = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
    lay_out(config, &allowed(), parallelism)
}

/// `parallelism` is what a cgroup's quota leaves of the `allowed` CPUs.
fn lay_out(config: &Config, allowed: &[usize], parallelism: usize) -> Vec<Option<usize>> {
    if !config.cpus.is_empty() {
        let cores = config.cores.map_or(config.cpus.len(), NonZeroUsize::get);
        return config.cpus.iter().copied().map(Some).take(cores).collect();
    }
    let cores = config.cores.map_or(parallelism, NonZeroUsize::get);
    // Under a quota every container on the machine sees all CPUs; if each pinned its shards, all
    // would crowd on the first ones. The same holds for more shards than CPUs.
    if parallelism < allowed.len() || cores > allowed.len() {
        return vec![None; cores];
    }
    allowed.iter().copied().map(Some).take(cores).collect()
}

/// The CPUs of this thread's affinity mask; empty if the kernel doesn't tell.
fn allowed() -> Vec<usize> {
    let status = fs::read_to_string("/proc/thread-self/status").unwrap_or_default();
    status
        .lines()
        .find_map(|line| line.strip_prefix("Cpus_allowed_list:"))
        .and_then(|list| cpu_list::parse(list.trim()).ok())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(cores: usize, cpus: &[usize]) -> Config {
        Config {
            cores: NonZeroUsize::new(cores),
            cpus: cpus.to_vec(),
            ..Config::default()
        }
    }

    #[test]
    fn layouts() {
        let some = |cpus: &[usize]| cpus.iter().copied().map(Some).collect::<Vec<_>>();
        assert_eq!(lay_out(&config(0, &[]), &[2, 3, 5], 3), some(&[2, 3, 5]));
        assert_eq!(lay_out(&config(2, &[]), &[2, 3, 5], 3), some(&[2, 3]));
        assert_eq!(lay_out(&config(0, &[7, 1]), &[2, 3, 5], 3), some(&[7, 1]));
        assert_eq!(lay_out(&config(1, &[7, 1]), &[2, 3, 5], 3), some(&[7]));
        assert_eq!(lay_out(&config(0, &[]), &[0, 1, 2, 3], 2), [None; 2]);
        assert_eq!(lay_out(&config(4, &[]), &[0, 1], 2), [None; 4]);
        assert_eq!(lay_out(&config(0, &[]), &[], 2), [None; 2]);
    }

    #[test]
    fn the_kernel_tells() {
        assert!(!allowed().is_empty());
    }
}
