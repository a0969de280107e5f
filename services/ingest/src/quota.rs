//! How much one key may send, and how much one customer can have done: both bounded, so that neither a runaway server nor a bot
//! takes the others' room.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use jiff::Timestamp;

/// A token bucket for each name of a fixed set.
#[derive(Debug)]
pub struct Quotas {
    per_second: f64,
    burst: f64,
    buckets: Mutex<HashMap<String, Bucket>>,
}

#[derive(Clone, Copy, Debug)]
struct Bucket {
    tokens: f64,
    at: Timestamp,
}

impl Quotas {
    /// Buckets that fill with `per_second` tokens and hold at most `burst`.
    pub fn new(per_second: u32, burst: u32) -> Self {
        Self { per_second: f64::from(per_second), burst: f64::from(burst), buckets: Mutex::default() }
    }

    /// Takes `count` tokens from the bucket of `name`. More than the bucket ever holds are taken as soon as it is full.
    ///
    /// # Errors
    /// When there are not enough: how long until there are. Nothing is taken then.
    pub fn take(&self, name: &str, count: usize, now: Timestamp) -> Result<(), Duration> {
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        let bucket = buckets.entry(name.to_owned()).or_insert(Bucket { tokens: self.burst, at: now });
        let passed = now.duration_since(bucket.at).as_secs_f64().max(0.0);
        *bucket = Bucket { tokens: (bucket.tokens + passed * self.per_second).min(self.burst), at: bucket.at.max(now) };
        let wanted = f64::from(u32::try_from(count).unwrap_or(u32::MAX)).min(self.burst);
        if bucket.tokens < wanted {
            return Err(Duration::from_secs_f64((wanted - bucket.tokens) / self.per_second));
        }
        bucket.tokens -= wanted;
        Ok(())
    }
}

/// Counts each customer's events in the minute that runs, and says when it is more than a person causes.
#[derive(Debug)]
pub struct Ceiling {
    per_minute: u32,
    minute: i64,
    counts: HashMap<String, u32>,
}

/// The most customers that are counted in one minute; beyond them nobody new is, which bounds memory to some megabytes.
const COUNTED_LIMIT: usize = 100_000;

impl Ceiling {
    /// At most so many events of one customer in a minute.
    pub fn new(per_minute: u32) -> Self {
        Self { per_minute, minute: i64::MIN, counts: HashMap::new() }
    }

    /// Counts one event of `customer`; false if it is over the ceiling.
    pub fn allows(&mut self, customer: &str, now: Timestamp) -> bool {
        let minute = now.as_second().div_euclid(60);
        if minute != self.minute {
            self.minute = minute;
            self.counts.clear();
        }
        if let Some(count) = self.counts.get_mut(customer) {
            *count = count.saturating_add(1);
            return *count <= self.per_minute;
        }
        if self.counts.len() < COUNTED_LIMIT {
            self.counts.insert(customer.to_owned(), 1);
        }
        self.per_minute > 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + seconds).unwrap()
    }

    #[test]
    fn a_key_over_its_quota_waits_and_others_do_not() {
        let quotas = Quotas::new(10, 20);
        assert_eq!(quotas.take("a", 20, at(0)), Ok(()));
        assert_eq!(quotas.take("a", 5, at(0)), Err(Duration::from_millis(500)));
        assert_eq!(quotas.take("b", 5, at(0)), Ok(()));
        assert_eq!(quotas.take("a", 5, at(1)), Ok(()));
        assert_eq!(quotas.take("a", 1_000, at(1)), Err(Duration::from_millis(1_500)), "a batch over the bucket waits for a full one");
        assert_eq!(quotas.take("a", 1_000, at(3)), Ok(()));
        assert!(quotas.take("a", 1, at(2)).is_err(), "a clock that steps back fills nothing");
    }

    #[test]
    fn a_customer_over_the_ceiling_is_told_apart_until_the_minute_is_over() {
        let mut ceiling = Ceiling::new(2);
        assert!(ceiling.allows("a", at(0)) && ceiling.allows("a", at(1)));
        assert!(!ceiling.allows("a", at(2)) && ceiling.allows("b", at(2)));
        assert!(ceiling.allows("a", at(60)));
    }
}
