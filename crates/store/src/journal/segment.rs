//! Segment files: a magic line, then frames of length, checksum and payload.
//!
//! Only the newest segment is written to; the one before it may still be on its way to the disk. A power failure can tear the
//! tails of these two: everything behind the last sync. Opening the log again cuts them at the first frame that does not check
//! out. Older segments are complete, so damage there is an error.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::Fault;

const MAGIC: &[u8; 8] = b"LWJRNL1\n";
pub const FRAME_HEAD_BYTES: usize = 8;

/// The segment that is being written.
pub struct Segment {
    file: Arc<File>,
    pub number: u64,
    /// Up to here the file is whole.
    pub n_written: u64,
    /// Up to here it is on disk.
    pub n_synced: u64,
}

pub fn path(dir: &Path, number: u64) -> PathBuf {
    dir.join(format!("{number:012}.log"))
}

/// Wraps a payload for the file.
pub fn frame(payload: &[u8], out: &mut Vec<u8>) {
    // Payloads come from requests, whose size has a limit far below 4 GiB.
    out.extend_from_slice(&u32::try_from(payload.len()).unwrap_or(u32::MAX).to_le_bytes());
    out.extend_from_slice(&crc32fast::hash(payload).to_le_bytes());
    out.extend_from_slice(payload);
}

impl Segment {
    /// Starts a segment; the file and its name are on disk when this returns.
    pub fn create(dir: &Path, number: u64) -> io::Result<Self> {
        let mut file = OpenOptions::new().create(true).truncate(true).write(true).open(path(dir, number))?;
        file.write_all(MAGIC)?;
        file.sync_all()?;
        File::open(dir)?.sync_all()?;
        let n_bytes = MAGIC.len() as u64;
        Ok(Self { file: Arc::new(file), number, n_written: n_bytes, n_synced: n_bytes })
    }

    /// Appends whole frames. After an error the file ends anyhow; [`Segment::write_again`] puts that right.
    pub fn write(&mut self, frames: &[u8]) -> io::Result<()> {
        (&*self.file).write_all(frames)?;
        self.n_written += frames.len() as u64;
        Ok(())
    }

    /// Replaces everything behind the last sync and waits until it is on disk.
    pub fn write_again(&mut self, frames: &[u8]) -> io::Result<()> {
        self.file.set_len(self.n_synced)?;
        let mut file = &*self.file;
        file.seek(SeekFrom::Start(self.n_synced))?;
        file.write_all(frames)?;
        file.sync_data()?;
        self.n_synced += frames.len() as u64;
        self.n_written = self.n_synced;
        Ok(())
    }

    /// The file, to sync it while others write to it.
    pub fn file(&self) -> Arc<File> {
        Arc::clone(&self.file)
    }

    /// Whether nothing has been logged into it.
    pub fn is_empty(&self) -> bool {
        self.n_written == MAGIC.len() as u64
    }
}

/// The numbers of the segments in a folder, in order.
pub fn list(dir: &Path) -> Result<Vec<u64>, Fault> {
    let entries = std::fs::read_dir(dir).map_err(|error| Fault::io(dir, error))?;
    let mut numbers = Vec::new();
    for entry in entries {
        let name = entry.map_err(|error| Fault::io(dir, error))?.file_name();
        let digits = name.to_str().and_then(|name| name.strip_suffix(".log"));
        numbers.extend(digits.and_then(|digits| digits.parse::<u64>().ok()));
    }
    numbers.sort_unstable();
    Ok(numbers)
}

/// Cuts the torn tail off the segment that was being written when the process ended.
pub fn repair(dir: &Path, number: u64) -> Result<(), Fault> {
    let path = path(dir, number);
    let bytes = read(&path)?;
    let whole = if bytes.starts_with(MAGIC) { MAGIC.len() + Frames::behind_magic(&bytes).whole_bytes() } else { 0 };
    if whole > 0 && whole == bytes.len() {
        return Ok(());
    }
    tracing::warn!(segment = number, n_bytes = bytes.len() - whole, "Cut the torn tail of segment {number} of {}", dir.display());
    let cut = || -> io::Result<()> {
        let mut file = OpenOptions::new().write(true).open(&path)?;
        file.set_len(whole as u64)?;
        if whole == 0 {
            file.write_all(MAGIC)?;
        }
        file.sync_all()
    };
    cut().map_err(|error| Fault::io(&path, error))
}

/// The whole content of a complete segment.
pub fn read_complete(dir: &Path, number: u64) -> Result<Vec<u8>, Fault> {
    let path = path(dir, number);
    let bytes = read(&path)?;
    if bytes.starts_with(MAGIC) && MAGIC.len() + Frames::behind_magic(&bytes).whole_bytes() == bytes.len() {
        return Ok(bytes);
    }
    Err(Fault::Corrupt { path })
}

