//! Files on their way in.

use std::time::Duration;

use axum::body::{Body, Bytes};
use futures::stream::unfold;
use futures::{Stream, StreamExt};
use lw_core::{Ctx, Result};
use lw_tracking::ArtifactPlace;

use super::path::invalid;
use super::refused;
use crate::Face;
use crate::failures::{UPLOAD_BROKE_OFF, UPLOAD_STALLED};
use crate::refusal::Answer;

/// An upload may take hours, but something must come every minute.
const MAX_IDLE: Duration = Duration::from_secs(60);

/// Keeps a body under a path. What would be refused at the end is refused before it is read.
pub(super) async fn keep(face: &Face, ctx: &Ctx, place: &ArtifactPlace, body: Body) -> Answer<()> {
    if place.path.is_empty() {
        return Err(invalid());
    }
    let tracking = face.tracking();
    tracking.may_log_artifact(&place.owner, &place.path).await.map_err(refused)?;
    let stored = face.artifacts().put_stream(arriving(body, MAX_IDLE)).await?;
    tracking.log_artifact(ctx, &place.owner, &place.path, stored.digest, stored.size_bytes).await.map_err(refused)
}

/// The pieces of a body. Who stops sending, or goes away, fails the upload, so that nothing of it is kept.
fn arriving(body: Body, max_idle: Duration) -> impl Stream<Item = Result<Bytes>> {
    unfold(Some(body.into_data_stream()), move |parts| async move {
        let mut parts = parts?;
        match tokio::time::timeout(max_idle, parts.next()).await {
            Ok(Some(Ok(part))) => Some((Ok(part), Some(parts))),
            Ok(Some(Err(error))) => {
                let broken = UPLOAD_BROKE_OFF.error("the upload broke off").hint("send it again").cause(error);
                Some((Err(broken), None))
            }
            Ok(None) => None,
            Err(_) => {
                let stalled = UPLOAD_STALLED
                    .error(format!("nothing of the upload came for {} s", max_idle.as_secs()))
                    .hint("send it again; a slow sender is waited for as long as something comes");
                Some((Err(stalled), None))
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn who_stops_sending_is_not_waited_for() {
        let sent = futures::stream::iter([Ok::<_, std::io::Error>(Bytes::from_static(b"half"))]);
        let body = Body::from_stream(sent.chain(futures::stream::pending()));
        let parts: Vec<Result<Bytes>> = arriving(body, Duration::from_millis(20)).collect().await;
        assert_eq!(parts.len(), 2);
        assert!(parts[1].as_ref().unwrap_err().is(UPLOAD_STALLED));
    }

    #[tokio::test]
    async fn who_goes_away_leaves_nothing() {
        let sent = [Ok(Bytes::from_static(b"half")), Err(std::io::Error::other("gone"))];
        let parts: Vec<Result<Bytes>> =
            arriving(Body::from_stream(futures::stream::iter(sent)), Duration::from_secs(9)).collect().await;
        assert!(parts[1].as_ref().unwrap_err().is(UPLOAD_BROKE_OFF));
    }
}
