//! What an import has done so far.

use std::collections::BTreeMap;

use lw_core::Error;
use serde_json::{Value, json};

/// The kinds of things, in the order in which they are told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum What {
    Experiments,
    Runs,
    Points,
    Files,
    LoggedModels,
    RegisteredModels,
    ModelVersions,
}

impl What {
    const ALL: [Self; 7] = [
        Self::Experiments,
        Self::Runs,
        Self::Points,
        Self::Files,
        Self::LoggedModels,
        Self::RegisteredModels,
        Self::ModelVersions,
    ];

    fn name(self) -> &'static str {
        match self {
            Self::Experiments => "experiments",
            Self::Runs => "runs",
            Self::Points => "metric points",
            Self::Files => "artifact files",
            Self::LoggedModels => "logged models",
            Self::RegisteredModels => "registered models",
            Self::ModelVersions => "model versions",
        }
    }
}

#[derive(Debug, Clone, Copy, Default)]
struct Counts {
    n_brought: u64,
    n_present: u64,
    n_failed: u64,
}

/// Counts by kind, and every thing that failed or was left out with its reason.
#[derive(Debug, Default)]
pub struct Tally {
    counts: BTreeMap<What, Counts>,
    failures: Vec<Failed>,
    left_out: Vec<String>,
}

#[derive(Debug)]
struct Failed {
    what: What,
    name: String,
    code: &'static str,
    message: String,
    hint: Option<String>,
}

impl Tally {
    pub fn brought(&mut self, what: What, n_things: u64) {
        self.counts.entry(what).or_default().n_brought += n_things;
    }

    pub fn present(&mut self, what: What, n_things: u64) {
        self.counts.entry(what).or_default().n_present += n_things;
    }

    pub fn failed(&mut self, what: What, name: impl Into<String>, error: &Error) {
        self.counts.entry(what).or_default().n_failed += 1;
        self.failures.push(Failed {
            what,
            name: name.into(),
            code: error.code(),
            message: error.message().to_owned(),
            hint: error.hint_text().map(str::to_owned),
        });
    }

    /// Something that is not brought on purpose.
    pub fn left_out(&mut self, why: impl Into<String>) {
        self.left_out.push(why.into());
    }

    pub fn n_brought(&self, what: What) -> u64 {
        self.counts.get(&what).map_or(0, |counts| counts.n_brought)
    }

    pub fn has_failed(&self, what: What, name: &str) -> bool {
        self.failures.iter().any(|failed| failed.what == what && failed.name == name)
    }

    pub fn n_failed(&self) -> usize {
        self.failures.len()
    }

    /// One line for each kind: its name and how many were brought, were there and failed.
    pub fn rows(&self) -> Vec<Vec<String>> {
        let row = |what: What| {
            let counts = self.counts.get(&what).copied().unwrap_or_default();
            let Counts { n_brought, n_present, n_failed } = counts;
            vec![what.name().to_owned(), n_brought.to_string(), n_present.to_string(), n_failed.to_string()]
        };
        What::ALL.into_iter().map(row).collect()
    }

    /// What to tell about failures and what was left out, in lines.
    pub fn remarks(&self) -> Vec<String> {
        const MOST: usize = 20;
        let mut lines: Vec<String> = self.left_out.iter().map(|why| format!("left out: {why}")).collect();
        for failed in self.failures.iter().take(MOST) {
            lines.push(format!("failed: {} {}: {} [{}]", failed.what.name(), failed.name, failed.message, failed.code));
            lines.extend(failed.hint.iter().map(|hint| format!("  hint: {hint}")));
        }
        if self.failures.len() > MOST {
            lines.push(format!("and {} more; --json lists all", self.failures.len() - MOST));
        }
        lines
    }

    pub fn json(&self) -> Value {
        let of_kind = |what: What| {
            let counts = self.counts.get(&what).copied().unwrap_or_default();
            (
                what.name().replace(' ', "_"),
                json!({"brought": counts.n_brought, "present": counts.n_present, "failed": counts.n_failed}),
            )
        };
        let counts: serde_json::Map<String, Value> = What::ALL.into_iter().map(of_kind).collect();
        let failure = |failed: &Failed| {
            json!({
                "what": failed.what.name(), "name": failed.name, "code": failed.code, "message": failed.message,
                "hint": failed.hint,
            })
        };
        let failures: Vec<Value> = self.failures.iter().map(failure).collect();
        json!({"counts": counts, "failures": failures, "left_out": self.left_out})
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_counts_and_tells() {
        let mut tally = Tally::default();
        tally.brought(What::Runs, 2);
        tally.present(What::Runs, 3);
        tally.failed(What::Runs, "abc", &crate::failures::BAD_ARGUMENT.error("no").hint("yes"));
        tally.left_out("the alias `champion` of model `m`");
        assert_eq!(tally.rows()[1], ["runs", "2", "3", "1"]);
        assert_eq!(
            tally.remarks(),
            ["left out: the alias `champion` of model `m`", "failed: runs abc: no [bad-argument]", "  hint: yes"]
        );
        assert_eq!(tally.json()["counts"]["metric_points"], json!({"brought": 0, "present": 0, "failed": 0}));
    }
}
