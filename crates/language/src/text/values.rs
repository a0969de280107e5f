//! What a template sees: the values that it names, cleaned.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use minijinja::value::{Object, Value as TextValue};
use rust_decimal::prelude::ToPrimitive;

use super::marks::{self, Mark};
use super::{TextSetting, Variable};
use crate::Value;
use crate::condition::Data;
use crate::value::nearest_double;

/// The name under which filters find the [`Setting`]; no template can write it.
pub(super) const SETTING: &str = "@setting";

/// What filters need to know of a rendering.
#[derive(Debug)]
pub(super) struct Setting {
    pub(super) language: String,
    pub(super) zone: TimeZone,
    /// The present moment, where the data has one.
    pub(super) now: Option<Timestamp>,
}

impl Object for Setting {}

/// The longest attribute of a customer that a text shows: the longest names have some forty letters.
const LONGEST_CUSTOMER_TEXT: usize = 64;

/// The values of the variables' names. Of each name only the fields that the template uses are converted.
pub(super) fn context(variables: &[Variable], data: &dyn Data, setting: &TextSetting<'_>) -> TextValue {
    let mut roots: BTreeMap<&str, Option<Vec<&str>>> = BTreeMap::new();
    for variable in variables {
        let (root, below) = variable.path.split_once('.').unwrap_or((&variable.path, ""));
        let root = root.trim_end_matches("[]");
        let field = below.split(['.', '[']).next().unwrap_or_default();
        let fields = roots.entry(root).or_insert_with(|| Some(Vec::new()));
        match fields {
            Some(fields) if !field.is_empty() => fields.push(field),
            _ => *fields = None,
        }
    }
    let mut context: BTreeMap<String, TextValue> = BTreeMap::new();
    for (root, fields) in roots {
        let value = match root {
            "opt_out" => Some(TextValue::from(marks::mark(Mark::OptOut, ""))),
            _ => data.value(root).map(|value| match (value.as_ref(), fields) {
                (Value::Map(map), Some(fields)) => {
                    let used = fields.iter().filter_map(|field| map.get_key_value(*field));
                    map_value(used, root == "customer")
                }
                (value, _) => text_value(value, root == "customer").unwrap_or(TextValue::UNDEFINED),
            }),
        };
        // A name without a value is an empty map, so that `cart.url | default('...')` works where there is no cart.
        let value = value.unwrap_or_else(|| map_value(std::iter::empty(), false));
        context.insert(root.to_owned(), value);
    }
    let now = data.value("now").and_then(|now| match now.as_ref() {
        Value::Timestamp(now) => Some(*now),
        _ => None,
    });
    let setting = Setting { language: setting.language.to_owned(), zone: setting.zone.clone(), now };
    context.insert(SETTING.to_owned(), TextValue::from_dyn_object(Arc::new(setting)));
    TextValue::from(context)
}

/// A value for a template; `None` where it counts as missing.
fn text_value(value: &Value, of_customer: bool) -> Option<TextValue> {
    Some(match value {
        Value::Null => return None,
        Value::Bool(truth) => TextValue::from(*truth),
        Value::Number(number) => match number.normalize().to_i64().filter(|_| number.fract().is_zero()) {
            Some(whole) => TextValue::from(whole),
            None => TextValue::from(nearest_double(*number)),
        },
        Value::Text(text) => {
            let text = cleaned(text);
            if of_customer && (text.chars().count() > LONGEST_CUSTOMER_TEXT || looks_like_a_link(&text)) {
                return None;
            }
            TextValue::from(text)
        }
        Value::Timestamp(moment) => TextValue::from(moment.to_string()),
        Value::Date(day) => TextValue::from(day.to_string()),
        Value::List(list) => list.iter().filter_map(|value| text_value(value, of_customer)).collect(),
        Value::Map(map) => map_value(map.iter(), of_customer),
    })
}

fn map_value<'a>(entries: impl Iterator<Item = (&'a String, &'a Value)>, of_customer: bool) -> TextValue {
    let converted = entries.filter_map(|(name, value)| Some((name.clone(), text_value(value, of_customer)?)));
    TextValue::from(converted.collect::<BTreeMap<String, TextValue>>())
}

/// One line without characters that have an effect but no shape.
fn cleaned(text: &str) -> String {
    let kept = text.chars().filter(|character| !is_invisible(*character));
    kept.map(|character| if character.is_control() { ' ' } else { character }).collect()
}

/// Direction marks and overrides, and our own marks.
fn is_invisible(character: char) -> bool {
    matches!(character, '\u{200E}' | '\u{200F}' | '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}' | '\u{FEFF}')
        || marks::is_mark(character)
}

/// Whether phones would make a link of it: an address, or letters with a dot and a domain's ending behind it.
fn looks_like_a_link(text: &str) -> bool {
    let is_domain = |word: &str| {
        let labels: Vec<&str> = word.split('.').collect();
        labels.windows(2).any(|pair| {
            let ending: String = pair[1].chars().take_while(|letter| letter.is_alphabetic()).collect();
            pair[0].ends_with(char::is_alphanumeric) && ending.chars().count() >= 2
        })
    };
    text.contains(['/', '\\', '@']) || text.split_whitespace().any(is_domain)
}

/// Takes so many bytes and no more.
pub(super) struct Bounded {
    bytes: Vec<u8>,
    longest: usize,
    full: bool,
}

impl Bounded {
    pub(super) fn new(longest: usize) -> Bounded {
        Bounded { bytes: Vec::new(), longest, full: false }
    }

    pub(super) fn is_full(&self) -> bool {
        self.full
    }

    pub(super) fn into_text(self) -> String {
        String::from_utf8_lossy(&self.bytes).into_owned()
    }
}

impl io::Write for Bounded {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.bytes.len() + bytes.len() > self.longest {
            self.full = true;
            return Err(io::ErrorKind::WriteZero.into());
        }
        self.bytes.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
