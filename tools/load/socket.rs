//! A socket, with TLS around it or without.
//!
//! It connects, and shakes hands, blocking; then the event loop takes it over.

use std::{
    io::{self, Read, Write},
    net::TcpStream,
    os::fd::{AsFd, BorrowedFd},
    sync::Arc,
    time::Duration,
};

use rustls::{ClientConfig, ClientConnection, pki_types::ServerName};

const READ_BYTES: usize = 256 * 1024;

/// Where reads go: a worker has one for all its clients.
pub(crate) struct ReadBuffer {
    bytes: Vec<u8>,
    filled: usize,
    /// What was read and is not yet decrypted.
    sealed: Vec<u8>,
}

impl ReadBuffer {
    pub(crate) fn new() -> Self {
        Self {
            bytes: vec![0; READ_BYTES],
            filled: 0,
            sealed: Vec::new(),
        }
    }

    /// Begins anew, with what was left of an earlier read.
    pub(crate) fn restart(&mut self, rest: &[u8]) {
        self.filled = 0;
        self.space(rest.len())[..rest.len()].copy_from_slice(rest);
        self.filled = rest.len();
    }

    pub(crate) fn filled(&self) -> &[u8] {
        &self.bytes[..self.filled]
    }

    /// Room for `least` bytes or more. It doubles, so that a long message is not copied all the time.
    fn space(&mut self, least: usize) -> &mut [u8] {
        if self.bytes.len() - self.filled < least {
            self.bytes
                .resize((self.filled + least).max(self.bytes.len() * 2), 0);
        }
        &mut self.bytes[self.filled..]
    }
}

pub(crate) struct Socket {
    stream: TcpStream,
    tls: Option<Box<ClientConnection>>,
}

impl Socket {
    /// A blocking socket; silence of `timeout` is an error.
    pub(crate) fn new(
        stream: TcpStream,
        tls: Option<(Arc<ClientConfig>, ServerName<'static>)>,
        timeout: Duration,
    ) -> io::Result<Self> {
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(timeout))?;
        stream.set_write_timeout(Some(timeout))?;
        let tls = match tls {
            Some((config, name)) => {
                let mut tls = ClientConnection::new(config, name).map_err(io::Error::other)?;
                tls.set_buffer_limit(None);
                Some(Box::new(tls))
            }
            None => None,
        };
        Ok(Self { stream, tls })
    }

    pub(crate) fn set_nonblocking(&self, on: bool) -> io::Result<()> {
        self.stream.set_nonblocking(on)
    }

    pub(crate) fn set_read_timeout(&self, timeout: Duration) -> io::Result<()> {
        self.stream.set_read_timeout(Some(timeout))
    }

    /// Reads once; the bytes that came, of the far end's text. Those of a handshake are none.
    pub(crate) fn read(&mut self, buffer: &mut ReadBuffer) -> io::Result<usize> {
        let Some(tls) = &mut self.tls else {
            let read = self.stream.read(buffer.space(READ_BYTES / 4))?;
            buffer.filled += read;
            return if read == 0 { Err(ended()) } else { Ok(read) };
        };
        buffer.sealed.resize(READ_BYTES, 0);
        let mut sealed = match self.stream.read(&mut buffer.sealed)? {
            0 => return Err(ended()),
            read => &buffer.sealed[..read],
        };
        let before = buffer.filled;
        while !sealed.is_empty() {
            tls.read_tls(&mut sealed)?;
            let state = tls.process_new_packets().map_err(not_tls)?;
            let mut plain = state.plaintext_bytes_to_read();
            while plain > 0 {
                if buffer.bytes.len() - buffer.filled < plain {
                    let len = (buffer.filled + plain).max(buffer.bytes.len() * 2);
                    buffer.bytes.resize(len, 0);
                }
                let read = tls.reader().read(&mut buffer.bytes[buffer.filled..])?;
                buffer.filled += read;
                plain = plain.saturating_sub(read.max(1));
            }
        }
        // A handshake, or new keys, may have something to say.
        self.flush()?;
        Ok(buffer.filled - before)
    }

    /// Writes a part of `bytes`, or fails with `WouldBlock`.
    pub(crate) fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.tls.is_none() {
            return self.stream.write(bytes);
        }
        if !self.flush()? {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let Some(tls) = &mut self.tls else {
            return Ok(0);
        };
        let written = tls.writer().write(bytes)?;
        self.flush()?;
        Ok(written)
    }

    pub(crate) fn write_all(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            bytes = &bytes[self.write(bytes)?..];
        }
        Ok(())
    }

    /// Whether something was encrypted that is not yet written.
    pub(crate) fn waits(&self) -> bool {
        self.tls.as_ref().is_some_and(|tls| tls.wants_write())
    }

    /// Writes what is encrypted; whether all of it left.
    pub(crate) fn flush(&mut self) -> io::Result<bool> {
        if let Some(tls) = &mut self.tls {
            while tls.wants_write() {
                match tls.write_tls(&mut self.stream) {
                    Ok(_) => {}
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
                    Err(error) => return Err(error),
                }
            }
        }
        Ok(true)
    }
}

impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.stream.as_fd()
    }
}

/// Other bytes than TLS's mean that the port speaks something else.
fn not_tls(error: rustls::Error) -> io::Error {
    io::Error::other(match error {
        rustls::Error::InvalidMessage(_) => format!("no TLS is spoken there: {error}"),
        _ => format!("TLS: {error}"),
    })
}

fn ended() -> io::Error {
    io::Error::new(
        io::ErrorKind::UnexpectedEof,
        "the service ended the connection",
    )
}
