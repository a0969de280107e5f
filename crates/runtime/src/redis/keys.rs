//! The names of keys.
//!
//! All keys of a partition carry one hash tag, so that they share a slot. The tags come from a fixed table that spreads partitions
//! evenly: partition `p` of `P` lives in slot `(p + 0.5) * 16384 / P`. Bare numbers as tags would not: of 64 some nodes would get twice
//! what others get. A tag is the first text that hashes to its slot, counting `0`, `1`, ... `z`, `10`, ... in base 36.

use std::collections::HashMap;

use crate::log::Partition;

/// The slots of a cluster (Redis Cluster specification, "Key distribution model").
const SLOTS: u32 = 16_384;

/// The names of an installation's keys.
#[derive(Clone, Debug)]
pub struct Keys {
    prefix: String,
    tags: Vec<String>,
}

impl Keys {
    /// Names under `prefix` for this number of partitions.
    pub fn new(prefix: &str, partitions: u32) -> Self {
        let mut wanted: HashMap<u32, Vec<usize>> = HashMap::new();
        for partition in 0..partitions {
            wanted.entry(slot_of_partition(partition, partitions)).or_default().push(partition as usize);
        }
        let mut tags = vec![String::new(); partitions as usize];
        for tag in (0..).map(base_36) {
            if wanted.is_empty() {
                break;
            }
            for partition in wanted.remove(&slot(tag.as_bytes())).unwrap_or_default() {
                tags[partition].clone_from(&tag);
            }
        }
        Self { prefix: prefix.to_owned(), tags }
    }

    /// The key that says whose keys these are.
    pub fn installation(&self) -> String {
        format!("{}:installation", self.prefix)
    }

    /// The facts of a partition.
    pub fn facts(&self, partition: Partition) -> String {
        self.named(partition, "facts")
    }

    /// A view of a partition.
    pub fn view(&self, partition: Partition, view: &str) -> String {
        self.named(partition, &format!("view:{view}"))
    }

    /// A value of a partition.
    pub fn value(&self, partition: Partition, key: &str) -> String {
        self.named(partition, &format!("value:{key}"))
    }

    fn named(&self, partition: Partition, name: &str) -> String {
        let tag = self.tags.get(partition as usize).map_or("", String::as_str);
        format!("{}:{{{tag}}}:{partition}:{name}", self.prefix)
    }
}

/// Where a partition belongs.
fn slot_of_partition(partition: Partition, partitions: u32) -> u32 {
    let middle = (2 * u64::from(partition) + 1) * u64::from(SLOTS) / (2 * u64::from(partitions));
    u32::try_from(middle).unwrap_or(SLOTS - 1)
}

/// The slot of a hash tag.
fn slot(tag: &[u8]) -> u32 {
    u32::from(crc16(tag)) % SLOTS
}

/// CRC-16/XMODEM, as the Redis Cluster specification (appendix A) asks for.
fn crc16(bytes: &[u8]) -> u16 {
    bytes.iter().fold(0, |crc: u16, byte| {
        (0..8).fold(crc ^ (u16::from(*byte) << 8), |crc, _| if crc & 0x8000 == 0 { crc << 1 } else { (crc << 1) ^ 0x1021 })
    })
}

fn base_36(mut number: u32) -> String {
    let mut digits = Vec::new();
    loop {
        digits.extend(char::from_digit(number % 36, 36));
        number /= 36;
        if number == 0 {
            return digits.into_iter().rev().collect();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checksum_is_that_of_the_cluster_specification() {
        assert_eq!(crc16(b"123456789"), 0x31C3);
    }

    #[test]
    fn partitions_are_spread_evenly_over_the_slots() {
        let keys = Keys::new("cartwheel", 64);
        for (partition, tag) in keys.tags.iter().enumerate() {
            assert_eq!(slot(tag.as_bytes()) as usize, partition * 256 + 128);
        }
    }

    #[test]
    fn names_do_not_change_unseen() {
        let keys = Keys::new("cartwheel", 64);
        assert_eq!(keys.facts(0), "cartwheel:{53t}:0:facts");
        assert_eq!(keys.value(7, "acme/user:42"), "cartwheel:{6bk}:7:value:acme/user:42");
        assert_eq!(keys.view(63, "flight"), "cartwheel:{802}:63:view:flight");
        assert_eq!(keys.installation(), "cartwheel:installation");
    }
}
