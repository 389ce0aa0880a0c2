//! The structs of the draft and of RFC 9420 as data: each field has its name, so that any body can be
//! shown, and be made of named members.
//!
//! What is valid is decided elsewhere: a value that is decoded or encoded here goes through the
//! decoder of `wire` as well. In scope: names and places. Out of scope: what anything means.

mod bodies;
mod codecs;
mod mimi;
mod mls;
mod read;
mod write;

pub use bodies::{Direction, inspect};
pub use codecs::{codec_names, decode, encode};
pub use read::{Field, Value};
pub use write::Given;

/// A type of the TLS presentation language (RFC 8446 §3, RFC 9420 §2.1.2).
#[derive(Debug)]
pub enum Type {
    /// An unsigned integer of this many bytes, at most eight.
    Uint(u8),
    /// An integer of this many bytes that has names: the enum's name, then value and name.
    Names(u8, &'static str, &'static [(u64, &'static str)]),
    /// `bool`.
    Flag,
    /// `opaque<V>`.
    Opaque,
    /// `opaque<V>` with UTF-8: `IdentifierUri`.
    Text,
    /// Everything up to the end.
    Rest,
    /// `T<V>`.
    Vector(&'static Type),
    /// `T` again and again up to the end.
    Concatenated(&'static Type),
    /// `optional<T>`.
    Optional(&'static Type),
    /// `opaque<V>` that holds exactly one `T`; bytes if it does not.
    Framed(&'static Type),
    /// MLS' own struct in one of the draft's: bytes to a codec.
    Verbatim(&'static Type),
    /// A struct: its name and parts.
    Struct(&'static str, &'static [Part]),
}

/// Part of a struct.
#[derive(Debug)]
pub enum Part {
    /// A field.
    Field(&'static str, &'static Type),
    /// `select`: parts that are there when the last field of this name had one of these values.
    When(&'static str, &'static [u64], &'static [Part]),
    /// Parts that are there when it had none of these values.
    Unless(&'static str, &'static [u64], &'static [Part]),
}

impl Type {
    /// The type's name, as the drafts write it.
    #[must_use]
    pub fn name(&self) -> String {
        match self {
            Self::Uint(bytes) => format!("uint{}", u32::from(*bytes) * 8),
            Self::Names(_, name, _) | Self::Struct(name, _) => (*name).to_owned(),
            Self::Flag => "bool".to_owned(),
            Self::Opaque => "opaque<V>".to_owned(),
            Self::Text => "IdentifierUri".to_owned(),
            Self::Rest => "opaque".to_owned(),
            Self::Vector(item) => format!("{}<V>", item.name()),
            Self::Concatenated(item) => format!("{}*", item.name()),
            Self::Optional(value) => format!("optional<{}>", value.name()),
            Self::Framed(value) | Self::Verbatim(value) => value.name(),
        }
    }
}

/// The values of the fields that later ones depend on, the last of each name.
#[derive(Debug, Default)]
struct Seen(Vec<(&'static str, u64)>);

impl Seen {
    fn note(&mut self, name: &'static str, value: u64) {
        match self.0.iter_mut().find(|(other, _)| *other == name) {
            Some((_, last)) => *last = value,
            None => self.0.push((name, value)),
        }
    }

    /// Whether the last field of this name had one of these values.
    fn has(&self, name: &str, values: &[u64]) -> bool {
        self.0.iter().any(|(other, value)| *other == name && values.contains(value))
    }

    /// The parts of a `select` that are there; `None` when the part is a field.
    fn parts(&self, part: &Part) -> Option<&'static [Part]> {
        match *part {
            Part::Field(..) => None,
            Part::When(name, values, parts) if self.has(name, values) => Some(parts),
            Part::Unless(name, values, parts) if !self.has(name, values) => Some(parts),
            Part::When(..) | Part::Unless(..) => Some(&[]),
        }
    }
}
