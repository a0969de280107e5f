//! Sealed opt-out tokens: the customer's way out, in the link itself, without a table to look it up in.
//!
//! A token is the encrypted shop, channel and address, in the letters that a link may have. It cannot be made, read or
//! changed without the key, and the same customer always has the same token, so that a retried message is the same
//! message. Encryption is AES-SIV (RFC 5297), which is made for exactly that: deterministic, authenticated, and safe
//! without a nonce.
//!
//! A token never expires: an old message must still let its reader out.

use std::fmt;

use aes_siv::KeyInit;
use aes_siv::siv::Aes128Siv;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, Mac};
use sha2::Sha256;

/// What a customer leaves by a link.
#[derive(Clone, PartialEq, Eq)]
pub struct OptOut {
    /// The shop's id.
    pub shop: String,
    /// The channel's name, such as `sms`.
    pub channel: String,
    /// Where messages went to: a number in E.164, or an address.
    pub address: String,
}

/// Without the address, which is personal.
impl fmt::Debug for OptOut {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "OptOut({}, {}, address hidden)", self.shop, self.channel)
    }
}

/// Why a token does not open.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    /// It was not made with this key, or was changed or cut on its way.
    #[error("not an opt-out token of this key")]
    NotOurs,
    /// A shop or channel has more than 255 bytes, or the address more than 1,000.
    #[error("too long for an opt-out token")]
    TooLong,
    /// The secret has fewer than 16 bytes.
    #[error("the secret of opt-out links is too short; it takes at least 16 characters, such as the output of `openssl rand -hex 32`")]
    WeakSecret,
}

/// The key that opt-out tokens are sealed with. Prints nothing of itself.
#[derive(Clone)]
pub struct SealKey([u8; 32]);

/// The form of the content; another one is another first byte.
const VERSION: u8 = 1;

/// Sets these tokens apart from anything else that the same secret might seal.
const PURPOSE: &[u8] = b"cartwheel opt-out 1";

/// The longest address; e-mail addresses have at most 254 bytes.
const LONGEST_ADDRESS: usize = 1_000;

impl SealKey {
    /// The key of a secret text, by HMAC-SHA-256 with the purpose.
    ///
    /// # Errors
    ///
    /// [`SealError::WeakSecret`] for a secret that could be guessed.
    pub fn from_secret(secret: &str) -> Result<SealKey, SealError> {
        if secret.len() < 16 {
            return Err(SealError::WeakSecret);
        }
        let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).map_err(|_| SealError::WeakSecret)?;
        mac.update(PURPOSE);
        Ok(SealKey(mac.finalize().into_bytes().into()))
    }

    /// The token of an opt-out: letters, digits, `-` and `_`, about 60 of them for a telephone number.
    ///
    /// # Errors
    ///
    /// [`SealError::TooLong`].
    pub fn seal(&self, opt_out: &OptOut) -> Result<String, SealError> {
        let mut content = vec![VERSION];
        for name in [&opt_out.shop, &opt_out.channel] {
            content.push(u8::try_from(name.len()).map_err(|_| SealError::TooLong)?);
            content.extend_from_slice(name.as_bytes());
        }
        if opt_out.address.len() > LONGEST_ADDRESS {
            return Err(SealError::TooLong);
        }
        content.extend_from_slice(opt_out.address.as_bytes());
        let sealed = self.cipher().encrypt([PURPOSE], &content).map_err(|_| SealError::TooLong)?;
        Ok(URL_SAFE_NO_PAD.encode(sealed))
    }

    /// What a token says.
    ///
    /// # Errors
    ///
    /// [`SealError::NotOurs`] for anything that [`seal`](SealKey::seal) did not make with this key.
    pub fn open(&self, token: &str) -> Result<OptOut, SealError> {
        let sealed = URL_SAFE_NO_PAD.decode(token.trim()).map_err(|_| SealError::NotOurs)?;
        let content = self.cipher().decrypt([PURPOSE], &sealed).map_err(|_| SealError::NotOurs)?;
        let rest = content.strip_prefix(&[VERSION]).ok_or(SealError::NotOurs)?;
        let (shop, rest) = named(rest)?;
        let (channel, rest) = named(rest)?;
        Ok(OptOut { shop, channel, address: text(rest)? })
    }

    fn cipher(&self) -> Aes128Siv {
        Aes128Siv::new(&self.0.into())
    }
}

fn named(content: &[u8]) -> Result<(String, &[u8]), SealError> {
    let (length, rest) = content.split_first().ok_or(SealError::NotOurs)?;
    let (name, rest) = rest.split_at_checked(usize::from(*length)).ok_or(SealError::NotOurs)?;
    Ok((text(name)?, rest))
}

fn text(bytes: &[u8]) -> Result<String, SealError> {
    String::from_utf8(bytes.to_vec()).map_err(|_| SealError::NotOurs)
}

impl fmt::Debug for SealKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("SealKey(***)")
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn opt_out() -> OptOut {
        OptOut { shop: "hollow-oak".to_owned(), channel: "sms".to_owned(), address: "+447400123456".to_owned() }
    }

    fn key() -> SealKey {
        SealKey::from_secret("0123456789abcdef0123456789abcdef").unwrap()
    }

    #[test]
    fn r68_a_sealed_opt_out_is_always_the_same_and_opens_to_what_was_sealed() {
        let token = key().seal(&opt_out()).unwrap();
        assert_eq!(token, key().seal(&opt_out()).unwrap());
        assert_eq!(key().open(&token).unwrap(), opt_out());
        assert!(token.len() < 64 && !token.contains("447400"), "{} characters", token.len());
        assert!(token.bytes().all(|letter| letter.is_ascii_alphanumeric() || b"-_".contains(&letter)));
        // Links in customers' hands must open for ever: this token was made by the first version.
        assert_eq!(token, "zchWXvg19g5amrbGJstpVBksYLHYquebHb3Wr48It1EgrB1ZfHYINt7BLA2k");
    }

    #[test]
    fn r68_another_key_or_a_changed_token_opens_nothing() {
        let token = key().seal(&opt_out()).unwrap();
        let other = SealKey::from_secret("another secret of some length").unwrap();
        assert_eq!(other.open(&token), Err(SealError::NotOurs));
        for position in 0..token.len() {
            let mut changed = token.clone().into_bytes();
            changed[position] = if changed[position] == b'A' { b'B' } else { b'A' };
            assert_eq!(key().open(&String::from_utf8(changed).unwrap()), Err(SealError::NotOurs), "{position}");
            assert_eq!(key().open(&token[..position]), Err(SealError::NotOurs), "{position}");
        }
        assert_eq!(SealKey::from_secret("short").unwrap_err(), SealError::WeakSecret);
        assert_eq!(key().seal(&OptOut { shop: "x".repeat(256), ..opt_out() }), Err(SealError::TooLong));
        assert!(!format!("{:?} {:?}", key(), opt_out()).contains("4474"));
    }

    proptest! {
        #[test]
        fn r68_whatever_is_sealed_opens_and_whatever_else_does_not_panic(
            shop in "\\PC{0,60}", channel in "[a-z]{0,9}", address in "\\PC{0,100}", garbage in "\\PC{0,80}",
        ) {
            let opt_out = OptOut { shop, channel, address };
            let token = key().seal(&opt_out).unwrap();
            prop_assert_eq!(key().open(&token).unwrap(), opt_out);
            prop_assert!(key().open(&garbage).is_err());
        }
    }
}
