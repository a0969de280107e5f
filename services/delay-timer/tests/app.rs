//! The whole role in one process: in memory, and on real Kafka with a disk.

#[cfg(test)]
mod tests {
    use std::{sync::Arc, time::Duration};

    use bytes::Bytes;
    use cartwheel_delay_timer::{
        app::{self, Handles},
        config::Config,
        progress::Timers,
        view::{MemoryViews, Views},
    };
    use cartwheel_runtime::{
        clock::{Clock, VirtualClock},
        config::load,
        kafka::{Kafka, KafkaConfig, Profile},
        log::{From, Log, Outgoing, Record},
        memory_log::MemoryLog,
        partitions::Alone,
        service::Failure,
    };
    use cartwheel_tests::{eventually, kafka, unique};
    use cartwheel_wire::{Codec, TimerRecord, Topics};
    use jiff::{SignedDuration, Timestamp};
    use prometheus::Registry;
    use rdkafka::{
        ClientConfig,
        producer::{BaseProducer, BaseRecord, Producer},
    };
    use tokio::task::JoinHandle;
    use tokio_util::sync::CancellationToken;

    const PARTITIONS: u32 = 2;

    fn config(prefix: &str, view: &std::path::Path) -> Config {
        let settings = [
            ("INSTALLATION__PREFIX", prefix.to_owned()),
            ("INSTALLATION__PARTITIONS", PARTITIONS.to_string()),
            ("DELAY_TIMER__VIEW_PATH", view.display().to_string()),
            ("DELAY_TIMER__RECHECK", "100ms".to_owned()),
        ];
        load(None, settings.map(|(key, value)| (format!("CARTWHEEL_{key}"), value))).unwrap()
    }

    struct Role {
        timers: Timers,
        stop: CancellationToken,
        task: JoinHandle<Result<(), Failure>>,
    }

    impl Role {
        fn start(config: &Config, log: Arc<dyn Log>, clock: Clock, views: Views) -> Self {
            let (timers, stop) = (Timers::default(), CancellationToken::new());
            let handles = Handles {
                log,
                clock,
                ownership: Alone::new(PARTITIONS),
                codec: Codec::single_object(),
                views,
                timers: timers.clone(),
                registry: Registry::new(),
            };
            let (config, leave) = (config.clone(), stop.clone());
            let task = tokio::spawn(async move { app::run(&config.delay_timer, &config.installation, handles, leave).await });
            Self { timers, stop, task }
        }

        async fn stop(self) {
            self.stop.cancel();
            self.task.await.unwrap().unwrap();
            assert!(self.timers.partitions().is_empty(), "a worker still runs");
        }

        async fn open(&self, count: u64) {
            eventually("the timers that are open", || async {
                let partitions = self.timers.partitions();
                let ready = partitions.len() == PARTITIONS as usize && partitions.values().all(|progress| progress.ready);
                let open: u64 = partitions.values().map(|progress| progress.open).sum();
                if ready && open == count { Ok(()) } else { Err(format!("{partitions:?}")) }
            })
            .await;
        }
    }

    fn timer(topics: &Topics, partition: u32, id: &str, due: Timestamp) -> TimerRecord {
        TimerRecord {
            id: id.to_owned(),
            due,
            topic: topics.events.to_string(),
            partition,
            key: Some(Bytes::from_static(b"acme/user:1")),
            headers: vec![("timer".to_owned(), Bytes::from(id.to_owned()))],
            value: Some(Bytes::from_static(b"a value that is copied as it is")),
        }
    }

    fn set(topics: &Topics, timer: &TimerRecord) -> Outgoing {
        let value = Some(Bytes::from(timer.encode(&Codec::single_object())));
        let key = Some(Bytes::from(timer.id.clone()));
        Outgoing { topic: topics.timers.clone(), partition: timer.partition, key, value, headers: Vec::new() }
    }

    fn cancel(topics: &Topics, partition: u32, id: &str) -> Outgoing {
        Outgoing { topic: topics.timers.clone(), partition, key: Some(Bytes::from(id.to_owned())), value: None, headers: Vec::new() }
    }

