//! Artifacts in a local directory.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Read, Seek, SeekFrom};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use bytes::Bytes;
use futures::StreamExt;
use futures::stream::unfold;
use lw_core::{Digest, Error, Result, Timestamp};

use super::stream::{Content, Parts, Stored};
use super::sweep::{Inventory, Lying, timestamp};
use super::upload::{Upload, failed, read_in_parts, remove_abandoned};
use super::{Hasher, blocking, corrupt, digest_at, location};
use crate::ARTIFACT_NOT_FOUND;

/// Pieces that arrive are gathered up to this size before they go to the disk.
const WRITE_BYTES: usize = 1 << 20;
const READ_BYTES: u64 = 256 << 10;

#[derive(Debug, Clone)]
pub(super) struct Directory {
    root: Arc<Path>,
}

impl Directory {
    pub(super) fn open(root: &Path) -> Result<Self> {
        let uploads = root.join("uploads");
        fs::create_dir_all(&uploads).map_err(|error| failed("make the directory of artifacts", root, error))?;
        remove_abandoned(&uploads);
        let directory = Self { root: root.into() };
        directory.restore_condemned();
        Ok(directory)
    }

    pub(super) fn put(&self, digest: &Digest, bytes: &[u8]) -> Result<()> {
        let path = self.path(digest);
        if holds(&path, digest, bytes.len() as u64) && renew(&path) {
            return Ok(());
        }
        let mut upload = Upload::begin(&self.root.join("uploads"))?;
        upload.write(bytes)?;
        upload.publish(&path)
    }

    pub(super) fn put_file(&self, source: &Path) -> Result<Digest> {
        let mut upload = Upload::begin(&self.root.join("uploads"))?;
        let digest = upload.copy(source)?;
        let path = self.path(&digest);
        if !(holds(&path, &digest, upload.size_bytes) && renew(&path)) {
            upload.publish(&path)?;
        }
        Ok(digest)
    }

    pub(super) fn get(&self, digest: &Digest) -> Result<Bytes> {
        let path = self.path(digest);
        fs::read(&path).map(Bytes::from).map_err(|error| unreadable(digest, &path, error))
    }

    pub(super) fn get_to_file(&self, digest: &Digest, target: &Path) -> Result<()> {
        let source = self.path(digest);
        if !source.exists() {
            return Err(unreadable(digest, &source, ErrorKind::NotFound.into()));
        }
        let mut upload = Upload::begin(target.parent().unwrap_or(Path::new(".")))?;
        let found = upload.copy(&source)?;
        if found != *digest {
            return Err(corrupt(digest, &found));
        }
        upload.publish(target)
    }

    pub(super) async fn put_stream(&self, mut parts: Parts<'_>) -> Result<Stored> {
        let uploads = self.root.join("uploads");
        let mut writing = blocking(move || Writing::begin(&uploads)).await?;
        let (mut gathered, mut n_gathered) = (Vec::new(), 0);
        while let Some(part) = parts.next().await {
            let part = part?;
            n_gathered += part.len();
            gathered.push(part);
            if n_gathered >= WRITE_BYTES {
                let batch = std::mem::take(&mut gathered);
                n_gathered = 0;
                // A thread is held while there is something to write, not while a slow sender is waited for.
                writing = blocking(move || writing.write(&batch)).await?;
            }
        }
        let directory = self.clone();
        blocking(move || writing.write(&gathered)?.finish(&directory)).await
    }

    pub(super) async fn read(&self, digest: &Digest, range: Range<u64>) -> Result<Content> {
        let (digest, path) = (*digest, self.path(digest));
        let start = range.start;
        let file = blocking(move || {
            let mut file = File::open(&path).map_err(|error| unreadable(&digest, &path, error))?;
            file.seek(SeekFrom::Start(start)).map_err(|error| failed("read the file", &path, error))?;
            Ok(file)
        })
        .await?;
        let reading = Some((file, range.end.saturating_sub(start)));
        Ok(unfold(reading, move |reading| async move {
            let (file, n_left) = reading.filter(|(_, n_left)| *n_left > 0)?;
            match blocking(move || next_part(&digest, file, n_left)).await {
                Ok((part, file)) => {
                    let n_left = n_left - part.len() as u64;
                    Some((Ok(part), Some((file, n_left))))
                }
                Err(error) => Some((Err(error), None)),
            }
        })
        .boxed())
    }

    pub(super) fn inventory(&self) -> Result<Inventory> {
        let mut inventory = Inventory::new();
        let all = self.root.join("sha256");
        for directory in entries(&all)? {
            for path in entries(&directory)? {
                let name = path.strip_prefix(&self.root).unwrap_or(&path).to_string_lossy().into_owned();
                let Some(digest) = digest_at(&name) else { continue };
                // What goes meanwhile is not there.
                let Ok(metadata) = fs::metadata(&path) else { continue };
                let put_at = metadata.modified().map_err(|error| failed("read the file", &path, error))?;
                inventory.insert(digest, Lying { size_bytes: metadata.len(), put_at: timestamp(put_at) });
            }
        }
        Ok(inventory)
    }

