//! Every code point that the draft leaves open, and the MLS numbers that rooms are made of (WIRE a.5).
//!
//! Extension types, proposal types and component ids are three number spaces: the same number means
//! different things in them, so each has its own module and no constant serves two.

/// Component ids (draft-ietf-mls-extensions, "ComponentID").
pub mod component {
    use openmls::component::ComponentId;

    /// `app_components`: the components that a group or a leaf knows (D23).
    pub const APP_COMPONENTS: ComponentId = 0x0001;
    /// The participant list, a `MimiParticipantList`; its updates are `AppSync`s.
    ///
    /// Private use: 0x0022 is assigned to a list with another, index-based update.
    pub const PARTICIPANT_LIST: ComponentId = 0xF022;
}

/// Extension types (RFC 9420 §17.3).
pub mod extension {
    /// `app_data_dictionary`: component id → state, in the GroupContext and in leaves.
    pub const APP_DATA_DICTIONARY: u16 = 0x0006;
    /// `last_resort`: marks a KeyPackage that may be handed out more than once.
    pub const LAST_RESORT: u16 = 0x000A;
    /// `ApplicationState` with the participant list, private use: profile A (WIRE a.5).
    pub const APPLICATION_STATE: u16 = 0xF0A6;
    /// `RoomPolicy`: the room's base policy, private use (R36).
    pub const ROOM_POLICY: u16 = 0xF0A7;
}

/// Proposal types (RFC 9420 §17.4).
pub mod proposal {
    /// `app_data_update`: changes the state of one component.
    pub const APP_DATA_UPDATE: u16 = 0x0008;
    /// `self_remove`: the sender's leaf goes; travels by reference only.
    pub const SELF_REMOVE: u16 = 0x000A;
    /// `AppSync` as a proposal of its own, private use: profile A (WIRE a.5).
    pub const APP_SYNC: u16 = 0xF0A5;
}

/// Application ids of an `ApplicationState`.
pub mod application {
    /// The participant list.
    pub const PARTICIPANT_LIST: u32 = 1;
}

/// Credential types (RFC 9420 §17.5).
pub mod credential {
    /// `basic`: the identity itself, here a client's URI (A25).
    pub const BASIC: u16 = 0x0001;
}

/// Cipher suites (RFC 9420 §17.1).
pub mod cipher_suite {
    /// The suite of a room when its creator does not say: every MLS stack has it.
    pub const DEFAULT: u16 = 0x0001;
    /// The suites in which rooms and KeyPackages are accepted, in order of preference.
    pub const ACCEPTED: [u16; 3] = [0x0001, 0x0003, 0x0002];
}

#[cfg(test)]
mod tests {
    use openmls::prelude::{CredentialType, ExtensionType, ProposalType};

    use super::{credential, extension, proposal};

    #[test]
    fn the_numbers_mean_what_openmls_means() {
        let extension = |number| ExtensionType::from(number);
        assert_eq!(extension(extension::APP_DATA_DICTIONARY), ExtensionType::AppDataDictionary);
        assert_eq!(extension(extension::LAST_RESORT), ExtensionType::LastResort);
        assert_eq!(extension(extension::APPLICATION_STATE), ExtensionType::Unknown(0xF0A6));
        assert_eq!(extension(extension::ROOM_POLICY), ExtensionType::Unknown(0xF0A7));
        let proposal = |number| ProposalType::from(number);
        assert_eq!(proposal(proposal::APP_DATA_UPDATE), ProposalType::AppDataUpdate);
        assert_eq!(proposal(proposal::SELF_REMOVE), ProposalType::SelfRemove);
        assert_eq!(proposal(proposal::APP_SYNC), ProposalType::Custom(0xF0A5));
        assert_eq!(CredentialType::from(credential::BASIC), CredentialType::Basic);
    }
}
