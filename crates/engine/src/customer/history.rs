//! What happened, as far as decisions need it: counts by day, orders, the last exceptions, ids already seen.

use std::collections::{BTreeMap, VecDeque};

use cartwheel_language::Value;
use jiff::{SignedDuration, Timestamp};
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

use super::Armed;
use crate::{
    id::digest,
    input::Event,
    kept::{EXCEPTION_BYTES, Reads, object_id},
};

/// Ids are remembered this long (R36).
const SEEN_FOR: SignedDuration = SignedDuration::from_hours(7 * 24);

/// The most ids remembered (R36).
const SEEN_LIMIT: usize = 512;

/// Exceptions are remembered this long for triggers that come late (rule P24).
const RECENT_FOR: SignedDuration = SignedDuration::from_hours(72);

/// The most exceptions remembered.
const RECENT_LIMIT: usize = 64;

/// The most event names counted; a shop's plan has fewer.
const NAMES_LIMIT: usize = 64;

/// Counts reach back this many days; `count(..., days(365))` fits.
const DAYS_LIMIT: i64 = 400;

/// The most order ids remembered, so that an order reported twice counts once.
const ORDERS_LIMIT: usize = 64;

/// What happened.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct History {
    seen: VecDeque<(u64, Timestamp)>,
    counts: BTreeMap<String, Counts>,
    /// Completed orders.
    pub orders: Orders,
    /// The last events that some campaign lists in `unless`.
    pub recent: VecDeque<RecentException>,
    /// The visit under way.
    pub session: Option<Session>,
    /// When the customer last did anything, by the log's time.
    pub last_event: Option<Timestamp>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Counts {
    total: u64,
    days: BTreeMap<i64, u32>,
}

/// Completed orders.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Orders {
    /// How many.
    pub count: u64,
    /// The first one's time.
    pub first_at: Option<Timestamp>,
    /// The last one's time.
    pub last_at: Option<Timestamp>,
    /// Totals by ISO 4217 code; the empty code is for orders that name none.
    pub value: BTreeMap<String, Decimal>,
    ids: VecDeque<String>,
}

/// An event that some campaign lists in `unless`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RecentException {
    /// The event's id.
    pub id: String,
    /// The event itself; its properties tell its objects.
    pub event: Event,
}

/// A visit.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Session {
    /// When it began.
    pub began: Timestamp,
    /// Its last event.
    pub last: Timestamp,
    /// The timer that looks whether it is over, if one is set.
    pub timer: Option<Armed>,
}

fn day(at: Timestamp) -> i64 {
    at.as_second().div_euclid(86_400)
}

impl History {
    /// Remembers an id; false if it is known (R36).
    pub(crate) fn admit(&mut self, id: &str, now: Timestamp) -> bool {
        while self.seen.front().is_some_and(|(_, at)| now.duration_since(*at) > SEEN_FOR) {
            self.seen.pop_front();
        }
        let mark = u64::from_str_radix(&digest(&["event", id])[..16], 16).unwrap_or_default();
        if self.seen.iter().any(|(known, _)| *known == mark) {
            return false;
        }
        self.seen.push_back((mark, now));
        if self.seen.len() > SEEN_LIMIT {
            self.seen.pop_front();
        }
        true
    }

    /// Counts an event on the day that it happened.
    pub(crate) fn count_event(&mut self, name: &str, occurred: Timestamp) {
        if !self.counts.contains_key(name) && self.counts.len() >= NAMES_LIMIT {
            return;
        }
        let counts = self.counts.entry(name.to_owned()).or_default();
        counts.total += 1;
        *counts.days.entry(day(occurred)).or_default() += 1;
        let newest = counts.days.keys().next_back().copied().unwrap_or_default();
        counts.days = counts.days.split_off(&(newest - DAYS_LIMIT));
    }

