//! The edge: turns what shops, shoppers and providers send into records of `cartwheel.events`.
pub mod convert;
pub mod refusal;
pub mod shops;
