//! Known bytes: the answers in `tests/vectors`, a second encoding by hand of every struct, and the
//! official MLS vectors.
#![cfg(not(target_arch = "wasm32"))]

mod wire_fixtures;

use std::io::Write as _;
use std::path::PathBuf;

use mimi_edge::error::ProtocolError;
use mimi_edge::wire::{
    AppSync, ClientKeyMaterial, ClientMaterial, CommitBundle, ConsentEntry, ConsentOperation,
    Cursor, DeviceAuth, EventPage, FanoutMessage, FromClient, FromProvider, GroupInfoRequest,
    GroupInfoRequestTbs, GroupInfoResponse, IdentifierUri, KeyMaterialBody, KeyMaterialRequest,
    KeyMaterialResponse, KeyMaterialUserCode, LogEvent, MimiParticipantList, Mls10Request,
    PendingProposalsResponse, Protocol, RatchetTree, RatchetTreeOption, RequiredCapabilities, Role,
    SubmitMessageResponse, SubmitStatus, UpdateContent, UpdateRequest, UpdateResponseCode,
    UpdateRoomResponse, UserRoles, Verbatim, decode_exact, encode,
};
use openmls::framing::{ContentType, MlsMessageIn};
use openmls::messages::proposals::ProposalType;
use openmls::messages::proposals_in::ProposalIn;
use serde_json::Value;
use tls_codec::{DeserializeBytes, Serialize};
use wire_fixtures::hand::{hex, join, to_hex, uri, vector};
use wire_fixtures::mls::{ROOM, STORY, Uploaded};
use wire_fixtures::samples::{self, ALICE, BOB, PHONE, PRIVATE, PUBLIC, TIME, WELCOME, full};

const NOW: u64 = 0x0192_ABCD_EF01;

/// `value` encodes to `bytes`, and `bytes` decode to `value`.
fn assert_both_ways<T>(value: &T, bytes: &[u8])
where
    T: DeserializeBytes + Serialize + PartialEq + std::fmt::Debug,
{
    assert_eq!(to_hex(&encode(value).unwrap()), to_hex(bytes));
    assert_eq!(&decode_exact::<T>(bytes).unwrap(), value);
}

fn own<T: DeserializeBytes>(bytes: &[u8]) -> Verbatim<T> {
    Verbatim::own(bytes.to_vec()).unwrap()
}

fn id(text: &str) -> IdentifierUri {
    IdentifierUri(text.to_owned())
}

fn user(text: &str, roles: &[Role]) -> UserRoles {
    UserRoles { user: id(text), roles: roles.to_vec() }
}

/// The answer of this name in `known-answers.json`.
fn answer(name: &str, what: &str) -> Vec<u8> {
    let answers: Value =
        serde_json::from_str(include_str!("vectors/known-answers.json")).expect("JSON");
    let found = answers
        .as_array()
        .expect("a list")
        .iter()
        .find(|answer| answer["struct"] == name && answer["what"] == what)
        .unwrap_or_else(|| panic!("no answer {name}: {what}"));
    hex(found["hex"].as_str().expect("hex"))
}

#[test]
fn the_known_answers_of_our_structs() {
    let add_bob = AppSync {
        add_users: vec![user("bob@bravo.com", &[Role::RegularUser])],
        ..AppSync::default()
    };
    assert_both_ways(&add_bob, &answer("AppSync", "add bob@bravo.com [regular_user]"));
    assert_both_ways(
        &AppSync { remove_users: vec![id("bob@bravo.com")], ..AppSync::default() },
        &answer("AppSync", "remove bob@bravo.com"),
    );
    assert_both_ways(
        &MimiParticipantList {
            participants: vec![
                user("alice@alpha.com", &[Role::Owner, Role::Admin, Role::RegularUser]),
                user("bob@bravo.com", &[Role::RegularUser]),
            ],
        },
        &answer("MimiParticipantList", "alice@alpha.com [2,3,4], bob@bravo.com [4]"),
    );
    assert_both_ways(
        &KeyMaterialResponse {
            protocol: Protocol::MLS10,
            user_status: KeyMaterialUserCode::NoConsent,
            user_uri: id("bob@bravo.com"),
            clients: Vec::new(),
        },
        &answer("KeyMaterialResponse", "noConsent, bob@bravo.com, []"),
    );
    for (code, text, what) in [
        (UpdateResponseCode::Success, "", "success, empty"),
        (UpdateResponseCode::WrongEpoch, "stale", "wrongEpoch, stale"),
    ] {
        assert_both_ways(
            &UpdateRoomResponse { response_code: code, error_description: text.as_bytes().into() },
            &answer("UpdateRoomResponse", what),
        );
    }
    assert_both_ways(
        &ConsentEntry {
            operation: ConsentOperation::Request,
            requester_user: id("alice@alpha.com"),
            target_user: id("bob@bravo.com"),
            room_id: None,
        },
        &answer("ConsentEntry", "request, alice@alpha.com asks bob@bravo.com, any room"),
    );
}

