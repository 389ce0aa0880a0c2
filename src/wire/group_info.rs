//! `POST /groupInfo/{roomId}`: the draft's "Claim end-to-end crypto group key information".

use openmls::{credentials::Credential, messages::group_info::VerifiableGroupInfo};
use tls_codec::{TlsDeserializeBytes, TlsSerialize, TlsSize, VLBytes};

use super::{IdentifierUri, RatchetTreeOption, Verbatim, update::full_tree};

/// What the signature of a [`GroupInfoRequest`] covers, with label `GroupInfoRequestTBS`.
///
/// ```text
/// struct { opaque roomId<V>; SignaturePublicKey requestingSignatureKey; Credential requestingCredential; } GroupInfoRequestTBS;
/// ```
/// The draft's `select (protocol)` has no field: nothing of it is on the wire (A10).
#[derive(Debug, Clone, PartialEq, Eq, TlsSerialize, TlsDeserializeBytes, TlsSize)]
pub struct GroupInfoRequestTbs {
    /// The room.
    pub room_id: IdentifierUri,
    /// The key that the joiner will use, in the room's signature scheme (R88).
    pub requesting_signature_key: VLBytes,
    /// The credential that the joiner will use.
    pub requesting_credential: Verbatim<Credential>,
}

/// The body of `POST /groupInfo/{roomId}`.
///
/// ```text
/// struct { opaque signature<V>;  /* SignWithLabel(., "GroupInfoRequestTBS", GroupInfoRequestTBS) */
///          opaque roomId<V>; SignaturePublicKey requestingSignatureKey; Credential requestingCredential; } GroupInfoRequest;
/// ```
#[derive(Debug, Clone, PartialEq, Eq, TlsSerialize, TlsDeserializeBytes, TlsSize)]
pub struct GroupInfoRequest {
    /// Over `tbs`.
    pub signature: VLBytes,
    /// The other fields.
    pub tbs: GroupInfoRequestTbs,
}

/// The answer: the payload on success only (A14).
///
/// ```text
/// enum { reserved(0), success(1), notAuthorized(2), noSuchRoom(3), (255) } GroupInfoCode;
/// struct { GroupInfoCode status;
///   select (status) { case success: GroupInfo groupInfo; RatchetTreeOption ratchetTreeOption; default: struct {}; };
/// } GroupInfoResponse;
/// ```
#[derive(Debug, Clone, PartialEq, Eq, TlsSerialize, TlsDeserializeBytes, TlsSize)]
#[repr(u8)]
pub enum GroupInfoResponse {
    /// The current epoch's GroupInfo, with `external_pub`, without `ratchet_tree` (R87).
    #[tls_codec(discriminant = 1)]
    Success {
        /// The GroupInfo.
        group_info: Box<Verbatim<VerifiableGroupInfo>>,
        /// The tree, `full`: nothing else decodes (A23).
        #[tls_codec(with = "full_tree")]
        ratchet_tree_option: RatchetTreeOption,
    },
    /// The requester may not join.
    #[tls_codec(discriminant = 2)]
    NotAuthorized,
    /// There is no such room.
    #[tls_codec(discriminant = 3)]
    NoSuchRoom,
}
