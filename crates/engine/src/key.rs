//! Who a record is about: the names of a person and the key of their home on the log (rules P4, P23).

use std::{cmp::Ordering, fmt, str::FromStr};

use serde::{Deserialize, Serialize};

/// What sort of name a person is known by, weakest first: the stronger home claims the weaker (rule P23).
///
/// Phone and e-mail are of one strength; among equals the text decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum NameKind {
    /// A device or browser before login.
    Anonymous,
    /// A phone number, as a keyed hash (privacy: numbers are never in keys).
    Phone,
    /// An e-mail address, as a keyed hash.
    Email,
    /// The shop's own id of a customer.
    User,
}

impl NameKind {
    /// The word in a key: `acme/user:42`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Anonymous => "anonymous",
            Self::Phone => "phone",
            Self::Email => "email",
            Self::User => "user",
        }
    }

    fn strength(self) -> u8 {
        match self {
            Self::Anonymous => 0,
            Self::Phone | Self::Email => 1,
            Self::User => 2,
        }
    }
}

/// The key of a home on the log: `shop/kind:name`.
///
/// Every name of a person has a home; it *is* the customer or forwards to the one who is. Names are at most 200 bytes; shops are
/// ids of `shop.yaml` and hold no `/`.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct CustomerKey {
    text: String,
    shop: usize,
    kind: NameKind,
}

/// Why a text is no customer key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is no customer key; write shop/kind:name, kind one of anonymous, phone, email, user, name of 1 to 200 bytes")]
pub struct KeyError {
    text: String,
}

/// The longest name, in bytes; ids that shops use are far shorter, and keys stand in every record.
pub const NAME_LIMIT: usize = 200;

impl CustomerKey {
    /// Makes the key of a name.
    ///
    /// # Errors
    /// When the shop is empty or holds a `/`, or the name is empty, over [`NAME_LIMIT`] or holds control characters.
    pub fn new(shop: &str, kind: NameKind, name: &str) -> Result<Self, KeyError> {
        let text = format!("{shop}/{}:{name}", kind.as_str());
        let sound =
            !shop.is_empty() && !shop.contains('/') && !name.is_empty() && name.len() <= NAME_LIMIT && !text.chars().any(char::is_control);
        if sound { Ok(Self { shop: shop.len(), text, kind }) } else { Err(KeyError { text }) }
    }

    /// The whole key.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The shop's id.
    pub fn shop(&self) -> &str {
        &self.text[..self.shop]
    }

    /// What sort of name it is.
    pub fn kind(&self) -> NameKind {
        self.kind
    }

    /// The name without shop and kind.
    pub fn name(&self) -> &str {
        &self.text[self.shop + self.kind.as_str().len() + 2..]
    }

    /// Whether this name's home claims the other's (rule P23): by kind, then by text.
    pub fn outranks(&self, other: &Self) -> bool {
        (self.kind.strength(), self.text.as_str()).cmp(&(other.kind.strength(), other.text.as_str())) == Ordering::Greater
    }
}

impl FromStr for CustomerKey {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<Self, KeyError> {
        let wrong = || KeyError { text: text.to_owned() };
        let (shop, rest) = text.split_once('/').ok_or_else(wrong)?;
        let (kind, name) = rest.split_once(':').ok_or_else(wrong)?;
        let kind = match kind {
            "anonymous" => NameKind::Anonymous,
            "phone" => NameKind::Phone,
            "email" => NameKind::Email,
            "user" => NameKind::User,
            _ => return Err(wrong()),
        };
        Self::new(shop, kind, name)
    }
}

impl TryFrom<String> for CustomerKey {
    type Error = KeyError;

    fn try_from(text: String) -> Result<Self, KeyError> {
        text.parse()
    }
}

impl From<CustomerKey> for String {
    fn from(key: CustomerKey) -> Self {
        key.text
    }
}

impl fmt::Display for CustomerKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.text)
    }
}

impl fmt::Debug for CustomerKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_reads_back_what_it_was_made_of() {
        let key = CustomerKey::new("acme", NameKind::User, "a:b/c").unwrap();
        assert_eq!((key.shop(), key.kind(), key.name()), ("acme", NameKind::User, "a:b/c"));
        assert_eq!(key.as_str().parse::<CustomerKey>().unwrap(), key);
        for wrong in ["acme", "acme/user", "acme/user:", "/user:1", "acme/person:1", "acme/user:a\nb"] {
            assert!(wrong.parse::<CustomerKey>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn stronger_names_claim_weaker_ones_and_equals_go_by_text() {
        let key = |text: &str| text.parse::<CustomerKey>().unwrap();
        assert!(key("a/user:1").outranks(&key("a/phone:9")));
        assert!(key("a/phone:1").outranks(&key("a/anonymous:9")));
        assert!(key("a/phone:1").outranks(&key("a/email:9")) && !key("a/email:9").outranks(&key("a/phone:1")));
        assert!(!key("a/user:1").outranks(&key("a/user:1")));
    }
}
