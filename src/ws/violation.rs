//! What a client can do wrong, and the close frame that answers it.
//!
//! The texts of 1007 and 1009 are Jetty's, which clients of the Java service have seen; those of 1002 are ours.

use super::frame::close_code;
use super::utf8;

/// A breach of the protocol or of a limit, in the terms of the close frame that answers it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// The status code to close with.
    pub code: u16,
    /// The reason to close with.
    pub reason: String,
}

impl Violation {
    pub(super) fn protocol(reason: &str) -> Self {
        Self {
            code: close_code::PROTOCOL_ERROR,
            reason: reason.to_owned(),
        }
    }

    pub(super) fn not_utf8(fault: utf8::Fault) -> Self {
        Self {
            code: close_code::INVALID_PAYLOAD,
            reason: fault.to_string(),
        }
    }

    /// What is no deflate data. As in Jetty, to the letter, where that notices it.
    pub(super) fn not_deflate(fault: &str) -> Self {
        Self {
            code: close_code::INVALID_PAYLOAD,
            reason: format!("java.util.zip.DataFormatException: {fault}"),
        }
    }

    /// As in Jetty, to the letter.
    pub(super) fn too_big(kind: &str, bytes: u64, bytes_max: usize) -> Self {
        Self {
            code: close_code::MESSAGE_TOO_BIG,
            reason: format!("{kind} message size [{bytes}] exceeds maximum size [{bytes_max}]"),
        }
    }
}

/// Judges the payload of a close frame: nothing, or a code and a reason. A reason that was cut to its 123 bytes in the
/// middle of a character is no breach, as in Jetty, and ends before that character.
pub(super) fn close_payload(payload: &[u8]) -> Result<(Option<u16>, &str), Violation> {
    let Some((code, reason)) = payload.split_first_chunk() else {
        return if payload.is_empty() {
            Ok((None, ""))
        } else {
            Err(Violation::protocol("A close code has two bytes"))
        };
    };
    let code = u16::from_be_bytes(*code);
    if !close_code::may_travel(code) {
        return Err(Violation::protocol(&format!(
            "Close code {code} must not be sent"
        )));
    }
    let reason = std::str::from_utf8(reason).or_else(|error| {
        let whole = reason.get(..error.valid_up_to()).unwrap_or_default();
        match (error.error_len(), std::str::from_utf8(whole)) {
            (None, Ok(whole)) => Ok(whole),
            _ => Err(Violation {
                code: close_code::INVALID_PAYLOAD,
                reason: "Invalid Close Reason".to_owned(),
            }),
        }
    })?;
    Ok((Some(code), reason))
}
