//! `POST /update/{roomId}`: the draft's "Change room policy/participation".

use openmls::{
    framing::PublicMessageIn,
    messages::{Welcome, group_info::VerifiableGroupInfo},
    prelude::ContentType,
    treesync::RatchetTreeIn,
};
use tls_codec::{Error as TlsError, TlsDeserializeBytes, TlsSerialize, TlsSize, VLBytes};

use super::{Verbatim, decode_exact, outline::count_nodes, select_struct};
use crate::error::ProtocolError;

/// The nodes of a tree of 65,536 leaves.
const MAX_NODES: usize = (2 << 16) - 1;

/// The payload of RFC 9420's `ratchet_tree` extension, kept as bytes until someone needs the nodes.
///
/// ```text
/// optional<Node> ratchet_tree<V>;
/// ```
/// The draft writes `Node ratchet_tree<V>`, which could not express blanks (A9).
#[derive(Clone, PartialEq, Eq, TlsSerialize, TlsDeserializeBytes, TlsSize)]
pub struct RatchetTree(VLBytes);

impl RatchetTree {
    /// A tree from its encoding, length prefix included.
    ///
    /// # Errors
    /// [`ProtocolError::Malformed`] when the bytes are not one vector.
    pub fn from_encoded(bytes: &[u8]) -> Result<Self, ProtocolError> {
        decode_exact(bytes)
    }

    /// The nodes.
    ///
    /// # Errors
    /// [`ProtocolError::Malformed`] when they do not decode, or are more than 131,071: of 65,536
    /// clients. A blank node is one byte here and a hundred in memory.
    pub fn nodes(&self) -> Result<RatchetTreeIn, ProtocolError> {
        if self.content().len() > MAX_NODES && count_nodes(self)? > MAX_NODES {
            return Err(ProtocolError::Malformed("tree"));
        }
        let encoded = super::encode(&self.0).map_err(|_| ProtocolError::Malformed("tree"))?;
        decode_exact(&encoded)
    }

    /// The nodes' bytes, without the length prefix.
    #[must_use]
    pub fn content(&self) -> &[u8] {
        self.0.as_slice()
    }
}

impl std::fmt::Debug for RatchetTree {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "RatchetTree({} bytes)", self.content().len())
    }
}

/// How the tree comes along.
///
/// ```text
/// enum { reserved(0), full(1), compressed(2), delta(3), patch(4), byReference(5), (255) } RatchetTreeRepresentation;
/// struct { RatchetTreeRepresentation representation;
///   select (representation) { case full: optional<Node> ratchet_tree<V>; };
/// } RatchetTreeOption;
/// ```
/// Representations 2 to 4 have no body in the draft and do not decode; `byReference` is taken in an
/// `UpdateRequest` only (A23).
#[derive(Debug, Clone, PartialEq, Eq, TlsSerialize, TlsDeserializeBytes, TlsSize)]
#[repr(u8)]
pub enum RatchetTreeOption {
    /// The whole tree.
    #[tls_codec(discriminant = 1)]
    Full(RatchetTree),
    /// The tree that the hub holds after applying this commit.
    #[tls_codec(discriminant = 5)]
    ByReference,
}

/// Codec of a [`RatchetTreeOption`] where `full` alone is taken: everywhere but in an
/// [`UpdateRequest`] (A23).
pub(super) mod full_tree {
    use std::io::Write;

    use tls_codec::{DeserializeBytes, Error, Serialize, Size};

    use super::RatchetTreeOption;

    pub(in crate::wire) fn tls_serialized_len(tree: &RatchetTreeOption) -> usize {
        tree.tls_serialized_len()
    }

    pub(in crate::wire) fn tls_serialize<W: Write>(
        tree: &RatchetTreeOption,
        writer: &mut W,
    ) -> Result<usize, Error> {
        tree.tls_serialize(writer)
    }

    pub(in crate::wire) fn tls_deserialize_bytes(
        bytes: &[u8],
    ) -> Result<(RatchetTreeOption, &[u8]), Error> {
        match RatchetTreeOption::tls_deserialize_bytes(bytes)? {
            (RatchetTreeOption::ByReference, _) => {
                Err(Error::DecodingError("the whole tree belongs here".into()))
            }
            full => Ok(full),
        }
    }
}

