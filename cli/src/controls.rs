//! `cartwheel stop` and `cartwheel resume` (rule P22): in force within 5 s, whatever evaluator and Redis do.

use bytes::Bytes;
use cartwheel_language::Channel;
use cartwheel_runtime::log::Outgoing;
use cartwheel_wire::{ControlRecord, ControlScope};
use clap::Args;

use crate::{ClientArguments, CommandError, client::Client, say};

/// What to stop or resume; exactly one.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
struct Scope {
    /// Everything.
    #[arg(long)]
    all: bool,
    /// One shop.
    #[arg(long, value_name = "SHOP")]
    shop: Option<String>,
    /// One channel of every shop.
    #[arg(long, value_name = "CHANNEL", value_parser = ["sms"])]
    channel: Option<String>,
    /// One campaign.
    #[arg(long, value_name = "SHOP/CAMPAIGN")]
    campaign: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct StopArguments {
    #[command(flatten)]
    scope: Scope,
    /// Why; stands in the record.
    #[arg(long)]
    reason: String,
    /// Who; stands in the record.
    #[arg(long, env = "USER", default_value = "unknown")]
    by: String,
    #[command(flatten)]
    client: ClientArguments,
}

#[derive(Debug, Args)]
pub(crate) struct ResumeArguments {
    #[command(flatten)]
    scope: Scope,
    /// Messages a second of all dispatchers together at which sending goes on; it doubles every minute. Without it: the setting
    /// dispatcher.controls.resume_rate.
    #[arg(long, value_name = "PER_SECOND")]
    rate: Option<f64>,
    /// Why; stands in the record.
    #[arg(long, default_value = "")]
    reason: String,
    /// Who; stands in the record.
    #[arg(long, env = "USER", default_value = "unknown")]
    by: String,
    #[command(flatten)]
    client: ClientArguments,
}

impl Scope {
    fn resolve(self) -> Result<ControlScope, CommandError> {
        if let Some(shop) = self.shop {
            return Ok(ControlScope::Shop(shop));
        }
        if self.channel.is_some() {
            return Ok(ControlScope::Channel(Channel::Sms));
        }
        match self.campaign.as_deref().map(|campaign| campaign.split_once('/')) {
            Some(Some((shop, campaign))) if !shop.is_empty() && !campaign.is_empty() => {
                Ok(ControlScope::Campaign { shop: shop.to_owned(), campaign: campaign.to_owned() })
            }
            Some(_) => Err(CommandError::Usage("write --campaign as SHOP/CAMPAIGN".to_owned())),
            None => Ok(ControlScope::All),
        }
    }
}

pub(crate) async fn stop(arguments: StopArguments) -> Result<(), CommandError> {
    let StopArguments { scope, reason, by, client } = arguments;
    if reason.trim().is_empty() {
        return Err(CommandError::Usage("say why with --reason".to_owned()));
    }
    order(scope.resolve()?, true, None, reason, by, &client).await
}

pub(crate) async fn resume(arguments: ResumeArguments) -> Result<(), CommandError> {
    let ResumeArguments { scope, rate, reason, by, client } = arguments;
    if rate.is_some_and(|rate| !rate.is_finite() || rate <= 0.0) {
        return Err(CommandError::Usage("--rate is messages a second, above 0".to_owned()));
    }
    order(scope.resolve()?, false, rate, reason, by, &client).await
}

async fn order(
    scope: ControlScope,
    stopped: bool,
    rate: Option<f64>,
    reason: String,
    by: String,
    client: &ClientArguments,
) -> Result<(), CommandError> {
    let client = Client::connect(client).await?;
    let key = scope.key();
    let record = ControlRecord { scope, stopped, rate, by, reason, at: client.clock.now() };
    let outgoing = Outgoing {
        topic: client.topics.controls.clone(),
        partition: 0,
        key: Some(Bytes::from(record.key())),
        value: Some(Bytes::from(record.encode(&client.codec))),
        headers: Vec::new(),
    };
    client.log.append(vec![outgoing]).await.map_err(CommandError::failed)?;
    say(if stopped { format!("stopped {key}; in force within 5 s") } else { format!("resumed {key}; what waited goes out paced") });
    Ok(())
}
