//! Telephone numbers: read once at the edge, then E.164 text everywhere.
//!
//! Uses the numbering plans of Google's libphonenumber, which are compiled in.

use std::fmt;

use phonenumber::country::Id;
use phonenumber::metadata::DATABASE;
use phonenumber::{Mode, PhoneNumber, Type};

/// The version of the numbering plans that are compiled in: libphonenumber's metadata, which the `phonenumber` crate names in its own
/// version. It can change a decision, so it stands in every revision (rule P25).
pub const DATA_VERSION: &str = "9.0.33";

/// A number that exists by the numbering plan of its region.
#[derive(Clone, PartialEq, Eq)]
pub struct Phone {
    e164: String,
    region: Option<String>,
    kind: PhoneKind,
}

/// What kind of line a number belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PhoneKind {
    /// A mobile.
    Mobile,
    /// A fixed line, which as a rule takes no SMS.
    FixedLine,
    /// The plan does not tell mobiles and fixed lines apart, as in North America.
    FixedLineOrMobile,
    /// Any other, such as toll-free, premium rate or a pager.
    Other,
}

/// Why a text is no telephone number. Says nothing of the number itself, which is personal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PhoneError {
    /// The text does not look like a number.
    #[error("not a telephone number")]
    NotANumber,
    /// A number without its country code, and no region to read it in.
    #[error("the country code is missing; write the number as +44 20 7946 0123")]
    CountryMissing,
    /// No country has this code.
    #[error("no country has this country code")]
    NoSuchCountry,
    /// Such a number is not assigned in its region.
    #[error("no such number in its country's numbering plan")]
    NotAssigned,
}

impl Phone {
    /// The number as `+` and digits (ITU-T E.164).
    pub fn e164(&self) -> &str {
        &self.e164
    }

    /// Its region as ISO 3166-1 alpha-2, such as `GB`; none for numbers of no region, such as +800.
    pub fn region(&self) -> Option<&str> {
        self.region.as_deref()
    }

    /// The kind of line.
    pub fn kind(&self) -> PhoneKind {
        self.kind
    }

    /// Whether an SMS may reach it: all but those that are surely fixed lines or service numbers.
    pub fn takes_sms(&self) -> bool {
        matches!(self.kind, PhoneKind::Mobile | PhoneKind::FixedLineOrMobile)
    }
}

/// Without the last digits: a number is personal, and what is printed ends in logs.
impl fmt::Debug for Phone {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let region = self.region.as_deref().unwrap_or("no region");
        write!(formatter, "Phone({region}, {:?}, number hidden)", self.kind)
    }
}

/// Reads a number as people write it: international with `+`, or national in the region (ISO 3166-1 alpha-2) that is
/// assumed where the text has no country code.
///
/// ```
/// use cartwheel_language::phone;
/// assert_eq!(phone::parse("07400 123456", Some("GB"))?.e164(), "+447400123456");
/// # Ok::<(), phone::PhoneError>(())
/// ```
///
/// # Errors
///
/// A text that is no number, or a number that its region does not assign.
pub fn parse(text: &str, default_region: Option<&str>) -> Result<Phone, PhoneError> {
    let text = text.trim();
    if text.len() > LONGEST || !text.contains(|character: char| character.is_numeric()) {
        return Err(PhoneError::NotANumber);
    }
    let region = default_region.and_then(|region| region.parse::<Id>().ok());
    if region.is_none() && !text.starts_with(['+', '+']) {
        return Err(PhoneError::CountryMissing);
    }
    let number = phonenumber::parse(region, text).map_err(|problem| match problem {
        phonenumber::ParseError::InvalidCountryCode => PhoneError::NoSuchCountry,
        _ => PhoneError::NotANumber,
    })?;
    if !number.is_valid() {
        return Err(PhoneError::NotAssigned);
    }
    Ok(Phone { e164: number.format().mode(Mode::E164).to_string(), region: region_id(&number), kind: kind(&number) })
}

