//! What stands on topics: that it reads back, that its bytes and schemas do not change unseen, and that hostile bytes do no harm.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on stops there")]

mod any;
mod golden;
mod hostile;
mod round_trip;
mod samples;
mod schemas;
