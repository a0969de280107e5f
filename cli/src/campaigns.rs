//! `cartwheel campaigns`: check, plan, apply, list, show, pause, resume, archive.

use std::path::PathBuf;

use cartwheel_language::{Project, Reading, Severity, read, sentence, show};
use cartwheel_wire::{CampaignState, history::campaign_of, history::file_of};
use clap::{Args, Subcommand};

use crate::{ClientArguments, CommandError, applied::Applied, client::Client, files::ShopFiles, say};

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Say every mistake with its place, and say each campaign back as a sentence.
    Check {
        /// The shop's folder, with shop.yaml and campaigns/*.yaml.
        #[arg(default_value = "campaigns")]
        folder: PathBuf,
    },
    /// Say what applying the folder would change.
    Plan {
        /// The shop's folder.
        #[arg(default_value = "campaigns")]
        folder: PathBuf,
        #[command(flatten)]
        client: ClientArguments,
    },
    /// Put the folder in force as the shop's next revision.
    Apply {
        /// The shop's folder.
        #[arg(default_value = "campaigns")]
        folder: PathBuf,
        /// Who applies; stands in the revision.
        #[arg(long, env = "USER", default_value = "unknown")]
        by: String,
        #[command(flatten)]
        client: ClientArguments,
    },
    /// List what is in force.
    List {
        #[command(flatten)]
        client: ClientArguments,
    },
    /// Print a campaign of the folder with every default written out.
    Show {
        /// The campaign's name.
        campaign: String,
        /// The shop's folder.
        #[arg(long, default_value = "campaigns")]
        folder: PathBuf,
    },
    /// Hold a campaign's messages; they may expire.
    Pause(StateArguments),
    /// Let a paused campaign go on.
    Resume(StateArguments),
    /// End a campaign and all its journeys.
    Archive(StateArguments),
}

#[derive(Debug, Args)]
pub(crate) struct StateArguments {
    /// The campaign's name.
    campaign: String,
    /// The shop's id; not needed where there is one.
    #[arg(long)]
    shop: Option<String>,
    /// Who says so; stands in the revision.
    #[arg(long, env = "USER", default_value = "unknown")]
    by: String,
    #[command(flatten)]
    client: ClientArguments,
}

pub(crate) async fn run(command: Command) -> Result<(), CommandError> {
    match command {
        Command::Check { folder } => {
            let files = ShopFiles::read(&folder)?;
            let project = checked(&files)?;
            for campaign in project.campaigns.values() {
                say(format!("{}: {}", campaign.name, sentence(campaign, &project.shop)));
            }
            say(format!("{} campaigns of {} are right", project.campaigns.len(), project.shop.id));
            Ok(())
        }
        Command::Show { campaign, folder } => {
            let project = checked(&ShopFiles::read(&folder)?)?;
            let found = project.campaigns.get(&campaign).ok_or_else(|| unknown(&campaign, project.campaigns.keys().map(String::as_str)))?;
            say(show(found, &project.shop).trim_end());
            Ok(())
        }
        Command::Plan { folder, client } => plan(&folder, &client).await,
        Command::Apply { folder, by, client } => apply(&folder, &by, &client).await,
        Command::List { client } => list(&client).await,
        Command::Pause(arguments) => set_state(arguments, CampaignState::Paused).await,
        Command::Resume(arguments) => set_state(arguments, CampaignState::Active).await,
        Command::Archive(arguments) => set_state(arguments, CampaignState::Archived).await,
    }
}

fn unknown<'a>(campaign: &str, known: impl Iterator<Item = &'a str>) -> CommandError {
    CommandError::Usage(format!("there is no campaign `{campaign}`; there are {}", known.collect::<Vec<_>>().join(", ")))
}

/// Says every problem, and gives the project if none is an error.
pub(crate) fn checked(files: &ShopFiles) -> Result<Project, CommandError> {
    let Reading { project, problems } = read(&files.sources);
    let errors = problems.iter().filter(|problem| problem.severity == Severity::Error).count();
    for mut problem in problems.clone() {
        problem.path = files.shown(&problem.path);
        say(problem);
    }
    project.ok_or_else(|| {
        say(format!("{errors} {} and {} warnings", if errors == 1 { "mistake" } else { "mistakes" }, problems.len() - errors));
        CommandError::Found
    })
}

