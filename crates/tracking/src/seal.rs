//! What a run had logged when it ended, by digest.
//!
//! A run may be logged to after its end, as MLflow's clients do with tags. What comes through us renews the seal, with an entry
//! `run.reseal` of its own that says who did it and which parts changed; whatever else differs from the seal was changed behind our
//! back, and a verification of the ledger says so.

use lw_core::{Digest, Draft, Result, RunId};
use lw_store::{Finding, Reader, Tx, Verification};
use serde::{Deserialize, Serialize};

use crate::run::Target;
use crate::{Run, Tracking, artifact, queries, run};

/// The digests of everything that a run logged. Whoever edits a metric afterwards cannot make them fit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seal {
    pub params: Digest,
    /// Over every point of every metric, in the order of key, time, step and value. None if points were added after the end of a run
    /// that has too many of them to read again each time; ending the run once more seals them.
    pub metrics: Option<Digest>,
    pub n_points: u64,
    pub tags: Digest,
    pub datasets: Digest,
    pub artifacts: Digest,
}

/// What a seal has a digest of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part {
    Params,
    Metrics,
    Tags,
    Datasets,
    Artifacts,
}

impl Part {
    const ALL: [Self; 5] = [Self::Params, Self::Metrics, Self::Tags, Self::Datasets, Self::Artifacts];

    fn name(self) -> &'static str {
        match self {
            Self::Params => "parameters",
            Self::Metrics => "metrics",
            Self::Tags => "tags",
            Self::Datasets => "datasets",
            Self::Artifacts => "artifacts",
        }
    }
}

impl Seal {
    /// The names of the parts in which two seals differ. Metrics that one of them leaves open differ from nothing.
    fn differences(&self, other: &Self) -> Vec<String> {
        let differs = |part: &&Part| match part {
            Part::Params => self.params != other.params,
            Part::Metrics => self.metrics.zip(other.metrics).is_some_and(|(one, other)| one != other),
            Part::Tags => self.tags != other.tags,
            Part::Datasets => self.datasets != other.datasets,
            Part::Artifacts => self.artifacts != other.artifacts,
        };
        Part::ALL.iter().filter(differs).map(|part| part.name().to_owned()).collect()
    }

    /// Brings one part up to date.
    fn renew(&mut self, reader: &mut Reader<'_>, run: &Run, part: Part) -> Result<()> {
        match part {
            Part::Params => self.params = Digest::of_json(&queries::params_of_one(reader, run.number)?),
            Part::Metrics => self.renew_metrics(reader, run)?,
            Part::Tags => self.tags = Digest::of_json(&queries::tags_of_one(reader, run.number)?),
            Part::Datasets => {
                let datasets = queries::datasets_of(reader, std::slice::from_ref(&run.id))?.remove(&run.id).unwrap_or_default();
                self.datasets = Digest::of_json(&datasets);
            }
            Part::Artifacts => {
                self.artifacts = Digest::of_json(&artifact::queries::below(reader, &(&run.id).into(), "")?);
            }
        }
        Ok(())
    }

    fn renew_metrics(&mut self, reader: &mut Reader<'_>, run: &Run) -> Result<()> {
        // Once open, the metrics stay open: nobody can tell any more what was there when they were opened.
        if self.metrics.is_none() {
            return Ok(());
        }
        if self.n_points > MOST_POINTS_RENEWED {
            self.metrics = None;
            return Ok(());
        }
        let (metrics, n_points) = queries::digest_points(reader, run.number)?;
        (self.metrics, self.n_points) = (Some(metrics), n_points);
        Ok(())
    }
}

/// Histories up to this length are digested again when a point comes after the end: some milliseconds in the writer's way.
const MOST_POINTS_RENEWED: u64 = 10_000;
const PAGE: u64 = 100;

impl Tracking {
    /// The seal that the run would get now.
    pub async fn seal(&self, id: &RunId) -> Result<Seal> {
        let id = id.clone();
        self.store.read(move |reader| run::found(reader, &id).and_then(|run| of(reader, &run))).await
    }

    /// Adds to a verification of the ledger whether the runs that have ended still hold what was sealed. It reads all that they
    /// logged, page by page, so that it holds up nobody.
    pub async fn verify_seals(&self, verification: &mut Verification) -> Result<()> {
        let mut after = 0;
        loop {
            let page = self.store.read(move |reader| check_page(reader, after)).await?;
            let Some((last, _)) = page.last() else { return Ok(()) };
            after = *last;
            verification.n_seals += page.len() as u64;
            for finding in page.into_iter().filter_map(|(_, finding)| finding) {
                verification.found(finding);
            }
        }
    }
}

/// The next sealed runs by number, each with what is wrong with it.
fn check_page(reader: &mut Reader<'_>, after: u64) -> Result<Vec<(u64, Option<Finding>)>> {
    let mut page = Vec::new();
    for run in queries::sealed_runs(reader, after, PAGE)? {
        let Some(seal) = &run.seal else { continue };
        let parts = seal.differences(&of(reader, &run)?);
        let finding = (!parts.is_empty()).then(|| Finding::SealBroken { subject: run.subject(), parts });
        page.push((run.number, finding));
    }
    Ok(page)
}

fn of(reader: &mut Reader<'_>, run: &Run) -> Result<Seal> {
    let (metrics, n_points) = queries::digest_points(reader, run.number)?;
    let open = Digest::of(b"");
    let seal = Seal { params: open, metrics: Some(metrics), n_points, tags: open, datasets: open, artifacts: open };
    with_small_parts(reader, run, seal)
}

fn with_small_parts(reader: &mut Reader<'_>, run: &Run, mut seal: Seal) -> Result<Seal> {
    for part in [Part::Params, Part::Tags, Part::Datasets, Part::Artifacts] {
        seal.renew(reader, run, part)?;
    }
    Ok(seal)
}

/// The seal of a run that ends in this transaction. `read` was read before it; what was logged between is in the seal all the same.
pub(crate) fn at_end(tx: &mut Tx<'_>, run: &Run, read: Seal) -> Result<Seal> {
    // Points are never taken away, so that as many points are the same points.
    if queries::count_points(tx, run.number)? == read.n_points { with_small_parts(tx, run, read) } else { of(tx, run) }
}

/// [`renew`] for whoever has not looked at the run.
pub(crate) fn renew_of(tx: &mut Tx<'_>, id: &RunId, parts: &[Part]) -> Result<()> {
    match queries::target(tx, id)? {
        Some(target) => renew(tx, id, &target, parts),
        None => Ok(()),
    }
}

/// Keeps the seal of a run true that something is logged to after its end.
pub(crate) fn renew(tx: &mut Tx<'_>, id: &RunId, target: &Target, parts: &[Part]) -> Result<()> {
    if !target.is_sealed {
        return Ok(());
    }
    let mut run = run::found(tx, id)?;
    let Some(before) = run.seal.clone() else { return Ok(()) };
    let mut seal = before.clone();
    for part in parts {
        seal.renew(tx, &run, *part)?;
    }
    if seal == before {
        return Ok(());
    }
    let mut changed = before.differences(&seal);
    if before.metrics.is_some() && seal.metrics.is_none() {
        changed.push("metrics, which are sealed no more".to_owned());
    }
    let payload = serde_json::json!({"seal": seal, "parts": changed});
    run.seal = Some(seal);
    tx.record(Draft::new("run.reseal", run.subject()).payload(payload).change(run.change()))?;
    Ok(())
}
