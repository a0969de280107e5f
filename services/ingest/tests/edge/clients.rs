//! Each form of `vectors/http_clients.json`: what the client sends is taken, or refused in a way that it understands.

use std::io::Write;

use flate2::{Compression, write::GzEncoder};
use serde_json::{Value, json};

use crate::start::*;

fn gzip(text: &str) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(text.as_bytes()).unwrap();
    encoder.finish().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_known_client_is_served_or_told_why_not() {
    let edge = edge().await;
    let track = json!({ "type": "track", "userId": "1", "event": "e", "timestamp": "2026-05-01T10:00:00.000Z", "_metadata": { "nodeVersion": "22" },
        "context": { "library": { "name": "x" }, "consent": { "categoryPreferences": { "ads": true } } }, "integrations": {} });
    let batch = json!({ "batch": [track], "sentAt": "2026-05-01T10:00:01.000Z", "writeKey": SECRET }).to_string();
    let rudder_identify = json!({ "batch": [{ "type": "identify", "userId": "1", "context": { "traits": { "phone": "07400 123456" } }, "timestamp": "2026-05-01T10:00:00Z" }] });
    let rudder_node = json!({ "batch": [{ "type": "track", "userId": "1", "event": "e", "originalTimestamp": "2026-05-01T10:00:00Z" }], "sentAt": "2026-05-01T10:00:01Z" });
    let mut browser = track.clone();
    browser["writeKey"] = SECRET.into();

    let clients: Vec<Value> = serde_json::from_str(include_str!("../vectors/http_clients.json")).unwrap();
    for client in &clients {
        let name = client["client"].as_str().unwrap();
        let basic = |request: reqwest::RequestBuilder| request.basic_auth(SECRET, Some(""));
        let requests = match name.split(' ').take(3).collect::<Vec<_>>().join(" ").as_str() {
            "Segment for Python" => vec![
                basic(edge.post("/v1/batch", gzip(&batch))).header("content-encoding", "gzip"),
                basic(edge.post("/v1/batch", batch.clone())).header("content-type", "application/json"),
            ],
            "Segment for Node" => vec![basic(edge.post("/v1/batch", batch.clone())).header("content-type", "application/json")],
            "Segment for browsers" => ["/v1/t", "/v1/i", "/v1/p", "/v1/s"]
                .into_iter()
                .map(|path| edge.post(path, browser.to_string()).header("content-type", "text/plain"))
                .chain([edge.post("/v1/b", batch.clone()).header("content-type", "text/plain;charset=UTF-8")])
                .collect(),
            "RudderStack for Python" => {
                vec![basic(edge.post("/v1/batch", gzip(&rudder_identify.to_string()))).header("content-encoding", "gzip")]
            }
            "RudderStack for Node" => vec![
                basic(edge.post("/v1/batch", gzip(&rudder_node.to_string())))
                    .header("content-encoding", "gzip")
                    .header("content-type", "application/x-www-form-urlencoded"),
            ],
            "Jitsu for JavaScript" => ["/api/s/track", "/api/s/identify"]
                .into_iter()
                .map(|path| edge.post(path, track.to_string()).header("x-write-key", format!("id:{SECRET}")))
                .collect(),
            "CloudEvents for Python" => {
                let structured = basic(edge.post("/v1/track", "{}")).header("content-type", "application/cloudevents+json");
                assert_eq!(answer(structured.send().await.unwrap()).await.1["code"], "unsupported_media");
                let binary = edge.post("/v1/track", "{}").header("ce-id", "1").header("ce-type", "e");
                assert_eq!(answer(binary.send().await.unwrap()).await.1["code"], "unauthorized");
                continue;
            }
            "Snowplow trackers" => {
                let (status, body) = answer(edge.post("/com.snowplowanalytics.snowplow/tp2", "{}").send().await.unwrap()).await;
                assert_eq!((status, body["code"].as_str()), (404, Some("not_found")));
                continue;
            }
            other => panic!("no request for {other}"),
        };
        for request in requests {
            assert_eq!(answer(request.send().await.unwrap()).await, (200, json!({ "success": true })), "{name}");
        }
    }
    let inputs = edge.inputs();
    assert!(inputs.iter().any(|input| input.names.len() == 2), "traits in the context are attributes: {inputs:?}");
    assert!(inputs.iter().all(|input| input.key.as_str() == "acme/user:1"));
    for path in ["/v1/g", "/v1/a", "/v1/group", "/v1/alias"] {
        let (status, body) = answer(edge.post(path, browser.to_string()).send().await.unwrap()).await;
        assert_eq!((status, body["code"].as_str()), (400, Some("unsupported")), "{path}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn web_pages_may_send_only_from_listed_origins() {
    let edge = edge_with(settings(|config| config.http.origins = vec!["https://acme.example".to_owned()])).await;
    for (origin, allowed) in [("https://acme.example", true), ("https://evil.example", false)] {
        let preflight = edge.client.request(reqwest::Method::OPTIONS, format!("{}/v1/t", edge.url)).header("origin", origin);
        let preflight = preflight
            .header("access-control-request-method", "POST")
            .header("access-control-request-headers", "content-type")
            .send()
            .await
            .unwrap();
        assert_eq!(preflight.headers().get("access-control-allow-origin").is_some_and(|value| value == origin), allowed, "{origin}");
    }
}
