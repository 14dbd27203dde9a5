//! Files on their way out: whole, or a stretch of them (RFC 9110, section 14).

use std::ops::Range;

use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::response::Response;
use futures::StreamExt;
use lw_tracking::Artifact;

use super::media::{disposition, media_type};
use super::path::name;
use crate::Face;
use crate::refusal::{Answer, ErrorCode, Refusal};

/// What a client wants of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Wanted {
    Whole,
    Stretch(Range<u64>),
    /// What the file does not have.
    Beyond,
    /// The client has the file already.
    Nothing,
}

/// Answers with a file.
pub(crate) async fn send(face: &Face, method: &Method, asked: &HeaderMap, artifact: &Artifact) -> Answer<Response> {
    let size_bytes = artifact.size_bytes;
    let wanted = wanted(asked, &etag(artifact), size_bytes);
    let (status, stretch) = match &wanted {
        Wanted::Whole => (StatusCode::OK, None),
        Wanted::Stretch(range) => (StatusCode::PARTIAL_CONTENT, Some(range.clone())),
        Wanted::Beyond => (StatusCode::RANGE_NOT_SATISFIABLE, Some(0..0)),
        Wanted::Nothing => (StatusCode::NOT_MODIFIED, Some(0..0)),
    };
    let n_bytes = stretch.as_ref().map_or(size_bytes, |range| range.end - range.start);
    let body = if method == Method::HEAD || n_bytes == 0 {
        Body::empty()
    } else {
        let content = face.artifacts().read(&artifact.digest, size_bytes, stretch.clone()).await?;
        // The client sees that the file broke off, because fewer bytes come than were promised.
        Body::from_stream(content.inspect(|part| {
            if let Err(error) = part {
                tracing::error!(code = error.code(), ?error, "A download broke off: {error}");
            }
        }))
    };
    let mut response = Response::new(body);
    *response.status_mut() = status;
    describe(response.headers_mut(), artifact, &wanted, n_bytes)?;
    Ok(response)
}

fn describe(headers: &mut HeaderMap, artifact: &Artifact, wanted: &Wanted, n_bytes: u64) -> Answer<()> {
    let name = name(&artifact.path);
    let mut set = |header: header::HeaderName, text: String| -> Answer<()> {
        let value = HeaderValue::try_from(text);
        headers.insert(header, value.map_err(|_| Refusal::new(ErrorCode::InternalError, "the file cannot be described"))?);
        Ok(())
    };
    set(header::ETAG, etag(artifact))?;
    set(header::ACCEPT_RANGES, "bytes".to_owned())?;
    match wanted {
        Wanted::Nothing => return Ok(()),
        Wanted::Beyond => set(header::CONTENT_RANGE, format!("bytes */{}", artifact.size_bytes))?,
        Wanted::Stretch(range) => {
            set(header::CONTENT_RANGE, format!("bytes {}-{}/{}", range.start, range.end - 1, artifact.size_bytes))?;
        }
        Wanted::Whole => {}
    }
    set(header::CONTENT_LENGTH, n_bytes.to_string())?;
    set(header::CONTENT_TYPE, media_type(name).to_owned())?;
    // Saved and not shown, because a page of a user's must not run as one of this server's.
    set(header::CONTENT_DISPOSITION, disposition(name))?;
    set(header::X_CONTENT_TYPE_OPTIONS, "nosniff".to_owned())
}

/// The digest: equal tags are equal files.
fn etag(artifact: &Artifact) -> String {
    format!("\"{}\"", artifact.digest.hex())
}

fn wanted(asked: &HeaderMap, etag: &str, size_bytes: u64) -> Wanted {
    let text = |name| asked.get(name).and_then(|value: &HeaderValue| value.to_str().ok());
    let is_same =
        |tags: &str| tags.split(',').any(|tag| matches!(tag.trim(), "*") || tag.trim().trim_start_matches("W/") == etag);
    if text(header::IF_NONE_MATCH).is_some_and(is_same) {
        return Wanted::Nothing;
    }
    // A stretch of another version of the file would be of no use.
    let is_stale = text(header::IF_RANGE).is_some_and(|tag| tag.trim() != etag);
    match text(header::RANGE) {
        Some(range) if !is_stale => stretch(range, size_bytes),
        _ => Wanted::Whole,
    }
}

/// Reads `bytes=0-9`, `bytes=10-` and `bytes=-5`. Several stretches at once, and what is malformed, get the whole file, as the
/// standard allows.
fn stretch(range: &str, size_bytes: u64) -> Wanted {
    let Some((unit, range)) = range.split_once('=') else { return Wanted::Whole };
    let Some((first, last)) = range.split_once('-').filter(|_| unit.trim().eq_ignore_ascii_case("bytes")) else {
        return Wanted::Whole;
    };
    let number = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse::<u64>().ok()).flatten();
    let (first, last) = (first.trim(), last.trim());
    let (start, end) = match (number(first), number(last)) {
        (Some(start), None) if last.is_empty() => (start, size_bytes),
        (Some(start), Some(last)) if start <= last => (start, last.saturating_add(1).min(size_bytes)),
        (None, Some(n_last)) if first.is_empty() => (size_bytes.saturating_sub(n_last), size_bytes),
        _ => return Wanted::Whole,
    };
    if start < end { Wanted::Stretch(start..end) } else { Wanted::Beyond }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stretches_are_read_as_the_standard_says() {
        let check = |range: &str, want: Wanted| assert_eq!(stretch(range, 10), want, "{range}");
        check("bytes=0-0", Wanted::Stretch(0..1));
        check("bytes=2-5", Wanted::Stretch(2..6));
        check("bytes=2-", Wanted::Stretch(2..10));
        check("bytes=-3", Wanted::Stretch(7..10));
        check("bytes=-99", Wanted::Stretch(0..10));
        check("bytes=5-99", Wanted::Stretch(5..10));
        check("BYTES = 1 - 2", Wanted::Stretch(1..3));
        check("bytes=0-18446744073709551615", Wanted::Stretch(0..10));
        check("bytes=10-", Wanted::Beyond);
        check("bytes=10-20", Wanted::Beyond);
        check("bytes=-0", Wanted::Beyond);
        for malformed in ["bytes=", "bytes=-", "bytes=a-b", "bytes=5-2", "rows=0-1", "bytes=0-1,3-4", "bytes=+1-2", "0-1", ""] {
            check(malformed, Wanted::Whole);
        }
        assert_eq!(stretch("bytes=0-", 0), Wanted::Beyond);
        assert_eq!(stretch("bytes=-5", 0), Wanted::Beyond);
    }
}
