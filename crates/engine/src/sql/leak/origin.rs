//! Where the time comes from that a query gives to its rows.

use arrow::datatypes::DataType;
use datafusion::common::ScalarValue;
use datafusion::logical_expr::{Aggregate, Expr, LogicalPlan, Operator};

use super::{LookAhead, key, shown};

/// Where the time of a query's rows comes from.
#[derive(Debug, Default)]
pub(super) struct Origin {
    /// The length in microseconds of the period that it is rounded down to, with the text that does it.
    period: Option<(i64, String)>,
    /// What was added to it, in microseconds.
    offset: i64,
    /// Whether rows were added up under it.
    is_grouped: bool,
    /// The text of an aggregate that takes the earliest.
    earliest: Option<String>,
    /// The aggregate whose latest time it is.
    pub(super) latest_of: Option<String>,
}

impl Origin {
    pub(super) fn leak(&self) -> Option<LookAhead> {
        if let Some(expression) = self.earliest.clone() {
            return Some(LookAhead::Earliest { expression });
        }
        let (length, expression) = self.period.clone()?;
        (self.is_grouped && self.offset < length).then_some(LookAhead::BeginOfPeriod { expression })
    }
}

/// Follows an output column of a plan down to where it is computed.
pub(super) fn trace(plan: &LogicalPlan, index: usize) -> Origin {
    match plan {
        LogicalPlan::Projection(projection) => match projection.expr.get(index) {
            Some(expr) => trace_expression(expr, &projection.input),
            None => Origin::default(),
        },
        LogicalPlan::Window(window) if index < window.input.schema().fields().len() => trace(&window.input, index),
        LogicalPlan::Aggregate(aggregate) => trace_aggregate(aggregate, index),
        LogicalPlan::SubqueryAlias(_) | LogicalPlan::Filter(_) | LogicalPlan::Sort(_) | LogicalPlan::Limit(_) => {
            plan.inputs().first().map_or_else(Origin::default, |input| trace(input, index))
        }
        LogicalPlan::Join(join) => {
            let n_left = join.left.schema().fields().len();
            if index < n_left { trace(&join.left, index) } else { trace(&join.right, index - n_left) }
        }
        _ => Origin::default(),
    }
}

fn trace_aggregate(aggregate: &Aggregate, index: usize) -> Origin {
    if let Some(expr) = aggregate.group_expr.get(index) {
        return Origin { is_grouped: true, ..trace_expression(expr, &aggregate.input) };
    }
    let Some(expr) = aggregate.aggr_expr.get(index - aggregate.group_expr.len()) else {
        return Origin::default();
    };
    let Expr::AggregateFunction(function) = bare(expr) else {
        return Origin::default();
    };
    match function.func.name() {
        "min" | "first_value" => Origin { earliest: Some(shown(expr)), ..Origin::default() },
        "max" | "last_value" => Origin { latest_of: Some(key(aggregate)), ..Origin::default() },
        _ => Origin::default(),
    }
}

fn trace_expression(expr: &Expr, input: &LogicalPlan) -> Origin {
    match bare(expr) {
        Expr::Column(column) => match input.schema().maybe_index_of_column(column) {
            Some(index) => trace(input, index),
            None => Origin::default(),
        },
        Expr::Cast(cast) => {
            let origin = trace_expression(&cast.expr, input);
            let is_date = matches!(cast.field.data_type(), DataType::Date32 | DataType::Date64);
            if is_date { Origin { period: Some((DAY, shown(expr))), ..origin } } else { origin }
        }
        Expr::BinaryExpr(binary) => {
            let sign = match binary.op {
                Operator::Plus => 1,
                Operator::Minus => -1,
                _ => return Origin::default(),
            };
            let Some(length) = literal(&binary.right).and_then(interval) else {
                return Origin::default();
            };
            let origin = trace_expression(&binary.left, input);
            Origin { offset: origin.offset + sign * length, ..origin }
        }
        Expr::ScalarFunction(function) => {
            let (name, args) = (function.name(), &function.args);
            let period = match (name, args.first().and_then(literal)) {
                ("date_trunc", Some(ScalarValue::Utf8(Some(unit)) | ScalarValue::Utf8View(Some(unit)))) => unit_length(unit),
                ("date_bin", Some(length)) => interval(length),
                _ => None,
            };
            match (name, period, args.as_slice()) {
                (_, Some(length), [_, time, ..]) => {
                    Origin { period: Some((length, shown(expr))), ..trace_expression(time, input) }
                }
                ("arrow_cast" | "to_timestamp" | "to_timestamp_micros", _, [time, ..]) => trace_expression(time, input),
                _ => Origin::default(),
            }
        }
        _ => Origin::default(),
    }
}

const SECOND: i64 = 1_000_000;
const HOUR: i64 = 3600 * SECOND;
const DAY: i64 = 24 * HOUR;

/// The shortest that a unit of `date_trunc` may be, in microseconds.
fn unit_length(unit: &str) -> Option<i64> {
    Some(match unit.to_lowercase().as_str() {
        "minute" => 60 * SECOND,
        "hour" => HOUR,
        "day" => DAY,
        "week" => 7 * DAY,
        "month" => months(1),
        "quarter" => months(3),
        "year" => months(12),
        _ => return None,
    })
}

/// The shortest that so many months may be.
fn months(n: i64) -> i64 {
    (n * 28 + n / 3) * DAY
}

/// The shortest that an interval may be, in microseconds.
fn interval(value: &ScalarValue) -> Option<i64> {
    Some(match value {
        ScalarValue::IntervalMonthDayNano(Some(interval)) => {
            months(interval.months.into()) + i64::from(interval.days) * DAY + interval.nanoseconds / 1000
        }
        ScalarValue::IntervalDayTime(Some(interval)) => i64::from(interval.days) * DAY + i64::from(interval.milliseconds) * 1000,
        ScalarValue::IntervalYearMonth(Some(n)) => months((*n).into()),
        _ => return None,
    })
}

fn literal(expr: &Expr) -> Option<&ScalarValue> {
    match bare(expr) {
        Expr::Literal(value, _) => Some(value),
        Expr::Cast(cast) => literal(&cast.expr),
        _ => None,
    }
}

/// An expression without the names it is given.
pub(super) fn bare(expr: &Expr) -> &Expr {
    match expr {
        Expr::Alias(alias) => bare(&alias.expr),
        other => other,
    }
}
