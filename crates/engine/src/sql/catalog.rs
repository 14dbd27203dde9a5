//! The names that a query may use: the bound tables and the immutable functions.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use arrow::datatypes::DataType;
use datafusion::common::TableReference;
use datafusion::common::config::ConfigOptions;
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::session_state::SessionState;
use datafusion::logical_expr::planner::{ContextProvider, ExprPlanner};
use datafusion::logical_expr::{AggregateUDF, Expr, HigherOrderUDF, ScalarUDF, TableSource, WindowUDF};

use crate::Area;

/// How a table is called in all our maps: `flights` for `flights` and `data.flights`, `quarantine.flights` otherwise.
pub(crate) fn table_key(reference: &TableReference) -> String {
    match reference.schema() {
        None => reference.table().to_owned(),
        Some(schema) if schema == Area::Data.as_str() => reference.table().to_owned(),
        Some(schema) => format!("{schema}.{}", reference.table()),
    }
}

/// What planning found wrong, in a form that [`super::diagnose`] knows.
#[derive(Debug)]
pub(crate) enum Unknown {
    Table { name: String, known: Vec<String> },
    TableFunction { name: String },
}

impl fmt::Display for Unknown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Table { name, .. } => write!(f, "there is no table `{name}`"),
            Self::TableFunction { name } => write!(f, "the table function `{name}` is not allowed"),
        }
    }
}

impl std::error::Error for Unknown {}

pub(crate) struct Catalog<'a> {
    pub state: &'a SessionState,
    pub tables: HashMap<String, Arc<dyn TableSource>>,
    /// Names of tables that exist and that the query was not given, for hints.
    pub known: Vec<String>,
}

impl ContextProvider for Catalog<'_> {
    fn get_table_source(&self, reference: TableReference) -> Result<Arc<dyn TableSource>> {
        let name = table_key(&reference);
        self.tables.get(&name).cloned().ok_or_else(|| {
            let known = self.tables.keys().chain(&self.known).cloned().collect();
            DataFusionError::External(Box::new(Unknown::Table { name, known }))
        })
    }

    fn get_table_function_source(&self, name: &str, _arguments: Vec<Expr>) -> Result<Arc<dyn TableSource>> {
        Err(DataFusionError::External(Box::new(Unknown::TableFunction { name: name.to_owned() })))
    }

    fn get_expr_planners(&self) -> &[Arc<dyn ExprPlanner>] {
        self.state.expr_planners()
    }

    fn get_function_meta(&self, name: &str) -> Option<Arc<ScalarUDF>> {
        self.state.scalar_functions().get(name).cloned()
    }

    fn get_higher_order_meta(&self, name: &str) -> Option<Arc<HigherOrderUDF>> {
        self.state.higher_order_functions().get(name).cloned()
    }

    fn get_aggregate_meta(&self, name: &str) -> Option<Arc<AggregateUDF>> {
        self.state.aggregate_functions().get(name).cloned()
    }

    fn get_window_meta(&self, name: &str) -> Option<Arc<WindowUDF>> {
        self.state.window_functions().get(name).cloned()
    }

    fn get_variable_type(&self, _names: &[String]) -> Option<DataType> {
        None
    }

    fn options(&self) -> &ConfigOptions {
        self.state.config_options()
    }

    fn udf_names(&self) -> Vec<String> {
        self.state.scalar_functions().keys().cloned().collect()
    }

    fn higher_order_function_names(&self) -> Vec<String> {
        self.state.higher_order_functions().keys().cloned().collect()
    }

    fn udaf_names(&self) -> Vec<String> {
        self.state.aggregate_functions().keys().cloned().collect()
    }

    fn udwf_names(&self) -> Vec<String> {
        self.state.window_functions().keys().cloned().collect()
    }
}
