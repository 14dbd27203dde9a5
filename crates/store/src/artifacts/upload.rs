//! Files that come into being: complete, on disk and under their names, or not at all.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use lw_core::{Digest, Error, Result};

use super::Hasher;
use crate::{ARTIFACTS_UNAVAILABLE, DISK_FULL};

/// What names of uploads under way end with.
const PARTIAL: &str = ".partial";

/// A file on its way: under a name that nobody looks for until it is complete and on disk.
pub(super) struct Upload {
    path: PathBuf,
    file: File,
    pub(super) size_bytes: u64,
    is_published: bool,
}

impl Upload {
    /// Begins a file under a name of its own. It stays locked while it is written, so that nobody takes it for abandoned.
    pub(super) fn begin(directory: &Path) -> Result<Self> {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        loop {
            let name = format!(".{}-{}{PARTIAL}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
            let path = directory.join(name);
            let file = match OpenOptions::new().write(true).create_new(true).open(&path) {
                Ok(file) => file,
                // Of a process before, or of one on another machine that shares the directory.
                Err(error) if error.kind() == ErrorKind::AlreadyExists => continue,
                Err(error) => return Err(failed("make the file", &path, error)),
            };
            // A file system without locks keeps abandoned uploads; it loses nothing.
            let is_taken_away = file.lock().is_ok() && !path.exists();
            if !is_taken_away {
                return Ok(Self { path, file, size_bytes: 0, is_published: false });
            }
        }
    }

    pub(super) fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.size_bytes += bytes.len() as u64;
        self.file.write_all(bytes).map_err(|error| failed("write the file", &self.path, error))
    }

    pub(super) fn copy(&mut self, source: &Path) -> Result<Digest> {
        read_in_parts(source, |part| self.write(part))
    }

    /// File to disk, name into place, directory to disk: after a crash there is the whole file or none.
    pub(super) fn publish(mut self, target: &Path) -> Result<()> {
        let directory = target.parent().unwrap_or(Path::new("."));
        let publish = || -> io::Result<()> {
            self.file.sync_all()?;
            fs::create_dir_all(directory)?;
            fs::rename(&self.path, target)?;
            File::open(directory)?.sync_all()?;
            match directory.parent() {
                Some(parent) if !parent.as_os_str().is_empty() => File::open(parent)?.sync_all(),
                _ => Ok(()),
            }
        };
        publish().map_err(|error| failed("write the file", target, error))?;
        self.is_published = true;
        Ok(())
    }
}

impl Drop for Upload {
    fn drop(&mut self) {
        if !self.is_published {
            // An upload that stays behind is never listed; it only takes space.
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// Removes the uploads of processes that ended before they were done. Whoever still writes one, here or elsewhere, holds its lock.
pub(super) fn remove_abandoned(uploads: &Path) {
    let Ok(entries) = fs::read_dir(uploads) else { return };
    for path in entries.flatten().map(|entry| entry.path()) {
        let is_upload = path.file_name().is_some_and(|name| name.to_string_lossy().ends_with(PARTIAL));
        let Some(file) = is_upload.then(|| File::open(&path).ok()).flatten() else { continue };
        if file.try_lock().is_ok() && fs::remove_file(&path).is_ok() {
            tracing::info!(path = %path.display(), "Removed the upload {} that broke off", path.display());
        }
    }
}

/// Hands the content to `take` piece by piece and returns its digest.
pub(super) fn read_in_parts(path: &Path, mut take: impl FnMut(&[u8]) -> Result<()>) -> Result<Digest> {
    let mut file = File::open(path).map_err(|error| failed("read the file", path, error))?;
    let mut hasher = Hasher::default();
    let mut buffer = vec![0; 256 * 1024];
    loop {
        let n_bytes = file.read(&mut buffer).map_err(|error| failed("read the file", path, error))?;
        if n_bytes == 0 {
            return Ok(hasher.finish());
        }
        hasher.update(&buffer[..n_bytes]);
        take(&buffer[..n_bytes])?;
    }
}

pub(super) fn failed(what: &str, path: &Path, error: io::Error) -> Error {
    let path = path.display();
    match error.kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => DISK_FULL
            .error(format!("the disk is full: cannot {what} {path}"))
            .hint("free space on the disk of the artifacts and try again")
            .cause(error),
        _ => ARTIFACTS_UNAVAILABLE
            .error(format!("cannot {what} {path}: {error}"))
            .hint("check that the path exists, the disk works and you may read and write there")
            .cause(error),
    }
}

#[cfg(test)]
mod tests {
    use super::super::directory::Directory;
    use super::*;

    #[test]
    fn abandoned_uploads_are_removed_and_those_under_way_are_not() {
        let dir = tempfile::tempdir().unwrap();
        let directory = Directory::open(dir.path()).unwrap();
        let uploads = dir.path().join("uploads");
        fs::write(uploads.join(".1-0.partial"), b"half a mod").unwrap();
        fs::write(uploads.join("note.txt"), b"not ours").unwrap();
        let mut under_way = Upload::begin(&uploads).unwrap();
        under_way.write(b"model").unwrap();

        let other = Directory::open(dir.path()).unwrap();
        let left: Vec<_> = fs::read_dir(&uploads).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(left.len(), 2, "{left:?}");
        let digest = Digest::of(b"model");
        under_way.publish(&directory.path(&digest)).unwrap();
        assert_eq!(&other.get(&digest).unwrap()[..], b"model");
    }

    #[test]
    fn an_upload_never_writes_into_the_file_of_another() {
        let dir = tempfile::tempdir().unwrap();
        let mut uploads: Vec<Upload> = (0..20)
            .map(|n| {
                // A process before this one had the same number.
                fs::write(dir.path().join(format!(".{}-{}.partial", std::process::id(), n * 2)), b"old").unwrap();
                Upload::begin(dir.path()).unwrap()
            })
            .collect();
        uploads.iter_mut().for_each(|upload| upload.write(b"new").unwrap());
        let paths: std::collections::BTreeSet<_> = uploads.iter().map(|upload| upload.path.clone()).collect();
        assert_eq!(paths.len(), 20);
        assert!(paths.iter().all(|path| fs::read(path).unwrap() == b"new"));
    }
}