#[test]
fn the_known_answers_of_proposals() {
    let app_sync = answer("AppSync", "add bob@bravo.com [regular_user]");
    for (what, proposal_type, bytes) in [
        (
            "app_data_update of component f022: add bob@bravo.com [regular_user]",
            ProposalType::AppDataUpdate,
            join(&[&[0, 8, 0xF0, 0x22, 1], &vector(&app_sync)]),
        ),
        (
            "app_data_update of component f022: 010203",
            ProposalType::AppDataUpdate,
            vec![0, 8, 0xF0, 0x22, 1, 3, 1, 2, 3],
        ),
        (
            "custom proposal f0a5: 010203",
            ProposalType::Custom(0xF0A5),
            vec![0xF0, 0xA5, 3, 1, 2, 3],
        ),
    ] {
        assert_eq!(answer("Proposal", what), bytes);
        let decoded = decode_exact::<ProposalIn>(&bytes).unwrap();
        assert_eq!(decoded.proposal_type(), proposal_type);
        assert_eq!(encode(&decoded).unwrap(), bytes);
    }
}

#[test]
fn a_list_of_a_thousand_users_has_21004_bytes() {
    let users = (0..1000).map(|i| user(&format!("user{i:04}@bravo.com"), &[Role::RegularUser]));
    let list = MimiParticipantList { participants: users.collect() };
    let by_hand: Vec<u8> =
        (0..1000).flat_map(|i| join(&[&uri(&format!("user{i:04}@bravo.com")), &[1, 4]])).collect();
    assert_eq!(vector(&by_hand).len(), 21_004);
    assert_both_ways(&list, &vector(&by_hand));
}

#[test]
fn the_participant_list_by_hand() {
    assert_both_ways(
        &AppSync {
            add_users: vec![
                user(BOB, &[Role::RegularUser]),
                user("carol@bravo.example", &[Role::Owner, Role::Admin, Role::RegularUser]),
            ],
            update_users: vec![user("dan@bravo.example", &[Role::Banned])],
            remove_users: vec![id("eve@bravo.example"), id("fay@bravo.example")],
        },
        &samples::app_sync(),
    );
    assert_both_ways(
        &MimiParticipantList {
            participants: vec![
                user(ALICE, &[Role::Owner, Role::Admin, Role::RegularUser]),
                user(BOB, &[Role::System, Role::Visitor]),
            ],
        },
        &samples::participant_list(),
    );
}

#[test]
fn key_material_by_hand() {
    assert_both_ways(
        &KeyMaterialRequest {
            protocol: Protocol::MLS10,
            requesting_user: id(ALICE),
            target_users: vec![id(BOB)],
            room_id: id(ROOM),
            body: KeyMaterialBody::Mls10(Mls10Request {
                acceptable_ciphersuites: vec![1, 3],
                required_capabilities: RequiredCapabilities {
                    extension_types: vec![6, 0xF0A7],
                    proposal_types: vec![8],
                    credential_types: vec![1],
                },
                last_resort_allowed: true,
            }),
        },
        &samples::key_material_request(),
    );
    let client = |name: &str, material| ClientKeyMaterial {
        client_uri: id(&format!("{BOB}/{name}")),
        material,
    };
    let key_package = Box::new(own(&STORY.bob_key_package));
    assert_both_ways(
        &KeyMaterialResponse {
            protocol: Protocol::MLS10,
            user_status: KeyMaterialUserCode::PartialSuccess,
            user_uri: id(BOB),
            clients: vec![
                client("phone", ClientMaterial::Success(key_package)),
                client("laptop", ClientMaterial::KeyMaterialExhausted),
                client("desk", ClientMaterial::OnlyLastResort),
                client("watch", ClientMaterial::NothingCompatible(None)),
                client("tv", ClientMaterial::NothingCompatible(Some(own(&STORY.capabilities)))),
            ],
        },
        &samples::key_material_response(),
    );
}

