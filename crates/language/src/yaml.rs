//! YAML files as trees that know where everything stands.
//!
//! The dialect is YAML 1.2 with the core schema, so a day is a text and so is `NO`, and without what makes a file read
//! differently from how it runs: anchors, aliases, merges, tags, several documents, and the same key twice are refused
//! with their place. Files of more than [`tree::MOST_BYTES`] and nesting of more than [`tree::MOST_LEVELS`] are refused unread.

mod places;
mod tree;

pub(crate) use tree::parse;

/// A place in a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Place {
    /// From 1.
    pub(crate) line: usize,
    /// In characters, from 1.
    pub(crate) column: usize,
}

impl Place {
    /// Where a file begins.
    pub(crate) const START: Place = Place { line: 1, column: 1 };
}

/// A value and where it begins.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    pub(crate) place: Place,
    pub(crate) content: Content,
}

/// What stands there.
#[derive(Clone, Debug)]
pub(crate) enum Content {
    Null,
    Boolean(bool),
    /// A number, as the file spells it.
    Number(String),
    Text(Text),
    List(Vec<Node>),
    Map(Vec<(Key, Node)>),
}

/// A key of a map and where it begins.
#[derive(Clone, Debug)]
pub(crate) struct Key {
    pub(crate) place: Place,
    pub(crate) name: String,
}

/// A text, and for each of its characters where it stands in the file.
#[derive(Clone, Debug)]
pub(crate) struct Text {
    pub(crate) value: String,
    pub(crate) place: Place,
    places: Vec<Place>,
}

impl Text {
    /// Where the character with this offset (in characters) stands; for an offset beyond the end, the last one.
    pub(crate) fn place_of(&self, offset: usize) -> Place {
        self.places.get(offset).or(self.places.last()).copied().unwrap_or(self.place)
    }
}

impl Node {
    /// What it is, in words for people.
    pub(crate) fn kind(&self) -> &'static str {
        match self.content {
            Content::Null => "nothing",
            Content::Boolean(_) => "true or false",
            Content::Number(_) => "a number",
            Content::Text(_) => "a text",
            Content::List(_) => "a list",
            Content::Map(_) => "a mapping",
        }
    }
}

#[cfg(test)]
impl Node {
    /// A tree without places, for tests that make many.
    pub(crate) fn of_json(value: &serde_json::Value) -> Node {
        use serde_json::Value;
        let place = Place::START;
        let content = match value {
            Value::Null => Content::Null,
            Value::Bool(value) => Content::Boolean(*value),
            Value::Number(number) => Content::Number(number.to_string()),
            Value::String(text) => Content::Text(Text { value: text.clone(), place, places: Vec::new() }),
            Value::Array(items) => Content::List(items.iter().map(Node::of_json).collect()),
            Value::Object(entries) => {
                let entry = |(name, value): (&String, &Value)| (Key { place, name: name.clone() }, Node::of_json(value));
                Content::Map(entries.iter().map(entry).collect())
            }
        };
        Node { place, content }
    }
}
