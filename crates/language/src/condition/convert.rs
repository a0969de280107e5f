//! Between the values of the language and those of CEL.

use std::collections::{BTreeMap, HashMap};

use cel::common::types::{CelBool, CelDouble, CelInt, CelList, CelMap, CelMapKey, CelNull, CelString, CelTimestamp, CelUInt};
use cel::common::value::Val;
use cel::objects::Key;
use chrono::DateTime;
use jiff::Timestamp;
use rust_decimal::Decimal;
use rust_decimal::prelude::ToPrimitive;

use crate::Value;
use crate::value::nearest_double;

/// The largest whole number up to which every whole number is a double.
const LARGEST_EXACT: u64 = 1 << 53;

/// A value for CEL, borrowing its texts. Numbers are doubles, whole ones that no double holds stay whole; a date is its
/// text, `2026-12-24`; what is `null` in a map is left out, as it counts as missing.
pub(super) fn into_cel<'v>(value: &'v Value) -> Box<dyn Val + 'v> {
    match value {
        Value::Null => Box::new(CelNull),
        Value::Bool(truth) => Box::new(CelBool::from(*truth)),
        Value::Number(number) => number_into_cel(*number),
        Value::Text(text) => Box::new(CelString::from(text.as_str())),
        Value::Timestamp(moment) => match timestamp_into_cel(*moment) {
            Some(moment) => Box::new(moment),
            None => Box::new(CelNull),
        },
        Value::Date(day) => Box::new(CelString::from(day.to_string())),
        Value::List(list) => Box::new(CelList::from(list.iter().map(into_cel).collect::<Vec<_>>())),
        Value::Map(map) => {
            let entries = map.iter().filter(|(_, value)| !value.is_null());
            let entries: HashMap<CelMapKey<'v>, Box<dyn Val + 'v>> =
                entries.map(|(name, value)| (CelMapKey::String(CelString::from(name.as_str())), into_cel(value))).collect();
            Box::new(CelMap::from(entries))
        }
    }
}

fn number_into_cel<'v>(number: Decimal) -> Box<dyn Val + 'v> {
    if number.scale() == 0 && number.abs() > Decimal::from(LARGEST_EXACT) {
        if let Some(whole) = number.to_i64() {
            return Box::new(CelInt::from(whole));
        }
        if let Some(whole) = number.to_u64() {
            return Box::new(CelUInt::from(whole));
        }
    }
    Box::new(CelDouble::from(nearest_double(number)))
}

fn timestamp_into_cel(moment: Timestamp) -> Option<CelTimestamp> {
    let nanoseconds = u32::try_from(moment.subsec_nanosecond());
    // Before 1970 the fraction counts back from the second, in the other crate it counts forward.
    let (seconds, nanoseconds) = match nanoseconds {
        Ok(nanoseconds) => (moment.as_second(), nanoseconds),
        Err(_) => (moment.as_second() - 1, (1_000_000_000 + moment.subsec_nanosecond()).unsigned_abs()),
    };
    DateTime::from_timestamp(seconds, nanoseconds).map(|moment| CelTimestamp::from(moment.fixed_offset()))
}

/// The value that a result of CEL is.
///
/// # Errors
///
/// The kind of result that no property can be, such as a duration.
pub(super) fn from_cel(value: cel::Value) -> Result<Value, String> {
    match value {
        cel::Value::Null => Ok(Value::Null),
        cel::Value::Bool(truth) => Ok(Value::Bool(truth)),
        cel::Value::Int(number) => Ok(number.into()),
        cel::Value::UInt(number) => Ok(number.into()),
        cel::Value::Float(number) if number.is_finite() => Ok(Value::from_f64(number)),
        cel::Value::Float(_) => Err("the result is no finite number".to_owned()),
        cel::Value::String(text) => Ok(text.as_str().into()),
        cel::Value::Timestamp(moment) => {
            let nanoseconds = i32::try_from(moment.timestamp_subsec_nanos()).unwrap_or(0);
            (Timestamp::new(moment.timestamp(), nanoseconds).map(Value::Timestamp))
                .map_err(|_| "the result is a timestamp out of range".to_owned())
        }
        cel::Value::List(list) => list.iter().cloned().map(from_cel).collect::<Result<_, _>>().map(Value::List),
        cel::Value::Map(map) => {
            let entries = map.map.iter().map(|(key, value)| Ok((key_text(key), from_cel(value.clone())?)));
            entries.collect::<Result<BTreeMap<_, _>, String>>().map(Value::Map)
        }
        cel::Value::Duration(_) => Err("the result is a duration, which no property can be".to_owned()),
        _ => Err("the result is nothing that a property can be".to_owned()),
    }
}

fn key_text(key: &Key) -> String {
    match key {
        Key::Int(key) => key.to_string(),
        Key::Uint(key) => key.to_string(),
        Key::Bool(key) => key.to_string(),
        Key::String(key) => key.to_string(),
    }
}
