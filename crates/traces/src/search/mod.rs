//! Finding traces.
//!
//! What is asked of traces is answered by the metadata database. What is asked of their spans is answered before, by one pass over
//! the journal and the table, as the set of traces that have a fitting span. A small set goes into the statement; with a large one
//! the database's answer is walked through in order, until the page is full.

mod columns;
mod like;
mod spans;

use std::collections::HashSet;

use lw_core::{Result, Scalar};
use lw_search::sql::{Parameters, condition as condition_sql, order as order_sql};
use lw_search::{BAD_FILTER, Comparator, Comparison, Condition, Field, Literal, OrderBy, PageToken};
use lw_tracking::ExperimentId;

use crate::{Trace, Traces, queries};
use columns::{INCARNATION, TraceColumns};
use spans::SpanTest;

/// More traces than these do not go into one statement.
const MAX_LISTED: usize = 10_000;
/// How many rows of the database's answer one step of a walk looks at.
const WALK_STEP: u64 = 5_000;

/// Which traces, in which order, and which of them.
#[derive(Debug, Clone, PartialEq)]
pub struct TraceSearch {
    pub experiments: Vec<ExperimentId>,
    pub condition: Option<Condition>,
    pub order: Vec<OrderBy>,
    pub limit: u64,
    pub page: PageToken,
}

#[derive(Debug, Clone, PartialEq)]
pub struct TracePage {
    pub traces: Vec<Trace>,
    /// Where the next page starts, if this one is full.
    pub next: Option<PageToken>,
}

impl Traces {
    /// A page of the traces that fit, the newest first unless another order is asked for.
    pub async fn search(&self, search: TraceSearch) -> Result<TracePage> {
        if search.experiments.is_empty() {
            return Ok(TracePage { traces: Vec::new(), next: None });
        }
        let (condition, many) = self.resolve(search.condition.clone(), &search.experiments).await?;
        let page = Statement { condition, ..Statement::of(&search) };
        let traces = match many {
            None => {
                let (sql, parameters) = page.sql(search.limit, search.page.offset)?;
                self.store.read(move |reader| queries::search(reader, &sql, &parameters)).await?
            }
            Some(many) => self.walk(&page, &many, search.page.offset, search.limit).await?,
        };
        let is_full = traces.len() as u64 == search.limit;
        let next = is_full.then_some(PageToken { offset: search.page.offset + search.limit });
        Ok(TracePage { traces, next })
    }

    /// The ids of all traces that fit.
    pub(crate) async fn matching(&self, experiments: &[ExperimentId], condition: Option<Condition>) -> Result<HashSet<String>> {
        let (condition, many) = self.resolve(condition, experiments).await?;
        let statement = Statement { experiments: experiments.to_vec(), condition, order: Vec::new() };
        let (sql, parameters) = statement.id_sql()?;
        let found = self.store.read(move |reader| {
            let rows = reader.query(&sql, &parameters)?;
            rows.iter().map(|row| Ok((row.text("id")?, row.text("incarnation")?))).collect::<Result<Vec<_>>>()
        });
        let fits = |incarnation: &String| many.as_ref().is_none_or(|many| many.contains(incarnation));
        Ok(found.await?.into_iter().filter(|(_, incarnation)| fits(incarnation)).map(|(id, _)| id).collect())
    }

    /// Goes through the database's answer and keeps what is in the set.
    async fn walk(&self, statement: &Statement, many: &HashSet<String>, offset: u64, limit: u64) -> Result<Vec<Trace>> {
        let (mut n_seen, mut n_skipped, mut wanted) = (0, 0, Vec::new());
        while (wanted.len() as u64) < limit {
            let (sql, parameters) = statement.sql(WALK_STEP, n_seen)?;
            let step = self.store.read(move |reader| {
                let rows = reader.query(&sql, &parameters)?;
                rows.iter().map(Trace::of).collect::<Result<Vec<_>>>()
            });
            let step = step.await?;
            n_seen += step.len() as u64;
            let is_last = (step.len() as u64) < WALK_STEP;
            for trace in step.into_iter().filter(|trace| many.contains(&trace.incarnation)) {
                if n_skipped < offset {
                    n_skipped += 1;
                } else if (wanted.len() as u64) < limit {
                    wanted.push(trace);
                }
            }
            if is_last {
                break;
            }
        }
        self.store.read(move |reader| queries::complete(reader, wanted)).await
    }

