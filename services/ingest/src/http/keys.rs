//! Keys that requests carry, and whom they stand for.

use std::collections::BTreeMap;

use axum::http::{HeaderMap, header};
use base64::{Engine, engine::general_purpose::STANDARD};
use cartwheel_runtime::config::Secret;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use crate::convert::segment::Authority;

/// The keys of an installation.
#[derive(Clone)]
pub(crate) struct Keys(Vec<Key>);

#[derive(Clone)]
struct Key {
    name: String,
    authority: Authority,
    digest: [u8; 32],
}

/// A key that a request proved to hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Held {
    /// The name by which shop files know it.
    pub(crate) name: String,
    /// What it may say.
    pub(crate) authority: Authority,
}

impl Keys {
    /// These keys.
    pub(crate) fn new(secret: &BTreeMap<String, Secret>, browser: &BTreeMap<String, Secret>) -> Self {
        let keys = [(secret, Authority::Secret), (browser, Authority::Browser)];
        let all = keys.into_iter().flat_map(|(table, authority)| {
            table.iter().map(move |(name, secret)| Key { name: name.clone(), authority, digest: Sha256::digest(secret.expose()).into() })
        });
        Self(all.collect())
    }

    /// The key that this text is. Looks at all keys, and at all bytes of each, whatever it finds.
    pub(crate) fn held(&self, presented: &str) -> Option<Held> {
        let digest = <[u8; 32]>::from(Sha256::digest(presented));
        let mut found = None;
        for key in &self.0 {
            if bool::from(key.digest.ct_eq(&digest)) {
                found = Some(Held { name: key.name.clone(), authority: key.authority });
            }
        }
        found
    }
}

/// The key that a request's head carries: as the user of Basic, as a bearer's token, or in `X-Write-Key`, there also behind an id.
pub(crate) fn in_head(headers: &HeaderMap) -> Vec<String> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).map(str::trim);
    if let Some(authorization) = text(header::AUTHORIZATION.as_str()) {
        let (scheme, credentials) = authorization.split_once(' ').unwrap_or((authorization, ""));
        if scheme.eq_ignore_ascii_case("bearer") {
            return vec![credentials.trim().to_owned()];
        }
        if scheme.eq_ignore_ascii_case("basic") {
            let decoded = STANDARD.decode(credentials.trim()).ok().and_then(|bytes| String::from_utf8(bytes).ok());
            return decoded.map(|pair| pair.split_once(':').map_or(pair.clone(), |(user, _)| user.to_owned())).into_iter().collect();
        }
    }
    match text("x-write-key") {
        Some(key) => key.split_once(':').map(|(_, secret)| secret.to_owned()).into_iter().chain([key.to_owned()]).collect(),
        None => Vec::new(),
    }
}
