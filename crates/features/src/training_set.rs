//! Training sets: examples joined with what was known when they were, or would have been, predicted.

use std::sync::Arc;

use arrow::array::{Array, BooleanArray, Float64Array, RecordBatch, TimestampMicrosecondArray};
use arrow::compute::{SortColumn, concat_batches, filter_record_batch, lexsort_to_indices, take_record_batch};
use arrow::datatypes::{Schema as ArrowSchema, SchemaRef};
use futures::future::try_join_all;
use lw_core::{Change, Ctx, Digest, Draft, Error, Name, Result, Schema, Subject, SubjectKind, Timestamp};
use lw_engine::{
    AppTxn, Area, Binding, Engine, PointInTime, TableId, WriteMode, WriteOptions, Written, content_digest, from_arrow_schema,
    to_arrow_schema,
};
use lw_store::{Artifacts, Row, Store, Tx};
use serde_json::json;

use crate::failures::{BAD_TRAINING_SET, EMPTY_TRAINING_SET};
use crate::recipe::{EXAMPLE_COLUMNS, TrainingSetRecipe};
use crate::{ViewComputer, queries};

/// Where training sets are kept and what they are computed with.
#[derive(Clone)]
pub struct Services {
    pub store: Store,
    pub artifacts: Artifacts,
    pub computer: ViewComputer,
}

/// An immutable training set: version `table_version` of the Delta table `table`, which is `training_set/<name>` until a model's
/// inputs change; then the new columns get a table of their own.
///
/// Its columns are [`EXAMPLE_COLUMNS`], then the recipe's outputs. Labels are float64; a boolean label is 0 or 1. Rows are
/// ordered by prediction time, then example.
#[derive(Debug, Clone, PartialEq)]
pub struct TrainingSet {
    pub name: Name,
    /// Counts from 1 for each name.
    pub version: u64,
    pub table: TableId,
    pub table_version: u64,
    /// The digest of the ordered rows, whatever files they lie in: a rebuilt training set has the same.
    pub content: Digest,
    /// The artifact that holds the recipe, and the digest of it.
    pub recipe: Digest,
    pub columns: Schema,
    pub n_rows: u64,
    /// Examples of the window whose label was missing, or not known by `as_of`.
    pub n_dropped_unlabelled: u64,
    pub window_from: Timestamp,
    pub window_to: Timestamp,
    pub as_of: Timestamp,
    pub built_at: Timestamp,
}

impl TrainingSet {
    pub fn subject(&self) -> Subject {
        Subject::new(SubjectKind::TrainingSet, &self.name, self.version)
    }

    fn from_row(row: &Row) -> Result<Self> {
        Ok(Self {
            name: Name::parse(&row.text("name")?)?,
            version: row.count("version")?,
            table: TableId::parse(&row.text("table_name")?)?,
            table_version: row.count("table_version")?,
            content: row.digest("content")?,
            recipe: row.digest("recipe")?,
            columns: row.json("columns")?,
            n_rows: row.count("n_rows")?,
            n_dropped_unlabelled: row.count("n_unlabelled")?,
            window_from: row.time("window_from")?,
            window_to: row.time("window_to")?,
            as_of: row.time("as_of")?,
            built_at: row.time("built_at")?,
        })
    }
}

/// The rows of a training set before anything is written.
#[derive(Debug, Clone)]
pub struct ComputedTrainingSet {
    pub schema: SchemaRef,
    pub batches: Vec<RecordBatch>,
    pub content: Digest,
    pub n_rows: u64,
    pub n_dropped_unlabelled: u64,
}

