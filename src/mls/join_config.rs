//! The row of a group's configuration.
//!
//! It is postcard like every other row. But openmls reads the policy for past epochs with
//! `deserialize_any`, which only self-describing formats have: here it means the u64 as which openmls
//! writes that policy.

use postcard::{Deserializer, de_flavors::Slice};
use serde::de::{self, DeserializeOwned, DeserializeSeed, SeqAccess, Visitor};

use super::join_config;
use crate::{error::InternalError, storage::encode_row};

/// How a row begins that is JSON; in postcard that would be a wire format that there is not.
const JSON_OBJECT: u8 = b'{';

/// The configuration that a row holds.
///
/// # Errors
/// When the bytes are something else.
pub(super) fn decode<T: DeserializeOwned>(row: &[u8]) -> Result<T, InternalError> {
    // Earlier versions wrote JSON, and all their groups had the configuration of today.
    if row.first() == Some(&JSON_OBJECT) {
        return decode(&encode_row(&join_config())?);
    }
    let mut deserializer = Deserializer::from_bytes(row);
    let config = T::deserialize(Typed(&mut deserializer)).ok();
    let rest = deserializer.finalize().ok();
    match (config, rest) {
        (Some(config), Some([])) => Ok(config),
        _ => Err(InternalError::Storage("a row does not decode")),
    }
}

/// Postcard, with a meaning for `deserialize_any`.
struct Typed<'d, 'de>(&'d mut Deserializer<'de, Slice<'de>>);

/// The kinds of values that a configuration has.
macro_rules! as_postcard {
    ($($method:ident)*) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Self::Error> {
            self.0.$method(visitor)
        }
    )*};
}

impl<'de> de::Deserializer<'de> for Typed<'_, 'de> {
    type Error = postcard::Error;

    as_postcard!(deserialize_bool deserialize_u32 deserialize_u64);

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Self::Error> {
        self.deserialize_u64(visitor)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Self::Error> {
        self.0.deserialize_enum(name, variants, visitor)
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Self::Error> {
        visitor.visit_seq(Fields { deserializer: self.0, left: fields.len() })
    }

    serde::forward_to_deserialize_any! {
        i8 i16 i32 i64 i128 u8 u16 u128 f32 f64 char str string bytes byte_buf option unit
        unit_struct newtype_struct seq tuple tuple_struct map identifier ignored_any
    }

    fn is_human_readable(&self) -> bool {
        false
    }
}

/// The fields of a struct, in order.
struct Fields<'d, 'de> {
    deserializer: &'d mut Deserializer<'de, Slice<'de>>,
    left: usize,
}

impl<'de> SeqAccess<'de> for Fields<'_, 'de> {
    type Error = postcard::Error;

    fn next_element_seed<S: DeserializeSeed<'de>>(
        &mut self,
        seed: S,
    ) -> Result<Option<S::Value>, Self::Error> {
        let Some(left) = self.left.checked_sub(1) else { return Ok(None) };
        self.left = left;
        seed.deserialize(Typed(self.deserializer)).map(Some)
    }
}

#[cfg(test)]
mod tests {
    use openmls::{
        group::{MlsGroupJoinConfig, PURE_CIPHERTEXT_WIRE_FORMAT_POLICY},
        prelude::SenderRatchetConfiguration,
    };

    use super::*;

    #[test]
    fn a_configuration_is_read_as_it_was_written() {
        let other = MlsGroupJoinConfig::builder()
            .wire_format_policy(PURE_CIPHERTEXT_WIRE_FORMAT_POLICY)
            .use_ratchet_tree_extension(true)
            .max_past_epochs(300)
            .padding_size(70_000)
            .number_of_resumption_psks(16)
            .sender_ratchet_configuration(SenderRatchetConfiguration::new(2, 5_000))
            .build();
        for config in [join_config(), other] {
            assert_eq!(decode(&encode_row(&config).unwrap()), Ok(config));
        }
    }

    #[test]
    fn a_configuration_that_is_json_is_the_one_that_all_groups_have() {
        let json = serde_json::to_vec(&join_config()).unwrap();
        assert_eq!(json.first(), Some(&JSON_OBJECT));
        assert_eq!(decode(&json), Ok(join_config()));
    }

    #[test]
    fn a_row_that_is_no_configuration_is_refused() {
        let row = encode_row(&join_config()).unwrap();
        let refused = Err(InternalError::Storage("a row does not decode"));
        for length in 0..row.len() {
            assert_eq!(decode::<MlsGroupJoinConfig>(&row[..length]), refused, "{length}");
        }
        assert_eq!(decode::<MlsGroupJoinConfig>(&[&row[..], &[0]].concat()), refused);
        assert_eq!(decode::<MlsGroupJoinConfig>(&vec![9; row.len()]), refused);
    }
}
