//! What rules on more than one row remember of the rows that went by.
//!
//! A batch is read once. Each of its parts updates the states of all such rules; states of different parts merge, so that parts may
//! go by in any order and on several threads; what the end decides, [`Gathered::finish`] gives as findings.

use arrow::array::{BooleanArray, RecordBatch};
use arrow::buffer::BooleanBuffer;
use arrow::compute::filter_record_batch;
use lw_core::{Error, Result, Timestamp};
use lw_engine::AggregationState;

use super::label_delay::Delays;
use super::outlier::Values;
use super::representation::GroupCounts;
use super::rule::{BatchCheck, Rule, RuleKind};
use super::sensitive::Samples;
use super::unique::SeenKeys;
use super::verdict::Finding;
use super::{aggregate, volume};

/// Some rows of a batch.
pub(crate) struct Part<'a> {
    /// The position of the first row among all rows of the batch.
    pub first_ordinal: u64,
    pub rows: &'a RecordBatch,
    /// Rows that a rule on single rows keeps out of the table. Rules on more than one row do not look at them.
    pub kept_out: &'a BooleanBuffer,
}

impl Part<'_> {
    /// The rows that single rows' rules let through.
    fn kept(&self) -> Result<RecordBatch> {
        if self.kept_out.count_set_bits() == 0 {
            return Ok(self.rows.clone());
        }
        filter_record_batch(self.rows, &BooleanArray::new(!self.kept_out, None))
            .map_err(|error| Error::bug("a part has as many rows as its mask").cause(error))
    }

    /// The position among all rows of the batch.
    pub(super) fn ordinal(&self, row_index: usize) -> u64 {
        self.first_ordinal + row_index as u64
    }
}

enum State {
    Unique(SeenKeys),
    Outlier(Values),
    Aggregate(AggregationState),
    LabelDelay(Delays),
    Representation(GroupCounts),
    Sensitive(Samples),
}

/// The states of all rules of a contract over some parts of a batch.
pub(crate) struct Gathered {
    n_rows: u64,
    /// One place for each rule; none for those that need no state.
    states: Vec<Option<State>>,
}

impl Gathered {
    /// States that have seen nothing. `now` decides which labels are overdue.
    pub(crate) fn begin(rules: &[Rule], now: Timestamp) -> Result<Self> {
        let states = rules.iter().map(|rule| State::begin(&rule.kind, now)).collect::<Result<_>>()?;
        Ok(Self { n_rows: 0, states })
    }

    pub(crate) fn update(&mut self, rules: &[Rule], part: &Part<'_>) -> Result<()> {
        self.n_rows += part.rows.num_rows() as u64;
        let mut kept = None;
        for (rule, state) in rules.iter().zip(&mut self.states) {
            let Some(state) = state else { continue };
            match (state, &rule.kind) {
                (State::Unique(keys), RuleKind::Unique(columns)) => keys.update(columns, part)?,
                (State::Outlier(values), RuleKind::Outlier(outlier)) => values.update(outlier, part)?,
                (State::LabelDelay(delays), RuleKind::Batch(BatchCheck::LabelDelay(rule))) => delays.update(rule, part),
                (State::Representation(counts), RuleKind::Batch(BatchCheck::Representation(groups))) => {
                    counts.update(groups, part)?;
                }
                (State::Sensitive(samples), _) => samples.update(part),
                (State::Aggregate(state), _) => {
                    let kept = match &kept {
                        Some(kept) => kept,
                        None => kept.insert(part.kept()?),
                    };
                    state.update(kept).map_err(|error| error.context(format!("rule `{}`", rule.name)))?;
                }
                _ => return Err(Error::bug("a rule and its state are of different kinds")),
            }
        }
        Ok(())
    }

    /// Adds what other parts have left.
    pub(crate) fn merge(&mut self, other: Self) -> Result<()> {
        self.n_rows += other.n_rows;
        for (mine, theirs) in self.states.iter_mut().zip(other.states) {
            match (mine, theirs) {
                (None, None) => {}
                (Some(State::Unique(mine)), Some(State::Unique(theirs))) => mine.merge(theirs),
                (Some(State::Outlier(mine)), Some(State::Outlier(theirs))) => mine.merge(theirs),
                (Some(State::Aggregate(mine)), Some(State::Aggregate(theirs))) => mine.merge(theirs)?,
                (Some(State::LabelDelay(mine)), Some(State::LabelDelay(theirs))) => mine.merge(theirs),
                (Some(State::Representation(mine)), Some(State::Representation(theirs))) => mine.merge(&theirs),
                (Some(State::Sensitive(mine)), Some(State::Sensitive(theirs))) => mine.merge(theirs),
                _ => return Err(Error::bug("states of different contracts cannot be merged")),
            }
        }
        Ok(())
    }

    /// What each rule with a state, and each that only counts rows, found. The others are judged elsewhere.
    pub(crate) fn finish(self, rules: &[Rule]) -> Result<Vec<(usize, Finding)>> {
        let mut findings = Vec::new();
        for (rule_index, (rule, state)) in rules.iter().zip(self.states).enumerate() {
            let finding = match (state, &rule.kind) {
                (Some(State::Unique(keys)), _) => keys.finish(),
                (Some(State::Outlier(values)), RuleKind::Outlier(outlier)) => values.finish(outlier),
                (Some(State::Aggregate(state)), RuleKind::Batch(BatchCheck::Aggregate(aggregation))) => {
                    aggregate::judge(aggregation.sql(), state.finish()?, self.n_rows)?
                }
                (Some(State::LabelDelay(delays)), RuleKind::Batch(BatchCheck::LabelDelay(rule))) => delays.judge(rule),
                (Some(State::Representation(counts)), RuleKind::Batch(BatchCheck::Representation(groups))) => {
                    counts.judge(groups)
                }
                (Some(State::Sensitive(samples)), RuleKind::Batch(BatchCheck::Sensitive(rule))) => samples.judge(rule),
                (None, RuleKind::Batch(BatchCheck::Volume { min, max })) => volume::judge_fixed(*min, *max, self.n_rows),
                (None, _) => continue,
                _ => return Err(Error::bug("a rule and its state are of different kinds")),
            };
            findings.push((rule_index, finding));
        }
        Ok(findings)
    }
}

impl State {
    fn begin(kind: &RuleKind, now: Timestamp) -> Result<Option<Self>> {
        Ok(Some(match kind {
            RuleKind::Unique(columns) => Self::Unique(SeenKeys::begin(columns)),
            RuleKind::Outlier(_) => Self::Outlier(Values::default()),
            RuleKind::Batch(BatchCheck::Aggregate(aggregation)) => Self::Aggregate(aggregation.begin()?),
            RuleKind::Batch(BatchCheck::LabelDelay(_)) => Self::LabelDelay(Delays::begin(now)),
            RuleKind::Batch(BatchCheck::Representation(groups)) => Self::Representation(GroupCounts::begin(groups)),
            RuleKind::Batch(BatchCheck::Sensitive(_)) => Self::Sensitive(Samples::default()),
            _ => return Ok(None),
        }))
    }
}
