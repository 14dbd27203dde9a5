//! What steps print, line by line, for people who watch.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use lw_core::{Clock, Timestamp};
use serde::Serialize;

/// A line of a run's log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LogLine {
    /// Counts from 1 within the run, without gaps. Ask for the lines after the last one you have.
    pub cursor: i64,
    pub step: String,
    pub attempt: u32,
    pub at: Timestamp,
    pub line: String,
}

const MAX_PENDING_LINES: usize = 10_000;
const MAX_LINE_BYTES: usize = 8 * 1024;

/// Takes the lines of one attempt. Never blocks: lines are written every fraction of a second and when the attempt ends.
/// Beyond 10,000 unwritten lines the oldest are dropped and counted.
#[derive(Clone)]
pub struct LogSink {
    clock: Arc<dyn Clock>,
    pending: Arc<Mutex<Pending>>,
}

#[derive(Default)]
struct Pending {
    lines: VecDeque<(Timestamp, String)>,
    n_dropped: u64,
}

impl LogSink {
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self { clock, pending: Arc::default() }
    }

    /// Adds a text, one entry a line. Control characters are shown escaped, lines over 8 KiB are cut.
    pub fn line(&self, text: impl AsRef<str>) {
        let at = self.clock.now();
        let mut pending = self.pending.lock().unwrap_or_else(PoisonError::into_inner);
        for line in text.as_ref().lines() {
            if pending.lines.len() == MAX_PENDING_LINES {
                pending.lines.pop_front();
                pending.n_dropped += 1;
            }
            pending.lines.push_back((at, clean(line)));
        }
    }

    /// Takes what has not been written yet.
    pub(crate) fn take(&self) -> Vec<(Timestamp, String)> {
        let mut pending = self.pending.lock().unwrap_or_else(PoisonError::into_inner);
        let lines = std::mem::take(&mut pending.lines);
        let n_dropped = std::mem::take(&mut pending.n_dropped);
        drop(pending);
        let dropped = (n_dropped > 0).then(|| (self.clock.now(), format!("… {n_dropped} lines came too fast and were dropped")));
        dropped.into_iter().chain(lines).collect()
    }
}

impl std::fmt::Debug for LogSink {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("LogSink")
    }
}

/// Terminals and databases get no control characters from a step.
fn clean(line: &str) -> String {
    let mut clean = String::with_capacity(line.len().min(MAX_LINE_BYTES));
    for c in line.chars() {
        if clean.len() + c.len_utf8() > MAX_LINE_BYTES {
            clean.push('…');
            break;
        }
        if c.is_control() && c != '\t' {
            clean.extend(c.escape_default());
        } else {
            clean.push(c);
        }
    }
    clean
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sink() -> LogSink {
        LogSink::new(Arc::new(lw_core::SimulatedClock::at(Timestamp::from_millis(1))))
    }

    #[track_caller]
    fn check(text: &str, want: &[&str]) {
        let sink = sink();
        sink.line(text);
        let lines: Vec<String> = sink.take().into_iter().map(|(_, line)| line).collect();
        assert_eq!(lines, want);
        assert!(sink.take().is_empty());
    }

    #[test]
    fn lines_are_split_and_made_harmless() {
        check("one\ntwo\r\nthree", &["one", "two", "three"]);
        check("a\u{1b}[31mred\0", &["a\\u{1b}[31mred\\u{0}"]);
        check(&"x".repeat(9_000), &[&format!("{}…", "x".repeat(8_192))]);
    }

    #[test]
    fn a_flood_is_bounded_and_says_so() {
        let sink = sink();
        for n in 0..10_005 {
            sink.line(n.to_string());
        }
        let lines = sink.take();
        assert_eq!(lines.len(), 10_001);
        assert!(lines[0].1.contains("5 lines"), "{}", lines[0].1);
        assert_eq!(lines[1].1, "5");
    }
}
