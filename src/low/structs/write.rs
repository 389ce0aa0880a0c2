//! Named members into bytes.

use super::{
    Part, Seen, Type,
    read::{Depth, read_noting},
};
use crate::error::UsageError;

/// A value as an application gives it.
#[derive(Debug, Clone, PartialEq)]
pub enum Given {
    /// Nothing: a member that is left out.
    Nothing,
    /// A whole number that is not negative.
    Number(u64),
    /// A text: a name or an identifier.
    Text(String),
    /// A boolean.
    Flag(bool),
    /// Bytes.
    Bytes(Vec<u8>),
    /// A list.
    List(Vec<Given>),
    /// Members by name.
    Members(Vec<(String, Given)>),
}

/// Encodes `given` as an `of`.
pub(super) fn write(of: &'static Type, given: &Given) -> Result<Vec<u8>, UsageError> {
    let mut writing = Writing { bytes: Vec::new(), seen: Seen::default() };
    writing.value("value", of, given)?;
    Ok(writing.bytes)
}

struct Writing {
    bytes: Vec<u8>,
    seen: Seen,
}

impl Writing {
    fn value(
        &mut self,
        name: &'static str,
        of: &'static Type,
        given: &Given,
    ) -> Result<(), UsageError> {
        match (of, given) {
            (Type::Uint(bytes) | Type::Names(bytes, ..), Given::Number(number)) => {
                self.number(name, *bytes, *number)
            }
            (Type::Names(bytes, _, names), Given::Text(text)) => {
                let known = names.iter().find(|(_, known)| known == text);
                let (number, _) = known.ok_or(UsageError::BadArgument(name))?;
                self.number(name, *bytes, *number)
            }
            (Type::Flag, Given::Flag(flag)) => self.number(name, 1, u64::from(*flag)),
            (Type::Opaque, Given::Bytes(bytes)) => self.opaque(name, bytes),
            (Type::Text, Given::Text(text)) => self.opaque(name, text.as_bytes()),
            (Type::Rest, Given::Bytes(bytes)) => {
                self.bytes.extend_from_slice(bytes);
                Ok(())
            }
            (Type::Vector(item), Given::List(list)) => {
                let before = std::mem::take(&mut self.bytes);
                list.iter().try_for_each(|given| self.value(name, item, given))?;
                let content = std::mem::replace(&mut self.bytes, before);
                self.opaque(name, &content)
            }
            (Type::Optional(_), Given::Nothing) => self.number(name, 1, 0),
            (Type::Optional(inner), given) => {
                self.bytes.push(1);
                self.value(name, inner, given)
            }
            (Type::Verbatim(_), Given::Bytes(bytes)) => {
                read_noting(of, bytes, Depth::Outside, &mut self.seen)
                    .map_err(|_| UsageError::BadArgument(name))?;
                self.bytes.extend_from_slice(bytes);
                Ok(())
            }
            (Type::Struct(_, parts), Given::Members(members)) => self.parts(parts, members),
            _ => Err(UsageError::BadArgument(name)),
        }
    }

    fn parts(
        &mut self,
        parts: &'static [Part],
        members: &[(String, Given)],
    ) -> Result<(), UsageError> {
        for part in parts {
            match (part, self.seen.parts(part)) {
                (_, Some(parts)) => self.parts(parts, members)?,
                (Part::Field(name, of), None) => {
                    let given = members.iter().find(|(member, _)| member == name);
                    self.value(name, of, given.map_or(&Given::Nothing, |(_, given)| given))?;
                }
                (_, None) => {}
            }
        }
        Ok(())
    }

    fn number(&mut self, name: &'static str, bytes: u8, number: u64) -> Result<(), UsageError> {
        let encoded = number.to_be_bytes();
        let (high, low) = encoded
            .split_at_checked(encoded.len().saturating_sub(usize::from(bytes)))
            .ok_or(UsageError::BadArgument(name))?;
        if high.iter().any(|byte| *byte != 0) {
            return Err(UsageError::BadArgument(name));
        }
        self.bytes.extend_from_slice(low);
        self.seen.note(name, number);
        Ok(())
    }

    fn opaque(&mut self, name: &'static str, content: &[u8]) -> Result<(), UsageError> {
        let length = u32::try_from(content.len()).map_err(|_| UsageError::BadArgument(name))?;
        match length {
            0..0x40 => self.bytes.extend_from_slice(&length.to_be_bytes()[3..]),
            0x40..0x4000 => self.bytes.extend_from_slice(&(length | 0x4000).to_be_bytes()[2..]),
            0x4000..0x4000_0000 => {
                self.bytes.extend_from_slice(&(length | 0x8000_0000).to_be_bytes())
            }
            _ => return Err(UsageError::BadArgument(name)),
        }
        self.bytes.extend_from_slice(content);
        Ok(())
    }
}