/// The payload of one frame, whose place an append told.
pub fn read_frame(dir: &Path, number: u64, offset: u64, n_bytes: usize) -> Result<Vec<u8>, Fault> {
    let path = path(dir, number);
    let read = || -> io::Result<Vec<u8>> {
        let mut file = File::open(&path)?;
        file.seek(SeekFrom::Start(offset))?;
        let mut frame = vec![0; n_bytes];
        file.read_exact(&mut frame)?;
        Ok(frame)
    };
    let frame = read().map_err(|error| Fault::io(&path, error))?;
    let payload = Frames { rest: &frame, n_whole: 0 }.next().map(<[u8]>::to_vec);
    payload.ok_or(Fault::Corrupt { path })
}

pub fn remove(dir: &Path, number: u64) -> Result<(), Fault> {
    let path = path(dir, number);
    std::fs::remove_file(&path).map_err(|error| Fault::io(&path, error))
}

fn read(path: &Path) -> Result<Vec<u8>, Fault> {
    let mut bytes = Vec::new();
    File::open(path).and_then(|mut file| file.read_to_end(&mut bytes)).map_err(|error| Fault::io(path, error))?;
    Ok(bytes)
}

/// The payloads of a segment, up to the first frame that does not check out.
pub struct Frames<'a> {
    rest: &'a [u8],
    n_whole: usize,
}

impl<'a> Frames<'a> {
    pub fn behind_magic(segment: &'a [u8]) -> Self {
        Self { rest: segment.get(MAGIC.len()..).unwrap_or_default(), n_whole: 0 }
    }

    /// Where in the segment the next frame starts.
    pub fn offset(&self) -> u64 {
        (MAGIC.len() + self.n_whole) as u64
    }

    fn whole_bytes(mut self) -> usize {
        while self.next().is_some() {}
        self.n_whole
    }
}

impl<'a> Iterator for Frames<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let (length, rest) = self.rest.split_first_chunk::<4>()?;
        let (checksum, rest) = rest.split_first_chunk::<4>()?;
        let length = u32::from_le_bytes(*length) as usize;
        let (payload, rest) = rest.split_at_checked(length)?;
        if length == 0 || crc32fast::hash(payload) != u32::from_le_bytes(*checksum) {
            return None;
        }
        self.rest = rest;
        self.n_whole += FRAME_HEAD_BYTES + length;
        Some(payload)
    }
}

#[cfg(test)]
impl Segment {
    /// From here on the file takes nothing.
    pub fn refuse_writes(&mut self, dir: &Path) {
        self.file = Arc::new(File::open(path(dir, self.number)).expect("a segment that was created can be opened"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(payloads: &[&[u8]]) -> (tempfile::TempDir, Segment) {
        let dir = tempfile::tempdir().unwrap();
        let mut segment = Segment::create(dir.path(), 7).unwrap();
        for payload in payloads {
            let mut frames = Vec::new();
            frame(payload, &mut frames);
            segment.write(&frames).unwrap();
        }
        (dir, segment)
    }

    #[test]
    fn what_was_appended_is_read_back() {
        let (dir, segment) = written(&[b"one", b"two"]);
        assert_eq!(list(dir.path()).unwrap(), [7]);
        let bytes = read_complete(dir.path(), 7).unwrap();
        assert_eq!(bytes.len() as u64, segment.n_written);
        assert_eq!(Frames::behind_magic(&bytes).collect::<Vec<_>>(), [b"one", b"two"]);
    }

    #[test]
    fn what_was_not_synced_is_written_again() {
        let (dir, mut segment) = written(&[b"one"]);
        let mut frames = Vec::new();
        frame(b"again", &mut frames);
        segment.write_again(&frames).unwrap();
        segment.write(&frames).unwrap();
        assert_eq!((segment.n_synced, segment.n_written), (8 + 13, 8 + 26));
        let bytes = read_complete(dir.path(), 7).unwrap();
        assert_eq!(Frames::behind_magic(&bytes).collect::<Vec<_>>(), [b"again", b"again"]);
    }

    #[test]
    fn a_tail_torn_at_any_byte_costs_only_the_torn_record() {
        let (whole_dir, _) = written(&[b"one", b"two"]);
        let whole = std::fs::read(path(whole_dir.path(), 7)).unwrap();
        let second_starts = whole.len() - FRAME_HEAD_BYTES - 3;
        for cut in 0..whole.len() {
            let dir = tempfile::tempdir().unwrap();
            std::fs::write(path(dir.path(), 7), &whole[..cut]).unwrap();
            repair(dir.path(), 7).unwrap();
            let bytes = read_complete(dir.path(), 7).unwrap();
            let n_kept = Frames::behind_magic(&bytes).count();
            let want = usize::from(cut >= second_starts);
            assert_eq!(n_kept, want, "cut at {cut}");
        }
    }

    #[test]
    fn a_flipped_bit_in_a_complete_segment_is_an_error() {
        let (dir, _) = written(&[b"one", b"two"]);
        let file = path(dir.path(), 7);
        let mut bytes = std::fs::read(&file).unwrap();
        bytes[MAGIC.len() + FRAME_HEAD_BYTES] ^= 1;
        std::fs::write(&file, bytes).unwrap();
        let error = read_complete(dir.path(), 7).unwrap_err();
        assert!(matches!(&error, Fault::Corrupt { path } if path.ends_with("000000000007.log")), "{error:?}");
    }
}
