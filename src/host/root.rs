//! Files of the kernel, read below a folder that stands for `/`.

use std::{
    fmt, fs, io,
    path::{Path, PathBuf},
    str::FromStr,
};

use crate::config::cpu_list;

/// The folder below which `proc` and `sys` lie.
pub(super) struct Root(PathBuf);

/// Why a file said nothing.
#[derive(Debug)]
pub(super) enum Unread {
    /// It is not there: the kernel, or this machine, has no such thing.
    Absent(String),
    /// It is there, and could not be read or understood.
    Failed(String),
}

impl fmt::Display for Unread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Absent(path) => write!(f, "/{path} is not there"),
            Self::Failed(sentence) => f.write_str(sentence),
        }
    }
}

impl Root {
    pub(super) fn new(root: &Path) -> Self {
        Self(root.to_owned())
    }

    /// The text of a file, trimmed.
    pub(super) fn text(&self, path: &str) -> Result<String, Unread> {
        match fs::read_to_string(self.0.join(path)) {
            Ok(text) => Ok(text.trim().to_owned()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                Err(Unread::Absent(path.to_owned()))
            }
            Err(error) => Err(Unread::Failed(format!("can't read /{path}: {error}"))),
        }
    }

    /// A file that holds one number, or several of which the first counts.
    pub(super) fn number<T: FromStr>(&self, path: &str) -> Result<T, Unread> {
        let text = self.text(path)?;
        let first = text.split_whitespace().next().unwrap_or_default();
        first
            .parse()
            .map_err(|_| Unread::Failed(format!("/{path} says \"{text}\", which is no number")))
    }

    /// What follows a line's beginning, trimmed.
    pub(super) fn field(&self, path: &str, beginning: &str) -> Option<String> {
        let text = self.text(path).ok()?;
        let rest = text.lines().find_map(|line| line.strip_prefix(beginning))?;
        Some(rest.trim().to_owned())
    }

    /// The CPUs that a file lists; none where it can't be read.
    pub(super) fn cpus(&self, path: &str) -> Vec<usize> {
        self.text(path).map(|list| cpus(&list)).unwrap_or_default()
    }

    /// The choice in brackets, as in `always [madvise] never`.
    pub(super) fn chosen(&self, path: &str) -> Result<String, Unread> {
        let text = self.text(path)?;
        let chosen = text
            .split_once('[')
            .and_then(|(_, rest)| rest.split_once(']'));
        Ok(match chosen {
            Some((chosen, _)) => chosen.to_owned(),
            None => text,
        })
    }

    /// The names in a folder, in order; none where there is no such folder.
    pub(super) fn names(&self, folder: &str) -> Vec<String> {
        let Ok(entries) = fs::read_dir(self.0.join(folder)) else {
            return Vec::new();
        };
        let mut names: Vec<String> = entries
            .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
            .collect();
        names.sort();
        names
    }

    /// Whether there is such a file or folder.
    pub(super) fn has(&self, path: &str) -> bool {
        self.0.join(path).exists()
    }
}

/// The CPUs of a kernel's list; none of one that can't be understood.
pub(super) fn cpus(list: &str) -> Vec<usize> {
    cpu_list::parse(list).unwrap_or_default()
}

/// A list as the kernel writes it: `0-3,8`.
pub(super) fn list(cpus: &[usize]) -> String {
    let mut sorted = cpus.to_vec();
    sorted.sort_unstable();
    sorted.dedup();
    let runs = sorted.chunk_by(|a, b| a + 1 == *b);
    let parts: Vec<String> = runs
        .map(|run| match run {
            [first, .., last] => format!("{first}-{last}"),
            _ => run.iter().map(ToString::to_string).collect(),
        })
        .collect();
    parts.join(",")
}
