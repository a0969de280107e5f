//! What the engine decides, requirement by requirement, and what holds whatever happens.

mod bounds;
mod caps;
mod carts;
mod chaos;
mod consent;
mod identity;
mod life;
mod naive;
mod outcomes;
mod people;
mod play;
mod shipped;
mod shop;
mod texts;
mod waits;
