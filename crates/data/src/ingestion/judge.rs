//! The end of a batch: what its rules found together decides whether its rows enter the table, all, some or none.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, RecordBatch, RecordBatchOptions, new_null_array};
use arrow::buffer::BooleanBuffer;
use arrow::compute::{filter_record_batch, max};
use arrow::datatypes::{Field, SchemaRef, TimestampMicrosecondType};
use lw_core::{Error, Result, Timestamp};

use super::chunk::Chunk;
use super::facts::Facts;
use super::intake::Intake;
use super::quarantine;
use super::tally::{Counts, of_finding_alone};
use crate::contract::{
    BatchCheck, CompiledSource, Finding, Outcome, RuleKind, RuleVerdict, Tally, judge_distribution, judge_learned, refusal,
};
use crate::queries::IngestedFile;
use crate::{Profile, Severity};

/// A batch that was judged.
pub(super) enum Judgement {
    Accepted(Accepted),
    Refused { error: Error, files: Vec<IngestedFile>, verdicts: Vec<RuleVerdict> },
}

/// What of a batch enters the table.
pub(super) struct Accepted {
    pub files: Vec<IngestedFile>,
    pub n_read: u64,
    pub n_quarantined: u64,
    pub tally: Tally,
    pub rows: Vec<RecordBatch>,
    pub quarantined: Option<RecordBatch>,
    pub profile: Profile,
    pub newest_event: Option<Timestamp>,
    pub newest_known: Option<Timestamp>,
}

pub(super) fn judge(
    source: &CompiledSource,
    intake: Intake,
    facts: &Facts,
    schema: &SchemaRef,
    ingest_id: &str,
) -> Result<Judgement> {
    let definition = &source.definition;
    let Intake { files, mut chunks, gathered, n_rows } = intake;
    let mut findings: Vec<Option<Finding>> = source.rules.iter().map(|_| None).collect();
    for (rule_index, finding) in gathered.finish(&source.rules)? {
        findings[rule_index] = Some(finding);
    }
    let mut reasons = mark(source, &findings, &mut chunks);
    judge_by_history(source, facts, n_rows, &mut findings);

    let place_of = |ordinal: u64| place_of(&chunks, &files, ordinal);
    let mut counts = Counts::begin(source);
    chunks.iter().for_each(|chunk| counts.add(source, chunk, &files[chunk.origin.file_index].path, &reasons));
    let mut tally = counts.tally(source, findings, place_of);
    if let Some(error) = refusal(definition.name.as_str(), &tally, &definition.contract) {
        return Ok(Judgement::Refused { error, files, verdicts: tally.verdicts });
    }
    let (mut rows, mut profile) = kept(&chunks, schema)?;
    judge_by_profile(source, facts, &profile, &mut tally, place_of)?;
    if let Some(error) = refusal(definition.name.as_str(), &tally, &definition.contract) {
        return Ok(Judgement::Refused { error, files, verdicts: tally.verdicts });
    }
    if send_away(source, &tally, &mut chunks, &mut reasons) {
        (rows, profile) = (Vec::new(), Profile::default());
        tally.n_quarantined = tally.n_rows;
    }
    let quarantined = quarantine::quarantined(source, &chunks, &files, &reasons, ingest_id, facts.now)?;
    let newest_of = |column: Option<&str>| rows.iter().filter_map(|rows| newest(rows, column?)).max();
    let newest_event = newest_of(definition.event_time.as_deref());
    let newest_known = newest_of(definition.known_time.as_deref());
    let (n_read, n_quarantined) = (tally.n_rows, tally.n_quarantined);
    let accepted = Accepted { files, n_read, n_quarantined, tally, rows, quarantined, profile, newest_event, newest_known };
    Ok(Judgement::Accepted(accepted))
}

/// Marks the rows that only the end of the batch could name. Gives what is to be said of each rule's rows.
fn mark(source: &CompiledSource, findings: &[Option<Finding>], chunks: &mut [Chunk]) -> Vec<Option<String>> {
    let mut reasons = vec![None; source.rules.len()];
    for (rule_index, (rule, finding)) in source.rules.iter().zip(findings).enumerate() {
        let Some(finding) = finding.as_ref().filter(|_| !rule.is_of_batch()) else { continue };
        reasons[rule_index].clone_from(&finding.limits);
        chunks.iter_mut().for_each(|chunk| chunk.add_broken_at(rule_index, rule.severity, &finding.rows));
    }
    reasons
}

