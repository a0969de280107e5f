//! Hosts one worker for each partition that a process owns: starts it when the partition comes, lets it hand in when it goes.

use std::{collections::BTreeMap, fmt::Display, future::Future};

use futures::future::BoxFuture;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::{
    kafka::{Membership, Ownership},
    log::{LogError, Partition},
};

/// Who says which partitions are this process's.
pub trait OwnershipSource: Send + 'static {
    /// The next change; none when nothing changes any more because the group was left.
    fn next(&mut self) -> BoxFuture<'_, Result<Option<Ownership>, LogError>>;
    /// Begins to leave: what is owned is revoked, then [`OwnershipSource::next`] returns none.
    fn leave(&mut self);
}

impl OwnershipSource for Membership {
    fn next(&mut self) -> BoxFuture<'_, Result<Option<Ownership>, LogError>> {
        Box::pin(Membership::next(self))
    }

    fn leave(&mut self) {
        Membership::leave(self);
    }
}

/// Owns a fixed set of partitions without a group: a process that is alone on its log, as `cartwheel dev` is.
#[derive(Debug)]
pub struct Alone {
    partitions: Option<Vec<Partition>>,
    left: CancellationToken,
}

impl Alone {
    /// Owns partitions 0 up to `count`.
    pub fn new(count: u32) -> Self {
        Self { partitions: Some((0..count).collect()), left: CancellationToken::new() }
    }
}

impl OwnershipSource for Alone {
    fn next(&mut self) -> BoxFuture<'_, Result<Option<Ownership>, LogError>> {
        let given = self.partitions.take();
        let left = self.left.clone();
        Box::pin(async move {
            if given.is_none() {
                left.cancelled().await;
            }
            Ok(given.map(Ownership::Assigned))
        })
    }

    fn leave(&mut self) {
        self.left.cancel();
    }
}

