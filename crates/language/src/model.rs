//! What a shop and its campaigns mean once they are read: plain data, nothing left to infer.
//!
//! Every default of the language is already filled in, every name resolved, every condition and text compiled. The
//! engine decides from these types alone and never looks back at the files.

mod campaign;
mod project;
mod shop;
mod source;

pub use campaign::{
    Again, Campaign, CapsPolicy, Each, Exception, Moment, Of, Outside, Over, Restarts, Runs, Send, Sender, Sms, Step, Trigger, TriggerKind,
    Verb, Wait, WhenFull,
};
pub use project::{Problem, Project, Reading, Severity, SourceFile, Sources};
pub use shop::{Cap, Keywords, Object, Period, QuietHours, Senders, Session, Shop, SmsSenders, TextByLanguage, for_language};
pub use source::{CustomerNames, EventMapping, HttpForm, HttpSource, Others, Source, TopicFormat, TopicSource};
