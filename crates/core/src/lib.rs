//! The vocabulary that every other crate speaks: names, ids, versions, digests, time, schemas, errors and ledger entries.
//!
//! Nothing here does I/O and nothing is asynchronous.
//!
//! ```
//! use lw_core::{Digest, Subject, SubjectKind};
//!
//! let subject = Subject::new(SubjectKind::ModelVersion, "late_arrival", 3);
//! assert_eq!(subject.to_string(), "model_version/late_arrival@3");
//! assert_eq!(Digest::of(b"abc").short(), "ba7816bf8f01");
//! ```

mod ctx;
mod digest;
mod entry;
mod error;
mod id;
mod json_schema;
mod model_name;
mod name;
mod scalar;
mod schema;
mod subject;
mod time;

pub use ctx::{Actor, Ctx};
pub use digest::{BadDigest, Digest, canonical_json};
pub use entry::{Change, Draft, Entry, Reference, RowImage};
pub use error::{Error, Failure, Kind, Place, Result};
pub use id::{IdSource, RandomIds, RunId, SeededIds};
pub use model_name::{BAD_MODEL_NAME, ModelName};
pub use name::{BAD_NAME, Name};
pub use scalar::Scalar;
pub use schema::{DataType, Field, Schema, nearest};
pub use subject::{BAD_SUBJECT, Subject, SubjectKind};
pub use time::{BAD_TIME, Clock, SimulatedClock, Span, SystemClock, Timestamp};
