//! What providers report: receipts of messages, and messages from customers. In Twilio's form.
//!
//! - `POST /callbacks/{provider}/status?s=<shop>&m=<message id>&c=<customer key>`: the address that the dispatcher gave with the message;
//! - `POST /callbacks/{provider}/inbound`: the address that is set for the number at the provider.
//!
//! Both are taken only with the provider's signature over the configured public URL, never over what forwarded headers say. A repeat
//! has the same id and counts once (R36). The answer is an empty TwiML document: nothing is sent back from here.

mod inbound;
pub mod keywords;
pub mod signature;
mod status;

use axum::{
    extract::{Path, Request, State},
    http::header,
    response::{IntoResponse, Response},
};
use cartwheel_engine::input::Input;
use cartwheel_wire::DeadLetterSource;

use self::signature::Posted;
use crate::{
    config::{ProviderConfig, same_name},
    http::{Edge, Shared, body},
    intake::SetAside,
    metrics::Way,
    refusal::{Code, Refusal},
};

/// The largest form, in bytes: the longest message of 1,600 letters with all of the provider's fields is a tenth of it.
const FORM_BYTES: usize = 64 * 1024;

/// Where the signature stands.
const SIGNATURE: &str = "x-twilio-signature";

/// A form whose signature is right.
struct Signed {
    provider: String,
    settings: ProviderConfig,
    path: String,
    query: Vec<(String, String)>,
    fields: Vec<(String, String)>,
    bytes: bytes::Bytes,
}

impl Signed {
    fn field(&self, name: &str) -> Option<&str> {
        find(&self.fields, name)
    }

    fn queried(&self, name: &str) -> Option<&str> {
        find(&self.query, name)
    }

    /// The provider's id of the message that it is about.
    fn sid(&self) -> Result<&str, Refusal> {
        let sid = self.field("MessageSid").or_else(|| self.field("SmsSid")).filter(|sid| sid.len() <= 64);
        sid.ok_or_else(|| Refusal::new(Code::BadName, "the form has no MessageSid"))
    }
}

fn find<'a>(pairs: &'a [(String, String)], wanted: &str) -> Option<&'a str> {
    pairs.iter().find(|(name, _)| name == wanted).map(|(_, value)| value.as_str()).filter(|value| !value.is_empty())
}

/// Takes a receipt.
pub(crate) async fn status(State(edge): Shared, Path(provider): Path<String>, request: Request) -> Response {
    let signed = match read(&edge, &provider, request).await {
        Ok(signed) => signed,
        Err(refusal) => return edge.refuse(Way::Callback, &refusal),
    };
    let told = status::inputs(&signed, &edge.pseudonyms, edge.clock.now());
    finish(&edge, &signed, told).await
}

/// Takes a customer's message.
pub(crate) async fn inbound(State(edge): Shared, Path(provider): Path<String>, request: Request) -> Response {
    let signed = match read(&edge, &provider, request).await {
        Ok(signed) => signed,
        Err(refusal) => return edge.refuse(Way::Callback, &refusal),
    };
    let shops = edge.shops.snapshot();
    if shops.is_empty() {
        return edge.refuse(Way::Callback, &Refusal::new(Code::Unavailable, "the shops are not known yet; send it again"));
    }
    let told = inbound::inputs(&signed, &shops, &edge.pseudonyms, edge.clock.now());
    finish(&edge, &signed, told).await
}

async fn read(edge: &Edge, provider: &str, request: Request) -> Result<Signed, Refusal> {
    let Some((name, settings)) = edge.providers.iter().find(|(name, _)| same_name(name, provider)) else {
        return Err(Refusal::new(Code::NotFound, "no provider of this name is configured in [ingest.providers]"));
    };
    let (head, content) = request.into_parts();
    let bytes = body::read(&head.headers, content, FORM_BYTES, edge.config.body_timeout).await?;
    let is_form =
        head.headers.get(header::CONTENT_TYPE).is_some_and(|kind| kind.as_bytes().starts_with(b"application/x-www-form-urlencoded"));
    let fields: Vec<(String, String)> = if is_form { url::form_urlencoded::parse(&bytes).into_owned().collect() } else { Vec::new() };
    let path_and_query = head.uri.path_and_query().map_or("/", |part| part.as_str());
    let url = format!("{}{path_and_query}", edge.config.public_url.trim_end_matches('/'));
    let signature = head.headers.get(SIGNATURE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let posted = if is_form { Posted::Form(&fields) } else { Posted::Bytes(&bytes) };
    if !signature::is_right(settings.auth_token.expose(), &url, posted, signature) {
        let message = "the signature is missing or is not that of this URL; check auth_token and ingest.http.public_url";
        return Err(Refusal::new(Code::BadSignature, message));
    }
    let query = url::form_urlencoded::parse(head.uri.query().unwrap_or_default().as_bytes()).into_owned().collect();
    Ok(Signed { provider: name.clone(), settings: settings.clone(), path: head.uri.path().to_owned(), query, fields, bytes })
}

/// Appends what was told. What is signed and not understood goes to the dead letters: to refuse it would only make the provider
/// raise an alarm on its side.
async fn finish(edge: &Edge, signed: &Signed, told: Result<Vec<Input>, Refusal>) -> Response {
    let (inputs, aside) = match told {
        Ok(inputs) => (inputs, Vec::new()),
        Err(refusal) => {
            edge.metrics.refused(Way::Callback, refusal.code);
            let source = DeadLetterSource::Http { endpoint: signed.path.clone() };
            (Vec::new(), vec![SetAside { source, shop: None, refusal, bytes: signed.bytes.clone() }])
        }
    };
    match edge.append(Way::Callback, inputs, aside).await {
        Ok(()) => ([(header::CONTENT_TYPE, "text/xml; charset=utf-8")], "<?xml version=\"1.0\" encoding=\"UTF-8\"?><Response></Response>")
            .into_response(),
        Err(unavailable) => unavailable,
    }
}
