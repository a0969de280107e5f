//! `cartwheel demo`: a recorded shop in fast-forward. Every message as it goes out, every one that was held back, and why.

mod play;
mod summary;

use std::{
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use cartwheel_dispatcher::providers::Shown;
use cartwheel_engine::decision::{Decision, Verdict};
use cartwheel_runtime::{
    clock::VirtualClock,
    log::{From, LogError},
    service::Tasks,
    shutdown,
};
use cartwheel_wire::DecisionRecord;
use clap::Args;
use tokio_util::sync::CancellationToken;

use crate::{CommandError, embedded::Town, roles::Show, say};
use play::Recording;
use summary::Summary;

/// How long after the last event timers are still played: the review request comes five days after a delivery.
const AFTERWARDS: jiff::SignedDuration = jiff::SignedDuration::from_hours(7 * 24);

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// The shop's folder, with shop.yaml and campaigns/*.yaml.
    #[arg(long, default_value = "campaigns")]
    shop: PathBuf,
    /// The recording: one message of the Segment form a line, sorted by `receivedAt`.
    #[arg(long, default_value = "tests/fixtures/hollow-oak/events.jsonl")]
    events: PathBuf,
}

pub(crate) async fn run(arguments: Arguments) -> Result<(), CommandError> {
    let recording = Recording::read(&arguments.events)?;
    let (first, last) = recording.span()?;
    let stop = shutdown::on_signal().map_err(CommandError::failed)?;
    let mut tasks = Tasks::new(stop.clone(), Duration::from_secs(5));
    let clock = VirtualClock::starting_at(first);
    let summary = Arc::new(Mutex::new(Summary::default()));
    let show = show(&clock, &summary);
    // Port 0 is no answer here: callbacks are checked against the address that the provider was told.
    let listen = free_address()?;
    let town = Town::start(&arguments.shop, Some(&listen), clock.clock(), &show, &mut tasks, &stop).await?;
    say(format!(
        "{}: {} messages from {first} to {last}, {} campaigns, in fast-forward\n",
        town.project.shop.name,
        recording.len(),
        town.project.campaigns.len()
    ));
    print_decisions(&town, &mut tasks, &stop, Some(summary.clone()));

    let began = Instant::now();
    let until = last.saturating_add(AFTERWARDS).unwrap_or(last);
    let playing = {
        let stop = stop.clone();
        async move {
            let played = play::play(&town, &clock, &recording, until).await;
            stop.cancel();
            played
        }
    };
    let (played, ended) = tokio::join!(playing, tasks.run());
    played?;
    ended.map_err(CommandError::failed)?;
    let summary = summary.lock().unwrap_or_else(PoisonError::into_inner);
    say(summary.told(until.duration_since(first), began.elapsed()));
    say("\nTry next:\n  \
         make dev                                 the same four services without an end; post events with curl\n  \
         cartwheel campaigns check campaigns      what each campaign means, as a sentence\n  \
         edit campaigns/campaigns/abandoned-cart.yaml (wait: 2h), then `make demo` again");
    Ok(())
}

fn show(clock: &VirtualClock, summary: &Arc<Mutex<Summary>>) -> Show {
    let (clock, summary) = (clock.clock(), summary.clone());
    Arc::new(move |shown: Shown<'_>| {
        summary.lock().unwrap_or_else(PoisonError::into_inner).handed_over(shown.campaign);
        let text = shown.text.replace('\n', "\n                             ");
        say(format!("{}  sent       {} to {}\n                             {text}", moment(clock.now()), shown.campaign, shown.address));
    })
}

/// A moment as the demo shows it, UTC.
fn moment(at: jiff::Timestamp) -> String {
    at.strftime("%a %d %b %H:%M").to_string()
}

fn free_address() -> Result<String, CommandError> {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").map_err(CommandError::failed)?;
    let address = listener.local_addr().map_err(CommandError::failed)?;
    Ok(address.to_string())
}

/// Follows the decisions of all partitions and says those that held something back.
pub(crate) fn print_decisions(town: &Town, tasks: &mut Tasks, stop: &CancellationToken, summary: Option<Arc<Mutex<Summary>>>) {
    for partition in 0..town.ground.topics.partitions {
        let (log, topic, codec) = (town.ground.log.clone(), town.ground.topics.decisions.clone(), town.ground.codec.clone());
        let (summary, stop) = (summary.clone(), stop.clone());
        let follow = async move {
            let mut reader = log.open(&topic, partition, From::Start).await?;
            loop {
                for record in reader.read(200, Duration::from_millis(200)).await? {
                    let Some(value) = &record.value else { continue };
                    let Ok(DecisionRecord(decision)) = DecisionRecord::decode(&codec, value) else { continue };
                    if let Some(summary) = &summary {
                        summary.lock().unwrap_or_else(PoisonError::into_inner).decided(&decision);
                    }
                    if let Some(line) = held_back(&decision) {
                        say(line);
                    }
                }
            }
        };
        tasks.spawn("decisions", async move { stop.run_until_cancelled(follow).await.unwrap_or(Ok::<(), LogError>(())) });
    }
}

/// What a decision that held something back tells people; none for the others.
fn held_back(decision: &Decision) -> Option<String> {
    let word = match decision.verdict {
        Verdict::Held => "waits",
        Verdict::Skipped | Verdict::Ended if decision.reason != cartwheel_engine::decision::Reason::Planned => "held back",
        Verdict::Regretted => "regretted",
        Verdict::Merged => "merged",
        _ => return None,
    };
    let campaign = decision.campaign.as_deref().unwrap_or("");
    let detail = decision.detail.as_ref().map(|detail| format!(" ({detail})")).unwrap_or_default();
    Some(format!("{}  {word:<9}  {campaign} for {}: {}{detail}", moment(decision.at), decision.customer.name(), decision.reason.as_str()))
}
