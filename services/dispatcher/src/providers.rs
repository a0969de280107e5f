//! Who carries messages out: the seam to providers, and what all of them share.
//!
//! A [`Provider`] makes one call and says what came of it in one of four words ([`Answer`]); whether and when to call again is decided
//! here, by data ([`Retries`]). An [`Account`] is a provider with what bounds it: hand-overs a second, hand-overs at a time, of all
//! shops and of one, and a breaker for each shop, so that one shop's trouble stays its own (rule P21).

mod account;
mod breaker;
mod log;
mod retry;
mod throughput;
mod twilio;

use futures::future::BoxFuture;

use cartwheel_engine::effect::Message;

pub use self::{
    account::{Account, Bounds, Permits, Providers},
    breaker::{Breaker, BreakerConfig},
    log::{LogProvider, Shown},
    retry::{Retries, Schedule, Trouble},
    throughput::{Booking, Throughput},
    twilio::{Twilio, TwilioConfig},
};

/// The reason of a failure that means that the address's owner opted out at the provider; it becomes an opt-out of the address.
pub const OPTED_OUT_AT_PROVIDER: &str = "opted_out_at_provider";

/// Carries a message to its customer.
///
/// One call is one request; a provider never repeats by itself. It must end in bounded time.
pub trait Provider: Send + Sync + 'static {
    /// Hands the message over once. The message's id is the idempotency key where the provider knows one.
    fn hand_over<'a>(&'a self, message: &'a Message) -> BoxFuture<'a, Answer>;
}

/// What came of one call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// The provider has the message.
    Taken {
        /// The provider's own id of it.
        id: Option<String>,
    },
    /// The provider does not take this message, and will not later either.
    Refused {
        /// The provider's code or a word for it; never a text or number of the customer.
        reason: String,
        /// Whether the address will never take messages.
        address: bool,
    },
    /// The provider surely does not have the message; it may take it later.
    NotNow {
        /// What sort of trouble it is.
        trouble: Trouble,
        /// The pause that the provider asks for.
        after: Option<std::time::Duration>,
        /// The provider's code or a word for it.
        reason: String,
    },
    /// The request may have reached the provider; nobody knows what became of it.
    Unsure {
        /// What happened.
        reason: String,
    },
}

impl Answer {
    /// Its word, for metrics.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Taken { .. } => "taken",
            Self::Refused { .. } => "refused",
            Self::NotNow { .. } => "not_now",
            Self::Unsure { .. } => "unsure",
        }
    }
}
