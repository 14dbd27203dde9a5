//! `to_timestamp(…)` and its relatives, which answer with one type whatever they are given: microseconds UTC.
//!
//! DataFusion's own forget the session's zone when they are given a column of text, and then fail.

use std::sync::Arc;

use arrow::datatypes::DataType;
use datafusion::common::config::ConfigOptions;
use datafusion::error::Result;
use datafusion::logical_expr::{ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature};

use crate::column_type::timestamp_type;

/// The function as it is, or wrapped when it is one that makes timestamps.
pub(super) fn in_utc(function: Arc<ScalarUDF>, options: &ConfigOptions) -> Arc<ScalarUDF> {
    if !function.name().starts_with("to_timestamp") {
        return function;
    }
    let inner = function.inner().with_updated_config(options).map_or(function, Arc::new);
    Arc::new(ScalarUDF::new_from_impl(ToUtc { inner }))
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct ToUtc {
    inner: Arc<ScalarUDF>,
}

impl ScalarUDFImpl for ToUtc {
    fn name(&self) -> &str {
        self.inner.name()
    }

    fn signature(&self) -> &Signature {
        self.inner.signature()
    }

    fn return_type(&self, _arguments: &[DataType]) -> Result<DataType> {
        Ok(timestamp_type())
    }

    fn invoke_with_args(&self, arguments: ScalarFunctionArgs) -> Result<ColumnarValue> {
        self.inner.inner().invoke_with_args(arguments)?.cast_to(&timestamp_type(), None)
    }
}
