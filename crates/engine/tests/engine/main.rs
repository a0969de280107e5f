//! What the engine decides, requirement by requirement, and what holds whatever happens.

mod caps;
mod carts;
mod consent;
mod identity;
mod life;
mod outcomes;
mod play;
mod shipped;
mod shop;
mod texts;
mod waits;