    /// How often one of these events happened within so many days before `now`, or ever. Days are whole ones of 24 h, by the
    /// day (UTC) that the event fell on.
    pub fn count<'a>(&self, names: impl Iterator<Item = &'a str>, within: Option<u32>, now: Timestamp) -> u64 {
        names
            .filter_map(|name| self.counts.get(name))
            .map(|counts| match within {
                None => counts.total,
                Some(days) => counts.days.range(day(now) - i64::from(days) + 1..).map(|(_, count)| u64::from(*count)).sum(),
            })
            .sum()
    }

    /// Every name that was counted.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.counts.keys().map(String::as_str)
    }

    /// Folds a completed order; one that was reported before counts once.
    pub(crate) fn fold_order(&mut self, event: &Event) {
        let orders = &mut self.orders;
        if let Some(id) = event.properties.get("order_id").and_then(object_id) {
            if orders.ids.contains(&id) {
                return;
            }
            orders.ids.push_back(id);
            if orders.ids.len() > ORDERS_LIMIT {
                orders.ids.pop_front();
            }
        }
        orders.count += 1;
        orders.first_at = Some(orders.first_at.map_or(event.occurred, |at| at.min(event.occurred)));
        orders.last_at = Some(orders.last_at.map_or(event.occurred, |at| at.max(event.occurred)));
        let total = ["total", "revenue", "value"].iter().find_map(|name| event.properties.get(*name).and_then(Value::as_number));
        if let Some(total) = total {
            let currency = event.properties.get("currency").and_then(Value::as_text).unwrap_or("");
            if orders.value.contains_key(currency) || orders.value.len() < 8 {
                let sum = orders.value.entry(currency.to_owned()).or_default();
                *sum = sum.saturating_add(total);
            }
        }
    }

    /// Remembers an exception for triggers that come late.
    pub(crate) fn remember(&mut self, id: &str, event: &Event, reads: &Reads, now: Timestamp) {
        self.recent.retain(|known| now.duration_since(known.event.occurred) <= RECENT_FOR);
        self.recent.push_back(RecentException { id: id.to_owned(), event: reads.keep(event, EXCEPTION_BYTES) });
        if self.recent.len() > RECENT_LIMIT {
            self.recent.pop_front();
        }
    }

    /// Joins what a weaker home gathered.
    pub(crate) fn join(&mut self, other: History, now: Timestamp) {
        let mut seen: Vec<_> = self.seen.drain(..).chain(other.seen).filter(|(_, at)| now.duration_since(*at) <= SEEN_FOR).collect();
        seen.sort_by_key(|(_, at)| *at);
        self.seen = seen.split_off(seen.len().saturating_sub(SEEN_LIMIT)).into();
        for (name, counts) in other.counts {
            if !self.counts.contains_key(&name) && self.counts.len() >= NAMES_LIMIT {
                continue;
            }
            let own = self.counts.entry(name).or_default();
            own.total += counts.total;
            for (day, count) in counts.days {
                *own.days.entry(day).or_default() += count;
            }
        }
        let (own, theirs) = (&mut self.orders, other.orders);
        own.count += theirs.count;
        own.first_at = [own.first_at, theirs.first_at].into_iter().flatten().min();
        own.last_at = own.last_at.max(theirs.last_at);
        for (currency, total) in theirs.value {
            let sum = own.value.entry(currency).or_default();
            *sum = sum.saturating_add(total);
        }
        own.ids.extend(theirs.ids);
        while own.ids.len() > ORDERS_LIMIT {
            own.ids.pop_front();
        }
        let mut recent: Vec<_> = self.recent.drain(..).chain(other.recent).collect();
        recent.sort_by_key(|known| known.event.occurred);
        self.recent = recent.split_off(recent.len().saturating_sub(RECENT_LIMIT)).into();
        self.last_event = self.last_event.max(other.last_event);
        self.session = match (self.session.take(), other.session) {
            (Some(own), Some(theirs)) => {
                Some(Session { began: own.began.min(theirs.began), last: own.last.max(theirs.last), timer: own.timer.or(theirs.timer) })
            }
            (own, theirs) => own.or(theirs),
        };
    }
}
