//! A broker in this process: librdkafka's mock cluster, for `cartwheel dev`, the demo and tests without Kafka.
//!
//! Produce, fetch, groups, commits and headers are real; there is no disk, admin interface, compaction, retention setting or isolation. It
//! **keeps only 5 MiB or 100,000 batches of a partition and drops the oldest silently**: spread the load over partitions and do not
//! run ahead of the readers. Fetches are answered when their wait (5 ms) is over; the first join of a group takes about 3 s.

use std::{
    sync::{Arc, mpsc},
    thread::JoinHandle,
};

use rdkafka::mocking::MockCluster;

use super::{Kafka, KafkaConfig};
use crate::log::LogError;

/// A handle to the broker, which lives until the last handle is dropped. Cheap to clone.
#[derive(Clone)]
pub struct Embedded(Arc<Broker>);

struct Broker {
    bootstrap: String,
    /// Dropping the sender ends the thread.
    stop: Option<mpsc::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Embedded {
    /// Starts a broker that has these topics, each a name and its number of partitions.
    ///
    /// # Errors
    /// [`LogError::Unavailable`] if the broker cannot listen or make a topic.
    pub fn start<'a>(topics: impl IntoIterator<Item = (&'a str, u32)>) -> Result<Self, LogError> {
        let topics: Vec<(String, u32)> = topics.into_iter().map(|(name, partitions)| (name.to_owned(), partitions)).collect();
        let (stop, stopped) = mpsc::channel();
        let (started, start) = mpsc::channel();
        // The cluster may not leave the thread that made it.
        let thread = std::thread::Builder::new()
            .name("embedded-kafka".to_owned())
            .spawn(move || match make(&topics) {
                Ok(cluster) => {
                    if started.send(Ok(cluster.bootstrap_servers())).is_ok() {
                        // Only a dropped sender ends the wait; nothing is ever sent.
                        let _ = stopped.recv();
                    }
                }
                Err(error) => {
                    let _ = started.send(Err(error));
                }
            })
            .map_err(|error| LogError::Unavailable(format!("could not start the embedded broker: {error}")))?;
        let bootstrap = start.recv().unwrap_or_else(|_| Err(LogError::Unavailable("embedded broker did not start".to_owned())))?;
        Ok(Self(Arc::new(Broker { bootstrap, stop: Some(stop), thread: Some(thread) })))
    }

    /// Where the broker listens on this machine, for other clients such as kcat.
    pub fn bootstrap(&self) -> &str {
        &self.0.bootstrap
    }

    /// The cluster, which keeps the broker alive.
    pub fn kafka(&self) -> Kafka {
        Kafka { config: Arc::new(KafkaConfig::at(self.bootstrap())), tokens: None, embedded: Some(self.clone()) }
    }
}

fn make(topics: &[(String, u32)]) -> Result<MockCluster<'static, rdkafka::producer::DefaultProducerContext>, LogError> {
    let failed = |error| LogError::Unavailable(format!("could not start the embedded broker: {error}"));
    let cluster = MockCluster::new(1).map_err(failed)?;
    for (name, partitions) in topics {
        let partitions = i32::try_from(*partitions).unwrap_or(i32::MAX);
        cluster.create_topic(name, partitions, 1).map_err(failed)?;
    }
    Ok(cluster)
}

impl Drop for Broker {
    fn drop(&mut self) {
        self.stop = None;
        if let Some(thread) = self.thread.take() {
            // A panic there has been reported by the thread; there is nothing to add at the end of the broker.
            let _ = thread.join();
        }
    }
}
