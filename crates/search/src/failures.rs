//! Every failure of this crate. Each code has a page in docs/errors/.

use lw_core::{Failure, Kind};

/// A filter that is not of the grammar, or compares what cannot be compared.
pub const BAD_FILTER: Failure = Failure::new("bad-filter", Kind::Invalid);
/// An order that names no field, no direction or one field twice.
pub const BAD_ORDER: Failure = Failure::new("bad-order", Kind::Invalid);
/// A page token that no search of ours gave out.
pub const BAD_PAGE_TOKEN: Failure = Failure::new("bad-page-token", Kind::Invalid);
