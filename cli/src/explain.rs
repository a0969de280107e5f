//! `cartwheel explain`: one customer's story from the decisions and deliveries topics, oldest first (R81).

use std::collections::BTreeSet;

use cartwheel_engine::{decision::Decision, key::CustomerKey};
use cartwheel_language::Value;
use cartwheel_wire::{DecisionRecord, DeliveryRecord};
use clap::Args;
use jiff::Timestamp;

use crate::{ClientArguments, CommandError, client::Client, say};

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// The customer: shop/user:42, shop/anonymous:..., shop/phone:HASH or shop/email:HASH.
    customer: String,
    /// Only this campaign.
    #[arg(long)]
    campaign: Option<String>,
    #[command(flatten)]
    client: ClientArguments,
}

/// A line of the story.
struct Line {
    at: Timestamp,
    text: String,
}

pub(crate) async fn run(arguments: Arguments) -> Result<(), CommandError> {
    let customer: CustomerKey = arguments.customer.parse().map_err(|error| CommandError::Usage(format!("{error}")))?;
    let client = Client::connect(&arguments.client).await?;
    let mut lines = story(&client, &customer, arguments.campaign.as_deref()).await?;
    lines.sort_by_key(|line| line.at);
    if lines.is_empty() {
        say(format!("nothing is on record about {customer}: no trigger named it; names that were joined keep their own record"));
    }
    for line in lines {
        say(line.text);
    }
    Ok(())
}

async fn story(client: &Client, customer: &CustomerKey, campaign: Option<&str>) -> Result<Vec<Line>, CommandError> {
    let partition = client.topics.partition_of(customer);
    let wanted = |name: Option<&str>| campaign.is_none() || name.is_none() || name == campaign;
    let mut seen = BTreeSet::new();
    let mut lines = Vec::new();
    for record in client.read_all(&client.topics.decisions, partition).await? {
        let Some(value) = &record.value else { continue };
        let Ok(DecisionRecord(decision)) = DecisionRecord::decode(&client.codec, value) else { continue };
        // A crash repeats decisions with the same id: they are one.
        if decision.customer == *customer && wanted(decision.campaign.as_deref()) && seen.insert(decision.id.clone()) {
            lines.push(Line { at: decision.at, text: decision_line(&decision) });
        }
    }
    let mut said = BTreeSet::new();
    for record in client.read_all(&client.topics.deliveries, partition).await? {
        let Some(value) = &record.value else { continue };
        let Ok(delivery) = DeliveryRecord::decode(&client.codec, value) else { continue };
        let text = delivery_line(&delivery);
        if delivery.customer == *customer && wanted(Some(&delivery.campaign)) && said.insert(text.clone()) {
            lines.push(Line { at: delivery.at, text });
        }
    }
    Ok(lines)
}

/// A decision as people read it.
pub(crate) fn decision_line(decision: &Decision) -> String {
    let campaign = match (&decision.campaign, decision.version) {
        (Some(name), Some(version)) => format!("{name}@{version}"),
        (Some(name), None) => name.clone(),
        _ => "customer".to_owned(),
    };
    let object = decision.object.as_ref().map(|object| format!(" [{object}]")).unwrap_or_default();
    let detail = decision.detail.as_ref().map(|detail| format!(": {detail}")).unwrap_or_default();
    let mut line = format!("{}  {campaign}{object}  {}, {}{detail}", decision.at, decision.verdict.as_str(), decision.reason.as_str());
    line.push_str(&format!("\n    because of {} ({}), happened {}", decision.cause.name, decision.cause.event, decision.cause.occurred));
    if let Some(message) = &decision.message {
        line.push_str(&format!("\n    message {message}"));
    }
    if !decision.values.is_empty() {
        let values: Vec<String> = decision.values.iter().map(|(name, value)| format!("{name} = {}", shown(value))).collect();
        line.push_str(&format!("\n    {}", values.join(", ")));
    }
    line
}

fn shown(value: &Value) -> String {
    match value {
        Value::Text(text) => text.clone(),
        Value::Number(number) => number.to_string(),
        Value::Timestamp(at) => at.to_string(),
        other => other.to_json().to_string(),
    }
}

fn delivery_line(delivery: &DeliveryRecord) -> String {
    let id = delivery.provider_message_id.as_ref().map(|id| format!(", provider's id {id}")).unwrap_or_default();
    format!(
        "{}  {}@{}  dispatcher: {:?} by {} ({} parts, attempt {}{id})\n    message {}",
        delivery.at,
        delivery.campaign,
        delivery.version,
        delivery.verdict,
        delivery.provider,
        delivery.parts,
        delivery.attempts,
        delivery.message
    )
}
