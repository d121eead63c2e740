//! A peer that only counts bytes: the far end for the bare relay.

use std::{
    io::{self, Read, Write},
    net::TcpStream,
    str::FromStr,
};

/// Answers each `request` bytes with `answer` bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Mirror {
    request: usize,
    answer: usize,
}

impl FromStr for Mirror {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let numbers: Vec<usize> = text.split(':').flat_map(str::parse).collect();
        match numbers[..] {
            [request, answer] if request > 0 && answer > 0 => Ok(Self { request, answer }),
            _ => Err("expected IN:OUT, as 1450:70".into()),
        }
    }
}

impl Mirror {
    pub(crate) fn serve(self, mut stream: TcpStream) -> io::Result<()> {
        let mut buffer = vec![0; 256 * 1024];
        let mut answers = Vec::new();
        let mut asked = 0;
        loop {
            match stream.read(&mut buffer)? {
                0 => return Ok(()),
                read => asked += read,
            }
            answers.resize(asked / self.request * self.answer, b'm');
            stream.write_all(&answers)?;
            asked %= self.request;
        }
    }
}
