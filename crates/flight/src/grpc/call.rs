//! What a client sends: one message, or a few.

use std::time::Duration;

use bytes::{Buf, Bytes};
use http_body_util::{BodyExt, Limited};
use hyper::HeaderMap;
use hyper::body::Body;
use lw_core::Result;
use prost::Message;

use crate::failures::FLIGHT_BAD_CALL;

/// A call's messages together. Statements and the values of their parameters are small.
const MAX_CALL_BYTES: usize = 16 << 20;
/// A client may take so long to send its messages.
const RECEIVE_TIMEOUT: Duration = Duration::from_secs(30);
/// A byte that says whether a message is compressed, and its length.
const PREFIX_BYTES: usize = 5;

/// The messages of a call.
#[derive(Debug)]
pub struct Call {
    messages: Vec<Bytes>,
}

impl Call {
    /// Reads all that the client sends.
    pub async fn receive<B>(body: B) -> Result<Self>
    where
        B: Body<Data = Bytes>,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let collected = tokio::time::timeout(RECEIVE_TIMEOUT, Limited::new(body, MAX_CALL_BYTES).collect());
        let collected = collected.await.map_err(|_| FLIGHT_BAD_CALL.error("the call did not come to its end"))?;
        let collected = collected.map_err(|error| {
            let error =
                FLIGHT_BAD_CALL.error(format!("the call broke off, or is larger than {MAX_CALL_BYTES} bytes")).cause(error);
            error.hint("send less at once")
        })?;
        Self::split(collected.to_bytes())
    }

    fn split(mut bytes: Bytes) -> Result<Self> {
        let torn = || FLIGHT_BAD_CALL.error("the call ends within a message").hint("is this client a gRPC client?");
        let mut messages = Vec::new();
        while !bytes.is_empty() {
            if bytes.len() < PREFIX_BYTES {
                return Err(torn());
            }
            if bytes.get_u8() != 0 {
                let error = FLIGHT_BAD_CALL.error("the call's messages are compressed");
                return Err(error.hint("switch compression off in the client; this server takes plain messages"));
            }
            let length = usize::try_from(bytes.get_u32()).unwrap_or(usize::MAX);
            if bytes.len() < length {
                return Err(torn());
            }
            messages.push(bytes.split_to(length));
        }
        Ok(Self { messages })
    }

    /// The only message of a call that has one.
    pub fn message<M: Message + Default>(&self) -> Result<M> {
        match self.messages.as_slice() {
            [message] => read(message),
            other => Err(FLIGHT_BAD_CALL.error(format!("the call has {} messages, and not one", other.len()))),
        }
    }

    pub fn messages<M: Message + Default>(&self) -> Result<Vec<M>> {
        self.messages.iter().map(read).collect()
    }
}

fn read<M: Message + Default>(bytes: &Bytes) -> Result<M> {
    M::decode(bytes.clone()).map_err(|error| {
        FLIGHT_BAD_CALL.error("a message of the call cannot be read").hint("is this client a Flight SQL client?").cause(error)
    })
}

/// How long the client waits: the header `grpc-timeout`, digits and a unit.
pub fn timeout(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get("grpc-timeout")?.to_str().ok()?;
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    if digits.len() > 8 {
        return None;
    }
    let number: u64 = digits.parse().ok()?;
    Some(match unit {
        "H" => Duration::from_secs(number * 3600),
        "M" => Duration::from_secs(number * 60),
        "S" => Duration::from_secs(number),
        "m" => Duration::from_millis(number),
        "u" => Duration::from_micros(number),
        "n" => Duration::from_nanos(number),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::Ticket;

    fn framed(message: &impl Message) -> Vec<u8> {
        let body = message.encode_to_vec();
        let mut bytes = vec![0];
        bytes.extend(u32::try_from(body.len()).unwrap().to_be_bytes());
        bytes.extend(body);
        bytes
    }

    #[test]
    fn messages_are_split_at_their_lengths() {
        let tickets = ["one", "", "three"].map(|text| Ticket { ticket: text.into() });
        let bytes: Vec<u8> = tickets.iter().flat_map(framed).collect();
        let call = Call::split(bytes.clone().into()).unwrap();
        assert_eq!(call.messages::<Ticket>().unwrap(), tickets);
        assert!(call.message::<Ticket>().unwrap_err().is(FLIGHT_BAD_CALL), "one message was asked for");
        for n_bytes in [1, 4, 6, bytes.len() - 1] {
            assert!(Call::split(bytes[..n_bytes].to_vec().into()).unwrap_err().is(FLIGHT_BAD_CALL), "{n_bytes}");
        }
        assert!(Call::split(vec![1, 0, 0, 0, 0].into()).unwrap_err().message().contains("compressed"));
        assert!(Call::split(vec![0, 0, 0, 0, 1, 0xff].into()).unwrap().message::<Ticket>().is_err());
    }

    #[test]
    fn timeouts_have_units() {
        let check = |text: &str, want: Option<Duration>| {
            let headers = HeaderMap::from_iter([("grpc-timeout".parse().unwrap(), text.parse().unwrap())]);
            assert_eq!(timeout(&headers), want, "{text}");
        };
        check("5S", Some(Duration::from_secs(5)));
        check("1500m", Some(Duration::from_millis(1500)));
        check("2H", Some(Duration::from_secs(7200)));
        check("99999999n", Some(Duration::from_nanos(99_999_999)));
        for odd in ["", "S", "5", "5s", "-1S", "999999999S"] {
            check(odd, None);
        }
    }
}