async fn plan(folder: &std::path::Path, client: &ClientArguments) -> Result<(), CommandError> {
    let files = ShopFiles::read(folder)?;
    let project = checked(&files)?;
    let client = Client::connect(client).await?;
    let applied = Applied::read(&*client.log, &client.topics, &client.codec).await?;
    let changes = applied.changes(&project, files.all(), "plan", client.clock.now());
    if changes.is_empty() {
        say(format!("{} is in force as it stands here", project.shop.id));
        return Ok(());
    }
    for (file, version) in &changes.files {
        let what = if *version == 1 {
            "new".to_owned()
        } else if campaign_of(&file.path).is_none() {
            format!("version {} to {version}; holds for all journeys at once", version - 1)
        } else {
            format!("version {} to {version}; journeys under way finish on theirs", version - 1)
        };
        say(format!("{}: {what}", file.path));
        if let Some(campaign) = campaign_of(&file.path).and_then(|name| project.campaigns.get(name)) {
            say(format!("    {}", sentence(campaign, &project.shop)));
        }
    }
    for campaign in &changes.gone {
        say(format!("{}: its file is gone; archived, its journeys end", file_of(campaign)));
    }
    say("nothing was changed; `cartwheel campaigns apply` puts this in force");
    Ok(())
}

async fn apply(folder: &std::path::Path, by: &str, client: &ClientArguments) -> Result<(), CommandError> {
    let files = ShopFiles::read(folder)?;
    let project = checked(&files)?;
    let client = Client::connect(client).await?;
    let applied = Applied::read(&*client.log, &client.topics, &client.codec).await?;
    let changes = applied.changes(&project, files.all(), by, client.clock.now());
    if changes.is_empty() {
        say(format!("{} is in force as it stands here; nothing to apply", project.shop.id));
        return Ok(());
    }
    let count = changes.files.len() + changes.gone.len();
    let revision = applied.append(changes).await?;
    say(format!("applied revision {} of {}: {count} files changed; in force within seconds", revision.number, revision.shop));
    Ok(())
}

async fn list(client: &ClientArguments) -> Result<(), CommandError> {
    let client = Client::connect(client).await?;
    let applied = Applied::read(&*client.log, &client.topics, &client.codec).await?;
    let shops: Vec<String> = applied.history.shops().map(str::to_owned).collect();
    if shops.is_empty() {
        say("no shop has applied anything; `cartwheel campaigns apply FOLDER` does");
    }
    for shop in shops {
        let Some(revision) = applied.newest(&shop) else { continue };
        say(format!("{shop}, revision {} by {} at {}", revision.number, revision.by, revision.at));
        for (file, version) in &revision.files {
            let Some(name) = campaign_of(file) else { continue };
            let state = revision.states.get(name).copied().unwrap_or(CampaignState::Active);
            say(format!("  {name}@{version}  {}", state_word(state)));
        }
    }
    Ok(())
}

fn state_word(state: CampaignState) -> &'static str {
    match state {
        CampaignState::Active => "active",
        CampaignState::Paused => "paused",
        CampaignState::Archived => "archived",
    }
}

async fn set_state(arguments: StateArguments, state: CampaignState) -> Result<(), CommandError> {
    let StateArguments { campaign, shop, by, client } = arguments;
    let client = Client::connect(&client).await?;
    let applied = Applied::read(&*client.log, &client.topics, &client.codec).await?;
    let shops: Vec<&str> = applied.history.shops().collect();
    let shop = match (&shop, shops.as_slice()) {
        (Some(shop), _) if shops.contains(&shop.as_str()) => shop.as_str(),
        (Some(shop), _) => return Err(CommandError::Usage(format!("shop `{shop}` has applied nothing; there are {}", shops.join(", ")))),
        (None, [only]) => only,
        (None, []) => return Err(CommandError::Usage("no shop has applied anything".to_owned())),
        (None, _) => return Err(CommandError::Usage(format!("say which shop with --shop; there are {}", shops.join(", ")))),
    };
    let Some(newest) = applied.newest(shop) else { return Err(CommandError::Usage(format!("shop `{shop}` has applied nothing"))) };
    if !newest.files.contains_key(&file_of(&campaign)) {
        return Err(unknown(&campaign, newest.files.keys().filter_map(|file| campaign_of(file))));
    }
    let was = newest.states.get(&campaign).copied().unwrap_or(CampaignState::Active);
    if was == state {
        say(format!("{campaign} of {shop} is {} already", state_word(state)));
        return Ok(());
    }
    if was == CampaignState::Archived {
        return Err(CommandError::Usage(format!("{campaign} of {shop} is archived; change its file and apply it to begin anew")));
    }
    let shop = shop.to_owned();
    let revision = applied.append(applied.with_state(&shop, &campaign, state, &by, client.clock.now())).await?;
    say(format!("{campaign} of {shop} is {} from revision {} on; in force within seconds", state_word(state), revision.number));
    Ok(())
}
