//! What the journal, `cartwheel.deliveries`, says of each message: who was first to claim it, and how it ended (rules P15, P19, P20).
//!
//! A pure fold over one partition's records in the order of their offsets, so that every dispatcher that has read as far sees the
//! same. Attempt, returned, suppressed, expired and unknown are *claims*: the first record of a message by offset decides what it
//! is, and who wrote a later one has lost and does only what the first one implies. An attempt then ends as sent, failed or unknown,
//! or as suppressed by its own claimant; a return or expiry that follows an attempt is a lost claim and means nothing.
//!
//! An attempt whose writer is gone may be taken over where the message is to go out at least once. That is a claim too: it counts if no
//! other take-over stands between it and the attempt that its writer saw. From then on only the last one's word counts, except that
//! whoever handed the message over may say so; and the one who took over never says that it was not handed over.

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
            OutcomeResult::Failed { .. } | OutcomeResult::Suppressed { .. } => *last == claimant,
            OutcomeResult::Expired | OutcomeResult::Returned { .. } => false,
        };
        match (&self.ended, result) {
            (None, _) => counts,
            (Some((OutcomeResult::Unknown, _)), OutcomeResult::Sent | OutcomeResult::Delivered | OutcomeResult::Failed { .. }) => counts,
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GRACE: Duration = Duration::from_secs(30);

    fn message() -> MessageId {
        "m".to_owned().into()
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    /// A journal of records by writer and word, one a second.
    fn journal(records: &[(u128, Word)]) -> Journal {
        let mut journal = Journal::default();
        for (offset, (claimant, word)) in records.iter().enumerate() {
            let at = at(offset as i64);
            journal.fold(offset as u64, &message(), *claimant, word.clone(), at, at);
        }
        journal
    }

    const FIRST: Word = Word::Attempt { takes_over: false };
    const TAKE_OVER: Word = Word::Attempt { takes_over: true };
    const UNKNOWN: Word = Word::Ended(OutcomeResult::Unknown);
    const SENT: Word = Word::Ended(OutcomeResult::Sent);

    #[test]
    fn an_attempt_is_let_be_for_the_grace_and_then_ended_or_taken_over_by_class() {
        let journal = journal(&[(1, FIRST)]);
        let then = |delivery, second| journal.next_move(&message(), delivery, at(second), GRACE);
        assert_eq!(then(Delivery::AtMostOnce, 29), Move::Wait(at(30)));
        assert_eq!(then(Delivery::AtMostOnce, 30), Move::SayUnknown);
        assert_eq!(then(Delivery::AtLeastOnce, 30), Move::Claim { behind: Some(0) });
    }

    #[test]
    fn of_two_take_overs_behind_one_attempt_the_first_has_it() {
        let journal = journal(&[(1, FIRST), (2, TAKE_OVER), (3, TAKE_OVER)]);
        assert!(journal.won(&message(), 1, Some(0)));
        assert!(!journal.won(&message(), 2, Some(0)));
    }

    #[test]
    fn what_was_given_up_before_its_writer_read_it_back_is_not_called() {
        assert!(journal(&[(1, FIRST)]).won(&message(), 0, None));
        assert!(!journal(&[(1, FIRST), (2, UNKNOWN)]).won(&message(), 0, None));
    }

    #[test]
    fn unknown_gives_way_to_who_knows_and_to_nobody_else() {
        let ended = |records: &[(u128, Word)]| match journal(records).standing(&message()) {
            Standing::Ended { result, .. } => result,
            other => panic!("{other:?}"),
        };
        assert_eq!(ended(&[(1, FIRST), (2, UNKNOWN), (1, SENT)]), OutcomeResult::Sent);
        assert_eq!(ended(&[(1, FIRST), (2, UNKNOWN), (2, SENT)]), OutcomeResult::Unknown);
        assert_eq!(ended(&[(1, FIRST), (1, SENT), (2, UNKNOWN)]), OutcomeResult::Sent);
    }

    #[test]
    fn what_is_old_is_forgotten() {
        let mut journal = journal(&[(1, FIRST)]);
        journal.forget_before(at(0));
        assert_eq!(journal.len(), 1);
        journal.forget_before(at(1));
        assert!(journal.is_empty());
    }
}
