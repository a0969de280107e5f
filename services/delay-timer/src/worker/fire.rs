//! Firing: due timers become records of their target topics, then tombstones.

use std::sync::Arc;

use bytes::Bytes;
use cartwheel_runtime::log::{LogError, Outgoing};
use cartwheel_wire::{DeadLetter, DeadLetterSource, TimerRecord};
use jiff::SignedDuration;

use super::{FIRED_HEADER, RENEWED_HEADER, Worker};
use crate::{
    error::{Error, Refusal},
    timer::{Due, OpenTimer, Place},
    view::View,
};

/// A backlog is counted up to here; beyond, its age says more than its size.
const OVERDUE_MOST: usize = 100_000;
/// Counting walks the backlog, so it is done this often.
const OVERDUE_INTERVAL: SignedDuration = SignedDuration::from_secs(5);

impl<V: View> Worker<V> {
    /// Fires one batch of what is due, if the log's end was reached once.
    pub(super) async fn fire(&mut self) -> Result<(), Error> {
        if !self.may_fire() || self.stop.is_cancelled() {
            return Ok(());
        }
        let now = self.common.clock.now();
        let until = Due::latest_reached(now);
        if self.next()?.is_none_or(|next| next.place.due > until) {
            self.overdue.count = 0;
            return Ok(());
        }
        let settings = self.common.settings.clone();
        let mut due = self.view.due(&self.cursor, until, settings.fire_batch, settings.fire_bytes)?;
        due.retain(|timer| !self.fired.contains(&timer.place));
        if let Some(last) = due.last() {
            let behind = last.place.next();
            self.append_records(&due).await?;
            self.append(due.iter().map(|timer| self.tombstone(timer)).collect()).await?;
            self.cursor = behind;
        }
        let acknowledged = self.common.clock.now();
        for timer in due {
            let lateness = acknowledged.duration_since(timer.waiting_since());
            self.common.metrics.lateness.observe(lateness.as_secs_f64().max(0.0));
            self.common.metrics.fired.inc();
            self.fired.insert(timer.place);
        }
        self.next_is_known = false;
        if self.overdue.counted.is_none_or(|counted| now.duration_since(counted).abs() >= OVERDUE_INTERVAL) {
            self.overdue.count = self.view.count_due(&self.cursor, until, OVERDUE_MOST)? as u64;
            self.overdue.counted = Some(now);
        }
        self.note_progress()
    }

    /// Appends again the timers that were set to another moment while they fired, behind the tombstone that overtook them.
    pub(super) async fn renew(&mut self) -> Result<(), Error> {
        if !self.ready {
            return Ok(());
        }
        let overtaken: Vec<Bytes> = self.facts.overtaken.difference(&self.renewed).cloned().collect();
        for id in overtaken {
            // One that has fired meanwhile must stay behind its own tombstone.
            let Some(timer) = self.open_timer(&id)?.filter(|timer| !self.fired.contains(&timer.place)) else { continue };
            let record = Outgoing {
                topic: self.common.settings.timers.clone(),
                partition: self.partition,
                key: Some(id.clone()),
                value: Some(timer.record),
                headers: vec![(RENEWED_HEADER.to_owned(), timer.offset.to_string().into())],
            };
            self.append(vec![record]).await?;
            self.renewed.insert(id);
        }
        Ok(())
    }

    pub(super) fn open_timer(&self, id: &Bytes) -> Result<Option<OpenTimer>, Error> {
        let Some(due) = self.view.due_of(id)? else { return Ok(None) };
        let place = Place { due, id: id.clone() };
        Ok(self.view.due(&place, due, 1, 0)?.pop().filter(|timer| timer.place == place))
    }

    /// Appends the records of due timers, in their order; what cannot be appended becomes a dead letter.
    async fn append_records(&self, due: &[OpenTimer]) -> Result<(), Error> {
        let mut records = Vec::with_capacity(due.len());
        for timer in due {
            records.push(self.record_of(timer)?.unwrap_or_else(|refusal| self.dead_letter(timer, &refusal)));
        }
        match self.append(records).await {
            Err(Error::Log(error)) if Refusal::by_log(&error).is_some() => {}
            result => return result,
        }
        // One of them is refused for good, and the log does not say which: each for itself, which may repeat some.
        for timer in due {
            let result = match self.record_of(timer)? {
                Ok(record) => self.append(vec![record]).await,
                Err(refusal) => self.append(vec![self.dead_letter(timer, &refusal)]).await,
            };
            match result {
                Err(Error::Log(error)) => match Refusal::by_log(&error) {
                    Some(refusal) => self.append(vec![self.dead_letter(timer, &refusal)]).await?,
                    None => return Err(error.into()),
                },
                result => result?,
            }
        }
        Ok(())
    }

    /// Appends and waits for the acknowledgement; waits while the log is away.
    pub(super) async fn append(&self, records: Vec<Outgoing>) -> Result<(), Error> {
        let [mut pause, longest] = super::BACKOFF;
        loop {
            match self.common.log.append(records.clone()).await {
                Ok(_) => return Ok(()),
                Err(LogError::Unavailable(reason)) => {
                    tracing::warn!(partition = self.partition, reason, "could not append what is due, trying again");
                    self.common.clock.sleep(pause).await;
                    pause = (pause * 2).min(longest);
                }
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// What the timer is to append, or why it cannot be.
    fn record_of(&self, timer: &OpenTimer) -> Result<Result<Outgoing, Refusal>, Error> {
        let record = match TimerRecord::decode(&self.common.codec, &timer.record) {
            Ok(record) => record,
            Err(error) if error.is_poison() => return Ok(Err(Refusal::Undecodable(error.to_string()))),
            Err(error) => return Err(self.not_understood(timer.offset, error)),
        };
        let TimerRecord { id, topic, partition, key, headers, value, .. } = record;
        if id.as_bytes() != timer.place.id {
            return Ok(Err(Refusal::KeyIsNotId));
        }
        if !self.common.settings.targets.contains(&topic) {
            return Ok(Err(Refusal::ForbiddenTopic(topic)));
        }
        Ok(Ok(Outgoing { topic: Arc::from(topic), partition, key, value, headers }))
    }

    fn dead_letter(&self, timer: &OpenTimer, refusal: &Refusal) -> Outgoing {
        let settings = &self.common.settings;
        self.common.metrics.dead_letter(refusal);
        let source = DeadLetterSource::Topic { topic: settings.timers.to_string(), partition: self.partition, offset: timer.offset };
        let at = self.common.clock.now();
        let letter = DeadLetter::new(source, None, refusal.reason(), refusal.to_string(), at, timer.record.clone());
        Outgoing {
            topic: settings.dead_letters.clone(),
            partition: self.partition,
            key: Some(letter.key().into()),
            value: Some(letter.encode(&self.common.codec).into()),
            headers: Vec::new(),
        }
    }

    fn tombstone(&self, timer: &OpenTimer) -> Outgoing {
        let due = timer.place.due.microseconds().to_string();
        Outgoing {
            topic: self.common.settings.timers.clone(),
            partition: self.partition,
            key: Some(timer.place.id.clone()),
            value: None,
            headers: vec![(FIRED_HEADER.to_owned(), due.into())],
        }
    }
}
