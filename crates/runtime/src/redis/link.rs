//! The connection to the primary, made again when it breaks or turns out to lead to a replica.

use std::{fmt, time::Duration};

use redis::{
    AsyncConnectionConfig, Client, Cmd, ConnectionInfo, ErrorKind, FromRedisValue, IntoConnectionInfo, Pipeline, RedisError, RedisFuture,
    RedisResult, ServerErrorKind, Value,
    aio::{ConnectionLike, MultiplexedConnection},
    cluster::ClusterClient,
    cluster_async::ClusterConnection,
};
use tokio::sync::Mutex;

use super::{
    config::{RedisConfig, Topology},
    script::{Call, Known},
};
use crate::store::StoreError;

pub(super) struct Link {
    config: RedisConfig,
    servers: Vec<ConnectionInfo>,
    current: Mutex<Current>,
}

#[derive(Default)]
struct Current {
    connection: Option<Connection>,
    /// Counts connections, so that a late failure does not close a newer one.
    generation: u64,
}

#[derive(Clone)]
enum Connection {
    Single(MultiplexedConnection),
    Cluster(ClusterConnection),
}

impl Link {
    pub(super) fn new(config: &RedisConfig) -> Result<Self, StoreError> {
        let servers = config.urls.iter().map(|url| url.as_str().into_connection_info()).collect::<RedisResult<_>>();
        let servers = servers.map_err(|error| StoreError::Unfit(format!("redis.urls cannot be read: {error}")))?;
        Ok(Self { config: config.clone(), servers, current: Mutex::default() })
    }

    /// Runs a transaction.
    pub(super) async fn transact<T: FromRedisValue>(&self, transaction: &Pipeline) -> Result<T, StoreError> {
        let (mut connection, generation) = self.connection().await?;
        let answer = transaction.query_async(&mut connection).await;
        self.judge(answer, generation).await
    }

    /// Runs a script by its SHA, by its code where the server does not know it.
    pub(super) async fn run(&self, script: &Known, call: &Call) -> Result<Value, StoreError> {
        let (mut connection, generation) = self.connection().await?;
        let mut answer = call.command("EVALSHA", &script.sha).query_async(&mut connection).await;
        if answer.as_ref().is_err_and(|error: &RedisError| error.kind() == ErrorKind::Server(ServerErrorKind::NoScript)) {
            answer = call.command("EVAL", script.code).query_async(&mut connection).await;
        }
        self.judge(answer, generation).await
    }

    /// What the primary, or each of a cluster's, tells of itself.
    pub(super) async fn info(&self) -> Result<String, StoreError> {
        let (mut connection, generation) = self.connection().await?;
        let answer: RedisResult<Value> = redis::cmd("INFO").query_async(&mut connection).await;
        let mut text = String::new();
        gather(self.judge(answer, generation).await?, &mut text);
        Ok(text)
    }

    async fn connection(&self) -> Result<(Connection, u64), StoreError> {
        let mut current = self.current.lock().await;
        if let Some(connection) = &current.connection {
            return Ok((connection.clone(), current.generation));
        }
        let dialled = tokio::time::timeout(2 * self.config.timeout, self.dial()).await;
        let connection = dialled.unwrap_or_else(|_| Err(unavailable(&self.servers, "no answer in time")))?;
        current.connection = Some(connection.clone());
        current.generation += 1;
        Ok((connection, current.generation))
    }

    async fn dial(&self) -> Result<Connection, StoreError> {
        let failed = |error: RedisError| unavailable(&self.servers, &error.to_string());
        match self.config.topology {
            Topology::Standalone => {
                let server = self.servers.first().cloned().ok_or_else(|| unavailable(&self.servers, "no url is set"))?;
                self.dial_primary(server).await.map(Connection::Single).map_err(failed)
            }
            Topology::Sentinel => {
                let mut told = "no sentinel is set".to_owned();
                for sentinel in &self.servers {
                    match self.ask_sentinel(sentinel.clone()).await {
                        Ok(primary) => return self.dial_primary(primary).await.map(Connection::Single).map_err(failed),
                        Err(error) => told = error.to_string(),
                    }
                }
                Err(unavailable(&self.servers, &told))
            }
            Topology::Cluster => {
                let mut client = ClusterClient::builder(self.servers.clone())
                    .connection_timeout(self.config.timeout)
                    .response_timeout(self.config.timeout);
                if !self.config.password.is_empty() {
                    client = client.password(self.config.password.expose());
                }
                if !self.config.username.is_empty() {
                    client = client.username(&self.config.username);
                }
                let client = client.build().map_err(failed)?;
                client.get_async_connection().await.map(Connection::Cluster).map_err(failed)
            }
        }
    }

