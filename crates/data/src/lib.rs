//! Sources, ingestion, contracts, quarantine, profiles and freshness: from files to versions of a table that can be trusted.
//!
//! A [`SourceDefinition`] says where files are and what their rows must keep. [`ingest`] takes each file exactly once, through any
//! crash: rows that keep the contract become a version of the table `data/<source>`, the others go to `quarantine/<source>`
//! with the reason, and the ledger records what was read and what became of it.
#![cfg_attr(test, allow(clippy::unwrap_used))]

mod contract;
mod conversion;
mod definition;
pub mod failures;
mod freshness;
mod ingestion;
mod location;
mod ordered;
mod profile;
pub mod queries;
mod reading;

pub use contract::{Offence, Problem, RuleOutcome};
pub use definition::{ColumnDefinition, Contract, Evolution, Format, Literal, OnChange, RowRule, Severity, SourceDefinition};
pub use freshness::{Freshness, freshness};
pub use ingestion::{IngestReport, Services, ingest, quarantine_schema, register};
pub use location::{FilePattern, FoundFile, Landing};
pub use ordered::Ordered;
pub use profile::{ColumnProfile, ColumnSummary, Histogram, Profile, ProfileDocument, ProfileSummary, QuantilePoint, TopValue};
pub use queries::{IngestedFile, TableVersion};
