//! The settings that every query is planned and run with.

use std::num::NonZeroUsize;
use std::sync::{Arc, LazyLock};

use datafusion::execution::SessionStateDefaults;
use datafusion::execution::disk_manager::{DiskManagerBuilder, DiskManagerMode};
use datafusion::execution::memory_pool::{FairSpillPool, TrackConsumersPool};
use datafusion::execution::runtime_env::{RuntimeEnv, RuntimeEnvBuilder};
use datafusion::execution::session_state::{SessionState, SessionStateBuilder};
use datafusion::logical_expr::Volatility;
use datafusion::logical_expr::planner::ExprPlanner;
use datafusion::prelude::SessionConfig;
use deltalake::delta_datafusion::planner::DeltaPlanner;
use lw_core::Result;

use super::diagnose::diagnose;
use super::giving_way::JoinsGiveWay;
use super::interval::IntervalPlanner;
use super::timestamp::in_utc;
use crate::EngineOptions;
use crate::failures::TABLE_UNAVAILABLE;

/// Functions and settings without any table, memory limit or file: what `check` and compiled expressions need.
pub(crate) static OFFLINE: LazyLock<Arc<SessionState>> = LazyLock::new(|| {
    let config = session_config(1);
    Arc::new(state_builder(config).build())
});

/// One engine's runtime and the two planners that share it.
pub(crate) struct Session {
    runtime: Arc<RuntimeEnv>,
    /// Plans queries: identifiers fold to lower case, only immutable functions exist.
    query: Arc<SessionState>,
    /// Plans the writes of Delta Lake, which brings its own plan nodes and keeps the case of identifiers.
    write: Arc<SessionState>,
    n_threads: usize,
}

impl Session {
    pub fn open(options: &EngineOptions) -> Result<Self> {
        let spill_dir = options.tables_dir.join(".spill");
        let unusable = |error: std::io::Error| {
            TABLE_UNAVAILABLE
                .error(format!("the directory `{}` cannot be made: {error}", spill_dir.display()))
                .hint("check that the workspace is writable and the disk is not full")
        };
        std::fs::create_dir_all(&spill_dir).map_err(unusable)?;
        let spill = DiskManagerMode::Directories(vec![spill_dir]);
        let pool = TrackConsumersPool::new(FairSpillPool::new(options.memory_limit_bytes), NonZeroUsize::MIN);
        let runtime = RuntimeEnvBuilder::new()
            .with_memory_pool(Arc::new(pool))
            .with_disk_manager_builder(DiskManagerBuilder::default().with_mode(spill))
            .build_arc()
            .map_err(|error| diagnose(&error, ""))?;
        let n_threads = options.n_threads.max(1);
        let query = state_builder(session_config(n_threads)).with_runtime_env(runtime.clone()).build();
        let mut write_config = session_config(n_threads);
        write_config.options_mut().sql_parser.enable_ident_normalization = false;
        let write = SessionStateBuilder::new_with_default_features()
            .with_config(write_config)
            .with_runtime_env(runtime.clone())
            .with_query_planner(DeltaPlanner::new())
            .with_physical_optimizer_rule(Arc::new(JoinsGiveWay))
            .build();
        Ok(Self { runtime, query: Arc::new(query), write: Arc::new(write), n_threads })
    }

    pub fn runtime(&self) -> &Arc<RuntimeEnv> {
        &self.runtime
    }

    pub fn query(&self) -> &Arc<SessionState> {
        &self.query
    }

    pub fn write(&self) -> &Arc<SessionState> {
        &self.write
    }

    pub fn n_threads(&self) -> usize {
        self.n_threads
    }
}

fn session_config(n_threads: usize) -> SessionConfig {
    let mut config = SessionConfig::new().with_target_partitions(n_threads);
    let options = config.options_mut();
    options.execution.time_zone = Some("UTC".to_owned());
    options.execution.enable_recursive_ctes = false;
    options.execution.parquet.schema_force_view_types = false;
    options.sql_parser.map_string_types_to_utf8view = false;
    options.sql_parser.collect_spans = true;
    // Pushing a join's keys into a scan as an IN list can panic on dictionary columns; a hash look-up is used instead.
    options.optimizer.hash_join_inlist_pushdown_max_size = 0;
    options.optimizer.hash_join_inlist_pushdown_max_distinct_values = 0;
    config
}

/// A state with every function whose answer depends on nothing but its arguments: `now()` and `random()` do not exist here.
fn state_builder(config: SessionConfig) -> SessionStateBuilder {
    let is_immutable = |volatility: Volatility| volatility == Volatility::Immutable;
    let mut scalar_functions = SessionStateDefaults::default_scalar_functions();
    scalar_functions.retain(|function| is_immutable(function.signature().volatility));
    let scalar_functions = scalar_functions.into_iter().map(|function| in_utc(function, config.options())).collect();
    let mut aggregate_functions = SessionStateDefaults::default_aggregate_functions();
    aggregate_functions.retain(|function| is_immutable(function.signature().volatility));
    let mut expression_planners: Vec<Arc<dyn ExprPlanner>> = vec![Arc::new(IntervalPlanner::new())];
    expression_planners.extend(SessionStateDefaults::default_expr_planners());
    SessionStateBuilder::new()
        .with_config(config)
        .with_expr_planners(expression_planners)
        .with_scalar_functions(scalar_functions)
        .with_aggregate_functions(aggregate_functions)
        .with_window_functions(SessionStateDefaults::default_window_functions())
        .with_physical_optimizer_rule(Arc::new(JoinsGiveWay))
}
