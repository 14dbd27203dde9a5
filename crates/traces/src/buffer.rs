//! Spans between their acknowledgement and the table: a journal, and an index of what stands where.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use lw_core::{Error, Result};
use lw_engine::Engine;
use lw_store::journal::{Frames, Journal, JournalNames, JournalOptions, NoObserver, Place, Record, Reservation};
use parking_lot::RwLock;
use serde::{Deserialize, Serialize};

use crate::span::SpanGroup;
use crate::table::{APP_ID, span_table};
use crate::{SPAN_LOG_CORRUPT, SPAN_LOG_FULL, SPAN_LOG_UNAVAILABLE, Span, TraceOptions};

/// A record of the journal.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Stored {
    pub incarnation: String,
    pub experiment: u64,
    pub group: SpanGroup,
}

/// A span as it was kept, and its place among all: of two spans with one id, the later counts.
#[derive(Debug, Clone)]
pub(crate) struct Kept {
    pub position: i64,
    pub span: Span,
}

pub(crate) struct Buffer {
    journal: Arc<Journal>,
    /// The name under which the table counts segments.
    pub app_id: String,
    index: RwLock<Index>,
    /// One delivery at a time.
    pub delivering: tokio::sync::Mutex<()>,
}

/// Records by segment and incarnation.
#[derive(Default)]
struct Index {
    segments: BTreeMap<u64, HashMap<String, Vec<Place>>>,
    /// Segments up to this one are in the table.
    delivered: u64,
}

impl Index {
    fn insert(&mut self, incarnation: &str, place: Place) {
        if place.segment > self.delivered {
            self.segments.entry(place.segment).or_default().entry(incarnation.to_owned()).or_default().push(place);
        }
    }
}

/// Where a record's spans stand among all spans: by segment, then by place within.
pub(crate) fn position(segment: u64, offset: u64) -> i64 {
    i64::try_from((segment << 32) | (offset & 0xffff_ffff)).unwrap_or(i64::MAX)
}

impl Buffer {
    pub async fn open(engine: &Engine, options: TraceOptions) -> Result<Self> {
        let app_id = format!("{APP_ID}/{}", options.journal);
        let delivered = engine.app_version(&span_table()?, &app_id).await?.map_or(0, i64::unsigned_abs);
        let names = JournalNames {
            journal: "the log of spans".to_owned(),
            rows: "spans",
            full: SPAN_LOG_FULL,
            unavailable: SPAN_LOG_UNAVAILABLE,
            corrupt: SPAN_LOG_CORRUPT,
        };
        let journal = Arc::new(Journal::open(JournalOptions::in_dir(options.dir), names, delivered, Arc::new(NoObserver))?);
        let mut index = Index { delivered, ..Index::default() };
        for number in journal.segments()?.into_iter().filter(|number| *number > delivered) {
            let segment = journal.read(number)?;
            let mut frames = Frames::behind_magic(&segment);
            loop {
                let offset = frames.offset();
                let Some(payload) = frames.next() else { break };
                let n_bytes = (frames.offset() - offset) as usize;
                index.insert(&parse(&journal, payload)?.incarnation, Place { segment: number, offset, n_bytes });
            }
        }
        Ok(Self { journal, app_id, index: RwLock::new(index), delivering: tokio::sync::Mutex::default() })
    }

    pub fn journal(&self) -> &Journal {
        &self.journal
    }

    pub fn reserve(&self, n_spans: usize) -> Result<Reservation<'_>> {
        self.journal.reserve(n_spans)
    }

    /// Puts spans into the journal, and returns once they are on disk and can be found.
    pub async fn append(&self, reservation: Reservation<'_>, stored: Vec<Stored>) -> Result<()> {
        let record = |stored: &Stored| {
            let payload = serde_json::to_vec(stored).map_err(|error| Error::bug("spans are not JSON").cause(error))?;
            Ok(Record::new(&payload, u32::try_from(stored.group.spans.len()).unwrap_or(u32::MAX)))
        };
        let records = stored.iter().map(record).collect::<Result<Vec<_>>>()?;
        let places = reservation.append(&records)?;
        {
            let mut index = self.index.write();
            stored.iter().zip(places).for_each(|(stored, place)| index.insert(&stored.incarnation, place));
        }
        self.journal.flush().await
    }

    /// The spans of incarnations that wait here. What has gone into the table since the index was asked is not among them.
    pub async fn spans_of(&self, incarnations: &[String]) -> Result<HashMap<String, Vec<Kept>>> {
        let places: Vec<Place> = {
            let index = self.index.read();
            let of_segment = |segment: &HashMap<String, Vec<Place>>| {
                incarnations.iter().filter_map(|incarnation| segment.get(incarnation)).flatten().copied().collect::<Vec<_>>()
            };
            index.segments.values().flat_map(of_segment).collect()
        };
        if places.is_empty() {
            return Ok(HashMap::new());
        }
        let journal = Arc::clone(&self.journal);
        let read = tokio::task::spawn_blocking(move || {
            let mut found: HashMap<String, Vec<Kept>> = HashMap::new();
            for place in places {
                let Some(payload) = journal.read_at(place)? else { continue };
                let stored = parse(&journal, &payload)?;
                found.entry(stored.incarnation).or_default().extend(kept(place, stored.group.spans));
            }
            Ok(found)
        });
        read.await.map_err(|error| Error::bug("the task that reads spans died").cause(error))?
    }

    /// Everything that waits here, a record at a time.
    pub async fn each(&self, mut visit: impl FnMut(&Stored) + Send + 'static) -> Result<()> {
        let places: Vec<Place> = self.index.read().segments.values().flat_map(HashMap::values).flatten().copied().collect();
        let journal = Arc::clone(&self.journal);
        let read = tokio::task::spawn_blocking(move || {
            for place in places {
                if let Some(payload) = journal.read_at(place)? {
                    visit(&parse(&journal, &payload)?);
                }
            }
            Ok(())
        });
        read.await.map_err(|error| Error::bug("the task that reads spans died").cause(error))?
    }

    /// The records of a complete segment with the positions of their spans.
    pub fn segment(&self, number: u64) -> Result<Vec<(i64, Stored)>> {
        let segment = self.journal.read(number)?;
        let mut frames = Frames::behind_magic(&segment);
        let mut records = Vec::new();
        loop {
            let offset = frames.offset();
            let Some(payload) = frames.next() else { return Ok(records) };
            records.push((position(number, offset), parse(&self.journal, payload)?));
        }
    }

    /// Lets go of a segment that the table has.
    pub fn delivered(&self, number: u64) -> Result<()> {
        {
            let mut index = self.index.write();
            index.segments.remove(&number);
            index.delivered = index.delivered.max(number);
        }
        self.journal.remove(number)
    }
}

fn kept(place: Place, spans: Vec<Span>) -> impl Iterator<Item = Kept> {
    let first = position(place.segment, place.offset);
    spans.into_iter().zip(first..).map(|(span, position)| Kept { position, span })
}

fn parse(journal: &Journal, payload: &[u8]) -> Result<Stored> {
    serde_json::from_slice(payload).map_err(|error| journal.names().corrupted("a record is not readable").cause(error))
}
