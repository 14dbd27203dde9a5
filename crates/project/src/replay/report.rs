//! What a replay found: plain data, and its rendering as Markdown.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use lw_core::Timestamp;
use serde::{Deserialize, Serialize};

/// Quality over the predictions made in one calendar month whose labels became known.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MonthQuality {
    /// `2013-05`.
    pub month: String,
    pub n_labels: u64,
    /// Share of positive labels.
    pub label_share: f64,
    /// Of what the endpoint answered, whichever version answered.
    pub auc: f64,
    pub log_loss: f64,
    /// Of the first version, had it stayed.
    pub auc_frozen: f64,
    pub log_loss_frozen: f64,
}

/// One event of the model's life.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Milestone {
    pub at: Timestamp,
    /// `data`, `training set`, `candidate`, `gates passed`, `refused` (by a gate), `approved`, `rejected` (by a person), `deployed`
    /// (a first champion, a canary, or what became of one; the detail says which), `rolled back`, `alert`, `retraining`.
    pub what: String,
    pub detail: String,
    /// Ledger sequence of the entry behind it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seq: Option<u64>,
}

/// A whole replay.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ReplayReport {
    pub model: String,
    pub from: Timestamp,
    pub to: Timestamp,
    pub n_predictions: u64,
    /// Wall seconds that the predictions took through the endpoint, and all of the replay.
    pub prediction_seconds: f64,
    pub total_seconds: f64,
    /// Where the time went, by phase.
    pub seconds: BTreeMap<String, f64>,
    pub months: Vec<MonthQuality>,
    pub milestones: Vec<Milestone>,
}

impl ReplayReport {
    /// Predictions a second through the endpoint.
    pub fn prediction_rate(&self) -> f64 {
        if self.prediction_seconds > 0.0 { self.n_predictions as f64 / self.prediction_seconds } else { 0.0 }
    }

    /// Means of AUC and log loss over the months that `keep` selects: (with, frozen) for each.
    pub fn means(&self, keep: impl Fn(&MonthQuality) -> bool) -> ((f64, f64), (f64, f64)) {
        let kept: Vec<&MonthQuality> = self.months.iter().filter(|month| keep(month)).collect();
        let mean = |value: &dyn Fn(&MonthQuality) -> f64| kept.iter().map(|month| value(month)).sum::<f64>() / kept.len() as f64;
        (
            (mean(&|month| month.auc), mean(&|month| month.auc_frozen)),
            (mean(&|month| month.log_loss), mean(&|month| month.log_loss_frozen)),
        )
    }

    /// The report as Markdown; `why` is the rendered answer of the five questions.
    pub fn markdown(&self, why: &str) -> String {
        let mut text = String::new();
        // Writing to a string cannot fail.
        let _ = self.write(&mut text, why);
        text
    }

    fn write(&self, text: &mut String, why: &str) -> std::fmt::Result {
        writeln!(text, "# {} from {} to {}\n", self.model, self.from.date_text(), self.to.date_text())?;
        writeln!(
            text,
            "{} predictions in {:.1} s through the endpoint ({:.0} a second); {:.1} s in all.\n",
            self.n_predictions,
            self.prediction_seconds,
            self.prediction_rate(),
            self.total_seconds
        )?;
        for (phase, seconds) in &self.seconds {
            writeln!(text, "- {phase}: {seconds:.1} s")?;
        }
        writeln!(text)?;
        writeln!(text, "## Quality by month\n\n![AUC and log loss by month](quality.svg)\n")?;
        writeln!(text, "| month | labels | late | AUC | AUC, first version kept | log loss | log loss, first version kept |")?;
        writeln!(text, "|---|---|---|---|---|---|---|")?;
        for month in &self.months {
            writeln!(
                text,
                "| {} | {} | {:.1} % | {:.4} | {:.4} | {:.4} | {:.4} |",
                month.month,
                month.n_labels,
                month.label_share * 100.0,
                month.auc,
                month.auc_frozen,
                month.log_loss,
                month.log_loss_frozen
            )?;
        }
        writeln!(text, "\n## Timeline\n\n| when | what | detail | ledger |\n|---|---|---|---|")?;
        for milestone in &self.milestones {
            let seq = milestone.seq.map_or_else(String::new, |seq| format!("#{seq}"));
            writeln!(text, "| {} | {} | {} | {seq} |", milestone.at.date_text(), milestone.what, milestone.detail)?;
        }
        writeln!(text, "\n## Why\n\n```text\n{}\n```", why.trim_end())
    }
}
