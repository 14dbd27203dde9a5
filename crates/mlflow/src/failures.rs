//! Every failure that the protocol itself returns.

use lw_core::{Failure, Kind};

pub const UPLOAD_BROKE_OFF: Failure = Failure::new("upload-broke-off", Kind::Invalid);
pub const UPLOAD_STALLED: Failure = Failure::new("upload-stalled", Kind::Timeout);
