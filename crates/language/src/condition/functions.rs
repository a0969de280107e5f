//! The functions that conditions have besides standard CEL.

use std::sync::{Arc, LazyLock};

use cel::common::types::{CelDouble, CelDuration, CelList, CelMap, CelMapKey, CelString, CelTimestamp};
use cel::common::types::{DOUBLE_TYPE, DYN_TYPE};
use cel::common::value::{CowVal, Val};
use cel::{DeclarationError, Env, ExecutionError};
use chrono::{DateTime, TimeDelta};

/// What stands around the list of every `exists`, `map` and the like after loading: `@each(list, longest)`. It bounds
/// the list's length and turns a map into the list of its keys in order, which CEL leaves to chance.
pub(super) const EACH: &str = "@each";

/// What `/` becomes after loading: doubles divided by nought would give infinity, which would make conditions true.
pub(super) const QUOTIENT: &str = "@quotient";

/// What `%` becomes after loading: CEL has no remainder of doubles.
pub(super) const REMAINDER: &str = "@remainder";

/// Functions that may be called by name, for hints on misspelled ones.
pub(super) const FUNCTIONS: &[&str] = &[
    "all",
    "bool",
    "bytes",
    "contains",
    "count",
    "days",
    "double",
    "duration",
    "dyn",
    "endsWith",
    "exists",
    "existsOne",
    "exists_one",
    "filter",
    "getDate",
    "getDayOfMonth",
    "getDayOfWeek",
    "getDayOfYear",
    "getFullYear",
    "getHours",
    "getMilliseconds",
    "getMinutes",
    "getMonth",
    "getSeconds",
    "has",
    "hasValue",
    "hours",
    "hundredths",
    "int",
    "map",
    "matches",
    "none",
    "of",
    "ofNonZeroValue",
    "optFlatMap",
    "optMap",
    "or",
    "orValue",
    "size",
    "startsWith",
    "string",
    "timestamp",
    "type",
    "uint",
    "value",
];

/// The functions whose whole results are widened, so that `size(event.products) - 1` works.
pub(super) const WHOLE_RESULTS: &[&str] = &[
    "getDate",
    "getDayOfMonth",
    "getDayOfWeek",
    "getDayOfYear",
    "getFullYear",
    "getHours",
    "getMilliseconds",
    "getMinutes",
    "getMonth",
    "getSeconds",
    "int",
    "size",
    "uint",
];

/// The environment that all conditions share: building one costs more than twenty evaluations.
pub(super) static ENVIRONMENT: LazyLock<Arc<Env>> = LazyLock::new(|| {
    let mut env = Env::stdlib();
    // A name can only be declared twice by a mistake in this list, which every test of a condition would meet.
    if let Err(problem) = declare(&mut env) {
        panic!("could not declare the functions of conditions: {problem}");
    }
    Arc::new(env)
});

fn declare(env: &mut Env) -> Result<(), DeclarationError> {
    env.add_overload("days", "days_double", vec![DOUBLE_TYPE], |arguments| span(&arguments, "days", 86_400.0))?;
    env.add_overload("hours", "hours_double", vec![DOUBLE_TYPE], |arguments| span(&arguments, "hours", 3_600.0))?;
    env.add_overload("hundredths", "hundredths_double", vec![DOUBLE_TYPE], hundredths)?;
    env.add_overload("timestamp", "double_to_timestamp", vec![DOUBLE_TYPE], timestamp)?;
    env.add_overload(QUOTIENT, "quotient_double", vec![DOUBLE_TYPE, DOUBLE_TYPE], quotient)?;
    env.add_overload(REMAINDER, "remainder_double", vec![DOUBLE_TYPE, DOUBLE_TYPE], remainder)?;
    env.add_overload(EACH, "each_dyn", vec![DYN_TYPE, DOUBLE_TYPE], each)
}

fn quotient<'b, 'v>(arguments: Vec<CowVal<'b, 'v>>) -> Result<CowVal<'b, 'v>, ExecutionError> {
    match number(&arguments, 1) {
        0.0 => Err(ExecutionError::DivisionByZero(cel::Value::Null)),
        divisor => Ok(CowVal::owned(CelDouble::from(number(&arguments, 0) / divisor))),
    }
}

