//! Values of a file become values of the declared type. What does not fit is a failed row; what cannot fit is an error.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, Float64Array, StringArray, TimestampMicrosecondArray, new_null_array,
};
use arrow::buffer::BooleanBuffer;
use arrow::compute::kernels::cmp;
use arrow::compute::{CastOptions, cast_with_options, nullif};
use arrow::datatypes::{DataType as ArrowType, Float64Type, TimeUnit, TimestampMicrosecondType};
use arrow::util::display::array_value_to_string;
use jiff::tz::{Offset, TimeZone};
use lw_core::DataType;

/// A converted column.
#[derive(Debug)]
pub(crate) struct Converted {
    pub values: ArrayRef,
    /// Rows whose value does not fit the type. They are null in `values`.
    pub failed: Option<BooleanBuffer>,
}

/// Why a whole column cannot be converted, with the first row (from 0) that shows it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Misfit {
    /// The file's type does not go into the declared one.
    TypeChanged { found: String, row_index: usize, value: String },
    /// A time without a zone where none is declared.
    WithoutZone { row_index: usize, value: String },
}

/// Converts a column. Text is parsed, numbers and times change their width; nothing is rounded, cut or guessed.
pub(crate) fn convert(raw: &ArrayRef, want: DataType, zone: Option<&TimeZone>) -> Result<Converted, Misfit> {
    let target = lw_engine::to_arrow(want);
    if raw.data_type() == &target {
        return Ok(Converted { values: raw.clone(), failed: None });
    }
    match (raw.data_type(), want) {
        (ArrowType::Null, _) => Ok(Converted { values: new_null_array(&target, raw.len()), failed: None }),
        (ArrowType::Utf8, DataType::Timestamp) => parse_times(raw.as_string::<i32>(), zone),
        (ArrowType::Utf8, DataType::Boolean) => Ok(parse_flags(raw.as_string::<i32>())),
        (ArrowType::Utf8, _) => Ok(cast(raw, &target)),
        (ArrowType::LargeUtf8 | ArrowType::Utf8View | ArrowType::Dictionary(..), _) => {
            let plain = lw_engine::canonical_type(raw.data_type());
            convert(&cast(raw, &plain).values, want, zone)
        }
        (found, DataType::Int32 | DataType::Int64) if found.is_integer() => Ok(cast(raw, &target)),
        (found, DataType::Int32 | DataType::Int64) if is_decimal(found) => Ok(whole_decimals(raw, &target)),
        (found, DataType::Int32 | DataType::Int64) if found.is_floating() => Ok(whole_numbers(raw, &target)),
        (found, DataType::Float32 | DataType::Float64) if found.is_numeric() => Ok(cast(raw, &target)),
        (ArrowType::Timestamp(_, Some(_)), DataType::Timestamp) => Ok(cast(raw, &target)),
        (ArrowType::Timestamp(_, None), DataType::Timestamp) => place_in_zone(raw, zone),
        (ArrowType::Date64, DataType::Date) => Ok(cast(raw, &target)),
        _ => type_changed(raw, want),
    }
}

fn is_decimal(found: &ArrowType) -> bool {
    matches!(found, ArrowType::Decimal128(..) | ArrowType::Decimal256(..))
}

/// A column of nulls fits every type.
fn type_changed(raw: &ArrayRef, want: DataType) -> Result<Converted, Misfit> {
    match (0..raw.len()).find(|row_index| raw.is_valid(*row_index)) {
        None => Ok(Converted { values: new_null_array(&lw_engine::to_arrow(want), raw.len()), failed: None }),
        Some(row_index) => {
            Err(Misfit::TypeChanged { found: type_name(raw.data_type()), row_index, value: shown(raw, row_index) })
        }
    }
}

/// How a type of a file reads: by its name in definitions where it has one.
pub(crate) fn type_name(data_type: &ArrowType) -> String {
    match data_type {
        ArrowType::Timestamp(_, None) => "timestamp without a zone".to_owned(),
        other => lw_engine::from_arrow(other).map_or_else(|_| other.to_string(), |known| known.name().to_owned()),
    }
}

