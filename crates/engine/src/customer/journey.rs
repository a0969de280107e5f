//! One run of a customer through a campaign.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{
    id::{JourneyId, MessageId, TimerId},
    input::Event,
    key::CustomerKey,
};

/// A journey under way.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Journey {
    /// Its id.
    pub id: JourneyId,
    /// The campaign's name.
    pub campaign: String,
    /// The version that it follows.
    pub version: u32,
    /// What it is about: the object's name and id; none for the customer, or for a single event.
    pub object: Option<(String, String)>,
    /// What began it.
    pub trigger: Trigger,
    /// The newest trigger: `event` of conditions and texts.
    pub newest: Trigger,
    /// When it began, by the log's time.
    pub began: Timestamp,
    /// The step that it is at, from 0.
    pub step: u16,
    /// Where it stands in that step.
    pub stage: Stage,
    /// Counts timers that were armed; an arming is never used again (rule P2).
    pub arming: u32,
    /// The timer that is set. It may come due earlier than needed; then it is armed again (timers are lazy).
    pub armed: Option<Armed>,
    /// Counts decisions of messages.
    pub round: u32,
    /// Messages handed over.
    pub sends: u32,
    /// When the last one was handed over.
    pub last_message: Option<Timestamp>,
    /// How often it was begun anew.
    pub restarts: u32,
}

impl Journey {
    /// The newest trigger, also one that waits for the outcome of a message on its way.
    pub fn last_trigger(&self) -> &Trigger {
        match &self.stage {
            Stage::Flying { restart: Some(trigger), .. } => trigger,
            _ => &self.newest,
        }
    }
}

/// An event that triggered.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Trigger {
    /// The event's id.
    pub id: String,
    /// The event.
    pub event: Event,
}

/// A timer that is set.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Armed {
    /// The timer.
    pub timer: TimerId,
    /// When it comes due.
    pub due: Timestamp,
    /// The home that set it; it fires there and is forwarded (rule P24).
    pub home: CustomerKey,
}

/// Where a journey stands in its step.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Stage {
    /// In a wait that it reached at a moment.
    Waiting {
        /// When it reached the wait; the end is worked out from this again whenever a timer fires.
        reached: Timestamp,
    },
    /// A message is due and waits for its window, room, or a provider.
    Holding {
        /// When it was due: `expires_after` counts from here.
        due: Timestamp,
        /// When to look again.
        until: Timestamp,
        /// How often a dispatcher gave it back.
        returns: u32,
    },
    /// A message is on its way.
    Flying {
        /// When it was due.
        due: Timestamp,
        /// The message.
        message: MessageId,
        /// How often a dispatcher gave it back.
        returns: u32,
        /// The trigger that begins the wait anew unless the message turns out to be handed over.
        restart: Option<Box<Trigger>>,
    },
}

/// What is remembered of a journey that ended.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Ended {
    /// The journey.
    pub journey: JourneyId,
    /// The version that it followed.
    pub version: u32,
    /// When it ended.
    pub at: Timestamp,
    /// When its last message was handed over; none if none was.
    pub last_message: Option<Timestamp>,
    /// When the newest trigger happened: an exception after it, reported late, is a regret (R35).
    pub triggered: Timestamp,
    /// The newest trigger's id.
    pub trigger: String,
    /// What it was about: the object's name.
    pub object: Option<String>,
    /// Whether its message was regretted already.
    pub regretted: bool,
}
