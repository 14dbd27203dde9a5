//! The native API under `/api/v1`: one module a resource.

mod catalog;
mod collection;
mod endpoints;
mod features;
mod identities;
mod imports;
mod ledger;
mod lineage;
mod models;
mod openapi;
mod pipelines;
mod process;
mod project;
mod runs;
mod sql;
mod tracking;
mod training_sets;

use crate::route::Route;

pub fn routes() -> Vec<Route> {
    [
        project::routes(),
        models::routes(),
        pipelines::routes(),
        runs::routes(),
        tracking::routes(),
        catalog::routes(),
        sql::routes(),
        collection::routes(),
        features::routes(),
        training_sets::routes(),
        endpoints::routes(),
        ledger::routes(),
        lineage::routes(),
        identities::routes(),
        imports::routes(),
        process::routes(),
        openapi::routes(),
    ]
    .into_iter()
    .flatten()
    .collect()
}
