//! Uploads in parts that go past this process, straight into the object store.
//!
//! The parts are put under signed addresses and joined under a name of their own. Nobody knows their digest then, so the whole is read
//! once, and only what was read gets the name that says what it is. A note beside the parts remembers the upload, so that any server can
//! go on with it, and the sweep finds what nobody finished.

use std::time::Duration;

use bytes::Bytes;
use futures::TryStreamExt;
use lw_core::{Error, IdSource, RandomIds, Result};
use object_store::multipart::{MultipartStore, PartId};
use object_store::path::Path;
use object_store::signer::Signer;
use object_store::{ObjectStoreExt, PutPayload};

use super::object::{Objects, unavailable};
use super::signature::{Key, signed};
use super::stream::Stored;
use super::{Artifacts, Backend, Hasher};
use crate::{BAD_PARTS, UPLOAD_NOT_FOUND};

/// What the protocol takes.
const MOST_PARTS: u32 = 10_000;
/// The note of an upload is its name with this behind it.
const NOTE: &str = ".parts";

/// An upload that has begun.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartsUpload {
    pub id: String,
    /// Where each part is put, in their order.
    pub urls: Vec<String>,
}

/// A part that was put.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SentPart {
    /// From 1 on.
    pub number: u32,
    /// What the store answered to it.
    pub etag: String,
}

impl Artifacts {
    /// Whether files can be put in parts, and read, past this process.
    pub fn is_reached_directly(&self) -> bool {
        matches!(&*self.0, Backend::Objects(_))
    }

    /// Begins an upload whose parts are put under the given addresses for a while. None where the store cannot.
    pub async fn begin_parts(&self, n_parts: u32, expires_in: Duration) -> Result<Option<PartsUpload>> {
        match &*self.0 {
            Backend::Directory(_) => Ok(None),
            Backend::Objects(objects) => objects.begin_parts(n_parts, expires_in).await.map(Some),
        }
    }

    /// Joins the parts and keeps the whole. Doing it again, after an answer that was lost, gives the same, until
    /// [`Artifacts::forget_parts`] ends the upload.
    pub async fn complete_parts(&self, id: &str, parts: Vec<SentPart>) -> Result<Stored> {
        match &*self.0 {
            Backend::Directory(_) => Err(not_found(id)),
            Backend::Objects(objects) => objects.complete_parts(id, parts).await,
        }
    }

    /// Ends an upload, finished or not. One that is not there has ended.
    pub async fn forget_parts(&self, id: &str) -> Result<()> {
        match &*self.0 {
            Backend::Directory(_) => Ok(()),
            Backend::Objects(objects) => objects.forget_parts(id).await,
        }
    }
}

impl Objects {
    async fn begin_parts(&self, n_parts: u32, expires_in: Duration) -> Result<PartsUpload> {
        if !(1..=MOST_PARTS).contains(&n_parts) {
            return Err(BAD_PARTS
                .error(format!("an upload has 1 to {MOST_PARTS} parts, not {n_parts}"))
                .hint("choose another size of the parts, of 5 MiB or more each"));
        }
        let id = RandomIds.next_hex();
        let (waiting, note) = self.places(&id)?;
        let unwritable = |error| unavailable(self.bucket(), "write to", error);
        let upload = self.store().create_multipart(&waiting).await.map_err(unwritable)?;
        let noted = self.store().put(&note, PutPayload::from(Bytes::from(upload.clone()))).await;
        if let Err(error) = noted {
            // Without its note nobody would ever find it again.
            let _ = self.store().abort_multipart(&waiting, &upload).await;
            return Err(unwritable(error));
        }
        let urls = self.part_urls(&waiting, &upload, n_parts, expires_in).await?;
        Ok(PartsUpload { id, urls })
    }

    /// The store's library signs addresses without parameters, which shows how it reaches the bucket; here the parameters of a part come
    /// to it.
    async fn part_urls(&self, path: &Path, upload: &str, n_parts: u32, expires_in: Duration) -> Result<Vec<String>> {
        let unsigned = |error| unavailable(self.bucket(), "sign an address in", error);
        let like = self.store().signed_url(Default::default(), path, expires_in).await.map_err(unsigned)?;
        let credential = self.store().credentials().get_credential().await.map_err(unsigned)?;
        let key = Key { id: &credential.key_id, secret: &credential.secret_key, token: credential.token.as_deref() };
        let url = |number: u32| {
            let part = [("partNumber", number.to_string()), ("uploadId", upload.to_owned())];
            signed(&like, &key, "PUT", &part).ok_or_else(|| Error::bug("the object store's own address is not signed"))
        };
        (1..=n_parts).map(url).collect()
    }

