//! Durations as people write them, for `#[serde(with = "cartwheel_runtime::config::duration")]`: `250ms`, `5s`, `30m`, `6h`, `7d`.

use std::time::Duration;

use serde::{Deserialize, Deserializer, Serializer, de::Error};

/// Units from the largest, with their length in milliseconds.
const UNITS: [(&str, u64); 5] = [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];

/// Reads a whole number with its unit.
///
/// # Errors
/// Anything else, with what would be right.
pub fn parse(text: &str) -> Result<Duration, String> {
    let digits = text.find(|character: char| !character.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let millis = UNITS
        .iter()
        .find(|(name, _)| *name == unit.trim_start())
        .and_then(|(_, length)| number.parse::<u64>().ok()?.checked_mul(*length))
        .ok_or_else(|| format!("{text:?} is not a duration; write a whole number with ms, s, m, h or d, such as \"250ms\""))?;
    Ok(Duration::from_millis(millis))
}

/// Writes a duration in the largest unit that keeps it whole; what is below a millisecond is dropped.
pub fn show(duration: Duration) -> String {
    let millis = duration.as_millis();
    let (unit, length) =
        UNITS.iter().find(|(_, length)| millis != 0 && millis.is_multiple_of(u128::from(*length))).unwrap_or(&("s", 1_000));
    format!("{}{unit}", millis / u128::from(*length))
}

/// For serde.
///
/// # Errors
/// Those of the serializer.
pub fn serialize<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&show(*duration))
}

/// For serde.
///
/// # Errors
/// A text that [`parse`] refuses.
pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    parse(&String::deserialize(deserializer)?).map_err(D::Error::custom)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_shown_is_read_back() {
        for text in ["0s", "250ms", "5s", "90s", "30m", "6h", "7d"] {
            assert_eq!(show(parse(text).unwrap()), text);
        }
    }

    #[test]
    fn a_number_without_a_unit_is_refused() {
        for text in ["250", "ms", "1.5s", "-1s", "1 week", "99999999999999999999d", ""] {
            assert!(parse(text).is_err(), "{text:?} was taken");
        }
    }
}
