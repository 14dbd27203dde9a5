//! The checks of the house that a program can make. Each is a function from text to the violations in it, so that each can be
//! shown to fail; `tests/tidy.rs` runs them on the repository.
//!
//! | check | rule |
//! |---|---|
//! | [`layering`] | imports run one way, and one crate owns each heavy library (ARCHITECTURE.md, invariants 1 and 2) |
//! | [`length`] | files up to 600 lines, functions up to 70, tests aside |
//! | [`forbidden`] | no `unwrap`, `todo!` or `dbg!` outside tests; no path of somebody's machine anywhere |
//! | [`pins`] | Python packages are pinned, and locked with hashes |
//! | [`pages`] | every error code has its page in `docs/errors/`, and every page its code |

pub mod forbidden;
pub mod layering;
pub mod length;
pub mod pages;
pub mod pins;
pub mod source;
pub mod tree;

/// A sentence that names the place and the rule that it breaks.
pub type Violation = String;