/// Of whole numbers, with the sign of the first, as in CEL.
fn remainder<'b, 'v>(arguments: Vec<CowVal<'b, 'v>>) -> Result<CowVal<'b, 'v>, ExecutionError> {
    let (number, divisor) = (number(&arguments, 0), number(&arguments, 1));
    if number.fract() != 0.0 || divisor.fract() != 0.0 {
        return Err(ExecutionError::function_error("%", "the numbers are not whole"));
    }
    match divisor {
        0.0 => Err(ExecutionError::RemainderByZero(cel::Value::Null)),
        divisor => Ok(CowVal::owned(CelDouble::from(number % divisor))),
    }
}

fn number(arguments: &[CowVal<'_, '_>], position: usize) -> f64 {
    let number = arguments.get(position).and_then(|argument| argument.downcast_ref::<CelDouble>());
    number.map_or(f64::NAN, |number| *number.inner())
}

/// A duration of so many units of so many seconds; CEL holds less than 293 years.
fn span<'b, 'v>(arguments: &[CowVal<'b, 'v>], name: &str, seconds: f64) -> Result<CowVal<'b, 'v>, ExecutionError> {
    let milliseconds = number(arguments, 0) * seconds * 1_000.0;
    if milliseconds.abs() < 9.2e15 {
        #[expect(clippy::cast_possible_truncation, reason = "in range, and parts of a millisecond do not matter")]
        if let Some(span) = TimeDelta::try_milliseconds(milliseconds.round() as i64) {
            return Ok(CowVal::owned(CelDuration::from(span)));
        }
    }
    Err(ExecutionError::function_error(name, "the number is out of range"))
}

/// `hundredths(1999)` is 19.99: the double whose shortest spelling is the exact amount, up to 10^13 hundredths.
fn hundredths<'b, 'v>(arguments: Vec<CowVal<'b, 'v>>) -> Result<CowVal<'b, 'v>, ExecutionError> {
    let pence = number(&arguments, 0);
    if pence.fract() != 0.0 || pence.abs() > 1e13 {
        return Err(ExecutionError::function_error("hundredths", "the number is not whole or too large"));
    }
    Ok(CowVal::owned(CelDouble::from(pence / 100.0)))
}

/// `timestamp(seconds)`, as in standard CEL for whole numbers.
fn timestamp<'b, 'v>(arguments: Vec<CowVal<'b, 'v>>) -> Result<CowVal<'b, 'v>, ExecutionError> {
    let seconds = number(&arguments, 0);
    // Years 1 to 9999, the range of a CEL timestamp.
    if (-62_135_596_800.0..253_402_300_800.0).contains(&seconds) {
        #[expect(clippy::cast_possible_truncation, reason = "in range")]
        if let Some(moment) = DateTime::from_timestamp_millis((seconds * 1_000.0).round() as i64) {
            return Ok(CowVal::owned(CelTimestamp::from(moment.fixed_offset())));
        }
    }
    Err(ExecutionError::function_error("timestamp", "the number of seconds is out of range"))
}

fn each<'b, 'v>(arguments: Vec<CowVal<'b, 'v>>) -> Result<CowVal<'b, 'v>, ExecutionError> {
    let longest = number(&arguments, 1);
    let Some(range) = arguments.into_iter().next() else {
        return Err(ExecutionError::missing_argument_or_target());
    };
    let length = range.as_sizer().map_or(0, |sizer| *sizer.size().inner());
    #[expect(clippy::cast_precision_loss, reason = "lengths are far below 2^53")]
    if length as f64 > longest {
        return Err(ExecutionError::function_error(EACH, "the list is too long"));
    }
    let Some(map) = range.downcast_ref::<CelMap>() else {
        return Ok(range);
    };
    let mut keys: Vec<&CelMapKey<'_>> = map.inner().keys().collect();
    keys.sort();
    let keys: Vec<Box<dyn Val + 'v>> = keys.into_iter().map(owned_key).collect();
    Ok(CowVal::owned(CelList::from(keys)))
}

fn owned_key<'v>(key: &CelMapKey<'_>) -> Box<dyn Val + 'v> {
    match key {
        CelMapKey::Bool(key) => Box::new(*key),
        CelMapKey::Int(key) => Box::new(*key),
        CelMapKey::UInt(key) => Box::new(*key),
        CelMapKey::String(key) => Box::new(CelString::from(key.inner().to_owned())),
    }
}
