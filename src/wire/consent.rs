//! `POST /requestConsent/{targetUser}`, `POST /updateConsent/{requesterUser}`: the draft's "Obtain
//! consent".

use openmls::key_packages::KeyPackageIn;
use tls_codec::Error as TlsError;

use super::{IdentifierUri, RoomId, Verbatim, select_struct};

/// What happens to a consent, and what belongs to it.
///
/// ```text
/// enum { cancel(0), request(1), grant(2), revoke(3), (255) } ConsentOperation;
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ConsentOperation {
    /// The requester takes its request back.
    Cancel,
    /// The requester asks.
    Request,
    /// The target allows; with KeyPackages of its clients, possibly none (R97).
    Grant(Vec<Verbatim<KeyPackageIn>>),
    /// The target no longer allows.
    Revoke,
}

impl ConsentOperation {
    /// What it is, in words for a trace.
    #[must_use]
    pub const fn label(&self) -> &'static str {
        match self {
            Self::Cancel => "consent cancel",
            Self::Request => "consent request",
            Self::Grant(_) => "consent grant",
            Self::Revoke => "consent revoke",
        }
    }
}

/// The body of both consent endpoints.
///
/// ```text
/// struct { ConsentOperation consentOperation; IdentifierUri requesterUser; IdentifierUri targetUser;
///   optional<RoomId> roomId;
///   select (consentOperation) { case grant: KeyPackage clientKeyPackages<V>; };
/// } ConsentEntry;
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConsentEntry {
    /// The operation.
    pub operation: ConsentOperation,
    /// The user who wants to add the target.
    pub requester_user: IdentifierUri,
    /// The user who consents, or does not.
    pub target_user: IdentifierUri,
    /// The one room that it is about; `None`: any room (R96).
    pub room_id: Option<RoomId>,
}

select_struct!(
    ConsentEntry,
    |entry| {
        let (code, key_packages): (&dyn super::Field, Option<&dyn super::Field>) =
            match &entry.operation {
                ConsentOperation::Cancel => (&0_u8, None),
                ConsentOperation::Request => (&1_u8, None),
                ConsentOperation::Grant(key_packages) => (&2_u8, Some(key_packages)),
                ConsentOperation::Revoke => (&3_u8, None),
            };
        let mut fields: Vec<&dyn super::Field> =
            vec![code, &entry.requester_user, &entry.target_user, &entry.room_id];
        fields.extend(key_packages);
        fields
    },
    |reader| {
        let code: u8 = reader.next()?;
        let requester_user = reader.next()?;
        let target_user = reader.next()?;
        let room_id = reader.next()?;
        let operation = match code {
            0 => ConsentOperation::Cancel,
            1 => ConsentOperation::Request,
            2 => ConsentOperation::Grant(reader.next()?),
            3 => ConsentOperation::Revoke,
            other => return Err(TlsError::UnknownValue(u64::from(other))),
        };
        Ok(ConsentEntry { operation, requester_user, target_user, room_id })
    }
);
