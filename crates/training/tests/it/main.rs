//! Trainers against scikit-learn and LightGBM, studies, and Python steps.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod definition;
mod golden;
mod python;
mod quiet;
mod rows;
mod studies;
mod trainers;
