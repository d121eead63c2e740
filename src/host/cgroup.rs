//! Limits that a control group sets on this process: of its own group and of all above it.

use super::View;

const MOUNT: &str = "sys/fs/cgroup";

/// The tightest quota of CPU time, in CPUs; none if no group has one.
pub(super) fn cpu_quota(view: &View<'_>) -> Option<f64> {
    let unified = texts(view, "", "cpu.max").into_iter().filter_map(|text| {
        let (quota, period) = text.split_once(' ')?;
        share(quota, period)
    });
    let old = groups(view, "cpu").into_iter().filter_map(|group| {
        let quota = view.root.text(&format!("{group}/cpu.cfs_quota_us")).ok()?;
        let period = view.root.text(&format!("{group}/cpu.cfs_period_us")).ok()?;
        share(&quota, &period)
    });
    unified.chain(old).min_by(f64::total_cmp)
}

/// `max` and -1 are no quota.
fn share(quota: &str, period: &str) -> Option<f64> {
    let quota: f64 = quota.trim().parse().ok().filter(|&quota| quota > 0.0)?;
    let period: f64 = period.trim().parse().ok().filter(|&period| period > 0.0)?;
    Some(quota / period)
}

/// The tightest limit of memory, in bytes; none if no group has one.
pub(super) fn memory_limit(view: &View<'_>) -> Option<u64> {
    let unified = texts(view, "", "memory.max");
    let old = texts(view, "memory", "memory.limit_in_bytes");
    let limits = unified.into_iter().chain(old);
    limits.filter_map(|text| text.trim().parse().ok()).min()
}

fn texts(view: &View<'_>, controller: &str, file: &str) -> Vec<String> {
    let groups = groups(view, controller).into_iter();
    groups
        .filter_map(|group| view.root.text(&format!("{group}/{file}")).ok())
        .collect()
}

/// The folders of this process's group and of those above it. The controller is empty for the one
/// hierarchy of version 2. A container may see its own group as the root, whatever its path says.
fn groups(view: &View<'_>, controller: &str) -> Vec<String> {
    let text = view.root.text("proc/self/cgroup").unwrap_or_default();
    let path = text.lines().find_map(|line| {
        let (controllers, path) = line.split_once(':')?.1.split_once(':')?;
        controllers
            .split(',')
            .any(|name| name == controller)
            .then_some(path)
    });
    let mount = match controller {
        "" => MOUNT.to_owned(),
        controller => format!("{MOUNT}/{controller}"),
    };
    let Some(mut path) = path.map(|path| path.trim_end_matches('/')) else {
        return vec![mount];
    };
    let mut found = vec![format!("{mount}{path}")];
    while let Some((above, _)) = path.rsplit_once('/') {
        path = above;
        found.push(format!("{mount}{path}"));
    }
    found
}
