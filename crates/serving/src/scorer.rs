//! One loaded model version: from request fields to scores.

use std::cell::RefCell;
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions};
use arrow::datatypes::{Field, Schema, SchemaRef};
use lw_core::{DataType, Error, Result, Timestamp};
use lw_engine::{ExpressionSet, to_arrow};
use lw_store::journal::Header;

use crate::failures::{INVALID_BUNDLE, MODEL_FAILED, WARM_UP_FAILED};
use crate::features::{LookupGap, LookupScratch, ViewReader};
use crate::log::Layout;
use crate::rows::{ColumnBuilder, Value};
use crate::runtime::{self, Runtime, RuntimeChoice};
use crate::{Bundle, Output, RequestField, Served};

/// A model version that is ready to answer: bundle, views, compiled expressions, runtime. Immutable; any thread may use it.
pub struct Scorer {
    bundle: Bundle,
    served: Served,
    views: Vec<ViewReader>,
    expressions: ExpressionSet,
    /// Request fields and features: what the expressions are compiled for.
    known: SchemaRef,
    /// Positions of the model's inputs among all columns.
    inputs: Vec<usize>,
    /// Positions of the logged columns among all columns.
    logged: Vec<usize>,
    /// Introduces the layout of logged rows.
    header: Arc<Header>,
    layout_number: u64,
    runtime: Box<dyn Runtime>,
}

/// What became of a batch of rows.
pub struct Scored {
    /// One score a row.
    pub scores: Vec<f64>,
    /// The columns that the log keeps, in the layout's order.
    pub logged: Vec<ArrayRef>,
    /// Views that had nothing for some of the rows; mostly empty.
    pub gaps: Vec<LookupGap>,
}

thread_local! {
    static SCRATCH: RefCell<LookupScratch> = RefCell::default();
}

impl Scorer {
    /// Compiles a bundle and its model, compares their signatures and scores one row. `views[i]` belongs to `bundle.features[i]`.
    ///
    /// # Errors
    /// `invalid-bundle`, `not-onnx`, `unsafe-model`, `signature-mismatch`, `onnxruntime-missing` or `warm-up-failed`.
    pub fn load(bundle: Bundle, model: &[u8], views: Vec<ViewReader>, choice: RuntimeChoice) -> Result<Self> {
        bundle.check()?;
        let runtime = runtime::load(model, &bundle, choice)?;
        let n_known = bundle.supplied().count() - bundle.expressions.len();
        let fields = bundle.supplied().take(n_known);
        let fields: Vec<Field> = fields.map(|(name, data_type)| Field::new(name, to_arrow(data_type), true)).collect();
        let pairs: Vec<(String, String)> =
            bundle.expressions.iter().map(|expression| (expression.name.clone(), expression.sql.clone())).collect();
        let known: SchemaRef = Arc::new(Schema::new(fields));
        let expressions = ExpressionSet::compile(&pairs, &known)?;
        check_expression_types(&bundle, &expressions)?;
        let all = expressions.schema();
        let position = |name: &str| all.index_of(name).map_err(|_| Error::bug(format!("column `{name}` is gone")));
        let inputs: Result<Vec<usize>> = bundle.inputs.iter().map(|input| position(&input.name)).collect();
        let inputs = inputs?;
        let rest = (0..bundle.request.len()).filter(|index| !inputs.contains(index));
        let logged = inputs.iter().copied().chain(rest).collect();
        let layout = Layout::of(&bundle);
        let served = Served { model: bundle.model.clone(), version: bundle.version, bundle: bundle.digest() };
        let layout_number = layout.number();
        let header = Arc::new(Header::new(layout_number, &layout.record()));
        let scorer = Self { bundle, served, views, expressions, known, inputs, logged, header, layout_number, runtime };
        scorer.warm_up()?;
        Ok(scorer)
    }

    pub fn bundle(&self) -> &Bundle {
        &self.bundle
    }

    pub fn served(&self) -> &Served {
        &self.served
    }

