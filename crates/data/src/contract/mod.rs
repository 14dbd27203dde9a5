//! The contract of a source: compiled once, then one pass over each chunk of rows says which rule each row breaks, and updates what
//! rules on the whole batch decide at its end.

mod aggregate;
mod batch_rules;
mod compilation;
mod distribution;
mod explanation;
mod gather;
mod label_delay;
mod outlier;
mod reference;
mod representation;
mod rule;
mod sensitive;
mod unique;
mod verdict;
mod volume;

pub use compilation::Problem;
pub(crate) use compilation::{CompiledSource, compiled};
pub(crate) use distribution::judge_distribution;
pub(crate) use explanation::Explanation;
pub(crate) use gather::{Gathered, Part};
pub(crate) use reference::Reference;
pub(crate) use rule::{BatchCheck, Rule, RuleKind};
pub(crate) use verdict::{Finding, N_FIRST, Tally, refusal};
pub use verdict::{Offence, Outcome, RuleOutcome, RuleVerdict};
pub(crate) use volume::{PastVolume, judge_learned};