fn update(uploaded: &Uploaded, ratchet_tree_option: RatchetTreeOption) -> UpdateRequest {
    UpdateRequest {
        proposal_or_commit: own(&uploaded.commit),
        content: UpdateContent::Commit(Box::new(CommitBundle {
            welcome: uploaded.welcome.as_deref().map(own),
            group_info: own(&uploaded.group_info),
            ratchet_tree_option,
        })),
    }
}

fn full_tree(tree: &[u8]) -> RatchetTreeOption {
    RatchetTreeOption::Full(RatchetTree::from_encoded(tree).unwrap())
}

#[test]
fn an_update_by_hand() {
    let story = &*STORY;
    assert!(story.add.welcome.is_some() && story.external.welcome.is_none());
    for uploaded in [&story.add, &story.leave_commit, &story.external, &story.remove] {
        assert_both_ways(
            &update(uploaded, full_tree(&uploaded.tree)),
            &samples::update_with_commit(uploaded),
        );
    }
    assert_both_ways(
        &update(&story.leave_commit, RatchetTreeOption::ByReference),
        &samples::update_with_tree_by_reference(),
    );
    assert_both_ways(
        &UpdateRequest {
            proposal_or_commit: own(&story.leave[0]),
            content: UpdateContent::Proposal(vec![own(&story.leave[1])]),
        },
        &samples::update_with_proposals(),
    );
    assert_both_ways(
        &UpdateRequest {
            proposal_or_commit: own(&story.leave[1]),
            content: UpdateContent::Proposal(Vec::new()),
        },
        &join(&[&story.leave[1], &[0]]),
    );
}

#[test]
fn the_answers_to_an_update_and_to_a_message_by_hand() {
    for (code, byte) in [
        (UpdateResponseCode::Success, 0),
        (UpdateResponseCode::WrongEpoch, 1),
        (UpdateResponseCode::NotAllowed, 2),
        (UpdateResponseCode::HubUnresponsive, 3),
        (UpdateResponseCode::InvalidProposal, 4),
    ] {
        let response =
            UpdateRoomResponse { response_code: code, error_description: b"why".as_ref().into() };
        assert_both_ways(&response, &[byte, 3, b'w', b'h', b'y']);
    }
    assert_both_ways(
        &PendingProposalsResponse {
            response: UpdateRoomResponse {
                response_code: UpdateResponseCode::NotAllowed,
                error_description: b"cached".as_ref().into(),
            },
            pending_proposals: STORY.leave.iter().map(|proposal| own(proposal)).collect(),
        },
        &samples::pending_proposals(),
    );
    for (status, bytes) in [
        (SubmitStatus::Accepted(NOW), join(&[&[1, 0], &TIME])),
        (SubmitStatus::NotAllowed, vec![1, 1]),
        (SubmitStatus::EpochTooOld(7), vec![1, 2, 0, 0, 0, 0, 0, 0, 0, 7]),
    ] {
        assert_both_ways(&SubmitMessageResponse { protocol: Protocol::MLS10, status }, &bytes);
    }
}

#[test]
fn a_fan_out_by_hand() {
    let story = &*STORY;
    let welcome = story.add.welcome.as_ref().unwrap();
    for (header, body, tree, bytes) in [
        (PRIVATE, &story.application, None, samples::fanout_of_application()),
        (PUBLIC, &story.add.commit, None, samples::fanout_of_commit()),
        (PUBLIC, &story.leave[0], None, samples::fanout_of_proposal()),
        (WELCOME, welcome, Some(full_tree(&story.add.tree)), samples::fanout_of_welcome()),
    ] {
        let fanout = FanoutMessage {
            message: own(&join(&[&header, body])),
            timestamp: NOW,
            ratchet_tree_option: tree,
        };
        assert_both_ways(&fanout, &bytes);
    }
}