fn judge_by_history(source: &CompiledSource, facts: &Facts, n_rows: u64, findings: &mut [Option<Finding>]) {
    for (rule, finding) in source.rules.iter().zip(findings) {
        if let RuleKind::Batch(BatchCheck::LearnedVolume(learned)) = &rule.kind {
            *finding = Some(judge_learned(learned, facts.now, n_rows, &facts.past_volumes));
        }
    }
}

/// Distributions are those of the rows that would enter the table.
fn judge_by_profile(
    source: &CompiledSource,
    facts: &Facts,
    profile: &Profile,
    tally: &mut Tally,
    place_of: impl Fn(u64) -> (String, u64),
) -> Result<()> {
    for (rule, verdict) in source.rules.iter().zip(&mut tally.verdicts) {
        let RuleKind::Batch(BatchCheck::Distribution(distribution)) = &rule.kind else { continue };
        let earlier = facts.earlier_column(&rule.name);
        let finding = judge_distribution(distribution, earlier, profile.of_column(&distribution.column))?;
        *verdict = of_finding_alone(rule, finding, &place_of);
    }
    Ok(())
}

/// Sends the whole batch to quarantine if a rule on it says so. Gives whether one did.
fn send_away(source: &CompiledSource, tally: &Tally, chunks: &mut [Chunk], reasons: &mut [Option<String>]) -> bool {
    let mut sends_away = false;
    for (rule_index, (rule, verdict)) in source.rules.iter().zip(&tally.verdicts).enumerate() {
        if !(rule.is_of_batch() && verdict.outcome == Outcome::Broken && rule.severity == Severity::Quarantine) {
            continue;
        }
        sends_away = true;
        reasons[rule_index] = Some(verdict.reason());
        for chunk in chunks.iter_mut() {
            let all = BooleanBuffer::new_set(chunk.rows.num_rows());
            chunk.add_broken(rule_index, rule.severity, all);
        }
    }
    sends_away
}

fn place_of(chunks: &[Chunk], files: &[IngestedFile], ordinal: u64) -> (String, u64) {
    let index = chunks.partition_point(|chunk| chunk.origin.first_ordinal <= ordinal).saturating_sub(1);
    chunks.get(index).map_or_else(Default::default, |chunk| {
        let row_index = (ordinal - chunk.origin.first_ordinal) as usize;
        (files[chunk.origin.file_index].path.clone(), chunk.row_number(row_index))
    })
}

/// The rows that keep the contract, with their profile.
fn kept(chunks: &[Chunk], schema: &SchemaRef) -> Result<(Vec<RecordBatch>, Profile)> {
    let mut rows = Vec::with_capacity(chunks.len());
    let mut profile = Profile::default();
    for chunk in chunks {
        let kept = kept_rows(chunk, schema)?;
        profile.add(&kept);
        if kept.num_rows() > 0 {
            rows.push(kept);
        }
    }
    Ok((rows, profile))
}

/// The rows of a chunk that keep the contract, with every column of the version.
fn kept_rows(chunk: &Chunk, schema: &SchemaRef) -> Result<RecordBatch> {
    let bug = |error: arrow::error::ArrowError| Error::bug("a chunk does not have the columns of its batch").cause(error);
    let kept = if chunk.kept_out.count_set_bits() == 0 {
        chunk.rows.clone()
    } else {
        filter_record_batch(&chunk.rows, &BooleanArray::new(!&chunk.kept_out, None)).map_err(bug)?
    };
    let column = |field: &Arc<Field>| -> ArrayRef {
        kept.column_by_name(field.name()).cloned().unwrap_or_else(|| new_null_array(field.data_type(), kept.num_rows()))
    };
    let options = RecordBatchOptions::new().with_row_count(Some(kept.num_rows()));
    RecordBatch::try_new_with_options(schema.clone(), schema.fields().iter().map(column).collect(), &options).map_err(bug)
}

fn newest(rows: &RecordBatch, column: &str) -> Option<Timestamp> {
    let values = rows.column_by_name(column)?;
    let micros = max(values.as_primitive_opt::<TimestampMicrosecondType>()?)?;
    (!values.is_empty()).then(|| Timestamp::from_micros(micros))
}
