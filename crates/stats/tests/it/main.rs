//! Against scikit-learn and SciPy (tests/oracles/stats_golden.py), and by simulation where the truth is known.

#![expect(clippy::unwrap_used, reason = "a test stops at what it did not expect")]

mod false_alarms;
mod golden;