    async fn dial_primary(&self, server: ConnectionInfo) -> RedisResult<MultiplexedConnection> {
        let mut settings = server.redis_settings().clone();
        if !self.config.username.is_empty() {
            settings = settings.set_username(&self.config.username);
        }
        if !self.config.password.is_empty() {
            settings = settings.set_password(self.config.password.expose());
        }
        dial_server(server.set_redis_settings(settings), self.config.timeout).await
    }

    /// Where the primary is. It is reached as the sentinel is: with TLS or without.
    async fn ask_sentinel(&self, sentinel: ConnectionInfo) -> RedisResult<ConnectionInfo> {
        let mut connection = dial_server(sentinel.clone(), self.config.timeout).await?;
        let mut question = redis::cmd("SENTINEL");
        question.arg("GET-MASTER-ADDR-BY-NAME").arg(&self.config.primary);
        let found: Option<(String, u16)> = question.query_async(&mut connection).await?;
        let (host, port) = found.ok_or((ErrorKind::MasterNameNotFoundBySentinel, "sentinel does not know the primary's name"))?;
        let address = match sentinel.addr().clone() {
            redis::ConnectionAddr::TcpTls { insecure, tls_params, .. } => {
                redis::ConnectionAddr::TcpTls { host, port, insecure, tls_params }
            }
            _ => redis::ConnectionAddr::Tcp(host, port),
        };
        Ok(sentinel.set_addr(address))
    }

    /// An answer, or why there is none. After a failure that another connection may not have, the next call makes one.
    async fn judge<T>(&self, answer: RedisResult<T>, generation: u64) -> Result<T, StoreError> {
        let error = match answer {
            Ok(answer) => return Ok(answer),
            Err(error) => error,
        };
        let of_place = matches!(
            error.kind(),
            ErrorKind::Io
                | ErrorKind::ClusterConnectionNotFound
                | ErrorKind::Server(
                    ServerErrorKind::ReadOnly | ServerErrorKind::ExecAbort | ServerErrorKind::BusyLoading | ServerErrorKind::MasterDown
                )
        );
        if of_place || error.is_connection_dropped() || error.is_timeout() {
            let mut current = self.current.lock().await;
            if current.generation == generation {
                current.connection = None;
            }
        }
        Err(unavailable(&self.servers, &error.to_string()))
    }
}

async fn dial_server(server: ConnectionInfo, timeout: Duration) -> RedisResult<MultiplexedConnection> {
    let settings = AsyncConnectionConfig::new().set_connection_timeout(Some(timeout)).set_response_timeout(Some(timeout));
    Client::open(server)?.get_multiplexed_async_connection_with_config(&settings).await
}

fn unavailable(servers: &[ConnectionInfo], reason: &str) -> StoreError {
    let servers: Vec<String> = servers.iter().map(|server| server.addr().to_string()).collect();
    StoreError::Unavailable(format!("could not reach redis at {}: {reason}", servers.join(", ")))
}

/// All texts of an answer: one of a server, a map by node of a cluster.
fn gather(answer: Value, text: &mut String) {
    match answer {
        Value::BulkString(bytes) => {
            text.push_str(&String::from_utf8_lossy(&bytes));
            text.push('\n');
        }
        Value::SimpleString(line) => {
            text.push_str(&line);
            text.push('\n');
        }
        Value::VerbatimString { text: told, .. } => {
            text.push_str(&told);
            text.push('\n');
        }
        Value::Array(answers) => answers.into_iter().for_each(|answer| gather(answer, text)),
        Value::Map(answers) => answers.into_iter().for_each(|(_, answer)| gather(answer, text)),
        _ => {}
    }
}

impl ConnectionLike for Connection {
    fn req_packed_command<'a>(&'a mut self, command: &'a Cmd) -> RedisFuture<'a, Value> {
        match self {
            Self::Single(connection) => connection.req_packed_command(command),
            Self::Cluster(connection) => connection.req_packed_command(command),
        }
    }

    fn req_packed_commands<'a>(&'a mut self, pipeline: &'a Pipeline, offset: usize, count: usize) -> RedisFuture<'a, Vec<Value>> {
        match self {
            Self::Single(connection) => connection.req_packed_commands(pipeline, offset, count),
            Self::Cluster(connection) => connection.req_packed_commands(pipeline, offset, count),
        }
    }

    fn get_db(&self) -> i64 {
        match self {
            Self::Single(connection) => connection.get_db(),
            Self::Cluster(connection) => connection.get_db(),
        }
    }
}

impl fmt::Debug for Link {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Link").field("config", &self.config).finish_non_exhaustive()
    }
}
