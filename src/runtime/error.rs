//! Why the runtime could not start, in words that say what to do.

use std::{fmt, io, net::SocketAddr};

use super::ring;

/// A start that failed: a sentence, and an exit code by the conventions of sysexits(3).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StartError {
    exit_code: u8,
    sentence: String,
}

/// EX_UNAVAILABLE: somebody else holds what we need.
const UNAVAILABLE: u8 = 69;
/// EX_OSERR: the system doesn't offer what we need.
const OS_ERROR: u8 = 71;
/// EX_NOPERM: the system offers it, but not to us.
const NO_PERMISSION: u8 = 77;
/// EX_CONFIG: what was asked for can't be.
const CONFIG: u8 = 78;

impl StartError {
    /// What the process is to exit with.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        self.exit_code
    }

    pub(super) fn bind(address: SocketAddr, error: io::Error) -> Self {
        let (exit_code, sentence) = match error.kind() {
            io::ErrorKind::AddrInUse => (
                UNAVAILABLE,
                format!("port taken: {address} is taken by another process"),
            ),
            io::ErrorKind::PermissionDenied => (
                NO_PERMISSION,
                format!(
                    "no permission to listen on {address}: {error}; ports below 1024 need \
                     CAP_NET_BIND_SERVICE"
                ),
            ),
            _ => (UNAVAILABLE, format!("can't listen on {address}: {error}")),
        };
        Self {
            exit_code,
            sentence,
        }
    }

    pub(super) fn ring(shard: usize, error: &io::Error) -> Self {
        let exit_code = if ring::is_permission(error) {
            NO_PERMISSION
        } else {
            OS_ERROR
        };
        Self {
            exit_code,
            sentence: ring::explain(shard, error),
        }
    }

    pub(super) fn pin(cpu: usize, error: impl fmt::Display) -> Self {
        Self {
            exit_code: CONFIG,
            sentence: format!(
                "can't run on CPU {cpu}: {error}; is it there, and allowed to this process \
                 (taskset, cpuset)?"
            ),
        }
    }

    pub(super) fn os(what: &str, error: impl fmt::Display) -> Self {
        Self {
            exit_code: OS_ERROR,
            sentence: format!("{what}: {error}"),
        }
    }
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.sentence)
    }
}

impl std::error::Error for StartError {}
