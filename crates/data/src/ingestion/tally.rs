//! What the rules found, counted chunk by chunk.

use crate::contract::{CompiledSource, Explanation, Finding, N_FIRST, Offence, Outcome, Rule, RuleVerdict, Tally};

use super::chunk::Chunk;

/// Counts of some chunks. Those of other chunks merge into them.
pub(crate) struct Counts {
    pub n_rows: u64,
    pub n_kept_out: u64,
    /// One for each rule.
    rules: Vec<RuleCount>,
}

#[derive(Default)]
struct RuleCount {
    n_broken: u64,
    first: Vec<Offence>,
}

impl Counts {
    pub(crate) fn begin(source: &CompiledSource) -> Self {
        Self { n_rows: 0, n_kept_out: 0, rules: source.rules.iter().map(|_| RuleCount::default()).collect() }
    }

    /// Adds a chunk. `reasons` has what the end of the batch says of each rule.
    pub(crate) fn add(&mut self, source: &CompiledSource, chunk: &Chunk, file: &str, reasons: &[Option<String>]) {
        self.n_rows += chunk.rows.num_rows() as u64;
        self.n_kept_out += chunk.kept_out.count_set_bits() as u64;
        for (rule_index, broken) in &chunk.broken {
            let rule = &source.rules[*rule_index];
            let count = &mut self.rules[*rule_index];
            count.n_broken += broken.count_set_bits() as u64;
            for row_index in broken.set_indices().take(N_FIRST - count.first.len()) {
                let found = reasons.get(*rule_index).and_then(Option::as_deref);
                let Explanation { reason, .. } = rule.explain(&chunk.raw, &chunk.rows, row_index, found);
                count.first.push(Offence { file: file.to_owned(), row_number: chunk.row_number(row_index), reason });
            }
        }
    }

    /// Adds the counts of other chunks of one file.
    pub(crate) fn merge(&mut self, other: Self) {
        self.n_rows += other.n_rows;
        self.n_kept_out += other.n_kept_out;
        for (mine, theirs) in self.rules.iter_mut().zip(other.rules) {
            mine.n_broken += theirs.n_broken;
            mine.first.extend(theirs.first);
            mine.first.sort_by_key(|offence| offence.row_number);
            mine.first.truncate(N_FIRST);
        }
    }

    /// One verdict for each rule. `place_of` turns a position in the batch into a file and a row number.
    pub(crate) fn tally(
        self,
        source: &CompiledSource,
        findings: Vec<Option<Finding>>,
        place_of: impl Fn(u64) -> (String, u64),
    ) -> Tally {
        let verdicts = source.rules.iter().zip(self.rules).zip(findings);
        let verdicts = verdicts.map(|((rule, count), finding)| match finding {
            None => of_rows(rule, count, self.n_rows),
            Some(finding) => of_finding(rule, count, finding, &place_of),
        });
        Tally { n_rows: self.n_rows, n_quarantined: self.n_kept_out, verdicts: verdicts.collect() }
    }
}

/// The verdict on a rule that chunks decide.
fn of_rows(rule: &Rule, count: RuleCount, n_rows: u64) -> RuleVerdict {
    let outcome = if count.n_broken == 0 { Outcome::Kept } else { Outcome::Broken };
    let mut verdict = RuleVerdict {
        rule: rule.name.clone(),
        severity: rule.severity,
        outcome,
        n_checked: n_rows,
        n_broken: count.n_broken,
        observed: None,
        limits: rule.limits(),
        note: None,
        first: count.first,
    };
    verdict.note = verdict.never_holds().then(|| "no row of the batch keeps it".to_owned());
    verdict
}

/// The verdict on a rule that the end of the batch decided. Rows that were marked one by one have their offences already.
pub(super) fn of_finding_alone(rule: &Rule, finding: Finding, place_of: &impl Fn(u64) -> (String, u64)) -> RuleVerdict {
    of_finding(rule, RuleCount::default(), finding, place_of)
}

fn of_finding(rule: &Rule, count: RuleCount, finding: Finding, place_of: &impl Fn(u64) -> (String, u64)) -> RuleVerdict {
    let offence = |ordinal: &u64| {
        let (file, row_number) = place_of(*ordinal);
        let reason = match (&rule.kind, &finding.limits) {
            _ if rule.is_of_batch() => finding.observed.clone().unwrap_or_default(),
            (_, Some(limits)) => format!("outside of {limits}"),
            (_, None) => format!("breaks `{}`", rule.name),
        };
        Offence { file, row_number, reason }
    };
    let first = if count.first.is_empty() { finding.rows.iter().take(N_FIRST).map(offence).collect() } else { count.first };
    RuleVerdict {
        rule: rule.name.clone(),
        severity: rule.severity,
        outcome: finding.outcome,
        n_checked: finding.n_checked,
        n_broken: finding.n_broken,
        limits: finding.limits.or_else(|| rule.limits()),
        observed: finding.observed,
        note: finding.note,
        first,
    }
}
