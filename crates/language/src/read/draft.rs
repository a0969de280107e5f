//! A campaign as its file has it: what is written with its place, what is not written left open.

use super::values::{Placed, PlacedCondition, PlacedTexts};
use crate::model::{Again, Moment, Of, Outside, Over, Restarts, Wait, WhenFull};
use crate::time::{Hours, Span};
use crate::words::{Class, Delivery};
use crate::yaml::Place;

/// One campaign file. What could not be read is missing, and there is a finding for it.
#[derive(Clone, Debug)]
pub(crate) struct CampaignDraft {
    pub(crate) path: String,
    pub(crate) place: Place,
    pub(crate) name: Placed<String>,
    pub(crate) class: Option<Placed<Class>>,
    pub(crate) tags: Vec<Placed<String>>,
    pub(crate) triggers: Vec<TriggerDraft>,
    pub(crate) exceptions: Vec<ExceptionDraft>,
    pub(crate) audience: Option<PlacedCondition>,
    pub(crate) runs_from: Option<Placed<Moment>>,
    pub(crate) runs_to: Option<Placed<Moment>>,
    pub(crate) restarts: Option<Restarts>,
    pub(crate) again: Option<Again>,
    pub(crate) parallel: Option<bool>,
    pub(crate) ignore_older_than: Option<Span>,
    pub(crate) wait: Option<Placed<Wait>>,
    pub(crate) send: Option<SendDraft>,
    pub(crate) window: Option<WindowDraft>,
    pub(crate) expires_after: Option<Placed<Span>>,
    pub(crate) caps_obey: Option<bool>,
    pub(crate) caps_count: Option<bool>,
    pub(crate) when_full: Option<WhenFull>,
    pub(crate) delivery: Option<Delivery>,
}

impl CampaignDraft {
    /// The class, with its default.
    pub(crate) fn class(&self) -> Class {
        self.class.as_ref().map_or(Class::Promotional, |class| class.value)
    }
}

/// One item of `when`.
#[derive(Clone, Debug)]
pub(crate) struct TriggerDraft {
    pub(crate) place: Place,
    pub(crate) events: Vec<Placed<String>>,
    pub(crate) condition: Option<PlacedCondition>,
    pub(crate) each: Option<Placed<String>>,
}

/// One item of `unless`.
#[derive(Clone, Debug)]
pub(crate) struct ExceptionDraft {
    pub(crate) events: Vec<Placed<String>>,
    pub(crate) condition: Option<PlacedCondition>,
    pub(crate) of: Option<Placed<Of>>,
}

/// `window`.
#[derive(Clone, Debug)]
pub(crate) enum WindowDraft {
    /// At all times.
    Always { place: Place },
    /// Between two times of day.
    Hours { place: Place, hours: Hours, outside: Outside },
}

/// `send`, with its text message.
#[derive(Clone, Debug)]
pub(crate) struct SendDraft {
    pub(crate) tags: Vec<Placed<String>>,
    /// Where the key `sms` stands.
    pub(crate) place: Place,
    pub(crate) text: Option<PlacedTexts>,
    pub(crate) max_parts: Option<u32>,
    pub(crate) over: Option<Over>,
    pub(crate) transliterate: bool,
    pub(crate) from: Option<Placed<String>>,
    pub(crate) footer: Option<bool>,
}
