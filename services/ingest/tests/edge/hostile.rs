//! What nobody means well: every answer is a 4xx with `{code, message}`, nothing crashes, nothing waits for ever.

use std::{io::Write, time::Duration};

use flate2::{Compression, write::GzEncoder};
use serde_json::json;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::start::*;

/// What it is, the body, its encoding, the status and the code of the answer.
type Case = (&'static str, Vec<u8>, Option<&'static str>, u16, &'static str);

#[tokio::test(flavor = "multi_thread")]
async fn hostile_bodies_are_refused_with_a_code_and_a_message() {
    let edge = edge().await;
    let zeroes = vec![b'0'; 64 * 1024 * 1024];
    let mut bomb = GzEncoder::new(Vec::new(), Compression::best());
    bomb.write_all(&zeroes).unwrap();
    let bomb = bomb.finish().unwrap();
    let deep = format!("{{\"event\":{}1{}}}", "[".repeat(100_000), "]".repeat(100_000));
    let nested = format!("{{\"userId\":\"1\",\"event\":\"e\",\"properties\":{{\"a\":{}1{}}}}}", "[".repeat(60), "]".repeat(60));
    let large = json!({ "userId": "1", "event": "e", "properties": { "text": "x".repeat(33 * 1024) } }).to_string();
    let cases: Vec<Case> = vec![
        ("10 MB", vec![b'x'; 10 * 1024 * 1024], None, 413, "too_large"),
        ("a gzip bomb", bomb, Some("gzip"), 413, "too_large"),
        ("a message over its limit", large.into_bytes(), None, 413, "too_large"),
        ("100,000 deep", deep.into_bytes(), None, 400, "not_json"),
        ("60 deep", nested.into_bytes(), None, 400, "too_deep"),
        ("invalid UTF-8", b"{\"event\":\"\xff\xfe\"}".to_vec(), None, 400, "not_json"),
        ("a lone surrogate", b"{\"event\":\"\\ud800\",\"userId\":\"1\"}".to_vec(), None, 400, "not_json"),
        ("a number beyond all numbers", b"{\"event\":1e999}".to_vec(), None, 400, "not_json"),
        ("nothing", Vec::new(), None, 400, "not_json"),
        ("a list", b"[]".to_vec(), None, 400, "wrong_type"),
        ("half of it", b"{\"event\":".to_vec(), None, 400, "not_json"),
        ("no gzip", b"{}".to_vec(), Some("gzip"), 400, "not_json"),
        ("brotli", b"{}".to_vec(), Some("br"), 415, "unsupported_media"),
        ("an event that is a number", b"{\"userId\":\"1\",\"event\":1}".to_vec(), None, 400, "wrong_type"),
        ("a name of control characters", b"{\"userId\":\"\\u0000\\u0007\",\"event\":\"e\"}".to_vec(), None, 400, "bad_name"),
        ("nobody", b"{\"event\":\"e\"}".to_vec(), None, 400, "no_customer"),
    ];
    for (what, body, encoding, status, code) in cases {
        let mut request = edge.post("/v1/track", body).basic_auth(SECRET, Some(""));
        if let Some(encoding) = encoding {
            request = request.header("content-encoding", encoding);
        }
        let (found, body) = answer(request.send().await.unwrap_or_else(|error| panic!("{what}: {error}"))).await;
        assert_eq!((found, body["code"].as_str()), (status, Some(code)), "{what}: {body}");
        assert!(body["message"].as_str().is_some_and(|message| !message.is_empty()), "{what}");
    }
    let get = edge.client.get(format!("{}/v1/track", edge.url)).send().await.unwrap();
    assert_eq!(answer(get).await.1["code"], "wrong_method");
    assert!(edge.inputs().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_without_end_is_cut_off() {
    let edge = edge().await;
    let mut stream =
        raw(&edge, format!("POST /v1/track HTTP/1.1\r\nHost: x\r\nX-Write-Key: {SECRET}\r\nTransfer-Encoding: chunked\r\n\r\n").as_bytes())
            .await;
    let chunk = [b"10000\r\n", [b'0'; 0x10000].as_slice(), b"\r\n"].concat();
    let written = tokio::time::timeout(Duration::from_secs(20), async {
        let mut written = 0_usize;
        while stream.write_all(&chunk).await.is_ok() {
            written += chunk.len();
        }
        written
    });
    let written = written.await.expect("the edge stops reading");
    assert!(written < 64 * 1024 * 1024, "{written}");
    assert!(edge.inputs().is_empty());
}

async fn raw(edge: &Edge, bytes: &[u8]) -> TcpStream {
    let mut stream = TcpStream::connect(edge.url.trim_start_matches("http://")).await.unwrap();
    stream.write_all(bytes).await.unwrap();
    stream
}

async fn all_of(mut stream: TcpStream) -> String {
    let mut text = Vec::new();
    let read = tokio::time::timeout(Duration::from_secs(10), stream.read_to_end(&mut text)).await;
    // A reset is as good as an end.
    drop(read.expect("the connection is closed in time"));
    String::from_utf8_lossy(&text).into_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn slow_clients_are_shown_out_and_keep_nobody_else_waiting() {
    let edge = edge_with(settings(|config| {
        (config.http.head_timeout, config.http.body_timeout) = (Duration::from_millis(300), Duration::from_millis(300));
    }))
    .await;
    let slow_head = raw(&edge, b"POST /v1/track HTTP/1.1\r\nHost: x\r\nX-").await;
    let silent = raw(&edge, b"").await;
    let head = format!("POST /v1/track HTTP/1.1\r\nHost: x\r\nX-Write-Key: {SECRET}\r\nContent-Length: 1000\r\n\r\n{{\"event\"");
    let slow_body = raw(&edge, head.as_bytes()).await;
    assert_eq!(edge.track(json!({ "userId": "1", "event": "e" })).send().await.unwrap().status(), 200);
    assert!(!all_of(slow_head).await.contains("200"));
    assert!(!all_of(silent).await.contains("200"));
    let answered = all_of(slow_body).await;
    assert!(answered.starts_with("HTTP/1.1 408") && answered.contains("\"slow\""), "{answered}");
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_beyond_the_limit_wait_for_their_turn() {
    let edge = edge_with(settings(|config| {
        config.http.connections = 2;
        config.http.head_timeout = Duration::from_millis(300);
    }))
    .await;
    let (one, other) = (raw(&edge, b"POST").await, raw(&edge, b"POST").await);
    let patient = edge.track(json!({ "userId": "1", "event": "e" })).send().await.unwrap();
    assert_eq!(patient.status(), 200, "served when a slow one was shown out");
    drop((one, other));
}

#[tokio::test(flavor = "multi_thread")]
async fn bytes_that_are_no_http_harm_nobody() {
    let edge = edge().await;
    let long_head = format!("POST /v1/track HTTP/1.1\r\nX: {}\r\n\r\n", "x".repeat(1024 * 1024));
    for bytes in [&b"\x16\x03\x01\x02\x00\x01\x00"[..], b"GET\r\n\r\n", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", long_head.as_bytes()] {
        let mut stream = TcpStream::connect(edge.url.trim_start_matches("http://")).await.unwrap();
        let _ = stream.write_all(bytes).await;
        let _ = stream.shutdown().await;
        assert!(!all_of(stream).await.contains("200 OK"));
    }
    assert_eq!(edge.track(json!({ "userId": "1", "event": "e" })).send().await.unwrap().status(), 200);
}
