//! The one function that says which partition a key belongs to.

/// The partition of a key, as Java clients choose it: `(murmur2(key) & 0x7fffffff) % partitions`.
///
/// Source: `org.apache.kafka.clients.producer.internals.BuiltInPartitioner.partitionForKey` of Apache Kafka.
///
/// # Panics
/// When `partitions` is 0: no topic has none.
pub fn partition_of(key: &str, partitions: u32) -> u32 {
    (murmur2(key.as_bytes()) & 0x7fff_ffff) % partitions
}

/// MurmurHash2 with the seed and the byte order of `org.apache.kafka.common.utils.Utils.murmur2`.
fn murmur2(data: &[u8]) -> u32 {
    const SEED: u32 = 0x9747_b28c;
    const M: u32 = 0x5bd1_e995;
    let (words, rest) = data.as_chunks::<4>();
    // Java's lengths are 32 bits; keys are far shorter.
    let mut hash = SEED ^ data.len() as u32;
    for word in words {
        let mixed = u32::from_le_bytes(*word).wrapping_mul(M);
        let mixed = (mixed ^ (mixed >> 24)).wrapping_mul(M);
        hash = hash.wrapping_mul(M) ^ mixed;
    }
    if !rest.is_empty() {
        for (place, byte) in rest.iter().enumerate() {
            hash ^= u32::from(*byte) << (8 * place);
        }
        hash = hash.wrapping_mul(M);
    }
    hash = (hash ^ (hash >> 13)).wrapping_mul(M);
    hash ^ (hash >> 15)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn partitions_are_those_of_java_clients() {
        let mut seen = 0;
        for line in include_str!("../tests/vectors/murmur2.tsv").lines().filter(|line| !line.starts_with('#')) {
            let [key, hash, of_64, of_6] = line.split('\t').collect::<Vec<_>>()[..] else { panic!("{line}") };
            assert_eq!(murmur2(key.as_bytes()).cast_signed().to_string(), hash, "{key}");
            assert_eq!(partition_of(key, 64).to_string(), of_64, "{key}");
            assert_eq!(partition_of(key, 6).to_string(), of_6, "{key}");
            seen += 1;
        }
        assert!(seen >= 20, "{seen}");
    }
}
