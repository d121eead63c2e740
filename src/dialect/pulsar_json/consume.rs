//! What consumers and readers say: `ConsumerCommand`, as `ConsumerHandler` and `ReaderHandler` take it.

use super::{failed_to_deserialize, handler_threw, to_standard_alphabet};
use crate::{
    codec::{
        base64::decode_append,
        json::{
            JsonError, ObjectReader, Text,
            coerce::{as_int, as_string},
        },
    },
    dialect::{Rejection, Scratch},
    session::{consumer, reader},
};

/// Reads a consumer's frame. A type that is absent or unknown means an acknowledgement, as in Java.
pub(super) fn read_consumer<'a>(
    text: &'a [u8],
    scratch: &'a mut Scratch,
) -> Result<consumer::Command<'a>, Rejection<'a>> {
    if let Some(encoded) = usual_ack(text)
        && decode_append(encoded, &mut scratch.message_id).is_ok()
        && !scratch.message_id.is_empty()
    {
        return Ok(consumer::Command::Acknowledge {
            message_id: &scratch.message_id,
        });
    }
    let fields = Fields::read(text)?;
    match fields.kind() {
        Kind::Permit => match fields.permit_messages {
            Some(messages) => Ok(consumer::Command::Permit { messages }),
            None => Err(failed_to_deserialize()),
        },
        Kind::Unsubscribe => Ok(consumer::Command::Unsubscribe),
        Kind::IsEndOfTopic => Ok(consumer::Command::IsEndOfTopic),
        Kind::NegativeAcknowledge => Ok(consumer::Command::NegativeAcknowledge {
            message_id: fields.message_id(scratch)?,
        }),
        Kind::Acknowledge => Ok(consumer::Command::Acknowledge {
            message_id: fields.message_id(scratch)?,
        }),
    }
}

/// What stands for the id in an acknowledgement as JSON writers make them, with a space or without. What is base64 has no
/// quotes and no escapes, so nothing else has to be looked at where it decodes.
fn usual_ack(text: &[u8]) -> Option<&[u8]> {
    let text = text.strip_prefix(br#"{"messageId":"#)?;
    let text = text.strip_prefix(b" ").unwrap_or(text);
    text.strip_prefix(b"\"")?.strip_suffix(br#""}"#)
}

/// Reads a reader's frame: whatever it is, it asks for one more message, unless it asks for the end.
pub(super) fn read_reader<'a>(text: &'a [u8]) -> Result<reader::Command, Rejection<'a>> {
    Ok(match Fields::read(text)?.kind() {
        Kind::IsEndOfTopic => reader::Command::IsEndOfTopic,
        _ => reader::Command::Next,
    })
}

#[derive(Default)]
struct Fields<'a> {
    kind: Option<Text<'a>>,
    message_id: Option<Text<'a>>,
    permit_messages: Option<i32>,
}

enum Kind {
    Acknowledge,
    NegativeAcknowledge,
    Permit,
    Unsubscribe,
    IsEndOfTopic,
}

