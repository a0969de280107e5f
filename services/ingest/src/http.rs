//! The HTTP side: the events API, providers' callbacks and opt-out links on one listener.
//!
//! HTTP/1 only, TLS ends in front. Every wait on a socket has a limit and runs on the machine's own time, not on the
//! [`Clock`](cartwheel_runtime::clock::Clock), which `cartwheel dev` moves: connections are counted, the head of a request and idleness between two are
//! bounded by the server, the body by [`body`], the answer by the log's time-out. Memory is bounded by connections times the largest
//! body.

mod answer;
pub(crate) mod body;
mod events;
mod keys;
mod opt_out;

use std::{
    convert::Infallible,
    sync::{Arc, Mutex, atomic::AtomicU64},
};

use axum::{
    Router,
    extract::{Request, State},
    http::{HeaderName, HeaderValue, Method, header},
    middleware::{self, Next},
    response::Response,
    routing::{get, post},
};
use cartwheel_language::seal::SealKey;
use cartwheel_runtime::clock::Clock;
use cartwheel_wire::pseudonym::Pseudonyms;
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    server::graceful::GracefulShutdown,
    service::TowerToHyperService,
};
use tokio::{net::TcpListener, sync::Semaphore, task::JoinSet};
use tokio_util::sync::CancellationToken;
use tower_http::cors::{AllowOrigin, CorsLayer};

pub(crate) use keys::Keys;

use crate::{
    callbacks,
    config::{HttpConfig, ProviderConfig},
    intake::Intake,
    metrics::{Metrics, Way},
    quota::{Ceiling, Quotas},
    refusal::{Code, Refusal},
    shops::Shops,
};

/// What the handlers work with.
pub(crate) struct Edge {
    pub(crate) config: HttpConfig,
    pub(crate) providers: std::collections::BTreeMap<String, ProviderConfig>,
    pub(crate) keys: Keys,
    pub(crate) quotas: Quotas,
    pub(crate) ceiling: Mutex<Ceiling>,
    pub(crate) pseudonyms: Pseudonyms,
    pub(crate) links: SealKey,
    pub(crate) shops: Shops,
    pub(crate) intake: Intake,
    pub(crate) clock: Clock,
    pub(crate) metrics: Metrics,
    pub(crate) arrivals: Arrivals,
    pub(crate) working: Semaphore,
}

pub(crate) type Shared = State<Arc<Edge>>;

/// Ids for messages that bring none: no two arrivals have the same, in this process or another.
pub(crate) struct Arrivals {
    process: u64,
    count: AtomicU64,
}

impl Arrivals {
    pub(crate) fn new() -> Self {
        use std::hash::{BuildHasher, RandomState};
        // The standard library's hasher is seeded by the operating system's randomness, anew in every process.
        Self { process: RandomState::new().hash_one("arrivals"), count: AtomicU64::new(0) }
    }

    pub(crate) fn next(&self) -> String {
        format!("arrival/{:016x}-{}", self.process, self.count.fetch_add(1, std::sync::atomic::Ordering::Relaxed))
    }
}

/// All routes.
pub(crate) fn router(edge: Arc<Edge>) -> Router {
    let mut events = Router::new();
    for (paths, what) in events::PATHS {
        for path in *paths {
            events = events.route(path, post(move |edge: Shared, request: Request| events::take(edge, *what, request)));
        }
    }
    Router::new()
        .route("/callbacks/{provider}/status", post(callbacks::status))
        .route("/callbacks/{provider}/inbound", post(callbacks::inbound))
        .route("/o/{token}", get(opt_out::ask).post(opt_out::confirm))
        .method_not_allowed_fallback(wrong_method)
        .merge(events.method_not_allowed_fallback(wrong_method).layer(cors(&edge.config)))
        .fallback(not_found)
        .layer(middleware::from_fn_with_state(edge.clone(), count))
        .with_state(edge)
}

