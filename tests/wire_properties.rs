//! What damaged bytes decode to: an error, or a value that encodes to the same bytes.
#![cfg(not(target_arch = "wasm32"))]

mod wire_fixtures;

use mimi_edge::wire::{
    AppSync, ConsentEntry, ConsentItem, ConsentOperation, ConsentState, Cursor, DeviceList,
    DeviceRegistration, DeviceRegistrationTbs, DeviceSummary, FromProvider, IdentifierUri,
    KeyMaterialBody, KeyMaterialRequest, MimiParticipantList, Mls10Request, Protocol,
    PseudonymGrant, RatchetTreeSupport, RequiredCapabilities, Role, RoomList, RoomProfile,
    RoomSummary, SubmitMessageResponse, SubmitStatus, UpdateResponseCode, UpdateRoomResponse,
    UserRoles, decode_concatenated, decode_exact, encode,
};
use openmls::framing::{MlsMessageIn, PublicMessageIn};
use openmls::key_packages::KeyPackageIn;
use openmls::messages::{Welcome, group_info::VerifiableGroupInfo};
use openmls::prelude::{Capabilities, Credential};
use openmls::treesync::RatchetTreeIn;
use proptest::collection::vec;
use proptest::prelude::*;
use tls_codec::{DeserializeBytes, Serialize};
use wire_fixtures::hand::{join, to_hex};
use wire_fixtures::mls::STORY;
use wire_fixtures::samples::{GROUP_INFO, KEY_PACKAGE, PRIVATE, PUBLIC, Sample, WELCOME, samples};

/// Every truncation, every extension by one byte, every change of a single bit; and every byte
/// written as a length that is not minimal.
fn damage(valid: &[u8], mut check: impl FnMut(&[u8])) {
    for end in 0..valid.len() {
        check(&valid[..end]);
    }
    let mut longer = [valid, &[0]].concat();
    for byte in 0..=u8::MAX {
        longer[valid.len()] = byte;
        check(&longer);
    }
    let mut changed = valid.to_vec();
    for bit in 0..8 * valid.len() {
        changed[bit / 8] ^= 1 << (bit % 8);
        check(&changed);
        changed[bit / 8] = valid[bit / 8];
    }
    for (at, byte) in valid.iter().enumerate().filter(|(_, byte)| **byte < 0x40) {
        for prefix in [&[0x40][..], &[0x80, 0, 0], &[0xC0, 0, 0, 0, 0, 0, 0]] {
            check(&join(&[&valid[..at], prefix, &[*byte], &valid[at + 1..]]));
        }
    }
}

fn assert_same_or_refused(sample: &Sample, bytes: &[u8]) {
    if let Some(again) = (sample.again)(bytes) {
        assert!(again == bytes, "{}: {}", sample.name, to_hex(bytes));
    }
}

#[test]
fn what_is_valid_encodes_to_the_same_bytes() {
    for sample in samples() {
        assert_eq!((sample.again)(&sample.bytes), Some(sample.bytes.clone()), "{}", sample.name);
    }
}

#[test]
fn r5_damaged_bytes_are_refused_or_encode_to_the_same() {
    for sample in samples() {
        damage(&sample.bytes, |bytes| assert_same_or_refused(&sample, bytes));
    }
}

#[test]
fn r5_no_truncation_and_no_extension_decodes() {
    for sample in samples() {
        if sample.name == "KeyMaterialRequest, another protocol" {
            continue; // ends where the bytes end (R34)
        }
        for end in 0..sample.bytes.len() {
            assert_eq!((sample.again)(&sample.bytes[..end]), None, "{}, {end}", sample.name);
        }
        for byte in 0..=u8::MAX {
            let longer = [&sample.bytes[..], &[byte]].concat();
            assert_eq!((sample.again)(&longer), None, "{}, {byte}", sample.name);
        }
    }
}

/// Whether openmls itself encodes what it decoded to the same bytes: `Verbatim` keeps the bytes and
/// would hide a lenient decoder.
fn assert_strict<T: DeserializeBytes + Serialize>(name: &str, valid: &[u8]) {
    let strict = |bytes: &[u8]| {
        let decoded = T::tls_deserialize_exact_bytes(bytes);
        decoded.ok().map(|value| value.tls_serialize_detached().expect("serializable"))
    };
    assert_eq!(strict(valid).as_deref(), Some(valid), "{name}");
    damage(valid, |bytes| {
        if let Some(again) = strict(bytes) {
            assert!(again == bytes, "{name}: {}", to_hex(bytes));
        }
    });
}

