//! The events API in the Segment form, under the paths that its clients and their kin really use.

use axum::{
    Json,
    extract::{Request, State},
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use cartwheel_engine::input::Input;
use cartwheel_wire::DeadLetterSource;
use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::{
    Edge, Shared, answer, body,
    keys::{self, Held},
};
use crate::{
    config::same_name,
    convert::{
        limits,
        segment::{Arrival, Kind, convert},
        times,
    },
    intake::SetAside,
    metrics::Way,
    refusal::{Code, Refusal},
    shops::KeyOwner,
};

/// What a path takes.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Taken {
    /// One message of this type.
    One(&'static str),
    /// Several, each with its type.
    Batch,
}

/// Paths and what they take: Segment's, the short ones of its browser client, Jitsu's.
pub(crate) const PATHS: &[(&[&str], Taken)] = &[
    (&["/v1/track", "/v1/t", "/api/s/track"], Taken::One("track")),
    (&["/v1/identify", "/v1/i", "/api/s/identify"], Taken::One("identify")),
    (&["/v1/page", "/v1/p", "/api/s/page"], Taken::One("page")),
    (&["/v1/screen", "/v1/s"], Taken::One("screen")),
    (&["/v1/group", "/v1/g", "/api/s/group"], Taken::One("group")),
    (&["/v1/alias", "/v1/a"], Taken::One("alias")),
    (&["/v1/batch", "/v1/b", "/v1/import"], Taken::Batch),
];

type Message = Map<String, Value>;

/// Takes a request and answers it.
pub(crate) async fn take(State(edge): Shared, what: Taken, request: Request) -> Response {
    let received = edge.clock.now();
    let (head, content) = request.into_parts();
    let request = match read(&edge, &head.headers, content).await {
        Ok(request) => request,
        Err(refusal) => return edge.refuse(Way::Http, &refusal),
    };
    let _working = edge.working.acquire().await;
    let Read { message, held, owner } = request;
    let (batch, sent) = match what {
        Taken::One(word) => (vec![(Kind::of_word(word), message)], None),
        Taken::Batch => match unpack(message) {
            Ok(batch) => batch,
            Err(refusal) => return edge.refuse(Way::Http, &refusal),
        },
    };
    if let Err(wait) = edge.quotas.take(&held.name, batch.len(), received) {
        let refusal = Refusal::new(Code::OverQuota, "this key has sent more events than its quota; send them again later");
        return answer::after(edge.refuse(Way::Http, &refusal), wait);
    }
    let verdicts = judge(&edge, batch, sent, received, &held, &owner);
    match what {
        Taken::One(_) => answer_one(&edge, verdicts).await,
        Taken::Batch => answer_batch(&edge, verdicts, head.uri.path(), &owner).await,
    }
}

/// A request that may be looked at.
struct Read {
    message: Message,
    held: Held,
    owner: KeyOwner,
}

async fn read(edge: &Edge, headers: &HeaderMap, content: axum::body::Body) -> Result<Read, Refusal> {
    body::is_json(headers)?;
    let presented = keys::in_head(headers);
    let mut held = presented.iter().find_map(|key| edge.keys.held(key));
    if held.is_none() && !presented.is_empty() {
        return Err(unauthorized());
    }
    let bytes = body::read(headers, content, limits::BATCH_BYTES, edge.config.body_timeout).await?;
    let message = parse(&bytes)?;
    if held.is_none() {
        held = message.get("writeKey").and_then(Value::as_str).and_then(|key| edge.keys.held(key));
    }
    let held = held.ok_or_else(unauthorized)?;
    let owner = edge.shops.owner_of_key(|name| same_name(name, &held.name)).ok_or_else(|| {
        if edge.shops.snapshot().is_empty() {
            return Refusal::new(Code::Unavailable, "the shops are not known yet, or none has applied anything; send it again");
        }
        let message = "no shop, or more than one, names this key as sources.<name>.http.write_key in its applied shop.yaml";
        Refusal::new(Code::Unauthorized, message)
    })?;
    Ok(Read { message, held, owner })
}

fn unauthorized() -> Refusal {
    Refusal::new(Code::Unauthorized, "the write key is missing or unknown; send it as the user of basic authentication")
}

/// An object of JSON. Deep nesting ends the parser, not the process: it gives up at 128 levels.
fn parse(bytes: &[u8]) -> Result<Message, Refusal> {
    match serde_json::from_slice::<Value>(bytes) {
        Ok(Value::Object(message)) => Ok(message),
        Ok(_) => Err(Refusal::new(Code::WrongType, "the body must be a JSON object")),
        Err(error) => Err(Refusal::new(
            Code::NotJson,
            format!("the body is no JSON that can be read: {} at line {} column {}", word(&error), error.line(), error.column()),
        )),
    }
}

/// What sort of mistake it is; the parser's own words may quote the body.
fn word(error: &serde_json::Error) -> &'static str {
    match error.classify() {
        serde_json::error::Category::Eof => "it ends too early",
        _ => "wrong syntax, invalid UTF-8, a number out of range, or too deep",
    }
}

type Unpacked = (Vec<(Result<Kind, Refusal>, Message)>, Option<Timestamp>);