    /// `native` or `onnxruntime`.
    pub fn runtime(&self) -> &'static str {
        self.runtime.name()
    }

    pub(crate) fn layout(&self) -> (&Arc<Header>, u64) {
        (&self.header, self.layout_number)
    }

    /// Scores rows. `request` holds the bundle's request fields in order, `at` is the time of the prediction.
    pub fn score(&self, request: &[ArrayRef], n_rows: usize, at: Timestamp) -> Result<Scored> {
        let mut columns = Vec::with_capacity(self.expressions.schema().fields().len());
        columns.extend_from_slice(request);
        let mut gaps = Vec::new();
        SCRATCH.with_borrow_mut(|scratch| {
            self.views.iter().try_for_each(|view| view.read(request, n_rows, at, scratch, &mut columns, &mut gaps))
        })?;
        if !self.bundle.expressions.is_empty() {
            columns = self.evaluate(columns, n_rows)?;
        }
        let pick = |positions: &[usize]| -> Vec<ArrayRef> {
            positions.iter().filter_map(|index| columns.get(*index).cloned()).collect()
        };
        let mut scores = Vec::with_capacity(n_rows);
        self.runtime.score(&pick(&self.inputs), n_rows, &mut scores)?;
        self.check_scores(&scores, n_rows)?;
        Ok(Scored { scores, logged: pick(&self.logged), gaps })
    }

    fn evaluate(&self, columns: Vec<ArrayRef>, n_rows: usize) -> Result<Vec<ArrayRef>> {
        let options = RecordBatchOptions::new().with_row_count(Some(n_rows));
        let known = RecordBatch::try_new_with_options(Arc::clone(&self.known), columns, &options);
        let known = known.map_err(|error| Error::bug("a request's columns do not fit the bundle").cause(error))?;
        Ok(self.expressions.evaluate(&known)?.columns().to_vec())
    }

    fn check_scores(&self, scores: &[f64], n_rows: usize) -> Result<()> {
        if scores.len() != n_rows {
            return Err(MODEL_FAILED.error(format!("{} gave {} scores for {n_rows} rows", self.served, scores.len())));
        }
        let is_bad = |score: &&f64| match self.bundle.output {
            // Probabilities in single precision may miss the ends by a rounding error.
            Output::Probability { .. } => !(-1e-6..=1.0 + 1e-6).contains(*score),
            Output::Value => !score.is_finite(),
        };
        match scores.iter().find(is_bad) {
            None => Ok(()),
            Some(score) => Err(MODEL_FAILED
                .error(format!("{} gave the score {score}", self.served))
                .hint("the model was exported without its probabilities, or overflows; evaluate it again")),
        }
    }

    /// Answers one row of zeros and empty texts, through everything that a request meets.
    fn warm_up(&self) -> Result<()> {
        let column = |field: &RequestField| {
            let mut builder = ColumnBuilder::new(field.data_type, 1);
            builder.push(neutral(field.data_type), field)?;
            Ok(builder.finish())
        };
        let columns: Result<Vec<ArrayRef>> = self.bundle.request.iter().map(column).collect();
        let scored = columns.and_then(|columns| self.score(&columns, 1, Timestamp::from_micros(0)));
        scored.map(drop).map_err(|error| {
            let message = format!("{} cannot answer a row of zeros: {}", self.served, error.message());
            let hint =
                error.hint_text().unwrap_or("the version before stays in service; look at the model's evaluation").to_owned();
            WARM_UP_FAILED.error(message).hint(hint).cause(error)
        })
    }
}

fn neutral(data_type: DataType) -> Value<'static> {
    match data_type {
        DataType::Boolean => Value::Boolean(false),
        DataType::Int32 | DataType::Int64 => Value::Int(0),
        DataType::Float32 | DataType::Float64 => Value::Float(0.0),
        DataType::String => Value::Text(""),
        DataType::Date | DataType::Timestamp => Value::Micros(0),
    }
}

fn check_expression_types(bundle: &Bundle, expressions: &ExpressionSet) -> Result<()> {
    for (expected, (name, compiled)) in bundle.expressions.iter().zip(expressions.expressions()) {
        if *compiled.data_type() != to_arrow(expected.data_type) {
            let message = format!("expression `{name}` gives {}, the bundle says {}", compiled.data_type(), expected.data_type);
            return Err(INVALID_BUNDLE.error(message).hint("train the model again with this version of Loopwright"));
        }
    }
    Ok(())
}
