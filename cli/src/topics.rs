//! `cartwheel topics`: create them, check them.

use cartwheel_installation::topic_specs;
use cartwheel_runtime::kafka::{Profile, TopicSpec};
use cartwheel_wire::TopicChoices;
use clap::Subcommand;

use crate::{ClientArguments, CommandError, client::Client, say};

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Create the topics that are missing. Services have no right to; this command's user needs it.
    Create {
        #[command(flatten)]
        client: ClientArguments,
    },
    /// Read back what the promises rest on, and name what is wrong with the command that mends it.
    Check {
        #[command(flatten)]
        client: ClientArguments,
    },
    /// Print the commands of Kafka's own tools that create them.
    Print {
        #[command(flatten)]
        client: ClientArguments,
    },
}

pub(crate) async fn run(command: Command) -> Result<(), CommandError> {
    match command {
        Command::Print { client } => {
            let (config, topics) = client.topics()?;
            for spec in specs(config.profile, &topics) {
                say(spec.creation_command(&config.bootstrap.join(",")));
            }
            Ok(())
        }
        Command::Create { client } => {
            let client = Client::connect(&client).await?;
            let specs = specs(client.kafka.config().profile, &client.topics);
            let created = client.kafka.topics().create(&specs).await.map_err(CommandError::failed)?;
            for topic in &created {
                say(format!("created {topic}"));
            }
            say(format!("{} topics created, {} were there", created.len(), specs.len() - created.len()));
            check(&client, &specs).await
        }
        Command::Check { client } => {
            let client = Client::connect(&client).await?;
            let specs = specs(client.kafka.config().profile, &client.topics);
            check(&client, &specs).await
        }
    }
}

fn specs(profile: Profile, topics: &cartwheel_wire::Topics) -> Vec<TopicSpec> {
    topic_specs(topics, &TopicChoices::default()).iter().map(|spec| spec.under(profile)).collect()
}

async fn check(client: &Client, specs: &[TopicSpec]) -> Result<(), CommandError> {
    let findings = client.kafka.topics().check(specs).await.map_err(CommandError::failed)?;
    for finding in &findings {
        say(finding);
    }
    if findings.is_empty() {
        say(format!("{} topics are right", specs.len()));
        Ok(())
    } else {
        Err(CommandError::Found)
    }
}
