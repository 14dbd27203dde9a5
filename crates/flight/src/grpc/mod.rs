//! gRPC over HTTP/2: length-prefixed messages, and a status that ends each call.
//!
//! A call brings few and small messages; an answer is a stream of messages that is made as fast as the client takes it. Messages are not
//! compressed: record batches are read faster than they would be inflated.

mod call;
mod reply;
mod status;

pub use call::{Call, timeout};
pub use reply::{Body, Pieces, Reply, refused};