/// What comes with a Commit.
#[derive(Debug, Clone, PartialEq, Eq, TlsSerialize, TlsDeserializeBytes, TlsSize)]
pub struct CommitBundle {
    /// For those whom the commit adds; there iff it adds someone (R46).
    pub welcome: Option<Verbatim<Welcome>>,
    /// Of the epoch after the commit, without a `ratchet_tree` extension (R46, R50).
    pub group_info: Verbatim<VerifiableGroupInfo>,
    /// The tree after the commit.
    pub ratchet_tree_option: RatchetTreeOption,
}

/// What follows the first message of an [`UpdateRequest`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum UpdateContent {
    /// `proposalOrCommit` is a Commit.
    Commit(Box<CommitBundle>),
    /// `proposalOrCommit` is a Proposal; these are more of them, of the same sender.
    Proposal(Vec<Verbatim<PublicMessageIn>>),
}

/// The body of `POST /update/{roomId}`.
///
/// ```text
/// struct {
///   PublicMessage proposalOrCommit;
///   select (proposalOrCommit.content.content_type) {
///     case commit:   optional<Welcome> welcome; GroupInfo groupInfo; RatchetTreeOption ratchetTreeOption;
///     case proposal: PublicMessage moreProposals<V>;
///   };
/// } UpdateRequest;
/// ```
/// The MLS structs are bare, without an MLSMessage header. Application content is refused (R6).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UpdateRequest {
    /// A Commit or a Proposal.
    pub proposal_or_commit: Verbatim<PublicMessageIn>,
    /// What its content type says.
    pub content: UpdateContent,
}

select_struct!(
    UpdateRequest,
    |request| match &request.content {
        UpdateContent::Commit(bundle) => [&request.proposal_or_commit as _, bundle.as_ref() as _],
        UpdateContent::Proposal(more) => [&request.proposal_or_commit as _, more as _],
    },
    |reader| {
        let proposal_or_commit: Verbatim<PublicMessageIn> = reader.next()?;
        let content = match proposal_or_commit.content_type() {
            ContentType::Commit => UpdateContent::Commit(Box::new(reader.next()?)),
            ContentType::Proposal => UpdateContent::Proposal(reader.next()?),
            ContentType::Application => {
                return Err(TlsError::DecodingError("application content".into()));
            }
        };
        Ok(UpdateRequest { proposal_or_commit, content })
    }
);

/// What the hub made of an update (R61).
///
/// ```text
/// enum { success(0), wrongEpoch(1), notAllowed(2), hubUnresponsive(3), invalidProposal(4), (255) } UpdateResponseCode;
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, TlsSerialize, TlsDeserializeBytes, TlsSize)]
#[repr(u8)]
#[allow(missing_docs, reason = "the names are the draft's")]
pub enum UpdateResponseCode {
    Success = 0,
    WrongEpoch = 1,
    NotAllowed = 2,
    HubUnresponsive = 3,
    InvalidProposal = 4,
}

/// The answer to an [`UpdateRequest`].
///
/// ```text
/// struct { UpdateResponseCode responseCode; opaque errorDescription<V>; } UpdateRoomResponse;
/// ```
#[derive(Debug, Clone, PartialEq, Eq, TlsSerialize, TlsDeserializeBytes, TlsSize)]
pub struct UpdateRoomResponse {
    /// The code; R62 says which HTTP status goes with it.
    pub response_code: UpdateResponseCode,
    /// Free text for people, may be empty; UTF-8 from us.
    pub error_description: VLBytes,
}

/// The body of a 401 to an [`UpdateRequest`], and of nothing else (A12, R62).
///
/// ```text
/// struct { UpdateRoomResponse response; PublicMessage pendingProposals<V>; } PendingProposalsResponse;
/// ```
#[derive(Debug, Clone, PartialEq, Eq, TlsSerialize, TlsDeserializeBytes, TlsSize)]
pub struct PendingProposalsResponse {
    /// With code notAllowed.
    pub response: UpdateRoomResponse,
    /// All proposals that the hub holds, in the order in which it accepted them.
    pub pending_proposals: Vec<Verbatim<PublicMessageIn>>,
}
