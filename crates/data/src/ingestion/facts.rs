//! What the rules on a batch must know of the table's past before the batch is judged.

use std::collections::BTreeMap;

use lw_core::{Result, Timestamp};

use super::Services;
use crate::contract::{BatchCheck, CompiledSource, PastVolume, RuleKind};
use crate::queries::{self, MAX_PAGE, TableVersion};
use crate::{ColumnProfile, ProfileDocument};

/// The past, as far as a contract asks for it.
pub(super) struct Facts {
    pub now: Timestamp,
    /// The batches that had no unusual volume.
    pub past_volumes: Vec<PastVolume>,
    /// For each rule on a distribution, the newest version that kept it, with the column as it was then.
    earlier: BTreeMap<String, (u64, ColumnProfile)>,
}

impl Facts {
    pub(super) async fn gather(services: &Services, source: &CompiledSource, now: Timestamp) -> Result<Self> {
        let mut facts = Self { now, past_volumes: Vec::new(), earlier: BTreeMap::new() };
        let asks = |kind: &RuleKind| matches!(kind, RuleKind::Batch(BatchCheck::LearnedVolume(_) | BatchCheck::Distribution(_)));
        if !source.rules.iter().any(|rule| asks(&rule.kind)) {
            return Ok(facts);
        }
        let versions = queries::table_versions(&services.store, &source.definition.name, None, MAX_PAGE).await?;
        for rule in &source.rules {
            match &rule.kind {
                RuleKind::Batch(BatchCheck::LearnedVolume(_)) => {
                    let usual = versions.iter().filter(|version| !has_broken(version, &rule.name));
                    let volume = |version: &TableVersion| PastVolume { at: version.created_at, n_rows: version.n_read };
                    facts.past_volumes = usual.map(volume).collect();
                }
                RuleKind::Batch(BatchCheck::Distribution(distribution)) => {
                    let good = versions.iter().find(|version| version.n_rows > 0 && !has_broken(version, &rule.name));
                    let Some(good) = good else { continue };
                    let document = ProfileDocument::load(&services.artifacts, &good.profile).await?;
                    if let Some(column) = document.state.of_column(&distribution.column) {
                        facts.earlier.insert(rule.name.clone(), (good.version, column.clone()));
                    }
                }
                _ => {}
            }
        }
        Ok(facts)
    }

    pub(super) fn earlier_column(&self, rule: &str) -> Option<(u64, &ColumnProfile)> {
        self.earlier.get(rule).map(|(version, column)| (*version, column))
    }
}

fn has_broken(version: &TableVersion, rule: &str) -> bool {
    version.rules.iter().any(|outcome| outcome.rule == rule)
}
