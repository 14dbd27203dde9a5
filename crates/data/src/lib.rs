//! Sources, ingestion, contracts, quarantine, profiles and freshness: from files to versions of a table that can be trusted.
//!
//! A [`SourceDefinition`] says where files are and what their rows must keep. [`ingest`] takes each file exactly once, through any
//! crash: rows that keep the contract become a version of the table `data/<source>`, the others go to `quarantine/<source>`
//! with the reason, and the ledger records what was read and what became of it. [`verdicts`] and [`refusals`] tell what every rule
//! said of a batch, [`examine`] what the rules would say of a file.
//!
//! ```
//! let yaml = "
//! source: orders
//! files: data/orders/*.csv
//! format: csv
//! columns:
//!   id: {type: int64, required: true}
//!   amount: {type: float64, min: 0}
//! derive:
//!   cents: \"CAST(amount * 100 AS BIGINT)\"
//! key: [id]
//! contract: {max_quarantined: 0.01}
//! ";
//! let orders: lw_data::SourceDefinition = serde_saphyr::from_str(yaml)?;
//! assert!(orders.check().is_empty());
//! assert_eq!(orders.table_schema()?.fields().len(), 3);
//!
//! let misspelt: lw_data::SourceDefinition = serde_saphyr::from_str(&yaml.replace("key: [id]", "key: [idd]"))?;
//! let problem = &misspelt.check()[0];
//! assert_eq!((problem.path.as_str(), problem.error.hint_text()), ("key[0]", Some("did you mean `id`?")));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod contract;
mod conversion;
mod definition;
mod examination;
pub mod failures;
mod freshness;
mod ingestion;
mod location;
mod ordered;
mod profile;
mod quarantined;
pub mod queries;
mod reading;

pub use contract::{Offence, Outcome, Problem, RuleOutcome, RuleVerdict};
pub use definition::{
    AggregateRule, ColumnDefinition, Contract, Detector, DistributionRule, Evolution, Format, LabelDelayRule, LearnedVolume,
    Literal, OnChange, OutlierMethod, OutlierRule, ReferenceRule, RepresentationRule, RowRule, Season, SensitiveRule, Severity,
    SourceDefinition, UniqueRule, VolumeRule,
};
pub use examination::{Examination, examine};
pub use freshness::{Freshness, freshness};
pub use ingestion::{IngestReport, Services, ingest, quarantine_schema, register};
pub use location::{FilePattern, FoundFile, Landing};
pub use ordered::Ordered;
pub use profile::{ColumnProfile, ColumnSummary, Histogram, Profile, ProfileDocument, ProfileSummary, QuantilePoint, TopValue};
pub use quarantined::{QuarantinedRow, quarantined};
pub use queries::{IngestedFile, Refusal, TableVersion, refusals, verdicts};
