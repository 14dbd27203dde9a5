//! Compressed bodies: gzip and deflate, unpacked no further than the limit.

use std::io::Read;

use axum::body::Bytes;
use axum::http::{HeaderMap, header};
use flate2::read::{GzDecoder, ZlibDecoder};
use lw_core::Result;

use crate::failures::{BODY_TOO_LARGE, INVALID_BODY};

/// The body as the client wrote it before compressing.
pub fn decoded(headers: &HeaderMap, body: Bytes, limit_bytes: usize) -> Result<Bytes> {
    match headers.get(header::CONTENT_ENCODING).map(|encoding| encoding.as_bytes()) {
        None | Some(b"" | b"identity") => Ok(body),
        Some(b"gzip") => unpack(GzDecoder::new(body.as_ref()), limit_bytes),
        Some(b"deflate") => unpack(ZlibDecoder::new(body.as_ref()), limit_bytes),
        Some(_) => Err(INVALID_BODY.error("the content encoding is not known").hint("send gzip, deflate or no encoding")),
    }
}

fn unpack(reader: impl Read, limit_bytes: usize) -> Result<Bytes> {
    let mut unpacked = Vec::new();
    let limit = limit_bytes as u64;
    let read = reader.take(limit + 1).read_to_end(&mut unpacked);
    read.map_err(|error| INVALID_BODY.error("the compressed body is damaged").hint("compress it again").cause(error))?;
    if unpacked.len() as u64 > limit {
        return Err(BODY_TOO_LARGE.error(format!("the body unpacks to more than {limit} bytes")).hint("send less at once"));
    }
    Ok(unpacked.into())
}
