//! Whether predictions saw online what training would have seen: a sample of them, computed again from the tables.

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::compute::concat_batches;
use arrow::datatypes::Int64Type;
use lw_core::{Ctx, Error, Name, Result, Span, Timestamp};
use lw_engine::{Binding, Bound, Engine};
use lw_features::{ColumnSkew, JoinedView, SkewCheck, find_view};
use lw_monitoring::{Observation, SkewWatch, SkewedInput, TimeWindow, observe_skew};
use lw_serving::{Bundle, FIXED_COLUMNS, prediction_table};
use serde::Serialize;

use crate::failures::NOTHING_TO_COMPARE;
use crate::features;
use crate::project::Project;
use crate::steps::model;
use crate::versions::bundle_digest;
use crate::workspace::Workspace;

/// How the predictions of a window compare with the tables.
#[derive(Debug, Clone, Serialize)]
pub struct Skew {
    pub model: Name,
    pub version: u64,
    pub window: TimeWindow,
    /// Predictions of the version in the window.
    pub n_rows: u64,
    /// How many of them were computed again, evenly over the window.
    pub n_sampled: u64,
    /// The inputs that do not come with the request, worst first.
    pub inputs: Vec<ColumnSkew>,
}

/// Which predictions are looked at, and how closely.
#[derive(Debug, Clone, Copy)]
struct Sampling {
    version: u64,
    window: TimeWindow,
    sample: u64,
    tolerance: f64,
}

impl Workspace {
    /// Computes a sample of the champion's newest predictions again and compares. Changes nothing.
    ///
    /// # Errors
    /// `nothing-to-compare` if there were none in that time.
    pub async fn skew(&self, ctx: &Ctx, name: &Name, window: Span, sample: u64) -> Result<Skew> {
        let project = self.project().await?.project;
        model(&project, name)?;
        let deployment = lw_serving::current(self.store(), name).await?;
        self.serving().deliver().await?;
        let window = TimeWindow::ending(ctx.now() + Span::from_micros(1), window);
        let version = deployment.routing.champion.version;
        let sampling = Sampling { version, window, sample, tolerance: SkewWatch::TOLERANCE };
        let skew = compare(self, &project, name, sampling).await?;
        if skew.n_sampled == 0 {
            let message = format!("{name}@{version} has answered nothing since {}", window.start);
            return Err(NOTHING_TO_COMPARE.error(message).hint("look at a longer time, like `--window 30d`"));
        }
        Ok(skew)
    }
}

/// Judges a window of a skew monitor.
pub async fn observe(
    workspace: &Workspace,
    project: &Project,
    (name, version): (&Name, u64),
    (monitor, watch): (&Name, &SkewWatch),
    window: TimeWindow,
) -> Result<Vec<Observation>> {
    workspace.serving().deliver().await?;
    let n_rows = count(workspace.engine(), name, version, window).await?;
    if n_rows < watch.min_rows {
        return Ok(Vec::new());
    }
    let sampling = Sampling { version, window, sample: watch.sample, tolerance: watch.tolerance };
    let skew = compare(workspace, project, name, sampling).await?;
    let is_watched = |column: &&ColumnSkew| watch.inputs.as_ref().is_none_or(|inputs| inputs.contains(&column.column));
    let skewed = |column: &ColumnSkew| SkewedInput {
        input: column.column.clone(),
        n_compared: column.n_compared,
        n_different: column.n_different,
    };
    let inputs: Vec<SkewedInput> = skew.inputs.iter().filter(is_watched).map(skewed).collect();
    Ok(observe_skew(monitor, watch, &inputs, skew.n_rows, window))
}

