//! What stands on topics and in views, and how it is encoded.

pub mod pseudonym;
pub mod views;
