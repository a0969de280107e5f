//! The record of what was decided and why (R81). No text, no address: only ids, names of things, and the values behind a rule.

use std::collections::BTreeMap;

use cartwheel_language::Value;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{
    id::{JourneyId, MessageId},
    input::{Fact, Input},
    key::CustomerKey,
};

/// One decision.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Decision {
    /// Comes from its cause: the record that was folded and the decision's place in it.
    pub id: String,
    /// The home that decided.
    pub customer: CustomerKey,
    /// The engine's `now`.
    pub at: Timestamp,
    /// The campaign; none for what concerns the customer as a whole.
    pub campaign: Option<String>,
    /// The campaign's version.
    pub version: Option<u32>,
    /// The journey.
    pub journey: Option<JourneyId>,
    /// What the journey is about: the cart's or order's id.
    pub object: Option<String>,
    /// The message.
    pub message: Option<MessageId>,
    /// What was decided.
    pub verdict: Verdict,
    /// Why, in a word that reports count by.
    pub reason: Reason,
    /// Why, for people: the clause and what stood in its way. Names of things, never values that could be personal.
    pub detail: Option<String>,
    /// The record that caused it.
    pub cause: Cause,
    /// The values behind it: zone and its source, window, cap counts, consent's source and time, what a condition saw.
    pub values: BTreeMap<String, Value>,
}

/// The record that caused a decision.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Cause {
    /// The event's id.
    pub event: String,
    /// The event's name, or a word for what Cartwheel reported itself (`timer`, `outcome`).
    pub name: String,
    /// When it happened.
    pub occurred: Timestamp,
    /// When it was received.
    pub received: Timestamp,
}

impl Cause {
    /// The cause of what follows from an input at the log's moment `now`. Nothing happens after it was received: a client's clock
    /// may be ahead (rule P12).
    pub fn of(input: &Input, now: Timestamp) -> Self {
        let (name, occurred) = match &input.fact {
            Fact::Tracked(event) => (event.name.as_str(), event.occurred.min(now)),
            Fact::Identified(identified) => ("identify", identified.occurred.unwrap_or(now).min(now)),
            Fact::TimerFired { due, .. } => ("timer", *due),
            Fact::Outcome(outcome) => ("outcome", outcome.at.min(now)),
            Fact::OptedOut { .. } => ("Opted Out", now),
            Fact::OptedIn { .. } => ("Opted In", now),
            Fact::Replied { .. } => ("Message Replied", now),
            Fact::Claimed { .. } => ("claim", now),
            Fact::HandedOver { .. } => ("hand-over", now),
        };
        Self { event: input.id.clone(), name: name.to_owned(), occurred, received: input.received }
    }
}

macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $word:literal,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
        pub enum $name { $($(#[$variant_doc])* #[serde(rename = $word)] $variant,)* }

        impl $name {
            /// Every one, for metrics and for tests that want to see each.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The word on record.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word,)* }
            }

            /// The one with this word.
            pub fn of_word(word: &str) -> Option<Self> {
                match word { $($word => Some(Self::$variant),)* _ => None }
            }
        }
    };
}

words! {
    /// What was decided.
    Verdict {
        /// A trigger came, and no journey began.
        NotBegun = "not begun",
        /// A journey began.
        Began = "began",
        /// A trigger came again, and the wait begins anew.
        Restarted = "restarted",
        /// A message waits: for its window, for room under a cap, for a provider.
        Held = "held",
        /// A message was decided and is on its way to the dispatcher.
        Sent = "sent",
        /// A message will not be sent; the journey goes on.
        Skipped = "skipped",
        /// The journey ended before its plan did.
        Ended = "ended",
        /// Two journeys of one person for one object met; this one gave way.
        Merged = "merged",
        /// A message that an exception would have stopped was already handed over.
        Regretted = "regretted",
        /// What the customer allows was changed.
        Consent = "consent",
        /// The customer's home moved.
        Moved = "moved",
        /// The record changed nothing.
        Ignored = "ignored",
    }
}

words! {
    /// Why.
    Reason {
        /// As the campaign plans.
        Planned = "planned",
        /// The trigger's `where` is not true.
        WhereNotTrue = "where not true",
        /// The audience's condition is not true.
        NotInAudience = "not in audience",
        /// The journey's customer left the audience.
        NoLongerInAudience = "no longer in audience",
        /// The trigger does not name its object.
        ObjectMissing = "object missing",
        /// The event came later than `ignore_older_than`.
        TooOld = "too old",
        /// The event happened before `runs.from`.
        BeforeStart = "before start",
        /// `runs.to` has passed.
        AfterEnd = "after end",
        /// `again` forbids another journey of this object now.
        NotAgain = "not again",
        /// A journey is under way, and `restarts` forbids to begin anew.
        UnderWay = "under way",
        /// Another object's journey is under way, and `parallel` is false.
        NotParallel = "not parallel",
        /// The campaign is paused.
        Paused = "paused",
        /// The campaign is archived.
        Archived = "archived",
        /// An `unless` event came.
        Exception = "exception",
        /// The same event, or its object, triggered again.
        Retriggered = "retriggered",
        /// A step's `if` is not true.
        ConditionNotTrue = "condition not true",
        /// No address for the channel.
        NoAddress = "no address",
        /// The address is not valid.
        InvalidAddress = "invalid address",
        /// The address failed for good.
        DeadAddress = "dead address",
        /// No consent that covers the message's class.
        NoConsent = "no consent",
        /// The customer opted out.
        OptedOut = "opted out",
        /// The customer opted in.
        OptedIn = "opted in",
        /// Consent was given, changed or withdrawn on the customer's behalf.
        ConsentChanged = "consent changed",
        /// Outside quiet hours' complement or window.
        OutsideWindow = "outside window",
        /// A cap is full.
        CapFull = "cap full",
        /// It would be late.
        Expired = "expired",
        /// A text cannot be rendered.
        TextFailed = "text failed",
        /// More parts than allowed.
        TooManyParts = "too many parts",
        /// No text in any language, or no sender.
        NoText = "no text",
        /// The provider refused it.
        ProviderFailed = "provider failed",
        /// The dispatcher gave it back.
        Returned = "returned",
        /// An event that came late would have stopped it.
        LateException = "late exception",
        /// Two names of one person met.
        Identity = "identity",
        /// State is bounded, and this was the oldest.
        Bounded = "bounded",
        /// The engine's clock and the timer's disagree by more than a minute (rule P13).
        ClocksDisagree = "clocks disagree",
        /// A key that the shop's campaigns no longer know.
        CampaignGone = "campaign gone",
        /// Folding the record failed; it was set aside.
        Poison = "poison",
    }
}