#[test]
fn r5_openmls_encodes_what_it_decoded_to_the_same_bytes() {
    let story = &*STORY;
    assert_strict::<KeyPackageIn>("KeyPackage", &story.bob_key_package);
    assert_strict::<KeyPackageIn>("KeyPackage, last resort", &story.last_resort_key_package);
    assert_strict::<PublicMessageIn>("Commit", &story.add.commit);
    assert_strict::<PublicMessageIn>("Commit, external", &story.external.commit);
    assert_strict::<PublicMessageIn>("Commit, references", &story.leave_commit.commit);
    assert_strict::<PublicMessageIn>("Proposal", &story.leave[1]);
    assert_strict::<Welcome>("Welcome", story.add.welcome.as_ref().unwrap());
    assert_strict::<VerifiableGroupInfo>("GroupInfo", &story.add.group_info);
    assert_strict::<RatchetTreeIn>("ratchet_tree", &story.leave_commit.tree);
    assert_strict::<Capabilities>("Capabilities", &story.capabilities);
    assert_strict::<Credential>("Credential", &story.credential);
    for (name, header, body) in [
        ("MLSMessage, public", PUBLIC, &story.leave[0]),
        ("MLSMessage, private", PRIVATE, &story.application),
        ("MLSMessage, Welcome", WELCOME, story.add.welcome.as_ref().unwrap()),
        ("MLSMessage, GroupInfo", GROUP_INFO, &story.add.group_info),
        ("MLSMessage, KeyPackage", KEY_PACKAGE, &story.bob_key_package),
    ] {
        assert_strict::<MlsMessageIn>(name, &join(&[&header, body]));
    }
}

fn identifier() -> impl Strategy<Value = IdentifierUri> {
    prop_oneof![
        "[a-z]{1,9}@[a-z]{1,9}\\.example".prop_map(IdentifierUri),
        "\\PC{0,80}".prop_map(IdentifierUri),
    ]
}

fn role() -> impl Strategy<Value = Role> {
    prop::sample::select(vec![
        Role::System,
        Role::Owner,
        Role::Admin,
        Role::RegularUser,
        Role::Visitor,
        Role::Banned,
    ])
}

fn users() -> impl Strategy<Value = Vec<UserRoles>> {
    vec((identifier(), vec(role(), 0..4)).prop_map(|(user, roles)| UserRoles { user, roles }), 0..9)
}

fn app_sync() -> impl Strategy<Value = AppSync> {
    (users(), users(), vec(identifier(), 0..9)).prop_map(
        |(add_users, update_users, remove_users)| AppSync { add_users, update_users, remove_users },
    )
}

fn key_material_request() -> impl Strategy<Value = KeyMaterialRequest> {
    let lists = (vec(any::<u16>(), 0..40), vec(any::<u16>(), 0..40), vec(any::<u16>(), 0..4));
    let users = (identifier(), vec(identifier(), 0..3), identifier());
    (users, lists, vec(any::<u16>(), 0..9), any::<bool>()).prop_map(
        |((requesting_user, target_users, room_id), lists, suites, last_resort_allowed)| {
            let (extension_types, proposal_types, credential_types) = lists;
            KeyMaterialRequest {
                protocol: Protocol::MLS10,
                requesting_user,
                target_users,
                room_id,
                body: KeyMaterialBody::Mls10(Mls10Request {
                    acceptable_ciphersuites: suites,
                    required_capabilities: RequiredCapabilities {
                        extension_types,
                        proposal_types,
                        credential_types,
                    },
                    last_resort_allowed,
                }),
            }
        },
    )
}

fn submit_response() -> impl Strategy<Value = SubmitMessageResponse> {
    prop_oneof![
        any::<u64>().prop_map(SubmitStatus::Accepted),
        Just(SubmitStatus::NotAllowed),
        any::<u64>().prop_map(SubmitStatus::EpochTooOld),
    ]
    .prop_map(|status| SubmitMessageResponse { protocol: Protocol::MLS10, status })
}

fn update_response() -> impl Strategy<Value = UpdateRoomResponse> {
    let code = prop::sample::select(vec![
        UpdateResponseCode::Success,
        UpdateResponseCode::WrongEpoch,
        UpdateResponseCode::NotAllowed,
        UpdateResponseCode::HubUnresponsive,
        UpdateResponseCode::InvalidProposal,
    ]);
    (code, vec(any::<u8>(), 0..200)).prop_map(|(response_code, text)| UpdateRoomResponse {
        response_code,
        error_description: text.into(),
    })
}

fn consent() -> impl Strategy<Value = ConsentEntry> {
    let operation = prop_oneof![
        Just(ConsentOperation::Cancel),
        Just(ConsentOperation::Request),
        Just(ConsentOperation::Grant(Vec::new())),
        Just(ConsentOperation::Revoke),
    ];
    (operation, identifier(), identifier(), proptest::option::of(identifier())).prop_map(
        |(operation, requester_user, target_user, room_id)| ConsentEntry {
            operation,
            requester_user,
            target_user,
            room_id,
        },
    )
}