/// A value as text for messages and the quarantine table.
pub(crate) fn shown(array: &ArrayRef, row_index: usize) -> String {
    const LONGEST: usize = 200;
    let text = array_value_to_string(array, row_index).unwrap_or_default();
    if text.chars().count() <= LONGEST { text } else { text.chars().take(LONGEST).chain(['…']).collect() }
}

/// Casts value by value: one that does not fit is null and failed.
fn cast(raw: &ArrayRef, target: &ArrowType) -> Converted {
    let options = CastOptions { safe: true, ..CastOptions::default() };
    let values = cast_with_options(raw, target, &options).unwrap_or_else(|_| new_null_array(target, raw.len()));
    let failed = lost(raw, &values);
    Converted { values, failed }
}

/// Rows that had a value and have none now.
fn lost(before: &ArrayRef, after: &ArrayRef) -> Option<BooleanBuffer> {
    if after.null_count() == before.null_count() {
        return None;
    }
    Some(BooleanBuffer::collect_bool(before.len(), |row_index| before.is_valid(row_index) && after.is_null(row_index)))
}

/// Fractions have no place in an integer column.
fn whole_numbers(raw: &ArrayRef, target: &ArrowType) -> Converted {
    let floats = cast(raw, &ArrowType::Float64).values;
    let whole: Float64Array =
        floats.as_primitive::<Float64Type>().iter().map(|value| value.filter(|value| value.fract() == 0.0)).collect();
    let values = cast(&(Arc::new(whole) as ArrayRef), target).values;
    let failed = lost(raw, &values);
    Converted { values, failed }
}

/// A decimal is an integer if it is the same after the way there and back. The way by floats would round beyond 2^53.
fn whole_decimals(raw: &ArrayRef, target: &ArrowType) -> Converted {
    let values = cast(raw, target).values;
    let back = cast(&values, raw.data_type()).values;
    let whole = cmp::distinct(raw, &back).and_then(|differs| nullif(&values, &differs));
    let values = whole.unwrap_or_else(|_| new_null_array(target, raw.len()));
    let failed = lost(raw, &values);
    Converted { values, failed }
}

fn parse_flags(texts: &StringArray) -> Converted {
    let flag = |text: &str| match text {
        "1" => Some(true),
        "0" => Some(false),
        _ if text.eq_ignore_ascii_case("true") => Some(true),
        _ if text.eq_ignore_ascii_case("false") => Some(false),
        _ => None,
    };
    let values: ArrayRef = Arc::new(texts.iter().map(|text| text.and_then(flag)).collect::<BooleanArray>());
    let failed = lost(&(Arc::new(texts.clone()) as ArrayRef), &values);
    Converted { values, failed }
}

enum ParsedTime {
    Instant(i64),
    WithoutZone,
    NoTime,
}

fn parse_time(text: &str, zone: Option<&TimeZone>) -> ParsedTime {
    if let Ok(instant) = text.parse::<jiff::Timestamp>() {
        return ParsedTime::Instant(instant.as_microsecond());
    }
    let Ok(local) = text.parse::<jiff::civil::DateTime>() else {
        return ParsedTime::NoTime;
    };
    match zone {
        None => ParsedTime::WithoutZone,
        Some(zone) => {
            local.to_zoned(zone.clone()).map_or(ParsedTime::NoTime, |at| ParsedTime::Instant(at.timestamp().as_microsecond()))
        }
    }
}

fn parse_times(texts: &StringArray, zone: Option<&TimeZone>) -> Result<Converted, Misfit> {
    let mut values = Vec::with_capacity(texts.len());
    // Files are mostly in order of time, so a value is often the one before it.
    let mut last: Option<(&str, Option<i64>)> = None;
    for (row_index, text) in texts.iter().enumerate() {
        let Some(text) = text else {
            values.push(None);
            continue;
        };
        let instant = match last {
            Some((known, instant)) if known == text => instant,
            _ => match parse_time(text, zone) {
                ParsedTime::Instant(micros) => Some(micros),
                ParsedTime::NoTime => None,
                ParsedTime::WithoutZone => return Err(Misfit::WithoutZone { row_index, value: text.to_owned() }),
            },
        };
        last = Some((text, instant));
        values.push(instant);
    }
    let values: ArrayRef = Arc::new(TimestampMicrosecondArray::from(values).with_timezone("UTC"));
    let failed = lost(&(Arc::new(texts.clone()) as ArrayRef), &values);
    Ok(Converted { values, failed })
}