    /// Replaces what is asked of spans by the traces that have such spans. A set too large for a statement is returned beside the
    /// rest of the condition; only a conjunction can have one.
    async fn resolve(
        &self,
        condition: Option<Condition>,
        experiments: &[ExperimentId],
    ) -> Result<(Option<Condition>, Option<HashSet<String>>)> {
        let Some(condition) = condition else { return Ok((None, None)) };
        if !condition.comparisons().iter().any(|comparison| is_of_span(comparison)) {
            return Ok((Some(condition), None));
        }
        let parts = match condition {
            Condition::All(parts) => parts,
            other => vec![other],
        };
        let (of_span, rest): (Vec<_>, Vec<_>) =
            parts.into_iter().partition(|part| matches!(part, Condition::Compare(comparison) if is_of_span(comparison)));
        let mut resolved = Vec::new();
        for part in rest {
            resolved.push(Box::pin(self.resolve_within(part, experiments)).await?);
        }
        if of_span.is_empty() {
            return Ok((Some(Condition::All(resolved)), None));
        }
        let found = self.incarnations(comparisons(of_span), experiments).await?;
        if found.len() > MAX_LISTED {
            return Ok((Some(Condition::All(resolved)), Some(found)));
        }
        resolved.push(among(found));
        Ok((Some(Condition::All(resolved)), None))
    }

    /// [`Self::resolve`] inside OR and NOT.
    async fn resolve_within(&self, condition: Condition, experiments: &[ExperimentId]) -> Result<Condition> {
        Ok(match condition {
            Condition::Not(inner) => Condition::Not(Box::new(Box::pin(self.resolve_within(*inner, experiments)).await?)),
            Condition::Any(parts) => {
                let mut resolved = Vec::with_capacity(parts.len());
                for part in parts {
                    resolved.push(Box::pin(self.resolve_within(part, experiments)).await?);
                }
                Condition::Any(resolved)
            }
            Condition::Compare(comparison) if !is_of_span(&comparison) => Condition::Compare(comparison),
            other => match Box::pin(self.resolve(Some(other), experiments)).await? {
                (Some(condition), None) => condition,
                _ => {
                    return Err(BAD_FILTER
                        .error(format!("more than {MAX_LISTED} traces have such spans"))
                        .hint("narrow the condition on spans, or join it to the rest of the filter by AND"));
                }
            },
        })
    }

    /// The incarnations that have a span of which all comparisons hold.
    async fn incarnations(&self, tests: Vec<Comparison>, experiments: &[ExperimentId]) -> Result<HashSet<String>> {
        let test = SpanTest::of(tests)?;
        let wanted: HashSet<u64> = experiments.iter().map(|id| id.number()).collect();
        // The journal first, as for reading.
        let mut found = spans::waiting(&self.buffer, test.clone(), wanted.clone()).await?;
        spans::delivered(&self.engine, &test, &wanted, &mut found).await?;
        Ok(found)
    }
}

fn is_of_span(comparison: &Comparison) -> bool {
    matches!(comparison.field, Field::Span(_))
}

fn comparisons(conditions: Vec<Condition>) -> Vec<Comparison> {
    let comparison = |condition| if let Condition::Compare(comparison) = condition { Some(comparison) } else { None };
    conditions.into_iter().filter_map(comparison).collect()
}

/// Holds of the traces of these incarnations.
fn among(found: HashSet<String>) -> Condition {
    if found.is_empty() {
        return Condition::Any(Vec::new());
    }
    let mut texts: Vec<String> = found.into_iter().collect();
    texts.sort_unstable();
    let field = Field::Attribute(INCARNATION);
    Condition::Compare(Comparison { field, comparator: Comparator::In, value: Literal::Texts(texts) })
}

struct Statement {
    experiments: Vec<ExperimentId>,
    condition: Option<Condition>,
    order: Vec<OrderBy>,
}

impl Statement {
    fn of(search: &TraceSearch) -> Self {
        Self { experiments: search.experiments.clone(), condition: None, order: search.order.clone() }
    }

    fn sql(&self, limit: u64, offset: u64) -> Result<(String, Vec<Scalar>)> {
        let mut parameters = Parameters::default();
        let order = order_sql(&self.order, &TraceColumns, &mut parameters)?;
        let condition = self.conditions(&mut parameters)?;
        let (limit, offset) = (parameters.bind(limit), parameters.bind(offset));
        let joins = order.joins.join(" ");
        let terms: Vec<String> = order.terms.into_iter().chain(["t.started_at DESC".to_owned(), "t.id ASC".to_owned()]).collect();
        let sql = format!(
            "SELECT t.* FROM trace t {joins} WHERE {condition} ORDER BY {} LIMIT {limit} OFFSET {offset}",
            terms.join(", ")
        );
        Ok((sql, parameters.into_scalars()))
    }

    fn id_sql(&self) -> Result<(String, Vec<Scalar>)> {
        let mut parameters = Parameters::default();
        let condition = self.conditions(&mut parameters)?;
        Ok((format!("SELECT t.id, t.incarnation FROM trace t WHERE {condition}"), parameters.into_scalars()))
    }

    fn conditions(&self, parameters: &mut Parameters) -> Result<String> {
        let experiments: Vec<String> = self.experiments.iter().map(|id| parameters.bind(id.number())).collect();
        let scope = format!("t.experiment IN ({})", experiments.join(", "));
        Ok(match &self.condition {
            None => scope,
            Some(condition) => format!("{scope} AND {}", condition_sql(condition, &TraceColumns, parameters)?),
        })
    }
}
