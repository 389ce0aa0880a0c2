//! `POST /notify/{roomId}`: the draft's "Fan out messages".

use openmls::framing::{ContentType, MlsMessageBodyIn, MlsMessageIn, WireFormat};
use tls_codec::Error as TlsError;

use super::{RatchetTreeOption, Verbatim, select_struct, update::full_tree};

/// One message that the hub accepted. A body of `/notify` is one or more of them (R78).
///
/// ```text
/// struct { MLSMessage message; uint64 timestamp;
///   select (message.wire_format) { case welcome: RatchetTreeOption ratchetTreeOption; };
/// } FanoutMessage;
/// ```
/// Only application messages as PrivateMessage, proposals and commits as PublicMessage (R6), and
/// Welcomes decode; the tree is there iff it is a Welcome (R80), and then it is `full` (A23).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FanoutMessage {
    /// The message, with its MLSMessage header.
    pub message: Verbatim<MlsMessageIn>,
    /// When the hub accepted it, in milliseconds since 1970 (R79).
    pub timestamp: u64,
    /// The tree after the commit, with a Welcome (A30).
    pub ratchet_tree_option: Option<RatchetTreeOption>,
}

impl FanoutMessage {
    /// The timestamp of an encoded one without a tree, which ends with it.
    #[must_use]
    pub fn timestamp_of(encoded: &[u8]) -> Option<u64> {
        encoded.last_chunk().copied().map(u64::from_be_bytes)
    }

    /// Whether the message is a PrivateMessage: application content (R6).
    #[must_use]
    pub fn is_private_message(&self) -> bool {
        self.message.wire_format() == WireFormat::PrivateMessage
    }
}

select_struct!(
    FanoutMessage,
    |fanout| match &fanout.ratchet_tree_option {
        Some(tree) => vec![&fanout.message as _, &fanout.timestamp as _, tree as _],
        None => vec![&fanout.message as _, &fanout.timestamp as _],
    },
    |reader| {
        let message: Verbatim<MlsMessageIn> = reader.next()?;
        let timestamp = reader.next()?;
        let ratchet_tree_option = match message_kind(&message)? {
            Kind::Welcome => Some(reader.next_with(full_tree::tls_deserialize_bytes)?),
            Kind::Message => None,
        };
        Ok(FanoutMessage { message, timestamp, ratchet_tree_option })
    }
);

/// What decides about the fields that follow.
enum Kind {
    Welcome,
    Message,
}

fn message_kind(message: &MlsMessageIn) -> Result<Kind, TlsError> {
    match message.clone().extract() {
        MlsMessageBodyIn::Welcome(_) => Ok(Kind::Welcome),
        MlsMessageBodyIn::PrivateMessage(private)
            if private.content_type() == ContentType::Application =>
        {
            Ok(Kind::Message)
        }
        MlsMessageBodyIn::PublicMessage(public)
            if public.content_type() != ContentType::Application =>
        {
            Ok(Kind::Message)
        }
        _ => Err(TlsError::DecodingError("not for fan-out".into())),
    }
}
