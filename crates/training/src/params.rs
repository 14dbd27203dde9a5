//! Reads a trainer's parameters with their ranges.

use std::ops::RangeInclusive;

use lw_core::{Result, nearest};

use crate::definition::Params;
use crate::failures::TRAINER_PARAMETER;

/// # Errors
/// `trainer-parameter` if a parameter is not among `known`.
pub(crate) fn expect_known(trainer: &str, params: &Params, known: &[&str]) -> Result<()> {
    let Some(name) = params.keys().find(|name| !known.contains(&name.as_str())) else {
        return Ok(());
    };
    let hint = match nearest(name, known.iter().copied()) {
        Some(similar) => format!("did you mean `{similar}`?"),
        None if known.is_empty() => format!("trainer {trainer} has no parameters"),
        None => format!("the parameters of trainer {trainer} are {}", known.join(", ")),
    };
    Err(TRAINER_PARAMETER.error(format!("trainer {trainer} has no parameter `{name}`")).hint(hint))
}

pub(crate) fn number(params: &Params, name: &str, default: f64, range: RangeInclusive<f64>) -> Result<f64> {
    let Some(value) = params.get(name) else {
        return Ok(default);
    };
    let number = value.as_f64().filter(|number| range.contains(number));
    number.ok_or_else(|| out_of_range(name, value, format!("a number from {} to {}", range.start(), range.end())))
}

pub(crate) fn integer(params: &Params, name: &str, default: i64, range: RangeInclusive<i64>) -> Result<i64> {
    let Some(value) = params.get(name) else {
        return Ok(default);
    };
    let whole = value.as_i64().or_else(|| value.as_f64().filter(|number| number.fract() == 0.0).map(|number| number as i64));
    let whole = whole.filter(|number| range.contains(number));
    whole.ok_or_else(|| out_of_range(name, value, format!("a whole number from {} to {}", range.start(), range.end())))
}

fn out_of_range(name: &str, value: &serde_json::Value, wanted: String) -> lw_core::Error {
    let shown: String = value.to_string().chars().take(80).collect();
    TRAINER_PARAMETER.error(format!("parameter `{name}` is {shown}, which is not {wanted}")).hint(format!("write {wanted}"))
}
