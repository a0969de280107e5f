//! `cartwheel dev`: the four services in one process, without Kafka or Redis, until it is stopped.

use std::{path::PathBuf, sync::Arc, time::Duration};

use cartwheel_dispatcher::providers::Shown;
use cartwheel_runtime::{clock::Clock, service::Tasks, shutdown};
use clap::Args;

use crate::{
    CommandError,
    demo::print_decisions,
    embedded::{Town, WRITE_KEY},
    roles::Show,
    say,
};

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// The shop's folder, with shop.yaml and campaigns/*.yaml.
    #[arg(long, default_value = "campaigns")]
    shop: PathBuf,
    /// Where HTTP is answered; 127.0.0.1:8080 where nothing else is said.
    #[arg(long, value_name = "ADDRESS:PORT")]
    listen: Option<String>,
}

pub(crate) async fn run(arguments: Arguments) -> Result<(), CommandError> {
    let stop = shutdown::on_signal().map_err(CommandError::failed)?;
    let mut tasks = Tasks::new(stop.clone(), Duration::from_secs(5));
    let show: Show = Arc::new(|shown: Shown<'_>| {
        say(format!("sent       {} to {}\n           {}", shown.campaign, shown.address, shown.text.replace('\n', "\n           ")))
    });
    let town = Town::start(&arguments.shop, arguments.listen.as_deref(), Clock::system(), &show, &mut tasks, &stop).await?;
    cartwheel_runtime::telemetry::start(&town.config.telemetry);
    print_decisions(&town, &mut tasks, &stop, None);
    say(format!(
        "{} runs with {} campaigns. Nothing is kept: an embedded broker, a store in memory, messages are shown and not sent.\n\n\
         Say who somebody is, and that they agreed to offers:\n\n  \
         curl -u {WRITE_KEY}: {url}/v1/identify -H 'content-type: application/json' -d '{{\"userId\":\"42\",\"traits\":{{\"first_name\":\"Ada\",\"phone\":\"+14155550142\",\"consent\":{{\"sms\":\"promotional\"}},\"consent_source\":\"checkout\"}}}}'\n\n\
         and that they ordered:\n\n  \
         curl -u {WRITE_KEY}: {url}/v1/track -H 'content-type: application/json' -d '{{\"userId\":\"42\",\"event\":\"Order Completed\",\"properties\":{{\"order_id\":\"A-1\",\"total\":12.5,\"currency\":\"GBP\",\"status_url\":\"{shop}/orders/A-1\"}}}}'\n\n\
         End it with Ctrl-C.\n",
        town.project.shop.name,
        town.project.campaigns.len(),
        url = town.url,
        shop = town.project.shop.url.trim_end_matches('/'),
    ));
    tasks.run().await.map_err(CommandError::failed)
}