fn place_in_zone(raw: &ArrayRef, zone: Option<&TimeZone>) -> Result<Converted, Misfit> {
    let Some(zone) = zone else {
        return match (0..raw.len()).find(|row_index| raw.is_valid(*row_index)) {
            None => Ok(Converted { values: new_null_array(&lw_engine::to_arrow(DataType::Timestamp), raw.len()), failed: None }),
            Some(row_index) => Err(Misfit::WithoutZone { row_index, value: shown(raw, row_index) }),
        };
    };
    let local = cast(raw, &ArrowType::Timestamp(TimeUnit::Microsecond, None)).values;
    if let Ok(offset) = zone.to_fixed_offset() {
        return Ok(shifted(raw, &local, offset));
    }
    let instant = |micros: i64| {
        let civil = jiff::tz::Offset::UTC.to_datetime(jiff::Timestamp::from_microsecond(micros).ok()?);
        Some(civil.to_zoned(zone.clone()).ok()?.timestamp().as_microsecond())
    };
    let instants = local.as_primitive::<TimestampMicrosecondType>().iter().map(|value| value.and_then(instant));
    let values: ArrayRef = Arc::new(instants.collect::<TimestampMicrosecondArray>().with_timezone("UTC"));
    let failed = lost(raw, &values);
    Ok(Converted { values, failed })
}

/// Times of a zone without clock changes, such as UTC.
fn shifted(raw: &ArrayRef, local: &ArrayRef, offset: Offset) -> Converted {
    let offset_micros = i64::from(offset.seconds()) * 1_000_000;
    let range = jiff::Timestamp::MIN.as_microsecond()..=jiff::Timestamp::MAX.as_microsecond();
    let instant = |micros: i64| micros.checked_sub(offset_micros).filter(|instant| range.contains(instant));
    let instants: TimestampMicrosecondArray = local.as_primitive::<TimestampMicrosecondType>().unary_opt(instant);
    let values: ArrayRef = Arc::new(instants.with_timezone("UTC"));
    let failed = lost(raw, &values);
    Converted { values, failed }
}

#[cfg(test)]
mod tests {
    use arrow::array::{Decimal128Array, Int64Array, TimestampSecondArray};

    use super::*;

    fn texts(values: &[&str]) -> ArrayRef {
        Arc::new(StringArray::from(values.to_vec()))
    }

    #[track_caller]
    fn check(raw: &ArrayRef, want: DataType, values: &[&str], failed: &[usize]) {
        let converted = convert(raw, want, None).unwrap();
        let got: Vec<_> = (0..raw.len()).map(|row_index| shown(&converted.values, row_index)).collect();
        assert_eq!(got, values);
        let got: Vec<_> = converted.failed.iter().flat_map(BooleanBuffer::set_indices).collect();
        assert_eq!(got, failed);
    }

    #[test]
    fn text_is_parsed_value_by_value() {
        check(&texts(&["1", "x", "2.5", "99999999999"]), DataType::Int32, &["1", "", "", ""], &[1, 2, 3]);
        check(&texts(&["1.5", "", "1e3"]), DataType::Float64, &["1.5", "", "1000.0"], &[1]);
        check(&texts(&["true", "FALSE", "1", "yes"]), DataType::Boolean, &["true", "false", "true", ""], &[3]);
        check(&texts(&["2013-01-31", "2013-02-30"]), DataType::Date, &["2013-01-31", ""], &[1]);
        let times = ["2013-01-01T10:00:00Z", "2013-01-01 10:00:00+01:00", "soon"];
        check(&texts(&times), DataType::Timestamp, &["2013-01-01T10:00:00Z", "2013-01-01T09:00:00Z", ""], &[2]);
    }

