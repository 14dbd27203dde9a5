//! A disk that refuses: nothing is promised that is not kept.

use std::sync::atomic::AtomicU64;

use tokio::sync::Semaphore;

use super::*;
use crate::journal::segment::{self, Frames};
use crate::journal::{Header, JournalOptions};

#[derive(Default)]
struct Counts {
    synced: AtomicU64,
    dropped: AtomicU64,
}

impl Observer for Counts {
    fn synced(&self, n_rows: u64) {
        self.synced.fetch_add(n_rows, Ordering::SeqCst);
    }

    fn dropped(&self, n_rows: u64) {
        self.dropped.fetch_add(n_rows, Ordering::SeqCst);
    }
}

struct World {
    dir: tempfile::TempDir,
    writer: Arc<Writer>,
    counts: Arc<Counts>,
    places: Arc<Semaphore>,
}

impl World {
    /// A journal whose first segment is `segment`, and its syncing thread.
    fn start(dir: tempfile::TempDir, segment: Segment) -> (Self, std::thread::JoinHandle<()>) {
        let counts = Arc::new(Counts::default());
        let options = JournalOptions::in_dir(dir.path().to_owned());
        let writer = Arc::new(Writer::new(&options, segment, Arc::clone(&counts) as Arc<dyn Observer>));
        let syncing = Arc::clone(&writer);
        let thread = std::thread::spawn(move || syncing.run());
        (Self { dir, writer, counts, places: Arc::new(Semaphore::new(100)) }, thread)
    }

    fn append(&self, text: &str) -> io::Result<()> {
        let record = Record::new(text.as_bytes(), 1).behind(&Arc::new(Header::new(7, b"header")));
        let places = self.writer.append(&[record], Arc::clone(&self.places).try_acquire_owned().unwrap())?;
        let Place { segment, offset, n_bytes } = places[0];
        assert_eq!(segment::read_frame(self.dir.path(), segment, offset, n_bytes).unwrap(), text.as_bytes());
        Ok(())
    }

    fn n_synced(&self) -> u64 {
        self.counts.synced.load(Ordering::SeqCst)
    }

    fn flush(&self) -> bool {
        let (answer, flushed) = oneshot::channel();
        self.writer.flush(answer);
        flushed.blocking_recv().is_ok()
    }

    /// What a reader finds in a segment behind its header.
    fn found(&self, number: u64) -> Vec<String> {
        let bytes = segment::read_complete(self.dir.path(), number).unwrap();
        Frames::behind_magic(&bytes).skip(1).map(|frame| String::from_utf8(frame.to_vec()).unwrap()).collect()
    }
}

fn segment(dir: &tempfile::TempDir) -> Segment {
    Segment::create(dir.path(), 1).unwrap()
}

#[test]
fn what_is_answered_is_in_the_file_before_it_is_synced() {
    let dir = tempfile::tempdir().unwrap();
    let first = segment(&dir);
    let (world, thread) = World::start(dir, first);
    world.append("one").unwrap();
    assert_eq!(world.found(1), ["one"]);
    assert!(world.flush());
    assert_eq!((world.n_synced(), world.places.available_permits()), (1, 100));
    world.writer.close();
    thread.join().unwrap();
}

#[test]
fn a_disk_that_refuses_is_told_and_goes_on_where_it_was() {
    let dir = tempfile::tempdir().unwrap();
    let mut first = segment(&dir);
    first.refuse_writes(dir.path());
    let (world, thread) = World::start(dir, first);
    assert!(world.append("lost").is_err() && world.writer.is_failing());
    assert!(world.append("too").is_err());
    // The disk is well again.
    world.writer.tail.lock().segment = Segment::create(world.dir.path(), 2).unwrap();
    assert!(world.flush());
    assert!(!world.writer.is_failing());
    world.append("kept").unwrap();
    assert_eq!(world.found(2), ["kept"]);
    assert_eq!(world.places.available_permits() + 1, 100, "refused rows have given their places back");
    world.writer.close();
    thread.join().unwrap();
    assert_eq!(world.n_synced(), 1);
}

#[test]
fn a_log_on_a_broken_disk_can_be_closed() {
    let dir = tempfile::tempdir().unwrap();
    let mut first = segment(&dir);
    first.refuse_writes(dir.path());
    let (world, thread) = World::start(dir, first);
    assert!(world.append("lost").is_err());
    world.writer.close();
    thread.join().unwrap();
    let n_dropped = world.counts.dropped.load(Ordering::SeqCst);
    assert_eq!((world.n_synced(), n_dropped), (0, 0), "a refused row was never promised");
}

#[test]
fn a_sealed_segment_is_complete_and_the_next_introduces_its_headers_again() {
    let dir = tempfile::tempdir().unwrap();
    let first = segment(&dir);
    let (world, thread) = World::start(dir, first);
    world.append("one").unwrap();
    let (answer, sealed) = oneshot::channel();
    world.writer.seal(answer);
    assert_eq!(sealed.blocking_recv().unwrap().unwrap(), 2);
    world.append("two").unwrap();
    assert_eq!((world.found(1), world.found(2)), (vec!["one".to_owned()], vec!["two".to_owned()]));
    world.writer.close();
    thread.join().unwrap();
    assert_eq!(world.n_synced(), 2, "closing syncs what is left");
}