/// The region of a number in E.164, as ISO 3166-1 alpha-2; `None` where it is no number or one of no region.
pub fn region_of(e164: &str) -> Option<String> {
    if e164.len() > LONGEST || !e164.starts_with('+') {
        return None;
    }
    phonenumber::parse(None, e164).ok().as_ref().and_then(region_id)
}

/// Longer than any number with all its punctuation, and short enough to be parsed at once.
const LONGEST: usize = 64;

fn region_id(number: &PhoneNumber) -> Option<String> {
    number.country().id().map(|id| id.as_ref().to_owned())
}

/// The kind by the plan of the number's region. The library's own answer leaves out leading zeros, which are part of the
/// number in Benin, Congo and Côte d'Ivoire.
fn kind(number: &PhoneNumber) -> PhoneKind {
    const SERVICES: [Type; 8] =
        [Type::PremiumRate, Type::TollFree, Type::SharedCost, Type::Voip, Type::PersonalNumber, Type::Pager, Type::Uan, Type::Voicemail];
    let Some(plan) = number.metadata(&DATABASE) else {
        return PhoneKind::Other;
    };
    let national = number.national().to_string();
    let is = |kind: Type| plan.descriptors().get(kind).is_some_and(|descriptor| descriptor.is_match(&national));
    match (is(Type::FixedLine), is(Type::Mobile)) {
        _ if SERVICES.into_iter().any(is) => PhoneKind::Other,
        (true, true) => PhoneKind::FixedLineOrMobile,
        (true, false) => PhoneKind::FixedLine,
        (false, true) => PhoneKind::Mobile,
        (false, false) => PhoneKind::Other,
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Deserialize)]
    struct Case {
        region: String,
        e164: String,
        national: String,
    }

    #[test]
    fn the_mobile_numbers_of_all_regions_are_read_in_both_forms() {
        let cases: Vec<Case> = serde_json::from_str(include_str!("../tests/vectors/e164.json")).unwrap();
        assert_eq!(cases.len(), 244);
        for case in &cases {
            let international = parse(&case.e164, None).unwrap();
            let national = parse(&case.national, Some(&case.region)).unwrap();
            assert_eq!(international.e164(), case.e164, "{}", case.region);
            assert_eq!(national, international, "{}", case.region);
            assert!(international.takes_sms(), "{}: {international:?}", case.region);
            let plan = SHARED_PLANS.iter().find(|(region, _)| *region == case.region);
            let region = plan.map_or(case.region.as_str(), |(_, shares)| shares);
            assert_eq!(international.region(), Some(region));
        }
    }

    /// Regions whose mobile numbers are those of another region as well.
    const SHARED_PLANS: [(&str, &str); 9] =
        [("AX", "FI"), ("BL", "GP"), ("CC", "AU"), ("CX", "AU"), ("EH", "MA"), ("IM", "GB"), ("MF", "GP"), ("SJ", "NO"), ("VA", "IT")];

    #[test]
    fn what_is_no_number_says_why_and_never_which() {
        for (text, region, problem) in [
            ("hello", None, PhoneError::NotANumber),
            ("", None, PhoneError::NotANumber),
            ("07400 123456", None, PhoneError::CountryMissing),
            ("07400 123456", Some("XX"), PhoneError::CountryMissing),
            ("+999 123456", None, PhoneError::NoSuchCountry),
            ("+44 1", None, PhoneError::NotANumber),
            ("+44 7400", None, PhoneError::NotAssigned),
            (&"1".repeat(10_000), Some("GB"), PhoneError::NotANumber),
        ] {
            assert_eq!(parse(text, region).unwrap_err(), problem, "{text}");
        }
        let phone = parse("+44 7400 123456", None).unwrap();
        assert!(!format!("{phone:?}").contains("7400"));
        assert_eq!((phone.region(), phone.kind()), (Some("GB"), PhoneKind::Mobile));
        assert!(!parse("+44 20 7946 0123", None).unwrap().takes_sms());
    }
}
