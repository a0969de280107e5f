//! A consumer group used for one thing: to learn who owns which partition.
//!
//! The member subscribes to one topic and never reads it: it answers each assignment of the group without assigning anything to its client, so
//! nothing is fetched. A partition's *number* is what it owns; which topics' partitions of that number it works on is its host's affair. So several
//! topics with equal partition counts are always owned together.
//!
//! Ownership is a hint that saves work, not a lock: the broker may have given a partition away before its former owner hears of it.
//! What must be exclusive is fenced by epochs (rule P6) and claims (rule P15).

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc as blocking,
    },
    thread::JoinHandle,
    time::{Duration, Instant},
};

use rdkafka::{
    ClientContext,
    client::OAuthToken,
    config::{FromClientConfigAndContext, RDKafkaLogLevel},
    consumer::{BaseConsumer, CommitMode, Consumer, ConsumerContext},
    error::{KafkaError, KafkaResult},
    topic_partition_list::TopicPartitionList,
    types::RDKafkaRespErr,
};
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;

use super::{
    Hooks, Kafka, POLL_PATIENCE,
    group::{GroupPositions, Marks},
    partition_number, unmakeable,
};
use crate::{
    config::duration,
    log::{LogError, Partition},
};

/// How a process belongs to a group.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GroupConfig {
    /// The group's name.
    pub group: String,
    /// The topic whose partitions are shared out.
    pub topic: String,
    /// A name that stays the same across restarts of this member (static membership); empty for a dynamic member.
    pub member: String,
    /// After this silence the member counts as lost and its partitions go to others.
    #[serde(with = "duration")]
    pub session_timeout: Duration,
    /// How often the member shows that it lives, and hears of moves.
    #[serde(with = "duration")]
    pub heartbeat: Duration,
    /// How long a revocation waits for the owner to hand in.
    #[serde(with = "duration")]
    pub handover_patience: Duration,
    /// How often marks are committed.
    #[serde(with = "duration")]
    pub commit_interval: Duration,
}

impl GroupConfig {
    /// A dynamic member with a heartbeat of one second, lost after fifteen (OPERATE: planned moves within three seconds).
    pub fn new(group: impl Into<String>, topic: impl Into<String>) -> Self {
        Self {
            group: group.into(),
            topic: topic.into(),
            member: String::new(),
            session_timeout: Duration::from_secs(15),
            heartbeat: Duration::from_secs(1),
            handover_patience: Duration::from_secs(3),
            commit_interval: Duration::from_secs(1),
        }
    }
}

/// What has changed in who owns what.
#[derive(Debug)]
pub enum Ownership {
    /// These partitions are now this member's.
    Assigned(Vec<Partition>),
    /// These go to others when the owner has handed in: finish or abandon what is in hand, leave last marks, then drop the handover.
    Revoked(Vec<Partition>, Handover),
    /// These have already gone to others: abandon what is in hand.
    Lost(Vec<Partition>),
}

/// Holds a revocation back; dropping it, or its deadline, lets the partitions go.
#[derive(Debug)]
pub struct Handover {
    #[expect(dead_code, reason = "its drop is the message")]
    held: blocking::SyncSender<()>,
    deadline: Instant,
}

impl Handover {
    /// A handover, and what hangs up when it is dropped.
    pub(crate) fn within(patience: Duration) -> (Self, blocking::Receiver<()>) {
        let (held, handed_in) = blocking::sync_channel(0);
        (Self { held, deadline: Instant::now() + patience }, handed_in)
    }

    /// When the partitions go to others without waiting any longer.
    pub fn deadline(&self) -> Instant {
        self.deadline
    }
}

/// A process's place in a group.
pub struct Membership {
    changes: mpsc::UnboundedReceiver<Result<Ownership, LogError>>,
    positions: Arc<GroupPositions>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

/// The context of a member's client.
pub(super) struct GroupHooks {
    hooks: Hooks,
    /// Bounded by the group: an assignment is followed by its revocation, and a revocation waits for the owner.
    changes: mpsc::UnboundedSender<Result<Ownership, LogError>>,
    marks: Arc<Marks>,
    handover_patience: Duration,
}

type Client = BaseConsumer<GroupHooks>;

impl Membership {
    pub(super) fn join(kafka: &Kafka, group: GroupConfig) -> Result<Self, LogError> {
        let mut client = kafka.consumer(&group.group);
        client
            .set("partition.assignment.strategy", "cooperative-sticky")
            .set("session.timeout.ms", group.session_timeout.as_millis().to_string())
            .set("heartbeat.interval.ms", group.heartbeat.as_millis().to_string());
        if !group.member.is_empty() {
            client.set("group.instance.id", &group.member);
        }
        let (sender, changes) = mpsc::unbounded_channel();
        let marks = Arc::new(Marks::default());
        let hooks = GroupHooks { hooks: kafka.hooks(), changes: sender, marks: marks.clone(), handover_patience: group.handover_patience };
        let client = Client::from_config_and_context(&client, hooks).map_err(|error| unmakeable(&error))?;
        client.subscribe(&[&group.topic]).map_err(|error| unmakeable(&error))?;
        let client = Arc::new(client);
        let positions = Arc::new(GroupPositions::member(&client, marks));
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = stop.clone();
        let thread = std::thread::Builder::new()
            .name("kafka-group".to_owned())
            .spawn(move || {
                take_part(&client, &stopped, group.commit_interval);
                leave(&client, group.handover_patience);
            })
            .map_err(|error| LogError::Fatal(format!("could not start the thread of a group: {error}")))?;
        Ok(Self { changes, positions, stop, thread: Some(thread) })
    }

