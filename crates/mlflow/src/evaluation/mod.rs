//! What traces are evaluated with: datasets, scorers, and the questions that people answer.

mod dataset;
mod label_schema;
mod scorer;

use crate::route::Route;

pub(crate) fn routes() -> Vec<Route> {
    dataset::routes().into_iter().chain(scorer::routes()).chain(label_schema::routes()).collect()
}
