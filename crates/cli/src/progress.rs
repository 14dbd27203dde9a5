//! Live progress: bars on a terminal, plain lines elsewhere.

use std::collections::BTreeMap;
use std::io::IsTerminal;
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use serde_json::Value;

use crate::render;

/// The steps of a pipeline run as they happen.
pub struct Steps {
    bars: Option<MultiProgress>,
    shown: BTreeMap<String, (String, Option<ProgressBar>)>,
}

impl Steps {
    pub fn new() -> Self {
        let bars = std::io::stderr().is_terminal().then(MultiProgress::new);
        Self { bars, shown: BTreeMap::new() }
    }

    /// Takes the steps as the API reports them and shows what changed.
    pub fn update(&mut self, steps: &[Value]) {
        for step in steps {
            let key = render::cell(&step["key"]);
            let state = render::cell(&step["state"]);
            let seen = self.shown.get(&key).map(|(state, _)| state.clone());
            if seen.as_deref() == Some(state.as_str()) || state == "pending" {
                continue;
            }
            let bar = self.show(&key, &state);
            self.shown.insert(key, (state, bar));
        }
    }

    fn show(&self, key: &str, state: &str) -> Option<ProgressBar> {
        let Some(bars) = &self.bars else {
            render::talk(&format!("{state:10} {key}"));
            return None;
        };
        let bar = self.shown.get(key).and_then(|(_, bar)| bar.clone()).unwrap_or_else(|| bars.add(ProgressBar::new_spinner()));
        let mark = match state {
            "succeeded" => "✓",
            "cached" => "↻",
            "failed" | "refused" => "✗",
            "skipped" | "cancelled" => "–",
            _ => "{spinner}",
        };
        if let Ok(style) = ProgressStyle::with_template(&format!("{mark} {{msg}}")) {
            bar.set_style(style);
        }
        let text = format!("{key} {state}");
        if matches!(state, "running" | "claimed") {
            bar.set_message(text);
            bar.enable_steady_tick(Duration::from_millis(120));
        } else {
            bar.finish_with_message(text);
        }
        Some(bar)
    }

    pub fn log(&self, step: &str, text: &str) {
        let line = format!("  {step}: {text}");
        match &self.bars {
            // A terminal that went away is noticed at the next write to stdout.
            Some(bars) => drop(bars.println(line)),
            None => render::talk(&line),
        }
    }

    pub fn finish(&self) {
        for (_, bar) in self.shown.values() {
            if let Some(bar) = bar {
                bar.abandon();
            }
        }
    }
}

/// One bar over a known length, with a changing sentence beside it.
pub struct Bar(Option<ProgressBar>);

impl Bar {
    pub fn new(length: u64) -> Self {
        if !std::io::stderr().is_terminal() {
            return Self(None);
        }
        let bar = ProgressBar::new(length);
        if let Ok(style) = ProgressStyle::with_template("{bar:30} {percent:>3}% {msg}") {
            bar.set_style(style);
        }
        Self(Some(bar))
    }

    pub fn set(&self, position: u64, message: String) {
        if let Some(bar) = &self.0 {
            bar.set_position(position);
            bar.set_message(message);
        }
    }

    /// A line that stays.
    pub fn line(&self, text: &str) {
        match &self.0 {
            Some(bar) => bar.suspend(|| render::talk(text)),
            None => render::talk(text),
        }
    }

    pub fn finish(&self) {
        if let Some(bar) = &self.0 {
            bar.finish_and_clear();
        }
    }
}
