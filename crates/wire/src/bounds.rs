//! Walks a datum by its schema without keeping anything, so that bytes whose lengths lie are refused before anything is allocated.

use apache_avro::Schema;

/// The most entries of one array or map. A key has at most a few names and a shop a few thousand files; this is far above, and keeps
/// what a hostile record can make us allocate within a few times its own size.
const ENTRIES_LIMIT: usize = 65_536;

/// Checks that `datum` is one whole datum of `schema`.
///
/// # Errors
/// What is wrong and at which byte; never a part of the content.
pub(crate) fn check(schema: &Schema, datum: &[u8]) -> Result<(), String> {
    let mut walk = Walk { datum, at: 0 };
    walk.skip(schema)?;
    if walk.at == datum.len() { Ok(()) } else { Err(walk.wrong("bytes are left over")) }
}

struct Walk<'a> {
    datum: &'a [u8],
    at: usize,
}

impl Walk<'_> {
    fn skip(&mut self, schema: &Schema) -> Result<(), String> {
        match schema {
            Schema::Null => Ok(()),
            Schema::Boolean => match self.byte()? {
                0 | 1 => Ok(()),
                _ => Err(self.wrong("neither true nor false")),
            },
            Schema::Int => match i32::try_from(self.long()?) {
                Ok(_) => Ok(()),
                Err(_) => Err(self.wrong("a number of more than 32 bits")),
            },
            Schema::Long | Schema::TimestampMicros => self.long().map(drop),
            Schema::Double => self.pass(8),
            Schema::Bytes | Schema::String => {
                let length = self.length()?;
                self.pass(length)
            }
            Schema::Array(array) => self.blocks(|walk| walk.skip(&array.items)),
            Schema::Map(map) => self.blocks(|walk| {
                walk.skip(&Schema::String)?;
                walk.skip(&map.types)
            }),
            Schema::Union(union) => {
                let index = usize::try_from(self.long()?).ok();
                match index.and_then(|index| union.variants().get(index)) {
                    Some(variant) => self.skip(variant),
                    None => Err(self.wrong("no such branch")),
                }
            }
            Schema::Record(record) => record.fields.iter().try_for_each(|field| self.skip(&field.schema)),
            _ => Err(self.wrong("a type that these schemas do not use")),
        }
    }

    fn blocks(&mut self, mut entry: impl FnMut(&mut Self) -> Result<(), String>) -> Result<(), String> {
        let mut entries = 0;
        loop {
            let count = self.long()?;
            if count < 0 {
                self.length()?;
            }
            let count = usize::try_from(count.unsigned_abs()).unwrap_or(usize::MAX);
            entries = count.saturating_add(entries);
            if entries > ENTRIES_LIMIT {
                return Err(self.wrong("too many entries"));
            }
            if count == 0 {
                return Ok(());
            }
            for _ in 0..count {
                entry(self)?;
            }
        }
    }

    fn byte(&mut self) -> Result<u8, String> {
        let byte = self.datum.get(self.at).copied().ok_or_else(|| self.wrong("the record ends too early"))?;
        self.at += 1;
        Ok(byte)
    }

    fn long(&mut self) -> Result<i64, String> {
        let mut number = 0_u64;
        for place in 0..10 {
            let byte = self.byte()?;
            number |= u64::from(byte & 0x7f) << (7 * place);
            if byte < 0x80 {
                return Ok((number >> 1).cast_signed() ^ -((number & 1).cast_signed()));
            }
        }
        Err(self.wrong("a number of more than 64 bits"))
    }

    fn length(&mut self) -> Result<usize, String> {
        usize::try_from(self.long()?).map_err(|_| self.wrong("a negative length"))
    }

    fn pass(&mut self, length: usize) -> Result<(), String> {
        if length > self.datum.len() - self.at {
            return Err(self.wrong("a length beyond the end"));
        }
        self.at += length;
        Ok(())
    }

    fn wrong(&self, what: &str) -> String {
        format!("{what} at byte {} of the datum", self.at)
    }
}
