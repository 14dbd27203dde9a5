//! Every failure of the protocol itself. Each code has a page in `docs/errors/`.

use lw_core::{Failure, Kind};

/// A part of Flight or Flight SQL that this server does not have.
pub const FLIGHT_NOT_OFFERED: Failure = Failure::new("flight-not-offered", Kind::Invalid);
/// A call whose messages are not those of the protocol.
pub const FLIGHT_BAD_CALL: Failure = Failure::new("flight-bad-call", Kind::Invalid);
/// A ticket or statement that is not there any more, or belongs to somebody else.
pub const FLIGHT_HANDLE_UNKNOWN: Failure = Failure::new("flight-handle-unknown", Kind::NotFound);
/// As many tickets and statements are open as may be at one time.
pub const FLIGHT_HANDLES_EXHAUSTED: Failure = Failure::new("flight-handles-exhausted", Kind::Exhausted);
