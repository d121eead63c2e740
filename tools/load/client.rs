//! A WebSocket connection, as a client that knows its server sees it.

use std::{
    io::{self, Read, Write},
    net::{SocketAddr, TcpStream},
    time::Duration,
};

use crate::{
    deflate::{self, Deflate},
    frames,
};

const READ_BYTES: usize = 256 * 1024;
/// Longer silence is an error: under load something always comes.
const SILENCE_MAX: Duration = Duration::from_secs(60);

pub(crate) struct Client {
    stream: TcpStream,
    buffer: Vec<u8>,
    filled: usize,
    deflate: Option<Deflate>,
    /// Since the handshake.
    pub(crate) traffic: Traffic,
}

/// Bytes in each direction, headers of frames included.
#[derive(Clone, Copy, Default)]
pub(crate) struct Traffic {
    pub(crate) sent: u64,
    pub(crate) received: u64,
}

impl Client {
    /// Connects and upgrades, with compression where `deflate` asks for it.
    pub(crate) fn open(address: SocketAddr, path: &str, deflate: bool) -> io::Result<Self> {
        let mut client = Self::connect(address)?;
        let offer = if deflate { deflate::OFFER } else { "" };
        let request = format!(
            "GET {path} HTTP/1.1\r\nHost: {address}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n{offer}\r\n"
        );
        client.send(request.as_bytes())?;
        loop {
            client.fill()?;
            let got = &client.buffer[..client.filled];
            if let Some(end) = got.windows(4).position(|window| window == b"\r\n\r\n") {
                if !got.starts_with(b"HTTP/1.1 101 ") {
                    let head = String::from_utf8_lossy(&got[..end]).into_owned();
                    return Err(io::Error::other(format!("refused: {head}")));
                }
                if deflate {
                    if memchr::memmem::find(&got[..end], b": permessage-deflate").is_none() {
                        return Err(io::Error::other("permessage-deflate is not agreed to"));
                    }
                    client.deflate = Some(Deflate::new());
                }
                client.drop_front(end + 4);
                client.traffic = Traffic {
                    sent: 0,
                    received: client.filled as u64,
                };
                return Ok(client);
            }
        }
    }

    fn connect(address: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(SILENCE_MAX))?;
        Ok(Self {
            stream,
            buffer: vec![0; 1024],
            filled: 0,
            deflate: None,
            traffic: Traffic::default(),
        })
    }

    pub(crate) fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.traffic.sent += bytes.len() as u64;
        self.stream.write_all(bytes)
    }

    /// Appends a text, compressed where that was agreed.
    pub(crate) fn put(&mut self, out: &mut Vec<u8>, text: &[u8]) -> io::Result<()> {
        match &mut self.deflate {
            Some(deflate) => {
                let text = deflate.deflate(text)?;
                frames::put(out, frames::COMPRESSED | frames::TEXT, text);
            }
            None => frames::put(out, frames::TEXT, text),
        }
        Ok(())
    }

    /// Reads once and hands each text that is now whole to `text`.
    pub(crate) fn receive(&mut self, mut text: impl FnMut(&[u8])) -> io::Result<()> {
        if self.buffer.len() < READ_BYTES {
            self.buffer.resize(READ_BYTES, 0);
        }
        // After the handshake something may be there already.
        if frames::next(&self.buffer[..self.filled]).is_none() {
            self.fill()?;
        }
        let mut done = 0;
        while let Some(frame) = frames::next(&self.buffer[done..self.filled]) {
            let end = frame.payload.end;
            let payload = &self.buffer[done..][frame.payload];
            match (frame.opcode, &mut self.deflate) {
                (frames::TEXT, Some(deflate)) if frame.compressed => {
                    text(deflate.inflate(payload)?);
                }
                (frames::TEXT, _) => text(payload),
                (frames::CLOSE, _) => {
                    let reason = String::from_utf8_lossy(payload.get(2..).unwrap_or_default());
                    return Err(io::Error::other(format!("closed by the service: {reason}")));
                }
                _ => {}
            }
            done += end;
        }
        self.drop_front(done);
        Ok(())
    }

    /// Says goodbye and waits until the service has done so too.
    pub(crate) fn close(mut self) -> io::Result<()> {
        let mut goodbye = Vec::new();
        frames::put(&mut goodbye, frames::CLOSE, &1000_u16.to_be_bytes());
        self.send(&goodbye)?;
        self.stream
            .set_read_timeout(Some(Duration::from_secs(10)))?;
        self.buffer.resize(READ_BYTES, 0);
        while !matches!(self.stream.read(&mut self.buffer), Ok(0) | Err(_)) {}
        Ok(())
    }

    fn fill(&mut self) -> io::Result<()> {
        if self.filled == self.buffer.len() {
            self.buffer.resize(self.filled * 2, 0);
        }
        match self.stream.read(&mut self.buffer[self.filled..])? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            read => {
                self.filled += read;
                self.traffic.received += read as u64;
                Ok(())
            }
        }
    }

    fn drop_front(&mut self, bytes: usize) {
        self.buffer.copy_within(bytes..self.filled, 0);
        self.filled -= bytes;
    }
}
