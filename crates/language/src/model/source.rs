//! Where a shop's events come from, and how its records become our events.

use std::collections::BTreeMap;

use crate::condition::{Condition, Expression};

/// A place that events come from.
#[derive(Clone, Debug)]
pub enum Source {
    /// Requests in a known form.
    Http(HttpSource),
    /// A Kafka topic of the shop's own, mapped by expressions.
    Topic(Box<TopicSource>),
}

/// Events by HTTP.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpSource {
    /// The form of the requests.
    pub form: HttpForm,
    /// The name by which operators keep the secret key that requests carry; never the key itself.
    pub write_key: String,
}

/// The form of requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HttpForm {
    /// The Segment HTTP tracking API: `track`, `identify`, `page`, `batch`.
    Segment,
}

/// A topic, and what each of its records means. Expressions see the record as `record`.
#[derive(Clone, Debug)]
pub struct TopicSource {
    /// The topic's name.
    pub topic: String,
    /// How a record's bytes are written.
    pub format: TopicFormat,
    /// The record's own id; without it topic, partition and offset are the id.
    pub id: Option<Expression>,
    /// When it happened; without it the record's arrival.
    pub time: Option<Expression>,
    /// Who it happened to.
    pub customer: CustomerNames,
    /// The shop's name of the event.
    pub name: Option<Expression>,
    /// The shop's names of events into ours.
    pub events: BTreeMap<String, EventMapping>,
    /// What becomes of events that `events` does not list.
    pub others: Others,
    /// Attributes of the customer that a record brings: `first_name` becomes `customer.first_name`.
    pub profile: BTreeMap<String, Expression>,
}

/// How a record's bytes are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TopicFormat {
    /// One JSON object a record.
    Json,
}

/// The names by which a record knows its customer, each an expression over the record.
#[derive(Clone, Debug, Default)]
pub struct CustomerNames {
    /// The shop's own id of a known customer.
    pub user_id: Option<Expression>,
    /// The id of a visitor who may not be known yet.
    pub anonymous_id: Option<Expression>,
    /// A phone number.
    pub phone: Option<Expression>,
    /// An e-mail address.
    pub email: Option<Expression>,
}

/// How one of the shop's events becomes one of ours.
#[derive(Clone, Debug)]
pub struct EventMapping {
    /// Our name of it: `Product Added`.
    pub event: String,
    /// Our properties, each an expression over the record.
    pub properties: BTreeMap<String, Expression>,
    /// Only records for which this is true.
    pub condition: Option<Condition>,
}

/// What becomes of events that a source does not list.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Others {
    /// They are kept under their own names.
    #[default]
    Keep,
    /// They are dropped silently.
    Drop,
    /// They go to the dead letters.
    Refuse,
}
