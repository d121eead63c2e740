//! Who came, for what, how it went: one line for each handshake and one for each close.
//!
//! The lines have the target `access`, so that the log level can be chosen for them alone. Clients
//! that come and go without end can't fill the log: lines beyond a shard's allowance are counted
//! instead. Tokens in the request's parameters are hidden. Knows no format of messages.

use std::{net::SocketAddr, time::Duration};

use percent_encoding::percent_decode_str;
use tracing::field::{DisplayValue, display};

use super::client::Client;
use crate::{http::refusal::Refusal, metrics::Ender, timer::Instant};

/// What a shard may write for long: 200 lines a second.
const LINE_INTERVAL: Duration = Duration::from_millis(5);
/// What it may write at once: 2000 lines, because a restart brings everybody back.
const LINES_AHEAD_MAX: Duration = Duration::from_secs(10);
/// More of a request is not told.
const REQUEST_CHARS_MAX: usize = 512;
/// Who left before the answer; there is no official code for it.
const CLIENT_CLOSED_REQUEST: u16 = 499;

/// What the log will say of a client, as far as nobody else knows it.
#[derive(Debug)]
pub(super) struct Visit {
    /// Since when it has been there; once its session is open, since when that is.
    since: Instant,
    is_open: bool,
    answered: bool,
    /// Method and target, without tokens. Empty until the head is there, or if nobody listens.
    request: Box<str>,
    /// The client closed first, perhaps with a code.
    pub(super) closed_by_client: Option<Option<u16>>,
    /// The client's side of the connection ended before anybody closed.
    pub(super) is_lost: bool,
    /// Bytes received and bytes given to the socket, handshake included.
    pub(super) bytes_in: u64,
    pub(super) bytes_out: u64,
    /// Text messages.
    pub(super) messages_in: u64,
    pub(super) messages_out: u64,
}

impl Visit {
    pub(super) fn new(accepted: Instant) -> Self {
        Self {
            since: accepted,
            is_open: false,
            answered: false,
            request: Box::default(),
            closed_by_client: None,
            is_lost: false,
            bytes_in: 0,
            bytes_out: 0,
            messages_in: 0,
            messages_out: 0,
        }
    }

    /// The head is there.
    pub(super) fn asks(&mut self, method: &str, target: &str) {
        if is_on() {
            let request = format!("{method} {}", without_tokens(target));
            self.request = shortened(request).into_boxed_str();
        }
    }
}

/// A shard's allowance of lines.
#[derive(Debug)]
pub(super) struct AccessLog {
    /// Until when the lines written so far have used the allowance up; each costs an interval.
    paid_until: Instant,
    suppressed: u64,
    /// Whether lines tell the proxy and the service's own address.
    shows_addresses: bool,
}

impl AccessLog {
    pub(super) const fn new(shows_addresses: bool) -> Self {
        Self {
            paid_until: Instant(0),
            suppressed: 0,
            shows_addresses,
        }
    }

    /// The client got its 101.
    pub(super) fn opened(&mut self, now: Instant, client: &mut Client) {
        self.handshake(now, client, 101, "");
        client.visit.since = now;
        client.visit.is_open = true;
    }

    /// The client is told why not.
    pub(super) fn refused(&mut self, now: Instant, client: &mut Client, refusal: &Refusal) {
        client.visit.answered = true;
        self.handshake(now, client, refusal.status, &refusal.message);
    }

    /// The client, which wanted no WebSocket, is answered.
    pub(super) fn answered(&mut self, now: Instant, client: &mut Client, status: u16) {
        client.visit.answered = true;
        self.handshake(now, client, status, "");
    }

    /// The client is being forgotten.
    pub(super) fn ended(&mut self, now: Instant, client: &Client) {
        let visit = &client.visit;
        if !visit.is_open {
            // Who said nothing is no news: load balancers look in all the time.
            if !visit.answered && !visit.request.is_empty() {
                self.handshake(now, client, CLIENT_CLOSED_REQUEST, "the client left");
            }
            return;
        }
        if !self.may_write(now) {
            return;
        }
        let addresses = self.addresses(client);
        let (ender, code) = client.ender();
        let by = match ender {
            Ender::Client => "client",
            Ender::Service => "service",
            Ender::Loss => "loss",
        };
        tracing::info!(
            target: "access",
            peer = addresses.peer,
            via = addresses.via,
            local = addresses.local,
            request = ?visit.request,
            by,
            code,
            seconds = now.since(visit.since).as_secs_f64(),
            bytes_in = visit.bytes_in,
            bytes_out = visit.bytes_out,
            messages_in = visit.messages_in,
            messages_out = visit.messages_out,
            "close"
        );
    }

    fn addresses(&self, client: &Client) -> Addresses {
        let (peer, via) = match &client.forwarded {
            Some(forwarded) => (forwarded.to_string(), Some(client.peer)),
            None => (client.peer.to_string(), client.via.as_deref().copied()),
        };
        let shown = |address: Option<SocketAddr>| address.filter(|_| self.shows_addresses);
        Addresses {
            peer: display(peer),
            via: shown(via).map(display),
            local: shown(client.local.as_deref().copied()).map(display),
        }
    }

