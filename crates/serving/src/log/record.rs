//! What a request hands to the log.

use std::sync::Arc;

use super::layout::Layout;
use super::segment;

/// Rows that one version scored, framed for the segment, with the layout that they refer to.
pub struct LogRecord {
    pub(super) layout: Arc<Layout>,
    pub(super) layout_number: u64,
    pub(super) frame: Vec<u8>,
    pub(super) n_rows: u32,
}

impl LogRecord {
    /// `payload` is what [`super::ScoredRows::encode`] gives.
    pub fn new(layout: &Arc<Layout>, layout_number: u64, payload: &[u8], n_rows: u32) -> Self {
        let mut frame = Vec::with_capacity(payload.len() + segment::FRAME_HEAD_BYTES);
        segment::frame(payload, &mut frame);
        Self { layout: Arc::clone(layout), layout_number, frame, n_rows }
    }
}