#[test]
fn group_info_by_hand() {
    assert_both_ways(
        &GroupInfoRequest {
            signature: b"a signature".as_ref().into(),
            tbs: GroupInfoRequestTbs {
                room_id: id(ROOM),
                requesting_signature_key: STORY.signature_key.clone().into(),
                requesting_credential: own(&STORY.credential),
            },
        },
        &samples::group_info_request(),
    );
    assert_eq!(
        STORY.credential,
        join(&[&[0, 1], &vector(b"dave@delta.example/d")]),
        "a basic credential"
    );
    assert_both_ways(
        &GroupInfoResponse::Success {
            group_info: Box::new(own(&STORY.leave_commit.group_info)),
            ratchet_tree_option: full_tree(&STORY.leave_commit.tree),
        },
        &samples::group_info_response(),
    );
}

#[test]
fn consent_by_hand() {
    let entry = |operation, room_id| ConsentEntry {
        operation,
        requester_user: id(ALICE),
        target_user: id(BOB),
        room_id,
    };
    let of = |code: u8| join(&[&[code], &uri(ALICE), &uri(BOB), &[0]]);
    assert_both_ways(&entry(ConsentOperation::Cancel, None), &of(0));
    assert_both_ways(&entry(ConsentOperation::Revoke, None), &of(3));
    assert_both_ways(
        &entry(ConsentOperation::Request, Some(id(ROOM))),
        &samples::consent_request(),
    );
    assert_both_ways(&entry(ConsentOperation::Grant(Vec::new()), None), &join(&[&of(2), &[0]]));
    let key_packages = vec![own(&STORY.bob_key_package), own(&STORY.last_resort_key_package)];
    assert_both_ways(
        &entry(ConsentOperation::Grant(key_packages), None),
        &samples::consent_grant(),
    );
}

#[test]
fn the_client_structs_by_hand() {
    let auth = DeviceAuth {
        client_uri: id(PHONE),
        created: NOW,
        nonce: vec![7; 16].into(),
        signature: vec![8; 64].into(),
    };
    assert_both_ways(&auth, &samples::device_auth());
    let cursor = Cursor { room_id: id(ROOM), position: 5 };
    assert_both_ways(
        &FromClient::Hello { auth, cursors: vec![cursor.clone()] },
        &join(&[&[1], &samples::device_auth(), &vector(&samples::cursor())]),
    );
    assert_both_ways(&FromClient::Ack(cursor), &join(&[&[2], &samples::cursor()]));
    let event = LogEvent {
        room_id: id(ROOM),
        position: 5,
        previous: 3,
        message: decode_exact(&samples::fanout_of_application()).unwrap(),
    };
    assert_both_ways(
        &EventPage { events: vec![event.clone(), event.clone()], end: 9, more: true, gap: false },
        &samples::event_page(),
    );
    assert_both_ways(&FromProvider::Event(event.clone()), &join(&[&[1], &samples::log_event()]));
    assert_both_ways(&FromProvider::Inbox(event), &join(&[&[2], &samples::log_event()]));
    assert_both_ways(&FromProvider::Gap { room_id: id(ROOM) }, &join(&[&[3], &uri(ROOM)]));
    assert_both_ways(&FromProvider::CaughtUp, &[4]);
    assert_both_ways(
        &FromProvider::CatchingUp { room_id: id(ROOM), end: 258, left: 3 },
        &join(&[&[8], &uri(ROOM), &[0, 0, 0, 0, 0, 0, 1, 2, 0, 0, 0, 3]]),
    );
}

/// One of the official MLS vector files; `None`, said plainly, when they are not there.
fn official(file: &str) -> Option<Vec<Value>> {
    let folder = std::env::var_os("MLS_VECTORS").map_or_else(
        || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../shared/vectors"),
        PathBuf::from,
    );
    let Ok(text) = std::fs::read_to_string(folder.join(file)) else {
        // Not `eprintln!`: the test harness keeps that to itself when the test passes.
        let line = format!("\nNOT RUN: {file} is absent (MLS_VECTORS names its folder)\n");
        let _ = std::io::stderr().write_all(line.as_bytes());
        return None;
    };
    Some(serde_json::from_str(&text).expect("a list"))
}

