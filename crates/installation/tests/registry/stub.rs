//! A schema registry in memory: the part of Confluent's API that is asked for, with its error codes.
//!
//! As there, a text has one id wherever it is registered, and to register it again changes nothing.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard},
};

use axum::{
    Json, Router,
    extract::{Path, Request, State},
    http::{StatusCode, header},
    middleware::{self, Next},
    response::{IntoResponse, Response},
    routing::get,
};
use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::{Value, json};
use tokio::net::TcpListener;

/// How it answers.
#[derive(Clone, Debug, Default)]
pub(crate) enum Mood {
    /// As it should.
    #[default]
    Well,
    /// Only to this user and password, as `user:password`.
    Guarded(String),
    /// Every new schema is incompatible.
    Incompatible,
    /// Its own store is away.
    Away,
    /// It is the page of something else.
    OtherSite,
    /// It has moved.
    Redirects,
    /// It does not stop.
    Endless,
}

#[derive(Debug, Default)]
struct Contents {
    mood: Mood,
    schemas: Vec<String>,
    subjects: BTreeMap<String, Vec<u32>>,
    registrations: usize,
}

impl Contents {
    /// Holds a schema under a subject and gives its id.
    fn hold(&mut self, subject: &str, schema: &str) -> u32 {
        let known = self.schemas.iter().position(|known| known == schema);
        let place = known.unwrap_or_else(|| {
            self.schemas.push(schema.to_owned());
            self.schemas.len() - 1
        });
        let id = 100 + place as u32;
        let held = self.subjects.entry(subject.to_owned()).or_default();
        if !held.contains(&id) {
            held.push(id);
        }
        id
    }
}

#[derive(Clone)]
pub(crate) struct Stub {
    contents: Arc<Mutex<Contents>>,
    url: String,
}

impl Stub {
    /// Listens on a port of its own, under a path, as registries behind a gateway do.
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/apis/registry/", listener.local_addr().unwrap());
        let stub = Self { contents: Arc::default(), url };
        let api = Router::new()
            .route("/subjects/{subject}/versions", get(versions).post(register))
            .route("/subjects/{subject}/versions/{version}", get(version))
            .route("/schemas/ids/{id}", get(schema))
            .layer(middleware::from_fn_with_state(stub.clone(), judge))
            .with_state(stub.clone());
        let app = Router::new().nest("/apis/registry", api);
        tokio::spawn(async move { axum::serve(listener, app).await });
        stub
    }

    fn lock(&self) -> MutexGuard<'_, Contents> {
        self.contents.lock().unwrap()
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    pub(crate) fn set(&self, mood: Mood) {
        self.lock().mood = mood;
    }

    /// Holds a schema that somebody else registered.
    pub(crate) fn hold(&self, subject: &str, schema: &str) -> u32 {
        self.lock().hold(subject, schema)
    }

    /// The subjects, each with its ids, oldest first.
    pub(crate) fn subjects(&self) -> BTreeMap<String, Vec<u32>> {
        self.lock().subjects.clone()
    }

    /// How many ids were given.
    pub(crate) fn ids(&self) -> usize {
        self.lock().schemas.len()
    }

    /// How many schemas it was asked to register.
    pub(crate) fn registrations(&self) -> usize {
        self.lock().registrations
    }
}

fn failed(status: StatusCode, code: u32, message: &str) -> Response {
    (status, Json(json!({ "error_code": code, "message": message }))).into_response()
}

async fn judge(State(stub): State<Stub>, request: Request, next: Next) -> Response {
    let mood = stub.lock().mood.clone();
    match mood {
        Mood::Well | Mood::Incompatible => next.run(request).await,
        Mood::Guarded(account) => {
            let expected = format!("Basic {}", STANDARD.encode(account));
            match request.headers().get(header::AUTHORIZATION) {
                Some(given) if *given == *expected => next.run(request).await,
                _ => failed(StatusCode::UNAUTHORIZED, 401, "Unauthorized"),
            }
        }
        Mood::Away => failed(StatusCode::INTERNAL_SERVER_ERROR, 50_001, "Error in the backend data store"),
        Mood::OtherSite => "<html>welcome</html>".into_response(),
        Mood::Redirects => (StatusCode::FOUND, [(header::LOCATION, "http://127.0.0.1:1/")]).into_response(),
        Mood::Endless => vec![b' '; 3 * 1_048_576].into_response(),
    }
}

async fn versions(State(stub): State<Stub>, Path(subject): Path<String>) -> Response {
    match stub.lock().subjects.get(&subject) {
        Some(held) => Json((1..=held.len()).collect::<Vec<_>>()).into_response(),
        None => failed(StatusCode::NOT_FOUND, 40_401, "Subject not found."),
    }
}

async fn version(State(stub): State<Stub>, Path((subject, version)): Path<(String, usize)>) -> Response {
    let contents = stub.lock();
    match contents.subjects.get(&subject).and_then(|held| held.get(version.checked_sub(1)?)) {
        Some(id) => {
            let schema = &contents.schemas[*id as usize - 100];
            Json(json!({ "subject": subject, "version": version, "id": id, "schema": schema })).into_response()
        }
        None => failed(StatusCode::NOT_FOUND, 40_402, "Version not found."),
    }
}

async fn register(State(stub): State<Stub>, Path(subject): Path<String>, body: String) -> Response {
    let body: Value = serde_json::from_str(&body).unwrap();
    let schema = body["schema"].as_str().unwrap();
    let mut contents = stub.lock();
    contents.registrations += 1;
    if matches!(contents.mood, Mood::Incompatible) {
        return failed(StatusCode::CONFLICT, 409, "Schema being registered is incompatible with an earlier schema");
    }
    if apache_avro::Schema::parse_str(schema).is_err() {
        return failed(StatusCode::UNPROCESSABLE_ENTITY, 42_201, "Invalid schema");
    }
    Json(json!({ "id": contents.hold(&subject, schema) })).into_response()
}

async fn schema(State(stub): State<Stub>, Path(id): Path<u32>) -> Response {
    match stub.lock().schemas.get((id as usize).wrapping_sub(100)) {
        Some(schema) => Json(json!({ "schema": schema })).into_response(),
        None => failed(StatusCode::NOT_FOUND, 40_403, "Schema not found"),
    }
}