    /// Moves the file aside, looks whether it was put again before that, and only then deletes it. Whoever puts it again after that
    /// finds no file and writes a new one.
    pub(super) fn remove(&self, digest: &Digest, before: Timestamp) -> Result<bool> {
        let (path, aside) = (self.path(digest), self.condemned().join(digest.hex()));
        fs::create_dir_all(self.condemned()).map_err(|error| failed("make the directory", &aside, error))?;
        match fs::rename(&path, &aside) {
            Ok(()) => {}
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(false),
            Err(error) => return Err(failed("remove the file", &path, error)),
        }
        let is_old = fs::metadata(&aside).and_then(|metadata| metadata.modified()).is_ok_and(|put_at| timestamp(put_at) < before);
        let done = if is_old { fs::remove_file(&aside) } else { fs::rename(&aside, &path) };
        done.map_err(|error| failed("remove the file", &aside, error))?;
        Ok(is_old)
    }

    fn condemned(&self) -> PathBuf {
        self.root.join("condemned")
    }

    /// Brings back what a sweep that broke off had moved aside.
    fn restore_condemned(&self) {
        for aside in entries(&self.condemned()).unwrap_or_default() {
            let hex = aside.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
            let Ok(digest) = Digest::parse(&format!("sha256:{hex}")) else { continue };
            let path = self.path(&digest);
            let restored = if path.exists() { fs::remove_file(&aside) } else { fs::rename(&aside, &path) };
            if restored.is_ok() {
                tracing::info!(%digest, "Brought the artifact {digest} back, whose removal broke off");
            }
        }
    }

    pub(super) fn size(&self, digest: &Digest) -> Result<u64> {
        let path = self.path(digest);
        fs::metadata(&path).map(|metadata| metadata.len()).map_err(|error| unreadable(digest, &path, error))
    }

    pub(super) fn exists(&self, digest: &Digest) -> bool {
        self.path(digest).is_file()
    }

    pub(super) fn path(&self, digest: &Digest) -> PathBuf {
        self.root.join(location(digest))
    }
}

/// A stream on its way to the disk.
struct Writing {
    upload: Upload,
    hasher: Hasher,
}

impl Writing {
    fn begin(uploads: &Path) -> Result<Self> {
        Ok(Self { upload: Upload::begin(uploads)?, hasher: Hasher::default() })
    }

    fn write(mut self, parts: &[Bytes]) -> Result<Self> {
        for part in parts {
            self.hasher.update(part);
            self.upload.write(part)?;
        }
        Ok(self)
    }

    /// Replaces a file of the same digest: the new one is known to be sound, and young.
    fn finish(self, directory: &Directory) -> Result<Stored> {
        let stored = Stored { digest: self.hasher.finish(), size_bytes: self.upload.size_bytes };
        self.upload.publish(&directory.path(&stored.digest))?;
        Ok(stored)
    }
}

fn next_part(digest: &Digest, mut file: File, n_left: u64) -> Result<(Bytes, File)> {
    let mut part = Vec::with_capacity(usize::try_from(n_left.min(READ_BYTES)).unwrap_or_default());
    let n_read = file.by_ref().take(n_left.min(READ_BYTES)).read_to_end(&mut part);
    match n_read {
        Ok(0) => Err(corrupt(digest, &Digest::of(b"")).context("the file is shorter than it was")),
        Ok(_) => Ok((part.into(), file)),
        Err(error) => Err(failed("read the artifact", Path::new(&digest.hex()), error)),
    }
}

/// What lies in a directory; nothing if there is none.
fn entries(directory: &Path) -> Result<Vec<PathBuf>> {
    match fs::read_dir(directory) {
        Ok(entries) => Ok(entries.flatten().map(|entry| entry.path()).collect()),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(failed("list the directory", directory, error)),
    }
}

/// Makes the file as young as if it had just been put, so that no sweep takes it before it is recorded. Says whether it is there
/// still: one that a sweep has just moved aside must be written again.
fn renew(path: &Path) -> bool {
    let renewed = File::open(path).and_then(|file| file.set_modified(SystemTime::now()));
    renewed.is_ok() && path.exists()
}

/// Whether the file is there and undamaged. A damaged one is written again.
fn holds(path: &Path, digest: &Digest, size_bytes: u64) -> bool {
    let has_size = fs::metadata(path).is_ok_and(|metadata| metadata.is_file() && metadata.len() == size_bytes);
    has_size && read_in_parts(path, |_| Ok(())).is_ok_and(|found| found == *digest)
}

fn unreadable(digest: &Digest, path: &Path, error: io::Error) -> Error {
    if error.kind() == ErrorKind::NotFound { not_found(digest) } else { failed("read the file", path, error) }
}

pub(super) fn not_found(digest: &Digest) -> Error {
    ARTIFACT_NOT_FOUND
        .error(format!("there is no artifact {digest}"))
        .hint("check the digest, and that --artifacts names the store that the artifact was put into")
}
