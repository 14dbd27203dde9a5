//! MLflow's search grammar, and ours: text becomes a checked tree, and the tree becomes SQL that SQLite and PostgreSQL both
//! understand. No I/O.
//!
//! A stage that is searched tells through [`sql::Columns`] where the values of its fields stand; all else is here.

mod condition;
mod failures;
mod field;
mod filter;
mod mlflow;
mod native;
mod order;
mod page;
pub mod sql;

pub use condition::{Comparator, Comparison, Condition, Literal, Number};
pub use failures::{BAD_FILTER, BAD_ORDER, BAD_PAGE_TOKEN};
pub use field::{DatasetField, Entity, Field, Grammar, SpanField};
pub use filter::parse_filter;
pub use order::{
    Direction, LoggedModelOrder, LoggedModelOrderText, MetricDataset, OrderBy, parse_logged_model_order, parse_order_by,
};
pub use page::{LoggedModelPageToken, PageToken};
