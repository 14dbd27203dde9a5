//! The contract of a source: compiled once, then one pass over each chunk of rows says which rule each row breaks.

mod compilation;
mod rule;
mod verdict;

pub use compilation::Problem;
pub(crate) use compilation::{CompiledSource, compiled};
pub(crate) use rule::{Rule, RuleKind};
pub use verdict::{Offence, RuleOutcome};
pub(crate) use verdict::{Tally, refusal};
