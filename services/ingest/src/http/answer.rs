//! Answers: JSON `{code, message}` for every refusal, with the status that clients' retries go by.

use axum::{
    Json,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde_json::json;

use crate::refusal::{Code, Refusal};

/// How long a client should wait where nothing better is known, in seconds.
const RETRY_AFTER: &str = "5";

/// The status of a refusal. Clients of the Segment form send again after 408, 429 and 5xx only.
pub(crate) fn status(code: Code) -> StatusCode {
    match code {
        Code::Unauthorized => StatusCode::UNAUTHORIZED,
        Code::BadSignature | Code::NotAllowed => StatusCode::FORBIDDEN,
        Code::NotFound => StatusCode::NOT_FOUND,
        Code::WrongMethod => StatusCode::METHOD_NOT_ALLOWED,
        Code::Slow => StatusCode::REQUEST_TIMEOUT,
        Code::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        Code::UnsupportedMedia => StatusCode::UNSUPPORTED_MEDIA_TYPE,
        Code::OverQuota | Code::TooManyOfCustomer => StatusCode::TOO_MANY_REQUESTS,
        Code::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        _ => StatusCode::BAD_REQUEST,
    }
}

/// The answer of a refusal.
pub(crate) fn refused(refusal: &Refusal) -> Response {
    let mut response = (status(refusal.code), Json(json!({ "code": refusal.code.as_str(), "message": refusal.message }))).into_response();
    if matches!(refusal.code, Code::Unavailable | Code::OverQuota | Code::TooManyOfCustomer) {
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static(RETRY_AFTER));
    }
    if refusal.code == Code::Unauthorized {
        response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Basic realm=\"events\""));
    }
    response
}

/// Says in whole seconds when to come again.
pub(crate) fn after(mut response: Response, wait: std::time::Duration) -> Response {
    let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
    response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds.max(1)));
    response
}
