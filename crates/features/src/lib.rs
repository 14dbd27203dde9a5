//! Feature views, training sets and the online store: one definition of a feature for training and for predictions.
//!
//! - [`ViewDefinition`] says what a view is; [`check_views`] checks it against tables; [`register_view`] makes it a version.
//! - [`build_training_set`] joins examples with what was known at the time of each prediction, and records the recipe.
//! - [`Materializer`] and [`MaterializationFeed`] keep an [`OnlineStore`](online::OnlineStore) up to date, and
//!   [`OnlineView`](online::OnlineView) answers look-ups by the same rule of age as the join.
//! - [`check_skew`] compares what predictions saw with what training would have seen.
#![cfg_attr(test, allow(clippy::unwrap_used))]

mod check;
mod computer;
mod definition;
pub mod failures;
mod feed;
mod freshness;
mod materialization;
pub mod online;
mod queries;
mod recipe;
mod registration;
mod rows;
mod skew;
mod training_set;

pub use check::{Relation, check_view, check_views, dependency_order};
pub use computer::ViewComputer;
pub use definition::{FeatureDefinition, ViewDefinition};
pub use feed::MaterializationFeed;
pub use freshness::{Freshness, freshness};
pub use materialization::{Materialized, Materializer};
pub use online::{EmbeddedStore, Lookup, MemoryStore, OnlineStore, OnlineView};
pub use recipe::{EXAMPLE_COLUMNS, Examples, JoinedView, TimeWindow, TrainingSetRecipe};
pub use registration::{RegisteredView, find_view, newest_views, register_view};
pub use rows::{AvailableRange, Sources, TableVersion, view_rows};
pub use skew::{ColumnSkew, SkewCheck, SkewExample};
pub use training_set::{
    ComputedTrainingSet, Services, TrainingSet, build_training_set, compute_training_set, find_training_set, list_training_sets,
    load_recipe,
};