/// Builds a training set, or returns the one that the same recipe has made before.
///
/// The rows become one version of a Delta table, the recipe an artifact, and both an entry of the ledger that names every table
/// version and view version read.
pub async fn build_training_set(ctx: &Ctx, services: &Services, recipe: &TrainingSetRecipe) -> Result<TrainingSet> {
    let recipe_digest = services.artifacts.put(lw_core::canonical_json(recipe).into_bytes()).await?;
    if let Some(built) = find_by_recipe(&services.store, &recipe.name, recipe_digest).await? {
        return Ok(built);
    }
    let computed = compute_training_set(&services.computer, recipe).await?;
    let engine = services.computer.engine();
    let table = table_for(engine, recipe, &computed.schema).await?;
    // After a crash between this write and the ledger's entry, the same recipe finds its version instead of writing again.
    let app_txn = AppTxn { app_id: format!("recipe/{}", recipe_digest.hex()), version: 1 };
    let options = WriteOptions { app_txn: Some(app_txn), ..WriteOptions::new(WriteMode::Overwrite) };
    let written = engine.write(&table, computed.schema.clone(), computed.batches.clone(), options).await?;
    let built = Built { recipe: recipe.clone(), recipe_digest, table, written, computed };
    services.store.write(ctx, move |tx| record(tx, &built)).await
}

/// `training_set/<name>`, or, if that table has other columns, one whose name ends in their digest.
async fn table_for(engine: &Engine, recipe: &TrainingSetRecipe, schema: &SchemaRef) -> Result<TableId> {
    let table = TableId::new(Area::TrainingSet, recipe.name.clone());
    let wanted = from_arrow_schema(schema)?;
    if engine.current_version(&table).await?.is_none()
        || from_arrow_schema(engine.schema(&table, None).await?.as_ref())? == wanted
    {
        return Ok(table);
    }
    let stem: String = recipe.name.as_str().chars().take(50).collect();
    let name = Name::parse(&format!("{stem}_{}", Digest::of_json(&wanted).short()))?;
    Ok(TableId::new(Area::TrainingSet, name))
}

struct Built {
    recipe: TrainingSetRecipe,
    recipe_digest: Digest,
    table: TableId,
    written: Written,
    computed: ComputedTrainingSet,
}

fn record(tx: &mut Tx<'_>, built: &Built) -> Result<TrainingSet> {
    let Built { recipe, recipe_digest, table, written, computed } = built;
    if let Some(row) = queries::training_set_by_recipe(tx, &recipe.name, &recipe_digest.to_string())? {
        return TrainingSet::from_row(&row);
    }
    let training_set = TrainingSet {
        name: recipe.name.clone(),
        version: queries::newest_training_set_version(tx, &recipe.name)? + 1,
        table: table.clone(),
        table_version: written.version,
        content: computed.content,
        recipe: *recipe_digest,
        columns: from_arrow_schema(&computed.schema)?,
        n_rows: computed.n_rows,
        n_dropped_unlabelled: computed.n_dropped_unlabelled,
        window_from: recipe.window.from,
        window_to: recipe.window.to,
        as_of: recipe.as_of,
        built_at: tx.now(),
    };
    tx.record(entry(&training_set, recipe, written))?;
    Ok(training_set)
}

fn entry(set: &TrainingSet, recipe: &TrainingSetRecipe, written: &Written) -> Draft {
    let row = Change::put("training_set")
        .key("name", &set.name)
        .key("version", set.version)
        .set("recipe", set.recipe)
        .set("content", set.content)
        .set("table_name", set.table.to_string())
        .set("table_version", set.table_version)
        .set("columns", lw_core::canonical_json(&set.columns))
        .set("n_rows", set.n_rows)
        .set("n_unlabelled", set.n_dropped_unlabelled)
        .set("window_from", set.window_from)
        .set("window_to", set.window_to)
        .set("as_of", set.as_of)
        .set("built_at", set.built_at);
    let table = Subject::new(SubjectKind::Table, set.table.to_string(), written.version);
    let mut draft = Draft::new("training_set.build", set.subject())
        .output("training_set", set.subject(), set.content)
        .output("table", table, written.digest)
        .output("recipe", Subject::unversioned(SubjectKind::Artifact, set.recipe.to_string()), set.recipe)
        .payload(json!({
            "n_rows": set.n_rows,
            "n_dropped_unlabelled": set.n_dropped_unlabelled,
            "window": recipe.window,
            "as_of": recipe.as_of,
        }));
    for table in &recipe.sources.tables {
        draft = draft.input("table", table.subject(), table.digest);
    }
    for view in &recipe.views {
        let subject = Subject::new(SubjectKind::FeatureView, &view.definition.feature_view, view.version);
        draft = draft.input("view", subject, view.digest);
    }
    draft.change(row)
}

