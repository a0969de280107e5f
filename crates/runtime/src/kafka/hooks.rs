//! What every client calls back for: log lines, errors, tokens.

use std::{error::Error, sync::Arc};

use jiff::Timestamp;
use rdkafka::{ClientContext, client::OAuthToken, config::RDKafkaLogLevel, consumer::ConsumerContext, error::KafkaError};

/// A token of the SASL mechanism OAUTHBEARER.
#[derive(Clone)]
pub struct Token {
    /// The token itself.
    pub token: String,
    /// Whom it names.
    pub principal: String,
    /// Until when it is good.
    pub expires: Timestamp,
}

/// Where tokens come from. It is asked on librdkafka's polling thread, again before a token expires.
pub trait TokenSource: Send + Sync + 'static {
    /// A fresh token.
    ///
    /// # Errors
    /// Why there is none; the client asks again later.
    fn token(&self) -> Result<Token, String>;
}

/// The context of every client.
#[derive(Clone)]
pub(super) struct Hooks {
    tokens: Option<Arc<dyn TokenSource>>,
}

impl Hooks {
    pub(super) fn new(tokens: Option<Arc<dyn TokenSource>>) -> Self {
        Self { tokens }
    }
}

impl ClientContext for Hooks {
    const ENABLE_REFRESH_OAUTH_TOKEN: bool = true;

    fn log(&self, level: RDKafkaLogLevel, facility: &str, line: &str) {
        match level {
            // Connections that break are librdkafka's to mend: what cannot be mended is an error of the call that it concerns.
            RDKafkaLogLevel::Emerg
            | RDKafkaLogLevel::Alert
            | RDKafkaLogLevel::Critical
            | RDKafkaLogLevel::Error
            | RDKafkaLogLevel::Warning => tracing::warn!(target: "librdkafka", facility, "{line}"),
            RDKafkaLogLevel::Notice | RDKafkaLogLevel::Info => tracing::info!(target: "librdkafka", facility, "{line}"),
            RDKafkaLogLevel::Debug => tracing::debug!(target: "librdkafka", facility, "{line}"),
        }
    }

    fn error(&self, error: KafkaError, reason: &str) {
        tracing::warn!(target: "librdkafka", %error, reason, "kafka client reports an error");
    }

    fn generate_oauth_token(&self, _configured: Option<&str>) -> Result<OAuthToken, Box<dyn Error>> {
        let source = self.tokens.as_ref().ok_or("no source of tokens is set up for the mechanism OAUTHBEARER")?;
        let Token { token, principal, expires } = source.token()?;
        Ok(OAuthToken { token, principal_name: principal, lifetime_ms: expires.as_millisecond() })
    }
}

impl ConsumerContext for Hooks {}
