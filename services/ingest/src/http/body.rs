//! Bodies: read within a time and a size, unpacked within the same size, whatever they claim to be.

use std::{io::Read, time::Duration};

use axum::{
    body::Body,
    http::{HeaderMap, header},
};
use bytes::Bytes;
use flate2::read::MultiGzDecoder;
use http_body_util::BodyExt;

use crate::refusal::{Code, Refusal};

/// How much of a body that is too large is read and thrown away, in bytes, so that a client that is still writing lives to read the
/// answer: closing on it would reset the connection, answer included. Larger ones are cut off.
const DISCARDED_BYTES: usize = 16 * 1024 * 1024;

/// Reads a body of at most `limit` bytes, before and after unpacking.
///
/// # Errors
/// When it is larger, does not come within `patience`, breaks off, or is packed in a way that is not served.
pub(crate) async fn read(headers: &HeaderMap, body: Body, limit: usize, patience: Duration) -> Result<Bytes, Refusal> {
    let packed = match headers.get(header::CONTENT_ENCODING).map(|value| value.as_bytes().to_ascii_lowercase()) {
        None => false,
        Some(encoding) if encoding == b"identity" || encoding.is_empty() => false,
        Some(encoding) if encoding == b"gzip" || encoding == b"x-gzip" => true,
        Some(_) => return Err(Refusal::new(Code::UnsupportedMedia, "the content encoding must be gzip or none")),
    };
    let too_large = || Refusal::new(Code::TooLarge, format!("the body is larger than {limit} bytes; send smaller batches"));
    let claimed = headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<usize>().ok());
    if claimed.is_some_and(|claimed| claimed > DISCARDED_BYTES || (claimed > limit && headers.contains_key(header::EXPECT))) {
        return Err(too_large());
    }
    let bytes = match tokio::time::timeout(patience, collect(body, limit)).await {
        Ok(Ok(Some(bytes))) => bytes,
        Ok(Ok(None)) => return Err(too_large()),
        Ok(Err(_)) => return Err(Refusal::new(Code::NotJson, "the body broke off")),
        Err(_) => return Err(Refusal::new(Code::Slow, "the body did not come in time; send smaller batches")),
    };
    if !packed {
        return Ok(bytes);
    }
    let mut unpacked = Vec::with_capacity(bytes.len().saturating_mul(4).min(limit));
    let one_more = limit as u64 + 1;
    match MultiGzDecoder::new(&bytes[..]).take(one_more).read_to_end(&mut unpacked) {
        Ok(_) if unpacked.len() > limit => Err(too_large()),
        Ok(_) => Ok(unpacked.into()),
        Err(_) => Err(Refusal::new(Code::NotJson, "the body is not gzip as its content encoding says")),
    }
}

/// The body, or none if it has more than `limit` bytes; never keeps more than that.
async fn collect(mut body: Body, limit: usize) -> Result<Option<Bytes>, axum::Error> {
    let (mut kept, mut seen) = (Vec::new(), 0_usize);
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame?.into_data() else { continue };
        seen = seen.saturating_add(data.len());
        if seen > DISCARDED_BYTES {
            break;
        }
        if seen <= limit {
            kept.extend_from_slice(&data);
        } else {
            kept = Vec::new();
        }
    }
    Ok((seen <= limit).then(|| kept.into()))
}

/// Refuses content types that are not JSON under one of the names that clients give it.
///
/// # Errors
/// For all others, CloudEvents among them.
pub(crate) fn is_json(headers: &HeaderMap) -> Result<(), Refusal> {
    let Some(content_type) = headers.get(header::CONTENT_TYPE) else { return Ok(()) };
    let essence = content_type.to_str().unwrap_or_default().split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    match essence.as_str() {
        // Browsers send JSON as text to spare the preflight; one client labels it as a form.
        "" | "application/json" | "text/json" | "text/plain" | "application/x-www-form-urlencoded" => Ok(()),
        _ => Err(Refusal::new(Code::UnsupportedMedia, "the content type must be application/json")),
    }
}
