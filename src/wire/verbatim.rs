//! An MLS object together with its exact bytes.

use std::ops::Deref;

use tls_codec::{DeserializeBytes, Error as TlsError, Serialize, Size};

use crate::error::InternalError;

/// A parsed MLS object that keeps the bytes it was parsed from.
///
/// A hub forwards what was signed, not what it would encode itself; and openmls' `…In` types are
/// not all serializable. Two values are equal when their bytes are.
#[derive(Debug, Clone)]
pub struct Verbatim<T> {
    value: T,
    bytes: Vec<u8>,
}

impl<T> Verbatim<T> {
    /// The bytes.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The parsed object, without its bytes.
    #[must_use]
    pub fn into_value(self) -> T {
        self.value
    }

    /// The bytes, without the parsed object.
    #[must_use]
    pub fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }
}

impl<T: DeserializeBytes> Verbatim<T> {
    /// Parses an object that we made ourselves.
    ///
    /// # Errors
    /// [`InternalError::Codec`] when the bytes are no `T`.
    pub fn own(bytes: Vec<u8>) -> Result<Self, InternalError> {
        let value = T::tls_deserialize_exact_bytes(&bytes)?;
        Ok(Self { value, bytes })
    }
}

impl<T> Deref for Verbatim<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}

impl<T> PartialEq for Verbatim<T> {
    fn eq(&self, other: &Self) -> bool {
        self.bytes == other.bytes
    }
}

impl<T> Eq for Verbatim<T> {}

impl<T> Size for Verbatim<T> {
    fn tls_serialized_len(&self) -> usize {
        self.bytes.len()
    }
}

impl<T: std::fmt::Debug> Serialize for Verbatim<T> {
    fn tls_serialize<W: std::io::Write>(&self, writer: &mut W) -> Result<usize, TlsError> {
        writer.write_all(&self.bytes)?;
        Ok(self.bytes.len())
    }
}

impl<T: DeserializeBytes> DeserializeBytes for Verbatim<T> {
    fn tls_deserialize_bytes(bytes: &[u8]) -> Result<(Self, &[u8]), TlsError> {
        let (value, rest) = T::tls_deserialize_bytes(bytes)?;
        let length = bytes.len().saturating_sub(rest.len());
        let bytes = bytes.get(..length).ok_or(TlsError::LibraryError)?.to_vec();
        Ok((Self { value, bytes }, rest))
    }
}
