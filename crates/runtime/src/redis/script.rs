//! The one script: a fenced write.

use std::sync::LazyLock;

use redis::Script;

use super::{FACTS, keys::Keys};
use crate::{
    log::Partition,
    store::{Change, Facts, Fence},
};

/// Writes facts and changes if the stored fence is the expected one; returns 1, or the facts that stand there instead.
///
/// Numbers are compared as texts: Lua's own are exact only up to 2^53. Keys: the facts, one for each value, one for each entry of a view.
/// Arguments: the expected epoch, owner and head (empty: nothing is stored); the six new facts; the number of values; for each value
/// "1" and its bytes or "0" and nothing; for each entry of a view the same behind its name.
const CODE: &str = r#"
local stored = redis.call('HMGET', KEYS[1], 'epoch', 'owner', 'head', 'installation', 'partitions', 'note')
local expected = { ARGV[1], ARGV[2], ARGV[3] }
for place = 1, 3 do
  if (stored[place] or '') ~= expected[place] then
    return stored
  end
end
redis.call('HSET', KEYS[1], 'epoch', ARGV[4], 'owner', ARGV[5], 'head', ARGV[6],
  'installation', ARGV[7], 'partitions', ARGV[8], 'note', ARGV[9])
local values = tonumber(ARGV[10])
local argument = 11
for key = 2, 1 + values do
  if ARGV[argument] == '1' then
    redis.call('SET', KEYS[key], ARGV[argument + 1])
  else
    redis.call('DEL', KEYS[key])
  end
  argument = argument + 2
end
for key = 2 + values, #KEYS do
  if ARGV[argument + 1] == '1' then
    redis.call('HSET', KEYS[key], ARGV[argument], ARGV[argument + 2])
  else
    redis.call('HDEL', KEYS[key], ARGV[argument])
  end
  argument = argument + 3
end
return 1
"#;

/// A script and its SHA.
pub(super) struct Known {
    pub(super) code: &'static str,
    pub(super) sha: String,
}

pub(super) static WRITE: LazyLock<Known> = LazyLock::new(|| Known { code: CODE, sha: Script::new(CODE).get_hash().to_owned() });

/// Keys and arguments of one call of a script.
pub(super) struct Call {
    keys: Vec<String>,
    arguments: Vec<Vec<u8>>,
}

impl Call {
    /// The command that runs a script, `EVALSHA` with its SHA or `EVAL` with its code.
    pub(super) fn command(&self, name: &str, script: &str) -> redis::Cmd {
        let mut command = redis::cmd(name);
        command.arg(script).arg(self.keys.len()).arg(&self.keys).arg(&self.arguments);
        command
    }
}

pub(super) fn call(keys: &Keys, partition: Partition, expected: Option<&Fence>, facts: &Facts, change: &Change) -> Call {
    let mut names = Vec::with_capacity(1 + change.values.len() + change.views.len());
    let mut arguments: Vec<Vec<u8>> = Vec::with_capacity(4 + FACTS.len() + 2 * change.values.len() + 3 * change.views.len());
    names.push(keys.facts(partition));
    let fence = |fence: &Fence| [fence.epoch.to_string(), fence.owner.to_string(), fence.head.to_string()];
    arguments.extend(expected.map_or_else(Default::default, fence).map(String::into_bytes));
    arguments.extend(fence(&facts.fence).map(String::into_bytes));
    arguments.extend([facts.installation.clone().into_bytes(), facts.partitions.to_string().into_bytes(), facts.note.to_vec()]);
    arguments.push(change.values.len().to_string().into_bytes());
    let push = |value: Option<&bytes::Bytes>, arguments: &mut Vec<Vec<u8>>| {
        arguments.push(if value.is_some() { b"1".to_vec() } else { b"0".to_vec() });
        arguments.push(value.map(|value| value.to_vec()).unwrap_or_default());
    };
    for (key, value) in &change.values {
        names.push(keys.value(partition, key));
        push(value.as_ref(), &mut arguments);
    }
    for (view, entry, value) in &change.views {
        names.push(keys.view(partition, view));
        arguments.push(entry.clone().into_bytes());
        push(value.as_ref(), &mut arguments);
    }
    Call { keys: names, arguments }
}