impl<'a> Fields<'a> {
    fn read(text: &'a [u8]) -> Result<Self, Rejection<'static>> {
        match Self::read_json(text) {
            Ok(Some(fields)) => Ok(fields),
            Ok(None) => Err(handler_threw("A command must be a JSON object")),
            Err(_) => Err(failed_to_deserialize()),
        }
    }

    /// `None` for the literal `null`.
    fn read_json(text: &'a [u8]) -> Result<Option<Self>, JsonError> {
        let Some(mut members) = ObjectReader::new(text)? else {
            return Ok(None);
        };
        let mut fields = Self::default();
        while let Some((name, value)) = members.next()? {
            let taken = if name.is("messageId") {
                as_string(&value).map(|text| fields.message_id = text)
            } else if name.is("type") {
                as_string(&value).map(|text| fields.kind = text)
            } else if name.is("permitMessages") {
                as_int(&value).map(|messages| fields.permit_messages = messages)
            } else {
                Ok(())
            };
            taken.map_err(|error| members.refuse(error))?;
        }
        Ok(Some(fields))
    }

    fn kind(&self) -> Kind {
        let Some(kind) = self.kind else {
            return Kind::Acknowledge;
        };
        if kind.is("negativeAcknowledge") {
            Kind::NegativeAcknowledge
        } else if kind.is("permit") {
            Kind::Permit
        } else if kind.is("unsubscribe") {
            Kind::Unsubscribe
        } else if kind.is("isEndOfTopic") {
            Kind::IsEndOfTopic
        } else {
            Kind::Acknowledge
        }
    }

    /// Decodes the id; whether its bytes are one is the backend's to say. An empty one never is.
    fn message_id(&self, scratch: &'a mut Scratch) -> Result<&'a [u8], Rejection<'a>> {
        let text = self
            .message_id
            .ok_or_else(|| handler_threw("messageId is required"))?;
        let Scratch {
            text: unescaped,
            message_id,
            ..
        } = scratch;
        let encoded = match text.plain_bytes() {
            Some(plain) if memchr::memchr2(b'-', b'_', plain).is_none() => plain,
            _ => {
                text.unescape_append(unescaped);
                to_standard_alphabet(unescaped);
                unescaped
            }
        };
        decode_append(encoded, message_id).map_err(|error| handler_threw(error.to_string()))?;
        if message_id.is_empty() {
            return Err(failed_to_deserialize());
        }
        Ok(message_id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn consumer(text: &str) -> String {
        let mut scratch = Scratch::new();
        match read_consumer(text.as_bytes(), &mut scratch) {
            Ok(consumer::Command::Acknowledge { message_id }) => format!("ack {message_id:02x?}"),
            Ok(consumer::Command::NegativeAcknowledge { message_id }) => {
                format!("nack {message_id:02x?}")
            }
            Ok(command) => format!("{command:?}"),
            Err(Rejection::Close { code, reason }) => format!("{code} {reason}"),
            Err(reply) => panic!("{reply:?}"),
        }
    }

    #[test]
    fn everything_unknown_is_an_acknowledgement() {
        let expected = "ack [08, 03, 10, 00, 30, 00]";
        for text in [
            r#"{"messageId":"CAMQADAA"}"#,
            r#"{"type":"ack","messageId":"CAMQADAA"}"#,
            r#"{"type":null,"messageId":"CAMQADAA"}"#,
            r#"{"type":"","messageId":"CAMQADAA"}"#,
            r#"{"type":"Permit","messageId":"CAMQADAA"}"#,
            r#"{"type":"negativeacknowledge","messageId":"CAMQADAA","x":[1]} trailing"#,
            r#"{"messageId":"!","messageId":"CAMQADA\u0041"}"#,
        ] {
            assert_eq!(consumer(text), expected, "{text}");
        }
    }

    #[test]
    fn usual_acknowledgements_are_read_as_others_are() {
        for id in [
            "CAMQADAA",
            "CAMQADA=",
            "CAMQAA==",
            "CAMQAA",
            "CAMQ\\u0041DAA",
            "",
            "=",
            "CAMQ\"DAA",
            "CAMQ ADAA",
            "-_-_",
            "A",
        ] {
            let long = consumer(&format!(r#"{{"messageId":"{id}" }}"#));
            for usual in [
                format!(r#"{{"messageId":"{id}"}}"#),
                format!(r#"{{"messageId": "{id}"}}"#),
            ] {
                assert_eq!(consumer(&usual), long, "{usual}");
            }
        }
        assert!(usual_ack(br#"{"messageId":"CAMQADAA"}"#).is_some());
    }

    #[test]
    fn known_commands_are_told_apart() {
        let nack = r#"{"type":"negativeAcknowledge","messageId":"CAMQADAA"}"#;
        assert_eq!(consumer(nack), "nack [08, 03, 10, 00, 30, 00]");
        assert_eq!(consumer(r#"{"type":"unsubscribe"}"#), "Unsubscribe");
        assert_eq!(consumer(r#"{"type":"isEndOfTopic"}"#), "IsEndOfTopic");
        let permit = r#"{"type":"permit","permitMessages":"-3"}"#;
        assert_eq!(consumer(permit), "Permit { messages: -3 }");
    }

    #[test]
    fn both_alphabets_of_base64_name_a_message() {
        for text in ["-_-_", "+/+/", "-/-/"] {
            let command = format!(r#"{{"messageId":"{text}"}}"#);
            assert_eq!(consumer(&command), "ack [fb, ff, bf]");
        }
    }

    #[test]
    fn what_is_no_command_closes_the_session() {
        for text in [
            "",
            "x",
            "[]",
            "{",
            r#"{"type":{}}"#,
            r#"{"type":"permit"}"#,
            r#"{"type":"permit","permitMessages":null}"#,
            r#"{"permitMessages":"x","messageId":"CAMQADAA"}"#,
            r#"{"messageId":""}"#,
        ] {
            assert_eq!(
                consumer(text),
                "4003 Failed to de-serialize from JSON",
                "{text}"
            );
        }
        assert_eq!(consumer("null"), "1011 A command must be a JSON object");
        for text in [
            "{}",
            r#"{"messageId":null}"#,
            r#"{"type":"negativeAcknowledge"}"#,
        ] {
            assert_eq!(consumer(text), "1011 messageId is required", "{text}");
        }
        let blank = r#"{"messageId":"CAMQ ADAA"}"#;
        assert_eq!(consumer(blank), "1011 Illegal base64 character 20");
    }

    #[test]
    fn any_frame_lets_a_reader_go_on() {
        let read = |text: &'static str| read_reader(text.as_bytes());
        for text in ["{}", r#"{"type":"permit"}"#, r#"{"messageId":"!"}"#, "{}x"] {
            assert_eq!(read(text), Ok(reader::Command::Next), "{text}");
        }
        assert_eq!(
            read(r#"{"type":"isEndOfTopic"}"#),
            Ok(reader::Command::IsEndOfTopic)
        );
        assert_eq!(read("no"), Err(failed_to_deserialize()));
        assert!(matches!(
            read("null"),
            Err(Rejection::Close { code: 1011, .. })
        ));
    }

    /// What Jackson makes of the same texts; see the head of the file.
    #[test]
    fn reads_fields_as_jackson_does() {
        let vectors = include_str!("../../../tests/data/messages-jackson.txt");
        let mut checked = 0;
        for line in vectors.lines() {
            let Some((text, expected)) = line.strip_prefix("C ").and_then(|l| l.split_once('\t'))
            else {
                continue;
            };
            let show = |text: Option<Text<'_>>| {
                text.map_or_else(|| "null".to_owned(), |text| format!("{:?}", text.to_cow()))
            };
            let got = match Fields::read_json(text.as_bytes()) {
                Ok(Some(fields)) => format!(
                    "type={} messageId={} permit={}",
                    show(fields.kind),
                    show(fields.message_id),
                    fields
                        .permit_messages
                        .map_or_else(|| "null".to_owned(), |n| n.to_string()),
                ),
                Ok(None) => "null".to_owned(),
                Err(_) => "refused".to_owned(),
            };
            assert_eq!(got, expected, "{text}");
            checked += 1;
        }
        assert!(checked > 20);
    }
}