/// Computes the rows of a training set and their digest; writes nothing. This is also how a training set is reproduced.
#[tracing::instrument(level = "debug", skip_all)]
pub async fn compute_training_set(computer: &ViewComputer, recipe: &TrainingSetRecipe) -> Result<ComputedTrainingSet> {
    let engine = computer.engine();
    let expressions = recipe.compile()?;
    let (spine, n_dropped_unlabelled) = spine(engine, recipe).await?;
    if spine.num_rows() == 0 {
        return Err(EMPTY_TRAINING_SET
            .error(format!(
                "no example of `{}` from {} to {} had a label that was known by {}",
                recipe.name, recipe.window.from, recipe.window.to, recipe.as_of
            ))
            .hint(format!("{n_dropped_unlabelled} examples had none; widen the window, or wait until labels are known")));
    }
    let views = try_join_all(recipe.views.iter().map(|view| view.as_of(computer, &recipe.sources, recipe.as_of))).await?;
    let request = PointInTime { spine: vec![spine], time_column: "predicted_at".to_owned(), views };
    let joined = engine.point_in_time(request).await?;
    let mut batches = Vec::with_capacity(joined.len());
    for batch in &joined {
        batches.push(with_outputs(batch, &expressions.evaluate(batch)?, recipe)?);
    }
    let schema = batches.first().map_or_else(|| Arc::new(ArrowSchema::empty()), RecordBatch::schema);
    // Nullability depends on the rows that came; the columns of a training set do not.
    let schema = to_arrow_schema(&nullable(from_arrow_schema(&schema)?));
    let batches = batches
        .iter()
        .map(|batch| RecordBatch::try_new(schema.clone(), batch.columns().to_vec()))
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| Error::bug("the rows of a training set differ from its columns").cause(error))?;
    let content = content_digest(&schema, &batches)?;
    let n_rows = batches.iter().map(|batch| batch.num_rows() as u64).sum();
    Ok(ComputedTrainingSet { schema, batches, content, n_rows, n_dropped_unlabelled })
}

fn nullable(schema: Schema) -> Schema {
    Schema(schema.0.into_iter().map(|field| lw_core::Field { nullable: true, ..field }).collect())
}

/// The labelled examples of the window by prediction time and id, and how many others there were.
#[tracing::instrument(level = "debug", skip_all)]
async fn spine(engine: &Engine, recipe: &TrainingSetRecipe) -> Result<(RecordBatch, u64)> {
    let table = recipe.sources.tables.iter().find(|version| version.table.sql_name() == recipe.examples.from);
    let table = table.ok_or_else(|| recipe.bad(format!("it has no version of the table `{}`", recipe.examples.from)))?;
    let bindings = vec![Binding::table(&table.table, Some(table.version))];
    let query = engine.query(&recipe.spine_sql(), bindings).await.map_err(|error| error.context(&recipe.name))?;
    let schema = query.schema();
    check_request_types(recipe, &schema)?;
    let batches = query.collect().await.map_err(|error| error.context(&recipe.name))?;
    let failed = |error: arrow::error::ArrowError| Error::bug("examples cannot be sorted").cause(error);
    let all = concat_batches(&schema, &batches).map_err(failed)?;
    let labelled = filter_record_batch(&all, &is_labelled(&all, recipe.as_of)?).map_err(failed)?;
    let n_dropped = (all.num_rows() - labelled.num_rows()) as u64;
    let sort = |index: usize| SortColumn { values: labelled.column(index).clone(), options: None };
    let order = lexsort_to_indices(&[sort(1), sort(0)], None).map_err(failed)?;
    Ok((take_record_batch(&labelled, &order).map_err(failed)?, n_dropped))
}

