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
/// How much of the beginning of an attempt's log is kept, and how much of its end.
const MAX_HEAD_BYTES: usize = 3 << 20;
const MAX_TAIL_BYTES: usize = 1 << 20;

/// Takes the lines of one attempt. Never blocks: lines are written every fraction of a second and when the attempt ends.
///
/// It is bounded twice. Of more than 10,000 unwritten lines the oldest are dropped. Of a log of more than 4 MiB the first three and
/// the last one are kept; that last one is written when the attempt ends. Both say how many lines are missing.
#[derive(Clone)]
pub struct LogSink {
    clock: Arc<dyn Clock>,
    pending: Arc<Mutex<Pending>>,
}

#[derive(Default)]
struct Pending {
    lines: VecDeque<(Timestamp, String)>,
    n_dropped: u64,
    n_head_bytes: usize,
    tail: Tail,
}

/// The end of a log that has grown too long, with its oldest lines dropped.
#[derive(Default)]
struct Tail {
    lines: VecDeque<(Timestamp, String)>,
    n_bytes: usize,
    n_dropped: u64,
}

impl Tail {
    fn push(&mut self, at: Timestamp, line: String) {
        self.n_bytes += line.len();
        self.lines.push_back((at, line));
        while self.n_bytes > MAX_TAIL_BYTES || self.lines.len() > MAX_PENDING_LINES {
            let Some((_, dropped)) = self.lines.pop_front() else { break };
            self.n_bytes -= dropped.len();
            self.n_dropped += 1;
        }
    }
}

impl LogSink {
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self { clock, pending: Arc::default() }
    }

    /// Adds a text, one entry a line. Control characters are shown escaped, lines over 8 KiB are cut.
    pub fn line(&self, text: impl AsRef<str>) {
        let at = self.clock.now();
        let mut pending = self.pending.lock().unwrap_or_else(PoisonError::into_inner);
        for line in text.as_ref().lines().map(clean) {
            if pending.n_head_bytes + line.len() > MAX_HEAD_BYTES {
                pending.n_head_bytes = MAX_HEAD_BYTES;
                pending.tail.push(at, line);
                continue;
            }
            pending.n_head_bytes += line.len();
            if pending.lines.len() == MAX_PENDING_LINES {
                pending.lines.pop_front();
                pending.n_dropped += 1;
            }
            pending.lines.push_back((at, line));
        }
    }

    /// Takes all that is left when the attempt has ended.
    pub(crate) fn finish(&self) -> Vec<(Timestamp, String)> {
        let mut lines = self.take();
        let tail = std::mem::take(&mut self.pending.lock().unwrap_or_else(PoisonError::into_inner).tail);
        if tail.n_dropped > 0 {
            let missing = format!("… {} lines are left out here: a step's log holds 4 MiB", tail.n_dropped);
            lines.push((tail.lines.front().map_or_else(|| self.clock.now(), |(at, _)| *at), missing));
        }
        lines.extend(tail.lines);
        lines
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
    fn a_long_log_keeps_its_beginning_and_its_end() {
        let sink = sink();
        let mut written = Vec::new();
        for n in 0..200_000 {
            sink.line(format!("line {n:>6} {}", "x".repeat(28)));
            if n % 5_000 == 0 {
                written.extend(sink.take());
            }
        }
        written.extend(sink.finish());
        let n_bytes: usize = written.iter().map(|(_, line)| line.len()).sum();
        assert!(n_bytes <= MAX_HEAD_BYTES + MAX_TAIL_BYTES + 100, "{n_bytes}");
        assert!(written[0].1.starts_with("line      0 ") && written[written.len() - 1].1.starts_with("line 199999 "));
        let gaps: Vec<&String> = written.iter().map(|(_, line)| line).filter(|line| line.starts_with('…')).collect();
        assert_eq!(gaps.len(), 1, "{gaps:?}");
        assert!(gaps[0].contains("are left out here"), "{}", gaps[0]);
        assert!(sink.finish().is_empty());
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