    /// The next change; none when the group has been left. A call that is dropped loses no change.
    ///
    /// # Errors
    /// [`LogError::Fatal`] if the broker has thrown this member out for good, such as for another one of the same static name.
    pub async fn next(&mut self) -> Result<Option<Ownership>, LogError> {
        self.changes.recv().await.transpose()
    }

    /// The group's positions; marks of partitions that are not owned are dropped.
    pub fn positions(&self) -> Arc<GroupPositions> {
        self.positions.clone()
    }

    /// Begins to leave: what is owned is revoked, then [`Membership::next`] returns none. A static member keeps its place for its
    /// session time-out.
    pub fn leave(&self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

impl Drop for Membership {
    fn drop(&mut self) {
        self.leave();
        // Whoever drops it hands nothing in any more: waiting revocations must not wait for their patience.
        self.changes.close();
        while self.changes.try_recv().is_ok() {}
        if let Some(thread) = self.thread.take() {
            // A panic there has been reported by the thread itself.
            let _ = thread.join();
        }
    }
}

fn take_part(client: &Client, stop: &AtomicBool, commit_interval: Duration) {
    let mut committed = Instant::now();
    while !stop.load(Ordering::Relaxed) {
        match client.poll(POLL_PATIENCE) {
            Some(Err(KafkaError::MessageConsumptionFatal(code))) => {
                let failure = LogError::Fatal(format!("thrown out of the group: {code}"));
                // Nobody listens any more when the membership is being dropped.
                let _ = client.context().changes.send(Err(failure));
                return;
            }
            Some(Ok(message)) => {
                tracing::error!(topic = rdkafka::Message::topic(&message), "group member was given a record, which it never asked for");
            }
            // All other errors are librdkafka's to mend; its hooks have logged them.
            Some(Err(_)) | None => {}
        }
        if committed.elapsed() >= commit_interval {
            client.context().marks.commit(client, CommitMode::Async);
            committed = Instant::now();
        }
    }
}

fn leave(client: &Client, patience: Duration) {
    client.unsubscribe();
    let deadline = Instant::now() + patience + POLL_PATIENCE;
    while client.context().marks.owns_any() && Instant::now() < deadline {
        client.poll(POLL_PATIENCE);
    }
}

impl ConsumerContext for GroupHooks {
    fn rebalance(&self, client: &BaseConsumer<Self>, change: RDKafkaRespErr, list: &mut TopicPartitionList) {
        let partitions: Vec<Partition> = list.elements().iter().map(|place| partition_number(place.partition())).collect();
        // The group's own list of what is owned does not depend on what the client is told to fetch: nothing.
        let nothing = TopicPartitionList::new();
        let answered = if change == RDKafkaRespErr::RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS {
            self.marks.own(&partitions);
            self.tell(&partitions, Ownership::Assigned);
            client.incremental_assign(&nothing)
        } else {
            if client.assignment_lost() {
                self.tell(&partitions, Ownership::Lost);
            } else {
                self.hand_over(client, &partitions);
            }
            self.marks.disown(&partitions);
            client.incremental_unassign(&nothing)
        };
        if let Err(error) = answered {
            tracing::error!(%error, "could not answer a change of the group");
        }
    }

    fn commit_callback(&self, result: KafkaResult<()>, offsets: &TopicPartitionList) {
        match result {
            Ok(()) => self.marks.taken(offsets),
            Err(error) => tracing::warn!(%error, "positions were not taken, they are repeated with the next ones"),
        }
    }
}

impl GroupHooks {
    fn tell(&self, partitions: &[Partition], change: impl FnOnce(Vec<Partition>) -> Ownership) {
        if !partitions.is_empty() {
            // Nobody listens any more when the membership is being dropped.
            let _ = self.changes.send(Ok(change(partitions.to_vec())));
        }
    }

    fn hand_over(&self, client: &BaseConsumer<Self>, partitions: &[Partition]) {
        if partitions.is_empty() {
            return;
        }
        let (handover, handed_in) = Handover::within(self.handover_patience);
        self.tell(partitions, |partitions| Ownership::Revoked(partitions, handover));
        if handed_in.recv_timeout(self.handover_patience) == Err(blocking::RecvTimeoutError::Timeout) {
            tracing::warn!(?partitions, "partitions were not handed in before they had to go");
        }
        self.marks.commit(client, CommitMode::Sync);
    }
}

impl ClientContext for GroupHooks {
    const ENABLE_REFRESH_OAUTH_TOKEN: bool = Hooks::ENABLE_REFRESH_OAUTH_TOKEN;

    fn log(&self, level: RDKafkaLogLevel, facility: &str, line: &str) {
        self.hooks.log(level, facility, line);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        self.hooks.error(error, reason);
    }

    fn generate_oauth_token(&self, configured: Option<&str>) -> Result<OAuthToken, Box<dyn std::error::Error>> {
        self.hooks.generate_oauth_token(configured)
    }
}
