//! The edge from the outside: a real listener on 127.0.0.1, a log in memory, shops as `apply` leaves them on the log.

#![expect(clippy::unwrap_used, unreachable_pub, reason = "all of this binary is tests, its helpers too")]

mod callbacks;
mod clients;
mod events;
mod hostile;
mod opt_out;
mod sources;
mod start;
