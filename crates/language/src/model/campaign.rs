//! A campaign, read: when this, unless that, for this audience, wait, send.

use std::collections::BTreeMap;

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

use super::TextByLanguage;
use crate::condition::Condition;
use crate::time::{Hours, Span, TimeOfDay};
use crate::words::{Class, Delivery};

/// A campaign with every default filled in.
#[derive(Clone, Debug)]
pub struct Campaign {
    /// The name; the file has the same one.
    pub name: String,
    /// What its messages are, which decides the consent that they need.
    pub class: Class,
    /// Words for caps and reports.
    pub tags: Vec<String>,
    /// Who gets the last place under a cap: 0 to 100, more wins, 50 where the file says nothing.
    pub priority: u8,
    /// What begins a journey; any of them does. Never empty.
    pub triggers: Vec<Trigger>,
    /// What ends it.
    pub exceptions: Vec<Exception>,
    /// Whom, and in what state; looked at when a journey begins and before every send.
    pub audience: Option<Condition>,
    /// The campaign's life.
    pub runs: Runs,
    /// What happens, in order. Never empty.
    pub steps: Vec<Step>,
    /// What a trigger does for an object whose journey is under way.
    pub restarts: Restarts,
    /// How soon the same object may begin another journey.
    pub again: Again,
    /// Whether one customer may have journeys of several objects at once.
    pub parallel: bool,
    /// Events that arrive later than this after they happened begin nothing.
    pub ignore_older_than: Span,
    /// When messages may go out, in the customer's zone: the campaign's own hours and the complement of the shop's
    /// quiet hours for its class. All of them must be open; an empty list is always open.
    pub window: Vec<Hours>,
    /// What becomes of a message that is due while the window is closed.
    pub outside: Outside,
    /// How long after it was due a message is still worth sending.
    pub expires_after: Span,
    /// How the shop's caps bear on it.
    pub caps: CapsPolicy,
    /// What to do after a crash between the hand-over and knowing of it.
    pub delivery: Delivery,
}

/// What begins a journey, and what the journey is then about.
#[derive(Clone, Debug)]
pub struct Trigger {
    /// What must happen.
    pub kind: TriggerKind,
    /// Looked at once, when it happens; the customer's state already includes the event.
    pub condition: Option<Condition>,
    /// What one journey is about, inferred where the file does not say.
    pub each: Each,
}

/// The kinds of triggers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TriggerKind {
    /// One of these events came.
    Event {
        /// The events' names. Never empty.
        names: Vec<String>,
    },
}

impl TriggerKind {
    /// The names of the events that it listens to.
    #[must_use]
    pub fn events(&self) -> &[String] {
        match self {
            TriggerKind::Event { names } => names,
        }
    }
}

/// What one journey is about.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Each {
    /// One journey a customer.
    Customer,
    /// Every event on its own.
    Event,
    /// One journey for each object of this name in [`Shop::objects`](super::Shop::objects).
    Object(String),
}

impl Each {
    /// The word that files use: `customer`, `event`, or the object's name.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Each::Customer => "customer",
            Each::Event => "event",
            Each::Object(name) => name,
        }
    }
}

/// Events that end a journey at once.
#[derive(Clone, Debug)]
pub struct Exception {
    /// The events' names; any of them does. Never empty.
    pub events: Vec<String>,
    /// Only when this is true; it sees the exception as `event` and what began the journey as `trigger`.
    pub condition: Option<Condition>,
    /// Of which object.
    pub of: Of,
}

/// Of which object an exception must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Of {
    /// Of the journey's own; an event without any such id counts as well.
    Same,
    /// Of any.
    Any,
}

/// A campaign's life.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Runs {
    /// Events that happened before this never qualify; `None`: from when the campaign is applied.
    pub from: Option<Moment>,
    /// Nothing is sent from this moment on; `None`: no end.
    pub to: Option<Moment>,
}

/// A day or a day and time, as a file writes it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Moment {
    /// On each customer's own clock; a day alone is its first moment.
    Local(DateTime),
    /// One instant everywhere.
    Instant(Timestamp),
}

