//! Which files to take, and their rows checked against the contract.

use std::path::Path;
use std::sync::Arc;

use lw_core::{Error, Result, Timestamp};

use super::chunk::{Chunk, Origin};
use crate::OnChange;
use crate::contract::{CompiledSource, Gathered};
use crate::failures::SOURCE_FILE_CHANGED;
use crate::location::FoundFile;
use crate::queries::{IngestedFile, KnownFiles};
use crate::reading::{self, Snapshot, Stamp, place};

/// A batch holds at most this many bytes of files (a larger file stands alone) and this many files.
const BATCH_BYTES: u64 = 256 << 20;
const BATCH_FILES: usize = 1_000;

/// The files of one batch with their rows.
pub(super) struct Intake {
    pub files: Vec<IngestedFile>,
    pub chunks: Vec<Chunk>,
    /// What rules on more than one row have gathered from the chunks.
    pub gathered: Gathered,
    pub n_rows: u64,
}

/// Files that may be new, in batches. A file whose size and time of change are the recorded ones is not read again.
pub(super) fn groups(landed: Vec<FoundFile>, known: &KnownFiles, project_dir: &Path) -> Result<Vec<Vec<String>>> {
    let mut groups: Vec<Vec<String>> = Vec::new();
    let mut size_bytes = 0;
    for file in landed {
        let stamp = reading::stamp(project_dir, &file.path)?;
        if known
            .get(&file.path)
            .is_some_and(|known| Stamp { size_bytes: known.size_bytes, modified_at: known.modified_at } == stamp)
        {
            continue;
        }
        size_bytes += stamp.size_bytes;
        match groups.last_mut() {
            Some(group) if size_bytes <= BATCH_BYTES && group.len() < BATCH_FILES => group.push(file.path),
            _ => {
                size_bytes = stamp.size_bytes;
                groups.push(vec![file.path]);
            }
        }
    }
    Ok(groups)
}

/// Reads the files of a group that are new, or changed where changes are welcome, on a thread for blocking work.
pub(super) async fn read(
    source: &Arc<CompiledSource>,
    paths: Vec<String>,
    known: &KnownFiles,
    project_dir: &Path,
    now: Timestamp,
) -> Result<Intake> {
    let known: Vec<_> = paths.iter().map(|path| known.get(path).cloned()).collect();
    let (source, project_dir) = (source.clone(), project_dir.to_owned());
    let work = move || {
        let gathered = Gathered::begin(&source.rules, now)?;
        let mut intake = Intake { files: Vec::new(), chunks: Vec::new(), gathered, n_rows: 0 };
        for (path, known) in paths.iter().zip(known) {
            let snapshot = reading::snapshot(&project_dir, path)?;
            if is_new(&source, &snapshot, known.as_ref())? {
                take(&source, &snapshot, &mut intake)?;
            }
        }
        Ok(intake)
    };
    tokio::task::spawn_blocking(work).await.map_err(|error| Error::bug("reading files panicked").cause(error))?
}

fn is_new(source: &CompiledSource, snapshot: &Snapshot, known: Option<&IngestedFile>) -> Result<bool> {
    let Some(known) = known else {
        return Ok(true);
    };
    if known.digest == snapshot.digest {
        return Ok(false);
    }
    if source.definition.on_change == OnChange::Merge {
        return Ok(true);
    }
    Err(SOURCE_FILE_CHANGED
        .error(format!(
            "the file was ingested with {} bytes and digest {}, and has {} bytes and digest {} now",
            known.size_bytes,
            known.digest.short(),
            snapshot.stamp.size_bytes,
            snapshot.digest.short()
        ))
        .hint("put the old content back and write corrections into a new file; for a list that is kept up to date, set `on_change: merge`")
        .at(place(&snapshot.path, None)))
}

fn take(source: &CompiledSource, snapshot: &Snapshot, intake: &mut Intake) -> Result<()> {
    let file_index = intake.files.len();
    let mut n_rows = 0;
    for raw in reading::rows(snapshot, &source.definition)? {
        let origin = Origin { file_index, first_row_number: n_rows + 1, first_ordinal: intake.n_rows };
        n_rows += raw.num_rows() as u64;
        intake.n_rows += raw.num_rows() as u64;
        let chunk = Chunk::read(source, &snapshot.path, origin, raw)?;
        intake.gathered.update(&source.rules, &chunk.part())?;
        intake.chunks.push(chunk);
    }
    intake.files.push(IngestedFile {
        path: snapshot.path.clone(),
        digest: snapshot.digest,
        size_bytes: snapshot.stamp.size_bytes,
        modified_at: snapshot.stamp.modified_at,
        n_rows,
    });
    Ok(())
}
