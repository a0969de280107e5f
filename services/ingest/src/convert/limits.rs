//! What is taken in size and shape. Bounds on one message bound what a customer's record, and with it the log, can come to.

use serde::Serialize;
use serde_json::{Map, Value as Json};

use crate::refusal::{Code, Refusal};

/// The largest message, in bytes of JSON: Segment's own limit.
pub const MESSAGE_BYTES: usize = 32 * 1024;

/// The largest batch, in bytes of JSON after decompression: Segment's own limit.
pub const BATCH_BYTES: usize = 500 * 1024;

/// The most messages in a batch: the smallest that could matter still fit, and the answer's list of errors stays small.
pub const BATCH_MESSAGES: usize = 2_500;

/// How deep objects and lists may lie in each other; the specifications' deepest form, products of an order, is 4.
const DEPTH: usize = 32;

/// The most properties or attributes of an object.
const PROPERTIES: usize = 256;

/// The most elements of a list: a cart or an order with so many lines is no shopper's.
const ELEMENTS: usize = 1_000;

/// The longest name of a property, in bytes.
const PROPERTY_NAME_BYTES: usize = 128;

/// The longest name of an event, in bytes.
const EVENT_NAME_BYTES: usize = 200;

/// The longest message id, in bytes; clients send UUIDs with a prefix.
const ID_BYTES: usize = 200;

/// Refuses a message that is too large, too deep, too wide, or has property names that nobody means.
pub fn check_shape(message: &Map<String, Json>) -> Result<(), Refusal> {
    check_object(message, 1)
}

fn check_value(value: &Json, depth: usize) -> Result<(), Refusal> {
    match value {
        Json::Object(_) | Json::Array(_) if depth > DEPTH => {
            Err(Refusal::new(Code::TooDeep, format!("objects and lists lie more than {DEPTH} deep in each other; send it flatter")))
        }
        Json::Object(object) => check_object(object, depth),
        Json::Array(list) if list.len() > ELEMENTS => {
            Err(Refusal::new(Code::TooMany, format!("a list has {} elements; at most {ELEMENTS} are taken", list.len())))
        }
        Json::Array(list) => list.iter().try_for_each(|element| check_value(element, depth + 1)),
        _ => Ok(()),
    }
}

fn check_object(object: &Map<String, Json>, depth: usize) -> Result<(), Refusal> {
    if object.len() > PROPERTIES {
        return Err(Refusal::new(Code::TooMany, format!("an object has {} properties; at most {PROPERTIES} are taken", object.len())));
    }
    object.iter().try_for_each(|(name, value)| {
        if name.len() > PROPERTY_NAME_BYTES || name.is_empty() || name.chars().any(char::is_control) {
            let message = format!("a property's name must have 1 to {PROPERTY_NAME_BYTES} bytes and no control characters");
            return Err(Refusal::new(Code::BadName, message));
        }
        check_value(value, depth + 1)
    })
}

/// The bytes that something takes as JSON, without writing them.
pub fn size(message: &impl Serialize) -> usize {
    struct Count(usize);
    impl std::io::Write for Count {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0 += bytes.len();
            Ok(bytes.len())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let mut count = Count(0);
    match serde_json::to_writer(&mut count, message) {
        Ok(()) => count.0,
        Err(_) => usize::MAX,
    }
}

/// Refuses a message of so many bytes if it is over [`MESSAGE_BYTES`].
pub fn check_size(bytes: usize) -> Result<(), Refusal> {
    if bytes <= MESSAGE_BYTES {
        return Ok(());
    }
    Err(Refusal::new(Code::TooLarge, format!("the message has {bytes} bytes; at most {MESSAGE_BYTES} are taken")))
}

/// An event's name without space around it.
pub fn event_name(name: &str) -> Result<String, Refusal> {
    named(name, "the event's name", EVENT_NAME_BYTES)
}

/// A message's id without space around it.
pub fn message_id(id: &str) -> Result<String, Refusal> {
    named(id, "the message's id", ID_BYTES)
}

fn named(text: &str, what: &str, longest: usize) -> Result<String, Refusal> {
    let text = text.trim();
    if text.is_empty() || text.len() > longest || text.chars().any(char::is_control) {
        return Err(Refusal::new(Code::BadName, format!("{what} must have 1 to {longest} bytes and no control characters")));
    }
    Ok(text.to_owned())
}
