//! Questions to a schema registry: bounded in time and size, answered with what to do when they fail.

use std::fmt::Display;

use cartwheel_runtime::config::Secret;
use reqwest::{Method, StatusCode, header, redirect};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Value, json};
use url::Url;

use super::{RegistryError, SchemaRegistryConfig};

const MEDIA_TYPE: &str = "application/vnd.schemaregistry.v1+json";

/// The largest answer that is read, in bytes: a hundred times the largest schema of `proto/`.
const ANSWER_LIMIT: usize = 2 * 1_048_576;

/// How much of a registry's own words an error repeats, in characters.
const MESSAGE_LENGTH: usize = 300;

/// The API's code for a subject that nothing was registered under.
const NO_SUBJECT: u64 = 40_401;

/// A client of one registry.
pub(super) struct Client {
    http: reqwest::Client,
    base: Url,
    username: String,
    password: Secret,
}

/// One version of a subject.
#[derive(Deserialize)]
pub(super) struct Version {
    /// The schema's id in the registry.
    pub(super) id: u32,
    /// The schema.
    pub(super) schema: String,
}

/// A refusal as the registry says it.
struct Refusal {
    asked: String,
    status: StatusCode,
    code: Option<u64>,
    message: String,
}

/// What came back for a question.
enum Answer<T> {
    Given(T),
    Refused(Refusal),
}

impl Client {
    /// A client that has not asked anything yet.
    pub(super) fn new(config: &SchemaRegistryConfig) -> Result<Self, RegistryError> {
        let unfit = |problem: &dyn Display| RegistryError::Client(problem.to_string());
        let base = Url::parse(&config.url).map_err(|error| unfit(&error))?;
        // A redirect would carry the sign-in, or what is registered, to where nobody sent it.
        let http = reqwest::Client::builder().timeout(config.timeout).redirect(redirect::Policy::none()).build();
        let http = http.map_err(|error| unfit(&error))?;
        Ok(Self { http, base, username: config.username.clone(), password: config.password.clone() })
    }

    /// The versions of a subject, oldest first; none if it does not exist.
    pub(super) async fn versions(&self, subject: &str) -> Result<Vec<u32>, RegistryError> {
        match self.ask(Method::GET, &["subjects", subject, "versions"], None).await? {
            Answer::Given(versions) => Ok(versions),
            Answer::Refused(refusal) if refusal.code == Some(NO_SUBJECT) => Ok(Vec::new()),
            Answer::Refused(refusal) => Err(self.refused(refusal)),
        }
    }

    /// One version of a subject.
    pub(super) async fn version(&self, subject: &str, number: u32) -> Result<Version, RegistryError> {
        match self.ask(Method::GET, &["subjects", subject, "versions", &number.to_string()], None).await? {
            Answer::Given(version) => Ok(version),
            Answer::Refused(refusal) => Err(self.refused(refusal)),
        }
    }

    /// Registers a schema and gives its id; one that is registered keeps its id.
    pub(super) async fn register(&self, subject: &str, file: &str, schema: &str) -> Result<u32, RegistryError> {
        #[derive(Deserialize)]
        struct Registered {
            id: u32,
        }
        let body = json!({ "schemaType": "AVRO", "schema": schema });
        match self.ask::<Registered>(Method::POST, &["subjects", subject, "versions"], Some(body)).await? {
            Answer::Given(registered) => Ok(registered.id),
            Answer::Refused(refusal) if [StatusCode::CONFLICT, StatusCode::UNPROCESSABLE_ENTITY].contains(&refusal.status) => {
                Err(RegistryError::Incompatible { subject: subject.to_owned(), schema: file.to_owned(), answer: refusal.answer() })
            }
            Answer::Refused(refusal) => Err(self.refused(refusal)),
        }
    }

    async fn ask<T: DeserializeOwned>(&self, method: Method, path: &[&str], body: Option<Value>) -> Result<Answer<T>, RegistryError> {
        let mut url = self.base.clone();
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().extend(path);
        }
        let asked = format!("{method} {}", url.path());
        let mut request = self.http.request(method, url).header(header::ACCEPT, MEDIA_TYPE);
        if !self.username.is_empty() {
            request = request.basic_auth(&self.username, Some(self.password.expose()));
        }
        if let Some(body) = body {
            request = request.header(header::CONTENT_TYPE, MEDIA_TYPE).body(body.to_string());
        }
        let mut response = request.send().await.map_err(|error| self.away(&error))?;
        let status = response.status();
        let mut bytes = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|error| self.away(&error))? {
            bytes.extend_from_slice(&chunk);
            if bytes.len() > ANSWER_LIMIT {
                return Err(self.unexpected(asked, format!("more than {ANSWER_LIMIT} bytes")));
            }
        }
        if status.is_success() {
            let given = serde_json::from_slice(&bytes);
            return given.map(Answer::Given).map_err(|error| self.unexpected(asked, format!("{status} with other content: {error}")));
        }
        let said: Value = serde_json::from_slice(&bytes).unwrap_or_default();
        let message = said["message"].as_str().unwrap_or_default().chars().take(MESSAGE_LENGTH).collect();
        Ok(Answer::Refused(Refusal { asked, status, code: said["error_code"].as_u64(), message }))
    }

    /// What a refusal means where the question knows no better.
    fn refused(&self, refusal: Refusal) -> RegistryError {
        let (url, answer) = (self.base.to_string(), refusal.answer());
        match refusal.status {
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => RegistryError::Refused { url, asked: refusal.asked, answer },
            StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_MANY_REQUESTS => RegistryError::Away { url, reason: answer },
            status if status.is_server_error() => RegistryError::Away { url, reason: answer },
            _ => self.unexpected(refusal.asked, answer),
        }
    }

    fn unexpected(&self, asked: String, answer: String) -> RegistryError {
        RegistryError::Unexpected { url: self.base.to_string(), asked, answer }
    }

    /// The error with its causes: reqwest's own text leaves out why a connection failed.
    fn away(&self, error: &reqwest::Error) -> RegistryError {
        let causes = std::iter::successors(Some(error as &dyn std::error::Error), |error| error.source());
        let reason = causes.map(ToString::to_string).collect::<Vec<_>>().join(": ");
        RegistryError::Away { url: self.base.to_string(), reason }
    }
}

impl Refusal {
    fn answer(&self) -> String {
        if self.message.is_empty() { self.status.to_string() } else { format!("{} ({})", self.message, self.status) }
    }
}
