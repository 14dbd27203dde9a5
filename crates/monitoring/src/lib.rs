//! Watches what a model does in production: windows of predictions against the training data, metrics as labels arrive,
//! alerts as state machines, and triggers that ask for exactly one retraining.
//!
//! ```text
//! Reference      made once for a model version, from its training set and report; an artifact
//! WindowCounts   what one window of predictions held; exact, so that parts merge
//! observe        reference + counts → observations, each with value, limit and verdict     (pure)
//! AlertState     verdicts → ok, pending, firing, resolved                                   (pure)
//! Promise        how fresh a table or view has to be; broken and kept, it moves an alert of its own
//! Monitoring     writes observations, alert and retraining request in one transaction
//! ```
//!
//! A drift limit is the effect that matters, or the noise of so many rows and features if that is larger: a window of the
//! same distribution does not alarm however small it is, however many features are watched.

mod alert;
mod counts;
mod definition;
mod failures;
mod freshness;
mod monitoring;
mod observation;
mod queries;
mod reference;
mod retraining;
mod window;

pub use alert::{Alert, AlertState};
pub use counts::WindowCounts;
pub use definition::{Group, Limit, Monitor, MonitorDefinition, Over, SkewWatch, Watch};
pub use failures::{BAD_MONITOR, MONITOR_WITHOUT_REFERENCE, REFERENCE_UNREADABLE, UNKNOWN_MONITORED_FEATURE, UNMONITORED_TYPE};
pub use freshness::{DataKind, FreshnessAlert, Promise, freshness_alerts, watch_freshness};
pub use lw_stats::{DriftMethod, Metric};
pub use monitoring::{Monitoring, Recorded, Watched, record};
pub use observation::{Observation, SkewedInput, Verdict, judge, observe, observe_skew};
pub use reference::Reference;
pub use retraining::{RETRAIN_TOPIC, RetrainDecision, RetrainPolicy, RetrainRequest};
pub use window::{Due, TimeWindow, due_windows};
