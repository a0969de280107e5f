//! The conformance tests of CEL, through the language's own expressions.
//!
//! Expressions differ from CEL on purpose in one way, numbers are doubles, and leave out its extensions and types. So a
//! case is one of: the *same* answer; *refused*, where CEL has an answer and an expression says that it has none; or
//! *another* answer, which is a mistake unless the case is about whole numbers as such.

use std::borrow::Cow;
use std::collections::BTreeMap;

use rust_decimal::Decimal;
use serde_json::Value as Json;

use super::{Data, Expression};
use crate::Value;

struct Bindings(BTreeMap<String, Value>);

impl Data for Bindings {
    fn value(&self, name: &str) -> Option<Cow<'_, Value>> {
        self.0.get(name).map(Cow::Borrowed)
    }

    fn count(&self, _: &str, _: Option<u32>) -> Option<u64> {
        None
    }
}

/// The value of a case, with numbers of every kind as decimals; `None` for what no property can be.
fn expected(value: &Json) -> Option<Value> {
    let (kind, content) = value.as_object()?.iter().next()?;
    Some(match kind.as_str() {
        "nullValue" => Value::Null,
        "boolValue" => content.as_bool()?.into(),
        // A type is its name.
        "stringValue" | "typeValue" => content.as_str()?.into(),
        "int64Value" | "uint64Value" => content.as_str()?.parse::<Decimal>().ok()?.into(),
        "doubleValue" => Value::from_f64(content.as_f64()?),
        "listValue" => {
            let values = content.get("values").and_then(Json::as_array).map_or(&[][..], Vec::as_slice);
            Value::List(values.iter().map(expected).collect::<Option<_>>()?)
        }
        "mapValue" => {
            let entries = content.get("entries").and_then(Json::as_array).map_or(&[][..], Vec::as_slice);
            let entry = |entry: &Json| {
                let key = match expected(entry.get("key")?)? {
                    Value::Text(text) => text,
                    Value::Bool(truth) => truth.to_string(),
                    Value::Number(number) => number.to_string(),
                    _ => return None,
                };
                Some((key, expected(entry.get("value")?)?))
            };
            Value::Map(entries.iter().map(entry).collect::<Option<_>>()?)
        }
        _ => return None,
    })
}

#[derive(Debug, PartialEq)]
enum Outcome {
    Same,
    Refused,
    Another(String),
}

fn outcome(case: &Json) -> Outcome {
    let source = case["expr"].as_str().unwrap();
    let bindings = case.get("bindings").and_then(Json::as_object).into_iter().flatten();
    let bindings = bindings.filter_map(|(name, bound)| Some((name.clone(), expected(bound.get("value")?)?))).collect();
    let answer = Expression::parse(source).map_err(|problem| problem.message);
    let answer = answer.and_then(|expression| expression.evaluate(&Bindings(bindings)));
    match (case.get("value"), answer) {
        (None, Err(_) | Ok(Value::Null)) => Outcome::Same,
        (None, Ok(answer)) => Outcome::Another(format!("{answer:?} instead of an error")),
        (Some(value), Ok(answer)) if expected(value).as_ref() == Some(&answer) => Outcome::Same,
        // What is missing is null; CEL's own null is the same answer and was compared above.
        (Some(_), Err(_) | Ok(Value::Null)) => Outcome::Refused,
        (Some(value), Ok(answer)) => Outcome::Another(format!("{answer:?} instead of {value}")),
    }
}

/// Cases about whole numbers as such, which doubles answer otherwise: their own type, and where they overflow.
const ABOUT_WHOLE_NUMBERS: &[&str] = &[
    "conformance/conversions/type/int",
    "conformance/conversions/type/uint",
    "conformance/integer_math/int64_math/int64_overflow_mul_negative",
    "conformance/integer_math/int64_math/uint64_overflow_mul_positive",
    "conformance/integer_math/int64_math/uint64_overflow_negative",
    "conformance/integer_math/int64_math/unary_minus_no_overload",
];

/// More would be better, fewer is a step back. The refused ones are about extensions, protobuf types, bytes, two-variable
/// macros and not-a-number.
const SAME_ANSWERS: usize = 612;

#[test]
fn cel_cases_have_their_answer_or_none() {
    let cases: Json = serde_json::from_str(include_str!("../../tests/vectors/cel.json")).unwrap();
    let cases = cases["tests"].as_array().unwrap();
    let (mut same, mut refused, mut left_out, mut another) = (0, 0, 0, Vec::new());
    for case in cases {
        let name = format!("{}/{}", case["path"].as_str().unwrap(), case["name"].as_str().unwrap());
        // Types are not checked beforehand, and there are no containers.
        if case.get("checkOnly").is_some() || case.get("typedResult").is_some() || case.get("container").is_some() {
            left_out += 1;
            continue;
        }
        match outcome(case) {
            Outcome::Same => same += 1,
            Outcome::Refused => refused += 1,
            Outcome::Another(_) if ABOUT_WHOLE_NUMBERS.contains(&name.as_str()) => {}
            Outcome::Another(answer) => another.push(format!("{name}: {}: {answer}", case["expr"])),
        }
    }
    println!("{} cases: {same} same, {refused} refused, {left_out} left out, {} another", cases.len(), another.len());
    assert!(another.is_empty(), "{}", another.join("\n"));
    assert_eq!(same, SAME_ANSWERS, "{refused} refused");
}
