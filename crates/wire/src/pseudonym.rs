//! Names of people that may stand in keys: phone numbers and e-mail addresses as keyed hashes.
//!
//! A customer key is in every record, in logs of brokers and in tools, so it must not hold a number or an address. The hash is
//! HMAC-SHA-256 (RFC 2104) with a secret of the installation, cut to 128 bits and written in lower-case hexadecimal; kind and shop
//! are part of the message, so that nobody can tell that two shops know the same person. Who writes keys (ingest) and who looks
//! customers up (`cartwheel explain`) must hold the same secret; with another one every number has another home.

use cartwheel_engine::key::{CustomerKey, KeyError, NameKind};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

/// The shortest secret, in bytes: 128 bits written in hexadecimal.
pub const SHORTEST_SECRET: usize = 32;

/// What the hash is about, before all else in the message: the same secret used elsewhere gives other hashes.
const DOMAIN: &[u8] = b"cartwheel/pseudonym/1";

/// Turns phone numbers and e-mail addresses into keys of their homes on the log.
#[derive(Clone)]
pub struct Pseudonyms(Hmac<Sha256>);

/// The secret is too short to keep numbers from being guessed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("secret for pseudonyms has {length} bytes; give at least {SHORTEST_SECRET} random ones, such as those of `openssl rand -hex 32`")]
pub struct SecretTooShort {
    length: usize,
}

impl Pseudonyms {
    /// Pseudonyms under the installation's secret.
    ///
    /// # Errors
    /// When the secret is shorter than [`SHORTEST_SECRET`].
    pub fn new(secret: &str) -> Result<Self, SecretTooShort> {
        let too_short = SecretTooShort { length: secret.len() };
        if secret.len() < SHORTEST_SECRET {
            return Err(too_short);
        }
        Hmac::new_from_slice(secret.as_bytes()).map(Self).map_err(|_| too_short)
    }

    /// The home of a phone number, given in E.164 (`+447400123456`).
    ///
    /// # Errors
    /// When the shop's id cannot stand in a key.
    pub fn phone(&self, shop: &str, e164: &str) -> Result<CustomerKey, KeyError> {
        self.key(shop, NameKind::Phone, e164)
    }

    /// The home of an e-mail address. Letters' case and space around it make no difference: few mail hosts tell them apart, and
    /// people do not.
    ///
    /// # Errors
    /// When the shop's id cannot stand in a key.
    pub fn email(&self, shop: &str, address: &str) -> Result<CustomerKey, KeyError> {
        self.key(shop, NameKind::Email, &address.trim().to_lowercase())
    }

    fn key(&self, shop: &str, kind: NameKind, name: &str) -> Result<CustomerKey, KeyError> {
        let mut mac = self.0.clone();
        for part in [DOMAIN, kind.as_str().as_bytes(), shop.as_bytes(), name.as_bytes()] {
            mac.update(&(part.len() as u64).to_be_bytes());
            mac.update(part);
        }
        let hash: String = mac.finalize().into_bytes()[..16].iter().map(|byte| format!("{byte:02x}")).collect();
        CustomerKey::new(shop, kind, &hash)
    }
}

/// The secret stays hidden.
impl std::fmt::Debug for Pseudonyms {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Pseudonyms(***)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "0123456789abcdef0123456789abcdef";

    #[test]
    fn a_number_gets_one_home_per_shop_kind_and_secret_and_does_not_show_in_it() {
        let pseudonyms = Pseudonyms::new(SECRET).unwrap();
        let home = pseudonyms.phone("acme", "+447400123456").unwrap();
        assert_eq!(home, pseudonyms.phone("acme", "+447400123456").unwrap());
        assert_eq!((home.kind(), home.name().len()), (NameKind::Phone, 32));
        assert!(!home.as_str().contains("7400"));
        let other = Pseudonyms::new("another secret of thirty-two bytes").unwrap();
        let others = [
            pseudonyms.phone("acme", "+447400123457").unwrap(),
            pseudonyms.phone("acm", "+447400123456").unwrap(),
            pseudonyms.email("acme", "+447400123456").unwrap(),
            other.phone("acme", "+447400123456").unwrap(),
        ];
        assert!(others.iter().all(|key| key.name() != home.name()), "{others:?}");
    }

    #[test]
    fn the_home_of_a_number_does_not_change_from_version_to_version() {
        // Computed apart with Python's hmac module; another value here would strand every opt-out that was ever stored.
        let home = Pseudonyms::new(SECRET).unwrap().phone("acme", "+447400123456").unwrap();
        assert_eq!(home.as_str(), "acme/phone:409efba4cc00dda97570abeb97dbdc98");
    }

    #[test]
    fn an_address_is_the_same_in_capitals() {
        let pseudonyms = Pseudonyms::new(SECRET).unwrap();
        assert_eq!(pseudonyms.email("acme", " Ann@Example.COM").unwrap(), pseudonyms.email("acme", "ann@example.com").unwrap());
    }

    #[test]
    fn a_short_secret_is_refused() {
        assert!(Pseudonyms::new("short").is_err());
        assert!(!format!("{:?}", Pseudonyms::new(SECRET).unwrap()).contains("0123"));
    }
}
