//! The join as an operator of the execution engine: hash-partitioned by entity, so that every partition is a join of its own.

use std::fmt;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::Schema;
use datafusion::common::internal_err;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryReservation};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::expressions::Column;
use datafusion::physical_expr::{Distribution, EquivalenceProperties, Partitioning, PhysicalExpr};
use datafusion::physical_plan::execution_plan::{Boundedness, EmissionType};
use datafusion::physical_plan::metrics::{BaselineMetrics, ExecutionPlanMetricsSet, MetricsSet};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{
    ChildrenPropertiesMode, DisplayAs, DisplayFormatType, ExecutionPlan, ExecutionPlanProperties, InputDistributionRequirements,
    PlanProperties, ReplaceChildrenOptions,
};
use futures::TryStreamExt;

use super::partition::{PartitionJoin, Shape};
use super::prepare::{SPINE_KEYS_FROM, VIEW_KEYS_FROM};
use crate::query::size_bytes;

/// Joins a spine with any number of views on the same keys.
///
/// The spine's columns are `ordinal, time, keys…`, a view's are `sequence, event time, known time, keys…, outputs…`; the result's
/// are `ordinal, outputs…` of all views. A partition holds its own rows in memory, accounted to the pool.
#[derive(Debug)]
pub(super) struct PitJoinExec {
    spine: Arc<dyn ExecutionPlan>,
    views: Vec<Arc<dyn ExecutionPlan>>,
    shape: Arc<Shape>,
    properties: Arc<PlanProperties>,
    metrics: ExecutionPlanMetricsSet,
}

impl PitJoinExec {
    pub fn try_new(spine: Arc<dyn ExecutionPlan>, views: Vec<Arc<dyn ExecutionPlan>>, shape: Arc<Shape>) -> Result<Self> {
        if views.len() != shape.views.len() {
            return internal_err!("{} views where {} are expected", views.len(), shape.views.len());
        }
        let mut fields = vec![spine.schema().fields()[0].clone()];
        for view in &views {
            fields.extend(view.schema().fields().iter().skip(VIEW_KEYS_FROM + shape.key_types.len()).cloned());
        }
        let equivalence = EquivalenceProperties::new(Arc::new(Schema::new(fields)));
        let partitioning = Partitioning::UnknownPartitioning(spine.output_partitioning().partition_count());
        let properties = PlanProperties::new(equivalence, partitioning, EmissionType::Final, Boundedness::Bounded);
        Ok(Self { spine, views, shape, properties: Arc::new(properties), metrics: ExecutionPlanMetricsSet::new() })
    }

    fn distribution(&self, child: &Arc<dyn ExecutionPlan>, keys_from: usize) -> Distribution {
        let n_keys = self.shape.key_types.len();
        if n_keys == 0 {
            return Distribution::SinglePartition;
        }
        Distribution::KeyPartitioned(key_expressions(&child.schema(), keys_from, n_keys))
    }
}

/// The key columns of a child, to partition it by.
pub(super) fn key_expressions(schema: &Schema, keys_from: usize, n_keys: usize) -> Vec<Arc<dyn PhysicalExpr>> {
    let indices = keys_from..keys_from + n_keys;
    indices.map(|index| Arc::new(Column::new(schema.field(index).name(), index)) as Arc<dyn PhysicalExpr>).collect()
}

impl DisplayAs for PitJoinExec {
    fn fmt_as(&self, _format: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PitJoinExec: views={}, keys={}", self.views.len(), self.shape.key_types.len())
    }
}

impl ExecutionPlan for PitJoinExec {
    fn name(&self) -> &'static str {
        "PitJoinExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn required_input_distribution(&self) -> Vec<Distribution> {
        self.input_distribution_requirements().into_per_child()
    }

    fn input_distribution_requirements(&self) -> InputDistributionRequirements {
        let spine = self.distribution(&self.spine, SPINE_KEYS_FROM);
        let views = self.views.iter().map(|view| self.distribution(view, VIEW_KEYS_FROM));
        InputDistributionRequirements::co_partitioned(std::iter::once(spine).chain(views).collect())
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        std::iter::once(&self.spine).chain(&self.views).collect()
    }

    fn apply_expressions(
        &self,
        _visit: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn replace_children(
        self: Arc<Self>,
        mut children: Vec<Arc<dyn ExecutionPlan>>,
        _options: ReplaceChildrenOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        if children.is_empty() {
            return internal_err!("a point-in-time join needs a spine");
        }
        let views = children.split_off(1);
        Ok(Arc::new(Self::try_new(children.remove(0), views, self.shape.clone())?))
    }

    fn with_new_children(self: Arc<Self>, children: Vec<Arc<dyn ExecutionPlan>>) -> Result<Arc<dyn ExecutionPlan>> {
        self.replace_children(children, ReplaceChildrenOptions::new(ChildrenPropertiesMode::Recompute))
    }

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let spine = self.spine.execute(partition, context.clone())?;
        let views: Vec<_> = self.views.iter().map(|view| view.execute(partition, context.clone())).collect::<Result<_>>()?;
        let (schema, shape) = (self.schema(), self.shape.clone());
        let reservation = MemoryConsumer::new(format!("PitJoinExec[{partition}]")).register(context.memory_pool());
        let baseline = BaselineMetrics::new(&self.metrics, partition);
        let answered = async move {
            let spine = gather(spine, &reservation).await?;
            let mut view_batches = Vec::with_capacity(views.len());
            for view in views {
                view_batches.push(gather(view, &reservation).await?);
            }
            let n_batches = spine.len();
            let timer = baseline.elapsed_compute().timer();
            let join = PartitionJoin::answer(schema, spine, view_batches, &shape, reservation)?;
            timer.done();
            let output = move |index| {
                let batch = join.output(index)?;
                baseline.record_output(batch.num_rows());
                Ok(batch)
            };
            Ok::<_, DataFusionError>(futures::stream::iter((0..n_batches).map(output)))
        };
        let stream = futures::stream::once(answered).try_flatten();
        Ok(Box::pin(RecordBatchStreamAdapter::new(self.schema(), stream)))
    }

    fn metrics(&self) -> Option<MetricsSet> {
        Some(self.metrics.clone_inner())
    }
}

async fn gather(mut stream: SendableRecordBatchStream, reservation: &MemoryReservation) -> Result<Vec<RecordBatch>> {
    let mut batches = Vec::new();
    while let Some(batch) = stream.try_next().await? {
        reservation.try_grow(size_bytes(&batch))?;
        batches.push(batch);
    }
    Ok(batches)
}
