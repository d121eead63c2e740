//! The control plane: what is rare, and what would hold a shard for longer than it may be held.
//!
//! One thread takes requests from a bounded queue and answers through the function that came with
//! each. It knows no shard and no client. It resolves host names, which blocks as long as the system's
//! resolver does; a few more threads ask the brokers' web service where that is configured. Two workers
//! look at files and make long texts, and where there are private keys two more decrypt data keys: those
//! wait for nothing else.

mod http_lookup;

use std::{
    io,
    net::{SocketAddr, ToSocketAddrs},
    path::PathBuf,
    sync::Arc,
    thread,
};

use crossbeam_channel::{Receiver, Sender, bounded};

use crate::config::{Config, DataKey, EncryptionKeys};
use http_lookup::HttpLookup;
pub use http_lookup::{Located, Location, LookupError, Wanted};

/// Lookups that may wait for the one that is running. A shard asks once for each broker host, so
/// this fills only when a resolver is down.
const REQUESTS_MAX: usize = 1024;
/// Work that may wait for a worker.
const JOBS_MAX: usize = 1024;
/// More than one, since a job may wait for all shards, or for a slow disk.
const WORKERS: usize = 2;

/// The shards' end of the control thread. The thread ends with the last clone of it.
#[derive(Clone)]
pub struct Control {
    requests: Sender<Request>,
    jobs: Sender<Job>,
    /// Where there are keys to decrypt with.
    decryptions: Option<Sender<Job>>,
    keys: Arc<EncryptionKeys>,
    /// Where a web service is configured.
    http: Option<HttpLookup>,
}

/// Takes the addresses of a name, at least one, or the reason why there are none. Runs on the
/// control thread.
pub type Resolved = Box<dyn FnOnce(Result<Vec<SocketAddr>, String>) + Send>;

/// What would hold a shard for too long.
pub type Job = Box<dyn FnOnce() + Send>;

/// Takes a data key, or the news that it can't be decrypted. Runs on a worker.
pub type Decrypted = Box<dyn FnOnce(Option<DataKey>) + Send>;

/// Too many requests wait already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ControlFull;

struct Request {
    host: String,
    port: u16,
    reply: Resolved,
}

impl Control {
    /// Starts the thread, and those for lookups over HTTP if there is somebody to be asked.
    ///
    /// # Errors
    /// The system gives no thread.
    pub fn start(config: &Config) -> io::Result<Self> {
        let (requests, waiting) = bounded(REQUESTS_MAX);
        thread::Builder::new()
            .name("control".to_owned())
            .spawn(move || serve(&waiting))?;
        let keys = Arc::new(config.encryption_keys.clone());
        let decryptions = keys.can_decrypt().then(|| workers("decrypt"));
        let http = match config.service_urls[..] {
            [] => None,
            [..] => Some(HttpLookup::start(config)?),
        };
        Ok(Self {
            requests,
            jobs: workers("worker")?,
            decryptions: decryptions.transpose()?,
            keys,
            http,
        })
    }

    /// Asks the brokers' web service about a topic. Never waits.
    ///
    /// # Errors
    /// Too many questions wait, or no service is configured; `reply` was dropped.
    pub fn locate(&self, topic: String, wanted: Wanted, reply: Located) -> Result<(), ControlFull> {
        let http = self.http.as_ref().ok_or(ControlFull)?;
        http.locate(topic, wanted, reply)
    }

    /// Does this on a worker. Never waits.
    ///
    /// # Errors
    /// Too many jobs wait; this one was dropped.
    pub fn work(&self, job: Job) -> Result<(), ControlFull> {
        self.jobs.try_send(job).map_err(|_| ControlFull)
    }