/// Why hosting ended before it was told to.
#[derive(Debug, thiserror::Error)]
pub enum HostError {
    /// The group.
    #[error(transparent)]
    Group(#[from] LogError),
    /// A worker failed, or ended by itself.
    #[error("worker of partition {partition} ended: {reason}")]
    Worker {
        /// Its partition.
        partition: Partition,
        /// Why.
        reason: String,
    },
}

/// Runs `worker` for each owned partition until `stop` is cancelled and the group is left.
///
/// A worker is given its partition and a token; when that is cancelled it finishes or abandons what is in its hands and returns. A
/// revocation waits for that; a loss, or the end of the patience of the group, does not: the worker is dropped where it stands.
///
/// # Errors
/// A worker that fails ends all: the process stops and the log is replayed.
pub async fn host<F, E>(
    mut source: impl OwnershipSource,
    stop: CancellationToken,
    mut worker: impl FnMut(Partition, CancellationToken) -> F,
) -> Result<(), HostError>
where
    F: Future<Output = Result<(), E>> + Send + 'static,
    E: Display + Send + 'static,
{
    let mut running: JoinSet<(Partition, Result<(), String>)> = JoinSet::new();
    let mut owned: BTreeMap<Partition, (CancellationToken, tokio::task::AbortHandle)> = BTreeMap::new();
    let mut leaving = false;
    loop {
        tokio::select! {
            () = stop.cancelled(), if !leaving => {
                leaving = true;
                for (token, _) in owned.values() {
                    token.cancel();
                }
                source.leave();
            }
            change = source.next() => match change? {
                Some(Ownership::Assigned(partitions)) => {
                    for partition in partitions {
                        let token = stop.child_token();
                        let task = worker(partition, token.clone());
                        let handle = running.spawn(async move { (partition, task.await.map_err(|error| error.to_string())) });
                        if let Some((former, handle)) = owned.insert(partition, (token, handle)) {
                            former.cancel();
                            handle.abort();
                        }
                    }
                }
                Some(Ownership::Revoked(partitions, handover)) => {
                    let leaving: Vec<_> = partitions.iter().filter_map(|partition| owned.remove(partition)).collect();
                    for (token, _) in &leaving {
                        token.cancel();
                    }
                    let deadline = handover.deadline().into();
                    while leaving.iter().any(|(_, handle)| !handle.is_finished()) {
                        match tokio::time::timeout_at(deadline, running.join_next()).await {
                            Ok(Some(Ok((partition, Err(reason))))) => return Err(HostError::Worker { partition, reason }),
                            Ok(_) => {}
                            Err(_) => {
                                leaving.iter().for_each(|(_, handle)| handle.abort());
                                break;
                            }
                        }
                    }
                    drop(handover);
                }
                Some(Ownership::Lost(partitions)) => {
                    for (_, handle) in partitions.iter().filter_map(|partition| owned.remove(partition)) {
                        handle.abort();
                    }
                }
                None => break,
            },
            Some(ended) = running.join_next(), if !running.is_empty() => {
                match ended {
                    Ok((partition, Err(reason))) => return Err(HostError::Worker { partition, reason }),
                    Ok((partition, Ok(()))) if owned.get(&partition).is_some_and(|(token, _)| !token.is_cancelled()) => {
                        return Err(HostError::Worker { partition, reason: "it had nothing more to do, which it should not decide".to_owned() });
                    }
                    Err(failed) if failed.is_panic() => {
                        let partition = owned.iter().find(|(_, (_, handle))| handle.id() == failed.id()).map_or(0, |(partition, _)| *partition);
                        return Err(HostError::Worker { partition, reason: failed.to_string() });
                    }
                    _ => {}
                }
            }
        }
    }
    while let Some(ended) = running.join_next().await {
        if let Ok((partition, Err(reason))) = ended {
            return Err(HostError::Worker { partition, reason });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::{
        sync::{Arc, Mutex},
        time::Duration,
    };

    use super::*;
    use crate::kafka::Handover;

    #[tokio::test]
    async fn every_owned_partition_has_a_worker_until_the_process_stops() {
        let stop = CancellationToken::new();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let (seen_by_workers, stop_when_all) = (seen.clone(), stop.clone());
        let hosted = host(Alone::new(3), stop.clone(), move |partition, token| {
            let (seen, stop) = (seen_by_workers.clone(), stop_when_all.clone());
            async move {
                seen.lock().unwrap().push(partition);
                if seen.lock().unwrap().len() == 3 {
                    stop.cancel();
                }
                token.cancelled().await;
                Ok::<(), String>(())
            }
        });
        hosted.await.unwrap();
        let mut seen = seen.lock().unwrap().clone();
        seen.sort_unstable();
        assert_eq!(seen, [0, 1, 2]);
    }

    /// Changes that come one after the other, then none.
    struct Told(std::collections::VecDeque<Ownership>);

    impl OwnershipSource for Told {
        fn next(&mut self) -> BoxFuture<'_, Result<Option<Ownership>, LogError>> {
            let next = self.0.pop_front();
            Box::pin(std::future::ready(Ok(next)))
        }

        fn leave(&mut self) {}
    }

    #[tokio::test]
    async fn a_worker_that_does_not_hand_in_is_dropped_at_the_deadline() {
        let (handover, handed_in) = Handover::within(Duration::from_millis(50));
        let changes = [Ownership::Assigned(vec![0]), Ownership::Revoked(vec![0], handover)];
        let hosted = host(Told(changes.into()), CancellationToken::new(), |_, _| std::future::pending::<Result<(), String>>());
        tokio::time::timeout(Duration::from_secs(10), hosted).await.expect("the worker was waited for").unwrap();
        assert_eq!(handed_in.try_recv(), Err(std::sync::mpsc::TryRecvError::Disconnected));
    }

    #[tokio::test]
    async fn a_worker_that_fails_ends_all() {
        let failed = host(Alone::new(2), CancellationToken::new(), |partition, token| async move {
            if partition == 1 {
                return Err("disk full");
            }
            token.cancelled().await;
            Ok(())
        });
        assert_eq!(failed.await.unwrap_err().to_string(), "worker of partition 1 ended: disk full");
    }
}