#[test]
fn the_official_lengths_are_read_as_ours() {
    for case in official("deserialization.json").into_iter().flatten() {
        let header = hex(case["vlbytes_header"].as_str().unwrap());
        let length = usize::try_from(case["length"].as_u64().unwrap()).unwrap();
        if length > 1 << 20 {
            // The header alone: it promises more than there is.
            assert!(RatchetTree::from_encoded(&header).is_err());
            continue;
        }
        let bytes = join(&[&header, &vec![0xA5; length]]);
        assert_eq!(bytes, vector(&vec![0xA5; length]));
        assert_eq!(RatchetTree::from_encoded(&bytes).unwrap().content().len(), length);
        if length > 0 {
            assert!(RatchetTree::from_encoded(&bytes[..bytes.len() - 1]).is_err());
        }
    }
}

#[test]
fn the_official_messages_travel_in_our_structs_unchanged() {
    let cases = official("messages.json").unwrap_or_default();
    for case in &cases {
        let get = |name: &str| hex(case[name].as_str().unwrap());
        let bare = |name: &str| get(name)[4..].to_vec();
        let tree = get("ratchet_tree");
        let fan_out = |name: &str, rest: &[u8]| join(&[&get(name), &TIME, rest]);

        for name in ["mls_welcome", "mls_group_info", "mls_key_package", "private_message"] {
            assert_same::<MlsMessageIn>(&get(name));
        }
        let welcome = fan_out("mls_welcome", &full(&tree));
        let decoded = decode_exact::<FanoutMessage>(&welcome).unwrap();
        assert_eq!(decoded.message.bytes(), get("mls_welcome"));
        let Some(RatchetTreeOption::Full(nodes)) = &decoded.ratchet_tree_option else {
            panic!("a Welcome comes with the tree")
        };
        assert_eq!(encode(&nodes.nodes().unwrap()).unwrap(), tree);
        assert_eq!(encode(&decoded).unwrap(), welcome);

        let response = join(&[
            &[1, 0],
            &uri(BOB),
            &vector(&join(&[&[0], &uri(PHONE), &bare("mls_key_package")])),
        ]);
        let decoded = decode_exact::<KeyMaterialResponse>(&response).unwrap();
        let ClientMaterial::Success(key_package) = &decoded.clients[0].material else {
            panic!("success")
        };
        assert_eq!(key_package.bytes(), bare("mls_key_package"));
        assert_eq!(encode(&decoded).unwrap(), response);

        let response = join(&[&[1], &bare("mls_group_info"), &full(&tree)]);
        assert_same::<GroupInfoResponse>(&response);
        let commit = join(&[
            &bare("public_message_commit"),
            &[1],
            &bare("mls_welcome"),
            &bare("mls_group_info"),
            &full(&tree),
        ]);
        assert_same::<UpdateRequest>(&commit);
        let proposals =
            join(&[&bare("public_message_proposal"), &vector(&bare("public_message_proposal"))]);
        assert_same::<UpdateRequest>(&proposals);
        assert_same::<FanoutMessage>(&fan_out("public_message_commit", &[]));
        assert_same::<FanoutMessage>(&fan_out("public_message_proposal", &[]));

        let refused = fan_out("public_message_application", &[]);
        assert_eq!(decode_exact::<FanoutMessage>(&refused), Err(ProtocolError::Malformed("body")));
        // Header, group id of 16 bytes, epoch; then the content type.
        let content_type = get("private_message")[4 + 17 + 8];
        let private = decode_exact::<FanoutMessage>(&fan_out("private_message", &[]));
        assert_eq!(private.is_ok(), content_type == ContentType::Application as u8);
    }
}

fn assert_same<T: DeserializeBytes + Serialize>(bytes: &[u8]) {
    let value = decode_exact::<T>(bytes).expect("an official message decodes");
    assert_eq!(to_hex(&encode(&value).unwrap()), to_hex(bytes));
}