impl Moment {
    /// The instant that this moment is in a zone. A local time that a change of the clocks skips is the first moment
    /// after it, one that comes twice the first.
    ///
    /// A civil time beyond what an instant can hold is the nearest instant.
    #[must_use]
    pub fn instant(&self, zone: &TimeZone) -> Timestamp {
        match self {
            Moment::Instant(instant) => *instant,
            Moment::Local(civil) => crate::time::local_instant(*civil, zone),
        }
    }
}

/// One step of a journey.
#[derive(Clone, Debug)]
pub struct Step {
    /// The name for reports and conditions.
    pub name: Option<String>,
    /// The step is passed over unless this is true; for a send it is looked at again right before the hand-over.
    pub condition: Option<Condition>,
    /// What it does.
    pub verb: Verb,
}

/// What a step does.
#[derive(Clone, Debug)]
pub enum Verb {
    /// Goes on later.
    Wait(Wait),
    /// Sends one message.
    Send(Box<Send>),
}

/// How long to wait.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wait {
    /// A span from when the step is reached, and then on to a local time of day, the first at or after it.
    For {
        /// The span.
        span: Span,
        /// The local time of day.
        at: Option<TimeOfDay>,
    },
    /// The next such time where the customer lives.
    UntilTimeOfDay(TimeOfDay),
    /// So long after the customer's last event of any kind.
    UntilSilence(Span),
}

/// One message to the person.
#[derive(Clone, Debug)]
pub struct Send {
    /// The text message.
    pub sms: Sms,
    /// Words for caps and reports: the send's own, else the campaign's.
    pub tags: Vec<String>,
}

/// A text message.
#[derive(Clone, Debug)]
pub struct Sms {
    /// The text in each language; always in the shop's first.
    pub text: TextByLanguage,
    /// The opt-out line; empty where the message carries none.
    pub footer: TextByLanguage,
    /// Who sends where `countries` says nothing else.
    pub sender: Sender,
    /// Who sends to numbers of a country, by ISO 3166 code.
    pub countries: BTreeMap<String, Sender>,
    /// The most parts, footer and links included.
    pub max_parts: u32,
    /// What becomes of a longer one.
    pub over: Over,
    /// Whether Cyrillic and accents are written in Latin letters to save parts.
    pub transliterate: bool,
}

impl Sms {
    /// Who sends to a number of this country (ISO 3166 code).
    #[must_use]
    pub fn sender_to(&self, country: Option<&str>) -> &Sender {
        country.and_then(|code| self.countries.get(code)).unwrap_or(&self.sender)
    }
}

/// A provider, and the name or number that it sends from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sender {
    /// The name that operators configured the provider under.
    pub provider: String,
    /// The name or number that the customer sees; `None`: the provider's own choice.
    pub from: Option<String>,
}

impl Sender {
    /// Whether customers can answer: a number or a short code can be written to, a name cannot.
    #[must_use]
    pub fn receives(&self) -> bool {
        self.from.as_deref().is_some_and(|from| {
            from.chars().any(|letter| letter.is_ascii_digit())
                && from.chars().all(|letter| letter.is_ascii_digit() || matches!(letter, '+' | ' ' | '-' | '(' | ')'))
        })
    }
}

/// What becomes of a message with more parts than it may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Over {
    /// It is not sent, and the reason is recorded.
    Refuse,
    /// It is cut at a word; links stay.
    Shorten,
}

/// What a trigger does for an object whose journey is under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Restarts {
    /// Begins it anew as long as nothing was handed over.
    UntilSent,
    /// Always begins it anew.
    Always,
    /// Does nothing.
    Never,
}

/// How soon the same object may begin another journey.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Again {
    /// Once and never again.
    Never,
    /// At once.
    Always,
    /// So long after the last message of its last journey.
    After(Span),
}

/// What becomes of a message that is due while the window is closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outside {
    /// It goes when the window opens.
    Hold,
    /// It is not sent.
    Drop,
}

/// How the shop's caps bear on a campaign.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CapsPolicy {
    /// Whether a full cap stops its messages.
    pub obey: bool,
    /// Whether its messages take places.
    pub count: bool,
    /// What becomes of a message that finds a cap full.
    pub when_full: WhenFull,
}

/// What becomes of a message that finds a cap full.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WhenFull {
    /// It is not sent.
    Skip,
    /// It is sent when there is room, unless it expires before.
    Defer,
}
