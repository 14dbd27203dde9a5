//! The statements of scorers.

use lw_core::Result;
use lw_store::{Reader, Tx};
use lw_tracking::ExperimentId;

use super::by_ids;
use crate::{Sampling, Scorer};

/// Every version of the scorers of an experiment, or of one of them, by name and version.
pub(crate) fn scorers(reader: &mut Reader<'_>, experiment: ExperimentId, name: Option<&str>) -> Result<Vec<Scorer>> {
    let rows = match name {
        Some(name) => reader.query(
            "SELECT * FROM scorer WHERE experiment = $1 AND name = $2 ORDER BY version",
            &[experiment.number().into(), name.into()],
        )?,
        None => {
            reader.query("SELECT * FROM scorer WHERE experiment = $1 ORDER BY name, version", &[experiment.number().into()])?
        }
    };
    rows.iter().map(Scorer::of).collect()
}

/// The newest version of each scorer of active experiments, by experiment and name.
pub(crate) fn newest_scorers(reader: &mut Reader<'_>, experiments: Option<&[ExperimentId]>) -> Result<Vec<Scorer>> {
    let rows = reader.query(
        "SELECT s.* FROM scorer s JOIN experiment e ON e.id = s.experiment WHERE e.lifecycle = 'active' AND s.version = \
         (SELECT MAX(n.version) FROM scorer n WHERE n.experiment = s.experiment AND n.name = s.name) ORDER BY s.experiment, s.name",
        &[],
    )?;
    let scorers = rows.iter().map(Scorer::of).collect::<Result<Vec<_>>>()?;
    let is_wanted = |scorer: &Scorer| experiments.is_none_or(|wanted| wanted.contains(&scorer.experiment));
    Ok(scorers.into_iter().filter(is_wanted).collect())
}

pub(crate) fn samplings(reader: &mut Reader<'_>, scorers: &[String]) -> Result<Vec<Sampling>> {
    let rows = by_ids(reader, "SELECT * FROM scorer_sampling WHERE scorer IN ({ids}) ORDER BY scorer", scorers)?;
    let sampling = |row: &lw_store::Row| {
        Ok(Sampling {
            id: row.text("id")?,
            scorer: row.text("scorer")?,
            experiment: ExperimentId::parse(&row.int("experiment")?.to_string())?,
            sample_rate: row.float("sample_rate")?,
            filter: row.opt_text("filter")?,
        })
    };
    rows.iter().map(sampling).collect()
}

pub(crate) fn put_sampling(tx: &mut Tx<'_>, sampling: &Sampling) -> Result<()> {
    tx.execute(
        "INSERT INTO scorer_sampling (scorer, id, experiment, sample_rate, filter) VALUES ($1, $2, $3, $4, $5)",
        &[
            (&sampling.scorer).into(),
            (&sampling.id).into(),
            sampling.experiment.number().into(),
            sampling.sample_rate.into(),
            sampling.filter.as_deref().into(),
        ],
    )
    .map(drop)
}

pub(crate) fn remove_sampling(tx: &mut Tx<'_>, scorer: &str) -> Result<()> {
    tx.execute("DELETE FROM scorer_sampling WHERE scorer = $1", &[scorer.into()]).map(drop)
}
