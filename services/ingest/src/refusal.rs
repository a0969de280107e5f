//! Why something from outside was not taken: a word for programs and reports, and a sentence for people.

use std::fmt;

macro_rules! codes {
    ($($(#[$doc:meta])* $variant:ident = $word:literal,)*) => {
        /// Why a message or record was refused: the `code` of an answer, the reason of a dead letter, the label of a metric.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Code { $($(#[$doc])* $variant,)* }

        impl Code {
            /// Every one, for metrics.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The word.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word,)* }
            }
        }
    };
}

codes! {
    /// The bytes are no JSON.
    NotJson = "not_json",
    /// Something has another type than it must have.
    WrongType = "wrong_type",
    /// A message, a batch or a record is larger than allowed.
    TooLarge = "too_large",
    /// Objects and lists lie too deep in each other.
    TooDeep = "too_deep",
    /// An object has too many properties, or a list too many elements.
    TooMany = "too_many",
    /// A name, an id or a property's name is too long, empty or holds control characters.
    BadName = "bad_name",
    /// The type of the message is not known, or this version does not serve it.
    Unsupported = "unsupported",
    /// Nothing in it says who the customer is.
    NoCustomer = "no_customer",
    /// A time that cannot be read or cannot be true.
    BadTime = "bad_time",
    /// A consent that must not be guessed.
    BadConsent = "bad_consent",
    /// The key may not say this.
    NotAllowed = "not_allowed",
    /// More events of one customer in a minute than a person causes.
    TooManyOfCustomer = "too_many_of_customer",
    /// The source lists its events and this one is not among them.
    NotListed = "not_listed",
    /// An expression of the source's mapping could not be worked out.
    MappingFailed = "mapping_failed",
    /// No shop has this number.
    UnknownNumber = "unknown_number",
    /// The record has no value.
    Empty = "empty",
    /// The key of the request is missing or unknown.
    Unauthorized = "unauthorized",
    /// The signature is missing or wrong.
    BadSignature = "bad_signature",
    /// More than the key's quota.
    OverQuota = "over_quota",
    /// There is nothing at this address.
    NotFound = "not_found",
    /// The address does not take this method.
    WrongMethod = "wrong_method",
    /// The body is not in a form that is read here.
    UnsupportedMedia = "unsupported_media",
    /// The body did not come in time.
    Slow = "slow",
    /// The log does not answer; nothing was taken.
    Unavailable = "unavailable",
}

/// Why something was not taken. Never holds what it refuses, which may be personal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// For programs.
    pub code: Code,
    /// For people: what is wrong and what would be right.
    pub message: String,
}

impl Refusal {
    /// A refusal with its reason.
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}: {}", self.code.as_str(), self.message)
    }
}
