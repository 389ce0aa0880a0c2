//! The two ways in which an AppSync travels in MLS and the list stands in the GroupContext (WIRE a.5).

use openmls::{extensions::Extensions, group::GroupContext, prelude::ProposalType};
use serde::{Deserialize, Serialize};
use tls_codec::{TlsDeserializeBytes, TlsSerialize, TlsSize, VLBytes};

use super::{
    ParticipantList,
    codepoints::{application, proposal},
};
use crate::{
    error::{InternalError, ProtocolError},
    wire,
};

/// How a room carries AppSyncs and its list. Chosen when the room is created, for good; the AppSync
/// and the list are the same bytes in both.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum Profile {
    /// AppDataUpdate proposals and the `app_data_dictionary` (draft-ietf-mls-extensions).
    #[default]
    B,
    /// Custom proposals, and an extension which a GroupContextExtensions proposal of the same commit
    /// replaces: for MLS implementations without AppDataUpdate.
    A,
}

impl Profile {
    /// The profile of a group: whose proposals its `required_capabilities` ask for.
    ///
    /// # Errors
    /// [`ProtocolError::InvalidProposal`] when they ask for those of neither, or of both.
    pub fn of(extensions: &Extensions<GroupContext>) -> Result<Self, ProtocolError> {
        let asks_for = |number: u16| {
            extensions.required_capabilities().is_some_and(|required| {
                required.proposal_types().contains(&ProposalType::from(number))
            })
        };
        match (asks_for(proposal::APP_DATA_UPDATE), asks_for(proposal::APP_SYNC)) {
            (true, false) => Ok(Self::B),
            (false, true) => Ok(Self::A),
            _ => Err(ProtocolError::InvalidProposal("the room's profile")),
        }
    }
}

impl From<Profile> for wire::RoomProfile {
    fn from(profile: Profile) -> Self {
        match profile {
            Profile::A => Self::A,
            Profile::B => Self::B,
        }
    }
}

/// Profile A's extension of the GroupContext.
///
/// ```text
/// struct { uint32 application_id; opaque application_state<V>; } ApplicationState;
/// ```
#[derive(Debug, Clone, PartialEq, Eq, TlsSerialize, TlsDeserializeBytes, TlsSize)]
struct ApplicationState {
    application_id: u32,
    application_state: VLBytes,
}

/// The content of profile A's extension with this list.
pub(super) fn encode_application_state(list: &ParticipantList) -> Result<Vec<u8>, InternalError> {
    wire::encode(&ApplicationState {
        application_id: application::PARTICIPANT_LIST,
        application_state: list.encode()?.into(),
    })
}

/// The list in the content of profile A's extension.
pub(super) fn decode_application_state(bytes: &[u8]) -> Result<ParticipantList, ProtocolError> {
    match wire::decode_exact(bytes) {
        Ok(ApplicationState {
            application_id: application::PARTICIPANT_LIST,
            application_state,
        }) => ParticipantList::decode(application_state.as_slice()),
        _ => Err(ProtocolError::InvalidProposal("not the state of the participant list")),
    }
}

#[cfg(test)]
mod tests {
    use openmls::{
        extensions::Extension,
        prelude::{ExtensionType, RequiredCapabilitiesExtension},
    };

    use super::*;
    use crate::wire::uri::UserUri;

    fn list() -> ParticipantList {
        ParticipantList::of_creator(UserUri::parse("alice@alpha.com").unwrap())
    }

    #[test]
    fn the_known_answer_of_profile_a() {
        let state = encode_application_state(&list()).unwrap();
        assert_eq!(state, b"\x00\x00\x00\x01\x15\x14\x0falice@alpha.com\x03\x02\x03\x04");
        assert_eq!(decode_application_state(&state).unwrap(), list());
    }

    #[test]
    fn r5_another_state_is_refused() {
        let state = encode_application_state(&list()).unwrap();
        let trailing = [state.as_slice(), &[0]].concat();
        let mut other = state;
        other[3] = 2;
        for bytes in [trailing, other] {
            let error = decode_application_state(&bytes).unwrap_err();
            let text = "not the state of the participant list";
            assert_eq!(error, ProtocolError::InvalidProposal(text));
        }
    }

    #[test]
    fn the_required_capabilities_say_which_profile_it_is() {
        let of = |proposals: &[u16]| {
            let proposals: Vec<_> = proposals.iter().copied().map(ProposalType::from).collect();
            let lists = [ExtensionType::AppDataDictionary, ExtensionType::Unknown(0xF0A6)];
            let required = RequiredCapabilitiesExtension::new(&lists, &proposals, &[]);
            let required = Extension::RequiredCapabilities(required);
            Profile::of(&Extensions::single(required).unwrap())
        };
        assert_eq!(of(&[0x0008]), Ok(Profile::B));
        assert_eq!(of(&[0xF0A5, 0x000A]), Ok(Profile::A));
        let neither = Err(ProtocolError::InvalidProposal("the room's profile"));
        assert_eq!(of(&[]), neither);
        assert_eq!(of(&[0x0008, 0xF0A5]), neither);
        assert_eq!(Profile::of(&Extensions::empty()), neither);
    }
}
