//! The HTTP surface: the native API, the Open Inference Protocol, metrics and a status page.
//!
//! [`router`] is the whole server as one service; [`serve`] puts it behind a socket, and the command line calls it in memory.
//! Every request passes one guard (names, token, permission, id, deadline), and every route stands in one table
//! ([`routes`]) with the action that its callers must be allowed.
#![cfg_attr(test, allow(clippy::unwrap_used))]

mod app;
mod body;
mod exposure;
pub mod failures;
mod flight;
mod guard;
mod inference;
mod listener;
mod native;
mod presence;
mod problem;
mod refusals;
mod route;
mod status;
mod token;
mod workspace;

pub use app::{Access, App, Limits, Platform};
pub use exposure::{Authentication, check_exposure};
pub use flight::serve_flight;
pub use guard::{ACTOR, REQUEST_ID};
pub use listener::serve;
pub use presence::{Announcement, RunningServer, announce, running};
pub use problem::Problem;
pub use route::{Action, Route, router, routes};
pub use token::{Token, is_own_token, read_token};
