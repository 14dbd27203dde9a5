//! `minute * INTERVAL '1 minute'`: a number of intervals, which DataFusion plans but cannot compute.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, IntervalMonthDayNanoArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Float64Type, Int64Type, IntervalMonthDayNano, IntervalMonthDayNanoType, IntervalUnit};
use datafusion::common::{DFSchema, exec_datafusion_err, exec_err};
use datafusion::error::Result;
use datafusion::logical_expr::planner::{ExprPlanner, PlannerResult, RawBinaryExpr};
use datafusion::logical_expr::{
    ColumnarValue, ExprSchemable, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};
use datafusion::sql::sqlparser::ast::BinaryOperator;

const INTERVAL: DataType = DataType::Interval(IntervalUnit::MonthDayNano);
const NANOS_PER_DAY: f64 = 86_400e9;

/// Plans `number * interval` and `interval * number` as a call of [`Repeat`].
#[derive(Debug)]
pub(super) struct IntervalPlanner {
    repeat: Arc<ScalarUDF>,
}

impl IntervalPlanner {
    pub fn new() -> Self {
        let signature = Signature::any(2, Volatility::Immutable);
        Self { repeat: Arc::new(ScalarUDF::new_from_impl(Repeat { signature })) }
    }
}

impl ExprPlanner for IntervalPlanner {
    fn plan_binary_op(&self, expression: RawBinaryExpr, schema: &DFSchema) -> Result<PlannerResult<RawBinaryExpr>> {
        if expression.op != BinaryOperator::Multiply {
            return Ok(PlannerResult::Original(expression));
        }
        let (left, right) = (expression.left.get_type(schema)?, expression.right.get_type(schema)?);
        let (interval, number) = match (&left, &right) {
            (DataType::Interval(_), other) if is_number(other) => (expression.left, expression.right),
            (other, DataType::Interval(_)) if is_number(other) => (expression.right, expression.left),
            _ => return Ok(PlannerResult::Original(expression)),
        };
        Ok(PlannerResult::Planned(self.repeat.call(vec![interval, number])))
    }
}

fn is_number(data_type: &DataType) -> bool {
    data_type.is_numeric() || data_type.is_null()
}

/// An interval, a number of times. With a fraction, days become hours and so on; a fraction of a month is refused.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Repeat {
    signature: Signature,
}

impl ScalarUDFImpl for Repeat {
    fn name(&self) -> &str {
        "repeat_interval"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _arguments: &[DataType]) -> Result<DataType> {
        Ok(INTERVAL)
    }

    fn invoke_with_args(&self, arguments: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let columns = ColumnarValue::values_to_arrays(&arguments.args)?;
        let [interval, number] = columns.as_slice() else {
            return exec_err!("an interval and a number are expected");
        };
        let intervals = cast(interval, &INTERVAL)?;
        let intervals = intervals.as_primitive::<IntervalMonthDayNanoType>();
        let repeated: IntervalMonthDayNanoArray = if number.data_type().is_integer() {
            let counts = cast(number, &DataType::Int64)?;
            let counts = counts.as_primitive::<Int64Type>();
            let pairs = intervals.iter().zip(counts.iter());
            pairs.map(|pair| both(pair).map(|(interval, count)| whole(interval, count)).transpose()).collect::<Result<_>>()?
        } else {
            let counts = cast(number, &DataType::Float64)?;
            let counts = counts.as_primitive::<Float64Type>();
            let pairs = intervals.iter().zip(counts.iter());
            pairs.map(|pair| both(pair).map(|(interval, count)| fraction(interval, count)).transpose()).collect::<Result<_>>()?
        };
        Ok(ColumnarValue::Array(Arc::new(repeated) as ArrayRef))
    }
}

fn both<A, B>((a, b): (Option<A>, Option<B>)) -> Option<(A, B)> {
    a.zip(b)
}

fn whole(interval: IntervalMonthDayNano, count: i64) -> Result<IntervalMonthDayNano> {
    let narrow = |part: i32| i32::try_from(i64::from(part).checked_mul(count)?).ok();
    let repeated = || {
        let nanoseconds = interval.nanoseconds.checked_mul(count)?;
        Some(IntervalMonthDayNano::new(narrow(interval.months)?, narrow(interval.days)?, nanoseconds))
    };
    repeated().ok_or_else(|| exec_datafusion_err!("{count} times an interval is too long"))
}

fn fraction(interval: IntervalMonthDayNano, count: f64) -> Result<IntervalMonthDayNano> {
    if count.fract() == 0.0 && count.abs() < 1e15 {
        return whole(interval, count as i64);
    }
    let nanoseconds = (f64::from(interval.days) * NANOS_PER_DAY + interval.nanoseconds as f64) * count;
    if interval.months != 0 {
        return exec_err!("{count} times an interval of months has no fixed length");
    }
    if !nanoseconds.is_finite() || nanoseconds.abs() >= i64::MAX as f64 {
        return exec_err!("{count} times an interval is too long");
    }
    Ok(IntervalMonthDayNano::new(0, 0, (nanoseconds / 1e3).round() as i64 * 1_000))
}
