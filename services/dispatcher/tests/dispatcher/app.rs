//! The role as `cartwheel dev` runs it: tasks of a runtime, real time, memory for Kafka and Redis.

use std::{
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use cartwheel_dispatcher::{
    app::{Handles, run},
    config::{Config, ProviderConfig},
    providers::Shown,
};
use cartwheel_language::Class;
use cartwheel_runtime::{admin::Readiness, clock::Clock, config::load, partitions::Alone};
use tokio_util::sync::CancellationToken;

use crate::stage::Stage;

#[tokio::test]
async fn the_role_runs_in_a_process_shows_messages_of_the_log_provider_and_stops_when_told() {
    let mut config: Config = load(None, [("CARTWHEEL_INSTALLATION__PARTITIONS".to_owned(), "4".to_owned())]).unwrap();
    let provider: ProviderConfig = serde_json::from_value(serde_json::json!({ "kind": "log" })).unwrap();
    config.dispatcher.providers.insert("main".into(), provider);
    let stage = Stage::new();
    stage.clock.set(jiff::Timestamp::now());
    let shown = Arc::new(Mutex::new(Vec::new()));
    let seen = shown.clone();
    let show: Arc<dyn Fn(Shown<'_>) + Send + Sync> = Arc::new(move |message| {
        seen.lock().unwrap().push(format!("{} {}", message.address, message.text));
    });
    let readiness = Readiness::new();
    let handles = Handles {
        log: Arc::new(stage.log.clone()),
        store: stage.store.clone(),
        clock: Clock::system(),
        positions: Arc::new(stage.positions.clone()),
        ownership: Alone::new(4),
        codec: stage.codec.clone(),
        providers: config.dispatcher.providers(&Clock::system(), &show).unwrap(),
        registry: prometheus::Registry::new(),
        readiness: readiness.clone(),
    };
    let message = stage.message(Class::Transactional, 1);
    stage.send(&message);
    stage.fold();
    let stop = CancellationToken::new();
    let role = tokio::spawn({
        let stop = stop.clone();
        async move { run(&config.dispatcher, &config.installation, handles, stop).await }
    });
    let deadline = Instant::now() + Duration::from_secs(30);
    while !stage.ended(&message) {
        assert!(Instant::now() < deadline, "no outcome; unmet: {:?}, ended: {}", readiness.unmet(), role.is_finished());
        stage.fold();
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(*shown.lock().unwrap(), ["+44********23 Your cart is as you left it"]);
    assert!(readiness.is_ready());
    stop.cancel();
    role.await.unwrap().unwrap();
}