    #[test]
    fn numbers_change_their_width_but_lose_nothing() {
        let floats: ArrayRef = Arc::new(Float64Array::from(vec![1.0, 1.5, f64::NAN, 1e12]));
        check(&floats, DataType::Int32, &["1", "", "", ""], &[1, 2, 3]);
        let wide: ArrayRef = Arc::new(Int64Array::from(vec![Some(7), None, Some(1 << 40)]));
        check(&wide, DataType::Int32, &["7", "", ""], &[2]);
        check(&wide, DataType::Float64, &["7.0", "", "1099511627776.0"], &[]);
        let misfit = convert(&wide, DataType::String, None).unwrap_err();
        assert_eq!(misfit, Misfit::TypeChanged { found: "int64".into(), row_index: 0, value: "7".into() });
    }

    #[test]
    fn decimals_that_overflow_or_have_fractions_are_no_integers() {
        let decimals = |values: Vec<i128>, scale| -> ArrayRef {
            Arc::new(Decimal128Array::from(values).with_precision_and_scale(38, scale).unwrap())
        };
        // 2^53 + 1 has no float; 10^20 no 64-bit integer.
        let wide = decimals(vec![9_007_199_254_740_993, 100_000_000_000_000_000_000, -7], 0);
        check(&wide, DataType::Int64, &["9007199254740993", "", "-7"], &[1]);
        let cents = decimals(vec![100, 150, -300, 429_496_729_600], 2);
        check(&cents, DataType::Int32, &["1", "", "-3", ""], &[1, 3]);
        check(&cents, DataType::Float64, &["1.0", "1.5", "-3.0", "4294967296.0"], &[]);
        check(&texts(&["99999999999999999999", "7"]), DataType::Int64, &["", "7"], &[0]);
    }

    #[test]
    fn zones_may_be_mixed_in_one_column_and_fixed_ones_only_shift() {
        let mixed = texts(&["2024-01-01T10:00:00+05:30", "2024-01-01T10:00:00Z", "2024-01-01 10:00:00-08"]);
        let instants = ["2024-01-01T04:30:00Z", "2024-01-01T10:00:00Z", "2024-01-01T18:00:00Z"];
        check(&mixed, DataType::Timestamp, &instants, &[]);
        let naive: ArrayRef = Arc::new(TimestampSecondArray::from(vec![Some(1_704_103_200), None, Some(i64::MAX / 2_000_000)]));
        for (zone, want) in [("UTC", "2024-01-01T10:00:00Z"), ("Etc/GMT-5", "2024-01-01T05:00:00Z")] {
            let placed = convert(&naive, DataType::Timestamp, Some(&TimeZone::get(zone).unwrap())).unwrap();
            assert_eq!(shown(&placed.values, 0), want, "{zone}");
            assert!(placed.values.is_null(1) && placed.values.is_null(2), "{zone}");
            assert_eq!(placed.failed.unwrap().set_indices().collect::<Vec<_>>(), [2], "{zone}");
        }
    }

    #[test]
    fn a_time_without_a_zone_needs_a_declared_one() {
        let naive: ArrayRef = Arc::new(TimestampSecondArray::from(vec![None, Some(1_357_034_400)]));
        let zone = TimeZone::get("America/New_York").unwrap();
        for raw in [naive, texts(&["2013-07-01T00:00:00Z", "2013-01-01T10:00:00"])] {
            let misfit = convert(&raw, DataType::Timestamp, None).unwrap_err();
            assert!(matches!(misfit, Misfit::WithoutZone { row_index: 1, .. }), "{misfit:?}");
            let placed = convert(&raw, DataType::Timestamp, Some(&zone)).unwrap();
            assert_eq!(shown(&placed.values, 1), "2013-01-01T15:00:00Z");
        }
        // The hour that a clock change repeats is the earlier one, the hour that it skips moves on.
        let changes = texts(&["2013-11-03T01:30:00", "2013-03-10T02:30:00"]);
        let placed = convert(&changes, DataType::Timestamp, Some(&zone)).unwrap();
        assert_eq!([shown(&placed.values, 0), shown(&placed.values, 1)], ["2013-11-03T05:30:00Z", "2013-03-10T07:30:00Z"]);
    }
}
