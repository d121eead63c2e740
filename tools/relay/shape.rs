//! How many bytes go where for each message.

use std::str::FromStr;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Shape {
    /// From a client to the far end.
    pub(crate) request: Leg,
    /// From the far end to a client.
    pub(crate) answer: Leg,
    /// Requests that a client is ahead by when it comes, as a consumer is by its permits.
    pub(crate) ahead: usize,
}

/// What comes in for each message, and what goes out for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Leg {
    pub(crate) bytes_in: usize,
    pub(crate) bytes_out: usize,
}

impl Leg {
    /// Appends the beginning of each message of `bytes`, all of which are whole; of shorter ones
    /// everything, and something to fill up.
    pub(crate) fn carry(self, bytes: &[u8], out: &mut Vec<u8>) {
        let kept = self.bytes_in.min(self.bytes_out);
        let fill = self.bytes_out - kept;
        for message in bytes.chunks_exact(self.bytes_in) {
            out.extend_from_slice(&message[..kept]);
            out.resize(out.len() + fill, b'+');
        }
    }

    /// Appends so many messages that nothing came in for.
    pub(crate) fn make(self, messages: usize, out: &mut Vec<u8>) {
        out.resize(out.len() + messages * self.bytes_out, b'+');
    }
}

impl FromStr for Shape {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let numbers: Result<Vec<usize>, _> = text.split(':').map(str::parse).collect();
        match numbers.as_deref() {
            Ok(&[bytes_in, sent, back, out, ahead])
                if bytes_in.min(sent).min(back).min(out) > 0 =>
            {
                Ok(Self {
                    request: Leg {
                        bytes_in,
                        bytes_out: sent,
                    },
                    answer: Leg {
                        bytes_in: back,
                        bytes_out: out,
                    },
                    ahead,
                })
            }
            _ => Err("expected IN:SENT:BACK:OUT:AHEAD, as 1450:1090:40:95:0".into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_message_leaves_with_its_own_length() {
        let mut out = Vec::new();
        let shorter = Leg {
            bytes_in: 3,
            bytes_out: 2,
        };
        shorter.carry(b"abcdef", &mut out);
        assert_eq!(out, b"abde");
        let longer = Leg {
            bytes_in: 1,
            bytes_out: 3,
        };
        longer.carry(b"xy", &mut out);
        longer.make(1, &mut out);
        assert_eq!(out, b"abdex++y+++++");
    }

    #[test]
    fn a_shape_is_five_numbers_that_mean_something() {
        let shape: Shape = "5:4:3:2:0".parse().expect("a shape");
        assert_eq!((shape.request.bytes_out, shape.answer.bytes_in), (4, 3));
        for wrong in [
            "",
            "5:4:3:2",
            "5:4:3:2:1:0",
            "0:4:3:2:0",
            "5:4:3:0:0",
            "5:x:3:2:0",
        ] {
            assert!(wrong.parse::<Shape>().is_err(), "{wrong}");
        }
    }
}
