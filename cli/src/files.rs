//! A shop's files on disk: `shop.yaml`, the tracking plan that it names, and `campaigns/*.yaml`.

use std::path::{Path, PathBuf};

use cartwheel_language::{SourceFile, Sources};
use cartwheel_wire::history::{SHOP_FILE, file_of};

use crate::CommandError;

/// The largest file that is read: a campaign is a page, a tracking plan a few.
const FILE_LIMIT: u64 = 4 * 1024 * 1024;

/// The files of a shop, each under the path that it has in a revision.
pub(crate) struct ShopFiles {
    pub(crate) sources: Sources,
    root: PathBuf,
}

impl ShopFiles {
    /// Reads a shop's folder.
    pub(crate) fn read(root: &Path) -> Result<Self, CommandError> {
        let shop = read(root, SHOP_FILE)?;
        let plan = plan_of(&shop.text);
        let tracking_plan = plan.map(|name| read(root, &name)).transpose()?;
        let folder = root.join("campaigns");
        let mut names = Vec::new();
        if folder.is_dir() {
            let entries = std::fs::read_dir(&folder).map_err(|error| unreadable(&folder, &error))?;
            for entry in entries {
                let path = entry.map_err(|error| unreadable(&folder, &error))?.path();
                match (path.extension().and_then(|end| end.to_str()), path.file_stem().and_then(|stem| stem.to_str())) {
                    (Some("yaml"), Some(stem)) => names.push(stem.to_owned()),
                    (Some("yml"), _) => return Err(CommandError::Usage(format!("{}: name campaign files .yaml", path.display()))),
                    _ => {}
                }
            }
        }
        names.sort();
        let campaigns = names.iter().map(|name| read(root, &file_of(name))).collect::<Result<_, _>>()?;
        Ok(Self { sources: Sources { shop, campaigns, tracking_plan }, root: root.to_owned() })
    }

    /// Every file.
    pub(crate) fn all(&self) -> impl Iterator<Item = &SourceFile> {
        let Sources { shop, campaigns, tracking_plan } = &self.sources;
        std::iter::once(shop).chain(tracking_plan).chain(campaigns)
    }

    /// A problem's path as people can open it from where they stand.
    pub(crate) fn shown(&self, path: &str) -> String {
        self.root.join(path).display().to_string()
    }
}

/// The tracking plan that a shop file names. The reader of the language judges the file; here only the name is needed.
fn plan_of(shop: &str) -> Option<String> {
    let line = shop.lines().find_map(|line| line.strip_prefix("tracking_plan:"))?;
    let name = line.split(" #").next()?.trim().trim_matches(['"', '\'']);
    let inside = !name.is_empty() && !name.starts_with('/') && !name.split('/').any(|part| part == "..");
    inside.then(|| name.to_owned())
}

fn read(root: &Path, name: &str) -> Result<SourceFile, CommandError> {
    let path = root.join(name);
    let size = std::fs::metadata(&path).map_err(|error| unreadable(&path, &error))?.len();
    if size > FILE_LIMIT {
        return Err(CommandError::Usage(format!("{} has {size} bytes, at most {FILE_LIMIT} are read", path.display())));
    }
    let text = std::fs::read_to_string(&path).map_err(|error| unreadable(&path, &error))?;
    Ok(SourceFile { path: name.to_owned(), text })
}

fn unreadable(path: &Path, error: &std::io::Error) -> CommandError {
    CommandError::Usage(format!("could not read {}: {error}; a shop's folder holds shop.yaml and campaigns/*.yaml", path.display()))
}
