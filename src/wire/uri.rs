//! Identifiers of users, rooms and clients, and the domain that each belongs to (R1, A25, D15).

use std::fmt;

use serde::{Deserialize, Serialize};
use tls_codec::{
    DeserializeBytes, Error as TlsError, Serialize as TlsSerialize, Size, VLByteSlice, VLBytes,
};

use crate::error::UsageError;

/// Longest identifier, in bytes (D15).
pub const MAX_IDENTIFIER_BYTES: usize = 255;

/// An identifier as it stands on the wire: any UTF-8 text, compared byte by byte.
///
/// ```text
/// struct { opaque uri<V>; } IdentifierUri;
/// ```
/// Draft, "Claim keys". Decoding checks UTF-8 only; syntax is checked where the identifier is used
/// (D15), by [`UserUri::parse`], [`RoomUri::parse`] and [`ClientUri::parse`].
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct IdentifierUri(pub String);

/// The draft's undefined `RoomId`: an [`IdentifierUri`] (A7).
pub type RoomId = IdentifierUri;

impl Size for IdentifierUri {
    fn tls_serialized_len(&self) -> usize {
        VLByteSlice(self.0.as_bytes()).tls_serialized_len()
    }
}

impl TlsSerialize for IdentifierUri {
    fn tls_serialize<W: std::io::Write>(&self, writer: &mut W) -> Result<usize, TlsError> {
        VLByteSlice(self.0.as_bytes()).tls_serialize(writer)
    }
}

impl DeserializeBytes for IdentifierUri {
    fn tls_deserialize_bytes(bytes: &[u8]) -> Result<(Self, &[u8]), TlsError> {
        let (uri, rest) = VLBytes::tls_deserialize_bytes(bytes)?;
        let text = String::from_utf8(uri.into())
            .map_err(|_| TlsError::DecodingError("an IdentifierUri is UTF-8".into()))?;
        Ok((Self(text), rest))
    }
}

/// A provider's domain: lower-case DNS name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Domain(String);

impl Domain {
    /// Parses a domain.
    ///
    /// # Errors
    /// [`UsageError::BadUri`] when it is empty, longer than 253 bytes, has an empty or overlong
    /// label, or a character other than `a-z`, `0-9`, `-`, `.` (D15: upper case too), and when it is
    /// an address: its last label is a number (D13).
    pub fn parse(text: &str) -> Result<Self, UsageError> {
        let label_fits = |label: &str| {
            !label.is_empty()
                && label.len() <= 63
                && !label.starts_with('-')
                && !label.ends_with('-')
                && label.bytes().all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'-'))
        };
        let last = text.rsplit('.').next().unwrap_or_default();
        let is_address = last.bytes().all(|b| b.is_ascii_digit());
        if text.len() > 253 || is_address || !text.split('.').all(label_fits) {
            return Err(UsageError::BadUri);
        }
        Ok(Self(text.to_owned()))
    }

    /// The domain as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The two spellings of R1: `local@domain` and `mimi://domain/…`.
enum Parts<'t> {
    Mail { domain: Domain },
    Mimi { path: &'t str, domain: Domain },
}

fn parts(text: &str) -> Result<Parts<'_>, UsageError> {
    if text.len() > MAX_IDENTIFIER_BYTES || text.chars().any(char::is_control) {
        return Err(UsageError::BadUri);
    }
    if let Some(rest) = text.strip_prefix("mimi://") {
        let (domain, path) = rest.split_once('/').ok_or(UsageError::BadUri)?;
        return Ok(Parts::Mimi { path, domain: Domain::parse(domain)? });
    }
    let (local, domain) = text.split_once('@').ok_or(UsageError::BadUri)?;
    if !is_local(local) {
        return Err(UsageError::BadUri);
    }
    Ok(Parts::Mail { domain: Domain::parse(domain)? })
}

/// A local part, or a segment of a path: not empty, without `@`, `/`, space and control characters.
fn is_local(text: &str) -> bool {
    !text.is_empty()
        && !text.contains(['@', '/'])
        && !text.chars().any(|c| c.is_control() || c == ' ')
}

macro_rules! identifier {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub struct $name {
            text: String,
            domain: Domain,
        }

        impl $name {
            /// The identifier as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.text
            }

            /// The domain of the provider that it belongs to (R1).
            #[must_use]
            pub const fn domain(&self) -> &Domain {
                &self.domain
            }

            /// The identifier as it stands on the wire.
            #[must_use]
            pub fn to_wire(&self) -> IdentifierUri {
                IdentifierUri(self.text.clone())
            }

            /// Parses the identifier as it stands on the wire.
            ///
            /// # Errors
            /// [`UsageError::BadUri`], see [`Self::parse`].
            pub fn from_wire(uri: &IdentifierUri) -> Result<Self, UsageError> {
                Self::parse(&uri.0)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.text)
            }
        }
    };
}

identifier! {
    /// A user: `alice@alpha.example`, or `mimi://alpha.example/u/alice` (A25).
    UserUri
}
identifier! {
    /// A room: `clubhouse@alpha.example`, or `mimi://alpha.example/r/clubhouse`.
    ///
    /// Its bytes are the group id of the room's MLS group (R8).
    RoomUri
}
identifier! {
    /// One client (device) of a user: `alice@alpha.example/phone`, or
    /// `mimi://alpha.example/d/alice/phone` (A25).
    ///
    /// Its bytes are the identity of the client's basic credential.
    ClientUri
}