fn check_request_types(recipe: &TrainingSetRecipe, schema: &SchemaRef) -> Result<()> {
    let columns = from_arrow_schema(schema)?;
    let differs =
        |(name, wanted): &(&String, &lw_core::DataType)| columns.field(name).is_some_and(|field| field.data_type != **wanted);
    let Some((name, wanted)) = recipe.request.iter().find(differs) else {
        return Ok(());
    };
    let found = columns.field(name).map_or(*wanted, |field| field.data_type);
    Err(BAD_TRAINING_SET
        .error(format!("the request field `{name}` is {wanted}, but the column of `{}` is {found}", recipe.examples.from))
        .hint(format!("write `{name}: {found}` in the request")))
}

/// Whether each example has a label, and it was known in time.
fn is_labelled(examples: &RecordBatch, as_of: Timestamp) -> Result<BooleanArray> {
    let label = examples.column(2).as_any().downcast_ref::<Float64Array>();
    let known = examples.column(3).as_any().downcast_ref::<TimestampMicrosecondArray>();
    let (label, known) = label.zip(known).ok_or_else(|| Error::bug("labels or their times have another type"))?;
    let is_labelled = |row: usize| label.is_valid(row) && known.is_valid(row) && known.value(row) <= as_of.micros();
    Ok((0..examples.num_rows()).map(|row| Some(is_labelled(row))).collect())
}

/// The example columns of a joined batch and the recipe's outputs.
fn with_outputs(joined: &RecordBatch, evaluated: &RecordBatch, recipe: &TrainingSetRecipe) -> Result<RecordBatch> {
    let missing = |name: &str| Error::bug(format!("the joined rows have no column `{name}`"));
    let examples = EXAMPLE_COLUMNS.iter().map(|name| (*name, joined.column_by_name(name)));
    let outputs = recipe.outputs.iter().map(|name| (name.as_str(), evaluated.column_by_name(name)));
    let columns = examples.chain(outputs).map(|(name, column)| Ok((name, column.ok_or_else(|| missing(name))?.clone())));
    let columns = columns.collect::<Result<Vec<_>>>()?;
    RecordBatch::try_from_iter(columns).map_err(|error| Error::bug("columns of one batch differ in length").cause(error))
}

async fn find_by_recipe(store: &Store, name: &Name, recipe: Digest) -> Result<Option<TrainingSet>> {
    let name = name.clone();
    let row = store.read(move |reader| queries::training_set_by_recipe(reader, &name, &recipe.to_string())).await?;
    row.map(|row| TrainingSet::from_row(&row)).transpose()
}

/// A version of a training set, if there is one.
pub async fn find_training_set(store: &Store, name: &Name, version: u64) -> Result<Option<TrainingSet>> {
    let name = name.clone();
    let row = store.read(move |reader| queries::training_set(reader, &name, version)).await?;
    row.map(|row| TrainingSet::from_row(&row)).transpose()
}

/// Up to `limit` training sets of a name, newest first; `before` is the last version of the page before.
pub async fn list_training_sets(store: &Store, name: &Name, before: Option<u64>, limit: u64) -> Result<Vec<TrainingSet>> {
    let name = name.clone();
    store
        .read(move |reader| queries::training_sets(reader, &name, before, limit)?.iter().map(TrainingSet::from_row).collect())
        .await
}

/// The recipe of a training set.
pub async fn load_recipe(artifacts: &Artifacts, training_set: &TrainingSet) -> Result<TrainingSetRecipe> {
    let bytes = artifacts.get(&training_set.recipe).await?;
    serde_json::from_slice(&bytes)
        .map_err(|error| BAD_TRAINING_SET.error(format!("the recipe of {} cannot be read", training_set.subject())).cause(error))
}
