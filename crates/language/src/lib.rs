//! The campaign language, grammar 1: what a marketer writes, read, checked and compiled.
//!
//! # Contract
//!
//! In: the text of one `shop.yaml`, of its campaign files and of its tracking plan ([`Sources`]).
//! Out: a [`Reading`]: every mistake and every doubt with its place in the file, and, when there is no mistake, a
//! [`Project`] in which nothing is left to infer: defaults are filled in, conditions and texts are parsed.
//!
//! The crate is pure. It opens no file, asks no clock, rolls no dice and keeps no global; the same texts give the same
//! project, so that every service that reads a campaign from the log decides alike.
//!
//! What the language has and this version cannot do yet is refused by name, with its place; it is never ignored.
//! `schema.json` beside this file describes the whole language to editors; what it refuses is refused here too.

mod check;
pub mod condition;
mod findings;
mod model;
pub mod phone;
mod plan;
mod project;
mod read;
mod resolve;
pub mod seal;
mod sentence;
mod show;
pub mod sms;
pub mod text;
pub mod time;
mod value;
mod words;
mod yaml;

pub use model::*;
pub use project::read;
pub use sentence::sentence;
pub use show::show;
pub use value::Value;
pub use words::{Channel, Class, Delivery};
