//! Bytes into named fields.

use std::ops::Range;

use super::{Part, Seen, Type};
use crate::error::ProtocolError;

/// One field, and where it stands.
#[derive(Debug)]
pub struct Field {
    /// Its name; empty for an item of a list and for the whole.
    pub name: &'static str,
    /// Its type.
    pub of: &'static Type,
    /// Its bytes, length prefix included.
    pub range: Range<usize>,
    /// Its value.
    pub value: Value,
}

/// The value of a field.
#[derive(Debug, PartialEq)]
pub enum Value {
    /// A number.
    Number(u64),
    /// A number by its name.
    Name(&'static str),
    /// A `bool`.
    Flag(bool),
    /// A text.
    Text(String),
    /// Where the bytes are, without length prefix.
    Bytes(Range<usize>),
    /// An `optional` that is not there.
    Nothing,
    /// The items of a vector, or the members of a struct.
    Fields(Vec<Field>),
}

impl PartialEq for Field {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name && self.range == other.range && self.value == other.value
    }
}

/// How much of MLS' own structs is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Depth {
    /// Where they end.
    Outside,
    /// Their fields.
    Inside,
}

/// Reads `bytes` as one `of` and nothing else.
pub(super) fn read(of: &'static Type, bytes: &[u8], depth: Depth) -> Result<Field, ProtocolError> {
    read_noting(of, bytes, depth, &mut Seen::default())
}

/// As [`read`], noting the values that what follows depends on.
pub(super) fn read_noting(
    of: &'static Type,
    bytes: &[u8],
    depth: Depth,
    seen: &mut Seen,
) -> Result<Field, ProtocolError> {
    let mut reading = Reading { bytes, at: 0, end: bytes.len(), depth, seen };
    let field = reading.field("", of)?;
    if reading.at == bytes.len() { Ok(field) } else { Err(MALFORMED) }
}

const MALFORMED: ProtocolError = ProtocolError::Malformed("body");

struct Reading<'b> {
    bytes: &'b [u8],
    at: usize,
    end: usize,
    depth: Depth,
    seen: &'b mut Seen,
}

impl Reading<'_> {
    fn field(&mut self, name: &'static str, of: &'static Type) -> Result<Field, ProtocolError> {
        let start = self.at;
        let value = self.value(name, of)?;
        Ok(Field { name, of, range: start..self.at, value })
    }

    fn value(&mut self, name: &'static str, of: &'static Type) -> Result<Value, ProtocolError> {
        Ok(match of {
            Type::Uint(bytes) => Value::Number(self.number(name, *bytes)?),
            Type::Names(bytes, _, names) => {
                let number = self.number(name, *bytes)?;
                let known = names.iter().find(|(value, _)| *value == number);
                known.map_or(Value::Number(number), |(_, name)| Value::Name(name))
            }
            Type::Flag => Value::Flag(self.flag()?),
            Type::Opaque => Value::Bytes(self.opaque()?),
            Type::Text => {
                let bytes = self.opaque()?;
                let text = std::str::from_utf8(self.slice(bytes)).map_err(|_| MALFORMED)?;
                Value::Text(text.to_owned())
            }
            Type::Rest => Value::Bytes(self.take(self.end - self.at)?),
            Type::Vector(item) => {
                let content = self.opaque()?;
                self.within(content, |reading| reading.items(item))?
            }
            Type::Concatenated(item) => match self.items(item)? {
                Value::Fields(items) if items.is_empty() => return Err(MALFORMED),
                items => items,
            },
            Type::Optional(inner) => match self.flag()? {
                true => self.value(name, inner)?,
                false => Value::Nothing,
            },
            Type::Framed(inner) => {
                let content = self.opaque()?;
                let value = self.within(content.clone(), |reading| reading.value(name, inner));
                value.unwrap_or(Value::Bytes(content))
            }
            Type::Verbatim(inner) if self.depth == Depth::Inside => self.value(name, inner)?,
            Type::Verbatim(inner) => {
                let start = self.at;
                if let Type::Vector(_) = inner {
                    // Its length says where it ends; its items are nobody's business yet.
                    self.opaque()?;
                } else {
                    self.value(name, inner)?;
                }
                Value::Bytes(start..self.at)
            }
            Type::Struct(_, parts) => {
                let mut fields = Vec::new();
                self.parts(parts, &mut fields)?;
                Value::Fields(fields)
            }
        })
    }

    fn parts(
        &mut self,
        parts: &'static [Part],
        fields: &mut Vec<Field>,
    ) -> Result<(), ProtocolError> {
        for part in parts {
            match (part, self.seen.parts(part)) {
                (_, Some(parts)) => self.parts(parts, fields)?,
                (Part::Field(name, of), None) => fields.push(self.field(name, of)?),
                (_, None) => {}
            }
        }
        Ok(())
    }

    fn items(&mut self, item: &'static Type) -> Result<Value, ProtocolError> {
        let mut items = Vec::new();
        while self.at < self.end {
            items.push(self.field("", item)?);
        }
        Ok(Value::Fields(items))
    }

    /// Reads the bytes of `content`, which lie behind, to their end; goes on after them in any case.
    fn within(
        &mut self,
        content: Range<usize>,
        read: impl FnOnce(&mut Self) -> Result<Value, ProtocolError>,
    ) -> Result<Value, ProtocolError> {
        let outer = (self.at, self.end);
        (self.at, self.end) = (content.start, content.end);
        let value = read(self);
        let is_whole = self.at == self.end;
        (self.at, self.end) = outer;
        if is_whole { value } else { Err(MALFORMED) }
    }

    fn take(&mut self, length: usize) -> Result<Range<usize>, ProtocolError> {
        let end = self.at.checked_add(length).filter(|end| *end <= self.end).ok_or(MALFORMED)?;
        let range = self.at..end;
        self.at = end;
        Ok(range)
    }

    fn slice(&self, range: Range<usize>) -> &[u8] {
        self.bytes.get(range).unwrap_or_default()
    }

    fn uint(&mut self, bytes: u8) -> Result<u64, ProtocolError> {
        let range = self.take(usize::from(bytes))?;
        Ok(self.slice(range).iter().fold(0, |number, byte| number << 8 | u64::from(*byte)))
    }

    fn number(&mut self, name: &'static str, bytes: u8) -> Result<u64, ProtocolError> {
        let number = self.uint(bytes)?;
        self.seen.note(name, number);
        Ok(number)
    }

    fn flag(&mut self) -> Result<bool, ProtocolError> {
        match self.uint(1)? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(MALFORMED),
        }
    }

    /// The content of an `opaque<V>`, whose length is written as short as can be (RFC 9420 §2.1.2).
    fn opaque(&mut self) -> Result<Range<usize>, ProtocolError> {
        let first = self.bytes.get(self.at).filter(|_| self.at < self.end).ok_or(MALFORMED)?;
        let (bytes, least) = match first >> 6 {
            0 => (1, 0),
            1 => (2, 1 << 6),
            2 => (4, 1 << 14),
            _ => return Err(MALFORMED),
        };
        let prefixed = self.uint(bytes)?;
        let length = prefixed & ((1 << (u32::from(bytes) * 8 - 2)) - 1);
        if length < least {
            return Err(MALFORMED);
        }
        self.take(usize::try_from(length).map_err(|_| MALFORMED)?)
    }
}