    fn handshake(&mut self, now: Instant, client: &Client, status: u16, message: &str) {
        if !self.may_write(now) {
            return;
        }
        let addresses = self.addresses(client);
        tracing::info!(
            target: "access",
            peer = addresses.peer,
            via = addresses.via,
            local = addresses.local,
            request = ?client.visit.request,
            status,
            seconds = now.since(client.visit.since).as_secs_f64(),
            reason = (!message.is_empty()).then_some(message),
            "handshake"
        );
    }

    /// Takes a line from the allowance. The first one after others were left out says how many.
    fn may_write(&mut self, now: Instant) -> bool {
        if !is_on() {
            return false;
        }
        let Some(suppressed) = self.take(now) else {
            return false;
        };
        if suppressed > 0 {
            tracing::info!(target: "access", "{suppressed} more suppressed");
        }
        true
    }

    /// How many lines were left out before the one that may be written now.
    fn take(&mut self, now: Instant) -> Option<u64> {
        let paid_until = self.paid_until.max(now) + LINE_INTERVAL;
        if paid_until.since(now) > LINES_AHEAD_MAX {
            self.suppressed += 1;
            return None;
        }
        self.paid_until = paid_until;
        Some(std::mem::take(&mut self.suppressed))
    }
}

/// Who is at both ends, and between them.
struct Addresses {
    peer: DisplayValue<String>,
    via: Option<DisplayValue<SocketAddr>>,
    local: Option<DisplayValue<SocketAddr>>,
}

/// Whether anybody wants the lines.
fn is_on() -> bool {
    tracing::enabled!(target: "access", tracing::Level::INFO)
}

/// A request's target whose `token` parameters have no value. Names are compared decoded, as the
/// service reads them; what looks like a token elsewhere is hidden, too.
fn without_tokens(target: &str) -> String {
    let Some((path, query)) = target.split_once('?') else {
        return target.to_owned();
    };
    let parameters: Vec<String> = query.split('&').map(without_token).collect();
    format!("{path}?{}", parameters.join("&"))
}

fn without_token(parameter: &str) -> String {
    let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
    let name_is_token = percent_decode_str(name)
        .decode_utf8_lossy()
        .trim()
        .eq_ignore_ascii_case("token");
    let decoded = percent_decode_str(value).decode_utf8_lossy();
    let value_is_token = decoded.to_ascii_lowercase().contains("token=") || decoded.contains("eyJ");
    if value.is_empty() || !(name_is_token || value_is_token) {
        return parameter.to_owned();
    }
    format!("{name}=<hidden>")
}

fn shortened(mut request: String) -> String {
    if let Some((end, _)) = request.char_indices().nth(REQUEST_CHARS_MAX) {
        request.truncate(end);
        request.push('…');
    }
    request
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_hidden_however_they_are_written() {
        for (target, shown) in [
            ("/ws/v2/producer/x", "/ws/v2/producer/x"),
            ("/x?a=1&token=s3cret&b=2", "/x?a=1&token=<hidden>&b=2"),
            ("/x?%74oken=s3cret", "/x?%74oken=<hidden>"),
            ("/x?Token=s3cret", "/x?Token=<hidden>"),
            ("/x?token=s3cret?a=1", "/x?token=<hidden>"),
            ("/x?a=1?token=s3cret", "/x?a=<hidden>"),
            ("/x?a=%3Ftoken%3Ds3cret", "/x?a=<hidden>"),
            ("/x?jwt=eyJhbGciOi.s3cret", "/x?jwt=<hidden>"),
            ("/x?token&token=", "/x?token&token="),
            ("/x?", "/x?"),
        ] {
            assert_eq!(without_tokens(target), shown);
        }
    }

    #[test]
    fn requests_are_told_up_to_a_length() {
        assert_eq!(shortened("x".repeat(512)).chars().count(), 512);
        assert_eq!(shortened("é".repeat(600)).chars().count(), 513);
    }

    #[test]
    fn lines_beyond_the_allowance_are_counted() {
        let mut log = AccessLog::new(false);
        let start = Instant(7_000_000_000);
        let written = (0..3000).filter_map(|_| log.take(start)).count();
        assert_eq!(written, 2000);
        // One comes back every 5 ms, and says what was left out.
        let later = start + Duration::from_millis(4);
        assert_eq!(log.take(later), None);
        let later = start + Duration::from_millis(5);
        assert_eq!(log.take(later), Some(1001));
        assert_eq!(log.take(later), None);
        // After a pause there is room for a burst again, and for no more than that.
        let later = start + Duration::from_secs(1000);
        assert_eq!(log.take(later), Some(1));
        let written = (0..3000).filter_map(|_| log.take(later)).count();
        assert_eq!(written, 1999);
    }
}
