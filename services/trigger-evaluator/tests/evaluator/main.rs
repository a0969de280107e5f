//! The evaluator's worker and what it knows of campaigns, on a log and a store in memory.

#[cfg(test)]
mod bench;
#[cfg(test)]
mod campaigns;
#[cfg(test)]
mod config;
#[cfg(test)]
mod ownership;
#[cfg(test)]
mod records;
