//! An SMS provider in Twilio's form that takes every message and remembers it.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::SystemTime,
};

use axum::{Form, Json, Router, extract::State, http::StatusCode, routing::post};
use base64::{Engine, engine::general_purpose::STANDARD};
use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Value, json};
use sha1::Sha1;

use crate::Missing;

/// A message that the provider took.
#[derive(Clone, Debug)]
pub struct Taken {
    /// The number that it went to, E.164.
    pub to: String,
    /// The text.
    pub body: String,
    /// When it came in.
    pub at: SystemTime,
}

/// A provider on a port of its own; it ends with the process.
#[derive(Clone)]
pub struct Provider {
    port: u16,
    taken: Arc<Mutex<Vec<Taken>>>,
}

impl Provider {
    /// Starts one, on a thread with a runtime of its own, so that it outlives the test that asked first.
    ///
    /// # Errors
    /// When no port can be had.
    pub fn start() -> Result<Self, Missing> {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").map_err(Missing::new)?;
        listener.set_nonblocking(true).map_err(Missing::new)?;
        let port = listener.local_addr().map_err(Missing::new)?.port();
        let provider = Self { port, taken: Arc::default() };
        let router = Router::new().route("/2010-04-01/Accounts/{account}/Messages.json", post(take)).with_state(provider.taken.clone());
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            if let Ok(runtime) = runtime {
                runtime.block_on(async {
                    if let Ok(listener) = tokio::net::TcpListener::from_std(listener) {
                        // It serves until the process ends.
                        let _ = axum::serve(listener, router).await;
                    }
                });
            }
        });
        Ok(provider)
    }

    /// Where it answers.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Signs a callback to `url`: HMAC-SHA1 over the URL and the form's fields by name, each name with its value behind it
    /// (Twilio, "Validating requests"). Written anew here, so that it checks ingest's own.
    pub fn sign(token: &str, url: &str, fields: &[(String, String)]) -> String {
        let mut sorted: Vec<_> = fields.iter().collect();
        sorted.sort();
        let Ok(mut mac) = Hmac::<Sha1>::new_from_slice(token.as_bytes()) else { return String::new() };
        mac.update(url.as_bytes());
        for (name, value) in sorted {
            mac.update(name.as_bytes());
            mac.update(value.as_bytes());
        }
        STANDARD.encode(mac.finalize().into_bytes())
    }

    /// How many messages it took.
    pub fn count(&self) -> usize {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    /// What went to a number, oldest first.
    pub fn taken_by(&self, to: &str) -> Vec<Taken> {
        let taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        taken.iter().filter(|taken| taken.to == to).cloned().collect()
    }
}

async fn take(State(taken): State<Arc<Mutex<Vec<Taken>>>>, Form(fields): Form<Vec<(String, String)>>) -> (StatusCode, Json<Value>) {
    let field = |name: &str| fields.iter().find(|(known, _)| known == name).map(|(_, value)| value.clone()).unwrap_or_default();
    let mut all = taken.lock().unwrap_or_else(PoisonError::into_inner);
    all.push(Taken { to: field("To"), body: field("Body"), at: SystemTime::now() });
    let sid = format!("SM{:032x}", all.len());
    (StatusCode::CREATED, Json(json!({ "sid": sid, "status": "queued", "error_code": null })))
}
