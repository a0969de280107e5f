//! `X-Twilio-Signature`: proves that a callback comes from who holds the account's token.
//!
//! Rule of Twilio (<https://www.twilio.com/docs/usage/webhooks/webhooks-security>): HMAC-SHA1 with the auth token over the whole URL as
//! the provider was told it, then for a form the names and values of its fields, sorted by name, without separators; of a name that
//! repeats, its distinct values sorted. For another body the URL's query names its SHA-256 as `bodySHA256`. Some proxies add or drop
//! the default port, so a signature over the URL with or without its port counts.

use base64::{Engine, engine::general_purpose::STANDARD};
use hmac::{Hmac, KeyInit, Mac};
use sha1::Sha1;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use url::Url;

/// What was posted.
#[derive(Clone, Copy, Debug)]
pub enum Posted<'a> {
    /// The fields of a form, in any order.
    Form(&'a [(String, String)]),
    /// Any other body.
    Bytes(&'a [u8]),
}

/// Whether `signature` is that of the request to `url`, the configured public address with the request's own path and query. Takes
/// as long for a wrong signature as for a right one.
pub fn is_right(token: &str, url: &str, posted: Posted<'_>, signature: &str) -> bool {
    let Ok(signature) = STANDARD.decode(signature) else { return false };
    let Ok(parsed) = Url::parse(url) else { return false };
    let fields = match posted {
        Posted::Form(fields) => joined(fields),
        Posted::Bytes(bytes) => {
            let named = parsed.query_pairs().find(|(name, _)| name == "bodySHA256").map(|(_, hash)| hash.into_owned());
            let found: String = Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect();
            if !named.is_some_and(|named| bool::from(named.to_lowercase().as_bytes().ct_eq(found.as_bytes()))) {
                return false;
            }
            String::new()
        }
    };
    let [bare, with_port] = with_and_without_port(url, &parsed);
    [url, bare.as_str(), with_port.as_str()].iter().fold(false, |right, url| right | signed(token, url, &fields, &signature))
}

/// Signs a form as the provider does: for who plays the provider, in a demo or a test.
pub fn sign(token: &str, url: &str, fields: &[(String, String)]) -> String {
    let Ok(mut mac) = Hmac::<Sha1>::new_from_slice(token.as_bytes()) else { return String::new() };
    mac.update(url.as_bytes());
    mac.update(joined(fields).as_bytes());
    STANDARD.encode(mac.finalize().into_bytes())
}

fn signed(token: &str, url: &str, fields: &str, signature: &[u8]) -> bool {
    let Ok(mut mac) = Hmac::<Sha1>::new_from_slice(token.as_bytes()) else { return false };
    mac.update(url.as_bytes());
    mac.update(fields.as_bytes());
    mac.verify_slice(signature).is_ok()
}

fn joined(fields: &[(String, String)]) -> String {
    let mut sorted: Vec<&(String, String)> = fields.iter().collect();
    sorted.sort();
    sorted.dedup();
    // The name of a field that repeats stands before each of its values.
    sorted.into_iter().flat_map(|(name, value)| [name.as_str(), value.as_str()]).collect()
}

/// The URL without its port, and with it, written as it came but for the port.
fn with_and_without_port(url: &str, parsed: &Url) -> [String; 2] {
    let Some((scheme, rest)) = url.split_once("://") else { return [url.to_owned(), url.to_owned()] };
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at(end);
    let host = match authority.rsplit_once(':') {
        Some((host, port)) if !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit()) => host,
        _ => authority,
    };
    let port = parsed.port_or_known_default().unwrap_or(443);
    [format!("{scheme}://{host}{path}"), format!("{scheme}://{host}:{port}{path}")]
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Deserialize)]
    struct Vectors {
        auth_token: String,
        vectors: Vec<Vector>,
    }

    #[derive(Deserialize)]
    struct Vector {
        url: String,
        #[serde(default)]
        params: Vec<(String, String)>,
        same_params_as: Option<usize>,
        raw_body: Option<String>,
        signature: String,
    }

    fn vectors() -> Vectors {
        serde_json::from_str(include_str!("../../tests/vectors/twilio_signature.json")).unwrap()
    }

    #[test]
    fn the_providers_own_cases_are_right_and_any_change_to_them_is_wrong() {
        let Vectors { auth_token, vectors } = vectors();
        for vector in &vectors {
            let params = vector.same_params_as.map_or(&vector.params, |index| &vectors[index].params);
            let posted = vector.raw_body.as_ref().map_or(Posted::Form(params), |body| Posted::Bytes(body.as_bytes()));
            assert!(is_right(&auth_token, &vector.url, posted, &vector.signature), "{}", vector.url);

            assert!(!is_right("12346", &vector.url, posted, &vector.signature));
            assert!(!is_right(&auth_token, &vector.url.replace("foo=1", "foo=2"), posted, &vector.signature));
            assert!(!is_right(&auth_token, &vector.url, posted, "RSOYDt4T1cUTdK1PDd93/VVr8B9="));
            assert!(!is_right(&auth_token, &vector.url, posted, ""));
            let mut more = params.clone();
            more.push(("Body".to_owned(), "STOP".to_owned()));
            let changed = if vector.raw_body.is_some() { Posted::Bytes(b"{}") } else { Posted::Form(&more) };
            assert!(!is_right(&auth_token, &vector.url, changed, &vector.signature), "{}", vector.url);
        }
        assert_eq!(vectors.len(), 7);
    }

    #[test]
    fn a_body_that_is_no_form_needs_its_hash_in_the_signed_url() {
        let url = "https://mycompany.com/myapp.php";
        let signature = sign("12345", url, &[]);
        assert!(is_right("12345", url, Posted::Form(&[]), &signature));
        assert!(!is_right("12345", url, Posted::Bytes(b""), &signature));
    }
}
