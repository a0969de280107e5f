//! Opt-out links: `GET /o/{token}` asks, `POST` does it.
//!
//! Link scanners of mail and message services open every link, so opening one must not opt anybody out; one click on the page does,
//! and so does a one-click POST (RFC 8058). The token says who it is: nothing to log in to, nothing to guess, and it stays valid, since
//! a customer may use the link of an old message. Pages are not kept anywhere, not framed, run no script and load nothing.

use axum::{
    extract::{Path, State},
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{Html, IntoResponse, Response},
};
use cartwheel_engine::input::{Fact, Input, OptOutBy};
use cartwheel_language::{Channel, seal::OptOut};

use super::{Edge, Shared};
use crate::{metrics::Way, refusal::Code, shops::KnownShop};

/// The longest token that is looked at, in bytes: shop and number make about a hundred.
const TOKEN_BYTES: usize = 1_024;

/// What a page says, by language: title with the shop's name as `{}`, what the button does, what was done, what went wrong.
struct Words {
    language: &'static str,
    ask: &'static str,
    button: &'static str,
    done: &'static str,
    unknown: &'static str,
}

const WORDS: &[Words] = &[
    Words {
        language: "en",
        ask: "Stop text messages from {}?",
        button: "Stop messages",
        done: "You will get no more text messages from {}.",
        unknown: "This link is not valid. Open it again from the message, or answer the message with STOP.",
    },
    Words {
        language: "ru",
        ask: "Отказаться от сообщений {}?",
        button: "Отказаться",
        done: "Вы больше не будете получать сообщения от {}.",
        unknown: "Ссылка недействительна. Откройте её из сообщения ещё раз или ответьте на сообщение словом СТОП.",
    },
    Words {
        language: "zh",
        ask: "不再接收 {} 的短信？",
        button: "退订",
        done: "您将不再收到 {} 的短信。",
        unknown: "链接无效。请从短信中重新打开，或回复 STOP 退订。",
    },
    Words {
        language: "ro",
        ask: "Opriți mesajele de la {}?",
        button: "Opriți mesajele",
        done: "Nu veți mai primi mesaje de la {}.",
        unknown: "Linkul nu este valid. Deschideți-l din nou din mesaj sau răspundeți cu STOP.",
    },
];

/// Shows the page with the button.
pub(crate) async fn ask(State(edge): Shared, Path(token): Path<String>, headers: HeaderMap) -> Response {
    let Some((_, shop)) = open(&edge, &token) else { return unknown(&edge, &headers) };
    let words = words(&headers, &shop.language);
    let button = format!("<form method=\"post\"><button>{}</button></form>", words.button);
    page(StatusCode::OK, words, &words.ask.replace("{}", &escaped(name(&shop))), &button)
}

/// Opts out.
pub(crate) async fn confirm(State(edge): Shared, Path(token): Path<String>, headers: HeaderMap) -> Response {
    let Some((opt_out, shop)) = open(&edge, &token) else { return unknown(&edge, &headers) };
    let received = edge.clock.now();
    let Ok(home) = edge.pseudonyms.phone(&opt_out.shop, &opt_out.address) else { return unknown(&edge, &headers) };
    // Each click is an event of its own: who opts out, in and out again by one link is out.
    let id = format!("link/{}/{}", home.name(), received.as_millisecond());
    let fact = Fact::OptedOut { channel: Channel::Sms, by: OptOutBy::Link };
    match edge.append(Way::Link, vec![Input { key: home, id, received, names: Vec::new(), fact }], Vec::new()).await {
        Ok(()) => {
            let words = words(&headers, &shop.language);
            page(StatusCode::OK, words, &words.done.replace("{}", &escaped(name(&shop))), "")
        }
        Err(unavailable) => unavailable,
    }
}

/// What the token says, and the shop. A shop whose file is not read yet is still opted out of: the token proves that it was one.
fn open(edge: &Edge, token: &str) -> Option<(OptOut, KnownShop)> {
    if token.len() > TOKEN_BYTES {
        return None;
    }
    let opt_out = edge.links.open(token).ok().filter(|opt_out| opt_out.channel == Channel::Sms.name())?;
    let shop = edge.shops.get(&opt_out.shop).map(|shop| shop.as_ref().clone());
    Some((opt_out.clone(), shop.unwrap_or(KnownShop { id: opt_out.shop, ..KnownShop::default() })))
}

fn name(shop: &KnownShop) -> &str {
    if shop.name.is_empty() { &shop.id } else { &shop.name }
}

fn unknown(edge: &Edge, headers: &HeaderMap) -> Response {
    edge.metrics.refused(Way::Link, Code::NotFound);
    let words = words(headers, "");
    page(StatusCode::NOT_FOUND, words, words.unknown, "")
}

/// The first language that the browser asks for and that is there, else the shop's, else English.
fn words(headers: &HeaderMap, shop: &str) -> &'static Words {
    let wanted = headers.get(header::ACCEPT_LANGUAGE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let wanted = wanted.split(',').take(10).map(|part| part.split([';', '-']).next().unwrap_or_default().trim());
    let shop = shop.split('-').next().unwrap_or_default();
    let known = |language: &str| WORDS.iter().find(|words| words.language.eq_ignore_ascii_case(language));
    wanted.chain([shop]).find_map(known).unwrap_or(&WORDS[0])
}

fn page(status: StatusCode, words: &Words, text: &str, more: &str) -> Response {
    let language = words.language;
    let body = format!(
        "<!doctype html><html lang=\"{language}\"><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width\">\
         <meta name=\"robots\" content=\"noindex\"><title>{text}</title><style>body{{font:1.2em/1.5 sans-serif;max-width:30em;margin:15vh auto;\
         padding:0 1em}}button{{font:inherit;padding:.6em 1.2em}}</style><p>{text}</p>{more}</html>"
    );
    let mut response = (status, Html(body)).into_response();
    let policy = "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'";
    let headers = [
        (header::CONTENT_SECURITY_POLICY, policy),
        (header::X_FRAME_OPTIONS, "DENY"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::CACHE_CONTROL, "no-store"),
    ];
    for (name, value) in headers {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    response
}

fn escaped(text: &str) -> String {
    text.chars()
        .map(|letter| match letter {
            '<' => "&lt;".to_owned(),
            '>' => "&gt;".to_owned(),
            '&' => "&amp;".to_owned(),
            '"' => "&quot;".to_owned(),
            '\'' => "&#39;".to_owned(),
            other => other.to_string(),
        })
        .collect()
}