async fn wrong_method() -> Response {
    answer::refused(&Refusal::new(Code::WrongMethod, "this address takes another method; events are sent with POST"))
}

async fn not_found() -> Response {
    answer::refused(&Refusal::new(Code::NotFound, "there is nothing at this address; events go to /v1/batch"))
}

fn cors(config: &HttpConfig) -> CorsLayer {
    let origins = if config.origins.iter().any(|origin| origin == "*") {
        AllowOrigin::any()
    } else {
        AllowOrigin::list(config.origins.iter().filter_map(|origin| origin.parse::<HeaderValue>().ok()))
    };
    let headers = [header::AUTHORIZATION, header::CONTENT_TYPE, HeaderName::from_static("x-write-key")];
    CorsLayer::new().allow_origin(origins).allow_methods([Method::POST]).allow_headers(headers).max_age(std::time::Duration::from_secs(600))
}

async fn count(State(edge): Shared, request: Request, next: Next) -> Response {
    let response = next.run(request).await;
    edge.metrics.answered(response.status().as_u16());
    response
}

impl Edge {
    /// Notes a refusal and turns it into its answer.
    pub(crate) fn refuse(&self, way: Way, refusal: &Refusal) -> Response {
        self.metrics.refused(way, refusal.code);
        answer::refused(refusal)
    }

    /// Appends and answers 2xx only when the log has acknowledged.
    ///
    /// # Errors
    /// The answer that says that nothing may be counted on. Records may still land later; sent again, they have the same ids.
    pub(crate) async fn append(
        &self,
        way: Way,
        inputs: Vec<cartwheel_engine::input::Input>,
        aside: Vec<crate::intake::SetAside>,
    ) -> Result<(), Response> {
        let reason = match tokio::time::timeout(self.config.log_timeout, self.intake.append(way, inputs, aside)).await {
            Ok(Ok(())) => return Ok(()),
            Ok(Err(error)) => error.to_string(),
            Err(_) => "the log did not acknowledge in time".to_owned(),
        };
        tracing::warn!(reason, "events were not acknowledged and the client was told so");
        Err(self.refuse(way, &Refusal::new(Code::Unavailable, "the log does not answer; nothing was taken, send it again")))
    }
}

/// Serves `router` on `listener` until `stop`, then finishes the requests in hand.
///
/// # Errors
/// Never while the listener lives: a connection that cannot be accepted is the client's matter.
pub(crate) async fn serve(listener: TcpListener, router: Router, config: HttpConfig, stop: CancellationToken) -> Result<(), Infallible> {
    let mut server = hyper::server::conn::http1::Builder::new();
    server.timer(TokioTimer::new()).header_read_timeout(config.head_timeout).max_headers(64).max_buf_size(64 * 1024);
    let (room, graceful) = (Arc::new(Semaphore::new(config.connections)), GracefulShutdown::new());
    let mut connections = JoinSet::new();
    loop {
        while connections.try_join_next().is_some() {}
        let accepted = tokio::select! {
            () = stop.cancelled() => break,
            place = room.clone().acquire_owned() => match place {
                Ok(place) => tokio::select! {
                    () = stop.cancelled() => break,
                    accepted = listener.accept() => accepted.map(|(stream, _)| (stream, place)),
                },
                Err(_) => break,
            },
        };
        let (stream, place) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                // Out of file descriptors, as a rule: those that are open must be given time to close.
                tracing::warn!(reason = %error, "could not accept a connection");
                tokio::time::sleep(std::time::Duration::from_millis(50)).await;
                continue;
            }
        };
        // An answer is one small write: waiting to fill a packet would only delay it.
        let _ = stream.set_nodelay(true);
        let connection = graceful.watch(server.serve_connection(TokioIo::new(stream), TowerToHyperService::new(router.clone())));
        connections.spawn(async move {
            // What ends a connection early is the client's: slow, gone, or not speaking HTTP.
            let _ = connection.await;
            drop(place);
        });
    }
    drop(listener);
    graceful.shutdown().await;
    Ok(())
}
