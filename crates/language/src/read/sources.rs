//! `sources` of `shop.yaml`: topics and requests, and what their records mean.

use std::collections::BTreeMap;

use super::File;
use super::campaign::NAME_FORM;
use super::fields::{Fields, Keys, entries};
use super::values::{Placed, is_name, is_word};
use crate::condition::{Expression, Path};
use crate::model::{CustomerNames, EventMapping, HttpForm, HttpSource, Others, Source, TopicFormat, TopicSource};
use crate::yaml::{Content, Node};

const SOURCE: Keys = Keys {
    of: "a source",
    known: &["topic", "format", "http", "id", "time", "customer", "name", "events", "others", "profile"],
    later: &["product"],
};

const HTTP: Keys = Keys { of: "`http`", known: &["form", "write_key"], later: &[] };

const CUSTOMER: Keys = Keys { of: "`customer`", known: &["user_id", "anonymous_id", "phone", "email"], later: &[] };

const MAPPING: Keys = Keys { of: "an event of a source", known: &["event", "properties", "where"], later: &[] };

const PROPERTY_FORM: &str = "small letters, digits and `_`, as in cart_id";

/// Reads `sources`; our names of events in them are added to `events`.
pub(super) fn sources(file: &mut File<'_>, node: &Node, events: &mut Vec<Placed<String>>) -> BTreeMap<String, Source> {
    entries(file, node, "`sources`", is_name, NAME_FORM)
        .into_iter()
        .filter_map(|(key, node)| Some((key.name.clone(), source(file, node, events)?)))
        .collect()
}

fn source(file: &mut File<'_>, node: &Node, events: &mut Vec<Placed<String>>) -> Option<Source> {
    let fields = Fields::of(file, node, &SOURCE)?;
    fields.belongs(file, "events", "name");
    let topic = topic(file, &fields, events);
    let Some(node) = fields.get("http") else {
        if fields.get("topic").is_none() {
            fields.exactly_one(file, &["topic", "http"]);
        }
        return topic.map(Box::new).map(Source::Topic);
    };
    if fields.get("topic").is_some() && fields.get("format").is_some() {
        fields.exactly_one(file, &["topic", "http"]);
        return None;
    }
    for key in SOURCE.known.iter().filter(|key| **key != "http" && fields.get(key).is_some()) {
        let message = format!("`{key}` is of a topic; requests say it in their own form");
        file.findings.wrong(fields.key_place(key), message);
    }
    http(file, node).map(Source::Http)
}

fn http(file: &mut File<'_>, node: &Node) -> Option<HttpSource> {
    let fields = Fields::of(file, node, &HTTP)?;
    let form = fields.required(file, "form").and_then(|node| {
        let form = file.choice(node, "`form`", &[("segment", Some(HttpForm::Segment)), ("cloudevents", None)])?;
        if form.value.is_none() {
            file.findings.not_yet(form.place, "form `cloudevents`");
        }
        form.value
    });
    let write_key = fields.required(file, "write_key").and_then(|node| file.formed(node, "key's name", is_name, NAME_FORM));
    Some(HttpSource { form: form?, write_key: write_key?.value })
}

fn topic(file: &mut File<'_>, fields: &Fields<'_>, events: &mut Vec<Placed<String>>) -> Option<TopicSource> {
    let topic = fields
        .get("topic")
        .and_then(|node| file.formed(node, "topic", is_topic, "letters, digits, dots, `_` and hyphens, as in oak.shop.clicks"));
    if topic.is_some() && fields.get("http").is_none() {
        fields.required(file, "format");
    }
    let format = fields.get("format").and_then(|node| {
        let words = [("json", Some(TopicFormat::Json)), ("avro", None), ("cloudevents", None)];
        let format = file.choice(node, "`format`", &words)?;
        if format.value.is_none() {
            file.findings.not_yet(format.place, "a format other than json");
        }
        format.value
    });
    let id = fields.get("id").and_then(|node| expression(file, node));
    let time = fields.get("time").and_then(|node| expression(file, node));
    let customer = fields.get("customer").map(|node| customer(file, node)).unwrap_or_default();
    let name = fields.get("name").and_then(|node| expression(file, node));
    let mappings = fields.get("events").map_or_else(BTreeMap::new, |node| {
        entries(file, node, "`events`", |_| true, "")
            .into_iter()
            .filter_map(|(key, node)| Some((key.name.clone(), mapping(file, node, events)?)))
            .collect()
    });
    let others = fields
        .get("others")
        .and_then(|node| file.choice(node, "`others`", &[("keep", Others::Keep), ("drop", Others::Drop), ("refuse", Others::Refuse)]));
    let profile = fields.get("profile").map_or_else(BTreeMap::new, |node| properties(file, node, "`profile`"));
    Some(TopicSource {
        topic: topic?.value,
        format: format?,
        id,
        time,
        customer,
        name,
        events: mappings,
        others: others.map(|others| others.value).unwrap_or_default(),
        profile,
    })
}

/// What Kafka allows in the name of a topic.
fn is_topic(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|letter| letter.is_ascii_alphanumeric() || matches!(letter, '.' | '_' | '-'))
}

fn customer(file: &mut File<'_>, node: &Node) -> CustomerNames {
    let Some(fields) = Fields::of(file, node, &CUSTOMER) else { return CustomerNames::default() };
    fields.not_empty(file);
    let mut name = |key| fields.get(key).and_then(|node| expression(file, node));
    CustomerNames { user_id: name("user_id"), anonymous_id: name("anonymous_id"), phone: name("phone"), email: name("email") }
}

fn mapping(file: &mut File<'_>, node: &Node, events: &mut Vec<Placed<String>>) -> Option<EventMapping> {
    let fields = Fields::of(file, node, &MAPPING)?;
    let event = fields.required(file, "event").and_then(|node| file.event_name(node));
    let properties = fields.get("properties").map_or_else(BTreeMap::new, |node| properties(file, node, "`properties`"));
    let condition = fields.get("where").and_then(|node| {
        let placed = file.condition(node)?;
        sees_record(file, node, placed.condition.paths());
        Some(placed)
    });
    let event = event?;
    events.push(event.clone());
    Some(EventMapping { event: event.value, properties, condition: condition.map(|placed| placed.condition) })
}

fn properties(file: &mut File<'_>, node: &Node, of: &str) -> BTreeMap<String, Expression> {
    entries(file, node, of, is_word, PROPERTY_FORM)
        .into_iter()
        .filter_map(|(key, node)| Some((key.name.clone(), expression(file, node)?)))
        .collect()
}

fn expression(file: &mut File<'_>, node: &Node) -> Option<Expression> {
    let expression = file.expression(node)?;
    sees_record(file, node, expression.paths());
    Some(expression)
}

/// What maps a record sees nothing but the record.
fn sees_record(file: &mut File<'_>, node: &Node, paths: &[Path]) {
    let Content::Text(text) = &node.content else { return };
    for path in paths {
        let root = path.path.split(['.', '[']).next().unwrap_or_default();
        if root != "record" {
            let message = format!("no `{root}` here; a source sees `record`, as in record.{}", path.path);
            file.findings.wrong(text.place_of(path.offset), message);
        }
    }
}