async fn compare(workspace: &Workspace, project: &Project, name: &Name, sampling: Sampling) -> Result<Skew> {
    let Sampling { version, window, tolerance, .. } = sampling;
    let digest = bundle_digest(workspace, name, version).await?;
    let bundle = Bundle::from_json(&workspace.artifacts().get(&digest).await?)?;
    let n_rows = count(workspace.engine(), name, version, window).await?;
    let mut skew = Skew { model: name.clone(), version, window, n_rows, n_sampled: 0, inputs: Vec::new() };
    let Some(logged) = sampled(workspace.engine(), name, &bundle, n_rows, sampling).await? else {
        return Ok(skew);
    };
    let mut views = Vec::with_capacity(bundle.features.len());
    for lookup in &bundle.features {
        let view = find_view(workspace.store(), &lookup.view, Some(lookup.version)).await?;
        let on = lookup.keys.iter().map(|key| (key.entity.clone(), key.field.clone())).collect();
        views.push(JoinedView::new(&view, on));
    }
    let request: Vec<String> = bundle.request.iter().map(|field| field.name.clone()).collect();
    let expressions: Vec<(String, String)> =
        bundle.expressions.iter().map(|expression| (expression.name.clone(), expression.sql.clone())).collect();
    let inputs = bundle.inputs.iter().map(|input| input.name.clone());
    let columns: Vec<String> = inputs.filter(|input| !request.contains(input)).collect();
    let sources = features::sources(workspace, project).await?;
    let check = SkewCheck {
        views: &views,
        request: &request,
        expressions: &expressions,
        columns: &columns,
        time_column: TIME,
        tolerance,
        sources: &sources,
    };
    skew.n_sampled = logged.num_rows() as u64;
    skew.inputs = check.run(workspace.views(), &logged).await?;
    skew.inputs.sort_by(|a, b| b.n_different.cmp(&a.n_different).then_with(|| a.column.cmp(&b.column)));
    Ok(skew)
}

/// The time of a prediction among the logged columns, under a name that no column of a model has.
const TIME: &str = "loopwright_at";

fn condition(version: u64, window: TimeWindow) -> String {
    let time = |time: Timestamp| format!("arrow_cast({}, 'Timestamp(Microsecond, Some(\"UTC\"))')", time.micros());
    let (start, end) = (time(window.start), time(window.end));
    format!("version = {version} AND role <> 'shadow' AND \"at\" >= {start} AND \"at\" < {end}")
}

async fn query(engine: &Engine, model: &Name, sql: &str) -> Result<Option<RecordBatch>> {
    let table = prediction_table(model);
    if engine.current_version(&table).await?.is_none() {
        return Ok(None);
    }
    let query = engine.query(sql, vec![Binding::new("answers", Bound::Table { table, version: None })]).await?;
    let schema = query.schema();
    let rows = concat_batches(&schema, &query.collect().await?);
    rows.map(Some).map_err(|error| Error::bug("logged answers do not fit together").cause(error))
}

/// How many predictions a version made in a window.
async fn count(engine: &Engine, model: &Name, version: u64, window: TimeWindow) -> Result<u64> {
    let sql = format!("SELECT count(*) AS n FROM answers WHERE {}", condition(version, window));
    let rows = query(engine, model, &sql).await?;
    let count = rows.as_ref().and_then(|rows| rows.column(0).as_primitive_opt::<Int64Type>());
    Ok(count.filter(|count| !count.is_empty()).map_or(0, |count| u64::try_from(count.value(0)).unwrap_or(0)))
}

/// Every so-manieth prediction by time, so that there are as many as wanted, under the names that the model has for its columns.
async fn sampled(engine: &Engine, model: &Name, bundle: &Bundle, n_rows: u64, sampling: Sampling) -> Result<Option<RecordBatch>> {
    let every = n_rows.div_ceil(sampling.sample.max(1)).max(1);
    let names = bundle.request.iter().map(|field| &field.name).chain(bundle.inputs.iter().map(|input| &input.name));
    let mut columns = std::collections::BTreeSet::new();
    let named = names.filter(|name| columns.insert((*name).clone())).map(|name| {
        let is_fixed = FIXED_COLUMNS.iter().any(|(fixed, _)| fixed == name);
        if is_fixed { format!("\"input_{name}\" AS \"{name}\"") } else { format!("\"{name}\"") }
    });
    let sql = format!(
        "SELECT {named}, \"at\" AS {TIME} FROM (SELECT *, row_number() OVER (ORDER BY \"at\", id, request_id) AS loopwright_n \
         FROM answers WHERE {condition}) WHERE loopwright_n % {every} = 0 ORDER BY loopwright_n",
        named = named.collect::<Vec<_>>().join(", "),
        condition = condition(sampling.version, sampling.window),
    );
    Ok(query(engine, model, &sql).await?.filter(|rows| rows.num_rows() > 0))
}