impl fmt::Display for Domain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl UserUri {
    /// Parses a user's identifier.
    ///
    /// # Errors
    /// [`UsageError::BadUri`] when the text is not of one of the two forms (D15).
    pub fn parse(text: &str) -> Result<Self, UsageError> {
        let domain = match parts(text)? {
            Parts::Mail { domain, .. } => domain,
            Parts::Mimi { path, domain } if path.strip_prefix("u/").is_some_and(is_local) => domain,
            Parts::Mimi { .. } => return Err(UsageError::BadUri),
        };
        Ok(Self { text: text.to_owned(), domain })
    }

    /// The client `device` of this user (A25).
    ///
    /// # Errors
    /// [`UsageError::BadUri`] when the result is no identifier.
    pub fn client(&self, device: &str) -> Result<ClientUri, UsageError> {
        match parts(&self.text)? {
            Parts::Mail { .. } => ClientUri::parse(&format!("{}/{device}", self.text)),
            Parts::Mimi { path, domain } => {
                let user = path.strip_prefix("u/").ok_or(UsageError::BadUri)?;
                ClientUri::parse(&format!("mimi://{domain}/d/{user}/{device}"))
            }
        }
    }
}

impl RoomUri {
    /// Parses a room's identifier.
    ///
    /// # Errors
    /// [`UsageError::BadUri`] when the text is not of one of the two forms (D15).
    pub fn parse(text: &str) -> Result<Self, UsageError> {
        let domain = match parts(text)? {
            Parts::Mail { domain, .. } => domain,
            Parts::Mimi { path, domain } if path.strip_prefix("r/").is_some_and(is_local) => domain,
            Parts::Mimi { .. } => return Err(UsageError::BadUri),
        };
        Ok(Self { text: text.to_owned(), domain })
    }
}

impl ClientUri {
    /// Parses a client's identifier.
    ///
    /// # Errors
    /// [`UsageError::BadUri`] when the text is not of one of the two forms (A25, D15).
    pub fn parse(text: &str) -> Result<Self, UsageError> {
        Self::user_text(text)?;
        let domain = match text.strip_prefix("mimi://") {
            Some(rest) => rest.split('/').next(),
            None => text.split(['@', '/']).nth(1),
        };
        let domain = Domain::parse(domain.unwrap_or_default())?;
        Ok(Self { text: text.to_owned(), domain })
    }

    /// The user whose client this is (A25).
    #[must_use]
    pub fn user(&self) -> UserUri {
        // `parse` checked that this succeeds; the fall-back is unreachable and names nobody else.
        let text = Self::user_text(&self.text).unwrap_or_else(|_| self.text.clone());
        UserUri { text, domain: self.domain.clone() }
    }

    fn user_text(text: &str) -> Result<String, UsageError> {
        if text.len() > MAX_IDENTIFIER_BYTES {
            return Err(UsageError::BadUri);
        }
        let user = if let Some(rest) = text.strip_prefix("mimi://") {
            let (domain, path) = rest.split_once("/d/").ok_or(UsageError::BadUri)?;
            let (user, device) = path.split_once('/').ok_or(UsageError::BadUri)?;
            if !is_local(device) {
                return Err(UsageError::BadUri);
            }
            format!("mimi://{domain}/u/{user}")
        } else {
            let (user, device) = text.split_once('/').ok_or(UsageError::BadUri)?;
            if !is_local(device) {
                return Err(UsageError::BadUri);
            }
            user.to_owned()
        };
        UserUri::parse(&user)?;
        Ok(user)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn r1_the_domain_of_both_syntaxes() {
        for (text, domain) in [
            ("alice@alpha.example", "alpha.example"),
            ("mimi://alpha.example/u/alice", "alpha.example"),
            ("*@alpha.example", "alpha.example"),
        ] {
            assert_eq!(UserUri::parse(text).unwrap().domain().as_str(), domain, "{text}");
        }
        assert_eq!(
            RoomUri::parse("mimi://a.example/r/club").unwrap().domain().as_str(),
            "a.example"
        );
        for text in [
            "",
            "alice",
            "@alpha.example",
            "alice@",
            "alice@Alpha.example",
            "a b@alpha.example",
            "alice@alpha.example/phone",
            "alice@bob@alpha.example",
            "alice@alpha..example",
            "al/ice@alpha.example",
            "alice\n@alpha.example",
            "alice@127.0.0.1",
            "alice@2130706433",
            "mimi://alpha.example",
            "mimi://alpha.example/",
            "mimi://alpha.example/r/club",
            "mimi://alpha.example/u/a/b",
        ] {
            assert_eq!(UserUri::parse(text), Err(UsageError::BadUri), "{text:?}");
        }
        let long = format!("{}@alpha.example", "a".repeat(MAX_IDENTIFIER_BYTES));
        assert_eq!(UserUri::parse(&long), Err(UsageError::BadUri));
    }

    #[test]
    fn a25_a_client_belongs_to_its_user() {
        for (client, user) in [
            ("alice@alpha.example/phone", "alice@alpha.example"),
            ("mimi://alpha.example/d/alice/phone", "mimi://alpha.example/u/alice"),
        ] {
            let parsed = ClientUri::parse(client).unwrap();
            assert_eq!(parsed.user().as_str(), user);
            assert_eq!(parsed.domain().as_str(), "alpha.example");
            assert_eq!(parsed.user().client("phone").unwrap(), parsed);
        }
        for text in ["alice@alpha.example", "alice@alpha.example/", "alice@alpha.example/a/b", "/x"]
        {
            assert_eq!(ClientUri::parse(text), Err(UsageError::BadUri), "{text:?}");
        }
    }

    #[test]
    fn d15_the_two_spellings_never_equal_each_other() {
        let mail = UserUri::parse("alice@alpha.example").unwrap();
        let mimi = UserUri::parse("mimi://alpha.example/u/alice").unwrap();
        assert_ne!(mail, mimi);
        assert_eq!(mail.domain(), mimi.domain());
    }
}
