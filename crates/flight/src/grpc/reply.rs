//! What a client receives: messages one by one, then how the call ended.

use std::convert::Infallible;

use bytes::{BufMut, Bytes, BytesMut};
use futures::stream::BoxStream;
use futures::{Stream, StreamExt, stream};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, StreamBody};
use hyper::body::Frame;
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::{HeaderMap, Response};
use lw_core::{Error, Result};
use prost::Message;

use super::status::{OK, log, put_status, status_code};

pub type Body = UnsyncBoxBody<Bytes, Infallible>;

/// One message in pieces, which lie one after the other on the wire. Large pieces are never copied.
pub type Pieces = Vec<Bytes>;

/// The answer to a call that was accepted.
pub struct Reply {
    headers: HeaderMap,
    messages: BoxStream<'static, Result<Pieces>>,
}

impl Reply {
    pub fn one(message: &impl Message) -> Self {
        Self::of(vec![message.encode_to_vec().into()])
    }

    /// Messages that are there already.
    pub fn of(messages: Vec<Bytes>) -> Self {
        Self::stream(stream::iter(messages.into_iter().map(|message| Ok(vec![message]))))
    }

    pub fn stream(messages: impl Stream<Item = Result<Pieces>> + Send + 'static) -> Self {
        Self { headers: HeaderMap::new(), messages: messages.boxed() }
    }

    /// Adds a header that stands before the first message.
    #[must_use]
    pub fn header(mut self, name: &'static str, value: HeaderValue) -> Self {
        self.headers.insert(name, value);
        self
    }

    pub fn into_response(self) -> Response<Body> {
        // The status stands behind the last message, or behind the message before the one that failed.
        let ends = self.messages.map(Some).chain(stream::once(async { None }));
        let frames = ends.scan(false, |is_over, message| {
            let frames = match message {
                _ if *is_over => None,
                Some(Ok(pieces)) => Some(framed(pieces)),
                Some(Err(error)) => {
                    *is_over = true;
                    log(&error);
                    Some(vec![Frame::trailers(trailers(Some(&error)))])
                }
                None => Some(vec![Frame::trailers(trailers(None))]),
            };
            std::future::ready(frames)
        });
        let body = StreamBody::new(frames.flat_map(stream::iter).map(Ok::<_, Infallible>));
        let mut response = Response::new(body.boxed_unsync());
        *response.headers_mut() = self.headers;
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
        response
    }
}

/// The answer to a call that failed before its first message.
pub fn refused(error: &Error) -> Response<Body> {
    log(error);
    let mut response = Response::new(http_body_util::Empty::new().boxed_unsync());
    *response.headers_mut() = trailers(Some(error));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    response
}

fn trailers(error: Option<&Error>) -> HeaderMap {
    let mut trailers = HeaderMap::new();
    match error {
        None => {
            trailers.insert("grpc-status", HeaderValue::from(OK));
        }
        Some(error) => put_status(&mut trailers, status_code(error), error),
    }
    trailers
}

/// A message behind its length.
fn framed(pieces: Pieces) -> Vec<Frame<Bytes>> {
    let n_bytes: usize = pieces.iter().map(Bytes::len).sum();
    let mut prefix = BytesMut::with_capacity(5);
    prefix.put_u8(0);
    prefix.put_u32(u32::try_from(n_bytes).unwrap_or(u32::MAX));
    let frames = std::iter::once(prefix.freeze()).chain(pieces);
    joined(frames).into_iter().map(Frame::data).collect()
}

/// Joins what is small, since each piece costs a frame, and leaves what is large where it lies.
fn joined(pieces: impl Iterator<Item = Bytes>) -> Vec<Bytes> {
    const SMALL: usize = 8 << 10;
    let (mut joined, mut small) = (Vec::new(), BytesMut::new());
    for piece in pieces.filter(|piece| !piece.is_empty()) {
        if piece.len() <= SMALL {
            small.extend_from_slice(&piece);
            continue;
        }
        if !small.is_empty() {
            joined.push(small.split().freeze());
        }
        joined.push(piece);
    }
    if !small.is_empty() {
        joined.push(small.freeze());
    }
    joined
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn large_pieces_are_not_copied() {
        let (large, small) = (Bytes::from(vec![7; 100_000]), Bytes::from_static(b"abc"));
        let pieces = [small.clone(), Bytes::new(), small.clone(), large.clone(), small.clone()];
        let joined = joined(pieces.clone().into_iter());
        assert_eq!(joined.iter().map(Bytes::len).collect::<Vec<_>>(), [6, 100_000, 3]);
        assert_eq!(joined[1].as_ptr(), large.as_ptr());
        assert_eq!(joined.concat(), pieces.concat());
    }

    #[tokio::test]
    async fn a_failure_ends_the_answer_with_its_status() {
        let error = crate::failures::FLIGHT_HANDLE_UNKNOWN.error("no ticket").hint("ask again");
        let messages = vec![Ok(vec![Bytes::from_static(b"ab")]), Err(error), Ok(vec![Bytes::from_static(b"never")])];
        let body = Reply::stream(stream::iter(messages)).into_response().into_body().collect().await.unwrap();
        let trailers = body.trailers().unwrap().clone();
        assert_eq!(&trailers["grpc-status"], "5");
        assert_eq!(&trailers["grpc-message"], "no ticket%0Ahint: ask again [flight-handle-unknown]");
        assert_eq!(body.to_bytes().as_ref(), b"\0\0\0\0\x02ab");
    }
}
