//! What a property, an attribute or the result of an expression is: a [`Value`].
//!
//! Numbers are decimals, never floats, so that an amount keeps its pence. Maps are ordered, so that the same value
//! always has the same bytes.
//!
//! # Two ways out
//!
//! - [`Value::to_json`] is plain JSON for people and other programs: timestamps become RFC 3339 text, numbers JSON
//!   numbers. Types and trailing zeroes are lost.
//! - The `serde` implementation is for Cartwheel's own state and records: whatever goes in comes out equal and with
//!   the same bytes, in JSON as in MessagePack. Null, booleans, texts, lists, maps and whole numbers look as in plain
//!   JSON. The others are a map with one key: `{"$n": "12.50"}` a decimal, `{"$t": "2026-12-24T10:00:00Z"}` a
//!   timestamp, `{"$d": "2026-12-24"}` a date. A map of the shop's own in which a key begins with `$` is wrapped as
//!   `{"$m": {...}}`, so that nothing a shop sends can pass for one of these. What a shop sends is therefore never read
//!   this way, but with `From<serde_json::Value>`.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;
use jiff::civil::Date;
use rust_decimal::Decimal;
use rust_decimal::prelude::ToPrimitive;
use serde::de::{self, Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde::ser::{Serialize, SerializeMap, Serializer};

/// A value of the campaign language (LANGUAGE.md section 9).
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Value {
    /// Missing. A property that is `null` counts as one that is not there.
    #[default]
    Null,
    /// True or false.
    Bool(bool),
    /// An exact number: an amount, a count, a size.
    Number(Decimal),
    /// Text, also one that spells a time: what a property means is decided where it is used.
    Text(String),
    /// A moment.
    Timestamp(Timestamp),
    /// A calendar day without a clock.
    Date(Date),
    /// Values in order.
    List(Vec<Value>),
    /// Values by name.
    Map(BTreeMap<String, Value>),
}

impl Value {
    /// The value at a path of names parted by dots, such as `line.price`; a part of digits indexes a list, counted
    /// from 0. The empty path is the value itself.
    ///
    /// `None` where a part does not exist, and where what it holds is [`Value::Null`].
    pub fn at(&self, path: &str) -> Option<&Value> {
        let mut value = self;
        if !path.is_empty() {
            for part in path.split('.') {
                value = match value {
                    Value::Map(map) => map.get(part)?,
                    Value::List(list) => list.get(part.parse::<usize>().ok()?)?,
                    _ => return None,
                };
            }
        }
        (!value.is_null()).then_some(value)
    }

    /// Whether nothing is there.
    pub fn is_null(&self) -> bool {
        matches!(self, Value::Null)
    }

    /// The text, if it is one.
    pub fn as_text(&self) -> Option<&str> {
        match self {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The number, if it is one.
    pub fn as_number(&self) -> Option<Decimal> {
        match self {
            Value::Number(number) => Some(*number),
            _ => None,
        }
    }

    /// What the value is called in messages to people: `text`, `number`, `true or false`, ...
    pub fn kind(&self) -> &'static str {
        match self {
            Value::Null => "null",
            Value::Bool(_) => "true or false",
            Value::Number(_) => "number",
            Value::Text(_) => "text",
            Value::Timestamp(_) => "timestamp",
            Value::Date(_) => "date",
            Value::List(_) => "list",
            Value::Map(_) => "map",
        }
    }

    /// The number that a double stands for, written as shortly as tells it apart (`0.1`, not
    /// `0.1000000000000000055`); a whole one exactly. A double that is no number, or too large or too fine for a decimal, is kept as the
    /// text of its spelling.
    pub fn from_f64(number: f64) -> Value {
        #[expect(clippy::cast_possible_truncation, reason = "whole and in range")]
        if number.fract() == 0.0 && number.abs() < 9.2e18 {
            return Value::from(number as i64);
        }
        spelled(&format!("{number:?}"))
    }

    /// Plain JSON. Timestamps and dates become text; a fraction becomes the nearest double.
    pub fn to_json(&self) -> serde_json::Value {
        match self {
            Value::Null => serde_json::Value::Null,
            Value::Bool(truth) => (*truth).into(),
            Value::Number(number) => match whole(number.normalize()) {
                Some(Whole::Signed(whole)) => whole.into(),
                Some(Whole::Unsigned(whole)) => whole.into(),
                None => nearest_double(*number).into(),
            },
            Value::Text(text) => text.as_str().into(),
            Value::Timestamp(moment) => moment.to_string().into(),
            Value::Date(day) => day.to_string().into(),
            Value::List(list) => list.iter().map(Value::to_json).collect(),
            Value::Map(map) => map.iter().map(|(name, value)| (name.clone(), value.to_json())).collect(),
        }
    }
}

impl From<serde_json::Value> for Value {
    /// A number that a decimal cannot hold is kept as the text of its spelling.
    fn from(json: serde_json::Value) -> Value {
        match json {
            serde_json::Value::Null => Value::Null,
            serde_json::Value::Bool(truth) => Value::Bool(truth),
            serde_json::Value::Number(number) => spelled(&number.to_string()),
            serde_json::Value::String(text) => Value::Text(text),
            serde_json::Value::Array(list) => Value::List(list.into_iter().map(Value::from).collect()),
            serde_json::Value::Object(map) => Value::Map(map.into_iter().map(|(name, value)| (name, value.into())).collect()),
        }
    }
}

/// The double nearest to a decimal. Decimals of up to fifteen digits come back from it as they were.
pub(crate) fn nearest_double(number: Decimal) -> f64 {
    // Both are exact in this range, so one division rounds once. Beyond it the standard library parses the digits.
    const EXACT_POWERS: [f64; 10] = [1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9];
    const EXACT_WHOLE: i128 = 1 << 53;
    match EXACT_POWERS.get(number.scale() as usize) {
        #[expect(clippy::cast_precision_loss, reason = "whole numbers up to 2^53 are doubles")]
        Some(power) if number.mantissa().abs() <= EXACT_WHOLE => number.mantissa() as f64 / power,
        _ => number.to_string().parse().unwrap_or(f64::NAN),
    }
}

/// The number of this spelling, plain or with an exponent, else the spelling itself as text.
fn spelled(spelling: &str) -> Value {
    let exact = if spelling.contains(['e', 'E']) { Decimal::from_scientific(spelling) } else { Decimal::from_str_exact(spelling) };
    match exact {
        Ok(number) if spelling.ends_with(".0") => Value::Number(without_minus_zero(number.normalize())),
        Ok(number) => Value::Number(without_minus_zero(number)),
        Err(_) => Value::Text(spelling.to_owned()),
    }
}

/// Minus nought equals nought but has other bytes; there is only one here.
fn without_minus_zero(number: Decimal) -> Decimal {
    if number.is_zero() { number.abs() } else { number }
}

enum Whole {
    Signed(i64),
    Unsigned(u64),
}

/// A decimal without decimal places that fits an integer.
fn whole(number: Decimal) -> Option<Whole> {
    if number.scale() != 0 {
        return None;
    }
    (number.to_i64().map(Whole::Signed)).or_else(|| number.to_u64().map(Whole::Unsigned))
}

impl From<bool> for Value {
    fn from(truth: bool) -> Value {
        Value::Bool(truth)
    }
}

impl From<Decimal> for Value {
    fn from(number: Decimal) -> Value {
        Value::Number(without_minus_zero(number))
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Value {
        Value::Text(text.to_owned())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Value {
        Value::Text(text)
    }
}

impl From<Timestamp> for Value {
    fn from(moment: Timestamp) -> Value {
        Value::Timestamp(moment)
    }
}

impl From<Date> for Value {
    fn from(day: Date) -> Value {
        Value::Date(day)
    }
}

impl From<Vec<Value>> for Value {
    fn from(list: Vec<Value>) -> Value {
        Value::List(list)
    }
}

impl From<BTreeMap<String, Value>> for Value {
    fn from(map: BTreeMap<String, Value>) -> Value {
        Value::Map(map)
    }
}

macro_rules! from_integers {
    ($($integer:ty),*) => {$(
        impl From<$integer> for Value {
            fn from(number: $integer) -> Value {
                Value::Number(Decimal::from(number))
            }
        }
    )*};
}
from_integers!(i32, i64, u32, u64);

const DECIMAL: &str = "$n";
const TIMESTAMP: &str = "$t";
const DATE: &str = "$d";
const WRAPPED: &str = "$m";

impl Serialize for Value {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Value::Null => serializer.serialize_unit(),
            Value::Bool(truth) => serializer.serialize_bool(*truth),
            Value::Number(number) => match whole(without_minus_zero(*number)) {
                Some(Whole::Signed(whole)) => serializer.serialize_i64(whole),
                Some(Whole::Unsigned(whole)) => serializer.serialize_u64(whole),
                None => tagged(serializer, DECIMAL, &without_minus_zero(*number).to_string()),
            },
            Value::Text(text) => serializer.serialize_str(text),
            Value::Timestamp(moment) => tagged(serializer, TIMESTAMP, moment),
            Value::Date(day) => tagged(serializer, DATE, day),
            Value::List(list) => serializer.collect_seq(list),
            Value::Map(map) if could_pass_for_tagged(map) => tagged(serializer, WRAPPED, map),
            Value::Map(map) => serializer.collect_map(map),
        }
    }
}

fn could_pass_for_tagged(map: &BTreeMap<String, Value>) -> bool {
    map.keys().any(|name| name.starts_with('$'))
}

fn tagged<S: Serializer>(serializer: S, tag: &str, content: &(impl Serialize + ?Sized)) -> Result<S::Ok, S::Error> {
    let mut map = serializer.serialize_map(Some(1))?;
    map.serialize_entry(tag, content)?;
    map.end()
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(ValueVisitor)
    }
}

struct ValueVisitor;

impl<'de> Visitor<'de> for ValueVisitor {
    type Value = Value;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a value of the campaign language")
    }

    fn visit_unit<E: de::Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_none<E: de::Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }

    fn visit_bool<E: de::Error>(self, truth: bool) -> Result<Value, E> {
        Ok(Value::Bool(truth))
    }

    fn visit_i64<E: de::Error>(self, number: i64) -> Result<Value, E> {
        Ok(number.into())
    }

    fn visit_u64<E: de::Error>(self, number: u64) -> Result<Value, E> {
        Ok(number.into())
    }

    fn visit_f64<E: de::Error>(self, number: f64) -> Result<Value, E> {
        Ok(Value::from_f64(number))
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Value, E> {
        Ok(text.into())
    }

    fn visit_string<E: de::Error>(self, text: String) -> Result<Value, E> {
        Ok(text.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Value, A::Error> {
        let mut list = Vec::with_capacity(access.size_hint().unwrap_or(0).min(64));
        while let Some(value) = access.next_element()? {
            list.push(value);
        }
        Ok(Value::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Value, A::Error> {
        let Some(first) = access.next_key::<String>()? else {
            return Ok(Value::Map(BTreeMap::new()));
        };
        let tagged = match first.as_str() {
            DECIMAL => Value::Number(parsed(&mut access)?),
            TIMESTAMP => Value::Timestamp(parsed(&mut access)?),
            DATE => Value::Date(parsed(&mut access)?),
            WRAPPED => Value::Map(access.next_value()?),
            _ => {
                let mut map = BTreeMap::from([(first, access.next_value()?)]);
                while let Some((name, value)) = access.next_entry()? {
                    map.insert(name, value);
                }
                return Ok(Value::Map(map));
            }
        };
        match access.next_key::<String>()? {
            None => Ok(tagged),
            Some(name) => Err(de::Error::custom(format!("`{first}` stands alone in its map, `{name}` is beside it"))),
        }
    }
}

fn parsed<'de, T: FromStr, A: MapAccess<'de>>(access: &mut A) -> Result<T, A::Error> {
    let text = access.next_value::<Cow<'de, str>>()?;
    text.parse().map_err(|_| de::Error::custom("a tagged value does not parse"))
}

#[cfg(test)]
#[path = "value_tests.rs"]
mod tests;
