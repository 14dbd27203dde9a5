//! Every statement of the engine. Whatever changes a run's steps takes the run's row of `pipeline_progress` first.

mod lease;
mod log;
mod run;
mod step;
mod trigger;

pub use lease::*;
pub use log::*;
pub use run::*;
pub use step::*;
pub use trigger::*;
