//! The tracking plan: which events there are, and what each of them carries.
//!
//! A plan is a JSON object: an event's name to a JSON Schema of its properties. Names that begin with `$` are not
//! events, so that `$schema`, `$comment` and shared `$defs` have a place. What `required` lists is always there,
//! everything else can be missing; a schema that does not say `additionalProperties: false` still names everything that
//! campaigns may use, because a name that nobody declared is a slip of the pen more often than a property.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::findings::FileFindings;
use crate::model::SourceFile;
use crate::yaml::Place;

/// A tracking plan.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    /// How messages name it: the file's name without folders.
    pub(crate) name: String,
    root: Value,
    events: BTreeMap<String, Value>,
}

/// The step of a path that stands for any element of a list.
pub(crate) const EACH_ELEMENT: &str = "[]";

/// The schema that allows anything.
static ANY: Value = Value::Bool(true);

/// What a plan says of a property.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Property<'a> {
    /// Whether every such event carries it.
    pub(crate) always: bool,
    /// What it is.
    pub(crate) schema: &'a Value,
}

/// What a property is, as far as conditions and texts care.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Type {
    Text,
    Number,
    Boolean,
    List,
    Map,
    Unknown,
}

impl Plan {
    /// Reads a plan; what is wrong with it is found and left out.
    pub(crate) fn read(source: &SourceFile, findings: &mut FileFindings<'_>) -> Option<Plan> {
        let name = source.path.rsplit('/').next().unwrap_or(&source.path).to_owned();
        let root: Value = match serde_json::from_str(&source.text) {
            Ok(root) => root,
            Err(error) => {
                let place = Place { line: error.line().max(1), column: error.column().max(1) };
                findings.wrong(place, format!("not JSON: {error}"));
                return None;
            }
        };
        let Value::Object(entries) = &root else {
            findings.wrong(Place::START, "a tracking plan is a JSON object: an event's name to a JSON Schema");
            return None;
        };
        let mut events = BTreeMap::new();
        for (event, schema) in entries.iter().filter(|(name, _)| !name.starts_with('$')) {
            if schema.is_object() {
                events.insert(event.clone(), schema.clone());
            } else {
                findings.wrong(place_of_key(&source.text, event), format!("`{event}` needs a JSON Schema, an object"));
            }
        }
        Some(Plan { name, root, events })
    }

    /// The names of all events.
    pub(crate) fn events(&self) -> impl Iterator<Item = &str> {
        self.events.keys().map(String::as_str)
    }

    /// Whether there is such an event.
    pub(crate) fn has(&self, event: &str) -> bool {
        self.events.contains_key(event)
    }

    /// The names of an event's properties.
    pub(crate) fn properties(&self, event: &str) -> Vec<&str> {
        let properties = self.events.get(event).map(|schema| self.resolved(schema)).and_then(|schema| schema.get("properties"));
        properties.and_then(Value::as_object).into_iter().flatten().map(|(name, _)| name.as_str()).collect()
    }

    /// What an event carries at a path of properties and list indices; `None` where the plan knows no such thing.
    pub(crate) fn property(&self, event: &str, path: &[&str]) -> Option<Property<'_>> {
        let schema = self.resolved(self.events.get(event)?);
        self.inside(Property { always: true, schema }, path)
    }

    /// What stands at a path inside a property.
    pub(crate) fn inside<'a>(&'a self, property: Property<'a>, path: &[&str]) -> Option<Property<'a>> {
        let mut now = property;
        for step in path {
            let schema = now.schema;
            now = if schema.get("properties").is_none() && schema.get("items").is_none() {
                // A property whose inside the plan leaves open.
                match now.kind() {
                    Type::Map | Type::List | Type::Unknown => Property { always: false, schema: &ANY },
                    Type::Text | Type::Number | Type::Boolean => return None,
                }
            } else if *step == EACH_ELEMENT {
                Property { always: now.always, schema: self.resolved(schema.get("items")?) }
            } else if step.parse::<usize>().is_ok() {
                let always = now.always && schema.get("minItems").and_then(Value::as_u64).is_some_and(|least| least > 0);
                Property { always, schema: self.resolved(schema.get("items")?) }
            } else {
                let inner = schema.get("properties")?.get(step)?;
                let required = schema.get("required").and_then(Value::as_array);
                let always = required.is_some_and(|names| names.iter().any(|name| name.as_str() == Some(step)));
                Property { always: now.always && always, schema: self.resolved(inner) }
            };
        }
        Some(now)
    }

    /// A schema, or what its `$ref` within the file points at.
    fn resolved<'a>(&'a self, schema: &'a Value) -> &'a Value {
        let mut schema = schema;
        // A chain of references is followed for a few links only, so that a circle ends.
        for _ in 0..8 {
            let pointer = schema.get("$ref").and_then(Value::as_str).and_then(|reference| reference.strip_prefix('#'));
            match pointer.and_then(|pointer| self.root.pointer(pointer)) {
                Some(target) => schema = target,
                None => break,
            }
        }
        schema
    }
}

impl Property<'_> {
    /// What it is.
    pub(crate) fn kind(&self) -> Type {
        let name = match self.schema.get("type") {
            Some(Value::String(name)) => name.as_str(),
            Some(Value::Array(names)) => {
                let mut real = names.iter().filter_map(Value::as_str).filter(|name| *name != "null");
                match (real.next(), real.next()) {
                    (Some(name), None) => name,
                    _ => return Type::Unknown,
                }
            }
            _ => return Type::Unknown,
        };
        match name {
            "string" => Type::Text,
            "number" | "integer" => Type::Number,
            "boolean" => Type::Boolean,
            "array" => Type::List,
            "object" => Type::Map,
            _ => Type::Unknown,
        }
    }

    /// Its JSON Schema `format`: `date`, `date-time`, `uri`.
    pub(crate) fn format(&self) -> Option<&str> {
        self.schema.get("format").and_then(Value::as_str)
    }

    /// The most characters of a text.
    pub(crate) fn most_characters(&self) -> Option<usize> {
        self.schema.get("maxLength").and_then(Value::as_u64).and_then(|most| usize::try_from(most).ok())
    }

    /// The longest of the values that a text may have.
    pub(crate) fn longest_choice(&self) -> Option<&str> {
        let choices = self.schema.get("enum").and_then(Value::as_array)?;
        choices.iter().filter_map(Value::as_str).max_by_key(|choice| choice.chars().count())
    }
}

impl Type {
    /// Whether it can be a date: JSON writes one as a text.
    pub(crate) fn may_be_date(self) -> bool {
        matches!(self, Type::Text | Type::Unknown)
    }

    /// Whether it can be a number. A list counts as one where its length is asked.
    pub(crate) fn may_be_number(self) -> bool {
        matches!(self, Type::Number | Type::Unknown | Type::List)
    }

    /// In words for people.
    pub(crate) fn words(self) -> &'static str {
        match self {
            Type::Text => "a text",
            Type::Number => "a number",
            Type::Boolean => "true or false",
            Type::List => "a list",
            Type::Map => "a mapping",
            Type::Unknown => "unknown",
        }
    }
}

/// Where a key of a JSON file stands; its beginning where the key is spelled with escapes.
fn place_of_key(text: &str, key: &str) -> Place {
    let quoted = format!("\"{key}\"");
    text.lines()
        .enumerate()
        .find_map(|(index, line)| {
            let column = line.find(&quoted)?;
            Some(Place { line: index + 1, column: line[..column].chars().count() + 1 })
        })
        .unwrap_or(Place::START)
}
