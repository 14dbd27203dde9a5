//! SQL, versioned tables, compiled expressions and the point-in-time join: DataFusion and Delta Lake behind one door.
//!
//! No other crate names `datafusion` or `deltalake`. Rows travel as Arrow record batches of *canonical* types: strings are
//! `Utf8`, every timestamp is `Timestamp(Microsecond, "UTC")`, integers are 32 or 64 bits and signed (see [`canonical_type`]).
//!
//! SQL is a query and nothing else: no DDL, no `COPY`, no file functions, and no function whose answer depends on when it runs
//! (`now()`, `random()`). A point in time always comes from a column.
#![cfg_attr(test, allow(clippy::unwrap_used))]

mod binding;
mod column_type;
mod engine;
mod expression;
pub mod failures;
mod point_in_time;
mod query;
mod row;
mod sql;
mod table;

pub use binding::{Binding, Bound};
pub use column_type::{
    canonical_batch, canonical_schema, canonical_type, from_arrow, from_arrow_schema, to_arrow, to_arrow_schema,
};
pub use engine::{Engine, EngineOptions};
pub use expression::{Expression, ExpressionSet};
pub use point_in_time::{KeyPair, OutputColumn, PitView, PointInTime, is_within_ttl};
pub use query::Query;
pub use row::{batch_from_rows, content_digest, scalar_at};
pub use sql::{plan_schema, references, table_names};
pub use table::{AppTxn, Area, Commit, TableId, WriteMode, WriteOptions, Written};
