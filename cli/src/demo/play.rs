//! Plays a recording against the services: over HTTP, as a shop would, on a clock that jumps.
//!
//! The clock jumps only when every log is folded and nothing is in flight, and never over a timer that is due, so that no timer
//! overtakes an event.

use std::{path::Path, time::Duration};

use cartwheel_ingest::callbacks::signature;
use cartwheel_runtime::{
    clock::VirtualClock,
    log::{Offset, Positions},
};
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use crate::{
    CommandError,
    embedded::{CALLBACK_TOKEN, Town, WRITE_KEY},
};

/// Events that come this close together are played without a pause between them: no wait of the language is shorter than a minute.
const TOGETHER: SignedDuration = SignedDuration::from_secs(50);

/// A service that has not come to rest after this long has a fault, and the demo says so instead of hanging.
const REST: Duration = Duration::from_secs(30);

/// A recording.
pub(super) struct Recording(Vec<(Timestamp, Value)>);

impl Recording {
    pub(super) fn read(path: &Path) -> Result<Self, CommandError> {
        let unreadable = |problem: String| CommandError::Usage(format!("could not read the recording {}: {problem}", path.display()));
        let text = std::fs::read_to_string(path).map_err(|error| unreadable(error.to_string()))?;
        let mut messages = Vec::new();
        for (line, text) in text.lines().enumerate() {
            let message: Value = serde_json::from_str(text).map_err(|error| unreadable(format!("line {}: {error}", line + 1)))?;
            let received = message["receivedAt"].as_str().and_then(|at| at.parse::<Timestamp>().ok());
            messages.push((received.ok_or_else(|| unreadable(format!("line {}: no receivedAt", line + 1)))?, message));
        }
        Ok(Self(messages))
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// Its first and last moment.
    pub(super) fn span(&self) -> Result<(Timestamp, Timestamp), CommandError> {
        match (self.0.first(), self.0.last()) {
            (Some((first, _)), Some((last, _))) => Ok((*first, *last)),
            _ => Err(CommandError::Usage("the recording is empty".to_owned())),
        }
    }
}

/// Plays it, and then the timers up to `until`.
pub(super) async fn play(town: &Town, clock: &VirtualClock, recording: &Recording, until: Timestamp) -> Result<(), CommandError> {
    let player = Player { town, clock, http: reqwest::Client::new() };
    player.rest().await?;
    let mut rested = clock.clock().now();
    for (received, message) in &recording.0 {
        if received.duration_since(rested) > TOGETHER {
            player.advance(*received).await?;
            rested = *received;
        }
        player.post(message).await?;
    }
    player.advance(until).await
}

struct Player<'a> {
    town: &'a Town,
    clock: &'a VirtualClock,
    http: reqwest::Client,
}

impl Player<'_> {
    /// Lets everything come to rest, fires what is due before `moment`, and jumps there.
    async fn advance(&self, moment: Timestamp) -> Result<(), CommandError> {
        self.rest().await?;
        while let Some(due) = self.town.watch.timers.next_due().filter(|due| *due <= moment) {
            self.clock.jump_to(due);
            self.rest().await?;
        }
        self.clock.jump_to(moment);
        Ok(())
    }

    /// Waits until every log is folded, every message has its outcome, and no timer is due.
    async fn rest(&self) -> Result<(), CommandError> {
        let resting = async {
            loop {
                let before = self.ends().await?;
                if self.is_folded(&before).await? && self.ends().await? == before {
                    return Ok(());
                }
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        };
        tokio::time::timeout(REST, resting).await.unwrap_or_else(|_| {
            Err(CommandError::Failed(
                "the services did not come to rest; run `cartwheel dev` with CARTWHEEL_TELEMETRY__LEVEL=info to see why".to_owned(),
            ))
        })
    }

    /// The ends of events, timers and both sends.
    async fn ends(&self) -> Result<Vec<Vec<Offset>>, CommandError> {
        let topics = &self.town.ground.topics;
        let mut ends = Vec::new();
        for topic in [&topics.events, &topics.timers, &topics.sends_transactional, &topics.sends_promotional] {
            ends.push(self.town.ground.log.ends(topic).await.map_err(CommandError::failed)?);
        }
        Ok(ends)
    }

    async fn is_folded(&self, ends: &[Vec<Offset>]) -> Result<bool, CommandError> {
        let (topics, watch) = (&self.town.ground.topics, &self.town.watch);
        let timers = watch.timers.partitions();
        for partition in 0..topics.partitions {
            let at = |topic: usize| ends.get(topic).and_then(|ends| ends.get(partition as usize)).copied().unwrap_or(0);
            let marks = [
                (0, watch.evaluator.marked(&topics.events, partition).await),
                (2, watch.dispatcher.marked(&topics.sends_transactional, partition).await),
                (3, watch.dispatcher.marked(&topics.sends_promotional, partition).await),
            ];
            for (topic, mark) in marks {
                if mark.map_err(CommandError::failed)?.unwrap_or(0) < at(topic) {
                    return Ok(false);
                }
            }
            let Some(timers) = timers.get(&partition).filter(|timers| timers.ready) else { return Ok(false) };
            let is_due = timers.next_due.is_some_and(|due| due <= self.clock.clock().now());
            if timers.position < at(1) || is_due {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Posts a message as its source would.
    async fn post(&self, message: &Value) -> Result<(), CommandError> {
        let kind = message["type"].as_str().unwrap_or("track");
        if kind == "reply" {
            return self.reply(message).await;
        }
        let url = format!("{}/v1/{kind}", self.town.url);
        let request = self.http.post(url).basic_auth(WRITE_KEY, Some("")).json(message);
        self.expect(request, message).await
    }

    /// A text message of a customer's, as the provider reports it.
    async fn reply(&self, message: &Value) -> Result<(), CommandError> {
        let url = format!("{}/callbacks/{}/inbound", self.town.url, self.town.provider);
        let field = |name: &str| message[name].as_str().unwrap_or_default().to_owned();
        let to = self.town.project.shop.senders.sms.as_ref().and_then(|sms| sms.sender.from.clone()).unwrap_or_default();
        let fields = vec![
            ("Body".to_owned(), field("text")),
            ("From".to_owned(), field("from")),
            ("MessageSid".to_owned(), field("messageId")),
            ("To".to_owned(), to),
        ];
        let signed = signature::sign(CALLBACK_TOKEN, &url, &fields);
        let request = self.http.post(url).header("x-twilio-signature", signed).form(&fields);
        self.expect(request, message).await
    }

    async fn expect(&self, request: reqwest::RequestBuilder, message: &Value) -> Result<(), CommandError> {
        let answer = request.send().await.map_err(CommandError::failed)?;
        if answer.status().is_success() {
            return Ok(());
        }
        let (status, text) = (answer.status(), answer.text().await.unwrap_or_default());
        Err(CommandError::Failed(format!("message {} was refused: {status} {text}", message["messageId"])))
    }
}
