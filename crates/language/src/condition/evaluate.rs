//! Evaluation: slots filled from the data as they are asked for, and what could not be worked out said by name.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::OnceLock;

use cel::common::types::{CelBool, CelDouble};
use cel::common::value::{CowVal, Val};
use cel::context::VariableResolver;
use cel::{Context, ExecutionError};
use rust_decimal::Decimal;

use super::compile::{Compiled, Reference, Slot};
use super::convert;
use super::functions::{EACH, ENVIRONMENT, QUOTIENT, REMAINDER};
use super::{Data, Verdict};
use crate::Value;

pub(super) fn verdict(compiled: &Compiled, data: &dyn Data) -> Verdict {
    let roots = Roots::new(compiled);
    let slots = Slots::new(compiled, data, &roots);
    let mut context = Context::with_env(ENVIRONMENT.clone());
    context.set_variable_resolver(&slots);
    match cel::Value::resolve_val(&compiled.expression, &context) {
        Ok(result) => match result.downcast_ref::<CelBool>() {
            Some(truth) if *truth.inner() => Verdict::True,
            Some(_) => Verdict::False,
            None => Verdict::Unknown(format!("it gives {}, not true or false", kind_name(result.get_type().name()))),
        },
        Err(problem) => Verdict::Unknown(slots.explain(&problem).1),
    }
}

pub(super) fn value(compiled: &Compiled, data: &dyn Data) -> Result<Value, String> {
    let roots = Roots::new(compiled);
    let slots = Slots::new(compiled, data, &roots);
    if let (cel::parser::Expression { expr: cel::common::ast::Expr::Ident(_), .. }, [Slot::Value(reference)]) =
        (&compiled.expression, compiled.slots.as_slice())
    {
        return Ok(slots.find(reference).cloned().unwrap_or_default());
    }
    let mut context = Context::with_env(ENVIRONMENT.clone());
    context.set_variable_resolver(&slots);
    match cel::Value::resolve(&compiled.expression, &context) {
        Ok(result) => convert::from_cel(result),
        Err(problem) => match slots.explain(&problem) {
            (Cause::Missing, _) => Ok(Value::Null),
            (Cause::Wrong, reason) => Err(reason),
        },
    }
}

/// The names that a decision may show the values of. Attributes of the customer are left out altogether.
const SHOWN: &[&str] = &["cart", "event", "item", "journey", "now", "order", "orders", "product", "trigger"];

/// Words in the names of properties that hold people's data whatever their type.
const PERSONAL: &[&str] = &["address", "birth", "email", "mail", "mobile", "name", "phone", "tel"];

/// Whole numbers from here on may be telephone numbers.
const SHORTEST_PHONE: u32 = 1_000_000;

pub(super) fn observed(compiled: &Compiled, data: &dyn Data) -> BTreeMap<String, Value> {
    let roots = Roots::new(compiled);
    let slots = Slots::new(compiled, data, &roots);
    let mut observed = BTreeMap::new();
    for slot in &compiled.slots {
        match slot {
            Slot::Value(reference) | Slot::Has(reference) => {
                let shown = (slots.find(reference)).and_then(|value| harmless(compiled, reference, value));
                observed.extend(shown.map(|value| (reference.path(), value)));
            }
            Slot::Count(position) => {
                let count = &compiled.counts[*position];
                let name = match count.within_days {
                    Some(days) => format!("count('{}', days({days}))", count.event),
                    None => format!("count('{}')", count.event),
                };
                let counted = data.count(&count.event, count.within_days);
                observed.extend(counted.map(|counted| (name, Value::from(counted))));
            }
        }
    }
    observed
}

fn harmless(compiled: &Compiled, reference: &Reference, value: &Value) -> Option<Value> {
    let personal = |part: &str| PERSONAL.iter().any(|word| part.to_lowercase().contains(word));
    if !SHOWN.contains(&reference.root.as_str()) || reference.fields.iter().any(|field| personal(field)) {
        return None;
    }
    match value {
        Value::Bool(_) | Value::Timestamp(_) | Value::Date(_) => Some(value.clone()),
        Value::Number(number) if number.scale() > 0 || number.abs() < Decimal::from(SHORTEST_PHONE) => Some(value.clone()),
        Value::Text(text) if compiled.spelled.contains(text) => Some(value.clone()),
        Value::Text(_) => Some(Value::from("another text")),
        _ => None,
    }
}

/// The values of the data that slots are found in, each fetched at most once. They outlive the slots that lend from them.
struct Roots<'d>(Vec<OnceLock<Option<Cow<'d, Value>>>>);

impl Roots<'_> {
    fn new(compiled: &Compiled) -> Self {
        Roots(compiled.slots.iter().map(|_| OnceLock::new()).collect())
    }
}

struct Slots<'d> {
    compiled: &'d Compiled,
    data: &'d dyn Data,
    roots: &'d Roots<'d>,
    converted: Vec<OnceLock<Option<Box<dyn Val + 'd>>>>,
}

