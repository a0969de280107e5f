//! What the journal, `cartwheel.deliveries`, says of each message: who was first to claim it, and how it ended (rules P15, P19, P20).
//!
//! A pure fold over one partition's records in the order of their offsets, so that every dispatcher that has read as far sees the
//! same. Attempt, returned, suppressed, expired and unknown are *claims*: the first record of a message by offset decides what it
//! is, and who wrote a later one has lost and does only what the first one implies. An attempt then ends as sent, failed or unknown,
//! or as suppressed by its own claimant; a return or expiry that follows an attempt is a lost claim and means nothing.
//!
//! An attempt whose writer is gone may be taken over where the message is to go out at least once. That is a claim too: it counts if no
//! other take-over stands between it and the attempt that its writer saw. From then on only the last one's word counts, except that
//! whoever handed the message over may say so; and nobody can say any more that it was not handed over.

use std::{
    collections::{BTreeMap, VecDeque},
    time::Duration,
};

use cartwheel_engine::{id::MessageId, input::OutcomeResult};
use cartwheel_language::Delivery;
use cartwheel_runtime::log::Offset;
use jiff::Timestamp;

use crate::moment::after;

/// What one record of the journal says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Word {
    /// Its writer wants to hand the message over.
    Attempt {
        /// Whether it takes over an attempt whose writer is gone, instead of being the message's first.
        takes_over: bool,
    },
    /// What became of the message.
    Ended(OutcomeResult),
}

/// Where a message stands, as far as the journal has been read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Nobody has claimed it.
    Open,
    /// Somebody may be handing it over, or died over it.
    Attempted {
        /// The last attempt's place in the journal.
        last: Offset,
        /// When it was written.
        at: Timestamp,
    },
    /// It is decided.
    Ended {
        /// How.
        result: OutcomeResult,
        /// When.
        at: Timestamp,
    },
}

/// What a dispatcher does next about a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Move {
    /// Claim it: behind nothing, or behind the attempt of a dispatcher that is gone.
    Claim {
        /// The attempt that the new one takes up.
        behind: Option<Offset>,
    },
    /// Look again when the journal has grown or this moment has come: the attempt's own writer may still be at work.
    Wait(Timestamp),
    /// Put on record that nobody knows (at most once).
    SayUnknown,
    /// Tell the evaluator how it ended.
    Report {
        /// How.
        result: OutcomeResult,
        /// When.
        at: Timestamp,
    },
}

/// The journal of one partition, as far as it has been read.
#[derive(Debug, Default)]
pub struct Journal {
    known: BTreeMap<MessageId, Known>,
    /// Messages by the time of their first record, for forgetting.
    ages: VecDeque<(Timestamp, MessageId)>,
}

#[derive(Debug)]
struct Known {
    first: Offset,
    /// The first attempt and its take-overs in order, with their writers; empty if the first claim was another verdict.
    attempts: Vec<(Offset, u128)>,
    attempted: Timestamp,
    ended: Option<(OutcomeResult, Timestamp)>,
}

/// The most attempts of one message that are kept apart: dispatchers that die over one message do not come in dozens.
const ATTEMPTS_LIMIT: usize = 32;

impl Journal {
    /// Takes in the next record of the partition. `written` is the record's own stamp, `at` the moment that it tells of.
    pub fn fold(&mut self, offset: Offset, message: &MessageId, claimant: u128, word: Word, at: Timestamp, written: Timestamp) {
        let Some(known) = self.known.get_mut(message) else {
            let (attempts, ended) = match word {
                Word::Attempt { .. } => (vec![(offset, claimant)], None),
                Word::Ended(result) => (Vec::new(), Some((result, at))),
            };
            self.known.insert(message.clone(), Known { first: offset, attempts, attempted: written, ended });
            self.ages.push_back((written, message.clone()));
            return;
        };
        match word {
            Word::Attempt { takes_over: true } if !known.attempts.is_empty() && known.ended.is_none() => {
                if known.attempts.len() == ATTEMPTS_LIMIT {
                    known.attempts.remove(0);
                }
                known.attempts.push((offset, claimant));
                known.attempted = written;
            }
            // A first attempt that came second has lost.
            Word::Attempt { .. } => {}
            Word::Ended(result) => {
                if known.accepts(claimant, &result) {
                    known.ended = Some((result, at));
                }
            }
        }
    }

    /// Where a message stands.
    pub fn standing(&self, message: &MessageId) -> Standing {
        match self.known.get(message) {
            None => Standing::Open,
            Some(Known { ended: Some((result, at)), .. }) => Standing::Ended { result: result.clone(), at: *at },
            Some(Known { attempts, first, attempted, .. }) => {
                Standing::Attempted { last: attempts.last().map_or(*first, |(last, _)| *last), at: *attempted }
            }
        }
    }

    /// Whether the attempt at `offset` has the message: it is the message's first record, or follows the attempt that it takes up
    /// with none between. Read the journal beyond `offset` before asking.
    pub fn won(&self, message: &MessageId, offset: Offset, behind: Option<Offset>) -> bool {
        let Some(known) = self.known.get(message) else { return false };
        if known.ended.is_some() {
            return false;
        }
        match behind {
            None => known.first == offset,
            Some(behind) => known.attempts.windows(2).any(|pair| pair[0].0 == behind && pair[1].0 == offset),
        }
    }

    /// What to do about a message now. `grace` is how long another dispatcher's attempt is believed to be under way.
    pub fn next_move(&self, message: &MessageId, delivery: Delivery, now: Timestamp, grace: Duration) -> Move {
        match self.standing(message) {
            Standing::Open => Move::Claim { behind: None },
            Standing::Ended { result, at } => Move::Report { result, at },
            Standing::Attempted { last, at } => {
                let over = after(at, grace);
                match delivery {
                    _ if now < over => Move::Wait(over),
                    Delivery::AtMostOnce => Move::SayUnknown,
                    Delivery::AtLeastOnce => Move::Claim { behind: Some(last) },
                }
            }
        }
    }

    /// Forgets messages whose first record was written before `moment`. No send of theirs may be handed over any more (rule P15).
    pub fn forget_before(&mut self, moment: Timestamp) {
        while let Some((written, _)) = self.ages.front()
            && *written < moment
        {
            if let Some((_, message)) = self.ages.pop_front() {
                self.known.remove(&message);
            }
        }
    }

    /// How many messages are remembered.
    pub fn len(&self) -> usize {
        self.known.len()
    }

    /// Whether none is.
    pub fn is_empty(&self) -> bool {
        self.known.is_empty()
    }
}

impl Known {
    /// Whether this record says something new of the message. The first end wins, except that a later word of who held the attempt,
    /// or of a receipt, turns unknown into what it was (rule P19).
    fn accepts(&self, claimant: u128, result: &OutcomeResult) -> bool {
        let Some((_, last)) = self.attempts.last() else { return false };
        let counts = match result {
            OutcomeResult::Unknown => true,
            OutcomeResult::Sent | OutcomeResult::Delivered => self.attempts.iter().any(|(_, writer)| *writer == claimant),
            OutcomeResult::Failed { .. } => *last == claimant,
            OutcomeResult::Suppressed { .. } => *last == claimant && self.attempts.len() == 1,
            OutcomeResult::Expired | OutcomeResult::Returned { .. } => false,
        };
        match (&self.ended, result) {
            (None, _) => counts,
            (Some((OutcomeResult::Unknown, _)), OutcomeResult::Sent | OutcomeResult::Delivered | OutcomeResult::Failed { .. }) => counts,
            _ => false,
        }
    }
}
