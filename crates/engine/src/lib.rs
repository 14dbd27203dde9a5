//! SQL, versioned tables, compiled expressions and the point-in-time join: DataFusion and Delta Lake behind one door.
//!
//! No other crate names `datafusion` or `deltalake`. Rows travel as Arrow record batches of *canonical* types: strings are
//! `Utf8`, every timestamp is `Timestamp(Microsecond, "UTC")`, integers are 32 or 64 bits and signed (see [`canonical_type`]).
//!
//! SQL is a query and nothing else: no DDL, no `COPY`, no file functions, and no function whose answer depends on when it runs
//! (`now()`, `random()`). A point in time always comes from a column.
//!
//! ```
//! use lw_engine::{Binding, Engine, EngineOptions, TableId, WriteMode, WriteOptions, scalar_at};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let directory = tempfile::tempdir()?;
//! # let tables_dir = directory.path().to_owned();
//! let engine = Engine::open(EngineOptions { tables_dir, memory_limit_bytes: 64 << 20, n_threads: 1 })?;
//! let rows = engine.query("SELECT 'AA' AS carrier, 12 AS arr_delay", vec![]).await?.collect().await?;
//! let flights = TableId::parse("data/flights")?;
//! let written = engine.write(&flights, rows[0].schema(), rows, WriteOptions::new(WriteMode::Append)).await?;
//! assert_eq!((written.version, written.n_rows), (0, 1));
//!
//! let late = engine.query("SELECT count(*) AS n FROM flights WHERE arr_delay > 10", vec![Binding::table(&flights, Some(0))]);
//! assert_eq!(scalar_at(late.await?.collect().await?[0].column(0), 0)?, 1_i64.into());
//! # Ok(())
//! # }
//! ```
#![cfg_attr(test, allow(clippy::unwrap_used, reason = "a test may panic"))]

mod aggregation;
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

pub use aggregation::{AggregateValue, Aggregation, AggregationAnswer, AggregationState};
pub use binding::{Binding, Bound};
pub use column_type::{
    canonical_batch, canonical_schema, canonical_type, from_arrow, from_arrow_schema, to_arrow, to_arrow_schema,
};
pub use engine::{Engine, EngineOptions};
pub use expression::{Expression, ExpressionSet};
pub use point_in_time::{KeyPair, OutputColumn, PitView, PointInTime, is_within_ttl};
pub use query::{Prepared, Query};
pub use row::{batch_from_rows, content_digest, scalar_at};
pub use sql::{LookAhead, look_ahead, plan_schema, references, table_names};
pub use table::{AppTxn, Area, Commit, TableId, WriteMode, WriteOptions, Written};