impl<'d> Slots<'d> {
    fn new(compiled: &'d Compiled, data: &'d dyn Data, roots: &'d Roots<'d>) -> Slots<'d> {
        Slots { compiled, data, roots, converted: compiled.slots.iter().map(|_| OnceLock::new()).collect() }
    }

    fn find(&self, reference: &Reference) -> Option<&'d Value> {
        // A name's value is kept with the first slot of that name.
        let first = self.compiled.slots.iter().position(|slot| match slot {
            Slot::Value(other) | Slot::Has(other) => other.root == reference.root,
            Slot::Count(_) => false,
        })?;
        let root = self.roots.0[first].get_or_init(|| self.data.value(&reference.root));
        let found = reference.fields.iter().try_fold(root.as_deref()?, |value, field| match value {
            Value::Map(map) => map.get(field),
            _ => None,
        });
        found.filter(|value| !value.is_null())
    }

    fn convert(&self, slot: &Slot) -> Option<Box<dyn Val + 'd>> {
        match slot {
            Slot::Value(reference) => self.find(reference).map(convert::into_cel),
            Slot::Has(reference) => Some(Box::new(CelBool::from(self.find(reference).is_some()))),
            Slot::Count(position) => {
                let count = &self.compiled.counts[*position];
                let counted = self.data.count(&count.event, count.within_days)?;
                #[expect(clippy::cast_precision_loss, reason = "nobody does anything 2^53 times")]
                Some(Box::new(CelDouble::from(counted as f64)))
            }
        }
    }

    /// Why something could not be worked out, in names and types only.
    fn explain(&self, problem: &ExecutionError) -> (Cause, String) {
        match problem {
            ExecutionError::UndeclaredReference(name) => match self.slot(name) {
                Some(Slot::Value(reference) | Slot::Has(reference)) => (Cause::Missing, format!("`{}` is missing", reference.path())),
                Some(Slot::Count(position)) => {
                    (Cause::Missing, format!("how often `{}` happened is not known", self.compiled.counts[*position].event))
                }
                None => (Cause::Wrong, "it calls something that there is not".to_owned()),
            },
            // The key may come from the data, so it is named only where the condition names it.
            ExecutionError::NoSuchKey(key) => {
                let named = (self.compiled.paths.iter().map(|path| &path.path)).find(|path| path.rsplit('.').next() == Some(key.as_str()));
                let missing = match named {
                    Some(path) => format!("`{path}` is missing"),
                    None if self.compiled.source.contains(key.as_str()) => format!("`{key}` is missing"),
                    None => "a key is missing".to_owned(),
                };
                (Cause::Missing, missing)
            }
            ExecutionError::IndexOutOfBounds(_) => (Cause::Missing, "a list is too short".to_owned()),
            ExecutionError::NoSuchOverload(call) => {
                let types: Vec<_> = call.argument_types().iter().map(|name| kind_name(name)).collect();
                let reason = format!("`{}` does not take {}{}", plain(call.function()), types.join(" and "), self.kinds());
                (Cause::Wrong, reason)
            }
            ExecutionError::UnsupportedBinaryOperator(name, left, right) => {
                let types = [left, right].map(|side| kind_name(&side.type_of().to_string()).to_owned());
                (Cause::Wrong, format!("`{}` does not take {}{}", plain(name), types.join(" and "), self.kinds()))
            }
            ExecutionError::UnexpectedType { got, want } => {
                (Cause::Wrong, format!("{} is there instead of {}{}", kind_name(got), kind_name(want), self.kinds()))
            }
            ExecutionError::DivisionByZero(_) | ExecutionError::RemainderByZero(_) => (Cause::Wrong, "it divides by zero".to_owned()),
            ExecutionError::FunctionError { function, message } if function == EACH => (Cause::Wrong, message.clone()),
            ExecutionError::FunctionError { function, .. } => {
                (Cause::Wrong, format!("`{function}` cannot read what it is given{}", self.kinds()))
            }
            ExecutionError::Overflow(..) => (Cause::Wrong, "a number gets too large".to_owned()),
            _ => (Cause::Wrong, format!("the types do not fit{}", self.kinds())),
        }
    }

    /// `: event.total is text`, for every value that was looked at.
    fn kinds(&self) -> String {
        let kinds: Vec<String> = (self.compiled.slots.iter())
            .filter_map(|slot| match slot {
                Slot::Value(reference) => Some(format!("{} is {}", reference.path(), self.find(reference)?.kind())),
                _ => None,
            })
            .collect();
        if kinds.is_empty() { String::new() } else { format!(": {}", kinds.join(", ")) }
    }

    fn slot(&self, name: &str) -> Option<&Slot> {
        self.position(name).map(|position| &self.compiled.slots[position])
    }

    fn position(&self, name: &str) -> Option<usize> {
        let position = name.strip_prefix('@')?.parse().ok()?;
        (position < self.compiled.slots.len()).then_some(position)
    }
}

impl VariableResolver for Slots<'_> {
    fn resolve<'b>(&'b self, variable: &str) -> Option<CowVal<'b, 'b>> {
        let position = self.position(variable)?;
        let converted = self.converted[position].get_or_init(|| self.convert(&self.compiled.slots[position]));
        converted.as_ref().map(|value| CowVal::Borrowed(value.as_ref()))
    }
}

enum Cause {
    Missing,
    Wrong,
}

/// What the language calls a type of CEL.
fn kind_name(cel: &str) -> &str {
    match cel {
        "bool" => "true or false",
        "double" | "float" | "int" | "uint" => "number",
        "string" => "text",
        "null_type" | "null" => "null",
        "google.protobuf.Timestamp" => "timestamp",
        "google.protobuf.Duration" => "duration",
        other => other,
    }
}

/// `_>_` is `>`.
fn plain(operator: &str) -> &str {
    match operator {
        QUOTIENT => "/",
        REMAINDER => "%",
        "_[_]" => "[ ]",
        "_._" => ".",
        "add" => "+",
        "sub" => "-",
        "mul" => "*",
        "div" => "/",
        other => other.trim_matches(['_', '@']),
    }
}