/// The messages of a batch with the context that they share, and when it was sent.
fn unpack(mut body: Message) -> Result<Unpacked, Refusal> {
    let Some(Value::Array(list)) = body.remove("batch") else {
        return Err(Refusal::new(Code::WrongType, "a batch must be an object with a list `batch`"));
    };
    if list.len() > limits::BATCH_MESSAGES {
        return Err(Refusal::new(
            Code::TooMany,
            format!("a batch has {} messages; at most {} are taken", list.len(), limits::BATCH_MESSAGES),
        ));
    }
    let sent = body.get("sentAt").and_then(Value::as_str).map(times::parse).transpose()?;
    let shared = match body.remove("context") {
        Some(Value::Object(context)) => context,
        _ => Map::new(),
    };
    let messages = list.into_iter().map(|message| {
        let Value::Object(mut message) = message else {
            let refusal = Refusal::new(Code::WrongType, "a message of a batch must be an object");
            return (Err(refusal), Map::from_iter([("message".to_owned(), message)]));
        };
        if !shared.is_empty() {
            let own = message.entry("context").or_insert_with(|| Value::Object(Map::new()));
            if let Value::Object(own) = own {
                for (name, value) in &shared {
                    own.entry(name.clone()).or_insert_with(|| value.clone());
                }
            }
        }
        let kind = match message.get("type") {
            Some(Value::String(word)) => Kind::of_word(word),
            _ => Err(Refusal::new(Code::WrongType, "a message of a batch must say its `type`")),
        };
        (kind, message)
    });
    Ok((messages.collect(), sent))
}

/// What became of one message: its inputs, or the refusal with the message for the dead letters.
type Judged = Result<Vec<Input>, (Refusal, Message)>;

fn judge(
    edge: &Edge,
    batch: Vec<(Result<Kind, Refusal>, Message)>,
    sent: Option<Timestamp>,
    received: Timestamp,
    held: &Held,
    owner: &KeyOwner,
) -> Vec<Judged> {
    let mut verdicts = Vec::with_capacity(batch.len());
    for (kind, message) in batch {
        let id = edge.arrivals.next();
        let arrival = Arrival { received, sent, id: &id, source: &owner.source, authority: held.authority };
        let told = kind.and_then(|kind| convert(kind, &message, &owner.shop, &edge.pseudonyms, arrival)).and_then(|inputs| {
            let mut ceiling = edge.ceiling.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            let allowed = inputs.first().is_none_or(|first| ceiling.allows(first.key.as_str(), received));
            let over = "more events of this customer in a minute than a person causes";
            if allowed { Ok(inputs) } else { Err(Refusal::new(Code::TooManyOfCustomer, over)) }
        });
        verdicts.push(told.map_err(|refusal| {
            edge.metrics.refused(Way::Http, refusal.code);
            (refusal, message)
        }));
    }
    verdicts
}

async fn answer_one(edge: &Edge, verdicts: Vec<Judged>) -> Response {
    let mut inputs = Vec::new();
    for verdict in verdicts {
        match verdict {
            Ok(told) => inputs.extend(told),
            Err((refusal, _)) => return answer::refused(&refusal),
        }
    }
    match edge.append(Way::Http, inputs, Vec::new()).await {
        Ok(()) => Json(json!({ "success": true })).into_response(),
        Err(unavailable) => unavailable,
    }
}

/// Answers a batch. What is refused in a batch of which something is taken goes to the dead letters as well: clients look at the
/// status, which is 200, and would drop it. A batch of which nothing is taken is the client's to mend, and is answered 400.
async fn answer_batch(edge: &Edge, verdicts: Vec<Judged>, endpoint: &str, owner: &KeyOwner) -> Response {
    let (mut inputs, mut aside, mut errors, mut accepted) = (Vec::new(), Vec::new(), Vec::new(), 0_usize);
    for (index, verdict) in verdicts.into_iter().enumerate() {
        match verdict {
            Ok(told) => {
                accepted += 1;
                inputs.extend(told);
            }
            Err((refusal, message)) => {
                let id = message.get("messageId").filter(|id| id.is_string()).cloned();
                errors.push(json!({ "index": index, "messageId": id, "code": refusal.code.as_str(), "message": refusal.message }));
                aside.push(SetAside {
                    source: DeadLetterSource::Http { endpoint: endpoint.to_owned() },
                    shop: Some(owner.shop.id.clone()),
                    refusal,
                    bytes: Bytes::from(serde_json::to_vec(&message).unwrap_or_default()),
                });
            }
        }
    }
    if accepted == 0 && !errors.is_empty() {
        let message = "no message of the batch was taken; see errors";
        let body = json!({ "code": errors[0]["code"], "message": message, "errors": errors });
        return (StatusCode::BAD_REQUEST, Json(body)).into_response();
    }
    match edge.append(Way::Http, inputs, aside).await {
        Ok(()) if errors.is_empty() => Json(json!({ "success": true })).into_response(),
        Ok(()) => Json(json!({ "success": false, "accepted": accepted, "errors": errors })).into_response(),
        Err(unavailable) => unavailable,
    }
}