fn consent_items() -> impl Strategy<Value = Vec<ConsentItem>> {
    let item = (identifier(), proptest::option::of(identifier()), any::<u64>())
        .prop_map(|(user, room_id, at)| ConsentItem { user, room_id, at });
    vec(item, 0..5)
}

fn round_trip<T>(value: &T) -> Result<(), TestCaseError>
where
    T: DeserializeBytes + Serialize + PartialEq + std::fmt::Debug,
{
    let bytes = encode(value).unwrap();
    prop_assert_eq!(&decode_exact::<T>(&bytes).unwrap(), value);
    // A value of variable length can be long: three places of damage, not all of them.
    for at in [0, bytes.len() / 2, bytes.len() - 1] {
        prop_assert!(decode_exact::<T>(&bytes[..at]).is_err());
        for bit in 0..8 {
            let mut changed = bytes.clone();
            changed[at] ^= 1 << bit;
            if let Ok(other) = decode_exact::<T>(&changed) {
                prop_assert_eq!(encode(&other).unwrap(), changed);
            }
        }
    }
    let twice = [&bytes[..], &bytes].concat();
    prop_assert!(decode_exact::<T>(&twice).is_err());
    let both = decode_concatenated::<T>(&twice).unwrap();
    prop_assert_eq!(both.iter().collect::<Vec<_>>(), [value, value]);
    Ok(())
}

proptest! {
    #[test]
    fn every_app_sync_survives(value in app_sync()) {
        round_trip(&value)?;
    }

    #[test]
    fn every_participant_list_survives(participants in users()) {
        round_trip(&MimiParticipantList { participants })?;
    }

    #[test]
    fn every_key_material_request_survives(value in key_material_request()) {
        round_trip(&value)?;
    }

    #[test]
    fn every_answer_survives(submit in submit_response(), update in update_response()) {
        round_trip(&submit)?;
        round_trip(&update)?;
    }

    #[test]
    fn every_consent_survives(value in consent()) {
        round_trip(&value)?;
    }

    #[test]
    fn every_state_of_consent_survives(
        version in any::<u64>(),
        lists in vec(consent_items(), 5),
        frame in any::<u64>(),
    ) {
        let [incoming, given, refused, requested, received] = lists.try_into().unwrap();
        round_trip(&ConsentState { version, incoming, given, refused, requested, received })?;
        round_trip(&FromProvider::Consent { version: frame })?;
    }

    #[test]
    fn every_client_struct_survives(
        uri in identifier(),
        number in any::<u64>(),
        short in any::<u16>(),
        bytes in vec(any::<u8>(), 0..200),
    ) {
        round_trip(&Cursor { room_id: uri.clone(), position: number })?;
        round_trip(&RoomList {
            rooms: [None, Some(RoomProfile::A), Some(RoomProfile::B)]
                .into_iter()
                .zip([None, Some(RatchetTreeSupport::Full), Some(RatchetTreeSupport::ByReference)])
                .map(|(profile, ratchet_tree)| RoomSummary {
                    room_id: uri.clone(),
                    cipher_suite: short,
                    profile,
                    ratchet_tree,
                })
                .collect(),
        })?;
        round_trip(&FromProvider::Gap { room_id: uri.clone() })?;
        round_trip(&PseudonymGrant { client_uri: uri.clone() })?;
        round_trip(&DeviceList {
            devices: vec![DeviceSummary { client_uri: uri.clone(), registered_at: number }; 3],
        })?;
        round_trip(&DeviceRegistration {
            tbs: DeviceRegistrationTbs {
                client_uri: uri,
                signature_scheme: short,
                signature_key: bytes.clone().into(),
            },
            signature: bytes.into(),
        })?;
    }

    #[test]
    fn r5_bytes_at_random_are_refused_or_encode_to_the_same(bytes in vec(any::<u8>(), 0..120)) {
        for sample in samples() {
            assert_same_or_refused(&sample, &bytes);
        }
    }

    #[test]
    fn r5_a_replaced_stretch_is_refused_or_encodes_to_the_same(
        which in any::<prop::sample::Index>(),
        start in any::<prop::sample::Index>(),
        cut in 0..9_usize,
        stretch in vec(any::<u8>(), 0..9),
    ) {
        let all = samples();
        let sample = which.get(&all);
        let start = start.index(sample.bytes.len());
        let end = (start + cut).min(sample.bytes.len());
        let mut bytes = sample.bytes.clone();
        bytes.splice(start..end, stretch);
        assert_same_or_refused(sample, &bytes);
    }
}
