//! The dispatcher's real worker on one thread: memory for log and store, a clock that moves by hand, providers that do as told.

#![expect(clippy::unwrap_used, reason = "what fails here fails the test")]

mod app;
mod claims;
mod controls;
mod crashes;
mod gate;
mod providers;
mod stage;
mod twilio;
