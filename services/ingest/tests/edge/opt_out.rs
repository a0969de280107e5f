//! Opt-out links.

use cartwheel_engine::input::{Fact, OptOutBy};
use cartwheel_language::{
    Channel,
    seal::{OptOut, SealKey},
};

use crate::start::*;

const NUMBER: &str = "+447400123456";

fn link(edge: &Edge, secret: &str) -> String {
    let opt_out = OptOut { shop: "acme".to_owned(), channel: "sms".to_owned(), address: NUMBER.to_owned() };
    format!("{}/o/{}", edge.url, SealKey::from_secret(secret).unwrap().seal(&opt_out).unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn r68_opening_the_link_asks_and_only_a_post_opts_out() {
    let edge = edge().await;
    let link = link(&edge, SEAL);
    for method in [reqwest::Method::GET, reqwest::Method::HEAD] {
        assert_eq!(edge.client.request(method, &link).send().await.unwrap().status(), 200);
    }
    let page = edge.client.get(&link).send().await.unwrap();
    for (header, value) in [
        ("x-frame-options", "DENY"),
        ("referrer-policy", "no-referrer"),
        ("cache-control", "no-store"),
        ("x-content-type-options", "nosniff"),
    ] {
        assert_eq!(page.headers()[header], value);
    }
    assert!(page.headers()["content-security-policy"].to_str().unwrap().contains("default-src 'none'"));
    let text = page.text().await.unwrap();
    assert!(text.contains("<form method=\"post\">") && text.contains("Acme &amp; Sons") && !text.contains("7400"), "{text}");
    assert!(edge.inputs().is_empty(), "a scanner that opens links opts nobody out");

    let done = edge.client.post(&link).body("List-Unsubscribe=One-Click").send().await.unwrap();
    assert_eq!(done.status(), 200);
    let inputs = edge.inputs();
    assert_eq!(inputs.len(), 1);
    assert_eq!(
        (&inputs[0].key, &inputs[0].fact),
        (&pseudonyms().phone("acme", NUMBER).unwrap(), &Fact::OptedOut { channel: Channel::Sms, by: OptOutBy::Link })
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn r68_an_opt_out_is_confirmed_only_when_the_log_has_it() {
    let edge = edge().await;
    edge.log.away.store(true, std::sync::atomic::Ordering::SeqCst);
    assert_eq!(edge.client.post(link(&edge, SEAL)).send().await.unwrap().status(), 503);
    edge.log.away.store(false, std::sync::atomic::Ordering::SeqCst);
    assert!(edge.inputs().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_that_is_not_ours_says_so_in_the_customers_language() {
    let edge = edge().await;
    let right = link(&edge, SEAL);
    let forged = [
        link(&edge, "another link key, also 32 bytes long"),
        right[..right.len() - 2].to_owned(),
        format!("{}/o/x", edge.url),
        format!("{}/o/{}", edge.url, "A".repeat(5_000)),
    ];
    for link in forged {
        for request in [edge.client.get(&link), edge.client.post(&link)] {
            let answer = request.header("accept-language", "ru-RU,ru;q=0.9,en;q=0.5").send().await.unwrap();
            assert_eq!(answer.status(), 404);
            assert!(answer.text().await.unwrap().contains("СТОП"));
        }
    }
    assert!(edge.inputs().is_empty());
}
