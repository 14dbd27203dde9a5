//! What an import brings from another server, with its own ids, numbers and times. Everything between the beginning and the end of a
//! run or a logged model goes through MLflow's routes, as if it were live.

mod registry;
mod tracking;

use crate::route::Route;

pub fn routes() -> Vec<Route> {
    [tracking::routes(), registry::routes()].into_iter().flatten().collect()
}
