//! The grammar of MLflow against stock's own answers, and the native grammar against itself.

mod native;
mod sql;
mod stock;