    /// The ids of the timers that fired, once there are so many.
    async fn fired(log: &dyn Log, topics: &Topics, count: usize) -> Vec<String> {
        let mut records: Vec<Record> = Vec::new();
        for partition in 0..PARTITIONS {
            let end = log.bounds(&topics.events, partition).await.unwrap().end;
            let mut reader = log.open(&topics.events, partition, From::Start).await.unwrap();
            while reader.position() < end {
                records.extend(reader.read(1000, Duration::from_millis(100)).await.unwrap());
            }
        }
        let mut ids: Vec<String> = records.iter().map(|record| String::from_utf8(record.headers[0].1.to_vec()).unwrap()).collect();
        ids.sort();
        assert!(ids.len() <= count, "{ids:?}");
        ids
    }

    #[test]
    fn a_timer_that_another_avro_library_wrote_is_read() {
        // Printed by the example in README.md, with a fixed clock and fastavro 1.x.
        let hex = "c301894c3a8ead20e7c42a696e766f6963652d343731312d72656d696e6465728080dcf5f29f860624696e766f696365732e\
                   72656d696e64657273000208343731310002227b22696e766f696365223a20343731317d";
        let bytes: Vec<u8> = (0..hex.len()).step_by(2).map(|place| u8::from_str_radix(&hex[place..place + 2], 16).unwrap()).collect();
        let expected = TimerRecord {
            id: "invoice-4711-reminder".to_owned(),
            due: Timestamp::from_second(1_700_000_000 + 30 * 86_400).unwrap(),
            topic: "invoices.reminders".to_owned(),
            partition: 0,
            key: Some(Bytes::from_static(b"4711")),
            headers: Vec::new(),
            value: Some(Bytes::from_static(b"{\"invoice\": 4711}")),
        };
        assert_eq!(TimerRecord::decode(&Codec::single_object(), &bytes).unwrap(), expected);
    }

    #[tokio::test]
    async fn the_role_runs_in_memory_says_when_the_next_timer_is_due_and_stops() {
        let start: Timestamp = "2030-01-01T00:00:00Z".parse().unwrap();
        let virtual_clock = VirtualClock::starting_at(start);
        let clock = virtual_clock.clock();
        let config = config("cartwheel", std::path::Path::new("unused"));
        let topics = cartwheel_installation::topics(&config.installation);
        let log = MemoryLog::new(clock.clone());
        for topic in [&topics.timers, &topics.events, &topics.dead_letters] {
            log.create_topic(topic, PARTITIONS);
        }
        let log: Arc<dyn Log> = Arc::new(log);
        let role = Role::start(&config, log.clone(), clock, Views::Memory(MemoryViews::default()));
        let in_years = |years: i64| start + SignedDuration::from_hours(years * 365 * 24);
        log.append(vec![
            set(&topics, &timer(&topics, 0, "in ten years", in_years(10))),
            set(&topics, &timer(&topics, 1, "in one year", in_years(1))),
            set(&topics, &timer(&topics, 1, "cancelled", in_years(1))),
            cancel(&topics, 1, "cancelled"),
        ])
        .await
        .unwrap();
        role.open(2).await;
        assert_eq!(role.timers.next_due(), Some(in_years(1)));
        assert!(fired(&*log, &topics, 0).await.is_empty());
        virtual_clock.jump_to(in_years(1));
        role.open(1).await;
        assert_eq!(role.timers.next_due(), Some(in_years(10)));
        virtual_clock.jump_to(in_years(10));
        role.open(0).await;
        assert_eq!(fired(&*log, &topics, 2).await, ["in one year", "in ten years"]);
        role.stop().await;
    }

