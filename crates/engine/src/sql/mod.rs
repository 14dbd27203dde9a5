//! SQL as text: what it may say, what it means, and what is wrong with it.

mod catalog;
mod diagnose;
mod giving_way;
mod interval;
mod leak;
mod parameter;
mod parse;
mod plan;
mod session;
mod timestamp;

pub(crate) use catalog::table_key;
pub(crate) use diagnose::diagnose;
pub use leak::{LookAhead, look_ahead};
pub(crate) use parameter::{count_parameters, number_parameters};
pub(crate) use parse::parse_expression;
pub use parse::table_names;
pub(crate) use plan::{logical_plan, offline_planner, output_schema};
pub use plan::{plan_schema, references};
pub(crate) use session::{OFFLINE, Session};