    /// Decrypts a data key with the private key of this name. Never waits.
    ///
    /// # Errors
    /// Too many wait, or there are no private keys; `reply` was dropped.
    pub fn decrypt_key(
        &self,
        name: String,
        encrypted: Vec<u8>,
        reply: Decrypted,
    ) -> Result<(), ControlFull> {
        let keys = self.keys.clone();
        let job: Job = Box::new(move || reply(keys.decrypt(&name, &encrypted)));
        let decryptions = self.decryptions.as_ref().ok_or(ControlFull)?;
        decryptions.try_send(job).map_err(|_| ControlFull)
    }

    /// Looks whether there is a regular file. Never waits.
    ///
    /// # Errors
    /// Too many requests wait; `reply` was dropped.
    pub fn is_file(
        &self,
        path: PathBuf,
        reply: Box<dyn FnOnce(bool) + Send>,
    ) -> Result<(), ControlFull> {
        self.work(Box::new(move || reply(path.is_file())))
    }

    /// Looks a host name up. Never waits.
    ///
    /// # Errors
    /// Too many requests wait; `reply` was dropped.
    pub fn resolve(&self, host: String, port: u16, reply: Resolved) -> Result<(), ControlFull> {
        let request = Request { host, port, reply };
        self.requests.try_send(request).map_err(|_| ControlFull)
    }
}

/// Starts workers, which end with the last clone of what gives them work.
fn workers(name: &str) -> io::Result<Sender<Job>> {
    let (jobs, waiting) = bounded::<Job>(JOBS_MAX);
    for _ in 0..WORKERS {
        let waiting = waiting.clone();
        thread::Builder::new()
            .name(name.to_owned())
            .spawn(move || waiting.iter().for_each(|job| job()))?;
    }
    Ok(jobs)
}

fn serve(requests: &Receiver<Request>) {
    for request in requests {
        (request.reply)(resolve(&request.host, request.port));
    }
}

fn resolve(host: &str, port: u16) -> Result<Vec<SocketAddr>, String> {
    let addresses: Vec<SocketAddr> = (host, port)
        .to_socket_addrs()
        .map_err(|error| format!("{host}: {error}"))?
        .collect();
    if addresses.is_empty() {
        return Err(format!("{host} has no address"));
    }
    Ok(addresses)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(control: &Control, host: &str) -> Result<Vec<SocketAddr>, String> {
        let (reply, answer) = bounded(1);
        let reply = Box::new(move |result| reply.send(result).unwrap());
        control.resolve(host.to_owned(), 7, reply).unwrap();
        answer.recv().unwrap()
    }

    #[test]
    fn names_and_addresses() {
        let control = Control::start(&Config::default()).unwrap();
        let localhost = ask(&control, "localhost").unwrap();
        assert!(localhost.iter().all(|address| address.ip().is_loopback()));
        assert!(localhost.iter().all(|address| address.port() == 7));
        assert_eq!(ask(&control, "::1").unwrap(), ["[::1]:7".parse().unwrap()]);
        let error = ask(&control, "no such host").unwrap_err();
        assert!(error.starts_with("no such host: "), "{error}");
    }

    #[test]
    fn files_are_looked_at() {
        let control = Control::start(&Config::default()).unwrap();
        for (path, expected) in [
            (concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml"), true),
            (env!("CARGO_MANIFEST_DIR"), false),
            ("/nonexistent", false),
        ] {
            let (reply, answer) = bounded(1);
            let reply = Box::new(move |is_file| reply.send(is_file).unwrap());
            control.is_file(path.into(), reply).unwrap();
            assert_eq!(answer.recv().unwrap(), expected, "{path}");
        }
    }

    #[test]
    fn a_full_queue_refuses() {
        let control = Control::start(&Config::default()).unwrap();
        let (hold, held) = bounded::<()>(0);
        let blocking = Box::new(move |_| held.recv().unwrap_or_default());
        control.resolve("::1".into(), 1, blocking).unwrap();
        let refused = (0..=REQUESTS_MAX + 1)
            .filter_map(|_| control.resolve("::1".into(), 1, Box::new(|_| ())).err())
            .next();
        assert_eq!(refused, Some(ControlFull));
        drop(hold);
    }
}
