//! What stands on topics and in views, and how it is encoded.

pub mod views;