    #[tokio::test]
    async fn on_real_kafka_a_killed_role_goes_on_with_its_disk_and_without_it() {
        let Some(node) = kafka() else { return };
        let folder = tempfile::tempdir().unwrap();
        let config = config(&unique("killed"), folder.path());
        let topics = cartwheel_installation::topics(&config.installation);
        for topic in [&topics.timers, &topics.events, &topics.dead_letters] {
            node.create_topic(topic, PARTITIONS as i32, &[]).await;
        }
        let cluster = Kafka::new(KafkaConfig { profile: Profile::Development, ..KafkaConfig::at(node.bootstrap()) });
        let log: Arc<dyn Log> = Arc::new(cluster.log(Clock::system()).unwrap());
        let role = Role::start(&config, log.clone(), Clock::system(), app::open_disk(&config.delay_timer).await.unwrap());
        let soon = Timestamp::now() + SignedDuration::from_secs(2);
        let later = soon + SignedDuration::from_hours(24);
        let ids: Vec<String> = (0..300).map(|number| format!("soon {number:03}")).collect();
        let mut records: Vec<Outgoing> = Vec::new();
        for (partition, id) in (0..PARTITIONS).cycle().zip(&ids) {
            records.push(set(&topics, &timer(&topics, partition, id, soon)));
        }
        records.push(set(&topics, &timer(&topics, 0, "later", later)));
        records.push(set(&topics, &timer(&topics, 0, "no timer", soon)));
        records.push(cancel(&topics, 0, "no timer"));
        log.append(records).await.unwrap();
        role.open(301).await;

        // A process that is killed: nothing is handed in, and the disk is as it was.
        role.task.abort();
        assert!(role.task.await.unwrap_err().is_cancelled());
        let reopened = eventually("the disk to be free", || async { app::open_disk(&config.delay_timer).await }).await;
        let role = Role::start(&config, log.clone(), Clock::system(), reopened);
        role.open(1).await;
        assert_eq!(fired(&*log, &topics, ids.len()).await, ids);
        role.stop().await;

        std::fs::remove_dir_all(folder.path()).unwrap();
        let views = eventually("the disk to be free", || async { app::open_disk(&config.delay_timer).await }).await;
        let role = Role::start(&config, log.clone(), Clock::system(), views);
        role.open(1).await;
        assert_eq!(fired(&*log, &topics, ids.len()).await, ids, "nothing fires again without the disk");
        role.stop().await;
    }

    #[tokio::test]
    async fn on_real_kafka_a_log_whose_end_holds_no_record_is_read_to_its_end() {
        let Some(node) = kafka() else { return };
        let folder = tempfile::tempdir().unwrap();
        let config = config(&unique("marker"), folder.path());
        let topics = cartwheel_installation::topics(&config.installation);
        for topic in [&topics.timers, &topics.events, &topics.dead_letters] {
            node.create_topic(topic, PARTITIONS as i32, &[]).await;
        }
        // The marker that ends a transaction takes an offset that no reader ever sees, as a compacted end does.
        let timer = timer(&topics, 0, "in a transaction", Timestamp::now());
        let (bootstrap, topic) = (node.bootstrap(), topics.timers.clone());
        tokio::task::spawn_blocking(move || {
            let mut client = ClientConfig::new();
            client.set("bootstrap.servers", bootstrap).set("transactional.id", &*topic);
            let producer: BaseProducer = client.create().unwrap();
            let patience = Duration::from_secs(30);
            producer.init_transactions(patience).unwrap();
            producer.begin_transaction().unwrap();
            let value = timer.encode(&Codec::single_object());
            producer.send(BaseRecord::to(&topic).partition(0).key(&timer.id).payload(&value)).map_err(|(error, _)| error).unwrap();
            producer.commit_transaction(patience).unwrap();
        })
        .await
        .unwrap();
        let cluster = Kafka::new(KafkaConfig { profile: Profile::Development, ..KafkaConfig::at(node.bootstrap()) });
        let log: Arc<dyn Log> = Arc::new(cluster.log(Clock::system()).unwrap());
        let role = Role::start(&config, log.clone(), Clock::system(), app::open_disk(&config.delay_timer).await.unwrap());
        eventually("the timer to fire", || async {
            let fired = fired(&*log, &topics, 1).await;
            if fired.is_empty() { Err("not yet") } else { Ok(()) }
        })
        .await;
        role.stop().await;
    }
}