    async fn complete_parts(&self, id: &str, mut parts: Vec<SentPart>) -> Result<Stored> {
        let (waiting, note) = self.places(id)?;
        let upload = self.noted(id, &note).await?;
        parts.sort_unstable_by_key(|part| part.number);
        if parts.is_empty() || !parts.iter().zip(1..).all(|(part, number)| part.number == number) {
            return Err(BAD_PARTS
                .error("the parts of an upload are numbered from 1 without a gap, and each stands once")
                .hint("put every part and name them all"));
        }
        let parts = parts.into_iter().map(|part| PartId { content_id: part.etag }).collect();
        if let Err(error) = self.store().complete_multipart(&waiting, &upload, parts).await {
            // Whoever asks a second time finds the parts joined already.
            if self.store().head(&waiting).await.is_err() {
                return Err(self.unjoined(id, error));
            }
        }
        let stored = self.weigh(&waiting).await?;
        self.copy(&waiting, &self.path(&stored.digest), stored.size_bytes).await?;
        Ok(stored)
    }

    /// Reads an object for its digest.
    async fn weigh(&self, path: &Path) -> Result<Stored> {
        let unreadable = |error| unavailable(self.bucket(), "read from", error);
        let mut content = self.store().get(path).await.map_err(unreadable)?.into_stream();
        let (mut hasher, mut size_bytes) = (Hasher::default(), 0);
        while let Some(piece) = content.try_next().await.map_err(unreadable)? {
            hasher.update(&piece);
            size_bytes += piece.len() as u64;
        }
        Ok(Stored { digest: hasher.finish(), size_bytes })
    }

    pub(super) async fn forget_parts(&self, id: &str) -> Result<()> {
        let (waiting, note) = self.places(id)?;
        let upload = match self.noted(id, &note).await {
            Err(error) if error.is(UPLOAD_NOT_FOUND) => return Ok(()),
            noted => noted?,
        };
        let gone = |done: object_store::Result<()>| match done {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(unavailable(self.bucket(), "delete in", error)),
        };
        gone(self.store().delete(&waiting).await)?;
        if let Err(error) = self.store().abort_multipart(&waiting, &upload).await {
            // One whose parts were joined is no upload any more, which servers say in many ways.
            tracing::debug!(%error, "The upload {id} was not there to be given up: {error}");
        }
        gone(self.store().delete(&note).await)
    }

    /// The upload whose note lies there.
    pub(super) fn upload_of_note(path: &Path) -> Option<&str> {
        path.filename()?.strip_suffix(NOTE)
    }

    /// Where the whole waits for its name, and where the note lies.
    fn places(&self, id: &str) -> Result<(Path, Path)> {
        let is_id = id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_hexdigit());
        if !is_id {
            return Err(not_found(id));
        }
        Ok((self.waiting(id), self.waiting(&format!("{id}{NOTE}"))))
    }

    async fn noted(&self, id: &str, note: &Path) -> Result<String> {
        let unreadable = |error| match error {
            object_store::Error::NotFound { .. } => not_found(id),
            error => unavailable(self.bucket(), "read from", error),
        };
        let text = self.store().get(note).await.map_err(unreadable)?.bytes().await.map_err(unreadable)?;
        Ok(String::from_utf8_lossy(&text).into_owned())
    }

    fn unjoined(&self, id: &str, error: object_store::Error) -> Error {
        // The protocol's names for parts that are missing, too small or other than said; the library hands them on as text.
        const REFUSED: [&str; 4] = ["InvalidPart", "EntityTooSmall", "InvalidRequest", "MalformedXML"];
        let text = error.to_string();
        if REFUSED.iter().any(|name| text.contains(name)) {
            return BAD_PARTS
                .error("the object store refuses to join the parts: one is missing, too small, or not the one that was put")
                .hint("all parts but the last have 5 MiB or more; put them again and name the answers to them")
                .cause(error);
        }
        match error {
            object_store::Error::NotFound { .. } => not_found(id).cause(error),
            error => unavailable(self.bucket(), "write to", error),
        }
    }
}

fn not_found(id: &str) -> Error {
    let shown: String = id.chars().take(80).collect();
    UPLOAD_NOT_FOUND
        .error(format!("there is no upload `{}`", shown.escape_debug()))
        .hint("it was finished, given up, or swept because nobody finished it; begin it again")
}
